// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on x86, broken on purpose
 *
 * Each backend breaks one promise of the contract, to show that the core
 * survives it and that the tests notice. They tick only when they are named.
 * A timer that is lost in a restore is lost by whatever ticks.
 */
#include <linux/cpufeature.h>
#include <linux/kvm_para.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/smp.h>

#include <asm/apic.h>
#include <asm/tsc.h>

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
	u64 now = lapic_timer_now();

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

/* Its clock is ahead of the guest's by 200 us, so each interrupt comes early */
static int broken_arm_storm(u64 deadline)
{
	return lapic_deadline_arm(deadline - tsc_khz / 5);
}

static void broken_forget_this_cpu(void *unused)
{
	if (boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER))
		lapic_deadline_disarm();
	apic_write(APIC_TMICT, 0);
	apic_write(APIC_LVTT, LOCAL_TIMER_VECTOR | APIC_LVT_MASKED);
}

/*
 * What a guest finds that was restored without the state of its timers: nothing
 * is armed, and nothing that is armed fires until the mode is set again.
 */
static int broken_forget(const char *val, const struct kernel_param *kp)
{
	on_each_cpu(broken_forget_this_cpu, NULL, true);
	return 0;
}

static const struct kernel_param_ops broken_forget_ops = {
	.flags	= KERNEL_PARAM_OPS_FL_NOARG,
	.set	= broken_forget,
};
module_param_cb(forget, &broken_forget_ops, NULL, 0200);

#define BROKEN_BACKEND(kind)						\
	static const struct pv_timer_backend broken_##kind = {		\
		.name		= "broken-" #kind,			\
		.rating		= PV_TIMER_RATING_NATIVE,		\
		.flags		= PV_TIMER_NOFAIL | PV_TIMER_LOSES_STATE |	\
				  PV_TIMER_ON_REQUEST,			\
		.cs_id		= CSID_X86_TSC,				\
		.vector		= LOCAL_TIMER_VECTOR,			\
		.probe		= broken_probe,				\
		.now		= lapic_timer_now,			\
		.arm		= broken_arm_##kind,			\
		.disarm		= lapic_deadline_disarm,		\
		.cpu_start	= lapic_deadline_start,			\
	};								\
	PV_TIMER_BACKEND(broken_##kind)

BROKEN_BACKEND(never);
BROKEN_BACKEND(early);
BROKEN_BACKEND(drop);
BROKEN_BACKEND(storm);
