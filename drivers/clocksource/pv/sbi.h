/* SPDX-License-Identifier: GPL-2.0 */
/* What the two timers of a RISC-V hart share: the counter and the line. */
#ifndef _PV_TIMER_SBI_H
#define _PV_TIMER_SBI_H

#include <linux/pv_timer.h>

/* The clock has no mode in the vDSO where there is no vDSO that reads clocks */
#ifdef CONFIG_GENERIC_GETTIMEOFDAY
#define SBI_VDSO_CLOCKMODE	VDSO_CLOCKMODE_ARCHTIMER
#else
#define SBI_VDSO_CLOCKMODE	VDSO_CLOCKMODE_NONE
#endif

/* sbi.c */
u64 sbi_timer_now(void);
int sbi_timer_irq(void);
bool sbi_timer_stops_in_idle(void);

#endif /* _PV_TIMER_SBI_H */
