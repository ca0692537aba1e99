// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on x86: the local APIC timer in TSC deadline mode
 *
 * KVM has no timer of its own to offer. A guest without the MSR is served by
 * lapic.c.
 */
#include <linux/kvm_para.h>
#include <linux/math64.h>

#include <asm/pvclock.h>
#include <asm/kvmclock.h>

#include "lapic.h"
#include "pvclock.h"

static u64 kvm_timer_probe(void)
{
	return kvm_para_available() ? lapic_deadline_hz() : 0;
}

/* The first TSC at which the line is @ns further */
static u64 kvm_clock_to_tsc(const struct pvclock_vcpu_time_info *line, u64 ns)
{
	u64 shifted = mul_u64_u64_div_u64(ns, BIT_ULL(32), line->tsc_to_system_mul) + 1;

	return pvclock_shift_up(shifted, -line->tsc_shift);
}

/*
 * kvm-clock is a line over the TSC, so the TSC is one over kvm-clock. Its slope
 * changes with the frequency only, which saves a division at most updates. The
 * page may have been written after kvm-clock was read: go back a little then.
 */
static u64 kvm_timer_couple(enum clocksource_ids id, u64 cycles, u64 *ticks)
{
	static u64 inverse;
	static u32 mul;
	struct pvclock_vcpu_time_info line;
	u64 tsc_per_ns;
	s64 ns;

	if (id != CSID_X86_KVM_CLK || !pvclock_get_line(this_cpu_pvti(), &line))
		return 0;
	if (mul != line.tsc_to_system_mul) {
		mul = line.tsc_to_system_mul;
		inverse = div_u64(U64_MAX, mul) + 1;
	}
	tsc_per_ns = pvclock_shift_up(inverse, -line.tsc_shift);
	ns = cycles - line.system_time;
	if (ns >= 0)
		*ticks = line.tsc_timestamp + kvm_clock_to_tsc(&line, ns);
	else
		*ticks = line.tsc_timestamp - mul_u64_u64_shr(-ns, tsc_per_ns, 32) + 1;
	return tsc_per_ns;
}

static const struct pv_timer_backend kvm_timer = {
	.name	= "kvm",
	.rating	= PV_TIMER_RATING_NATIVE,
	.probe	= kvm_timer_probe,
	.couple	= kvm_timer_couple,
	LAPIC_DEADLINE_TIMER,
};

PV_TIMER_BACKEND(kvm_timer);
