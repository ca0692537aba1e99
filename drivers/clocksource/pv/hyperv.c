// SPDX-License-Identifier: GPL-2.0
/*
 * Hyper-V on x86: synthetic timer 0 of each virtual processor, in direct mode
 *
 * Times are in units of 100 ns of the partition reference time. A guest without
 * direct mode, or without a fast reference time, is served by the local APIC.
 */
#include <clocksource/hyperv_timer.h>
#include <linux/pv_timer.h>
#include <asm/hypervisor.h>
#include <asm/irq_vectors.h>
#include <asm/mshyperv.h>

static const union hv_stimer_config hyperv_timer_config = {
	.auto_enable = 1, .direct_mode = 1, .apic_vector = HYPERV_STIMER0_VECTOR,
};

static u64 hyperv_timer_probe(void)
{
	bool slow = !ms_hyperv.paravisor_present && hv_isolation_type_tdx();

	return hypervisor_is_type(X86_HYPER_MS_HYPERV) && !slow &&
	       ms_hyperv.features & HV_MSR_SYNTIMER_AVAILABLE &&
	       ms_hyperv.misc_features & HV_STIMER_DIRECT_MODE_AVAILABLE ? HV_CLOCK_HZ : 0;
}

static u64 hyperv_timer_now(void)
{
	return hv_read_reference_counter();
}

static int hyperv_timer_arm(u64 deadline)
{
	hv_set_msr(HV_MSR_STIMER0_COUNT, deadline);
	return 0;
}

static void hyperv_timer_disarm(void)
{
	hv_set_msr(HV_MSR_STIMER0_COUNT, 0);
}

static void hyperv_timer_start(void)
{
	hv_set_msr(HV_MSR_STIMER0_CONFIG, hyperv_timer_config.as_uint64);
}

static const struct pv_timer_backend hyperv_timer = {
	.name		= "hyperv",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_LOSES_STATE,
	.probe		= hyperv_timer_probe,
	.now		= hyperv_timer_now,
	.arm		= hyperv_timer_arm,
	.disarm		= hyperv_timer_disarm,
	.cpu_start	= hyperv_timer_start,
};

PV_TIMER_BACKEND(hyperv_timer);
