/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between the paravirtual timer core and its backends.
 *
 * A backend states facts about one hypervisor's timer, the core derives the
 * policy: a backend never sees a clock_event_device. See
 * Documentation/timers/pv.rst.
 */
#ifndef _LINUX_PV_TIMER_H
#define _LINUX_PV_TIMER_H

#include <linux/bits.h>
#include <linux/clocksource_ids.h>
#include <linux/irqreturn.h>
#include <linux/jump_label.h>
#include <linux/types.h>

struct clocksource;

/**
 * enum pv_timer_rating - How backends compare with each other
 * @PV_TIMER_RATING_EMULATED: an emulated hardware timer, each access exits
 * @PV_TIMER_RATING_HARDWARE: a hardware timer with a deadline, or an interface
 *	that the hypervisor keeps for old guests
 * @PV_TIMER_RATING_NATIVE: the interface that the hypervisor made for its guests
 *
 * All are above the ratings of the PIT, the HPET and the local APIC.
 */
enum pv_timer_rating {
	PV_TIMER_RATING_EMULATED	= 200,
	PV_TIMER_RATING_HARDWARE	= 300,
	PV_TIMER_RATING_NATIVE		= 400,
};

/**
 * enum pv_timer_flags - What is special about the timer of a backend
 * @PV_TIMER_RELATIVE: it counts down, arm() gets a delta of at least 1
 * @PV_TIMER_EXACT: it matches on equality only and misses a passed deadline
 * @PV_TIMER_LEVEL: its line stays up until the timer is disarmed or re-armed
 * @PV_TIMER_GLOBAL: there is one for all CPUs
 * @PV_TIMER_LOSES_STATE: cpu_start() is needed again after resume
 * @PV_TIMER_SOLE: the platform has no other tick, pv_timer=off is not possible
 * @PV_TIMER_ON_REQUEST: it ticks only when pv_timer= names it
 */
enum pv_timer_flags {
	PV_TIMER_RELATIVE	= BIT(0),
	PV_TIMER_EXACT		= BIT(1),
	PV_TIMER_LEVEL		= BIT(2),
	PV_TIMER_GLOBAL		= BIT(3),
	PV_TIMER_LOSES_STATE	= BIT(4),
	PV_TIMER_SOLE		= BIT(5),
	PV_TIMER_ON_REQUEST	= BIT(6),
};

/**
 * struct pv_timer_backend - The timer of one hypervisor
 * @name: what the user reads in the log and types after pv_timer=
 * @rating: the highest of those that probe wins, see enum pv_timer_rating
 * @flags: see enum pv_timer_flags
 * @cs_id: the clocksource that reads the comparator's counter as it is, which
 *	saves the core all clock reads when that one is the timekeeper's;
 *	CSID_GENERIC if there is none
 * @max_ticks: the furthest deadline from now that arm() can take, in ticks of
 *	the counter; 0 if there is no limit
 * @probe: Return: the frequency of the counter in Hz, 0 if this hypervisor or
 *	its timer is not there, which is not an error. Context: boot or module
 *	load, may sleep.
 * @now: Return: the counter that the comparator is compared with. It is the
 *	same on every CPU but for the hypervisor's own skew. Context: preemption
 *	off.
 * @arm: Raise one interrupt when the counter reaches the absolute @deadline,
 *	in ticks, never 0; at once if it has passed. Replaces what was
 *	armed. Return: 0, or a negative error code if the hypervisor refused,
 *	which the core counts and reports. Context: owning CPU, irqs off, no
 *	sleep, no locks.
 * @disarm: Forget what was armed. An interrupt that is already on its way may
 *	still arrive. Context: as arm().
 * @cpu_prepare: Set up what may sleep before @cpu comes up. Return: 0, or a
 *	negative error code that keeps the CPU down. Context: a control CPU.
 * @cpu_dead: Undo cpu_prepare() after @cpu went down. Return: 0. Context: as
 *	there.
 * @cpu_start: Route the interrupt and set the mode, before the first arm() and
 *	with PV_TIMER_LOSES_STATE after resume. Context: owning CPU, irqs off.
 * @cpu_stop: Undo cpu_start(), after disarm(). Must work in a crashed
 *	kernel. Context: as arm().
 * @ack: Acknowledge, first thing in the interrupt. Context: interrupt.
 * @irq: Return: the line that the core is to request, one that is enabled on
 *	each CPU unless PV_TIMER_GLOBAL is set; a negative error code if there is
 *	none. A backend without it calls pv_timer_interrupt() from its own
 *	vector, or requests its lines with pv_timer_irq_handler(). Context: as
 *	probe().
 * @arm_periodic: Raise an interrupt at the absolute @first and then every
 *	@period ticks, by a timer that does so by itself. Return and context: as
 *	arm().
 * @disarm_periodic: Stop what arm_periodic() started. Context: as arm().
 * @clocksource: registered by the core when the backend is chosen; it counts
 *	in the same ticks as now()
 *
 * The first four operations are mandatory, pv_timer_register() names the one
 * that is missing. Later versions add members and change none.
 */
struct pv_timer_backend {
	const char		*name;
	int			rating;
	unsigned int		flags;
	enum clocksource_ids	cs_id;
	u64			max_ticks;

	/* mandatory */
	u64			(*probe)(void);
	u64			(*now)(void);
	int			(*arm)(u64 deadline);
	void			(*disarm)(void);

	/* optional */
	int			(*cpu_prepare)(unsigned int cpu);
	int			(*cpu_dead)(unsigned int cpu);
	void			(*cpu_start)(void);
	void			(*cpu_stop)(void);
	void			(*ack)(void);
	int			(*irq)(void);
	int			(*arm_periodic)(u64 first, u64 period);
	void			(*disarm_periodic)(void);
	struct clocksource	*clocksource;
};

#ifdef CONFIG_PV_CLOCKEVENTS

/**
 * PV_TIMER_BACKEND() - Make a built-in backend known to the core
 * @backend: a const struct pv_timer_backend
 *
 * A module calls pv_timer_register() instead.
 */
#define PV_TIMER_BACKEND(backend)					\
	static const struct pv_timer_backend * const __##backend	\
	__used __section("__pv_timer_backends") = &(backend)

DECLARE_STATIC_KEY_FALSE(pv_timer_active);

int pv_timer_register(const struct pv_timer_backend *backend);
bool pv_timer_setup(void);
void pv_timer_crash_stop(void);
bool __pv_timer_interrupt(void);
irqreturn_t pv_timer_irq_handler(int irq, void *unused);

/**
 * pv_timer_interrupt() - The timer of this CPU has raised its interrupt
 *
 * Early, spurious and stale interrupts are sorted out here, the caller
 * acknowledges its interrupt controller and does nothing else.
 *
 * Context: interrupt, irqs off, on the owning CPU.
 * Return: false if no backend ticks here, the interrupt is another device's then.
 */
static inline bool pv_timer_interrupt(void)
{
	return static_branch_unlikely(&pv_timer_active) && __pv_timer_interrupt();
}

#else

static inline bool pv_timer_setup(void) { return false; }
static inline void pv_timer_crash_stop(void) { }
static inline bool pv_timer_interrupt(void) { return false; }

#endif /* CONFIG_PV_CLOCKEVENTS */
#endif /* _LINUX_PV_TIMER_H */
