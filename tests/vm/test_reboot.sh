# Containers after a power cut, and after a clean reboot. Each boot runs this script; what it is for stands on the disk that stays.
# shellcheck source-path=SCRIPTDIR source=tap.sh
. /skep/tests/vm/tap.sh
# shellcheck disable=SC2016 # quoted for the container
disk=$(grep -lx 4 /sys/block/nvme0n*/nsid)
disk=${disk%/nsid}
mkdir -p /var/lib/skep
mount "/dev/${disk##*/}" /var/lib/skep || exit 1
skep=/usr/local/bin/skep
phase=$(cat /var/lib/skep/phase 2>/dev/null || echo begin)
echo "# phase $phase"

status() {
	$skep container inspect --format '{{.State.Status}}' "$1"
}

next_phase() {
	echo "$1" >/var/lib/skep/phase
	sync
}

case $phase in
begin)
	cp -a /skep/store/. /var/lib/skep/
	cp /skep/build/skep /skep/build/skep-runtime /usr/local/bin/
	cp /skep/build/skep-boot.service /etc/systemd/system/
	sed -i '/^RequiresMountsFor/d' /etc/systemd/system/skep-boot.service # here this script mounts it
	systemctl daemon-reload
	sleeps='trap "echo stopped >>/data/stopped; exit 0" TERM; echo up >>/data/up; sleep 100000 & wait'
	for policy in no always on-failure unless-stopped; do
		check "run --restart $policy" $skep run -d --name "$policy" --restart $policy -v "$policy:/data" busybox sh -c "$sleeps"
	done
	for policy in always unless-stopped; do
		check "stopped: run --restart $policy" $skep run -d --name "stopped-$policy" --restart $policy busybox sleep 1000
		check "stopped: stop" $skep stop -t 0 "stopped-$policy"
	done
	check "ended: run --restart on-failure" $skep run -d --name ended --restart on-failure busybox true
	check "ended" $skep wait ended
	check "created" $skep create --name created --restart always busybox true
	check "run -d --rm" $skep run -d --rm --name gone busybox sleep 1000
	check "running ones" sh -c "[ \$($skep ps -q | wc -l) = 5 ]"
	next_phase cut
	# nothing of this is waited for by the disk
	$skep run -d --name late --restart always busybox sleep 1000 >/dev/null
	$skep exec always touch /data/late
	echo b >/proc/sysrq-trigger
	sleep 60
	;;
cut)
	check "boot" systemctl start skep-boot.service
	for name in always on-failure unless-stopped stopped-always; do
		is "power cut: $name runs" "$(status $name)" running
		check "power cut: $name can be entered" $skep exec $name true
	done
	is "power cut: no" "$(status no)" exited
	is "power cut: why" "$($skep inspect --format '{{.State.Error}} {{.State.ExitCode}}' no)" "the machine was restarted 255"
	check "power cut: an event tells" sh -c "$skep events --since 0 --until 0s --filter container=no --filter event=die | grep -q exitCode=255"
	is "power cut: stopped by the user" "$(status stopped-unless-stopped)" exited
	is "power cut: ended well" "$(status ended)" exited
	is "power cut: created" "$(status created)" created
	refuse "power cut: --rm is gone" $skep inspect gone
	check "power cut: late or never" sh -c "! $skep inspect late 2>/dev/null || $skep rm -f late"
	is "power cut: nothing of the others runs" "$($skep ps -q | wc -l)" 4
	is "power cut: the image" "$($skep run --rm busybox echo runs)" runs
	check "power cut: no" $skep start no
	is "power cut: no runs again" "$(status no)" running
	for name in no always on-failure unless-stopped; do
		check "up twice: $name" sh -c "until [ \$($skep exec $name wc -l </dev/null /data/up | cut -d ' ' -f 1) = 2 ]; do :; done"
	done
	next_phase clean
	systemctl reboot
	sleep 60
	;;
clean)
	check "boot again" systemctl start skep-boot.service
	for name in always unless-stopped; do
		is "clean: $name runs" "$(status $name)" running
		is "clean: $name was asked to end" "$($skep exec $name cat /data/stopped)" stopped
	done
	is "clean: on-failure has ended well" "$(status on-failure) $($skep inspect --format '{{.State.ExitCode}}' on-failure)" "exited 0"
	is "clean: no" "$(status no)" exited
	is "clean: stopped by the user" "$(status stopped-unless-stopped)" exited
	check "rm -f of all" sh -c "$skep rm -f -v \$($skep ps -aq)"
	check "volume prune" $skep volume prune -a -f
	is "nothing is left" "$(find /run/skep/runtime /run/skep/monitors /var/lib/skep/containers /var/lib/skep/volumes -mindepth 1 | wc -l)" 0
	is "no control group" "$(find /sys/fs/cgroup/skep -mindepth 1 -maxdepth 1 -type d 2>/dev/null | wc -l)" 0
	check "rmi" $skep rmi busybox
	finish
	;;
esac
