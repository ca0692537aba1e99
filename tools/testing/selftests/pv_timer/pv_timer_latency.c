// SPDX-License-Identifier: GPL-2.0
/*
 * How late do sleeps and periodic timers wake up a thread, and does none do so early?
 *
 * Each way to wait is measured on each CPU alone, then on all at once, while the guest is
 * idle, then beside a thread on each CPU that never sleeps. It needs nothing of pv_timer.
 *
 * What is early is so by the clock of the CPU on which the thread wakes up. The kernel
 * looks at its clock before it wakes up anybody, so an interrupt that comes early is seen
 * as such in the statistics only, and a clock that is too fast by another clock only.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../kselftest.h"
#include "common.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define PERIOD		MSEC

/* No program of Linux needs longer for a start of all its threads */
#define HEADSTART	(100 * MSEC)

/* A clock that NTP steers is off by half of that at most */
#define RTC_PPM		1000

/* An emulated RTC goes on by a timer of its host, which may be busy */
#define RTC_LATE	(100 * MSEC)

/* In a line, of which the harness takes 2000 characters */
#define RAW_SAMPLES	150

#define BAR		10

/*
 * One thread. @next: the CPU that it goes to while its timer runs, if it does. @late: how
 * late it woke up each time. @early: how often before its deadline, by @worst at most.
 * @missed: periods that had passed when it woke up for another, or before it could wait
 */
struct sampler {
	int cpu, next;
	void (*wait)(struct sampler *sampler);
	long long start, end, worst, interrupts, stolen;
	long long *late;
	int nr, size, early, missed;
	bool failed;
};

struct kind {
	const char *name;
	void (*wait)(struct sampler *sampler);
	int cpus;
};

enum load { IDLE, BUSY, NR_LOADS };
enum where { ALONE, TOGETHER, NR_WHERES };

static const char * const load_names[] = { [IDLE] = "idle", [BUSY] = "busy" };
static const char * const where_names[] = { [ALONE] = "alone", [TOGETHER] = "at-once" };

/* What the arguments ask for */
static struct settings settings = {
	.seconds = 1,
	.most = 3600,
	.knows_emulated = true,
	.help =
		"Usage: %s [--seconds N] [--raw] [--emulated]\n"
		"Measure how late sleeps and periodic timers of 1 ms wake up a thread.\n\n"
		"  --seconds N  how long each way to wait is measured on each CPU, 1 if not given\n"
		"  --raw        print each sample as well, in lines for vm/latency.py\n"
		"  --emulated   in real time: late wake-ups and early interrupts are shown\n"
		"               and not judged\n\n"
		"nanosleep  clock_nanosleep() to an absolute time\n"
		"timerfd    a periodic timerfd\n"
		"timer      a periodic POSIX timer, its signal goes to the thread\n"
		"moved      a timerfd that was set on the CPU before the one that waits\n\n"
		"Exit status: 0 all is in time, 1 something is early, lost, or when idle late as\n"
		"by a periodic tick, which 'not ok' lines name; 2 the arguments are wrong.\n",
};

static bool failures;

static void __printf(1, 2) not_ok(const char *fmt, ...)
{
	va_list ap;

	failures = true;
	printf("not ok: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

/* It has woken up, for what was due at @first and all that was until @last */
static void record(struct sampler *sampler, long long first, long long last)
{
	long long now = now_ns(CLOCK_MONOTONIC);

	if (now < last) {
		sampler->early++;
		if (last - now > sampler->worst)
			sampler->worst = last - now;
	}
	if (sampler->nr < sampler->size)
		sampler->late[sampler->nr++] = now - first;
}

static void wait_nanosleep(struct sampler *sampler)
{
	long long due;

	for (due = sampler->start; due < sampler->end; due += PERIOD) {
		sleep_until(due);
		record(sampler, due, due);
		for (; due + PERIOD < now_ns(CLOCK_MONOTONIC); due += PERIOD)
			sampler->missed++;
	}
}

/* @ticks more periods of a timer are over. Return: when the next one is */
static long long periods(struct sampler *sampler, long long due, long long ticks)
{
	record(sampler, due, due + (ticks - 1) * PERIOD);
	sampler->missed += ticks - 1;
	return due + ticks * PERIOD;
}

static void wait_timerfd(struct sampler *sampler)
{
	struct itimerspec it = {
		.it_value = ns_to_ts(sampler->start), .it_interval = ns_to_ts(PERIOD),
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	long long due = sampler->start;
	unsigned long long ticks = 1;

	sampler->failed = timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL);
	while (!sampler->failed && due < sampler->end) {
		sampler->failed = read(fd, &ticks, sizeof(ticks)) != sizeof(ticks);
		due = periods(sampler, due, ticks);
	}
	close(fd);
}

static sigset_t timer_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	return set;
}

/* Whoever wants it waits for it */
static void block_timer_signal(void)
{
	sigset_t set = timer_signal();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void wait_timer(struct sampler *sampler)
{
	struct itimerspec it = {
		.it_value = ns_to_ts(sampler->start), .it_interval = ns_to_ts(PERIOD),
	};
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN,
	};
	long long due = sampler->start;
	siginfo_t info = { };
	timer_t timer;
	sigset_t set = timer_signal();

	ev.sigev_notify_thread_id = syscall(SYS_gettid);
	sampler->failed = timer_create(CLOCK_MONOTONIC, &ev, &timer);
	if (sampler->failed)
		return;
	sampler->failed = timer_settime(timer, TIMER_ABSTIME, &it, NULL);
	while (!sampler->failed && due < sampler->end) {
		sampler->failed = sigwaitinfo(&set, &info) != SIGRTMIN;
		due = periods(sampler, due, 1 + info.si_overrun);
	}
	timer_delete(timer);
}

/*
 * Waits on another CPU than that of the timer: what is over by the clock of that one is
 * over by the clock of this one as well. It has to get there before: if it does not, the
 * next time is twice as far away.
 */
static void wait_moved(struct sampler *sampler)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	long long due, ahead = 2 * PERIOD;
	unsigned long long ticks;
	struct itimerspec it = { };

	sleep_until(sampler->start);
	while (!sampler->failed && now_ns(CLOCK_MONOTONIC) < sampler->end) {
		due = now_ns(CLOCK_MONOTONIC) + ahead;
		it.it_value = ns_to_ts(due);
		sampler->failed = timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL) ||
				  !pin(sampler->next);
		if (now_ns(CLOCK_MONOTONIC) >= due) {
			sampler->missed++;
			ahead *= 2;
		} else {
			sampler->failed |= read(fd, &ticks, sizeof(ticks)) != sizeof(ticks);
			record(sampler, due, due);
		}
		sampler->failed |= !pin(sampler->cpu);
	}
	close(fd);
}

static const struct kind kinds[] = {
	{ "nanosleep", wait_nanosleep, 1 },
	{ "timerfd", wait_timerfd, 1 },
	{ "timer", wait_timer, 1 },
	{ "moved", wait_moved, 2 },
};

#define NR_KINDS	ARRAY_SIZE(kinds)

static struct sampler samplers[NR_LOADS][NR_KINDS][NR_WHERES][MAX_CPUS];

static void *sampler_thread(void *arg)
{
	struct sampler *sampler = arg;

	sampler->failed = !pin(sampler->cpu);
	if (!sampler->failed)
		sampler->wait(sampler);
	return NULL;
}

struct busy {
	int cpu;
	pthread_t thread;
};

static atomic_bool busy_end;

/* Whoever wants the CPU goes before it */
static void *busy_thread(void *arg)
{
	struct sched_param param = { };
	struct busy *busy = arg;

	sched_setscheduler(0, SCHED_OTHER, &param);
	pin(busy->cpu);
	while (!atomic_load(&busy_end))
		spin(PERIOD);
	return NULL;
}

static void start_busy(struct busy *busy, const int *cpus, int nr)
{
	int i;

	atomic_store(&busy_end, false);
	for (i = 0; i < nr; i++) {
		busy[i].cpu = cpus[i];
		if (pthread_create(&busy[i].thread, NULL, busy_thread, &busy[i]))
			ksft_exit_fail_msg("pthread_create: %s\n", strerror(errno));
	}
}

static void end_busy(struct busy *busy, int nr)
{
	int i;

	atomic_store(&busy_end, true);
	for (i = 0; i < nr; i++)
		pthread_join(busy[i].thread, NULL);
}

/* On those of @cpus from @first on, which are @nr of @all */
static void measure(const struct kind *kind, struct sampler *these, const int *cpus,
		    int first, int nr, int all, long long ns)
{
	long long start = now_ns(CLOCK_MONOTONIC) + HEADSTART;
	int i;

	for (i = first; i < first + nr; i++) {
		these[i] = (struct sampler) {
			.next = cpus[(i + 1) % all], .wait = kind->wait,
			.start = start, .end = start + ns, .size = ns / PERIOD + 1,
			.interrupts = timer_interrupts(cpus[i]),
			.stolen = stolen_ns(cpus[i]),
		};
		these[i].late = calloc(these[i].size, sizeof(*these[i].late));
		if (!these[i].late)
			ksft_exit_fail_msg("no memory for %d samples\n", these[i].size);
	}
	if (!on_cpus(cpus + first, nr, sampler_thread, these + first, sizeof(*these)))
		ksft_exit_fail_msg("pthread_create: %s\n", strerror(errno));
	for (i = first; i < first + nr; i++) {
		these[i].interrupts = timer_interrupts(cpus[i]) - these[i].interrupts;
		these[i].stolen = stolen_ns(cpus[i]) - these[i].stolen;
	}
}

static void measure_load(enum load load, const int *cpus, int nr, long long ns)
{
	struct busy busy[MAX_CPUS];
	size_t kind;
	int i;

	if (load == BUSY)
		start_busy(busy, cpus, nr);
	for (kind = 0; kind < NR_KINDS; kind++) {
		if (kinds[kind].cpus > nr)
			continue;
		for (i = 0; i < nr; i++)
			measure(&kinds[kind], samplers[load][kind][ALONE], cpus, i, 1, nr, ns);
		measure(&kinds[kind], samplers[load][kind][TOGETHER], cpus, 0, nr, nr, ns);
	}
	if (load == BUSY)
		end_busy(busy, nr);
}

/* The samples of all CPUs, in order. Return: how many there are */
static int merge(const struct sampler *these, int nr, long long **late)
{
	int i, sum = 0;

	for (i = 0; i < nr; i++)
		sum += these[i].nr;
	*late = calloc(sum + 1, sizeof(**late));
	if (!*late)
		ksft_exit_fail_msg("no memory for %d samples\n", sum);
	for (i = sum = 0; i < nr; sum += these[i++].nr)
		memcpy(*late + sum, these[i].late, these[i].nr * sizeof(**late));
	qsort(*late, sum, sizeof(**late), compare_ns);
	return sum;
}

/* A thread that was woken up early is named */
static void judge_threads(const struct sampler *these, int nr, const char *what)
{
	int i;

	for (i = 0; i < nr; i++) {
		if (these[i].failed)
			not_ok("%s: CPU %d cannot wait", what, these[i].cpu);
		if (these[i].early)
			not_ok("%s: CPU %d is early, %d of %d times, by %lld ns at most", what,
			       these[i].cpu, these[i].early, these[i].nr, these[i].worst);
	}
}

/* A CPU that its host has taken away looks like a timer that is late */
static void judge_lateness(const long long *late, int nr, const char *what)
{
	if (late[nr - 1] >= LOST_AFTER)
		not_ok("%s: lost, one is late by %lld ms", what, late[nr - 1] / MSEC);
	if (quantile(late, nr, 500) >= lateness_limit())
		not_ok("%s: late, half of the time by %lld us, the limit is %lld us", what,
		       quantile(late, nr, 500) / USEC, lateness_limit() / USEC);
}

static void print_row(enum load load, size_t kind, enum where where, int nr, bool judged,
		      int buckets[LATENCY_BUCKETS])
{
	static const int shown[] = { 500, 900, 990, 999 };
	const struct sampler *these = samplers[load][kind][where];
	char what[64];
	long long *late;
	int sum, i;

	snprintf(what, sizeof(what), "%s %s %s", kinds[kind].name, where_names[where],
		 load_names[load]);
	judge_threads(these, nr, what);
	sum = merge(these, nr, &late);
	if (!sum) {
		not_ok("%s: there was no wake-up", what);
		free(late);
		return;
	}
	printf("%-10s%-8s%-5s%8d%11lld", kinds[kind].name, where_names[where],
	       load_names[load], sum, late[0]);
	for (i = 0; i < (int)ARRAY_SIZE(shown); i++)
		printf("%11lld", quantile(late, sum, shown[i]));
	printf("%11lld\n", late[sum - 1]);
	for (i = 0; i < sum; i++)
		buckets[latency_bucket(late[i])]++;
	if (judged && load == IDLE)
		judge_lateness(late, sum, what);
	free(late);
}

static int most_of(int buckets[NR_KINDS][LATENCY_BUCKETS], int bucket)
{
	int most = 0;
	size_t kind;

	for (kind = 0; kind < NR_KINDS; kind++)
		if (buckets[kind][bucket] > most)
			most = buckets[kind][bucket];
	return most;
}

/* Each kind is a column, each row is twice as late as the one above */
static void print_histogram(int buckets[NR_KINDS][LATENCY_BUCKETS])
{
	int first = LATENCY_BUCKETS, last = 0, most = 1, i, len;
	size_t kind;

	for (i = 0; i < LATENCY_BUCKETS; i++) {
		if (!most_of(buckets, i))
			continue;
		first = i < first ? i : first;
		last = i;
		most = most_of(buckets, i) > most ? most_of(buckets, i) : most;
	}
	printf("\n%11s", "from us");
	for (kind = 0; kind < NR_KINDS; kind++)
		printf("  %-*s", 7 + BAR, kinds[kind].name);
	printf("\n");
	for (i = first; i <= last; i++) {
		printf("%11.3f", i ? (1LL << i) / 1000.0 : 0);
		for (kind = 0; kind < NR_KINDS; kind++) {
			len = (buckets[kind][i] * (long long)BAR + most - 1) / most;
			printf("  %6d %-*.*s", buckets[kind][i], BAR, len, "##########");
		}
		printf("\n");
	}
}

static void print_raw(const struct sampler *sampler, const char *kind, enum where where,
		      enum load load)
{
	int i;

	printf("report: kind=%s where=%s load=%s cpu=%d", kind, where_names[where],
	       load_names[load], sampler->cpu);
	printf(" early=%d missed=%d interrupts=%lld stolen=%lld", sampler->early,
	       sampler->missed, sampler->interrupts, sampler->stolen);
	for (i = 0; i < sampler->nr; i++)
		printf("%s%lld", i % RAW_SAMPLES ? "," : "\nreport: samples=",
		       sampler->late[i]);
	printf("\n");
}

static void print_all(int nr, bool judged)
{
	static int buckets[NR_KINDS][LATENCY_BUCKETS];
	size_t kind;
	int i, load, where;

	printf("\n%-10s%-8s%-5s%8s%11s%11s%11s%11s%11s%11s\n", "ns late", "CPUs", "load",
	       "samples", "min", "p50", "p90", "p99", "p99.9", "max");
	for (kind = 0; kind < NR_KINDS; kind++)
		for (where = 0; where < NR_WHERES && kinds[kind].cpus <= nr; where++)
			for (load = 0; load < NR_LOADS; load++)
				print_row(load, kind, where, nr, judged, buckets[kind]);
	print_histogram(buckets);
	for (kind = 0; settings.raw && kind < NR_KINDS; kind++)
		for (where = 0; where < NR_WHERES && kinds[kind].cpus <= nr; where++)
			for (load = 0; load < NR_LOADS; load++)
				for (i = 0; i < nr; i++)
					print_raw(&samplers[load][kind][where][i],
						  kinds[kind].name, where, load);
}

/* The kernel looks at its clock after each interrupt: it wakes up nobody for an early one */
static void judge_interrupts(const struct pv_stats *before, const struct pv_stats *after)
{
	long long early = after->v[PV_EARLY] - before->v[PV_EARLY];
	long long events = after->v[PV_EVENTS] - before->v[PV_EVENTS];

	printf("interrupts: %lld early, %lld for a deadline\n", early, events);
	if (early * 1000 > events * EARLY_PERMILLE && !too_slow() && !settings.emulated)
		not_ok("interrupts: early, %lld beside %lld for a deadline", early, events);
}

/* All that is due by a clock that is fast is early by any other */
static void judge_clock(const struct edge *first, const struct edge *last)
{
	long long seconds = last->second - first->second;
	long long least = last->before - first->after - seconds * SEC;
	long long most = last->after - first->before - seconds * SEC;
	long long slack = seconds * RTC_PPM * USEC + (settings.emulated ? RTC_LATE : 0);

	if (seconds <= 0) {
		not_ok("clock: the RTC stands still");
		return;
	}
	printf("clock: in %lld s of the RTC it gains from %lld to %lld us\n", seconds,
	       most / USEC, least / USEC);
	if (most > slack)
		not_ok("clock: fast, so all are early by %lld ppm as the RTC sees it",
		       most / seconds / USEC);
	if (least < -slack)
		not_ok("clock: slow, so all are late by %lld ppm as the RTC sees it",
		       -least / seconds / USEC);
}

int main(int argc, char **argv)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus);
	struct edge first = { }, last = { };
	struct pv_stats before, after;
	bool realtime, pv;
	char missing[256];

	parse_settings(&settings, argc, argv);
	report_facts();
	printf("takes %d s\n", (int)(NR_LOADS * NR_KINDS * (nr + 1)) * settings.seconds + 3);
	fflush(stdout);
	block_timer_signal();
	realtime = go_realtime(missing, sizeof(missing));
	if (!realtime)
		printf("could not get:%s\n", missing);
	if (has_rtc())
		first = rtc_edge();
	pv = read_stats(-1, &before);
	measure_load(IDLE, cpus, nr, settings.seconds * SEC);
	measure_load(BUSY, cpus, nr, settings.seconds * SEC);
	read_stats(-1, &after);
	if (has_rtc())
		last = rtc_edge();
	print_all(nr, realtime && !settings.emulated);
	printf("\n");
	if (has_rtc())
		judge_clock(&first, &last);
	if (pv && !pv_timer_absent())
		judge_interrupts(&before, &after);
	printf("latency: %s\n", failures ? "FAIL" : "pass");
	return failures;
}
