#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run a guest, and steal time from it each time it says "pvt: steal HOW".

Usage: steal.py COMMAND...

stopped: the monitor stops and continues it, and its clock stands still meanwhile.
frozen: QEMU as a whole gets no CPU, and the clock goes on. starved: one of its CPUs gets
none, each in turn. A line on its console then asks the guest what came of it.
"""

import ctypes
import os
import random
import signal
import sys
import tempfile
import time

from restore import Machine, wrapped

# How often, and for how many seconds: never for long enough to take a sleep for lost
PIECES = 12
STOLEN = (0.005, 0.5)
BETWEEN = (0.005, 0.1)

STEAL = b"pvt: steal "

# Of <sys/ptrace.h>, and of waitpid() for threads
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000


def ptrace(request, thread):
    """One that does not stop other threads"""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, thread, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")


def stop(machine, seconds, _piece):
    """As a hypervisor that is asked to"""
    machine.ask("stop")
    time.sleep(seconds)
    machine.ask("cont")


def freeze(machine, seconds, _piece):
    """As a host that is busy"""
    machine.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    machine.process.send_signal(signal.SIGCONT)


def starve(machine, seconds, piece):
    """As a host that has fewer CPUs"""
    cpus = machine.ask("query-cpus-fast")
    thread = cpus[piece % len(cpus)]["thread-id"]
    ptrace(PTRACE_SEIZE, thread)
    ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WALL)
    time.sleep(seconds)
    ptrace(PTRACE_DETACH, thread)


WAYS = {"stopped": stop, "frozen": freeze, "starved": starve}


def steal(machine, how):
    """Return: how many seconds it was in all"""
    rng, stolen = random.Random(how), 0
    for piece in range(PIECES):
        time.sleep(rng.uniform(*BETWEEN))
        seconds = rng.uniform(*STOLEN)
        WAYS[how](machine, seconds, piece)
        stolen += seconds
    return stolen


def main():
    """Usage: steal.py COMMAND..."""
    command, channel = wrapped(f"{main.__doc__}\n\n{__doc__}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        machine = Machine(command, directory, 1)
        for line in machine.lines():
            if not line.startswith(STEAL):
                os.write(channel, line)
                continue
            how = line[len(STEAL):].decode().strip()
            stolen = steal(machine, how)
            os.write(channel, f"pvt: note {how} for {stolen:.3f} s\n".encode())
            machine.question()
        return machine.process.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
