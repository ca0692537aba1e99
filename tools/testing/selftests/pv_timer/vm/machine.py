# SPDX-License-Identifier: GPL-2.0
"""One virtual machine: start it, listen to it, sort out what it says."""

import argparse
import fcntl
import os
import re
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass, field

import abi

# How far the clocks of guest and host may be apart
CLOCK_RATIO = 0.05
CLOCK_SLACK = 0.5

# What the core says of a hypervisor that breaks its promise
PROMISE_BROKEN = re.compile(r"\S+ (lost|refused) a deadline on CPU\d+|"
                            r"\S+ does not tick \[-\d+\]")


class Arguments(argparse.ArgumentParser):
    """Says in one line what is wrong with them"""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")

    def check_names(self, what, names, known):
        """Each of them, which commas separate, has to be known"""
        for name in names.split(","):
            if name not in known:
                self.error(f"no such {what} as '{name}', there are: {', '.join(known)}")


class HarnessError(Exception):
    """The harness cannot do its work; not the fault of the guest"""


class Skip(Exception):
    """The target cannot run on this machine"""


@dataclass
class Run:
    """One boot of one guest kernel, and what came of it"""
    name: str
    append: str
    devices: tuple = ()     # more arguments for its monitor
    wrapper: tuple = ()     # the command that runs its monitor
    start: tuple = None     # (host, guest) seconds
    end: tuple = None
    verdict: dict = None
    reason: str = ""
    reports: list = field(default_factory=list)
    calls: dict = None      # hypercalls and MSR writes that it was seen to make

    def elapsed(self):
        """Seconds that the tests took on the host's and the guest's clock"""
        if not self.start or not self.end:
            return 0.0, 0.0
        return tuple(e - s for s, e in zip(self.start, self.end))

    def suspends(self):
        """Is suspend one of its steps?"""
        return re.search(r"\bpvt\.steps=\S*\bsuspend\b", self.append) is not None

    def judge(self):
        """Complete the reason: empty means that the run passed"""
        if not self.verdict:
            self.reason = self.reason or "no verdict"
            return
        host, guest = self.elapsed()
        if abs(host - guest) > CLOCK_RATIO * host + CLOCK_SLACK:
            self.add(f"clocks disagree: host {host:.1f}s guest {guest:.1f}s")
        if self.calls is not None and self.verdict["backend"] not in ("", "none"):
            self.judge_calls()

    def judge_calls(self):
        """Is what the guest called what the document says of its backend?"""
        named = abi.timer_calls(self.verdict["backend"])
        made = {call for call, hits in self.calls.items() if hits}
        restored = abi.RESTORED if self.suspends() else set()
        for call in sorted(made & abi.TIMER_CALLS - named - restored):
            self.add(f"{call}, made {self.calls[call]} times, is not in pv.rst")
        for call in sorted(named - made):
            self.add(f"{call} is in pv.rst but was not made")

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
        self.msrs = {}

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
        self.run.end = self.run.end or (now, float(rest))

    def on_report(self, rest, _now):
        self.run.reports.append(rest)

    def on_count(self, rest, _now):
        self.counts = {k: int(v) for k, v in
                       (pair.split("=") for pair in rest.split())}

    def on_msrs(self, rest, _now):
        """L1 counts from its start, so take off what earlier runs wrote"""
        pairs = (pair.split("=") for pair in rest.split())
        msrs = {f"MSR 0x{msr}": int(hits) for msr, hits in pairs}
        self.run.calls = {msr: hits - self.msrs.get(msr, 0)
                          for msr, hits in msrs.items()}
        self.msrs = msrs

    def on_calls(self, rest, _now):
        """Those that Xen has traced in this run"""
        pairs = (pair.split("=") for pair in rest.split())
        self.run.calls = {call.replace(":", " "): int(hits)
                          for call, hits in pairs}

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
    running = []    # of all threads

    @classmethod
    def kill_all(cls):
        """End those that run"""
        for qemu in list(cls.running):
            qemu.kill()

    def __init__(self, opts, outdir, recorder):
        self.opts, self.outdir, self.recorder = opts, outdir, recorder
        self.panic = ""
        self.failures = []

    def console_line(self, text, _now):
        if self.opts.verbose:
            print(text, file=sys.stderr)
        if PROMISE_BROKEN.search(text):
            self.failures.append(PROMISE_BROKEN.search(text)[0])
        if "Kernel panic" in text and not self.panic:
            self.panic = text[text.index("Kernel panic"):]

    def open(self, name):
        return open(os.path.join(self.outdir, name), "ab")

    def run(self, argv, limit, beside=False):
        """Return: the exit status of QEMU, None after a time-out

        It is the only one on this machine, but for others that may run beside.
        """
        how = fcntl.LOCK_SH if beside else fcntl.LOCK_EX
        with open(os.path.join(self.opts.build, ".vm.lock"), "w") as lock:
            try:
                fcntl.flock(lock, how | fcntl.LOCK_NB)
            except BlockingIOError:
                self.recorder.say("waiting for another virtual machine to end")
                fcntl.flock(lock, how)
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
                self.running.append(qemu)
                streams = (
                    Stream(qemu.stdout.fileno(), console, self.console_line),
                    Stream(receive, verdict, self.recorder.line))
                ended = False
                try:
                    ended = self.listen(streams, limit)
                finally:
                    self.running.remove(qemu)
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


def explain(run, boot, recorder, status):
    """Why a run has no verdict"""
    if run.verdict:
        return
    if boot.panic:
        run.add(boot.panic)
    if recorder.error:
        run.add(recorder.error)
    if boot.failures:
        run.add(f"{boot.failures[0]}, the first of {len(boot.failures)} "
                "such messages")
    if status:
        run.add(f"QEMU ended with status {status}, see qemu.log")
    if not run.reason:
        run.add("guest powered off without a verdict")


def fresh_dir(opts, name):
    """The directory of a target, without what an earlier run left there"""
    path = os.path.join(opts.build, "vm", name)
    os.makedirs(path, exist_ok=True)
    for entry in os.listdir(path):
        if entry.endswith((".log", ".args", ".txt")) or entry == "verdict":
            os.unlink(os.path.join(path, entry))
    return path
