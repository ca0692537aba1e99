// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on x86, broken on purpose
 *
 * Each backend breaks one promise of the contract, to show that the core
 * survives it and that the tests notice. They tick only when they are named.
 */
#include <linux/cpufeature.h>
#include <linux/kvm_para.h>
#include <linux/percpu.h>
#include <linux/pv_timer.h>

#include <asm/apic.h>
#include <asm/barrier.h>
#include <asm/msr.h>
#include <asm/tsc.h>

static u64 broken_probe(void)
{
	return kvm_para_available() &&
	       boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER) ? tsc_khz * 1000ULL : 0;
}

static u64 broken_now(void)
{
	return rdtsc();
}

static int broken_arm_never(u64 deadline)
{
	return 0;
}

static int broken_arm_early(u64 deadline)
{
	u64 now = rdtsc();

	weak_wrmsr_fence();
	if (deadline > now)
		deadline = now + (deadline - now) / 2;
	wrmsrl(MSR_IA32_TSC_DEADLINE, deadline);
	return 0;
}

static DEFINE_PER_CPU(unsigned int, broken_arms);

static int broken_arm_drop(u64 deadline)
{
	weak_wrmsr_fence();
	if (this_cpu_inc_return(broken_arms) % 100)
		wrmsrl(MSR_IA32_TSC_DEADLINE, deadline);
	else
		wrmsrl(MSR_IA32_TSC_DEADLINE, 0);
	return 0;
}

static void broken_disarm(void)
{
	wrmsrl(MSR_IA32_TSC_DEADLINE, 0);
}

static void broken_start(void)
{
	apic_write(APIC_LVTT, LOCAL_TIMER_VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	mb(); /* as in kvm.c */
}

#define BROKEN_BACKEND(kind)						\
	static const struct pv_timer_backend broken_##kind = {		\
		.name		= "broken-" #kind,			\
		.rating		= PV_TIMER_RATING_NATIVE,		\
		.flags		= PV_TIMER_LOSES_STATE | PV_TIMER_ON_REQUEST, \
		.probe		= broken_probe,				\
		.now		= broken_now,				\
		.arm		= broken_arm_##kind,			\
		.disarm		= broken_disarm,			\
		.cpu_start	= broken_start,				\
	};								\
	PV_TIMER_BACKEND(broken_##kind)

BROKEN_BACKEND(never);
BROKEN_BACKEND(early);
BROKEN_BACKEND(drop);
