// SPDX-License-Identifier: GPL-2.0
/*
 * The paravirtual timer core between any hypervisor and any kernel
 *
 * The core is included as it is. Around it, a kernel and a hypervisor take steps
 * that any() chooses: CBMC tries all choices, see scripts/model, and the program
 * compiled from this file takes random ones, or those of a counterexample. A
 * step may be a request, an interrupt that is due, early or spurious, a call by
 * another CPU, a stop, suspend, hotplug, a restore from a snapshot, an update of
 * the timekeeper. Time passes before each step, and is stolen in it.
 *
 * What must hold after each step is in check(): For each expiry that a CPU wants,
 * the hypervisor holds a deadline that is not later, or an interrupt is on its
 * way, or the CPU is told to arm again, or the hypervisor broke its promise and
 * the neighbour will see that. It holds after any number of steps if it holds in
 * the first state (STEPS is 0), and after one step out of any state in which it
 * holds (STEPS is -1). What else is in check() is what this takes.
 *
 * ACTION, REFUSES and HANDLER take one of the choices for the prover, which is
 * done with all of them sooner than with their sum.
 */
#include "kernel.h"

/* ---- the kind of hypervisor ---- */

/* KIND is one of these, CPUS is 1 or 2 */
#define MODEL_PLAIN		0
#define MODEL_CHECKED		1
#define MODEL_FREE		2
#define MODEL_LIMITED		3
#define MODEL_EXACT		4

/* What one step may be. Only a CPU that is down comes up. */
enum model_action {
	REQUEST, INTERRUPT, RECHECK, SUSPEND, UNPLUG, RESTORE, UPDATE, PLUG, ANY,
};

#ifndef ACTION
#define ACTION			ANY
#endif
#ifndef REFUSES
#define REFUSES			any(3)
#endif
#ifndef HANDLER
#define HANDLER			(any(2) ? hrtimer_interrupt : other_handler)
#endif

/* Ticks that a limited timer can take, and how far the counter jumps */
#define MODEL_REACH		(8 * TICK_NSEC)

/* What is longer ago than that is not looked at */
#define MODEL_COUNTER		(256 * TICK_NSEC)
#define MODEL_CLOCK		(512 * TICK_NSEC)

unsigned int this_cpu;
bool online[CPUS];

#include "pv_clockevents.c"

#if KIND == MODEL_PLAIN
#define MODEL_FLAGS		PV_TIMER_NOFAIL
#define MODEL_MAX_TICKS		0
#define model_set_next		pv_timer_set_next_plain
#elif KIND == MODEL_CHECKED
#define MODEL_FLAGS		0
#define MODEL_MAX_TICKS		0
#define model_set_next		pv_timer_set_next_checked
#elif KIND == MODEL_FREE
#define MODEL_FLAGS		(PV_TIMER_NOFAIL | PV_TIMER_FREE)
#define MODEL_MAX_TICKS		0
#define model_set_next		pv_timer_set_next_free
#elif KIND == MODEL_LIMITED
#define MODEL_FLAGS		PV_TIMER_NOFAIL
#define MODEL_MAX_TICKS		MODEL_REACH
#define model_set_next		pv_timer_set_next_plain
#elif KIND == MODEL_EXACT
#define MODEL_FLAGS		(PV_TIMER_NOFAIL | PV_TIMER_EXACT)
#define MODEL_MAX_TICKS		0
#define model_set_next		pv_timer_set_next_general
#endif

/* ---- the hypervisor ---- */

struct model_cpu {
	/* the hypervisor */
	u64	deadline;	/* that it holds, 0 for none */
	bool	pending;	/* an interrupt is on its way */
	bool	lost;		/* it has forgotten the last deadline */
	bool	refused;	/* it has refused the last one */
	/* the kernel */
	ktime_t	seen;		/* when it was overdue in a recheck, 0 for never */
	bool	called;		/* by another CPU */
	ktime_t	want;		/* KTIME_MAX for nothing */
};

static struct model_cpu model[CPUS];
static u64 counter;
static ktime_t clock;
static ktime_t drifted;		/* the clock is ahead of the line by this */
static ktime_t drifts;		/* and of all lines by this, 2 at most */
static u64 stolen;		/* not yet */
static u64 refuses;		/* 1: the next deadline, 2: all of this step */
static bool untold;		/* the guest was restored and does not know */

/* Times have 16 bits, which the prover need not find out */
static void pass(u64 ns)
{
	counter = (u16)(counter + ns);
	clock = (u16)(clock + ns);
}

static void steal(void)
{
	if (stolen && any(2)) {
		model_note("  %u ns are stolen", stolen);
		pass(stolen);
		stolen = 0;
	}
}

u64 model_pv_timer_now(void)
{
	return counter;
}

/* Read after the counter */
ktime_t ktime_get(void)
{
	steal();
	return clock;
}

u64 model_jiffies(void)
{
	return clock / TICK_NSEC;
}

/* What is replaced may be on its way already */
static void replace(struct model_cpu *m)
{
	if (m->deadline && m->deadline <= counter && any(2))
		m->pending = true;
	m->deadline = 0;
}

int model_pv_timer_arm(u64 deadline)
{
	struct model_cpu *m = &model[this_cpu];

	model_check(deadline, "no deadline is 0");
	if (MODEL_MAX_TICKS)
		model_check((s64)(deadline - counter) <= MODEL_MAX_TICKS,
			    "each deadline is in reach");
	steal();
	if (!(MODEL_FLAGS & PV_TIMER_NOFAIL) && refuses) {
		bool first = refuses != 3;

		if (first)
			model_note("  arm(%u) is refused", deadline);
		refuses = refuses == 1 ? 0 : 3;
		m->refused = true;
		if (first && any(2))
			replace(m);
		return -EIO;
	}
	model_note("  arm(%u) at %u", deadline, counter);
	replace(m);
	m->lost = false;
	m->refused = false;
	m->seen = 0;
	/* A match is missed for good */
	if (!(MODEL_FLAGS & PV_TIMER_EXACT) || (s64)(deadline - counter) > 0)
		m->deadline = deadline;
	return 0;
}

void model_pv_timer_disarm(void)
{
	model_note("  disarm()");
	replace(&model[this_cpu]);
}

void model_pv_timer_ack(void)
{
}

static const struct pv_timer_backend model_backend = {
	.name		= "model",
	.flags		= MODEL_FLAGS,
	.cs_id		= CSID_MODEL,
	.max_ticks	= MODEL_MAX_TICKS,
};

bool pv_timer_is_clock(const struct clocksource *cs)
{
	return false;
}

/* ---- the kernel ---- */

/* The timekeeper reads the counter, or a clock that is not coupled to it */
void model_update(void)
{
	struct clocksource cs = { any(2) ? CSID_MODEL : CSID_GENERIC };
	struct timekeeper tk = { .tkr_mono = {
		.clock		= &cs,
		.mask		= CLOCKSOURCE_MASK(64),
		.cycle_last	= counter,
		.mult		= 2,
		.base		= clock,
	} };

	model_note("  the timekeeper is %scoupled", cs.id == CSID_MODEL ? "" : "not ");
	pv_timer_gtod_notify(NULL, 0, &tk);
	drifted = 0;
}

/* As the pointer says, which the prover need not follow */
static int set_next(struct clock_event_device *ced, ktime_t expires)
{
	if (ced->set_next_ktime == pv_timer_set_next_in_event)
		return pv_timer_set_next_in_event(expires, ced);
	if (ced->set_next_ktime == pv_timer_set_next_general)
		return pv_timer_set_next_general(expires, ced);
	model_check(ced->set_next_ktime == model_set_next, "each request takes a known path");
	return model_set_next(expires, ced);
}

/* As tick_program_event() and what it calls do */
static int program(struct clock_event_device *ced, ktime_t expires)
{
	bool passed = expires <= clock &&
		      ced->set_next_ktime == pv_timer_set_next_in_event;
	int err;

	model[this_cpu].want = expires;
	if (expires == KTIME_MAX) {
		model_note("  nothing is wanted");
		if (!clockevent_state_oneshot_stopped(ced)) {
			pv_timer_oneshot_stopped(ced);
			ced->state = CLOCK_EVT_STATE_ONESHOT_STOPPED;
		}
		ced->next_event = KTIME_MAX;
		return 0;
	}
	ced->state = CLOCK_EVT_STATE_ONESHOT;
	ced->next_event = expires;
	model_note("  %d is wanted at %d", expires, clock);
	err = set_next(ced, expires);
	model_check(!err || err == -ETIME, "only what has passed is an error");
	model_check(!passed || err, "the handler is told what has passed");
	if (err)
		model_note("  passed");
	return err;
}

/* Passed, now, soon, in some jiffies, as good as never, or nothing */
static ktime_t any_expiry(void)
{
	u64 choice = any(8);

	if (choice < 6)
		return clock - 2 + (BIT(choice * 2) - 1) / 3 * 2;
	return choice == 6 ? 4 * PV_TIMER_FAR : KTIME_MAX;
}

/* Expired timers may take so long that others expire, it tries again then */
void hrtimer_interrupt(struct clock_event_device *ced)
{
	int retries;

	model_note("  the handler of hrtimers at %d", clock);
	ced->next_event = KTIME_MAX;
	for (retries = 0; retries < RETRIES; retries++) {
		if (!program(ced, any_expiry()))
			return;
	}
	program(ced, clock + any(2));
}

/* The other handlers of the tick may request twice, and ignore what has passed */
static void other_handler(struct clock_event_device *ced)
{
	model_note("  another handler at %d", clock);
	program(ced, any_expiry());
	if (any(2))
		program(ced, any_expiry());
}

void model_event(struct clock_event_device *ced)
{
	if (ced->event_handler == hrtimer_interrupt)
		hrtimer_interrupt(ced);
	else
		other_handler(ced);
}

void clockevents_handle_noop(struct clock_event_device *ced)
{
}

void clockevents_register_device(struct clock_event_device *ced)
{
	if (any(2))
		ced->event_handler = hrtimer_interrupt;
	else
		ced->event_handler = other_handler;
	program(ced, clock + 10);
}

int smp_call_function_single_async(unsigned int cpu, call_single_data_t *csd)
{
	if (!online[cpu])
		return -ENXIO;
	if (model[cpu].called)
		return -EBUSY;
	model_note("  CPU%u is called", cpu);
	model[cpu].called = true;
	return 0;
}

/* ---- the steps ---- */

static void take_request(struct pv_timer_cpu *pt, struct model_cpu *m)
{
	if (pt->ced.state == CLOCK_EVT_STATE_SHUTDOWN)
		return;
	model_note("CPU%u: request", this_cpu);
	program(&pt->ced, any_expiry());
}

static void take_interrupt(struct pv_timer_cpu *pt, struct model_cpu *m)
{
	unsigned int neighbour = CPUS - 1 - this_cpu;

	if (m->pending) {
		model_note("CPU%u: interrupt that was on its way", this_cpu);
		m->pending = false;
	} else if (m->deadline && m->deadline <= counter) {
		model_note("CPU%u: interrupt", this_cpu);
		m->deadline = 0;
	} else if (m->deadline && any(2)) {
		model_note("CPU%u: early interrupt", this_cpu);
		m->deadline = 0;
	} else {
		model_note("CPU%u: spurious interrupt", this_cpu);
	}
	m->seen = 0;
	/* Two calls with one CPU to look after each are half the work for the prover */
	if (online[neighbour]) {
		online[neighbour] = true;
		__pv_timer_interrupt();
	} else {
		online[neighbour] = false;
		__pv_timer_interrupt();
	}
}

/* Overdue now, and in a recheck a jiffy ago or more */
static bool overdue_again(const struct pv_timer_cpu *pt, struct model_cpu *m)
{
	if (pt->armed_for == pt->none || (s64)(clock - pt->armed_for) <= TICK_NSEC)
		return false;
	if (pt->refused)
		return false;
	if (!m->seen)
		m->seen = clock;
	return clock - m->seen >= TICK_NSEC;
}

/* Another CPU asks, maybe without reason: what it saw may have changed */
static void call(struct pv_timer_cpu *pt, struct model_cpu *m)
{
	unsigned long losses = pt->stats[PV_TIMER_LOST];
	bool again;

	pv_timer_ask(this_cpu);
	model_note("CPU%u: recheck", this_cpu);
	stolen = 0;
	again = !pt->changed && overdue_again(pt, m);
	m->called = false;
	pv_timer_recheck(NULL);
	model_check(again || pt->stats[PV_TIMER_LOST] == losses, "what is late is not lost");
	model_check(!again || !m->lost || m->refused, "what is lost is armed again");
}

static void suspend(struct pv_timer_cpu *pt, struct model_cpu *m)
{
	if (pt->ced.state != CLOCK_EVT_STATE_SHUTDOWN) {
		model_note("CPU%u: shutdown", this_cpu);
		pv_timer_shutdown(&pt->ced);
		pt->ced.state = CLOCK_EVT_STATE_SHUTDOWN;
		pt->ced.next_event = KTIME_MAX;
		m->want = KTIME_MAX;
		return;
	}
	model_note("CPU%u: resume", this_cpu);
	m->deadline = 0;
	pv_timer_tick_resume(&pt->ced);
	program(&pt->ced, clock + any(2));
}

/* Calls that are under way are served before */
static void unplug(struct pv_timer_cpu *pt, struct model_cpu *m)
{
	if (m->called)
		return;
	model_note("CPU%u: goes down", this_cpu);
	online[this_cpu] = false;
	pv_timer_dying_cpu(this_cpu);
	pt->ced.state = CLOCK_EVT_STATE_DETACHED;
	m->want = KTIME_MAX;
}

static void plug(struct pv_timer_cpu *pt, struct model_cpu *m)
{
	model_note("CPU%u: comes up", this_cpu);
	pv_timer_starting_cpu(this_cpu);
	online[this_cpu] = true;
}

/* The counter jumps, the comparators are empty. The clock goes on. */
static void take_restore(void)
{
	unsigned int cpu;

	if (untold) {
		model_note("CPU%u: pv_timer_changed()", this_cpu);
		pv_timer_changed();
		untold = false;
		return;
	}
	counter = (u16)(any(2) ? counter + MODEL_REACH : counter - MODEL_REACH);
	model_note("restore, the counter jumps to %u", counter);
	for (cpu = 0; cpu < CPUS; cpu++) {
		model[cpu].deadline = 0;
		model[cpu].pending = any(2);
	}
	untold = true;
	model_update();
}

/* The clock runs a bit faster than the counter until the timekeeper is updated */
static void steer(void)
{
	if (drifts < 2 && any(2)) {
		model_note("the clock is ahead by 1 ns");
		drifts++;
		drifted++;
		clock = (u16)(clock + 1);
	} else {
		model_note("update");
		model_update();
	}
}

static void time_passes(void)
{
	static const u64 lengths[] = { 0, 1, 2, 5, TICK_NSEC, TICK_NSEC + 1, 3 * TICK_NSEC,
				       9 * TICK_NSEC };
	u64 ns = lengths[any(8)];
	unsigned int cpu;

	pass(ns);
	model_note("%u ns pass: clock %d, counter %u", ns, clock, counter);
	for (cpu = 0; cpu < CPUS; cpu++) {
		struct model_cpu *m = &model[cpu];

		if (m->deadline && m->deadline <= counter && any(4) == 1) {
			model_note("the interrupt of CPU%u is lost", cpu);
			m->deadline = 0;
			m->lost = true;
		}
	}
}

static void step(unsigned int cpu)
{
	struct pv_timer_cpu *pt = &pv_timer_cpus[cpu];
	struct model_cpu *m = &model[cpu];
	enum model_action action = ACTION;

	stolen = STOLEN && any(2) ? STOLEN : 0;
	refuses = REFUSES;
	this_cpu = cpu;
	time_passes();
	if (action == ANY)
		action = online[cpu] ? any(PLUG) : PLUG;
	model_assume(online[cpu] == (action != PLUG));
	/* So the prover knows it, too */
	online[cpu] = action != PLUG;
	if (action == REQUEST)
		take_request(pt, m);
	else if (action == INTERRUPT)
		take_interrupt(pt, m);
	else if (action == RECHECK)
		call(pt, m);
	else if (action == SUSPEND)
		suspend(pt, m);
	else if (action == UNPLUG)
		unplug(pt, m);
	else if (action == RESTORE)
		take_restore();
	else if (action == UPDATE)
		steer();
	else
		plug(pt, m);
}

/* ---- what must hold ---- */

static bool assuming;

#define must(condition, text)						\
	do {								\
		if (assuming)						\
			model_assume(condition);			\
		else							\
			model_check(condition, text);			\
	} while (0)

static bool is_held(const struct pv_timer_cpu *pt, const struct model_cpu *m,
		    ktime_t expires)
{
	ktime_t fires = clock + (s64)(m->deadline - counter);
	ktime_t late = 2 + drifts + TICK_NSEC / 2;

	if (MODEL_FLAGS & PV_TIMER_EXACT)
		late += 2 * TICK_NSEC;
	return m->deadline && fires <= max(expires, clock) + late;
}

/* The neighbour asks the CPU to look after itself a jiffy after that */
static bool is_watched(const struct pv_timer_cpu *pt, const struct model_cpu *m)
{
	return pt->armed_for == pt->none ? m->refused && pt->refused : m->lost;
}

static bool is_told(const struct pv_timer_cpu *pt, const struct model_cpu *m)
{
	return pt->changed && m->called;
}

/* What the core knows of the hypervisor is so, or will be set right */
static void check(unsigned int cpu)
{
	const struct pv_timer_cpu *pt = &pv_timer_cpus[cpu];
	const struct model_cpu *m = &model[cpu];
	bool armed = pt->armed_for != pt->none;
	bool wanted = m->want != KTIME_MAX;

	must(pt->skew <= TICK_NSEC / 2, "no deadline is delayed by a jiffy");
	must(pt->early <= PV_TIMER_MAX_EARLY && (!pt->skew || pt->early),
	     "a delay ends after four late interrupts");
	must(pt->armed_for <= pt->none, "what is armed is in reach");
	must(pt->none <= clock + pv_timer_limit_ns + 1, "the reach is known");
	must((s64)pt->armed >= 0 && (s64)pt->fired >= 0 && (s64)pt->counter >= 0,
	     "deadlines have a bit less");
	must(untold || is_told(pt, m) ||
	     pt->plain_until <= counter + 8 * TICK_NSEC,
	     "the handler is told in eight jiffies");
	must(pt->suspect == KTIME_MAX ||
	     (armed && !pt->plain_until && pt->suspect == pt->armed_for &&
	      pt->ced.set_next_ktime == pv_timer_set_next_general),
	     "who is suspect is looked at closely");
	must(m->seen <= (u64)clock, "what was seen was seen before");
	must(!armed || (pt->suspect == pt->armed_for) == !!m->seen, "who is suspect was seen");
	must(!armed || !m->seen || pt->suspect_since == m->seen, "who is suspect was seen then");
	must(!(MODEL_FLAGS & PV_TIMER_NOFAIL) || (!pt->refused && !m->refused),
	     "who cannot refuse does not");
	must(pt->ced.state != CLOCK_EVT_STATE_SHUTDOWN || (!armed && !pt->plain_until),
	     "what is shut down is silent");
	must(!pt->asked || m->called, "who was asked is called");
	must(!pt->changed || m->called, "who is to arm again is called");
	if (!online[cpu]) {
		must(!m->called, "who is down is not called");
		must(!armed && !pt->plain_until, "who is down is silent");
		return;
	}
	must(pt->ced.next_event == m->want, "what is wanted is known");
	if (armed && !untold)
		must(is_held(pt, m, pt->armed_for) || m->pending || is_told(pt, m) ||
		     is_watched(pt, m), "what is armed is held");
	if (wanted && !untold)
		must(is_told(pt, m) || (armed && pt->armed_for <= (u64)m->want) ||
		     (!armed && is_watched(pt, m)) || (armed && m->pending),
		     "what is wanted is armed");
}

static void check_all(void)
{
	const struct pv_timer_line *l = &pv_timer_line;
	unsigned int cpu;
	s64 off = l->offset - (counter - clock);

	must(l->slope ? off >= 1 && off <= 1 + drifted : !l->offset,
	     "the line is that of the clock");
	for (cpu = 0; cpu < CPUS; cpu++)
		check(cpu);
}

static void setup(void)
{
	unsigned int cpu;

	counter = 1000;
	clock = 500;
	drifts = 0;
	untold = false;
	stolen = 0;
	refuses = 0;
	pv_timer_adopt(&model_backend, NSEC_PER_SEC);
	model_update();
	for (cpu = 0; cpu < CPUS; cpu++) {
		this_cpu = cpu;
		model[cpu] = (struct model_cpu) { .want = KTIME_MAX };
		pv_timer_starting_cpu(cpu);
		online[cpu] = true;
	}
}

/* Any state of a CPU */
static void set_any(unsigned int cpu)
{
	struct pv_timer_cpu *pt = &pv_timer_cpus[cpu];
	struct model_cpu *m = &model[cpu];

	online[cpu] = any(2);
	m->deadline = (u16)anything();
	m->pending = any(2);
	m->lost = any(2);
	m->refused = any(2);
	m->seen = (u16)anything();
	m->called = any(2);
	pt->ced.name = "pv_timer";
	pt->ced.event_handler = HANDLER;
	pt->ced.set_next_ktime = any(2) ? pv_timer_set_next_general : model_set_next;
	pt->ced.state = CLOCK_EVT_STATE_SHUTDOWN + any(3) * 2;
	if (pt->ced.state == CLOCK_EVT_STATE_SHUTDOWN + 4)
		pt->ced.state = CLOCK_EVT_STATE_ONESHOT_STOPPED;
	m->want = pt->ced.state == CLOCK_EVT_STATE_ONESHOT ? anything() : KTIME_MAX;
	model_assume(m->want == KTIME_MAX || (u64)m->want <= 8 * PV_TIMER_FAR);
	pt->ced.next_event = m->want;
	pt->armed = anything();
	pt->armed_for = anything();
	pt->none = anything();
	pt->fired = anything();
	pt->clock = anything();
	pt->counter = anything();
	pt->plain_until = anything();
	pt->stats[PV_TIMER_ELIDED] = any(16);
	pt->passed = any(2);
	pt->refused = any(2);
	pt->early = any(PV_TIMER_MAX_EARLY + 1);
	pt->skew = any(9);
	pt->suspect = anything();
	pt->suspect_since = anything();
	pt->checked = anything();
	pt->worried = any(2);
	pt->asked = any(2);
	pt->changed = any(2);
}

/*
 * The core knows differences of times only, and jiffies. So the counter and the clock
 * may as well be some that are there, and the prover subtracts numbers that it knows.
 */
static void set_anything(void)
{
	unsigned int cpu;

	counter = MODEL_COUNTER;
	clock = MODEL_CLOCK + any(TICK_NSEC);
	drifts = any(3);
	drifted = any(3);
	model_assume(drifted <= drifts);
	untold = any(2);
	pv_timer_watch = any(2);
	pv_timer_watch_until = anything();
	pv_timer_line.slope = any(3);
	pv_timer_line.offset = anything();
	for (cpu = 0; cpu < CPUS; cpu++)
		set_any(cpu);
	assuming = true;
	check_all();
	assuming = false;
}

/* STEPS steps out of the first state, or one out of any */
static void walk(void)
{
	int i;

	setup();
	check_all();
	for (i = 0; i < STEPS; i++) {
		step(CPUS == 1 || any(2) ? 0 : CPUS - 1);
		check_all();
	}
}

static void one_step(void)
{
	pv_timer_adopt(&model_backend, NSEC_PER_SEC);
	set_anything();
	step(0);
	check_all();
}

#ifdef __CPROVER
int main(void)
{
	if (STEPS < 0)
		one_step();
	else
		walk();
	return 0;
}
#else
#include "run.h"
#endif
