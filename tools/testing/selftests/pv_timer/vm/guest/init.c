// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of every guest of the harness: run the tests, look at what they left
 * behind, then say the verdict, last, and power off.
 *
 * Parameters on the kernel command line, all of them "pvt.<name>=<value>":
 *
 *   verdict=ttyS1	the terminal that is the verdict channel
 *   do=suite		"suite", "report", "bench" for the loads=a=seconds,b=seconds,
 *			"latency" for seconds=1 each, emulated=yes if in real time,
 *			"host" to run other guests, "shell" for one on the console,
 *			"lifecycle" while the host saves and restores it,
 *			"conformance" for the contract of its backend, then the suite,
 *			or "probe" to show that the guest boots
 *   mode=default	how the kernel was booted: default, nohz-off, highres-off,
 *			or far
 *   tests=sleep,tick	the programs of the suite, all if it is not there
 *   tell=all		tell the host of tests that passed as well
 *   silence=60		for how many seconds a test may say nothing
 *   cpus=2		how many CPUs there should be
 *   device=pv_timer	the clock event device expected on each of them
 *   backend=kvm	the backend expected, "none" for the stock kernel
 *   available=kvm,lapic-deadline  the backends that the guest can have, best first
 *   legacy=absent	whether a device that pv_timer replaces may exist
 *   broken=early	what the backend does wrong on purpose, a column of the statistics
 *   module=/x.ko	a module that is loaded before anything else is done
 *   runs=a,b root=/mnt dir=... count=uml	see host.c
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

/* For so long the verdict channel may be missing */
#define PORT_SEC	10

static int verdict_fd = -1;

/**
 * option() - A parameter of the harness on the kernel command line
 * @name: without the prefix "pvt."
 * @fallback: what is returned if it is not there
 *
 * Return: its value, to be kept as long as wanted.
 */
const char *option(const char *name, const char *fallback)
{
	static char cmdline[4096];
	size_t len = strlen(name);
	char *copy, *word;

	if (!cmdline[0])
		read_file("/proc/cmdline", cmdline, sizeof(cmdline));
	copy = strdup(cmdline);
	for (word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		if (!strncmp(word, "pvt.", 4) &&
		    !strncmp(word + 4, name, len) && word[4 + len] == '=')
			return word + 4 + len + 1;
	}
	free(copy);
	return fallback;
}

/**
 * tell() - Say one line to the host
 * @fmt: without the newline
 */
void tell(const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int len;

	len = snprintf(line, sizeof(line), "pvt: ");
	va_start(ap, fmt);
	len += vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (write(verdict_fd, line, len) != len)
		perror("init: verdict channel");
}

/**
 * fail() - Add a reason why the verdict cannot be "pass"
 * @v: the verdict
 * @fmt: the reason
 */
void fail(struct verdict *v, const char *fmt, ...)
{
	size_t len = strlen(v->reason);
	va_list ap;
	char *c;

	if (len && len + 3 < sizeof(v->reason))
		len += sprintf(v->reason + len, "; ");
	va_start(ap, fmt);
	vsnprintf(v->reason + len, sizeof(v->reason) - len, fmt, ap);
	va_end(ap);
	for (c = v->reason; *c; c++) {
		if (*c == '"' || *c == '\n')
			*c = '\'';
	}
}

static void power_off(void)
{
	sync();
	tcdrain(verdict_fd);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/**
 * die() - The harness itself does not work, which is not a failed test
 * @what: was tried; errno tells why it failed
 */
noreturn void die(const char *what)
{
	printf("init: %s: %s\n", what, strerror(errno));
	tell("error %s: %s", what, strerror(errno));
	power_off();
	abort();
}

/**
 * read_file() - The text of a small file
 * @path: its name
 * @buf: where it goes, without a newline at the end; empty on error
 * @size: of the buffer
 *
 * Return: the length of the text, or -1.
 */
int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = -1;

	buf[0] = '\0';
	if (fd < 0)
		return -1;
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			break;
		len += n;
	}
	close(fd);
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return n < 0 ? -1 : (int)len;
}

/**
 * write_file() - Write to a file of the kernel
 * @path: its name
 * @text: in one write
 *
 * Return: 0, or a negative error code.
 */
int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/**
 * uptime() - Seconds on the guest's clock, which goes on while it is suspended
 *
 * Return: CLOCK_BOOTTIME.
 */
double uptime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static char *next_line(char *buf, size_t *len, char *line)
{
	char *end = memchr(buf, '\n', *len);

	if (!end)
		return NULL;
	*end++ = '\0';
	memcpy(line, buf, end - buf);
	*len -= end - buf;
	memmove(buf, end, *len);
	return line;
}

/**
 * read_lines() - Read lines until the end of a file or pipe
 * @fd: to read
 * @timeout_sec: the longest silence, -1 for any
 * @fn: called with every line, which it may change
 * @arg: for @fn
 *
 * Return: false if there was silence for longer than that.
 */
bool read_lines(int fd, int timeout_sec, line_fn fn, void *arg)
{
	int timeout = timeout_sec < 0 ? -1 : timeout_sec * 1000;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char buf[4096], line[sizeof(buf)];
	size_t len = 0;
	ssize_t n;

	while (poll(&pfd, 1, timeout) > 0) {
		n = read(fd, buf + len, sizeof(buf) - 1 - len);
		if (n <= 0) {
			if (!len)
				return true;
			buf[len++] = '\n';	/* the last one had none */
		} else {
			len += n;
		}
		while (next_line(buf, &len, line))
			fn(line, arg);
		if (len == sizeof(buf) - 1)
			len = 0;	/* no line of ours is that long */
	}
	return false;
}

static void mount_or_die(const char *type, const char *dir)
{
	mkdir(dir, 0755);
	if (mount(type, dir, type, 0, NULL) && errno != EBUSY)
		die(dir);
}

static void mount_all(void)
{
	mount_or_die("devtmpfs", "/dev");
	mount_or_die("proc", "/proc");
	mount_or_die("sysfs", "/sys");
	mount_or_die("tmpfs", "/tmp");
	mount_or_die("debugfs", "/sys/kernel/debug");
	mount_or_die("tmpfs", "/dev/shm");
	/* what scripts expect of /dev, and devtmpfs does not have */
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

/* A port on a bus that is probed beside us, as that of Xen, may not be there yet. */
static void open_verdict(void)
{
	double end = uptime() + PORT_SEC;
	struct termios tio;
	char path[64];

	snprintf(path, sizeof(path), "/dev/%s", option("verdict", "ttyS1"));
	while ((verdict_fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC)) < 0) {
		if (uptime() > end)
			die(path);
		usleep(10000);
	}
	if (!tcgetattr(verdict_fd, &tio)) {
		cfmakeraw(&tio);
		tcsetattr(verdict_fd, TCSANOW, &tio);
	}
}

static void print_banner(void)
{
	struct utsname u;

	uname(&u);
	printf("init: %s %s %s %s, %s in mode %s\n", u.sysname, u.release,
	       u.version, u.machine, option("do", "suite"),
	       option("mode", "default"));
}

static void tell_verdict(struct verdict *v)
{
	char counts[128], state[256];
	struct utsname u;

	uname(&u);
	snprintf(counts, sizeof(counts),
		 "plan=%d ok=%d skip=%d taint=%ld cpus=%d", v->plan, v->ok,
		 v->skip, v->taint, v->cpus);
	snprintf(state, sizeof(state),
		 "clockevent=%s backend=%s nohz=%s legacy=%s lost=%lld linux=%s",
		 v->clockevent, v->backend, v->nohz ? "yes" : "no",
		 v->legacy ? "present" : "absent", v->stats.v[PV_LOST], u.release);
	tell("verdict %s mode=%s %s %s%s%s", v->reason[0] ? "FAIL" : "pass",
	     option("mode", "default"), counts, state,
	     v->reason[0] ? " reason=" : "", v->reason);
}

/* That of a backend, which comes after boot */
static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		die(path);
	close(fd);
}

static void run_tests(void)
{
	const char *what = option("do", "suite");
	struct verdict v = { };

	tell("start %.6f", uptime());
	if (*option("module", ""))
		load_module(option("module", ""));
	if (!strcmp(what, "probe"))
		return;
	if (!strcmp(what, "report"))
		run_report(&v);
	else if (!strcmp(what, "bench"))
		run_bench(&v);
	else if (!strcmp(what, "latency"))
		run_latency(&v);
	else if (!strcmp(what, "lifecycle"))
		run_lifecycle(&v);
	else if (!strcmp(what, "conformance"))
		run_conformance(&v);
	else
		run_suite(&v);
	if (!v.stuck)
		run_checks(&v);
	tell("end %.6f", uptime());
	tell_results(&v);
	tell_verdict(&v);
}

/* A terminal of its own is what job control needs */
static void run_shell(void)
{
	pid_t pid = fork();

	if (!pid) {
		setsid();
		execl("/bin/cttyhack", "cttyhack", "/bin/sh", NULL);
		perror("/bin/cttyhack");
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

int main(void)
{
	const char *what;

	mount_all();
	open_console();
	open_verdict();
	print_banner();
	setenv("PATH", "/bin", 1);
	setenv("HOME", "/tmp", 1);
	setenv("TMPDIR", "/dev/shm", 1);
	setenv("PVT_MODE", option("mode", "default"), 1);
	what = option("do", "suite");
	if (!strcmp(what, "host"))
		run_guests(option("root", "/"));
	else if (!strcmp(what, "shell"))
		run_shell();
	else
		run_tests();
	power_off();
	return 0;
}
