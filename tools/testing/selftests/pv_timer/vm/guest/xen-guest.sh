#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run a guest of Xen, in dom0. What it says on its verdict channel goes to
# descriptor 3, its console to the console. The machine's root is under /mnt,
# and paths are those of the machine.
# Usage: xen-guest.sh PACKAGES TYPE MEGABYTES KERNEL INITRD PARAMETERS

packages=$1 type=$2 memory=$3 kernel=$4 initrd=$5 parameters=$6
root=/tmp/root
log=$root/var/log/xen/console/guest-guest.log

# Xen's programs leave others behind, which must not keep its channels open
tool()
{
	chroot $root "$@" 3>&- 4>&-
}

# The machine's root, the packages over it, and room to write
mount_root()
{
	mkdir -p $root /tmp/work /dev/pts
	cp -a "/mnt$packages" /tmp/upper
	mount -t overlay none $root \
		-o lowerdir=/mnt,upperdir=/tmp/upper,workdir=/tmp/work
	mount -t tmpfs none $root/run
	mount -t devpts none /dev/pts
	mount -t xenfs none /proc/xen
	for dir in dev proc sys; do
		mount --rbind /$dir $root/$dir
	done
	mkdir -p $root/run/xen $root/run/xenstored $root/run/lock ${log%/*}
}

start_toolstack()
{
	mount_root
	tool xenstored
	tool xen-init-dom0
	tool xenconsoled --log=guest --log-dir=/var/log/xen/console
}

# The channel of an HVM guest is a serial port. That of the others is a second
# console: xl takes the first one in the list for the console and does not create
# it. Linux warns when it finds a second console after a restore, so a guest that
# is restored has its channel on the only one.
choose_channel()
{
	case $type-$parameters in
	hvm-*)
		consoles="console=hvc0 pvt.verdict=ttyS0"
		devices='serial="pty"' channel=serial/0/tty
		;;
	*pvt.do=lifecycle*)
		consoles="console=ttynull pvt.verdict=hvc0"
		devices='' channel=console/tty
		;;
	*)
		consoles="console=hvc0 pvt.verdict=hvc1"
		devices='channel=["name=none,connection=pty",
			"name=verdict,connection=pty"]'
		channel=device/console/1/tty
		;;
	esac
}

# A guest that powers off stays until its channel was read.
write_config()
{
	cat >$root/run/guest.cfg <<-EOF
	name="guest"
	type="$type"
	kernel="$kernel"
	ramdisk="$initrd"
	extra="panic=-1 quiet log_buf_len=1M $consoles $parameters"
	memory=$memory
	vcpus=2
	vga="none"
	vnc=0
	$devices
	on_poweroff="preserve"
	on_reboot="destroy"
	on_crash="destroy"
	EOF
}

# Create or restore it, as the rest of the line says, then open its channel.
start()
{
	tool xl "$@" || {
		cat $root/var/log/xen/qemu-dm-guest.log
		exit 2
	}
	domain=$(tool xl domid guest)
	exec 4<>"$(tool xenstore-read "/local/domain/$domain/$channel")"
}

# Up to a line of the guest that begins with this word, or until it is gone.
pass_on()
{
	while IFS= read -r line <&4; do
		echo "$line" >&3
		case $line in
		"pvt: $1 "*)
			return
			;;
		"pvt: error "*)
			break
			;;
		esac
	done
	return 1
}

# Say what was done, once dom0 is idle again, and let the guest answer.
ask()
{
	sleep 1
	echo "$1" >&4
	pass_on note
}

lifecycle()
{
	pass_on start && ask start || return
	tool xl pause guest
	sleep 5
	tool xl unpause guest
	ask pause || return
	for round in $(seq 10); do
		tool xl save guest /run/guest.save
		start restore /run/guest.save
		ask "restore $round" || return
	done
	echo end >&4
}

# Which timer hypercalls are made, by dom0 too: the trace does not tell them
# apart. Those of HVM guests are not in it. It must not go through a pipe, as
# xentrace stops where the disk has no free space.
trace()
{
	tool xentrace -D -S 256 -e 0x20f000 /run/trace &
	tracer=$!
}

end_trace()
{
	kill $tracer
	wait $tracer
	hypercalls <$root/run/trace >&3
}

cd "/mnt$packages/usr/lib" || exit 2
PATH=$PATH:/usr/lib/$(echo xen-[0-9]*)/bin
[ -d $root ] || start_toolstack
choose_channel
write_config
rm -f $log
start create -q -p /run/guest.cfg
tail -n +1 -F $log 2>/dev/null 3>&- 4>&- &
console=$!
case $parameters in
*pvt.do=lifecycle*)
	trace
	tool xl unpause guest
	lifecycle && pass_on verdict && end_trace
	;;
*)
	tool xl unpause guest
	pass_on verdict
	;;
esac
tool xl destroy guest
sleep 1
kill $console
