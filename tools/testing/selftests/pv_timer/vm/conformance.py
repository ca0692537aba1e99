#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Look at each clause of the contract on the backends of real hypervisors.

A guest reads what the kernel finds, clause by clause, and runs the usual tests then, as
nothing may be wrong afterwards. With --broken it is booted on backends that are broken on
purpose, in a time of its own, and the table below says which clauses have to notice.

Exit status: 0 all is as expected, 1 it is not, 2 the harness failed.
"""

import contextlib
import importlib
import io
import os
import re
import signal
import sys
from functools import partial

import matrix
from harness import Arguments, HarnessError, fresh_dir
from hosts import FAR, FAR_ARGS
from matrix import GOOD, judge, print_matrix, stop
from targets import TARGETS
from verdict import Run, expect

# Seconds that a guest may take
LIMIT = 900

AFTERWARDS = "clock,tick,sleep,stats"

# What a red clause says
NONE = "no interrupt"
SOME = "an interrupt"
BACK = "goes back"
RATE = "the counter went on by"

# What the hypervisor of a target does not have, or the kernel does not need
IDLE = ("counters_of_all_cpus_agree", "cpu_start_lets_it_interrupt", "cpus_are_independent")

Kind = partial(matrix.Kind, skipped=IDLE)

# Which clauses each kind of broken.c turns red; it keeps the others
KINDS = {
    GOOD: Kind("keeps all of them", {}),
    "never": Kind("interrupts at all, so the boot test takes another", {}, backend="lapic"),
    "refuse-always": Kind("takes a deadline, so the boot test takes another", {},
                          backend="lapic"),
    "refuse-in-row": Kind("takes each deadline", {
        "no_deadline_is_refused": "are refused"}),
    "early": Kind("not before the deadline", {
        "never_before_the_deadline": SOME}),
    "storm": Kind("counter and comparator agree", {
        "never_before_the_deadline": SOME}),
    "late": Kind("not a jiffy after the deadline", {
        "not_a_jiffy_after_it": SOME}),
    "tardy": Kind("each one in time", {
        "each_deadline_interrupts": NONE}, {"*": NONE}),
    "past": Kind("interrupts for a deadline that has passed", {
        "past_deadline_interrupts_at_once": NONE}),
    "drop": Kind("interrupts for each deadline, on each CPU", {
        "each_deadline_interrupts": NONE}, {"*": NONE}),
    "cap": Kind("deadlines have 64 bits", {
        "deadline_has_64_bits": SOME}),
    "twice": Kind("interrupts once, and one CPU", {
        "cpus_are_independent": SOME}, {"*": SOME}),
    "keep": Kind("replaces what was armed", {
        "deadline_replaces_another": SOME}),
    "armed": Kind("forgets what was armed", {
        "disarm_forgets_it": SOME}, {"cpus_are_independent": SOME}),
    "start": Kind("interrupts after cpu_start()", {
        "cpu_start_lets_it_interrupt": NONE}),
    "jump": Kind("the counter does not go back", {
        "counter_never_goes_back": BACK}, {"*": f"{NONE}|{SOME}|{RATE}"}),
    "off1": Kind("the counter has the frequency that is stated", {
        "counter_is_as_fast_as_stated": RATE}),
    "clock": Kind("the clock is the same on all CPUs, and as fast as stated", {
        "counters_of_all_cpus_agree": "ahead|behind"}, {
            "counter_is_as_fast_as_stated": RATE}),
}


def parser_of(path):
    """The parser of KTAP that the kernel has, and what it takes to keep it from printing"""
    sys.path.insert(0, path)
    with contextlib.redirect_stdout(io.StringIO()):
        parser = importlib.import_module("kunit_parser")
        printer = importlib.import_module("kunit_printer")
    more = [printer.null_printer] if hasattr(printer, "null_printer") else []
    return lambda lines: parser.parse_run_tests(lines, *more)


def clauses(test):
    """What no test is below"""
    return [clause for each in test.subtests for clause in clauses(each)] if \
        test.subtests else [test]


def result(clause, ktap):
    """Green, red or skip, and why, of which the parser keeps one"""
    word = {"SUCCESS": "green", "SKIPPED": "skip"}.get(clause.status.name, "red")
    if word == "skip":
        why = re.search(rf" {clause.name} # SKIP (.*)", "\n".join(ktap))
    else:
        why = re.search(r"^# (CPU\d+: .*)", "\n".join(clause.log), re.M)
    return word, why[1] if why else ""


def boot(opts, name, target, run):
    """Return: what came of each clause, and why there is none"""
    def say(text):
        print(f"conformance: {name}: {text}", file=sys.stderr, flush=True)

    outdir = fresh_dir(opts, os.path.join("conformance", name))
    recorder, _ = target.boot(opts, outdir, [run], say)
    run.judge()
    tests = {clause.name: result(clause, run.ktap) for clause in clauses(
        opts.parse(run.ktap))} if run.ktap else {}
    return tests, recorder.error or run.reason


def run_target(opts, name):
    """On the hypervisor of a target: the guest has to be well afterwards"""
    target = TARGETS[name]
    append = (f"pvt.do=conformance pvt.tests={AFTERWARDS} "
              f"{expect(target.cpus, 'pv_timer', target.backend, 'absent')}")
    return boot(opts, name, target, Run("conformance", append))


def run_kind(opts, kind):
    """On a backend that is broken"""
    target = TARGETS["tcg"]
    backend = KINDS[kind].backend or (target.backend if kind == GOOD else f"broken-{kind}")
    asked = "" if kind == GOOD else f"pv_timer=broken-{kind}"
    append = (f"{FAR} {asked} pvt.do=conformance pvt.tests=device "
              f"{expect(target.cpus, 'pv_timer', backend, 'absent')}")
    tests, reason = boot(opts, f"broken-{kind}", target, Run(
        kind, append, FAR_ARGS, far=True))
    return tests, "" if tests else reason


def run_all(opts):
    """Return: the results of each target or kind, and what is expected of it"""
    if opts.broken:
        kinds = opts.broken.split(",")
        return {kind: run_kind(opts, kind) for kind in kinds}, KINDS
    targets = opts.targets.split(",")
    return ({name: run_target(opts, name) for name in targets},
            {name: Kind("keeps all of them", {}) for name in targets})


def report(found, bad, quiet):
    """The table, and what each clause has said that is red, or skipped"""
    print_matrix(found, {(name, clause) for name, clause, _ in bad})
    for name, (tests, _) in found.items():
        for clause, (word, why) in tests.items():
            if word == "red" or word == "skip" and not quiet:
                print(f"conformance: {name}: {clause}: {word}: {why}")
    for name, clause, text in bad:
        print(f"conformance: {name}: FAIL: {clause} {text}")


def parse_args():
    parser = Arguments(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("targets", help="comma-separated: " + ",".join(TARGETS))
    parser.add_argument("--broken", default="", help="comma-separated, or all: " +
                        ",".join(KINDS))
    parser.add_argument("--build", required=True, help="where results go")
    parser.add_argument("--image", required=True, help="the x86 bzImage with broken backends")
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--xen", default="", help="the Xen hypervisor")
    parser.add_argument("--uml", default="", help="the UML kernel")
    parser.add_argument("--kunit", required=True, help="where the kernel has kunit_parser")
    parser.add_argument("--verbose", action="store_true", help="show the console")
    parser.add_argument("--check", action="store_true", help="only look at the arguments")
    opts = parser.parse_args()
    parser.check_names("target", opts.targets, TARGETS)
    if opts.broken == "all":
        opts.broken = ",".join(KINDS)
    if opts.broken:
        parser.check_names("kind", opts.broken, KINDS)
    if opts.broken and opts.targets != "tcg":
        parser.error("the broken backends are those of tcg")
    for name in ("build", "image", "initrd", "xen", "uml"):
        setattr(opts, name, os.path.abspath(getattr(opts, name)))
    opts.limit, opts.host, opts.suffix = LIMIT, "", "-conformance"
    return opts


def main():
    signal.signal(signal.SIGTERM, stop)
    opts = parse_args()
    if opts.check:
        return 0
    opts.parse = parser_of(opts.kunit)
    try:
        found, expected = run_all(opts)
    except (HarnessError, OSError) as err:
        print(f"conformance: {err}", file=sys.stderr)
        return 2
    bad = list(judge(found, expected))
    bad += [(name, "the guest", f"is not well afterwards: {reason}")
            for name, (tests, reason) in found.items() if tests and reason]
    report(found, bad, quiet=bool(opts.broken))
    results = [word for tests, _ in found.values() for word, _ in tests.values()]
    skipped = results.count("skip")
    print(f"conformance: {len(results) - skipped - len(bad)} passed, {len(bad)} failed, "
          f"{skipped} skipped")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
