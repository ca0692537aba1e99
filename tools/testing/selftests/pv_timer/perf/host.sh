#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# On the host: why a guest of KVM leaves it, how often, and for how long. The command runs
# the guest. What perf has recorded is left in a directory of its own, which perf names.
# Usage: host.sh COMMAND...

set -e
[ $# != 0 ] || { sed -n 's/^# Usage: /usage: /p' "$0" >&2; exit 2; }
data=$(mktemp -d)/perf.data.guest

perf kvm --host stat record -o "$data" "$@"
perf kvm --host -i "$data" stat report 2>&1 | tee "$data.txt"
# A guest that programs its timer writes an MSR
grep -qi '^ *msr' "$data.txt"
