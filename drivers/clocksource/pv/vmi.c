// SPDX-License-Identifier: GPL-2.0
/*
 * VMI, the interface of VMware's guests from 2007 to 2010: the counter of real
 * cycles, and each vCPU's alarm in them
 *
 * A ROM has the calls, vmi-rom.c finds it. The alarm is raised at the vector in
 * the local APIC's LVTT.
 */
#include <linux/err.h>
#include <linux/init.h>
#include <linux/pv_timer.h>

#include <asm/apic.h>
#include <asm/irq_vectors.h>

#include "vmi-rom.h"

static u64 vmi_timer_probe(void)
{
	return vmi_rom_find() ? vmi_rom.get_cycle_frequency() : 0;
}

static u64 vmi_timer_now(void)
{
	return vmi_rom.get_cycle_counter(VMI_CYCLES_REAL);
}

static int vmi_timer_arm(u64 deadline)
{
	vmi_rom.set_alarm(VMI_CYCLES_REAL | VMI_ALARM_WIRED_LVTT, deadline, 0);
	return 0;
}

static void vmi_timer_disarm(void)
{
	vmi_rom.cancel_alarm(VMI_CYCLES_REAL);
}

static void vmi_timer_start(void)
{
	apic_write(APIC_LVTT, LOCAL_TIMER_VECTOR);
}

static const struct pv_timer_backend vmi_timer = {
	.name		= "vmi",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_NOFAIL | PV_TIMER_LOSES_STATE,
	.vector		= LOCAL_TIMER_VECTOR,
	.probe		= vmi_timer_probe,
	.now		= vmi_timer_now,
	.arm		= vmi_timer_arm,
	.disarm		= vmi_timer_disarm,
	.cpu_start	= vmi_timer_start,
};

PV_TIMER_BACKEND(vmi_timer);

static u64 vmi_timer_read(struct clocksource *cs)
{
	return vmi_timer_now();
}

static int __init vmi_timer_clock_init(void)
{
	struct pv_timer_clock clock = {
		.name		= "vmi-timer",
		.rating		= 450,
		.counter	= vmi_timer_now,
		.read		= vmi_timer_read,
	};

	if (!vmi_rom.get_cycle_frequency)
		return 0;
	clock.hz = vmi_rom.get_cycle_frequency();
	return PTR_ERR_OR_ZERO(pv_timer_register_clock(&clock));
}
device_initcall(vmi_timer_clock_init);
