// SPDX-License-Identifier: GPL-2.0
/*
 * Xen on x86: system time in ns, and VIRQ_TIMER of each vCPU
 */
#include <linux/interrupt.h>
#include <linux/percpu.h>
#include <linux/time64.h>

#include <xen/events.h>
#include <xen/features.h>
#include <xen/xen-ops.h>
#include <xen/xen.h>

#include <asm/pvclock.h>

#include "xen.h"

#define XEN_TIMER_IRQF	(IRQF_PERCPU | IRQF_NOBALANCING | IRQF_TIMER | \
			 IRQF_FORCE_RESUME | IRQF_EARLY_RESUME)

static DEFINE_PER_CPU(int, xen_timer_irq);

/* An HVM guest must be able to take events on every vCPU, and to read the clock */
u64 xen_timer_probe(void)
{
	bool usable = xen_have_vector_callback && xen_feature(XENFEAT_hvm_safe_pvclock);

	return xen_pv_domain() || (xen_hvm_domain() && usable) ? NSEC_PER_SEC : 0;
}

u64 xen_timer_now(void)
{
	return pvclock_clocksource_read_nowd(&this_cpu_read(xen_vcpu)->time);
}

int xen_timer_prepare(unsigned int cpu)
{
	int irq = bind_virq_to_irqhandler(VIRQ_TIMER, cpu, pv_timer_irq_handler,
					  XEN_TIMER_IRQF, "pv_timer", NULL);

	per_cpu(xen_timer_irq, cpu) = irq;
	xen_set_irq_priority(irq, XEN_IRQ_PRIORITY_MAX);
	return min(irq, 0);
}

int xen_timer_dead(unsigned int cpu)
{
	unbind_from_irqhandler(per_cpu(xen_timer_irq, cpu), NULL);
	return 0;
}
