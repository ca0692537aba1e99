// SPDX-License-Identifier: GPL-2.0
/*
 * What a backend promises, read from the statistics: it takes each deadline, and
 * interrupts once, not before it, and not otherwise.
 *
 * The counters since boot are judged, so that nothing that an earlier test
 * provoked is overlooked. A load of sleeps that are taken back, moved and
 * waited for makes them large enough for a promise broken once in a hundred.
 */
#include <sys/timerfd.h>

#include "../kselftest_harness.h"
#include "common.h"

#define LOAD_TIME	(2 * SEC)

/* Each costs as much as an early one */
#define SPURIOUS_PERMILLE	EARLY_PERMILLE

/*
 * A loss is a false one if the hypervisor stole the time between two looks: once in a
 * thousand events, which is a tenth of what a broken backend of ours loses. In a time of
 * its own nothing is stolen.
 */
static int lost_permille(void)
{
	return boot_mode() == MODE_FAR ? 0 : 1;
}

struct load_cpu {
	int cpu;
};

static struct pv_stats total;

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

	on_each_cpu(load_thread, threads, sizeof(*threads));
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

TEST_F(stats, no_deadline_is_lost)
{
	EXPECT_LE(total.v[PV_LOST] * 1000, total.v[PV_EVENTS] * lost_permille())
		TH_LOG("backend drops deadlines: %lld lost, %lld events",
		       total.v[PV_LOST], total.v[PV_EVENTS]);
}

TEST_F(stats, no_interrupt_is_early)
{
	if (too_slow())
		SKIP(return, "%s", too_slow());
	TH_LOG("%lld early, %lld events", total.v[PV_EARLY], total.v[PV_EVENTS]);
	EXPECT_LE(total.v[PV_EARLY] * 1000, total.v[PV_EVENTS] * EARLY_PERMILLE)
		TH_LOG("backend fires early: %lld early, %lld events",
		       total.v[PV_EARLY], total.v[PV_EVENTS]);
}

TEST_F(stats, no_interrupt_is_spurious)
{
	if (too_slow())
		SKIP(return, "%s", too_slow());
	TH_LOG("%lld spurious, %lld events", total.v[PV_SPURIOUS], total.v[PV_EVENTS]);
	EXPECT_LE(total.v[PV_SPURIOUS] * 1000, total.v[PV_EVENTS] * SPURIOUS_PERMILLE)
		TH_LOG("backend fires unarmed: %lld spurious, %lld events",
		       total.v[PV_SPURIOUS], total.v[PV_EVENTS]);
}

TEST_F(stats, no_deadline_is_refused)
{
	EXPECT_EQ(0, total.v[PV_REFUSED])
		TH_LOG("hypervisor refuses deadlines: %lld of %lld",
		       total.v[PV_REFUSED], total.v[PV_ARMED]);
}

int main(int argc, char **argv)
{
	if (!pv_timer_absent())
		load();
	return test_harness_run(argc, argv);
}
