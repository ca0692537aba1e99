// SPDX-License-Identifier: GPL-2.0
/*
 * The events of pv_timer are what the statistics count, of which an event that is
 * missing in one place of the core would be short, and they say when it was.
 *
 * Neither can be read while both stand still. So the statistics are read before and
 * after the events: these are between what was counted in between and what around.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/timerfd.h>

#include "../kselftest_harness.h"
#include "common.h"

#define LOAD_TIME	(2 * SEC)
#define ALONE_TIME	(3 * SEC)
#define SAMPLE_TIME	(100 * MSEC)
#define SUPERSEDED	20
#define TRACING		"/sys/kernel/tracing/"
#define EVENTS		TRACING "events/pv_timer/"
#define BOOT_EVENT	"pv_timer:pv_timer_backend"

/* Hits of an event are counted by a field, which has a value of that name, or by CPU */
static const struct counted {
	enum pv_stat stat;
	const char *event, *field, *name;
} counted[] = {
	{ PV_ARMED,	 "pv_timer_arm" },
	{ PV_ELIDED,	 "pv_timer_elide" },
	{ PV_STOPPED,	 "pv_timer_stop" },
	{ PV_EVENTS,	 "pv_timer_interrupt", "kind", "event" },
	{ PV_EARLY,	 "pv_timer_interrupt", "kind", "early" },
	{ PV_SUPERSEDED, "pv_timer_interrupt", "kind", "superseded" },
	{ PV_SPURIOUS,	 "pv_timer_interrupt", "kind", "spurious" },
	{ PV_LOST,	 "pv_timer_failed", "how", "lost" },
	{ PV_REFUSED,	 "pv_timer_failed", "how", "refused" },
	{ PV_RESTARTED,	 "pv_timer_restart" },	/* the last */
};

#define NR_COUNTED	((int)(sizeof(counted) / sizeof(*counted)))

struct sample {
	struct pv_stats before, after;
	long long hits[NR_COUNTED];
};

static bool write_event(const char *event, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), EVENTS "%s/%s", event, file);
	return write_text(path, text);
}

/* The histogram that counts it, if it is the first that does so */
static bool histogram(int i, const char *how)
{
	char text[64];

	if (i && !strcmp(counted[i].event, counted[i - 1].event))
		return true;
	snprintf(text, sizeof(text), "%shist:keys=%s", how,
		 counted[i].field ?: "common_cpu");
	return write_event(counted[i].event, "trigger", text);
}

static bool count_events(const char *how)
{
	bool ok = true;
	int i;

	for (i = 0; i < NR_COUNTED; i++)
		ok &= histogram(i, how);
	return ok;
}

/* The number that user space is told to print so: { 3, "event" }. -1 if there is none */
static long long value(const struct counted *c)
{
	char path[128], line[2048], wanted[64], *at;
	long long found = -1;
	FILE *file;

	snprintf(path, sizeof(path), EVENTS "%s/format", c->event);
	snprintf(wanted, sizeof(wanted), ", \"%s\" }", c->name);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		at = strstr(line, wanted);
		while (at && at > line && *at != '{')
			at--;
		if (at)
			found = strtoll(at + 1, NULL, 0);
	}
	if (file)
		fclose(file);
	return found;
}

/* "{ kind:          3 } hitcount:         57" */
static long long hits(const struct counted *c)
{
	long long key, n, wanted = c->name ? value(c) : 0, sum = 0;
	char path[128], line[256];
	FILE *file;

	snprintf(path, sizeof(path), EVENTS "%s/hist", c->event);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "{ %*[a-z_]: %lld } hitcount: %lld", &key, &n) == 2 &&
		    (!c->name || key == wanted))
			sum += n;
	if (file)
		fclose(file);
	return sum;
}

static void take_sample(struct sample *s)
{
	int i;

	read_stats(-1, &s->before);
	for (i = 0; i < NR_COUNTED; i++)
		s->hits[i] = hits(&counted[i]);
	read_stats(-1, &s->after);
}

/* An expiry is armed, and no longer wanted when it comes: the CPU is busy until then */
static void supersede(void)
{
	struct itimerspec it = {};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0), i;

	for (i = 0; i < SUPERSEDED; i++) {
		it.it_value = ns_to_ts(300 * USEC);
		timerfd_settime(fd, 0, &it, NULL);
		it.it_value = ns_to_ts(0);
		timerfd_settime(fd, 0, &it, NULL);
		spin(MSEC);
	}
	close(fd);
}

/* The other CPUs have nothing to do */
static void load_one_cpu(void)
{
	long long end = now_ns(CLOCK_MONOTONIC) + ALONE_TIME;
	struct timespec ts = ns_to_ts(MSEC);
	int cpus[MAX_CPUS];

	if (!online_cpus(cpus) || !pin(cpus[0]))
		return;
	while (now_ns(CLOCK_MONOTONIC) < end)
		nanosleep(&ts, NULL);
	supersede();
}

/* The timer of the last CPU is set up again, if it can be */
static void replug(void)
{
	int cpus[MAX_CPUS], nr = online_cpus(cpus);
	char backend[64] = "";

	/* It alone cannot notice that it has lost a timer */
	cmdline_value("pv_timer", backend, sizeof(backend));
	if (nr < 2 || !strncmp(backend, "broken-drop", 11))
		return;
	if (set_online(cpus[nr - 1], false))
		set_online(cpus[nr - 1], true);
}

FIXTURE(trace)
{
};

FIXTURE_SETUP(trace)
{
	const char *absent = pv_timer_absent();

	if (absent)
		SKIP(return, "%s", absent);
	if (access(TRACING "events", F_OK) &&
	    mount("tracefs", TRACING, "tracefs", 0, NULL))
		SKIP(return, "the kernel does not trace");
	if (access(EVENTS, F_OK))
		SKIP(return, "the kernel has no events of pv_timer");
}

FIXTURE_TEARDOWN(trace)
{
	count_events("!");
	write_text(EVENTS "enable", "0");
}

/* Before there is a file system that says so */
TEST_F(trace, choice_of_the_backend_is_seen)
{
	char param[64] = "", wanted[64], current[32], line[512];
	bool found = false;
	FILE *file;

	cmdline_value("trace_event", param, sizeof(param));
	if (strcmp(param, BOOT_EVENT))
		SKIP(return, "the kernel was booted without trace_event=" BOOT_EVENT);
	read_line("/sys/kernel/pv_timer/current_backend", current, sizeof(current));
	snprintf(wanted, sizeof(wanted), "pv_timer_backend: name=%s ", current);
	file = fopen(TRACING "trace", "r");
	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file))
		found |= strstr(line, wanted) && strstr(line, " err=0");
	fclose(file);
	EXPECT_TRUE(found);
}

static void compare(struct __test_metadata *_metadata, const struct sample *s,
		    const struct sample *e, int i)
{
	const char *name = pv_stat_names[counted[i].stat];
	long long n = e->hits[i] - s->hits[i];
	long long least = e->before.v[counted[i].stat] - s->after.v[counted[i].stat];
	long long most = e->after.v[counted[i].stat] - s->before.v[counted[i].stat];

	TH_LOG("%s: %lld events, %lld to %lld counted", name, n, least, most);
	EXPECT_LE(least, n)
		TH_LOG("%s: an event is missing", name);
	/* One that is on time when it is armed again is not counted */
	if (counted[i].stat != PV_EARLY)
		EXPECT_LE(n, most)
			TH_LOG("%s: an event is too many", name);
}

TEST_F(trace, counts_equal_the_statistics)
{
	struct sample s, e;
	int i;

	if (!count_events(""))
		SKIP(return, "the kernel has no histograms of events");
	/* What waits there moves away: it takes what nobody waits for, when it is idle */
	replug();
	take_sample(&s);
	load_cpus(LOAD_TIME);
	load_one_cpu();
	take_sample(&e);
	for (i = 0; i < NR_COUNTED; i++)
		compare(_metadata, &s, &e, i);
	EXPECT_LT(0, e.hits[0] - s.hits[0]);
}

/* Those alone: a CPU that is not online has no events, but takes interrupts for a while */
TEST_F(trace, restarts_equal_the_statistics)
{
	struct sample s, e;

	if (!count_events(""))
		SKIP(return, "the kernel has no histograms of events");
	take_sample(&s);
	replug();
	take_sample(&e);
	compare(_metadata, &s, &e, NR_COUNTED - 1);
}

/* "... pv_timer_interrupt: kind=event deadline=1 now=2 late=1" */
TEST_F(trace, interrupts_are_what_they_are_said_to_be)
{
	char line[512], kind[16], *at;
	long long late;
	int events = 0;
	FILE *file;

	ASSERT_TRUE(write_event("pv_timer_interrupt", "enable", "1"));
	load_cpus(SAMPLE_TIME);
	ASSERT_TRUE(write_event("pv_timer_interrupt", "enable", "0"));
	file = fopen(TRACING "trace", "r");
	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file)) {
		at = strstr(line, "pv_timer_interrupt: ");
		if (!at || sscanf(at, "%*s kind=%15s deadline=%*u now=%*u late=%lld",
				  kind, &late) != 2)
			continue;
		events++;
		EXPECT_FALSE(!strcmp(kind, "event") && late < 0)
			TH_LOG("%s", line);
		EXPECT_FALSE(!strcmp(kind, "early") && late >= 0)
			TH_LOG("%s", line);
	}
	fclose(file);
	EXPECT_LT(0, events);
}

TEST_HARNESS_MAIN
