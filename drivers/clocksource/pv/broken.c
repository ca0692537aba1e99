// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC timer, broken on purpose
 *
 * Each backend breaks one promise of the contract, to show that the core
 * survives it and that the tests notice: vm/matrix.py says which of them. They
 * tick only when they are named. What the parameters of this file do happens to
 * whatever ticks.
 */
#include <linux/array_size.h>
#include <linux/cleanup.h>
#include <linux/clocksource.h>
#include <linux/compiler.h>
#include <linux/cpufeature.h>
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/pv_timer_compat.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

#include <asm/apic.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#include "lapic.h"

/* As far as a one-shot count of 32 bits reaches, from a TSC of 1 GHz on */
#define BROKEN_REACH	BIT_ULL(36)

/* With a watchdog_thresh of 4 s, a lockup is found after 10 s at most */
#define BROKEN_LOCKUP_MS	20000

static DEFINE_PER_CPU(unsigned int, broken_arms);
static DEFINE_PER_CPU(u64, broken_armed);
static DEFINE_PER_CPU(bool, broken_started);

static bool broken_has_deadline(void)
{
	return boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER);
}

static u64 broken_probe_oneshot(void)
{
	u64 reach;

	return lapic_oneshot_hz(&reach);
}

static u64 broken_probe(void)
{
	return lapic_deadline_hz() ?: broken_probe_oneshot();
}

static int broken_arm(u64 deadline)
{
	return broken_has_deadline() ? lapic_deadline_arm(deadline) :
				       lapic_oneshot_arm(deadline);
}

static void broken_disarm(void)
{
	if (broken_has_deadline())
		lapic_deadline_disarm();
	else
		lapic_oneshot_disarm();
}

static void broken_start(void)
{
	if (broken_has_deadline())
		lapic_deadline_start();
	else
		lapic_oneshot_start();
}

static int broken_arm_never(u64 deadline)
{
	return 0;
}

/* Half way */
static int broken_arm_early(u64 deadline)
{
	u64 now = rdtsc();

	return broken_arm(now + pv_timer_left(deadline, now) / 2);
}

static int broken_arm_unless(bool lost, u64 deadline)
{
	if (!lost)
		return broken_arm(deadline);
	broken_disarm();
	return 0;
}

/* Not on the boot CPU: one that has lost its interrupt needs another to notice */
static int broken_arm_drop(u64 deadline)
{
	return broken_arm_unless(this_cpu_inc_return(broken_arms) % 100 == 0 &&
				 smp_processor_id(), deadline);
}

static int broken_arm_drop_all(u64 deadline)
{
	return broken_arm_unless(this_cpu_inc_return(broken_arms) % 20 == 0, deadline);
}

/* Once */
static int broken_arm_forget(u64 deadline)
{
	return broken_arm_unless(this_cpu_inc_return(broken_arms) == 500, deadline);
}

/* By one and a half jiffies: two would be taken for a loss */
static int broken_arm_late(u64 deadline)
{
	return broken_arm(deadline + tsc_khz * 1500ULL / HZ);
}

/* One in twelve by more than a second */
static int broken_arm_tardy(u64 deadline)
{
	bool tardy = this_cpu_inc_return(broken_arms) % 12 == 0;

	return broken_arm(deadline + (tardy ? tsc_khz * 1200ULL : 0));
}

/*
 * One in eight, as by a comparator on equality, which would have to say so. Nor on the boot
 * CPU: nothing is left to notice when an idle guest has lost the timers of all CPUs.
 */
static int broken_arm_past(u64 deadline)
{
	bool passed = smp_processor_id() && (s64)(deadline - rdtsc()) <= 0;

	return broken_arm_unless(passed && this_cpu_inc_return(broken_arms) % 8 == 0,
				 deadline);
}

/* At 2^32 ns from now */
static int broken_arm_cap(u64 deadline)
{
	u64 now = rdtsc();

	return broken_arm(now + min(pv_timer_left(deadline, now), tsc_khz * 4295ULL));
}

/* What the boot CPU arms interrupts the next CPU as well, and at once */
static int broken_arm_twice(u64 deadline)
{
	if (!smp_processor_id() && cpu_online(1))
		__apic_send_IPI(1, LOCAL_TIMER_VECTOR);
	return broken_arm(deadline);
}

/* The first of two deadlines stays armed if the second one is later */
static int broken_arm_keep(u64 deadline)
{
	u64 armed = this_cpu_read(broken_armed), now = rdtsc();

	if ((s64)(armed - now) > 0 && (s64)(deadline - armed) > 0)
		return 0;
	this_cpu_write(broken_armed, deadline);
	return broken_arm(deadline);
}

static void broken_disarm_keep(void)
{
	this_cpu_write(broken_armed, 0);
	broken_disarm();
}

/* What is armed stays so until something else is */
static void broken_disarm_never(void)
{
}

/*
 * It starts with the second deadline. Not on the boot CPU, where that of the boot test is
 * the first.
 */
static void broken_start_late(void)
{
	this_cpu_write(broken_started, true);
	broken_start();
}

static int broken_arm_start(u64 deadline)
{
	bool first = smp_processor_id() && this_cpu_read(broken_started);

	this_cpu_write(broken_started, false);
	return broken_arm_unless(first, deadline);
}

static int broken_arm_refuse_always(u64 deadline)
{
	return -EIO;
}

/* Twenty in a row, again and again */
static int broken_arm_refuse_in_row(u64 deadline)
{
	return this_cpu_inc_return(broken_arms) % 500 < 480 ? broken_arm(deadline) : -EIO;
}

/* Counter and comparator are 100 s ahead for some jiffies, then for some they are not */
static u64 broken_ahead_by(void)
{
	return rdtsc() & BIT_ULL(28) ? tsc_khz * 100000ULL : 0;
}

static u64 broken_now_jump(void)
{
	return rdtsc() + broken_ahead_by();
}

static int broken_arm_jump(u64 deadline)
{
	return broken_arm(deadline - broken_ahead_by());
}

static u64 broken_probe_off1(void)
{
	return div_u64(broken_probe() * 101, 100);
}

/* That of the boot CPU is ahead of the others by 20 ms */
static u64 broken_behind(void)
{
	return raw_smp_processor_id() ? tsc_khz * 20ULL : 0;
}

static u64 broken_now_clock(void)
{
	return rdtsc() - broken_behind();
}

static int broken_arm_clock(u64 deadline)
{
	return broken_arm(deadline + broken_behind());
}

static u64 broken_read_clock(struct clocksource *cs)
{
	return broken_now_clock();
}

/*
 * Off by 1 %, and of no use to user space. Every backend is probed: the clock is not there
 * for the others.
 */
static u64 __ref broken_probe_clock(void)
{
	struct pv_timer_clock clock = {
		.name		= "broken",
		.rating		= 500,
		.hz		= broken_probe_off1(),
		.counter	= broken_now_clock,
		.read		= broken_read_clock,
	};

	if (!strstr(saved_command_line, "pv_timer=broken-clock"))
		return 0;
	return IS_ERR(pv_timer_register_clock(&clock)) ? 0 : clock.hz;
}

/* Its clock is ahead of the guest's by 200 us, so each interrupt comes early */
static int broken_arm_storm(u64 deadline)
{
	return broken_arm(deadline - tsc_khz / 5);
}

/* What the detectors of a debug kernel are to find, on a path that is ours */
static u8 broken_bytes[8];
static unsigned int broken_shared;
static DEFINE_PER_CPU(spinlock_t, broken_lock) = __SPIN_LOCK_UNLOCKED(broken_lock);

/* Reads one past the end, by a pointer of which the compiler knows nothing */
static int broken_arm_overrun(u64 deadline)
{
	u8 *bytes = broken_bytes;

	OPTIMIZER_HIDE_VAR(bytes);
	READ_ONCE(bytes[sizeof(broken_bytes)]);
	return broken_arm(deadline);
}

/* All CPUs count in the same word, and often, as only one access in thousands is watched */
static int broken_arm_race(u64 deadline)
{
	int i;

	for (i = 0; i < 100; i++) {
		broken_shared++;
		barrier();
	}
	return broken_arm(deadline);
}

/*
 * Takes a lock that sleeps on PREEMPT_RT, where the core holds one that spins. No other CPU
 * takes it, so the guest survives.
 */
static int broken_arm_nesting(u64 deadline)
{
	spinlock_t *lock = this_cpu_ptr(&broken_lock);
	unsigned long flags;
	int ret;

	spin_lock_irqsave(lock, flags);
	ret = broken_arm(deadline);
	spin_unlock_irqrestore(lock, flags);
	return ret;
}

/*
 * As a processor compares, and not as KVM does, which has a timer of its own
 * expire when the deadline is due by the TSC of now: this one waits for the TSC
 * that the CPU has after Linux has taken back what it is ahead.
 */
static int broken_arm_compare(u64 deadline)
{
	u64 adjust;

	rdmsrq(MSR_IA32_TSC_ADJUST, adjust);
	return broken_arm(deadline + adjust);
}

static void broken_forget_this_cpu(void *unused)
{
	broken_disarm();
	apic_write(APIC_LVTT, LOCAL_TIMER_VECTOR | APIC_LVT_MASKED);
}

/*
 * What a guest finds that was restored without the state of its timers: nothing
 * is armed, and nothing that is armed fires until the mode is set again.
 */
static int broken_forget(const char *val, const struct kernel_param *kp)
{
	on_each_cpu(broken_forget_this_cpu, NULL, true);
	return 0;
}

static const struct kernel_param_ops broken_forget_ops = {
	.flags	= KERNEL_PARAM_OPS_FL_NOARG,
	.set	= broken_forget,
};
module_param_cb(forget, &broken_forget_ops, NULL, 0200);

static int broken_cpu_dying(unsigned int cpu)
{
	u64 adjust;

	rdmsrq(MSR_IA32_TSC_ADJUST, adjust);
	wrmsrq(MSR_IA32_TSC_ADJUST, adjust + BIT_ULL(37));
	return 0;
}

/*
 * From now on each CPU comes back with a TSC that is a minute or so ahead, until
 * Linux synchronizes it. Nothing of its own runs by that.
 */
static int broken_ahead(const char *val, const struct kernel_param *kp)
{
	if (!boot_cpu_has(X86_FEATURE_TSC_ADJUST))
		return -ENODEV;
	return cpuhp_setup_state_nocalls(CPUHP_AP_DUMMY_TIMER_STARTING,
					 "clockevents/pv/broken:ahead", NULL,
					 broken_cpu_dying);
}

static const struct kernel_param_ops broken_ahead_ops = {
	.flags	= KERNEL_PARAM_OPS_FL_NOARG,
	.set	= broken_ahead,
};
module_param_cb(ahead, &broken_ahead_ops, NULL, 0200);

/*
 * What the detectors of a debug kernel are to find where the kernel has nothing of its own
 * that provokes them. Without them it does no harm.
 */
static DEFINE_SPINLOCK(broken_first);
static DEFINE_SPINLOCK(broken_second);
static struct timer_list broken_timer;

/* In one order, then in the other */
static void broken_provoke_lock(void)
{
	spin_lock(&broken_first);
	spin_lock(&broken_second);
	spin_unlock(&broken_second);
	spin_unlock(&broken_first);
	spin_lock(&broken_second);
	spin_lock(&broken_first);
	spin_unlock(&broken_first);
	spin_unlock(&broken_second);
}

static void broken_provoke_sleep(void)
{
	guard(preempt)();
	might_sleep();
}

/* Nobody has set it up */
static void broken_provoke_timer(void)
{
	timer_delete(&broken_timer);
}

/* Several, as a stale pointer to one may be on a stack */
static void broken_provoke_leak(void)
{
	int i;

	for (i = 0; i < 8; i++)
		kmalloc(129, GFP_KERNEL);
}

/* Longer than the detector waits, and not for good: nothing could power off the guest then */
static void broken_provoke_lockup(void)
{
	guard(irq)();
	mdelay(BROKEN_LOCKUP_MS);
}

static const struct {
	const char *name;
	void (*provoke)(void);
} broken_provocations[] = {
	{ "lock", broken_provoke_lock },
	{ "sleep", broken_provoke_sleep },
	{ "timer", broken_provoke_timer },
	{ "leak", broken_provoke_leak },
	{ "lockup", broken_provoke_lockup },
};

static int broken_provoke(const char *val, const struct kernel_param *kp)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(broken_provocations); i++) {
		if (sysfs_streq(val, broken_provocations[i].name)) {
			broken_provocations[i].provoke();
			return 0;
		}
	}
	return -EINVAL;
}

static const struct kernel_param_ops broken_provoke_ops = {
	.set	= broken_provoke,
};
module_param_cb(provoke, &broken_provoke_ops, NULL, 0200);

#define BROKEN_FLAGS	(PV_TIMER_LOSES_STATE | PV_TIMER_ON_REQUEST)

#define BROKEN_BACKEND(kind, title, ...)				\
	static const struct pv_timer_backend broken_timer_##kind = {	\
		.name		= "broken-" title,			\
		.vector		= LOCAL_TIMER_VECTOR,			\
		__VA_ARGS__						\
	};								\
	PV_TIMER_BACKEND(broken_timer_##kind)

/* What of a backend is right where nothing else is said */
#define BROKEN_GOOD_RATING	.rating = PV_TIMER_RATING_NATIVE, .max_ticks = BROKEN_REACH
#define BROKEN_GOOD_FLAGS		.flags = BROKEN_FLAGS | PV_TIMER_NOFAIL
#define BROKEN_GOOD_COUNTER	.cs_id = CSID_X86_TSC, .probe = broken_probe, \
				.now = lapic_timer_now
#define BROKEN_GOOD_ARM		.arm = broken_arm
#define BROKEN_GOOD_DISARM	.disarm = broken_disarm
#define BROKEN_GOOD_START		.cpu_start = broken_start

#define BROKEN_ARM(kind, title)						\
	BROKEN_BACKEND(kind, title, BROKEN_GOOD_RATING, BROKEN_GOOD_FLAGS,	\
		       BROKEN_GOOD_COUNTER, BROKEN_GOOD_DISARM, BROKEN_GOOD_START, \
		       .arm = broken_arm_##kind)

#define BROKEN_REFUSE(kind, title)					\
	BROKEN_BACKEND(kind, title, BROKEN_GOOD_RATING, BROKEN_GOOD_COUNTER, \
		       BROKEN_GOOD_DISARM, BROKEN_GOOD_START,		\
		       .flags = BROKEN_FLAGS, .arm = broken_arm_##kind)

BROKEN_ARM(never, "never");
BROKEN_ARM(early, "early");
BROKEN_ARM(storm, "storm");
BROKEN_ARM(late, "late");
BROKEN_ARM(tardy, "tardy");
BROKEN_ARM(drop, "drop");
BROKEN_ARM(drop_all, "drop-all");
BROKEN_ARM(forget, "forget");
BROKEN_ARM(twice, "twice");
BROKEN_ARM(past, "past");
BROKEN_ARM(compare, "compare");
BROKEN_ARM(overrun, "overrun");
BROKEN_ARM(race, "race");
BROKEN_ARM(nesting, "nesting");
BROKEN_REFUSE(refuse_always, "refuse-always");
BROKEN_REFUSE(refuse_in_row, "refuse-in-row");

BROKEN_BACKEND(jump, "jump", BROKEN_GOOD_RATING, BROKEN_GOOD_FLAGS, BROKEN_GOOD_DISARM,
	       BROKEN_GOOD_START, .cs_id = CSID_X86_TSC, .probe = broken_probe,
	       .now = broken_now_jump, .arm = broken_arm_jump);

/* It says that it reaches further, so that the core arms no pieces */
BROKEN_BACKEND(cap, "cap", BROKEN_GOOD_FLAGS, BROKEN_GOOD_COUNTER, BROKEN_GOOD_DISARM,
	       BROKEN_GOOD_START, .rating = PV_TIMER_RATING_NATIVE, .arm = broken_arm_cap);

BROKEN_BACKEND(keep, "keep", BROKEN_GOOD_RATING, BROKEN_GOOD_FLAGS, BROKEN_GOOD_COUNTER,
	       BROKEN_GOOD_START, .arm = broken_arm_keep, .disarm = broken_disarm_keep);

BROKEN_BACKEND(armed, "armed", BROKEN_GOOD_RATING, BROKEN_GOOD_FLAGS,
	       BROKEN_GOOD_COUNTER, BROKEN_GOOD_ARM, BROKEN_GOOD_START,
	       .disarm = broken_disarm_never);

BROKEN_BACKEND(start, "start", BROKEN_GOOD_RATING, BROKEN_GOOD_FLAGS,
	       BROKEN_GOOD_COUNTER, BROKEN_GOOD_DISARM, .arm = broken_arm_start,
	       .cpu_start = broken_start_late);

/* Not by the clock, which would set it right */
BROKEN_BACKEND(off1, "off1", BROKEN_GOOD_RATING, BROKEN_GOOD_FLAGS, BROKEN_GOOD_ARM,
	       BROKEN_GOOD_DISARM, BROKEN_GOOD_START, .probe = broken_probe_off1,
	       .now = lapic_timer_now);

BROKEN_BACKEND(clock, "clock", BROKEN_GOOD_RATING, BROKEN_GOOD_FLAGS, BROKEN_GOOD_DISARM,
	       BROKEN_GOOD_START, .probe = broken_probe_clock, .now = broken_now_clock,
	       .arm = broken_arm_clock);

/* Below the timers that it is to replace */
BROKEN_BACKEND(low, "low", BROKEN_GOOD_FLAGS, BROKEN_GOOD_COUNTER, BROKEN_GOOD_ARM,
	       BROKEN_GOOD_DISARM, BROKEN_GOOD_START, .max_ticks = BROKEN_REACH,
	       .rating = 1);

/* As short as the core takes it, at a TSC of 1 GHz: an idle CPU wakes up again and again */
BROKEN_BACKEND(short, "short", BROKEN_GOOD_FLAGS, BROKEN_GOOD_COUNTER, BROKEN_GOOD_ARM,
	       BROKEN_GOOD_DISARM, BROKEN_GOOD_START, .max_ticks = BIT_ULL(24),
	       .rating = PV_TIMER_RATING_NATIVE);
