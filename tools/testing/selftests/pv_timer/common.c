// SPDX-License-Identifier: GPL-2.0
/*
 * What the pv_timer tests read from the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

#define PV_TIMER_SYSFS	"/sys/kernel/pv_timer/"
#define CLOCKSOURCE	"/sys/devices/system/clocksource/clocksource0/"
#define RTC		"/sys/class/rtc/rtc0/"
/* Enough for a thread of a test, in bytes */
#define LOCKED_STACK	(128 * 1024)

#define PV_TIMER_SLOPE	"/sys/kernel/debug/pv_timer/slope"

/*
 * Linux takes a RISC-V CPU for offline before its firmware has stopped it. For a
 * moment the firmware refuses to start it then: with EINVAL if it is stopping, with
 * an error of the kernel that has no name outside if it has not been told to yet.
 */
#ifdef __riscv
#define ONLINE_TRIES	1000
#else
#define ONLINE_TRIES	1
#endif
#define NOT_SUPPORTED	524

const char * const pv_stat_names[PV_NR_STATS] = {
	[PV_ARMED]	= "armed",
	[PV_ELIDED]	= "elided",
	[PV_STOPPED]	= "stopped",
	[PV_EVENTS]	= "events",
	[PV_EARLY]	= "early",
	[PV_SUPERSEDED]	= "superseded",
	[PV_SPURIOUS]	= "spurious",
	[PV_LOST]	= "lost",
	[PV_REFUSED]	= "refused",
	[PV_DELAYED]	= "delayed",
	[PV_RESTARTED]	= "restarted",
};

long long now_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return -1;
	return ts.tv_sec * SEC + ts.tv_nsec;
}

struct timespec ns_to_ts(long long ns)
{
	return (struct timespec) {
		.tv_sec = ns / SEC,
		.tv_nsec = ns % SEC,
	};
}

void sleep_until(long long at)
{
	struct timespec ts = ns_to_ts(at);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/*
 * Keep the CPU busy, without a system call where there is a vDSO. Returns for how
 * long it was not: what stands still for half a tick is not a busy loop, but a
 * CPU that its hypervisor has taken away, and its tick with it.
 */
long long spin(long long ns)
{
	long long last, now = now_ns(CLOCK_MONOTONIC), end = now + ns;
	long long gap = tick_ns() / 2, stolen = 0;

	while (now < end) {
		last = now;
		now = now_ns(CLOCK_MONOTONIC);
		if (now - last > gap)
			stolen += now - last;
	}
	return stolen;
}

/* For qsort() */
int compare_ns(const void *a, const void *b)
{
	const long long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Those that this process may run on: the others are somebody else's. */
int online_cpus(int cpus[MAX_CPUS])
{
	cpu_set_t set;
	int cpu, nr = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[nr++] = cpu;
	return nr;
}

/* One CPU whose timer is looked at, and one to look from, if there is another */
void two_cpus(int *cpu, int *other)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus);

	*cpu = cpus[nr - 1];
	*other = cpus[0];
}

bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Nothing but the timer is to keep a thread from waking up in time: it and those that it
 * starts go before all others, none of their memory has to be fetched, and the kernel does
 * not put their sleeps together. Says in @missing what it could not get.
 */
bool go_realtime(char *missing, size_t size)
{
	struct sched_param param = { .sched_priority = 80 };
	pthread_attr_t attr;
	size_t len;

	/* The stack of a thread is locked as a whole when it starts */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, LOCKED_STACK);
	pthread_setattr_default_np(&attr);
	*missing = 0;
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		snprintf(missing, size, " SCHED_FIFO (%s)", strerror(errno));
	len = strlen(missing);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		snprintf(missing + len, size - len, " mlockall (%s)", strerror(errno));
	len = strlen(missing);
	if (prctl(PR_SET_TIMERSLACK, 1))
		snprintf(missing + len, size - len, " timer slack (%s)", strerror(errno));
	return !*missing;
}

static bool write_online(const char *path, bool online)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, online ? "1" : "0", 1) == 1;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Leaves errno if it fails */
bool set_online(int cpu, bool online)
{
	char path[64];
	int tries;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	for (tries = 0; tries < ONLINE_TRIES; tries++) {
		if (write_online(path, online))
			return true;
		if (errno != EINVAL && errno != NOT_SUPPORTED)
			return false;
		usleep(USEC);
	}
	return false;
}

/*
 * Run @fn in one thread for each of @cpus, all at the same time. The n-th gets the
 * n-th of @args, each of @size, that begins with the int that says which CPU.
 */
bool on_cpus(const int *cpus, int nr, void *(*fn)(void *arg), void *args, size_t size)
{
	pthread_t threads[MAX_CPUS];
	int i, started;

	for (started = 0; started < nr; started++) {
		char *arg = (char *)args + started * size;

		memcpy(arg, &cpus[started], sizeof(int));
		if (pthread_create(&threads[started], NULL, fn, arg))
			break;
	}
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return nr && started == nr;
}

/* The same on each online CPU */
bool on_each_cpu(void *(*fn)(void *arg), void *args, size_t size)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus);

	return on_cpus(cpus, nr, fn, args, size);
}

struct load_cpu {
	int cpu;
	long long ns;
};

static void *load_thread(void *arg)
{
	struct load_cpu *load = arg;
	long long end = now_ns(CLOCK_MONOTONIC) + load->ns, ns = 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec it = {};
	struct timespec ts;

	pin(load->cpu);
	while (now_ns(CLOCK_MONOTONIC) < end) {
		ns = (ns + 137 * USEC) % (2 * MSEC);
		/* Armed first, then taken back by the next round */
		it.it_value = ns_to_ts(ns / 2 + 50 * USEC);
		timerfd_settime(fd, 0, &it, NULL);
		ts = ns_to_ts(ns + 10 * USEC);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
	close(fd);
	return NULL;
}

/* For @ns, each CPU arms timers, takes them back, moves them, and waits for them. */
void load_cpus(long long ns)
{
	struct load_cpu threads[MAX_CPUS];
	int i;

	for (i = 0; i < MAX_CPUS; i++)
		threads[i].ns = ns;
	on_each_cpu(load_thread, threads, sizeof(*threads));
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

enum mode boot_mode(void)
{
	const char *mode = getenv("PVT_MODE");

	if (mode && !strcmp(mode, "nohz-off"))
		return MODE_NOHZ_OFF;
	if (mode && !strcmp(mode, "highres-off"))
		return MODE_HIGHRES_OFF;
	if (mode && !strcmp(mode, "broken"))
		return MODE_BROKEN;
	if (mode && !strcmp(mode, "far"))
		return MODE_FAR;
	if (mode && !strcmp(mode, "debug"))
		return MODE_DEBUG;
	return MODE_DEFAULT;
}

/*
 * Why it says nothing how often an interrupt comes early. A debug kernel in a nested guest
 * takes 4 ms from one to user space, in which an emulated host may repeat it.
 */
const char *too_slow(void)
{
	return boot_mode() == MODE_DEBUG ? "a debug kernel is too slow to tell" : NULL;
}

/*
 * With PREEMPT_RT each tick wakes ksoftirqd for the scheduler's softirq, so the CPU is not
 * idle after it. Linux keeps the tick of one CPU of several that way, with any timer.
 */
int may_keep_ticking(int nr_cpus)
{
	struct utsname u;

	return nr_cpus > 1 && !uname(&u) && strstr(u.version, "PREEMPT_RT");
}

/* The coarse clock has the resolution of the tick, whatever USER_HZ is. */
long long tick_ns(void)
{
	struct timespec ts;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts))
		return -1;
	return ts.tv_sec * SEC + ts.tv_nsec;
}

/*
 * What the median of some sleeps is late by on a machine without one-shot timers, at
 * most: its tick rounds an expiry up, and without high resolution so does the kernel. On a
 * debug kernel it has to come at all.
 */
long long lateness_limit(void)
{
	if (boot_mode() == MODE_DEBUG)
		return LOST_AFTER;
	return boot_mode() == MODE_HIGHRES_OFF ? 3 * tick_ns() : tick_ns();
}

/*
 * The interrupts of a busy CPU in @ticks jiffies, @missed of which it was taken away. One
 * that ticks late by more than a jiffy takes every other one. Two that share a CPU of their
 * host by the turn take two of three, and neither sees that it was away.
 */
long long least_ticks(long long ticks, long long missed)
{
	return (ticks - missed) * 5 / 8;
}

bool read_line(const char *path, char *buf, size_t size)
{
	FILE *file = fopen(path, "r");
	bool ok = file && fgets(buf, size, file);

	if (file)
		fclose(file);
	if (!ok)
		*buf = 0;
	buf[strcspn(buf, "\n")] = 0;
	return ok;
}

/* The value of the last "name" or "name=value" of the kernel command line. */
bool cmdline_value(const char *name, char *buf, size_t size)
{
	char line[4096], *word, *save = NULL;
	size_t len = strlen(name);
	bool found = false;

	read_line("/proc/cmdline", line, sizeof(line));
	for (word = strtok_r(line, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		if (strncmp(word, name, len) || (word[len] && word[len] != '='))
			continue;
		snprintf(buf, size, "%s", word[len] ? word + len + 1 : "");
		found = true;
	}
	return found;
}

void read_device(int cpu, char *buf, size_t size)
{
	char path[96];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/clockevents/clockevent%d/current_device",
		 cpu);
	read_line(path, buf, size);
}

/* Why pv_timer is not to be expected here; NULL if it is. */
const char *pv_timer_absent(void)
{
	char line[256];

	if (cmdline_value("nopv", line, sizeof(line)))
		return "the kernel was booted with nopv";
	if (cmdline_value("pv_timer", line, sizeof(line)) &&
	    !strcmp(line, "off"))
		return "the kernel was booted with pv_timer=off";
	if (!read_line(PV_TIMER_SYSFS "available_backends", line, sizeof(line)))
		return "the kernel has no pv_timer";
	if (!*line)
		return "no backend of pv_timer knows this hypervisor";
	return NULL;
}

static void add_stats_row(char *header, char *row, int cpu,
			  struct pv_stats *stats)
{
	char *name, *value, *save_name = NULL, *save_value = NULL;
	int i;

	name = strtok_r(header, " \t\n", &save_name);
	value = strtok_r(row, " \t\n", &save_value);
	if (!value || (cpu >= 0 && atoi(value) != cpu))
		return;
	while ((name = strtok_r(NULL, " \t\n", &save_name)) &&
	       (value = strtok_r(NULL, " \t\n", &save_value)))
		for (i = 0; i < PV_NR_STATS; i++)
			if (!strcmp(name, pv_stat_names[i]))
				stats->v[i] += atoll(value);
}

/* The counters of @cpu since boot, or of all CPUs together if it is negative. */
bool read_stats(int cpu, struct pv_stats *stats)
{
	char header[512], copy[512], row[512];
	FILE *file = fopen(PV_TIMER_STATS, "r");

	memset(stats, 0, sizeof(*stats));
	if (!file)
		return false;
	if (!fgets(header, sizeof(header), file))
		*header = 0;
	while (fgets(row, sizeof(row), file)) {
		memcpy(copy, header, sizeof(copy));
		add_stats_row(copy, row, cpu, stats);
	}
	fclose(file);
	return *header;
}

/* Which lines of /proc/interrupts are timers that belong to one CPU? On Xen: timer0, ... */
static bool is_timer_line(const char *line)
{
	static const char * const labels[] = { "LOC:", "HVS:" };
	static const char * const devices[] = {
		"pv_timer\n", "hr timer\n", "riscv-timer\n", "goldfish_timer\n",
	};
	const char *last = strrchr(line, ' ');
	size_t i, len, dev;
	int cpu;

	line += strspn(line, " ");
	len = strlen(line);
	for (i = 0; i < sizeof(labels) / sizeof(*labels); i++)
		if (!strncmp(line, labels[i], strlen(labels[i])))
			return true;
	for (i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		dev = strlen(devices[i]);
		if (len > dev && !strcmp(line + len - dev, devices[i]))
			return true;
	}
	return last && sscanf(last, " timer%d", &cpu) == 1;
}

/* The columns of /proc/interrupts are the CPUs that are online. */
static int interrupts_column(char *header, int cpu)
{
	char *word, *save = NULL;
	int column = 0;

	for (word = strtok_r(header, "\n ", &save); word;
	     word = strtok_r(NULL, "\n ", &save), column++)
		if (!strncmp(word, "CPU", 3) && atoi(word + 3) == cpu)
			return column;
	return -1;
}

/* The timer interrupts that @cpu took since boot. */
long long timer_interrupts(int cpu)
{
	FILE *file = fopen("/proc/interrupts", "r");
	char line[16384];
	long long sum = -1;
	int column, i;

	if (!file || !fgets(line, sizeof(line), file))
		goto out;
	column = interrupts_column(line, cpu);
	while (column >= 0 && fgets(line, sizeof(line), file)) {
		char *at = strchr(line, ':');

		if (!at || !is_timer_line(line))
			continue;
		for (i = 0, at++; i < column; i++)
			strtoll(at, &at, 10);
		sum = (sum < 0 ? 0 : sum) + strtoll(at, NULL, 10);
	}
out:
	if (file)
		fclose(file);
	return sum;
}

/* When the device of @cpu is to interrupt next, by the monotonic clock */
long long next_interrupt(int cpu)
{
	FILE *file = fopen("/proc/timer_list", "r");
	long long next = -1;
	char line[512];
	int n, at = -1;

	while (file && next < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Per CPU device: %d", &n) == 1)
			at = n;
		if (at == cpu)
			sscanf(line, " next_event: %lld nsecs", &next);
	}
	if (file)
		fclose(file);
	return next;
}

/* Ticks of the counter per ns, 8.56 fixed point; 0 if the clock is no function of it */
long long coupling(void)
{
	char line[32];

	return read_line(PV_TIMER_SLOPE, line, sizeof(line)) ? atoll(line) : -1;
}

/* One of the columns of /proc/stat: 3 is idle, 7 is stolen */
static long long stat_ns(int cpu, int column)
{
	FILE *file = fopen("/proc/stat", "r");
	long long found = -1;
	char line[512], *at;
	int n, i;

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "cpu%d", &n) != 1 || n != cpu)
			continue;
		at = strchr(line, ' ');
		for (i = 0; i < column; i++)
			strtoll(at, &at, 10);
		found = strtoll(at, &at, 10) * (SEC / sysconf(_SC_CLK_TCK));
	}
	fclose(file);
	return found;
}

/* How long @cpu has been idle since boot. */
long long idle_ns(int cpu)
{
	return stat_ns(cpu, 3);
}

/* For how long its hypervisor has taken @cpu away since boot, if it says so. */
long long stolen_ns(int cpu)
{
	return stat_ns(cpu, 7);
}

/* Is there a clock that is independent of the hypervisor's? That of a PC is. */
bool has_rtc(void)
{
	char name[32];

	return read_line(RTC "name", name, sizeof(name)) && !strncmp(name, "rtc_cmos", 8);
}

static long long rtc_second(void)
{
	char line[32];

	return read_line(RTC "since_epoch", line, sizeof(line)) ? atoll(line) : -1;
}

struct edge rtc_edge(void)
{
	long long first = rtc_second(), start = now_ns(CLOCK_MONOTONIC);
	struct edge edge;

	do {
		edge.after = now_ns(CLOCK_MONOTONIC);
		edge.second = rtc_second();
		edge.before = now_ns(CLOCK_MONOTONIC);
	} while (edge.second == first && edge.before - start < 3 * SEC);
	return edge;
}

static void read_clock_under_ptrace(int calls)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	raise(SIGSTOP);
	while (calls--)
		now_ns(CLOCK_MONOTONIC);
	_exit(0);
}

/* How many system calls do @calls of clock_gettime() cost? None with a vDSO. */
long long clock_syscalls(int calls)
{
	long long stops = 0;
	int status;
	pid_t pid;

	/* The first call may set up what the others use */
	now_ns(CLOCK_MONOTONIC);
	pid = fork();
	if (!pid)
		read_clock_under_ptrace(calls);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -1;
	while (!ptrace(PTRACE_SYSCALL, pid, NULL, NULL) &&
	       waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		stops++;
	/* Two stops for each, and one when it enters exit_group() */
	return stops / 2;
}

/* A value must be one word. */
const char *word(char *s)
{
	char *c;

	for (c = s; *c; c++)
		if (*c == ' ' || *c == '\t')
			*c = '_';
	return *s ? s : "unknown";
}

/* The clock of this guest, what else it could be, and whether user space reads it. */
void report_clock(void)
{
	long long syscalls = clock_syscalls(100);
	char current[64], available[256];

	read_line(CLOCKSOURCE "current_clocksource", current, sizeof(current));
	read_line(CLOCKSOURCE "available_clocksource", available, sizeof(available));
	while (*available && available[strlen(available) - 1] == ' ')
		available[strlen(available) - 1] = 0;
	printf("report: clocksource=%s available_clocksource=%s vdso=%s\n", word(current),
	       word(available), syscalls < 0 ? "unknown" : syscalls < 10 ? "yes" : "no");
}

static bool is_uml(void)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[256];
	bool uml = false;

	while (file && !uml && fgets(line, sizeof(line), file))
		uml = strstr(line, "User Mode Linux");
	if (file)
		fclose(file);
	return uml;
}

static bool cpuid_signature(char *buf)
{
#ifdef __x86_64__
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1U << 31)))
		return false;
	__cpuid(0x40000000, eax, ebx, ecx, edx);
	memcpy(buf, &ebx, 4);
	memcpy(buf + 4, &ecx, 4);
	memcpy(buf + 8, &edx, 4);
	buf[12] = 0;
	return *buf;
#else
	(void)buf;
	return false;
#endif
}

static const char *find_hypervisor(void)
{
	static char name[128];

	if (is_uml())
		return "UML";
	if (cpuid_signature(name) ||
	    read_line("/sys/hypervisor/type", name, sizeof(name)) ||
	    read_line("/sys/class/dmi/id/sys_vendor", name, sizeof(name)))
		return word(name);
	return "none";
}

/* Who is this guest, and what does it tick through? */
void report_facts(void)
{
	char device[64], backend[64], available[256];
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i, rating = 0;
	struct utsname uts;
	char *at;

	uname(&uts);
	printf("report: hypervisor=%s release=%s cpus=%d hz=%lld\n",
	       find_hypervisor(), uts.release, nr, SEC / tick_ns());
	report_clock();
	for (i = 0; i < nr; i++) {
		read_device(cpus[i], device, sizeof(device));
		printf("report: cpu=%d device=%s\n", cpus[i], word(device));
	}
	if (!read_line("/sys/kernel/pv_timer/current_backend", backend,
		       sizeof(backend)))
		snprintf(backend, sizeof(backend), "none");
	read_line("/sys/kernel/pv_timer/available_backends", available,
		  sizeof(available));
	at = strstr(available, backend);
	if (at)
		sscanf(at + strlen(backend), "(%d)", &rating);
	printf("report: backend=%s rating=%d\n", word(backend), rating);
}

static void refuse(const char *name)
{
	fprintf(stderr, "Try '%s --help'.\n", name);
	exit(2);
}

/* Ends the program with exit status 2 if it is told what it does not know */
void parse_settings(struct settings *settings, int argc, char **argv)
{
	/* The first is for those that know it */
	static const struct option options[] = {
		{ "emulated", no_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ "raw", no_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ }
	};
	char *end = "";
	int c;

	while ((c = getopt_long(argc, argv, "h", options + !settings->knows_emulated,
				NULL)) >= 0) {
		if (c == 'h') {
			printf(settings->help, argv[0]);
			exit(0);
		}
		if (c == '?')
			refuse(argv[0]);
		settings->emulated |= c == 'e';
		settings->raw |= c == 'r';
		if (c == 's')
			settings->seconds = strtol(optarg, &end, 10);
	}
	if (*end || settings->seconds < 1 || settings->seconds > settings->most) {
		fprintf(stderr, "%s: --seconds takes a number from 1 to %d\n", argv[0],
			settings->most);
		refuse(argv[0]);
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unknown argument '%s'\n", argv[0], argv[optind]);
		refuse(argv[0]);
	}
}

/* In powers of two of a nanosecond */
int latency_bucket(long long ns)
{
	int bucket = 0;

	while (bucket < LATENCY_BUCKETS - 1 && ns >= 2LL << bucket)
		bucket++;
	return bucket;
}

/* What @permille of them are not above; they are in order */
long long quantile(const long long *late, int nr, int permille)
{
	return late[(long long)nr * permille / 1000];
}
