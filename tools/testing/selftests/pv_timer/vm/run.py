#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot targets one after another and print one verdict line for each.

A verdict is "pass" only if every guest said so itself, as its last words on a
channel of its own. Silence, a panic and a time-out are failures.

Exit status: 0 pass, 1 a test failed, 2 the harness failed, 4 all skipped,
124 time-out; the first of 2, 1, 124 that applies to any target.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys

from machine import HarnessError, Run, Skip, fresh_dir
from targets import TARGETS, share

PASS, FAIL, ERROR, SKIP, TIMEOUT = 0, 1, 2, 4, 124

MODES = {"default": "", "nohz-off": "nohz=off", "highres-off": "highres=off"}

# Seconds that one run may take, from the start of its guest
RUN_LIMIT = 180

# What compare.c measures: key, decimal places, what pv_timer has to be below
FIGURES = (
    ("interrupts", 0, 100, "timer interrupts in 10 idle seconds"),
    ("sleep_ms", 2, 2, "a sleep of 1 ms takes, median, in ms"),
)

HERE = os.path.dirname(os.path.abspath(__file__))


def suite_run(target, opts, mode):
    """A run of the tests in one of the modes"""
    backend = f"broken-{opts.broken}" if opts.broken else target.backend
    choice = f"pv_timer={backend}" if opts.broken else ""
    name = "broken" if opts.broken else mode
    return Run(name, " ".join((MODES[mode], choice, expect(
        target, "pv_timer", backend, "absent"), f"pvt.mode={name}")))


def stock_run(target, opts, mode):
    """The same on the device that pv_timer replaces"""
    return Run(mode, " ".join((MODES[mode], "pv_timer=off", expect(
        target, target.stock, "none", "present"), f"pvt.mode={mode}")))


def lifecycle_run(target, opts, clock):
    """A run of what else happens to a guest; for kexec it sees our kernels"""
    name = clock.replace("=", "-") or "lifecycle"
    wanted = expect(target, "pv_timer", target.backend, "absent")
    kernel, initrd = (os.path.relpath(path, opts.build)
                      for path in (opts.image, opts.initrd))
    return Run(name, f"{clock} {wanted} pvt.do=lifecycle pvt.mode={name} "
               f"pvt.steps={target.lifecycle} pvt.kernel=/{kernel} "
               f"pvt.initrd=/{initrd}",
               share(opts.build, "kernel") if "kexec" in target.lifecycle else ())


def report_run(target, which):
    """A run that measures: with pv_timer, or with the device it replaces"""
    if which == "off":
        wanted = "pv_timer=off " + expect(target, target.stock, "none",
                                          "present")
    else:
        wanted = expect(target, "pv_timer", target.backend, "absent")
    return Run(f"report-{which}", f"{wanted} pvt.do=report")


def expect(target, device, backend, legacy):
    """What the guest is to find in itself"""
    return (f"pvt.cpus={target.cpus} pvt.device={device} "
            f"pvt.backend={backend} pvt.legacy={legacy}")


def plan_runs(target, opts):
    """The boots that the command line asks for"""
    runs = list_runs(target, opts)
    for run in runs:
        run.append = f"{run.append} {opts.append}".strip()
    return runs


def list_runs(target, opts):
    """The same without what the user adds"""
    suite = stock_run if opts.stock else suite_run
    if not opts.report:
        modes = ["default"] if opts.broken else opts.modes.split(",")
        runs = [suite(target, opts, mode) for mode in modes
                if mode != "lifecycle"]
        if target.lifecycle and "lifecycle" in modes:
            runs += [lifecycle_run(target, opts, clock)
                     for clock in target.clocks]
        return runs
    if not target.stock:
        raise Skip("there is no other device to compare with")
    # The first guest of an emulated host is slower than the next ones
    return [suite(target, opts, "default"), report_run(target, "pv"),
            report_run(target, "off")]


def summary(runs, accel, image):
    """The values of the verdict line: sums over the runs, or the first's"""
    suites = [r for r in runs if r.verdict and not r.name.startswith("report")]
    if not suites:
        return ""
    values = dict(suites[0].verdict)
    values.pop("mode")
    for key in ("plan", "ok", "skip", "lost"):
        values[key] = sum(int(r.verdict[key]) for r in suites)
    values["taint"] = max(int(r.verdict["taint"]) for r in suites)
    host, guest = (sum(t) for t in zip(*(r.elapsed() for r in suites)))
    values.update(host=f"{host:.1f}s", guest=f"{guest:.1f}s", accel=accel,
                  modes=len(suites), image=image)
    return " ".join(f"{k}={v}" for k, v in values.items())


def digest(target, opts):
    """Which kernel it was"""
    with open(target.image(opts), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()[:12]


def judge(runs, recorder, accel, image):
    """Return: the verdict line without its prefix, and the exit status"""
    for run in runs:
        run.judge()
    bad = [r for r in runs if r.reason]
    values = summary(runs, accel, image)
    if not bad:
        return f"pass {values}", PASS
    reasons = "; ".join(f"{r.name}: {r.reason}" for r in bad)
    status = FAIL
    if recorder.error:
        status = (TIMEOUT if recorder.error.startswith("time-out") else ERROR)
    return f'FAIL reason="{reasons}" {values}'.rstrip(), status


def store_reports(outdir, runs, accel):
    """What report.py reads"""
    emulated = "no" if accel == "kvm" else "yes"
    for run in runs:
        if not run.name.startswith("report-"):
            continue
        with open(os.path.join(outdir, f"{run.name}.txt"), "w") as f:
            f.write(f"report: emulated={emulated}\n")
            f.writelines(f"report: {line}\n" for line in run.reports)


def compare_boots(target):
    """A kernel without pv_timer, and the usual one"""
    if not target.bare:
        raise Skip("pv_timer=off leaves the old device here: say make run")
    stock = expect(target, target.bare.device, "none", "present")
    ours = expect(target, "pv_timer", target.backend, "absent")
    return (("stock", target.bare.boot, f"{stock} pvt.mode={target.bare.mode}"),
            ("pv_timer", target.boot, ours))


def print_figures(name, stock, ours):
    """Return: what is wrong with ours"""
    bad = []
    print(f"{name + ':':<38}{'stock':>10}{'pv_timer':>10}")
    for key, places, limit, label in FIGURES:
        print(f"{label:<38}{stock[key]:>10.{places}f}{ours[key]:>10.{places}f}")
        if ours[key] >= limit:
            bad.append(f"{label}: not below {limit}")
    return "; ".join(bad)


def compare_target(target, opts, outdir, say):
    """The figures of both; the verdict is that of the usual kernel"""
    figures = []
    for name, boot, wanted in compare_boots(target):
        run = Run(name, f"{wanted} pvt.do=compare {opts.append}".strip())
        recorder, accel = boot(opts, outdir, [run], say)
        line, status = judge([run], recorder, accel, digest(target, opts))
        if status != PASS:
            return line, status
        figures.append({key: float(value) for key, value in (
            pair.split("=") for pair in run.reports[0].split())})
    bad = print_figures(target.name, *figures)
    return (f'FAIL reason="{bad}"', FAIL) if bad else (line, PASS)


def run_target(target, opts):
    """Return: the verdict line without its prefix, and the exit status"""
    def say(text):
        print(f"vm: {target.name}: {text}", file=sys.stderr, flush=True)

    outdir = fresh_dir(opts, target.name)
    try:
        if opts.compare:
            return compare_target(target, opts, outdir, say)
        runs = plan_runs(target, opts)
        recorder, accel = target.boot(opts, outdir, runs, say)
    except Skip as e:
        return f'skip reason="{e}"', SKIP
    except (HarnessError, OSError) as e:
        return f'FAIL reason="{e}"', ERROR
    line, status = judge(runs, recorder, accel, digest(target, opts))
    if opts.report:
        store_reports(outdir, runs, accel)
        shown = subprocess.run([sys.executable, os.path.join(HERE, "report.py"),
                                outdir], check=False)
        if shown.returncode and status == PASS:
            line, status = 'FAIL reason="report.py failed"', ERROR
    with open(os.path.join(outdir, "verdict"), "w") as f:
        f.write(line + "\n")
    return line, status


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", help="comma-separated: "
                        + ",".join(TARGETS))
    parser.add_argument("--build", required=True, help="where results go")
    parser.add_argument("--image", required=True, help="the x86 bzImage")
    parser.add_argument("--uml", default="", help="the UML kernel")
    parser.add_argument("--xen", default="", help="the Xen hypervisor")
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--modes", default=",".join([*MODES, "lifecycle"]))
    parser.add_argument("--broken", default="",
                        choices=("", "never", "early", "drop", "refuse"))
    parser.add_argument("--append", default="",
                        help="more parameters for the kernel of the guest")
    parser.add_argument("--limit", type=int, default=RUN_LIMIT,
                        help=f"seconds that one run may take ({RUN_LIMIT})")
    parser.add_argument("--report", action="store_true",
                        help="measure, with pv_timer and without")
    parser.add_argument("--compare", action="store_true",
                        help="measure, with a kernel without pv_timer as well")
    parser.add_argument("--stock", action="store_true",
                        help="run the suite with pv_timer=off")
    parser.add_argument("--verbose", action="store_true",
                        help="show the console")
    opts = parser.parse_args()
    for name in ("build", "image", "uml", "xen", "initrd"):
        if getattr(opts, name):
            setattr(opts, name, os.path.abspath(getattr(opts, name)))
    return opts


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    opts = parse_args()
    seen = set()
    for name in opts.targets.split(","):
        if name not in TARGETS:
            line, status = f'FAIL reason="no such target, there are: ' \
                f'{", ".join(TARGETS)}"', ERROR
        else:
            line, status = run_target(TARGETS[name], opts)
        print(f"vm: {name}: {line}", flush=True)
        seen.add(status)
    for status in (ERROR, FAIL, TIMEOUT, PASS):
        if status in seen:
            return status
    return SKIP


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
