# SPDX-License-Identifier: GPL-2.0
"""The targets: what is booted on what, and what is to be found in the guest."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from machine import Boot, HarnessError, Recorder, Run, explain, fresh_dir

PROBE_LIMIT = 20

# The TSC of QEMU is invariant, though TCG does not say so, and hosts have to know.
INVARIANT_TSC = "+invtsc,x-force-features=on"

# Without it, KVM keeps the first frequency that Linux measured as that of all
# guests. If the second measurement, a second later, differs from it by 250 ppm,
# KVM has no scale for their TSC and takes it to stand still: set_tsc_khz(). What
# they arm by it, a TSC deadline or a synthetic timer, comes seconds late.
KVM_HOST_CPU = f"qemu64,+svm,+npt,+x2apic,{INVARIANT_TSC}"

# Without it, Xen keeps a clock for each CPU by rendezvous, and those are found to
# be up to 6 ms apart when the threads of the CPUs are not on time. Older families
# make a Linux dom0 read an MSR that Xen does not emulate.
XEN_CPU = f"qemu64,family=23,model=1,stepping=2,+svm,+npt,{INVARIANT_TSC}"

# Linux takes KVM for Hyper-V only if KVM's own leaf is hidden
HYPERV_CPU = ("host,kvm=off,hv-relaxed,hv-vapic,hv-time,hv-vpindex,hv-runtime,"
              "hv-synic,hv-stimer,hv-stimer-direct,hv-frequencies")


@dataclass
class Target:
    """What a target is, and what is to be found in its guest"""
    name: str
    boot: Callable          # (opts, outdir, runs, say) -> Recorder, accelerator
    cpus: int
    backend: str
    stock: str              # device of a kernel that is built without pv_timer
    off: str = ""           # device with pv_timer=off, empty if there is none
    lifecycle: str = ""     # what else happens to it, see lifecycle.c
    clocks: tuple = ("",)   # kernel parameters for that, one boot each
    more: tuple = ()        # boots in which one thing is special
    next_kernel: Callable = None    # an initrd that has kernel and initrd for kexec
    stock_mode: str = "default"     # what that kernel is like without options
    image: Callable = lambda opts: opts.image

    def lives(self):
        """All that happens to it besides the tests"""
        return [Life(clock.replace("=", "-") or "lifecycle", self.lifecycle, clock)
                for clock in self.clocks if self.lifecycle] + list(self.more)


@dataclass
class Life:
    """A boot, and what happens in it"""
    name: str
    steps: str              # see lifecycle.c
    append: str = ""        # kernel parameters
    mode: str = "lifecycle"
    args: tuple = ()        # more arguments for the monitor
    cpus: int = 0           # if others than the target has
    backend: str = ""       # likewise, and what is asked for
    wrapper: tuple = ()     # the command that runs the monitor
    prepare: Callable = lambda opts, outdir: ()     # -> arguments made for it


def built(path):
    """A file that the Makefile should have made"""
    if not os.path.exists(path):
        raise HarnessError(f"no {path}")
    return path


def qemu(opts, accel, cpu, append, verdict="@VERDICT@", memory=384, smp=2):
    """The command that boots the x86 image, be it here or in L1"""
    return [
        "qemu-system-x86_64", "-accel", accel, "-cpu", cpu, "-smp", str(smp),
        "-m", str(memory), "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", built(opts.image), "-initrd", opts.initrd,
        "-append", f"console=ttyS0 panic=-1 quiet log_buf_len=1M {append}",
        "-serial", "stdio", "-serial", f"file:{verdict}"]


def share(path, tag):
    """The device that shows a directory of this machine to a guest"""
    return ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,"
            "readonly=on,multidevs=remap"]


def one_cpu(command, index=-1):
    """The command on one CPU of this machine, for a host with SVM and one CPU

    QEMU's emulation loses interrupts of such a host otherwise. It changes two
    words without a lock: VMRUN with a virtual interrupt sets a bit in the
    interrupt requests of its CPU (helper_vmrun), while the timers' thread sets
    another. And each restore of an FPU clears a bit in the flags of the first
    CPU (cpu_clear_ignne), while that sets its GIF: it never takes an interrupt
    again. On one CPU nothing comes between load and store of an instruction.
    """
    cpus = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cpus[index % len(cpus)]), *command]


def qemu_l1(opts, append, cpu, smp):
    """The command that boots the x86 image as a host, under emulation

    Its emulated HPET is too slow a judge of the TSC: when the watchdog gives
    the TSC up, the clocks of all guests jump.
    """
    return qemu(opts, "tcg", cpu, "nopv pv_timer=off tsc=nowatchdog "
                f"pvt.do=host {append}", memory=2048, smp=smp) + \
        share("/", "machine")


def kvm_host(opts, append, index=-1):
    """L1 as a host of KVM guests, on one of the CPUs of this machine"""
    return one_cpu(qemu_l1(opts, append, KVM_HOST_CPU, 1), index)


def uml(opts, append):
    """The command, for L1, that boots User-Mode Linux on L1's own root

    The C library's rseq area must not be registered: UML's processes inherit
    the registration but not the memory, and die by their first signal.
    """
    return ["/bin/env", "GLIBC_TUNABLES=glibc.pthread.rseq=0",
            "/mnt" + built(opts.uml), "mem=128M", "rootfstype=hostfs", "rootflags=/",
            "root=/dev/root", "ro", "init=/init", "con=null",
            "con0=null,fd:1", "con1=null,fd:3", "panic=-1", "quiet",
            "pvt.verdict=tty1"] + append.split()


def virt(opts, arch, kernel, append, extra):
    """The command that boots another architecture on QEMU's machine for guests

    A port that is the only one is there before init asks for it.
    """
    return [
        f"qemu-system-{arch}", "-accel", "tcg", "-M", "virt", "-m", "256",
        "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", built(kernel), "-initrd", built(
            os.path.join(opts.build, "vm", f"root-{arch}", "root.cpio.gz")),
        "-append", f"panic=-1 quiet log_buf_len=1M pvt.verdict=hvc0 {append}",
        "-serial", "stdio", "-chardev", "file,id=verdict,path=@VERDICT@",
        "-device", "virtio-serial-device,max_ports=1",
        "-device", "virtconsole,chardev=verdict"] + extra


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
            qemu(opts, "kvm", "host", "pvt.do=probe"), PROBE_LIMIT)
    works = run.start is not None
    print(f"vm: kvm: {'yes' if works else 'no, it will be nested'}",
          file=sys.stderr)
    with open(cache, "w") as f:
        json.dump({"boot_id": boot_id, "works": works}, f)
    return works


def attach(opts, command):
    """Boot a guest that has this terminal, until it powers off"""
    console = {"stdio": "mon:stdio"}
    subprocess.run([console.get(word, word).replace("@VERDICT@", "/dev/null")
                    for word in command] + opts.terminal, check=False)


def boot_direct(opts, outdir, runs, say, command, beside=False):
    """Each run is a QEMU of its own on this machine, which may run beside others"""
    recorder = Recorder(runs, say)
    for run in runs:
        if opts.terminal is not None:
            say("ctrl-a x ends it")
            attach(opts, [*command(run.append), *run.devices])
            break
        recorder.line(f"pvt: run {run.name}", time.monotonic())
        boot = Boot(opts, outdir, recorder)
        status = boot.run([*run.wrapper, *command(run.append), *run.devices],
                          opts.limit, beside)
        explain(run, boot, recorder, status)
        if status is None or recorder.error:
            break
    return recorder


def boot_nested(opts, outdir, runs, say, root, host, command, beside=False):
    """One QEMU on this machine is L1, which does all the runs; it may run beside others

    They are confined to root, a directory of L1.
    """
    if opts.terminal is not None:
        raise HarnessError("it runs in a host, which has the terminal; try tcg or xen-pv")
    recorder = Recorder(runs, say)
    for run in runs:
        with open(os.path.join(outdir, f"{run.name}.args"), "w") as f:
            f.write("\n".join([*run.wrapper, *command(run.append),
                               *run.devices]) + "\n")
    names = ",".join(run.name for run in runs)
    boot = Boot(opts, outdir, recorder)
    status = boot.run(host(
        opts, f"pvt.dir={outdir} pvt.root={root} pvt.runs={names}"), opts.limit, beside)
    explain(recorder.run or runs[0], boot, recorder, status)
    return recorder


def boot_tcg(opts, outdir, runs, say):
    say("starting under emulation")
    return boot_direct(opts, outdir, runs, say, lambda append: qemu(
        opts, "tcg", "max", append)), "tcg"


def boot_vmware(opts, outdir, runs, say):
    """Found by the DMI serial number, the backdoor port is QEMU's"""
    say("starting under emulation, with VMware's backdoor")
    return boot_direct(opts, outdir, runs, say, lambda append: qemu(
        opts, "tcg", "qemu64,-hypervisor", append) + [
            "-M", "pc,vmport=on", "-smbios",
            "type=1,serial=VMware-56 4d 11"]), "tcg"


def boot_on_kvm(opts, outdir, runs, say, cpu):
    """On the KVM of this machine if it works, else nested"""
    if kvm_works(opts):
        say("starting on this machine's KVM")
        return boot_direct(opts, outdir, runs, say, lambda append: qemu(
            opts, "kvm", cpu, append)), "kvm"
    say("starting L1 under emulation, KVM guests in it")
    return boot_nested(
        opts, outdir, runs, say, "/mnt", kvm_host,
        lambda append: qemu(opts, "kvm", cpu, append,
                            verdict="/proc/self/fd/3")), "kvm-nested"


def xen(opts, append, memory=1024, dom0="512M", smp=2):
    """The command that boots Xen, and the x86 image as its dom0

    Xen has the first serial port. A comma ends the name of a module. Memory
    that is scrubbed when a CPU is idle holds up its interrupts.
    """
    dom0_append = f"console=hvc0 panic=-1 quiet log_buf_len=1M {append}"
    return [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", XEN_CPU,
        "-smp", str(smp), "-m", str(memory), "-nodefaults", "-display", "none",
        "-no-reboot", "-kernel", opts.xen, "-append",
        f"console=com1 clocksource=tsc bootscrub=0 dom0_mem={dom0} dom0_max_vcpus=2 noreboot",
        "-initrd", f"{built(opts.image)} {dom0_append}".replace(",", ",,") +
        f",{opts.initrd}",
        "-serial", "stdio", "-serial", "file:@VERDICT@"]


def boot_xen_pv(opts, outdir, runs, say):
    say("starting Xen under emulation, the guest is its dom0")
    return boot_direct(opts, outdir, runs, say, lambda append: xen(
        opts, append)), "xen-in-tcg"


def boot_um(opts, outdir, runs, say):
    say("starting L1 under emulation, User-Mode Linux in it")
    return boot_nested(opts, outdir, runs, say, "/", partial(
        qemu_l1, cpu="max", smp=2), lambda append: uml(opts, append)), "um-in-tcg"


def xen_host(opts, append):
    """The command that boots Xen, with dom0 as the host of its guests

    It has one CPU, which runs the two of each guest.
    """
    return one_cpu(xen(opts, f"tsc=nowatchdog pvt.do=host {append}",
                       memory=2048, dom0="1G", smp=1) + share("/", "machine"))


# Linux 7.3 reads why an AMD processor was reset from memory that a PV domain has not, on
# families like XEN_CPU's, and panics. With any timer; Linux 6.12 has no such function.
NO_RESET_REASON = "initcall_blacklist=print_s5_reset_status_mmio"


def boot_xen_guest(opts, outdir, runs, say, kind):
    packages = os.path.join(os.path.dirname(built(opts.xen)), "unpacked")
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "xen-guest.sh")
    say("starting Xen and dom0 under emulation, the guest in it")
    return boot_nested(opts, outdir, runs, say, "/", xen_host, lambda append: [
        "/bin/sh", "/mnt" + script, packages, kind, opts.image, opts.initrd,
        f"{NO_RESET_REASON} {append}" if kind == "pv" else append]), "xen-in-tcg"


def riscv64_image(opts):
    return os.path.join(opts.build, f"riscv64{opts.suffix}", "arch/riscv/boot/Image")


def riscv64_next(opts):
    return built(os.path.join(opts.build, "vm/root-riscv64/kexec.cpio"))


def boot_riscv64(opts, outdir, runs, say, cpu="rv64"):
    """OpenSBI, which is QEMU's default firmware, is the hypervisor"""
    say("starting RISC-V under emulation")
    return boot_direct(opts, outdir, runs, say, lambda append: virt(
        opts, "riscv64", riscv64_image(opts), f"console=ttyS0 {append}",
        ["-cpu", cpu, "-smp", "2"])), "tcg"


def m68k_image(opts):
    return os.path.join(opts.build, f"m68k{opts.suffix}", "vmlinux")


def boot_m68k(opts, outdir, runs, say):
    say("starting m68k under emulation")
    return boot_direct(opts, outdir, runs, say, lambda append: virt(
        opts, "m68k", m68k_image(opts), f"console=ttyGF0 {append}", [])), "tcg"


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


def riscv64_lives(cpu):
    """What happens to its guests"""
    return (Life("lifecycle", "hotplug,kexec", prepare=partial(
                device_tree, name="memory", edit=MEMORY, cpu=cpu)),
            Life("c3stop", "c3stop", prepare=partial(
                device_tree, name="c3stop", edit=IDLE_STATE, cpu=cpu)))


def wrong_khz():
    """The frequency of the TSC, and 0.8 % more, which Linux corrects later"""
    with open("/proc/cpuinfo") as f:
        mhz = re.search(r"cpu MHz\s*: ([\d.]+)", f.read())
    return f"tsc_early_khz={float(mhz[1]) * 1008:.0f}" if mhz else ""


RESTORE = (os.path.join(os.path.dirname(os.path.abspath(__file__)), "restore.py"),)


def restores():
    """From a snapshot, which has lost the timers"""
    return tuple(Life(f"restore-{cpus}", "restore", mode="faults", cpus=cpus,
                      args=("-smp", str(cpus)), wrapper=RESTORE)
                 for cpus in (1, 2))


# The clock is not the TSC, by which the timer is armed
REFINE = f"clocksource=acpi_pm {wrong_khz()}"

TARGETS = {t.name: t for t in (
    Target("kvm", partial(boot_on_kvm, cpu="host"), 2, "kvm", "lapic-deadline",
           "lapic-deadline", lifecycle="hotplug,kexec,suspend", more=(
               Life("tsc-adjust", "tsc-adjust", "clocksource=kvm-clock",
                    mode="faults", args=("-cpu", "host,+invtsc"),
                    backend="broken-compare"),
               *restores())),
    Target("kvm-lapic", partial(boot_on_kvm, cpu="host,-tsc-deadline"), 2, "lapic",
           "lapic", "lapic"),
    Target("tcg", boot_tcg, 2, "lapic", "lapic", "lapic", lifecycle="hotplug,suspend",
           more=(Life("refine", "refine", REFINE), *restores())),
    Target("xen-pv", boot_xen_pv, 2, "xen", "xen", lifecycle="hotplug"),
    Target("xen-domu", partial(boot_xen_guest, kind="pv"), 2, "xen", "xen",
           lifecycle="host,hotplug"),
    Target("xen-pvh", partial(boot_xen_guest, kind="pvh"), 2, "xen", "xen"),
    Target("xen-hvm", partial(boot_xen_guest, kind="hvm"), 2, "xen", "xen"),
    Target("hyperv", partial(boot_on_kvm, cpu=HYPERV_CPU), 2, "hyperv",
           "Hyper-V clockevent", "lapic-deadline", lifecycle="hotplug,kexec,suspend"),
    Target("vmware", boot_vmware, 2, "vmware", "lapic", "lapic",
           lifecycle="hotplug,suspend"),
    Target("um", boot_um, 1, "um", "posix-timer", lifecycle="simulate",
           clocks=("time-travel", "time-travel=inf-cpu"),
           image=lambda opts: opts.uml),
    Target("sbi", partial(boot_riscv64, cpu=SBI_ONLY), 2, "sbi",
           "riscv_timer_clockevent", more=riscv64_lives(SBI_ONLY),
           next_kernel=riscv64_next, image=riscv64_image),
    Target("sstc", boot_riscv64, 2, "sstc", "riscv_timer_clockevent",
           more=riscv64_lives("rv64"), next_kernel=riscv64_next, image=riscv64_image),
    Target("goldfish", boot_m68k, 1, "goldfish", "goldfish_timer",
           stock_mode="nohz-off", image=m68k_image),
)}
