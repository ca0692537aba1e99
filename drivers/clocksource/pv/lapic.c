// SPDX-License-Identifier: GPL-2.0
/*
 * Any hypervisor on x86: the local APIC timer in one-shot mode
 *
 * The count register counts down, at the bus clock that apic.c has calibrated
 * against the TSC. The TSC, scaled to that clock, is the counter.
 */
#include <linux/cpufeature.h>
#include <linux/math64.h>
#include <asm/apic.h>
#include <asm/msr.h>
#include <asm/tsc.h>
#include "lapic.h"

#define LAPIC_DIVISOR	16
static u64 lapic_counts_per_tsc;	/* 32.32 fixed point */

u64 lapic_oneshot_hz(void)
{
	u64 hz = (u64)lapic_timer_period * HZ / LAPIC_DIVISOR;

	lapic_counts_per_tsc = div64_u64(hz << 32, max(tsc_khz, 1U) * 1000ULL);
	return tsc_khz ? hz : 0;
}

u64 lapic_oneshot_now(void)
{
	return mul_u64_u64_shr(rdtsc(), lapic_counts_per_tsc, 32);
}

int lapic_oneshot_arm(u64 delta)
{
	apic_write(APIC_TMICT, delta);
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

static u64 lapic_probe(void)
{
	return boot_cpu_has(X86_FEATURE_HYPERVISOR) ? lapic_oneshot_hz() : 0;
}

static const struct pv_timer_backend lapic_timer = {
	.name		= "lapic",
	.rating		= PV_TIMER_RATING_EMULATED,
	.probe		= lapic_probe,
	LAPIC_ONESHOT_TIMER,
};

PV_TIMER_BACKEND(lapic_timer);
