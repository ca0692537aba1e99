# SPDX-License-Identifier: GPL-2.0
#
# The verbs of pv_timer, 'make help' lists them. Kernel trees, builds and
# results are in build/, which git ignores.

BUILD ?= $(CURDIR)/build
ifdef KERNEL
LINUX := $(shell sed -n 's/^VERSION = //p; s/^PATCHLEVEL = //p' $(KERNEL)/Makefile 2>/dev/null | paste -sd.)
endif
LINUX ?= 6.12
VERSIONS := $(patsubst patches/linux-%,%,$(wildcard patches/linux-*))
comma := ,
LINUXES := $(subst $(comma), ,$(LINUX))
ifneq ($(if $(KERNEL),,$(filter-out $(VERSIONS),$(LINUXES))),)
$(error LINUX=$(LINUX): there are hooks for Linux $(VERSIONS))
endif
ifneq ($(and $(word 2,$(LINUXES)),$(filter-out bench,$(or $(MAKECMDGOALS),help))),)
$(error LINUX=$(LINUX): only bench takes several)
endif
# That of 6.12 is the top, each other one has a directory of its own in there
DIR := $(BUILD)$(if $(filter-out 6.12,$(LINUX)),/$(LINUX))
UNPACKED := $(DIR)/linux/Makefile
TREE := $(abspath $(or $(KERNEL),$(DIR)/linux))
OUT ?= $(DIR)/series
VM := tools/testing/selftests/pv_timer/vm
TARGETS = $(shell sed -n 's/^    Target."\([^"]*\)".*/\1/p' $(VM)/targets.py)
KUNITCONFIG := kernel/time/pv_clockevents.kunitconfig

# Debian 12 has 6.12 as a package, later ones are in the backports of Debian 13
INSTALLED := $(if $(KERNEL),,$(filter linux-source-6.12,linux-source-$(LINUX)))
PACKAGES_TREE := git python3 xz-utils $(INSTALLED)
PACKAGES_BUILD := gcc libc6-dev make flex bison bc libelf-dev libssl-dev \
	ccache cpio kmod rsync
PACKAGES_CHECK := perl sparse clang-19 lld-19 llvm-19 python3-sphinx \
	shellcheck pyflakes3 codespell gcc-riscv64-linux-gnu gcc-m68k-linux-gnu

# Builds that repeat are free, wherever the clone is.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
# Most objects of a first run are built once: do not preprocess each of them twice.
export CCACHE_DEPEND := 1
export KBUILD_BUILD_TIMESTAMP := 2024-01-01
export KBUILD_BUILD_USER := pv
export KBUILD_BUILD_HOST := timer
export PYTHONDONTWRITEBYTECODE := 1

need = @scripts/need $(PACKAGES_TREE) $(1)

vm: T ?= kvm,tcg,um
run: T ?= kvm
shell debug: T ?= tcg
list: T ?= kvm
compare: T ?= goldfish
outside latency: T ?= kvm
matrix: T := tcg
conformance: T ?= $(if $(BROKEN),tcg,kvm,xen-pv,hyperv,tcg)
bench: T ?= tcg,tcg-2,tcg-4,tcg-16,xen-pv,kvm-tsc,kvm-clock,hyperv,um

.PHONY: help run vm perf shell debug list readme compare latency outside matrix conformance \
	bench kunit kunit-faults \
	model check count deb test test-all \
	apply unapply status series compile_commands clean
.NOTPARALLEL:

help:
	@echo 'make run               boot a guest on KVM and report how it ticks'
	@echo 'make vm T=kvm,tcg,um   boot the named targets, one verdict each; there are'
	@echo '$(TARGETS)' | fold -s -w 54 | sed 's/^/                       /'
	@echo '        MODES=default  one boot each; also nohz-off, highres-off, far: a'
	@echo '                       sleep of an hour, which takes none on tcg; and'
	@echo '                       lifecycle: save and restore, hotplug, kexec,'
	@echo '                       suspend, time travel, stolen time; choose: the other'
	@echo '                       backends of a target; faults, on kvm and tcg: a'
	@echo '                       restore that has lost the timers; on tcg: smp, 4 and 8'
	@echo '                       CPUs; nohz-full, a busy CPU without a tick; crash; also'
	@echo '                       on kvm: perf, what it shows; trace, the events; rom,'
	@echo '                       on vmi: ROMs that no guest may run; detectors, on tcg'
	@echo '                       with DEBUG=kasan: each has to report what is provoked'
	@echo '                       module, on tcg: a backend that is a module; all is'
	@echo '                       then booted on the kernel of make deb'
	@echo '        TEST=sleep,tick  only these programs of the suite, no lifecycle'
	@echo '        BROKEN=never   with a broken backend, which has to be red: early, drop,'
	@echo '                       ...; on xen-pv: refuse, refuse20, refuse-all'
	@echo '        DEBUG=kasan    on kernels that look for defects; kasan, with locks,'
	@echo '                       timers, lockups and leaks; kcsan; rt, PREEMPT_RT'
	@echo 'make perf              what perf makes of the events in a guest, and of its exits'
	@echo '                       on the host, see pv.rst'
	@echo 'make shell T=tcg       a shell in an x86 guest that needs no host'
	@echo 'make debug T=tcg       such a guest, stopped until gdb lets it go on'
	@echo 'make list              the targets: CPUs, backend, stock device, boots'
	@echo 'make readme            put their last results into the table of README.md'
	@echo 'make compare T=goldfish  the clocks, idle interrupts and a sleep of a stock'
	@echo '                       kernel against pv_timer'
	@echo 'make latency T=kvm     how late wake-ups are, by the old device and by pv_timer:'
	@echo '                       table, parts, histogram, JSON, picture; BROKEN=late is red'
	@echo 'make outside T=kvm     the timer tests of others, likewise: selftests of the'
	@echo '                       kernel, cyclictest, stress-ng; on x86-64'
	@echo 'make matrix            which tests turn red on which broken backend, and if'
	@echo '                       that is as it has to be; KINDS=early,late'
	@echo 'make conformance T=kvm,xen-pv,hyperv,tcg  each clause of the contract against'
	@echo '                       the backend that ticks; T=tcg BROKEN=late,drop or all:'
	@echo '                       which clauses turn red on which broken backend'
	@echo 'make bench             count instructions and exits, a stock kernel against'
	@echo '                       pv_timer: T=tcg,tcg-2,tcg-4,tcg-16 (CPUs),xen-pv,'
	@echo '                       kvm-tsc,kvm-clock,hyperv,um; also LINUX=6.12,7.3'
	@echo 'make kunit             unit tests of the core, on UML, natively'
	@echo 'make kunit-faults      put faults into the core: a unit test has to name each;'
	@echo '                       FAULT=K4'
	@echo 'make model             proof that the core leaves no timer unarmed, and faults'
	@echo '                       that it finds; PLAN=quick: one CPU, no faults; SEED=n'
	@echo 'make check             static checks: checkpatch, sparse, clang, docs, ...'
	@echo 'make deb               packages of Debian: a guest kernel for x86-64 with all'
	@echo '                       backends, and its headers; takes up to an hour'
	@echo 'make count             code lines, and those that they replace'
	@echo 'make test              what is run for each change; says what and how long'
	@echo 'make test-all          also all targets in all modes on both Linux versions,'
	@echo '                       faults, debug kernels, compare, matrix, conformance, the'
	@echo '                       whole model, and the series. Both: STEPS=vm,check for some of it;'
	@echo '                       RESUME=1 does not repeat what has passed on the same sources'
	@echo 'make apply             put pv_timer on a Linux tree'
	@echo 'make unapply           take it off again, byte for byte'
	@echo 'make status            what is there; LINUX=7.3: and whether there is a later one'
	@echo 'make series            write patches for git am to OUT=build/series'
	@echo 'make compile_commands  for editors, build/compile_commands.json of the x86 kernel'
	@echo 'make clean             remove build/'
	@echo
	@echo 'LINUX=6.12 or 7.3      which Linux, not for test and model; 7.3 is in build/7.3'
	@echo 'KERNEL=dir is the Linux tree, its version is found out; without it build/linux'
	@echo 'is unpacked from the package linux-source-6.12, or build/7.3/linux from that'
	@echo 'of the backports of Debian 13. FORCE=1 drops edits made in that tree.'
	@echo 'Packages of Debian that are missing are named, then installed.'

# What these need, the tree included, their own Makefile sees to.
run vm shell debug list compare latency outside matrix conformance deb:
	+@$(MAKE) --no-print-directory -C $(VM) $@ BUILD=$(BUILD) LINUX=$(LINUX) \
		$(if $(KERNEL),KERNEL=$(TREE)) T=$(T)

perf:
	+@$(MAKE) --no-print-directory vm T=tcg,kvm MODES=perf

readme:
	@scripts/need python3
	@$(VM)/support.py README.md $(BUILD) $(filter-out $(BUILD)/6.12,$(VERSIONS:%=$(BUILD)/%))

# On several Linux it is printed once more at the end, side by side
bench:
	+@for linux in $(LINUXES); do \
		$(MAKE) --no-print-directory -C $(VM) $@ BUILD=$(BUILD) LINUX=$$linux \
			$(if $(KERNEL),KERNEL=$(TREE)) T=$(T) || exit; \
	done
	@$(if $(word 2,$(LINUXES)),$(VM)/table.py $(foreach linux,$(LINUXES), \
		$(BUILD)$(if $(filter-out 6.12,$(linux)),/$(linux))/vm/bench/bench.json))

kunit: apply
	$(call need,$(PACKAGES_BUILD))
	@scripts/kunit $(TREE) $(DIR)/kunit $(KUNITCONFIG)

kunit-faults: kunit
	@scripts/kunit-faults $(TREE) $(DIR)/kunit $(FAULT)

model:
	@scripts/need gcc libc6-dev mmdebstrap
	@scripts/model $(BUILD)/model $(or $(PLAN),full) $(SEED)

check: apply
	$(call need,$(PACKAGES_BUILD) $(PACKAGES_CHECK))
	@scripts/check $(TREE) $(DIR)/check

count: apply
	$(call need)
	@scripts/count $(TREE)

test: $(UNPACKED)
	@scripts/test $(BUILD) $(if $(RESUME),resume) $(subst $(comma), ,$(STEPS))

test-all: $(UNPACKED)
	@scripts/test $(BUILD) all $(if $(RESUME),resume) $(subst $(comma), ,$(STEPS))

apply: $(if $(KERNEL),,$(UNPACKED))
	$(call need)
	@scripts/overlay apply $(TREE) $(if $(FORCE),--force)

unapply:
	$(call need)
	@scripts/overlay unapply $(TREE) $(if $(FORCE),--force)

status:
	$(call need)
	@scripts/overlay status $(TREE)
	$(if $(KERNEL)$(INSTALLED),,@scripts/newer $(TREE) $(DIR)/backports \
		patches/linux-$(LINUX))

series: $(if $(KERNEL),,$(UNPACKED))
	$(call need)
	@scripts/overlay series $(TREE) $(OUT)

$(UNPACKED):
	$(call need)
	@scripts/unpack $(LINUX) $(DIR)

# clangd looks for it there
compile_commands:
	@scripts/need python3
	@scripts/compile-commands $(TREE) $(DIR)/x86 $(BUILD)/compile_commands.json

clean:
	rm -rf $(BUILD)
