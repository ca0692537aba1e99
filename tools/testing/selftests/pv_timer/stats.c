// SPDX-License-Identifier: GPL-2.0
/*
 * What a backend promises, read from the statistics: it takes each deadline, and
 * interrupts once, not before it, and not otherwise.
 *
 * The counters since boot are judged, so that nothing that an earlier test
 * provoked is overlooked. A load of sleeps that are taken back, moved and
 * waited for makes them large enough for a promise broken once in a hundred.
 */
#include <errno.h>
#include <fcntl.h>

#include "../kselftest_harness.h"
#include "common.h"

#define LOAD_TIME	(2 * SEC)

/* Each costs as much as an early one */
#define SPURIOUS_PERMILLE	EARLY_PERMILLE

/*
 * A loss is a false one if the hypervisor stole the time between two looks: once in a
 * thousand events, which is a tenth of what a broken backend of ours loses. In a time of
 * its own nothing is stolen.
 */
static int lost_permille(void)
{
	return boot_mode() == MODE_FAR ? 0 : 1;
}

static struct pv_stats total;

FIXTURE(stats)
{
};

FIXTURE_SETUP(stats)
{
	const char *absent = pv_timer_absent();
	struct pv_stats stats;

	if (absent)
		SKIP(return, "%s", absent);
	if (!read_stats(-1, &stats))
		SKIP(return, "no statistics: is debugfs mounted?");
}

FIXTURE_TEARDOWN(stats)
{
}

TEST_F(stats, no_deadline_is_lost)
{
	EXPECT_LE(total.v[PV_LOST] * 1000, total.v[PV_EVENTS] * lost_permille())
		TH_LOG("backend drops deadlines: %lld lost, %lld events",
		       total.v[PV_LOST], total.v[PV_EVENTS]);
}

TEST_F(stats, no_interrupt_is_early)
{
	if (too_slow())
		SKIP(return, "%s", too_slow());
	TH_LOG("%lld early, %lld events", total.v[PV_EARLY], total.v[PV_EVENTS]);
	EXPECT_LE(total.v[PV_EARLY] * 1000, total.v[PV_EVENTS] * EARLY_PERMILLE)
		TH_LOG("backend fires early: %lld early, %lld events",
		       total.v[PV_EARLY], total.v[PV_EVENTS]);
}

TEST_F(stats, no_interrupt_is_spurious)
{
	if (too_slow())
		SKIP(return, "%s", too_slow());
	TH_LOG("%lld spurious, %lld events", total.v[PV_SPURIOUS], total.v[PV_EVENTS]);
	EXPECT_LE(total.v[PV_SPURIOUS] * 1000, total.v[PV_EVENTS] * SPURIOUS_PERMILLE)
		TH_LOG("backend fires unarmed: %lld spurious, %lld events",
		       total.v[PV_SPURIOUS], total.v[PV_EVENTS]);
}

TEST_F(stats, no_deadline_is_refused)
{
	EXPECT_EQ(0, total.v[PV_REFUSED])
		TH_LOG("hypervisor refuses deadlines: %lld of %lld",
		       total.v[PV_REFUSED], total.v[PV_ARMED]);
}

/* Not reset, as what the statistics say of the whole run is looked at after the tests */
TEST_F(stats, reset_takes_zero_only)
{
	int fd = open(PV_TIMER_STATS, O_WRONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, write(fd, "1", 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(fd, "zero", 4));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

int main(int argc, char **argv)
{
	if (!pv_timer_absent()) {
		load_cpus(LOAD_TIME);
		read_stats(-1, &total);
	}
	return test_harness_run(argc, argv);
}
