# SPDX-License-Identifier: GPL-2.0
"""What all parts of the harness share: its errors, its arguments, its directories."""

import argparse
import os

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.normpath(os.path.join(HERE, *[".."] * 5))


class Arguments(argparse.ArgumentParser):
    """Says in one line what is wrong with them"""

    def __init__(self, description):
        super().__init__(description=description)
        self.set_defaults(terminal=None, suffix="", more_memory=0)

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


def fresh_dir(opts, name):
    """The directory of a target, without what an earlier run left there"""
    path = os.path.join(opts.build, "vm", name)
    os.makedirs(path, exist_ok=True)
    for entry in os.listdir(path):
        if entry.endswith((".log", ".args", ".txt")) or entry == "verdict":
            os.unlink(os.path.join(path, entry))
    return path


def built(path):
    """A file that the Makefile should have made"""
    if not os.path.exists(path):
        raise HarnessError(f"no {path}")
    return path
