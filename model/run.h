/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Run the model: random choices from a seed, or those that standard input lists
 *
 * Usage: model SEED WALKS, or model replay
 */
#ifndef _PV_TIMER_MODEL_RUN_H
#define _PV_TIMER_MODEL_RUN_H

#include <stdarg.h>

static uint64_t model_seed;
static bool model_replays, model_talks;

static u32 choose(void)
{
	unsigned int choice = 0;

	if (model_replays) {
		if (scanf("%u", &choice) != 1) {
			printf("model: no choices are left\n");
			exit(2);
		}
		return choice;
	}
	model_seed ^= model_seed << 13;
	model_seed ^= model_seed >> 7;
	model_seed ^= model_seed << 17;
	return model_seed >> 16;
}

u64 any(u8 n)
{
	return choose() % n;
}

u64 anything(void)
{
	return choose();
}

void model_note(const char *format, ...)
{
	va_list args;

	if (!model_talks)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static void model_state(void)
{
	unsigned int cpu;

	printf("clock %d counter %u line %u %+d untold %d watch %d\n", clock, counter,
	       pv_timer_line.slope, (s64)pv_timer_line.offset, untold, pv_timer_watch);
	for (cpu = 0; cpu < CPUS; cpu++) {
		struct pv_timer_cpu *pt = &pv_timer_cpus[cpu];
		struct model_cpu *m = &model[cpu];

		printf("CPU%u: online %d state %d wants %d, armed_for %u none %u armed %u ",
		       cpu, online[cpu], pt->ced.state, m->want, pt->armed_for, pt->none,
		       pt->armed);
		printf("skew %u refused %d asked %d changed %d fired %u plain_until %u\n",
		       pt->skew, pt->refused, pt->asked, pt->changed, pt->fired,
		       pt->plain_until);
		printf("      hypervisor: deadline %u pending %d lost %d refused %d, called %d\n",
		       m->deadline, m->pending, m->lost, m->refused, m->called);
	}
}

static bool model_bad;

void model_check(bool condition, const char *text)
{
	if (condition || model_bad)
		return;
	model_bad = true;
	if (!model_talks)
		return;
	printf("violated: %s\n", text);
	model_state();
	exit(1);
}

void model_assume(bool condition)
{
	if (condition)
		return;
	printf("model: not a state to start from\n");
	exit(2);
}

/* The first state, and the choices that this seed makes */
static void model_walk(uint64_t seed)
{
	memset(pv_timer_cpus, 0, sizeof(pv_timer_cpus));
	memset(&pv_timer_line, 0, sizeof(pv_timer_line));
	pv_timer_watch = false;
	model_bad = false;
	model_seed = seed * 0x9e3779b97f4a7c15ULL + 1;
	walk();
}

int main(int argc, char **argv)
{
	uint64_t seed, walks;

	model_replays = argc == 2;
	model_talks = model_replays;
	if (model_replays) {
		if (STEPS < 0)
			one_step();
		else
			walk();
		return 0;
	}
	walks = strtoull(argv[2], NULL, 0);
	for (seed = strtoull(argv[1], NULL, 0); walks--; seed++) {
		model_walk(seed);
		if (!model_bad)
			continue;
		printf("seed %llu\n", (unsigned long long)seed);
		model_talks = true;
		model_walk(seed);
	}
	return 0;
}

#endif /* _PV_TIMER_MODEL_RUN_H */
