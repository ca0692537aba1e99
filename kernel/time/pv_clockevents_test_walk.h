/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A random walk of the paravirtual timer core, included by pv_clockevents_test.c
 *
 * The fake kernel asks for whatever it may ask for, the fake hypervisor does
 * what a bad one does, and time passes. After each step, what the kernel wants
 * is armed, or the loss of it can be seen.
 *
 * The clock is what the timekeeper's numbers make of the counter. There is a
 * second CPU, which has nothing to do. So only the walk looks after this one.
 */
#define WALK_HZ		2100000000ULL
#define WALK_TICK	(WALK_HZ / HZ)
#define WALK_SHIFT	24
#define WALK_MULT	((u32)((1000000000ULL << WALK_SHIFT) / WALK_HZ))

/* So many refusals in a row are to be survived without help */
#define WALK_TRIES	32

/* After so many steps everything has happened that can */
#define WALK_IS_LONG	100000

static unsigned long long walk_seed = 1;
module_param(walk_seed, ullong, 0444);
MODULE_PARM_DESC(walk_seed, "where the random walk goes");

static unsigned int walk_steps = 1000000;
module_param(walk_steps, uint, 0444);
MODULE_PARM_DESC(walk_steps, "how far the random walk goes");

/*
 * struct walk - Where the walk is
 * @rnd: what is next
 * @step: the number of steps
 * @last: the name of the last one
 * @flaw: what is wrong after it
 * @wants: the kernel waits for @wanted
 * @in_event: the event handler runs
 * @hog: it takes longer than its timer's period
 * @told: it was told that an expiry has passed
 * @mult: the multiplier of the timekeeper, which it exceeds by one at times
 * @ahead: what the hypervisor's clock is ahead, in ticks
 * @drops: the hypervisor loses deadlines
 * @refuses: it refuses deadlines
 * @refusals: so many are still to come
 * @refused: so many came in a row
 * @armed_at: the counter when the comparator was told its deadline
 * @drawn_at: the counter when the timekeeper was updated before
 * @exact: the clock has run since as it did then
 * @lost: that deadline is lost
 * @spurious: nothing has raised the interrupt that is handled
 * @asked: a call to this CPU is under way
 * @suspected: the clock when the armed deadline was first seen to be overdue
 * @events: calls of the event handler
 * @plain: interrupts while the plain path was in use
 * @early: events before their expiry
 * @losses: deadlines that the hypervisor has lost
 */
static struct walk {
	struct rnd_state	rnd;
	unsigned int		step;
	const char		*last;
	const char		*flaw;

	bool			wants;
	ktime_t			wanted;
	bool			in_event;
	bool			hog;
	bool			told;
	u32			mult;

	u64			ahead;
	bool			drops;
	bool			refuses;
	unsigned int		refusals;
	unsigned int		refused;
	u64			armed_at;
	u64			drawn_at;
	bool			exact;
	bool			lost;
	bool			spurious;
	bool			asked;
	ktime_t			suspected;

	unsigned long		events;
	unsigned long		plain;
	unsigned long		early;
	unsigned long		losses;
} walk;

static void walk_fails(const char *flaw)
{
	walk.flaw = walk.flaw ?: flaw;
}

static u64 below(u64 n)
{
	u64 high = prandom_u32_state(&walk.rnd);

	return mul_u64_u64_shr(high << 32 | prandom_u32_state(&walk.rnd), n, 64);
}

static bool one_in(unsigned int n)
{
	return !below(n);
}

/* Any of so many binary digits is as likely to be the first one */
static u64 magnitude(unsigned int bits)
{
	return below(BIT_ULL(1 + below(bits)));
}

/* ---- the clock ---- */

static u64 walk_nsec(u64 counter)
{
	const struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	return (counter - tkr->cycle_last) * tkr->mult + tkr->xtime_nsec;
}

static void walk_update(u32 mult)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;
	u64 nsec = walk_nsec(fake.counter);

	tkr->base += nsec >> tkr->shift;
	tkr->xtime_nsec = nsec & (BIT_ULL(tkr->shift) - 1);
	tkr->cycle_last = fake.counter;
	tkr->mult = mult;
	with_irqs_off(update_timekeeper);
}

static void walk_pass(u64 ticks)
{
	const struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	fake.counter += ticks;
	fake.clock = tkr->base + (walk_nsec(fake.counter) >> tkr->shift);
	if (fake.counter - tkr->cycle_last > 100 * WALK_HZ)
		walk_update(tkr->mult);
}

/* The counter at that time, or about 18 years from now if that is later */
static u64 walk_counter_at(ktime_t clock)
{
	const struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;
	u64 ns = min_t(u64, clock - tkr->base, BIT_ULL(59));

	if (clock <= tkr->base)
		return tkr->cycle_last;
	return tkr->cycle_last +
	       mul_u64_u64_div_u64(ns, BIT_ULL(tkr->shift), tkr->mult);
}

static void walk_start_clock(u64 counter, u64 later)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	fake.counter = counter;
	fake.clock += later;
	tkr->base = fake.clock;
	tkr->xtime_nsec = 0;
	tkr->cycle_last = counter;
	with_irqs_off(update_timekeeper);
}

/* ---- the hypervisor ---- */

static int walk_arm(u64 deadline)
{
	fake.told_zero |= !deadline;
	fake.irqs_were_on |= !irqs_disabled();
	if (walk.refusals) {
		walk.refusals--;
		walk.refused++;
		return -EBUSY;
	}
	walk.refused = 0;
	if (fake.comparator != deadline)
		walk.suspected = 0;
	fake.comparator = deadline;
	walk.armed_at = fake.counter;
	walk.drawn_at = fake_timekeeper.tkr_mono.cycle_last;
	walk.exact = pv_timer_line.slope;
	walk.lost = false;
	return 0;
}

static void walk_disarm(void)
{
	fake.comparator = 0;
	walk.lost = false;
	walk.suspected = 0;
}

static bool walk_is_due(void)
{
	return fake.comparator &&
	       (s64)(fake.counter + walk.ahead - fake.comparator) >= 0;
}

/* ---- what is promised ---- */

/*
 * What the deadline may be off: rounding, the lower multiplier since the last
 * update, and the clock's other rate since the deadline was armed.
 */
static u64 walk_inexact(u64 due)
{
	u64 rate = walk.exact ? 0 : (due - walk.armed_at) >> 9;

	return 6 + ((due - walk.drawn_at) >> 20) + rate;
}

static void walk_check_deadline(void)
{
	u64 due = walk_counter_at(walk.wanted);

	if ((s64)(due - walk.armed_at) < 0)
		due = walk.armed_at;
	if ((s64)(fake.comparator - due - walk_inexact(due) - pt->skew) > 0)
		walk_fails("the deadline is later than what is wanted");
}

static void walk_check_loss(void)
{
	if (pt->armed_for == pt->none || pt->armed_for > walk.wanted)
		walk_fails("what is wanted was not armed");
	else if (!walk.lost)
		walk_fails("the deadline was not armed again");
	else if (fake.clock - (s64)pt->armed_for > TICK_NSEC &&
		 !pv_timer_is_overdue(pt, fake.clock))
		walk_fails("nobody can see the loss");
}

static bool walk_is_refused(void)
{
	return pt->refused && pt->armed_for == pt->none;
}

static void walk_check(void)
{
	if (pt->skew > pv_timer_tick / 2)
		walk_fails("the damping is not bounded");
	if (walk_is_refused() && walk.refused < WALK_TRIES)
		walk_fails("the core gives up too soon");
	if (!walk.wants)
		return;
	if (walk_is_refused() && !pv_timer_is_overdue(pt, fake.clock))
		walk_fails("nobody can see the refusal");
	if (walk_is_refused())
		return;
	if (fake.comparator)
		walk_check_deadline();
	else
		walk_check_loss();
}

/* ---- the kernel ---- */

/* With irqs off for a second, it may not be known better */
static bool walk_may_be_lost(void)
{
	return walk.lost || (s64)(fake.counter - fake.comparator) > (s64)WALK_HZ;
}

static int walk_request(ktime_t expires)
{
	bool told = walk.in_event && expires <= fake.clock;
	unsigned long lost = pt->stats[PV_TIMER_LOST];
	bool may_be_lost = walk_may_be_lost();
	int ret;

	walk.wants = true;
	walk.wanted = expires;
	ret = program(expires);
	if (pt->stats[PV_TIMER_LOST] != lost && !may_be_lost)
		walk_fails("a deadline is taken for lost that is not overdue");
	if (ret && !(told && ret == -ETIME))
		walk_fails("a request has failed");
	if (!ret && told && pt->ced.event_handler == fake_handler)
		walk_fails("the event handler was not told what has passed");
	return ret;
}

static void walk_stop(void)
{
	walk.wants = false;
	if (clockevent_state_oneshot(&pt->ced))
		switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
}

static ktime_t walk_near(void)
{
	switch (below(8)) {
	case 0:
		return fake.clock - min_t(u64, magnitude(30), fake.clock);
	case 1:
		return max_t(s64, walk.wanted - (s64)magnitude(24), 0);
	case 2:
		return walk.wanted;
	case 3:
		return pt->armed_for == pt->none ? fake.clock : pt->armed_for;
	case 4:
		return fake.clock + below(4 * TICK_NSEC);
	default:
		return fake.clock + magnitude(27);
	}
}

static ktime_t walk_choose(void)
{
	if (!one_in(16))
		return walk_near();
	if (!one_in(4))
		return fake.clock + magnitude(42);
	return KTIME_MAX - 1 - below(one_in(2) ? 4 : KTIME_MAX - fake.clock);
}

/* Sooner than its interrupt can have been raised, unless the hypervisor is bad */
static void walk_check_early(void)
{
	u64 due = walk_counter_at(walk.wanted);

	walk.early++;
	if (pt->ced.event_handler != fake_handler && (walk.spurious || walk.ahead))
		return;
	if (walk.exact || due - fake.counter > walk_inexact(due))
		walk_fails("the event comes before its expiry");
}

static void walk_serve_hog(void)
{
	walk_pass(WALK_HZ / 2000);
	if (!walk_request(fake.clock - NSEC_PER_SEC / 4000))
		return;
	walk.told = true;
	walk_request(fake.clock + 1 + magnitude(20));
}

/* What has passed is served at once, and now and then is left to an interrupt. */
static void walk_serve(void)
{
	unsigned int tries;

	for (tries = 0; tries < 3; tries++) {
		if (one_in(16)) {
			walk_stop();
			return;
		}
		if (!walk_request(walk_choose()))
			break;
	}
	if (one_in(8))
		walk_request(walk_choose());
	else if (tries == 3 && !one_in(8))
		walk_request(fake.clock + 1 + magnitude(20));
}

static void walk_event(void)
{
	walk.events++;
	if (!walk.wants) {
		walk_fails("nobody wants this event");
		return;
	}
	walk.in_event = true;
	if (fake.clock < walk.wanted) {
		walk_check_early();
		walk_request(walk.wanted);
	} else if (walk.hog) {
		walk_serve_hog();
	} else {
		walk_serve();
	}
	walk.in_event = false;
}

/* ---- the steps ---- */

static void step_request(void)
{
	fake.idle = one_in(4);
	fake.tick_stopped = fake.idle && one_in(2);
	walk_request(walk_choose());
}

static void step_stop(void)
{
	walk_stop();
}

static void step_interrupt(void)
{
	if (!walk_is_due())
		return;
	walk.plain += pt->ced.set_next_ktime != pv_timer_set_next_general;
	fake.comparator = 0;
	fake_interrupt();
}

static void step_spurious(void)
{
	walk.spurious = true;
	fake_interrupt();
	walk.spurious = false;
}

/* Not much beyond the deadline, as the interrupt is not held back for long */
static void step_pass(void)
{
	u64 ticks = magnitude(one_in(64) ? 39 : 26);
	s64 left = fake.comparator - fake.counter;

	if (fake.comparator && !one_in(256)) {
		if (one_in(2) && left > 0 && left < 10 * WALK_TICK)
			ticks = left - min_t(u64, left, walk.ahead) + below(3);
		ticks = min_t(u64, ticks, max_t(s64, left, 0) + below(2 * WALK_TICK));
	}
	walk_pass(ticks);
}

static void step_update(void)
{
	walk_update(walk.mult + below(2));
}

static void step_steer(void)
{
	walk.mult = WALK_MULT - WALK_MULT / 2000 + below(WALK_MULT / 1000);
	walk.exact = false;
	step_update();
}

static void step_couple(void)
{
	static struct clocksource other = { .name = "other" };
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	tkr->clock = tkr->clock == &other || one_in(2) ? &fake_clocksource : &other;
	step_update();
}

static void step_refuse(void)
{
	if (walk.refuses)
		walk.refusals = one_in(16) ? 4 * WALK_TRIES : below(WALK_TRIES);
}

static void step_drop(void)
{
	if (!walk.drops || !fake.comparator)
		return;
	fake.comparator = 0;
	walk.lost = true;
	walk.losses++;
}

/* The neighbour sees what is overdue, at any time and as often as it likes. */
static void step_recheck(void)
{
	unsigned long lost = pt->stats[PV_TIMER_LOST];
	ktime_t since = walk.suspected ?: fake.clock;

	if (!walk.asked && !pv_timer_is_overdue(pt, fake.clock))
		return;
	walk.asked = false;
	recheck();
	if (pt->stats[PV_TIMER_LOST] != lost && fake.clock - since < TICK_NSEC)
		walk_fails("an interrupt that is held back is taken for lost");
	if (pv_timer_is_overdue(pt, fake.clock) && !walk_is_refused())
		walk.suspected = walk.suspected ?: fake.clock;
}

/* A jiffy after it has seen so, it has the deadline armed again. */
static void step_recheck_twice(void)
{
	if (!walk.wants || !pv_timer_is_overdue(pt, fake.clock))
		return;
	walk.refusals = 0;
	step_recheck();
	walk_pass(2 * WALK_TICK);
	if (walk.wants && pv_timer_is_overdue(pt, fake.clock))
		step_recheck();
	if (walk.wants && !fake.comparator)
		walk_fails("a loss is not made good");
}

static void step_restore(void)
{
	if (one_in(2)) {
		walk.lost |= !!fake.comparator;
		fake.comparator = 0;
	}
	if (walk.asked)
		return;
	if (one_in(4)) {
		walk.asked = true;
		atomic_set(&pt->asked, 1);
	}
	pv_timer_changed();
	if (walk.wants && !walk.asked && !fake.comparator && !walk_is_refused())
		walk_fails("the restore has armed nothing");
}

static void step_hog(void)
{
	ktime_t end = fake.clock + 9 * TICK_NSEC;

	if (!walk.wants)
		return;
	walk.refusals = 0;
	walk.ahead = 0;
	walk_request(fake.clock);
	walk.hog = true;
	walk.told = false;
	while (fake.comparator && !walk.told && fake.clock < end) {
		if (!walk_is_due())
			walk_pass(fake.comparator - fake.counter);
		step_interrupt();
	}
	walk.hog = false;
	if (fake.comparator && !walk.told)
		walk_fails("a hog is never told what has passed");
}

static void step_suspend(void)
{
	scoped_guard(irqsave)
		clockevents_shutdown(&pt->ced);
	walk.wants = false;
	walk_start_clock(one_in(2) ? magnitude(34) : fake.counter + magnitude(40),
			 magnitude(40));
	scoped_guard(irqsave)
		clockevents_tick_resume(&pt->ced);
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	walk_request(fake.clock);
}

/* Another time, another hypervisor */
static void step_hotplug(void)
{
	static const unsigned int flags[] = {
		PV_TIMER_NOFAIL, PV_TIMER_NOFAIL, 0, PV_TIMER_FREE,
		PV_TIMER_FREE | PV_TIMER_NOFAIL,
	};
	static const u64 limits[] = { 0, 0, WALK_TICK / 2, 3 * WALK_TICK, WALK_HZ };

	scoped_guard(irqsave)
		pv_timer_dying_cpu(0);
	walk.refusals = 0;
	walk_pass(61 * WALK_HZ);
	if (pv_timer_is_watching())
		walk_fails("the watch does not end");
	fake_backend.flags = flags[below(ARRAY_SIZE(flags))];
	fake_backend.max_ticks = limits[below(ARRAY_SIZE(limits))];
	walk.refuses = !(fake_backend.flags & PV_TIMER_NOFAIL) && one_in(2);
	walk.drops = one_in(4);
	walk.ahead = one_in(4) ? magnitude(24) : 0;
	pv_timer_adopt(&fake_backend, WALK_HZ);
	pv_timer_starting_cpu(0);
	walk.asked = false;
	pt->ced.event_handler = one_in(3) ? fake_handler : fake_hrtimer_interrupt;
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	walk_request(walk_choose());
}

#define STEP(weight, what)	{ weight, #what, step_##what }

static const struct {
	unsigned int	weight;
	const char	*name;
	void		(*step)(void);
} walk_table[] = {
	STEP(3000, request),
	STEP(300, stop),
	STEP(3000, pass),
	STEP(3000, interrupt),
	STEP(100, spurious),
	STEP(300, update),
	STEP(20, steer),
	STEP(10, couple),
	STEP(50, refuse),
	STEP(50, drop),
	STEP(100, recheck),
	STEP(20, recheck_twice),
	STEP(30, restore),
	STEP(1, hog),
	STEP(9, suspend),
	STEP(10, hotplug),
};

#define WALK_WEIGHTS	10000

static void walk_step(void)
{
	unsigned int at = below(WALK_WEIGHTS), i;

	for (i = 0; at >= walk_table[i].weight; i++)
		at -= walk_table[i].weight;
	walk.last = walk_table[i].name;
	walk_table[i].step();
}

static void walk_start(void)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	walk = (struct walk) { .wants = false };
	prandom_seed_state(&walk.rnd, walk_seed);
	fake.online = BIT(0) | BIT(1);
	fake.possible = fake.online;
	fake.event = walk_event;
	fake_backend.arm = walk_arm;
	fake_backend.disarm = walk_disarm;
	couple_at(WALK_HZ);
	tkr->shift = WALK_SHIFT;
	step_steer();
	step_hotplug();
}

static void walk_report(struct kunit *test)
{
	kunit_info(test, "counter %llu, comparator %llu of %llu, ahead %llu, skew %llu\n",
		   fake.counter, fake.comparator, walk.armed_at, walk.ahead, pt->skew);
	kunit_info(test, "clock %lld, wanted %lld at %llu, armed_for %lld, flags %x, limit %llu\n",
		   fake.clock, walk.wanted, walk_counter_at(walk.wanted),
		   pt->armed_for, pv_timer->flags, pv_timer->max_ticks);
	KUNIT_FAIL(test, "walk_seed=%llu: step %u, %s: %s", walk_seed, walk.step,
		   walk.last, walk.flaw);
}

static void walk_has_seen_it_all(struct kunit *test)
{
	KUNIT_EXPECT_GT(test, walk.plain, 0);
	KUNIT_EXPECT_GT(test, walk.events, walk.plain / 2);
	KUNIT_EXPECT_GT(test, walk.early, 0);
	KUNIT_EXPECT_GT(test, walk.losses, 0);
}

static void survives_a_random_walk(struct kunit *test)
{
	walk_start();
	for (walk.step = 0; walk.step < walk_steps && !walk.flaw; walk.step++) {
		walk_step();
		walk_check();
	}
	kunit_info(test, "walk_seed=%llu: %u steps, %lu events, %lu plain, %lu early, %lu lost\n",
		   walk_seed, walk.step, walk.events, walk.plain, walk.early,
		   walk.losses);
	if (walk.flaw)
		walk_report(test);
	else if (walk.step >= WALK_IS_LONG)
		walk_has_seen_it_all(test);
}
