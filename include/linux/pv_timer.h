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
#include <vdso/clocksource.h>

struct clocksource;
struct module;

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
 * @PV_TIMER_EXACT: it matches on equality only and misses a passed deadline
 * @PV_TIMER_LEVEL: its line, which irq() names, stays up until the timer is
 *	disarmed or re-armed
 * @PV_TIMER_GLOBAL: there is one, on a machine with one CPU
 * @PV_TIMER_NOFAIL: arm() always returns 0
 * @PV_TIMER_FREE: arm() costs no exit, so nothing is saved by leaving it out
 * @PV_TIMER_LOSES_STATE: cpu_start() is needed again after resume and restore
 * @PV_TIMER_SOLE: the platform has no other tick, pv_timer=off is not possible
 * @PV_TIMER_ON_REQUEST: it ticks only when pv_timer= names it
 */
enum pv_timer_flags {
	PV_TIMER_EXACT		= BIT(0),
	PV_TIMER_LEVEL		= BIT(1),
	PV_TIMER_GLOBAL		= BIT(2),
	PV_TIMER_NOFAIL		= BIT(3),
	PV_TIMER_FREE		= BIT(4),
	PV_TIMER_LOSES_STATE	= BIT(5),
	PV_TIMER_SOLE		= BIT(6),
	PV_TIMER_ON_REQUEST	= BIT(7),
};

#define PV_TIMER_ALL_FLAGS	(BIT(8) - 1)

/**
 * struct pv_timer_backend - The timer of one hypervisor
 * @name: what the user reads in the log and types after pv_timer=
 * @rating: the highest of those that probe wins, see enum pv_timer_rating
 * @flags: see enum pv_timer_flags
 * @cs_id: the clocksource that reads the comparator's counter as it is, where
 *	that is not a struct pv_timer_clock; CSID_GENERIC if there is none
 * @vector: the vector from which the architecture calls pv_timer_interrupt(),
 *	0 if the interrupt is a line
 * @max_ticks: the furthest deadline from now that arm() can take, in ticks of
 *	the counter, four jiffies at least; 0 if there is no limit
 * @owner: the module, which stays while the backend ticks; NULL if built in
 * @probe: Return: the frequency of the counter in Hz, 0 if this hypervisor or
 *	its timer is not there, which is not an error. Context: boot or module
 *	load, may sleep.
 * @now: Return: the counter that the comparator is compared with: 64 bits,
 *	which neither wrap nor go backwards on a CPU. Context: irqs off.
 * @arm: Raise one interrupt when the counter reaches the absolute @deadline,
 *	in ticks, never 0; at once if it has passed. Replaces what was
 *	armed. A timer that counts down counts pv_timer_left(). Return: 0, or a
 *	negative error code if the hypervisor refused, which the core counts and
 *	reports. Context: owning CPU, irqs off, no sleep, no locks.
 * @disarm: Forget what was armed. An interrupt that is already on its way may
 *	still arrive. Context: as arm().
 * @cpu_prepare: Set up what may sleep before @cpu comes up. Return: 0, or a
 *	negative error code that keeps the CPU down. Context: a control CPU.
 * @cpu_dead: Undo cpu_prepare() after @cpu went down. Return: 0. Context: as
 *	there.
 * @cpu_start: Route the interrupt and set the mode, before the first arm() and
 *	with PV_TIMER_LOSES_STATE after resume and restore. What an earlier
 *	kernel has armed may still be armed. Context: owning CPU, irqs off.
 * @cpu_stop: Undo cpu_start(), after disarm(). Must work in a crashed
 *	kernel. Context: as arm().
 * @ack: Acknowledge the line that irq() names, first thing in the interrupt.
 *	Context: interrupt.
 * @irq: Return: the line that the core is to request, one that is enabled on
 *	each CPU unless PV_TIMER_GLOBAL is set; a negative error code if there is
 *	none. A backend without it states a @vector, or requests its lines with
 *	pv_timer_irq_handler(). Context: as probe().
 * @stops_in_idle: Return: true if the timer stops in deep idle states, so that
 *	another device has to wake up the CPU (CLOCK_EVT_FEAT_C3STOP). Context:
 *	as cpu_start().
 * @couple: The counter as a linear function of the clocksource @id, another
 *	one than @cs_id, that the timekeeper reads. Return: ticks per cycle as
 *	32.32 fixed point, and the counter at @cycles in *@ticks, both rounded
 *	up; 0 if it is none. Context: irqs off, at each update of the timekeeper.
 *
 * The first four operations are mandatory, pv_timer_register() names the one
 * that is missing. Later versions add members and change none.
 */
struct pv_timer_backend {
	const char		*name;
	int			rating;
	unsigned int		flags;
	enum clocksource_ids	cs_id;
	unsigned int		vector;
	u64			max_ticks;
	struct module		*owner;

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
	bool			(*stops_in_idle)(void);
	u64			(*couple)(enum clocksource_ids id, u64 cycles,
					  u64 *ticks);
};

/**
 * struct pv_timer_clock - The counter of a hypervisor as the kernel's clock
 * @name: what the user reads in available_clocksource
 * @rating: see struct clocksource
 * @hz: the frequency, in Hz
 * @counter: the now() of the backends whose deadlines are times of this clock,
 *	which saves the core all clock reads while the timekeeper reads it
 * @read: Return: the same counter. Context: any, as clocksource->read().
 * @enable: see struct clocksource
 * @suspend: see struct clocksource
 * @resume: see struct clocksource
 * @vdso_clock_mode: how user space reads it
 */
struct pv_timer_clock {
	const char		*name;
	int			rating;
	u64			hz;
	u64			(*counter)(void);
	u64			(*read)(struct clocksource *cs);
	int			(*enable)(struct clocksource *cs);
	void			(*suspend)(struct clocksource *cs);
	void			(*resume)(struct clocksource *cs);
	enum vdso_clock_mode	vdso_clock_mode;
};

/**
 * pv_timer_left() - What arm() has a timer count that counts down
 * @deadline: the deadline that is armed
 * @now: the counter
 *
 * Context: any.
 * Return: the distance, at least 1.
 */
static inline u64 pv_timer_left(u64 deadline, u64 now)
{
	return (s64)(deadline - now) > 0 ? deadline - now : 1;
}

struct clocksource *pv_timer_register_clock(const struct pv_timer_clock *clock);

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
int pv_timer_unregister(const struct pv_timer_backend *backend);
bool pv_timer_setup(void);
void pv_timer_changed(void);
void pv_timer_set_frequency(enum clocksource_ids id, u64 hz);
void pv_timer_stop(void);
extern unsigned int pv_timer_vector;
void __pv_timer_interrupt(void);
irqreturn_t pv_timer_irq_handler(int irq, void *unused);

/**
 * pv_timer_interrupt() - The timer of this CPU has raised its interrupt
 * @vector: the one that was raised
 *
 * Early, spurious and stale interrupts are sorted out here, the caller
 * acknowledges its interrupt controller before and does nothing else.
 *
 * Context: interrupt, irqs off, on the owning CPU.
 * Return: false if no backend ticks by this vector, the interrupt is another
 * device's then.
 */
static inline bool pv_timer_interrupt(unsigned int vector)
{
	if (!static_branch_unlikely(&pv_timer_active) || pv_timer_vector != vector)
		return false;
	__pv_timer_interrupt();
	return true;
}

#else

static inline bool pv_timer_setup(void) { return false; }
static inline void pv_timer_changed(void) { }
static inline void pv_timer_set_frequency(enum clocksource_ids id, u64 hz) { }
static inline void pv_timer_stop(void) { }
static inline bool pv_timer_interrupt(unsigned int vector) { return false; }

#endif /* CONFIG_PV_CLOCKEVENTS */
#endif /* _LINUX_PV_TIMER_H */
