// SPDX-License-Identifier: GPL-2.0
/*
 * RISC-V with the Sstc extension: the comparator of each hart, a CSR
 *
 * No call is made, and under a hypervisor no exit either: hardware compares.
 */
#include <linux/delay.h>
#include <linux/kconfig.h>
#include <linux/limits.h>

#include <asm/cpufeature.h>
#include <asm/csr.h>
#include <asm/hwcap.h>
#include <asm/timex.h>

#include "sbi.h"

static u64 sstc_timer_probe(void)
{
	return riscv_isa_extension_available(NULL, SSTC) ? riscv_timebase : 0;
}

/* Between two halves of different deadlines, none is to be in the past */
static int sstc_timer_arm(u64 deadline)
{
	if (IS_ENABLED(CONFIG_32BIT)) {
		csr_write(CSR_STIMECMP, ULONG_MAX);
		csr_write(CSR_STIMECMPH, deadline >> 32);
	}
	csr_write(CSR_STIMECMP, deadline);
	return 0;
}

static void sstc_timer_disarm(void)
{
	sstc_timer_arm(U64_MAX);
}

static const struct pv_timer_backend sstc_timer = {
	.name		= "sstc",
	.rating		= PV_TIMER_RATING_NATIVE,
	.flags		= PV_TIMER_LEVEL | PV_TIMER_NOFAIL | PV_TIMER_FREE | PV_TIMER_SOLE,
	.probe		= sstc_timer_probe,
	.now		= sbi_timer_now,
	.arm		= sstc_timer_arm,
	.disarm		= sstc_timer_disarm,
	.irq		= sbi_timer_irq,
	.stops_in_idle	= sbi_timer_stops_in_idle,
};

PV_TIMER_BACKEND(sstc_timer);
