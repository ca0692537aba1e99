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
 *	core START END		code of the core, of which there may be several pieces
 *	call NAME ADDRESS	what is called, or calls, and is counted by that name
 *
 * Each phase is reported to QEMU's log: lines of "count: PHASE NAME VALUE [TIMES]", and
 * its number is that of marks before it. A programming that comes to none of the ends
 * is "astray", and its value is an address in the function that asked for it.
 *
 * All CPUs of the guest are run by one thread of QEMU. What is executed is counted in
 * one place, without a call, and at the start of each block of the kernel it is
 * credited to the CPU that has executed it.
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
#define MAX_PIECES	64
#define MAX_CPUS	256
#define MAX_ASTRAY	16
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

/* Instructions: of all of the kernel, of the core's interrupt, of all of the core */
struct counts {
	uint64_t kernel, event, core;
};

/*
 * @had: executed so far
 * @begun: what it had when the programming began that it is inside of
 * @event_at: and when it took the interrupt of the core
 * @block: the block of code that it executes
 * @before: the one before it
 * @caller: the block that asked for the programming
 */
struct cpu {
	struct counts had, begun;
	uint64_t event_at, block, before, caller;
	bool inside, arming, in_event;
};

struct astray {
	uint64_t caller, times;
};

static struct range kernel, event, core[MAX_PIECES];
static struct point points[MAX_POINTS];
static struct call calls[MAX_CALLS];
static size_t nr_points, nr_calls, nr_pieces;

/* What all CPUs have executed, and what of it was credited to one of them */
static struct counts executed, credited;
static struct cpu cpus[MAX_CPUS];
static unsigned int current;

/* In this phase: how often a programming, or an interrupt, took so many of them */
static uint64_t armed[LONGEST], elided[LONGEST], events[LONGEST];
static struct astray astray[MAX_ASTRAY];
static uint64_t core_inside;
static struct counts phase_start;
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

/* Credits to the CPU that ran until now. Return: the one that runs */
static struct cpu *runs(unsigned int vcpu)
{
	struct counts *had = &cpus[current].had;

	had->kernel += executed.kernel - credited.kernel;
	had->event += executed.event - credited.event;
	had->core += executed.core - credited.core;
	credited = executed;
	current = vcpu;
	return &cpus[vcpu];
}

static void enter_block(unsigned int vcpu, void *address)
{
	struct cpu *cpu = runs(vcpu);

	cpu->before = cpu->block;
	cpu->block = (uintptr_t)address;
}

/* It did not come to an end that is known. Too many places are one, the last */
static void note_astray(struct cpu *cpu)
{
	struct astray *a = astray;

	while (a < &astray[MAX_ASTRAY - 1] && a->times && a->caller != cpu->caller)
		a++;
	a->caller = cpu->caller;
	a->times++;
	cpu->inside = false;
}

/* An interrupt has no end of its own: what it was in the core for is seen at the next */
static void end_event(struct cpu *cpu)
{
	if (cpu->in_event)
		note(events, cpu->had.event - cpu->event_at);
	cpu->in_event = false;
}

/* Other CPUs may be inside of a programming, which ends in the next phase */
static void end_phase(struct cpu *cpu)
{
	size_t i;

	if (cpu->inside)
		note_astray(cpu);
	for (i = 0; i < MAX_CPUS; i++)
		end_event(&cpus[i]);
	for (i = 0; i < MAX_ASTRAY && astray[i].times; i++)
		out("astray", astray[i].caller, astray[i].times);
	memset(astray, 0, sizeof(astray));
}

static void mark(unsigned int vcpu, void *unused)
{
	size_t i;

	end_phase(runs(vcpu));
	out("kernel", executed.kernel - phase_start.kernel, 1);
	out("core", executed.core - phase_start.core - core_inside, 1);
	out_histogram("armed", armed);
	out_histogram("elided", elided);
	out_histogram("event", events);
	for (i = 0; i < nr_calls; i++) {
		out(calls[i].name, calls[i].calls, 1);
		calls[i].calls = 0;
	}
	phase_start = executed;
	core_inside = 0;
	phase++;
}

static void begin(unsigned int vcpu, void *unused)
{
	struct cpu *cpu = runs(vcpu);

	if (cpu->inside)
		note_astray(cpu);
	cpu->begun = cpu->had;
	cpu->caller = cpu->before;
	cpu->inside = true;
	cpu->arming = false;
}

static void arm(unsigned int vcpu, void *unused)
{
	runs(vcpu)->arming = true;
}

static void end(unsigned int vcpu, void *unused)
{
	struct cpu *cpu = runs(vcpu);

	if (!cpu->inside)
		return;
	note(cpu->arming ? armed : elided, cpu->had.kernel - cpu->begun.kernel);
	core_inside += cpu->had.core - cpu->begun.core;
	cpu->inside = false;
}

static void enter_event(unsigned int vcpu, void *unused)
{
	struct cpu *cpu = runs(vcpu);

	end_event(cpu);
	cpu->event_at = cpu->had.event;
	cpu->in_event = true;
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

static bool within_core(uint64_t address)
{
	size_t i;

	for (i = 0; i < nr_pieces; i++)
		if (within(&core[i], address))
			return true;
	return false;
}

static bool is_wrmsr(const struct qemu_plugin_insn *insn)
{
	return qemu_plugin_insn_size(insn) == 2 &&
	       !memcmp(qemu_plugin_insn_data(insn), "\x0f\x30", 2);
}

static void add_one(struct qemu_plugin_insn *insn, uint64_t *counter)
{
	qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, counter, 1);
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
		add_one(insn, &executed.event);
	if (within_core(address))
		add_one(insn, &executed.core);
	add_one(insn, &executed.kernel);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);
	uint64_t address = qemu_plugin_tb_vaddr(tb);

	if (within(&kernel, address))
		qemu_plugin_register_vcpu_tb_exec_cb(tb, enter_block, 0,
						     (void *)(uintptr_t)address);
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

/* Return: the one of that name, NULL if there are too many */
static struct call *find_call(const char *name)
{
	size_t i;

	for (i = 0; i < nr_calls; i++)
		if (!strcmp(calls[i].name, name))
			return &calls[i];
	if (nr_calls == MAX_CALLS)
		return NULL;
	snprintf(calls[nr_calls].name, sizeof(calls[nr_calls].name), "%s", name);
	return &calls[nr_calls++];
}

static bool read_call(const char *line)
{
	unsigned long long address;
	struct call *call;
	char name[64];

	if (sscanf(line, "call %63s %llx", name, &address) != 2)
		return false;
	call = find_call(name);
	return call && add_point(address, count_call, call);
}

static bool read_piece(const char *line)
{
	struct range *piece = &core[nr_pieces];

	if (nr_pieces == MAX_PIECES ||
	    sscanf(line, "core %llx %llx", &piece->start, &piece->end) != 2)
		return false;
	nr_pieces++;
	return true;
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
	return read_piece(line) || read_call(line);
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
