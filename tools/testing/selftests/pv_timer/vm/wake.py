#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run a guest, and type on its console each time it says "pvt: asleep".

Usage: wake.py COMMAND...

Again and again until it says "pvt: awake", as what comes before it sleeps does not wake it.
"""

import os
import signal
import sys
import threading

from restore import Guest, wrapped

# Seconds from one line to the next
PATIENCE = 3


def wake(guest, awake):
    """Type until it is"""
    while not awake.wait(PATIENCE):
        guest.question()


def main():
    """Usage: wake.py COMMAND..."""
    command, channel = wrapped(f"{main.__doc__}\n\n{__doc__}")
    guest, awake = Guest(command), threading.Event()
    for line in guest.lines():
        if line.strip() == b"pvt: asleep":
            awake.clear()
            threading.Thread(target=wake, args=(guest, awake), daemon=True).start()
        elif line.strip() == b"pvt: awake":
            awake.set()
        else:
            os.write(channel, line)
    return guest.process.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
