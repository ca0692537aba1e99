// SPDX-License-Identifier: GPL-2.0
/*
 * Deadlines in the past, moved, taken back and many at once. None is lost, and what
 * was taken back does not interrupt.
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "../kselftest_harness.h"
#include "common.h"

#define MANY		500
#define ROUNDS		30

static int arm_fd(int fd, bool abs, struct timespec value)
{
	struct itimerspec it = { .it_value = value };

	return timerfd_settime(fd, abs ? TFD_TIMER_ABSTIME : 0, &it, NULL);
}

/* Does it fire within @ns? */
static bool fires(int fd, long long ns)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct timespec timeout = ns_to_ts(ns);

	return ppoll(&pfd, 1, &timeout, NULL) == 1;
}

FIXTURE(deadline)
{
	int fd;
};

FIXTURE_SETUP(deadline)
{
	self->fd = timerfd_create(CLOCK_MONOTONIC, 0);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(deadline)
{
	close(self->fd);
}

struct wake {
	int cpu;
	int fd;
};

/* From another CPU, so that the one that sleeps has no timer */
static void *wake_later(void *arg)
{
	struct timespec pause = ns_to_ts(30 * MSEC);
	struct wake *wake = arg;

	pin(wake->cpu);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	return (void *)(write(wake->fd, "", 1));
}

/*
 * The core leaves a deadline armed that nobody wants, and knows its interrupt. One that it
 * did not expect is a second one. A hypervisor may be early now and then: not each fourth
 * time.
 */
TEST_F(deadline, cancelled)
{
	struct pv_stats before, after;
	struct wake wake;
	pthread_t waker;
	long long unexpected;
	int cpu, i, p[2];
	char byte;

	if (pv_timer_absent())
		SKIP(return, "%s", pv_timer_absent());
	if (too_slow())
		SKIP(return, "%s", too_slow());
	two_cpus(&cpu, &wake.cpu);
	ASSERT_EQ(0, pipe(p));
	wake.fd = p[1];
	ASSERT_TRUE(pin(cpu));
	read_stats(cpu, &before);
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, pthread_create(&waker, NULL, wake_later, &wake));
		ASSERT_EQ(0, arm_fd(self->fd, false, ns_to_ts(20 * MSEC)));
		ASSERT_EQ(0, arm_fd(self->fd, false, ns_to_ts(0)));
		ASSERT_EQ(1, read(p[0], &byte, 1));
		pthread_join(waker, NULL);
	}
	read_stats(cpu, &after);
	TH_LOG("CPU %d has stopped its tick %lld times, %lld superseded", cpu,
	       after.v[PV_STOPPED] - before.v[PV_STOPPED],
	       after.v[PV_SUPERSEDED] - before.v[PV_SUPERSEDED]);
	unexpected = after.v[PV_SPURIOUS] + after.v[PV_EARLY] -
		     before.v[PV_SPURIOUS] - before.v[PV_EARLY];
	EXPECT_LT(unexpected, ROUNDS / 4)
		TH_LOG("backend fires unarmed: %lld times in %d rounds on CPU %d",
		       unexpected, ROUNDS, cpu);
}

TEST_F(deadline, in_the_past)
{
	long long start, took;
	int i;

	for (i = 0; i < 60; i++) {
		long long now = now_ns(CLOCK_MONOTONIC);
		long long past[] = { 1, now / 2, now - 1 };
		struct timespec ts = ns_to_ts(past[i % ARRAY_SIZE(past)]);

		start = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, arm_fd(self->fd, true, ts));
		EXPECT_TRUE(fires(self->fd, LOST_AFTER))
			TH_LOG("lost timer: a deadline in the past never fires");
		ASSERT_EQ(0, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
					     &ts, NULL));
		took = now_ns(CLOCK_MONOTONIC) - start;
		EXPECT_LT(took, LOST_AFTER)
			TH_LOG("lost timer: deadlines in the past took %lld ms",
			       took / MSEC);
	}
}

static void expect_fires_at(struct __test_metadata *_metadata, int fd,
			    long long earliest, const char *what)
{
	EXPECT_TRUE(fires(fd, 2 * LOST_AFTER))
		TH_LOG("lost timer: %s, it does not fire", what);
	EXPECT_GE(now_ns(CLOCK_MONOTONIC), earliest)
		TH_LOG("early: %s", what);
	EXPECT_LT(now_ns(CLOCK_MONOTONIC), earliest + LOST_AFTER)
		TH_LOG("lost timer: %s", what);
}

/* On each CPU, as each has a device of its own */
static void expect_moved(struct __test_metadata *_metadata, int fd, long long from,
			 long long to, const char *what)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), cpu, i;
	long long start;

	for (cpu = 0; cpu < nr; cpu++) {
		ASSERT_TRUE(pin(cpus[cpu]));
		for (i = 0; i < ROUNDS; i++) {
			ASSERT_EQ(0, arm_fd(fd, false, ns_to_ts(from)));
			start = now_ns(CLOCK_MONOTONIC);
			ASSERT_EQ(0, arm_fd(fd, false, ns_to_ts(to)));
			expect_fires_at(_metadata, fd, start + to, what);
		}
	}
}

TEST_F(deadline, moved_earlier)
{
	expect_moved(_metadata, self->fd, 10 * SEC, 10 * MSEC, "moved from 10 s to 10 ms");
}

TEST_F(deadline, moved_later)
{
	expect_moved(_metadata, self->fd, 10 * MSEC, 30 * MSEC, "moved from 10 ms to 30 ms");
}

TEST_F(deadline, moved_often)
{
	long long start;
	int i;

	for (i = 0; i < ROUNDS * 50; i++) {
		start = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, arm_fd(self->fd, false,
				    ns_to_ts((10 + 37 * i % 80) * MSEC)));
		if (i % 50)
			continue;
		expect_fires_at(_metadata, self->fd, start + (10 + 37 * i % 80) * MSEC,
				"moved fifty times");
	}
}

struct many {
	int epoll;
	int fd[MANY];
	long long due[MANY];
	bool fired[MANY];
};

/* Deadlines within the next half second, in no order. */
static bool arm_many(struct many *m)
{
	struct epoll_event ev = { .events = EPOLLIN };
	unsigned int i, ms = 1;

	m->epoll = epoll_create1(0);
	for (i = 0; i < MANY; i++) {
		ms = (ms * 211 + 47) % 499;
		m->fired[i] = false;
		m->fd[i] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
		m->due[i] = now_ns(CLOCK_MONOTONIC) + (ms + 10) * MSEC + i;
		ev.data.u32 = i;
		if (arm_fd(m->fd[i], true, ns_to_ts(m->due[i])) ||
		    epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->fd[i], &ev))
			return false;
	}
	return true;
}

static void close_many(struct many *m)
{
	int i;

	for (i = 0; i < MANY; i++)
		close(m->fd[i]);
	close(m->epoll);
}

/*
 * It may take a second to arm them, or to read them. So one that is late is lost if it
 * had not fired when all were looked at before, or if it was waited for.
 */
static void expect_many(struct __test_metadata *_metadata, struct many *m)
{
	int left = MANY, nr, i;
	struct epoll_event ev[MANY];
	unsigned long long ticks;
	long long now, begin, last = 0;

	for (; left > 0; last = now) {
		begin = now_ns(CLOCK_MONOTONIC);
		nr = epoll_wait(m->epoll, ev, MANY, 2 * LOST_AFTER / MSEC);
		ASSERT_GT(nr, 0)
			TH_LOG("lost timer: %d of %d never fired", left, MANY);
		now = now_ns(CLOCK_MONOTONIC);
		for (i = 0; i < nr; i++, left--) {
			unsigned int n = ev[i].data.u32;

			ASSERT_EQ(sizeof(ticks),
				  read(m->fd[n], &ticks, sizeof(ticks)));
			EXPECT_EQ(1, ticks);
			EXPECT_FALSE(m->fired[n]);
			m->fired[n] = true;
			EXPECT_GE(now, m->due[n])
				TH_LOG("early: by %lld ns", m->due[n] - now);
			EXPECT_LT(last, m->due[n] + LOST_AFTER)
				TH_LOG("lost timer: one of %d", MANY);
			EXPECT_LT(now, (m->due[n] > begin ? m->due[n] : begin) + LOST_AFTER)
				TH_LOG("lost timer: one of %d is late", MANY);
		}
	}
}

TEST(many_at_once)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus), cpu;
	struct many m;

	for (cpu = 0; cpu < nr; cpu++) {
		ASSERT_TRUE(pin(cpus[cpu]));
		ASSERT_TRUE(arm_many(&m));
		expect_many(_metadata, &m);
		close_many(&m);
	}
}

TEST_HARNESS_MAIN
