/* SPDX-License-Identifier: GPL-2.0 */
/* What pv_backends.c, which chooses a backend, and the core share. */
#ifndef _KERNEL_TIME_PV_CLOCKEVENTS_H
#define _KERNEL_TIME_PV_CLOCKEVENTS_H

#include <linux/clockchips.h>
#include <linux/hrtimer.h>
#include <linux/kconfig.h>
#include <linux/percpu-defs.h>
#include <linux/pv_timer.h>
#include <linux/seqlock.h>
#include <linux/smp.h>
#include <linux/static_call.h>

/* Deadlines as far away as any that is armed fit 63 bits */
#define PV_TIMER_MAX_HZ		(8ULL * NSEC_PER_SEC)

enum pv_timer_stat {
	PV_TIMER_ARMED,		/* deadlines handed to the hypervisor */
	PV_TIMER_ELIDED,	/* requests without that */
	PV_TIMER_STOPPED,	/* oneshot_stopped */
	PV_TIMER_EVENTS,	/* interrupts that called the event handler */
	PV_TIMER_EARLY,		/* before the armed deadline: armed again */
	PV_TIMER_SUPERSEDED,	/* on time, but the kernel wants a later expiry */
	PV_TIMER_SPURIOUS,	/* with nothing armed */
	PV_TIMER_LOST,		/* deadlines that passed without interrupt */
	PV_TIMER_REFUSED,	/* arm() failed */
	PV_TIMER_DELAYED,	/* armed later, as interrupts came early */
	PV_TIMER_RESTARTED,	/* armed again after pv_timer_changed() */
	PV_TIMER_NR_STATS,
};

/**
 * struct pv_timer_cpu - The timer of one CPU
 * @ced: the clock event device; its next_event is what the kernel wants
 * @armed: the deadline that the hypervisor holds, in ticks, valid with @armed_for
 * @armed_for: the expiry that @armed stands for, @none if there is none
 * @none: an expiry further away than arm() reaches, so that one comparison with
 *	@armed_for sorts out all that does not simply have to be armed
 * @fired: the deadline of the last interrupt, up to which none is armed without
 *	a closer look
 * @clock: the clock when something was last armed
 * @counter: the counter when that was first seen
 * @plain_until: interrupts of deadlines before this one, in ticks, need not be
 *	sorted out
 * @stats: see enum pv_timer_stat
 * @passed: the event handler was told that its expiry has passed
 * @refused: nothing is armed, as the hypervisor has refused it
 * @early: early interrupts in a row, at most PV_TIMER_MAX_EARLY
 * @skew: armed later by this, as the hypervisor's clock is ahead, in ticks
 * @suspect: an overdue @armed_for, taken for lost when it is seen again;
 *	KTIME_MAX if there is none
 * @suspect_since: when that was seen first
 * @checked: when this CPU looked after its neighbour, in ticks
 * @worried: the neighbour was overdue then
 * @asked: @csd is under way
 * @changed: what the hypervisor held is not relied on
 * @csd: has the CPU look after itself
 * @before: @stats when they were reset
 */
struct pv_timer_cpu {
	struct clock_event_device	ced;
	u64				armed;
	u64				armed_for;
	u64				none;
	u64				fired;
	u64				clock;
	u64				counter;
	u64				plain_until;
	unsigned long			stats[PV_TIMER_NR_STATS];
	bool				passed;
	bool				refused;
	unsigned int			early;
	u64				skew;
	u64				suspect;
	ktime_t				suspect_since;
	u64				checked;
	bool				worried;
	atomic_t			asked;
	bool				changed;
	call_single_data_t		csd;
	unsigned long			before[PV_TIMER_NR_STATS];
};

/**
 * struct pv_timer_line - The counter as a function of CLOCK_MONOTONIC
 * @seq: taken by timekeeping_update() for writing, with irqs off
 * @slope: ticks per ns as 8.56 fixed point, as steered by NTP; 0 if the
 *	timekeeper reads no function of the counter
 * @offset: the counter at the time 0
 * @ticks_per_cycle: of the timekeeper's clocksource, 32.32 fixed point
 * @mult: the timekeeper's multiplier, of which @slope was made
 * @shift: its shift
 */
struct pv_timer_line {
	seqcount_t	seq;
	u64		slope;
	u64		offset;
	u64		ticks_per_cycle;
	u32		mult;
	u32		shift;
};

/* May backends come after boot? */
static inline bool pv_timer_has_modules(void)
{
	return IS_ENABLED(CONFIG_MODULES);
}

#ifndef CONFIG_HIGH_RES_TIMERS
/* Is the event handler of no device */
static inline void hrtimer_interrupt(struct clock_event_device *ced) { }
#endif

DECLARE_PER_CPU(struct pv_timer_cpu, pv_timer_cpus);
extern struct pv_timer_line pv_timer_line;

/* The backends that were linked in, see PV_TIMER_BACKEND() */
extern const struct pv_timer_backend * const __start___pv_timer_backends[];
extern const struct pv_timer_backend * const __stop___pv_timer_backends[];

/* The backend in use, NULL for none */
extern const struct pv_timer_backend *pv_timer;

DECLARE_STATIC_CALL(pv_timer_now, *pv_timer->now);
DECLARE_STATIC_CALL(pv_timer_arm, *pv_timer->arm);
DECLARE_STATIC_CALL(pv_timer_disarm, *pv_timer->disarm);
DECLARE_STATIC_CALL(pv_timer_ack, *pv_timer->ack);

extern u64 pv_timer_tick;
extern unsigned int pv_timer_percpu_irq;

bool pv_timer_is_clock(const struct clocksource *cs);
irqreturn_t pv_timer_line_handler(int irq, void *unused);
void pv_timer_adopt(const struct pv_timer_backend *backend, u64 hz);
bool pv_timer_fires(void);
int pv_timer_starting_cpu(unsigned int cpu);
int pv_timer_dying_cpu(unsigned int cpu);
void pv_timer_restart_this_cpu(void);
void pv_timer_couple(void);

#endif /* _KERNEL_TIME_PV_CLOCKEVENTS_H */
