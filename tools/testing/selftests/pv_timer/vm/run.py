#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot targets one after another and print one verdict line for each.

A verdict is "pass" only if every guest said so itself, as its last words on a
channel of its own. Silence, a panic and a time-out are failures.

Exit status: 0 pass, 1 a test failed, 2 the harness failed, 4 all skipped,
124 time-out; the first of 2, 1, 124 that applies to any target.
"""

import argparse
import os
import re
import signal
import subprocess
import sys

import latency
import outside
from compare import compare_target
from harness import HERE, REPO, Arguments, HarnessError, Skip, fresh_dir
from hosts import FAR, FAR_ARGS
from qemu import share
from support import remember
from targets import TARGETS
from verdict import ERROR, FAIL, PASS, SKIP, TIMEOUT, Run, digest, expect, judge, skips

MODES = {"default": "", "nohz-off": "nohz=off", "highres-off": "highres=off", "far": FAR}

# The kinds of broken backends
BROKEN = ("never", "refuse-always", "refuse-in-row", "early", "storm", "cap", "late",
          "tardy", "past", "drop", "drop-all", "forget", "twice", "short", "jump", "off1",
          "clock", "low", "keep", "armed", "start", "overrun", "race", "nesting", "refuse",
          "refuse20", "refuse-all")

# Seconds that one run may be silent, from the start of its guest, and a test in it
RUN_LIMIT = 180
TEST_LIMIT = 60

# The kernels that look for defects, and why there is none for some targets; how much slower
# they are, and how many MB more they take
DETECTORS = {"kasan": dict.fromkeys(("xen-pv", "xen-domu", "xen-pvh"),
                                    "Linux has not mapped its shadow where they start"),
             "kcsan": dict.fromkeys(("sbi", "sstc"), "Linux has none on RISC-V"),
             "rt": {}}
SLOWER = 5
MORE_MEMORY = 512


def tests(opts):
    """Which programs of the suite are asked for, and for how long they may be silent"""
    asked = f"pvt.tests={opts.tests}" if opts.tests else ""
    return f"{asked} pvt.silence={TEST_LIMIT * SLOWER}" if opts.detect else asked


def suite_run(target, opts, mode):
    """A run of the tests in one of the modes"""
    choice, wanted = choose(target, opts)
    name = "broken" if opts.broken else mode
    far = mode == "far"
    told = "debug" if opts.detect and name == "default" else name
    return Run(name, f"{MODES[mode]} {choice} {wanted} pvt.mode={told} {tests(opts)}",
               FAR_ARGS if far else (), far=far)


def choose(target, opts, cpus=0, backend="", legacy="absent"):
    """What is to tick, and that it is to be found"""
    cpus = cpus or target.cpus
    if opts.broken:
        backend = f"broken-{opts.broken}"
    choice = f"pv_timer={backend}" if backend else ""
    return choice, expect(cpus, "pv_timer", backend or target.backend, legacy)


def next_kernel(target, opts):
    """What kexec boots, as the guest sees it, and the arguments that show it"""
    if target.next_kernel:
        return ("/boot/kernel", "/boot/initrd"), (
            "-initrd", target.next_kernel(opts))
    return ["/mnt/" + os.path.relpath(path, opts.build)
            for path in (opts.image, opts.initrd)], share(opts.build, "kernel")


def life_run(target, opts, outdir, life):
    """A run of what else happens to a guest, or of the tests in one that is special"""
    choice, wanted = choose(target, opts, life.cpus, life.backend, life.legacy)
    if life.instead:
        wanted = expect(target.cpus, "pv_timer", life.instead, "absent")
    what = f"pvt.do=lifecycle pvt.steps={life.steps}" if life.steps else tests(opts)
    if life.mode == "choose":
        what += f" pvt.available={','.join((target.backend, *target.others))}"
    mode = "far" if life.far else life.name
    append = f"{life.append} {choice} {wanted} pvt.mode={mode} {what}"
    devices = [*life.args, *life.prepare(opts, outdir)]
    if "kexec" in life.steps or "crash" in life.steps:
        (kernel, initrd), more = next_kernel(target, opts)
        append += f" pvt.kernel={kernel} pvt.initrd={initrd}"
        devices += more
    return Run(life.name, append, devices, life.wrapper, life.far, life.says)


def report_run(target, which):
    """A run that measures: with pv_timer, or with the device it replaces"""
    if which == "off":
        wanted = "pv_timer=off " + expect(target.cpus, target.off, "none",
                                          "present")
    else:
        wanted = expect(target.cpus, "pv_timer", target.backend, "absent")
    return Run(f"report-{which}", f"{wanted} pvt.do=report")


def plan_runs(target, opts, outdir):
    """The boots that the command line asks for"""
    runs = list_runs(target, opts, outdir)
    if not runs:
        raise Skip("nothing to do in these modes")
    for run in runs:
        run.append = f"{run.append} {opts.append}".strip()
    return runs


def list_runs(target, opts, outdir):
    """The same without what the user adds"""
    if not opts.report:
        modes = ["default"] if opts.broken else opts.modes.split(",")
        return [suite_run(target, opts, mode) for mode in modes
                if mode in MODES and (mode != "far" or target.far)] + [
                    life_run(target, opts, outdir, life)
                    for life in target.lives()
                    if (life.mode in modes or life.name in modes) and
                    life.detect in ("", opts.detect)]
    if not target.off:
        raise Skip("there is no other device to compare with")
    # The first guest of an emulated host is slower than the next ones
    return [suite_run(target, opts, "default"), report_run(target, "pv"),
            report_run(target, "off")]


def store_reports(outdir, runs, accel):
    """What report.py reads"""
    emulated = "no" if accel == "kvm" else "yes"
    for run in runs:
        if not run.name.startswith("report-"):
            continue
        with open(os.path.join(outdir, f"{run.name}.txt"), "w") as f:
            f.write(f"report: emulated={emulated}\n")
            f.writelines(f"report: {line}\n" for line in run.reports)


def open_terminal(target, opts, outdir, say):
    """Boot an x86 guest that has this terminal, with a shell or for a debugger"""
    if target.kernel != "x86":
        raise HarnessError("only guests of the x86 image have a shell or were debugged")
    if opts.debug:
        vmlinux = os.path.join(opts.image, *[".."] * 4, "vmlinux")
        say("the guest is stopped, say in another terminal:\n"
            f"  gdb {os.path.relpath(vmlinux, REPO)} -ex 'target remote :1234' -ex continue")
        run = suite_run(target, opts, "default")
    else:
        run = Run("shell", "pvt.do=shell")
    run.append += f" {opts.append}"
    target.boot(argparse.Namespace(**{
        **vars(opts), "terminal": ["-s", "-S"] if opts.debug else []}), outdir, [run], say)
    return "terminal closed", PASS


def run_target(target, opts):
    """Return: the verdict line without its prefix, and the exit status"""
    def say(text):
        print(f"vm: {target.name}: {text}", file=sys.stderr, flush=True)

    outdir = fresh_dir(opts, target.name)
    try:
        if opts.compare:
            return compare_target(target, opts, outdir, say)
        if opts.outside:
            return outside.outside_target(target, opts, outdir, say)
        if opts.latency:
            return latency.latency_target(target, opts, outdir, say)
        if opts.shell or opts.debug:
            return open_terminal(target, opts, outdir, say)
        runs = plan_runs(target, opts, outdir)
        recorder, accel = target.boot(opts, outdir, runs, say)
    except Skip as e:
        return f'skip reason="{e}"', SKIP
    except (HarnessError, OSError) as e:
        return f'FAIL reason="{e}"', ERROR
    for skipped in skips(runs):
        print(f"vm: {target.name}: skipped {skipped}", flush=True)
    image = digest(target, opts)
    line, status = judge(runs, recorder, accel, image)
    if opts.detect:
        line += f" debug={opts.detect}"
    if not (opts.broken or opts.tests or opts.append or opts.host):
        remember(outdir, runs, image)
    if opts.report:
        store_reports(outdir, runs, accel)
        shown = subprocess.run([sys.executable, os.path.join(HERE, "report.py"),
                                outdir], check=False)
        if shown.returncode and status == PASS:
            line, status = 'FAIL reason="report.py failed"', ERROR
    with open(os.path.join(outdir, "verdict"), "w") as f:
        f.write(line + "\n")
    return line, status


def test_programs():
    """Those that the Makefile of the tests builds"""
    with open(os.path.join(HERE, "..", "Makefile"), encoding="utf-8") as f:
        return re.search(r"^TEST_GEN_PROGS := (.*)", f.read(), re.M)[1].split()


def choose_kernel(parser, opts):
    """One that looks for defects"""
    parser.check_names("debug kernel", opts.detect, DETECTORS)
    for name in opts.targets.split(","):
        why = DETECTORS[opts.detect].get(name, "")
        if TARGETS[name].kernel not in ("x86", "riscv64"):
            why = "only those of x86 and RISC-V are built"
        if why:
            parser.error(f"there is no {opts.detect} kernel for {name}: {why}")
    opts.suffix, opts.more_memory = f"-{opts.detect}", MORE_MEMORY


def parse_args():
    parser = Arguments(description=__doc__.split("\n")[0])
    parser.add_argument("targets", help="comma-separated: "
                        + ",".join(TARGETS))
    parser.add_argument("--build", required=True, help="where results go")
    parser.add_argument("--image", required=True, help="the x86 bzImage")
    parser.add_argument("--uml", default="", help="the UML kernel")
    parser.add_argument("--xen", default="", help="the Xen hypervisor")
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--modes", default=",".join([*MODES, "lifecycle"]))
    parser.add_argument("--broken", default="",
                        help=f"a broken backend: {', '.join(BROKEN)}")
    parser.add_argument("--tests", default="",
                        help="only these programs of the suite")
    parser.add_argument("--append", default="",
                        help="more parameters for the kernel of the guest")
    parser.add_argument("--limit", type=int,
                        help=f"seconds that one run may be silent ({RUN_LIMIT}, and "
                        f"{SLOWER} times that on kernels that look for defects)")
    parser.add_argument("--report", action="store_true",
                        help="measure, with pv_timer and without")
    parser.add_argument("--compare", action="store_true",
                        help="show the clocks and two figures, of a kernel "
                        "without pv_timer as well")
    parser.add_argument("--outside", default="",
                        help="an initrd with the timer tests of others, for a kernel "
                        "without pv_timer as well")
    parser.add_argument("--latency", action="store_true",
                        help="measure how late wake-ups are, with pv_timer and without")
    parser.add_argument("--shell", action="store_true",
                        help="open a shell in the guest")
    parser.add_argument("--debug", action="store_true",
                        help="start the guest stopped, for a debugger")
    parser.add_argument("--list", action="store_true",
                        help="print the targets")
    parser.add_argument("--kernels", action="store_true",
                        help="print which kernels they boot")
    parser.add_argument("--detect", default="",
                        help="kernels that look for defects: " + ", ".join(DETECTORS))
    parser.add_argument("--host", default="", help="the x86 bzImage of L1, if --image is another")
    parser.add_argument("--verbose", action="store_true",
                        help="show the console")
    parser.add_argument("--check", action="store_true",
                        help="only look at the arguments")
    opts = parser.parse_args()
    parser.check_names("target", opts.targets, TARGETS)
    if opts.detect:
        choose_kernel(parser, opts)
    opts.limit = opts.limit or RUN_LIMIT * (SLOWER if opts.detect else 1)
    if opts.latency:
        opts.limit = latency.LIMIT
    if opts.outside:
        opts.limit, opts.initrd = outside.LIMIT, opts.outside
        others = [name for name in opts.targets.split(",") if TARGETS[name].kernel != "x86"]
        if others:
            parser.error(f"the timer tests of others are built for x86-64, not for {others[0]}")
    lives = [life for target in TARGETS.values() for life in target.lives()]
    parser.check_names("mode", opts.modes, dict.fromkeys(
        [*MODES, *(life.mode for life in lives), *(life.name for life in lives)]))
    for life in lives:
        if life.detect not in ("", opts.detect) and life.name in opts.modes.split(","):
            parser.error(f"{life.name} is for DEBUG={life.detect}")
    if opts.broken:
        parser.check_names("broken backend", opts.broken, BROKEN)
    if opts.tests:
        parser.check_names("test", opts.tests, test_programs())
    for name in ("build", "image", "host", "uml", "xen", "initrd"):
        if getattr(opts, name):
            setattr(opts, name, os.path.abspath(getattr(opts, name)))
    return opts


def list_targets():
    """One line for each"""
    print(f"{'target':<11}{'CPUs':>4}  {'backend':<10}{'stock device':<24}boots, besides "
          "the modes")
    for target in TARGETS.values():
        lives = dict.fromkeys(life.name for life in target.lives())
        print(f"{target.name:<11}{target.cpus:>4}  {target.backend:<10}{target.stock:<24}"
              f"{', '.join(lives)}")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    opts = parse_args()
    if opts.list:
        list_targets()
    if opts.kernels:
        print(*sorted({TARGETS[name].kernel for name in opts.targets.split(",")}))
    if opts.check or opts.list or opts.kernels:
        return PASS
    seen = set()
    for name in opts.targets.split(","):
        line, status = run_target(TARGETS[name], opts)
        if status not in (PASS, SKIP):
            logs = os.path.join(opts.build, "vm", name)
            line += f" log={os.path.relpath(logs, REPO)}"
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
