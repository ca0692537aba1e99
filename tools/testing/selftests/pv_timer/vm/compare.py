# SPDX-License-Identifier: GPL-2.0
"""The clocks and two figures of a kernel without pv_timer, and of one with it."""

import argparse
import os

from verdict import FAIL, PASS, Run, digest, expect, judge

# What is compared of a kernel without pv_timer and one with it: loads of pv_timer_bench
COMPARED = "idle=10,sleep=1"

# What both say of their clock, which has to be the same, unless a stock kernel has it not
CLOCK = (("clocksource", "clocksource"), ("available_clocksource", "available"),
         ("vdso", "vDSO"))

# Linux lists this clock only where the tick is periodic
ONLY_PERIODIC = "_jiffies"

# Load, what is shown, what pv_timer is below where the old device has a periodic tick only
FIGURES = (("idle", "interrupts", "timer interrupts in an idle second", 10),
           ("sleep", "seconds", "a sleep of 1 ms takes, in ms", 2))


def without_pv_timer(opts):
    """The options, with kernels that are built without pv_timer"""
    return argparse.Namespace(**{
        **vars(opts), "suffix": "-stock",
        "image": os.path.join(opts.build, "x86-stock/arch/x86/boot/bzImage"),
        "uml": os.path.join(opts.build, "um-stock/linux")})


def compare_boots(target, opts):
    """A kernel without pv_timer, and the usual one"""
    stock = expect(target.cpus, target.stock.replace(" ", "_"), "none", "present")
    ours = expect(target.cpus, "pv_timer", target.backend, "absent")
    return (("stock", without_pv_timer(opts), f"{stock} pvt.mode={target.stock_mode}"),
            ("pv_timer", opts, ours))


def compared(reports, cpus):
    """What pv_timer_bench said: facts of the clock by name, figures by load and name

    All CPUs sleep at the same time.
    """
    found = {}
    for line in reports:
        pairs = dict(word.split("=", 1) for word in line.split())
        load = pairs.get("phase")
        if not load:
            found.update(pairs)
        if "done" not in pairs:
            continue
        done = float(pairs["done"])
        found[load, "interrupts"] = float(pairs["interrupts"]) / done
        found[load, "seconds"] = float(pairs["seconds"]) * cpus / done * 1000
    return found


def print_compared(target, stock, ours):
    """Return: what is wrong with ours"""
    bad = []
    print(f"{target.name + ':':<38}{'stock':>20}  {'pv_timer':>20}")
    print(f"{'device':<38}{target.stock:>20}  {'pv_timer':>20}")
    for key, label in CLOCK:
        print(f"{label:<38}{stock[key]:>20}  {ours[key]:>20}")
        if stock[key].removesuffix(ONLY_PERIODIC) != ours[key] and not target.clock:
            bad.append(f"{label} is not that of the stock kernel")
    if target.clock and ours["clocksource"] != target.clock:
        bad.append(f"clocksource is not {target.clock}")
    for load, key, label, limit in FIGURES:
        print(f"{label:<38}{stock[load, key]:>20.2f}  {ours[load, key]:>20.2f}")
        if target.stock_mode == "nohz-off" and ours[load, key] >= limit:
            bad.append(f"{label}: not below {limit}")
    return "; ".join(bad)


def compare_target(target, opts, outdir, say):
    """Both beside each other. Return: the verdict line and the exit status"""
    found = []
    for name, with_images, wanted in compare_boots(target, opts):
        run = Run(name, f"{wanted} pvt.do=bench pvt.loads={COMPARED} "
                  f"{opts.append}".strip())
        recorder, accel = target.boot(with_images, outdir, [run], say)
        line, status = judge([run], recorder, accel, digest(target, with_images))
        if status != PASS:
            return line, status
        found.append(compared(run.reports, target.cpus))
    bad = print_compared(target, *found)
    if bad:
        return f'FAIL reason="{bad}"', FAIL
    return "pass " + " ".join(f"{label}={found[1][key].replace(' ', '_')}"
                              for key, label in CLOCK), PASS
