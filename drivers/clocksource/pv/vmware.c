// SPDX-License-Identifier: GPL-2.0
/*
 * VMware: the local APIC timer, at the frequencies that the hypervisor tells
 *
 * arch/x86/kernel/cpu/vmware.c finds VMware, by CPUID or by DMI, and asks it
 * for the frequencies. The timer has no other interface since VMI went.
 */
#include <linux/cache.h>

#include <asm/hypervisor.h>

#include "lapic.h"

static u64 vmware_deadline_probe(void)
{
	return hypervisor_is_type(X86_HYPER_VMWARE) ? lapic_deadline_hz() : 0;
}

static const struct pv_timer_backend vmware_deadline_timer = {
	.name	= "vmware",
	.rating	= PV_TIMER_RATING_NATIVE,
	.probe	= vmware_deadline_probe,
	LAPIC_DEADLINE_TIMER,
};

PV_TIMER_BACKEND(vmware_deadline_timer);

static struct pv_timer_backend vmware_oneshot_timer;

/* The name is taken already, unless the CPU has no TSC deadline. */
static u64 vmware_oneshot_probe(void)
{
	return hypervisor_is_type(X86_HYPER_VMWARE) ?
	       lapic_oneshot_hz(&vmware_oneshot_timer.max_ticks) : 0;
}

static struct pv_timer_backend vmware_oneshot_timer __ro_after_init = {
	.name	= "vmware",
	.rating	= PV_TIMER_RATING_HARDWARE,
	.probe	= vmware_oneshot_probe,
	LAPIC_ONESHOT_TIMER,
};

PV_TIMER_BACKEND(vmware_oneshot_timer);
