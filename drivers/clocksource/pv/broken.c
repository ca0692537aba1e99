// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on x86, broken on purpose
 *
 * Each backend breaks one promise of the contract, to show that the core
 * survives it and that the tests notice. They tick only when they are named.
 * What the parameters of this file do happens to whatever ticks.
 */
#include <linux/cpufeature.h>
#include <linux/cpuhotplug.h>
#include <linux/kvm_para.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/pv_timer_compat.h>
#include <linux/smp.h>

#include <asm/apic.h>
#include <asm/msr.h>
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

/*
 * As a processor compares, and not as KVM does, which has a timer of its own
 * expire when the deadline is due by the TSC of now: this one waits for the TSC
 * that the CPU has after Linux has taken back what it is ahead.
 */
static int broken_arm_compare(u64 deadline)
{
	u64 adjust;

	rdmsrq(MSR_IA32_TSC_ADJUST, adjust);
	return lapic_deadline_arm(deadline + adjust);
}

static void broken_forget_this_cpu(void *unused)
{
	if (boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER))
		lapic_deadline_disarm();
	else
		lapic_oneshot_disarm();
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

static int broken_cpu_dying(unsigned int cpu)
{
	u64 adjust;

	rdmsrq(MSR_IA32_TSC_ADJUST, adjust);
	wrmsrq(MSR_IA32_TSC_ADJUST, adjust + BIT_ULL(37));
	return 0;
}

/*
 * From now on each CPU comes back with a TSC that is a minute or so ahead, until
 * Linux synchronizes it. Nothing of its own runs by that.
 */
static int broken_ahead(const char *val, const struct kernel_param *kp)
{
	if (!boot_cpu_has(X86_FEATURE_TSC_ADJUST))
		return -ENODEV;
	return cpuhp_setup_state_nocalls(CPUHP_AP_DUMMY_TIMER_STARTING,
					 "clockevents/pv/broken:ahead", NULL,
					 broken_cpu_dying);
}

static const struct kernel_param_ops broken_ahead_ops = {
	.flags	= KERNEL_PARAM_OPS_FL_NOARG,
	.set	= broken_ahead,
};
module_param_cb(ahead, &broken_ahead_ops, NULL, 0200);

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
BROKEN_BACKEND(compare);
