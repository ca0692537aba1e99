# SPDX-License-Identifier: GPL-2.0
"""Who programs timers, how often that was elided, and how late it woke: for perf script

What was recorded by record.sh:

  perf script -i perf.data -s timers.py

A request is of the task that made it, those of the timer interrupt itself are apart. A
wake-up is one of a timer interrupt, and late from the deadline until the task runs. The
counter's ticks are made to ns by the times that perf has of the same events.
"""

from collections import defaultdict

from perf_trace_context import common_flags

HARDIRQ = 8         # TRACE_FLAG_HARDIRQ


class Task:
    """What a task has done on a CPU"""

    def __init__(self):
        self.armed = self.elided = self.wakes = self.sum = self.worst = 0


tasks = defaultdict(Task)
names = {}
first = last = None
interrupted = {}    # CPU -> time and lateness in ticks of the interrupt that it is in
woken = {}          # task -> the same of the interrupt that has woken it up
late = []           # task, CPU, ns and ticks; the latter count once the frequency is known


def note_counter(when, now):
    """Two times of the same event"""
    global first, last
    first = first or (when, now)
    last = (when, now)


def request(context, cpu, when, pid, comm, now):
    """Return: who has made it"""
    note_counter(when, now)
    if common_flags(context) & HARDIRQ:
        pid, comm = -1, "(interrupt)"
    names[pid] = comm
    return tasks[pid, cpu]


def nsecs(secs, ns):
    return secs * 10**9 + ns


def pv_timer__pv_timer_arm(_name, context, cpu, secs, ns, pid, comm, _chain,
                           _expires, _deadline, now, _sample):
    request(context, cpu, nsecs(secs, ns), pid, comm, now).armed += 1


def pv_timer__pv_timer_elide(_name, context, cpu, secs, ns, pid, comm, _chain,
                             _expires, _deadline, now, _sample):
    request(context, cpu, nsecs(secs, ns), pid, comm, now).elided += 1


def pv_timer__pv_timer_interrupt(_name, _context, cpu, secs, ns, _pid, _comm, _chain,
                                 _kind, deadline, now, _sample):
    note_counter(nsecs(secs, ns), now)
    interrupted[cpu] = nsecs(secs, ns), now - deadline


def sched__sched_waking(_name, context, cpu, _secs, _ns, _waker, _by, _chain, comm, pid,
                        _prio, _target, _sample):
    if cpu in interrupted and common_flags(context) & HARDIRQ:
        woken[pid] = interrupted[cpu]
        names[pid] = comm


def sched__sched_switch(_name, _context, cpu, secs, ns, _pid, _comm, _chain, _prev_comm,
                        _prev_pid, _prev_prio, _prev_state, _next_comm, next_pid,
                        _next_prio, _sample):
    interrupted.pop(cpu, None)
    if next_pid in woken:
        when, ticks = woken.pop(next_pid)
        late.append((next_pid, cpu, nsecs(secs, ns) - when, ticks))


def trace_end():
    """Print it, those who program most first"""
    if not first or last[0] == first[0]:
        print("no events of pv_timer were recorded")
        return
    ns_per_tick = (last[0] - first[0]) / (last[1] - first[1])
    for pid, cpu, ns, ticks in late:
        task, ns = tasks[pid, cpu], ns + ticks * ns_per_tick
        task.wakes += 1
        task.sum += ns
        task.worst = max(task.worst, ns)
    print(f"{'task':<16}{'pid':>7}{'CPU':>5}{'requests':>10}{'elided':>8}{'wakes':>7}"
          f"{'late, us':>10}{'worst':>10}")
    for (pid, cpu), task in sorted(tasks.items(), key=lambda item: (
            -item[1].armed - item[1].elided, -item[1].wakes, item[0])):
        requests = task.armed + task.elided
        elided = f"{100 * task.elided / requests:.0f} %" if requests else "-"
        mean, worst = (f"{ns / 1000:.1f}" if task.wakes else "-"
                       for ns in (task.sum / max(task.wakes, 1), task.worst))
        print(f"{names[pid]:<16}{pid if pid >= 0 else '-':>7}{cpu:>5}{requests:>10}"
              f"{elided:>8}{task.wakes:>7}{mean:>10}{worst:>10}")
