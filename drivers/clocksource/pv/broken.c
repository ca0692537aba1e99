// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on x86, broken on purpose
 *
 * Each backend breaks one promise of the contract, to show that the core
 * survives it and that the tests notice. They tick only when they are named.
 */
#include <linux/kvm_para.h>
#include <linux/percpu.h>
#include <linux/smp.h>

#include "lapic.h"

static u64 broken_probe(void)
{
	return kvm_para_available() ? lapic_deadline_hz() : 0;
}

static int broken_arm_never(u64 deadline)
{
	return 0;
}

static int broken_arm_early(u64 deadline)
{
	u64 now = lapic_deadline_now();

	if (deadline > now)
		deadline = now + (deadline - now) / 2;
	return lapic_deadline_arm(deadline);
}

static DEFINE_PER_CPU(unsigned int, broken_arms);

/* Not on the boot CPU: one that has lost its interrupt needs another to notice */
static int broken_arm_drop(u64 deadline)
{
	bool drop = smp_processor_id() && this_cpu_inc_return(broken_arms) % 100 == 0;

	return lapic_deadline_arm(drop ? 0 : deadline);
}

#define BROKEN_BACKEND(kind)						\
	static const struct pv_timer_backend broken_##kind = {		\
		.name		= "broken-" #kind,			\
		.rating		= PV_TIMER_RATING_NATIVE,		\
		.flags		= PV_TIMER_LOSES_STATE | PV_TIMER_ON_REQUEST, \
		.probe		= broken_probe,				\
		.now		= lapic_deadline_now,			\
		.arm		= broken_arm_##kind,			\
		.disarm		= lapic_deadline_disarm,		\
		.cpu_start	= lapic_deadline_start,			\
	};								\
	PV_TIMER_BACKEND(broken_##kind)

BROKEN_BACKEND(never);
BROKEN_BACKEND(early);
BROKEN_BACKEND(drop);
