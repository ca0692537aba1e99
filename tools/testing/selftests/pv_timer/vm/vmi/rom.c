// SPDX-License-Identifier: GPL-2.0
/*
 * The calls of a VMI ROM that are about timers, for QEMU's emulation
 *
 * The real counter is the TSC, nothing steals time, and each vCPU has two alarms, for
 * which its local APIC counts nanoseconds down to the earlier one. The ROM does not see
 * the interrupt: which alarm has rung is found out by the next call. One that is further
 * away than the local APIC can count, nine minutes, rings too early.
 *
 * It runs where the guest has put it, with interrupts off, on each vCPU.
 */
typedef unsigned int u32;
typedef unsigned long long u64;

/* How a guest calls */
#define VMICALL			__attribute__((regparm(3)))

#define NSEC_PER_SEC		1000000000ULL

#define APIC_FRAME		0xfee00
#define APIC_ID			0x020
#define APIC_TMICT		0x380
#define APIC_TMCCT		0x390
#define APIC_TDCR		0x3e0
#define APIC_TDR_DIV_1		0xb
#define APIC_TDR_DIV_128	0xa

#define MAX_COUNT		0xffffffffU
#define MAX_VCPUS		256

/* For how long the TSC is counted, and how often it is read together with the APIC */
#define CALIBRATE_NSEC		50000000U
#define SAMPLES			16

#define FLAGS_COUNTER		0x000ff
#define FLAGS_PERIODIC		0x00100
#define FLAGS_WIRED_LVTT	0x10000

enum { REAL, AVAILABLE, STOLEN, ALARMS = STOLEN };

enum {
	SET_LINEAR_MAPPING = 48,
	GET_CYCLE_FREQUENCY = 66,
	GET_CYCLE_COUNTER,
	SET_ALARM,
	CANCEL_ALARM,
};

enum { RELOCATION_NONE, RELOCATION_CALL };

static char *apic;
static u64 hz;
static u64 expiries[MAX_VCPUS][ALARMS];		/* 0 is none */

static u64 rdtsc(void)
{
	u64 tsc;

	asm volatile("rdtsc" : "=A" (tsc));
	return tsc;
}

static u32 apic_read(u32 reg)
{
	u32 value;

	asm volatile("movl %1, %0" : "=r" (value) : "m" (*(u32 *)(apic + reg)));
	return value;
}

static void apic_write(u32 reg, u32 value)
{
	asm volatile("movl %1, %0" : "=m" (*(u32 *)(apic + reg)) : "r" (value));
}

/* Both clocks at one time: the emulation may be held up between the two */
static u32 sample(u64 *tsc)
{
	u64 before, after, least = ~0ULL;
	u32 i, count, best = 0;

	for (i = 0; i < SAMPLES; i++) {
		before = rdtsc();
		count = apic_read(APIC_TMCCT);
		after = rdtsc();
		if (after - before >= least)
			continue;
		least = after - before;
		*tsc = before + least / 2;
		best = count;
	}
	return best;
}

static void calibrate(void)
{
	u64 begin = 0, end = 0;
	u32 from, to;

	apic_write(APIC_TDCR, APIC_TDR_DIV_1);
	apic_write(APIC_TMICT, MAX_COUNT);
	from = sample(&begin);
	while (from - apic_read(APIC_TMCCT) < CALIBRATE_NSEC)
		;
	to = sample(&end);
	apic_write(APIC_TMICT, 0);
	hz = (end - begin) * NSEC_PER_SEC / (from - to);
}

/* Rather late than early: it is known to some parts in a million */
static u64 to_nsec(u64 cycles)
{
	u64 rest = cycles % hz;

	cycles = cycles / hz * NSEC_PER_SEC + rest * NSEC_PER_SEC / hz;
	return cycles + (cycles >> 15) + 1;
}

static void count_down(u64 nsec)
{
	u32 divider = nsec > MAX_COUNT ? 128 : 1;
	u64 count = (nsec + divider - 1) / divider;

	apic_write(APIC_TDCR, divider == 1 ? APIC_TDR_DIV_1 : APIC_TDR_DIV_128);
	apic_write(APIC_TMICT, count > MAX_COUNT ? MAX_COUNT : count);
}

/* Forget those of this vCPU that have rung */
static u64 *find_alarms(void)
{
	u64 *alarms = expiries[apic_read(APIC_ID) >> 24], now = rdtsc();
	u32 i;

	if (apic_read(APIC_TMCCT))
		return alarms;
	for (i = 0; i < ALARMS; i++) {
		if (alarms[i] <= now)
			alarms[i] = 0;
	}
	return alarms;
}

static void program(const u64 *alarms)
{
	u64 now = rdtsc(), first = ~0ULL;
	u32 i;

	for (i = 0; i < ALARMS; i++) {
		if (alarms[i] && alarms[i] < first)
			first = alarms[i];
	}
	if (first == ~0ULL)
		apic_write(APIC_TMICT, 0);
	else
		count_down(first > now ? to_nsec(first - now) : 1);
}

static void VMICALL set_linear_mapping(u32 slot, u32 va, u32 pages, u32 ppn)
{
	(void)slot;
	if (apic || APIC_FRAME - ppn >= pages)
		return;
	apic = (char *)(va + ((APIC_FRAME - ppn) << 12));
	calibrate();
}

static u64 VMICALL get_cycle_frequency(void)
{
	return hz;
}

static u64 VMICALL get_cycle_counter(u32 counter)
{
	return counter == STOLEN ? 0 : rdtsc();
}

static void VMICALL set_alarm(u32 flags, u64 expiry, u64 period)
{
	u32 counter = flags & FLAGS_COUNTER;
	u64 *alarms;

	/* All that this ROM has */
	if (!apic || counter >= ALARMS || period || flags & FLAGS_PERIODIC ||
	    !(flags & FLAGS_WIRED_LVTT))
		return;
	alarms = find_alarms();
	alarms[counter] = expiry ? expiry : 1;
	program(alarms);
}

static u32 VMICALL cancel_alarm(u32 counter)
{
	u64 *alarms, armed;

	if (!apic || counter >= ALARMS)
		return 0;
	alarms = find_alarms();
	armed = alarms[counter];
	alarms[counter] = 0;
	program(alarms);
	return armed != 0;
}

u32 VMICALL vmi_init(void)
{
	return 0;
}

static void *entry(u32 call)
{
	if (call == SET_LINEAR_MAPPING)
		return set_linear_mapping;
	if (call == GET_CYCLE_FREQUENCY)
		return get_cycle_frequency;
	if (call == GET_CYCLE_COUNTER)
		return get_cycle_counter;
	if (call == SET_ALARM)
		return set_alarm;
	if (call == CANCEL_ALARM)
		return cancel_alarm;
	return 0;
}

u64 VMICALL vmi_relocation(u32 call)
{
	void *address = entry(call);

	return (u64)(address ? RELOCATION_CALL : RELOCATION_NONE) << 32 | (u32)address;
}
