// SPDX-License-Identifier: GPL-2.0
/*
 * Is pv_timer what ticks, on every CPU? Without this, all other tests pass on
 * the device that a broken backend leaves in charge.
 */
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "common.h"

#define VDSO_CALLS	1000
#define CLOCKSOURCE	"/sys/devices/system/clocksource/clocksource0/"

/* Is it in a list of "name(rating)"? */
static bool word_in(const char *word, char *list)
{
	char *each, *save = NULL;

	for (each = strtok_r(list, " ", &save); each; each = strtok_r(NULL, " ", &save)) {
		each[strcspn(each, "(")] = 0;
		if (!strcmp(each, word))
			return true;
	}
	return false;
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

TEST(backend_is_the_one_asked_for)
{
	char current[64], available[1024], asked[64];
	const char *absent = pv_timer_absent();

	if (absent)
		SKIP(return, "%s", absent);
	if (!cmdline_value("pv_timer", asked, sizeof(asked)))
		SKIP(return, "no pv_timer= on the kernel command line");
	read_line("/sys/kernel/pv_timer/current_backend", current, sizeof(current));
	read_line("/sys/kernel/pv_timer/available_backends", available, sizeof(available));
	if (!word_in(asked, available))
		SKIP(return, "there is no backend '%s' here", asked);
	EXPECT_STREQ(asked, current)
		TH_LOG("backend does not work: %s is present but %s is in use",
		       asked, current);
}

/* The clocks that are no function of the counter of this backend, or of any */
static bool is_another_clock(const char *name, const char *backend)
{
	return !strcmp(name, "acpi_pm") || !strcmp(name, "hpet") ||
	       (!strncmp(backend, "lapic", 5) && strcmp(name, "tsc"));
}

/*
 * A deadline is one multiplication where the kernel's clock is a function of the
 * counter. That it is not is seen in nothing else, as deadlines are still met.
 */
TEST(clock_is_coupled)
{
	const char *absent = pv_timer_absent();
	char current[64], backend[64] = "";

	if (absent)
		SKIP(return, "%s", absent);
	read_line(CLOCKSOURCE "current_clocksource", current, sizeof(current));
	read_line("/sys/kernel/pv_timer/current_backend", backend, sizeof(backend));
	if (is_another_clock(current, backend))
		SKIP(return, "clocksource %s is another clock than that of %s", current,
		     backend);
	TH_LOG("clocksource %s, ticks per ns * 2^56: %lld", current, coupling());
	EXPECT_GT(coupling(), 0)
		TH_LOG("uncoupled: each deadline reads clocksource %s", current);
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

/* Some have no vDSO mode, or only if the host says that all CPUs read the same */
static bool may_lack_vdso(const char *name)
{
	static const char * const names[] = {
		"kvm-clock", "xen", "hyperv_clocksource_msr", "goldfish", "goldfish_timer",
		"timer", "vmi-timer", "acpi_pm", "hpet",
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

TEST(clock_read_makes_no_syscall)
{
	long long calls = clock_syscalls(VDSO_CALLS);
	char current[64];

	if (calls < 0)
		SKIP(return, "no ptrace()");
	TH_LOG("clock_gettime() %lld ns, as a system call %lld ns",
	       clock_cost(false), clock_cost(true));
	read_line(CLOCKSOURCE "current_clocksource", current, sizeof(current));
	if (calls && may_lack_vdso(current))
		SKIP(return, "clocksource %s has no vDSO mode here", current);
	EXPECT_EQ(0, calls)
		TH_LOG("%lld of %d clock reads on %s were system calls", calls,
		       VDSO_CALLS, current);
}

TEST_HARNESS_MAIN
