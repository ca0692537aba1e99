# SPDX-License-Identifier: GPL-2.0
"""What a run says, and whether it is good."""

import hashlib
import re
import time
from dataclasses import dataclass, field

import abi

PASS, FAIL, ERROR, SKIP, TIMEOUT = 0, 1, 2, 4, 124

# How far the clocks of guest and host may be apart
CLOCK_RATIO = 0.05
CLOCK_SLACK = 0.5


@dataclass
class Run:
    """One boot of one guest kernel, and what came of it"""
    name: str
    append: str
    devices: tuple = ()     # more arguments for its monitor
    wrapper: tuple = ()     # the command that runs its monitor
    far: bool = False       # it has a time of its own
    says: str = ""          # what its console has to say, empty once it has
    start: tuple = None     # (host, guest) seconds
    end: tuple = None
    verdict: dict = None
    reason: str = ""
    reports: list = field(default_factory=list)
    tests: dict = field(default_factory=dict)   # name -> (green, red or skip, why)
    ktap: list = field(default_factory=list)    # what the kernel says of the contract
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
        if self.says:
            self.add(f"the console does not say '{self.says}'")
        host, guest = self.elapsed()
        if not self.far and abs(host - guest) > CLOCK_RATIO * host + CLOCK_SLACK:
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

    def on_test(self, rest, _now):
        """Several results may have one name, as programs of others say them: red stays"""
        name, result, why = (rest.split(" ", 2) + [""])[:3]
        if self.run.tests.get(name, ("",))[0] != "red":
            self.run.tests[name] = result, why.strip()

    def on_ktap(self, rest, _now):
        self.run.ktap.append(rest)

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
        """What wraps a monitor has something to judge as well"""
        name, status = rest.split()
        run = self.runs[name]
        if status != "0" and (run.wrapper or not run.verdict):
            run.add(f"its monitor ended with status {status}")


def expect(cpus, device, backend, legacy):
    """What the guest is to find in itself"""
    return (f"pvt.cpus={cpus} pvt.device={device} "
            f"pvt.backend={backend} pvt.legacy={legacy}")


def summary(runs, accel, image):
    """The values of the verdict line: sums over the runs, or the first's"""
    suites = [r for r in runs if r.verdict and not r.name.startswith("report")]
    if not suites:
        return ""
    values = dict(suites[0].verdict)
    values.pop("mode")
    values["backend"] = ",".join(dict.fromkeys(r.verdict["backend"] for r in suites))
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


def skips(runs):
    """Which tests were skipped, why, and in which modes: one line for each"""
    found = {}
    for run in runs:
        for name, (result, why) in run.tests.items():
            if result == "skip":
                found.setdefault((name, why), []).append(run.name)
    return [f"{name}: {why} ({', '.join(modes)})" for (name, why), modes in found.items()]


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
