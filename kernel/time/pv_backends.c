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
#include <linux/kexec.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/pv_timer.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/syscore_ops.h>
#include <linux/sysfs.h>

#include "pv_clockevents.h"

#define PV_TIMER_MAX_BACKENDS	16

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

/* Is this one to be tried in the given round? The first is for the named one. */
static bool pv_timer_eligible(const struct pv_timer_known *known, bool named)
{
	if (named)
		return !strcmp(known->backend->name, pv_timer_param);
	if (!strcmp(pv_timer_param, "off"))
		return known->backend->flags & PV_TIMER_SOLE;
	return !(known->backend->flags & PV_TIMER_ON_REQUEST) &&
	       strcmp(known->backend->name, pv_timer_param);
}

static int pv_timer_request_irq(const struct pv_timer_backend *backend, int irq)
{
	int err;

	if (irq < 0)
		return irq;
	if (backend->flags & PV_TIMER_GLOBAL)
		return request_irq(irq, pv_timer_irq_handler, IRQF_TIMER,
				   "pv_timer", NULL);
	err = __request_percpu_irq(irq, pv_timer_irq_handler, IRQF_TIMER,
				   "pv_timer", &pv_timer_cpus);
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
	struct clocksource *cs = backend->clocksource;
	int err;

	pv_timer_adopt(backend, hz);
	err = pv_timer_bring_up(backend);
	if (err) {
		static_branch_disable(&pv_timer_active);
		pv_timer = NULL;
		return err;
	}

	if (cs && clocksource_register_hz(cs, hz))
		pr_err("cannot register clocksource %s\n", cs->name);
	if (backend->cs_id != CSID_GENERIC)
		pv_timer_couple();
	return 0;
}

static bool pv_timer_try(const struct pv_timer_known *known)
{
	int err = pv_timer_start(known->backend, known->hz);

	if (err)
		pr_err("%s does not tick [%d], trying the next\n",
		       known->backend->name, err);
	else
		pr_info("using %s (rating %d)\n", known->backend->name,
			known->backend->rating);
	return !err;
}

static bool pv_timer_try_round(bool named)
{
	unsigned int i;

	for (i = 0; i < pv_timer_nr_known; i++)
		if (pv_timer_eligible(&pv_timer_known[i], named) &&
		    pv_timer_try(&pv_timer_known[i]))
			return true;
	return false;
}

static void pv_timer_choose(void)
{
	bool off = !strcmp(pv_timer_param, "off");
	char present[128] = "none";

	if (pv_timer_try_round(true))
		return;
	if (pv_timer_try_round(false) && off)
		pr_warn("nothing else ticks here, pv_timer=off is not possible\n");
	if (!*pv_timer_param || off)
		return;
	pv_timer_print_known(present, sizeof(present));
	pr_warn("no backend '%s' ticks here, using %s; present: %s\n",
		pv_timer_param, pv_timer ? pv_timer->name : "none", present);
}

static const char *pv_timer_missing(const struct pv_timer_backend *backend)
{
	if (!backend->name || !*backend->name || !strcmp(backend->name, "off"))
		return "name";
	if (!backend->probe)
		return "probe()";
	if (!backend->now)
		return "now()";
	if (!backend->arm)
		return "arm()";
	if (!backend->disarm)
		return "disarm()";
	if (!backend->arm_periodic != !backend->disarm_periodic)
		return "one of arm_periodic() and disarm_periodic()";
	if (!(~backend->flags & (PV_TIMER_RELATIVE | PV_TIMER_EXACT)))
		return "one of PV_TIMER_RELATIVE and PV_TIMER_EXACT";
	return NULL;
}

static int pv_timer_add(const struct pv_timer_backend *backend)
{
	const char *missing = pv_timer_missing(backend);
	unsigned int i, at = pv_timer_nr_known;
	u64 hz;

	if (missing) {
		pr_err("%s: lacks %s\n", backend->name ?: "backend", missing);
		return -EINVAL;
	}
	for (i = pv_timer_nr_known; i-- > 0; ) {
		if (!strcmp(pv_timer_known[i].backend->name, backend->name))
			return -EEXIST;
		if (pv_timer_known[i].backend->rating < backend->rating)
			at = i;
	}
	if (pv_timer_nr_known == PV_TIMER_MAX_BACKENDS)
		return -ENOSPC;
	hz = backend->probe();
	if (!hz)
		return -ENODEV;

	memmove(&pv_timer_known[at + 1], &pv_timer_known[at],
		(pv_timer_nr_known++ - at) * sizeof(pv_timer_known[0]));
	pv_timer_known[at] = (struct pv_timer_known) { backend, hz };
	return 0;
}

/**
 * pv_timer_register() - Make a backend known that was not linked in
 * @backend: the backend, which stays
 *
 * It ticks from now on if no backend does so yet. The backends that are linked
 * in are known before, see PV_TIMER_BACKEND().
 *
 * Context: process, may sleep.
 * Return: 0; -EINVAL if something mandatory is missing, which is logged;
 * -EEXIST if the name is taken; -ENODEV if it does not probe; -ENOSPC.
 */
int pv_timer_register(const struct pv_timer_backend *backend)
{
	int err;

	guard(mutex)(&pv_timer_mutex);
	err = pv_timer_add(backend);
	if (!err && pv_timer_is_set_up && !pv_timer)
		pv_timer_choose();
	return err;
}
EXPORT_SYMBOL_GPL(pv_timer_register);

/**
 * pv_timer_setup() - Let the best backend tick, if there is one
 *
 * The architecture calls this where it would register its own clock event
 * device on a CPU. The first call chooses the backend, and brings up the CPUs
 * that are online; the others are brought up by CPU hotplug.
 *
 * Context: the first call: process, on the boot CPU, irqs on and deliverable,
 * may sleep. Later calls: any.
 * Return: true if a backend ticks, the caller is not to register a device then.
 */
bool pv_timer_setup(void)
{
	const struct pv_timer_backend * const *backend;

	if (pv_timer_is_set_up)
		return pv_timer;
	pv_timer_is_set_up = true;

	guard(mutex)(&pv_timer_mutex);
	for (backend = __start___pv_timer_backends;
	     backend < __stop___pv_timer_backends; backend++)
		pv_timer_add(*backend);
	pv_timer_choose();
	return pv_timer;
}

/**
 * pv_timer_crash_stop() - Disarm this CPU's timer for the next kernel
 *
 * Context: a crashed kernel, irqs off. Takes no lock.
 */
void pv_timer_crash_stop(void)
{
	if (!pv_timer)
		return;
	if (pv_timer->disarm_periodic)
		pv_timer->disarm_periodic();
	static_call(pv_timer_disarm)();
	if (pv_timer->cpu_stop)
		pv_timer->cpu_stop();
}

static int pv_timer_arm_nothing(u64 deadline)
{
	return 0;
}

static void pv_timer_stop_this_cpu(void *unused)
{
	pv_timer_crash_stop();
}

/* kexec: no CPU may arm again after its timer was stopped. */
static void pv_timer_syscore_shutdown(void *unused)
{
	if (!kexec_in_progress || !pv_timer)
		return;
	static_call_update(pv_timer_arm, pv_timer_arm_nothing);
	on_each_cpu(pv_timer_stop_this_cpu, NULL, true);
}

static const struct syscore_ops pv_timer_syscore_ops = {
	.shutdown = pv_timer_syscore_shutdown,
};

static struct syscore pv_timer_syscore = {
	.ops = &pv_timer_syscore_ops,
};

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
	"set", "armed", "elided", "stopped", "events",
	"early", "soaked", "spurious", "lost", "refused",
};

static int stats_show(struct seq_file *m, void *unused)
{
	unsigned int cpu, i;

	seq_puts(m, "cpu");
	for (i = 0; i < PV_TIMER_NR_STATS; i++)
		seq_printf(m, " %10s", pv_timer_stat_names[i]);
	for_each_possible_cpu(cpu) {
		seq_printf(m, "\n%3u", cpu);
		for (i = 0; i < PV_TIMER_NR_STATS; i++)
			seq_printf(m, " %10lu",
				   READ_ONCE(per_cpu(pv_timer_cpus, cpu).stats[i]));
	}
	seq_putc(m, '\n');
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int __init pv_timer_late_init(void)
{
	struct kobject *kobj = kobject_create_and_add("pv_timer", kernel_kobj);

	register_syscore(&pv_timer_syscore);
	debugfs_create_file("stats", 0444, debugfs_create_dir("pv_timer", NULL),
			    NULL, &stats_fops);
	return kobj ? sysfs_create_files(kobj, pv_timer_attrs) : -ENOMEM;
}
device_initcall(pv_timer_late_init);
