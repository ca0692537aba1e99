// SPDX-License-Identifier: GPL-2.0
/*
 * A CPU goes offline and comes back while timers are pending on it. None is
 * lost, and the CPU ticks through the same device as before.
 */
#include <poll.h>
#include <sys/timerfd.h>

#include "../kselftest_harness.h"
#include "common.h"

#define ROUNDS		20
#define PENDING		16
#define SLEEPS		11

static bool can_go_offline(int cpu)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
		 cpu);
	return !access(path, W_OK);
}

FIXTURE(hotplug)
{
	int cpu;
	int home;
	char device[64];
	int fd[PENDING];
	long long due[PENDING];
};

FIXTURE_SETUP(hotplug)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;
	char backend[64];

	if (nr < 2)
		SKIP(return, "one CPU only");
	if (cmdline_value("pv_timer", backend, sizeof(backend)) &&
	    !strncmp(backend, "broken-drop", 11))
		SKIP(return, "a CPU alone cannot notice that it has lost a timer");
	self->home = cpus[0];
	self->cpu = cpus[nr - 1];
	if (!can_go_offline(self->cpu))
		SKIP(return, "CPU %d cannot be taken offline", self->cpu);
	read_device(self->cpu, self->device, sizeof(self->device));
	for (i = 0; i < PENDING; i++)
		self->fd[i] = timerfd_create(CLOCK_MONOTONIC, 0);
}

FIXTURE_TEARDOWN(hotplug)
{
	if (self->cpu)
		set_online(self->cpu, true);
}

/* Some are due while the CPU goes, the others when it is away or back. */
static void arm_pending(struct __test_metadata *_metadata,
			FIXTURE_DATA(hotplug) * self)
{
	struct itimerspec it = {};
	int i;

	ASSERT_TRUE(pin(self->cpu));
	for (i = 0; i < PENDING; i++) {
		self->due[i] = now_ns(CLOCK_MONOTONIC) + (2 + i * i) * MSEC / 2;
		it.it_value = ns_to_ts(self->due[i]);
		ASSERT_EQ(0, timerfd_settime(self->fd[i], TFD_TIMER_ABSTIME,
					     &it, NULL));
	}
	ASSERT_TRUE(pin(self->home));
}

/* One that is due before it is looked at has fired by then */
static void expect_pending(struct __test_metadata *_metadata,
			   FIXTURE_DATA(hotplug) * self, int round)
{
	struct pollfd pfd = { .events = POLLIN };
	unsigned long long ticks;
	long long begin, end;
	int i;

	for (i = 0; i < PENDING; i++) {
		pfd.fd = self->fd[i];
		begin = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(1, poll(&pfd, 1, 2 * LOST_AFTER / MSEC))
			TH_LOG("lost timer: %d in round %d", i, round);
		end = now_ns(CLOCK_MONOTONIC);
		EXPECT_GE(end, self->due[i])
			TH_LOG("early: timer %d in round %d", i, round);
		if (begin < self->due[i])
			begin = self->due[i];
		EXPECT_LT(end - begin, LOST_AFTER)
			TH_LOG("lost timer: %d in round %d is late by %lld ms", i, round,
			       (end - begin) / MSEC);
		ASSERT_EQ(sizeof(ticks), read(pfd.fd, &ticks, sizeof(ticks)));
	}
}

/* As a one-shot device does: a periodic tick would serve it up to a period late */
static void expect_timer_works(struct __test_metadata *_metadata,
			       FIXTURE_DATA(hotplug) * self, int round)
{
	long long late[SLEEPS], start;
	struct timespec ts;
	char device[64];
	int i;

	read_device(self->cpu, device, sizeof(device));
	EXPECT_STREQ(self->device, device)
		TH_LOG("CPU %d is back with '%s' in round %d", self->cpu,
		       device, round);
	ASSERT_TRUE(pin(self->cpu));
	for (i = 0; i < SLEEPS; i++) {
		start = now_ns(CLOCK_MONOTONIC) + 2 * MSEC;
		ts = ns_to_ts(start);
		ASSERT_EQ(0, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
		late[i] = now_ns(CLOCK_MONOTONIC) - start;
		EXPECT_GE(late[i], 0)
			TH_LOG("early: CPU %d in round %d", self->cpu, round);
	}
	qsort(late, SLEEPS, sizeof(*late), compare_ns);
	EXPECT_LT(late[SLEEPS / 2], lateness_limit())
		TH_LOG("late: sleeps on CPU %d in round %d, median %lld us", self->cpu,
		       round, late[SLEEPS / 2] / USEC);
	EXPECT_LT(late[SLEEPS - 1], LOST_AFTER)
		TH_LOG("lost timer: CPU %d in round %d", self->cpu, round);
}

/* In every other round the CPU is back before the last timer is due. */
TEST_F_TIMEOUT(hotplug, no_timer_is_lost, 90)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		arm_pending(_metadata, self);
		ASSERT_TRUE(set_online(self->cpu, false));
		if (round % 2)
			expect_pending(_metadata, self, round);
		ASSERT_TRUE(set_online(self->cpu, true))
			TH_LOG("CPU %d does not come back in round %d",
			       self->cpu, round);
		if (round % 2 == 0)
			expect_pending(_metadata, self, round);
		expect_timer_works(_metadata, self, round);
	}
}

TEST_F(hotplug, tick_works_afterwards)
{
	long long before, after, missed, ticks;

	ASSERT_TRUE(set_online(self->cpu, false));
	ASSERT_TRUE(set_online(self->cpu, true));
	ASSERT_TRUE(pin(self->cpu));
	before = timer_interrupts(self->cpu);
	if (before < 0)
		SKIP(return, "no known timer line in /proc/interrupts");
	missed = spin(SEC) / tick_ns();
	after = timer_interrupts(self->cpu);
	ticks = SEC / tick_ns();
	EXPECT_GE(after - before, least_ticks(ticks, missed))
		TH_LOG("no tick on CPU %d: %lld interrupts in %lld jiffies",
		       self->cpu, after - before, ticks);
}

TEST_HARNESS_MAIN
