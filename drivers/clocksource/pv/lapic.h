/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The local APIC timer, which several hypervisors offer to their guests: they
 * differ in how they are detected, and arm it the same way.
 */
#ifndef _PV_TIMER_LAPIC_H
#define _PV_TIMER_LAPIC_H

#include <linux/pv_timer.h>

#include <asm/irq_vectors.h>

/* lapic-deadline.c */
u64 lapic_deadline_hz(void);
u64 lapic_timer_now(void);
int lapic_deadline_arm(u64 deadline);
void lapic_deadline_disarm(void);
void lapic_deadline_start(void);
bool lapic_stops_in_idle(void);

/* lapic.c */
u64 lapic_oneshot_hz(u64 *max_ticks);
int lapic_oneshot_prepare(unsigned int cpu);
int lapic_oneshot_arm(u64 deadline);
void lapic_oneshot_disarm(void);
void lapic_oneshot_start(void);

/* What a backend says of the timer, and of the mode that it uses */
#define LAPIC_TIMER							\
	.flags		= PV_TIMER_NOFAIL | PV_TIMER_LOSES_STATE,	\
	.cs_id		= CSID_X86_TSC,					\
	.vector		= LOCAL_TIMER_VECTOR,				\
	.now		= lapic_timer_now,				\
	.stops_in_idle	= lapic_stops_in_idle

#define LAPIC_DEADLINE_TIMER						\
	LAPIC_TIMER,							\
	.arm		= lapic_deadline_arm,				\
	.disarm		= lapic_deadline_disarm,			\
	.cpu_start	= lapic_deadline_start

#define LAPIC_ONESHOT_TIMER						\
	LAPIC_TIMER,							\
	.arm		= lapic_oneshot_arm,				\
	.disarm		= lapic_oneshot_disarm,				\
	.cpu_prepare	= lapic_oneshot_prepare,			\
	.cpu_start	= lapic_oneshot_start

#endif /* _PV_TIMER_LAPIC_H */
