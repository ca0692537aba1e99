// SPDX-License-Identifier: GPL-2.0
/*
 * Is pv_timer what ticks, on every CPU? Without this, all other tests pass on
 * the device that a broken backend leaves in charge.
 */
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "common.h"

#define VDSO_CALLS	1000
#define CLOCK_READS	10000000
#define CLOCKSOURCE	"/sys/devices/system/clocksource/clocksource0/"

/* Splits "name(rating)", returns the rating or -1. */
static int parse_backend(char *word)
{
	char *paren = strchr(word, '(');
	int rating = -1;

	if (!paren || sscanf(paren, "(%d)", &rating) != 1)
		return -1;
	*paren = 0;
	return rating;
}

static bool word_in(const char *word, const char *list)
{
	char copy[256], *each, *save = NULL;

	snprintf(copy, sizeof(copy), "%s", list);
	for (each = strtok_r(copy, " ", &save); each;
	     each = strtok_r(NULL, " ", &save)) {
		parse_backend(each);
		if (!strcmp(each, word))
			return true;
	}
	return false;
}

static void read_backends(char *current, char *available, size_t size)
{
	read_line("/sys/kernel/pv_timer/current_backend", current, size);
	read_line("/sys/kernel/pv_timer/available_backends", available, size);
}

TEST(pv_timer_on_every_cpu)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;
	const char *absent = pv_timer_absent();
	char device[64];

	if (absent)
		SKIP(return, "%s", absent);
	ASSERT_GT(nr, 0);
	for (i = 0; i < nr; i++) {
		read_device(cpus[i], device, sizeof(device));
		EXPECT_STREQ("pv_timer", device)
			TH_LOG("CPU %d ticks through '%s'", cpus[i], device);
	}
}

TEST(current_backend_is_available)
{
	const char *absent = pv_timer_absent();
	char current[256], available[256];

	if (absent)
		SKIP(return, "%s", absent);
	read_backends(current, available, sizeof(current));
	EXPECT_TRUE(word_in(current, available))
		TH_LOG("backend '%s' is in use, available are '%s'",
		       current, available);
}

TEST(backends_are_listed_best_first)
{
	const char *absent = pv_timer_absent();
	char current[256], available[256], *each, *save = NULL;
	int rating, last = 1 << 30;

	if (absent)
		SKIP(return, "%s", absent);
	read_backends(current, available, sizeof(current));
	for (each = strtok_r(available, " ", &save); each;
	     each = strtok_r(NULL, " ", &save)) {
		rating = parse_backend(each);
		EXPECT_GT(rating, 0)
			TH_LOG("'%s' is not name(rating)", each);
		EXPECT_LE(rating, last)
			TH_LOG("%s is listed after a lower rating", each);
		last = rating;
	}
}

TEST(backend_is_the_one_asked_for)
{
	char current[256], available[256], asked[64];
	const char *absent = pv_timer_absent();

	if (absent)
		SKIP(return, "%s", absent);
	if (!cmdline_value("pv_timer", asked, sizeof(asked)))
		SKIP(return, "no pv_timer= on the kernel command line");
	read_backends(current, available, sizeof(current));
	if (!word_in(asked, available))
		SKIP(return, "there is no backend '%s' here", asked);
	EXPECT_STREQ(asked, current)
		TH_LOG("backend does not work: %s is present but %s is in use",
		       asked, current);
}

TEST(clocksource_is_available)
{
	char current[64], available[256];

	ASSERT_TRUE(read_line(CLOCKSOURCE "current_clocksource", current,
			      sizeof(current)));
	ASSERT_TRUE(read_line(CLOCKSOURCE "available_clocksource", available,
			      sizeof(available)));
	EXPECT_TRUE(word_in(current, available))
		TH_LOG("clocksource '%s' is in use, available are '%s'",
		       current, available);
	EXPECT_STRNE("jiffies", current)
		TH_LOG("the tick is its own clock, it cannot be stopped");
}

TEST(clock_advances_on_every_cpu)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i, reads;

	for (i = 0; i < nr; i++) {
		long long start, now;

		ASSERT_TRUE(pin(cpus[i]));
		start = now_ns(CLOCK_MONOTONIC_RAW);
		now = start;
		for (reads = 0; reads < CLOCK_READS && now == start; reads++)
			now = now_ns(CLOCK_MONOTONIC_RAW);
		EXPECT_GT(now, start)
			TH_LOG("the clock stands still on CPU %d", cpus[i]);
		EXPECT_LT(now, start + 10 * SEC)
			TH_LOG("the clock leaps on CPU %d", cpus[i]);
	}
}

static long long clock_cost(bool force_syscall)
{
	long long start = now_ns(CLOCK_MONOTONIC);
	struct timespec ts;
	int i;

	for (i = 0; i < VDSO_CALLS; i++) {
		if (force_syscall)
			syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
		else
			clock_gettime(CLOCK_MONOTONIC, &ts);
	}
	return (now_ns(CLOCK_MONOTONIC) - start) / VDSO_CALLS;
}

/*
 * kvm-clock has a vDSO mode where the host says that it is the same on all
 * CPUs, which cannot be seen from here. The two others have it always.
 */
TEST(clock_read_makes_no_syscall)
{
	long long calls = clock_syscalls(VDSO_CALLS);
	char current[64];
	bool vdso;

	if (calls < 0)
		SKIP(return, "no ptrace()");
	vdso = calls < VDSO_CALLS / 10;
	TH_LOG("clock_gettime() %lld ns, as a system call %lld ns",
	       clock_cost(false), clock_cost(true));
	read_line(CLOCKSOURCE "current_clocksource", current, sizeof(current));
	if (!vdso && strncmp(current, "tsc", 3) &&
	    strcmp(current, "hyperv_clocksource_tsc_page"))
		SKIP(return, "clocksource %s has no vDSO mode here", current);
	EXPECT_TRUE(vdso)
		TH_LOG("%lld of %d clock reads on %s were system calls", calls,
		       VDSO_CALLS, current);
}

TEST_HARNESS_MAIN
