// SPDX-License-Identifier: GPL-2.0
/*
 * Hyper-V on x86: synthetic timer 0 of each virtual processor, in direct mode
 *
 * Times are in units of 100 ns of the partition reference time. A guest without
 * direct mode, or without a fast reference time, is served by the local APIC.
 */
#include <clocksource/hyperv_timer.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/pv_timer.h>
#include <linux/pv_timer_compat.h>
#include <asm/hypervisor.h>
#include <asm/irq_vectors.h>
#include <asm/mshyperv.h>
#include <asm/msr.h>

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

u64 hyperv_timer_now(void)
{
	return hv_read_reference_counter();
}

/* hv_set_msr() has another way for nested and isolated guests, to the SynIC only */
static int hyperv_timer_arm(u64 deadline)
{
	native_wrmsrq(HV_X64_MSR_STIMER0_COUNT, deadline);
	return 0;
}

static void hyperv_timer_disarm(void)
{
	hyperv_timer_arm(0);
}

/* What an earlier kernel has armed is stopped first: a timer that runs has no mode */
static void hyperv_timer_start(void)
{
	hyperv_timer_disarm();
	hv_set_msr(HV_MSR_STIMER0_CONFIG, hyperv_timer_config.as_uint64);
}

/* Where the TSC is invariant it is the clock, and the TSC page is the line over it */
static u64 hyperv_timer_couple(enum clocksource_ids id, u64 cycles, u64 *ticks)
{
	const struct ms_hyperv_tsc_page *page = hv_get_tsc_page();
	u64 tsc, scale = READ_ONCE(page->tsc_scale);

	if (id != CSID_X86_TSC || !hv_read_tsc_page_tsc(page, &tsc, ticks))
		return 0;
	*ticks += 1 - mul_u64_u64_shr(tsc - min(cycles, tsc), scale, 64);
	return upper_32_bits(scale) + 1ULL;
}

static const struct pv_timer_backend hyperv_timer = {
	.name		= "hyperv",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_NOFAIL | PV_TIMER_LOSES_STATE,
	.vector		= HYPERV_STIMER0_VECTOR,
	.probe		= hyperv_timer_probe,
	.now		= hyperv_timer_now,
	.arm		= hyperv_timer_arm,
	.disarm		= hyperv_timer_disarm,
	.cpu_start	= hyperv_timer_start,
	.couple		= hyperv_timer_couple,
};

PV_TIMER_BACKEND(hyperv_timer);
