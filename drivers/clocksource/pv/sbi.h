/* SPDX-License-Identifier: GPL-2.0 */
/* What the two timers of a RISC-V hart share: the counter and the line. */
#ifndef _PV_TIMER_SBI_H
#define _PV_TIMER_SBI_H

#include <linux/pv_timer.h>

/* sbi.c */
u64 sbi_timer_now(void);
int sbi_timer_irq(void);

#endif /* _PV_TIMER_SBI_H */
