// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on x86: the local APIC timer in TSC deadline mode
 *
 * KVM has no timer of its own to offer. A guest without the MSR is served by
 * lapic.c.
 */
#include <linux/kvm_para.h>

#include "lapic.h"

static u64 kvm_timer_probe(void)
{
	return kvm_para_available() ? lapic_deadline_hz() : 0;
}

static const struct pv_timer_backend kvm_timer = {
	.name	= "kvm",
	.rating	= PV_TIMER_RATING_NATIVE,
	.probe	= kvm_timer_probe,
	LAPIC_DEADLINE_TIMER,
};

PV_TIMER_BACKEND(kvm_timer);
