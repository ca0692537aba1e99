// SPDX-License-Identifier: GPL-2.0
/*
 * Describes the timer of this guest in lines of "report: key=value ...", for
 * vm/report.py. It is run with pv_timer and with the device that it replaces,
 * and judges nothing.
 *
 * "phase: NAME begin" and "phase: NAME end" tell whoever watches the console
 * from outside when to count what the hypervisor saw.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common.h"

#define SAMPLES		1000
#define LATENCY_TIME	(3 * SEC)

struct phase {
	const char *name;
	long long time;
	void *(*load)(void *arg);
};

struct load_cpu {
	int cpu;
	const struct phase *phase;
	long long sleeps;
};

/* Waits until the border is on the wire: whoever counts is to see it in time. */
static void border(const char *name, const char *which)
{
	printf("phase: %s %s\n", name, which);
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
}

static void *sleeping(void *arg)
{
	struct load_cpu *load = arg;
	long long at = now_ns(CLOCK_MONOTONIC), end = at + load->phase->time;

	pin(load->cpu);
	while (at < end) {
		at = now_ns(CLOCK_MONOTONIC) + MSEC;
		sleep_until(at);
		load->sleeps++;
	}
	return NULL;
}

static void *busy(void *arg)
{
	struct load_cpu *load = arg;

	pin(load->cpu);
	spin(load->phase->time);
	return NULL;
}

static void *idle(void *arg)
{
	struct load_cpu *load = arg;
	struct timespec ts = ns_to_ts(load->phase->time);

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	return NULL;
}

/* -1 if the kernel does not tell */
static long long all_interrupts(void)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;
	long long sum = 0, each;

	for (i = 0; i < nr; i++) {
		each = timer_interrupts(cpus[i]);
		if (each < 0)
			return -1;
		sum += each;
	}
	return sum;
}

/* Returns the timer interrupts per second, -1 if they are not known. */
static long long run_phase(const struct phase *phase)
{
	struct load_cpu loads[MAX_CPUS] = {};
	long long start, took, interrupts, sleeps = 0;
	struct pv_stats before, after;
	bool pv;
	int i;

	for (i = 0; i < MAX_CPUS; i++)
		loads[i].phase = phase;
	border(phase->name, "begin");
	pv = read_stats(-1, &before);
	interrupts = all_interrupts();
	start = now_ns(CLOCK_MONOTONIC);
	on_each_cpu(phase->load, loads, sizeof(*loads));
	took = now_ns(CLOCK_MONOTONIC) - start;
	if (interrupts >= 0)
		interrupts = all_interrupts() - interrupts;
	read_stats(-1, &after);
	border(phase->name, "end");

	printf("report: phase=%s seconds=%.3f", phase->name,
	       (double)took / SEC);
	if (interrupts >= 0)
		printf(" interrupts=%lld", interrupts);
	for (i = 0; i < MAX_CPUS; i++)
		sleeps += loads[i].sleeps;
	if (sleeps)
		printf(" sleeps=%lld", sleeps);
	for (i = 0; pv && i < PV_NR_STATS; i++)
		printf(" %s=%lld", pv_stat_names[i], after.v[i] - before.v[i]);
	printf("\n");
	return interrupts < 0 ? -1 : interrupts * SEC / took;
}

/* Returns how many samples of the wake-up latency were taken. */
static int sample_latency(long long late[SAMPLES])
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;
	char missing[128];
	long long end, at;

	pin(cpus[nr - 1]);
	if (!go_realtime(missing, sizeof(missing)))
		printf("report: latency_note=not_realtime\n");
	end = now_ns(CLOCK_MONOTONIC) + LATENCY_TIME;
	for (i = 0; i < SAMPLES && now_ns(CLOCK_MONOTONIC) < end; i++) {
		at = now_ns(CLOCK_MONOTONIC) + MSEC;
		sleep_until(at);
		late[i] = now_ns(CLOCK_MONOTONIC) - at;
	}
	return i;
}

static void report_latency(void)
{
	int buckets[LATENCY_BUCKETS] = {}, nr, i;
	long long late[SAMPLES];

	border("latency", "begin");
	nr = sample_latency(late);
	border("latency", "end");
	if (!nr)
		return;
	qsort(late, nr, sizeof(*late), compare_ns);
	printf("report: latency=ns samples=%d min=%lld p50=%lld p99=%lld max=%lld\n",
	       nr, late[0], quantile(late, nr, 500), quantile(late, nr, 990), late[nr - 1]);
	for (i = 0; i < nr; i++)
		buckets[latency_bucket(late[i])]++;
	for (i = 0; i < LATENCY_BUCKETS; i++)
		if (buckets[i])
			printf("report: bucket=%d count=%d\n", i, buckets[i]);
}

int main(void)
{
	static const struct phase phases[] = {
		{ "idle", 5 * SEC, idle },
		{ "sleeping", 3 * SEC, sleeping },
		{ "busy", 3 * SEC, busy },
	};
	long long per_second;
	int cpus[MAX_CPUS], nr = online_cpus(cpus);

	report_facts();
	per_second = run_phase(&phases[0]);
	printf("report: tick_stopped=%s\n", per_second < 0 ? "unknown" :
	       per_second < nr * (SEC / tick_ns()) / 4 ? "yes" : "no");
	run_phase(&phases[1]);
	run_phase(&phases[2]);
	report_latency();
	printf("report: end=yes\n");
	return 0;
}
