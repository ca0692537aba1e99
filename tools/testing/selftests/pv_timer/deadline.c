// SPDX-License-Identifier: GPL-2.0
/*
 * Deadlines far ahead, in the past, moved, taken back and many at once.
 */
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "../kselftest_harness.h"
#include "common.h"

#define MANY		500
#define YEAR		(365 * 24 * 3600LL)

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

/*
 * Each would fire within 50 ms if its upper half got lost, in nanoseconds or in
 * ticks of a counter of 1 GHz.
 */
TEST_F(deadline, far_ahead)
{
	static const struct timespec ahead[] = {
		{ 4, 294967296 + 50000000 },		/* 2^32 ns + 50 ms */
		{ 8, 589934592 + 50000000 },		/* 2^33 ns + 50 ms */
		{ 1099, 511627776 + 50000000 },		/* 2^40 ns + 50 ms */
		{ 9007199, 254740992 + 50000000 },	/* 2^53 ns + 50 ms */
		{ 1 * YEAR, 0 },
		{ 100 * YEAR, 0 },
		{ LLONG_MAX / SEC, 0 },
		{ LONG_MAX / 2, 0 },
	};
	struct itimerspec left;
	int i;

	for (i = 0; i < ARRAY_SIZE(ahead); i++) {
		ASSERT_EQ(0, arm_fd(self->fd, false, ahead[i]));
		EXPECT_FALSE(fires(self->fd, 150 * MSEC))
			TH_LOG("early: a deadline %ld s ahead fires at once",
			       (long)ahead[i].tv_sec);
		ASSERT_EQ(0, timerfd_gettime(self->fd, &left));
		EXPECT_GT(left.it_value.tv_sec, 3);
		EXPECT_LE(left.it_value.tv_sec, ahead[i].tv_sec);
	}
}

TEST(far_ahead_posix_timer)
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN,
	};
	struct timespec wait = ns_to_ts(150 * MSEC);
	struct itimerspec it = { .it_value = { 8, 589934592 + 50000000 } };
	timer_t timer;
	sigset_t set;
	int i;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &ev, &timer));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, timer_settime(timer, 0, &it, NULL));
		EXPECT_EQ(-1, sigtimedwait(&set, NULL, &wait))
			TH_LOG("early: a deadline %ld s ahead fires at once",
			       (long)it.it_value.tv_sec);
		it.it_value.tv_sec = 100 * YEAR;
	}
	timer_delete(timer);
}

TEST_F(deadline, in_the_past)
{
	long long past[] = { 1, 0, 0 }, start, took;
	int i;

	past[1] = now_ns(CLOCK_MONOTONIC) / 2;
	past[2] = now_ns(CLOCK_MONOTONIC) - 1;
	for (i = 0; i < ARRAY_SIZE(past); i++) {
		struct timespec ts = ns_to_ts(past[i]);

		start = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, arm_fd(self->fd, true, ts));
		EXPECT_TRUE(fires(self->fd, LOST_AFTER))
			TH_LOG("a deadline in the past never fires");
		ASSERT_EQ(0, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
					     &ts, NULL));
		took = now_ns(CLOCK_MONOTONIC) - start;
		EXPECT_LT(took, LOST_AFTER)
			TH_LOG("deadlines in the past took %lld ms",
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

TEST_F(deadline, moved_earlier)
{
	long long start;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, arm_fd(self->fd, false, ns_to_ts(10 * SEC)));
		start = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, arm_fd(self->fd, false, ns_to_ts(10 * MSEC)));
		expect_fires_at(_metadata, self->fd, start + 10 * MSEC,
				"moved from 10 s to 10 ms");
	}
}

TEST_F(deadline, moved_later)
{
	long long start;
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, arm_fd(self->fd, false, ns_to_ts(10 * MSEC)));
		start = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, arm_fd(self->fd, false, ns_to_ts(60 * MSEC)));
		expect_fires_at(_metadata, self->fd, start + 60 * MSEC,
				"moved from 10 ms to 60 ms");
	}
}

TEST_F(deadline, moved_often)
{
	long long start = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		start = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, arm_fd(self->fd, false,
				    ns_to_ts((20 + 37 * i % 80) * MSEC)));
	}
	start = now_ns(CLOCK_MONOTONIC);
	ASSERT_EQ(0, arm_fd(self->fd, false, ns_to_ts(20 * MSEC)));
	expect_fires_at(_metadata, self->fd, start + 20 * MSEC,
			"moved a thousand times");
}

TEST_F(deadline, cancelled)
{
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, arm_fd(self->fd, false, ns_to_ts(20 * MSEC)));
		ASSERT_EQ(0, arm_fd(self->fd, false, ns_to_ts(0)));
		EXPECT_FALSE(fires(self->fd, 40 * MSEC))
			TH_LOG("a cancelled timer fires");
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
