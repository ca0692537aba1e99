#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# On the host: why a guest of KVM leaves it, how often, and for how long. The command runs
# the guest; its output is not of interest here.
# Usage: host.sh COMMAND...; perf.data.guest is left in /tmp

set -e
[ $# != 0 ] || { sed -n 's/^# Usage: /usage: /p' "$0" >&2; exit 2; }
data=/tmp/perf.data.guest

perf kvm --host stat record -o "$data" "$@"
perf kvm --host -i "$data" stat report 2>&1 | tee "$data.txt"
# A guest that programs its timer writes an MSR
grep -qi '^ *msr' "$data.txt"
