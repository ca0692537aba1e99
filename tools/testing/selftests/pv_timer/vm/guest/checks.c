// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests left behind: the kernel log, the taint flags, and above all
 * which device made the guest tick. Without that a broken backend passes every
 * test, because the kernel falls back to the next device by rating.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define CLOCKEVENTS	"/sys/devices/system/clockevents"

/* What is younger, in seconds, is not looked at */
#define LEAK_AGE	5

/* Of /proc/sys/kernel/tainted, by a module that is not of the kernel's tree */
#define TAINT_OUT_OF_TREE	4096

/* How many there may be beside a thousand events */
#define LOST_PERMILLE	2

static const char * const bad_messages[] = {
	"BUG:", "WARNING: CPU", "WARNING: possible", "WARNING: suspicious",
	"WARNING: inconsistent", "WARNING: bad", "Call Trace:", "Oops",
	"soft lockup", "hard LOCKUP", "detected stall", "starved for",
	"INFO: task", "Unable to handle", "general protection fault",
	"does not tick", "UBSAN:", "ODEBUG:",
};

/**
 * is_bad() - Does the verdict fail on a line of the kernel log?
 * @line: of the log
 *
 * Return: it does.
 */
bool is_bad(const char *line)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad_messages); i++) {
		if (strstr(line, bad_messages[i]))
			return true;
	}
	return false;
}

/* A record of /dev/kmsg is "level,sequence,time,flags;text\n key=value..." */
static bool check_record(struct verdict *v, char *record)
{
	char *text = strchr(record, ';');

	if (!text)
		return true;
	text++;
	text[strcspn(text, "\n")] = '\0';
	if (!is_bad(text))
		return true;
	fail(v, "kernel log: %s", text);
	return false;
}

static void check_log(struct verdict *v)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[8192];
	ssize_t n;

	if (fd < 0)
		die("/dev/kmsg");
	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE) {
			fail(v, "kernel log overwritten before it was read");
			continue;
		}
		if (n <= 0)
			break;
		record[n] = '\0';
		if (!check_record(v, record))
			break;
	}
	close(fd);
}

static void check_taint(struct verdict *v)
{
	char buf[32];

	if (read_file("/proc/sys/kernel/tainted", buf, sizeof(buf)) <= 0)
		die("/proc/sys/kernel/tainted");
	v->taint = atol(buf);
	if (*option("module", ""))
		v->taint &= ~TAINT_OUT_OF_TREE;
	if (v->taint)
		fail(v, "kernel tainted: %ld", v->taint);
}

static void check_cpus(struct verdict *v)
{
	int expected = atoi(option("cpus", "1"));

	v->cpus = get_nprocs();
	if (v->cpus != expected)
		fail(v, "%d CPUs online, not %d", v->cpus, expected);
}

static void check_devices(struct verdict *v)
{
	const char *expected = option("device", "pv_timer");
	char name[32];
	int cpu;

	for (cpu = 0; cpu < v->cpus; cpu++) {
		read_device(cpu, name, sizeof(name));
		word(name);
		if (strcmp(name, expected))
			fail(v, "CPU%d ticks by %s, not %s", cpu, name,
			     expected);
		if (cpu && strcmp(v->clockevent, name))
			snprintf(name, sizeof(name), "mixed");
		snprintf(v->clockevent, sizeof(v->clockevent), "%s", name);
	}
}

static void check_backend(struct verdict *v)
{
	const char *expected = option("backend", "none");

	if (read_file("/sys/kernel/pv_timer/current_backend", v->backend,
		      sizeof(v->backend)) <= 0)
		snprintf(v->backend, sizeof(v->backend), "none");
	if (strcmp(v->backend, expected))
		fail(v, "backend is %s, not %s", v->backend, expected);
}

/* "name(rating)" of each, best first; those that are broken only tick if named */
static void check_available(struct verdict *v)
{
	const char *expected = option("available", "");
	char names[512] = "", line[512], *name, *save;
	size_t len = 0;

	read_file("/sys/kernel/pv_timer/available_backends", line, sizeof(line));
	for (name = strtok_r(line, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		name[strcspn(name, "(")] = '\0';
		if (strncmp(name, "broken-", 7))
			len += snprintf(names + len, sizeof(names) - len, "%s%s",
					len ? "," : "", name);
	}
	if (*expected && strcmp(names, expected))
		fail(v, "backends are %s, not %s", names, expected);
}

/*
 * The core survives all of it, but a hypervisor that does so all the time is
 * broken. The odd one is not: hypervisors do lose timers. One that was broken on
 * purpose, and for that reason, has to have done so.
 */
static void check_stats(struct verdict *v)
{
	const char *broken = option("broken", "");
	const long long *stats = v->stats.v;
	int i;

	read_stats(-1, &v->stats);
	for (i = 0; i < PV_NR_STATS; i++)
		if (!strcmp(broken, pv_stat_names[i]) && !stats[i])
			fail(v, "none of the deadlines was %s", broken);
	if (*broken)
		return;
	/*
	 * The module has a comparator of equality that is slow to be written: what passes
	 * meanwhile interrupts, while it is armed again a little later.
	 */
	if (!too_slow() && !*option("module", "") &&
	    stats[PV_EARLY] * 1000 > stats[PV_EVENTS] * EARLY_PERMILLE)
		fail(v, "%lld early interrupts beside %lld events", stats[PV_EARLY],
		     stats[PV_EVENTS]);
	if (stats[PV_REFUSED])
		fail(v, "%lld refused deadlines beside %lld events", stats[PV_REFUSED],
		     stats[PV_EVENTS]);
	if (stats[PV_LOST] * 1000 > stats[PV_EVENTS] * LOST_PERMILLE)
		fail(v, "%lld lost interrupts beside %lld events", stats[PV_LOST],
		     stats[PV_EVENTS]);
}

static unsigned long long interrupts(void)
{
	char buf[16384], *intr;

	read_file("/proc/stat", buf, sizeof(buf));
	intr = strstr(buf, "\nintr ");
	return intr ? strtoull(intr + 6, NULL, 10) : 0;
}

static unsigned long long jiffies(void)
{
	char buf[32768], *line;

	read_file("/proc/timer_list", buf, sizeof(buf));
	line = strstr(buf, "\njiffies: ");
	return line ? strtoull(line + 10, NULL, 10) : 0;
}

/*
 * An idle second: is there an interrupt for every jiffy of every CPU? One keeps the time if
 * others may have no tick while they are busy, and one may keep its tick.
 */
static void check_nohz(struct verdict *v)
{
	bool expected = strcmp(option("mode", "default"), "nohz-off");
	int keeper = !strcmp(option("mode", "default"), "nohz-full") ||
		     may_keep_ticking(v->cpus);
	unsigned long long irqs, ticks;

	ticks = jiffies();
	irqs = interrupts();
	sleep(1);
	irqs = interrupts() - irqs;
	ticks = jiffies() - ticks;
	if (!ticks)
		fail(v, "no jiffies in /proc/timer_list");
	v->nohz = irqs < ticks * (v->cpus + keeper) / 2;
	if (v->nohz != expected)
		fail(v, "%llu interrupts in %llu idle jiffies of %d CPUs", irqs,
		     ticks, v->cpus);
}

/**
 * check_leaks() - Have the kernel look for memory that nothing points to
 * @v: gets the reasons if there is some
 *
 * Only some debug kernels look for it.
 */
void check_leaks(struct verdict *v)
{
	char leaks[1024];

	if (access(KMEMLEAK, F_OK))
		return;
	sleep(LEAK_AGE + 1);
	/* What it sees for the first time may have been written to since */
	if (write_file(KMEMLEAK, "scan") || write_file(KMEMLEAK, "scan"))
		die(KMEMLEAK);
	if (read_file(KMEMLEAK, leaks, sizeof(leaks)) > 0)
		fail(v, "kmemleak: %s", leaks);
}

/* A tick, unless Linux uses the device as a one-shot */
static void check_resolution(struct verdict *v)
{
	bool oneshot, expected = strcmp(option("mode", "default"), "highres-off");
	struct timespec ts;

	if (strcmp(option("device", "pv_timer"), "pv_timer"))
		return;
	if (clock_getres(CLOCK_MONOTONIC, &ts))
		die("clock_getres");
	oneshot = ts.tv_nsec == 1;
	if (oneshot != expected)
		fail(v, "timers have a resolution of %ld ns", ts.tv_nsec);
}

/*
 * The list of registered devices is not readable, but a device that is not on
 * it cannot be unbound: that gives -ENODEV. Any other answer, and success,
 * means that there was one. This unbinds it, so do it last.
 */
static bool registered(const char *name)
{
	return write_file(CLOCKEVENTS "/clockevent0/unbind_device", name) !=
	       -ENODEV;
}

static void check_legacy(struct verdict *v)
{
	static const char * const legacy[] = {
		"lapic", "lapic-deadline", "posix-timer", "xen",
		"Hyper-V clockevent", "riscv_timer_clockevent",
		"goldfish_timer",
	};
	const char *expected = option("legacy", "absent");
	const char *found = "none";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(legacy); i++) {
		if (!strcmp(legacy[i], v->clockevent) || registered(legacy[i]))
			found = legacy[i];
	}
	v->legacy = strcmp(found, "none");
	if (strcmp(v->legacy ? "present" : "absent", expected))
		fail(v, "legacy device %s, should be %s", found, expected);
}

/**
 * run_checks() - Look at everything that the tests do not see
 * @v: gets what is found, and the reasons if it is not as expected
 */
void run_checks(struct verdict *v)
{
	check_cpus(v);
	check_devices(v);
	check_backend(v);
	check_available(v);
	check_stats(v);
	check_nohz(v);
	check_resolution(v);
	check_leaks(v);
	check_legacy(v);
	check_taint(v);
	check_log(v);
}
