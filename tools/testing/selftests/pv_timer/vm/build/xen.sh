#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Unpack Xen and what dom0 needs to run guests from Debian's packages. They are
# not installed: that would change what this machine boots.
# Usage: xen.sh OUT

set -e
out=$1
packages="xen-hypervisor-4.17-amd64 xen-utils-4.17 xen-utils-common
	xenstore-utils
	qemu-system-xen libxencall1 libxendevicemodel1 libxenevtchn1
	libxenforeignmemory1 libxengnttab1 libxenhypfs1 libxenmisc4.17
	libxenstore4 libxentoolcore1 libxentoollog1 libyajl2"

download()
{
	# shellcheck disable=SC2086
	apt-get -q download $packages >download.log 2>&1
}

rm -rf "$out"
mkdir -p "$out"
cd "$out"
download || { apt-get -q update >/dev/null 2>&1 && download; } || {
	cat download.log
	echo "xen.sh: cannot download what is above; is it in the sources of apt?" >&2
	exit 1
}
for package in *.deb; do
	dpkg-deb --extract "$package" unpacked
done
gunzip -c unpacked/boot/xen-4.17-amd64.gz >xen
