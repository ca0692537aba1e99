# SPDX-License-Identifier: GPL-2.0
"""One QEMU on this machine: its command, start it, listen to it, end it."""

import fcntl
import os
import re
import selectors
import subprocess
import sys
import time

from harness import built

# What the core says of a hypervisor that breaks its promise
PROMISE_BROKEN = re.compile(r"\S+ (lost|refused) a deadline on CPU\d+|"
                            r"\S+ does not tick \[-\d+\]")


def qemu(opts, accel, cpu, append, verdict="@VERDICT@", memory=384, smp=2, image=""):
    """The command that boots the x86 image, be it here or in L1"""
    return [
        "qemu-system-x86_64", "-accel", accel, "-cpu", cpu, "-smp", str(smp),
        "-m", str(memory + opts.more_memory), "-nodefaults", "-display", "none",
        "-no-reboot", "-kernel", built(image or opts.image), "-initrd", opts.initrd,
        "-append", f"console=ttyS0 panic=-1 quiet log_buf_len=1M {append}",
        "-serial", "stdio", "-serial", f"file:{verdict}"]


def share(path, tag):
    """The device that shows a directory of this machine to a guest"""
    return ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,"
            "readonly=on,multidevs=remap"]


def virt(opts, arch, kernel, append, extra):
    """The command that boots another architecture on QEMU's machine for guests

    A port that is the only one is there before init asks for it.
    """
    return [
        f"qemu-system-{arch}", "-accel", "tcg", "-M", "virt",
        "-m", str(256 + opts.more_memory), "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", built(kernel), "-initrd", built(
            os.path.join(opts.build, "vm", f"root-{arch}", "root.cpio.gz")),
        "-append", f"panic=-1 quiet log_buf_len=1M pvt.verdict=hvc0 {append}",
        "-serial", "stdio", "-chardev", "file,id=verdict,path=@VERDICT@",
        "-device", "virtio-serial-device,max_ports=1",
        "-device", "virtconsole,chardev=verdict"] + extra


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
        run = self.recorder.run
        if run and run.says and re.search(run.says, text):
            run.says = ""
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
        """Return: False if a run has said nothing for its limit, on the verdict channel

        How long it takes in all is a matter of what else this machine does.
        """
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream.fd, selectors.EVENT_READ, stream)
            begin, run = time.monotonic(), self.recorder.run
            while selector.get_map():
                if run is not self.recorder.run:
                    begin, run = time.monotonic(), self.recorder.run
                left = max(begin, streams[-1].heard) + limit - time.monotonic()
                if left <= 0:
                    return False
                for key, _ in selector.select(left):
                    if not key.data.read():
                        selector.unregister(key.fd)
        return True

    def timed_out(self, streams, limit):
        self.recorder.error = (
            f"time-out, silent for {limit} s; console last said "
            f"{streams[0].words()}, verdict channel {streams[1].words()}")
        self.recorder.say("to see more of it: make V=1 "
                          "APPEND='loglevel=8 earlyprintk=serial'")


def explain(run, boot, recorder, status):
    """Why a run has no verdict, or its wrapper another one"""
    if run.verdict:
        if run.wrapper and status:
            run.add(f"{os.path.basename(run.wrapper[0])} ended with status {status}")
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


def attach(opts, command):
    """Boot a guest that has this terminal, until it powers off"""
    console = {"stdio": "mon:stdio"}
    subprocess.run([console.get(word, word).replace("@VERDICT@", "/dev/null")
                    for word in command] + opts.terminal, check=False)
