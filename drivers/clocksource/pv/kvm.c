// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on x86: the local APIC timer in TSC deadline mode
 *
 * KVM has no timer of its own to offer. The MSR takes one exit, and none on
 * processors that virtualize it. Without it, lapic.c serves the guest.
 */
#include <linux/cpufeature.h>
#include <linux/kvm_para.h>
#include <linux/pv_timer.h>

#include <asm/apic.h>
#include <asm/barrier.h>
#include <asm/msr.h>
#include <asm/tsc.h>

static u64 kvm_timer_probe(void)
{
	return kvm_para_available() &&
	       boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER) ? tsc_khz * 1000ULL : 0;
}

static u64 kvm_timer_now(void)
{
	return rdtsc();
}

static int kvm_timer_arm(u64 deadline)
{
	weak_wrmsr_fence();
	wrmsrl(MSR_IA32_TSC_DEADLINE, deadline);
	return 0;
}

static void kvm_timer_disarm(void)
{
	wrmsrl(MSR_IA32_TSC_DEADLINE, 0);
}

static void kvm_timer_start(void)
{
	apic_write(APIC_LVTT, LOCAL_TIMER_VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	mb(); /* SDM 11.5.4.1: LVTT is in memory, the MSR must not overtake it */
}

static const struct pv_timer_backend kvm_timer = {
	.name		= "kvm",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_LOSES_STATE,
	.cs_id		= CSID_X86_TSC,
	.probe		= kvm_timer_probe,
	.now		= kvm_timer_now,
	.arm		= kvm_timer_arm,
	.disarm		= kvm_timer_disarm,
	.cpu_start	= kvm_timer_start,
};

PV_TIMER_BACKEND(kvm_timer);
