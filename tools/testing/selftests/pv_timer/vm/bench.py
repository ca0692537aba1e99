#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Count what the timer costs: a stock kernel and one with pv_timer, in one run.

Instructions are counted by a plugin of QEMU (count.c), exits by the hypervisor, and
User-Mode Linux by its system calls.

A machine that is booted directly is emulated by the number of its instructions (icount):
no clock of this machine moves it. With one CPU it runs twice, and the two have to agree to
the digit. With several CPUs two runs differ now and then.

Where the guest is nested, exits are the median of several boots of each kernel, which
take turns. Hosts of KVM are emulated in real time, not by icount, as the stock kernel
hangs on Hyper-V in one of three boots then: it gets an interrupt while IF is clear and it
holds the lock of its hrtimers. QEMU keeps the vector that a VMRUN injects as that of an
exception until the next #VMEXIT (exception_index, in helper_vmrun), and delivers an
exception whenever it leaves its inner loop (cpu_handle_interrupt), which icount makes it
do all the time.

Two virtual machines run at a time, hosts of KVM each on a CPU of its own. What was counted
is written after each machine. One that fails does not keep the others from running.

Exit status: 0 counted, 2 a guest did not come to its end, two exact runs differ, or the
harness failed.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from statistics import median

from harness import Arguments, HarnessError, built, fresh_dir
from hosts import (HYPERV_CPU, NO_ENTROPY, boot_direct, boot_nested, icount, kvm_host,
                   qemu_l1, uml, xen)
from qemu import Boot, qemu
from table import draw, print_cpus, print_machine
from verdict import Run

SIDES = ("stock", "pv")

# Load and seconds; those that an emulation of another machine's speed can afford
EXACT_LOADS = {"idle": 60, "sleep": 3, "request": 1, "ping-pong": 1, "mixed": 3,
               "busy": 3, "storm": 1, "periodic": 3}
SMP_LOADS = {"sleep": 1, "storm": 0.3, "ping-pong-2": 0.3}
NESTED_LOADS = {"idle": 10, "sleep": 3, "ping-pong": 2, "busy": 3, "storm": 1}

# Boots of each kernel for the median
BOOTS = 5
LIMIT = 300

# Where a request goes to its device, and what it is entered for
PROGRAM = "tick_program_event"
EVENT = "__pv_timer_interrupt"
MARK = "__x64_sys_setdomainname"

BZIMAGE = "arch/x86/boot/bzImage"

# How Xen is called, and the numbers of its calls that are told apart
HYPERCALL = "__SCT__xen_hypercall"
HYPERCALLS = {15: "set_timer_op", 24: "vcpu_op", 29: "sched_op"}

# The object of the core, and where it is counted
CORE = "kernel/time/pv_clockevents.o"

INSN = re.compile(r"^([0-9a-f]+):\s+(call|j[a-z]+)\s+[0-9a-f]+ <([^>+]+)>$")
EAX = re.compile(r"\bmov +\$0x([0-9a-f]+),%eax$")
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
    command: Callable = None    # (opts, append, cpus) -> that boots it directly
    arming: tuple = ()      # functions that arm, besides those that write to an MSR
    cpus: int = 1
    loads: dict = None
    nested: Callable = None     # (opts, append) -> the command that L1 boots it by

    def counts_instructions(self):
        """Is its kernel one that the plugin knows?"""
        return self.nested is None


def tcg(opts, append, cpus):
    """The image on an emulated machine"""
    return qemu(opts, "tcg", f"max,-x2apic,{NO_ENTROPY}", append, smp=cpus) + [
        *icount(cpus), "-trace", "apic_mem_writel"]


def xen_dom0(opts, append, cpus):
    """The image as the dom0 of Xen"""
    return xen(opts, append, smp=cpus) + icount(cpus)


def lapic(cpus):
    """The machine that is emulated, with so many CPUs"""
    one = cpus == 1
    return Machine("tcg" if one else f"tcg-{cpus}",
                   f"LAPIC one-shot, emulated, {cpus} CPU{'' if one else 's'}",
                   "lapic", "lapic", {"writes of its count": "tmict"}, "tsc=reliable",
                   command=tcg, arming=("native_apic_mem_write",), cpus=cpus,
                   loads=EXACT_LOADS if one else SMP_LOADS)


XEN_EXITS = {"hypercalls": "xen_hypercall_pv",
             **{f"  {name}": name for name in HYPERCALLS.values()}}
KVM_EXITS = {"exits": "exits", "  for an MSR": "exit_msr", "  HLT": "exit_hlt",
             "  interrupts of the host": "exit_intr", "  I/O": "exit_io",
             "  page faults": "exit_npf"}

MACHINES = {m.name: m for m in (
    *(lapic(cpus) for cpus in (1, 2, 4, 16)),
    Machine("xen-pv", "Xen, PV dom0", "xen", "xen", XEN_EXITS, command=xen_dom0,
            arming=("xen_hypercall_pv",), loads=EXACT_LOADS),
    Machine("kvm-tsc", "KVM, clocksource tsc", "lapic-deadline", "kvm", KVM_EXITS,
            "clocksource=tsc tsc=reliable", "host,migratable=off,+invtsc",
            loads=NESTED_LOADS),
    Machine("kvm-clock", "KVM, clocksource kvm-clock", "lapic-deadline", "kvm", KVM_EXITS,
            "clocksource=kvm-clock", "host", loads=NESTED_LOADS),
    Machine("hyperv", "Hyper-V, direct mode", "Hyper-V clockevent", "hyperv", KVM_EXITS,
            "", HYPERV_CPU, loads=NESTED_LOADS),
    Machine("um", "User-Mode Linux", "posix-timer", "um",
            {"system calls": "syscalls", "  timer_settime()": "timer_settime"},
            loads=NESTED_LOADS, nested=uml),
)}


def nm(path):
    """Return: address and name of its functions, by address"""
    words = [line.split() for line in subprocess.run(
        ["nm", "-n", path], check=True, text=True, capture_output=True).stdout.splitlines()]
    return [(int(word[0], 16), word[2]) for word in words
            if len(word) == 3 and word[1] in "tTwW"]


class Symbols:
    """Addresses in one kernel, and where its functions return to"""

    def __init__(self, directory):
        self.vmlinux = built(os.path.join(directory, "vmlinux"))
        self.table = nm(self.vmlinux)
        self.address = {name: address for address, name in reversed(self.table)}
        self.calls, self.hypercalls = [], []
        self.disassemble()
        self.ends = self.returns(PROGRAM)
        self.core = self.pieces(os.path.join(directory, CORE))

    def pieces(self, path):
        """Where the code of an object is, if this kernel has it: [start, end] each"""
        names = {name for _, name in nm(path)} if os.path.exists(path) else set()
        times = Counter(name for _, name in self.table)
        pieces = []
        for start in sorted(self.address[name] for name in names if times[name] == 1):
            end = self.behind(start)
            if pieces and pieces[-1][1] == start:
                pieces[-1][1] = end
            else:
                pieces.append([start, end])
        return pieces

    def behind(self, start):
        """The first address behind the function that starts there"""
        return next(address for address, _ in self.table if address > start)

    def function(self, address):
        """In which function it is"""
        return next((name for start, name in reversed(self.table) if start <= address),
                    hex(address))

    def disassemble(self):
        """Find the calls and the hypercalls of Xen PV

        A call is (function, how, callee, address of the next instruction), a hypercall
        its number and the address of the instruction that makes it.
        """
        function, pending, eax = "", None, None
        with subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", self.vmlinux],
                              stdout=subprocess.PIPE, text=True) as objdump:
            for line in map(str.strip, objdump.stdout):
                if pending and ":" in line:
                    self.calls.append((*pending, int(line.split(":")[0].split()[0], 16)))
                    pending = None
                match = FUNCTION.match(line)
                if match:
                    function, eax = match[1], None
                match = EAX.search(line)
                if match:
                    eax = int(match[1], 16)
                match = INSN.match(line)
                if match and match[3] != function:
                    pending = (function, match[2], match[3])
                if match and match[3] == HYPERCALL:
                    self.hypercalls.append((eax, int(match[1], 16)))

    def returns(self, name):
        """Where it returns to: behind its calls, and those of who jumps to it"""
        names, todo = {name}, [name]
        while todo:
            at = todo.pop()
            for function, how, callee, _ in self.calls:
                if callee == at and how != "call" and function not in names:
                    names.add(function)
                    todo.append(function)
        return sorted({after for _, how, callee, after in self.calls
                       if callee in names and how == "call"})

    def points(self, machine):
        """The lines that count.c reads"""
        lines = [f"kernel {self.address['_stext']:x} {self.address['_etext']:x}",
                 f"begin {self.address[PROGRAM]:x}", f"mark {self.address[MARK]:x}"]
        lines += [f"end {address:x}" for address in self.ends]
        for name in machine.arming:
            lines += [f"arm {self.address[name]:x}", f"call {name} {self.address[name]:x}"]
        lines += [f"call {HYPERCALLS[number]} {address:x}"
                  for number, address in self.hypercalls if number in HYPERCALLS]
        if EVENT in self.address:
            start = self.address[EVENT]
            lines.append(f"event {start:x} {self.behind(start):x}")
        return lines + [f"core {start:x} {end:x}" for start, end in self.core]


def fields(reports):
    """Each load, in the order in which they ran, and all that was said of it"""
    loads = {}
    for line in reports:
        pairs = dict(word.split("=", 1) for word in line.split())
        if "phase" in pairs:
            loads.setdefault(pairs.pop("phase"), {}).update(pairs)
    return loads


HISTOGRAMS = ("armed", "elided", "event", "astray")


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
            if name in HISTOGRAMS:
                phase.setdefault(name, Counter())[int(value)] += int(times)
            else:
                phase[name] = int(value)
    return phases


def middle(histogram):
    """The median of what is in it"""
    return median(sorted(histogram.elements())) if histogram else None


def of_side(opts, side):
    """The options, with the kernels of that side"""
    return argparse.Namespace(**{
        **vars(opts), "image": os.path.join(getattr(opts, side), BZIMAGE), "host": "",
        "uml": opts.um_stock if side == "stock" else opts.um})


def expect(machine, side):
    """What the guest is to find in itself"""
    if side == "stock":
        return (f"pvt.cpus={machine.cpus} pvt.device={machine.device.replace(' ', '_')} "
                "pvt.backend=none pvt.legacy=present")
    return (f"pvt.cpus={machine.cpus} pvt.device=pv_timer pvt.backend={machine.backend} "
            "pvt.legacy=absent")


def guest_run(machine, side, name=""):
    """A boot of one kernel, and the loads in it"""
    wanted = ",".join(f"{load}={seconds}" for load, seconds in machine.loads.items())
    return Run(name or side, f"{machine.append} {expect(machine, side)} pvt.do=bench "
               f"pvt.loads={wanted}")


def kvm_guest(machine, opts, append):
    """The command, for L1, that boots the image"""
    return qemu(opts, "kvm", machine.cpu, append, smp=1, verdict="/proc/self/fd/3")


def boot_host(machine, opts, runs, outdir, say, index, plugin):
    """Boots the guests in one L1"""
    def host(_opts, append):
        if machine.nested:
            command = qemu_l1(of_side(opts, "host"), f"pvt.count=uml {append}", "max", smp=1)
        else:
            command = kvm_host(of_side(opts, "host"), append, index)
        return [*command, *plugin]

    sides = iter([of_side(opts, run.name.partition("-")[0]) for run in runs])
    command = machine.nested or partial(kvm_guest, machine)
    return boot_nested(opts, outdir, runs, say, "/" if machine.nested else "/mnt", host,
                       lambda append: command(next(sides), append), beside=True)


def boot(machine, opts, runs, outdir, index, plugin=()):
    """Boots the guests, those of a host in one host; raises if one does not come to its end

    @index is the CPU of this machine on which a host of KVM runs.
    """
    def say(text):
        print(f"bench: {machine.name}: {text}", file=sys.stderr, flush=True)

    if machine.command:
        recorder = boot_direct(opts, outdir, runs, say, lambda append: [
            *machine.command(of_side(opts, runs[0].name), append, machine.cpus), *plugin],
            beside=True)
    else:
        recorder = boot_host(machine, opts, runs, outdir, say, index, plugin)
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
    run = guest_run(machine, side)
    boot(machine, opts, [run], outdir, SIDES.index(side),
         ("-plugin", f"file={opts.plugin},points={points}", "-d", "plugin"))
    loads = fields(run.reports)
    phases = plugin_counts(os.path.join(outdir, "qemu.log"))
    for number, load in enumerate(loads.values()):
        load.update(phases[2 * number + 1])
    check_ends(loads, f"{machine.name}: {side}", symbols)
    return loads


def check_ends(loads, what, symbols):
    """Each programming has come back to where the plugin looks for it"""
    astray = sum((load.get("astray", Counter()) for load in loads.values()), Counter())
    if astray:
        callers = ", ".join(sorted({symbols.function(address) for address in astray}))
        raise HarnessError(f"{what}: {astray.total()} programmings that {callers} asked for "
                           f"have returned to where no call of {PROGRAM} was found")


def differences(first, again):
    """What two runs do not agree in, with the figures of both"""
    for load, counts in first.items():
        for key, one in counts.items():
            two = again[load].get(key)
            if one != two and isinstance(one, Counter) and isinstance(two, Counter):
                one, two = (dict(each) for each in (one - two, two - one))
            if one != two:
                yield f"{load}: {key} {one} and {two}"


def count_exactly(machine, opts, side, symbols):
    """Two boots, which have to agree to the digit"""
    first, again = (count_instructions(machine, opts, side, symbols) for _ in range(2))
    differ = "; ".join(differences(first, again))
    if differ:
        raise HarnessError(f"{machine.name}: {side}: two runs differ: {differ}")
    return first


def count_exits(machine, opts):
    """Boots that take turns, in hosts that run at the same time

    Return: for each side, the loads of its boots
    """
    def boot_turns(first):
        outdir = fresh_dir(opts, os.path.join("bench", f"{machine.name}-exits-{first}"))
        runs = [guest_run(machine, side, f"{side}-{number}") for number, side in
                zip(range(BOOTS), cycle((SIDES[first], SIDES[1 - first])))]
        boot(machine, opts, runs, outdir, first)
        return runs

    with ThreadPoolExecutor(len(SIDES)) as pool:
        runs = [run for each in pool.map(boot_turns, range(len(SIDES))) for run in each]
    return {side: [fields(run.reports) for run in runs if run.name.startswith(side + "-")]
            for side in SIDES}


def units(load):
    """How often the unit of the load was done"""
    return float(load["seconds"] if load["unit"] == "second" else load["done"])


def rate(load, key):
    """A count for each unit, None if it was not counted"""
    return float(load[key]) / units(load) if key in load else None


COUNTED = {"programmings asked for": "asked", "  that arm": "armed_paths",
           "  that are elided": "elided_paths", "timer interrupts": "interrupts",
           "  before their deadline": "early_events"}
INSTRUCTIONS = {"instructions in the timer": "path", "instructions in the kernel": "kernel"}


def rows(machine, sides, exits):
    """What is printed of each load; a reason for exits that there was none for is not"""
    reasons = list(machine.exits.values())
    for load in sides["stock"]:
        for what, key in {**COUNTED, **machine.exits, **INSTRUCTIONS}.items():
            row = {"load": load, "unit": sides["stock"][load]["unit"], "what": what}
            for side in SIDES:
                row[side] = rate(sides[side][load], key)
                if exits and key in (*reasons, "interrupts"):
                    row[side] = median(rate(boot[load], key) for boot in exits[side])
            some = [row[side] for side in SIDES if row[side] is not None]
            if some and (any(some) or key not in reasons[1:]):
                yield row


def add_sums(load):
    """What follows from the histograms of one load"""
    none = Counter()
    if "early" in load:
        load["early_events"] = load["early"]
    if "kernel" not in load:
        return
    for name in ("armed", "elided"):
        # what the guest says of these is the core's own count
        histogram = load.get(name)
        load[name + "_histogram"] = histogram if isinstance(histogram, Counter) else none
        load[name + "_paths"] = load[name + "_histogram"].total()
    load["event_histogram"] = load.get("event", none)
    load["asked"] = load["armed_paths"] + load["elided_paths"]
    programming = sum(insns * times for name in ("armed", "elided")
                      for insns, times in load[name + "_histogram"].items())
    load["path"] = load["core"] + programming
    load["programming"] = programming / load["asked"] if load["asked"] else None


def measure(machine, opts, symbols):
    """All that is counted on a machine"""
    exits = None if machine.command else count_exits(machine, opts)
    if machine.counts_instructions():
        exact = machine.command and machine.cpus == 1
        count = count_exactly if exact else count_instructions
        with ThreadPoolExecutor(len(SIDES)) as pool:
            sides = dict(zip(SIDES, pool.map(
                lambda side: count(machine, opts, side, symbols[side]), SIDES)))
    else:
        sides = {side: exits[side][0] for side in SIDES}
    for loads in sides.values():
        for load in loads.values():
            add_sums(load)
    paths = {}
    for name in ("armed", "elided", "event"):
        paths[name] = [middle(sum((load.get(name + "_histogram", Counter()) for load in
                                   sides[side].values()), Counter())) for side in SIDES]
    return {"title": machine.title, "cpus": machine.cpus, "exits": list(machine.exits),
            "paths": paths, "rows": list(rows(machine, sides, exits)), "loads": sides,
            "boots": exits}


def parse_args():
    parser = Arguments(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("machines", help="comma-separated: " + ",".join(MACHINES))
    for name in ("build", "stock", "pv", "host", "um", "um-stock", "initrd", "xen",
                 "plugin"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--limit", type=int, default=LIMIT)
    parser.add_argument("--verbose", action="store_true", help="show the console")
    parser.add_argument("--check", action="store_true",
                        help="only look at the arguments")
    opts = parser.parse_args()
    parser.check_names("machine", opts.machines, MACHINES)
    return opts


def release(directory):
    """The version of the kernel that is built there"""
    with open(built(os.path.join(directory, "include/config/kernel.release")),
              encoding="utf-8") as file:
        return file.read().strip()


def results(opts):
    """The directory of what was counted"""
    return os.path.join(opts.build, "vm", "bench")


def save(opts, linux, found):
    """What was counted until now, as JSON"""
    os.makedirs(results(opts), exist_ok=True)
    with open(os.path.join(results(opts), "bench.json"), "w", encoding="utf-8") as file:
        json.dump({"linux": linux, "machines": found}, file, indent=1)


def measure_all(opts, linux):
    """Return: what is found on each machine, which is printed meanwhile, and what failed"""
    names = opts.machines.split(",")
    symbols = {side: Symbols(getattr(opts, side)) for side in SIDES
               if any(MACHINES[name].counts_instructions() for name in names)}
    found, failed = {}, []
    save(opts, linux, found)
    for number, name in enumerate(names, 1):
        print(f"bench: {name}, {number} of {len(names)}", file=sys.stderr, flush=True)
        try:
            found[name] = measure(MACHINES[name], opts, symbols)
        except HarnessError as err:
            failed.append(str(err))
            print(f"bench: {err}", file=sys.stderr, flush=True)
            continue
        save(opts, linux, found)
        print_machine(f"{MACHINES[name].title}, Linux {linux}", found[name])
    print_cpus(found)
    return found, failed


def stop(*_):
    """End the virtual machines: the threads that started them are waited for"""
    Boot.kill_all()
    sys.exit(143)


def main():
    signal.signal(signal.SIGTERM, stop)
    opts = parse_args()
    if opts.check:
        return 0
    try:
        linux = release(opts.stock)
        found, failed = measure_all(opts, linux)
    except HarnessError as err:
        print(f"bench: {err}", file=sys.stderr)
        return 2
    if found:
        print(f"\nbench: {results(opts)}/bench.json, {draw(linux, found, results(opts))}")
    for reason in failed:
        print(f"bench: FAIL: {reason}")
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
