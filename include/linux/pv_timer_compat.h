/* SPDX-License-Identifier: GPL-2.0 */
/* What Linux 6.12 and mainline call by different names */
#ifndef _LINUX_PV_TIMER_COMPAT_H
#define _LINUX_PV_TIMER_COMPAT_H

#include <linux/clockchips.h>

/* A device with set_next_ktime(), in mainline only that of the hrtimer broadcast */
#ifndef CLOCK_EVT_FEAT_KTIME
#define CLOCK_EVT_FEAT_KTIME		CLOCK_EVT_FEAT_HRTIMER
#endif

#ifdef CONFIG_X86
#include <asm/msr.h>

#ifndef rdmsrq
#define rdmsrq(msr, val)		rdmsrl(msr, val)
#define wrmsrq(msr, val)		wrmsrl(msr, val)
#define native_wrmsrq(msr, val)		native_wrmsrl(msr, val)
#endif
#endif

#endif /* _LINUX_PV_TIMER_COMPAT_H */
