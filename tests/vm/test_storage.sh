# --storage-opt size on file systems with project quotas: ext4 with prjquota, XFS with pquota; and what is mounted in containers, on a kernel that does not
# take a part of a mount that is attached nowhere.
# shellcheck source-path=SCRIPTDIR source=tap.sh
. /skep/tests/vm/tap.sh

skep() {
	timeout 30 /skep/build/skep --root /quota/root --run-root /run/quota "$@"
}

limits() {
	skep run --name "$1" --network none --storage-opt size=16m busybox sh -c \
		'for i in 1 2; do dd if=/dev/zero of=/x$i bs=1M count=9 2>/dev/null; stat -c %s /x$i; done' >"$work/sizes"
	{
		read -r first
		read -r second
	} <"$work/sizes"
	[ "$first" = 9437184 ] && [ "$second" -lt 7340033 ]
}

work=$(mktemp -d)
[ -x /skep/build/skep ] || {
	skip "project quotas" "no build/skep"
	finish
}
modprobe -aq loop overlay erofs quota_v2 xfs || :
mkdir /quota
for kind in ext4 xfs; do
	option=prjquota
	[ $kind = ext4 ] || option=pquota
	[ -f "/skep/build/quota.$kind" ] || {
		skip "$kind" "no image of it"
		continue
	}
	cp "/skep/build/quota.$kind" "$work/image"
	mount -o loop,$option "$work/image" /quota || {
		skip "$kind" "the kernel does not mount it with $option"
		continue
	}
	cp -R /skep/build/store /quota/root
	check "$kind: no more than the size is written" limits limited
	refuse "$kind: by a quota, not a disk" ls /quota/root/containers/*/disk
	check "$kind: what others write is not counted" skep run --rm --network none busybox dd if=/dev/zero of=/x bs=1M count=30
	check "$kind: it is started again" skep start limited
	skep wait limited >/dev/null
	check "$kind: its changes are seen" sh -c "timeout 30 /skep/build/skep --root /quota/root --run-root /run/quota diff limited | grep -q 'A /x1'"
	check "$kind: it is removed" skep rm limited
	skep volume create -o size=4m limited >/dev/null
	is "$kind: a volume with a size" "$(skep run --rm --network none -v limited:/v busybox sh -c 'dd if=/dev/zero of=/v/x bs=1M count=8 2>/dev/null
		[ $(stat -c %s /v/x) -le 4194304 ] && echo limited')" limited
	umount /quota
done

mount -t tmpfs quota /quota
cp -R /skep/build/store /quota/root
if [ -x /usr/sbin/mkfs.ext4 ]; then
	check "tmpfs: no more than the size is written" limits limited
	check "tmpfs: by a disk" ls /quota/root/containers/*/disk
	mv /usr/sbin/mkfs.ext4 "$work/"
fi
skep run --storage-opt size=16m busybox true 2>"$work/said" || :
check "neither quotas nor mkfs: docker's words" grep -q "storage-opt is supported only for overlay over xfs with 'pquota' mount option" "$work/said"
is "a part of an image" "$(skep run --rm --network none --mount type=image,src=busybox,dst=/i,image-subpath=bin busybox sh -c 'cd /i && echo b*x')" busybox
is "an image to write to" "$(skep run --rm --network none --mount type=image,src=busybox,dst=/i,rw=true busybox sh -c 'echo x >/i/new && cat /i/new')" x
check "a volume" skep run --rm --network none -v volume:/v busybox sh -c 'mkdir /v/part && echo part >/v/part/file'
is "a part of a volume" "$(skep run --rm --network none --mount src=volume,dst=/v,volume-subpath=part busybox cat /v/file)" part
is "an overlay over a bind" "$(skep run --rm --network none -v "$work:/w:O" busybox sh -c 'echo x >/w/new && cat /w/new')" x
refuse "which is not written to" ls "$work/new"
skep volume create -o type=tmpfs -o device=tmpfs -o o=size=64k ram >/dev/null
is "a volume that is mounted" "$(skep run --rm --network none -v ram:/v busybox sh -c 'grep -c " /v tmpfs.*size=64k" /proc/mounts')" 1
refuse "and not any more" grep "/ram/_data" /proc/mounts
umount -l /quota
rm -rf "$work"
finish
