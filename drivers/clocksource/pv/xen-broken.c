// SPDX-License-Identifier: GPL-2.0
/*
 * Xen on x86, broken on purpose: a deadline that is to be refused is for a vCPU
 * that does not exist, so that Xen itself refuses it
 */
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/time64.h>

#include <xen/interface/xen.h>
#include <xen/interface/vcpu.h>
#include <xen/xen-ops.h>

#include <asm/xen/hypercall.h>

#include "xen.h"

#define XEN_NO_VCPU	0xffff

static DEFINE_PER_CPU(unsigned int, broken_arms);
static DEFINE_PER_CPU(u64, broken_since);

static void broken_start(void)
{
	xen_vcpu_timer_start();
	if (!this_cpu_read(broken_since))
		this_cpu_write(broken_since, xen_timer_now());
}

static int broken_arm(u64 deadline, bool refuse)
{
	struct vcpu_set_singleshot_timer single = { .timeout_abs_ns = deadline };
	int vcpu = xen_vcpu_nr(smp_processor_id());

	return HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer,
				  refuse ? XEN_NO_VCPU : vcpu, &single);
}

/* One in a hundred */
static int broken_arm_refuse(u64 deadline)
{
	return broken_arm(deadline, this_cpu_inc_return(broken_arms) % 100 == 0);
}

/* Twenty in a row on one CPU, again and again */
static int broken_arm_refuse20(u64 deadline)
{
	return broken_arm(deadline, smp_processor_id() == 1 &&
			  this_cpu_inc_return(broken_arms) % 500 >= 480);
}

/* All in the first second after the CPU first came up, but for the boot CPU */
static int broken_arm_refuse_all(u64 deadline)
{
	return broken_arm(deadline, smp_processor_id() &&
			  xen_timer_now() - this_cpu_read(broken_since) < NSEC_PER_SEC);
}

#define BROKEN_BACKEND(kind, title)					\
	static const struct pv_timer_backend broken_##kind = {		\
		.name		= "broken-" title,			\
		.rating		= PV_TIMER_RATING_NATIVE,		\
		.flags		= PV_TIMER_LOSES_STATE | PV_TIMER_ON_REQUEST, \
		.probe		= xen_timer_probe,			\
		.now		= xen_timer_now,			\
		.arm		= broken_arm_##kind,			\
		.disarm		= xen_vcpu_timer_disarm,		\
		.cpu_prepare	= xen_timer_prepare,			\
		.cpu_dead	= xen_timer_dead,			\
		.cpu_start	= broken_start,				\
		.couple		= xen_timer_couple,			\
	};								\
	PV_TIMER_BACKEND(broken_##kind)

BROKEN_BACKEND(refuse, "refuse");
BROKEN_BACKEND(refuse20, "refuse20");
BROKEN_BACKEND(refuse_all, "refuse-all");
