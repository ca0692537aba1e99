// SPDX-License-Identifier: GPL-2.0
/*
 * Does the backend that ticks keep the contract of struct pv_timer_backend?
 *
 * Who reads the file in debugfs gets the answer, as KTAP. A clause is a test, and is
 * looked at on each CPU, against the hypervisor.
 * The timer of the CPU is borrowed for that: what the kernel programs is written
 * down and not armed, so that the core counts each interrupt as one of nothing
 * that was armed. Nothing of the core is different for it. When the timer is
 * given back the core arms what is wanted by then, as after a restore, so that
 * timers of the guest are late by milliseconds, and none is lost.
 *
 * A hypervisor may take the CPU away at any time. So nothing is ever concluded
 * from a wait that was too long: an interrupt has a second to come, the least
 * late one counts, and what the clock has overtaken is done again.
 */
#include <linux/cleanup.h>
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/processor.h>
#include <linux/pv_timer.h>
#include <linux/pvclock_gtod.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/timekeeper_internal.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include "pv_clockevents.h"

/* An interrupt that has not come by then is lost */
#define LOST_AFTER	NSEC_PER_SEC

/* For how long none may come */
#define QUIET		(4 * NSEC_PER_MSEC)

/* A deadline that is met as soon as it is armed, or nearly, and two later ones */
#define SOON		(50 * NSEC_PER_USEC)
#define LATER		NSEC_PER_MSEC
#define MUCH_LATER	(20 * NSEC_PER_MSEC)

/* What 32 bits can hold of a deadline in ns, and a bit more */
#define WORD		BIT_ULL(32)
#define MORE_THAN_WORD	(WORD + NSEC_PER_SEC / 10)

/* So often, to see what is wrong with one in a hundred, or one in 500 */
#define MANY		600
#define ROUNDS		16

/* As many attempts, where the hypervisor takes the CPU away or refuses */
#define TRIES		32

/* The frequency may be off by as much: Linux may have measured it, by 500 ppm */
#define RATE_TIME	(100 * NSEC_PER_MSEC)
#define RATE_PPM	2000

/* Longer than a counter that is wrong now and then is right */
#define COUNTER_TIME	(600 * NSEC_PER_MSEC)

/**
 * struct loan - The timer of a CPU while the core does not have it
 * @set_next: the operation of its device that programs
 * @stopped: the one that takes note of a tick that stops
 * @stats: what the core had counted
 */
struct loan {
	int		(*set_next)(ktime_t expires, struct clock_event_device *ced);
	int		(*stopped)(struct clock_event_device *ced);
	unsigned long	stats[PV_TIMER_NR_STATS];
};

/**
 * struct look - One clause on one CPU
 * @clause: the clause
 * @cpu: whose timer it is, on which all of it runs
 * @other: another CPU, nr_cpu_ids if there is none
 * @before: the interrupts that had come when the round began
 * @seen: the counter after the last interrupt
 * @refused: deadlines that arm() has refused
 * @returned: what it has returned then
 * @why: what is wrong, empty if nothing is
 */
struct look {
	void		(*clause)(struct look *look);
	unsigned int	cpu;
	unsigned int	other;
	unsigned long	before;
	u64		seen;
	unsigned long	refused;
	int		returned;
	char		why[128];
};

static DEFINE_PER_CPU(struct loan, loans);

/* ---- the loan ---- */

static int write_down(ktime_t expires, struct clock_event_device *ced)
{
	return 0;
}

static int write_down_stop(struct clock_event_device *ced)
{
	return 0;
}

/* On the CPU, irqs off */
static void borrow(void *unused)
{
	struct pv_timer_cpu *pt = this_cpu_ptr(&pv_timer_cpus);
	struct loan *loan = this_cpu_ptr(&loans);

	static_call(pv_timer_disarm)();
	loan->set_next = pt->ced.set_next_ktime;
	loan->stopped = pt->ced.set_state_oneshot_stopped;
	memcpy(loan->stats, pt->stats, sizeof(loan->stats));
	pt->ced.set_next_ktime = write_down;
	pt->ced.set_state_oneshot_stopped = write_down_stop;
	pt->refused = false;
	WRITE_ONCE(pt->armed_for, pt->none);
}

/* On the CPU, irqs off. What was seen here is not the guest's, and not counted. */
static void give_back(void *unused)
{
	struct pv_timer_cpu *pt = this_cpu_ptr(&pv_timer_cpus);
	struct loan *loan = this_cpu_ptr(&loans);

	static_call(pv_timer_disarm)();
	pt->ced.set_next_ktime = loan->set_next;
	pt->ced.set_state_oneshot_stopped = loan->stopped;
	pv_timer_restart_this_cpu();
	memcpy(pt->stats, loan->stats, sizeof(loan->stats));
}

/* Something else has had the core arm its timers again */
static bool was_taken_back(unsigned int cpu)
{
	return READ_ONCE(per_cpu(pv_timer_cpus, cpu).stats[PV_TIMER_RESTARTED]) !=
	       per_cpu(loans, cpu).stats[PV_TIMER_RESTARTED];
}

/* ---- the timer ---- */

static u64 counter(void)
{
	return static_call(pv_timer_now)();
}

static u64 hz(void)
{
	return pv_timer_tick * HZ;
}

static u64 ticks(u64 ns)
{
	return mul_u64_u64_div_u64(ns, hz(), NSEC_PER_SEC);
}

static s64 to_ns(s64 ticks)
{
	s64 ns = mul_u64_u64_div_u64(abs(ticks), NSEC_PER_SEC, hz());

	return ticks < 0 ? -ns : ns;
}

/* No further than the timer reaches */
static u64 within_reach(u64 distance)
{
	return pv_timer->max_ticks ? min(distance, pv_timer->max_ticks / 8 * 7) : distance;
}

static unsigned long interrupts(unsigned int cpu)
{
	return READ_ONCE(per_cpu(pv_timer_cpus, cpu).stats[PV_TIMER_SPURIOUS]);
}

static unsigned long came(const struct look *look)
{
	return interrupts(look->cpu) - look->before;
}

/* With irqs off. As the core does, it asks again. */
static void arm(struct look *look, u64 deadline)
{
	int err, tries = 0;

	do {
		err = static_call(pv_timer_arm)(deadline ?: 1);
		if (err) {
			look->refused++;
			look->returned = err;
		}
	} while (err && ++tries < TRIES);
}

/* Return: the deadline */
static u64 arm_in(struct look *look, u64 ns)
{
	u64 deadline;

	guard(irqsave)();
	deadline = counter() + ticks(ns);
	arm(look, deadline);
	return deadline;
}

static void disarm(void)
{
	guard(irqsave)();
	static_call(pv_timer_disarm)();
}

/* Return: false if none came for so long, by the clock of the kernel */
static bool comes_within(struct look *look, u64 ns)
{
	ktime_t end = ktime_add_ns(ktime_get(), ns);

	do {
		cpu_relax();
		if (came(look)) {
			look->seen = counter();
			return true;
		}
	} while (ktime_before(ktime_get(), end));
	return came(look);
}

/* What is on its way after disarm() may still come: it belongs to no round */
static void begin_round(struct look *look)
{
	disarm();
	comes_within(look, SOON);
	look->before = interrupts(look->cpu);
}

#define wrong(look, fmt, ...)						\
	scnprintf((look)->why, sizeof((look)->why), fmt, ##__VA_ARGS__)

/* Return: false if it does not come at all */
static bool has_to_come(struct look *look, const char *what)
{
	bool comes = comes_within(look, LOST_AFTER);

	if (!comes)
		wrong(look, "no interrupt %s", what);
	return comes;
}

static bool has_to_be_quiet(struct look *look, u64 ns, const char *what)
{
	bool comes = comes_within(look, ns);

	if (comes)
		wrong(look, "an interrupt %s", what);
	return !comes;
}

/* ---- the clauses ---- */

/* "at once if it has passed": just so, a jiffy ago, or when the counter began */
static void look_at_past_deadlines(struct look *look)
{
	u64 ago[] = { 0, 1, pv_timer_tick, U64_MAX }, now, late = U64_MAX;
	int i;

	for (i = 0; i < 4 * ROUNDS; i++) {
		begin_round(look);
		scoped_guard(irqsave) {
			now = counter();
			arm(look, now - min(ago[i % 4], now));
		}
		if (!has_to_come(look, "for a deadline that has passed"))
			return;
		late = min(late, look->seen - now);
	}
	if (late >= pv_timer_tick)
		wrong(look, "an interrupt %lld us after it was armed, at the soonest",
		      div_s64(to_ns(late), NSEC_PER_USEC));
}

/* "Raise one interrupt when the counter reaches" it: each */
static void look_at_many_deadlines(struct look *look)
{
	int i;

	for (i = 0; i < MANY; i++) {
		begin_round(look);
		arm_in(look, SOON);
		if (!comes_within(look, LOST_AFTER)) {
			wrong(look, "no interrupt for a second, of deadline %d of %d",
			      i + 1, MANY);
			return;
		}
	}
}

/* "Raise one interrupt": one */
static void look_for_a_second_interrupt(struct look *look)
{
	int i;

	for (i = 0; i < ROUNDS && !*look->why; i++) {
		begin_round(look);
		arm_in(look, SOON);
		if (!has_to_come(look, "at all"))
			return;
		look->before++;
		has_to_be_quiet(look, QUIET, "that is the second one of its deadline");
	}
}

/* By how much one is late at least, or early at most, in ticks */
static s64 least_late(struct look *look)
{
	s64 late = S64_MAX;
	u64 deadline;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		begin_round(look);
		deadline = arm_in(look, i % 2 ? LATER : 4 * LATER);
		if (!has_to_come(look, "at all"))
			return 0;
		late = min_t(s64, late, look->seen - deadline);
	}
	return late;
}

static void look_for_early_ones(struct look *look)
{
	s64 late = least_late(look);

	if (late < 0)
		wrong(look, "an interrupt %lld ns before its deadline", -to_ns(late));
}

static void look_for_late_ones(struct look *look)
{
	s64 late = least_late(look);

	if (late >= (s64)pv_timer_tick)
		wrong(look, "an interrupt %lld us after its deadline, at the soonest",
		      div_s64(to_ns(late), NSEC_PER_USEC));
}

/* "Replaces what was armed", by something later. Return: false if it took too long */
static bool replace_by_later(struct look *look)
{
	u64 first, second;

	begin_round(look);
	scoped_guard(irqsave) {
		first = arm_in(look, LATER);
		second = arm_in(look, MUCH_LATER);
		if ((s64)(first - counter()) <= 0)
			return false;
	}
	if (comes_within(look, QUIET)) {
		if ((s64)(look->seen - second) < 0)
			wrong(look, "an interrupt of a deadline that a later one has replaced");
		return *look->why;
	}
	has_to_come(look, "of a deadline that has replaced an earlier one");
	return true;
}

static bool replace_by_earlier(struct look *look)
{
	begin_round(look);
	scoped_guard(irqsave) {
		arm_in(look, MUCH_LATER);
		arm_in(look, LATER);
	}
	if (!has_to_come(look, "of a deadline that has replaced a later one"))
		return true;
	look->before++;
	has_to_be_quiet(look, 2 * MUCH_LATER, "of a deadline that an earlier one has replaced");
	return true;
}

/* "Forget what was armed" */
static bool disarm_what_is_armed(struct look *look)
{
	u64 deadline;

	begin_round(look);
	scoped_guard(irqsave) {
		deadline = arm_in(look, LATER);
		disarm();
		if ((s64)(deadline - counter()) <= 0)
			return false;
	}
	if (!has_to_be_quiet(look, QUIET, "after disarm()"))
		return true;
	arm_in(look, SOON);
	has_to_come(look, "of what is armed after disarm()");
	return true;
}

static void until_it_is_done(struct look *look, bool (*round)(struct look *look))
{
	int i;

	for (i = 0; i < TRIES && !*look->why; i++)
		if (round(look))
			return;
	if (!*look->why)
		wrong(look, "the CPU was away for a millisecond %d times in a row", TRIES);
}

static void look_at_replaced_deadlines(struct look *look)
{
	until_it_is_done(look, replace_by_later);
	if (!*look->why)
		until_it_is_done(look, replace_by_earlier);
}

static void look_at_disarm(struct look *look)
{
	until_it_is_done(look, disarm_what_is_armed);
}

/* Of a far deadline, neither the low half is armed nor as much as 32 bits hold */
static void look_at_far_deadlines(struct look *look)
{
	u64 distance[] = { WORD + ticks(LATER), ticks(WORD + LATER), 4 * ticks(WORD) };
	u64 quiet[] = { QUIET, QUIET, MORE_THAN_WORD };
	int i;

	for (i = 0; i < ARRAY_SIZE(distance) && !*look->why; i++) {
		begin_round(look);
		scoped_guard(irqsave)
			arm(look, counter() + within_reach(distance[i]));
		if (ticks(quiet[i]) < within_reach(distance[i]))
			has_to_be_quiet(look, quiet[i], "long before its deadline");
	}
}

/* "@deadline, in ticks": none is refused, wherever it lies */
static void look_for_refusals(struct look *look)
{
	int i;

	for (i = 0; i < MANY; i++) {
		arm_in(look, i % 3 ? i * NSEC_PER_MSEC : 0);
		disarm();
	}
	if (look->returned > 0)
		wrong(look, "arm() returns %d, which is no error", look->returned);
	else if (look->refused)
		wrong(look, "%lu of %d deadlines are refused [%d]%s", look->refused, MANY,
		      look->returned,
		      pv_timer->flags & PV_TIMER_NOFAIL ? ", despite PV_TIMER_NOFAIL" : "");
}

static void arm_later_there(void *look)
{
	arm_in(look, MUCH_LATER);
}

static void arm_soon_there(void *look)
{
	arm_in(look, SOON);
}

static void disarm_there(void *unused)
{
	disarm();
}

static bool comes_there(struct look *look, unsigned long before, u64 ns)
{
	ktime_t end = ktime_add_ns(ktime_get(), ns);

	while (interrupts(look->other) == before && ktime_before(ktime_get(), end))
		cpu_relax();
	return interrupts(look->other) != before;
}

static void on_the_other(const struct look *look, smp_call_func_t what)
{
	struct look there = { };

	smp_call_function_single(look->other, what, &there, true);
}

/* A deadline of this CPU interrupts this one */
static void arm_only_here(struct look *look)
{
	unsigned long there;

	on_the_other(look, disarm_there);
	begin_round(look);
	there = interrupts(look->other);
	arm_in(look, SOON);
	has_to_come(look, "here of what is armed here");
	if (comes_there(look, there, QUIET))
		wrong(look, "an interrupt on CPU%u of what is armed here", look->other);
}

/* What is armed here and taken back leaves the deadline of the other alone */
static void disarm_only_here(struct look *look)
{
	unsigned long there;

	begin_round(look);
	there = interrupts(look->other);
	on_the_other(look, arm_later_there);
	arm_in(look, LATER);
	disarm();
	if (!comes_there(look, there, LOST_AFTER))
		wrong(look, "no interrupt on CPU%u after disarm() here", look->other);
}

/* What is armed there leaves the deadline of this CPU alone, and so does disarm() */
static void arm_there(struct look *look, smp_call_func_t what)
{
	begin_round(look);
	arm_in(look, MUCH_LATER);
	on_the_other(look, what);
	if (!has_to_come(look, "here after something else on the other CPU"))
		return;
	look->before++;
	has_to_be_quiet(look, QUIET, "of another CPU");
}

static void look_at_the_other_cpu(struct look *look)
{
	smp_call_function_single(look->other, borrow, NULL, true);
	arm_only_here(look);
	if (!*look->why)
		disarm_only_here(look);
	if (!*look->why)
		arm_there(look, arm_soon_there);
	if (!*look->why)
		arm_there(look, disarm_there);
	smp_call_function_single(look->other, give_back, NULL, true);
}

/* cpu_start() "before the first arm() and with PV_TIMER_LOSES_STATE after resume" */
static void look_at_cpu_start(struct look *look)
{
	begin_round(look);
	scoped_guard(irqsave) {
		if (pv_timer->flags & PV_TIMER_LOSES_STATE)
			arm_in(look, MUCH_LATER);
		else if (pv_timer->cpu_stop)
			pv_timer->cpu_stop();
		pv_timer->cpu_start();
		arm_in(look, LATER);
	}
	if (!has_to_come(look, "after cpu_start()"))
		return;
	look->before++;
	if (!has_to_be_quiet(look, 2 * MUCH_LATER, "of what was armed before cpu_start()"))
		return;
	arm_in(look, SOON);
	has_to_come(look, "of the second deadline after cpu_start()");
}

/* "neither wrap nor go backwards on a CPU" */
static void look_at_the_counter(struct look *look)
{
	ktime_t end = ktime_add_ns(ktime_get(), COUNTER_TIME);
	u64 first = counter(), last, now = first;

	do {
		last = now;
		now = counter();
		if (now < last) {
			wrong(look, "the counter goes back by %lld ns", to_ns(last - now));
			return;
		}
	} while (ktime_before(ktime_get(), end));
	if (now == first)
		wrong(look, "the counter stands still");
	else if (now >> 63)
		wrong(look, "the counter is about to wrap");
}

/* The counter, and the clock in the middle of its reading, that which took least */
static u64 counter_and_clock(u64 *clock)
{
	u64 before, after, now, best = U64_MAX, ret = 0;
	int i;

	guard(irqsave)();
	for (i = 0; i < ROUNDS; i++) {
		before = ktime_get_raw_ns();
		now = counter();
		after = ktime_get_raw_ns();
		if (after - before >= best)
			continue;
		best = after - before;
		*clock = before + best / 2;
		ret = now;
	}
	return ret;
}

/* "the frequency of the counter in Hz", by the clock of the kernel */
static void look_at_the_frequency(struct look *look)
{
	u64 clocks[2], first = counter_and_clock(&clocks[0]), counted, expected, off;

	comes_within(look, RATE_TIME);
	counted = counter_and_clock(&clocks[1]) - first;
	expected = ticks(clocks[1] - clocks[0]);
	off = counted > expected ? counted - expected : expected - counted;
	if (off > div_u64(expected, USEC_PER_SEC / RATE_PPM))
		wrong(look, "the counter went on by %lld us in %llu us",
		      div_s64(to_ns(counted), NSEC_PER_USEC),
		      div_u64(clocks[1] - clocks[0], NSEC_PER_USEC));
}

static void read_there(void *counters)
{
	*(u64 *)counters = counter();
}

/* What one CPU reads after another one is not before it, if that is the clock */
static void look_at_the_other_counter(struct look *look)
{
	u64 before, there, after;
	int i;

	for (i = 0; i < MANY; i++) {
		before = counter();
		smp_call_function_single(look->other, read_there, &there, true);
		after = counter();
		if (before <= there && there <= after)
			continue;
		wrong(look, "the counter of CPU%u is %lld ns %s", look->other,
		      to_ns(there < before ? before - there : there - after),
		      there < before ? "behind" : "ahead");
		return;
	}
}

/* ---- how a clause is looked at ---- */

/* Return: false if the core has had its timer meanwhile, so that this says nothing */
static bool look_once(struct look *look)
{
	bool disturbed;

	guard(preempt)();
	scoped_guard(irqsave)
		borrow(NULL);
	look->clause(look);
	scoped_guard(irqsave) {
		disturbed = was_taken_back(look->cpu);
		give_back(NULL);
	}
	return !disturbed;
}

/* On the CPU */
static long look_undisturbed(void *arg)
{
	struct look *look = arg, fresh = *look;
	int i;

	for (i = 0; i < TRIES; i++) {
		*look = fresh;
		if (look_once(look))
			return 0;
	}
	wrong(look, "the core has always wanted its timer");
	return 0;
}

static bool ticks_by_us(unsigned int cpu)
{
	struct clock_event_device *ced = &per_cpu(pv_timer_cpus, cpu).ced;

	return clockevent_state_oneshot(ced) || clockevent_state_oneshot_stopped(ced);
}

static unsigned int cpu_after(unsigned int cpu)
{
	unsigned int next = cpumask_next(cpu, cpu_online_mask);

	next = next < nr_cpu_ids ? next : cpumask_first(cpu_online_mask);
	return next == cpu ? nr_cpu_ids : next;
}

/* What is looked at, and what it takes */
static const struct clause {
	const char	*name;
	void		(*look)(struct look *look);
	bool		needs_another;
	bool		needs_start;
	bool		needs_order;
	bool		needs_the_clock;
} clauses[] = {
	{ "past_deadline_interrupts_at_once", look_at_past_deadlines, .needs_order = true },
	{ "each_deadline_interrupts", look_at_many_deadlines },
	{ "deadline_interrupts_once", look_for_a_second_interrupt },
	{ "never_before_the_deadline", look_for_early_ones },
	{ "not_a_jiffy_after_it", look_for_late_ones },
	{ "deadline_replaces_another", look_at_replaced_deadlines },
	{ "disarm_forgets_it", look_at_disarm },
	{ "deadline_has_64_bits", look_at_far_deadlines },
	{ "no_deadline_is_refused", look_for_refusals },
	{ "cpus_are_independent", look_at_the_other_cpu, .needs_another = true },
	{ "cpu_start_lets_it_interrupt", look_at_cpu_start, .needs_start = true },
	{ "counter_never_goes_back", look_at_the_counter },
	{ "counter_is_as_fast_as_stated", look_at_the_frequency },
	{ "counters_of_all_cpus_agree", look_at_the_other_counter, .needs_another = true,
	  .needs_the_clock = true },
};

static bool is_the_clock;

static int find_the_clock(struct notifier_block *nb, unsigned long was_set, void *tk)
{
	is_the_clock = pv_timer_is_clock(((struct timekeeper *)tk)->tkr_mono.clock);
	return NOTIFY_OK;
}

/* Why there is nothing to look at; NULL if there is */
static const char *needless(const struct clause *clause)
{
	struct notifier_block nb = { .notifier_call = find_the_clock };

	if (!pv_timer)
		return "no backend ticks";
	if (!ticks_by_us(cpumask_first(cpu_online_mask)))
		return "something else ticks";
	if (clause->needs_another && num_online_cpus() == 1)
		return "there is one CPU";
	if (clause->needs_start && !pv_timer->cpu_start)
		return "there is no cpu_start()";
	if (clause->needs_order && pv_timer->flags & PV_TIMER_EXACT)
		return "PV_TIMER_EXACT: it misses a deadline that has passed";
	pvclock_gtod_register_notifier(&nb);
	pvclock_gtod_unregister_notifier(&nb);
	if (clause->needs_the_clock && !is_the_clock)
		return "the kernel has another clock";
	return NULL;
}

/* Return: is it kept on each CPU? */
static bool print_looks(struct seq_file *m, const struct clause *clause)
{
	struct look look;
	bool kept = true;
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		look = (struct look) {
			.clause = clause->look, .cpu = cpu, .other = cpu_after(cpu),
		};
		work_on_cpu(cpu, look_undisturbed, &look);
		if (!*look.why)
			continue;
		seq_printf(m, "# CPU%u: %s\n", cpu, look.why);
		kept = false;
	}
	return kept;
}

static int conformance_show(struct seq_file *m, void *unused)
{
	static DEFINE_MUTEX(one_reader);
	const char *why;
	bool kept;
	int i;

	guard(mutex)(&one_reader);
	guard(cpus_read_lock)();
	seq_printf(m, "KTAP version 1\n1..%zu\n# backend %s, %u CPUs\n", ARRAY_SIZE(clauses),
		   pv_timer ? pv_timer->name : "none", num_online_cpus());
	for (i = 0; i < ARRAY_SIZE(clauses); i++) {
		why = needless(&clauses[i]);
		kept = why || print_looks(m, &clauses[i]);
		seq_printf(m, "%sok %d %s%s%s\n", kept ? "" : "not ", i + 1, clauses[i].name,
			   why ? " # SKIP " : "", why ?: "");
	}
	return 0;
}

/* All of it fits, as it is not to be looked at twice */
static int conformance_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, conformance_show, NULL, 4 * PAGE_SIZE);
}

static const struct file_operations conformance_fops = {
	.open		= conformance_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static int __init pv_timer_conformance_init(void)
{
	debugfs_create_file("conformance", 0400, debugfs_lookup("pv_timer", NULL), NULL,
			    &conformance_fops);
	return 0;
}
late_initcall(pv_timer_conformance_init);
