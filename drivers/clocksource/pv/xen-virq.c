// SPDX-License-Identifier: GPL-2.0
/*
 * Xen on x86: system time in ns, the kernel's clock too, and VIRQ_TIMER of each
 * vCPU
 */
#include <linux/clocksource.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/time64.h>

#include <xen/events.h>
#include <xen/features.h>
#include <xen/xen-ops.h>
#include <xen/xen.h>

#include <asm/pvclock.h>

#include "pvclock.h"
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

/* Nobody is to get what was raised, and not taken, before the timer was disarmed */
void xen_timer_clear(void)
{
	xen_clear_irq_pending(this_cpu_read(xen_timer_irq));
}

int xen_timer_dead(unsigned int cpu)
{
	unbind_from_irqhandler(per_cpu(xen_timer_irq, cpu), NULL);
	return 0;
}

/*
 * Where the TSC is safe it is the clock, and system time is a line over it. The
 * page may have been written after the TSC was read: go back a little then. Two
 * multiplications round down.
 */
u64 xen_timer_couple(enum clocksource_ids id, u64 cycles, u64 *ticks)
{
	struct pvclock_vcpu_time_info line;
	s64 tsc;

	if (id != CSID_X86_TSC ||
	    !pvclock_get_line(&this_cpu_read(xen_vcpu)->time, &line))
		return 0;
	tsc = cycles - line.tsc_timestamp;
	*ticks = line.system_time + 2;
	if (tsc >= 0)
		*ticks += pvclock_scale_delta(tsc, line.tsc_to_system_mul, line.tsc_shift);
	else
		*ticks -= pvclock_scale_delta(-tsc, line.tsc_to_system_mul, line.tsc_shift);
	return pvclock_shift_up(line.tsc_to_system_mul, line.tsc_shift);
}

/* Unlike xen_timer_now(), takes note of it if the guest was stopped */
static u64 notrace xen_clock_read(struct clocksource *cs)
{
	guard(preempt_notrace)();
	return pvclock_clocksource_read(&__this_cpu_read(xen_vcpu)->time);
}

static int xen_clock_enable(struct clocksource *cs)
{
	vclocks_set_used(VDSO_CLOCKMODE_PVCLOCK);
	return 0;
}

static struct pv_timer_clock xen_clock __initdata = {
	.name		= "xen",
	.hz		= NSEC_PER_SEC,
	.counter	= xen_timer_now,
	.read		= xen_clock_read,
	.enable		= xen_clock_enable,
};

/**
 * xen_timer_register_clock() - Make system time the kernel's clock
 * @rating: see struct clocksource
 *
 * Context: boot.
 * Return: the clocksource, whose vDSO mode is set later, or an error pointer.
 */
struct clocksource * __init xen_timer_register_clock(int rating)
{
	xen_clock.rating = rating;
	return pv_timer_register_clock(&xen_clock);
}
