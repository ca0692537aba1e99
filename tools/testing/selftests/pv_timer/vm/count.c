// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU's TCG that counts what the timer costs a guest: instructions of its
 * kernel, and how many of them a programming of the timer takes.
 *
 * Its argument points=PATH names a file of lines, all numbers hexadecimal:
 *
 *	kernel START END	the code of the guest's kernel
 *	mark ADDRESS		what the guest enters between two phases
 *	begin ADDRESS		a programming begins, by its first instruction
 *	end ADDRESS		it has ended: the instruction that it returns to
 *	arm ADDRESS		it does not only look, but arms; so does every WRMSR
 *	event START END		the function that the interrupt of the core is
 *	call NAME ADDRESS	a function of which calls are counted
 *
 * Each phase is reported to QEMU's log: lines of "count: PHASE NAME VALUE [TIMES]", and
 * its number is that of marks before it. One CPU of the guest may be up.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "qemu_plugin.h"

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define ADD_U64		0
#define MAX_POINTS	1024
#define MAX_CALLS	16
#define LONGEST		2000

struct range {
	unsigned long long start, end;
};

/* What is done at one instruction */
struct point {
	uint64_t address;
	qemu_plugin_vcpu_udata_cb_t fn;
	void *arg;
};

struct call {
	char name[64];
	uint64_t calls;
};

static struct range kernel, event;
static struct point points[MAX_POINTS];
static struct call calls[MAX_CALLS];
static size_t nr_points, nr_calls;

/* Instructions so far, of all of the kernel and of the core's interrupt */
static uint64_t executed, executed_event;
static uint64_t begun_at, event_at;
static bool inside, arming, in_event;

/* In this phase: how often a programming, or an interrupt, took so many of them */
static uint64_t armed[LONGEST], elided[LONGEST], events[LONGEST];
static unsigned int phase;

static void out(const char *name, uint64_t value, uint64_t times)
{
	char line[128];

	snprintf(line, sizeof(line), "count: %u %.63s %llu %llu\n", phase, name,
		 (unsigned long long)value, (unsigned long long)times);
	qemu_plugin_outs(line);
}

static void out_histogram(const char *name, uint64_t *histogram)
{
	uint64_t i;

	for (i = 0; i < LONGEST; i++)
		if (histogram[i])
			out(name, i, histogram[i]);
	memset(histogram, 0, LONGEST * sizeof(*histogram));
}

static void note(uint64_t *histogram, uint64_t instructions)
{
	histogram[instructions < LONGEST ? instructions : LONGEST - 1]++;
}

/* An interrupt has no end of its own: what it was in the core for is seen at the next */
static void end_event(void)
{
	if (in_event)
		note(events, executed_event - event_at);
	in_event = false;
}

static void mark(unsigned int vcpu, void *unused)
{
	size_t i;

	end_event();
	out("kernel", executed, 1);
	out_histogram("armed", armed);
	out_histogram("elided", elided);
	out_histogram("event", events);
	for (i = 0; i < nr_calls; i++) {
		out(calls[i].name, calls[i].calls, 1);
		calls[i].calls = 0;
	}
	executed = 0;
	inside = false;
	phase++;
}

static void begin(unsigned int vcpu, void *unused)
{
	begun_at = executed;
	inside = true;
	arming = false;
}

static void arm(unsigned int vcpu, void *unused)
{
	arming = true;
}

static void end(unsigned int vcpu, void *unused)
{
	if (inside)
		note(arming ? armed : elided, executed - begun_at);
	inside = false;
}

static void enter_event(unsigned int vcpu, void *unused)
{
	end_event();
	event_at = executed_event;
	in_event = true;
}

static void count_call(unsigned int vcpu, void *arg)
{
	struct call *call = arg;

	call->calls++;
}

static bool within(const struct range *range, uint64_t address)
{
	return address >= range->start && address < range->end;
}

static bool is_wrmsr(const struct qemu_plugin_insn *insn)
{
	return qemu_plugin_insn_size(insn) == 2 &&
	       !memcmp(qemu_plugin_insn_data(insn), "\x0f\x30", 2);
}

/* Callbacks run before the instruction is counted, in the order of their registration */
static void translate_insn(struct qemu_plugin_insn *insn)
{
	uint64_t address = qemu_plugin_insn_vaddr(insn);
	size_t i;

	if (!within(&kernel, address))
		return;
	for (i = 0; i < nr_points; i++)
		if (points[i].address == address)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, points[i].fn, 0,
							       points[i].arg);
	if (is_wrmsr(insn))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, arm, 0, NULL);
	if (within(&event, address))
		qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &executed_event, 1);
	qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &executed, 1);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);

	for (i = 0; i < nr; i++)
		translate_insn(qemu_plugin_tb_get_insn(tb, i));
}

static bool add_point(uint64_t address, qemu_plugin_vcpu_udata_cb_t fn, void *arg)
{
	if (nr_points == MAX_POINTS)
		return false;
	points[nr_points++] = (struct point) { address, fn, arg };
	return true;
}

static bool read_call(const char *line)
{
	struct call *call = &calls[nr_calls];
	unsigned long long address;

	if (nr_calls == MAX_CALLS ||
	    sscanf(line, "call %63s %llx", call->name, &address) != 2)
		return false;
	nr_calls++;
	return add_point(address, count_call, call);
}

static bool read_line(const char *line)
{
	static const struct {
		const char *format;
		qemu_plugin_vcpu_udata_cb_t fn;
	} kinds[] = {
		{ "mark %llx",	mark },
		{ "begin %llx",	begin },
		{ "end %llx",	end },
		{ "arm %llx",	arm },
	};
	unsigned long long address;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (sscanf(line, kinds[i].format, &address) == 1)
			return add_point(address, kinds[i].fn, NULL);
	if (sscanf(line, "kernel %llx %llx", &kernel.start, &kernel.end) == 2)
		return true;
	if (sscanf(line, "event %llx %llx", &event.start, &event.end) == 2)
		return add_point(event.start, enter_event, NULL);
	return read_call(line);
}

static bool read_points(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[160];
	bool ok = file;

	while (ok && fgets(line, sizeof(line), file))
		ok = read_line(line);
	if (file)
		fclose(file);
	return ok;
}

static void finish(qemu_plugin_id_t id, void *unused)
{
	mark(0, NULL);
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "points=", 7) ||
	    !read_points(argv[0] + 7)) {
		fprintf(stderr, "count: points=PATH is wanted, and lines that are understood\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
