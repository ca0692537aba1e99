#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Copy what was built from one tree to where the same is to be built from another.
# Objects are recorded with the path of their source, and those of tools/ with that of
# their directory. What is recorded with another path is rebuilt, and if that is objtool,
# all that it has looked at.
# Usage: like.sh FROM TREE TO

set -e
from=$(realpath "$1") source=$(realpath "$1/source") tree=$(realpath "$2") to=$3

rm -rf "$to.part"
cp -a "$from" "$to.part"
find "$to.part" -name '*.cmd' -exec sed -i -e "s|$from/|$(realpath -m "$to")/|g" \
	-e "s|$source/|$tree/|g" {} +
mv "$to.part" "$to"
