// SPDX-License-Identifier: GPL-2.0
/*
 * User Mode Linux: a POSIX timer of the host. With time travel, the alarm is an
 * event of the simulation, and only modes up to TT_MODE_BASIC sleep really.
 */
#include <linux/err.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/mm_types.h>
#include <linux/percpu.h>
#include <linux/pv_timer.h>
#include <linux/sched.h>
#include <linux/time-internal.h>
#include <linux/time64.h>

#include <asm/irq.h>
#include <os.h>

/* Each CPU has one of the host, where there are several */
static DEFINE_PER_CPU(bool, um_timer_created);

/* A traced process waits for its own SIGALRM */
static irqreturn_t um_timer_interrupt(int irq, void *dev)
{
	if (current->mm)
		os_alarm_process(current->mm->context.id.pid);
	return pv_timer_irq_handler(irq, dev);
}

/* Without IRQF_PERCPU, Linux 7.3 shows no count of it in /proc/interrupts */
static u64 um_timer_probe(void)
{
	if (request_irq(TIMER_IRQ, um_timer_interrupt, IRQF_TIMER | IRQF_PERCPU, "pv_timer",
			NULL))
		return 0;
	return NSEC_PER_SEC;
}

static u64 um_timer_now(void)
{
	return time_travel_mode == TT_MODE_OFF ? os_nsecs() : time_travel_read();
}

/* It counts down, and 0 would disarm */
static int um_timer_arm(u64 deadline)
{
	u64 left = pv_timer_left(deadline, um_timer_now());

	time_travel_set_alarm(left);
	if (time_travel_mode <= TT_MODE_BASIC)
		um_timer_set(left);
	return 0;
}

static void um_timer_disarm(void)
{
	time_travel_set_alarm(0);
	um_timer_set(0);
}

static void um_timer_start(void)
{
	if (!__this_cpu_read(um_timer_created))
		__this_cpu_write(um_timer_created, !os_timer_create());
}

static const struct pv_timer_backend um_timer = {
	.name		= "um",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_NOFAIL | PV_TIMER_SOLE,
	.probe		= um_timer_probe,
	.now		= um_timer_now,
	.arm		= um_timer_arm,
	.disarm		= um_timer_disarm,
	.cpu_start	= um_timer_start,
};

PV_TIMER_BACKEND(um_timer);

static const char * const um_clock_names[] __initconst = {
	[TT_MODE_OFF]		= "timer",
	[TT_MODE_BASIC]		= "time-travel-clock",
	[TT_MODE_INFCPU]	= "time-travel-clock",
	[TT_MODE_EXTERNAL]	= "time-travel-clock-external",
};

static struct pv_timer_clock um_clock __initdata = {
	.rating		= 300,
	.hz		= NSEC_PER_SEC,
	.counter	= um_timer_now,
};

/**
 * um_timer_register_clock() - Make the counter the kernel's clock
 * @read: reads it, and lets simulated time go on by that
 *
 * Context: boot, process.
 * Return: 0 or a negative error code.
 */
int __init um_timer_register_clock(u64 (*read)(struct clocksource *cs))
{
	um_clock.name = um_clock_names[time_travel_mode];
	um_clock.read = read;
	return PTR_ERR_OR_ZERO(pv_timer_register_clock(&um_clock));
}
