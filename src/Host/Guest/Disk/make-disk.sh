#!/bin/busybox sh
# Makes a disk with Debian on it, as the first process of a guest. The disk `packages` is a tar archive: the packages in `debs`, their names
# in `base` and `all` in the order in which they can be installed, and files of ours in `files`. The system is installed on the disk
# `scratch`, and from there its files are written to the disk `target` in a fixed order, with no date after $EPOCH. So the same packages
# give the same disk.
#
# A line "## N text" says that step N begins, "## done" that all is well.

EPOCH=@EPOCH@
ROOT=@ROOT@
ESP=564D-4D01
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root TERM=dumb
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true SOURCE_DATE_EPOCH=$EPOCH

fail() {
    echo "## failed $*"
    poweroff -f
}

# Runs a program of a tree, and not busybox's own of the same name. $1: the tree.
inside() {
    tree=$1
    shift
    chroot "$tree" /usr/bin/env "$@"
}

step() {
    echo "## $*"
}

# Unpacks the packages of the base system; first the one with the links from /bin and its like into /usr. $1: where to.
unpack() {
    for deb in $(grep '^base-files_' /packages/base) $(grep -v '^base-files_' /packages/base); do
        dpkg-deb -x "/packages/debs/$deb" "$1" || fail "$deb"
    done
}

# Two partitions, always the same. $1: the disk.
divide() {
    inside /base sfdisk -q --wipe always "$1" <<END || fail "sfdisk"
label: gpt
label-id: 2F1A3B74-0D35-4E6B-8F6B-1C5D7E9A0B01
unit: sectors
first-lba: 2048
size=131072, type=uefi, uuid=2F1A3B74-0D35-4E6B-8F6B-1C5D7E9A0B02, name=esp
type=linux, uuid=2F1A3B74-0D35-4E6B-8F6B-1C5D7E9A0B03, name=root
END
    mdev -s
}

/bin/busybox mkdir -p /proc /sys /dev /tmp /packages /base
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox mkdir /dev/pts
/bin/busybox mount -t devpts devpts /dev/pts
/bin/busybox --install -s /bin
unxz /virtio_mmio.ko.xz /virtio_blk.ko.xz
insmod /virtio_mmio.ko
insmod /virtio_blk.ko
for disk in /sys/block/vd*; do
    eval "$(cat "$disk/serial")=/dev/${disk##*/}"
done

step 1 unpacking the tools
mount -t tmpfs -o size=90% tmpfs /packages
tar x -C /packages -f "$packages" || fail "tar"
mkdir -p /packages/base.tree
mount --bind /packages/base.tree /base
unpack /base
mkdir -p /base/proc /base/sys /base/dev
mount --rbind /dev /base/dev
mount --bind /proc /base/proc
mount --bind /sys /base/sys

step 2 making the file systems
divide "$scratch"
inside /base mkfs.vfat --invariant -g 64/32 -h 2048 -i "${ESP%-*}${ESP#*-}" -n ESP "${scratch}1" || fail "mkfs.vfat"
inside /base mke2fs -q -t ext4 -O ^has_journal -U "$ROOT" "${scratch}2" || fail "mke2fs"
mkdir -p /new
mount -t ext4 -o noatime "${scratch}2" /new || fail "mount"

step 3 installing the base system
unpack /new
mkdir -p /new/proc /new/sys /new/dev /new/debs /new/boot/efi /new/var/lib/dpkg/info /new/var/lib/dpkg/updates
: > /new/var/lib/dpkg/status
: > /new/var/lib/dpkg/available
mount --rbind /dev /new/dev
mount --bind /proc /new/proc
mount --bind /sys /new/sys
mount --bind /packages/debs /new/debs
cp -a /packages/files/. /new/
chown -R 0:0 /new/etc
printf '#!/bin/sh\nexit 101\n' > /new/usr/sbin/policy-rc.d
chmod 755 /new/usr/sbin/policy-rc.d
printf 'UUID=%s / ext4 errors=remount-ro 0 1\nUUID=%s /boot/efi vfat umask=0077 0 1\n' "$ROOT" "$ESP" > /new/etc/fstab
inside /new dpkg --force-depends,unsafe-io,confold --install $(sed 's|^|/debs/|' /packages/base) || fail "dpkg"

step 4 installing the other packages
inside /new apt-get -y -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold -o APT::Sandbox::User=root \
    --no-install-recommends install $(sed 's|^|/debs/|' /packages/all) || fail "apt-get"

step 5 installing the boot loader

# GRUB names the root file system by its UUID where udev knows that.
mkdir -p /dev/disk/by-uuid
ln -s "${scratch}2" "/dev/disk/by-uuid/$ROOT"
inside /new modprobe -a vfat nls_cp437 nls_ascii
mount -t vfat "${scratch}1" /new/boot/efi || fail "mount of the ESP"
inside /new grub-install --target=arm64-efi --removable --no-nvram --no-uefi-secure-boot || fail "grub-install"
inside /new update-grub || fail "update-grub"
inside /new systemctl enable systemd-networkd systemd-resolved ssh || fail "systemctl"

step 6 leaving out what differs from disk to disk
sync
umount /new/boot/efi /new/debs /new/sys /new/proc
umount -l /new/dev
rmdir /new/debs
rm -rf /new/usr/sbin/policy-rc.d /new/etc/ssh/ssh_host_* /new/var/lib/systemd/random-seed /new/var/cache/ldconfig /new/var/cache/apt/*.bin
rm -rf /new/var/lib/apt/lists/* /new/tmp/* /new/var/tmp/* /new/run/* /new/etc/*- /new/var/lib/dpkg/*-old /new/var/cache/debconf/*-old
rm -rf /new/lost+found
mkdir -p /base/esp /base/new
mount --bind /new /base/new
inside /base find /new/var/log -type f -delete
: > /new/etc/machine-id
ln -sf /etc/machine-id /new/var/lib/dbus/machine-id
ln -sf ../run/systemd/resolve/stub-resolv.conf /new/etc/resolv.conf
touch -d "@$EPOCH" /base/epoch
inside /base find /new -xdev -newer /epoch -exec touch -h -d "@$EPOCH" {} +

step 7 writing the disk
divide "$target"
mount -t vfat -o ro "${scratch}1" /base/esp
inside /base mkfs.vfat --invariant -g 64/32 -h 2048 -i "${ESP%-*}${ESP#*-}" -n ESP "${target}1" || fail "mkfs.vfat"
inside /base sh -c "mcopy -s -p -Q -i ${target}1 /esp/* ::/" || fail "mcopy"
inside /base mke2fs -q -t ext4 -U "$ROOT" -E "hash_seed=$ROOT,lazy_itable_init=1" -d /new "${target}2" || fail "mke2fs"
sync
step done
poweroff -f
