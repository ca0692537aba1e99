/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM and Xen tell each vCPU in a page how system time, in ns, follows from the
 * TSC: it was system_time when the TSC was tsc_timestamp, and has gone on since
 * by tsc_to_system_mul / 2^32 for each cycle, shifted left by tsc_shift first.
 * With the stable bit, all vCPUs have the same line.
 */
#ifndef _PV_TIMER_PVCLOCK_H
#define _PV_TIMER_PVCLOCK_H

#include <linux/bits.h>
#include <linux/types.h>

#include <asm/pvclock.h>

/* Shifted in either direction, upwards for negative @n where bits are lost */
static inline u64 pvclock_shift_up(u64 value, int n)
{
	return n < 0 ? (value + BIT_ULL(-n) - 1) >> -n : value << n;
}

/*
 * What the page says, while the hypervisor may be writing it. Return: false if it
 * is no line for all vCPUs, or is not scaled as the hypervisors do, so that the
 * multiplier has all of its 32 bits.
 */
static inline bool pvclock_get_line(struct pvclock_vcpu_time_info *page,
				    struct pvclock_vcpu_time_info *line)
{
	unsigned int version;

	do {
		version = pvclock_read_begin(page);
		*line = *page;
	} while (pvclock_read_retry(page, version));

	return pvclock_read_flags(page) & line->flags & PVCLOCK_TSC_STABLE_BIT &&
	       line->tsc_to_system_mul & BIT(31);
}

#endif /* _PV_TIMER_PVCLOCK_H */
