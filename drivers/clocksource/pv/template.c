// SPDX-License-Identifier: GPL-2.0
/*
 * Template of a backend: copy it, and replace what a comment names
 *
 * The hypervisor that is imagined here shows each CPU a page of registers: a counter
 * of 64 bits, and a comparator that raises a line while it is not above the counter.
 * A page of those of each CPU follows that of the one before.
 *
 * struct pv_timer_backend in <linux/pv_timer.h> is the contract, and
 * Documentation/timers/pv.rst the way from this file to a backend that keeps it, as
 * 'make conformance' says in the end. It is built with COMPILE_TEST only, and is not
 * there on any machine that exists.
 */
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/limits.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_irq.h>
#include <linux/pv_timer.h>
#include <linux/smp.h>

/* Replace: the registers or calls of the hypervisor, with their names in its document */
#define TEMPLATE_COUNTER	0x00	/* read, 64 bits */
#define TEMPLATE_COMPARE	0x08	/* write, 64 bits; all ones: never */
#define TEMPLATE_CONTROL	0x10	/* write, 32 bits; 1: interrupts are on */
#define TEMPLATE_HZ		0x14	/* read, 32 bits: of the counter */
#define TEMPLATE_SIZE		0x1000	/* of what each CPU has */

static struct device_node *template_node;
static void __iomem *template_base;

static void __iomem *template_register(unsigned int offset)
{
	return template_base + raw_smp_processor_id() * TEMPLATE_SIZE + offset;
}

/*
 * Replace: is this hypervisor there, with this timer? On x86 by hypervisor_is_type() and a
 * bit of CPUID. It is asked on each boot of each machine, so it says nothing if not.
 * Return: the frequency that now() counts at, which the hypervisor states; one that was
 * measured is off.
 */
static u64 template_probe(void)
{
	template_node = of_find_compatible_node(NULL, NULL, "vendor,pv-timer");
	template_base = of_iomap(template_node, 0);
	return template_base ? readl(template_register(TEMPLATE_HZ)) : 0;
}

/*
 * Replace: the counter that the hypervisor compares with. It has 64 bits: a counter with
 * fewer of them is extended here. It need not be the same on all CPUs.
 */
static u64 template_now(void)
{
	return readq(template_register(TEMPLATE_COUNTER));
}

/*
 * Replace: one call or write, with the deadline as it is. A timer that counts down gets
 * pv_timer_left(deadline, template_now()). What the hypervisor says if it refuses is
 * returned; without such an answer, PV_TIMER_NOFAIL is a flag below.
 */
static int template_arm(u64 deadline)
{
	writeq(deadline, template_register(TEMPLATE_COMPARE));
	return 0;
}

/* Replace: what forgets the deadline. If nothing does, a deadline that never comes. */
static void template_disarm(void)
{
	writeq(U64_MAX, template_register(TEMPLATE_COMPARE));
}

/*
 * Replace, or leave out: what each CPU has to do once before it arms. On x86, what is raised
 * at LOCAL_TIMER_VECTOR writes LVTT here. If this has to be undone, .cpu_stop does so.
 */
static void template_start(void)
{
	writel(1, template_register(TEMPLATE_CONTROL));
}

/*
 * Replace, or leave out: the line, if the interrupt is one. With a vector, .vector states it
 * below, and its handler calls pv_timer_interrupt().
 */
static int template_irq(void)
{
	return irq_of_parse_and_map(template_node, 0) ?: -ENXIO;
}

/* Replace: the name, and the facts of which <linux/pv_timer.h> has the list */
static const struct pv_timer_backend template_timer = {
	.name		= "template",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_LEVEL | PV_TIMER_NOFAIL | PV_TIMER_LOSES_STATE,
	.probe		= template_probe,
	.now		= template_now,
	.arm		= template_arm,
	.disarm		= template_disarm,
	.cpu_start	= template_start,
	.irq		= template_irq,
};

PV_TIMER_BACKEND(template_timer);
