# The guest itself: what the other tests here stand on.
# shellcheck source-path=SCRIPTDIR source=tap.sh
. /skep/tests/vm/tap.sh

as_user() {
	runuser -u user -- env XDG_RUNTIME_DIR=/run/user/1000 \
		DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus HOME=/home/user "$@"
}

kernel_from() {
	printf '%s\n%s\n' 5.10 "$(uname -r)" | sort -V -C
}

controller_in() {
	case " $(cat "$2/cgroup.controllers") " in
	*" $1 "*) ;;
	*) cat "$2/cgroup.controllers"; return 1 ;;
	esac
}

system_state() {
	state=$(systemctl is-system-running --wait)
	[ "$state" = running ] || { echo "$state"; systemctl --failed; return 1; }
}

# The ids of a child's user namespace, set by the set-uid programs.
# shellcheck disable=SC2016
newuidmap_works() {
	as_user sh -c '
		unshare -U sleep 60 & pid=$!
		while [ "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do :; done
		newuidmap $pid 0 1000 1 1 100000 65536 && newgidmap $pid 0 1000 1 1 100000 65536
		status=$?
		cat /proc/$pid/uid_map
		grep -q "1 *100000 *65536" /proc/$pid/uid_map || status=1
		kill $pid
		exit $status'
}

check "kernel is 5.10 or newer" kernel_from
matches "kernel is Debian's cloud kernel" "$(uname -r)" "*-cloud-*"
is "cgroup v2 alone" "$(stat -f -c %T /sys/fs/cgroup)" cgroup2fs
is "pid 1 is systemd" "$(cat /proc/1/comm)" systemd
check "systemd is up" system_state
check "D-Bus answers" busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
	org.freedesktop.DBus.Peer Ping
for c in cpuset cpu io memory hugetlb pids; do
	check "controller $c" controller_in $c /sys/fs/cgroup
done
check "overlay mounts" sh -c 'mkdir -p /run/o/l /run/o/u /run/o/w /run/o/m &&
	mount -t overlay -o lowerdir=/run/o/l,upperdir=/run/o/u,workdir=/run/o/w overlay /run/o/m && umount /run/o/m'

check "linger" loginctl enable-linger user
check "user manager is up" systemctl start user@1000.service
session=/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service
for c in cpu memory pids; do
	check "controller $c is delegated to the user" controller_in $c $session
done
is "the user owns the delegated cgroup" "$(stat -c %U $session/cgroup.procs)" user
check "the user's D-Bus answers" as_user busctl --user call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
	org.freedesktop.DBus.Peer Ping
check "the user's manager runs a service" as_user systemd-run --user --quiet --pipe --wait true
check "newuidmap and newgidmap" newuidmap_works
check "a user namespace without privilege" runuser -u single -- unshare -Ur true

is "AppArmor is enabled" "$(cat /sys/module/apparmor/parameters/enabled)" Y
matches "AppArmor is among the LSMs" "$(cat /sys/kernel/security/lsm)" "*apparmor*"
check "an AppArmor profile loads" sh -c 'echo "profile skep-guest { file, }" | apparmor_parser -r -K &&
	grep -q "^skep-guest (enforce)" /sys/kernel/security/apparmor/profiles'
finish
