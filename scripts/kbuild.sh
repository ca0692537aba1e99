# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
#
# Kernel builds beside each other, sourced by the scripts that check.
# The caller sets $tree and $build.

export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$(cd "$(dirname "$0")/.." && pwd)}"
export CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1
export KBUILD_BUILD_TIMESTAMP=2024-01-01 KBUILD_BUILD_USER=pv
export KBUILD_BUILD_HOST=timer PYTHONDONTWRITEBYTECODE=1

guest='HIGH_RES_TIMERS HYPERVISOR_GUEST PARAVIRT KVM_GUEST'
guest64="$guest XEN HYPERV"
tests='DEBUG_KERNEL DEBUG_FS KUNIT'

# TREE: which Linux it is, as in patches/linux-VERSION
linux_version()
{
	sed -n 's/^VERSION = //p; s/^PATCHLEVEL = //p' "$1/Makefile" | paste -sd.
}

# NAME ARGUMENT...: make in a build directory; the name says what is built
kmake()
{
	name=$1
	shift
	case $name in
	um*) arch=um cross= ;;
	i386*) arch=i386 cross= ;;
	riscv64*) arch=riscv cross=riscv64-linux-gnu- ;;
	m68k*) arch=m68k cross=m68k-linux-gnu- ;;
	*) arch=x86_64 cross= ;;
	esac
	case $name in
	*-clang) set -- LLVM=-19 CC='ccache clang-19' HOSTCC='ccache clang-19' "$@" ;;
	*) set -- CROSS_COMPILE=$cross CC="ccache ${cross}gcc" \
		HOSTCC='ccache gcc' "$@" ;;
	esac
	make -s -C "$tree" O="$build/$name" ARCH=$arch -j"$(nproc)" "$@" </dev/null
}

# NAME: the symbols of ours that this kernel can have
our_symbols()
{
	case $1 in
	um*) other='KVM|LAPIC|VMI|VMWARE|XEN|HYPERV|SBI|GOLDFISH|TEMPLATE|BROKEN|BROKEN_XEN' ;;
	i386*) other='TEMPLATE|XEN|BROKEN_XEN|HYPERV|SBI|GOLDFISH|UM' ;;
	riscv64*) other='KVM|LAPIC|VMI|VMWARE|XEN|HYPERV|GOLDFISH|UM|TEMPLATE|BROKEN|BROKEN_XEN' ;;
	m68k*) other='KVM|LAPIC|VMI|VMWARE|XEN|HYPERV|SBI|UM|TEMPLATE|BROKEN|BROKEN_XEN' ;;
	*) other='SBI|GOLDFISH|UM|VMI' ;;
	esac
	sed -nE 's/^(menu)?config (PV_CLOCKEVENTS\w*).*/\2/p' \
		"$tree/drivers/clocksource/pv/Kconfig" | grep -vxE "PV_CLOCKEVENTS_($other)"
}

# NAME BASE SYMBOL...: configure, then re-read what became of the symbols
configure()
{
	name=$1
	mkdir -p "$build/$name"
	kmake "$name" "$2" || return
	shift 2
	for symbol; do
		sed -i "/\<CONFIG_$symbol\>/d" "$build/$name/.config"
		echo "CONFIG_$symbol=y" >>"$build/$name/.config"
	done
	kmake "$name" olddefconfig || return
	for symbol; do
		grep -qx "CONFIG_$symbol=y" "$build/$name/.config" && continue
		echo "CONFIG_$symbol=y is not in $build/$name/.config"
		return 1
	done
}
