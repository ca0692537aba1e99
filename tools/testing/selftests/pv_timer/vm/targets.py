# SPDX-License-Identifier: GPL-2.0
"""The targets: what is booted on what, and what is to be found in the guest."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from harness import HERE
from hosts import (FAR, FAR_ARGS, HYPERV_CPU, INVARIANT_TSC, KERNELS, TRACE_CHOICE,
                   boot_m68k, boot_on_kvm, boot_riscv64, boot_tcg, boot_um, boot_vmi,
                   boot_vmware, boot_xen_guest, boot_xen_pv, riscv64_next)
from qemu import share


@dataclass
class Target:
    """What a target is, and what is to be found in its guest"""
    name: str
    title: str              # what it is, for people
    boot: Callable          # (opts, outdir, runs, say) -> Recorder, accelerator
    cpus: int
    backend: str
    stock: str              # device of a kernel that is built without pv_timer
    off: str = ""           # device with pv_timer=off, empty if there is none
    lifecycle: str = ""     # what else happens to it, see lifecycle.c
    clocks: tuple = ("",)   # kernel parameters for that, one boot each
    others: tuple = ()      # backends that tick if they are named, best first
    more: tuple = ()        # boots in which one thing is special
    next_kernel: Callable = None    # an initrd that has kernel and initrd for kexec
    stock_mode: str = "default"     # what that kernel is like without options
    clock: str = ""         # clocksource, if that kernel does not have it
    usual: tuple = ("6.12",)    # versions of Linux on which 'make test' boots it
    kernel: str = "x86"     # which one it boots, see hosts.py
    far: bool = False       # can be emulated by the number of instructions

    def image(self, opts):
        """The file with its kernel"""
        return KERNELS[self.kernel](opts)

    def lives(self):
        """All that happens to it besides the tests"""
        return [Life(clock.replace("=", "-") or "lifecycle", self.lifecycle, clock)
                for clock in self.clocks if self.lifecycle] + [
                    Life(f"choose-{name}", mode="choose", backend=name)
                    for name in self.others] + list(self.more)


@dataclass
class Life:
    """A boot, and what happens in it"""
    name: str
    steps: str = ""         # see lifecycle.c; the tests if there are none
    append: str = ""        # kernel parameters
    mode: str = "lifecycle"
    args: tuple = ()        # more arguments for the monitor
    cpus: int = 0           # if others than the target has
    backend: str = ""       # likewise, and what is asked for
    instead: str = ""       # what ticks if it is another one, which nobody asks for
    says: str = ""          # what the kernel has to say of it
    legacy: str = "absent"  # a device that pv_timer replaces, present if it is there
    wrapper: tuple = ()     # the command that runs the monitor
    prepare: Callable = lambda opts, outdir: ()     # -> arguments made for it
    far: bool = False       # it has a time of its own
    detect: str = ""        # the kernel that looks for defects, if it has to be one


SBI_ONLY = "rv64,sstc=off"

# A state in which the timer of a hart is said to stop, and it cannot wake it up
IDLE_STATE = """
	timer {
		compatible = "riscv,timer";
		riscv,timer-cannot-wake-cpu;
	};
	cpus {
		idle-states {
			idle_state: idle-state {
				compatible = "riscv,idle-state";
				riscv,sbi-suspend-param = <0>;
				entry-latency-us = <1>;
				exit-latency-us = <1>;
				min-residency-us = <1>;
				local-timer-stop;
			};
		};
		cpu@0 { cpu-idle-states = <&idle_state>; };
		cpu@1 { cpu-idle-states = <&idle_state>; };
	};
"""

# Without the first 2 MB, where the firmware is: kexec would put the next kernel there
MEMORY = """
	memory@80000000 { reg = <0 0x80200000 0 0xfe00000>; };
"""


def device_tree(_opts, outdir, name, edit, cpu):
    """The argument for the device tree of QEMU with something else in it"""
    made, source, edited = (os.path.join(outdir, f"{name}{suffix}")
                            for suffix in (".qemu.dtb", ".dts", ".dtb"))
    subprocess.run(
        ["qemu-system-riscv64", "-M", f"virt,dumpdtb={made}", "-cpu", cpu, "-smp",
         "2", "-m", "256", "-display", "none"], check=True, capture_output=True)
    subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-o", source, made],
                   check=True)
    with open(source, "a") as f:
        f.write(f"/ {{{edit}}};\n")
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", edited, source],
                   check=True)
    return ("-dtb", edited)


# Suspend to idle ends by what is typed
WAKE = (os.path.join(HERE, "wake.py"),)
FREEZE = Life("freeze", "freeze", wrapper=WAKE)


def riscv64_lives(cpu):
    """What happens to its guests"""
    return (Life("lifecycle", "hotplug,kexec", prepare=partial(
                device_tree, name="memory", edit=MEMORY, cpu=cpu)),
            Life("c3stop", "c3stop,freeze", wrapper=WAKE, prepare=partial(
                device_tree, name="c3stop", edit=IDLE_STATE, cpu=cpu)))


def wrong_khz():
    """The frequency of the TSC, and 0.8 % more, which Linux corrects later"""
    with open("/proc/cpuinfo") as f:
        mhz = re.search(r"cpu MHz\s*: ([\d.]+)", f.read())
    return f"tsc_early_khz={float(mhz[1]) * 1008:.0f}" if mhz else ""


RESTORE = (os.path.join(HERE, "restore.py"),)


def restores():
    """From a snapshot, which has lost the timers"""
    return tuple(Life(f"restore-{cpus}", "restore", mode="faults", cpus=cpus,
                      args=("-smp", str(cpus)), wrapper=RESTORE)
                 for cpus in (1, 2))


# What broken backends do to the guest, as the statistics call it
TRACED = {"early": "early", "drop": "lost", "twice": "spurious",
          "refuse-in-row": "refused"}


def traced(far=False):
    """The tests of the events, of which each has to have a reason in one of the boots

    An idle CPU has no timer then.
    """
    param = f"{FAR} {TRACE_CHOICE} pvt.tests=trace"
    how = {"mode": "trace", "args": FAR_ARGS if far else (), "far": far}
    return (Life("trace", "", param, **how), Life("trace-suspend", "suspend", mode="trace"),
            *(Life(f"trace-{kind}", "", f"{param} pvt.broken={stat}",
                   backend=f"broken-{kind}", **how) for kind, stat in TRACED.items()))


# perf comes from this machine
PERF = Life("perf", "perf", f"pvt.perf={os.path.join(HERE, '../perf/record.sh')}", "perf",
            args=tuple(share("/", "machine")))

# The same of L1, whose KVM runs the guest
PERF_HOST = Life("perf-host", "", "pvt.tests=tick", "perf",
                 wrapper=(os.path.join(HERE, "../perf/host.sh"),))

STOLEN = Life("stolen", "stolen", wrapper=(os.path.join(HERE, "steal.py"),))


def more_cpus(*counts):
    """The tests on more CPUs than this machine has, so in a time of its own"""
    return tuple(Life(f"smp-{cpus}", "", FAR, "smp", (*FAR_ARGS, "-smp", str(cpus)), cpus,
                      far=True) for cpus in counts)


# Linux keeps the tick of a CPU whose clock may not be stable
NOHZ_FULL = Life("nohz-full", "busy", "nohz_full=1", mode="nohz-full",
                 args=("-cpu", f"max,{INVARIANT_TSC}"))

CRASH = Life("crash", "crash", "crashkernel=160M", mode="crash", args=("-m", "640"))


def modules():
    """A backend that is a module: it ticks if it is named, on one CPU, else it comes and goes

    The HPET of QEMU's older machine can raise no line of its own.
    """
    how = {"mode": "module", "args": ("-M", "q35", "-smp", "1"), "cpus": 1}
    param = "pvt.module=/pv_hpet.ko"
    return (Life("module-stays", "unload", param, backend="hpet", legacy="present", **how),
            Life("module-goes", "unload", param, **how))


# CPU 1 is lost to a soft lockup, CPU 2 is in a hard one for a while
DETECTORS = Life("detectors", "detectors", mode="detectors", args=("-smp", "3"), cpus=3,
                 detect="kasan")

# The hypercall of a Xen before 3.0.5, which later ones have as well
OLD_XEN = ("xen-timerop",)

# The clock is not the TSC, by which the timer is armed
REFINE = f"clocksource=acpi_pm {wrong_khz()}"

# What the guest says of a ROM that it may not run
ROMS = {"checksum": "its checksum is wrong", "truncated": "its checksum is wrong",
        "empty": "it does not end where it should", "version": "its API is not version 3",
        "licence": "its licence is not compatible with the GPL",
        "pci": "it has no PCI header", "call": "it lacks a call of the timer",
        "entry": "an entry is outside"}


def roms():
    """Boots with each of them, in which the local APIC ticks

    The clock is the TSC then. While Linux 7.3 doubts that of an emulated CPU, which may take
    it until after the tests, no tick stops, with any timer.
    """
    return tuple(Life(f"rom-{name}", "", f"tsc=reliable pvt.rom={name} pvt.tests=tick",
                      mode="rom", instead="lapic", says=rf"VMI ROM at \S+ is not used: {why}")
                 for name, why in ROMS.items())


BOTH = ("6.12", "7.3")

# What there is. Help, 'make list', 'make test' and the table in README.md follow.
TARGETS = {t.name: t for t in (
    Target("kvm", "KVM", partial(boot_on_kvm, cpu="host"), 2, "kvm", "lapic-deadline",
           "lapic-deadline", usual=BOTH, lifecycle="hotplug,kexec,suspend",
           others=("lapic-deadline",), more=(
               Life("tsc-adjust", "tsc-adjust", "clocksource=kvm-clock",
                    mode="faults", args=("-cpu", "host,+invtsc"),
                    backend="broken-compare"),
               PERF_HOST, *restores(), *traced())),
    Target("kvm-lapic", "KVM without TSC deadline", partial(
               boot_on_kvm, cpu="host,-tsc-deadline"), 2, "lapic", "lapic", "lapic",
           usual=()),
    Target("tcg", "QEMU without KVM (TCG)", boot_tcg, 2, "lapic", "lapic", "lapic",
           far=True, lifecycle="hotplug,suspend", more=(
               Life("refine", "refine", REFINE), STOLEN, *more_cpus(4, 8),
               NOHZ_FULL, CRASH, FREEZE, PERF, DETECTORS, *modules(), *restores(),
               *traced(far=True))),
    Target("xen-pv", "Xen 4.17, the guest is dom0 (PV)", boot_xen_pv, 2, "xen", "xen",
           usual=BOTH, lifecycle="hotplug", others=OLD_XEN),
    Target("xen-domu", "Xen 4.17, PV guest of xl", partial(boot_xen_guest, kind="pv"), 2,
           "xen", "xen", lifecycle="host,hotplug", others=OLD_XEN),
    Target("xen-pvh", "Xen 4.17, PVH guest of xl", partial(boot_xen_guest, kind="pvh"), 2,
           "xen", "xen", others=OLD_XEN),
    Target("xen-hvm", "Xen 4.17, HVM guest of xl", partial(boot_xen_guest, kind="hvm"), 2,
           "xen", "xen", others=OLD_XEN),
    Target("hyperv", "KVM with its Hyper-V interface", partial(
               boot_on_kvm, cpu=HYPERV_CPU), 2, "hyperv", "Hyper-V clockevent",
           "lapic-deadline", usual=BOTH, lifecycle="hotplug,kexec,suspend",
           others=("lapic-deadline", "lapic")),
    Target("vmware", "QEMU with the backdoor of VMware", boot_vmware, 2, "vmware",
           "lapic", "lapic", lifecycle="hotplug,suspend"),
    Target("vmi", "QEMU with a ROM of VMI, i386", boot_vmi, 2, "vmi", "lapic", "lapic",
           clock="vmi-timer", lifecycle="hotplug,suspend", more=roms(), kernel="i386"),
    Target("um", "User-Mode Linux, in a guest of QEMU", boot_um, 1, "um", "posix-timer",
           lifecycle="simulate", clocks=("time-travel", "time-travel=inf-cpu"),
           kernel="um"),
    Target("sbi", "QEMU, OpenSBI", partial(boot_riscv64, cpu=SBI_ONLY), 2, "sbi",
           "riscv_timer_clockevent", more=riscv64_lives(SBI_ONLY),
           next_kernel=riscv64_next, kernel="riscv64"),
    Target("sstc", "QEMU, Sstc", boot_riscv64, 2, "sstc", "riscv_timer_clockevent",
           others=("sbi",),
           more=riscv64_lives("rv64"), next_kernel=riscv64_next, kernel="riscv64"),
    Target("goldfish", "QEMU, m68k virt", boot_m68k, 1, "goldfish", "goldfish_timer",
           stock_mode="nohz-off", kernel="m68k"),
)}
