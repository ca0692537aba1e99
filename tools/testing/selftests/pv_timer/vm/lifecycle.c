// SPDX-License-Identifier: GPL-2.0
/*
 * Does the guest still tick after what a life in a data centre brings? The
 * steps in pvt.steps= are taken one after another, and after each the guest
 * sleeps on each CPU. All the time it has a timer armed on each of them, so
 * that there is one to lose.
 *
 *   host	the host pauses, saves and restores the guest, and says on the
 *		verdict channel what it has done, one line each, "end" at last
 *   hotplug	all CPUs but the first go offline and come back
 *   suspend	to RAM, until the alarm of the RTC: CPUs and timers lose their state
 *   kexec	the kernel pvt.kernel= with pvt.initrd=, both on a file system of
 *		the host, boots in place of this one and takes the steps after it
 *   simulate	a sleep of an hour in the time travel of User-Mode Linux
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define MAX_CPUS	64
#define SLEEPS		51
#define HOTPLUGS	50
#define SUSPENDS	3
#define MAX_ALARM	16
#define CHECKS		20
#define HOUR		3600
#define FILES		"/mnt"
#define RTC		"/sys/class/rtc/rtc0"

/* Not every architecture has it */
#ifndef SYS_kexec_file_load
#define SYS_kexec_file_load	-1
#endif

static const struct timespec one_ms = { .tv_nsec = 1000000 };

static pid_t load[MAX_CPUS];

static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* It has to come back to a CPU that was offline */
static pid_t start_load(int cpu)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	while (!pid) {
		pin(cpu);
		nanosleep(&one_ms, NULL);
	}
	return pid;
}

static void stop_load(void)
{
	int cpu;

	for (cpu = 0; cpu < MAX_CPUS && load[cpu]; cpu++) {
		kill(load[cpu], SIGKILL);
		waitpid(load[cpu], NULL, 0);
		load[cpu] = 0;
	}
}

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* By how many ms a sleep on @cpu is late: the median */
static double lateness(int cpu)
{
	double late[SLEEPS];
	int i;

	if (!pin(cpu))
		die("sched_setaffinity");
	for (i = 0; i < SLEEPS; i++) {
		late[i] = uptime();
		nanosleep(&one_ms, NULL);
		late[i] = (uptime() - late[i]) * 1000 - 1;
	}
	qsort(late, SLEEPS, sizeof(*late), compare_doubles);
	return late[SLEEPS / 2];
}

/* The coarse clock has the resolution of the tick */
static double period_ms(void)
{
	struct timespec ts;

	clock_getres(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_nsec / 1e6;
}

/* One test: each CPU ticks within a period. Return: the worst lateness */
static double check_tick(struct verdict *v, const char *after)
{
	double late, worst = 0;
	int cpu;

	for (cpu = 0; cpu < get_nprocs(); cpu++) {
		late = lateness(cpu);
		if (late > period_ms())
			fail(v, "after %s: CPU%d late by %.1f ms", after, cpu,
			     late);
		if (late > worst)
			worst = late;
	}
	v->plan++;
	v->ok += worst <= period_ms();
	return worst;
}

static void tell_state(const char *after, double worst)
{
	struct verdict stats = { };

	read_stats(&stats);
	tell("note after %s: %.3f ms late, events=%llu early=%llu lost=%llu refused=%llu",
	     after, worst, stats.events, stats.early, stats.lost, stats.refused);
}

static void serve_host(struct verdict *v)
{
	char path[64], line[128];
	FILE *host;

	snprintf(path, sizeof(path), "/dev/%s", option("verdict", "ttyS1"));
	host = fopen(path, "r");
	if (!host)
		die(path);
	while (fgets(line, sizeof(line), host) && strcmp(line, "end\n")) {
		line[strcspn(line, "\n")] = '\0';
		tell_state(line, check_tick(v, line));
	}
	fclose(host);
}

static void set_online(int cpu, const char *value)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	if (write_file(path, value))
		die(path);
}

static void replug_cpus(struct verdict *v)
{
	int round, cpu, cpus = get_nprocs();
	double late, worst = 0;
	char after[32];

	for (round = 1; round <= HOTPLUGS; round++) {
		for (cpu = 1; cpu < cpus; cpu++)
			set_online(cpu, "0");
		for (cpu = 1; cpu < cpus; cpu++)
			set_online(cpu, "1");
		snprintf(after, sizeof(after), "hotplug %d", round);
		late = check_tick(v, after);
		if (late > worst)
			worst = late;
		if (round % 10 == 0)
			tell_state(after, worst);
	}
}

/* Seconds that the monotonic clock has not counted */
static double not_counted(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return uptime() - ts.tv_sec - ts.tv_nsec / 1e9;
}

/* Return: was it asleep, or was the alarm over by the time that it would be? */
static bool sleep_until_alarm(int seconds)
{
	double before = not_counted();
	char alarm[16];

	snprintf(alarm, sizeof(alarm), "+%d", seconds);
	if (write_file(RTC "/wakealarm", alarm))
		die(RTC);
	if (write_file("/sys/power/state", "mem"))
		die("/sys/power/state");
	return not_counted() - before > 0.5;
}

/*
 * Its clock goes on by the RTC, in whole seconds: the host compares it no longer.
 * On a slow host it takes more than one of them to fall asleep.
 */
static void suspend_to_ram(struct verdict *v)
{
	int round, seconds = 2;
	char after[32];

	tell("end %.6f", uptime());
	for (round = 1; round <= SUSPENDS; round++) {
		snprintf(after, sizeof(after), "suspend %d", round);
		while (!sleep_until_alarm(seconds)) {
			tell("note %s: awake at the alarm, %d s later", after,
			     seconds);
			if (seconds == MAX_ALARM) {
				fail(v, "%s: it was awake", after);
				break;
			}
			seconds *= 2;
		}
		tell_state(after, check_tick(v, after));
	}
}

static int open_file(const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), FILES "%s", option(name, ""));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

/* The same parameters but for the steps, and what has been tested so far */
static void next_cmdline(const struct verdict *v, char *line, size_t size)
{
	const char *left = strstr(option("steps", ""), "kexec") + strlen("kexec");
	char old[4096], *word, *save;
	size_t len = 0;

	read_file("/proc/cmdline", old, sizeof(old));
	for (word = strtok_r(old, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		if (strncmp(word, "pvt.steps=", 10))
			len += snprintf(line + len, size - len, "%s ", word);
	}
	snprintf(line + len, size - len, "pvt.steps=booted%s pvt.before=%d", left,
		 v->ok);
}

/* What this kernel has to be blamed for, the next one cannot tell */
static void boot_again(struct verdict *v)
{
	char line[4096];

	mkdir(FILES, 0755);
	if (mount("kernel", FILES, "9p", MS_RDONLY,
		  "trans=virtio,version=9p2000.L"))
		die("9p " FILES);
	next_cmdline(v, line, sizeof(line));
	if (syscall(SYS_kexec_file_load, open_file("kernel"), open_file("initrd"),
		    strlen(line) + 1, line, 0))
		die("kexec_file_load");
	stop_load();
	run_checks(v);
	if (v->reason[0])
		return;
	tell("note kexec");
	reboot(RB_KEXEC);
	die("kexec");
}

/* The kernel that kexec has booted starts where the other one stopped */
static void go_on(struct verdict *v)
{
	double late, worst = 0;
	int round;

	v->plan = atoi(option("before", "0"));
	v->ok = v->plan;
	for (round = 0; round < CHECKS; round++) {
		late = check_tick(v, "kexec");
		if (late > worst)
			worst = late;
	}
	tell_state("kexec", worst);
}

/*
 * The host's clock knows nothing of it: an hour goes by in no time there. Only
 * sleeping takes time with an infinitely fast CPU, else what runs does as well.
 */
static void simulate(struct verdict *v)
{
	bool fast = strstr(option("mode", ""), "inf-cpu");
	const struct timespec hour = { .tv_sec = HOUR };
	double late;

	stop_load();
	late = uptime();
	tell("end %.6f", late);
	nanosleep(&hour, NULL);
	late = (uptime() - late - HOUR) * 1000;
	v->plan++;
	if (late >= 0 && late <= (fast ? 1 : 1000))
		v->ok++;
	else
		fail(v, "an hour was late by %.3f ms", late);
	tell("note an hour was late by %.3f ms", late);
	tell_state("an hour", check_tick(v, "an hour"));
}

static const struct {
	const char *name;
	void (*take)(struct verdict *v);
} steps[] = {
	{ "host", serve_host },
	{ "hotplug", replug_cpus },
	{ "suspend", suspend_to_ram },
	{ "kexec", boot_again },
	{ "booted", go_on },
	{ "simulate", simulate },
};

static void take(struct verdict *v, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!strcmp(steps[i].name, name)) {
			steps[i].take(v);
			return;
		}
	}
	fail(v, "there is no step '%s'", name);
}

/**
 * run_lifecycle() - Take the steps in pvt.steps=
 * @v: gets a test for each thing that was done to the guest
 */
void run_lifecycle(struct verdict *v)
{
	char *names = strdup(option("steps", "")), *name, *save;
	int cpu, cpus = get_nprocs();

	for (cpu = 0; cpu < cpus && cpu < MAX_CPUS; cpu++)
		load[cpu] = start_load(cpu);
	for (name = strtok_r(names, ",", &save); name;
	     name = strtok_r(NULL, ",", &save))
		take(v, name);
	stop_load();
	if (!v->plan)
		fail(v, "nothing was done to the guest");
}
