#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Each CPU wakes up 2000 times. What they were late by is shown, and not judged.
exec cyclictest --quiet --mlockall --priority=80 --interval=1000 --loops=2000 \
	--threads --affinity
