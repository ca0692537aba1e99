// SPDX-License-Identifier: GPL-2.0
/*
 * Goldfish RTC of the m68k virt machine: the alarm, one for the only CPU
 *
 * The low half of the alarm arms it. One that has passed rings at once.
 */
#include <linux/goldfish.h>
#include <linux/kernel.h>
#include <linux/pv_timer.h>
#include <linux/time64.h>
#include <clocksource/timer-goldfish.h>
#include "goldfish.h"

static u64 goldfish_timer_probe(void)
{
	return goldfish_timer_base ? NSEC_PER_SEC : 0;
}

static int goldfish_timer_arm(u64 deadline)
{
	gf_iowrite32(upper_32_bits(deadline), goldfish_timer_base + TIMER_ALARM_HIGH);
	gf_iowrite32(lower_32_bits(deadline), goldfish_timer_base + TIMER_ALARM_LOW);
	return 0;
}

static void goldfish_timer_disarm(void)
{
	gf_iowrite32(1, goldfish_timer_base + TIMER_CLEAR_ALARM);
}

static void goldfish_timer_start(void)
{
	gf_iowrite32(1, goldfish_timer_base + TIMER_IRQ_ENABLED);
}

static void goldfish_timer_ack(void)
{
	gf_iowrite32(1, goldfish_timer_base + TIMER_CLEAR_INTERRUPT);
}

static int goldfish_timer_irq(void)
{
	return goldfish_timer_line;
}

static const struct pv_timer_backend goldfish_timer = {
	.name		= "goldfish",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_GLOBAL | PV_TIMER_SOLE,
	.probe		= goldfish_timer_probe,
	.now		= goldfish_timer_now,
	.arm		= goldfish_timer_arm,
	.disarm		= goldfish_timer_disarm,
	.cpu_start	= goldfish_timer_start,
	.ack		= goldfish_timer_ack,
	.irq		= goldfish_timer_irq,
	.clocksource	= &goldfish_timer_clocksource,
};

PV_TIMER_BACKEND(goldfish_timer);
