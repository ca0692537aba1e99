// SPDX-License-Identifier: GPL-2.0
/*
 * What a backend promises, read from the statistics: an interrupt for each
 * deadline that was armed, not before the deadline, and none otherwise.
 *
 * The counters since boot are judged, so that nothing that an earlier test
 * provoked is overlooked. A load of sleeps that are taken back, moved and
 * waited for makes them large enough for a promise broken once in a hundred.
 */
#include <sys/timerfd.h>

#include "../kselftest_harness.h"
#include "common.h"

#define LOAD_TIME	(2 * SEC)

/* Counters are read while the other CPUs go on counting */
#define SLACK		16

struct load_cpu {
	int cpu;
};

static struct pv_stats total, before[MAX_CPUS], after[MAX_CPUS];
static int cpus[MAX_CPUS], nr_cpus;

static void *load_thread(void *arg)
{
	long long end = now_ns(CLOCK_MONOTONIC) + LOAD_TIME, ns = 0;
	struct load_cpu *load = arg;
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

static void load(void)
{
	struct load_cpu threads[MAX_CPUS];
	int i;

	nr_cpus = online_cpus(cpus);
	for (i = 0; i < nr_cpus; i++)
		read_stats(cpus[i], &before[i]);
	on_each_cpu(load_thread, threads, sizeof(*threads));
	for (i = 0; i < nr_cpus; i++)
		read_stats(cpus[i], &after[i]);
	read_stats(-1, &total);
}

FIXTURE(stats)
{
};

FIXTURE_SETUP(stats)
{
	const char *absent = pv_timer_absent();
	struct pv_stats stats;

	if (absent)
		SKIP(return, "%s", absent);
	if (!read_stats(-1, &stats))
		SKIP(return, "no statistics: is debugfs mounted?");
}

FIXTURE_TEARDOWN(stats)
{
}

TEST_F(stats, events_on_every_cpu)
{
	int i;

	for (i = 0; i < nr_cpus; i++)
		EXPECT_GT(after[i].v[PV_EVENTS], before[i].v[PV_EVENTS])
			TH_LOG("backend never fires on CPU %d", cpus[i]);
}

TEST_F(stats, no_deadline_is_lost)
{
	EXPECT_LE(total.v[PV_LOST] * 1000, total.v[PV_EVENTS])
		TH_LOG("backend drops deadlines: %lld lost, %lld events",
		       total.v[PV_LOST], total.v[PV_EVENTS]);
}

TEST_F(stats, no_interrupt_is_early)
{
	EXPECT_LE(total.v[PV_EARLY] * 10, total.v[PV_EVENTS])
		TH_LOG("backend fires early: %lld early, %lld events",
		       total.v[PV_EARLY], total.v[PV_EVENTS]);
}

TEST_F(stats, no_interrupt_is_spurious)
{
	EXPECT_LE(total.v[PV_SPURIOUS] * 10, total.v[PV_EVENTS])
		TH_LOG("backend fires unarmed: %lld spurious, %lld events",
		       total.v[PV_SPURIOUS], total.v[PV_EVENTS]);
}

TEST_F(stats, no_deadline_is_refused)
{
	EXPECT_EQ(0, total.v[PV_REFUSED])
		TH_LOG("hypervisor refuses deadlines: %lld of %lld",
		       total.v[PV_REFUSED], total.v[PV_ARMED]);
}

/* Of a one-shot: a deadline that was armed once interrupts once */
TEST_F(stats, one_interrupt_for_each_deadline)
{
	int i;

	for (i = 0; i < nr_cpus; i++) {
		long long fired = 0, armed;

		armed = after[i].v[PV_ARMED] - before[i].v[PV_ARMED];
		fired += after[i].v[PV_EVENTS] - before[i].v[PV_EVENTS];
		fired += after[i].v[PV_SUPERSEDED] - before[i].v[PV_SUPERSEDED];
		EXPECT_LE(fired, armed + SLACK)
			TH_LOG("backend fires twice: CPU %d, %lld interrupts, %lld deadlines",
			       cpus[i], fired, armed);
	}
}

int main(int argc, char **argv)
{
	if (!pv_timer_absent())
		load();
	return test_harness_run(argc, argv);
}
