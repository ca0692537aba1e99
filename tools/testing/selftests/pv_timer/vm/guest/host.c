// SPDX-License-Identifier: GPL-2.0
/*
 * The guest as a host (L1) of guests (L2), for hypervisors that the machine
 * itself does not have. What to run is decided on the machine: it puts one
 * file per run into the directory pvt.dir=, one argument per line, and names
 * them in pvt.runs=. The machine's root is there read-only under /mnt: that
 * needs no image and no list of libraries, only what is installed anyway. With
 * pvt.root=/mnt the run is also confined to it.
 *
 * Descriptor VERDICT_FD of a run is its verdict channel. What arrives there is
 * passed on, together with exact counts of what the run cost its hypervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

#define MACHINE		"/mnt"
#define KVM_EVENTS	"/sys/kernel/tracing/events/kvm"
#define CLOCKSOURCE	"/sys/devices/system/clocksource/clocksource0"
#define SCHED_FEATURES	"/sys/kernel/debug/sched/features"
#define VERDICT_FD	3
#define MAX_ARGS	64
#define MSR_WRITES	KVM_EVENTS "/kvm_msr"
#define EXITS		KVM_EVENTS "/kvm_exit"
#define SYSCALLS	"/sys/kernel/tracing/events/raw_syscalls/sys_enter"
#define ANY		(~0U)

/*
 * What L1 counts: writes by MSR, and exits by the exit code of the SVM
 * architecture; or of User-Mode Linux its system calls, by their number. A histogram
 * in the kernel costs the guest next to nothing, a reader of trace_pipe would disturb
 * it.
 */
static const struct counter {
	const char *name;
	const char *event;
	unsigned int key;
} kvm_counters[] = {
	{ "tsc_deadline_writes", MSR_WRITES,	0x6e0 },
	{ "apic_icr_writes",	MSR_WRITES,	0x838 },
	{ "exit_intr",		EXITS,		0x60 },
	{ "exit_hlt",		EXITS,		0x78 },
	{ "exit_io",		EXITS,		0x7b },
	{ "exit_msr",		EXITS,		0x7c },
	{ "exit_npf",		EXITS,		0x400 },
	{ "exits",		EXITS,		ANY },
};

static const struct counter uml_counters[] = {
	{ "timer_settime",	SYSCALLS,	__NR_timer_settime },
	{ "syscalls",		SYSCALLS,	ANY },
};

static const struct counter *counters;
static size_t nr_counters;

static void count_kvm(void)
{
	if (write_file(MSR_WRITES "/trigger", "hist:keys=ecx.hex:size=256 if write == 1") ||
	    write_file(EXITS "/trigger", "hist:keys=exit_reason.hex:size=256")) {
		tell("note no histograms of KVM in this kernel");
		return;
	}
	counters = kvm_counters;
	nr_counters = ARRAY_SIZE(kvm_counters);
}

static void count_uml(void)
{
	if (write_file(SYSCALLS "/trigger",
		       "hist:keys=id.hex:size=512 if comm == \"linux\""))
		die(SYSCALLS);
	counters = uml_counters;
	nr_counters = ARRAY_SIZE(uml_counters);
}

/* "{ ecx:        6e0 } hitcount:         57" */
static unsigned long long read_counter(const struct counter *c)
{
	char path[128], line[256];
	unsigned long long hits, ret = 0;
	unsigned int key;
	FILE *f;

	snprintf(path, sizeof(path), "%s/hist", c->event);
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "{ %*[a-z_]: %x } hitcount: %llu", &key,
			   &hits) == 2 && (key == c->key || c->key == ANY))
			ret += hits;
	}
	fclose(f);
	return ret;
}

/* Counts since L1 has begun to count, the machine takes differences */
static void tell_counts(void)
{
	char line[512];
	size_t i, len = 0;

	for (i = 0; i < nr_counters; i++)
		len += snprintf(line + len, sizeof(line) - len, " %s=%llu",
				counters[i].name, read_counter(&counters[i]));
	if (nr_counters)
		tell("count%s", line);
}

/* All MSRs that guests have written so far, with their hits */
static void tell_msrs(void)
{
	unsigned long long hits;
	unsigned int msr;
	char line[1000], text[256];
	size_t len = 0;
	FILE *f = counters == kvm_counters ? fopen(MSR_WRITES "/hist", "r") : NULL;

	if (!f)
		return;
	line[0] = '\0';
	while (fgets(text, sizeof(text), f) && len < sizeof(line) - 32) {
		if (sscanf(text, "{ ecx: %x } hitcount: %llu", &msr, &hits) == 2)
			len += snprintf(line + len, sizeof(line) - len,
					" %x=%llu", msr, hits);
	}
	fclose(f);
	if (line[0])
		tell("msrs%s", line);
}

/* What a guest says; the counts go in front of what delimits a phase */
static void pass_on(char *line, void *unused)
{
	(void)unused;
	line[strcspn(line, "\r")] = '\0';
	if (strncmp(line, "pvt: ", 5))
		return;
	if (!strncmp(line, "pvt: phase ", 11))
		tell_counts();
	tell("%s", line + 5);
}

static char **read_args(const char *run)
{
	static char text[16384], *args[MAX_ARGS + 1];
	char path[512], *line, *save;
	int n = 0;

	snprintf(path, sizeof(path), MACHINE "%s/%s.args", option("dir", ""),
		 run);
	if (read_file(path, text, sizeof(text)) <= 0)
		die(path);
	for (line = strtok_r(text, "\n", &save); line && n < MAX_ARGS;
	     line = strtok_r(NULL, "\n", &save))
		args[n++] = line;
	args[n] = NULL;
	return args;
}

static pid_t start_guest(const char *root, char **args, int *fd)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		dup2(p[1], VERDICT_FD);
		if (chroot(root) || chdir("/"))
			_exit(126);
		setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
		execvp(args[0], args);
		perror(args[0]);
		_exit(127);
	}
	close(p[1]);
	*fd = p[0];
	return pid;
}

static bool clock_is_tsc(void)
{
	char name[32];

	read_file(CLOCKSOURCE "/current_clocksource", name, sizeof(name));
	return !strcmp(name, "tsc");
}

/* A guest that starts before L1 has found its clock inherits the search */
static void settle_clock(void)
{
	int i;

	for (i = 0; i < 30 && !clock_is_tsc(); i++)
		usleep(100 * 1000);
}

/*
 * Two busy CPUs of a guest share one of L1. Without this, the tick of L1 is what
 * takes it from one and gives it to the other: both miss every second tick.
 */
static void share_finely(void)
{
	if (write_file(SCHED_FEATURES, "HRTICK"))
		die(SCHED_FEATURES);
}

static void run_guest(const char *root, const char *run)
{
	int fd, status;
	pid_t pid;

	printf("init: starting %s\n", run);
	tell("run %s", run);
	pid = start_guest(root, read_args(run), &fd);
	read_lines(fd, -1, pass_on, NULL);
	close(fd);
	waitpid(pid, &status, 0);
	tell_msrs();
	tell("done %s %d", run, WIFEXITED(status) ? WEXITSTATUS(status) :
	     128 + WTERMSIG(status));
	if (!clock_is_tsc())
		tell("note L1 has lost the TSC as its clock");
}

/**
 * mount_machine() - Have the machine's root under /mnt, read-only
 *
 * What is there of this guest are its devices, its kernel and its /tmp.
 */
void mount_machine(void)
{
	static const char * const binds[] = { "/dev", "/proc", "/sys", "/tmp" };
	char to[64];
	size_t i;

	if (mount("machine", MACHINE, "9p", MS_RDONLY,
		  "trans=virtio,version=9p2000.L,cache=loose"))
		die("9p " MACHINE);
	for (i = 0; i < ARRAY_SIZE(binds); i++) {
		snprintf(to, sizeof(to), MACHINE "%s", binds[i]);
		if (mount(binds[i], to, NULL, MS_BIND | MS_REC, NULL))
			die(to);
	}
}

/**
 * run_guests() - Be the host of the guests in pvt.runs=, one after another
 * @root: what they are confined to
 *
 * It counts the exits of KVM, or with pvt.count=uml the system calls of User-Mode Linux.
 */
void run_guests(const char *root)
{
	char *runs = strdup(option("runs", "")), *run, *save;

	mount_machine();
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	settle_clock();
	share_finely();
	if (strcmp(option("count", "kvm"), "uml"))
		count_kvm();
	else
		count_uml();
	tell("ready %.6f", uptime());
	for (run = strtok_r(runs, ",", &save); run;
	     run = strtok_r(NULL, ",", &save))
		run_guest(root, run);
}
