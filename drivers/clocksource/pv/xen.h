/* SPDX-License-Identifier: GPL-2.0 */
/* What the two timers that Xen has share: the clock, and VIRQ_TIMER. */
#ifndef _PV_TIMER_XEN_H
#define _PV_TIMER_XEN_H

#include <linux/pv_timer.h>

/* xen.c */
void xen_vcpu_timer_disarm(void);
void xen_vcpu_timer_start(void);

/* xen-virq.c */
u64 xen_timer_probe(void);
u64 xen_timer_now(void);
int xen_timer_prepare(unsigned int cpu);
int xen_timer_dead(unsigned int cpu);
void xen_timer_clear(void);
u64 xen_timer_couple(enum clocksource_ids id, u64 cycles, u64 *ticks);

#endif /* _PV_TIMER_XEN_H */
