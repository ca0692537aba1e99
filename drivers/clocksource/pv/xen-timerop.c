// SPDX-License-Identifier: GPL-2.0
/*
 * Xen before 3.0.5: one timer hypercall, for a Xen that has no singleshot timer
 *
 * The periodic timer raises the same event. Such a Xen cannot stop it, and the core
 * arms again; a later one stops it. Xen takes what is further away for a mistake.
 */
#include <linux/bits.h>

#include <asm/xen/hypercall.h>

#include "xen.h"

static int xen_timerop_arm(u64 deadline)
{
	return HYPERVISOR_set_timer_op(deadline);
}

static void xen_timerop_disarm(void)
{
	HYPERVISOR_set_timer_op(0);
	xen_timer_clear();
}

static const struct pv_timer_backend xen_timerop = {
	.name		= "xen-timerop",
	.rating		= PV_TIMER_RATING_HARDWARE,
	.flags		= PV_TIMER_LOSES_STATE | PV_TIMER_SOLE,
	.max_ticks	= BIT_ULL(50) - 1,
	.probe		= xen_timer_probe,
	.now		= xen_timer_now,
	.arm		= xen_timerop_arm,
	.disarm		= xen_timerop_disarm,
	.cpu_prepare	= xen_timer_prepare,
	.cpu_dead	= xen_timer_dead,
	.cpu_start	= xen_vcpu_timer_start,
	.couple		= xen_timer_couple,
};

PV_TIMER_BACKEND(xen_timerop);
