#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Count the events of pv_timer, then record what timers.py shows while a command runs,
# on all CPUs.
# Usage: record.sh [COMMAND...]; perf.data is left in the current directory

set -e
here=$(dirname "$0")
[ $# != 0 ] || set -- sleep 1

perf stat -a -e 'pv_timer:*' "$@" 2>&1
perf record -q -a -o perf.data -e 'pv_timer:*' -e sched:sched_waking \
	-e sched:sched_switch "$@"
perf script -i perf.data -s "$here/timers.py"
