// SPDX-License-Identifier: GPL-2.0
/*
 * Does the guest still tick after what a life in a data centre brings? The
 * steps in pvt.steps= are taken one after another, and after each the guest
 * sleeps on each CPU. All the time it has a timer armed on each of them, so
 * that there is one to lose.
 *
 *   host	the host pauses, saves and restores the guest, and says on the
 *		verdict channel what it has done, one line each, "end" at last
 *   hotplug	all CPUs but the first go offline and come back
 *   suspend	to RAM, until the alarm of the RTC: CPUs and timers lose their state
 *   freeze	suspend to idle, until the host types on the console
 *   kexec	the kernel pvt.kernel= with pvt.initrd=, under /mnt if they are on a
 *		file system of the host, boots in place of this one and takes the
 *		steps after it
 *   simulate	a sleep of an hour in the time travel of User-Mode Linux
 *   tsc-adjust	CPU1 goes offline and comes back with a TSC that is a minute ahead,
 *		until Linux synchronizes it
 *   refine	the TSC is not as fast as the command line says, and Linux notices
 *   c3stop	the idle states of the device tree stop the timer
 *   restore	the host saves the guest, and restores it without its timers
 *   busy	the last CPU runs one process without a tick
 *   crash	this kernel crashes on its last CPU, and pvt.kernel= with pvt.initrd=
 *		boots in the memory that was kept free for it
 *   perf	the program pvt.perf=, on the machine's root, shows what perf does with
 *		the events of the timer
 *   detectors	each detector of a debug kernel is given what it has to report
 *   unload	the module of a backend is to be removed: it stays if the backend ticks
 *   stolen	the host stops the guest, freezes it, and starves one CPU after
 *		another, while each of them sleeps again and again
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kexec.h>
#include <linux/random.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define SLEEPS		51
#define HOTPLUGS	50
#define RESTORES	3
#define SUSPENDS	3
#define MAX_ALARM	16
#define CHECKS		20
#define HOUR		3600
#define ADJUSTMENTS	10
#define REFINE_SEC	8
#define LOAD_SEC	3
#define MAX_LATE_MS	3
#define MAX_STOLEN_SEC	0.5
#define LOST_SEC	1
#define BUSY_ROUNDS	5
#define MAX_BUSY_TICKS	10
#define HUNG_SEC	4
#define REPORT_SEC	30
#define TRACING		"/sys/kernel/tracing"
#define BROKEN		"/sys/module/broken/parameters"
#define LKDTM		"/sys/kernel/debug/provoke-crash/DIRECT"
#define SYSCTL		"/proc/sys/kernel"
#define FILES		"/mnt"
#define MODULE		"pv_hpet"
#define MODULE_BACKEND	"hpet"
#define BACKENDS	"/sys/kernel/pv_timer/available_backends"
#define RTC		"/sys/class/rtc/rtc0"
#define IDLE_STATE	"/sys/devices/system/cpu/cpu%d/cpuidle/state%d/s2idle/usage"
#define MAX_IDLE_STATES	4

/* Not every architecture has it */
#ifndef SYS_kexec_file_load
#define SYS_kexec_file_load	-1
#endif

static const struct timespec one_ms = { .tv_nsec = 1000000 };

static pid_t load[MAX_CPUS];

/* It has to come back to a CPU that was offline */
static pid_t start_load(int cpu)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	while (!pid) {
		pin(cpu);
		nanosleep(&one_ms, NULL);
	}
	return pid;
}

static void stop_load(void)
{
	int cpu;

	for (cpu = 0; cpu < MAX_CPUS && load[cpu]; cpu++) {
		kill(load[cpu], SIGKILL);
		waitpid(load[cpu], NULL, 0);
		load[cpu] = 0;
	}
}

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* By how many ms a sleep on @cpu is late: the median */
static double lateness(int cpu)
{
	double late[SLEEPS];
	int i;

	if (!pin(cpu))
		die("sched_setaffinity");
	for (i = 0; i < SLEEPS; i++) {
		late[i] = uptime();
		nanosleep(&one_ms, NULL);
		late[i] = (uptime() - late[i]) * 1000 - 1;
	}
	qsort(late, SLEEPS, sizeof(*late), compare_doubles);
	return late[SLEEPS / 2];
}

/* One test: each CPU ticks within a period. Return: the worst lateness */
static double check_tick(struct verdict *v, const char *after)
{
	double late, worst = 0, limit = (double)tick_ns() / MSEC;
	int cpu;

	for (cpu = 0; cpu < get_nprocs(); cpu++) {
		late = lateness(cpu);
		if (late > limit)
			fail(v, "after %s: CPU%d late by %.1f ms", after, cpu,
			     late);
		if (late > worst)
			worst = late;
	}
	v->plan++;
	v->ok += worst <= limit;
	return worst;
}

static void tell_state(const char *after, double worst)
{
	struct pv_stats stats;

	read_stats(-1, &stats);
	tell("note after %s: %.3f ms late, events=%lld early=%lld lost=%lld refused=%lld",
	     after, worst, stats.v[PV_EVENTS], stats.v[PV_EARLY], stats.v[PV_LOST],
	     stats.v[PV_REFUSED]);
}

static void serve_host(struct verdict *v)
{
	char path[64], line[128];
	FILE *host;

	snprintf(path, sizeof(path), "/dev/%s", option("verdict", "ttyS1"));
	host = fopen(path, "r");
	if (!host)
		die(path);
	while (fgets(line, sizeof(line), host) && strcmp(line, "end\n")) {
		line[strcspn(line, "\n")] = '\0';
		tell_state(line, check_tick(v, line));
	}
	fclose(host);
}

static void replug(int cpu, bool online)
{
	if (!set_online(cpu, online))
		die("/sys/devices/system/cpu");
}

static void replug_cpus(struct verdict *v)
{
	int round, cpu, cpus = get_nprocs();
	double late, worst = 0;
	char after[32];

	for (round = 1; round <= HOTPLUGS; round++) {
		for (cpu = 1; cpu < cpus; cpu++)
			replug(cpu, false);
		for (cpu = 1; cpu < cpus; cpu++)
			replug(cpu, true);
		snprintf(after, sizeof(after), "hotplug %d", round);
		late = check_tick(v, after);
		if (late > worst)
			worst = late;
		if (round % 10 == 0)
			tell_state(after, worst);
	}
}

/* Seconds that the monotonic clock has not counted */
static double not_counted(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return uptime() - ts.tv_sec - ts.tv_nsec / 1e9;
}

/* Return: was it asleep, or was the alarm over by the time that it would be? */
static bool sleep_until_alarm(int seconds)
{
	double before = not_counted();
	char alarm[16];

	snprintf(alarm, sizeof(alarm), "+%d", seconds);
	if (write_file(RTC "/wakealarm", alarm))
		die(RTC);
	if (write_file("/sys/power/state", "mem"))
		die("/sys/power/state");
	return not_counted() - before > 0.5;
}

static long long hits(const char *event)
{
	char path[128], text[4096], *at;

	snprintf(path, sizeof(path), TRACING "/events/pv_timer/%s/hist", event);
	read_file(path, text, sizeof(text));
	at = strstr(text, "Hits: ");
	return at ? atoll(at + 6) : 0;
}

static void count_events(const char *event)
{
	char path[128];

	snprintf(path, sizeof(path), TRACING "/events/pv_timer/%s/trigger", event);
	if (write_file(path, "hist:keys=common_cpu"))
		die(path);
}

/* The timer of the CPU that suspends the others is told so. Those are not traced then. */
static void judge_events(struct verdict *v, const char *event)
{
	v->plan++;
	v->ok += hits(event) >= SUSPENDS;
	if (hits(event) < SUSPENDS)
		fail(v, "%lld events %s in %d suspends", hits(event), event, SUSPENDS);
}

/*
 * Its clock goes on by the RTC, in whole seconds: the host compares it no longer.
 * On a slow host it takes more than one of them to fall asleep.
 */
static void suspend_to_ram(struct verdict *v)
{
	int round, seconds = 2;
	char after[32];

	tell("end %.6f", uptime());
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	count_events("pv_timer_shutdown");
	count_events("pv_timer_resume");
	for (round = 1; round <= SUSPENDS; round++) {
		snprintf(after, sizeof(after), "suspend %d", round);
		while (!sleep_until_alarm(seconds)) {
			tell("note %s: awake at the alarm, %d s later", after,
			     seconds);
			if (seconds == MAX_ALARM) {
				fail(v, "%s: it was awake", after);
				break;
			}
			seconds *= 2;
		}
		tell_state(after, check_tick(v, after));
	}
	judge_events(v, "pv_timer_shutdown");
	judge_events(v, "pv_timer_resume");
}

/* How often a CPU was in an idle state in which the tick is suspended, -1 if it has none */
static long long frozen_ticks(int cpu)
{
	char path[128], text[32];
	long long sum = -1;
	int state;

	for (state = 0; state < MAX_IDLE_STATES; state++) {
		snprintf(path, sizeof(path), IDLE_STATE, cpu, state);
		if (read_file(path, text, sizeof(text)) > 0)
			sum = (sum < 0 ? 0 : sum) + atoll(text);
	}
	return sum;
}

/*
 * The host waits for some seconds before it types, which the clock may not have seen. The
 * alarm of the RTC does not end it: QEMU tells ACPI of it only when it wakes up the machine
 * from RAM, and Linux masks the interrupt of an RTC that ACPI watches. The idle states of
 * c3stop suspend the tick.
 */
static void suspend_to_idle(struct verdict *v)
{
	struct pollfd console = { .fd = STDIN_FILENO, .events = POLLIN };
	bool frozen = strstr(option("steps", ""), "c3stop");
	long long before[MAX_CPUS];
	int round, cpu;
	double slept;
	char after[32];

	stop_load();
	tell("end %.6f", uptime());
	if (write_file("/sys/class/tty/ttyS0/power/wakeup", "enabled"))
		die("ttyS0");
	for (round = 1; round <= SUSPENDS; round++) {
		snprintf(after, sizeof(after), "suspend to idle %d", round);
		for (cpu = 0; cpu < get_nprocs(); cpu++)
			before[cpu] = frozen_ticks(cpu);
		slept = uptime();
		tell("asleep");
		if (write_file("/sys/power/state", "freeze"))
			die("/sys/power/state");
		slept = uptime() - slept;
		if (poll(&console, 1, SEC / MSEC) != 1)
			fail(v, "%s: something else woke it up", after);
		tell("awake");
		tcflush(STDIN_FILENO, TCIFLUSH);
		for (cpu = 0; cpu < get_nprocs(); cpu++)
			if (frozen && frozen_ticks(cpu) <= before[cpu])
				fail(v, "%s: the tick of CPU%d was not suspended", after, cpu);
		tell("note %s: %.1f s, ticks %s", after, slept,
		     frozen ? "suspended" : "stop if idle");
		tell_state(after, check_tick(v, after));
	}
}

static int open_file(const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s", option(name, ""));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static void mount_files(void)
{
	if (strncmp(option("kernel", ""), FILES "/", sizeof(FILES)))
		return;
	mkdir(FILES, 0755);
	if (mount("kernel", FILES, "9p", MS_RDONLY,
		  "trans=virtio,version=9p2000.L"))
		die("9p " FILES);
}

/* A kernel that boots after a crash has no memory to keep, and one CPU */
static bool is_kept(const char *word, bool crash)
{
	if (crash && (!strncmp(word, "crashkernel=", 12) || !strncmp(word, "pvt.cpus=", 9)))
		return false;
	return strncmp(word, "pvt.steps=", 10);
}

/* The same parameters but for the steps, and what has been tested so far */
static void next_cmdline(const struct verdict *v, const char *step, char *line, size_t size)
{
	const char *left = strstr(option("steps", ""), step) + strlen(step);
	bool crash = !strcmp(step, "crash");
	char old[4096], *word, *save;
	size_t len = 0;

	read_file("/proc/cmdline", old, sizeof(old));
	for (word = strtok_r(old, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		if (is_kept(word, crash))
			len += snprintf(line + len, size - len, "%s ", word);
	}
	snprintf(line + len, size - len, "pvt.steps=booted%s pvt.before=%d%s", left, v->ok,
		 crash ? " nr_cpus=1 pvt.cpus=1" : "");
}

static void load_kernel(const struct verdict *v, const char *step, unsigned long flags)
{
	char line[4096];

	mount_files();
	next_cmdline(v, step, line, sizeof(line));
	if (syscall(SYS_kexec_file_load, open_file("kernel"), open_file("initrd"),
		    strlen(line) + 1, line, flags))
		die("kexec_file_load");
}

/* What this kernel has to be blamed for, the next one cannot tell */
static void boot_again(struct verdict *v)
{
	load_kernel(v, "kexec", 0);
	stop_load();
	run_checks(v);
	if (v->reason[0])
		return;
	tell("note kexec");
	reboot(RB_KEXEC);
	die("kexec");
}

/* The others are told to stop where they are: only the timer of this CPU is armed then */
static void die_badly(struct verdict *v)
{
	load_kernel(v, "crash", KEXEC_FILE_ON_CRASH);
	stop_load();
	run_checks(v);
	if (v->reason[0])
		return;
	tell("note crash");
	if (!pin(get_nprocs() - 1))
		die("sched_setaffinity");
	write_file("/proc/sysrq-trigger", "c");
	die("sysrq");
}

/* The kernel that kexec has booted starts where the other one stopped */
static void go_on(struct verdict *v)
{
	double late, worst = 0;
	int round;

	v->plan = atoi(option("before", "0"));
	v->ok = v->plan;
	for (round = 0; round < CHECKS; round++) {
		late = check_tick(v, "kexec");
		if (late > worst)
			worst = late;
	}
	tell_state("kexec", worst);
}

/*
 * The host's clock knows nothing of it: an hour goes by in no time there. Only
 * sleeping takes time with an infinitely fast CPU, else what runs does as well.
 */
static void simulate(struct verdict *v)
{
	bool fast = strstr(option("mode", ""), "inf-cpu");
	const struct timespec hour = { .tv_sec = HOUR };
	double late;

	stop_load();
	late = uptime();
	tell("end %.6f", late);
	nanosleep(&hour, NULL);
	late = (uptime() - late - HOUR) * 1000;
	v->plan++;
	if (late >= 0 && late <= (fast ? 1 : 1000))
		v->ok++;
	else
		fail(v, "an hour was late by %.3f ms", late);
	tell("note an hour was late by %.3f ms", late);
	tell_state("an hour", check_tick(v, "an hour"));
}

/*
 * The timer of a CPU that comes up must not be armed by a counter that is about
 * to change: it would be late by what that was ahead.
 */
static void adjust_tsc(struct verdict *v)
{
	double late, worst = 0;
	int round;

	if (write_file(BROKEN "/ahead", "1"))
		die(BROKEN);
	for (round = 1; round <= ADJUSTMENTS; round++) {
		replug(1, false);
		replug(1, true);
		late = check_tick(v, "adjustment of the TSC");
		if (late > worst)
			worst = late;
	}
	tell_state("adjustment of the TSC", worst);
}

/* Return: is there such a record? @line gets the first line of it, if it is not NULL. */
static bool find_in_log(const char *text, char *line, size_t size)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool found = false;
	char record[8192];
	ssize_t n;

	if (fd < 0)
		die("/dev/kmsg");
	while (!found && (n = read(fd, record, sizeof(record) - 1)) > 0) {
		record[n] = '\0';
		found = strstr(record, text);
	}
	close(fd);
	if (found && line) {
		snprintf(line, size, "%s", strchr(record, ';') + 1);
		line[strcspn(line, "\n")] = '\0';
	}
	return found;
}

static bool is_logged(const char *text)
{
	return find_in_log(text, NULL, 0);
}

/* By how many ms is a sleep of a second late? The best of some. */
static double second_late(int cpu)
{
	const struct timespec second = { .tv_sec = 1 };
	double late, best = 1000;
	int i;

	if (!pin(cpu))
		die("sched_setaffinity");
	for (i = 0; i < 3; i++) {
		late = uptime();
		nanosleep(&second, NULL);
		late = (uptime() - late - 1) * 1000;
		if (late < best)
			best = late;
	}
	return best;
}

/* It would be late by eight in a thousand */
static void refine_tsc(struct verdict *v)
{
	double late, worst = 0;
	int i, cpu;

	/* As many interrupts as it takes to see how many of a thousand are early */
	sleep(LOAD_SEC);
	stop_load();
	for (i = 0; i < REFINE_SEC && !is_logged("tsc: Refined TSC"); i++)
		sleep(1);
	if (i == REFINE_SEC)
		fail(v, "the TSC was not refined");
	for (cpu = 0; cpu < get_nprocs(); cpu++) {
		late = second_late(cpu);
		v->plan++;
		v->ok += late < MAX_LATE_MS;
		if (late >= MAX_LATE_MS)
			fail(v, "a second on CPU%d is late by %.1f ms", cpu, late);
		if (late > worst)
			worst = late;
	}
	tell_state("refinement of the TSC, a second", worst);
}

/* Return: how often a CPU was woken up by another one, for its timer has stopped */
static unsigned long long broadcasts(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	unsigned long long sum = 0;
	char line[1024], *at;
	int cpu;

	if (!file)
		die("/proc/interrupts");
	while (fgets(line, sizeof(line), file)) {
		at = strchr(line, ':');
		if (!at || !strstr(line, "Timer broadcast"))
			continue;
		for (cpu = 0, at++; cpu < get_nprocs(); cpu++)
			sum += strtoull(at, &at, 10);
	}
	fclose(file);
	return sum;
}

/* Where the idle states stop the timer, another CPU has to see to it */
static void stop_in_idle(struct verdict *v)
{
	unsigned long long before = broadcasts(), woken;
	double worst = check_tick(v, "timers that stop");

	woken = broadcasts() - before;
	v->plan++;
	v->ok += woken > 0;
	if (!woken)
		fail(v, "no CPU was woken up by another one");
	tell("note woken %llu times by another CPU", woken);
	tell_state("timers that stop", worst);
}

/* A guest logs that it was restored once it has random numbers to replace */
static void add_entropy(void)
{
	struct {
		struct rand_pool_info info;
		__u32 buf[8];
	} pool = { .info = { .entropy_count = 256, .buf_size = 32 } };
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool))
		die("/dev/urandom");
	close(fd);
}

/*
 * The kernel logs when it is told of a restore, and interrupts each CPU to tell it.
 * The trace has the clock of uptime(): that of the log stands still when nothing
 * ticks.
 */
static void trace_restores(void)
{
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (write_file(TRACING "/trace_clock", "boot") ||
	    write_file(TRACING "/events/printk/console/enable", "1") ||
	    write_file(TRACING "/events/irq_vectors/enable", "1"))
		die(TRACING);
}

/*
 * @told: when the kernel was told of the restore, 0 if it was not
 * @asked: when each CPU was, which takes a slow host a while
 * @ticked: its first timer interrupt after that, 0 if there was none
 */
struct restored {
	double told;
	double asked[MAX_CPUS], ticked[MAX_CPUS];
};

static void add_trace(struct restored *r, const char *line)
{
	const char *at = strchr(line, '[');
	double when;
	int cpu;

	if (!at || sscanf(at, "[%d] %*s %lf:", &cpu, &when) != 2 || cpu >= MAX_CPUS)
		return;
	if (strstr(at, "due to virtual machine fork"))
		r->told = when;
	else if (!r->told || r->ticked[cpu])
		return;
	else if (strstr(at, " local_timer_entry"))
		r->ticked[cpu] = when;
	else if (strstr(at, " irq_work_entry") ||
		 strstr(at, " call_function_single_entry"))
		r->asked[cpu] = when;
}

static void read_trace(struct restored *r)
{
	FILE *file = fopen(TRACING "/trace", "r");
	char line[512];

	if (!file)
		die(TRACING);
	memset(r, 0, sizeof(*r));
	while (fgets(line, sizeof(line), file))
		add_trace(r, line);
	fclose(file);
}

/* Return: do all CPUs tick? @best gets by how many ms each was late */
static bool judge_restore(struct verdict *v, double *best)
{
	struct restored r;
	double late;
	int cpu;

	read_trace(&r);
	if (!r.told)
		fail(v, "nobody told that the guest was restored");
	for (cpu = 0; r.told && cpu < get_nprocs(); cpu++) {
		if (!r.ticked[cpu] || r.ticked[cpu] - r.told > 1)
			fail(v, "CPU%d has not ticked a second after the restore",
			     cpu);
		late = (r.ticked[cpu] - (r.asked[cpu] ?: r.told)) * 1000;
		if (late < best[cpu])
			best[cpu] = late;
		tell("note CPU%d ticked %.3f ms after it was told, %.3f ms after the first was",
		     cpu, late, (r.ticked[cpu] - r.told) * 1000);
	}
	v->stuck = v->reason[0];
	return !v->stuck;
}

/*
 * The host asks by a line on the console, which can be heard without a timer. The
 * clock of the guest stands still while it is on its way.
 */
static bool restore_once(struct verdict *v, double *best)
{
	char line[16];

	v->plan++;
	fclose(fopen(TRACING "/trace", "w"));
	if (write_file(BROKEN "/forget", "1"))
		die(BROKEN);
	tell("restore");
	if (read(STDIN_FILENO, line, sizeof(line)) < 0)
		die("console");
	if (!judge_restore(v, best))
		return false;
	v->ok++;
	check_tick(v, "restore");
	return true;
}

/* A slow host makes them late as well, so the best of some counts */
static void be_restored(struct verdict *v)
{
	double best[MAX_CPUS], worst = 0;
	int cpu, round = 0;

	add_entropy();
	trace_restores();
	tell("end %.6f", uptime());
	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		best[cpu] = HUGE_VAL;
	while (round < RESTORES && restore_once(v, best))
		round++;
	for (cpu = 0; round == RESTORES && cpu < get_nprocs(); cpu++) {
		if (best[cpu] > (double)tick_ns() / MSEC)
			fail(v, "CPU%d ticked %.1f ms after the restore", cpu,
			     best[cpu]);
		if (best[cpu] > worst)
			worst = best[cpu];
	}
	tell_state("restore", worst);
}

/*
 * What a process on each CPU has seen of its sleeps of 1 to 8 ms, in seconds
 *
 * @shortest: less what was asked for, the worst
 * @longest: with what was stolen meanwhile
 */
struct robbed {
	int sleeps;
	double shortest, longest;
};

static void sleep_and_look(struct robbed *r, int ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };
	double took = uptime();

	nanosleep(&ts, NULL);
	took = uptime() - took;
	if (took - ms / 1e3 < r->shortest)
		r->shortest = took - ms / 1e3;
	if (took > r->longest)
		r->longest = took;
	r->sleeps++;
}

static void watch_cpus(struct robbed *robbed)
{
	int cpu, ms;

	stop_load();
	for (cpu = 0; cpu < get_nprocs(); cpu++) {
		load[cpu] = fork();
		if (load[cpu] < 0)
			die("fork");
		if (!load[cpu])
			pin(cpu);
		for (ms = 0; !load[cpu]; ms = (ms + 3) % 8)
			sleep_and_look(&robbed[cpu], ms + 1);
	}
}

static void judge_robbed(struct verdict *v, const char *how, int cpu, struct robbed *r)
{
	bool ok = r->sleeps && r->shortest >= 0 &&
		  r->longest < MAX_STOLEN_SEC + LOST_SEC;

	tell("note %s: CPU%d slept %d times, for %.0f ms at most", how, cpu, r->sleeps,
	     r->longest * 1000);
	if (!ok)
		fail(v, "%s: CPU%d slept %d times, %.3f ms too short, for %.0f ms", how,
		     cpu, r->sleeps, 0 - r->shortest * 1000, r->longest * 1000);
	v->plan++;
	v->ok += ok;
}

/* The host asks by a line on the console when it is done */
static void be_robbed_once(struct verdict *v, const char *how, struct robbed *robbed)
{
	char line[16];
	int cpu;

	memset(robbed, 0, sizeof(*robbed) * MAX_CPUS);
	tell("steal %s", how);
	if (read(STDIN_FILENO, line, sizeof(line)) < 0)
		die("console");
	for (cpu = 0; cpu < get_nprocs(); cpu++)
		judge_robbed(v, how, cpu, &robbed[cpu]);
	tell_state(how, check_tick(v, how));
}

/* The clock of the guest need not agree with that of the host any more */
static void be_robbed(struct verdict *v)
{
	static const char * const ways[] = { "stopped", "frozen", "starved" };
	struct robbed *robbed = mmap(NULL, sizeof(*robbed) * MAX_CPUS, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (robbed == MAP_FAILED)
		die("mmap");
	tell("end %.6f", uptime());
	watch_cpus(robbed);
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		be_robbed_once(v, ways[i], robbed);
}

/* What perf has counted, and listed of the load: that of this guest is named so too */
static long long perf_arms, perf_wakes;

static void perf_line(char *line, void *unused)
{
	long long requests, wakes;
	const char *at = line;

	(void)unused;
	tell("note %s", line);
	if (strstr(line, "pv_timer:pv_timer_arm"))
		for (; *at && *at != 'p'; at++)
			if (*at >= '0' && *at <= '9')
				perf_arms = perf_arms * 10 + *at - '0';
	if (sscanf(line, "init %*d %*d %lld %*d %% %lld", &requests, &wakes) == 2 && requests)
		perf_wakes += wakes;
}

static void be_measured(struct verdict *v)
{
	const char * const argv[] = {
		"/bin/chroot", "/mnt", "/bin/sh", "-c", "cd /tmp && exec $0",
		option("perf", ""), NULL
	};
	int status;

	mount_machine();
	status = run_command(argv, SILENCE_SEC, perf_line, NULL);
	v->plan++;
	v->ok += !status && perf_arms && perf_wakes;
	if (status)
		fail(v, "%s ended with status %#x", argv[5], status);
	if (!perf_arms)
		fail(v, "perf stat has counted no deadline");
	if (!perf_wakes)
		fail(v, "perf script has seen nothing of the load");
}

/* For the signal, which changes it */
static double rang;

static void ring(int signal)
{
	(void)signal;
	rang = uptime();
}

/* Without a system call, where there is a vDSO. Return: when the alarm rang */
static double run_busy(double seconds, double alarm)
{
	const struct itimerval it = { .it_value.tv_usec = alarm * 1e6 };
	double end = uptime() + seconds;

	rang = 0;
	setitimer(ITIMER_REAL, &it, NULL);
	while (uptime() < end)
		;
	return rang;
}

/*
 * A process that has the last CPU for itself, and an alarm in half a second. The best of
 * some rounds: whatever else there is to do for this CPU is done by then.
 */
static void be_busy(struct verdict *v)
{
	long long ticks, least = LLONG_MAX;
	int cpu = get_nprocs() - 1, round;
	double late, best = HUGE_VAL, tick = tick_ns() / 1e6;

	stop_load();
	signal(SIGALRM, ring);
	if (!pin(cpu))
		die("sched_setaffinity");
	for (round = 0; round < BUSY_ROUNDS; round++) {
		ticks = timer_interrupts(cpu);
		late = uptime() + 0.5;
		late = (run_busy(1, 0.5) - late) * 1000;
		ticks = timer_interrupts(cpu) - ticks;
		tell("note busy: CPU%d took %lld timer interrupts in a second, %.3f ms late",
		     cpu, ticks, late);
		least = ticks < least ? ticks : least;
		best = fabs(late) < fabs(best) ? late : best;
	}
	if (least > MAX_BUSY_TICKS)
		fail(v, "busy: CPU%d took %lld timer interrupts in a second", cpu, least);
	if (best < 0 || best > tick)
		fail(v, "busy: CPU%d late by %.1f ms", cpu, best);
	v->plan += 2;
	v->ok += (least <= MAX_BUSY_TICKS) + (best >= 0 && best <= tick);
	tell_state("busy", check_tick(v, "busy"));
}

/* A process on @cpu writes, as some of it does not return. Return: was it started? */
static bool provoke(int cpu, const char *path, const char *text)
{
	pid_t pid;

	if (access(path, W_OK))
		return false;
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		pin(cpu);
		_exit(write_file(path, text) ? 1 : 0);
	}
	return true;
}

/*
 * What there is to provoke, on a CPU that may be lost to it. The first report of some turns
 * lockdep off.
 */
static const struct {
	const char *detector, *path, *text, *report;
	int cpu;
} provocations[] = {
	{ "PROVE_LOCKING", BROKEN "/provoke", "lock", "WARNING: possible circular locking", 1 },
	{ "DEBUG_ATOMIC_SLEEP", BROKEN "/provoke", "sleep", "BUG: sleeping function called", 1 },
	{ "DEBUG_OBJECTS_TIMERS", BROKEN "/provoke", "timer", "object type: timer_list", 1 },
	{ "UBSAN", LKDTM, "ARRAY_BOUNDS", "UBSAN: array-index-out-of-bounds", 1 },
	{ "KASAN", LKDTM, "SLAB_LINEAR_OVERFLOW", "BUG: KASAN: slab-out-of-bounds", 1 },
	{ "DETECT_HUNG_TASK", LKDTM, "HUNG_TASK", "INFO: task init:", 1 },
	{ "SOFTLOCKUP_DETECTOR", LKDTM, "SOFTLOCKUP", "BUG: soft lockup", 1 },
	{ "HARDLOCKUP_DETECTOR", BROKEN "/provoke", "lockup", "hard LOCKUP on cpu 2", 2 },
};

/* Return: has the kernel said so within some seconds, in a line that is bad as well? */
static bool is_reported(const char *report)
{
	double end = uptime() + REPORT_SEC;
	char line[256];

	while (!find_in_log(report, line, sizeof(line))) {
		if (uptime() > end)
			return false;
		usleep(100000);
	}
	tell("note %s", line);
	return is_bad(line);
}

/* As the verdict does, which asks for them */
static bool is_leak_found(void)
{
	struct verdict leaks = { };

	if (!provoke(0, BROKEN "/provoke", "leak") || access(KMEMLEAK, R_OK))
		return false;
	wait(NULL);
	check_leaks(&leaks);
	if (leaks.reason[0])
		tell("note %.100s", leaks.reason);
	return leaks.reason[0];
}

static void judge_detector(struct verdict *v, const char *detector, bool found)
{
	v->plan++;
	v->ok += found;
	if (!found)
		fail(v, "%s is silent", detector);
}

/* Each of them on an idle kernel in which nothing was found so far */
static void be_detected(struct verdict *v)
{
	size_t i;

	stop_load();
	run_checks(v);
	if (v->reason[0])
		return;
	v->stuck = true;
	tell("end %.6f", uptime());
	write_file(SYSCTL "/hung_task_timeout_secs", XSTR(HUNG_SEC));
	write_file(SYSCTL "/watchdog_thresh", XSTR(HUNG_SEC));
	judge_detector(v, "DEBUG_KMEMLEAK", is_leak_found());
	for (i = 0; i < ARRAY_SIZE(provocations); i++) {
		judge_detector(v, provocations[i].detector,
			       provoke(provocations[i].cpu, provocations[i].path,
				       provocations[i].text) &&
			       is_reported(provocations[i].report));
	}
}

static bool is_backend_known(const char *name)
{
	char line[256], known[64];

	snprintf(known, sizeof(known), "%s(", name);
	return read_file(BACKENDS, line, sizeof(line)) > 0 && strstr(line, known);
}

/* A module stays while its backend ticks, of which the log has told, and else it may go */
static void unload(struct verdict *v)
{
	bool ticks = !strcmp(option("backend", ""), MODULE_BACKEND);
	char line[256];
	int err;

	v->plan++;
	if (!is_backend_known(MODULE_BACKEND)) {
		fail(v, "no backend '%s'", MODULE_BACKEND);
		return;
	}
	if (ticks && !find_in_log("its module cannot be removed", line, sizeof(line)))
		fail(v, "nobody says that %s will stay", MODULE);
	err = syscall(SYS_delete_module, MODULE, O_NONBLOCK) ? errno : 0;
	tell("note rmmod %s: %s", MODULE, strerror(err));
	if (err != (ticks ? EWOULDBLOCK : 0) || is_backend_known(MODULE_BACKEND) != ticks)
		fail(v, "rmmod %s: %s, and the backend is %s", MODULE, strerror(err),
		     is_backend_known(MODULE_BACKEND) ? "there" : "gone");
	else
		v->ok++;
	tell_state("unload", check_tick(v, "rmmod"));
}

static const struct {
	const char *name;
	void (*take)(struct verdict *v);
} steps[] = {
	{ "host", serve_host },
	{ "hotplug", replug_cpus },
	{ "suspend", suspend_to_ram },
	{ "freeze", suspend_to_idle },
	{ "kexec", boot_again },
	{ "booted", go_on },
	{ "simulate", simulate },
	{ "tsc-adjust", adjust_tsc },
	{ "refine", refine_tsc },
	{ "c3stop", stop_in_idle },
	{ "restore", be_restored },
	{ "stolen", be_robbed },
	{ "busy", be_busy },
	{ "crash", die_badly },
	{ "perf", be_measured },
	{ "detectors", be_detected },
	{ "unload", unload },
};

static void take(struct verdict *v, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!strcmp(steps[i].name, name)) {
			steps[i].take(v);
			return;
		}
	}
	fail(v, "there is no step '%s'", name);
}

/**
 * run_lifecycle() - Take the steps in pvt.steps=
 * @v: gets a test for each thing that was done to the guest
 */
void run_lifecycle(struct verdict *v)
{
	char *names = strdup(option("steps", "")), *name, *save;
	int cpu, cpus = get_nprocs();

	for (cpu = 0; cpu < cpus && cpu < MAX_CPUS; cpu++)
		load[cpu] = start_load(cpu);
	for (name = strtok_r(names, ",", &save); name;
	     name = strtok_r(NULL, ",", &save))
		take(v, name);
	stop_load();
	if (!v->plan)
		fail(v, "nothing was done to the guest");
}
