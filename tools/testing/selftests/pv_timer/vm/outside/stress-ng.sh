#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The stressors that are about timers, one after the other, two of each
status=0 number=0
set -- clock hrtimers itimer nanosleep timer timerfd
echo "TAP version 13"
echo "1..$#"
for stressor; do
	number=$((number + 1)) result=ok
	stress-ng --"$stressor" 2 --timeout 5 --verify --temp-path /tmp ||
		result='not ok' status=1
	echo "$result $number stress-ng.$stressor"
done
exit $status
