#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Build selftests and install them with the kernel's own runner.
# Usage: selftests.sh TREE OUT [COLLECTION]

set -e
tree=$1 out=$2 collection=${3:-pv_timer}

rm -rf "$out/kselftest"
mkdir -p "$out/selftests"
# Their BUILD is where O says, not what a make above us was given.
make -s -C "$tree/tools/testing/selftests" TARGETS="$collection" \
	BUILD="$out/selftests" O="$out/selftests" INSTALL_PATH="$out/kselftest" install </dev/null
