// SPDX-License-Identifier: GPL-2.0
/*
 * One clock event device for the timers of all hypervisors
 *
 * A hypervisor's timer is a counter and a comparator that takes an absolute
 * deadline in ticks of it. A backend reads the one and writes the other, see
 * <linux/pv_timer.h>. All policy is here: what is worth telling the hypervisor
 * and what is not, and what an interrupt means. Which backend ticks is decided
 * in pv_backends.c.
 *
 * The core knows two things about each CPU: the expiry whose deadline the
 * hypervisor holds ("armed_for") and the expiry that the kernel asked for
 * ("next_event"). Telling the hypervisor costs an exit, an interrupt that comes
 * too soon costs one too. So a later request leaves the earlier deadline armed,
 * and the interrupt then arms what is wanted by that time.
 *
 * Nearly all requests and interrupts are plain: the clock that the kernel reads
 * is a function of the counter, the deadline lies ahead, nothing goes wrong.
 * They take a few instructions and read no clock. Everything else takes the
 * general path, in which pv_timer_program() arms and pv_timer_sort_out() finds
 * out what an interrupt means. A CPU takes that path for an interrupt in eight
 * jiffies at least, and for all of them while something is special.
 */
#define pr_fmt(fmt) "pv_timer: " fmt

#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/pv_timer.h>
#include <linux/pv_timer_compat.h>
#include <linux/pvclock_gtod.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/smp.h>
#include <linux/tick.h>
#include <linux/timekeeper_internal.h>
#include <trace/events/pv_timer.h>

#include "pv_clockevents.h"
#include "tick-internal.h"

/* A hypervisor that refuses this often in a row is left alone for a jiffy */
#define PV_TIMER_TRIES		32

/* One that is early this often in a row has a clock that is ahead */
#define PV_TIMER_MAX_EARLY	4U

/* For how long its CPUs look after each other once a deadline was lost */
#define PV_TIMER_WATCH		(60 * HZ)

/* The furthest expiry from now, nine years */
#define PV_TIMER_FAR		BIT_ULL(58)
#define PV_TIMER_FAR_SEC	(PV_TIMER_FAR / NSEC_PER_SEC)

typedef int pv_timer_set_next_t(ktime_t expires, struct clock_event_device *ced);

DEFINE_PER_CPU(struct pv_timer_cpu, pv_timer_cpus);

/* The backend in use, and what follows from it */
const struct pv_timer_backend *pv_timer __read_mostly;
unsigned int pv_timer_vector __read_mostly;
static u64 pv_timer_ticks_per_ns __read_mostly;		/* 32.32 fixed point */
u64 pv_timer_tick __read_mostly;				/* a jiffy in ticks */
static u64 pv_timer_limit_ns __read_mostly;		/* how far arm() reaches */
static pv_timer_set_next_t *pv_timer_set_next __read_mostly;

/* The line that is enabled on each CPU, 0 if the backend has none or a global one */
unsigned int pv_timer_percpu_irq __read_mostly;

DEFINE_STATIC_KEY_FALSE(pv_timer_active);
EXPORT_SYMBOL_GPL(pv_timer_active);
DEFINE_STATIC_CALL_NULL(pv_timer_now, *pv_timer->now);
DEFINE_STATIC_CALL_NULL(pv_timer_arm, *pv_timer->arm);
DEFINE_STATIC_CALL_NULL(pv_timer_disarm, *pv_timer->disarm);
DEFINE_STATIC_CALL_NULL(pv_timer_ack, *pv_timer->ack);

struct pv_timer_line pv_timer_line ____cacheline_aligned = {
	.seq = SEQCNT_ZERO(pv_timer_line.seq),
};

/* Deadlines were lost lately, until these jiffies */
static bool pv_timer_watch;
static unsigned long pv_timer_watch_until;

/* How many events are on that only the general path has */
static unsigned int pv_timer_nr_traced;

static DEFINE_RATELIMIT_STATE(pv_timer_failures, DEFAULT_RATELIMIT_INTERVAL, 3);

/* The counter per cycle of the clock that the timekeeper reads, and at its last update */
static u64 pv_timer_ticks_per_cycle(const struct tk_read_base *tkr, u64 *ticks)
{
	enum clocksource_ids id = tkr->clock->id;

	*ticks = tkr->cycle_last;
	if (tkr->mask != CLOCKSOURCE_MASK(64))
		return 0;
	if ((id != CSID_GENERIC && id == pv_timer->cs_id) ||
	    pv_timer_is_clock(tkr->clock))
		return BIT_ULL(32);
	return pv_timer->couple ? pv_timer->couple(id, tkr->cycle_last, ticks) : 0;
}

/*
 * The timekeeper moves its multiplier up and down by one, to stay near to what
 * NTP wants. The lower of two makes the steeper line, on which no deadline is
 * early by that.
 */
static void pv_timer_draw_line(const struct tk_read_base *tkr, u64 per_cycle)
{
	struct pv_timer_line *l = &pv_timer_line;

	if (per_cycle == l->ticks_per_cycle && tkr->mult == l->mult &&
	    tkr->shift == l->shift)
		return;
	l->slope = 0;
	if (per_cycle && tkr->mult > 1 && tkr->shift <= 32)
		l->slope = mul_u64_u64_div_u64(per_cycle, BIT_ULL(tkr->shift + 24),
					       tkr->mult - 1) + 1;
	l->ticks_per_cycle = per_cycle;
	l->mult = tkr->mult;
	l->shift = tkr->shift;
}

static int pv_timer_gtod_notify(struct notifier_block *nb,
				unsigned long was_set, void *data)
{
	const struct tk_read_base *tkr = &((struct timekeeper *)data)->tkr_mono;
	struct pv_timer_line *l = &pv_timer_line;
	u64 base = tkr->base + (tkr->xtime_nsec >> tkr->shift);
	u64 ticks, per_cycle = pv_timer_ticks_per_cycle(tkr, &ticks);

	write_seqcount_begin(&l->seq);
	pv_timer_draw_line(tkr, per_cycle);
	/* The product with the expiry is rounded down */
	l->offset = l->slope ? ticks + 1 - mul_u64_u64_shr(base, l->slope, 56) : 0;
	write_seqcount_end(&l->seq);
	return NOTIFY_OK;
}

static struct notifier_block pv_timer_gtod = { .notifier_call = pv_timer_gtod_notify };

/* The deadline on the line, 0 if there is none or it is being drawn */
static __always_inline u64 pv_timer_on_line(u64 expires)
{
	const struct pv_timer_line *l = &pv_timer_line;
	unsigned int seq = raw_read_seqcount(&l->seq);
	u64 slope = l->slope, offset = l->offset;

	if (unlikely(seq & 1 || read_seqcount_retry(&l->seq, seq)))
		return 0;
	return mul_u64_u64_shr(expires, slope, 56) + offset;
}

/* Rounds up: an interrupt that is late by a tick is better than a second one */
static u64 pv_timer_ns_to_ticks(u64 ns)
{
	return mul_u64_u64_shr(ns, pv_timer_ticks_per_ns, 32) + 1;
}

/*
 * The counter was read before the clock: time that is stolen in between makes
 * the interrupt early, which costs another one, and not the event late. A deadline
 * of the line has not passed before its expiry, unless the counter of this CPU is
 * ahead of the one that the line was drawn from. 0 is no deadline, so that tick of
 * the counter is skipped.
 */
static u64 pv_timer_deadline(u64 expires, u64 now, u64 clock)
{
	u64 deadline = pv_timer_on_line(expires);
	s64 ns = expires - clock;

	if (ns <= 0)
		deadline = now;
	else if (!deadline || (s64)(deadline - now) <= 0)
		deadline = now + pv_timer_ns_to_ticks(ns);
	return deadline ?: 1;
}

/* The hypervisor breaks its promise. What is armed next may undo it, so go on. */
static void pv_timer_failed(struct pv_timer_cpu *pt, enum pv_timer_stat how, int err)
{
	pt->stats[how]++;
	trace_pv_timer_failed(how, pt->armed_for, pt->armed, err);
	if (__ratelimit(&pv_timer_failures))
		printk_deferred("%spv_timer: %s %s a deadline on CPU%u [%d]\n",
				KERN_ERR, pv_timer->name,
				how == PV_TIMER_LOST ? "lost" : "refused",
				smp_processor_id(), err);
}

/*
 * If all CPUs sleep, there is nobody to notice a loss. So after one, each wakes
 * up every second for a while.
 */
static void pv_timer_lost(struct pv_timer_cpu *pt)
{
	pv_timer_failed(pt, PV_TIMER_LOST, -ETIME);
	WRITE_ONCE(pv_timer_watch_until, jiffies + PV_TIMER_WATCH);
	WRITE_ONCE(pv_timer_watch, true);
}

static bool pv_timer_is_watching(void)
{
	if (READ_ONCE(pv_timer_watch) &&
	    time_after(jiffies, READ_ONCE(pv_timer_watch_until)))
		WRITE_ONCE(pv_timer_watch, false);
	return READ_ONCE(pv_timer_watch);
}

static void pv_timer_forget(struct pv_timer_cpu *pt)
{
	WRITE_ONCE(pt->armed_for, pt->none);
	pt->armed = 0;
	pt->fired = 0;
	pt->clock = KTIME_MAX;
	pt->plain_until = 0;
	pt->refused = false;
	pt->early = 0;
	pt->skew = 0;
	pt->suspect = KTIME_MAX;
}

/*
 * The last interrupt came before its deadline. Once is nothing. A hypervisor
 * whose clock is ahead of ours raises it again and again until ours is there
 * too: arm later by what it is ahead, until four in a row are late by as much.
 */
static void pv_timer_early(struct pv_timer_cpu *pt, u64 ahead)
{
	pt->stats[PV_TIMER_EARLY]++;
	pt->early = min(pt->early + 1, PV_TIMER_MAX_EARLY);
	if (pt->early == PV_TIMER_MAX_EARLY)
		pt->skew = min(pt->skew + ahead, pv_timer_tick / 2);
}

static void pv_timer_not_early(struct pv_timer_cpu *pt, u64 late)
{
	if (late < pt->skew) {
		pt->early = PV_TIMER_MAX_EARLY;
	} else if (!pt->skew || !--pt->early) {
		pt->early = 0;
		pt->skew = 0;
	}
}

/*
 * An equality comparator has missed the deadline if the counter is there by
 * now. Retry with growing distance, as clockevents does for a -ETIME device.
 */
static int pv_timer_arm_exact(struct pv_timer_cpu *pt, u64 deadline)
{
	u64 now, ahead;
	int err;

	for (ahead = 2; ; ahead *= 2) {
		err = static_call(pv_timer_arm)(deadline);
		now = static_call(pv_timer_now)();
		if (err || (s64)(deadline - now) > 0 || ahead >= pv_timer_tick)
			return err;
		deadline = (now + ahead) ?: 1;
		pt->armed = deadline;
	}
}

static int pv_timer_arm_once(struct pv_timer_cpu *pt)
{
	u64 deadline = (pt->armed + pt->skew) ?: 1;

	if (pv_timer->flags & PV_TIMER_EXACT)
		return pv_timer_arm_exact(pt, deadline);
	return static_call(pv_timer_arm)(deadline);
}

/* Expiries from this one on cannot be armed as they are */
static void pv_timer_move_none(struct pv_timer_cpu *pt, u64 clock)
{
	bool none = pt->armed_for == pt->none;

	pt->none = clock + pv_timer_limit_ns + 1;
	if (none)
		WRITE_ONCE(pt->armed_for, pt->none);
}

/*
 * Tell the hypervisor what the kernel wants, or as much of it as it can take. An
 * expiry that has passed raises its interrupt. A refusal may be a passing one,
 * and the kernel does not ask again by itself; after some of them in a row the
 * neighbour sees to it.
 */
static void pv_timer_program_at(struct pv_timer_cpu *pt, u64 now, u64 clock)
{
	u64 most = pv_timer_limit_ns;
	int err, tries = 0;

	if ((s64)(pt->fired - now) > 0)
		pv_timer_early(pt, pt->fired - now);
	pt->fired = 0;
	pv_timer_move_none(pt, clock);
	if (pv_timer_is_watching())
		most = min(most, NSEC_PER_SEC);
	WRITE_ONCE(pt->armed_for, min_t(u64, pt->ced.next_event, clock + most));
	/* Jiffies stand until the next tick: do not put it off from now on each time */
	if (clock != pt->clock || (s64)(now - pt->counter) < 0) {
		pt->clock = clock;
		pt->counter = now;
	}
	pt->armed = pv_timer_deadline(pt->armed_for, pt->counter, clock);
	pt->plain_until = 0;
	pt->suspect = KTIME_MAX;
	pt->stats[PV_TIMER_ARMED]++;
	pt->stats[PV_TIMER_DELAYED] += !!pt->skew;
	trace_pv_timer_arm(pt->ced.next_event, pt->armed, now);

	do {
		err = pv_timer_arm_once(pt);
		if (err)
			pv_timer_failed(pt, PV_TIMER_REFUSED, err);
	} while (err && ++tries < PV_TIMER_TRIES);
	pt->refused = err;
	if (err)
		WRITE_ONCE(pt->armed_for, pt->none);
}

static void pv_timer_program(struct pv_timer_cpu *pt)
{
	u64 now = static_call(pv_timer_now)();

	pv_timer_program_at(pt, now, ktime_get());
}

/* A CPU that has stopped wakes up as well, to look after its neighbour. */
static void pv_timer_program_wanted(struct pv_timer_cpu *pt)
{
	bool oneshot = clockevent_state_oneshot(&pt->ced);

	if (oneshot && pt->ced.next_event != KTIME_MAX)
		pv_timer_program(pt);
	else if ((oneshot || clockevent_state_oneshot_stopped(&pt->ced)) &&
		 pv_timer_is_watching())
		pv_timer_program(pt);
}

/*
 * Does the armed deadline serve this expiry as well? A CPU that stops its tick is
 * not woken for nothing, and what has passed is not relied on: its interrupt may
 * be lost. It may also be held back, as irqs are off here, but not for a second.
 */
static bool pv_timer_elide(struct pv_timer_cpu *pt, u64 expires)
{
	u64 now;

	if (expires < pt->armed_for || pt->armed_for == pt->none ||
	    pv_timer->flags & PV_TIMER_FREE)
		return false;
	now = static_call(pv_timer_now)();
	if ((s64)(now - pt->armed) >= 0) {
		if (now - pt->armed > HZ * pv_timer_tick)
			pv_timer_lost(pt);
		return false;
	}
	if (expires != pt->armed_for && tick_nohz_tick_stopped())
		return false;
	pt->stats[PV_TIMER_ELIDED]++;
	trace_pv_timer_elide(expires, pt->armed, now);
	return true;
}

static struct pv_timer_cpu *ced_to_pv_timer(struct clock_event_device *ced)
{
	return container_of(ced, struct pv_timer_cpu, ced);
}

static int pv_timer_set_next_general(ktime_t expires, struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);

	if (!pv_timer_elide(pt, expires))
		pv_timer_program(pt);
	return 0;
}

/*
 * In the event handler, which has what has passed served at once, without an
 * interrupt, and backs off if that happens again and again.
 */
static int pv_timer_set_next_in_event(ktime_t expires, struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);
	u64 now = static_call(pv_timer_now)();
	ktime_t clock = ktime_get();

	pt->passed = expires <= clock;
	if (!pt->passed) {
		pv_timer_program_at(pt, now, clock);
		return 0;
	}
	pt->stats[PV_TIMER_ELIDED]++;
	trace_pv_timer_elide(expires, now, now);
	return -ETIME;
}

/* After kexec has begun */
static int pv_timer_set_next_nothing(ktime_t expires, struct clock_event_device *ced)
{
	return 0;
}

/*
 * The armed deadline serves a later expiry as well. It is looked at now and then,
 * in case that its interrupt is lost, and where the tick may be stopped.
 */
static int pv_timer_set_next_later(ktime_t expires, struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);

	if (unlikely(pt->armed_for == pt->none || !(pt->stats[PV_TIMER_ELIDED] & 15) ||
		     (expires != pt->armed_for &&
		      (is_idle_task(current) || tick_nohz_full_enabled()))))
		return pv_timer_set_next_general(expires, ced);
	pt->stats[PV_TIMER_ELIDED]++;
	return 0;
}

/*
 * The deadline of an expiry that only has to be armed. Return: false if there is
 * more to it: it is not on the line, has passed, or the last interrupt came early.
 */
static __always_inline bool pv_timer_is_plain(struct pv_timer_cpu *pt, u64 expires,
					      u64 *deadline)
{
	*deadline = pv_timer_on_line(expires);
	if (unlikely((s64)*deadline <= (s64)pt->fired))
		return false;
	pt->armed = *deadline;
	WRITE_ONCE(pt->armed_for, expires);
	pt->stats[PV_TIMER_ARMED]++;
	return true;
}

/* Where the hypervisor cannot refuse */
static int pv_timer_set_next_plain(ktime_t expires, struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);
	u64 deadline;

	if (expires >= pt->armed_for)
		return pv_timer_set_next_later(expires, ced);
	if (!pv_timer_is_plain(pt, expires, &deadline))
		return pv_timer_set_next_general(expires, ced);
	return static_call(pv_timer_arm)(deadline);
}

/* Where arming costs nothing */
static int pv_timer_set_next_free(ktime_t expires, struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);
	u64 deadline;

	if (expires >= pt->none || !pv_timer_is_plain(pt, expires, &deadline))
		return pv_timer_set_next_general(expires, ced);
	return static_call(pv_timer_arm)(deadline);
}

/* It finds the CPU by itself: its caller keeps no register for it across arm() */
static noinline int pv_timer_refused(int err)
{
	struct pv_timer_cpu *pt = this_cpu_ptr(&pv_timer_cpus);

	pv_timer_failed(pt, PV_TIMER_REFUSED, err);
	pv_timer_program(pt);
	return 0;
}

/* Where the hypervisor can refuse */
static int pv_timer_set_next_checked(ktime_t expires, struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);
	u64 deadline;
	int err;

	if (expires >= pt->armed_for)
		return pv_timer_set_next_later(expires, ced);
	if (!pv_timer_is_plain(pt, expires, &deadline))
		return pv_timer_set_next_general(expires, ced);
	err = static_call(pv_timer_arm)(deadline);
	return likely(!err) ? 0 : pv_timer_refused(err);
}

/* The deadline that the hypervisor holds, 0 for none */
static u64 pv_timer_held(const struct pv_timer_cpu *pt)
{
	return pt->armed_for == pt->none ? 0 : pt->armed;
}

/* An interrupt that nobody wants costs less than telling the hypervisor. */
static int pv_timer_oneshot_stopped(struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);

	pt->stats[PV_TIMER_STOPPED]++;
	trace_pv_timer_stop(pv_timer_held(pt));
	ced->next_event = KTIME_MAX;
	if (pv_timer->flags & PV_TIMER_FREE) {
		static_call(pv_timer_disarm)();
		pv_timer_forget(pt);
	}
	if (pt->armed_for == pt->none)
		pv_timer_program_wanted(pt);
	return 0;
}

static int pv_timer_shutdown(struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);

	trace_pv_timer_shutdown(pv_timer_held(pt));
	static_call(pv_timer_disarm)();
	pv_timer_forget(pt);
	return 0;
}

/* What the hypervisor held before suspend or migration is not relied on. */
static int pv_timer_tick_resume(struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);

	trace_pv_timer_resume(pv_timer_held(pt));
	pv_timer_forget(pt);
	if (pv_timer->flags & PV_TIMER_LOSES_STATE && pv_timer->cpu_start)
		pv_timer->cpu_start();
	return 0;
}

static void pv_timer_restart(struct pv_timer_cpu *pt)
{
	if (!clockevent_state_oneshot(&pt->ced) &&
	    !clockevent_state_oneshot_stopped(&pt->ced))
		return;
	pt->stats[PV_TIMER_RESTARTED]++;
	trace_pv_timer_restart(pv_timer_held(pt));
	pv_timer_tick_resume(&pt->ced);
	pv_timer_program_wanted(pt);
}

/* By the clock, as the counters of two CPUs need not agree */
static bool pv_timer_is_overdue(const struct pv_timer_cpu *pt, u64 clock)
{
	u64 armed_for = READ_ONCE(pt->armed_for);

	if (armed_for == READ_ONCE(pt->none))
		return READ_ONCE(pt->refused);
	return (s64)(clock - armed_for) > TICK_NSEC;
}

/*
 * On the CPU whose deadline is overdue. If its interrupt was only held back, it
 * is taken after this one. So the deadline is lost when it is still armed a jiffy
 * later.
 */
static bool pv_timer_is_lost(struct pv_timer_cpu *pt, u64 clock)
{
	if (pt->suspect != pt->armed_for) {
		pt->suspect = pt->armed_for;
		pt->suspect_since = clock;
		pt->plain_until = 0;
		pt->ced.set_next_ktime = pv_timer_set_next_general;
	}
	if (clock - pt->suspect_since < TICK_NSEC)
		return false;
	pv_timer_lost(pt);
	return true;
}

static void pv_timer_recheck(void *unused)
{
	struct pv_timer_cpu *pt = this_cpu_ptr(&pv_timer_cpus);
	u64 clock = ktime_get();

	atomic_set(&pt->asked, 0);
	if (xchg(&pt->changed, false)) {
		pv_timer_restart(pt);
		return;
	}
	if (!pv_timer_is_overdue(pt, clock))
		return;
	if (!pt->refused && !pv_timer_is_lost(pt, clock))
		return;
	pt->refused = false;
	pv_timer_program_wanted(pt);
}

/* Any number of CPUs may ask, a csd is for one */
static void pv_timer_ask(unsigned int cpu)
{
	struct pv_timer_cpu *pt = per_cpu_ptr(&pv_timer_cpus, cpu);

	if (pt->ced.name && !atomic_xchg(&pt->asked, 1) &&
	    smp_call_function_single_async(cpu, &pt->csd))
		atomic_set(&pt->asked, 0);
}

/*
 * A CPU cannot notice that it has lost its only interrupt, another one can.
 * Each looks after the next one, once in a jiffy by its own counter: jiffies
 * stand still when it is the timekeeper that has lost its tick.
 */
static void pv_timer_check_neighbour(struct pv_timer_cpu *pt, u64 now, u64 clock)
{
	unsigned int cpu = smp_processor_id();

	if (now - pt->checked < pv_timer_tick)
		return;
	pt->checked = now;

	cpu = cpumask_next(cpu, cpu_online_mask);
	if (cpu >= nr_cpu_ids)
		cpu = cpumask_first(cpu_online_mask);
	pt->worried = pv_timer_is_overdue(per_cpu_ptr(&pv_timer_cpus, cpu), clock);
	if (pt->worried)
		pv_timer_ask(cpu);
}

/* What the handler was told to have passed, and has left, still interrupts. */
static void pv_timer_event(struct pv_timer_cpu *pt, u64 now)
{
	pv_timer_not_early(pt, now - pt->armed);
	pt->ced.set_next_ktime = pv_timer_set_next_in_event;
	pt->ced.event_handler(&pt->ced);
	pt->ced.set_next_ktime = pv_timer_set_next_general;
	if (pt->passed && (pt->armed_for == pt->none ||
			   pt->ced.next_event < pt->armed_for))
		pv_timer_program_wanted(pt);
}

static enum pv_timer_stat pv_timer_meaning(const struct pv_timer_cpu *pt, u64 now)
{
	if (pt->armed_for == pt->none)
		return PV_TIMER_SPURIOUS;
	if (pt->ced.next_event > pt->armed_for)
		return PV_TIMER_SUPERSEDED;
	return (s64)(now - pt->armed) < 0 ? PV_TIMER_EARLY : PV_TIMER_EVENTS;
}

/*
 * The events that the plain path would have are on the general one only, and each CPU
 * takes that while one of them is on: none of them costs anything while it is off.
 */
static bool pv_timer_is_traced(void)
{
	return IS_ENABLED(CONFIG_TRACEPOINTS) && READ_ONCE(pv_timer_nr_traced);
}

static void pv_timer_leave_plain_path(void *unused)
{
	struct pv_timer_cpu *pt = this_cpu_ptr(&pv_timer_cpus);

	pt->plain_until = 0;
	if (pt->ced.set_next_ktime == pv_timer_set_next)
		pt->ced.set_next_ktime = pv_timer_set_next_general;
}

/* Tracepoints come and go one by one */
static int __maybe_unused pv_timer_trace_on(void)
{
	WRITE_ONCE(pv_timer_nr_traced, pv_timer_nr_traced + 1);
	on_each_cpu(pv_timer_leave_plain_path, NULL, true);
	return 0;
}

/* A CPU goes back when it next sorts out an interrupt */
static void __maybe_unused pv_timer_trace_off(void)
{
	WRITE_ONCE(pv_timer_nr_traced, pv_timer_nr_traced - 1);
}

#define CREATE_TRACE_POINTS
#include <trace/events/pv_timer.h>
#undef CREATE_TRACE_POINTS

/* What is special is so until an interrupt finds that it no longer is. */
static void pv_timer_choose_path(struct pv_timer_cpu *pt, u64 now)
{
	bool special = pt->skew || pt->passed || pt->refused || pv_timer_is_traced() ||
		       !READ_ONCE(pv_timer_line.slope) || pv_timer_is_watching();
	u64 clock = ktime_get();

	pt->ced.set_next_ktime = special ? pv_timer_set_next_general : pv_timer_set_next;
	pv_timer_move_none(pt, clock);
	pv_timer_check_neighbour(pt, now, clock);
	pt->plain_until = special || pt->worried ? 0 : now + 8 * pv_timer_tick;
}

static noinline void pv_timer_sort_out(struct pv_timer_cpu *pt)
{
	u64 now = static_call(pv_timer_now)();
	enum pv_timer_stat what = pv_timer_meaning(pt, now);

	/* What is early is counted when it is armed again */
	pt->stats[what] += what != PV_TIMER_EARLY;
	trace_pv_timer_interrupt(what, pt->armed, now);
	pt->fired = what == PV_TIMER_EARLY ? pt->armed : 0;
	pt->passed = false;
	pt->refused &= what == PV_TIMER_SPURIOUS;
	pt->suspect = KTIME_MAX;
	WRITE_ONCE(pt->armed_for, pt->none);
	if (what == PV_TIMER_EVENTS)
		pv_timer_event(pt, now);
	else if (what != PV_TIMER_SPURIOUS || pt->refused)
		pv_timer_program_wanted(pt);
	if (what != PV_TIMER_SPURIOUS)
		pv_timer_choose_path(pt, now);
}

/**
 * __pv_timer_interrupt() - pv_timer_interrupt() once it is ours
 *
 * hrtimer_interrupt() reads the clock by itself, finds nothing to do if it is
 * called early, and asks for the same expiry again.
 *
 * Context: interrupt, irqs off, on the owning CPU.
 */
void __pv_timer_interrupt(void)
{
	struct pv_timer_cpu *pt = this_cpu_ptr(&pv_timer_cpus);

	if (unlikely(pt->ced.event_handler != hrtimer_interrupt ||
		     pt->ced.next_event != pt->armed_for ||
		     pt->armed >= pt->plain_until)) {
		pv_timer_sort_out(pt);
		return;
	}
	pt->fired = pt->armed;
	WRITE_ONCE(pt->armed_for, pt->none);
	pt->stats[PV_TIMER_EVENTS]++;
	hrtimer_interrupt(&pt->ced);
}

/**
 * pv_timer_irq_handler() - pv_timer_interrupt() for a line that a backend requests
 * @irq: not used
 * @unused: not used
 *
 * Context: interrupt, irqs off, on the owning CPU.
 * Return: IRQ_HANDLED.
 */
irqreturn_t pv_timer_irq_handler(int irq, void *unused)
{
	__pv_timer_interrupt();
	return IRQ_HANDLED;
}
EXPORT_SYMBOL_GPL(pv_timer_irq_handler);

/**
 * pv_timer_line_handler() - The same for the line that the core requests
 * @irq: not used
 * @unused: not used
 *
 * Context: interrupt, irqs off, on the owning CPU.
 * Return: IRQ_HANDLED.
 */
irqreturn_t pv_timer_line_handler(int irq, void *unused)
{
	struct pv_timer_cpu *pt = this_cpu_ptr(&pv_timer_cpus);

	static_call_cond(pv_timer_ack)();
	__pv_timer_interrupt();
	/* Arming has lowered the line already, save the second call */
	if (pv_timer->flags & PV_TIMER_LEVEL && pt->armed_for == pt->none)
		static_call(pv_timer_disarm)();
	return IRQ_HANDLED;
}

static void pv_timer_init_device(struct pv_timer_cpu *pt,
				 const struct cpumask *cpumask)
{
	pt->ced = (struct clock_event_device) {
		.name				= "pv_timer",
		.features			= CLOCK_EVT_FEAT_ONESHOT | CLOCK_EVT_FEAT_KTIME,
		.rating				= pv_timer->rating,
		.irq				= -1,
		.cpumask			= cpumask,
		.mult				= 1,
		.next_event			= KTIME_MAX,
		.set_next_ktime			= pv_timer_set_next_general,
		.set_state_oneshot_stopped	= pv_timer_oneshot_stopped,
		.set_state_shutdown		= pv_timer_shutdown,
		.tick_resume			= pv_timer_tick_resume,
	};
	if (pv_timer->stops_in_idle && pv_timer->stops_in_idle())
		pt->ced.features |= CLOCK_EVT_FEAT_C3STOP;
	if (!(pv_timer->flags & PV_TIMER_GLOBAL))
		pt->ced.features |= CLOCK_EVT_FEAT_PERCPU;
	INIT_CSD(&pt->csd, pv_timer_recheck, NULL);
	atomic_set(&pt->asked, 0);
	pt->none = 0;
	pv_timer_forget(pt);
}

/* The mode and the line of this CPU's timer; the boot CPU comes with irqs on. */
static void pv_timer_cpu_start(void)
{
	if (pv_timer_percpu_irq)
		enable_percpu_irq(pv_timer_percpu_irq, IRQ_TYPE_NONE);
	if (pv_timer->cpu_start)
		pv_timer->cpu_start();
}

static void pv_timer_cpu_stop(struct pv_timer_cpu *pt)
{
	pv_timer_shutdown(&pt->ced);
	if (pv_timer->cpu_stop)
		pv_timer->cpu_stop();
	if (pv_timer_percpu_irq)
		disable_percpu_irq(pv_timer_percpu_irq);
}

/**
 * pv_timer_starting_cpu() - Register the device of a CPU, which arms it at once
 * @cpu: this one
 *
 * Context: CPU hotplug, on @cpu.
 * Return: 0.
 */
int pv_timer_starting_cpu(unsigned int cpu)
{
	struct pv_timer_cpu *pt = per_cpu_ptr(&pv_timer_cpus, cpu);

	guard(irqsave)();
	pv_timer_cpu_start();
	pv_timer_init_device(pt, pv_timer->flags & PV_TIMER_GLOBAL ?
			     cpu_possible_mask : cpumask_of(cpu));
	clockevents_register_device(&pt->ced);
	return 0;
}

/**
 * pv_timer_dying_cpu() - Stop the timer of a CPU
 * @cpu: this one
 *
 * Context: CPU hotplug, on @cpu, irqs off. The tick has been handed over and
 * the hrtimers have left before.
 * Return: 0.
 */
int pv_timer_dying_cpu(unsigned int cpu)
{
	pv_timer_cpu_stop(&per_cpu(pv_timer_cpus, cpu));
	return 0;
}

/**
 * pv_timer_restart_this_cpu() - Do not rely on what was armed here until now
 *
 * Context: any, on a CPU that does not migrate.
 */
void pv_timer_restart_this_cpu(void)
{
	guard(irqsave)();
	pv_timer_restart(this_cpu_ptr(&pv_timer_cpus));
}

/*
 * What a backend says of its counter may be another line now, and the next update
 * of the timekeeper takes a timer.
 */
static void pv_timer_restart_all(struct irq_work *unused)
{
	unsigned int cpu;

	pvclock_gtod_unregister_notifier(&pv_timer_gtod);
	pvclock_gtod_register_notifier(&pv_timer_gtod);
	for_each_online_cpu(cpu) {
		WRITE_ONCE(per_cpu(pv_timer_cpus, cpu).changed, true);
		pv_timer_ask(cpu);
	}
}

static struct irq_work pv_timer_restart_work = IRQ_WORK_INIT_HARD(pv_timer_restart_all);

/**
 * pv_timer_changed() - The hypervisor may have lost its deadlines
 *
 * For who learns that the guest was restored from a snapshot, or has migrated.
 * Each CPU sets the mode of its timer again and arms what is wanted, this one as
 * soon as it takes interrupts.
 *
 * Context: any: the clock may be being read, or the timekeeper be updated.
 */
void pv_timer_changed(void)
{
	if (static_key_enabled(&pv_timer_active))
		irq_work_queue(&pv_timer_restart_work);
}
EXPORT_SYMBOL_GPL(pv_timer_changed);

static void pv_timer_set_hz(u64 hz)
{
	u64 rem, sec = div64_u64_rem(hz, NSEC_PER_SEC, &rem);

	pv_timer_ticks_per_ns = (sec << 32) +
				DIV_U64_ROUND_UP(rem << 32, NSEC_PER_SEC);
	pv_timer_tick = div_u64(hz, HZ);
	/* An eighth less, as the clock is steered */
	pv_timer_limit_ns = PV_TIMER_FAR;
	if (pv_timer->max_ticks && div64_u64(pv_timer->max_ticks, hz) < PV_TIMER_FAR_SEC)
		pv_timer_limit_ns = mul_u64_u64_div_u64(pv_timer->max_ticks,
							NSEC_PER_SEC / 8 * 7, hz);
}

/**
 * pv_timer_set_frequency() - The frequency of a counter is better known, or new
 * @id: the clocksource that reads it
 * @hz: its frequency, in Hz
 *
 * Context: any, also with irqs off. Not twice at once.
 */
void pv_timer_set_frequency(enum clocksource_ids id, u64 hz)
{
	if (!static_key_enabled(&pv_timer_active) || pv_timer->cs_id != id)
		return;
	pv_timer_set_hz(hz);
	pv_timer_changed();
}

/**
 * pv_timer_stop() - Disarm this CPU's timer, the last one, for the next kernel
 *
 * It is not armed again.
 *
 * Context: kexec after all other CPUs have stopped, or a crashed kernel. Takes
 * no lock.
 */
void pv_timer_stop(void)
{
	struct pv_timer_cpu *pt;

	guard(irqsave)();
	if (!pv_timer)
		return;
	pt = this_cpu_ptr(&pv_timer_cpus);
	WRITE_ONCE(pv_timer_watch, false);
	pt->ced.set_next_ktime = pv_timer_set_next_nothing;
	pv_timer_shutdown(&pt->ced);
	if (pv_timer->cpu_stop)
		pv_timer->cpu_stop();
}

static void pv_timer_start_test(struct pv_timer_cpu *pt)
{
	guard(irqsave)();
	pv_timer_init_device(pt, cpu_possible_mask);
	pt->ced.event_handler = clockevents_handle_noop;
	clockevent_set_state(&pt->ced, CLOCK_EVT_STATE_ONESHOT);
	pv_timer_cpu_start();
	pt->ced.next_event = ktime_add_us(ktime_get(), 100);
	pv_timer_program(pt);
}

/**
 * pv_timer_fires() - Rely on a timer only after it has fired once
 *
 * A hypervisor may lie.
 *
 * Context: process, irqs on, preemption off for a second at most.
 * Return: true if the backend in use raises its interrupt on this CPU.
 */
bool pv_timer_fires(void)
{
	unsigned int us = 10 * USEC_PER_SEC;
	struct pv_timer_cpu *pt;
	unsigned long before;
	u64 end;

	guard(preempt)();
	pt = this_cpu_ptr(&pv_timer_cpus);
	before = pt->stats[PV_TIMER_EVENTS];
	end = static_call(pv_timer_now)() + HZ * pv_timer_tick;
	pv_timer_start_test(pt);
	do
		udelay(1);
	while (READ_ONCE(pt->stats[PV_TIMER_EVENTS]) == before && --us &&
	       (s64)(end - static_call(pv_timer_now)()) > 0);
	guard(irqsave)();
	pv_timer_cpu_stop(pt);
	clockevent_set_state(&pt->ced, CLOCK_EVT_STATE_DETACHED);
	return pt->stats[PV_TIMER_EVENTS] != before;
}

static pv_timer_set_next_t *pv_timer_set_next_of(const struct pv_timer_backend *backend)
{
	bool nofail = backend->flags & PV_TIMER_NOFAIL;

	if (backend->flags & PV_TIMER_EXACT)
		return pv_timer_set_next_general;
	if (backend->flags & PV_TIMER_FREE)
		return nofail ? pv_timer_set_next_free : pv_timer_set_next_general;
	return nofail ? pv_timer_set_next_plain : pv_timer_set_next_checked;
}

/**
 * pv_timer_adopt() - Make a backend the one in use
 * @backend: has probed
 * @hz: the frequency of its counter
 *
 * Context: process, may sleep.
 */
void pv_timer_adopt(const struct pv_timer_backend *backend, u64 hz)
{
	pv_timer = backend;
	pv_timer_vector = backend->vector;
	pv_timer_set_hz(hz);
	pv_timer_set_next = pv_timer_set_next_of(backend);
	static_call_update(pv_timer_now, backend->now);
	static_call_update(pv_timer_arm, backend->arm);
	static_call_update(pv_timer_disarm, backend->disarm);
	static_call_update(pv_timer_ack, backend->ack);
	static_branch_enable(&pv_timer_active);
}

/**
 * pv_timer_couple() - Convert with the timekeeper's numbers from now on
 *
 * Context: process. The clocksource in use may be any.
 */
void pv_timer_couple(void)
{
	pvclock_gtod_register_notifier(&pv_timer_gtod);
}
