#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Configure and build a kernel from fragments, and nothing else: allnoconfig is
# the rest. A symbol that did not become what the last of them says is an error.
# LIKE= is where a kernel of almost the same configuration may have been built, from
# this tree or from one that is the same: the first build starts from there.
# Usage: [CROSS_COMPILE=PREFIX] [LIKE=DIR] kernel.sh TREE ARCH OUT TARGET FRAGMENT...

set -e
tree=$1 arch=$2 out=$3 target=$4
shift 4

kmake()
{
	make -s -C "$tree" O="$out" ARCH="$arch" \
		CC="ccache ${CROSS_COMPILE}gcc" HOSTCC='ccache gcc' "$@" </dev/null
}

# Print the value that a symbol has in the final configuration.
value()
{
	sed -n "s/^$1=//p" "$out/.config" | grep . || echo n
}

# FRAGMENT...: what they say, as SYMBOL=VALUE
wanted()
{
	sed -n 's/^# \(CONFIG_[A-Z0-9_]*\) is not set$/\1=n/p; /^CONFIG_/p' "$@" |
	tac | sort -s -u -t = -k 1,1
}

check()
{
	while IFS='=' read -r symbol wanted; do
		is=$(value "$symbol")
		[ "$is" != "$wanted" ] || continue
		echo "$symbol=$wanted became $is:" \
			"a dependency is missing, or there is no such symbol" >&2
		echo bad
	done
}

if [ "$LIKE" ] && [ -f "$LIKE/vmlinux" ] && [ ! -e "$out" ]; then
	"${0%/*}/like.sh" "$LIKE" "$tree" "$out"
fi
mkdir -p "$out"
wanted "$@" >"$out/fragments.config"
KCONFIG_ALLCONFIG="$out/fragments.config" kmake allnoconfig
[ -z "$(check <"$out/fragments.config")" ] || exit 1
kmake -j"$(nproc)" "$target"
