// SPDX-License-Identifier: GPL-2.0
/*
 * The clock never goes back, on a CPU or between them, is as fast as another one
 * of the machine, and the tick keeps it. That it agrees with the host's over the
 * whole time is for the host to say.
 */
#include <stdatomic.h>
#include <string.h>

#include "../kselftest_harness.h"
#include "common.h"

#define RTC_SECONDS	3

struct race_cpu {
	int cpu;
	long long backward;
	long long reads;
};

static atomic_llong race_last;
static clockid_t race_clock;

/* What another CPU has read before this one reads is never later. */
static void *race_thread(void *arg)
{
	long long end = now_ns(CLOCK_MONOTONIC) + 500 * MSEC, last, now;
	struct race_cpu *race = arg;

	pin(race->cpu);
	race->backward = 0;
	race->reads = 0;
	do {
		last = atomic_load(&race_last);
		now = now_ns(race_clock);
		if (now < last && last - now > race->backward)
			race->backward = last - now;
		while (last < now &&
		       !atomic_compare_exchange_weak(&race_last, &last, now))
			;
	} while (++race->reads % 64 || now_ns(CLOCK_MONOTONIC) < end);
	return NULL;
}

FIXTURE(clock)
{
};

FIXTURE_VARIANT(clock)
{
	clockid_t clock;
};

FIXTURE_VARIANT_ADD(clock, monotonic)
{
	.clock = CLOCK_MONOTONIC,
};

FIXTURE_VARIANT_ADD(clock, monotonic_raw)
{
	.clock = CLOCK_MONOTONIC_RAW,
};

FIXTURE_VARIANT_ADD(clock, boottime)
{
	.clock = CLOCK_BOOTTIME,
};

FIXTURE_SETUP(clock)
{
}

FIXTURE_TEARDOWN(clock)
{
}

TEST_F(clock, never_backward)
{
	struct race_cpu races[MAX_CPUS];
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;

	race_clock = variant->clock;
	ASSERT_TRUE(on_each_cpu(race_thread, races, sizeof(*races)));
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(0, races[i].backward)
			TH_LOG("clock goes back by %lld on CPU %d",
			       races[i].backward, races[i].cpu);
	}
}

/*
 * The RTC of a PC has a clock of its own. Linux calibrates by 500 ppm at least, and
 * NTP steers by as much. An emulated RTC goes on by a timer of its host, which may be late
 * by a jiffy. What is off by 1 % is four times as far away as all that.
 */
TEST(as_fast_as_the_rtc)
{
	struct edge first, last;
	long long seconds, slack;

	if (!has_rtc())
		SKIP(return, "no clock that is independent of the hypervisor's");
	first = rtc_edge();
	spin((RTC_SECONDS - 1) * SEC);
	last = rtc_edge();
	seconds = last.second - first.second;
	ASSERT_GT(seconds, 0)
		TH_LOG("the RTC stands still, or the clock races");
	slack = seconds * SEC / 1000 + tick_ns();
	EXPECT_GE(last.before - first.after, seconds * SEC - slack)
		TH_LOG("clock is slow: at most %lld us in %lld s of the RTC",
		       (last.before - first.after) / USEC, seconds);
	EXPECT_LE(last.after - first.before, seconds * SEC + slack)
		TH_LOG("clock is fast: at least %lld us in %lld s of the RTC",
		       (last.after - first.before) / USEC, seconds);
}

/*
 * The coarse clock is what the tick has written down last. For how long was this
 * CPU busy, without being taken away, while no tick did so?
 */
static long long longest_without_tick(long long ns)
{
	long long now = now_ns(CLOCK_MONOTONIC), end = now + ns, since = now, worst = 0;
	long long coarse, last_coarse = 0, last, gap = tick_ns() / 2;

	while (now < end) {
		last = now;
		coarse = now_ns(CLOCK_MONOTONIC_COARSE);
		now = now_ns(CLOCK_MONOTONIC);
		if (coarse != last_coarse || now - last > gap)
			since = now;
		if (now - since > worst)
			worst = now - since;
		last_coarse = coarse;
	}
	return worst;
}

TEST(tick_keeps_the_time)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;
	long long longest;

	for (i = 0; i < nr; i++) {
		ASSERT_TRUE(pin(cpus[i]));
		longest = longest_without_tick(2 * SEC);
		TH_LOG("CPU %d: %lld us without a tick at most", cpus[i], longest / USEC);
		EXPECT_LT(longest, LOST_AFTER)
			TH_LOG("lost timer: no tick on CPU %d has kept the time for %lld ms",
			       cpus[i], longest / MSEC);
	}
}

TEST_HARNESS_MAIN
