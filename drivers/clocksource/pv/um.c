// SPDX-License-Identifier: GPL-2.0
/*
 * User Mode Linux: a POSIX timer of the host. With time travel, the alarm is an
 * event of the simulation, and only modes up to TT_MODE_BASIC sleep really.
 */
#include <linux/mm_types.h>
#include <linux/pv_timer.h>
#include <linux/sched.h>
#include <linux/time-internal.h>
#include <linux/time64.h>
#include <asm/irq.h>
#include <os.h>

static u64 um_timer_probe(void)
{
	return os_timer_create() ? 0 : NSEC_PER_SEC;
}

static u64 um_timer_now(void)
{
	return time_travel_mode == TT_MODE_OFF ? os_nsecs() : time_travel_read();
}

static int um_timer_arm(u64 delta)
{
	time_travel_set_alarm(delta);
	return time_travel_mode <= TT_MODE_BASIC ? os_timer_one_shot(delta) : 0;
}

static void um_timer_disarm(void)
{
	time_travel_set_alarm(0);
	os_timer_disable();
}

/* A traced process waits for its own SIGALRM */
static void um_timer_ack(void)
{
	if (current->mm)
		os_alarm_process(current->mm->context.id.pid);
}

static int um_timer_irq(void)
{
	return TIMER_IRQ;
}

static const struct pv_timer_backend um_timer = {
	.name	= "um",
	.rating	= PV_TIMER_RATING_NATIVE,
	.flags	= PV_TIMER_RELATIVE | PV_TIMER_GLOBAL | PV_TIMER_SOLE,
	.probe	= um_timer_probe,
	.now	= um_timer_now,
	.arm	= um_timer_arm,
	.disarm	= um_timer_disarm,
	.ack	= um_timer_ack,
	.irq	= um_timer_irq,
};

PV_TIMER_BACKEND(um_timer);
