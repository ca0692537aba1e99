/* SPDX-License-Identifier: GPL-2.0 */
/* The clock and the alarm of one device are two files. */
#ifndef _PV_TIMER_GOLDFISH_H
#define _PV_TIMER_GOLDFISH_H

#include <linux/compiler_types.h>
#include <linux/types.h>

struct clocksource;

/* goldfish-clock.c */
extern void __iomem *goldfish_timer_base;
extern int goldfish_timer_line;
extern struct clocksource goldfish_timer_clocksource;

u64 goldfish_timer_now(void);

#endif /* _PV_TIMER_GOLDFISH_H */
