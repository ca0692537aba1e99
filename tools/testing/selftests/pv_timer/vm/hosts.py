# SPDX-License-Identifier: GPL-2.0
"""What boots guests: an emulated machine, or a host that is itself a guest of one."""

import argparse
import json
import os
import re
import sys
import time
from functools import partial

from harness import HERE, HarnessError, built, fresh_dir
from qemu import Boot, attach, explain, qemu, share, virt
from verdict import Recorder, Run

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

# Linux 7.3 reads why an AMD processor was reset from memory that a PV domain has not, on
# families like XEN_CPU's, and panics. With any timer; Linux 6.12 has no such function.
NO_RESET_REASON = "initcall_blacklist=print_s5_reset_status_mmio"


# Emulated by the number of instructions, in a time of its own: nothing of this machine is
# seen in it, and a sleep of an hour takes none. Nothing else wakes up an idle CPU there
# every second.
FAR_ARGS = ("-icount", "shift=4,sleep=off", "-rtc", "clock=vm")
FAR = "tsc=nowatchdog sysctl.vm.stat_interval=100000"

# Which backend was chosen is seen by an event, before there is a file system for others
TRACE_CHOICE = "trace_event=pv_timer:pv_timer_backend"


NO_ENTROPY = "-rdrand,-rdseed"


def icount(cpus, shift=1):
    """Options by which all that happens is decided by the instructions

    An instruction takes 2^shift ns. No entropy, no clock of this machine. Recording keeps
    the two threads of QEMU in step: else its main thread, if it is late, finds the CPU
    halted before the last instructions have moved the clock, and moves it too far. It
    cannot record several CPUs.
    """
    record = ",rr=record,rrfile=/dev/null" if cpus == 1 else ""
    return ["-icount", f"shift={shift},sleep=off{record}", "-seed", "1",
            "-rtc", "clock=vm,base=2024-01-01"]


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
                f"pvt.do=host {append}", memory=2048, smp=smp, image=opts.host) + \
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


def boot_tcg(opts, outdir, runs, say, cpus=2):
    say("starting under emulation")
    return boot_direct(opts, outdir, runs, say, lambda append: qemu(
        opts, "tcg", "max", append, smp=cpus)), "tcg"


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


def xen(opts, append, memory=1024, dom0=512, smp=2, image=""):
    """The command that boots Xen, and the x86 image as its dom0

    Xen has the first serial port. A comma ends the name of a module. Memory
    that is scrubbed when a CPU is idle holds up its interrupts.
    """
    dom0_append = f"console=hvc0 panic=-1 quiet log_buf_len=1M {append}"
    return [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", XEN_CPU,
        "-smp", str(smp), "-m", str(memory + opts.more_memory), "-nodefaults",
        "-display", "none", "-no-reboot", "-kernel", opts.xen, "-append",
        "console=com1 clocksource=tsc bootscrub=0 dom0_max_vcpus=2 noreboot "
        f"dom0_mem={dom0 + (0 if image else opts.more_memory)}M",
        "-initrd", f"{built(image or opts.image)} {dom0_append}".replace(",", ",,") +
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
                       memory=2048, dom0=1024, smp=1, image=opts.host) +
                   share("/", "machine"))


def boot_xen_guest(opts, outdir, runs, say, kind):
    packages = os.path.join(os.path.dirname(built(opts.xen)), "unpacked")
    script = os.path.join(HERE, "guest", "xen-guest.sh")
    say("starting Xen and dom0 under emulation, the guest in it")
    return boot_nested(opts, outdir, runs, say, "/", xen_host, lambda append: [
        "/bin/sh", "/mnt" + script, packages, kind, str(256 + opts.more_memory),
        opts.image, opts.initrd,
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


def i386_image(opts):
    return os.path.join(opts.build, f"i386{opts.suffix}", "arch/x86/boot/bzImage")


def rom(opts, append):
    """The argument for the ROM of VMI, or for another one that the run asks for"""
    asked = re.search(r"\bpvt\.rom=(\w+)", append)
    return "-option-rom", built(os.path.join(
        opts.build, "vm/rom", f"{asked[1] if asked else 'vmi'}.rom"))


def boot_vmi(opts, outdir, runs, say):
    """The hypervisor is a ROM, over QEMU's emulation"""
    guest = argparse.Namespace(**{**vars(opts), "image": i386_image(opts), "initrd": built(
        os.path.join(opts.build, "vm/root-i386/root.cpio.gz"))})
    say("starting i386 under emulation, with the ROM of VMI")
    return boot_direct(opts, outdir, runs, say, lambda append: [
        *qemu(guest, "tcg", "max", append), *rom(opts, append)]), "tcg"


# Where the Makefile has put what a target boots
KERNELS = {"x86": lambda opts: opts.image, "um": lambda opts: opts.uml,
           "riscv64": riscv64_image, "m68k": m68k_image, "i386": i386_image}
