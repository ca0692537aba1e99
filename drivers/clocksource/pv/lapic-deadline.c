// SPDX-License-Identifier: GPL-2.0
/*
 * Any hypervisor on x86: the local APIC timer in TSC deadline mode
 *
 * The MSR takes one exit, and none on processors that virtualize it.
 */
#include <linux/cpufeature.h>
#include <linux/pv_timer_compat.h>

#include <asm/apic.h>
#include <asm/barrier.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#include "lapic.h"

u64 lapic_deadline_hz(void)
{
	return boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER) ? tsc_khz * 1000ULL : 0;
}

u64 lapic_timer_now(void)
{
	return rdtsc();
}

/*
 * Writes of this MSR do not wait for earlier stores, which the APIC's driver has
 * a fence for. None is needed: the interrupt comes to this CPU, which sees its own
 * stores, and where the hypervisor takes an exit, that waits for all.
 */
int lapic_deadline_arm(u64 deadline)
{
	native_wrmsrq(MSR_IA32_TSC_DEADLINE, deadline);
	return 0;
}

void lapic_deadline_disarm(void)
{
	lapic_deadline_arm(0);
}

void lapic_deadline_start(void)
{
	apic_write(APIC_LVTT, LOCAL_TIMER_VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	mb(); /* SDM 11.5.4.1: LVTT is in memory, the MSR must not overtake it */
}

/* A guest that can only halt leaves its idle states to the hypervisor */
bool lapic_stops_in_idle(void)
{
	return !this_cpu_has(X86_FEATURE_ARAT) && this_cpu_has(X86_FEATURE_MWAIT);
}

static u64 lapic_deadline_probe(void)
{
	return boot_cpu_has(X86_FEATURE_HYPERVISOR) ? lapic_deadline_hz() : 0;
}

static const struct pv_timer_backend lapic_deadline_timer = {
	.name		= "lapic-deadline",
	.rating		= PV_TIMER_RATING_HARDWARE,
	.probe		= lapic_deadline_probe,
	LAPIC_DEADLINE_TIMER,
};

PV_TIMER_BACKEND(lapic_deadline_timer);
