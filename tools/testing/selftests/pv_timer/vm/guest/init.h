/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PID 1 of every guest of the harness.
 *
 * Everything that the host is to know goes through the verdict channel, one
 * line each: "pvt: <word> <values>". The console is for humans.
 */
#ifndef PV_TIMER_VM_INIT_H
#define PV_TIMER_VM_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdnoreturn.h>

#include "kselftest.h"
#include "common.h"

#define KSELFTEST_DIR	"/kselftest"
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define SILENCE_SEC	60

/* The value of a macro as a string */
#define STR(x)		#x
#define XSTR(x)		STR(x)

/**
 * struct verdict - What the host prints after "vm: <target>:"
 * @plan: tests announced, by the programs themselves where they do
 * @ok: tests passed
 * @skip: tests skipped
 * @taint: /proc/sys/kernel/tainted
 * @cpus: CPUs online at the end
 * @clockevent: the clock event device in use; "mixed" if it is not the same
 *	on every CPU
 * @backend: the backend of pv_timer, "none" without pv_timer
 * @nohz: the tick stops while a CPU is idle
 * @legacy: a timer that pv_timer replaces is registered
 * @stats: the statistics of pv_timer, of all CPUs
 * @stuck: nothing can be waited for any more
 * @results: of the tests, a line each; NULL if none were run
 * @reason: what is wrong, all of it; empty if nothing is
 */
struct verdict {
	int plan, ok, skip;
	long taint;
	int cpus;
	char clockevent[32];
	char backend[32];
	bool nohz;
	bool legacy;
	struct pv_stats stats;
	bool stuck;
	char *results;
	char reason[1000];
};

typedef void (*line_fn)(char *line, void *arg);

/* init.c */
const char *option(const char *name, const char *fallback);
void __printf(1, 2) tell(const char *fmt, ...);
void __printf(2, 3) fail(struct verdict *v, const char *fmt, ...);
noreturn void die(const char *what);
int read_file(const char *path, char *buf, size_t size);
int write_file(const char *path, const char *text);
double uptime(void);
bool read_lines(int fd, int timeout_sec, line_fn fn, void *arg);

/* suite.c: the test programs */
int run_command(const char * const argv[], int silence_sec, line_fn fn, void *arg);
void run_suite(struct verdict *v);
void run_conformance(struct verdict *v);
void tell_results(struct verdict *v);
void run_report(struct verdict *v);
void run_bench(struct verdict *v);
void run_latency(struct verdict *v);

/* checks.c: the state of the guest after them */
void run_checks(struct verdict *v);
void check_leaks(struct verdict *v);
bool is_bad(const char *line);

/* lifecycle.c: what the host does to a running guest */
void run_lifecycle(struct verdict *v);

/* host.c: the guest is itself the host of others, or has what is installed there */
void mount_machine(void);
void run_guests(const char *root);

#endif /* PV_TIMER_VM_INIT_H */
