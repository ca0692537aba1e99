#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run a step of the build: say what it is and how long it will take, judging by
# the last time, and show its output only if it fails.
# Usage: step.sh DIR VERBOSE NAME SECONDS COMMAND...

dir=$1 verbose=$2 name=$3 expected=$4
shift 4
file=$dir/steps/$(echo "$name" | tr ' ' '-')
mkdir -p "$dir/steps"
[ ! -s "$file.time" ] || read -r expected <"$file.time"

echo "vm: $name: about $expected s" >&2
start=$(date +%s)
if [ "$verbose" = 1 ]; then
	"$@" >&2
else
	"$@" >"$file.log" 2>&1
fi
status=$?
took=$(($(date +%s) - start))
if [ $status != 0 ]; then
	[ "$verbose" = 1 ] || tail -n 40 "$file.log" >&2
	echo "vm: $name: failed after $took s${file:+, log: $file.log}" >&2
	exit 2
fi
echo "$took" >"$file.time"
echo "vm: $name: done in $took s" >&2
