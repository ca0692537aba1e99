// SPDX-License-Identifier: GPL-2.0
/*
 * Goldfish RTC of the m68k virt machine: the clock in ns, and the alarm, one for
 * the only CPU
 *
 * The machine hands the device over before interrupts are on, and before the
 * core can try whether its alarm rings.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/goldfish.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/pv_timer.h>
#include <linux/time64.h>

#include <clocksource/timer-goldfish.h>

static void __iomem *goldfish_timer_base;
static int goldfish_timer_line;

static u64 goldfish_timer_probe(void)
{
	return goldfish_timer_base ? NSEC_PER_SEC : 0;
}

/* The low half latches the high one: an interrupt between them would too. */
static u64 goldfish_timer_now(void)
{
	u32 low;

	guard(irqsave)();
	low = gf_ioread32(goldfish_timer_base + TIMER_TIME_LOW);
	return (u64)gf_ioread32(goldfish_timer_base + TIMER_TIME_HIGH) << 32 | low;
}

/* The low half arms. An alarm that has passed rings at once. */
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

static void goldfish_timer_stop(void)
{
	gf_iowrite32(0, goldfish_timer_base + TIMER_IRQ_ENABLED);
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
	.flags		= PV_TIMER_GLOBAL | PV_TIMER_NOFAIL | PV_TIMER_SOLE,
	.probe		= goldfish_timer_probe,
	.now		= goldfish_timer_now,
	.arm		= goldfish_timer_arm,
	.disarm		= goldfish_timer_disarm,
	.cpu_start	= goldfish_timer_start,
	.cpu_stop	= goldfish_timer_stop,
	.ack		= goldfish_timer_ack,
	.irq		= goldfish_timer_irq,
};

PV_TIMER_BACKEND(goldfish_timer);

static u64 goldfish_timer_read(struct clocksource *cs)
{
	return goldfish_timer_now();
}

static const struct pv_timer_clock goldfish_timer_clock __initconst = {
	.name		= "goldfish_timer",
	.rating		= 400,
	.hz		= NSEC_PER_SEC,
	.counter	= goldfish_timer_now,
	.read		= goldfish_timer_read,
};

static struct resource goldfish_timer_resource;

static void __init goldfish_timer_late_init(void)
{
	pv_timer_setup();
}

int __init goldfish_timer_init(int irq, void __iomem *base)
{
	goldfish_timer_resource = (struct resource)
		DEFINE_RES_MEM_NAMED((resource_size_t)base, 0x1000, "goldfish_timer");
	if (request_resource(&iomem_resource, &goldfish_timer_resource))
		pr_warn("goldfish_timer: somebody else has its registers as well\n");

	goldfish_timer_line = irq;
	goldfish_timer_base = base;
	late_time_init = goldfish_timer_late_init;
	return PTR_ERR_OR_ZERO(pv_timer_register_clock(&goldfish_timer_clock));
}
