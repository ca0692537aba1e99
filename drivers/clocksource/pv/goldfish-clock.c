// SPDX-License-Identifier: GPL-2.0
/*
 * Goldfish RTC of the m68k virt machine: the clock, in ns
 *
 * The machine hands the device over before interrupts are on, and before the
 * core can try whether its alarm rings.
 */
#include <linux/cleanup.h>
#include <linux/clocksource.h>
#include <linux/goldfish.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/pv_timer.h>

#include <clocksource/timer-goldfish.h>

#include "goldfish.h"

void __iomem *goldfish_timer_base;
int goldfish_timer_line;

/* The low half latches the high one: an interrupt between them would too. */
u64 goldfish_timer_now(void)
{
	u32 low;

	guard(irqsave)();
	low = gf_ioread32(goldfish_timer_base + TIMER_TIME_LOW);
	return (u64)gf_ioread32(goldfish_timer_base + TIMER_TIME_HIGH) << 32 | low;
}

static u64 goldfish_timer_read(struct clocksource *cs)
{
	return goldfish_timer_now();
}

struct clocksource goldfish_timer_clocksource = {
	.name	= "goldfish_timer",
	.rating	= 400,
	.mask	= CLOCKSOURCE_MASK(64),
	.flags	= CLOCK_SOURCE_IS_CONTINUOUS,
	.read	= goldfish_timer_read,
};

static void __init goldfish_timer_late_init(void)
{
	pv_timer_setup();
}

int __init goldfish_timer_init(int irq, void __iomem *base)
{
	goldfish_timer_line = irq;
	goldfish_timer_base = base;
	late_time_init = goldfish_timer_late_init;
	return 0;
}
