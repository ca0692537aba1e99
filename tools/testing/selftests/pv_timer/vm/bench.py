#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Count what the timer costs: a stock kernel and one with pv_timer, in one run.

Instructions are counted by a plugin of QEMU (count.c), exits by the hypervisor. Where a
machine is emulated by the number of its instructions (icount), two runs agree to a few
per mille. Where the host is nested, exits are the median of several boots of each
kernel, which take turns.

Exit status: 0 counted, 2 a guest did not come to its end, or the harness failed.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from machine import HarnessError, Run, fresh_dir
from targets import (HYPERV_CPU, boot_direct, boot_nested, built, kvm_host, qemu, xen)

SIDES = ("stock", "pv")

# Load and seconds; those that an emulation of another machine's speed can afford
EXACT_LOADS = {"idle": 60, "sleep": 3, "request": 1, "ping-pong": 1, "mixed": 3,
               "busy": 3, "storm": 1, "periodic": 3}
NESTED_LOADS = {"idle": 10, "sleep": 3, "ping-pong": 2, "busy": 3, "storm": 1}

# Boots of each kernel for the median
BOOTS = 5
LIMIT = 300

# No entropy, no clock of this machine: all that happens is decided by the instructions
ICOUNT = ("-icount", "shift=1,sleep=off", "-seed", "1",
          "-rtc", "clock=vm,base=2024-01-01")
NO_ENTROPY = "-rdrand,-rdseed"

# Where a request goes to its device, and what it is entered for
PROGRAM = "tick_program_event"
EVENT = "__pv_timer_interrupt"
MARK = "__x64_sys_setdomainname"

INSN = re.compile(r"^([0-9a-f]+):\s+(call|jmp)\s+[0-9a-f]+ <([^>+]+)>$")
FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")


@dataclass
class Machine:
    """A hypervisor, a guest of it, and where its exits are seen"""
    name: str
    title: str
    device: str             # of the stock kernel
    backend: str
    exits: dict             # what is printed: its name in the counts
    append: str = ""        # for the guest
    cpu: str = ""           # of a guest of KVM
    command: Callable = None    # (opts, append) -> the command that boots it directly
    arming: tuple = ()      # functions that arm, besides those that write to an MSR


def tcg(opts, append):
    """The image on an emulated machine"""
    return qemu(opts, "tcg", f"max,-x2apic,{NO_ENTROPY}", append, smp=1) + [
        *ICOUNT, "-trace", "apic_mem_writel"]


def xen_dom0(opts, append):
    """The image as the dom0 of Xen"""
    return xen(opts, append, smp=1) + list(ICOUNT)


MACHINES = {m.name: m for m in (
    Machine("tcg", "LAPIC one-shot, emulated", "lapic", "lapic",
            {"TMICT writes": "tmict"}, append="tsc=reliable", command=tcg,
            arming=("native_apic_mem_write",)),
    Machine("xen-pv", "Xen, PV dom0", "xen", "xen", {"hypercalls": "xen_hypercall_pv"},
            command=xen_dom0, arming=("xen_hypercall_pv",)),
    Machine("kvm-tsc", "KVM, clocksource tsc", "lapic-deadline", "kvm",
            {"MSR exits": "exit_msr", "exits": "exits"}, "clocksource=tsc tsc=reliable",
            "host,migratable=off,+invtsc"),
    Machine("kvm-clock", "KVM, clocksource kvm-clock", "lapic-deadline", "kvm",
            {"MSR exits": "exit_msr", "exits": "exits"}, "clocksource=kvm-clock", "host"),
    Machine("hyperv", "Hyper-V, direct mode", "Hyper-V clockevent", "hyperv",
            {"MSR exits": "exit_msr", "exits": "exits"}, "", HYPERV_CPU),
)}


class Symbols:
    """Addresses in one kernel, and where its functions return to"""

    def __init__(self, vmlinux):
        self.vmlinux = vmlinux
        self.table = []
        for line in subprocess.run(["nm", "-n", vmlinux], check=True, text=True,
                                   capture_output=True).stdout.splitlines():
            word = line.split()
            if len(word) == 3 and word[1] in "tTwW":
                self.table.append((int(word[0], 16), word[2]))
        self.address = {name: address for address, name in reversed(self.table)}
        self.ends = self.returns(PROGRAM)

    def end(self, name):
        """The first address behind a function"""
        start = self.address[name]
        return next(address for address, _ in self.table if address > start)

    def calls(self):
        """Return: (function, call or jmp, callee, address of the next instruction)"""
        found, function, pending = [], "", None
        with subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", self.vmlinux],
                              stdout=subprocess.PIPE, text=True) as objdump:
            for line in objdump.stdout:
                line = line.strip()
                if pending and ":" in line:
                    found.append((*pending, int(line.split(":")[0].split()[0], 16)))
                    pending = None
                match = FUNCTION.match(line)
                if match:
                    function = match[1]
                match = INSN.match(line)
                if match and match[3] != function:
                    pending = (function, match[2], match[3])
        return found

    def returns(self, name):
        """Where it returns to: behind its calls, and those of who jumps to it"""
        calls = self.calls()
        names, todo = {name}, [name]
        while todo:
            at = todo.pop()
            for function, how, callee, _ in calls:
                if callee == at and how == "jmp" and function not in names:
                    names.add(function)
                    todo.append(function)
        return sorted({after for _, how, callee, after in calls
                       if callee in names and how == "call"})

    def points(self, machine):
        """The lines that count.c reads"""
        lines = [f"kernel {self.address['_stext']:x} {self.address['_etext']:x}",
                 f"begin {self.address[PROGRAM]:x}", f"mark {self.address[MARK]:x}"]
        lines += [f"end {address:x}" for address in self.ends]
        for name in machine.arming:
            lines += [f"arm {self.address[name]:x}", f"call {name} {self.address[name]:x}"]
        if EVENT in self.address:
            lines.append(f"event {self.address[EVENT]:x} {self.end(EVENT):x}")
        return lines


def fields(reports):
    """Each load, in the order in which they ran, and all that was said of it"""
    loads = {}
    for line in reports:
        pairs = dict(word.split("=", 1) for word in line.split())
        if "phase" in pairs:
            loads.setdefault(pairs.pop("phase"), {}).update(pairs)
    return loads


def plugin_counts(path):
    """Return: one dictionary for each phase; what has a histogram is a Counter"""
    phases, tmict = {}, 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("apic_mem_writel 0x380 "):
                tmict += 1
            if not line.startswith("count: "):
                continue
            _, phase, name, value, times = line.split()
            phase = phases.setdefault(int(phase), {})
            if name == "kernel":
                phase["tmict"], tmict = tmict, 0
            if name in ("armed", "elided", "event"):
                phase.setdefault(name, Counter())[int(value)] += int(times)
            else:
                phase[name] = int(value)
    return phases


def middle(histogram):
    """The median of what is in it"""
    return median(sorted(histogram.elements())) if histogram else None


def of_side(opts, side):
    """The options, with the kernel of that side"""
    return argparse.Namespace(**{**vars(opts), "image": getattr(opts, side)})


def expect(machine, side):
    """What the guest is to find in itself"""
    if side == "stock":
        return (f"pvt.cpus=1 pvt.device={machine.device.replace(' ', '_')} "
                "pvt.backend=none pvt.legacy=present")
    return f"pvt.cpus=1 pvt.device=pv_timer pvt.backend={machine.backend} pvt.legacy=absent"


def guest_run(machine, side, loads, name=""):
    """A boot of one kernel, and the loads in it"""
    wanted = ",".join(f"{load}={seconds}" for load, seconds in loads.items())
    return Run(name or side, f"{machine.append} {expect(machine, side)} pvt.do=bench "
               f"pvt.loads={wanted}")


def boot(machine, opts, runs, outdir, plugin=()):
    """Boots the guests, those of KVM in one host; raises if one does not come to its end"""
    def say(text):
        print(f"bench: {machine.name}: {text}", file=sys.stderr, flush=True)

    def side(name):
        return of_side(opts, name.partition("-")[0])

    def host(_opts, append):
        return kvm_host(of_side(opts, "host"), append) + list(plugin)

    if machine.command:
        recorder = boot_direct(opts, outdir, runs, say, lambda append: [
            *machine.command(side(runs[0].name), append), *plugin])
    else:
        sides = iter([side(run.name) for run in runs])
        recorder = boot_nested(opts, outdir, runs, say, "/mnt", host, lambda append: qemu(
            next(sides), "kvm", machine.cpu, append, smp=1, verdict="/proc/self/fd/3"))
    bad = [f"{run.name}: {run.reason or 'no verdict'}" for run in runs
           if run.reason or not run.verdict]
    if bad or recorder.error:
        raise HarnessError(f"{'; '.join(bad) or recorder.error}, see {outdir}")


def count_instructions(machine, opts, side, symbols):
    """One boot with the plugin. Return: the loads, with what was counted in each"""
    outdir = fresh_dir(opts, os.path.join("bench", f"{machine.name}-{side}"))
    points = os.path.join(outdir, "points")
    with open(points, "w", encoding="utf-8") as file:
        file.write("\n".join(symbols.points(machine)) + "\n")
    run = guest_run(machine, side, EXACT_LOADS if machine.command else NESTED_LOADS)
    boot(machine, opts, [run], outdir,
         ("-plugin", f"file={opts.plugin},points={points}", "-d", "plugin"))
    loads = fields(run.reports)
    phases = plugin_counts(os.path.join(outdir, "qemu.log"))
    for number, load in enumerate(loads.values()):
        load.update(phases[2 * number + 1])
    return loads


def count_exits(machine, opts):
    """Boots that take turns. Return: for each side and load, the median of its counts"""
    outdir = fresh_dir(opts, os.path.join("bench", f"{machine.name}-exits"))
    runs = [guest_run(machine, side, NESTED_LOADS, f"{side}-{number}")
            for number in range(BOOTS) for side in SIDES]
    boot(machine, opts, runs, outdir)
    found = {}
    for side in SIDES:
        boots = [fields(run.reports) for run in runs if run.name.startswith(side + "-")]
        found[side] = {load: {key: median(rate(each[load], key) for each in boots)
                              for key in machine.exits.values()} for load in boots[0]}
    return found


def units(load):
    """How often the unit of the load was done"""
    return float(load["seconds"] if load["unit"] == "second" else load["done"])


def rate(load, key):
    """A count for each unit"""
    return float(load[key]) / units(load)


def rows(machine, sides, exits):
    """What is printed of each load: (load, unit, what, stock, ours)"""
    for load in sides["stock"]:
        pair = [sides[side][load] for side in SIDES]
        unit = pair[0]["unit"]
        for label, key in machine.exits.items():
            values = [exits[side][load][key] if exits else rate(sides[side][load], key)
                      for side in SIDES]
            yield load, unit, label, *values
        for label, keys in (("programmings", ("armed_paths", "elided_paths")),
                            ("armed", ("armed_paths",))):
            yield load, unit, label, *(sum(rate(each, key) for key in keys)
                                       for each in pair)
        yield load, unit, "interrupts", *(rate(each, "interrupts") for each in pair)
        yield load, unit, "in the timer", *(rate(each, "path") for each in pair)
        yield load, unit, "in the kernel", *(rate(each, "kernel") for each in pair)


def add_sums(load):
    """What follows from the histograms of one load"""
    none = Counter()
    for name in ("armed", "elided"):
        # what the guest says of these is the core's own count
        histogram = load.get(name)
        load[name + "_histogram"] = histogram if isinstance(histogram, Counter) else none
        load[name + "_paths"] = load[name + "_histogram"].total()
    load["event_histogram"] = load.get("event", none)
    load["path"] = sum(insns * times for name in ("armed", "elided", "event")
                       for insns, times in load[name + "_histogram"].items())


def number(value):
    """A figure in a column"""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:,.3f}"


def ratio(stock, ours):
    """How much of the stock kernel's is left"""
    return f"{ours / stock:.3f}" if stock and ours is not None else "-"


def measure(machine, opts, symbols):
    """All that is counted on a machine"""
    sides = {side: count_instructions(machine, opts, side, symbols[side])
             for side in SIDES}
    for loads in sides.values():
        for load in loads.values():
            add_sums(load)
    exits = None if machine.command else count_exits(machine, opts)
    paths = {}
    for name in ("armed", "elided", "event"):
        paths[name] = [middle(sum((load[name + "_histogram"] for load in
                                   sides[side].values()), Counter())) for side in SIDES]
    early = sum(int(load.get("early", 0)) for load in sides["pv"].values())
    return {"paths": paths, "early": early, "rows": list(rows(machine, sides, exits))}


def print_machine(machine, found):
    """A table, the ratio is last"""
    print(f"\n{machine.title}: instructions, median{'stock':>31}{'pv_timer':>14}"
          f"{'ratio':>9}"[-80 - len(machine.title):])
    for name, label in (("armed", "a programming that arms"),
                        ("elided", "a programming that is elided"),
                        ("event", "an interrupt, in the core")):
        stock, ours = found["paths"][name]
        print(f"  {label:<38}{number(stock):>14}{number(ours):>14}"
              f"{ratio(stock, ours):>9}")
    last = None
    for load, unit, what, stock, ours in found["rows"]:
        if load != last:
            print(f"{load}, per {unit}")
        last = load
        print(f"  {what:<38}{number(stock):>14}{number(ours):>14}{ratio(stock, ours):>9}")
    print(f"early interrupts: {found['early']}", flush=True)


# Two pictures side by side: what a programming takes, and what a sleep costs
PLOT = """set terminal svg noenhanced size 1100,480 background rgb "white" font "sans,13"
set output "{output}"
set multiplot layout 1,2
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 border -1
set boxwidth 0.9
set grid ytics
set yrange [0:*]
set xtics nomirror scale 0
set key outside bottom center horizontal
set title "Guest instructions to program the timer, median"
plot "{data}" using 2:xtic(1) title "stock" linecolor rgb "#b0b0b0", \
     "" using 3 title "pv_timer" linecolor rgb "#2060c0"
set title "Instructions in the timer for a sleep of 1 ms, mean"
plot "{data}" using 4:xtic(1) title "stock" linecolor rgb "#b0b0b0", \
     "" using 5 title "pv_timer" linecolor rgb "#2060c0"
"""


def draw(found, directory):
    """Writes bench.svg"""
    data, output = (os.path.join(directory, f"bench.{kind}") for kind in ("dat", "svg"))
    with open(data, "w", encoding="utf-8") as file:
        for name, machine in found.items():
            sleep = [row for row in machine["rows"] if row[0] == "sleep" and
                     row[2] == "in the timer"][0]
            figures = [*machine["paths"]["armed"], *sleep[3:]]
            file.write(" ".join([name, *map(str, figures)]) + "\n")
    subprocess.run(["gnuplot"], input=PLOT.format(data=data, output=output), text=True,
                   check=True)
    return output


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("machines", help="comma-separated: " + ",".join(MACHINES))
    for name in ("build", "stock", "pv", "host", "initrd", "plugin"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--xen", default="")
    parser.add_argument("--limit", type=int, default=LIMIT)
    parser.add_argument("--verbose", action="store_true", help="show the console")
    parser.add_argument("--check", action="store_true",
                        help="only look at the arguments")
    opts = parser.parse_args()
    for name in opts.machines.split(","):
        if name not in MACHINES:
            parser.error(f"no machine '{name}', there are: {', '.join(MACHINES)}")
    return opts


def image(directory):
    """What is booted of a build"""
    return built(os.path.join(directory, "arch/x86/boot/bzImage"))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    opts = parse_args()
    if opts.check:
        return 0
    found = {}
    try:
        symbols = {side: Symbols(built(os.path.join(getattr(opts, side), "vmlinux")))
                   for side in SIDES}
        for name in (*SIDES, "host"):
            setattr(opts, name, image(getattr(opts, name)))
        for name in opts.machines.split(","):
            found[name] = measure(MACHINES[name], opts, symbols)
            print_machine(MACHINES[name], found[name])
    except HarnessError as err:
        print(f"bench: {err}", file=sys.stderr)
        return 2
    directory = os.path.join(opts.build, "vm", "bench")
    path = os.path.join(directory, "bench.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    print(f"\nbench: {path}, {draw(found, directory)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
