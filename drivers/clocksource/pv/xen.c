// SPDX-License-Identifier: GPL-2.0
/*
 * Xen on x86: the singleshot timer of each vCPU
 *
 * PV, PVHVM and PVH guests. A vCPU starts, and comes back from a restore, with
 * a periodic timer on the same event channel, which is turned off.
 */
#include <linux/smp.h>

#include <xen/interface/xen.h>
#include <xen/interface/vcpu.h>
#include <xen/xen-ops.h>

#include <asm/xen/hypercall.h>

#include "xen.h"

static int xen_vcpu_op(int cmd, void *arg)
{
	return HYPERVISOR_vcpu_op(cmd, xen_vcpu_nr(smp_processor_id()), arg);
}

static int xen_vcpu_timer_arm(u64 deadline)
{
	struct vcpu_set_singleshot_timer single = { .timeout_abs_ns = deadline };

	return xen_vcpu_op(VCPUOP_set_singleshot_timer, &single);
}

void xen_vcpu_timer_disarm(void)
{
	xen_vcpu_op(VCPUOP_stop_singleshot_timer, NULL);
	xen_timer_clear();
}

void xen_vcpu_timer_start(void)
{
	xen_vcpu_op(VCPUOP_stop_periodic_timer, NULL);
}

static const struct pv_timer_backend xen_vcpu_timer = {
	.name		= "xen",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_LOSES_STATE | PV_TIMER_SOLE,
	.probe		= xen_timer_probe,
	.now		= xen_timer_now,
	.arm		= xen_vcpu_timer_arm,
	.disarm		= xen_vcpu_timer_disarm,
	.cpu_prepare	= xen_timer_prepare,
	.cpu_dead	= xen_timer_dead,
	.cpu_start	= xen_vcpu_timer_start,
	.couple		= xen_timer_couple,
};

PV_TIMER_BACKEND(xen_vcpu_timer);
