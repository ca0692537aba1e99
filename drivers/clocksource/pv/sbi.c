// SPDX-License-Identifier: GPL-2.0
/*
 * RISC-V: the timer of each hart, through the SBI
 *
 * One call arms and lowers the line. All ones is a deadline that never comes.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/irqdomain.h>
#include <linux/limits.h>

#include <clocksource/timer-riscv.h>

#include <asm/csr.h>
#include <asm/irq.h>
#include <asm/sbi.h>
#include <asm/timex.h>

#include "sbi.h"

u64 sbi_timer_now(void)
{
	return get_cycles64();
}

int sbi_timer_irq(void)
{
	struct fwnode_handle *intc = riscv_get_intc_hwnode();
	struct irq_domain *domain = irq_find_matching_fwnode(intc, DOMAIN_BUS_ANY);

	return irq_create_mapping(domain, RV_IRQ_TIMER) ?: -ENXIO;
}

/* The device tree or ACPI says so, which timer-riscv.c reads */
bool sbi_timer_stops_in_idle(void)
{
	return riscv_timer_cannot_wake_cpu;
}

static u64 sbi_timer_probe(void)
{
	return riscv_timebase;
}

static int sbi_timer_arm(u64 deadline)
{
	sbi_set_timer(deadline);
	return 0;
}

static void sbi_timer_disarm(void)
{
	sbi_set_timer(U64_MAX);
}

static const struct pv_timer_backend sbi_timer = {
	.name		= "sbi",
	.rating		= PV_TIMER_RATING_HARDWARE,
	.flags		= PV_TIMER_LEVEL | PV_TIMER_NOFAIL | PV_TIMER_SOLE,
	.probe		= sbi_timer_probe,
	.now		= sbi_timer_now,
	.arm		= sbi_timer_arm,
	.disarm		= sbi_timer_disarm,
	.irq		= sbi_timer_irq,
	.stops_in_idle	= sbi_timer_stops_in_idle,
};

PV_TIMER_BACKEND(sbi_timer);

/* The counters of the harts agree to within a tick */
static u64 notrace sbi_clock_read(struct clocksource *cs)
{
	return get_cycles64();
}

static struct pv_timer_clock sbi_clock __initdata = {
	.name			= "riscv_clocksource",
	.rating			= 400,
	.counter		= sbi_timer_now,
	.read			= sbi_clock_read,
	.vdso_clock_mode	= SBI_VDSO_CLOCKMODE,
};

/**
 * riscv_timer_register_clock() - Make the counter of the harts the kernel's clock
 *
 * Context: boot.
 * Return: the clocksource or an error pointer.
 */
struct clocksource * __init riscv_timer_register_clock(void)
{
	sbi_clock.hz = riscv_timebase;
	return pv_timer_register_clock(&sbi_clock);
}
