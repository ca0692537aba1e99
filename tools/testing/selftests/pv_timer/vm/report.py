#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints what pv_timer_report said in a guest, the old device beside pv_timer.

Reads DIR/report-pv.txt and DIR/report-off.txt, the "report: key=value ..."
lines of a guest with pv_timer and of the same guest with pv_timer=off. Whoever
runs the guest may add lines of that form: "report: emulated=no" and counts of
its own for a phase, "report: phase=idle tsc_deadline_writes=123".
"""

import os
import re
import sys

SIDES = {"pv": "with pv_timer", "off": "with pv_timer=off"}
PHASES = ["idle", "sleeping", "busy"]
STATS = ["armed", "elided", "stopped", "events", "early", "superseded",
         "spurious", "lost", "refused", "delayed", "restarted"]
LABELS = {
    "interrupts": "timer interrupts",
    "tsc_deadline_writes": "TSC_DEADLINE writes",
    "apic_icr_writes": "APIC timer writes",
}
BAR = 27


class Broken(Exception):
    """A report that cannot be shown."""


class Report:
    """What one guest said."""

    def __init__(self, path):
        self.facts = {}
        self.devices = {}
        self.phases = {}
        self.buckets = {}
        self.path = path

    def add(self, pairs):
        """Files one line where it belongs."""
        if "bucket" in pairs:
            self.buckets[int(pairs["bucket"])] = int(pairs["count"])
        elif "phase" in pairs:
            phase = self.phases.setdefault(pairs.pop("phase"), {})
            phase.update({k: float(v) for k, v in pairs.items()})
        elif "cpu" in pairs:
            self.devices[int(pairs["cpu"])] = pairs["device"]
        else:
            self.facts.update(pairs)

    def check(self):
        """Raises Broken unless the guest came to the end of its report."""
        if self.facts.get("end") != "yes":
            last = list(self.phases) or ["none"]
            raise Broken(f"{self.path} is incomplete: the guest stopped before "
                         f"its end, the last phase that it finished is {last[-1]}")

    def get(self, key, default="-"):
        """A fact as it was reported."""
        return self.facts.get(key, default)

    def rate(self, phase, key):
        """A count per second, or per sleep, None if it was not counted.

        How many sleeps a second has is a matter of the machine.
        """
        counts = self.phases.get(phase, {})
        units = counts.get("sleeps") or counts.get("seconds")
        if key not in counts or not units:
            return None
        return counts[key] / units

    def device(self):
        """The device of all CPUs, or each where they differ."""
        names = set(self.devices.values())
        if len(names) == 1:
            return f"{names.pop()} (all {len(self.devices)} CPUs)"
        return ", ".join(f"CPU {c}: {d}" for c, d in sorted(self.devices.items()))


def read_report(directory, side):
    """Reads the report of one guest, without what else is on its console."""
    path = os.path.join(directory, f"report-{side}.txt")
    report = Report(path)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                match = re.search(r"\breport: (.*=.*)", line)
                if match:
                    words = match.group(1).split()
                    report.add(dict(w.split("=", 1) for w in words if "=" in w))
    except FileNotFoundError as err:
        raise Broken(f"{path} is missing: the guest {SIDES[side]} has not "
                     "reported") from err
    except (KeyError, ValueError) as err:
        raise Broken(f"{path} is garbled: {err}") from err
    report.check()
    return report


def is_emulated(*reports):
    """Only who runs the guest can know; without word of it, assume the worst."""
    return any(r.get("emulated", "yes") != "no" for r in reports)


def ratio(old, new):
    """How much of the old is left."""
    if old is None or new is None or not old:
        return "-"
    return f"{new / old:.2f}"


def number(value):
    """A rate in a column, a dash if it is unknown."""
    return "-" if value is None else f"{value:,.2f}"


def print_facts(old, new):
    """Who is the guest, and what does it tick through?"""
    vdso = {"yes": "read in user space (vDSO)", "no": "read by system call"}
    tick = {"yes": "stops", "no": "runs"}
    print(f"Guest of {new.get('hypervisor')}, Linux {new.get('release')}, "
          f"{new.get('cpus')} CPUs, HZ={new.get('hz')}")
    if is_emulated(old, new):
        print("emulated: counts are exact, nanoseconds are not")
    print()
    rows = [
        ("", "old device", "pv_timer"),
        ("device", old.device(), new.device()),
        ("backend", "-", f"{new.get('backend')} (rating {new.get('rating')})"),
        ("clocksource", old.get("clocksource"), new.get("clocksource")),
        ("", vdso.get(old.get("vdso"), "-"), vdso.get(new.get("vdso"), "-")),
        ("tick in idle", tick.get(old.get("tick_stopped"), "-"),
         tick.get(new.get("tick_stopped"), "-")),
    ]
    for row in rows:
        print(f"{row[0]:<14}{row[1]:<33}{row[2]}".rstrip())


def counted(old, new, phase):
    """What the hypervisor or both guests have counted, in order of appearance."""
    keys = {}
    for report in (new, old):
        keys.update(dict.fromkeys(report.phases.get(phase, {})))
    return [k for k in keys if k not in (*STATS, "seconds", "sleeps")]


def print_rates(old, new):
    """What the timer costs in each phase."""
    print(f"\n{'':<38}{'old device':>14}{'pv_timer':>14}{'ratio':>12}")
    for phase in PHASES:
        counts = new.phases.get(phase, {})
        print(f"{phase}, per {'sleep of 1 ms' if 'sleeps' in counts else 'second'}")
        for key in counted(old, new, phase):
            rates = old.rate(phase, key), new.rate(phase, key)
            label = LABELS.get(key, key.replace("_", " "))
            print(f"{'':<12}{label:<26}{number(rates[0]):>14}"
                  f"{number(rates[1]):>14}{ratio(*rates):>12}")


def print_stats(new):
    """What the core did with the requests, in whole numbers."""
    shown = ["armed", "elided", "superseded", "early", "spurious", "lost",
             "refused", "delayed"]
    print(f"\n{'pv_timer':<10}{'seconds':>8}{'sleeps':>7}" +
          "".join(s.rjust(max(len(s) + 1, 7)) for s in shown))
    for phase in PHASES:
        counts = new.phases.get(phase, {})
        line = f"{phase:<10}{counts.get('seconds', 0):>8.1f}" + \
            f"{counts.get('sleeps', 0):>7.0f}"
        for stat in shown:
            cell = f"{counts[stat]:.0f}" if stat in counts else "-"
            line += cell.rjust(max(len(stat) + 1, 7))
        print(line)


def print_latency(old, new):
    """How late a sleep of 1 ms wakes up."""
    print(f"\n{'wake-up latency of 1 ms sleeps, us':<38}{'old device':>14}"
          f"{'pv_timer':>14}{'ratio':>12}")
    for key in ("min", "p50", "p99", "max"):
        values = [float(r.get(key, "nan")) / 1000 for r in (old, new)]
        print(f"{'':<12}{key:<26}{values[0]:>14,.1f}{values[1]:>14,.1f}"
              f"{ratio(*values):>12}")


def bar(share, unicode):
    """A bar for a share of 0 to 1, anything above 0 can be seen."""
    if not unicode:
        return "#" * max(round(share * BAR), share > 0)
    eighths = max(round(share * BAR * 8), share > 0)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def micros(bucket):
    """The lower border of a bucket in us."""
    value = 2 ** bucket / 1000
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def print_histogram(old, new, unicode):
    """The same samples in powers of two of a nanosecond."""
    buckets = sorted(set(old.buckets) | set(new.buckets))
    if not buckets:
        return
    most = max(list(old.buckets.values()) + list(new.buckets.values()))
    print(f"\n{'from us':>10}  {'old device':<34}pv_timer")
    for bucket in range(buckets[0], buckets[-1] + 1):
        cells = []
        for report in (old, new):
            count = report.buckets.get(bucket, 0)
            cells.append(f"{count:>5} {bar(count / most, unicode)}")
        print(f"{micros(bucket):>10} {cells[0]:<34} {cells[1]}".rstrip())


def main():
    """Usage: report.py DIR"""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(f"{main.__doc__}\n\n{__doc__}")
    try:
        old = read_report(sys.argv[1], "off")
        new = read_report(sys.argv[1], "pv")
    except Broken as err:
        sys.exit(f"report.py: {err}")
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print_facts(old, new)
    print_rates(old, new)
    print_stats(new)
    print_latency(old, new)
    print_histogram(old, new, unicode)


if __name__ == "__main__":
    main()
