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

/* The core's events would be defined with what is renamed */
#define NOTRACE

#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/irq.h>
#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/pv_timer.h>
#include <linux/pvclock_gtod.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/seqlock.h>
#include <linux/smp.h>
#include <linux/static_call.h>
#include <linux/string.h>
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
#define FAKE_VECTOR	0xec
#define FAKE_CPUS	2

static struct fake {
	/* the hypervisor */
	u64		counter;
	u64		comparator;
	u64		told;
	u64		arm_takes;
	int		refuses;
	unsigned int	refusals;
	bool		frozen;

	/* the kernel */
	ktime_t		clock;
	u64		read_takes;
	unsigned int	reads;
	bool		tick_stopped;
	bool		idle;
	bool		nohz_full;
	unsigned int	cpu;
	u64		parked[FAKE_CPUS];
	unsigned long	online;
	unsigned long	possible;
	call_single_data_t *csd[FAKE_CPUS];
	bool		csd_fails;
	bool		through_line;
	bool		has_modules;
	bool		module_is_gone;
	int		module_refs;
	unsigned int	foreign_vector;
	unsigned int	claimed;
	int		fails;
	int		cpu_fails;
	u64		clocksource_hz;
	unsigned int	irq;
	irq_handler_t	irq_handler;
	int		(*teardown)(unsigned int cpu);
	struct clock_event_device *registered;
	bool		draws_again;
	unsigned int	redrawn;

	/* what the event handler programs, or finds to be armed */
	ktime_t		next;
	ktime_t		after_next;
	u64		callback_takes;
	void		(*event)(void);
	unsigned int	etimes;
	unsigned int	hangs;

	/* what has happened */
	unsigned int	arms;
	bool		told_zero;
	bool		irqs_were_on;
	char		calls[512];
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
	fake.comparator = deadline;
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

static u64 fake_another_counter(void)
{
	return fake.counter / 2;
}

static u64 fake_read_clock(struct clocksource *cs)
{
	return fake.counter;
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
	if (fake.through_line)
		pv_timer_line_handler(fake.irq, NULL);
	else
		__pv_timer_interrupt();
}

static bool fake_interrupt_is_ours(unsigned int vector)
{
	guard(irqsave)();
	return pv_timer_interrupt(vector);
}

/* The boot test waits with it, the interrupts come meanwhile */
static void fake_udelay(unsigned long us)
{
	fake_pass(us * NSEC_PER_USEC);
	if (fake.foreign_vector)
		fake.claimed += fake_interrupt_is_ours(fake.foreign_vector);
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

/* The one that pv_timer_changed() queues: this CPU takes interrupts. */
static bool fake_irq_work_queue(struct irq_work *work)
{
	guard(irqsave)();
	work->func(work);
	return true;
}

/* Only to be registered again, which draws the line anew */
static int fake_unregister_notifier(struct notifier_block *nb)
{
	fake.draws_again = true;
	return 0;
}

static int fake_register_notifier(struct notifier_block *nb)
{
	if (!fake.draws_again)
		called("notifier");
	fake.redrawn += fake.draws_again;
	fake.draws_again = false;
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
				   const char *name, void __percpu *dev)
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

/* What is sent to another CPU is under way until a test lets it arrive. */
static int fake_call_function(unsigned int cpu, call_single_data_t *csd)
{
	char what[] = "ask0";

	what[3] += cpu;
	called(what);
	if (fake.csd_fails)
		return -EBUSY;
	fake.csd[cpu] = csd;
	if (cpu == fake.cpu) {
		guard(irqsave)();
		csd->func(csd->info);
	}
	return 0;
}

static unsigned int fake_first_cpu(const struct cpumask *mask)
{
	return __ffs(fake.online);
}

static unsigned int fake_next_cpu(int cpu, const struct cpumask *mask)
{
	return find_next_bit(&fake.online, FAKE_CPUS, cpu + 1);
}

/* The kernel that is tested has room for one CPU, the others are here. */
static struct pv_timer_cpu fake_others[FAKE_CPUS - 1];

static struct pv_timer_cpu *fake_per_cpu_ptr(struct pv_timer_cpu __percpu *cpus,
					     unsigned int cpu)
{
	return cpu ? &fake_others[cpu - 1] : per_cpu_ptr(cpus, 0);
}

static struct pv_timer_cpu *fake_this_cpu_ptr(struct pv_timer_cpu __percpu *cpus)
{
	return fake_per_cpu_ptr(cpus, fake.cpu);
}

static bool fake_is_idle_task(const struct task_struct *task)
{
	return fake.idle;
}

static bool fake_module_get(struct module *module)
{
	fake.module_refs += !fake.module_is_gone;
	return !fake.module_is_gone;
}

static void fake_module_put(struct module *module)
{
	fake.module_refs--;
}

static void fake_hrtimer_interrupt(struct clock_event_device *ced);

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
#undef printk
#define printk				fake_printk
#undef printk_deferred
#define printk_deferred			fake_printk
#undef udelay
#define udelay				fake_udelay
#undef jiffies
#define jiffies				((unsigned long)div_u64(fake.clock, TICK_NSEC))
#undef for_each_online_cpu
#define for_each_online_cpu(i)		for_each_set_bit(i, &fake.online, FAKE_CPUS)
#undef for_each_possible_cpu
#define for_each_possible_cpu(i)	for_each_set_bit(i, &fake.possible, FAKE_CPUS)
#undef nr_cpu_ids
#define nr_cpu_ids			FAKE_CPUS
#undef num_possible_cpus
#define num_possible_cpus()		hweight_long(fake.possible)
#undef per_cpu
#define per_cpu(name, i)		(*fake_per_cpu_ptr(&(name), i))
#undef per_cpu_ptr
#define per_cpu_ptr			fake_per_cpu_ptr
#undef smp_processor_id
#define smp_processor_id()		fake.cpu
#undef this_cpu_ptr
#define this_cpu_ptr			fake_this_cpu_ptr
#define clockevents_register_device	fake_register_device
#define clocksource_register_hz		fake_register_clocksource
#define cpuhp_remove_state		fake_remove_state
#define cpuhp_setup_state		fake_setup_state
#define cpumask_first			fake_first_cpu
#define cpumask_next			fake_next_cpu
#define disable_percpu_irq		fake_disable_percpu_irq
#define enable_percpu_irq		fake_enable_percpu_irq
#define free_irq			fake_free_irq
#define free_percpu_irq			fake_free_percpu_irq
#define hrtimer_interrupt		fake_hrtimer_interrupt
#define is_idle_task			fake_is_idle_task
#define ktime_get			fake_ktime_get
#define module_put			fake_module_put
#define irq_work_queue			fake_irq_work_queue
#define pvclock_gtod_register_notifier	fake_register_notifier
#define pvclock_gtod_unregister_notifier fake_unregister_notifier
#define request_irq			fake_request_irq
#define request_percpu_irq		fake_request_percpu_irq
#define smp_call_function_single_async	fake_call_function
#define tick_nohz_full_enabled()	fake.nohz_full
#define tick_nohz_tick_stopped()	fake.tick_stopped
#define try_module_get			fake_module_get
#define pv_timer_has_modules()		fake.has_modules

#include "pv_clockevents.c"
#include "pv_backends.c"

/* KUnit prints by itself what is said from here on. */
#undef printk
#define printk				_printk

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
	if (fake.event) {
		fake.event();
		return;
	}
	called_irqs_off("handler");
	if (fake.next && program(fake.next) == -ETIME)
		called("passed");
	if (fake.after_next)
		program(fake.after_next);
}

/* A timer that forwards itself by half of what its function takes */
static void fake_hog(void)
{
	ktime_t entry = fake.clock;
	unsigned int retries;

	for (retries = 0; retries < 3; retries++) {
		fake_pass(fake.callback_takes);
		if (!program(in_ns(-(s64)fake.callback_takes / 2)))
			return;
		fake.etimes++;
	}
	fake.hangs++;
	program(in_ns(fake.clock - entry));
}

/* The one whose device takes the plain path; it backs off as the real one does. */
static void fake_hrtimer_interrupt(struct clock_event_device *ced)
{
	ced->next_event = KTIME_MAX;
	if (fake.callback_takes)
		fake_hog();
	else
		fake_handler(ced);
}

/* Adopt the backend, and bring its device into the one-shot state */
static void use_at(u64 hz)
{
	fake.through_line = fake_backend.ack || fake_backend.flags & PV_TIMER_LEVEL;
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

static struct pv_timer_cpu *fake_cpu(unsigned int cpu)
{
	return per_cpu_ptr(&pv_timer_cpus, cpu);
}

/* Each has a comparator, and all go by the same counter. */
static void on_cpu(unsigned int cpu)
{
	fake.parked[fake.cpu] = fake.comparator;
	fake.comparator = fake.parked[cpu];
	fake.cpu = cpu;
	pt = fake_cpu(cpu);
}

static void fake_call_arrives(unsigned int cpu)
{
	call_single_data_t *csd = fake.csd[cpu];
	unsigned int from = fake.cpu;

	if (!csd)
		return;
	on_cpu(cpu);
	scoped_guard(irqsave)
		csd->func(csd->info);
	on_cpu(from);
}

static bool nothing_is_armed(void)
{
	return pt->armed_for == pt->none;
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
	KUNIT_EXPECT_EQ(test, pt->armed_for, in_ns(1000));
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

static void passed_expiry_interrupts_at_once(struct kunit *test)
{
	use(0);
	KUNIT_EXPECT_EQ(test, program(in_ns(-1000)), 0);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.told, fake.counter);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void expiry_of_this_very_moment_has_passed(struct kunit *test)
{
	use(0);
	KUNIT_EXPECT_EQ(test, program(in_ns(0)), 0);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.told, fake.counter);
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
	KUNIT_EXPECT_TRUE(test, nothing_is_armed());
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
	KUNIT_EXPECT_TRUE(test, nothing_is_armed());
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
	expect_interrupt(test, PV_TIMER_SUPERSEDED);
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
	KUNIT_EXPECT_TRUE(test, nothing_is_armed());
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
	KUNIT_EXPECT_EQ(test, program(in_ns(-500)), 0);
	EXPECT_CALLS(test, "handler arm");
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

/* As jiffies do, which are the clock until there is a better one, while no tick comes */
static void early_interrupt_is_not_put_off_by_a_clock_that_stands(struct kunit *test)
{
	u64 deadline;

	use(0);
	deadline = at(in_ns(1000));
	program(in_ns(1000));
	fake.counter += 500;
	expect_interrupt(test, PV_TIMER_EARLY);
	KUNIT_EXPECT_EQ(test, fake.comparator, deadline);
	fake.counter += 501;
	expect_interrupt(test, PV_TIMER_EVENTS);
}

/* A counter that went back is no reason to wait until it is there again */
static void early_interrupt_after_a_restore_is_armed_anew(struct kunit *test)
{
	use(0);
	fake.counter += NSEC_PER_SEC;
	program(in_ns(1000));
	fake.counter -= NSEC_PER_SEC;
	expect_interrupt(test, PV_TIMER_EARLY);
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
}

static void early_interrupt_after_a_stop_is_superseded(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	expect_interrupt(test, PV_TIMER_SUPERSEDED);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_TRUE(test, nothing_is_armed());
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
	expect_interrupt(test, PV_TIMER_SUPERSEDED);
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(5000 - 1001)));
}

static void interrupt_after_a_stop_is_superseded(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_SUPERSEDED);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_TRUE(test, nothing_is_armed());
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

static void interrupt_is_foreign_without_a_backend(struct kunit *test)
{
	fake_backend.vector = FAKE_VECTOR;
	KUNIT_EXPECT_FALSE(test, fake_interrupt_is_ours(FAKE_VECTOR));
	use(0);
	KUNIT_EXPECT_TRUE(test, fake_interrupt_is_ours(FAKE_VECTOR));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_SPURIOUS], 1);
}

/* ---- refusals ---- */

static void refused_deadline_is_reported(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	KUNIT_EXPECT_EQ(test, program(in_ns(-1000)), 0);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 2 * PV_TIMER_TRIES);
	KUNIT_EXPECT_STREQ(test, fake.message,
			   "pv_timer: fake refused a deadline on CPU0 [-5]\n");
}

static void refused_deadline_does_not_serve_a_later_one(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	program(in_ns(1000));
	fake.refuses = 0;
	fake.calls[0] = '\0';
	KUNIT_EXPECT_EQ(test, program(in_ns(2000)), 0);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(2000)));
}

static void refused_deadline_is_tried_again_by_the_neighbour(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	program(in_ns(1000));
	KUNIT_EXPECT_TRUE(test, pt->refused);
	fake.calls[0] = '\0';
	fake.refuses = 0;
	recheck();
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_FALSE(test, pt->refused);
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

static void refused_deadline_is_tried_at_once(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	fake.refusals = 20;
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	KUNIT_EXPECT_EQ(test, fake.arms, 21);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 20);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ARMED], 1);
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
	fake.calls[0] = '\0';
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "");
}

static void refused_deadline_is_tried_again(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	program(in_ns(1000));
	fake.refuses = 0;
	fake.calls[0] = '\0';
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(1000)));
}

static void refusals_do_not_flood_the_log(struct kunit *test)
{
	unsigned int i;

	use(0);
	fake.refuses = -EIO;
	for (i = 0; i < 10; i++)
		program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 10 * PV_TIMER_TRIES);
	KUNIT_EXPECT_LE(test, fake.messages, 3);
}

/* ---- lost interrupts ---- */

static void overdue_deadline_is_lost_a_jiffy_later(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001 + TICK_NSEC);
	recheck();
	fake_pass(TICK_NSEC - 1);
	recheck();
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
	fake_pass(1);
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
	fake_pass(1000 + TICK_NSEC);
	recheck();
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->suspect, KTIME_MAX);
}

static void another_deadline_is_another_suspect(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001 + TICK_NSEC);
	recheck();
	program(in_ns(1000));
	fake_pass(1001 + TICK_NSEC);
	recheck();
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

static void lose(void)
{
	fake_pass(TICK_NSEC + 1);
	recheck();
	fake_pass(TICK_NSEC);
	recheck();
}

static void loss_that_nobody_wants_keeps_watch(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	fake_pass(1000);
	lose();
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 1);
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(NSEC_PER_SEC)));
	fake_pass(NSEC_PER_SEC + 1);
	expect_interrupt(test, PV_TIMER_SUPERSEDED);
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(NSEC_PER_SEC)));
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
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(NSEC_PER_SEC)));
}

static void sleeps_no_longer_than_a_second_after_a_loss(struct kunit *test)
{
	use(0);
	pv_timer_lost(pt);
	program(in_ns(20ULL * NSEC_PER_SEC));
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(NSEC_PER_SEC)));
}

static void nothing_armed_is_not_lost(struct kunit *test)
{
	use(0);
	fake_pass(10ULL * NSEC_PER_SEC);
	lose();
	EXPECT_CALLS(test, "");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

/* Each is sorted out, as no deadline is on a line here. */
static void event_after(u64 ns)
{
	program(in_ns(ns - 1));
	fake_pass(ns);
	fake_interrupt();
}

/* On CPU 0, which has just looked after CPU 1 */
static void use_with_a_neighbour(void)
{
	fake.online = BIT(0) | BIT(1);
	fake.possible = fake.online;
	on_cpu(1);
	use(0);
	on_cpu(0);
	use(0);
	event_after(TICK_NSEC);
	pt->ced.next_event = KTIME_MAX;
	fake.calls[0] = '\0';
}

static void looks_after_the_neighbour_once_a_jiffy(struct kunit *test)
{
	use_with_a_neighbour();
	fake_cpu(1)->armed_for = in_ns(0);
	event_after(TICK_NSEC - 1);
	EXPECT_CALLS(test, "arm handler");
	event_after(2);
	EXPECT_CALLS(test, "arm handler ask1");
	event_after(TICK_NSEC);
	EXPECT_CALLS(test, "arm handler");
	atomic_set(&fake_cpu(1)->asked, 0);
	event_after(TICK_NSEC);
	EXPECT_CALLS(test, "arm handler ask1");
}

/* ---- the kinds of timers ---- */

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
	KUNIT_EXPECT_EQ(test, program(in_ns(-1000)), 0);
	KUNIT_EXPECT_GT(test, fake.comparator, fake.counter);
}

static void exact_timer_gives_up_at_a_jiffy(struct kunit *test)
{
	use(PV_TIMER_EXACT);
	fake.arm_takes = 2 * FAKE_TICK;
	program(in_ns(1));
	KUNIT_EXPECT_EQ(test, pt->armed, fake.comparator);
	recheck();
	KUNIT_EXPECT_EQ(test, pt->suspect, pt->armed_for);
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
	fake.refusals = 1;
	KUNIT_EXPECT_EQ(test, program(in_ns(1)), 0);
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 1);
}

/* An eighth of the limit is left for the steering of the clock. */
static void limited_timer_gets_its_limit(struct kunit *test)
{
	fake_backend.max_ticks = 1000;
	use(0);
	program(in_ns(5000));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(875)));
	program(in_ns(874));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(874)));
}

static void limited_timer_gets_the_rest_later(struct kunit *test)
{
	fake_backend.max_ticks = 1000;
	use(0);
	program(in_ns(1500));
	fake_pass(876);
	expect_interrupt(test, PV_TIMER_SUPERSEDED);
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1500 - 876)));
	fake_pass(1501 - 876);
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
	KUNIT_EXPECT_EQ(test, fake.arms, 1 + 2 * PV_TIMER_TRIES);
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
	ns = min(ns, pv_timer_limit_ns);
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

static void deadlines_fit_63_bits(struct kunit *test)
{
	const struct frequency *frequency = test->param_value;
	u64 years = 9 * 365 * 86400ULL * NSEC_PER_SEC;

	use_at(frequency->hz);
	KUNIT_EXPECT_GT(test, pv_timer_limit_ns, years);
	KUNIT_EXPECT_TRUE(test, product_ge(1ULL << 62, NSEC_PER_SEC,
					   pv_timer_limit_ns, frequency->hz));
}

static void jiffy_is_converted(struct kunit *test)
{
	const struct frequency *frequency = test->param_value;

	use_at(frequency->hz);
	KUNIT_EXPECT_EQ(test, pv_timer_tick, div_u64(frequency->hz, HZ));
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

/* The timekeeper reads the counter from now on */
static void start_timekeeper(u64 hz)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	tkr->clock = &fake_clocksource;
	tkr->mask = CLOCKSOURCE_MASK(64);
	clocks_calc_mult_shift(&tkr->mult, &tkr->shift, div_u64(hz, 100),
			       NSEC_PER_SEC / 100, 60000);
	tkr->cycle_last = fake.counter;
	tkr->base = fake.clock;
	tkr->xtime_nsec = 0;
	with_irqs_off(update_timekeeper);
}

static void couple_at(u64 hz)
{
	fake_backend.cs_id = FAKE_CS_ID;
	use_at(hz);
	start_timekeeper(hz);
}

/* An event has found that nothing is special, and the plain path is taken. */
static void use_plain(unsigned int flags)
{
	fake_backend.flags = flags;
	couple_at(FAKE_HZ);
	pt->ced.event_handler = fake_hrtimer_interrupt;
	program(in_ns(999));
	fake_pass(1000);
	fake_interrupt();
	memset(pt->stats, 0, sizeof(pt->stats));
	fake.calls[0] = '\0';
	fake.reads = 0;
}

static u64 coupled_ns(u64 ticks)
{
	return mul_u64_u32_shr(ticks, fake_timekeeper.tkr_mono.mult,
			       fake_timekeeper.tkr_mono.shift);
}

/* What the fraction of a tick in the line's offset may add */
static void expect_armed_for(struct kunit *test, ktime_t expires)
{
	KUNIT_EXPECT_GE(test, fake.told, at(expires) - 1);
	KUNIT_EXPECT_LE(test, fake.told, at(expires) + 1);
	KUNIT_EXPECT_EQ(test, pt->armed, fake.told);
	KUNIT_EXPECT_EQ(test, pt->armed_for, expires);
}

static void coupled_deadline_reads_no_clock(struct kunit *test)
{
	use_plain(PV_TIMER_NOFAIL);
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.reads, 0);
	expect_armed_for(test, in_ns(1000));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ARMED], 1);
}

static void earlier_coupled_deadline_reads_no_clock(struct kunit *test)
{
	use_plain(PV_TIMER_NOFAIL);
	program(in_ns(1000));
	program(in_ns(999));
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, fake.reads, 0);
}

static void plain_event_reads_no_clock(struct kunit *test)
{
	use_plain(PV_TIMER_NOFAIL);
	program(in_ns(1000));
	fake_pass(1002);
	fake.next = in_ns(1000);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler arm");
	KUNIT_EXPECT_EQ(test, fake.reads, 0);
	expect_armed_for(test, in_ns(1000));
}

static void coupled_deadline_is_never_early(struct kunit *test)
{
	const struct frequency *frequency = test->param_value;
	u64 ticks, ns, slack;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(intervals); i++) {
		fake.clock = 0;
		couple_at(frequency->hz);
		program(intervals[i]);
		ticks = fake.told - fake.counter;
		ns = min(intervals[i], pv_timer_limit_ns);
		KUNIT_EXPECT_GT(test, (s64)ticks, 0);
		KUNIT_EXPECT_GE(test, coupled_ns(ticks), ns);
		/* What rounding may add: the lower multiplier, the slope, a tick */
		slack = div_u64(ns, fake_timekeeper.tkr_mono.mult - 1) +
			coupled_ns(4 + (ns >> 55)) + 1;
		KUNIT_EXPECT_LE(test, coupled_ns(ticks), ns + slack);
	}
}

static void coupled_deadline_counts_from_the_last_update(struct kunit *test)
{
	couple_at(FAKE_HZ);
	fake_pass(600);
	program(in_ns(400));
	expect_armed_for(test, in_ns(400));
}

static void coupled_deadline_counts_what_base_lacks(struct kunit *test)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	couple_at(FAKE_HZ);
	tkr->base -= 300;
	tkr->xtime_nsec = (u64)300 << tkr->shift;
	with_irqs_off(update_timekeeper);
	program(in_ns(1000));
	expect_armed_for(test, in_ns(1000));
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
	KUNIT_EXPECT_NE(test, fake.told, 0);
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
	KUNIT_EXPECT_EQ(test, pv_timer_line.slope, 0);
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
	KUNIT_EXPECT_GE(test, fake.told, fake.counter + 500);
	KUNIT_EXPECT_LE(test, fake.told, fake.counter + 500 + 2);
}

static void unusual_shift_is_not_coupled(struct kunit *test)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	couple_at(FAKE_HZ);
	tkr->shift = 33;
	tkr->mult = U32_MAX;
	with_irqs_off(update_timekeeper);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
	KUNIT_EXPECT_EQ(test, pv_timer_line.slope, 0);
}

/* ---- counters and clocks ---- */

static u64 fake_couple(enum clocksource_ids id, u64 cycles, u64 *ticks)
{
	*ticks = 2 * cycles + 77;
	return id == CSID_X86_KVM_CLK ? 2ULL << 32 : 0;
}

static void linear_function_is_coupled(struct kunit *test)
{
	struct clocksource other = { .name = "other", .id = CSID_X86_KVM_CLK };

	fake_backend.couple = fake_couple;
	couple_at(FAKE_HZ);
	fake_timekeeper.tkr_mono.clock = &other;
	with_irqs_off(update_timekeeper);
	program(in_ns(1000));
	KUNIT_EXPECT_GE(test, fake.told, 2 * (fake.counter + 1000) + 77);
	KUNIT_EXPECT_LE(test, fake.told, 2 * (fake.counter + 1000) + 77 + 2);
	other.id = CSID_GENERIC;
	with_irqs_off(update_timekeeper);
	KUNIT_EXPECT_EQ(test, pv_timer_line.slope, 0);
}

static void counter_of_32_bits_is_not_coupled(struct kunit *test)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;

	couple_at(FAKE_HZ);
	KUNIT_EXPECT_NE(test, pv_timer_line.slope, 0);
	tkr->mask = CLOCKSOURCE_MASK(32);
	tkr->cycle_last = fake.counter & tkr->mask;
	with_irqs_off(update_timekeeper);
	KUNIT_EXPECT_EQ(test, pv_timer_line.slope, 0);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
}

static void generic_clocksource_is_not_coupled(struct kunit *test)
{
	struct clocksource other = { .name = "other", .id = CSID_GENERIC };

	couple_at(FAKE_HZ);
	fake_backend.cs_id = CSID_GENERIC;
	fake_timekeeper.tkr_mono.clock = &other;
	with_irqs_off(update_timekeeper);
	KUNIT_EXPECT_EQ(test, pv_timer_line.slope, 0);
}

/* The multiplier goes down by one, and the clock with it */
static void line_bears_the_next_lower_multiplier(struct kunit *test)
{
	struct tk_read_base *tkr = &fake_timekeeper.tkr_mono;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(intervals); i++) {
		fake.clock = 0;
		couple_at(FAKE_HZ);
		program(intervals[i]);
		tkr->mult--;
		KUNIT_EXPECT_GE(test, coupled_ns(fake.told - fake.counter),
				min(intervals[i], pv_timer_limit_ns));
	}
}

static const struct pv_timer_clock fake_clock = {
	.name		 = "fake-clock",
	.rating		 = 400,
	.hz		 = FAKE_HZ,
	.counter	 = fake_now,
	.read		 = fake_read_clock,
	.vdso_clock_mode = VDSO_CLOCKMODE_NONE,
};

static void clock_is_registered(struct kunit *test)
{
	struct clocksource *cs = pv_timer_register_clock(&fake_clock);

	EXPECT_CALLS(test, "clocksource");
	KUNIT_ASSERT_FALSE(test, IS_ERR(cs));
	KUNIT_EXPECT_STREQ(test, cs->name, "fake-clock");
	KUNIT_EXPECT_EQ(test, cs->rating, 400);
	KUNIT_EXPECT_EQ(test, cs->mask, CLOCKSOURCE_MASK(64));
	KUNIT_EXPECT_EQ(test, cs->flags, CLOCK_SOURCE_IS_CONTINUOUS);
	KUNIT_EXPECT_EQ(test, fake.clocksource_hz, FAKE_HZ);
}

static void clock_is_coupled_by_its_counter(struct kunit *test)
{
	struct pv_timer_clock another = fake_clock;
	struct clocksource *cs;

	another.counter = fake_another_counter;
	use(0);
	start_timekeeper(FAKE_HZ);
	cs = pv_timer_register_clock(&another);
	fake_timekeeper.tkr_mono.clock = cs;
	with_irqs_off(update_timekeeper);
	KUNIT_EXPECT_EQ(test, pv_timer_line.slope, 0);
	cs = pv_timer_register_clock(&fake_clock);
	fake_timekeeper.tkr_mono.clock = cs;
	with_irqs_off(update_timekeeper);
	program(in_ns(1000));
	expect_armed_for(test, in_ns(1000));
	KUNIT_EXPECT_NE(test, pv_timer_line.slope, 0);
}

static void clock_that_is_one_too_many_is_reported(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < PV_TIMER_MAX_CLOCKS; i++)
		KUNIT_EXPECT_FALSE(test, IS_ERR(pv_timer_register_clock(&fake_clock)));
	KUNIT_EXPECT_PTR_EQ(test, pv_timer_register_clock(&fake_clock),
			    ERR_PTR(-ENOSPC));
	KUNIT_EXPECT_STREQ(test, fake.message,
			   "pv_timer: cannot register clocksource fake-clock [-28]\n");
}

static void bad_clock_is_reported(struct kunit *test)
{
	fake.fails = -EINVAL;
	KUNIT_EXPECT_PTR_EQ(test, pv_timer_register_clock(&fake_clock),
			    ERR_PTR(-EINVAL));
	KUNIT_EXPECT_STREQ(test, fake.message,
			   "pv_timer: cannot register clocksource fake-clock [-22]\n");
}

/* ---- the event handler and what has passed ---- */

/* Until the comparator is reached, or at once if it has been */
static void let_it_fire(void)
{
	if ((s64)(fake.comparator - fake.counter) > 0)
		fake_pass(fake.comparator - fake.counter);
	fake_interrupt();
}

static void hog_is_told_within_eight_jiffies(struct kunit *test)
{
	ktime_t end;

	use_plain(PV_TIMER_NOFAIL);
	fake.callback_takes = 20 * NSEC_PER_USEC;
	program(in_ns(1000));
	end = in_ns(8 * TICK_NSEC + NSEC_PER_MSEC);
	while (!fake.hangs && fake.clock < end)
		let_it_fire();
	KUNIT_EXPECT_GE(test, fake.etimes, 3);
	KUNIT_EXPECT_EQ(test, fake.hangs, 1);
	KUNIT_EXPECT_GT(test, fake.comparator, fake.counter);
	KUNIT_EXPECT_EQ(test, pt->armed_for, pt->ced.next_event);
}

/* Its counter is ahead of the one that the line was drawn from */
static void cpu_off_the_line_ticks(struct kunit *test)
{
	unsigned int i;

	use_plain(PV_TIMER_NOFAIL);
	fake.counter += 100ULL * NSEC_PER_SEC;
	fake.next = in_ns(TICK_NSEC);
	program(fake.next);
	for (i = 0; i < 3 && fake.comparator <= fake.counter; i++)
		fake_interrupt();
	KUNIT_EXPECT_EQ(test, fake.comparator, at(fake.next));
}

static void hog_is_told_once_it_is_sorted_out(struct kunit *test)
{
	couple_at(FAKE_HZ);
	fake.next = in_ns(10);
	program(in_ns(1000));
	fake_pass(1002);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler passed arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter);
}

static void passed_expiry_is_armed_after_a_later_one(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001);
	fake.next = in_ns(1000);
	fake.after_next = in_ns(-500);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter);
	KUNIT_EXPECT_EQ(test, pt->armed_for, fake.after_next);
	fake.next = 0;
	fake.after_next = 0;
	expect_interrupt(test, PV_TIMER_EVENTS);
}

/* By more than the timer can be armed for */
static void passed_expiry_is_armed_after_a_late_event(struct kunit *test)
{
	fake_backend.max_ticks = 1000;
	use(0);
	program(in_ns(500));
	fake_pass(5000);
	fake.next = in_ns(-100);
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler passed arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter);
}

/* ---- the plain path ---- */

static void plain_later_expiry_costs_no_call(struct kunit *test)
{
	use_plain(PV_TIMER_NOFAIL);
	program(in_ns(1000));
	program(in_ns(500));
	fake.reads = 0;
	pt->stats[PV_TIMER_ELIDED] = 1;
	program(in_ns(500));
	program(in_ns(2000));
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, fake.reads, 0);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ELIDED], 3);
}

static void plain_elisions_are_looked_at_now_and_then(struct kunit *test)
{
	unsigned int i;

	use_plain(PV_TIMER_NOFAIL);
	program(in_ns(1000));
	fake_pass(2000);
	pt->stats[PV_TIMER_ELIDED] = 1;
	for (i = 0; i < 15; i++)
		program(in_ns(1000));
	EXPECT_CALLS(test, "arm");
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm");
}

static void plain_later_expiry_is_armed_as_the_tick_stops(struct kunit *test)
{
	bool *stops[] = { &fake.idle, &fake.nohz_full };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(stops); i++) {
		fake.tick_stopped = false;
		use_plain(PV_TIMER_NOFAIL);
		program(in_ns(1000));
		*stops[i] = true;
		fake.tick_stopped = true;
		program(in_ns(2000));
		EXPECT_CALLS(test, "arm arm");
		expect_armed_for(test, in_ns(2000));
		*stops[i] = false;
	}
}

static void plain_early_interrupt_arms_again(struct kunit *test)
{
	use_plain(PV_TIMER_NOFAIL);
	fake.next = in_ns(1000);
	program(fake.next);
	fake_pass(400);
	fake_interrupt();
	EXPECT_CALLS(test, "arm handler arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_EARLY], 1);
	expect_armed_for(test, in_ns(600));
}

static void plain_refusal_is_tried_again(struct kunit *test)
{
	use_plain(0);
	fake.arms = 0;
	fake.refuses = -EIO;
	fake.refusals = 20;
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	KUNIT_EXPECT_EQ(test, fake.arms, 21);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_REFUSED], 20);
	expect_armed_for(test, in_ns(1000));
}

static void plain_request_ends_a_refusal(struct kunit *test)
{
	use_plain(0);
	fake.refuses = -EIO;
	program(in_ns(1000));
	KUNIT_EXPECT_TRUE(test, pv_timer_is_overdue(pt, fake.clock));
	fake.refuses = 0;
	program(in_ns(500));
	expect_armed_for(test, in_ns(500));
	KUNIT_EXPECT_FALSE(test, pv_timer_is_overdue(pt, fake.clock));
	fake_pass(502);
	expect_interrupt(test, PV_TIMER_EVENTS);
	KUNIT_EXPECT_FALSE(test, pv_timer_is_overdue(pt, fake.clock));
}

static void plain_path_ends_with_the_line(struct kunit *test)
{
	use_plain(PV_TIMER_NOFAIL);
	fake_timekeeper.tkr_mono.mask = CLOCKSOURCE_MASK(32);
	with_irqs_off(update_timekeeper);
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
	KUNIT_EXPECT_EQ(test, fake.reads, 2);
}

/* Return: does it take the plain path after an event? */
static bool goes_on_plain(struct kunit *test)
{
	program(in_ns(1000));
	fake_pass(1002);
	expect_interrupt(test, PV_TIMER_EVENTS);
	return pt->ced.set_next_ktime != pv_timer_set_next_general;
}

static void traced_cpu_takes_the_general_path(struct kunit *test)
{
	use_plain(PV_TIMER_NOFAIL);
	pv_timer_trace_on();
	pv_timer_trace_on();
	program(in_ns(2000));
	KUNIT_EXPECT_EQ(test, fake.reads, 2);
	/* It stays there in a kernel that can trace */
	KUNIT_EXPECT_EQ(test, goes_on_plain(test), !IS_ENABLED(CONFIG_TRACEPOINTS));
	pv_timer_trace_off();
	KUNIT_EXPECT_EQ(test, goes_on_plain(test), !IS_ENABLED(CONFIG_TRACEPOINTS));
	pv_timer_trace_off();
	KUNIT_EXPECT_TRUE(test, goes_on_plain(test));
}

static void line_that_is_being_drawn_is_not_used(struct kunit *test)
{
	use_plain(PV_TIMER_NOFAIL);
	pv_timer_line.offset += 12345;
	pv_timer_line.seq.sequence++;
	program(in_ns(1000));
	pv_timer_line.seq.sequence++;
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
}

/* ---- what the neighbour sees, and what is said to it ---- */

static void refused_cpu_is_helped_by_its_neighbour(struct kunit *test)
{
	use_with_a_neighbour();
	fake.refuses = -EIO;
	program(in_ns(1000));
	fake.refuses = 0;
	fake.calls[0] = '\0';
	on_cpu(1);
	event_after(2 * TICK_NSEC);
	EXPECT_CALLS(test, "arm handler ask0");
	fake_call_arrives(0);
	EXPECT_CALLS(test, "arm");
	on_cpu(0);
	KUNIT_EXPECT_FALSE(test, pt->refused);
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void refused_cpu_that_stops_is_left_alone(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	program(in_ns(1000));
	fake.refuses = 0;
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	fake.calls[0] = '\0';
	recheck();
	EXPECT_CALLS(test, "");
	KUNIT_EXPECT_FALSE(test, pt->refused);
}

static void refused_cpu_is_asked_each_jiffy(struct kunit *test)
{
	unsigned int i;

	use_with_a_neighbour();
	fake.refuses = -EIO;
	program(in_ns(1000));
	on_cpu(1);
	for (i = 0; i < 3; i++) {
		fake.refuses = 0;
		fake.calls[0] = '\0';
		event_after(2 * TICK_NSEC);
		EXPECT_CALLS(test, "arm handler ask0");
		fake.refuses = -EIO;
		fake_call_arrives(0);
	}
	KUNIT_EXPECT_EQ(test, fake_cpu(0)->stats[PV_TIMER_REFUSED],
			4 * PV_TIMER_TRIES);
}

static void refused_cpu_tries_again_by_itself(struct kunit *test)
{
	use(0);
	fake.refuses = -EIO;
	program(in_ns(1000));
	fake.refuses = 0;
	fake.calls[0] = '\0';
	expect_interrupt(test, PV_TIMER_SPURIOUS);
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
}

static void held_back_interrupt_is_not_lost(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake_pass(1001 + TICK_NSEC);
	recheck();
	fake_pass(TICK_NSEC / 2);
	recheck();
	expect_interrupt(test, PV_TIMER_EVENTS);
	EXPECT_CALLS(test, "arm handler");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
	program(in_ns(20ULL * NSEC_PER_SEC));
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(20ULL * NSEC_PER_SEC)));
}

static void first_expiry_is_not_lost_at_first_sight(struct kunit *test)
{
	use(0);
	program(0);
	recheck();
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

static void suspicion_ends_with_the_interrupt(struct kunit *test)
{
	ktime_t expires;

	use_plain(PV_TIMER_NOFAIL);
	expires = in_ns(1000);
	program(expires);
	fake_pass(1002 + TICK_NSEC);
	recheck();
	expect_interrupt(test, PV_TIMER_EVENTS);
	fake_pass(TICK_NSEC);
	program(expires);
	recheck();
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

static void suspicion_ends_when_a_free_timer_is_told(struct kunit *test)
{
	ktime_t expires;

	use_plain(PV_TIMER_FREE | PV_TIMER_NOFAIL);
	expires = in_ns(1000);
	program(expires);
	fake_pass(1002 + TICK_NSEC);
	recheck();
	program(in_ns(1000));
	fake_pass(TICK_NSEC);
	program(expires);
	recheck();
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

static void watch_ends_after_a_minute(struct kunit *test)
{
	use(0);
	pv_timer_lost(pt);
	fake_pass(60ULL * NSEC_PER_SEC);
	program(in_ns(20ULL * NSEC_PER_SEC));
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(NSEC_PER_SEC)));
	switch_to(CLOCK_EVT_STATE_SHUTDOWN);
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	fake_pass(TICK_NSEC);
	program(in_ns(20ULL * NSEC_PER_SEC));
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(20ULL * NSEC_PER_SEC)));
}

static void neighbour_is_judged_by_the_clock(struct kunit *test)
{
	use_with_a_neighbour();
	fake_cpu(1)->armed = fake.counter - NSEC_PER_SEC;
	fake_cpu(1)->armed_for = in_ns(NSEC_PER_SEC);
	event_after(TICK_NSEC);
	EXPECT_CALLS(test, "arm handler");
	fake_cpu(1)->armed = fake.counter + NSEC_PER_SEC;
	fake_cpu(1)->armed_for = in_ns(-TICK_NSEC);
	event_after(TICK_NSEC);
	EXPECT_CALLS(test, "arm handler ask1");
}

static void neighbour_that_is_absent_is_not_asked(struct kunit *test)
{
	use_with_a_neighbour();
	fake_cpu(1)->armed_for = in_ns(-TICK_NSEC);
	fake_cpu(1)->ced.name = NULL;
	event_after(TICK_NSEC);
	EXPECT_CALLS(test, "arm handler");
}

static void limited_timer_keeps_watch_as_well(struct kunit *test)
{
	fake_backend.max_ticks = NSEC_PER_SEC / 2;
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	fake_pass(1000);
	lose();
	EXPECT_CALLS(test, "arm arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 1);
	KUNIT_EXPECT_EQ(test, pt->armed, at(in_ns(NSEC_PER_SEC / 16 * 7)));
	fake_pass(NSEC_PER_SEC / 2);
	expect_interrupt(test, PV_TIMER_SUPERSEDED);
	EXPECT_CALLS(test, "arm");
}

static void limited_timer_without_deadline_is_not_lost(struct kunit *test)
{
	fake_backend.max_ticks = NSEC_PER_SEC;
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_SUPERSEDED);
	fake_pass(NSEC_PER_SEC);
	KUNIT_EXPECT_FALSE(test, pv_timer_is_overdue(pt, fake.clock));
	lose();
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_LOST], 0);
}

/* ---- the hypervisor has forgotten its deadlines, or has another frequency ---- */

static void restored_cpu_arms_again(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	fake.comparator = 0;
	pv_timer_changed();
	EXPECT_CALLS(test, "arm ask0 arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_RESTARTED], 1);
	KUNIT_EXPECT_EQ(test, fake.redrawn, 1);
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
}

static void restored_cpus_arm_again(struct kunit *test)
{
	use_with_a_neighbour();
	program(in_ns(1000));
	on_cpu(1);
	program(in_ns(2000));
	fake.comparator = 0;
	on_cpu(0);
	fake.comparator = 0;
	fake.calls[0] = '\0';
	pv_timer_changed();
	EXPECT_CALLS(test, "ask0 arm ask1");
	fake_call_arrives(1);
	EXPECT_CALLS(test, "arm");
	on_cpu(1);
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(2000)));
	on_cpu(0);
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
}

static void restored_timer_is_started_again(struct kunit *test)
{
	fake_backend.cpu_start = fake_cpu_start;
	use(PV_TIMER_LOSES_STATE);
	program(in_ns(1000));
	pv_timer_changed();
	EXPECT_CALLS(test, "arm ask0 start arm");
}

static void restored_timer_arms_what_is_wanted_only(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	pv_timer_changed();
	EXPECT_CALLS(test, "arm ask0");
	switch_to(CLOCK_EVT_STATE_SHUTDOWN);
	pv_timer_changed();
	EXPECT_CALLS(test, "disarm ask0");
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_RESTARTED], 1);
}

/* The one that is under way sees it too */
static void restored_cpu_is_asked_once(struct kunit *test)
{
	use_with_a_neighbour();
	on_cpu(1);
	program(in_ns(1000));
	on_cpu(0);
	fake.calls[0] = '\0';
	pv_timer_changed();
	pv_timer_changed();
	EXPECT_CALLS(test, "ask0 ask1 ask0");
	fake_call_arrives(1);
	EXPECT_CALLS(test, "arm");
	pv_timer_changed();
	EXPECT_CALLS(test, "ask0 ask1");
}

static void restored_cpu_may_be_gone(struct kunit *test)
{
	use_with_a_neighbour();
	fake.csd_fails = true;
	pv_timer_changed();
	EXPECT_CALLS(test, "ask0 ask1");
	pv_timer_changed();
	EXPECT_CALLS(test, "ask0 ask1");
}

static void restore_without_a_backend_is_left_alone(struct kunit *test)
{
	pv_timer_changed();
	pv_timer_set_frequency(FAKE_CS_ID, FAKE_HZ);
	EXPECT_CALLS(test, "");
}

static void frequency_that_changes_arms_again(struct kunit *test)
{
	fake_backend.cs_id = FAKE_CS_ID;
	use_with_a_neighbour();
	program(in_ns(1000));
	on_cpu(1);
	program(in_ns(3000));
	on_cpu(0);
	fake.calls[0] = '\0';
	pv_timer_set_frequency(FAKE_CS_ID, 2 * FAKE_HZ);
	EXPECT_CALLS(test, "ask0 arm ask1");
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter + 2001);
	fake_call_arrives(1);
	on_cpu(1);
	KUNIT_EXPECT_EQ(test, fake.comparator, fake.counter + 6001);
	KUNIT_EXPECT_EQ(test, pv_timer_tick, 2 * FAKE_TICK);
}

static void frequency_changes_the_limit(struct kunit *test)
{
	fake_backend.cs_id = FAKE_CS_ID;
	fake_backend.max_ticks = 1000;
	use(0);
	program(in_ns(5000));
	pv_timer_set_frequency(FAKE_CS_ID, 2 * FAKE_HZ);
	KUNIT_EXPECT_LE(test, fake.comparator, fake.counter + 1000);
	KUNIT_EXPECT_GE(test, fake.comparator, fake.counter + 850);
}

static void frequency_of_another_counter_is_left_alone(struct kunit *test)
{
	fake_backend.cs_id = FAKE_CS_ID;
	use(0);
	pv_timer_set_frequency(CSID_X86_TSC, 2 * FAKE_HZ);
	EXPECT_CALLS(test, "");
	KUNIT_EXPECT_EQ(test, pv_timer_tick, FAKE_TICK);
}

static void setup_arms_again_on_a_cpu_that_comes_up(struct kunit *test)
{
	pv_timer_register(&fake_backend);
	pv_timer_setup();
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	program(in_ns(1000));
	fake.calls[0] = '\0';
	fake.counter += NSEC_PER_SEC;
	KUNIT_EXPECT_TRUE(test, pv_timer_setup());
	EXPECT_CALLS(test, "arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(1000)));
}

/* ---- a hypervisor whose clock is ahead ---- */

/* At the same time again and again, as its clock has reached the deadline */
static void storm(struct kunit *test, unsigned int n)
{
	while (n--)
		expect_interrupt(test, PV_TIMER_EARLY);
}

static void early_storm_is_damped(struct kunit *test)
{
	u64 deadline;

	use(0);
	deadline = at(in_ns(50000));
	program(in_ns(50000));
	fake_pass(49000);
	storm(test, PV_TIMER_MAX_EARLY - 1);
	KUNIT_EXPECT_EQ(test, fake.told, deadline);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_DELAYED], 0);
	storm(test, 1);
	KUNIT_EXPECT_EQ(test, fake.told, deadline + 1001);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_DELAYED], 1);
	fake_pass(1001);
	expect_interrupt(test, PV_TIMER_EVENTS);
	program(in_ns(50000));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(50000)) + 1001);
}

static void early_interrupts_now_and_then_are_not_damped(struct kunit *test)
{
	unsigned int i;

	use(0);
	for (i = 0; i < 2 * PV_TIMER_MAX_EARLY; i++) {
		program(in_ns(1000));
		fake_pass(500);
		storm(test, PV_TIMER_MAX_EARLY - 1);
		fake_pass(501);
		expect_interrupt(test, PV_TIMER_EVENTS);
	}
	KUNIT_EXPECT_EQ(test, pt->skew, 0);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_DELAYED], 0);
}

static void damping_is_forgotten_when_it_is_late(struct kunit *test)
{
	unsigned int i;

	use(0);
	program(in_ns(50000));
	fake_pass(49000);
	storm(test, PV_TIMER_MAX_EARLY);
	fake_pass(2001);
	expect_interrupt(test, PV_TIMER_EVENTS);
	KUNIT_EXPECT_EQ(test, pt->skew, 1001);
	fake_pass(2002);
	for (i = 0; i < PV_TIMER_MAX_EARLY; i++) {
		KUNIT_EXPECT_EQ(test, pt->skew, 1001);
		program(in_ns(50000));
		fake_pass(50001 + 1001);
		expect_interrupt(test, PV_TIMER_EVENTS);
	}
	KUNIT_EXPECT_EQ(test, pt->skew, 0);
	program(in_ns(50000));
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(50000)));
}

/* An interrupt can be late for other reasons */
static void damping_outlasts_an_interrupt_that_is_late(struct kunit *test)
{
	unsigned int i;

	use(0);
	program(in_ns(50000));
	fake_pass(49000);
	storm(test, PV_TIMER_MAX_EARLY);
	fake_pass(2002);
	expect_interrupt(test, PV_TIMER_EVENTS);
	for (i = 0; i < 2 * PV_TIMER_MAX_EARLY; i++) {
		program(in_ns(50000));
		fake_pass(50001 + (i % PV_TIMER_MAX_EARLY ? 1001 : 0));
		expect_interrupt(test, PV_TIMER_EVENTS);
	}
	KUNIT_EXPECT_EQ(test, pt->skew, 1001);
}

static void damping_is_bounded(struct kunit *test)
{
	use(0);
	program(in_ns(3 * TICK_NSEC));
	storm(test, 2 * PV_TIMER_MAX_EARLY);
	KUNIT_EXPECT_EQ(test, pt->skew, FAKE_TICK / 2);
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(3 * TICK_NSEC)) + FAKE_TICK / 2);
}

static void damping_is_forgotten_by_a_restore(struct kunit *test)
{
	use(0);
	program(in_ns(50000));
	fake_pass(49000);
	storm(test, PV_TIMER_MAX_EARLY);
	pv_timer_changed();
	KUNIT_EXPECT_EQ(test, fake.told, at(in_ns(1000)));
}

/* hrtimer_interrupt() asks again for what it finds not to have expired */
static void plain_early_storm_is_damped(struct kunit *test)
{
	unsigned int i;

	use_plain(PV_TIMER_NOFAIL);
	fake.next = in_ns(50000);
	program(fake.next);
	fake_pass(49000);
	for (i = 0; i < PV_TIMER_MAX_EARLY; i++)
		fake_interrupt();
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_EARLY], PV_TIMER_MAX_EARLY);
	KUNIT_EXPECT_GE(test, fake.told, at(in_ns(1000)) + 1000);
	KUNIT_EXPECT_LE(test, fake.told, at(in_ns(1000)) + 1002);
}

static void plain_path_comes_back_after_the_damping(struct kunit *test)
{
	unsigned int i;

	plain_early_storm_is_damped(test);
	fake.next = in_ns(50000);
	fake_pass(4000);
	fake_interrupt();
	for (i = 0; i < PV_TIMER_MAX_EARLY; i++) {
		fake_pass(50000 + 1002);
		fake.next = in_ns(50000);
		fake_interrupt();
	}
	fake.reads = 0;
	program(in_ns(1000));
	KUNIT_EXPECT_EQ(test, fake.reads, 0);
	expect_armed_for(test, in_ns(1000));
}

/* ---- expiries as far away as there are, and counters that start again ---- */

static const ktime_t far_away[] = {
	BIT_ULL(58), BIT_ULL(60), BIT_ULL(62), KTIME_MAX - 1,
};

/* What is told is always ahead, and not beyond what is wanted */
static void expect_ahead(struct kunit *test, ktime_t expires)
{
	s64 ahead = fake.comparator - fake.counter;

	KUNIT_EXPECT_GT(test, ahead, 0);
	KUNIT_EXPECT_LE(test, ahead, PV_TIMER_FAR + (PV_TIMER_FAR >> 20));
	KUNIT_EXPECT_LE(test, pt->armed_for, expires);
	KUNIT_EXPECT_EQ(test, pt->armed, fake.comparator);
}

static void go_far(struct kunit *test, ktime_t expires, void (*update)(void))
{
	unsigned int i;

	pt->stats[PV_TIMER_EVENTS] = 0;
	program(expires);
	for (i = 0; i < 64 && !pt->stats[PV_TIMER_EVENTS]; i++) {
		expect_ahead(test, expires);
		fake.calls[0] = '\0';
		program(expires);
		EXPECT_CALLS(test, "");
		let_it_fire();
		update();
	}
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_EVENTS], 1);
	KUNIT_EXPECT_GE(test, fake.clock, expires);
	KUNIT_EXPECT_LE(test, fake.clock - expires, BIT_ULL(36));
}

static void keep_timekeeper(void)
{
}

static void restart_timekeeper(void)
{
	start_timekeeper(FAKE_HZ);
}

static void far_expiry_is_armed_in_pieces(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(far_away); i++) {
		fake.counter = FAKE_COUNTER;
		fake.clock = FAKE_CLOCK;
		use(0);
		go_far(test, far_away[i], keep_timekeeper);
	}
}

static void plain_far_expiry_is_armed_in_pieces(struct kunit *test)
{
	unsigned int i;

	/* The last one would pass the end of time, as the line is the steeper one */
	for (i = 0; i < ARRAY_SIZE(far_away) - 1; i++) {
		fake.counter = FAKE_COUNTER;
		fake.clock = FAKE_CLOCK;
		use_plain(PV_TIMER_NOFAIL);
		go_far(test, far_away[i], restart_timekeeper);
	}
}

static void expect_next_after_far(struct kunit *test, unsigned int flags)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(far_away); i++) {
		use_plain(flags);
		program(far_away[i]);
		expect_ahead(test, far_away[i]);
		program(far_away[i] - 1);
		expect_ahead(test, far_away[i] - 1);
		program(in_ns(1000));
		expect_armed_for(test, in_ns(1000));
		fake_pass(1002);
		fake.next = far_away[i];
		expect_interrupt(test, PV_TIMER_EVENTS);
		expect_ahead(test, far_away[i]);
		fake.next = 0;
	}
}

static void far_expiry_serves_no_near_one(struct kunit *test)
{
	expect_next_after_far(test, PV_TIMER_NOFAIL);
	expect_next_after_far(test, 0);
	expect_next_after_far(test, PV_TIMER_NOFAIL | PV_TIMER_FREE);
}

static void resume_near_zero(u64 counter)
{
	use_plain(PV_TIMER_NOFAIL);
	program(in_ns(1000));
	fake_pass(1002);
	fake_interrupt();
	switch_to(CLOCK_EVT_STATE_SHUTDOWN);
	fake.counter = counter;
	fake.clock += NSEC_PER_SEC;
	start_timekeeper(FAKE_HZ);
	clockevents_tick_resume(&pt->ced);
	switch_to(CLOCK_EVT_STATE_ONESHOT);
	fake.calls[0] = '\0';
}

static void passed_expiry_interrupts_near_zero(struct kunit *test)
{
	static const u64 counters[] = { 0, 1, 100, 1000, 5000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		resume_near_zero(counters[i]);
		program(in_ns(-1000));
		EXPECT_CALLS(test, "arm");
		KUNIT_EXPECT_GT(test, fake.told, 0);
		KUNIT_EXPECT_LE(test, fake.told, max(fake.counter, 1));
		fake_pass(1);
		expect_interrupt(test, PV_TIMER_EVENTS);
		KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_EARLY], 0);
	}
}

static void counter_may_start_again(struct kunit *test)
{
	resume_near_zero(100);
	program(in_ns(1000));
	expect_armed_for(test, in_ns(1000));
	fake_pass(1002);
	expect_interrupt(test, PV_TIMER_EVENTS);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_EARLY], 0);
}

/* ---- where arming costs nothing ---- */

static void free_timer_is_told_each_expiry(struct kunit *test)
{
	use(PV_TIMER_FREE);
	program(in_ns(1000));
	program(in_ns(1000));
	program(in_ns(2000));
	EXPECT_CALLS(test, "arm arm arm");
	KUNIT_EXPECT_EQ(test, fake.comparator, at(in_ns(2000)));
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_ELIDED], 0);
}

static void free_timer_is_disarmed_when_stopped(struct kunit *test)
{
	use(PV_TIMER_FREE);
	program(in_ns(1000));
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	EXPECT_CALLS(test, "arm disarm");
	KUNIT_EXPECT_TRUE(test, nothing_is_armed());
	program(in_ns(1000));
	EXPECT_CALLS(test, "arm");
}

static void plain_free_timer_is_told_each_expiry(struct kunit *test)
{
	use_plain(PV_TIMER_FREE | PV_TIMER_NOFAIL);
	program(in_ns(1000));
	program(in_ns(2000));
	EXPECT_CALLS(test, "arm arm");
	expect_armed_for(test, in_ns(2000));
	KUNIT_EXPECT_EQ(test, fake.reads, 0);
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	EXPECT_CALLS(test, "disarm");
}

static void free_timer_may_refuse(struct kunit *test)
{
	use_plain(PV_TIMER_FREE);
	fake.arms = 0;
	fake.refuses = -EIO;
	fake.refusals = 20;
	KUNIT_EXPECT_EQ(test, program(in_ns(1000)), 0);
	KUNIT_EXPECT_EQ(test, fake.arms, 21);
	expect_armed_for(test, in_ns(1000));
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
	KUNIT_EXPECT_TRUE(test, nothing_is_armed());
	KUNIT_EXPECT_EQ(test, pt->ced.next_event, KTIME_MAX);
}

static void dying_cpu_disarms_and_stops(struct kunit *test)
{
	fake_backend.cpu_stop = fake_cpu_stop;
	use(0);
	program(in_ns(1000));
	scoped_guard(irqsave)
		pv_timer_dying_cpu(0);
	EXPECT_CALLS(test, "arm disarm stop");
	KUNIT_EXPECT_TRUE(test, nothing_is_armed());
	expect_interrupt(test, PV_TIMER_SPURIOUS);
}

static void stop_disarms_for_good(struct kunit *test)
{
	fake_backend.cpu_stop = fake_cpu_stop;
	use(0);
	program(in_ns(1000));
	with_irqs_off(pv_timer_stop);
	KUNIT_EXPECT_EQ(test, program(in_ns(500)), 0);
	EXPECT_CALLS(test, "arm disarm stop");
	KUNIT_EXPECT_EQ(test, fake.comparator, 0);
}

static void stop_ends_the_watch(struct kunit *test)
{
	use(0);
	program(in_ns(1000));
	pv_timer_lost(pt);
	with_irqs_off(pv_timer_stop);
	switch_to(CLOCK_EVT_STATE_ONESHOT_STOPPED);
	recheck();
	EXPECT_CALLS(test, "arm disarm");
}

static void stop_without_a_backend_is_left_alone(struct kunit *test)
{
	pv_timer_stop();
	EXPECT_CALLS(test, "");
}

/* ---- start ---- */

static void start_tries_the_timer_first(struct kunit *test)
{
	fake_backend.cpu_start = fake_cpu_start;
	fake_backend.cpu_stop = fake_cpu_stop;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), 0);
	EXPECT_CALLS(test, "start arm disarm stop start register notifier");
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
	EXPECT_CALLS(test, "prepare arm disarm register notifier");
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
	EXPECT_CALLS(test, "request_irq arm disarm register notifier");
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
		     "request_percpu_irq enable start arm disarm stop disable enable start register notifier");
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
	LACK(name,	"a name"),
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
	expect_lack(test, "a name");
	fake_backend.name = "";
	expect_lack(test, "a name");
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
	bool		modules;
	const char	*ticks;
	const char	*says;
};

#define UNKNOWN	"pv_timer: no backend 'nonsense' ticks here, "
#define PRESENT	"; present: best(300) middle(200) worst(100)\n"
#define AWAITED	"pv_timer: no backend 'nonsense' is built in, " \
		"the architecture ticks until one registers" PRESENT

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
		.name	= "none yet if a module may have the name",
		.param	= "nonsense",
		.modules = true,
		.says	= AWAITED,
	}, {
		.name	= "the best if the name is unknown and there is no other tick",
		.param	= "nonsense",
		.modules = true,
		.flags	= { 0, 0, PV_TIMER_SOLE },
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
		.says	= "pv_timer: worst does not tick [-5]\n",
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
	fake.has_modules = choice->modules;
	KUNIT_EXPECT_EQ(test, pv_timer_setup(), !!choice->ticks);
	KUNIT_EXPECT_STREQ(test, pv_timer ? pv_timer->name : "none",
			   choice->ticks ?: "none");
	if (choice->says)
		KUNIT_EXPECT_STREQ(test, fake.message, choice->says);
}

static void registration_needs_an_irq_for_lines(struct kunit *test)
{
	const char *what = "irq(), which PV_TIMER_LEVEL and ack() need";

	fake_backend.flags = PV_TIMER_LEVEL;
	expect_lack(test, what);
	fake_backend.flags = 0;
	fake_backend.ack = fake_ack;
	expect_lack(test, what);
	fake_backend.irq = fake_irq;
	fake_backend.flags = PV_TIMER_LEVEL;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), 0);
}

static void expect_refusal(struct kunit *test, int err, const char *message)
{
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), err);
	KUNIT_EXPECT_STREQ(test, fake.message, message);
	KUNIT_EXPECT_EQ(test, pv_timer_nr_known, 0);
}

static void registration_refuses_unknown_flags(struct kunit *test)
{
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		fake_backend.flags = BIT(bit);
		if (!(fake_backend.flags & PV_TIMER_ALL_FLAGS))
			expect_refusal(test, -EINVAL,
				       "pv_timer: fake: has flags that this kernel does not know\n");
	}
}

static void registration_refuses_one_timer_for_all_cpus(struct kunit *test)
{
	fake_backend.flags = PV_TIMER_GLOBAL;
	fake.possible = BIT(0) | BIT(1);
	expect_refusal(test, -EINVAL,
		       "pv_timer: fake: has one timer for several CPUs\n");
	fake.possible = BIT(0);
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), 0);
}

static void registration_refuses_a_vector_that_comes_late(struct kunit *test)
{
	fake_backend.vector = FAKE_VECTOR;
	pv_timer_setup();
	expect_refusal(test, -EINVAL,
		       "pv_timer: fake: comes after its vector was given to another timer\n");
	fake_backend.vector = 0;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), 0);
	KUNIT_EXPECT_PTR_EQ(test, pv_timer, &fake_backend);
}

static u64 fake_hz;

static u64 fake_probe_hz(void)
{
	return fake_hz;
}

static void registration_refuses_odd_frequencies(struct kunit *test)
{
	static const u64 refused[] = { 1, HZ - 1, PV_TIMER_MAX_HZ + 1, U64_MAX };
	static const u64 taken[] = { HZ, PV_TIMER_MAX_HZ };
	unsigned int i;

	fake_backend.probe = fake_probe_hz;
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		fake_hz = refused[i];
		KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), -ERANGE);
		KUNIT_EXPECT_EQ(test, fake.messages, i + 1);
	}
	for (i = 0; i < ARRAY_SIZE(taken); i++) {
		fake_hz = taken[i];
		KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), 0);
		KUNIT_EXPECT_EQ(test, pv_timer_unregister(&fake_backend), 0);
	}
}

/* What is added against early interrupts is to be within its reach */
static void registration_refuses_a_short_reach(struct kunit *test)
{
	fake_backend.probe = fake_probe_hz;
	fake_hz = FAKE_HZ;
	fake_backend.max_ticks = 4 * FAKE_TICK - 1;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), -ERANGE);
	KUNIT_EXPECT_EQ(test, fake.messages, 1);
	fake_backend.max_ticks = 4 * FAKE_TICK;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), 0);
	KUNIT_EXPECT_EQ(test, pv_timer_unregister(&fake_backend), 0);
}

static void unregistration_forgets_a_backend(struct kunit *test)
{
	char *buf = page(test);

	pv_timer_register(make(0, "a", 300));
	pv_timer_register(make(1, "b", 200));
	pv_timer_register(make(2, "c", 100));
	KUNIT_EXPECT_EQ(test, pv_timer_unregister(&fake_backends[1]), 0);
	KUNIT_EXPECT_EQ(test, pv_timer_unregister(&fake_backends[1]), -ENOENT);
	available_backends_show(NULL, NULL, buf);
	KUNIT_EXPECT_STREQ(test, buf, "a(300) c(100)\n");
	pv_timer_setup();
	KUNIT_EXPECT_EQ(test, pv_timer_unregister(&fake_backends[0]), -EBUSY);
	KUNIT_EXPECT_EQ(test, pv_timer_unregister(&fake_backends[2]), 0);
}

static void module_stays_while_its_backend_ticks(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), 0);
	KUNIT_EXPECT_EQ(test, fake.module_refs, 1);
}

static void module_may_go_if_its_backend_does_not_tick(struct kunit *test)
{
	fake_backend.arm = fake_arm_lies;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EIO);
	KUNIT_EXPECT_EQ(test, fake.module_refs, 0);
}

static void module_that_stays_is_told(struct kunit *test)
{
	fake_backend.owner = (struct module *)&fake;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backend), 0);
	pv_timer_setup();
	KUNIT_EXPECT_STREQ(test, fake.message,
			   "pv_timer: using fake (rating 100), its module cannot be removed\n");
}

static void module_that_goes_does_not_tick(struct kunit *test)
{
	fake.module_is_gone = true;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -ENODEV);
	EXPECT_CALLS(test, "");
	KUNIT_EXPECT_NULL(test, pv_timer);
	KUNIT_EXPECT_FALSE(test, static_key_enabled(&pv_timer_active));
}

static void boot_test_leaves_other_vectors_alone(struct kunit *test)
{
	fake_backend.vector = FAKE_VECTOR;
	fake_backend.arm = fake_arm_lies;
	fake.foreign_vector = FAKE_VECTOR + 1;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EIO);
	KUNIT_EXPECT_EQ(test, fake.claimed, 0);
	KUNIT_EXPECT_EQ(test, pt->stats[PV_TIMER_SPURIOUS], 0);
}

static void boot_test_of_a_line_leaves_vectors_alone(struct kunit *test)
{
	fake_backend.irq = fake_irq;
	fake_backend.arm = fake_arm_lies;
	fake.foreign_vector = FAKE_VECTOR;
	KUNIT_EXPECT_EQ(test, pv_timer_start(&fake_backend, FAKE_HZ), -EIO);
	KUNIT_EXPECT_EQ(test, fake.claimed, 0);
}

static bool fake_stops_in_idle(void)
{
	return true;
}

static bool fake_runs_in_idle(void)
{
	return false;
}

static void timer_that_stops_in_idle_needs_help(struct kunit *test)
{
	fake_backend.stops_in_idle = fake_stops_in_idle;
	use(0);
	KUNIT_EXPECT_TRUE(test, pt->ced.features & CLOCK_EVT_FEAT_C3STOP);
	fake_backend.stops_in_idle = fake_runs_in_idle;
	use(0);
	KUNIT_EXPECT_FALSE(test, pt->ced.features & CLOCK_EVT_FEAT_C3STOP);
}

static void setup_chooses_once(struct kunit *test)
{
	pv_timer_register(&fake_backend);
	KUNIT_EXPECT_TRUE(test, pv_timer_setup());
	EXPECT_CALLS(test, "arm disarm register notifier");
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

/* The named one ticks when it comes, others do not */
static void named_backend_may_come_late(struct kunit *test)
{
	fake.has_modules = true;
	pv_timer_register(make(0, "built-in", 300));
	strscpy(pv_timer_param, "named");
	KUNIT_EXPECT_FALSE(test, pv_timer_setup());
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(1, "other", 200)), 0);
	KUNIT_EXPECT_NULL(test, pv_timer);
	EXPECT_CALLS(test, "");
	KUNIT_EXPECT_EQ(test, fake.messages, 1);
	make(2, "named", 100)->flags = PV_TIMER_ON_REQUEST;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backends[2]), 0);
	KUNIT_EXPECT_PTR_EQ(test, pv_timer, &fake_backends[2]);
	EXPECT_CALLS(test, "arm disarm register notifier");
}

/* The vector of the others ticks by now */
static void named_backend_that_comes_late_is_the_only_one(struct kunit *test)
{
	fake.has_modules = true;
	pv_timer_register(make(0, "built-in", 300));
	strscpy(pv_timer_param, "named");
	pv_timer_setup();
	make(1, "named", 100)->arm = fake_arm_lies;
	KUNIT_EXPECT_EQ(test, pv_timer_register(&fake_backends[1]), 0);
	KUNIT_EXPECT_NULL(test, pv_timer);
	EXPECT_CALLS(test, "arm disarm");
	KUNIT_EXPECT_STREQ(test, fake.message, "pv_timer: named does not tick [-5]\n");
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(2, "other", 200)), 0);
	KUNIT_EXPECT_NULL(test, pv_timer);
	EXPECT_CALLS(test, "");
}

static void late_backend_is_the_only_one_tried(struct kunit *test)
{
	make(0, "built-in", 300)->arm = fake_arm_lies;
	pv_timer_register(&fake_backends[0]);
	pv_timer_setup();
	EXPECT_CALLS(test, "arm disarm");
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(1, "late", 100)), 0);
	KUNIT_EXPECT_PTR_EQ(test, pv_timer, &fake_backends[1]);
	EXPECT_CALLS(test, "arm disarm register notifier");
}

static void late_backend_does_not_tick_if_it_is_off(struct kunit *test)
{
	strscpy(pv_timer_param, "off");
	pv_timer_setup();
	KUNIT_EXPECT_EQ(test, pv_timer_register(make(0, "late", 100)), 0);
	KUNIT_EXPECT_NULL(test, pv_timer);
	KUNIT_EXPECT_EQ(test, pv_timer_unregister(&fake_backends[0]), 0);
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

static void statistics_start_again(struct kunit *test)
{
	struct seq_file m = { .buf = page(test), .size = PAGE_SIZE };
	int i, value = -1;
	char *text;

	for (i = 0; i < PV_TIMER_NR_STATS; i++)
		pt->stats[i] = 10 * i;
	pv_timer_reset_stats();
	for (i = 0; i < PV_TIMER_NR_STATS; i++)
		pt->stats[i] += i + 1;
	stats_show(&m, NULL);
	text = strchr(m.buf, '\n') + 1;
	KUNIT_EXPECT_STREQ(test, next_word(&text) ?: "", "0");
	for (i = 1; i <= PV_TIMER_NR_STATS; i++) {
		KUNIT_EXPECT_EQ(test, kstrtoint(next_word(&text) ?: "", 10, &value), 0);
		KUNIT_EXPECT_EQ(test, value, i);
	}
}

static void statistics_have_named_columns(struct kunit *test)
{
	static const char * const words[] = {
		"cpu", "armed", "elided", "stopped", "events", "early",
		"superseded", "spurious", "lost", "refused", "delayed",
		"restarted",
		"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11",
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

#include "pv_clockevents_test_walk.h"

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
	pt = fake_cpu(0);
	memset(pt, 0, sizeof(*pt));
	memset(fake_others, 0, sizeof(fake_others));
	memset(pv_timer_known, 0, sizeof(pv_timer_known));
	pv_timer_nr_known = 0;
	pv_timer_is_set_up = false;
	pv_timer_param[0] = '\0';
	pv_timer_nr_clocks = 0;
	pv_timer_line = (struct pv_timer_line) {
		.seq = SEQCNT_ZERO(pv_timer_line.seq),
	};
	WRITE_ONCE(pv_timer_watch, false);
	pv_timer_vector = 0;
}

static int pv_timer_test_init(struct kunit *test)
{
	fake = (struct fake) {
		.counter	= FAKE_COUNTER,
		.clock		= FAKE_CLOCK,
		.online		= BIT(0),
		.possible	= BIT(0),
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
	return pv_timer_is_set_up ? -EBUSY : 0;
}

static struct kunit_case pv_timer_test_cases[] = {
	KUNIT_CASE(arms_an_absolute_deadline),
	KUNIT_CASE(reads_the_counter_before_the_clock),
	KUNIT_CASE(passed_expiry_interrupts_at_once),
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
	KUNIT_CASE(early_interrupt_arms_again),
	KUNIT_CASE(early_interrupt_is_not_put_off_by_a_clock_that_stands),
	KUNIT_CASE(early_interrupt_after_a_restore_is_armed_anew),
	KUNIT_CASE(early_interrupt_after_a_stop_is_superseded),
	KUNIT_CASE(spurious_interrupt_has_no_handler),
	KUNIT_CASE(second_interrupt_is_spurious),
	KUNIT_CASE(interrupt_of_an_elided_expiry_arms_it),
	KUNIT_CASE(interrupt_after_a_stop_is_superseded),
	KUNIT_CASE(interrupt_is_acknowledged_first),
	KUNIT_CASE(interrupt_is_foreign_without_a_backend),
	KUNIT_CASE(refused_deadline_is_reported),
	KUNIT_CASE(refused_deadline_does_not_serve_a_later_one),
	KUNIT_CASE(refused_deadline_is_tried_again_by_the_neighbour),
	KUNIT_CASE(refused_deadline_is_tried_at_once),
	KUNIT_CASE(refused_deadline_is_tried_again),
	KUNIT_CASE(refusals_do_not_flood_the_log),
	KUNIT_CASE(overdue_deadline_is_lost_a_jiffy_later),
	KUNIT_CASE(deadline_is_not_overdue_for_a_jiffy),
	KUNIT_CASE(another_deadline_is_another_suspect),
	KUNIT_CASE(loss_that_nobody_wants_keeps_watch),
	KUNIT_CASE(stopped_cpu_keeps_watch_after_a_loss),
	KUNIT_CASE(sleeps_no_longer_than_a_second_after_a_loss),
	KUNIT_CASE(nothing_armed_is_not_lost),
	KUNIT_CASE(looks_after_the_neighbour_once_a_jiffy),
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
	KUNIT_CASE(level_is_lowered_if_nothing_is_armed),
	KUNIT_CASE(level_is_lowered_by_the_next_deadline),
	KUNIT_CASE(level_is_lowered_if_the_next_deadline_is_refused),
	KUNIT_CASE(global_timer_has_one_device),
	KUNIT_CASE_PARAM(converts_and_is_never_early, frequencies_gen_params),
	KUNIT_CASE_PARAM(deadlines_fit_63_bits, frequencies_gen_params),
	KUNIT_CASE_PARAM(jiffy_is_converted, frequencies_gen_params),
	KUNIT_CASE(coupled_deadline_reads_no_clock),
	KUNIT_CASE(earlier_coupled_deadline_reads_no_clock),
	KUNIT_CASE(plain_event_reads_no_clock),
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
	KUNIT_CASE(linear_function_is_coupled),
	KUNIT_CASE(counter_of_32_bits_is_not_coupled),
	KUNIT_CASE(generic_clocksource_is_not_coupled),
	KUNIT_CASE(line_bears_the_next_lower_multiplier),
	KUNIT_CASE(clock_is_registered),
	KUNIT_CASE(clock_is_coupled_by_its_counter),
	KUNIT_CASE(clock_that_is_one_too_many_is_reported),
	KUNIT_CASE(bad_clock_is_reported),
	KUNIT_CASE(hog_is_told_within_eight_jiffies),
	KUNIT_CASE(cpu_off_the_line_ticks),
	KUNIT_CASE(hog_is_told_once_it_is_sorted_out),
	KUNIT_CASE(passed_expiry_is_armed_after_a_later_one),
	KUNIT_CASE(passed_expiry_is_armed_after_a_late_event),
	KUNIT_CASE(plain_later_expiry_costs_no_call),
	KUNIT_CASE(plain_elisions_are_looked_at_now_and_then),
	KUNIT_CASE(plain_later_expiry_is_armed_as_the_tick_stops),
	KUNIT_CASE(plain_early_interrupt_arms_again),
	KUNIT_CASE(plain_refusal_is_tried_again),
	KUNIT_CASE(plain_request_ends_a_refusal),
	KUNIT_CASE(plain_path_ends_with_the_line),
	KUNIT_CASE(traced_cpu_takes_the_general_path),
	KUNIT_CASE(line_that_is_being_drawn_is_not_used),
	KUNIT_CASE(refused_cpu_is_helped_by_its_neighbour),
	KUNIT_CASE(refused_cpu_that_stops_is_left_alone),
	KUNIT_CASE(refused_cpu_is_asked_each_jiffy),
	KUNIT_CASE(refused_cpu_tries_again_by_itself),
	KUNIT_CASE(held_back_interrupt_is_not_lost),
	KUNIT_CASE(first_expiry_is_not_lost_at_first_sight),
	KUNIT_CASE(suspicion_ends_with_the_interrupt),
	KUNIT_CASE(suspicion_ends_when_a_free_timer_is_told),
	KUNIT_CASE(watch_ends_after_a_minute),
	KUNIT_CASE(neighbour_is_judged_by_the_clock),
	KUNIT_CASE(neighbour_that_is_absent_is_not_asked),
	KUNIT_CASE(limited_timer_keeps_watch_as_well),
	KUNIT_CASE(limited_timer_without_deadline_is_not_lost),
	KUNIT_CASE(restored_cpu_arms_again),
	KUNIT_CASE(restored_cpus_arm_again),
	KUNIT_CASE(restored_timer_is_started_again),
	KUNIT_CASE(restored_timer_arms_what_is_wanted_only),
	KUNIT_CASE(restored_cpu_is_asked_once),
	KUNIT_CASE(restored_cpu_may_be_gone),
	KUNIT_CASE(restore_without_a_backend_is_left_alone),
	KUNIT_CASE(frequency_that_changes_arms_again),
	KUNIT_CASE(frequency_changes_the_limit),
	KUNIT_CASE(frequency_of_another_counter_is_left_alone),
	KUNIT_CASE(setup_arms_again_on_a_cpu_that_comes_up),
	KUNIT_CASE(early_storm_is_damped),
	KUNIT_CASE(early_interrupts_now_and_then_are_not_damped),
	KUNIT_CASE(damping_is_forgotten_when_it_is_late),
	KUNIT_CASE(damping_outlasts_an_interrupt_that_is_late),
	KUNIT_CASE(damping_is_bounded),
	KUNIT_CASE(damping_is_forgotten_by_a_restore),
	KUNIT_CASE(plain_early_storm_is_damped),
	KUNIT_CASE(plain_path_comes_back_after_the_damping),
	KUNIT_CASE(far_expiry_is_armed_in_pieces),
	KUNIT_CASE(plain_far_expiry_is_armed_in_pieces),
	KUNIT_CASE(far_expiry_serves_no_near_one),
	KUNIT_CASE(passed_expiry_interrupts_near_zero),
	KUNIT_CASE(counter_may_start_again),
	KUNIT_CASE(free_timer_is_told_each_expiry),
	KUNIT_CASE(free_timer_is_disarmed_when_stopped),
	KUNIT_CASE(plain_free_timer_is_told_each_expiry),
	KUNIT_CASE(free_timer_may_refuse),
	KUNIT_CASE(starting_cpu_registers_its_device),
	KUNIT_CASE(starting_cpu_has_nothing_armed),
	KUNIT_CASE(dying_cpu_disarms_and_stops),
	KUNIT_CASE(stop_disarms_for_good),
	KUNIT_CASE(stop_ends_the_watch),
	KUNIT_CASE(stop_without_a_backend_is_left_alone),
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
	KUNIT_CASE_PARAM(registration_names_what_is_missing, lacks_gen_params),
	KUNIT_CASE(registration_refuses_names_with_a_meaning),
	KUNIT_CASE(registration_refuses_a_name_that_is_taken),
	KUNIT_CASE(registration_is_silent_about_what_is_not_there),
	KUNIT_CASE(registration_ends_when_the_list_is_full),
	KUNIT_CASE(list_is_best_first),
	KUNIT_CASE(list_may_be_empty),
	KUNIT_CASE(current_one_is_shown),
	KUNIT_CASE_PARAM(setup_chooses, choices_gen_params),
	KUNIT_CASE(registration_needs_an_irq_for_lines),
	KUNIT_CASE(registration_refuses_unknown_flags),
	KUNIT_CASE(registration_refuses_one_timer_for_all_cpus),
	KUNIT_CASE(registration_refuses_a_vector_that_comes_late),
	KUNIT_CASE(registration_refuses_odd_frequencies),
	KUNIT_CASE(registration_refuses_a_short_reach),
	KUNIT_CASE(unregistration_forgets_a_backend),
	KUNIT_CASE(module_stays_while_its_backend_ticks),
	KUNIT_CASE(module_may_go_if_its_backend_does_not_tick),
	KUNIT_CASE(module_that_stays_is_told),
	KUNIT_CASE(module_that_goes_does_not_tick),
	KUNIT_CASE(boot_test_leaves_other_vectors_alone),
	KUNIT_CASE(boot_test_of_a_line_leaves_vectors_alone),
	KUNIT_CASE(timer_that_stops_in_idle_needs_help),
	KUNIT_CASE(setup_chooses_once),
	KUNIT_CASE(setup_tries_the_named_one_once),
	KUNIT_CASE(setup_needs_a_backend),
	KUNIT_CASE(late_backend_ticks_if_none_does),
	KUNIT_CASE(named_backend_may_come_late),
	KUNIT_CASE(named_backend_that_comes_late_is_the_only_one),
	KUNIT_CASE(late_backend_is_the_only_one_tried),
	KUNIT_CASE(late_backend_does_not_tick_if_it_is_off),
	KUNIT_CASE(parameter_is_parsed),
	KUNIT_CASE(statistics_start_again),
	KUNIT_CASE(statistics_have_named_columns),
	KUNIT_CASE(survives_a_random_walk),
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
