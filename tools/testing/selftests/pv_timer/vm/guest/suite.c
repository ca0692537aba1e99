// SPDX-License-Identifier: GPL-2.0
/*
 * Run the test programs with the kernel's own kselftest runner and read the
 * KTAP that it prints: each program is a test of the runner, and what the
 * program itself reports is nested in there behind "# ". Where there is no
 * shell for it, runner.c stands in.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "init.h"

/* Loads, and the longest of them; programs that are asked for */
#define MAX_LOADS	16
#define MAX_PROGRAMS	16
#define LOAD_SEC	(60 + SILENCE_SEC)

#define CONFORMANCE	"/sys/kernel/debug/pv_timer/conformance"

/* It says nothing until the end */
#define LATENCY_SEC	1000
#define CYCLICTEST	"/bin/cyclictest"

/* As far as the tests look, and more */
#define FAR_SEC		5000

/*
 * @v: where the counts go
 * @console: lines held back until all have run: each 16 characters on a serial
 *	line are an interrupt, which would keep the tick of the next program
 *	from stopping
 * @results: of each test, held back as well
 * @programs: announced by the runner
 * @done: programs finished
 * @program: the one that runs
 * @nested: results that it has reported
 * @failed: results that are "not ok"
 * @failed_before: those of earlier programs
 * @names: their names
 * @why: what the test that runs has said of its first check that failed
 * @unexplained: that is what the harness has said, not yet the test itself
 * @last: the last line seen
 */
struct suite {
	struct verdict *v;
	FILE *console, *results;
	int programs, done, nested, failed, failed_before;
	char program[64];
	char names[512];
	char why[256];
	bool unexplained;
	char last[128];
};

static void count_failure(struct suite *s, const char *name)
{
	size_t used = strlen(s->names);

	s->failed++;
	snprintf(s->names + used, sizeof(s->names) - used, "%s%s", used ? ", " : "", name);
}

/* The name of a test that is in no fixture starts with "global." */
static void full_name(struct suite *s, const char *result, char *name, size_t size)
{
	char test[128];

	if (sscanf(result, "%*d %127s", test) != 1)
		*test = '\0';
	if (!strncmp(test, "global.", 7))
		snprintf(name, size, "%s.%s", s->program, test + 7);
	else
		snprintf(name, size, "%s", strchr(test, '.') ? test : s->program);
}

static void count_skip(struct suite *s, const char *name, const char *directive)
{
	s->v->skip++;
	fprintf(s->results, "test %s skip %s\n", name, directive + strlen("SKIP"));
}

static bool count_result(struct suite *s, const char *line)
{
	bool red = !strncmp(line, "not ok ", 7);
	const char *skip;
	char name[200];

	if (!red && strncmp(line, "ok ", 3))
		return false;
	full_name(s, strstr(line, "ok ") + 3, name, sizeof(name));
	skip = strcasestr(line, "SKIP");
	if (red) {
		count_failure(s, name);
		fprintf(s->results, "test %s red %s\n", name, s->why);
	} else if (skip && strchr(line, '#')) {
		count_skip(s, name, skip);
	} else {
		s->v->ok++;
		fprintf(s->results, "test %s green\n", name);
	}
	*s->why = '\0';
	return true;
}

/*
 * "# file:line:test:text" is what the harness says of a check that has failed, then
 * what the test says of it. That of the first one is kept. "# test: Test terminated by
 * timeout" is all that there is if a test comes to no check.
 */
static void keep_reason(struct suite *s, const char *line)
{
	bool expected;
	int start = 0;

	if (sscanf(line, "# %*[^:]:%*d:%*[^:]:%n", &start) < 0 || !start) {
		if (!*s->why && strstr(line, ": Test terminated by "))
			snprintf(s->why, sizeof(s->why), "%s", line + strlen("# "));
		return;
	}
	expected = !strncmp(line + start, "Expected", 8);
	if (*s->why ? s->unexplained : expected)
		snprintf(s->why, sizeof(s->why), "%s", line + start);
	s->unexplained = expected && !strcmp(s->why, line + start);
}

static void nested_line(struct suite *s, const char *line)
{
	int plan;

	if (sscanf(line, "selftests: %*s %63s", s->program) == 1)
		return;
	if (count_result(s, line))
		s->nested++;
	else if (sscanf(line, "1..%d", &plan) == 1)
		s->v->plan += plan;
	else if (!strncmp(line, "Bail out!", 9))
		count_failure(s, line);
	else
		keep_reason(s, line);
}

/*
 * A program that reports no results of its own is one test. One that did, and
 * still ended badly, failed in a way that its own results do not show.
 */
static void program_done(struct suite *s, const char *line)
{
	s->done++;
	if (!s->nested) {
		s->v->plan++;
		count_result(s, line);
	} else if (*line == 'n' && s->failed == s->failed_before) {
		count_failure(s, s->program);
	}
	s->nested = 0;
	s->failed_before = s->failed;
}

/* What the harness says around each test: its result has the name as well */
static bool is_frame(const char *line)
{
	return !strncmp(line, "# #  RUN ", 9) || !strncmp(line, "# #            OK ", 18);
}

static void suite_line(char *line, void *arg)
{
	struct suite *s = arg;
	int programs;

	if (!is_frame(line))
		fprintf(s->console, "%s\n", line);
	snprintf(s->last, sizeof(s->last), "%s", line);
	if (!strncmp(line, "# ", 2)) {
		nested_line(s, line + 2);
		return;
	}
	if (!strncmp(line, "ok ", 3) || !strncmp(line, "not ok ", 7)) {
		program_done(s, line);
		printf("init: %s\n", line);
	} else if (sscanf(line, "1..%d", &programs) == 1) {
		s->programs = programs;
	}
}

static pid_t start(const char * const argv[], int *fd)
{
	int p[2];
	pid_t pid;

	if (pipe(p))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		setpgid(0, 0);
		dup2(p[1], STDOUT_FILENO);
		dup2(p[1], STDERR_FILENO);
		close(p[0]);
		close(p[1]);
		execv(argv[0], (char * const *)argv);
		perror(argv[0]);
		_exit(127);
	}
	close(p[1]);
	*fd = p[0];
	return pid;
}

/**
 * run_command() - Run a program and read what it prints
 * @argv: its arguments, NULL at the end
 * @silence_sec: the longest silence
 * @fn: called with every line
 * @arg: for @fn
 *
 * Return: the wait status, or -1 after a silence that ended it.
 */
int run_command(const char * const argv[], int silence_sec, line_fn fn, void *arg)
{
	bool ended;
	int fd, status;
	pid_t pid = start(argv, &fd);

	ended = read_lines(fd, silence_sec, fn, arg);
	if (!ended)
		kill(-pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fd);
	return ended ? status : -1;
}

static void judge_suite(struct suite *s)
{
	struct verdict *v = s->v;

	if (s->failed)
		fail(v, "%d not ok: %s", s->failed, s->names);
	if (s->done != s->programs || !s->programs)
		fail(v, "%d of %d programs finished", s->done, s->programs);
	if (v->ok + v->skip + s->failed < v->plan)
		fail(v, "%d of %d tests reported",
		     v->ok + v->skip + s->failed, v->plan);
	if (!s->failed && v->ok + v->skip > v->plan)
		fail(v, "%d tests reported, %d planned", v->ok + v->skip,
		     v->plan);
	if (!v->ok)
		fail(v, "no test passed");
}

/* Some programs sleep for an hour, where it takes no time */
static bool is_far(void)
{
	return !strcmp(option("mode", "default"), "far");
}

/* The kselftest runner or ours, with those programs that are asked for */
static const char * const *suite_command(void)
{
	static const char *argv[2 * MAX_PROGRAMS + 5] = {
		"/bin/sh", KSELFTEST_DIR "/run_kselftest.sh"
	};
	char *tests = strdup(option("tests", "")), *test, *save, *name;
	int i = 2;

	if (access(argv[0], X_OK)) {
		argv[0] = "/bin/runner";
		i = 1;
	}
	if (is_far()) {
		argv[i++] = "--override-timeout";
		argv[i++] = XSTR(FAR_SEC);
	}
	for (test = strtok_r(tests, ",", &save); test && i < 2 * MAX_PROGRAMS + 2;
	     test = strtok_r(NULL, ",", &save)) {
		if (asprintf(&name, "pv_timer:%s", test) < 0)
			die("asprintf");
		argv[i++] = "-t";
		argv[i++] = name;
	}
	argv[i] = NULL;
	return argv;
}

/**
 * run_suite() - Run what "make install" put into the kselftest directory
 * @v: gets the counts, and the reasons if not all is well
 *
 * All of it, or the programs in pvt.tests=.
 */
void run_suite(struct verdict *v)
{
	static char buffer[1 << 16];
	struct suite s = { .v = v, .console = fopen("/dev/console", "w") };
	int silence = is_far() ? FAR_SEC : atoi(option("silence", XSTR(SILENCE_SEC)));
	size_t size;

	if (!s.console)
		die("/dev/console");
	s.results = open_memstream(&v->results, &size);
	setvbuf(s.console, buffer, _IOFBF, sizeof(buffer));
	if (run_command(suite_command(), silence, suite_line, &s) < 0)
		fail(v, "tests silent for %d s after: %s", silence, s.last);
	fflush(s.console);
	tcdrain(fileno(s.console));
	fclose(s.console);
	fclose(s.results);
	judge_suite(&s);
}

static void ktap_line(char *line, void *unused)
{
	(void)unused;
	tell("ktap %s", line);
}

/**
 * run_conformance() - Tell whether the backend keeps the contract, then run the suite
 * @v: as for run_suite(), whose guest has to tick as before
 */
void run_conformance(struct verdict *v)
{
	int fd = open(CONFORMANCE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(CONFORMANCE);
	read_lines(fd, -1, ktap_line, NULL);
	close(fd);
	run_suite(v);
}

/**
 * tell_results() - Tell the host of each test that failed or was skipped, and why
 * @v: what run_suite() has filled in
 *
 * And of the others, where the host asks for all of them. It takes seconds where a serial
 * line is emulated, and interrupts: at the end of all that is judged.
 */
void tell_results(struct verdict *v)
{
	char *line, *save;

	if (!v->results)
		return;
	for (line = strtok_r(v->results, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (is_far() || *option("tell", "") || !strstr(line, " green"))
			tell("%s", line);
}

/* What is too long for the console goes to the host only */
static void report_line(char *line, void *arg)
{
	struct verdict *v = arg;

	if (strncmp(line, "report: samples=", 16))
		printf("%s\n", line);
	if (!strncmp(line, "phase: ", 7)) {
		tell("phase %s", line + 7);
	} else if (!strncmp(line, "report: ", 8)) {
		tell("report %s", line + 8);
		v->ok++;
		v->plan++;
	} else if (!strncmp(line, "not ok: ", 8)) {
		fail(v, "%s", line + 8);
	}
}

/* Run a program that describes or measures the guest; its lines count as tests */
static void run_reporter(struct verdict *v, const char * const argv[], int silence_sec)
{
	int status = run_command(argv, silence_sec, report_line, v);

	if (status && !v->reason[0])
		fail(v, "%s ended with status %#x", argv[0], status);
	if (!v->ok)
		fail(v, "nothing reported");
}

/**
 * run_report() - Run the program that describes and measures the guest
 * @v: gets the number of lines reported as plan and ok
 */
void run_report(struct verdict *v)
{
	static const char * const argv[] = {
		KSELFTEST_DIR "/pv_timer/pv_timer_report", NULL
	};

	run_reporter(v, argv, SILENCE_SEC);
}

/**
 * run_bench() - Run the loads in pvt.loads=
 * @v: gets the number of loads as plan and ok
 */
void run_bench(struct verdict *v)
{
	const char *argv[MAX_LOADS + 2] = { KSELFTEST_DIR "/pv_timer/pv_timer_bench" };
	char *loads = strdup(option("loads", "")), *load, *save;
	int i = 0;

	for (load = strtok_r(loads, ",", &save); load && i < MAX_LOADS;
	     load = strtok_r(NULL, ",", &save))
		argv[++i] = load;
	run_reporter(v, argv, LOAD_SEC);
}

/* "T: 0 (   61) P:80 I:1000 C:   1000 Min:   5 Act:   8 Avg:   9 Max:   30", in ns */
static void cyclictest_line(char *line, void *arg)
{
	long long min, avg, max;
	struct verdict *v = arg;
	int cpu, loops;

	if (sscanf(line, "T:%d (%*d) P:%*d I:%*d C:%d Min:%lld Act:%*d Avg:%lld Max:%lld",
		   &cpu, &loops, &min, &avg, &max) != 5)
		return;
	printf("%s\n", line);
	tell("report cyclictest=%d loops=%d min=%lld avg=%lld max=%lld", cpu, loops, min,
	     avg, max);
	v->ok++;
	v->plan++;
}

/* An outside witness, of sleeps on all CPUs at once */
static void run_cyclictest(struct verdict *v)
{
	char duration[16];
	const char * const argv[] = {
		CYCLICTEST, "--quiet", "--mlockall", "--priority=80", "--interval=1000",
		"--distance=0", "--nsecs", "--threads", "--affinity", duration, NULL
	};
	int status, before = v->plan;

	snprintf(duration, sizeof(duration), "--duration=%s", option("seconds", "1"));
	status = run_command(argv, LATENCY_SEC, cyclictest_line, v);
	if (status || v->plan == before)
		fail(v, "%s has reported %d CPUs, status %#x", argv[0], v->plan - before,
		     status);
}

/**
 * run_latency() - Run the programs that measure how late wake-ups are, and by what
 * @v: gets the number of lines reported as plan and ok, and what is early or late
 *
 * For pvt.seconds= each. With pvt.emulated=yes what is late is not judged.
 */
void run_latency(struct verdict *v)
{
	const char *split[5] = {
		KSELFTEST_DIR "/pv_timer/pv_timer_split", "--raw", "--seconds",
		option("seconds", "1"), NULL
	};
	const char *argv[6] = {
		KSELFTEST_DIR "/pv_timer/pv_timer_latency", "--raw", "--seconds",
		option("seconds", "1"),
		strcmp(option("emulated", "no"), "yes") ? NULL : "--emulated", NULL
	};

	run_reporter(v, argv, LATENCY_SEC);
	/* There is nothing to be seen in a kernel that does not trace */
	if (!access("/sys/kernel/tracing", F_OK))
		run_reporter(v, split, LATENCY_SEC);
	if (!access(CYCLICTEST, X_OK))
		run_cyclictest(v);
}
