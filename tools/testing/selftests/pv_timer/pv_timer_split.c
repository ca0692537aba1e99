// SPDX-License-Identifier: GPL-2.0
/*
 * Where does the time of a late wake-up go?
 *
 * A thread on each CPU sleeps until one deadline after the other, while the kernel traces
 * when a timer interrupt has found the timer expired, and when it has woken up the thread:
 *
 *   delivery	from the deadline to the clock that the interrupt has read
 *   interrupt	from there to the wake-up
 *   thread	from the wake-up to user space
 *
 * The events are those of hrtimers and of the scheduler, so any clock event device can be
 * looked at. The trace of the latest wake-up is printed. It needs nothing of pv_timer.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../kselftest.h"
#include "common.h"

#define TRACING		"/sys/kernel/tracing/"
#define EVENTS		TRACING "events/"
#define PERIOD		MSEC
#define HEADSTART	(100 * MSEC)

/* What is printed before the deadline of the latest wake-up */
#define BEFORE		(2 * MSEC)

/* In a line, of which the harness takes 2000 characters */
#define RAW_SAMPLES	40

enum part { DELIVERY, INTERRUPT, THREAD, NR_PARTS };

static const char * const part_names[] = {
	[DELIVERY] = "delivery", [INTERRUPT] = "interrupt", [THREAD] = "thread",
};

/* All by the monotonic clock; 0 where the trace does not have it */
struct wakeup {
	long long due, expired, waking, woken;
};

struct sleeper {
	int cpu, nr, matched;
	pid_t tid;
	long long start, end;
	struct wakeup *wakeups;
};

static const char * const events[] = {
	"timer/hrtimer_expire_entry", "sched/sched_waking", "sched/sched_switch",
	"pv_timer/pv_timer_arm", "pv_timer/pv_timer_interrupt",
};

static struct sleeper sleepers[MAX_CPUS];
static struct settings settings = {
	.seconds = 1,
	.most = 60,
	.help =
		"Usage: %s [--seconds N] [--raw]\n"
		"Show where the time of late wake-ups goes, by the kernel's trace events.\n\n"
		"  --seconds N  how long a thread on each CPU sleeps again and again, 1 if not\n"
		"               given\n"
		"  --raw        print each sample as well, in lines for vm/latency.py\n\n"
		"delivery   from the deadline to the clock that the timer interrupt has read\n"
		"interrupt  from there to the wake-up\n"
		"thread     from the wake-up to user space\n\n"
		"Exit status: 0; 1 there is no trace; 2 the arguments are wrong.\n",
};

/* Those of pv_timer are there if it is */
static bool trace(const char *on)
{
	char path[128];
	bool done = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(path, sizeof(path), EVENTS "%s/enable", events[i]);
		done &= write_text(path, on) || i > 1;
	}
	return done;
}

static bool prepare_trace(void)
{
	if (access(TRACING "trace", F_OK) && mount("tracefs", TRACING, "tracefs", 0, NULL))
		return false;
	return write_text(TRACING "trace_clock", "mono") &&
	       write_text(TRACING "buffer_size_kb", "8192");
}

static void *sleeper_thread(void *arg)
{
	struct sleeper *sleeper = arg;
	long long due, now;

	sleeper->tid = syscall(SYS_gettid);
	if (!pin(sleeper->cpu))
		return NULL;
	for (due = sleeper->start; due < sleeper->end; due += PERIOD) {
		sleep_until(due);
		now = now_ns(CLOCK_MONOTONIC);
		sleeper->wakeups[sleeper->nr++] = (struct wakeup) {
			.due = due, .woken = now,
		};
		while (due + PERIOD < now_ns(CLOCK_MONOTONIC))
			due += PERIOD;
	}
	return NULL;
}

/* "task-pid [cpu] flags seconds.us: event: ..." Return: "event: ...", NULL for other lines */
static const char *parse_line(const char *line, int *cpu, long long *at)
{
	const char *bracket = strstr(line, " [");
	long long sec, us;
	int start = 0;

	if (*line == '#' || !bracket ||
	    sscanf(bracket, " [%d] %*s %lld.%lld: %n", cpu, &sec, &us, &start) != 3 ||
	    !start || *cpu < 0 || *cpu >= MAX_CPUS)
		return NULL;
	*at = sec * SEC + us * USEC;
	return bracket + start;
}

static long long field(const char *event, const char *name)
{
	const char *at = strstr(event, name);

	return at ? atoll(at + strlen(name)) : -1;
}

/* The wake-up of a thread is of its next sleep that is due. Times of the log are in us */
static void match(struct sleeper *sleeper, long long expired, long long waking)
{
	struct wakeup *wakeup;

	for (; sleeper->matched < sleeper->nr; sleeper->matched++) {
		wakeup = &sleeper->wakeups[sleeper->matched];
		if (waking + USEC < wakeup->due)
			return;
		if (waking <= wakeup->woken && expired >= wakeup->due) {
			wakeup->expired = expired;
			wakeup->waking = waking < expired ? expired : waking;
			sleeper->matched++;
			return;
		}
	}
}

static void read_trace(int nr)
{
	static long long expired[MAX_CPUS];
	FILE *file = fopen(TRACING "trace", "r");
	const char *event;
	char line[512];
	long long at;
	int cpu, i;

	while (file && fgets(line, sizeof(line), file)) {
		event = parse_line(line, &cpu, &at);
		if (!event)
			continue;
		if (!strncmp(event, "hrtimer_expire_entry:", 21))
			expired[cpu] = field(event, " now=");
		if (strncmp(event, "sched_waking:", 13))
			continue;
		for (i = 0; i < nr; i++)
			if (sleepers[i].tid == field(event, " pid="))
				match(&sleepers[i], expired[cpu], at);
	}
	if (file)
		fclose(file);
}

static long long part_of(const struct wakeup *wakeup, enum part part)
{
	if (part == DELIVERY)
		return wakeup->expired - wakeup->due;
	if (part == INTERRUPT)
		return wakeup->waking - wakeup->expired;
	return wakeup->woken - wakeup->waking;
}

/* Return: how many were found in the trace */
static int collect(int nr, enum part part, long long *values)
{
	int i, k, sum = 0;

	for (i = 0; i < nr; i++)
		for (k = 0; k < sleepers[i].nr; k++)
			if (sleepers[i].wakeups[k].expired)
				values[sum++] = part_of(&sleepers[i].wakeups[k], part);
	qsort(values, sum, sizeof(*values), compare_ns);
	return sum;
}

static const struct wakeup *latest(int nr, int *cpu)
{
	const struct wakeup *wakeup, *found = NULL;
	int i, k;

	for (i = 0; i < nr; i++) {
		for (k = 0; k < sleepers[i].nr; k++) {
			wakeup = &sleepers[i].wakeups[k];
			if (!wakeup->expired ||
			    (found && wakeup->woken - wakeup->due <= found->woken - found->due))
				continue;
			found = wakeup;
			*cpu = sleepers[i].cpu;
		}
	}
	return found;
}

/* The lines of all CPUs, as what another one did may be why */
static void print_trace(const struct wakeup *wakeup)
{
	FILE *file = fopen(TRACING "trace", "r");
	char line[512];
	long long at;
	int cpu;

	while (file && fgets(line, sizeof(line), file))
		if (parse_line(line, &cpu, &at) && at >= wakeup->due - BEFORE &&
		    at <= wakeup->woken)
			printf("trace: %s", line);
	if (file)
		fclose(file);
}

static void print_latest(int nr)
{
	int cpu = 0, part;
	const struct wakeup *wakeup = latest(nr, &cpu);

	if (!wakeup)
		return;
	printf("latest, CPU %d: due at %lld.%06lld s, late by %lld us:", cpu,
	       wakeup->due / SEC, wakeup->due % SEC / USEC,
	       (wakeup->woken - wakeup->due) / USEC);
	for (part = 0; part < NR_PARTS; part++)
		printf(" %s %lld", part_names[part],
		       part_of(wakeup, (enum part)part) / USEC);
	printf("\n");
	print_trace(wakeup);
}

static void print_raw(const struct sleeper *sleeper)
{
	const struct wakeup *wakeup;
	int k, nr = 0;

	printf("report: split=idle cpu=%d", sleeper->cpu);
	for (k = 0; k < sleeper->nr; k++) {
		wakeup = &sleeper->wakeups[k];
		if (!wakeup->expired)
			continue;
		printf("%s%lld:%lld:%lld", nr++ % RAW_SAMPLES ? "," : "\nreport: parts=",
		       part_of(wakeup, DELIVERY), part_of(wakeup, INTERRUPT),
		       part_of(wakeup, THREAD));
	}
	printf("\n");
}

/* Return: was any wake-up found in the trace? */
static bool print_split(int nr)
{
	long long *values;
	int i, part, all = 0, sum = 0;

	for (i = 0; i < nr; i++)
		all += sleepers[i].nr;
	values = calloc(all + 1, sizeof(*values));
	if (!values)
		ksft_exit_fail_msg("no memory for %d samples\n", all);
	for (part = 0; part < NR_PARTS; part++) {
		sum = collect(nr, (enum part)part, values);
		if (!sum)
			break;
		printf("%-10s%8d%11lld%11lld%11lld%11lld\n", part_names[part], sum, values[0],
		       quantile(values, sum, 500), quantile(values, sum, 990),
		       values[sum - 1]);
	}
	free(values);
	if (sum < all)
		printf("%d of %d wake-ups are not in the trace\n", all - sum, all);
	print_latest(nr);
	for (i = 0; settings.raw && i < nr; i++)
		print_raw(&sleepers[i]);
	return sum;
}

static void run_sleepers(const int *cpus, int nr)
{
	long long start;
	int i;

	/* The kernel takes some time until it traces */
	write_text(TRACING "trace", "");
	if (!trace("1"))
		ksft_exit_fail_msg("cannot trace: no " EVENTS "%s\n", events[0]);
	start = now_ns(CLOCK_MONOTONIC) + HEADSTART;
	for (i = 0; i < nr; i++) {
		sleepers[i] = (struct sleeper) {
			.start = start, .end = start + settings.seconds * SEC,
			.wakeups = calloc(settings.seconds * SEC / PERIOD + 1,
					  sizeof(struct wakeup)),
		};
		if (!sleepers[i].wakeups)
			ksft_exit_fail_msg("no memory for the samples\n");
	}
	if (!on_cpus(cpus, nr, sleeper_thread, sleepers, sizeof(*sleepers)))
		ksft_exit_fail_msg("pthread_create: %s\n", strerror(errno));
	trace("0");
	read_trace(nr);
}

int main(int argc, char **argv)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus);
	char missing[256];
	bool found;

	parse_settings(&settings, argc, argv);
	if (!prepare_trace())
		ksft_exit_fail_msg("cannot trace: no " TRACING "\n");
	if (!go_realtime(missing, sizeof(missing)))
		printf("could not get:%s\n", missing);
	printf("\n%-10s%8s%11s%11s%11s%11s\n", "ns late", "samples", "min", "p50", "p99",
	       "max");
	run_sleepers(cpus, nr);
	found = print_split(nr);
	printf("split: %s\n", found ? "pass" : "FAIL");
	return !found;
}
