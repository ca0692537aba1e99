/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel that the core sees in the model
 *
 * Each header that the core includes is this file. A second has 64 ns and four
 * jiffies here, so that few bits hold all times that matter, and the counter runs
 * at 1 GHz, so that no conversion has to multiply. What the core calls with an
 * effect is in model.c.
 */
#ifndef _PV_TIMER_MODEL_KERNEL_H
#define _PV_TIMER_MODEL_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_HIGH_RES_TIMERS	1
#define CONFIG_PV_CLOCKEVENTS	1

/* No time of the model needs more bits, and the prover has half the work */
typedef uint32_t u64;
typedef int32_t s64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
typedef s64 ktime_t;

#define irqreturn_t		int
#define IRQ_HANDLED		1
#define IRQ_TYPE_NONE		0

#undef __always_inline
#define __always_inline		inline
#define noinline
#define __percpu
#define __read_mostly
#define __section(name)
#define __used			__attribute__((unused))
#define ____cacheline_aligned
#define EXPORT_SYMBOL_GPL(name)	extern int model_##name##_exported

#define likely(x)		(x)
#define unlikely(x)		(x)
#define READ_ONCE(x)		(x)
#define WRITE_ONCE(x, value)	((x) = (value))
#define BIT(n)			(1U << (n))
#define BIT_ULL(n)		((u64)1 << (n) / 4)
#define S64_MAX			INT32_MAX
#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp_t(type, x, lo, hi) max_t(type, lo, min_t(type, x, hi))
/* A device is that of this CPU */
#define container_of(ptr, type, member)	(&pv_timer_cpus[this_cpu])

/* ---- what the prover needs ---- */

#ifdef __CPROVER
u8 nondet_u8(void);
u32 nondet_u32(void);
#define model_check(condition, text)	__CPROVER_assert(condition, text)
#define model_assume(condition)		__CPROVER_assume(condition)
#define model_note(...)			do { } while (0)

static inline u64 any(u8 n)
{
	u8 choice = nondet_u8();

	__CPROVER_assume(choice < n);
	return choice;
}

static inline u64 anything(void)
{
	u32 choice = nondet_u32();

	return choice;
}
#else
u64 any(u8 n);
u64 anything(void);
void model_check(bool condition, const char *text);
void model_assume(bool condition);
void model_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
#endif

/* ---- arithmetic ---- */

#define NSEC_PER_SEC		64
#define USEC_PER_SEC		64
#define HZ			4
#define TICK_NSEC		(NSEC_PER_SEC / HZ)
#define KTIME_MAX		INT32_MAX
#define ktime_add_us(kt, us)	((kt) + (us))
#define time_after(a, b)	((s64)((b) - (a)) < 0)

#define div_u64(a, b)		((a) / (b))
#define div64_u64(a, b)		((a) / (b))
#define DIV_U64_ROUND_UP(a, b)	(((a) + (b) - 1) / (b))

static inline u64 div64_u64_rem(u64 a, u64 b, u64 *rem)
{
	*rem = a % b;
	return a / b;
}

/*
 * A factor is 1 or, for the line where there is none, 0. That of the frequency, for
 * which 64 bits are needed, is not looked at.
 */
static inline u64 mul_u64_u64_shr(u64 a, u64 factor, unsigned int shift)
{
	return factor || shift == 32 ? a : 0;
}

/* Makes the slope of the line, and the reach of a timer, an eighth less */
static inline u64 mul_u64_u64_div_u64(u64 a, u64 b, u64 c)
{
	return c == NSEC_PER_SEC ? a * b / c : 1;
}

/* ---- per CPU ---- */

#ifndef CPUS
#define CPUS			1
#endif

extern unsigned int this_cpu;
extern bool online[CPUS];

#define DECLARE_PER_CPU(type, name)	extern type name[CPUS]
#define DEFINE_PER_CPU(type, name)	type name[CPUS]
#define per_cpu(name, cpu)		((name)[cpu])
#define per_cpu_ptr(ptr, cpu)		(&(*(ptr))[cpu])
#define this_cpu_ptr(ptr)		(&(*(ptr))[this_cpu])
#define smp_processor_id()		this_cpu
#define nr_cpu_ids			CPUS

struct cpumask;
#define cpumask_of(cpu)			((const struct cpumask *)0)
#define cpu_possible_mask		((const struct cpumask *)0)
#define cpu_online_mask			0

/* Of two CPUs at most, and this one is online */
#define cpumask_next(cpu, mask)						\
	(this_cpu + 1 < CPUS && online[CPUS - 1] ? this_cpu + 1 : CPUS)
#define cpumask_first(mask)		(online[0] ? 0 : this_cpu)
#define for_each_online_cpu(cpu)					\
	for ((cpu) = 0; (cpu) < CPUS; (cpu)++)				\
		if (online[cpu])

#define atomic_t			int
#define atomic_set(v, i)		(*(v) = (i))
#define atomic_read(v)			(*(v))
#define xchg(ptr, value)		({				\
	__typeof__(*(ptr)) model_old = *(ptr);				\
	*(ptr) = (value);						\
	model_old; })
#define atomic_xchg(v, i)		xchg(v, i)
#define cmpxchg(ptr, old, new)		({				\
	__typeof__(*(ptr)) model_old = *(ptr);				\
	if (model_old == (old))						\
		*(ptr) = (new);						\
	model_old; })

#define call_single_data_t		int
#define INIT_CSD(csd, func, info)	((void)(func))

#define guard(kind)			model_guard_##kind
static inline void model_guard_irqsave(void) { }
static inline void model_guard_preempt(void) { }

/* Time is read by others while it is updated, now and then */
#define seqcount_t			int
#define SEQCNT_ZERO(name)		0
#define raw_read_seqcount(s)		((unsigned int)any(2))
#define read_seqcount_retry(s, seq)	((bool)any(2))
#define write_seqcount_begin(s)		((void)(s))
#define write_seqcount_end(s)		((void)(s))

/* ---- static keys, static calls: the calls are known ---- */

#define DECLARE_STATIC_KEY_FALSE(name)	extern bool name
#define DEFINE_STATIC_KEY_FALSE(name)	bool name
#define static_branch_unlikely(key)	(*(key))
#define static_branch_enable(key)	(*(key) = true)
#define static_key_enabled(key)		(*(key))
#define DECLARE_STATIC_CALL(name, func)	extern int model_##name##_call
#define DEFINE_STATIC_CALL_NULL(name, func) extern int model_##name##_call
#define static_call(name)		model_##name
#define static_call_cond(name)		model_##name
#define static_call_update(name, func)	((void)(func))

u64 model_pv_timer_now(void);
int model_pv_timer_arm(u64 deadline);
void model_pv_timer_disarm(void);
void model_pv_timer_ack(void);

/* ---- clocks ---- */

enum clocksource_ids { CSID_GENERIC, CSID_MODEL };
enum vdso_clock_mode { VDSO_CLOCKMODE_NONE };

#define CLOCKSOURCE_MASK(bits)		UINT32_MAX

struct clocksource {
	enum clocksource_ids id;
};

struct tk_read_base {
	struct clocksource	*clock;
	u64			mask;
	u64			cycle_last;
	u32			mult;
	u32			shift;
	u64			xtime_nsec;
	ktime_t			base;
};

struct timekeeper {
	struct tk_read_base	tkr_mono;
};

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long action,
			     void *data);
};

#define NOTIFY_OK			1
#define pvclock_gtod_register_notifier(nb) model_update()
#define pvclock_gtod_unregister_notifier(nb) ((void)(nb))
void model_update(void);

/* Is done before interrupts are on again, which is before the next step */
struct irq_work {
	void (*func)(struct irq_work *work);
};

#define IRQ_WORK_INIT_HARD(function)	{ .func = (function) }
#define irq_work_queue(work)		((work)->func(work))

ktime_t ktime_get(void);
u64 model_jiffies(void);
#define jiffies				model_jiffies()
#define udelay(us)			((void)(us))

/* ---- clock event devices and the tick ---- */

enum clock_event_state {
	CLOCK_EVT_STATE_DETACHED,
	CLOCK_EVT_STATE_SHUTDOWN,
	CLOCK_EVT_STATE_PERIODIC,
	CLOCK_EVT_STATE_ONESHOT,
	CLOCK_EVT_STATE_ONESHOT_STOPPED,
};

#define CLOCK_EVT_FEAT_ONESHOT		0x02
#define CLOCK_EVT_FEAT_KTIME		0x04
#define CLOCK_EVT_FEAT_C3STOP		0x08
#define CLOCK_EVT_FEAT_PERCPU		0x40

struct clock_event_device {
	void			(*event_handler)(struct clock_event_device *ced);
	int			(*set_next_ktime)(ktime_t expires,
						  struct clock_event_device *ced);
	ktime_t			next_event;
	u32			mult;
	enum clock_event_state	state;
	unsigned int		features;
	int			(*set_state_oneshot)(struct clock_event_device *ced);
	int			(*set_state_oneshot_stopped)(struct clock_event_device *ced);
	int			(*set_state_shutdown)(struct clock_event_device *ced);
	int			(*tick_resume)(struct clock_event_device *ced);
	const char		*name;
	int			rating;
	int			irq;
	const struct cpumask	*cpumask;
};

#define clockevent_state_oneshot(ced)	((ced)->state == CLOCK_EVT_STATE_ONESHOT)
#define clockevent_state_oneshot_stopped(ced)				\
	((ced)->state == CLOCK_EVT_STATE_ONESHOT_STOPPED)
#define clockevent_set_state(ced, new)	((ced)->state = (new))

/* The call through the pointer, of which the prover need not follow all others */
#define event_handler(ced)		event_handler, model_event(ced)
void model_event(struct clock_event_device *ced);

void clockevents_register_device(struct clock_event_device *ced);
void clockevents_handle_noop(struct clock_event_device *ced);
void hrtimer_interrupt(struct clock_event_device *ced);
int smp_call_function_single_async(unsigned int cpu, call_single_data_t *csd);

#define current				0
#define is_idle_task(task)		((bool)any(2))
#define tick_nohz_full_enabled()	((bool)any(2))
#define tick_nohz_tick_stopped()	((bool)any(2))

/* ---- messages, events and lines ---- */

#define IS_ENABLED(option)		0
#define __maybe_unused			__attribute__((unused))
#define on_each_cpu(func, info, wait)	((void)(func))
#define trace_pv_timer_arm(...)		do { } while (0)
#define trace_pv_timer_elide(...)	do { } while (0)
#define trace_pv_timer_interrupt(...)	do { } while (0)
#define trace_pv_timer_failed(...)	do { } while (0)
#define trace_pv_timer_stop(...)	do { } while (0)
#define trace_pv_timer_shutdown(...)	do { } while (0)
#define trace_pv_timer_resume(...)	do { } while (0)
#define trace_pv_timer_restart(...)	do { } while (0)

#define KERN_ERR			""
#define DEFAULT_RATELIMIT_INTERVAL	0
#define DEFINE_RATELIMIT_STATE(name, interval, burst) bool name
#define __ratelimit(state)		(*(state))
#define printk_deferred(...)		model_note(__VA_ARGS__)
#define enable_percpu_irq(irq, type)	((void)(irq))
#define disable_percpu_irq(irq)		((void)(irq))

#endif /* _PV_TIMER_MODEL_KERNEL_H */
