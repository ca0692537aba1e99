// SPDX-License-Identifier: GPL-2.0
/*
 * Deadlines that are further away than a counter of 32 bits reaches. The device holds
 * them while nothing else is wanted, and is not early on the way.
 */
#include <pthread.h>
#include <sys/timerfd.h>

#include "../kselftest_harness.h"
#include "common.h"

struct far {
	int cpu;
	int other;
	long long due;
	long long ns;
	long long ahead;
	struct pv_stats stats;
};

/*
 * How far away is what the device of that CPU holds, at most? The kernel has timers of its
 * own now and then. And what was early by then? Not only just.
 */
static void *watch_device(void *arg)
{
	struct far *far = arg;
	struct timespec step = ns_to_ts(far->ns / 200), end = ns_to_ts(far->due - far->ns / 32);
	long long ahead;
	int i;

	pin(far->other);
	for (i = 0; i < 100; i++) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
		ahead = next_interrupt(far->cpu) - now_ns(CLOCK_MONOTONIC);
		if (ahead > far->ahead)
			far->ahead = ahead;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
	read_stats(far->cpu, &far->stats);
	return NULL;
}

FIXTURE(far)
{
	struct far far;
	struct pv_stats before;
	pthread_t watcher;
	int fd;
};

FIXTURE_VARIANT(far)
{
	long long ns;
	long long ahead;
};

/*
 * Some times 2^32 ns, a hundred times that, and an hour. The kernel looks after its random
 * numbers every five minutes, and more often after boot.
 */
FIXTURE_VARIANT_ADD(far, twenty_seconds)
{
	.ns = 20 * SEC, .ahead = 1LL << 32,
};

FIXTURE_VARIANT_ADD(far, seven_minutes)
{
	.ns = 430 * SEC, .ahead = 30 * SEC,
};

FIXTURE_VARIANT_ADD(far, hour)
{
	.ns = 3600 * SEC, .ahead = 200 * SEC,
};

FIXTURE_SETUP(far)
{
	struct itimerspec it = {};

	if (boot_mode() != MODE_FAR)
		SKIP(return, "so long is slept where it takes no time, in mode far");
	if (pv_timer_absent())
		SKIP(return, "%s", pv_timer_absent());
	two_cpus(&self->far.cpu, &self->far.other);
	self->fd = timerfd_create(CLOCK_MONOTONIC, 0);
	ASSERT_TRUE(pin(self->far.cpu));
	self->far.ns = variant->ns;
	self->far.due = now_ns(CLOCK_MONOTONIC) + variant->ns;
	it.it_value = ns_to_ts(self->far.due);
	ASSERT_EQ(0, timerfd_settime(self->fd, TFD_TIMER_ABSTIME, &it, NULL));
	read_stats(self->far.cpu, &self->before);
	ASSERT_EQ(0, pthread_create(&self->watcher, NULL, watch_device, &self->far));
}

FIXTURE_TEARDOWN(far)
{
	close(self->fd);
}

/*
 * A timer that is capped at 2^32 ns is early each 2^32 ns. One that is limited gets a
 * far deadline in pieces, the first of which may each be early by a little: half as
 * many as that.
 */
TEST_F_TIMEOUT(far, reaches_the_device, 4000)
{
	long long late, early, limit = variant->ns / (2LL << 32);
	unsigned long long ticks;

	ASSERT_EQ(sizeof(ticks), read(self->fd, &ticks, sizeof(ticks)));
	late = now_ns(CLOCK_MONOTONIC) - self->far.due;
	pthread_join(self->watcher, NULL);
	early = self->far.stats.v[PV_EARLY] - self->before.v[PV_EARLY];
	TH_LOG("CPU %d: told of the next %lld s, %lld early interrupts, late by %lld us",
	       self->far.cpu, self->far.ahead / SEC, early, late / USEC);
	EXPECT_GT(self->far.ahead, variant->ahead)
		TH_LOG("the device of CPU %d was told of the next %lld ms at most",
		       self->far.cpu, self->far.ahead / MSEC);
	EXPECT_LE(early, limit)
		TH_LOG("device is capped: %lld early interrupts on CPU %d in %lld s",
		       early, self->far.cpu, variant->ns / SEC);
	EXPECT_LT(late, LOST_AFTER)
		TH_LOG("lost timer: %lld ms late after %lld s", late / MSEC,
		       variant->ns / SEC);
}

TEST_HARNESS_MAIN
