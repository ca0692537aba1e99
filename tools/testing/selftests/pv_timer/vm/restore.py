#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run a guest, and restore it in another QEMU each time it says "pvt: restore".

Usage: restore.py COMMAND...

The guest's generation ID is another one afterwards, as it is for a guest that a
cloud starts from a snapshot. A line on its console then asks it what came of it,
which it can hear without a timer.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

# Seconds from the restore to the question
PATIENCE = 2
CHANNEL = re.compile(r"(?<=/proc/self/fd/)\d+$")


class Guest:
    """One QEMU, the console of its guest, and the verdict channel"""

    def __init__(self, command, *more):
        self.receive, send = os.pipe()
        command = [CHANNEL.sub(str(send), arg) for arg in command]
        # It ends with us
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command, *more],
            stdin=subprocess.PIPE, pass_fds=[send])
        os.close(send)

    def question(self):
        """Ask the guest what came of it"""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def lines(self):
        """What the guest says on the verdict channel"""
        with open(self.receive, "rb", buffering=0) as channel:
            rest = b""
            while data := channel.read(4096):
                *lines, rest = (rest + data).split(b"\n")
                yield from (line + b"\n" for line in lines)


class Machine(Guest):
    """One that can be saved, by its monitor"""

    def __init__(self, command, directory, number, *more):
        self.number = number
        self.path = os.path.join(directory, f"qmp{number}")
        super().__init__(command, "-device",
                         f"vmgenid,guid=00000000-0000-4000-8000-{number:012}", "-qmp",
                         f"unix:{self.path},server=on,wait=off", *more)
        self.qmp = self.connect()
        self.ask("qmp_capabilities")

    def connect(self):
        """Its monitor, as a file that can be read and written"""
        monitor = socket.socket(socket.AF_UNIX)
        while True:
            try:
                monitor.connect(self.path)
            except (FileNotFoundError, ConnectionRefusedError):
                if self.process.poll() is not None:
                    sys.exit(self.process.returncode)
                time.sleep(0.1)
            else:
                return monitor.makefile("rw")

    def ask(self, command, **arguments):
        """Return: what the monitor answers, past all that just happens"""
        try:
            json.dump({"execute": command, "arguments": arguments}, self.qmp)
            self.qmp.flush()
            return self.answer(command)
        except (OSError, ValueError):
            sys.exit(self.process.wait())

    def answer(self, command):
        """The same, if the monitor is still there"""
        while True:
            answer = json.loads(self.qmp.readline())
            if "error" in answer:
                sys.exit(f"restore.py: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def migrated(self):
        """Wait until all of its state was written or read"""
        while (status := self.ask("query-migrate").get("status")) != "completed":
            if status == "failed":
                sys.exit("restore.py: migration failed")
            time.sleep(0.1)

    def restored(self, command, directory, state):
        """Return: the next machine, which has asked its guest"""
        self.process.kill()
        self.process.wait()
        machine = Machine(command, directory, self.number + 1, "-incoming",
                          f"exec:cat {state}")
        machine.migrated()
        machine.ask("cont")
        time.sleep(PATIENCE)
        machine.question()
        return machine


def wrapped(usage):
    """Return: the command that is wrapped, and the verdict channel that it was given"""
    command = sys.argv[1:]
    for arg in command:
        if channel := CHANNEL.search(arg):
            return command, int(channel[0])
    return sys.exit(usage)


def pass_on(machine, channel, until):
    """Return: was there such a line?"""
    for line in machine.lines():
        if line.strip() == until:
            return True
        os.write(channel, line)
    return False


def main():
    """Usage: restore.py COMMAND..."""
    command, channel = wrapped(f"{main.__doc__}\n\n{__doc__}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        state = os.path.join(directory, "state")
        machine = Machine(command, directory, 1)
        while pass_on(machine, channel, b"pvt: restore"):
            machine.ask("stop")
            machine.ask("migrate", uri=f"exec:cat >{state}")
            machine.migrated()
            machine = machine.restored(command, directory, state)
        return machine.process.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
