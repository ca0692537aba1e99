# SPDX-License-Identifier: GPL-2.0
"""What others test timers with, on a kernel without pv_timer and on one with it.

The kernel's own selftests of timers, cyclictest, and the stressors of stress-ng that are
about timers. No test that passes on the one may fail on the other. They judge times, so
a guest that can be emulated by the number of its instructions is, and others need a machine
that does nothing else.
"""

import re

from compare import compare_boots
from hosts import FAR, FAR_ARGS
from verdict import FAIL, PASS, Run, digest, judge

# Seconds that a test may say nothing, and that all may take
SILENCE = 300
LIMIT = 1200

# What the table shows by name; some print a result in the middle of a line
SHOWN = re.compile(r"\d+ not ok: |\d+ of \d+ tests reported")


def beside_tests(run):
    """Why the run failed, other than by a test"""
    return [reason for reason in run.reason.split("; ") if reason and not SHOWN.match(reason)]


def print_results(target, stock, ours):
    """Return: what is wrong with ours, and that the other has not run as it should"""
    bad = []
    print(f"{target.name + ':':<30}{target.stock:>24}  {'pv_timer':>12}")
    for name in dict.fromkeys((*stock.tests, *ours.tests)):
        results = [run.tests.get(name, ("absent", ""))[0] for run in (stock, ours)]
        worse = results[0] == "green" != results[1]
        print(f"{name:<30}{results[0]:>24}  {results[1]:>12}{'  <-' if worse else ''}")
        if worse:
            bad.append(f"{name} passes on the stock kernel only")
    return bad + [f"{run.name}: {reason}" for run in (stock, ours)
                  for reason in beside_tests(run)]


def outside_target(target, opts, outdir, say):
    """Both beside each other. Return: the verdict line and the exit status"""
    found = []
    for name, with_images, wanted in compare_boots(target, opts):
        run = Run(name, f"{FAR if target.far else ''} {wanted} pvt.tell=all "
                  f"pvt.silence={SILENCE} {opts.append}".strip(),
                  FAR_ARGS if target.far else (), far=target.far)
        recorder, accel = target.boot(with_images, outdir, [run], say)
        line, status = judge([run], recorder, accel, digest(target, with_images))
        if not run.verdict:
            return line, status
        found.append(run)
    bad = print_results(target, *found)
    if bad:
        return f'FAIL reason="{"; ".join(bad)}"', FAIL
    passed = [sum(result == "green" for result, _ in run.tests.values()) for run in found]
    return (f"pass tests={len(found[1].tests)} stock={passed[0]} pv_timer={passed[1]} "
            f"linux={found[1].verdict['linux']} accel={accel}"), PASS
