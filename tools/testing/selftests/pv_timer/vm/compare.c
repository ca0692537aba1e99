// SPDX-License-Identifier: GPL-2.0
/*
 * Two figures that need nothing of pv_timer in the kernel, so that a stock
 * kernel can be compared with: what an idle guest is interrupted for, and how
 * long a short sleep takes.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define IDLE_SEC	10
#define SLEEPS		501

/* The counts of all CPUs on one line: they end with the first word */
static unsigned long long sum_line(const char *line)
{
	unsigned long long sum = 0, count;
	const char *at = strchr(line, ':');
	char *end;

	for (at = at ? at + 1 : ""; ; at = end) {
		count = strtoull(at, &end, 10);
		if (end == at)
			return sum;
		sum += count;
	}
}

/* pv_timer, goldfish_timer, riscv-timer: the name is at the end */
static unsigned long long timer_interrupts(void)
{
	unsigned long long sum = 0;
	char buf[16384], *line, *save;

	read_file("/proc/interrupts", buf, sizeof(buf));
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(line);

		if (len > 5 && !strcmp(line + len - 5, "timer"))
			sum += sum_line(line);
	}
	return sum;
}

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Return: the median, in milliseconds */
static double one_ms_sleep(void)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };
	double took[SLEEPS];
	int i;

	for (i = 0; i < SLEEPS; i++) {
		took[i] = uptime();
		nanosleep(&ms, NULL);
		took[i] = (uptime() - took[i]) * 1000;
	}
	qsort(took, SLEEPS, sizeof(*took), compare_doubles);
	return took[SLEEPS / 2];
}

/**
 * run_compare() - Measure what a kernel without pv_timer can tell as well
 * @v: gets a test for each figure
 */
void run_compare(struct verdict *v)
{
	unsigned long long before, after;
	double ms = one_ms_sleep();

	before = timer_interrupts();
	sleep(IDLE_SEC);
	after = timer_interrupts();
	if (!after)
		fail(v, "no timer in /proc/interrupts");
	if (ms < 1)
		fail(v, "a sleep of 1 ms took %.3f ms", ms);
	v->plan = 2;
	v->ok = !!after + (ms >= 1);
	tell("report interrupts=%llu sleep_ms=%.2f", after - before, ms);
}
