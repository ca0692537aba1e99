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
 * The core knows two things about each CPU: the deadline that the hypervisor
 * holds ("armed") and the expiry that the kernel asked for ("want"). Telling
 * the hypervisor costs an exit, an interrupt that comes too soon costs one
 * too. So a later want leaves the earlier deadline armed, and the interrupt
 * then arms what is wanted by that time.
 */
#define pr_fmt(fmt) "pv_timer: " fmt

#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/pv_timer.h>
#include <linux/pvclock_gtod.h>
#include <linux/ratelimit.h>
#include <linux/seqlock.h>
#include <linux/tick.h>
#include <linux/timekeeper_internal.h>

#include "pv_clockevents.h"
#include "tick-internal.h"

DEFINE_PER_CPU(struct pv_timer_cpu, pv_timer_cpus);

/* The backend in use, and what follows from it once and for all */
const struct pv_timer_backend *pv_timer __read_mostly;
static u64 pv_timer_ticks_per_ns __read_mostly;		/* 32.32 fixed point */
static u64 pv_timer_max_ns __read_mostly;		/* fits 63 bits in ticks */
static u64 pv_timer_tick __read_mostly;			/* a jiffy in ticks */
static u64 pv_timer_max_ticks __read_mostly;		/* 0 for no limit */

/* The line that is enabled on each CPU, 0 if the backend has none or a global one */
unsigned int pv_timer_percpu_irq __read_mostly;

DEFINE_STATIC_KEY_FALSE(pv_timer_active);
EXPORT_SYMBOL_GPL(pv_timer_active);
DEFINE_STATIC_CALL_NULL(pv_timer_now, *pv_timer->now);
DEFINE_STATIC_CALL_NULL(pv_timer_arm, *pv_timer->arm);
DEFINE_STATIC_CALL_NULL(pv_timer_disarm, *pv_timer->disarm);
DEFINE_STATIC_CALL_NULL(pv_timer_ack, *pv_timer->ack);

static struct pv_timer_coupling pv_timer_coupling = {
	.seq = SEQCNT_ZERO(pv_timer_coupling.seq),
};

static struct pv_timer_cpu *pv_timer_this_cpu(void)
{
	if (pv_timer->flags & PV_TIMER_GLOBAL)
		return per_cpu_ptr(&pv_timer_cpus, 0);
	return this_cpu_ptr(&pv_timer_cpus);
}

/* Rounds up: an interrupt that is late by a tick is better than a second one */
static u64 pv_timer_ns_to_ticks(u64 ns, u64 ticks_per_ns)
{
	return mul_u64_u64_shr(min(ns, pv_timer_max_ns), ticks_per_ns, 32) + 1;
}

static int pv_timer_gtod_notify(struct notifier_block *nb,
				unsigned long was_set, void *data)
{
	const struct tk_read_base *tkr = &((struct timekeeper *)data)->tkr_mono;
	struct pv_timer_coupling *c = &pv_timer_coupling;

	write_seqcount_begin(&c->seq);
	c->valid = tkr->clock->id == pv_timer->cs_id && tkr->shift < 32;
	if (!c->valid)
		c->mult = 0;
	c->ticks = tkr->cycle_last;
	c->base = tkr->base + (tkr->xtime_nsec >> tkr->shift);
	if (c->valid && c->mult != tkr->mult) {
		c->mult = tkr->mult;
		c->ticks_per_ns = DIV64_U64_ROUND_UP(1ULL << (32 + tkr->shift),
						     tkr->mult);
	}
	write_seqcount_end(&c->seq);
	return NOTIFY_OK;
}

static struct notifier_block pv_timer_gtod = { .notifier_call = pv_timer_gtod_notify };

/* The deadline for @expires without reading a clock, 0 if that is not possible */
static u64 pv_timer_coupled_deadline(ktime_t expires)
{
	const struct pv_timer_coupling *c = &pv_timer_coupling;
	unsigned int seq;
	u64 deadline;

	do {
		seq = read_seqcount_begin(&c->seq);
		deadline = c->valid ? c->ticks : 0;
		if (c->valid && expires > c->base)
			deadline += pv_timer_ns_to_ticks(expires - c->base,
							 c->ticks_per_ns);
	} while (read_seqcount_retry(&c->seq, seq));

	return deadline;
}

/*
 * The counter is read before the clock: time that is stolen in between makes
 * the interrupt early, which costs another one, and not the event late.
 */
static u64 pv_timer_deadline(ktime_t expires, bool *passed)
{
	u64 now, deadline = pv_timer_coupled_deadline(expires);
	s64 delta;

	*passed = false;
	if (deadline)
		return deadline;

	now = static_call(pv_timer_now)();
	delta = ktime_sub(expires, ktime_get());
	*passed = delta <= 0;
	if (*passed)
		return now;
	return now + pv_timer_ns_to_ticks(delta, pv_timer_ticks_per_ns);
}

static DEFINE_RATELIMIT_STATE(pv_timer_failures, DEFAULT_RATELIMIT_INTERVAL, 3);

/* The hypervisor breaks its promise. What is armed next may undo it, so go on. */
static void pv_timer_failed(struct pv_timer_cpu *pt, enum pv_timer_stat how, int err)
{
	pt->stats[how]++;
	if (__ratelimit(&pv_timer_failures))
		printk_deferred("%spv_timer: %s %s a deadline on CPU%u [%d]\n",
				KERN_ERR, pv_timer->name,
				how == PV_TIMER_LOST ? "lost" : "refused",
				smp_processor_id(), err);
}

/*
 * Nothing is armed, but the deadline stays: no expiry is elided against it, so
 * the next one tries again, and so does the neighbour once it is overdue.
 */
static void pv_timer_refused(struct pv_timer_cpu *pt, int err)
{
	pt->armed_for = KTIME_MAX;
	pv_timer_failed(pt, PV_TIMER_REFUSED, err);
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
		WRITE_ONCE(pt->armed, deadline);
		err = static_call(pv_timer_arm)(deadline);
		now = static_call(pv_timer_now)();
		if (err || (s64)(deadline - now) > 0 || ahead >= pv_timer_tick)
			return err;
		deadline = (now + ahead) ?: 1;
	}
}

/* Counters that count down or end early get what they can take */
static int pv_timer_arm_limited(struct pv_timer_cpu *pt, u64 deadline)
{
	u64 now = static_call(pv_timer_now)();
	u64 left = max_t(s64, deadline - now, !!(pv_timer->flags & PV_TIMER_RELATIVE));
	u64 most = READ_ONCE(pv_timer_max_ticks);

	if (most && left > most) {
		left = most;
		/* Anything from this expiry on waits for the interrupt */
		pt->armed_for = ktime_sub_ns(pt->want, 1);
	}
	deadline = (now + left) ?: 1;
	if (pv_timer->flags & PV_TIMER_EXACT)
		return pv_timer_arm_exact(pt, deadline);
	WRITE_ONCE(pt->armed, deadline);
	return static_call(pv_timer_arm)(pv_timer->flags & PV_TIMER_RELATIVE ? left : deadline);
}

static int pv_timer_arm_deadline(struct pv_timer_cpu *pt, u64 deadline)
{
	pt->armed_for = pt->want;
	if (READ_ONCE(pv_timer_max_ticks) ||
	    pv_timer->flags & (PV_TIMER_RELATIVE | PV_TIMER_EXACT))
		return pv_timer_arm_limited(pt, deadline);
	WRITE_ONCE(pt->armed, deadline);
	return static_call(pv_timer_arm)(deadline);
}

/*
 * Tell the hypervisor what the kernel wants. An expiry that has passed raises
 * its interrupt, and is reported as well: the event handler has it served at
 * once then, without an interrupt, and the periodic tick would run after
 * jiffies forever if it could not skip it. 0 is not a deadline, so that tick of
 * the counter is skipped. A refusal may be a passing one, as the kernel does not
 * ask again by itself.
 */
static int pv_timer_program(struct pv_timer_cpu *pt)
{
	bool passed;
	u64 deadline = pv_timer_deadline(pt->want, &passed) ?: 1;
	int err, tries = 0;

	if (passed && pt->in_event) {
		pt->stats[PV_TIMER_ELIDED]++;
		return -ETIME;
	}
	pt->stats[PV_TIMER_ARMED]++;
	do {
		err = pv_timer_arm_deadline(pt, deadline);
		if (likely(!err))
			return passed ? -ETIME : 0;
		pv_timer_refused(pt, err);
	} while (++tries < 2);
	return err;
}

/*
 * From the first loss on, each CPU wakes up every second to look after its
 * neighbour: if all sleep, there is nobody else to notice the next loss.
 */
static void pv_timer_lost(struct pv_timer_cpu *pt)
{
	pv_timer_failed(pt, PV_TIMER_LOST, -ETIME);
	WRITE_ONCE(pv_timer_max_ticks,
		   min_not_zero(pv_timer->max_ticks, HZ * pv_timer_tick));
}

static bool pv_timer_is_wanted(const struct pv_timer_cpu *pt)
{
	return pt->want != KTIME_MAX ||
	       READ_ONCE(pv_timer_max_ticks) != pv_timer->max_ticks;
}

static bool pv_timer_overdue(struct pv_timer_cpu *pt, u64 now, s64 ticks)
{
	u64 armed = READ_ONCE(pt->armed);

	return armed && (s64)(now - armed) > ticks;
}

/*
 * Does the armed deadline serve the wanted expiry as well? Not an earlier one,
 * which no clock has to be read for. A CPU that stops its tick is not woken for
 * nothing, and what has passed is not relied on: its interrupt may be lost. It
 * may also be held back, as irqs are off here, but not for a second.
 */
static bool pv_timer_can_elide(struct pv_timer_cpu *pt)
{
	u64 now;

	if (pt->want < pt->armed_for)
		return false;
	now = static_call(pv_timer_now)();
	if ((s64)(now - pt->armed) >= 0) {
		if (pv_timer_overdue(pt, now, HZ * pv_timer_tick))
			pv_timer_lost(pt);
		return false;
	}
	return pt->want == pt->armed_for || !tick_nohz_tick_stopped();
}

static struct pv_timer_cpu *ced_to_pv_timer(struct clock_event_device *ced)
{
	return container_of(ced, struct pv_timer_cpu, ced);
}

static int pv_timer_set_next_ktime(ktime_t expires,
				   struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);

	pt->stats[PV_TIMER_SET]++;
	pt->want = expires;
	if (pt->armed && pv_timer_can_elide(pt)) {
		pt->stats[PV_TIMER_ELIDED]++;
		return 0;
	}
	return pv_timer_program(pt);
}

/* An interrupt that nobody wants costs less than telling the hypervisor. */
static int pv_timer_oneshot_stopped(struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);

	pt->stats[PV_TIMER_STOPPED]++;
	pt->want = KTIME_MAX;
	if (!pt->armed && pv_timer_is_wanted(pt))
		pv_timer_program(pt);
	return 0;
}

static int pv_timer_shutdown(struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);

	if (clockevent_state_periodic(ced) && pv_timer->disarm_periodic)
		pv_timer->disarm_periodic();
	static_call(pv_timer_disarm)();
	WRITE_ONCE(pt->armed, 0);
	pt->want = KTIME_MAX;
	return 0;
}

static int pv_timer_set_oneshot(struct clock_event_device *ced)
{
	if (clockevent_state_periodic(ced))
		pv_timer_shutdown(ced);
	return 0;
}

/* Only where the hypervisor ticks by itself, tick-common emulates the others. */
static int pv_timer_set_periodic(struct clock_event_device *ced)
{
	struct pv_timer_cpu *pt = ced_to_pv_timer(ced);
	u64 now = static_call(pv_timer_now)();
	int err;

	pv_timer_shutdown(&pt->ced);
	err = pv_timer->arm_periodic(now + pv_timer_tick, pv_timer_tick);
	if (err)
		pv_timer_refused(pt, err);
	return err;
}

/* What the hypervisor held before suspend or migration is not relied on. */
static int pv_timer_tick_resume(struct clock_event_device *ced)
{
	WRITE_ONCE(ced_to_pv_timer(ced)->armed, 0);
	if (pv_timer->flags & PV_TIMER_LOSES_STATE && pv_timer->cpu_start)
		pv_timer->cpu_start();
	return 0;
}

/*
 * Runs on the CPU whose deadline is overdue. If its interrupt was only held
 * back, it is taken after this one. So the deadline is lost when it is still
 * armed the next time.
 */
static void pv_timer_recheck(void *unused)
{
	struct pv_timer_cpu *pt = pv_timer_this_cpu();

	if (!pv_timer_overdue(pt, static_call(pv_timer_now)(), pv_timer_tick))
		return;
	if (pt->suspect != pt->armed) {
		pt->suspect = pt->armed;
		return;
	}
	pv_timer_lost(pt);
	WRITE_ONCE(pt->armed, 0);
	if (pv_timer_is_wanted(pt))
		pv_timer_program(pt);
}

/*
 * A CPU cannot notice that it has lost its only interrupt, another one can.
 * Each looks after the next one, once in a jiffy by its own counter: jiffies
 * stand still when it is the timekeeper that has lost its tick.
 */
static void pv_timer_check_neighbour(struct pv_timer_cpu *pt, u64 now)
{
	unsigned int cpu = smp_processor_id();

	if (pv_timer->flags & PV_TIMER_GLOBAL || now - pt->checked < pv_timer_tick)
		return;
	pt->checked = now;

	cpu = cpumask_next(cpu, cpu_online_mask);
	if (cpu >= nr_cpu_ids)
		cpu = cpumask_first(cpu_online_mask);
	if (pv_timer_overdue(per_cpu_ptr(&pv_timer_cpus, cpu), now, pv_timer_tick))
		smp_call_function_single_async(cpu, &pt->csd);
}

/* What the handler could not program for it has passed still interrupts. */
static void pv_timer_event(struct pv_timer_cpu *pt)
{
	pt->want = KTIME_MAX;
	pt->in_event = true;
	pt->ced.event_handler(&pt->ced);
	pt->in_event = false;
	if (!pt->armed && pt->want != KTIME_MAX) {
		pt->stats[PV_TIMER_ELIDED]--;
		pv_timer_program(pt);
	}
}

/* Sort out what the interrupt means. */
static void pv_timer_expired(struct pv_timer_cpu *pt, u64 now)
{
	enum pv_timer_stat what = PV_TIMER_EVENTS;

	if (!pt->armed && !clockevent_state_periodic(&pt->ced))
		what = PV_TIMER_SPURIOUS;
	else if (pt->armed && (s64)(now - pt->armed) < 0)
		what = PV_TIMER_EARLY;
	else if (pt->armed && pt->want > pt->armed_for)
		what = PV_TIMER_SOAKED;

	pt->stats[what]++;
	if (what == PV_TIMER_SPURIOUS)
		return;
	WRITE_ONCE(pt->armed, 0);
	if (what == PV_TIMER_EVENTS)
		pv_timer_event(pt);
	else if (pv_timer_is_wanted(pt))
		pv_timer_program(pt);
}

bool __pv_timer_interrupt(void)
{
	struct pv_timer_cpu *pt = pv_timer_this_cpu();
	u64 now;

	/* Another device has this vector until the CPU is brought up */
	if (!pt->ced.name)
		return false;
	now = static_call(pv_timer_now)();
	static_call_cond(pv_timer_ack)();
	pv_timer_expired(pt, now);
	/* Arming has lowered the line already, save the second call */
	if (pv_timer->flags & PV_TIMER_LEVEL &&
	    (!pt->armed || pt->armed_for == KTIME_MAX))
		static_call(pv_timer_disarm)();
	pv_timer_check_neighbour(pt, now);
	return true;
}
EXPORT_SYMBOL_GPL(__pv_timer_interrupt);

/**
 * pv_timer_irq_handler() - pv_timer_interrupt() for a line that a backend requests
 * @irq: not used
 * @unused: not used
 *
 * Context: interrupt, irqs off, on the owning CPU.
 * Return: IRQ_NONE if no backend ticks here.
 */
irqreturn_t pv_timer_irq_handler(int irq, void *unused)
{
	return IRQ_RETVAL(pv_timer_interrupt());
}
EXPORT_SYMBOL_GPL(pv_timer_irq_handler);

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
		.set_next_ktime			= pv_timer_set_next_ktime,
		.set_state_oneshot		= pv_timer_set_oneshot,
		.set_state_oneshot_stopped	= pv_timer_oneshot_stopped,
		.set_state_shutdown		= pv_timer_shutdown,
		.tick_resume			= pv_timer_tick_resume,
	};
	if (pv_timer->arm_periodic) {
		pt->ced.features |= CLOCK_EVT_FEAT_PERIODIC;
		pt->ced.set_state_periodic = pv_timer_set_periodic;
	}
	if (!(pv_timer->flags & PV_TIMER_GLOBAL))
		pt->ced.features |= CLOCK_EVT_FEAT_PERCPU;
	INIT_CSD(&pt->csd, pv_timer_recheck, NULL);
	WRITE_ONCE(pt->armed, 0);
	pt->want = KTIME_MAX;
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

static void pv_timer_start_test(struct pv_timer_cpu *pt)
{
	guard(irqsave)();
	pv_timer_init_device(pt, cpu_possible_mask);
	pt->ced.event_handler = clockevents_handle_noop;
	pt->stats[PV_TIMER_EVENTS] = 0;
	pv_timer_cpu_start();
	pt->want = ktime_add_us(ktime_get(), 100);
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
	u64 end;

	guard(preempt)();
	pt = pv_timer_this_cpu();
	end = static_call(pv_timer_now)() + HZ * pv_timer_tick;
	pv_timer_start_test(pt);
	do
		udelay(1);
	while (!READ_ONCE(pt->stats[PV_TIMER_EVENTS]) && --us &&
	       (s64)(end - static_call(pv_timer_now)()) > 0);
	guard(irqsave)();
	pv_timer_cpu_stop(pt);
	return pt->stats[PV_TIMER_EVENTS];
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
	u64 rem, sec = div64_u64_rem(hz, NSEC_PER_SEC, &rem);

	pv_timer_ticks_per_ns = (sec << 32) +
				DIV_U64_ROUND_UP(rem << 32, NSEC_PER_SEC);
	pv_timer_tick = div_u64(hz, HZ);
	pv_timer_max_ticks = backend->max_ticks;
	sec = min_t(u64, div64_u64(1ULL << 62, hz), KTIME_SEC_MAX);
	pv_timer_max_ns = sec * NSEC_PER_SEC;

	pv_timer = backend;
	static_call_update(pv_timer_now, backend->now);
	static_call_update(pv_timer_arm, backend->arm);
	static_call_update(pv_timer_disarm, backend->disarm);
	static_call_update(pv_timer_ack, backend->ack);
	static_branch_enable(&pv_timer_active);
}

/**
 * pv_timer_couple() - Convert with the timekeeper's numbers from now on
 *
 * Context: process. The clocksource in use may have any cs_id.
 */
void pv_timer_couple(void)
{
	pvclock_gtod_register_notifier(&pv_timer_gtod);
}
