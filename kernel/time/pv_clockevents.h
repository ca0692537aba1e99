/* SPDX-License-Identifier: GPL-2.0 */
/* What pv_backends.c, which chooses a backend, and the core share. */
#ifndef _KERNEL_TIME_PV_CLOCKEVENTS_H
#define _KERNEL_TIME_PV_CLOCKEVENTS_H

#include <linux/clockchips.h>
#include <linux/percpu-defs.h>
#include <linux/pv_timer.h>
#include <linux/seqlock.h>
#include <linux/smp.h>
#include <linux/static_call.h>

enum pv_timer_stat {
	PV_TIMER_SET,		/* set_next_ktime() calls */
	PV_TIMER_ARMED,		/* deadlines handed to the hypervisor */
	PV_TIMER_ELIDED,	/* set_next_ktime() calls without that */
	PV_TIMER_STOPPED,	/* oneshot_stopped, noted only */
	PV_TIMER_EVENTS,	/* interrupts that called the event handler */
	PV_TIMER_EARLY,		/* before the armed deadline: armed again */
	PV_TIMER_SOAKED,	/* on time, but the kernel no longer wants it */
	PV_TIMER_SPURIOUS,	/* with nothing armed */
	PV_TIMER_LOST,		/* deadlines that passed without interrupt */
	PV_TIMER_REFUSED,	/* arm() failed */
	PV_TIMER_NR_STATS,
};

/**
 * struct pv_timer_cpu - The timer of one CPU
 * @ced: the clock event device
 * @armed: the deadline that the hypervisor holds, in ticks, 0 for none
 * @armed_for: the expiry that @armed stands for
 * @want: the expiry that the kernel asked for, KTIME_MAX for none
 * @in_event: the event handler runs, and sees to what has passed by itself
 * @suspect: an overdue @armed, taken for lost when it is seen again
 * @checked: when this CPU looked after its neighbour, in ticks
 * @csd: asks the neighbour to look after itself
 * @stats: see enum pv_timer_stat
 */
struct pv_timer_cpu {
	struct clock_event_device	ced;
	u64				armed;
	ktime_t				armed_for;
	ktime_t				want;
	bool				in_event;
	u64				suspect;
	u64				checked;
	call_single_data_t		csd;
	unsigned long			stats[PV_TIMER_NR_STATS];
};

/**
 * struct pv_timer_coupling - The timekeeper's numbers, in ticks of the counter
 * @seq: taken by timekeeping_update() for writing, with irqs off
 * @valid: the timekeeper's clocksource reads the comparator's counter
 * @ticks: the counter at the last update
 * @base: CLOCK_MONOTONIC at that time
 * @ticks_per_ns: 32.32 fixed point, as steered by NTP
 * @mult: the timekeeper's multiplier that @ticks_per_ns was made from
 */
struct pv_timer_coupling {
	seqcount_t	seq;
	bool		valid;
	u64		ticks;
	ktime_t		base;
	u64		ticks_per_ns;
	u32		mult;
};

DECLARE_PER_CPU(struct pv_timer_cpu, pv_timer_cpus);

/* The backends that were linked in, see PV_TIMER_BACKEND() */
extern const struct pv_timer_backend * const __start___pv_timer_backends[];
extern const struct pv_timer_backend * const __stop___pv_timer_backends[];

/* The backend in use, NULL for none */
extern const struct pv_timer_backend *pv_timer;

DECLARE_STATIC_CALL(pv_timer_now, *pv_timer->now);
DECLARE_STATIC_CALL(pv_timer_arm, *pv_timer->arm);
DECLARE_STATIC_CALL(pv_timer_disarm, *pv_timer->disarm);
DECLARE_STATIC_CALL(pv_timer_ack, *pv_timer->ack);

extern unsigned int pv_timer_percpu_irq;

void pv_timer_adopt(const struct pv_timer_backend *backend, u64 hz);
bool pv_timer_fires(void);
int pv_timer_starting_cpu(unsigned int cpu);
int pv_timer_dying_cpu(unsigned int cpu);
void pv_timer_couple(void);

#endif /* _KERNEL_TIME_PV_CLOCKEVENTS_H */
