#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Unpack Xen from its Debian package, which is not installed: that would change
# what this machine boots.
# Usage: xen.sh OUT

set -e
out=$1 package=xen-hypervisor-4.17-amd64

download()
{
	apt-get -q download "$package" >download.log 2>&1
}

rm -rf "$out"
mkdir -p "$out"
cd "$out"
download || { apt-get -q update >/dev/null 2>&1 && download; } || {
	cat download.log
	echo "xen.sh: cannot download $package; is it in the sources of apt?" >&2
	exit 1
}
dpkg-deb --extract "$package"_*.deb unpacked
gunzip -c unpacked/boot/xen-4.17-amd64.gz >xen
