// SPDX-License-Identifier: GPL-2.0
/*
 * The tick runs on a busy CPU and stops on an idle one, unless it was told not
 * to on the kernel command line.
 */
#include "../kselftest_harness.h"
#include "common.h"

struct tick_cpu {
	int cpu;
	long long interrupts;
	long long idle;
	long long stolen;
	struct pv_stats stats;
};

/* There is more time for the default mode than for the others */
static long long period_ns(void)
{
	return boot_mode() == MODE_DEFAULT ? 2 * SEC : SEC;
}

static int snapshot(struct tick_cpu *cpus)
{
	int nr, i, list[MAX_CPUS];

	nr = online_cpus(list);
	for (i = 0; i < nr; i++) {
		cpus[i].cpu = list[i];
		read_stats(list[i], &cpus[i].stats);
		cpus[i].idle = idle_ns(list[i]);
		cpus[i].interrupts = timer_interrupts(list[i]);
	}
	return nr;
}

static void *busy_thread(void *arg)
{
	struct tick_cpu *cpu = arg;

	pin(cpu->cpu);
	cpu->stolen = spin(period_ns());
	return NULL;
}

static long long handled(const struct pv_stats *s)
{
	return s->v[PV_EVENTS] + s->v[PV_SUPERSEDED] + s->v[PV_SPURIOUS];
}

FIXTURE(tick)
{
	struct tick_cpu before[MAX_CPUS], after[MAX_CPUS], load[MAX_CPUS];
	long long took;
	long long per_tick;
	int nr;
};

FIXTURE_VARIANT(tick)
{
	bool busy;
};

FIXTURE_VARIANT_ADD(tick, idle)
{
	.busy = false,
};

/* Comes after the other: the tick that was stopped has to start again. */
FIXTURE_VARIANT_ADD(tick, busy)
{
	.busy = true,
};

FIXTURE_SETUP(tick)
{
	struct timespec period = ns_to_ts(period_ns());
	long long start;
	bool loaded;

	self->per_tick = tick_ns();
	ASSERT_GT(self->per_tick, 0);
	self->nr = snapshot(self->before);
	start = now_ns(CLOCK_MONOTONIC);
	if (variant->busy)
		loaded = on_each_cpu(busy_thread, self->load, sizeof(*self->load));
	else
		loaded = !clock_nanosleep(CLOCK_MONOTONIC, 0, &period, NULL);
	ASSERT_TRUE(loaded);
	self->took = now_ns(CLOCK_MONOTONIC) - start;
	snapshot(self->after);
}

FIXTURE_TEARDOWN(tick)
{
}

/* At most twice: each tick may be early once, or an hrtimer come between two. */
static void expect_ticks(struct __test_metadata *_metadata, int cpu,
			 long long seen, long long ticks, long long stolen)
{
	EXPECT_GE(seen, least_ticks(ticks, stolen))
		TH_LOG("the tick stopped on CPU %d: %lld interrupts in %lld jiffies, %lld stolen",
		       cpu, seen, ticks, stolen);
	EXPECT_LE(seen, ticks * 2)
		TH_LOG("interrupt storm on CPU %d: %lld interrupts in %lld jiffies",
		       cpu, seen, ticks);
}

/*
 * The counters of the core and those of the interrupt code say the same. Some of
 * the early ones are among the events.
 */
static void expect_counted(struct __test_metadata *_metadata,
			   const struct tick_cpu *before,
			   const struct tick_cpu *after)
{
	long long seen = after->interrupts - before->interrupts;
	long long counted = handled(&after->stats) - handled(&before->stats);
	long long early = after->stats.v[PV_EARLY] - before->stats.v[PV_EARLY];
	long long slack = 20 + seen / 20;

	EXPECT_TRUE(seen + slack >= counted && seen <= counted + early + slack)
		TH_LOG("CPU %d took %lld timer interrupts, pv_timer counted %lld",
		       before->cpu, seen, counted);
}

/*
 * The shortest reach that the core takes is four jiffies. A CPU that has to wake up that
 * often is not idle, half as often it would be for other reasons.
 */
TEST_F(tick, interrupts)
{
	long long ticks = self->took / self->per_tick;
	bool tick = variant->busy || boot_mode() == MODE_NOHZ_OFF;
	int i, judged = 0, ticking = 0;

	if (self->before[0].interrupts < 0)
		SKIP(return, "no known timer line in /proc/interrupts");
	for (i = 0; i < self->nr; i++) {
		long long seen, idle;

		if (!pv_timer_absent())
			expect_counted(_metadata, &self->before[i],
				       &self->after[i]);
		seen = self->after[i].interrupts - self->before[i].interrupts;
		idle = self->after[i].idle - self->before[i].idle;
		TH_LOG("CPU %d: %lld timer interrupts in %lld jiffies",
		       self->before[i].cpu, seen, ticks);
		if (!variant->busy && idle < self->took * 9 / 10)
			continue;
		judged++;
		if (tick) {
			expect_ticks(_metadata, self->before[i].cpu, seen, ticks,
				     self->load[i].stolen / self->per_tick);
			continue;
		}
		if (seen < ticks / 8)
			continue;
		ticking++;
		EXPECT_LE(ticking, may_keep_ticking(self->nr))
			TH_LOG("the tick goes on: CPU %d is idle",
			       self->before[i].cpu);
	}
	if (!judged && __test_passed(_metadata))
		SKIP(return, "no CPU was idle, something else runs");
}

TEST_HARNESS_MAIN
