// SPDX-License-Identifier: GPL-2.0
/*
 * The paravirtual timer core between a fake hypervisor and a fake kernel
 *
 * The hypervisor is a counter and a comparator that take note of what they are
 * told. The kernel is what the core calls: its clock, jiffies, CPU hotplug,
 * the registration of devices. Time stands still until a test moves it, and
 * interrupts come when a test raises them, so each expectation is exact. The
 * core is included, as most of it is static, with what it calls renamed.
 */
#define pr_fmt(fmt) "pv_timer: " fmt

#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/kexec.h>
#include <linux/kobject.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pv_timer.h>
#include <linux/pvclock_gtod.h>
#include <linux/ratelimit.h>
#include <linux/seq_file.h>
#include <linux/seqlock.h>
#include <linux/smp.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/syscore_ops.h>
#include <linux/sysfs.h>
#include <linux/tick.h>
#include <linux/timekeeper_internal.h>

#include "pv_clockevents.h"

/* At this frequency a tick of the counter is a nanosecond */
#define FAKE_HZ		NSEC_PER_SEC
#define FAKE_TICK	(NSEC_PER_SEC / HZ)
#define FAKE_COUNTER	(1000ULL * NSEC_PER_SEC)
#define FAKE_CLOCK	(5LL * NSEC_PER_SEC)
#define FAKE_CS_ID	CSID_ARM_ARCH_COUNTER
#define FAKE_DYN_STATE	(CPUHP_BP_PREPARE_DYN + 1)

static struct fake {
	/* the hypervisor */
	u64		counter;
	u64		comparator;
	u64		told;
	u64		first;
	u64		period;
	u64		arm_takes;
	int		refuses;
	unsigned int	refusals;
	bool		counts_down;
	bool		frozen;

	/* the kernel */
	ktime_t		clock;
	u64		read_takes;
	unsigned int	reads;
	bool		tick_stopped;
	bool		kexec;
	int		fails;
	int		cpu_fails;
	u64		clocksource_hz;
	unsigned int	irq;
	irq_handler_t	irq_handler;
	int		(*teardown)(unsigned int cpu);
	struct clock_event_device *registered;

	/* what the event handler programs, or finds to be armed */
	ktime_t		next;
	ktime_t		after_next;
	u64		overdue;

	/* what has happened */
	unsigned int	arms;
	bool		told_zero;
	bool		irqs_were_on;
	char		calls[256];
	unsigned int	messages;
	char		message[256];
} fake;

static struct timekeeper fake_timekeeper;

static void called(const char *what)
{
	size_t len = strlen(fake.calls);

	scnprintf(fake.calls + len, sizeof(fake.calls) - len, "%s%s",
		  len ? " " : "", what);
}

/* For what is to be called with irqs off only */
static void called_irqs_off(const char *what)
{
	called(what);
	fake.irqs_were_on |= !irqs_disabled();
}

static void fake_pass(u64 ns)
{
	fake.clock += ns;
	if (!fake.frozen)
		fake.counter += ns;
}

/* ---- the hypervisor ---- */

static u64 fake_probe(void)
{
	return FAKE_HZ;
}

static u64 fake_probe_absent(void)
{
	return 0;
}

static u64 fake_now(void)
{
	u64 counter = fake.counter;

	fake.reads++;
	fake_pass(fake.read_takes);
	return counter;
}

static int fake_arm(u64 deadline)
{
	called_irqs_off("arm");
	fake.arms++;
	fake.told_zero |= !deadline;
	if (fake.refuses && (!fake.refusals || fake.arms <= fake.refusals))
		return fake.refuses;
	fake.told = deadline;
	fake.comparator = deadline + (fake.counts_down ? fake.counter : 0);
	fake_pass(fake.arm_takes);
	return 0;
}

/* It says yes and never fires */
static int fake_arm_lies(u64 deadline)
{
	called_irqs_off("arm");
	return 0;
}

static void fake_disarm(void)
{
	called_irqs_off("disarm");
	fake.comparator = 0;
}

static int fake_arm_periodic(u64 first, u64 period)
{
	called_irqs_off("arm_periodic");
	if (fake.refuses)
		return fake.refuses;
	fake.first = first;
	fake.period = period;
	return 0;
}

static void fake_disarm_periodic(void)
{
	called_irqs_off("disarm_periodic");
	fake.period = 0;
}

static int fake_cpu_prepare(unsigned int cpu)
{
	called("prepare");
	return fake.fails;
}

static int fake_cpu_dead(unsigned int cpu)
{
	called("dead");
	return 0;
}

static void fake_cpu_start(void)
{
	called_irqs_off("start");
}

static void fake_cpu_stop(void)
{
	called_irqs_off("stop");
}

static void fake_ack(void)
{
	called("ack");
}

static int fake_irq(void)
{
	return 7;
}

static int fake_no_irq(void)
{
	return -ENXIO;
}

static const struct pv_timer_backend fake_template = {
	.name		= "fake",
	.rating		= 100,
	.probe		= fake_probe,
	.now		= fake_now,
	.arm		= fake_arm,
	.disarm		= fake_disarm,
};

/* ---- the kernel ---- */

static ktime_t fake_ktime_get(void)
{
	ktime_t clock = fake.clock;

	fake.reads++;
	fake_pass(fake.read_takes);
	return clock;
}

static void fake_interrupt(void)
{
	guard(irqsave)();
	__pv_timer_interrupt();
}

/* The boot test waits with it, the interrupt comes meanwhile */
static void fake_udelay(unsigned long us)
{
	fake_pass(us * NSEC_PER_USEC);
	if (!fake.comparator || (s64)(fake.counter - fake.comparator) < 0)
		return;
	fake.comparator = 0;
	fake_interrupt();
}

static void fake_register_device(struct clock_event_device *ced)
{
	called_irqs_off("register");
	fake.registered = ced;
}

static int fake_register_clocksource(struct clocksource *cs, u64 hz)
{
	called("clocksource");
	fake.clocksource_hz = hz;
	return fake.fails;
}

static int fake_register_notifier(struct notifier_block *nb)
{
	called("notifier");
	return 0;
}

static int fake_request_irq(unsigned int irq, irq_handler_t handler,
			    unsigned long flags, const char *name, void *dev)
{
	called("request_irq");
	fake.irq = irq;
	fake.irq_handler = handler;
	return fake.fails;
}

static void fake_free_irq(unsigned int irq, void *dev)
{
	called("free_irq");
}

static int fake_request_percpu_irq(unsigned int irq, irq_handler_t handler,
				   unsigned long flags, const char *name,
				   void __percpu *dev)
{
	called("request_percpu_irq");
	fake.irq = irq;
	fake.irq_handler = handler;
	return fake.fails;
}

static void fake_free_percpu_irq(unsigned int irq, void __percpu *dev)
{
	called("free_percpu_irq");
}

static void fake_enable_percpu_irq(unsigned int irq, unsigned int type)
{
	called_irqs_off("enable");
	fake.irq = irq;
}

static void fake_disable_percpu_irq(unsigned int irq)
{
	called_irqs_off("disable");
}

static int fake_setup_state(enum cpuhp_state state, const char *name,
			    int (*startup)(unsigned int cpu),
			    int (*teardown)(unsigned int cpu))
{
	int err = state == CPUHP_BP_PREPARE_DYN ? 0 : fake.cpu_fails;

	err = err ?: startup(0);
	if (err)
		return err;
	fake.teardown = teardown;
	return state == CPUHP_BP_PREPARE_DYN ? FAKE_DYN_STATE : 0;
}

static void fake_remove_state(enum cpuhp_state state)
{
	if (state == FAKE_DYN_STATE)
		fake.teardown(0);
}

static __printf(1, 2) int fake_printk(const char *fmt, ...)
{
	char message[sizeof(fake.message)];
	va_list args;

	va_start(args, fmt);
	vscnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	strscpy(fake.message, printk_skip_level(message));
	return ++fake.messages;
}

/* ---- the core between them ---- */

#undef __init
#define __init
#undef kexec_in_progress
#define kexec_in_progress		fake.kexec
#undef printk
#define printk				fake_printk
#undef printk_deferred
#define printk_deferred			fake_printk
#undef udelay
#define udelay				fake_udelay
#define clockevents_register_device	fake_register_device
#define clocksource_register_hz		fake_register_clocksource
#define cpuhp_remove_state		fake_remove_state
#define cpuhp_setup_state		fake_setup_state
#define disable_percpu_irq		fake_disable_percpu_irq
#define enable_percpu_irq		fake_enable_percpu_irq
#define free_irq			fake_free_irq
#define free_percpu_irq			fake_free_percpu_irq
#define ktime_get			fake_ktime_get
#define pvclock_gtod_register_notifier	fake_register_notifier
#define request_irq			fake_request_irq
#define __request_percpu_irq		fake_request_percpu_irq
#define tick_nohz_tick_stopped()	fake.tick_stopped

#include "pv_clockevents.c"
#include "pv_backends.c"

/* The one under test, and those that are chosen from */
static struct pv_timer_backend fake_backend;
static struct pv_timer_backend fake_backends[PV_TIMER_MAX_BACKENDS + 1];
static struct pv_timer_cpu *pt;

/* What was called since the last time, in order */
#define EXPECT_CALLS(test, expected)					\
do {									\
	KUNIT_EXPECT_STREQ(test, fake.calls, expected);			\
	fake.calls[0] = '\0';						\
} while (0)

static ktime_t in_ns(s64 ns)
{
	return fake.clock + ns;
}

/* The counter at that expiry, and the tick that rounding up adds */
static u64 at(ktime_t expires)
{
	return fake.counter + (expires - fake.clock) + 1;
}

static void switch_to(enum clock_event_state state)
{
	guard(irqsave)();
	clockevents_switch_state(&pt->ced, state);
}

/* As the tick does it */
static int program(ktime_t expires)
{
	guard(irqsave)();
	if (clockevent_state_oneshot_stopped(&pt->ced))
		switch_to(CLOCK_EVT_STATE_ONESHOT);
	return clockevents_program_event(&pt->ced, expires, false);
}

static void fake_handler(struct clock_event_device *ced)
{
	called_irqs_off("handler");
	if (fake.next && program(fake.next) == -ETIME)
		called("passed");
	if (fake.after_next)
		program(fake.after_next);
	if (fake.overdue)
		pt->armed = fake.overdue;
}

/* Adopt the backend, and bring its device into the one-shot state */
static void use_at(u64 hz)
{
	fake.counts_down = fake_backend.flags & PV_TIMER_RELATIVE;
	pv_timer_adopt(&fake_backend, hz);
	scoped_guard(irqsave)
		pv_timer_init_device(pt, cpumask_of(0));
	pt->ced.event_handler = fake_handler;
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	fake.calls[0] = '\0';
}

static void use(unsigned int flags)
{
	fake_backend.flags = flags;
	use_at(FAKE_HZ);
}

static void use_periodic(unsigned int flags)
{
	fake_backend.arm_periodic = fake_arm_periodic;
	fake_backend.disarm_periodic = fake_disarm_periodic;
	use(flags);
}

/* Raise an interrupt, which is to be counted as this and as nothing else */
static void expect_interrupt(struct kunit *test, enum pv_timer_stat what)
{
	unsigned long before[PV_TIMER_NR_STATS];
	enum pv_timer_stat i;

	memcpy(before, pt->stats, sizeof(before));
	fake_interrupt();
	for (i = PV_TIMER_EVENTS; i <= PV_TIMER_SPURIOUS; i++)
		KUNIT_EXPECT_EQ_MSG(test, pt->stats[i] - before[i], i == what,
				    "%s", pv_timer_stat_names[i]);
}

static void recheck(void)
{
	guard(irqsave)();
	pv_timer_recheck(NULL);
}

static void with_irqs_off(void (*function)(void))
{
	guard(irqsave)();
	function();
}

/* ---- one-shot ---- */

static void arms_an_absolute_deadline(struct kunit *test)
{
	use(0);
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
	KUNIT_EXPECT_EQ(test, pt->armed, fake.told);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_SET], 1);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ARMED], 1);
}

static void reads_the_counter_before_the_clock(struct kunit *test)
{
	u64 early = at(in_ns(5000)) - 1000;

	use(0);
	fake.read_takes = 1000;
	program(in_ns(5000));
	KUNIT_EXPECT_EQ(test, fake.told, early);
}

static void passed_expiry_arms_and_is_reported(struct kunit *test)
{
	use(0);
	KUNIT_EXPECT_EQ(test, program(in_ns(-1000)), -ETIME);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.told, fake.counter);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void expiry_of_this_very_moment_has_passed(struct kunit *test)
{
	use(0);
	KUNIT_EXPECT_EQ(test, program(in_ns(0)), -ETIME);
	EXPECT_CALLS(test, "arm");
}

static void never_arms_zero(struct kunit *test)
{
	static const s64 ns[] = { -1, 0, 1, 2 };
	static const u64 counter[] = { 0, 1, U64_MAX - 2, U64_MAX - 1, U64_MAX };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(counter); i++) {
		for (j = 0; j < ARRAY_SIZE(ns); j++) {
			use(0);
			fake.counter = counter[i];
			program(in_ns(ns[j]));
			KUNIT_EXPECT_NE_MSG(test, fake.told, 0,
					    "counter %llu, %lld ns",
					    counter[i], ns[j]);
			KUNIT_EXPECT_NE(test, pt->armed, 0);
		}
	}
}

static void stop_is_noted_only(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_STOPPED], 1);
	KUNIT_EXPECT_EQ(test, pt->armed, fake.comparator);
}

static void restart_finds_the_deadline_armed(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm");
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void shutdown_disarms(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_SHUTDOWN);
	EXPECT_CALLS(test, "arm disarm");
	KUNIT_EXPECT_EQ(test, pt->want, KTIME_MAX);
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_SPURIOUS);
	EXPECT_CALLS(test, "");
}

static void shutdown_forgets_the_deadline(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_SHUTDOWN);
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm disarm arm");
}

static void stopped_and_shut_down_disarms(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	switch_to(CLOCK_EVT_STATE_SHUTDOWN);
	EXPECT_CALLS(test, "arm disarm");
	KUNIT_EXPECT_EQ(test, pt->armed, 0);
}

static void oneshot_costs_no_call(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->armed, fake.comparator);
}

static void resume_does_not_rely_on_the_deadline(struct kunit *test)
{
	fake_backend.cpu_start = fake_cpu_start;
	use(0);
	program(in_ns(1000));
	clockevents_tick_resume(&pt->ced);
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm arm");
}

static void resume_starts_a_timer_that_lost_its_state(struct kunit *test)
{
	fake_backend.cpu_start = fake_cpu_start;
	use(PV_TIMER_LOSES_STATE);
	scoped_guard(irqsave)
		clockevents_tick_resume(&pt->ced);
	program(in_ns(1000));
	EXPECT_CALLS(test, "start arm");
}

static void resume_needs_no_cpu_start(struct kunit *test)
{
	use(PV_TIMER_LOSES_STATE);
	KUNIT_EXPECT_EQ(test, clockevents_tick_resume(&pt->ced), 0);
	EXPECT_CALLS(test, "");
}

/* ---- what the hypervisor need not be told ---- */

static void elides_the_same_expiry(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_SET], 2);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ARMED], 1);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ELIDED], 1);
}

static void elides_a_later_expiry(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	program(in_ns(2000));
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ELIDED], 1);
}

static void arms_a_later_expiry_if_the_tick_is_stopped(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake.tick_stopped = true;
	program(in_ns(2000));
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(2000)));
}

static void elides_the_same_expiry_if_the_tick_is_stopped(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake.tick_stopped = true;
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm");
}

static void arms_an_earlier_expiry(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	program(in_ns(999));
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(999)));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ELIDED], 0);
}

static void earlier_expiry_reads_each_clock_once(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake.reads = 0;
	program(in_ns(999));
	KUNIT_EXPECT_EQ(test, fake.reads, 2);
}

static void arms_an_earlier_expiry_than_the_elided_one(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	program(in_ns(3000));
	program(in_ns(2000));
	EXPECT_CALLS(test, "arm");
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_SOAKED);
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(2000 - 1001)));
}

static void does_not_rely_on_a_deadline_that_has_passed(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001);
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

static void held_back_for_a_second_is_not_lost(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001 + NSEC_PER_SEC);
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

static void held_back_for_more_than_a_second_is_lost(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1002 + NSEC_PER_SEC);
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 1);
}

/* ---- what an interrupt means ---- */

static void interrupt_on_time_is_an_event(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler");
	KUNIT_EXPECT_EQ(test, pt->armed, 0);
}

static void late_interrupt_is_an_event(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(10ULL * NSEC_PER_SEC);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

static void event_handler_arms_the_next(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001);
	fake.next = in_ns(1000);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(fake.next));
}

static void event_handler_is_told_what_has_passed(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001);
	fake.next = in_ns(0);
	fake.after_next = in_ns(1000);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler passed arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ELIDED], 1);
	KUNIT_EXPECT_EQ(test, fake.comparator, at(fake.after_next));
}

static void event_handler_may_leave_what_has_passed(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001);
	fake.next = in_ns(-500);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler passed arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter);
	fake.next = 0;
	expect_interrupt(test, PV_TIMER_EVENTS);
	KUNIT_EXPECT_EQ(test, program(in_ns(-500)), -ETIME);
	EXPECT_CALLS(test, "handler arm");
}

static void event_leaves_nothing_wanted(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
	KUNIT_EXPECT_EQ(test, pt->want, KTIME_MAX);
}

static void early_interrupt_arms_again(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(400);
	expect_interrupt(test, PV_TIMER_EARLY);
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(600)));
	fake_pass(601);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void early_interrupt_after_a_stop_is_dropped(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	expect_interrupt(test, PV_TIMER_EARLY);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->armed, 0);
}

static void spurious_interrupt_has_no_handler(struct kunit *test)
{
	use(0);
	expect_interrupt(test, PV_TIMER_SPURIOUS);
	EXPECT_CALLS(test, "");
}

static void second_interrupt_is_spurious(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
	expect_interrupt(test, PV_TIMER_SPURIOUS);
	EXPECT_CALLS(test, "arm handler");
}

static void interrupt_of_an_elided_expiry_arms_it(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	program(in_ns(5000));
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_SOAKED);
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(5000 - 1001)));
}

static void interrupt_after_a_stop_is_dropped(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_SOAKED);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->armed, 0);
}

static void interrupt_is_acknowledged_first(struct kunit *test)
{
	fake_backend.ack = fake_ack;
	use(0);
	program(in_ns(1000));
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm ack handler");
}

static bool interrupt_is_ours(void)
{
	guard(irqsave)();
	return pv_timer_interrupt();
}

static void interrupt_is_foreign_without_a_backend(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, interrupt_is_ours());
	use(0);
	KUNIT_EXPECT_TRUE(test, interrupt_is_ours());
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_SPURIOUS], 1);
}

static void interrupt_is_foreign_before_the_cpu_is_up(struct kunit *test)
{
	fake_backend.ack = fake_ack;
	pv_timer_adopt(&fake_backend, FAKE_HZ);
	KUNIT_EXPECT_FALSE(test, interrupt_is_ours());
	EXPECT_CALLS(test, "");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_SPURIOUS], 0);
	use(0);
	KUNIT_EXPECT_TRUE(test, interrupt_is_ours());
}

static void refused_deadline_is_reported(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), -EIO);
	KUNIT_EXPECT_EQ(test, program(in_ns(-1000)), -EIO);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 4);
	KUNIT_EXPECT_STREQ(test, fake.message,
			   "pv_timer: fake refused a deadline on CPU0 [-5]\n");
}

static void refused_deadline_does_not_serve_a_later_one(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	program(in_ns(1000));
	fake.refuses = 0;
	KUNIT_EXPECT_EQ(test, program(in_ns(2000)), 0);
	EXPECT_CALLS(test, "arm arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(2000)));
}

static void refused_deadline_is_tried_again_when_overdue(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	program(in_ns(1000));
	fake.refuses = 0;
	fake_pass(1002 + FAKE_TICK);
	recheck();
	recheck();
	EXPECT_CALLS(test, "arm arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void refused_deadline_is_tried_at_once(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	fake.refusals = 1;
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 1);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ARMED], 1);
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "");
}

static void refused_deadline_is_tried_again(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	program(in_ns(1000));
	fake.refuses = 0;
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "arm arm arm");
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(1000)));
}

static void refusals_do_not_flood_the_log(struct kunit *test)
{
	unsigned int i;

	use(0);
	fake.refuses = -EIO;
	for (i = 0; i < 10; i++)
		program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 20);
	KUNIT_EXPECT_LE(test, fake.messages, 3);
}

/* ---- lost interrupts ---- */

static void overdue_deadline_is_lost_the_second_time(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1002 + FAKE_TICK);
	recheck();
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
	recheck();
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 1);
	KUNIT_EXPECT_STREQ(test, fake.message,
			   "pv_timer: fake lost a deadline on CPU0 [-62]\n");
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void deadline_is_not_overdue_for_a_jiffy(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001 + FAKE_TICK);
	recheck();
	recheck();
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->suspect, 0);
}

static void another_deadline_is_another_suspect(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1002 + FAKE_TICK);
	recheck();
	program(in_ns(1000));
	fake_pass(1002 + FAKE_TICK);
	recheck();
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

static void loss_that_nobody_wants_keeps_watch(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	fake_pass(1002 + FAKE_TICK);
	recheck();
	recheck();
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 1);
	KUNIT_EXPECT_EQ(test, pt->armed, fake.counter + HZ * FAKE_TICK);
	fake_pass(HZ * FAKE_TICK);
	expect_interrupt(test, PV_TIMER_SOAKED);
	KUNIT_EXPECT_EQ(test, pt->armed, fake.counter + HZ * FAKE_TICK);
}

static void stopped_cpu_keeps_watch_after_a_loss(struct kunit *test)
{
	use(0);
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	EXPECT_CALLS(test, "");
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	pv_timer_lost(pt);
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->armed, fake.counter + HZ * FAKE_TICK);
}

static void sleeps_no_longer_than_a_second_after_a_loss(struct kunit *test)
{
	use(0);
	pv_timer_lost(pt);
	program(in_ns(20ULL * NSEC_PER_SEC));
	KUNIT_EXPECT_EQ(test, pt->armed, fake.counter + HZ * FAKE_TICK);
}

static void nothing_armed_is_not_lost(struct kunit *test)
{
	use(0);
	fake_pass(10ULL * NSEC_PER_SEC);
	recheck();
	recheck();
	EXPECT_CALLS(test, "");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

/* Where there is one CPU, it is its own neighbour. */
static void event_with_the_neighbour_overdue(u64 later)
{
	fake_pass(later);
	if (!fake.overdue)
		fake.overdue = fake.counter - 2 * FAKE_TICK;
	pt->armed = fake.counter;
	pt->want = pt->armed_for;
	fake_interrupt();
}

static void looks_after_the_neighbour_once_a_jiffy(struct kunit *test)
{
	use(0);
	event_with_the_neighbour_overdue(FAKE_TICK);
	KUNIT_EXPECT_EQ(test, pt->suspect, fake.overdue);
	event_with_the_neighbour_overdue(FAKE_TICK - 1);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
	event_with_the_neighbour_overdue(1);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 1);
}

static void global_timer_has_no_neighbour(struct kunit *test)
{
	use(PV_TIMER_GLOBAL);
	event_with_the_neighbour_overdue(FAKE_TICK);
	event_with_the_neighbour_overdue(FAKE_TICK);
	KUNIT_EXPECT_EQ(test, pt->suspect, 0);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

/* ---- the kinds of timers ---- */

static void relative_timer_gets_what_is_left(struct kunit *test)
{
	use(PV_TIMER_RELATIVE);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.told, 1001);
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(1000)));
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void relative_timer_gets_at_least_one_tick(struct kunit *test)
{
	use(PV_TIMER_RELATIVE);
	KUNIT_EXPECT_EQ(test, program(in_ns(-1000)), -ETIME);
	KUNIT_EXPECT_EQ(test, fake.told, 1);
	KUNIT_EXPECT_EQ(test, pt->armed, fake.counter + 1);
}

static void relative_timer_never_counts_zero(struct kunit *test)
{
	use(PV_TIMER_RELATIVE);
	fake.counter = U64_MAX;
	program(in_ns(0));
	KUNIT_EXPECT_EQ(test, fake.told, 1);
	KUNIT_EXPECT_NE(test, pt->armed, 0);
}

static void exact_timer_is_armed_until_it_is_ahead(struct kunit *test)
{
	u64 takes;

	for (takes = 0; takes < 10; takes++) {
		use(PV_TIMER_EXACT);
		fake.arm_takes = takes;
		program(in_ns(1));
		KUNIT_EXPECT_GT(test, fake.comparator, fake.counter);
		KUNIT_EXPECT_EQ(test, pt->armed, fake.comparator);
	}
}

static void exact_timer_is_armed_with_growing_distance(struct kunit *test)
{
	use(PV_TIMER_EXACT);
	fake.arm_takes = 5;
	program(in_ns(1));
	KUNIT_EXPECT_EQ(test, fake.arms, 4);
}

static void exact_timer_is_armed_once_if_that_will_do(struct kunit *test)
{
	use(PV_TIMER_EXACT);
	fake.arm_takes = 5;
	program(in_ns(5));
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter + 1);
}

static void exact_timer_never_arms_what_has_passed(struct kunit *test)
{
	use(PV_TIMER_EXACT);
	KUNIT_EXPECT_EQ(test, program(in_ns(-1000)), -ETIME);
	KUNIT_EXPECT_GT(test, fake.comparator, fake.counter);
}

static void exact_timer_gives_up_at_a_jiffy(struct kunit *test)
{
	use(PV_TIMER_EXACT);
	fake.arm_takes = 2 * FAKE_TICK;
	program(in_ns(1));
	KUNIT_EXPECT_EQ(test, pt->armed, fake.comparator);
	recheck();
	KUNIT_EXPECT_EQ(test, pt->suspect, pt->armed);
}

static void exact_timer_may_be_as_slow_as_jiffies(struct kunit *test)
{
	fake_backend.flags = PV_TIMER_EXACT;
	use_at(HZ);
	program(in_ns(NSEC_PER_SEC));
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter + HZ + 1);
}

static void exact_timer_may_refuse(struct kunit *test)
{
	use(PV_TIMER_EXACT);
	fake.refuses = -EIO;
	fake.read_takes = 5;
	KUNIT_EXPECT_EQ(test, program(in_ns(1)), -EIO);
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 2);
}

static void limited_timer_gets_its_limit(struct kunit *test)
{
	fake_backend.max_ticks = 1000;
	use(0);
	program(in_ns(5000));
	KUNIT_EXPECT_EQ(test, fake.told, fake.counter + 1000);
	program(in_ns(999));
	KUNIT_EXPECT_EQ(test, fake.told, fake.counter + 1000);
	program(in_ns(998));
	KUNIT_EXPECT_EQ(test, fake.told, fake.counter + 999);
}

static void limited_timer_gets_the_rest_later(struct kunit *test)
{
	fake_backend.max_ticks = 1000;
	use(0);
	program(in_ns(1500));
	fake_pass(1000);
	expect_interrupt(test, PV_TIMER_SOAKED);
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(500)));
	fake_pass(501);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm arm handler");
}

static void limited_timer_elides_beyond_its_limit(struct kunit *test)
{
	fake_backend.max_ticks = 1000;
	use(0);
	program(in_ns(5000));
	program(in_ns(5000));
	program(in_ns(6000));
	EXPECT_CALLS(test, "arm");
}

static void limited_relative_timer_gets_its_limit(struct kunit *test)
{
	fake_backend.max_ticks = 1000;
	use(PV_TIMER_RELATIVE);
	program(in_ns(5000));
	KUNIT_EXPECT_EQ(test, fake.told, 1000);
	KUNIT_EXPECT_EQ(test, pt->armed, fake.counter + 1000);
}

static void level_is_lowered_if_nothing_is_armed(struct kunit *test)
{
	use(PV_TIMER_LEVEL);
	program(in_ns(1000));
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
	expect_interrupt(test, PV_TIMER_SPURIOUS);
	EXPECT_CALLS(test, "arm handler disarm disarm");
}

static void level_is_lowered_by_the_next_deadline(struct kunit *test)
{
	use(PV_TIMER_LEVEL);
	program(in_ns(1000));
	fake_pass(1001);
	fake.next = in_ns(1000);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler arm");
}

static void level_is_lowered_if_the_next_deadline_is_refused(struct kunit *test)
{
	use(PV_TIMER_LEVEL);
	program(in_ns(1000));
	fake_pass(1001);
	fake.next = in_ns(1000);
	fake.refuses = -EIO;
	expect_interrupt(test, PV_TIMER_EVENTS);
	KUNIT_EXPECT_EQ(test, fake.arms, 3);
	KUNIT_EXPECT_NOT_NULL(test, strstr(fake.calls, "arm disarm"));
}

static void global_timer_has_one_device(struct kunit *test)
{
	fake_backend.flags = PV_TIMER_GLOBAL;
	pv_timer_adopt(&fake_backend, FAKE_HZ);
	pv_timer_starting_cpu(0);
	KUNIT_ASSERT_PTR_EQ(test, fake.registered, &pt->ced);
	KUNIT_EXPECT_FALSE(test, pt->ced.features & CLOCK_EVT_FEAT_PERCPU);
	KUNIT_EXPECT_PTR_EQ(test, pt->ced.cpumask, cpu_possible_mask);
}

/* ---- native periodic ---- */

static void go_periodic(void)
{
	use_periodic(0);
	switch_to(CLOCK_EVT_STATE_PERIODIC);
	fake.calls[0] = '\0';
}

static void periodic_ticks_by_itself(struct kunit *test)
{
	unsigned int i;

	go_periodic();
	KUNIT_EXPECT_EQ(test, fake.first, fake.counter + FAKE_TICK);
	KUNIT_EXPECT_EQ(test, fake.period, FAKE_TICK);
	for (i = 0; i < 3; i++)
		expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "handler handler handler");
}

static void periodic_replaces_the_deadline(struct kunit *test)
{
	use_periodic(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_PERIODIC);
	EXPECT_CALLS(test, "arm disarm arm_periodic");
	KUNIT_EXPECT_EQ(test, pt->armed, 0);
}

static void periodic_ends_with_oneshot(struct kunit *test)
{
	go_periodic();
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	EXPECT_CALLS(test, "disarm_periodic disarm");
	expect_interrupt(test, PV_TIMER_SPURIOUS);
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "arm");
}

static void periodic_ends_with_shutdown(struct kunit *test)
{
	go_periodic();
	switch_to(CLOCK_EVT_STATE_SHUTDOWN);
	EXPECT_CALLS(test, "disarm_periodic disarm");
	expect_interrupt(test, PV_TIMER_SPURIOUS);
}

static void periodic_is_disarmed_once(struct kunit *test)
{
	go_periodic();
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	switch_to(CLOCK_EVT_STATE_SHUTDOWN);
	EXPECT_CALLS(test, "disarm_periodic disarm disarm");
}

static void periodic_may_be_refused(struct kunit *test)
{
	use_periodic(0);
	fake.refuses = -EIO;
	switch_to(CLOCK_EVT_STATE_PERIODIC);
	KUNIT_EXPECT_TRUE(test, clockevent_state_oneshot(&pt->ced));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 1);
}

static void periodic_interrupt_is_acknowledged_first(struct kunit *test)
{
	fake_backend.ack = fake_ack;
	go_periodic();
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "ack handler");
}

static void periodic_starts_again_after_resume(struct kunit *test)
{
	go_periodic();
	switch_to(CLOCK_EVT_STATE_SHUTDOWN);
	clockevents_tick_resume(&pt->ced);
	KUNIT_EXPECT_EQ(test, fake.period, 0);
	switch_to(CLOCK_EVT_STATE_PERIODIC);
	KUNIT_EXPECT_EQ(test, fake.period, FAKE_TICK);
}

static void periodic_is_a_feature_of_the_backend(struct kunit *test)
{
	use(0);
	KUNIT_EXPECT_FALSE(test, pt->ced.features & CLOCK_EVT_FEAT_PERIODIC);
	use_periodic(0);
	KUNIT_EXPECT_TRUE(test, pt->ced.features & CLOCK_EVT_FEAT_PERIODIC);
}

/* ---- conversion ---- */

struct frequency {
	const char	*name;
	u64		hz;
};

static const struct frequency frequencies[] = {
	{ "1 kHz",	1000 },
	{ "32768 Hz",	32768 },
	{ "10 MHz",	10000000 },
	{ "1 GHz",	1000000000 },
	{ "2.1 GHz",	2100000007 },
	{ "3 GHz",	3000000000ULL },
	{ "5 GHz",	5000000000ULL },
};

KUNIT_ARRAY_PARAM_DESC(frequencies, frequencies, name);

static const u64 intervals[] = {
	1, 2, 999, NSEC_PER_USEC, NSEC_PER_MSEC + 1, NSEC_PER_SEC - 1,
	NSEC_PER_SEC, (1ULL << 32) - 1, 1ULL << 32, (1ULL << 32) + 1,
	20ULL * NSEC_PER_SEC, 3600ULL * NSEC_PER_SEC + 1,
	31536000ULL * NSEC_PER_SEC,
	1ULL << 62, S64_MAX - 1, S64_MAX,
};

static bool product_ge(u64 a, u64 b, u64 c, u64 d)
{
	u64 ab = mul_u64_u64_shr(a, b, 64), cd = mul_u64_u64_shr(c, d, 64);

	return ab > cd || (ab == cd && a * b >= c * d);
}

/* What rounding may add: a tick, and in the 32nd binary digit of each ns */
static u64 without_rounding(u64 ticks, u64 ns)
{
	u64 excess = 2 + (ns >> 32);

	return ticks > excess ? ticks - excess : 0;
}

static void expect_ticks(struct kunit *test, u64 ticks, u64 ns, u64 hz)
{
	KUNIT_EXPECT_GT_MSG(test, (s64)ticks, 0, "%llu ns", ns);
	ns = min(ns, pv_timer_max_ns);
	KUNIT_EXPECT_TRUE_MSG(test, product_ge(ticks, NSEC_PER_SEC, ns, hz),
			      "%llu ns: %llu ticks are early", ns, ticks);
	ticks = without_rounding(ticks, ns);
	KUNIT_EXPECT_TRUE_MSG(test, product_ge(ns, hz, ticks, NSEC_PER_SEC),
			      "%llu ns: %llu ticks are late", ns, ticks);
}

static void converts_and_is_never_early(struct kunit *test)
{
	const struct frequency *frequency = test->param_value;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(intervals); i++) {
		use_at(frequency->hz);
		fake.clock = 0;
		program(intervals[i]);
		expect_ticks(test, fake.told - fake.counter, intervals[i],
			     frequency->hz);
	}
}

static void limit_is_beyond_the_life_of_a_guest(struct kunit *test)
{
	const struct frequency *frequency = test->param_value;
	u64 years = 20 * 365 * 86400ULL * NSEC_PER_SEC;

	use_at(frequency->hz);
	KUNIT_EXPECT_GT(test, pv_timer_max_ns, years);
	KUNIT_EXPECT_LE(test, pv_timer_max_ns, S64_MAX);
	KUNIT_EXPECT_TRUE(test, product_ge(1ULL << 62, NSEC_PER_SEC,
					   pv_timer_max_ns, frequency->hz));
}

static void jiffy_is_converted(struct kunit *test)
{
	const struct frequency *frequency = test->param_value;

	use_periodic(0);
	use_at(frequency->hz);
	switch_to(CLOCK_EVT_STATE_PERIODIC);
	KUNIT_EXPECT_EQ(test, fake.period, div_u64(frequency->hz, HZ));
	KUNIT_EXPECT_EQ(test, fake.first, fake.counter + fake.period);
}

/* ---- deadlines from the timekeeper's numbers ---- */

static struct clocksource fake_clocksource = {
	.name	= "fake",
	.id	= FAKE_CS_ID,
};

static void update_timekeeper(void)
{
	pv_timer_gtod.notifier_call(&pv_timer_gtod, 0, &fake_timekeeper);
}

static void couple_at(u64 hz)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	fake_backend.cs_id = FAKE_CS_ID;
	use_at(hz);
	tkr->clock = &fake_clocksource;
	clocks_calc_mult_shift(&tkr->mult, &tkr->shift, div_u64(hz, 100),
			       NSEC_PER_SEC / 100, 60000);
	tkr->cycle_last = fake.counter;
	tkr->base = fake.clock;
	tkr->xtime_nsec = 0;
	with_irqs_off(update_timekeeper);
}

static u64 coupled_ns(u64 ticks)
{
	return mul_u64_u32_shr(ticks, fake_timekeeper.tkr_mono.mult,
			       fake_timekeeper.tkr_mono.shift);
}

static void coupled_deadline_reads_no_clock(struct kunit *test)
{
	couple_at(FAKE_HZ);
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.reads, 0);
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
}

static void earlier_coupled_deadline_reads_no_clock(struct kunit *test)
{
	couple_at(FAKE_HZ);
	program(in_ns(1000));
	program(in_ns(999));
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, fake.reads, 0);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.reads, 1);
}

static void coupled_deadline_is_never_early(struct kunit *test)
{
	const struct frequency *frequency = test->param_value;
	u64 ticks, ns;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(intervals); i++) {
		fake.clock = 0;
		couple_at(frequency->hz);
		program(intervals[i]);
		ticks = fake.told - fake.counter;
		ns = min(intervals[i], pv_timer_max_ns);
		KUNIT_EXPECT_GT(test, (s64)ticks, 0);
		KUNIT_EXPECT_GE(test, coupled_ns(ticks), ns);
		KUNIT_EXPECT_LE(test, coupled_ns(without_rounding(ticks, ns)), ns);
	}
}

static void coupled_deadline_counts_from_the_last_update(struct kunit *test)
{
	u64 deadline;

	couple_at(FAKE_HZ);
	deadline = at(in_ns(1000));
	fake_pass(600);
	program(fake.clock + 400);
	KUNIT_EXPECT_EQ(test, fake.told, deadline);
}

static void coupled_deadline_counts_what_base_lacks(struct kunit *test)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	couple_at(FAKE_HZ);
	tkr->base -= 300;
	tkr->xtime_nsec = (u64)300 << tkr->shift;
	with_irqs_off(update_timekeeper);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
}

static void coupled_expiry_before_the_update_fires_at_once(struct kunit *test)
{
	couple_at(FAKE_HZ);
	KUNIT_EXPECT_EQ(test, program(in_ns(-1000)), 0);
	KUNIT_EXPECT_EQ(test, fake.told, fake.counter);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void coupled_deadline_is_never_zero(struct kunit *test)
{
	fake.counter = 0;
	couple_at(FAKE_HZ);
	program(in_ns(-1000));
	KUNIT_EXPECT_EQ(test, fake.told, 1);
	fake.counter = U64_MAX - 1000;
	couple_at(FAKE_HZ);
	program(in_ns(1000));
	KUNIT_EXPECT_NE(test, pt->armed, 0);
}

static void coupled_deadline_follows_the_steering(struct kunit *test)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	couple_at(FAKE_HZ);
	tkr->mult += tkr->mult / 1000;
	with_irqs_off(update_timekeeper);
	program(in_ns(NSEC_PER_SEC));
	KUNIT_EXPECT_LT(test, fake.told, fake.counter + 999002000);
	KUNIT_EXPECT_GE(test, coupled_ns(fake.told - fake.counter), NSEC_PER_SEC);
}

static void another_clocksource_is_not_coupled(struct kunit *test)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;
	struct clocksource other = { .name = "other" };

	couple_at(FAKE_HZ);
	tkr->clock = &other;
	tkr->cycle_last = 12345;
	with_irqs_off(update_timekeeper);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
	KUNIT_EXPECT_GT(test, fake.reads, 0);
}

static void coupling_again_starts_afresh(struct kunit *test)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;
	struct clocksource other = { .name = "other" };

	couple_at(FAKE_HZ);
	tkr->clock = &other;
	with_irqs_off(update_timekeeper);
	tkr->clock = &fake_clocksource;
	tkr->shift--;
	with_irqs_off(update_timekeeper);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.told, fake.counter + 500 + 1);
}

static void unusual_shift_is_not_coupled(struct kunit *test)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	couple_at(FAKE_HZ);
	tkr->shift = 32;
	tkr->mult = U32_MAX;
	with_irqs_off(update_timekeeper);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
	KUNIT_EXPECT_GT(test, fake.reads, 0);
}

/* ---- CPU hotplug, crash and kexec ---- */

static void starting_cpu_registers_its_device(struct kunit *test)
{
	const struct clock_event_device *ced = &pt->ced;

	fake_backend.cpu_start = fake_cpu_start;
	pv_timer_adopt(&fake_backend, FAKE_HZ);
	KUNIT_EXPECT_EQ(test, pv_timer_starting_cpu(0), 0);
	EXPECT_CALLS(test, "start register");
	KUNIT_ASSERT_PTR_EQ(test, fake.registered, ced);
	KUNIT_EXPECT_STREQ(test, ced->name, "pv_timer");
	KUNIT_EXPECT_EQ(test, ced->features, CLOCK_EVT_FEAT_ONESHOT |
			CLOCK_EVT_FEAT_KTIME | CLOCK_EVT_FEAT_PERCPU);
	KUNIT_EXPECT_EQ(test, ced->rating, fake_backend.rating);
	KUNIT_EXPECT_TRUE(test, cpumask_equal(ced->cpumask, cpumask_of(0)));
	KUNIT_EXPECT_EQ(test, ced->mult, 1);
	KUNIT_EXPECT_EQ(test, ced->irq, -1);
}

static void starting_cpu_has_nothing_armed(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	pv_timer_starting_cpu(0);
	KUNIT_EXPECT_EQ(test, pt->armed, 0);
	KUNIT_EXPECT_EQ(test, pt->want, KTIME_MAX);
}

static void dying_cpu_disarms_and_stops(struct kunit *test)
{
	fake_backend.cpu_stop = fake_cpu_stop;
	use(0);
	program(in_ns(1000));
	scoped_guard(irqsave)
		pv_timer_dying_cpu(0);
	EXPECT_CALLS(test, "arm disarm stop");
	KUNIT_EXPECT_EQ(test, pt->armed, 0);
	expect_interrupt(test, PV_TIMER_SPURIOUS);
}

static void dying_cpu_stops_its_periodic_tick(struct kunit *test)
{
	go_periodic();
	scoped_guard(irqsave)
		pv_timer_dying_cpu(0);
	EXPECT_CALLS(test, "disarm_periodic disarm");
}

static void crash_disarms_and_stops(struct kunit *test)
{
	fake_backend.cpu_stop = fake_cpu_stop;
	use(0);
	program(in_ns(1000));
	with_irqs_off(pv_timer_crash_stop);
	EXPECT_CALLS(test, "arm disarm stop");
}

static void crash_stops_the_periodic_tick(struct kunit *test)
{
	go_periodic();
	with_irqs_off(pv_timer_crash_stop);
	KUNIT_EXPECT_EQ(test, fake.period, 0);
}

static void crash_without_a_backend_is_left_alone(struct kunit *test)
{
	pv_timer_crash_stop();
	EXPECT_CALLS(test, "");
}

static void kexec_stops_all_cpus_for_good(struct kunit *test)
{
	fake_backend.cpu_stop = fake_cpu_stop;
	use(0);
	program(in_ns(1000));
	fake.kexec = true;
	pv_timer_syscore_ops.shutdown(NULL);
	program(in_ns(500));
	EXPECT_CALLS(test, "arm disarm stop");
	KUNIT_EXPECT_EQ(test, fake.comparator, 0);
}

static void kexec_without_a_backend_is_left_alone(struct kunit *test)
{
	fake.kexec = true;
	pv_timer_syscore_ops.shutdown(NULL);
	EXPECT_CALLS(test, "");
}

static void reboot_leaves_the_timer_alone(struct kunit *test)
{
	use(0);
	pv_timer_syscore_ops.shutdown(NULL);
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm");
}

/* ---- start ---- */

static void start_tries_the_timer_first(struct kunit *test)
{
	fake_backend.cpu_start = fake_cpu_start;
	fake_backend.cpu_stop = fake_cpu_stop;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), 0);
	EXPECT_CALLS(test, "start arm disarm stop start register");
	KUNIT_EXPECT_PTR_EQ(test, pv_timer, &fake_backend);
	KUNIT_EXPECT_TRUE(test, static_key_enabled(&pv_timer_active));
	KUNIT_EXPECT_TRUE(test, fake.teardown == pv_timer_dying_cpu);
}

static void start_fails_if_the_timer_does_not_fire(struct kunit *test)
{
	fake_backend.arm = fake_arm_lies;
	fake_backend.cpu_start = fake_cpu_start;
	fake_backend.cpu_stop = fake_cpu_stop;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EIO);
	EXPECT_CALLS(test, "start arm disarm stop");
	KUNIT_EXPECT_NULL(test, pv_timer);
	KUNIT_EXPECT_FALSE(test, static_key_enabled(&pv_timer_active));
}

static void start_fails_if_the_counter_stands_still(struct kunit *test)
{
	fake.frozen = true;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EIO);
}

static void start_does_not_mind_where_the_counter_is(struct kunit *test)
{
	fake.counter = -50 * NSEC_PER_USEC;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), 0);
}

static void start_fails_if_the_timer_refuses(struct kunit *test)
{
	fake.refuses = -EIO;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EIO);
	KUNIT_EXPECT_NULL(test, pv_timer);
}

static void start_does_not_count_earlier_events(struct kunit *test)
{
	fake_backend.arm = fake_arm_lies;
	pt->stats[PV_TIMER_EVENTS] = 5;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EIO);
}

static void start_prepares_cpus(struct kunit *test)
{
	fake_backend.cpu_prepare = fake_cpu_prepare;
	fake_backend.cpu_dead = fake_cpu_dead;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), 0);
	EXPECT_CALLS(test, "prepare arm disarm register");
}

static void start_fails_if_a_cpu_cannot_be_prepared(struct kunit *test)
{
	fake_backend.cpu_prepare = fake_cpu_prepare;
	fake.fails = -ENOMEM;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -ENOMEM);
	EXPECT_CALLS(test, "prepare");
	KUNIT_EXPECT_NULL(test, pv_timer);
}

static void start_undoes_what_it_prepared(struct kunit *test)
{
	fake_backend.flags = PV_TIMER_GLOBAL;
	fake_backend.irq = fake_irq;
	fake_backend.cpu_prepare = fake_cpu_prepare;
	fake_backend.cpu_dead = fake_cpu_dead;
	fake_backend.arm = fake_arm_lies;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EIO);
	EXPECT_CALLS(test, "request_irq prepare arm disarm dead free_irq");
}

static void start_fails_if_a_cpu_does_not_start(struct kunit *test)
{
	fake_backend.cpu_prepare = fake_cpu_prepare;
	fake_backend.cpu_dead = fake_cpu_dead;
	fake.cpu_fails = -EBUSY;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EBUSY);
	EXPECT_CALLS(test, "prepare arm disarm dead");
	KUNIT_EXPECT_NULL(test, pv_timer);
}

static void start_requests_the_irq(struct kunit *test)
{
	fake_backend.flags = PV_TIMER_GLOBAL;
	fake_backend.irq = fake_irq;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), 0);
	EXPECT_CALLS(test, "request_irq arm disarm register");
	KUNIT_EXPECT_TRUE(test, !fake.teardown);
	KUNIT_EXPECT_EQ(test, fake.irq, fake_irq());
	scoped_guard(irqsave)
		KUNIT_EXPECT_EQ(test, fake.irq_handler(fake.irq, NULL), IRQ_HANDLED);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_SPURIOUS], 1);
}

static void start_fails_without_the_irq(struct kunit *test)
{
	fake_backend.flags = PV_TIMER_GLOBAL;
	fake_backend.irq = fake_irq;
	fake.fails = -EBUSY;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EBUSY);
	EXPECT_CALLS(test, "request_irq");
	KUNIT_EXPECT_NULL(test, pv_timer);
}

static void start_enables_the_irq_of_each_cpu(struct kunit *test)
{
	fake_backend.irq = fake_irq;
	fake_backend.cpu_start = fake_cpu_start;
	fake_backend.cpu_stop = fake_cpu_stop;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), 0);
	EXPECT_CALLS(test,
		     "request_percpu_irq enable start arm disarm stop disable enable start register");
	KUNIT_EXPECT_EQ(test, fake.irq, fake_irq());
	scoped_guard(irqsave) {
		KUNIT_EXPECT_EQ(test, fake.irq_handler(fake.irq, NULL), IRQ_HANDLED);
		fake.teardown(0);
	}
	EXPECT_CALLS(test, "disarm stop disable");
}

static void start_gives_the_irq_of_each_cpu_back(struct kunit *test)
{
	fake_backend.irq = fake_irq;
	fake_backend.arm = fake_arm_lies;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EIO);
	EXPECT_CALLS(test, "request_percpu_irq enable arm disarm disable free_percpu_irq");
	KUNIT_EXPECT_EQ(test, pv_timer_percpu_irq, 0);
}

static void start_fails_without_the_irq_of_each_cpu(struct kunit *test)
{
	fake_backend.irq = fake_irq;
	fake.fails = -EBUSY;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EBUSY);
	EXPECT_CALLS(test, "request_percpu_irq");
	KUNIT_EXPECT_EQ(test, pv_timer_percpu_irq, 0);
}

static void start_fails_if_there_is_no_irq(struct kunit *test)
{
	fake_backend.irq = fake_no_irq;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -ENXIO);
	EXPECT_CALLS(test, "");
}

static void start_registers_the_clocksource(struct kunit *test)
{
	fake_backend.clocksource = &fake_clocksource;
	fake_backend.cs_id = FAKE_CS_ID;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), 0);
	EXPECT_CALLS(test, "arm disarm register clocksource notifier");
	KUNIT_EXPECT_EQ(test, fake.clocksource_hz, FAKE_HZ);
}

static void start_survives_a_bad_clocksource(struct kunit *test)
{
	fake_backend.clocksource = &fake_clocksource;
	fake.fails = -EINVAL;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), 0);
	EXPECT_CALLS(test, "arm disarm register clocksource");
	KUNIT_EXPECT_STREQ(test, fake.message,
			   "pv_timer: cannot register clocksource fake\n");
}

/* ---- registration and choice ---- */

static struct pv_timer_backend *make(unsigned int i, const char *name, int rating)
{
	fake_backends[i] = fake_template;
	fake_backends[i].name = name;
	fake_backends[i].rating = rating;
	return &fake_backends[i];
}

struct lack {
	const char	*what;
	size_t		offset;
};

#define LACK(member, text)	\
	{ text, offsetof(struct pv_timer_backend, member) }

static const struct lack lacks[] = {
	LACK(name,	"name"),
	LACK(probe,	"probe()"),
	LACK(now,	"now()"),
	LACK(arm,	"arm()"),
	LACK(disarm,	"disarm()"),
};

KUNIT_ARRAY_PARAM_DESC(lacks, lacks, what);

static void expect_lack(struct kunit *test, const char *what)
{
	char expected[80];

	scnprintf(expected, sizeof(expected), "pv_timer: %s: lacks %s\n",
		  fake_backend.name ?: "backend", what);
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), -EINVAL);
	KUNIT_EXPECT_STREQ(test, fake.message, expected);
	KUNIT_EXPECT_EQ(test, pv_timer_nr_known, 0);
}

static void registration_names_what_is_missing(struct kunit *test)
{
	const struct lack *lack = test->param_value;

	*(void **)((char *)&fake_backend + lack->offset) = NULL;
	expect_lack(test, lack->what);
}

static void registration_refuses_names_with_a_meaning(struct kunit *test)
{
	fake_backend.name = "off";
	expect_lack(test, "name");
	fake_backend.name = "";
	expect_lack(test, "name");
}

static void registration_refuses_half_a_periodic_timer(struct kunit *test)
{
	const char *what = "one of arm_periodic() and disarm_periodic()";

	fake_backend.arm_periodic = fake_arm_periodic;
	expect_lack(test, what);
	fake_backend.arm_periodic = NULL;
	fake_backend.disarm_periodic = fake_disarm_periodic;
	expect_lack(test, what);
	fake_backend.arm_periodic = fake_arm_periodic;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), 0);
}

static void registration_refuses_to_count_down_to_a_match(struct kunit *test)
{
	fake_backend.flags = PV_TIMER_RELATIVE | PV_TIMER_EXACT;
	expect_lack(test, "one of PV_TIMER_RELATIVE and PV_TIMER_EXACT");
	fake_backend.flags = PV_TIMER_EXACT;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), 0);
}

static void registration_refuses_a_name_that_is_taken(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(0, "a", 100)), 0);
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(1, "b", 100)), 0);
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(2, "a", 200)), -EEXIST);
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(2, "b", 200)), -EEXIST);
	KUNIT_EXPECT_EQ(test, pv_timer_nr_known, 2);
}

static void registration_is_silent_about_what_is_not_there(struct kunit *test)
{
	fake_backend.probe = fake_probe_absent;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), -ENODEV);
	KUNIT_EXPECT_EQ(test, pv_timer_nr_known, 0);
	KUNIT_EXPECT_EQ(test, fake.messages, 0);
}

static void registration_ends_when_the_list_is_full(struct kunit *test)
{
	static char names[PV_TIMER_MAX_BACKENDS + 1][8];
	unsigned int i;

	for (i = 0; i <= PV_TIMER_MAX_BACKENDS; i++) {
		scnprintf(names[i], sizeof(names[i]), "fake%u", i);
		KUNIT_EXPECT_EQ(test, pv_timer_register(make(i, names[i], i + 1)),
				i < PV_TIMER_MAX_BACKENDS ? 0 : -ENOSPC);
	}
	KUNIT_EXPECT_EQ(test, pv_timer_nr_known, PV_TIMER_MAX_BACKENDS);
	KUNIT_EXPECT_PTR_EQ(test, pv_timer_known[0].backend,
			    &fake_backends[PV_TIMER_MAX_BACKENDS - 1]);
}

static char *page(struct kunit *test)
{
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	return buf;
}

static void list_is_best_first(struct kunit *test)
{
	char *buf = page(test);

	pv_timer_register(make(0, "b", 200));
	pv_timer_register(make(1, "d", 1));
	pv_timer_register(make(2, "a", 400));
	pv_timer_register(make(3, "c", 200));
	available_backends_show(NULL, NULL, buf);
	KUNIT_EXPECT_STREQ(test, buf, "a(400) b(200) c(200) d(1)\n");
}

static void list_may_be_empty(struct kunit *test)
{
	char *buf = page(test);

	available_backends_show(NULL, NULL, buf);
	KUNIT_EXPECT_STREQ(test, buf, "\n");
}

static void current_one_is_shown(struct kunit *test)
{
	char *buf = page(test);

	current_backend_show(NULL, NULL, buf);
	KUNIT_EXPECT_STREQ(test, buf, "none\n");
	use(0);
	current_backend_show(NULL, NULL, buf);
	KUNIT_EXPECT_STREQ(test, buf, "fake\n");
}

/* Of three, best(300), middle(200) and worst(100) */
struct choice {
	const char	*name;
	const char	*param;
	unsigned int	flags[3];
	bool		lies[3];
	const char	*ticks;
	const char	*says;
};

#define UNKNOWN	"pv_timer: no backend 'nonsense' ticks here, "
#define PRESENT	"; present: best(300) middle(200) worst(100)\n"

static const struct choice choices[] = {
	{
		.name	= "the best by rating",
		.ticks	= "best",
		.says	= "pv_timer: using best (rating 300)\n",
	}, {
		.name	= "the named one",
		.param	= "worst",
		.ticks	= "worst",
		.says	= "pv_timer: using worst (rating 100)\n",
	}, {
		.name	= "the best if the name is unknown",
		.param	= "nonsense",
		.ticks	= "best",
		.says	= UNKNOWN "using best" PRESENT,
	}, {
		.name	= "none if it is off",
		.param	= "off",
	}, {
		.name	= "the sole one, off or not",
		.param	= "off",
		.flags	= { 0, PV_TIMER_SOLE, 0 },
		.ticks	= "middle",
		.says	= "pv_timer: nothing else ticks here, pv_timer=off is not possible\n",
	}, {
		.name	= "not one on request",
		.flags	= { PV_TIMER_ON_REQUEST, 0, 0 },
		.ticks	= "middle",
	}, {
		.name	= "one on request by name",
		.param	= "worst",
		.flags	= { 0, 0, PV_TIMER_ON_REQUEST },
		.ticks	= "worst",
	}, {
		.name	= "none if all are on request",
		.flags	= { PV_TIMER_ON_REQUEST, PV_TIMER_ON_REQUEST, PV_TIMER_ON_REQUEST },
	}, {
		.name	= "the next if the best does not fire",
		.lies	= { true, false, false },
		.ticks	= "middle",
		.says	= "pv_timer: using middle (rating 200)\n",
	}, {
		.name	= "the best if the named one does not fire",
		.param	= "middle",
		.lies	= { false, true, false },
		.ticks	= "best",
	}, {
		.name	= "the next best if the named and the best do not fire",
		.param	= "middle",
		.lies	= { true, true, false },
		.ticks	= "worst",
	}, {
		.name	= "none if none fires",
		.lies	= { true, true, true },
		.says	= "pv_timer: worst does not tick [-5], trying the next\n",
	}, {
		.name	= "none if the name is unknown and none fires",
		.param	= "nonsense",
		.lies	= { true, true, true },
		.says	= UNKNOWN "using none" PRESENT,
	},
};

KUNIT_ARRAY_PARAM_DESC(choices, choices, name);

static void setup_chooses(struct kunit *test)
{
	static const unsigned int order[] = { 1, 2, 0 };
	static const char * const names[] = { "best", "middle", "worst" };
	const struct choice *choice = test->param_value;
	unsigned int n, i;

	for (n = 0; n < ARRAY_SIZE(order); n++) {
		i = order[n];
		make(i, names[i], 300 - 100 * i)->flags = choice->flags[i];
		fake_backends[i].arm = choice->lies[i] ? fake_arm_lies : fake_arm;
		pv_timer_register(&fake_backends[i]);
	}
	KUNIT_EXPECT_NULL(test, pv_timer);
	strscpy(pv_timer_param, choice->param ?: "");
	KUNIT_EXPECT_EQ(test, pv_timer_setup(), !!choice->ticks);
	KUNIT_EXPECT_STREQ(test, pv_timer ? pv_timer->name : "none",
			   choice->ticks ?: "none");
	if (choice->says)
		KUNIT_EXPECT_STREQ(test, fake.message, choice->says);
}

static void setup_chooses_once(struct kunit *test)
{
	pv_timer_register(&fake_backend);
	KUNIT_EXPECT_TRUE(test, pv_timer_setup());
	EXPECT_CALLS(test, "arm disarm register");
	KUNIT_EXPECT_TRUE(test, pv_timer_setup());
	EXPECT_CALLS(test, "");
}

static void setup_tries_the_named_one_once(struct kunit *test)
{
	fake_backend.arm = fake_arm_lies;
	pv_timer_register(&fake_backend);
	strscpy(pv_timer_param, "fake");
	KUNIT_EXPECT_FALSE(test, pv_timer_setup());
	EXPECT_CALLS(test, "arm disarm");
}

static void setup_needs_a_backend(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, pv_timer_setup());
	KUNIT_EXPECT_FALSE(test, pv_timer_setup());
	KUNIT_EXPECT_EQ(test, fake.messages, 0);
}

static void late_backend_ticks_if_none_does(struct kunit *test)
{
	pv_timer_setup();
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(0, "first", 100)), 0);
	KUNIT_EXPECT_PTR_EQ(test, pv_timer, &fake_backends[0]);
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(1, "second", 200)), 0);
	KUNIT_EXPECT_PTR_EQ(test, pv_timer, &fake_backends[0]);
}

static void parameter_is_parsed(struct kunit *test)
{
	char name[] = "a-name-that-is-longer-than-any-backend";

	pv_timer_parse(name);
	KUNIT_EXPECT_EQ(test, strlen(pv_timer_param), sizeof(pv_timer_param) - 1);
	pv_timer_parse(NULL);
	KUNIT_EXPECT_STREQ(test, pv_timer_param, "");
	pv_timer_nopv(NULL);
	KUNIT_EXPECT_STREQ(test, pv_timer_param, "off");
}

static const char *next_word(char **text)
{
	const char *word;

	do {
		word = strsep(text, "\n ");
	} while (word && !*word);
	return word;
}

static void statistics_have_named_columns(struct kunit *test)
{
	static const char * const words[] = {
		"cpu", "set", "armed", "elided", "stopped", "events", "early",
		"soaked", "spurious", "lost", "refused",
		"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10",
	};
	struct seq_file m = { .buf = page(test), .size = PAGE_SIZE };
	char *text = m.buf;
	unsigned int i;

	for (i = 0; i < PV_TIMER_NR_STATS; i++)
		pt->stats[i] = i + 1;
	stats_show(&m, NULL);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		KUNIT_EXPECT_STREQ(test, next_word(&text) ?: "", words[i]);
}

/* ---- the suite ---- */

static void clean(void)
{
	static_branch_disable(&pv_timer_active);
	pv_timer = NULL;
	pv_timer_percpu_irq = 0;
	ratelimit_state_init(&pv_timer_failures, DEFAULT_RATELIMIT_INTERVAL, 3);
	static_call_update(pv_timer_now, NULL);
	static_call_update(pv_timer_arm, NULL);
	static_call_update(pv_timer_disarm, NULL);
	static_call_update(pv_timer_ack, NULL);
	memset(pt, 0, sizeof(*pt));
	memset(pv_timer_known, 0, sizeof(pv_timer_known));
	pv_timer_nr_known = 0;
	pv_timer_is_set_up = false;
	pv_timer_param[0] = '\0';
	pv_timer_coupling.valid = false;
	pv_timer_coupling.mult = 0;
}

static int pv_timer_test_init(struct kunit *test)
{
	fake = (struct fake) {
		.counter	= FAKE_COUNTER,
		.clock		= FAKE_CLOCK,
	};
	fake_backend = fake_template;
	clean();
	return 0;
}

/* What holds for all that the hypervisor is told */
static void pv_timer_test_exit(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, fake.told_zero);
	KUNIT_EXPECT_FALSE(test, fake.irqs_were_on);
	clean();
}

/* A kernel that ticks by pv_timer would stop. */
static int pv_timer_test_suite_init(struct kunit_suite *suite)
{
	pt = per_cpu_ptr(&pv_timer_cpus, 0);
	return pv_timer_is_set_up ? -EBUSY : 0;
}

static struct kunit_case pv_timer_test_cases[] = {
	KUNIT_CASE(arms_an_absolute_deadline),
	KUNIT_CASE(reads_the_counter_before_the_clock),
	KUNIT_CASE(passed_expiry_arms_and_is_reported),
	KUNIT_CASE(expiry_of_this_very_moment_has_passed),
	KUNIT_CASE(never_arms_zero),
	KUNIT_CASE(stop_is_noted_only),
	KUNIT_CASE(restart_finds_the_deadline_armed),
	KUNIT_CASE(shutdown_disarms),
	KUNIT_CASE(shutdown_forgets_the_deadline),
	KUNIT_CASE(stopped_and_shut_down_disarms),
	KUNIT_CASE(oneshot_costs_no_call),
	KUNIT_CASE(resume_does_not_rely_on_the_deadline),
	KUNIT_CASE(resume_starts_a_timer_that_lost_its_state),
	KUNIT_CASE(resume_needs_no_cpu_start),
	KUNIT_CASE(elides_the_same_expiry),
	KUNIT_CASE(elides_a_later_expiry),
	KUNIT_CASE(arms_a_later_expiry_if_the_tick_is_stopped),
	KUNIT_CASE(elides_the_same_expiry_if_the_tick_is_stopped),
	KUNIT_CASE(arms_an_earlier_expiry),
	KUNIT_CASE(earlier_expiry_reads_each_clock_once),
	KUNIT_CASE(arms_an_earlier_expiry_than_the_elided_one),
	KUNIT_CASE(does_not_rely_on_a_deadline_that_has_passed),
	KUNIT_CASE(held_back_for_a_second_is_not_lost),
	KUNIT_CASE(held_back_for_more_than_a_second_is_lost),
	KUNIT_CASE(interrupt_on_time_is_an_event),
	KUNIT_CASE(late_interrupt_is_an_event),
	KUNIT_CASE(event_handler_arms_the_next),
	KUNIT_CASE(event_handler_is_told_what_has_passed),
	KUNIT_CASE(event_handler_may_leave_what_has_passed),
	KUNIT_CASE(event_leaves_nothing_wanted),
	KUNIT_CASE(early_interrupt_arms_again),
	KUNIT_CASE(early_interrupt_after_a_stop_is_dropped),
	KUNIT_CASE(spurious_interrupt_has_no_handler),
	KUNIT_CASE(second_interrupt_is_spurious),
	KUNIT_CASE(interrupt_of_an_elided_expiry_arms_it),
	KUNIT_CASE(interrupt_after_a_stop_is_dropped),
	KUNIT_CASE(interrupt_is_acknowledged_first),
	KUNIT_CASE(interrupt_is_foreign_without_a_backend),
	KUNIT_CASE(interrupt_is_foreign_before_the_cpu_is_up),
	KUNIT_CASE(refused_deadline_is_reported),
	KUNIT_CASE(refused_deadline_does_not_serve_a_later_one),
	KUNIT_CASE(refused_deadline_is_tried_again_when_overdue),
	KUNIT_CASE(refused_deadline_is_tried_at_once),
	KUNIT_CASE(refused_deadline_is_tried_again),
	KUNIT_CASE(refusals_do_not_flood_the_log),
	KUNIT_CASE(overdue_deadline_is_lost_the_second_time),
	KUNIT_CASE(deadline_is_not_overdue_for_a_jiffy),
	KUNIT_CASE(another_deadline_is_another_suspect),
	KUNIT_CASE(loss_that_nobody_wants_keeps_watch),
	KUNIT_CASE(stopped_cpu_keeps_watch_after_a_loss),
	KUNIT_CASE(sleeps_no_longer_than_a_second_after_a_loss),
	KUNIT_CASE(nothing_armed_is_not_lost),
	KUNIT_CASE(looks_after_the_neighbour_once_a_jiffy),
	KUNIT_CASE(global_timer_has_no_neighbour),
	KUNIT_CASE(relative_timer_gets_what_is_left),
	KUNIT_CASE(relative_timer_gets_at_least_one_tick),
	KUNIT_CASE(relative_timer_never_counts_zero),
	KUNIT_CASE(exact_timer_is_armed_until_it_is_ahead),
	KUNIT_CASE(exact_timer_is_armed_with_growing_distance),
	KUNIT_CASE(exact_timer_is_armed_once_if_that_will_do),
	KUNIT_CASE(exact_timer_never_arms_what_has_passed),
	KUNIT_CASE(exact_timer_gives_up_at_a_jiffy),
	KUNIT_CASE(exact_timer_may_be_as_slow_as_jiffies),
	KUNIT_CASE(exact_timer_may_refuse),
	KUNIT_CASE(limited_timer_gets_its_limit),
	KUNIT_CASE(limited_timer_gets_the_rest_later),
	KUNIT_CASE(limited_timer_elides_beyond_its_limit),
	KUNIT_CASE(limited_relative_timer_gets_its_limit),
	KUNIT_CASE(level_is_lowered_if_nothing_is_armed),
	KUNIT_CASE(level_is_lowered_by_the_next_deadline),
	KUNIT_CASE(level_is_lowered_if_the_next_deadline_is_refused),
	KUNIT_CASE(global_timer_has_one_device),
	KUNIT_CASE(periodic_ticks_by_itself),
	KUNIT_CASE(periodic_replaces_the_deadline),
	KUNIT_CASE(periodic_ends_with_oneshot),
	KUNIT_CASE(periodic_ends_with_shutdown),
	KUNIT_CASE(periodic_is_disarmed_once),
	KUNIT_CASE(periodic_may_be_refused),
	KUNIT_CASE(periodic_interrupt_is_acknowledged_first),
	KUNIT_CASE(periodic_starts_again_after_resume),
	KUNIT_CASE(periodic_is_a_feature_of_the_backend),
	KUNIT_CASE_PARAM(converts_and_is_never_early, frequencies_gen_params),
	KUNIT_CASE_PARAM(limit_is_beyond_the_life_of_a_guest,
			 frequencies_gen_params),
	KUNIT_CASE_PARAM(jiffy_is_converted, frequencies_gen_params),
	KUNIT_CASE(coupled_deadline_reads_no_clock),
	KUNIT_CASE(earlier_coupled_deadline_reads_no_clock),
	KUNIT_CASE_PARAM(coupled_deadline_is_never_early,
			 frequencies_gen_params),
	KUNIT_CASE(coupled_deadline_counts_from_the_last_update),
	KUNIT_CASE(coupled_deadline_counts_what_base_lacks),
	KUNIT_CASE(coupled_expiry_before_the_update_fires_at_once),
	KUNIT_CASE(coupled_deadline_is_never_zero),
	KUNIT_CASE(coupled_deadline_follows_the_steering),
	KUNIT_CASE(another_clocksource_is_not_coupled),
	KUNIT_CASE(coupling_again_starts_afresh),
	KUNIT_CASE(unusual_shift_is_not_coupled),
	KUNIT_CASE(starting_cpu_registers_its_device),
	KUNIT_CASE(starting_cpu_has_nothing_armed),
	KUNIT_CASE(dying_cpu_disarms_and_stops),
	KUNIT_CASE(dying_cpu_stops_its_periodic_tick),
	KUNIT_CASE(crash_disarms_and_stops),
	KUNIT_CASE(crash_stops_the_periodic_tick),
	KUNIT_CASE(crash_without_a_backend_is_left_alone),
	KUNIT_CASE(kexec_stops_all_cpus_for_good),
	KUNIT_CASE(kexec_without_a_backend_is_left_alone),
	KUNIT_CASE(reboot_leaves_the_timer_alone),
	KUNIT_CASE(start_tries_the_timer_first),
	KUNIT_CASE(start_fails_if_the_timer_does_not_fire),
	KUNIT_CASE(start_fails_if_the_counter_stands_still),
	KUNIT_CASE(start_does_not_mind_where_the_counter_is),
	KUNIT_CASE(start_fails_if_the_timer_refuses),
	KUNIT_CASE(start_does_not_count_earlier_events),
	KUNIT_CASE(start_prepares_cpus),
	KUNIT_CASE(start_fails_if_a_cpu_cannot_be_prepared),
	KUNIT_CASE(start_undoes_what_it_prepared),
	KUNIT_CASE(start_fails_if_a_cpu_does_not_start),
	KUNIT_CASE(start_requests_the_irq),
	KUNIT_CASE(start_fails_without_the_irq),
	KUNIT_CASE(start_enables_the_irq_of_each_cpu),
	KUNIT_CASE(start_gives_the_irq_of_each_cpu_back),
	KUNIT_CASE(start_fails_without_the_irq_of_each_cpu),
	KUNIT_CASE(start_fails_if_there_is_no_irq),
	KUNIT_CASE(start_registers_the_clocksource),
	KUNIT_CASE(start_survives_a_bad_clocksource),
	KUNIT_CASE_PARAM(registration_names_what_is_missing, lacks_gen_params),
	KUNIT_CASE(registration_refuses_names_with_a_meaning),
	KUNIT_CASE(registration_refuses_half_a_periodic_timer),
	KUNIT_CASE(registration_refuses_to_count_down_to_a_match),
	KUNIT_CASE(registration_refuses_a_name_that_is_taken),
	KUNIT_CASE(registration_is_silent_about_what_is_not_there),
	KUNIT_CASE(registration_ends_when_the_list_is_full),
	KUNIT_CASE(list_is_best_first),
	KUNIT_CASE(list_may_be_empty),
	KUNIT_CASE(current_one_is_shown),
	KUNIT_CASE_PARAM(setup_chooses, choices_gen_params),
	KUNIT_CASE(setup_chooses_once),
	KUNIT_CASE(setup_tries_the_named_one_once),
	KUNIT_CASE(setup_needs_a_backend),
	KUNIT_CASE(late_backend_ticks_if_none_does),
	KUNIT_CASE(parameter_is_parsed),
	KUNIT_CASE(statistics_have_named_columns),
	{}
};

static struct kunit_suite pv_timer_test_suite = {
	.name		= "pv_timer",
	.suite_init	= pv_timer_test_suite_init,
	.init		= pv_timer_test_init,
	.exit		= pv_timer_test_exit,
	.test_cases	= pv_timer_test_cases,
};

kunit_test_suite(pv_timer_test_suite);
