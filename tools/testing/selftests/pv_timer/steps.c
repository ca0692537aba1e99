// SPDX-License-Identifier: GPL-2.0
/*
 * Whoever sets the clock or steers it wakes nobody early and forgets nobody: the
 * sleepers on CLOCK_REALTIME go by the new time, the others do not notice.
 */
#include <limits.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "common.h"

#define HOUR		(3600 * SEC)
#define KINDS		5
#define STEPS		20
#define READINGS	16

/* The extremes that the kernel accepts: ten percent, and 500 ppm in units of 2^-16 */
#define MAX_FREQ	(500L << 16)
#define TICK		(1000000 / sysconf(_SC_CLK_TCK))

/* What the machine was like before: both clocks are steered alike */
static struct timex before;
static long long offset_before;
static pid_t first_process;

/* How far @clock is ahead of @other: of some readings the one that took least */
static long long ahead(clockid_t clock, clockid_t other)
{
	long long start, value, took, least = LLONG_MAX, best = 0;
	int i;

	for (i = 0; i < READINGS; i++) {
		start = now_ns(other);
		value = now_ns(clock);
		took = now_ns(other) - start;
		if (took >= least)
			continue;
		least = took;
		best = value - (start + took / 2);
	}
	return best;
}

static bool set_offset(long long ns)
{
	long long sec = ns / SEC - (ns % SEC < 0);
	struct timex tx = { .modes = ADJ_SETOFFSET | ADJ_NANO };

	tx.time.tv_sec = sec;
	tx.time.tv_usec = ns - sec * SEC;
	return adjtimex(&tx) >= 0;
}

static bool set_time(long long ns)
{
	struct timespec ts = ns_to_ts(now_ns(CLOCK_REALTIME) + ns);

	return !clock_settime(CLOCK_REALTIME, &ts);
}

static bool steer(long freq, long tick)
{
	struct timex tx = {
		.modes = ADJ_FREQUENCY | ADJ_TICK, .freq = freq, .tick = tick,
	};

	return adjtimex(&tx) >= 0;
}

static void __attribute__((constructor)) remember(void)
{
	first_process = getpid();
	offset_before = ahead(CLOCK_REALTIME, CLOCK_BOOTTIME);
	adjtimex(&before);
}

/* The clock may not be behind CLOCK_MONOTONIC, which it is by the error of a reading */
static void restore(void)
{
	steer(before.freq, before.tick);
	if (!set_offset(offset_before - ahead(CLOCK_REALTIME, CLOCK_BOOTTIME)))
		set_offset(offset_before + MSEC - ahead(CLOCK_REALTIME, CLOCK_BOOTTIME));
}

/* Also after a test that took too long, which has no end of its own */
static void __attribute__((destructor)) restore_at_last(void)
{
	if (getpid() == first_process && !geteuid())
		restore();
}

/*
 * @arm: what there is to do before it sleeps; returns a descriptor, or -1
 * @sleep: returns 0 or an error code
 */
struct kind {
	const char *name;
	clockid_t clock;
	int (*arm)(clockid_t clock, long long until);
	int (*sleep)(clockid_t clock, long long until, int fd);
	int result;
};

static int arm_nothing(clockid_t clock, long long until)
{
	(void)clock;
	(void)until;
	return -1;
}

static int sleep_absolute(clockid_t clock, long long until, int fd)
{
	struct timespec ts = ns_to_ts(until);

	(void)fd;
	return clock_nanosleep(clock, TIMER_ABSTIME, &ts, NULL);
}

static int sleep_relative(clockid_t clock, long long until, int fd)
{
	long long ns = until - now_ns(clock);
	struct timespec ts = ns_to_ts(ns > 0 ? ns : 0);

	(void)fd;
	return clock_nanosleep(clock, 0, &ts, NULL);
}

static int arm_timerfd_flags(clockid_t clock, long long until, int flags)
{
	struct itimerspec it = { .it_value = ns_to_ts(until) };
	int fd = timerfd_create(clock, TFD_CLOEXEC);

	timerfd_settime(fd, TFD_TIMER_ABSTIME | flags, &it, NULL);
	return fd;
}

static int arm_timerfd(clockid_t clock, long long until)
{
	return arm_timerfd_flags(clock, until, 0);
}

static int arm_cancelled(clockid_t clock, long long until)
{
	return arm_timerfd_flags(clock, until, TFD_TIMER_CANCEL_ON_SET);
}

static int sleep_timerfd(clockid_t clock, long long until, int fd)
{
	unsigned long long ticks;
	int err = read(fd, &ticks, sizeof(ticks)) < 0 ? errno : 0;

	(void)clock;
	(void)until;
	close(fd);
	return err;
}

static const struct kind kinds[KINDS] = {
	{ "clock_nanosleep(CLOCK_REALTIME)", CLOCK_REALTIME, arm_nothing, sleep_absolute, 0 },
	{ "clock_nanosleep(CLOCK_MONOTONIC)", CLOCK_MONOTONIC, arm_nothing, sleep_absolute, 0 },
	{ "a relative clock_nanosleep()", CLOCK_MONOTONIC, arm_nothing, sleep_relative, 0 },
	{ "a timerfd of CLOCK_REALTIME", CLOCK_REALTIME, arm_timerfd, sleep_timerfd, 0 },
	{ "a timerfd that is cancelled", CLOCK_REALTIME, arm_cancelled, sleep_timerfd,
	  ECANCELED },
};

/*
 * @until: when it is to wake up, by its own clock
 * @early: by how much it was, by that clock
 * @woke: when it did, on CLOCK_MONOTONIC
 */
struct sleeper {
	pthread_t thread;
	const struct kind *kind;
	int cpu, result;
	long long until, early, woke;
};

/* A futex of it has to be aligned, which an int of m68k need not be */
static alignas(8) pthread_barrier_t armed;

static void *sleeper_thread(void *arg)
{
	struct sleeper *s = arg;
	int fd = -1;

	if (pin(s->cpu))
		fd = s->kind->arm(s->kind->clock, s->until);
	pthread_barrier_wait(&armed);
	s->result = s->kind->sleep(s->kind->clock, s->until, fd);
	s->early = s->until - now_ns(s->kind->clock);
	s->woke = now_ns(CLOCK_MONOTONIC);
	return NULL;
}

/* One of each kind on each CPU. Return: how many, all of them armed */
static int start_sleepers(struct __test_metadata *_metadata, struct sleeper *sleepers,
			  long long real_ns, long long mono_ns)
{
	int cpus[MAX_CPUS], nr = KINDS * online_cpus(cpus), i;

	pthread_barrier_init(&armed, NULL, nr + 1);
	for (i = 0; i < nr; i++) {
		struct sleeper *s = &sleepers[i];

		s->kind = &kinds[i % KINDS];
		s->cpu = cpus[i / KINDS];
		s->until = now_ns(s->kind->clock) +
			   (s->kind->clock == CLOCK_REALTIME ? real_ns : mono_ns);
		/* What is due by the new time need not be cancelled */
		if (s->kind->result)
			s->until += 2 * HOUR;
		ASSERT_EQ(0, pthread_create(&s->thread, NULL, sleeper_thread, s));
	}
	pthread_barrier_wait(&armed);
	return nr;
}

/* Those on CLOCK_REALTIME are due when the clock says so, at @due of CLOCK_MONOTONIC */
static void expect_woken(struct __test_metadata *_metadata, struct sleeper *s,
			 long long cancelled, long long due)
{
	const char *name = s->kind->name;
	struct pv_stats stats;

	pthread_join(s->thread, NULL);
	if (s->kind->result)
		due = cancelled;
	else if (s->kind->clock == CLOCK_MONOTONIC)
		due = s->until;
	EXPECT_EQ(s->kind->result, s->result)
		TH_LOG("%s on CPU %d: %s", name, s->cpu, strerror(s->result));
	if (!s->kind->result)
		EXPECT_LE(s->early, 0)
			TH_LOG("early: %s on CPU %d by %lld us", name, s->cpu,
			       s->early / USEC);
	read_stats(s->cpu, &stats);
	EXPECT_LT(s->woke - due, LOST_AFTER)
		TH_LOG("lost timer: %s on CPU %d %lld ms late (lost=%lld)", name, s->cpu,
		       (s->woke - due) / MSEC, stats.v[PV_LOST]);
}

static void pause_ns(long long ns)
{
	sleep_relative(CLOCK_MONOTONIC, now_ns(CLOCK_MONOTONIC) + ns, -1);
}

FIXTURE(step)
{
	struct sleeper *sleepers;
};

FIXTURE_VARIANT(step)
{
	bool (*by)(long long ns);
};

FIXTURE_VARIANT_ADD(step, settime)
{
	.by = set_time,
};

FIXTURE_VARIANT_ADD(step, setoffset)
{
	.by = set_offset,
};

FIXTURE_SETUP(step)
{
	if (!steer(before.freq, before.tick))
		SKIP(return, "may not set the clock");
	/* Without an RTC the clock has begun at boot, and there is no hour ago */
	if (ahead(CLOCK_REALTIME, CLOCK_MONOTONIC) < HOUR)
		ASSERT_TRUE(set_offset(2 * HOUR));
	self->sleepers = calloc(KINDS * MAX_CPUS, sizeof(*self->sleepers));
	ASSERT_NE(NULL, self->sleepers);
}

FIXTURE_TEARDOWN(step)
{
	restore();
	free(self->sleepers);
}

/* Half an hour is over at once, for those who go by that clock */
TEST_F(step, forward)
{
	long long stepped;
	int i, nr = start_sleepers(_metadata, self->sleepers, HOUR / 2, 300 * MSEC);

	pause_ns(100 * MSEC);
	ASSERT_TRUE(variant->by(HOUR));
	stepped = now_ns(CLOCK_MONOTONIC);
	for (i = 0; i < nr; i++)
		expect_woken(_metadata, &self->sleepers[i], stepped, stepped);
}

#define BACK_NS		(1500 * MSEC)

/*
 * They would sleep an hour longer, and do until the clock is set again. A machine that is
 * so slow that they are due before it is set the first time shows nothing.
 */
TEST_F(step, back)
{
	long long stepped, again, due = now_ns(CLOCK_MONOTONIC) + BACK_NS;
	int i, nr = start_sleepers(_metadata, self->sleepers, BACK_NS, BACK_NS);

	pause_ns(100 * MSEC);
	ASSERT_TRUE(variant->by(-HOUR));
	stepped = now_ns(CLOCK_MONOTONIC);
	ASSERT_LT(stepped, due)
		TH_LOG("the clock was set %lld ms too late", (stepped - due) / MSEC);
	pause_ns(BACK_NS + 100 * MSEC);
	ASSERT_TRUE(variant->by(HOUR));
	again = now_ns(CLOCK_MONOTONIC);
	for (i = 0; i < nr; i++)
		expect_woken(_metadata, &self->sleepers[i], stepped, again);
}

/* Who sleeps on CLOCK_MONOTONIC need not know, so there is nothing to see of it there */
TEST_F(step, monotonic_does_not)
{
	long long start = ahead(CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW), moved, real;
	int i;

	for (i = 0; i < STEPS; i++) {
		real = ahead(CLOCK_REALTIME, CLOCK_MONOTONIC);
		ASSERT_TRUE(variant->by(i % 2 ? -HOUR : HOUR));
		real = ahead(CLOCK_REALTIME, CLOCK_MONOTONIC) - real;
		EXPECT_GT(llabs(real), HOUR - SEC)
			TH_LOG("CLOCK_REALTIME was not set, it moved by %lld ms",
			       real / MSEC);
		moved = ahead(CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW) - start;
		EXPECT_LT(llabs(moved), MSEC)
			TH_LOG("CLOCK_MONOTONIC steps by %lld us", moved / USEC);
	}
}

static atomic_bool stop;

/*
 * @naps: how many
 * @early: the worst, by the clock of each nap
 * @longest: on CLOCK_MONOTONIC
 */
struct napper {
	int cpu;
	long long naps, early, longest;
};

static void nap(struct napper *n, clockid_t clock, long long ns)
{
	long long start = now_ns(CLOCK_MONOTONIC), until = now_ns(clock) + ns, early, took;

	sleep_absolute(clock, until, -1);
	early = until - now_ns(clock);
	took = now_ns(CLOCK_MONOTONIC) - start;
	/* That clock may be set back between the end of the nap and the reading */
	if (clock == CLOCK_MONOTONIC && early > n->early)
		n->early = early;
	if (took > n->longest)
		n->longest = took;
	n->naps++;
}

static void *napper_thread(void *arg)
{
	struct napper *n = arg;
	long long i;

	n->naps = 0;
	n->early = LLONG_MIN;
	n->longest = 0;
	pin(n->cpu);
	for (i = 0; !atomic_load(&stop); i++)
		nap(n, i % 3 ? CLOCK_MONOTONIC : CLOCK_REALTIME, (1 + i % 7) * MSEC);
	return NULL;
}

static void *stepper_thread(void *arg)
{
	bool (*by)(long long ns) = arg;
	bool ok = true;
	int i;

	for (i = 0; i < 2 * STEPS; i++) {
		pause_ns((1 + i * 7 % 11) * MSEC);
		ok = by(i % 2 ? HOUR : -HOUR) && ok;
	}
	atomic_store(&stop, true);
	return ok ? arg : NULL;
}

/* Each step makes all CPUs arm their timers again, at any moment of a nap */
TEST_F(step, under_short_sleeps)
{
	struct napper nappers[MAX_CPUS];
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;
	pthread_t stepper;
	void *ok;

	ASSERT_EQ(0, pthread_create(&stepper, NULL, stepper_thread, variant->by));
	ASSERT_TRUE(on_each_cpu(napper_thread, nappers, sizeof(*nappers)));
	pthread_join(stepper, &ok);
	ASSERT_NE(NULL, ok);
	for (i = 0; i < nr; i++) {
		EXPECT_GT(nappers[i].naps, 10);
		EXPECT_LE(nappers[i].early, 0)
			TH_LOG("early: a sleep on CPU %d by %lld us", nappers[i].cpu,
			       nappers[i].early / USEC);
		EXPECT_LT(nappers[i].longest, LOST_AFTER)
			TH_LOG("lost timer: a sleep of 7 ms took %lld ms on CPU %d",
			       nappers[i].longest / MSEC, nappers[i].cpu);
	}
}

FIXTURE(steer)
{
};

FIXTURE_VARIANT(steer)
{
	long freq;
	int percent;
};

FIXTURE_VARIANT_ADD(steer, a_little_fast)
{
	.freq = MAX_FREQ,
};

FIXTURE_VARIANT_ADD(steer, a_little_slow)
{
	.freq = -MAX_FREQ,
};

FIXTURE_VARIANT_ADD(steer, fast)
{
	.freq = MAX_FREQ, .percent = 10,
};

FIXTURE_VARIANT_ADD(steer, slow)
{
	.freq = -MAX_FREQ, .percent = -10,
};

FIXTURE_SETUP(steer)
{
	if (!steer(variant->freq, TICK + TICK * variant->percent / 100))
		SKIP(return, "may not steer the clock");
	/* The timekeeper has seen it after a tick */
	pause_ns(100 * MSEC);
}

FIXTURE_TEARDOWN(steer)
{
	restore();
}

#define STEERED_NS	(300 * MSEC)
#define STEERED_TIMES	3

struct steered {
	int cpu;
	long long late[STEERED_TIMES];
};

static void *steered_thread(void *arg)
{
	struct steered *s = arg;
	int i;

	pin(s->cpu);
	for (i = 0; i < STEERED_TIMES; i++) {
		long long until = now_ns(CLOCK_MONOTONIC) + STEERED_NS;

		sleep_absolute(CLOCK_MONOTONIC, until, -1);
		s->late[i] = now_ns(CLOCK_MONOTONIC) - until;
	}
	return NULL;
}

/*
 * Who does not follow a clock that is ten percent fast is late by that: a timer whose
 * counter is not the clock's, here and with any other clock event device.
 */
static void expect_followed(struct __test_metadata *_metadata, const struct steered *s)
{
	long long best = LLONG_MAX, limit = STEERED_NS / (coupling() > 0 ? 20 : 8);
	int i;

	for (i = 0; i < STEERED_TIMES; i++) {
		EXPECT_GE(s->late[i], 0)
			TH_LOG("early: by %lld us on CPU %d", -s->late[i] / USEC, s->cpu);
		EXPECT_LT(s->late[i], LOST_AFTER)
			TH_LOG("lost timer: %lld ms late on CPU %d", s->late[i] / MSEC,
			       s->cpu);
		if (s->late[i] < best)
			best = s->late[i];
	}
	EXPECT_LT(best, limit)
		TH_LOG("the timer does not follow the clock: %lld us late on CPU %d",
		       best / USEC, s->cpu);
}

/* To half of what it is steered by: reading two clocks takes time on a slow machine */
static void expect_rate(struct __test_metadata *_metadata, double rate, int percent)
{
	EXPECT_LT(rate, 1.05 + percent / 100.0)
		TH_LOG("the clock runs at %.3f of its speed", rate);
	EXPECT_GT(rate, 0.95 + percent / 100.0)
		TH_LOG("the clock runs at %.3f of its speed", rate);
}

/* Nor may it be early and armed again: that is an interrupt for nothing */
TEST_F(steer, timer_follows)
{
	long long raw = now_ns(CLOCK_MONOTONIC_RAW), mono = now_ns(CLOCK_MONOTONIC);
	int cpus[MAX_CPUS], nr = online_cpus(cpus), i;
	struct steered steered[MAX_CPUS];
	struct pv_stats stats[2];

	read_stats(-1, &stats[0]);
	ASSERT_TRUE(on_each_cpu(steered_thread, steered, sizeof(*steered)));
	read_stats(-1, &stats[1]);
	raw = now_ns(CLOCK_MONOTONIC_RAW) - raw;
	mono = now_ns(CLOCK_MONOTONIC) - mono;
	expect_rate(_metadata, (double)mono / raw, variant->percent);
	for (i = 0; i < nr; i++)
		expect_followed(_metadata, &steered[i]);
	stats[1].v[PV_EARLY] -= stats[0].v[PV_EARLY];
	TH_LOG("%lld early interrupts", stats[1].v[PV_EARLY]);
	EXPECT_LT(stats[1].v[PV_EARLY], nr * STEERED_TIMES);
}

TEST_HARNESS_MAIN
