#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Print what is in the guests' initramfs, for gen_init_cpio: init, busybox for
# the kselftest runner, the tests. No file needs to be owned or made by root.
# Without a busybox of the guest's architecture, our own runner stands in, and
# it is no host of guests. A COMMAND comes with its libraries.
# Usage: root.sh OUT [BUSYBOX [COMMAND...]]

out=$1
busybox=${2:+$(command -v "$2")}
shift $(($# > 1 ? 2 : 1))

libraries()
{
	for command; do
		ldd "$(command -v "$command")"
	done | grep -o ' */[^ ]*' | sort -u
}

directories()
{
	for dir in bin dev mnt proc sys tmp kselftest; do
		echo "dir /$dir 755 0 0"
	done
	(cd "$out" && find kselftest -mindepth 1 -type d) | sort |
		sed 's|.*|dir /& 755 0 0|'
	libraries "$@" | while read -r file; do
		while file=${file%/*} && [ "$file" ]; do
			echo "dir $file 755 0 0"
		done
	done | sort -u
}

commands()
{
	if [ ! "$busybox" ]; then
		echo "file /bin/runner $out/runner 755 0 0"
		return
	fi
	echo "file /bin/busybox $busybox 755 0 0"
	echo "file /bin/hypercalls $out/hypercalls 755 0 0"
	for name in $("$busybox" --list); do
		[ "$name" = busybox ] || echo "slink /bin/$name busybox 777 0 0"
	done
	for command; do
		echo "file /bin/$command $(command -v "$command") 755 0 0"
	done
	libraries "$@" | sed 's|.*|file & & 755 0 0|'
}

files()
{
	echo "file /init $out/init 755 0 0"
	(cd "$out" && find kselftest -type f -perm -u+x) | sort |
		sed "s|.*|file /& $out/& 755 0 0|"
	(cd "$out" && find kselftest -type f ! -perm -u+x) | sort |
		sed "s|.*|file /& $out/& 644 0 0|"
}

directories "$@"
echo "nod /dev/console 600 0 0 c 5 1"
commands "$@"
files
