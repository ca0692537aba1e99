// SPDX-License-Identifier: GPL-2.0
/*
 * Any hypervisor on x86: the local APIC timer in one-shot mode
 *
 * The count register counts down, at the bus clock that apic.c has calibrated
 * against the TSC. The counter is the TSC, of which one count takes many ticks.
 */
#include <linux/cache.h>
#include <linux/cpufeature.h>
#include <linux/math64.h>

#include <asm/apic.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#include "lapic.h"

#define LAPIC_DIVISOR	16

/*
 * Counts per tick of the TSC, 0.32 fixed point. The kernel has counted both together
 * at boot. If it knows the frequency of the TSC better later, that of the counts was
 * wrong as well, and this stays.
 */
static u32 lapic_counts_per_tick __ro_after_init;

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
