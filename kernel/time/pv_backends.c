// SPDX-License-Identifier: GPL-2.0
/*
 * Which hypervisor's timer ticks, and what the user sees of it
 *
 * Backends are linked in or registered by modules. Of those that find their
 * hypervisor, the one with the highest rating ticks if its timer fires, unless
 * the command line says otherwise.
 */
#define pr_fmt(fmt) "pv_timer: " fmt

#include <linux/cleanup.h>
#include <linux/clocksource.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pv_timer.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <trace/events/pv_timer.h>

#include "pv_clockevents.h"

#define PV_TIMER_MAX_BACKENDS	32
#define PV_TIMER_MAX_CLOCKS	2

/* The backends that are present, best first */
static struct pv_timer_known {
	const struct pv_timer_backend	*backend;
	u64				hz;
} pv_timer_known[PV_TIMER_MAX_BACKENDS];
static unsigned int pv_timer_nr_known;

/* Protection for the above, and for the choice between them */
static DEFINE_MUTEX(pv_timer_mutex);

/* The architecture has asked for a timer */
static bool pv_timer_is_set_up;

static char pv_timer_param[32];

static int __init pv_timer_parse(char *arg)
{
	strscpy(pv_timer_param, arg ?: "");
	return 0;
}
early_param("pv_timer", pv_timer_parse);

/* No paravirtualization at all, see arch/x86/kernel/cpu/hypervisor.c */
static int __init pv_timer_nopv(char *arg)
{
	return pv_timer_parse("off");
}
early_param("nopv", pv_timer_nopv);

/* "name(rating)" of the backends that are present, best first */
static ssize_t pv_timer_print_known(char *buf, size_t size)
{
	ssize_t len = 0;
	unsigned int i;

	for (i = 0; i < pv_timer_nr_known; i++)
		len += scnprintf(buf + len, size - len, "%s%s(%d)", i ? " " : "",
				 pv_timer_known[i].backend->name,
				 pv_timer_known[i].backend->rating);
	return len;
}

/* Does the command line name a backend? */
static bool pv_timer_is_named(void)
{
	return *pv_timer_param && strcmp(pv_timer_param, "off");
}

/* Is this one to be tried in the given round? The first is for the named one. */
static bool pv_timer_eligible(const struct pv_timer_backend *backend, bool named)
{
	if (named)
		return !strcmp(backend->name, pv_timer_param);
	if (!strcmp(pv_timer_param, "off"))
		return backend->flags & PV_TIMER_SOLE;
	return !(backend->flags & PV_TIMER_ON_REQUEST) &&
	       strcmp(backend->name, pv_timer_param);
}

/* Only a module can have the name, and the architecture ticks until it comes */
static bool pv_timer_awaits_module(void)
{
	unsigned int i;

	if (!pv_timer_has_modules() || !pv_timer_is_named())
		return false;
	for (i = 0; i < pv_timer_nr_known; i++)
		if (pv_timer_eligible(pv_timer_known[i].backend, true) ||
		    pv_timer_known[i].backend->flags & PV_TIMER_SOLE)
			return false;
	return true;
}

static int pv_timer_request_irq(const struct pv_timer_backend *backend, int irq)
{
	int err;

	if (irq < 0)
		return irq;
	if (backend->flags & PV_TIMER_GLOBAL)
		return request_irq(irq, pv_timer_line_handler, IRQF_TIMER,
				   "pv_timer", NULL);
	err = request_percpu_irq(irq, pv_timer_line_handler, "pv_timer", &pv_timer_cpus);
	if (!err)
		pv_timer_percpu_irq = irq;
	return err;
}

static void pv_timer_free_irq(int irq)
{
	if (pv_timer_percpu_irq)
		free_percpu_irq(irq, &pv_timer_cpus);
	else
		free_irq(irq, NULL);
	pv_timer_percpu_irq = 0;
}

static int pv_timer_register_devices(void)
{
	if (pv_timer->flags & PV_TIMER_GLOBAL)
		return pv_timer_starting_cpu(0);
	return cpuhp_setup_state(CPUHP_AP_PV_TIMER_STARTING,
				 "clockevents/pv/timer:starting",
				 pv_timer_starting_cpu, pv_timer_dying_cpu);
}

static int pv_timer_bring_up(const struct pv_timer_backend *backend)
{
	int irq = backend->irq ? backend->irq() : 0;
	int err = 0, state = 0;

	if (backend->irq)
		err = pv_timer_request_irq(backend, irq);
	if (err)
		return err;

	if (backend->cpu_prepare)
		state = cpuhp_setup_state(CPUHP_BP_PREPARE_DYN,
					  "clockevents/pv/timer:prepare",
					  backend->cpu_prepare, backend->cpu_dead);
	err = state;
	if (err >= 0)
		err = pv_timer_fires() ? pv_timer_register_devices() : -EIO;
	if (err >= 0)
		return 0;

	if (state > 0)
		cpuhp_remove_state(state);
	if (backend->irq)
		pv_timer_free_irq(irq);
	return err;
}

/*
 * Let a backend tick on all CPUs. Return: 0, or the error that keeps it from
 * doing so: -EIO if it has armed a deadline and no interrupt came.
 */
static int pv_timer_start(const struct pv_timer_backend *backend, u64 hz)
{
	int err;

	if (!try_module_get(backend->owner))
		return -ENODEV;
	pv_timer_adopt(backend, hz);
	err = pv_timer_bring_up(backend);
	if (err) {
		static_branch_disable(&pv_timer_active);
		pv_timer = NULL;
		module_put(backend->owner);
		return err;
	}
	pv_timer_couple();
	return 0;
}

static bool pv_timer_try(const struct pv_timer_known *known)
{
	int err = pv_timer_start(known->backend, known->hz);

	trace_pv_timer_backend(known->backend->name, known->backend->rating, known->hz, err);
	if (err)
		pr_err("%s does not tick [%d]\n", known->backend->name, err);
	else
		pr_info("using %s (rating %d)%s\n", known->backend->name,
			known->backend->rating,
			known->backend->owner ? ", its module cannot be removed" : "");
	return !err;
}

static bool pv_timer_try_round(bool named)
{
	unsigned int i;

	for (i = 0; i < pv_timer_nr_known; i++)
		if (pv_timer_eligible(pv_timer_known[i].backend, named) &&
		    pv_timer_try(&pv_timer_known[i]))
			return true;
	return false;
}

static void pv_timer_choose(void)
{
	char present[128] = "none";

	pv_timer_print_known(present, sizeof(present));
	if (pv_timer_awaits_module()) {
		pr_warn("no backend '%s' is built in, the architecture ticks until one registers; present: %s\n",
			pv_timer_param, present);
		return;
	}
	if (pv_timer_try_round(true))
		return;
	if (pv_timer_try_round(false) && !strcmp(pv_timer_param, "off"))
		pr_warn("nothing else ticks here, pv_timer=off is not possible\n");
	if (pv_timer_is_named())
		pr_warn("no backend '%s' ticks here, using %s; present: %s\n",
			pv_timer_param, pv_timer ? pv_timer->name : "none", present);
}

/* Nothing ticks yet. The vectors of those that came before are the architecture's now. */
static void pv_timer_choose_late(const struct pv_timer_backend *backend)
{
	unsigned int i;

	if (!pv_timer_eligible(backend, pv_timer_is_named()))
		return;
	for (i = 0; i < pv_timer_nr_known; i++)
		if (pv_timer_known[i].backend == backend)
			pv_timer_try(&pv_timer_known[i]);
}

/* What is mandatory, and what cannot be together */
static const char *pv_timer_flaw(const struct pv_timer_backend *backend)
{
	if (!backend->name || !*backend->name || !strcmp(backend->name, "off"))
		return "lacks a name";
	if (!backend->probe)
		return "lacks probe()";
	if (!backend->now)
		return "lacks now()";
	if (!backend->arm)
		return "lacks arm()";
	if (!backend->disarm)
		return "lacks disarm()";
	if (backend->flags & ~PV_TIMER_ALL_FLAGS)
		return "has flags that this kernel does not know";
	if ((backend->flags & PV_TIMER_LEVEL || backend->ack) && !backend->irq)
		return "lacks irq(), which PV_TIMER_LEVEL and ack() need";
	if (backend->flags & PV_TIMER_GLOBAL && num_possible_cpus() > 1)
		return "has one timer for several CPUs";
	if (backend->vector && pv_timer_is_set_up)
		return "comes after its vector was given to another timer";
	return NULL;
}

static void pv_timer_insert(const struct pv_timer_backend *backend, u64 hz)
{
	unsigned int at = pv_timer_nr_known++;

	for (; at && pv_timer_known[at - 1].backend->rating < backend->rating; at--)
		pv_timer_known[at] = pv_timer_known[at - 1];
	pv_timer_known[at] = (struct pv_timer_known) { backend, hz };
}

static int pv_timer_add(const struct pv_timer_backend *backend)
{
	const char *flaw = pv_timer_flaw(backend);
	unsigned int i;
	u64 hz;

	if (flaw) {
		pr_err("%s: %s\n", backend->name ?: "backend", flaw);
		return -EINVAL;
	}
	for (i = 0; i < pv_timer_nr_known; i++)
		if (!strcmp(pv_timer_known[i].backend->name, backend->name))
			return -EEXIST;
	if (pv_timer_nr_known == PV_TIMER_MAX_BACKENDS) {
		pr_err("%s: %u backends are known already\n", backend->name,
		       PV_TIMER_MAX_BACKENDS);
		return -ENOSPC;
	}
	hz = backend->probe();
	if (!hz)
		return -ENODEV;
	if (hz < HZ || hz > PV_TIMER_MAX_HZ) {
		pr_err("%s: counts at %llu Hz, not between %u Hz and %llu Hz\n",
		       backend->name, hz, HZ, PV_TIMER_MAX_HZ);
		return -ERANGE;
	}
	if (backend->max_ticks && backend->max_ticks < 4 * div_u64(hz, HZ)) {
		pr_err("%s: arms no deadline that is four jiffies away\n", backend->name);
		return -ERANGE;
	}
	pv_timer_insert(backend, hz);
	return 0;
}

/**
 * pv_timer_register() - Make a backend known that was not linked in
 * @backend: the backend, which stays
 *
 * It ticks from now on if no backend does so yet, and pv_timer= names it or none.
 * The backends that are linked in are known before, see PV_TIMER_BACKEND().
 *
 * Context: process, may sleep.
 * Return: 0; -EINVAL if something mandatory is missing or does not fit, and
 * -ERANGE if its counter is too slow or too fast, or its reach too short, which
 * are logged; -EEXIST if the name is taken; -ENODEV if it does not probe;
 * -ENOSPC.
 */
int pv_timer_register(const struct pv_timer_backend *backend)
{
	int err;

	guard(mutex)(&pv_timer_mutex);
	err = pv_timer_add(backend);
	if (!err && pv_timer_is_set_up && !pv_timer)
		pv_timer_choose_late(backend);
	return err;
}
EXPORT_SYMBOL_GPL(pv_timer_register);

/**
 * pv_timer_unregister() - Forget a backend that pv_timer_register() made known
 * @backend: the backend
 *
 * Context: process, may sleep.
 * Return: 0; -EBUSY if it ticks, as it does until the next boot; -ENOENT if it is
 * not known.
 */
int pv_timer_unregister(const struct pv_timer_backend *backend)
{
	unsigned int i;

	guard(mutex)(&pv_timer_mutex);
	if (pv_timer == backend)
		return -EBUSY;
	for (i = 0; i < pv_timer_nr_known; i++)
		if (pv_timer_known[i].backend == backend)
			break;
	if (i == pv_timer_nr_known)
		return -ENOENT;
	for (pv_timer_nr_known--; i < pv_timer_nr_known; i++)
		pv_timer_known[i] = pv_timer_known[i + 1];
	return 0;
}
EXPORT_SYMBOL_GPL(pv_timer_unregister);

/**
 * pv_timer_setup() - Let the best backend tick, if there is one
 *
 * None does if pv_timer= has a name that a module may bring.
 *
 * The architecture calls this where it would register its own clock event
 * device on a CPU. The first call chooses the backend, and brings up the CPUs
 * that are online; the others are brought up by CPU hotplug. Their calls come
 * when their counters are synchronized, which a deadline of before may not fit.
 *
 * Context: the first call: process, on the boot CPU, irqs on and deliverable,
 * may sleep. Later calls: any, on the CPU that comes up.
 * Return: true if a backend ticks, the caller is not to register a device then.
 */
bool pv_timer_setup(void)
{
	const struct pv_timer_backend * const *backend;

	if (pv_timer_is_set_up) {
		if (pv_timer)
			pv_timer_restart_this_cpu();
		return pv_timer;
	}

	guard(mutex)(&pv_timer_mutex);
	for (backend = __start___pv_timer_backends;
	     backend < __stop___pv_timer_backends; backend++)
		pv_timer_add(*backend);
	pv_timer_is_set_up = true;
	pv_timer_choose();
	return pv_timer;
}

static struct pv_timer_clocksource {
	struct clocksource	cs;
	u64			(*counter)(void);
} pv_timer_clocks[PV_TIMER_MAX_CLOCKS];
static unsigned int pv_timer_nr_clocks;

/**
 * pv_timer_is_clock() - Does a clocksource read the counter of the backend in use?
 * @cs: the clocksource
 *
 * Context: any.
 * Return: true if it does.
 */
bool pv_timer_is_clock(const struct clocksource *cs)
{
	unsigned int i;

	for (i = 0; i < pv_timer_nr_clocks; i++)
		if (cs == &pv_timer_clocks[i].cs)
			return pv_timer_clocks[i].counter == pv_timer->now;
	return false;
}

/**
 * pv_timer_register_clock() - Make the counter of a hypervisor a clocksource
 * @clock: its facts, which are copied
 *
 * It is one whether or not a backend ticks by this counter.
 *
 * Context: boot, also before memory can be allocated.
 * Return: the clocksource, or an error pointer; the error is logged.
 */
struct clocksource * __init pv_timer_register_clock(const struct pv_timer_clock *clock)
{
	struct pv_timer_clocksource *c = &pv_timer_clocks[pv_timer_nr_clocks];
	int err = -ENOSPC;

	if (pv_timer_nr_clocks < PV_TIMER_MAX_CLOCKS) {
		c->counter = clock->counter;
		c->cs = (struct clocksource) {
			.name		 = clock->name,
			.rating		 = clock->rating,
			.read		 = clock->read,
			.enable		 = clock->enable,
			.suspend	 = clock->suspend,
			.resume		 = clock->resume,
			.vdso_clock_mode = clock->vdso_clock_mode,
			.mask		 = CLOCKSOURCE_MASK(64),
			.flags		 = CLOCK_SOURCE_IS_CONTINUOUS,
		};
		pv_timer_nr_clocks++;
		err = clocksource_register_hz(&c->cs, clock->hz);
	}
	if (!err)
		return &c->cs;
	pr_err("cannot register clocksource %s [%d]\n", clock->name, err);
	return ERR_PTR(err);
}

static ssize_t available_backends_show(struct kobject *kobj,
				       struct kobj_attribute *attr, char *buf)
{
	ssize_t len;

	guard(mutex)(&pv_timer_mutex);
	len = pv_timer_print_known(buf, PAGE_SIZE - 1);
	return len + sysfs_emit_at(buf, len, "\n");
}

static struct kobj_attribute available_backends = __ATTR_RO(available_backends);

static ssize_t current_backend_show(struct kobject *kobj,
				    struct kobj_attribute *attr, char *buf)
{
	guard(mutex)(&pv_timer_mutex);
	return sysfs_emit(buf, "%s\n", pv_timer ? pv_timer->name : "none");
}

static struct kobj_attribute current_backend = __ATTR_RO(current_backend);

static const struct attribute *pv_timer_attrs[] = {
	&available_backends.attr,
	&current_backend.attr,
	NULL
};

static const char * const pv_timer_stat_names[PV_TIMER_NR_STATS] = {
	"armed", "elided", "stopped", "events", "early", "superseded",
	"spurious", "lost", "refused", "delayed", "restarted",
};

static int stats_show(struct seq_file *m, void *unused)
{
	const struct pv_timer_cpu *pt;
	unsigned int cpu, i;

	guard(mutex)(&pv_timer_mutex);
	seq_puts(m, "cpu");
	for (i = 0; i < PV_TIMER_NR_STATS; i++)
		seq_printf(m, " %10s", pv_timer_stat_names[i]);
	for_each_possible_cpu(cpu) {
		pt = per_cpu_ptr(&pv_timer_cpus, cpu);
		seq_printf(m, "\n%3u", cpu);
		for (i = 0; i < PV_TIMER_NR_STATS; i++)
			seq_printf(m, " %10lu", READ_ONCE(pt->stats[i]) - pt->before[i]);
	}
	seq_putc(m, '\n');
	return 0;
}

/* Only a CPU itself writes to its own */
static void pv_timer_reset_stats(void)
{
	struct pv_timer_cpu *pt;
	unsigned int cpu, i;

	guard(mutex)(&pv_timer_mutex);
	for_each_possible_cpu(cpu) {
		pt = per_cpu_ptr(&pv_timer_cpus, cpu);
		for (i = 0; i < PV_TIMER_NR_STATS; i++)
			pt->before[i] = READ_ONCE(pt->stats[i]);
	}
}

static ssize_t stats_write(struct file *file, const char __user *text, size_t size,
			   loff_t *unused)
{
	unsigned int value;
	int err = kstrtouint_from_user(text, size, 0, &value);

	if (err || value)
		return err ?: -EINVAL;
	pv_timer_reset_stats();
	return size;
}
DEFINE_SHOW_STORE_ATTRIBUTE(stats);

static int __init pv_timer_late_init(void)
{
	struct kobject *kobj = kobject_create_and_add("pv_timer", kernel_kobj);

	struct dentry *dir = debugfs_create_dir("pv_timer", NULL);

	debugfs_create_file("stats", 0644, dir, NULL, &stats_fops);
	debugfs_create_u64("slope", 0444, dir, &pv_timer_line.slope);
	return kobj ? sysfs_create_files(kobj, pv_timer_attrs) : -ENOMEM;
}
device_initcall(pv_timer_late_init);
