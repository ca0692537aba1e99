/* SPDX-License-Identifier: GPL-2.0 */
/* The ROM of a VMI hypervisor, and those of its calls that are about timers */
#ifndef _PV_TIMER_VMI_ROM_H
#define _PV_TIMER_VMI_ROM_H

#include <linux/bits.h>
#include <linux/types.h>

/* Counters of cycles, each vCPU has an alarm in the first two */
enum vmi_cycles {
	VMI_CYCLES_REAL		= 0,
	VMI_CYCLES_AVAILABLE	= 1,
	VMI_CYCLES_STOLEN	= 2,
};

/* An alarm is raised at the vector in the local APIC's LVTT, and not at IRQ0 */
#define VMI_ALARM_WIRED_LVTT	BIT(16)

/**
 * struct vmi_rom - The calls of the ROM
 * @set_linear_mapping: tells that @pages from page frame @ppn on are mapped at @va
 * @get_cycle_frequency: Return: that of the counters, in Hz
 * @get_cycle_counter: Return: one of enum vmi_cycles, in cycles
 * @set_alarm: arms the alarm of this vCPU that the low byte of @flags names, at
 *	the absolute @expiry of its counter; a @period of 0 is a one-shot
 * @cancel_alarm: Return: 1 if that alarm of this vCPU was armed, else 0
 *
 * They take arguments in registers, as all functions of an i386 kernel do.
 * Context: irqs off, but for @get_cycle_frequency and @get_cycle_counter, which
 * any context may call.
 */
struct vmi_rom {
	void	(*set_linear_mapping)(u32 slot, u32 va, u32 pages, u32 ppn);
	u64	(*get_cycle_frequency)(void);
	u64	(*get_cycle_counter)(u32 counter);
	void	(*set_alarm)(u32 flags, u64 expiry, u64 period);
	u32	(*cancel_alarm)(u32 counter);
};

extern struct vmi_rom vmi_rom;

bool vmi_rom_find(void);

#endif /* _PV_TIMER_VMI_ROM_H */
