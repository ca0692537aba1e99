/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pv_timer tests read from the kernel.
 *
 * All times are in nanoseconds unless the name says otherwise. Functions that
 * return a count return -1 if the kernel does not tell it.
 */
#ifndef PV_TIMER_COMMON_H
#define PV_TIMER_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define USEC		1000LL
#define MSEC		(1000 * USEC)
#define SEC		(1000 * MSEC)

/*
 * A sleep that is later than this was not late: its timer was lost. Once one was, each
 * CPU wakes up every second to look after the next one, so none is later than by this.
 */
#define LOST_AFTER	SEC

/*
 * How many early interrupts there may be beside a thousand events. Each costs one more
 * interrupt, and each event more than one exit: this many are not seen in what a load costs.
 */
#define EARLY_PERMILLE	2

#define MAX_CPUS	256

/* How late something is, each twice as late as the one before: the last are 9 min */
#define LATENCY_BUCKETS	40

#define PV_TIMER_STATS	"/sys/kernel/debug/pv_timer/stats"

/* The columns of the statistics in debugfs */
enum pv_stat {
	PV_ARMED,
	PV_ELIDED,
	PV_STOPPED,
	PV_EVENTS,
	PV_EARLY,
	PV_SUPERSEDED,
	PV_SPURIOUS,
	PV_LOST,
	PV_REFUSED,
	PV_DELAYED,
	PV_RESTARTED,
	PV_NR_STATS,
};

extern const char * const pv_stat_names[PV_NR_STATS];

struct pv_stats {
	long long v[PV_NR_STATS];
};

/*
 * What a program that measures is told: --seconds, @most at most, --raw, and --emulated if
 * it knows that. @help is a format, for the name of the program.
 */
struct settings {
	int seconds;
	int most;
	bool raw;
	bool emulated;
	bool knows_emulated;
	const char *help;
};

/* When the RTC went on to the next second: not before, and not after */
struct edge {
	long long second;
	long long after;
	long long before;
};

/* One of PVT_MODE: how the kernel was booted */
enum mode {
	MODE_DEFAULT,
	MODE_NOHZ_OFF,
	MODE_HIGHRES_OFF,
	MODE_BROKEN,
	MODE_FAR,
	MODE_DEBUG,
};

long long now_ns(clockid_t clock);
struct timespec ns_to_ts(long long ns);
void sleep_until(long long at);
long long spin(long long ns);
int compare_ns(const void *a, const void *b);

int online_cpus(int cpus[MAX_CPUS]);
void two_cpus(int *cpu, int *other);
bool pin(int cpu);
bool go_realtime(char *missing, size_t size);
bool set_online(int cpu, bool online);
bool on_cpus(const int *cpus, int nr, void *(*fn)(void *arg), void *args, size_t size);
bool on_each_cpu(void *(*fn)(void *arg), void *args, size_t size);
void load_cpus(long long ns);

enum mode boot_mode(void);
long long tick_ns(void);
long long lateness_limit(void);
long long least_ticks(long long ticks, long long missed);
bool read_line(const char *path, char *buf, size_t size);
bool write_text(const char *path, const char *text);
bool cmdline_value(const char *name, char *buf, size_t size);
void read_device(int cpu, char *buf, size_t size);
const char *pv_timer_absent(void);
const char *too_slow(void);
int may_keep_ticking(int nr_cpus);
bool read_stats(int cpu, struct pv_stats *stats);
long long timer_interrupts(int cpu);
long long next_interrupt(int cpu);
long long coupling(void);
long long idle_ns(int cpu);
long long stolen_ns(int cpu);
bool has_rtc(void);
struct edge rtc_edge(void);
long long clock_syscalls(int calls);
const char *word(char *s);
void report_clock(void);
void report_facts(void);
void parse_settings(struct settings *settings, int argc, char **argv);
int latency_bucket(long long ns);
long long quantile(const long long *late, int nr, int permille);

#endif /* PV_TIMER_COMMON_H */
