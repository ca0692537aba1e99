#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run the tests on backends that are broken on purpose, and print which turn red.

Each kind of broken.c breaks one promise of the contract. The table below says which tests
have to notice, and what they have to say; all others have to stay green. A test that no
kind turns red is a defect as well, but for those of what only the core does. The guests
are emulated by the number of instructions, so that no result depends on how busy this
machine is.

Exit status: 0 all is as expected, 1 it is not, 2 the harness failed.
"""

import os
import re
import signal
import sys
import time
from fnmatch import fnmatch
from typing import NamedTuple

from harness import Arguments, HarnessError, fresh_dir
from hosts import FAR, FAR_ARGS, TRACE_CHOICE, boot_direct
from qemu import Boot, qemu
from verdict import Run, expect

GOOD = "good"
CPUS = 2

# Seconds that a guest may take, that it takes, and after which it hangs
LIMIT = 600
USUAL = 30
HANG = 60


class Kind(NamedTuple):
    """What is broken, and how that is seen"""
    promise: str        # of the contract, that it does not keep
    red: dict           # pattern of names -> what each of these tests has to say
    either: dict = {}   # the same of tests that may notice
    backend: str = ""   # which ticks then, if it is another one
    hangs: bool = False  # nothing is left that wakes up the guest
    skipped: tuple = ()  # patterns of tests that have nothing to do


LOST = "lost timer|drops deadlines"
# No CPU notices the loss until one wakes up, which may be after the end of the test
UNNOTICED = f"{LOST}|< LOST_AFTER|terminated by timeout"
CAPPED = "device is capped"
EARLY = "fires early"
LATE = "late"
NO_TICK = "the tick stopped|no tick on"
NO_IDLE = "the tick goes on"
STORM = "interrupt storm"
UNARMED = "fires unarmed"

# What a backend cannot break, but the core: seen red with one that takes the real time for
# the monotonic one, that leaves out an event or says another kind or name in it, or that
# resets the statistics by any number
OF_THE_CORE = ("step.*", "trace.*", "stats.reset_takes_zero_only")

KINDS = {
    GOOD: Kind("keeps all of them", {}, skipped=("device.backend_is_the_one_asked_for",)),
    "never": Kind("interrupts at all", {
        "device.backend_is_the_one_asked_for": "does not work"}, backend="lapic"),
    "refuse-always": Kind("takes a deadline", {
        "device.backend_is_the_one_asked_for": "does not work",
        "stats.no_deadline_is_refused": "refuses"}, backend="lapic"),
    "refuse-in-row": Kind("takes each deadline", {
        "stats.no_deadline_is_refused": "refuses"}),
    "early": Kind("not before the deadline", {
        "stats.no_interrupt_is_early": EARLY, "far.twenty_seconds.*": CAPPED}, {
            "far.*": CAPPED, "tick.*": f"{STORM}|{NO_IDLE}", "steer.*": "PV_EARLY",
            "deadline.cancelled": UNARMED}),
    "storm": Kind("counter and comparator agree", {
        "stats.no_interrupt_is_early": EARLY}, {"tick.*": NO_TICK}),
    "cap": Kind("deadlines have 64 bits", {
        "stats.no_interrupt_is_early": EARLY, "far.seven_minutes.*": CAPPED,
        "far.hour.*": CAPPED}, {"far.twenty_seconds.*": CAPPED}),
    "late": Kind("not a jiffy after the deadline", {
        "sleep.millisecond_takes_about_one": LATE, "hotplug.no_timer_is_lost": LATE,
        "hotplug.tick_works_afterwards": NO_TICK}, {"tick.busy.interrupts": NO_TICK}),
    "tardy": Kind("each one in time", {
        "stats.no_deadline_is_lost": LOST, "sleep.*.never_early": LOST,
        "sleep.millisecond_takes_about_one": LOST}, {
            "deadline.*": LOST, "hotplug.no_timer_is_lost": LOST, "hotplug.*": NO_TICK,
            "far.*": LOST, "tick.*": f"{NO_TICK}|{LOST}", "step.*": LOST,
            "steer.*": LOST, "sleep.*": f"{LOST}|frequency",
            "clock.tick_keeps_the_time": LOST, "stats.*": EARLY}),
    "past": Kind("interrupts for a deadline that has passed", {
        "stats.no_deadline_is_lost": LOST}, {
            "deadline.*": UNNOTICED, "sleep.*": UNNOTICED, "far.*": UNNOTICED,
            "step.*": UNNOTICED}),
    "drop": Kind("interrupts for each deadline, on each CPU", {
        "stats.no_deadline_is_lost": LOST}, {
            "sleep.*": LOST, "deadline.*": LOST, "far.*": LOST, "tick.*": NO_TICK,
            "step.*": LOST, "steer.*": LOST,
            "clock.tick_keeps_the_time": LOST}, skipped=("hotplug.*",)),
    "drop-all": Kind("interrupts for each deadline", {}, hangs=True),
    "forget": Kind("forgets none by itself", {
        "stats.no_deadline_is_lost": LOST}, {
            "far.*": LOST, "deadline.*": LOST, "sleep.*": LOST}),
    "twice": Kind("interrupts once, and one CPU", {
        "deadline.cancelled": UNARMED, "stats.no_interrupt_is_spurious": UNARMED}, {
            "stats.no_interrupt_is_early": EARLY, "far.*": CAPPED, "steer.*": "PV_EARLY"}),
    "short": Kind("reaches further than some jiffies", {
        "tick.idle.interrupts": "the tick goes on"}),
    "jump": Kind("the counter does not step", {
        "stats.no_interrupt_is_early": EARLY}, {"stats.no_deadline_is_lost": LOST}),
    "off1": Kind("the counter has the frequency that is stated", {
        "device.clock_is_coupled": "uncoupled",
        "sleep.late_by_no_share": "frequency is off"}, {
            "stats.no_deadline_is_lost": LOST}),
    "clock": Kind("the clock is the same on all CPUs, and as fast as stated", {
        "clock.as_fast_as_the_rtc": "clock is slow|clock is fast",
        "clock.*.never_backward": "goes back",
        "device.clock_read_makes_no_syscall": "system calls"}, {
            "stats.no_deadline_is_lost": LOST, "far.*": "was told of",
            "sleep.other_clocks": "early"}),
    "low": Kind("is rated above what it replaces", {
        "device.pv_timer_on_every_cpu": "ticks through"}, {
            "tick.*": NO_TICK}),
}


def reasons(patterns, name):
    """What the test has to say by each pattern that it matches"""
    return [reason for pattern, reason in patterns.items() if fnmatch(name, pattern)]


def append(kind):
    """Kernel parameters, and what the guest is to find in itself"""
    backend = KINDS[kind].backend or ("lapic" if kind == GOOD else f"broken-{kind}")
    asked = "" if kind == GOOD else f"pv_timer=broken-{kind}"
    return (f"{FAR} {asked} {TRACE_CHOICE} {expect(CPUS, 'pv_timer', backend, 'absent')} "
            "pvt.mode=far")


def run_kind(opts, kind):
    """Return: the results of the tests, by name, and why there are none"""
    def say(text):
        print(f"matrix: {text}", file=sys.stderr, flush=True)

    run = Run(kind, append(kind), FAR_ARGS, far=True)
    outdir = fresh_dir(opts, os.path.join("matrix", kind))
    opts.limit = HANG if KINDS[kind].hangs else LIMIT
    boot_direct(opts, outdir, [run], say, lambda text: qemu(
        opts, "tcg", "max", text, smp=CPUS))
    return run.tests, run.reason or "no test has run"


def wrong(expected, name, result, why):
    """Why this is not as expected; empty if it is"""
    if result == "skip":
        fine = any(fnmatch(name, pattern) for pattern in expected.skipped)
        return "" if fine else f"is skipped: {why}"
    red, either = (reasons(which, name) for which in (expected.red, expected.either))
    if result == "green":
        return "is green, has to be red" if red else ""
    if not red + either:
        return f"is red, has to be green: {why}"
    named = any(re.search(reason, why) for reason in red + either)
    return "" if named else f"is red for another reason: {why}"


def judge(found, kinds):
    """Each thing that is not as expected"""
    for kind, (tests, reason) in found.items():
        hung = not tests and reason.startswith("time-out")
        if not (hung if kinds[kind].hangs else tests):
            yield kind, "the guest", "comes to its end" if tests else f"has failed: {reason}"
        for name, (result, why) in tests.items():
            text = wrong(kinds[kind], name, result, why)
            if text:
                yield kind, name, text
        for pattern in kinds[kind].red:
            if tests and not any(fnmatch(name, pattern) for name in tests):
                yield kind, pattern, "is no test"


def never_red(found):
    """The tests of backends that nothing turns red for a reason that is named"""
    names = dict.fromkeys(name for tests, _ in found.values() for name in tests)
    return [name for name in names if not any(
        fnmatch(name, pattern) for pattern in OF_THE_CORE) and not any(
        tests.get(name, ("",))[0] == "red" and not wrong(KINDS[kind], name, *tests[name])
        for kind, (tests, _) in found.items())]


def print_matrix(found, bad):
    """A row for each test, a column for each kind"""
    names = dict.fromkeys(name for tests, _ in found.values() for name in tests)
    width = max(map(len, names), default=0)
    height = max(map(len, found))
    for line in zip(*(kind.rjust(height) for kind in found)):
        print(" " * width, " ".join(line))
    marks = {"green": ".", "red": "R", "skip": "s"}
    for name in names:
        cells = ("!" if (kind, name) in bad else marks.get(tests.get(name, ("",))[0], "-")
                 for kind, (tests, _) in found.items())
        print(name.ljust(width), " ".join(cells))
    print(". green, R red, s skipped, - not run, ! not as expected\n")


def parse_args():
    parser = Arguments(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("kinds", nargs="?", default=",".join(KINDS),
                        help="comma-separated, all if not there: " + ",".join(KINDS))
    parser.add_argument("--build", required=True, help="where results go")
    parser.add_argument("--image", required=True, help="the x86 bzImage with broken backends")
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--verbose", action="store_true", help="show the console")
    parser.add_argument("--check", action="store_true", help="only look at the arguments")
    opts = parser.parse_args()
    parser.check_names("kind", opts.kinds, KINDS)
    for name in ("build", "image", "initrd"):
        setattr(opts, name, os.path.abspath(getattr(opts, name)))
    return opts


def stop(*_):
    """End the virtual machine"""
    Boot.kill_all()
    sys.exit(143)


def run_all(opts, kinds):
    """The results of each kind, and say how long is left"""
    found, started = {}, time.monotonic()
    for number, kind in enumerate(kinds):
        spent = time.monotonic() - started
        left = (spent / number if number else USUAL) * (len(kinds) - number)
        print(f"matrix: {kind}, {number + 1} of {len(kinds)}: {KINDS[kind].promise}; about "
              f"{left / 60:.0f} min left", file=sys.stderr, flush=True)
        found[kind] = run_kind(opts, kind)
    return found


def main():
    signal.signal(signal.SIGTERM, stop)
    opts = parse_args()
    if opts.check:
        return 0
    kinds = opts.kinds.split(",")
    try:
        found = run_all(opts, kinds)
    except (HarnessError, OSError) as err:
        print(f"matrix: {err}", file=sys.stderr)
        return 2
    bad = list(judge(found, KINDS))
    print_matrix(found, {(kind, name) for kind, name, _ in bad})
    for kind, name, text in bad:
        print(f"matrix: {kind}: {name} {text}")
    idle = never_red(found) if len(found) == len(KINDS) else []
    for name in idle:
        print(f"matrix: no kind turns {name} red")
    tests = sum(len(tests) for tests, _ in found.values())
    print(f"matrix: {tests - len(bad)} passed, {len(bad) + len(idle)} failed, 0 skipped")
    return int(bool(bad or idle))


if __name__ == "__main__":
    sys.exit(main())
