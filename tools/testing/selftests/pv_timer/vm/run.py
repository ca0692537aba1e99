#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot targets one after another and print one verdict line for each.

A verdict is "pass" only if every guest said so itself, as its last words on a
channel of its own. Silence, a panic and a time-out are failures.

Exit status: 0 pass, 1 a test failed, 2 the harness failed, 4 all skipped,
124 time-out; the first of 2, 1, 124 that applies to any target.
"""

import argparse
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

PASS, FAIL, ERROR, SKIP, TIMEOUT = 0, 1, 2, 4, 124

MODES = {"default": "", "nohz-off": "nohz=off", "highres-off": "highres=off"}

# Seconds that one run may take, from the start of its guest
RUN_LIMIT = 180
PROBE_LIMIT = 20

# How far the clocks of guest and host may be apart
CLOCK_RATIO = 0.05
CLOCK_SLACK = 0.5

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Target:
    """What a target is, and what is to be found in its guest"""
    name: str
    cpus: int
    backend: str
    stock: str              # device with pv_timer=off, empty if there is none
    uml: bool = False


TARGETS = {t.name: t for t in (
    Target("kvm", 2, "kvm", "lapic-deadline"),
    Target("tcg", 2, "lapic", "lapic"),
    Target("um", 1, "um", "", uml=True),
)}


@dataclass
class Host:
    """A guest that is itself a host (L1)"""
    cpu: str
    root: str               # what its guests are confined to


KVM_HOST = Host("qemu64,+svm,+npt,+x2apic", "/mnt")
UML_HOST = Host("max", "/")


class HarnessError(Exception):
    """The harness cannot do its work; not the fault of the guest"""


class Skip(Exception):
    """The target cannot run on this machine"""


@dataclass
class Run:
    """One boot of one guest kernel, and what came of it"""
    name: str
    append: str
    start: tuple = None     # (host, guest) seconds
    end: tuple = None
    verdict: dict = None
    reason: str = ""
    reports: list = field(default_factory=list)

    def elapsed(self):
        """Seconds that the tests took on the host's and the guest's clock"""
        if not self.start or not self.end:
            return 0.0, 0.0
        return tuple(e - s for s, e in zip(self.start, self.end))

    def judge(self):
        """Complete the reason: empty means that the run passed"""
        if not self.verdict:
            self.reason = self.reason or "no verdict"
            return
        host, guest = self.elapsed()
        if abs(host - guest) > CLOCK_RATIO * host + CLOCK_SLACK:
            self.add(f"clocks disagree: host {host:.1f}s guest {guest:.1f}s")

    def add(self, reason):
        """One more reason why it failed"""
        self.reason = f"{self.reason}; {reason}" if self.reason else reason


class Recorder:
    """Sorts what arrives on the verdict channel into the runs"""

    def __init__(self, runs, say):
        self.runs = {r.name: r for r in runs}
        self.say = say
        self.run = None
        self.error = ""
        self.started = time.monotonic()
        self.counts = {}
        self.before = {}

    def line(self, text, now):
        """One line from the guest, or from the host between it and us"""
        if not text.startswith("pvt: "):
            return
        word, _, rest = text[5:].partition(" ")
        handler = getattr(self, "on_" + word, None)
        if handler:
            handler(rest, now)

    def on_ready(self, _rest, now):
        self.say(f"L1 is up after {now - self.started:.1f} s")

    def on_run(self, rest, now):
        self.run = self.runs[rest]
        self.started = now

    def on_start(self, rest, now):
        self.run.start = (now, float(rest))
        self.say(f"{self.run.name}: guest is up after "
                 f"{now - self.started:.1f} s")

    def on_end(self, rest, now):
        self.run.end = (now, float(rest))

    def on_report(self, rest, _now):
        self.run.reports.append(rest)

    def on_count(self, rest, _now):
        self.counts = {k: int(v) for k, v in
                       (pair.split("=") for pair in rest.split())}

    def on_phase(self, rest, _now):
        """L1 has counted just before: what did this phase cost it?"""
        name, which = rest.split()
        if which == "end" and self.counts:
            self.run.reports.append(f"phase={name} " + " ".join(
                f"{key}={value - self.before[key]}"
                for key, value in self.counts.items()))
        self.before = self.counts

    def on_verdict(self, rest, now):
        rest, _, self.run.reason = rest.partition(" reason=")
        word, *pairs = rest.split()
        self.run.verdict = dict(p.split("=", 1) for p in pairs)
        if word != "pass" and not self.run.reason:
            self.run.reason = "guest gave no reason"
        self.say(f"{self.run.name}: {word} after {now - self.started:.1f} s")

    def on_error(self, rest, _now):
        self.error = rest

    def on_note(self, rest, _now):
        self.say(rest)

    def on_done(self, rest, _now):
        name, status = rest.split()
        if status != "0" and not self.runs[name].verdict:
            self.runs[name].add(f"its monitor ended with status {status}")


class Stream:
    """Lines from a descriptor, and when it was last heard"""

    def __init__(self, fd, log, line):
        self.fd, self.log, self.fn = fd, log, line
        self.rest = b""
        self.last = ""
        self.heard = time.monotonic()

    def read(self):
        """Return: False at the end of the stream"""
        data = os.read(self.fd, 65536)
        if not data:
            return False
        self.heard = time.monotonic()
        self.log.write(data)
        self.log.flush()
        *lines, self.rest = (self.rest + data).split(b"\n")
        for raw in lines:
            text = raw.decode(errors="replace").strip()
            if text:
                self.last = text
                self.fn(text, self.heard)
        return True

    def words(self):
        """For a time-out: what was last heard"""
        if not self.last:
            return "nothing"
        age = time.monotonic() - self.heard
        return f"'{self.last[:100]}' {age:.0f} s ago"


class Boot:
    """One QEMU on this machine: start, listen, end"""

    def __init__(self, opts, outdir, recorder):
        self.opts, self.outdir, self.recorder = opts, outdir, recorder
        self.panic = ""

    def console_line(self, text, _now):
        if self.opts.verbose:
            print(text, file=sys.stderr)
        if "Kernel panic" in text and not self.panic:
            self.panic = text[text.index("Kernel panic"):]

    def open(self, name):
        return open(os.path.join(self.outdir, name), "ab")

    def run(self, argv, limit):
        """Return: the exit status of QEMU, None after a time-out"""
        with open(os.path.join(self.opts.build, ".vm.lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.recorder.say("waiting for another virtual machine to end")
                fcntl.flock(lock, fcntl.LOCK_EX)
            return self.locked(argv, limit)

    def locked(self, argv, limit):
        receive, send = os.pipe()
        argv = [a.replace("@VERDICT@", f"/proc/self/fd/{send}") for a in argv]
        with self.open("qemu.log") as log, self.open("console.log") as console, \
                self.open("verdict.log") as verdict:
            log.write((" ".join(argv) + "\n").encode())
            log.flush()
            with subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=log,
                                  pass_fds=[send]) as qemu:
                os.close(send)
                streams = (
                    Stream(qemu.stdout.fileno(), console, self.console_line),
                    Stream(receive, verdict, self.recorder.line))
                ended = False
                try:
                    ended = self.listen(streams, limit)
                finally:
                    if not ended:
                        qemu.kill()
                if not ended:
                    self.timed_out(streams, limit)
                status = qemu.wait()
        os.close(receive)
        return status if ended else None

    def listen(self, streams, limit):
        """Return: False if a run took longer than its limit"""
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream.fd, selectors.EVENT_READ, stream)
            begin, run = time.monotonic(), self.recorder.run
            while selector.get_map():
                if run is not self.recorder.run:
                    begin, run = time.monotonic(), self.recorder.run
                left = begin + limit - time.monotonic()
                if left <= 0:
                    return False
                for key, _ in selector.select(left):
                    if not key.data.read():
                        selector.unregister(key.fd)
        return True

    def timed_out(self, streams, limit):
        self.recorder.error = (
            f"time-out after {limit} s; console last said "
            f"{streams[0].words()}, verdict channel {streams[1].words()}")
        self.recorder.say("to see more of it: make V=1 "
                          "APPEND='loglevel=8 earlyprintk=serial'")


def qemu(opts, accel, append, verdict="@VERDICT@", memory=384):
    """The command that boots the x86 image, be it here or in L1"""
    cpu = {"kvm": "host", "tcg": "max"}[accel]
    return [
        "qemu-system-x86_64", "-accel", accel, "-cpu", cpu, "-smp", "2",
        "-m", str(memory), "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", opts.image, "-initrd", opts.initrd,
        "-append", f"console=ttyS0 panic=-1 quiet log_buf_len=1M {append}",
        "-serial", "stdio", "-serial", f"file:{verdict}"]


def qemu_l1(opts, append, cpu):
    """The command that boots the x86 image as a host, under emulation

    Its emulated HPET is too slow a judge of the TSC: when the watchdog gives
    the TSC up, the clocks of all guests jump.
    """
    argv = qemu(opts, "tcg", "nopv pv_timer=off tsc=nowatchdog pvt.do=host "
                f"{append}", memory=2048)
    argv[argv.index("-accel") + 1] = "tcg,thread=multi"
    argv[argv.index("-cpu") + 1] = cpu
    return argv + [
        "-virtfs", "local,path=/,mount_tag=machine,security_model=none,"
                   "readonly=on,multidevs=remap"]


def uml(opts, append):
    """The command, for L1, that boots User-Mode Linux on L1's own root

    The C library's rseq area must not be registered: UML's processes inherit
    the registration but not the memory, and die by their first signal.
    """
    return ["/bin/env", "GLIBC_TUNABLES=glibc.pthread.rseq=0",
            "/mnt" + opts.uml, "mem=128M", "rootfstype=hostfs", "rootflags=/",
            "root=/dev/root", "ro", "init=/init", "con=null",
            "con0=null,fd:1", "con1=null,fd:3", "panic=-1", "quiet",
            "pvt.verdict=tty1"] + append.split()


def kvm_works(opts):
    """Does a guest really boot on the KVM of this machine?"""
    cache = os.path.join(opts.build, "vm", "host-kvm.json")
    with open("/proc/sys/kernel/random/boot_id") as f:
        boot_id = f.read().strip()
    try:
        with open(cache) as f:
            answer = json.load(f)
        if answer["boot_id"] == boot_id:
            return answer["works"]
    except (OSError, ValueError, KeyError):
        pass
    print("vm: kvm: does a guest boot on this machine's KVM? (at most "
          f"{PROBE_LIMIT} s)", file=sys.stderr)
    outdir = fresh_dir(opts, "probe")
    run = Run("probe", "")
    recorder = Recorder([run], lambda text: None)
    recorder.run = run
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        Boot(opts, outdir, recorder).run(
            qemu(opts, "kvm", "pvt.do=probe"), PROBE_LIMIT)
    works = run.start is not None
    print(f"vm: kvm: {'yes' if works else 'no, it will be nested'}",
          file=sys.stderr)
    with open(cache, "w") as f:
        json.dump({"boot_id": boot_id, "works": works}, f)
    return works


def fresh_dir(opts, name):
    """The directory of a target, without what an earlier run left there"""
    path = os.path.join(opts.build, "vm", name)
    os.makedirs(path, exist_ok=True)
    for entry in os.listdir(path):
        if entry.endswith((".log", ".args", ".txt")) or entry == "verdict":
            os.unlink(os.path.join(path, entry))
    return path


def suite_run(target, opts, mode):
    """A run of the tests in one of the modes"""
    backend = f"broken-{opts.broken}" if opts.broken else target.backend
    choice = f"pv_timer={backend}" if opts.broken else ""
    return Run(mode, " ".join((MODES[mode], choice, expect(
        target, "pv_timer", backend, "absent"), f"pvt.mode={mode}")))


def stock_run(target, opts, mode):
    """The same on the device that pv_timer replaces"""
    return Run(mode, " ".join((MODES[mode], "pv_timer=off", expect(
        target, target.stock, "none", "present"), f"pvt.mode={mode}")))


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
        return [suite(target, opts, mode) for mode in modes]
    if not target.stock:
        raise Skip("there is no other device to compare with")
    return [report_run(target, "pv"), report_run(target, "off"),
            suite(target, opts, "default")]


def boot_direct(opts, outdir, runs, say, accel):
    """Each run is a QEMU of its own on this machine"""
    recorder = Recorder(runs, say)
    for run in runs:
        recorder.line(f"pvt: run {run.name}", time.monotonic())
        boot = Boot(opts, outdir, recorder)
        status = boot.run(qemu(opts, accel, run.append), opts.limit)
        explain(run, boot, recorder, status)
        if status is None or recorder.error:
            break
    return recorder


def boot_nested(opts, outdir, runs, say, l1, command):
    """One QEMU on this machine is L1, which does all the runs"""
    recorder = Recorder(runs, say)
    for run in runs:
        with open(os.path.join(outdir, f"{run.name}.args"), "w") as f:
            f.write("\n".join(command(run.append)) + "\n")
    names = ",".join(run.name for run in runs)
    boot = Boot(opts, outdir, recorder)
    status = boot.run(qemu_l1(
        opts, f"pvt.dir={outdir} pvt.root={l1.root} pvt.runs={names}", l1.cpu),
        opts.limit)
    explain(recorder.run or runs[0], boot, recorder, status)
    return recorder


def explain(run, boot, recorder, status):
    """Why a run has no verdict"""
    if run.verdict:
        return
    if boot.panic:
        run.add(boot.panic)
    if recorder.error:
        run.add(recorder.error)
    if status:
        run.add(f"QEMU ended with status {status}, see qemu.log")
    if not run.reason:
        run.add("guest powered off without a verdict")


def boot_target(target, opts, outdir, runs, say):
    """Return: the recorder, and what the guest ran on"""
    if not os.path.exists(opts.image):
        raise HarnessError(f"no {opts.image}")
    if target.uml:
        if not os.path.exists(opts.uml):
            raise HarnessError(f"no {opts.uml}")
        say("starting L1 under emulation, User-Mode Linux in it")
        return boot_nested(opts, outdir, runs, say, UML_HOST, lambda append:
                           uml(opts, append)), "um-in-tcg"
    if target.name == "tcg":
        say("starting under emulation")
        return boot_direct(opts, outdir, runs, say, "tcg"), "tcg"
    if kvm_works(opts):
        say("starting on this machine's KVM")
        return boot_direct(opts, outdir, runs, say, "kvm"), "kvm"
    say("starting L1 under emulation, KVM guests in it")
    return boot_nested(opts, outdir, runs, say, KVM_HOST, lambda append: qemu(
        opts, "kvm", append, verdict="/proc/self/fd/3")), "kvm-nested"


def summary(runs, accel):
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
                  modes=len(suites))
    return " ".join(f"{k}={v}" for k, v in values.items())


def judge(runs, recorder, accel):
    """Return: the verdict line without its prefix, and the exit status"""
    for run in runs:
        run.judge()
    bad = [r for r in runs if r.reason]
    values = summary(runs, accel)
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


def run_target(target, opts):
    """Return: the verdict line without its prefix, and the exit status"""
    def say(text):
        print(f"vm: {target.name}: {text}", file=sys.stderr, flush=True)

    outdir = fresh_dir(opts, target.name)
    try:
        runs = plan_runs(target, opts)
        recorder, accel = boot_target(target, opts, outdir, runs, say)
    except Skip as e:
        return f'skip reason="{e}"', SKIP
    except (HarnessError, OSError) as e:
        return f'FAIL reason="{e}"', ERROR
    line, status = judge(runs, recorder, accel)
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
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--broken", default="",
                        choices=("", "never", "early", "drop"))
    parser.add_argument("--append", default="",
                        help="more parameters for the kernel of the guest")
    parser.add_argument("--limit", type=int, default=RUN_LIMIT,
                        help="seconds that one run may take (%(default)s)")
    parser.add_argument("--report", action="store_true",
                        help="measure, with pv_timer and without")
    parser.add_argument("--stock", action="store_true",
                        help="run the suite with pv_timer=off")
    parser.add_argument("--verbose", action="store_true",
                        help="show the console")
    opts = parser.parse_args()
    for name in ("build", "image", "uml", "initrd"):
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
