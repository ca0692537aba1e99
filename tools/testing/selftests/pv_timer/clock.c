// SPDX-License-Identifier: GPL-2.0
/*
 * The clocks of the guest agree with each other, on all CPUs and between them.
 * That they agree with the host's clock is for the host to say.
 */
#include <limits.h>
#include <stdatomic.h>

#include "../kselftest_harness.h"
#include "common.h"

#ifdef __x86_64__
#include <x86intrin.h>
#endif

/* Stands for the time stamp counter where a clockid_t is expected */
#define CLOCK_TSC	((clockid_t)-1000)

#define READINGS	16

struct race_cpu {
	int cpu;
	long long backward;
	long long reads;
};

static atomic_llong race_last;
static clockid_t race_clock;

static long long read_clock(clockid_t clock)
{
	if (clock != CLOCK_TSC)
		return now_ns(clock);
#ifdef __x86_64__
	_mm_lfence();
	return __rdtsc();
#else
	return -1;
#endif
}

static bool tsc_is_constant(void)
{
	bool constant = false;
#ifdef __x86_64__
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[8192];

	while (file && !constant && fgets(line, sizeof(line), file))
		constant = !strncmp(line, "flags", 5) &&
			   strstr(line, " constant_tsc");
	if (file)
		fclose(file);
#endif
	return constant;
}

/* What another CPU has read before this one reads is never later. */
static void *race_thread(void *arg)
{
	long long end = now_ns(CLOCK_MONOTONIC) + 500 * MSEC, last, now;
	struct race_cpu *race = arg;

	pin(race->cpu);
	race->backward = 0;
	for (race->reads = 0; race->reads % 64 ||
	     now_ns(CLOCK_MONOTONIC) < end; race->reads++) {
		last = atomic_load(&race_last);
		now = read_clock(race_clock);
		if (now < last && last - now > race->backward)
			race->backward = last - now;
		while (last < now &&
		       !atomic_compare_exchange_weak(&race_last, &last, now))
			;
	}
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

FIXTURE_VARIANT_ADD(clock, tsc)
{
	.clock = CLOCK_TSC,
};

FIXTURE_SETUP(clock)
{
	if (variant->clock == CLOCK_TSC && !tsc_is_constant())
		SKIP(return, "no constant time stamp counter");
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
		EXPECT_GT(races[i].reads, 100);
		EXPECT_EQ(0, races[i].backward)
			TH_LOG("clock goes back by %lld on CPU %d",
			       races[i].backward, races[i].cpu);
	}
}

struct reading {
	long long raw;
	long long clock;
};

/*
 * Both clocks at the same time: of some readings, the one that took least, as a
 * reader that is preempted in between would take that for a step of the clock.
 */
static struct reading read_both(clockid_t clock)
{
	long long before, value, took, least = LLONG_MAX;
	struct reading best = {};
	int i;

	for (i = 0; i < READINGS; i++) {
		before = now_ns(CLOCK_MONOTONIC_RAW);
		value = read_clock(clock);
		took = now_ns(CLOCK_MONOTONIC_RAW) - before;
		if (took < least) {
			least = took;
			best.raw = before + took / 2;
			best.clock = value;
		}
	}
	return best;
}

/* How much @clock advances while CLOCK_MONOTONIC_RAW does so by 1000. */
static double rate(clockid_t clock, bool idle)
{
	struct timespec wait = ns_to_ts(700 * MSEC);
	struct reading start = read_both(clock), end;

	if (idle)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
	else
		spin(700 * MSEC);
	end = read_both(clock);
	return (end.clock - start.clock) * 1000.0 / (end.raw - start.raw);
}

static void expect_one_percent(struct __test_metadata *_metadata, double a,
			       double b, const char *what)
{
	EXPECT_LT(a, b * 1.01)
		TH_LOG("clock steps: %s, %f and %f", what, a, b);
	EXPECT_GT(a, b * 0.99)
		TH_LOG("clock steps: %s, %f and %f", what, a, b);
}

TEST(monotonic_and_raw_agree)
{
	expect_one_percent(_metadata, rate(CLOCK_MONOTONIC, true), 1000, "idle");
	expect_one_percent(_metadata, rate(CLOCK_MONOTONIC, false), 1000,
			   "busy");
}

/* Its frequency is not known here, that it does not change is. */
TEST(raw_and_tsc_agree)
{
	if (!tsc_is_constant())
		SKIP(return, "no constant time stamp counter");
	expect_one_percent(_metadata, rate(CLOCK_TSC, true),
			   rate(CLOCK_TSC, false), "idle against busy");
}

/* The coarse clock is what the tick has written down last. */
TEST(tick_keeps_the_time)
{
	long long coarse, fine, limit = 3 * tick_ns() + 200 * MSEC;
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;

	for (i = 0; i < nr; i++) {
		ASSERT_TRUE(pin(cpus[i]));
		spin(300 * MSEC);
		fine = now_ns(CLOCK_MONOTONIC);
		coarse = now_ns(CLOCK_MONOTONIC_COARSE);
		EXPECT_LT(fine - coarse, limit)
			TH_LOG("no tick on CPU %d has kept the time for %lld ms",
			       cpus[i], (fine - coarse) / MSEC);
	}
}

TEST_HARNESS_MAIN
