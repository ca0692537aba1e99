// SPDX-License-Identifier: GPL-2.0
/*
 * Xen on x86, broken on purpose: one deadline in a hundred is for a vCPU that
 * does not exist, so that Xen itself refuses it
 */
#include <linux/percpu.h>
#include <linux/smp.h>

#include <xen/interface/xen.h>
#include <xen/interface/vcpu.h>
#include <xen/xen-ops.h>

#include <asm/xen/hypercall.h>

#include "xen.h"

#define XEN_NO_VCPU	0xffff

static DEFINE_PER_CPU(unsigned int, broken_arms);

static int broken_arm_refuse(u64 deadline)
{
	struct vcpu_set_singleshot_timer single = { .timeout_abs_ns = deadline };
	int vcpu = xen_vcpu_nr(smp_processor_id());

	if (!(this_cpu_inc_return(broken_arms) % 100))
		vcpu = XEN_NO_VCPU;
	return HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, vcpu, &single);
}

static const struct pv_timer_backend broken_refuse = {
	.name		= "broken-refuse",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_LOSES_STATE | PV_TIMER_ON_REQUEST,
	.probe		= xen_timer_probe,
	.now		= xen_timer_now,
	.arm		= broken_arm_refuse,
	.disarm		= xen_vcpu_timer_disarm,
	.cpu_prepare	= xen_timer_prepare,
	.cpu_dead	= xen_timer_dead,
	.cpu_start	= xen_vcpu_timer_start,
};

PV_TIMER_BACKEND(broken_refuse);
