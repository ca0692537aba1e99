# SPDX-License-Identifier: GPL-2.0
"""What Documentation/timers/pv.rst says that a backend asks of its hypervisor."""

import os
import re

from harness import REPO

DOCUMENT = os.path.join(REPO, "Documentation", "timers", "pv.rst")

# Registers that arm a timer: TSC deadline, the local APIC's count and divider,
# and the synthetic timers of Hyper-V. The local APIC's LVTT is not one of them,
# as every CPU that comes up masks it.
TIMER_MSRS = (0x6e0, 0x838, 0x83e, *range(0x400000b0, 0x400000b8))

# The operations of vcpu_op that are about timers
TIMER_OPS = range(6, 10)

TIMER_CALLS = {"set_timer_op", *(f"MSR {msr:#x}" for msr in TIMER_MSRS),
               *(f"vcpu_op {op}" for op in TIMER_OPS)}

# What the architecture restores on resume, whoever ticks: lapic_resume()
RESTORED = {"MSR 0x838", "MSR 0x83e"}

# Backends that arm as lapic-deadline does, where the calls of a guest are known
AS_LAPIC_DEADLINE = re.compile(r"kvm$|broken-")


def section(name):
    """The part of the document with this heading"""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    found = re.search(rf"\n{re.escape(name)}\n-+\n(.*?)\n\S[^\n]*\n[-=]+\n", text,
                      re.S)
    return found[1] if found else ""


def timer_calls(backend):
    """The calls and MSRs of a timer that the table of the backend names"""
    text = section("lapic-deadline" if AS_LAPIC_DEADLINE.match(backend) else backend)
    return TIMER_CALLS & {
        *(f"MSR {msr}" for msr in re.findall(r"MSR .*?(0x[0-9a-f]+)", text)),
        *(f"vcpu_op {op}" for op in re.findall(r"``vcpu_op`` (\d+)", text)),
        *re.findall(r"``(set_timer_op)``", text)}
