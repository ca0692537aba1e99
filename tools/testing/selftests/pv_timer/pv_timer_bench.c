// SPDX-License-Identifier: GPL-2.0
/*
 * Loads for vm/bench.py, which counts what each of them costs: instructions of the
 * kernel and exits to the hypervisor. It judges nothing, and needs nothing of pv_timer.
 *
 * "phase: NAME begin" and "phase: NAME end" are for whoever counts from outside. Who
 * counts instructions sees them by the system call setdomainname(), which nobody else
 * makes: it is the first and the last thing that is done between the two.
 *
 * Usage: pv_timer_bench LOAD=SECONDS...
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../kselftest.h"
#include "common.h"

#define STORM_TIMERS	1000
#define STORM_BATCH	50
#define PERIODIC	4

/* @run: for so long; returns how often its unit was done. @cpus: how many it needs */
struct load {
	const char *name;
	const char *unit;
	long long (*run)(long long ns);
	int cpus;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long long end_in(long long ns)
{
	return now_ns(CLOCK_MONOTONIC) + ns;
}

static long long idle(long long ns)
{
	sleep_until(end_in(ns));
	return ns / SEC;
}

static long long busy(long long ns)
{
	spin(ns);
	return ns / SEC;
}

struct sleeper {
	int cpu;
	long long period, end, sleeps;
};

static void *sleeping(void *arg)
{
	struct sleeper *sleeper = arg;
	long long at = now_ns(CLOCK_MONOTONIC);

	if (sleeper->cpu >= 0)
		pin(sleeper->cpu);
	while (at < sleeper->end) {
		at = now_ns(CLOCK_MONOTONIC) + sleeper->period;
		sleep_until(at);
		sleeper->sleeps++;
	}
	return NULL;
}

static long long run_sleepers(struct sleeper *sleepers, int nr)
{
	pthread_t threads[MAX_CPUS];
	long long sum = 0;
	int i;

	for (i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, sleeping, &sleepers[i]))
			die("pthread_create");
	for (i = 0; i < nr; i++) {
		pthread_join(threads[i], NULL);
		sum += sleepers[i].sleeps;
	}
	return sum;
}

/* A sleep of 1 ms after the other, on each CPU */
static long long sleep_1ms(long long ns)
{
	struct sleeper sleepers[MAX_CPUS] = { };
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;

	for (i = 0; i < nr; i++)
		sleepers[i] = (struct sleeper) {
			.cpu = cpus[i], .period = MSEC, .end = end_in(ns),
		};
	return run_sleepers(sleepers, nr);
}

/* Sleeps of many lengths at a time */
static long long mixed(long long ns)
{
	static const int periods[] = { 300, 700, 1100, 2300, 3100, 5000, 7000, 13000 };
	struct sleeper sleepers[ARRAY_SIZE(periods)] = { };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(periods); i++)
		sleepers[i] = (struct sleeper) {
			.cpu = -1, .period = periods[i] * USEC, .end = end_in(ns),
		};
	return run_sleepers(sleepers, ARRAY_SIZE(periods));
}

/* Sends back what it is sent, until there is no one who sends */
static pid_t start_echo(const int to[2], const int back[2], int cpu)
{
	pid_t pid = fork();
	char c;

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	close(to[1]);
	pin(cpu);
	while (read(to[0], &c, 1) == 1)
		if (write(back[1], &c, 1) != 1)
			break;
	_exit(0);
}

/* One character there and back; with a timeout, in ms, each answer is waited for by it */
static long long echo(long long ns, int cpu, int timeout)
{
	long long end = end_in(ns), answers = 0;
	int to[2], back[2], cpus[MAX_CPUS];
	struct pollfd pfd;
	char c = 'x';
	pid_t pid;

	online_cpus(cpus);
	if (pipe(to) || pipe(back))
		die("pipe");
	pid = start_echo(to, back, cpus[cpu]);
	pin(cpus[0]);
	pfd = (struct pollfd) { .fd = back[0], .events = POLLIN };
	for (; now_ns(CLOCK_MONOTONIC) < end; answers++) {
		if (write(to[1], &c, 1) != 1)
			die("write");
		if (timeout && poll(&pfd, 1, timeout) != 1)
			die("poll");
		if (read(back[0], &c, 1) != 1)
			die("read");
	}
	close(to[1]);
	waitpid(pid, NULL, 0);
	close(to[0]);
	close(back[0]);
	close(back[1]);
	return answers;
}

static long long ping_pong(long long ns)
{
	return echo(ns, 0, 0);
}

static long long ping_pong_two(long long ns)
{
	return echo(ns, 1, 0);
}

static long long request(long long ns)
{
	return echo(ns, 0, 100);
}

static void set_timer(timer_t timer, int flags, long long ns, long long interval)
{
	struct itimerspec its = {
		.it_value = ns_to_ts(ns), .it_interval = ns_to_ts(interval),
	};

	if (timer_settime(timer, flags, &its, NULL))
		die("timer_settime");
}

/* A timer sends it, and whoever wants it waits for it. Each timer has one in store. */
static void block_signal(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	sigset_t set;

	setrlimit(RLIMIT_SIGPENDING, &all);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/*
 * Each is armed as the first of all to expire, before the next tick as well; then all
 * are moved behind it, from the first one on, and cancelled. None expires, if a request
 * takes less than 60 us.
 */
static void storm_batch(timer_t *timers)
{
	int i;

	for (i = 0; i < STORM_BATCH; i++)
		set_timer(timers[i], 0, 3 * MSEC - i * 20 * USEC, 0);
	for (i = STORM_BATCH - 1; i >= 0; i--)
		set_timer(timers[i], 0, SEC + i * MSEC, 0);
	for (i = STORM_BATCH - 1; i >= 0; i--)
		set_timer(timers[i], 0, 0, 0);
}

static long long storm(long long ns)
{
	static timer_t timers[STORM_TIMERS];
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	long long end = end_in(ns), requests = 0;
	int cpus[MAX_CPUS], i;

	online_cpus(cpus);
	pin(cpus[0]);
	for (i = 0; i < STORM_TIMERS; i++)
		if (timer_create(CLOCK_MONOTONIC, &event, &timers[i]))
			die("timer_create");
	while (now_ns(CLOCK_MONOTONIC) < end) {
		for (i = 0; i < STORM_TIMERS; i += STORM_BATCH)
			storm_batch(&timers[i]);
		requests += 3 * STORM_TIMERS;
	}
	for (i = 0; i < STORM_TIMERS; i++)
		timer_delete(timers[i]);
	return requests;
}

/*
 * Periodic timers that send signals, one process takes them all. The expiries of ticks
 * are multiples of their period: theirs fall alike against them in any kernel.
 */
static long long periodic(long long ns)
{
	static const int intervals[PERIODIC] = { 1000, 2500, 4000, 10000 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	long long start = (now_ns(CLOCK_MONOTONIC) / (20 * MSEC) + 1) * 20 * MSEC;
	long long end = end_in(ns), signals = 0;
	timer_t timers[PERIODIC];
	sigset_t set;
	int i;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	for (i = 0; i < PERIODIC; i++) {
		if (timer_create(CLOCK_MONOTONIC, &event, &timers[i]))
			die("timer_create");
		set_timer(timers[i], TIMER_ABSTIME, start + i * 100 * USEC,
			  intervals[i] * USEC);
	}
	for (; now_ns(CLOCK_MONOTONIC) < end; signals++)
		if (sigwaitinfo(&set, NULL) < 0)
			die("sigwaitinfo");
	for (i = 0; i < PERIODIC; i++)
		timer_delete(timers[i]);
	return signals;
}

static const struct load loads[] = {
	{ "idle", "second", idle, 1 },
	{ "sleep", "sleep", sleep_1ms, 1 },
	{ "request", "request", request, 1 },
	{ "ping-pong", "answer", ping_pong, 1 },
	{ "ping-pong-2", "answer", ping_pong_two, 2 },
	{ "mixed", "sleep", mixed, 1 },
	{ "busy", "second", busy, 1 },
	{ "storm", "request", storm, 1 },
	{ "periodic", "signal", periodic, 1 },
};

/* Waits until the border is on the wire: whoever counts is to see it in time. */
static void border(const char *name, const char *which)
{
	printf("phase: %s %s\n", name, which);
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
}

static long long interrupts(void)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;
	long long sum = 0;

	for (i = 0; i < nr; i++)
		sum += timer_interrupts(cpus[i]);
	return sum;
}

static void mark(void)
{
	if (setdomainname("bench", 5))
		die("setdomainname");
}

static void run_load(const struct load *load, double seconds)
{
	long long start, took, interrupted, done;
	struct pv_stats before, after;
	cpu_set_t all;
	bool pv;
	int i;

	sched_getaffinity(0, sizeof(all), &all);
	border(load->name, "begin");
	pv = read_stats(-1, &before);
	interrupted = interrupts();
	mark();
	start = now_ns(CLOCK_MONOTONIC);
	done = load->run(seconds * SEC);
	took = now_ns(CLOCK_MONOTONIC) - start;
	mark();
	sched_setaffinity(0, sizeof(all), &all);
	interrupted = interrupts() - interrupted;
	read_stats(-1, &after);
	border(load->name, "end");

	printf("report: phase=%s unit=%s done=%lld seconds=%.6f interrupts=%lld", load->name,
	       load->unit, done, (double)took / SEC, interrupted);
	for (i = 0; pv && i < PV_NR_STATS; i++)
		printf(" %s=%lld", pv_stat_names[i], after.v[i] - before.v[i]);
	printf("\n");
}

/* The frequency of the TSC is measured twice, the clock is not steady in between */
static void settle_clock(void)
{
	char name[64];
	int i;

	for (i = 0; i < 50; i++) {
		if (!read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource",
			       name, sizeof(name)) || !strstr(name, "-early"))
			return;
		sleep_until(end_in(100 * MSEC));
	}
}

static const struct load *find_load(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(loads); i++)
		if (!strncmp(loads[i].name, name, len) && !loads[i].name[len])
			return &loads[i];
	return NULL;
}

int main(int argc, char **argv)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;
	const struct load *load;

	block_signal();
	settle_clock();
	report_clock();
	for (i = 1; i < argc; i++) {
		load = find_load(argv[i], strcspn(argv[i], "="));
		if (!load || !strchr(argv[i], '=')) {
			fprintf(stderr, "%s: no load like '%s'\n", argv[0], argv[i]);
			return 2;
		}
		if (load->cpus <= nr)
			run_load(load, atof(strchr(argv[i], '=') + 1));
	}
	return 0;
}
