// SPDX-License-Identifier: GPL-2.0
/*
 * Any hypervisor on x86: the local APIC timer in one-shot mode
 *
 * The count register counts down, at the bus clock. The counter is the TSC, of which
 * one count takes many ticks.
 */
#include <linux/cache.h>
#include <linux/cleanup.h>
#include <linux/cpufeature.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/math64.h>

#include <asm/apic.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#include "lapic.h"

#define LAPIC_DIVISOR	16

/* Count until the readings take no more than 1/4096 of the time, or for 100 ms */
#define LAPIC_SHIFT	12
#define LAPIC_MS	2
#define LAPIC_TIMES	50

/* The count, and the TSC before and after it was read */
struct lapic_reading {
	u64 before;
	u64 after;
	u32 count;
};

/* Counts per tick of the TSC, 0.32 fixed point */
static u32 lapic_counts_per_tick __ro_after_init;

/* The reading that took least of five: time may have been stolen during the others */
static struct lapic_reading __init lapic_read(void)
{
	struct lapic_reading best = { .after = U64_MAX }, r;
	int i;

	guard(irqsave)();
	for (i = 0; i < 5; i++) {
		r.before = rdtsc_ordered();
		r.count = apic_read(APIC_TMCCT);
		r.after = rdtsc_ordered();
		if (r.after - r.before < best.after - best.before)
			best = r;
	}
	return best;
}

/*
 * What apic.c has calibrated is off by a percent if time was stolen from the guest
 * meanwhile, or if the TSC has another frequency than is known yet. A far deadline would
 * be early by that. So count both, and keep theirs if it lies within what was counted.
 * Return: 0 if the timer does not count, or is no slower than the TSC.
 */
static u32 __init lapic_measure(u32 theirs)
{
	struct lapic_reading from, to;
	u64 counts, shortest, longest, least, most;
	int i = 0;

	apic_write(APIC_LVTT, APIC_LVT_MASKED | LOCAL_TIMER_VECTOR);
	apic_write(APIC_TDCR, APIC_TDR_DIV_16);
	apic_write(APIC_TMICT, U32_MAX);
	from = lapic_read();
	do {
		mdelay(LAPIC_MS);
		to = lapic_read();
		shortest = to.before - from.after;
		longest = to.after - from.before;
	} while (longest - shortest > shortest >> LAPIC_SHIFT && ++i < LAPIC_TIMES);
	apic_write(APIC_TMICT, 0);

	counts = from.count - to.count;
	if (!counts)
		return 0;
	least = div64_u64((counts - 1) << 32, longest);
	most = div64_u64((counts + 1) << 32, shortest);
	if (most > U32_MAX)
		return 0;
	return theirs >= least && theirs <= most ? theirs : (least + most) / 2;
}

/* The period of a jiffy is rounded down, and an interrupt is not to be early by that */
static u64 lapic_counts_hz(void)
{
	return (lapic_timer_period + 1ULL) * HZ / LAPIC_DIVISOR;
}

u64 lapic_oneshot_hz(u64 *max_ticks)
{
	u64 hz = tsc_khz * 1000ULL;

	if (!lapic_timer_period || hz <= lapic_counts_hz())
		return 0;
	lapic_counts_per_tick = div64_u64(lapic_counts_hz() << 32, hz) + 1;
	*max_ticks = div64_u64(U32_MAX * hz, lapic_counts_hz());
	return hz;
}

/* The boot CPU counts, before the others come up: they have the same clocks. */
int __ref lapic_oneshot_prepare(unsigned int cpu)
{
	static bool measured;

	if (!measured)
		lapic_counts_per_tick = lapic_measure(lapic_counts_per_tick);
	measured = true;
	return lapic_counts_per_tick ? 0 : -ENODEV;
}

/* Rounds up, and 0 would disarm */
int lapic_oneshot_arm(u64 deadline)
{
	u64 left = pv_timer_left(deadline, rdtsc());

	apic_write(APIC_TMICT, ((left * lapic_counts_per_tick) >> 32) + 1);
	return 0;
}

void lapic_oneshot_disarm(void)
{
	apic_write(APIC_TMICT, 0);
}

void lapic_oneshot_start(void)
{
	apic_write(APIC_LVTT, LOCAL_TIMER_VECTOR);
	apic_write(APIC_TDCR, APIC_TDR_DIV_16);
}

static struct pv_timer_backend lapic_timer;

static u64 lapic_probe(void)
{
	return boot_cpu_has(X86_FEATURE_HYPERVISOR) ?
	       lapic_oneshot_hz(&lapic_timer.max_ticks) : 0;
}

static struct pv_timer_backend lapic_timer __ro_after_init = {
	.name		= "lapic",
	.rating		= PV_TIMER_RATING_EMULATED,
	.probe		= lapic_probe,
	LAPIC_ONESHOT_TIMER,
};

PV_TIMER_BACKEND(lapic_timer);
