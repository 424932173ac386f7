# container.sh: bundles for, and calls of, the runtime under test. Source it after
# tap.sh; a script that finds no runtime ends here with one skipped line.
#
#   rt ARGUMENT…             calls the runtime ($options: the global ones a script wants)
#   bundle ID [FILTER]       makes ID's bundle: the base configuration through a jq filter
#   up ID [FILTER]           bundle, create, start
#   down ID…                 delete --force
#   in_container ID COMMAND… exec
#   pid ID, status ID        fields of its state
#   cgroup ID                its cgroup as a folder of this machine
#   value ID FILE            a file of that cgroup
#   within SECONDS COMMAND…  waits until the command succeeds
#
# A call that takes a minute is ended: a test must not hang the ones after it.

work=/run/skep-vm
state=$work/state
options=

if [ -z "${RUNTIME:-}" ]; then
	skip "$(basename "$0")" "no runtime"
	exit 0
fi

if [ ! -d $work/rootfs ]; then
	mkdir -p $work/rootfs/bin $work/bundles
	for d in proc sys dev tmp etc run data; do
		mkdir $work/rootfs/$d
	done
	cp /bin/busybox $work/rootfs/bin/
	chroot $work/rootfs /bin/busybox --install -s /bin
	chmod 1777 $work/rootfs/tmp $work/bundles
fi

base_config() {
	cat <<-E
		{"ociVersion": "1.0.2", "hostname": "vm",
		"process": {"args": ["sleep", "1000"], "env": ["PATH=/bin"], "cwd": "/", "user": {"uid": 0, "gid": 0},
		  "capabilities": {"bounding": $capabilities, "effective": $capabilities, "permitted": $capabilities}},
		"root": {"path": "$work/rootfs"},
		"mounts": [
		  {"destination": "/proc", "type": "proc", "source": "proc"},
		  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
		  {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]},
		  {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},
		  {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
		  {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]}],
		"linux": {"cgroupsPath": "$cgroups_path",
		  "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}, {"type": "cgroup"}],
		  "resources": {"devices": [{"allow": false, "access": "rwm"}]}}}
	E
}
capabilities='["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"]'

# jq filters that several scripts use
# shellcheck disable=SC2034
{
	no_pid_namespace='.linux.namespaces |= map(select(.type != "pid"))'
	writable_cgroup='(.mounts[] | select(.type == "cgroup").options) -= ["ro"]'
}

rt() {
	# shellcheck disable=SC2086 # a list
	timeout 60 "$RUNTIME" --root $state $options "$@"
}

# The path a configuration gets: each driver has its own form.
default_cgroups_path() {
	case $options in
	*--systemd-cgroup*) echo "skepvm.slice:skep:$1" ;;
	*) echo "/skep-vm/$1" ;;
	esac
}

bundle() {
	mkdir -p "$work/bundles/$1"
	cgroups_path=$(default_cgroups_path "$1")
	base_config | jq "${2:-.}" >"$work/bundles/$1/config.json"
}

up() {
	if bundle "$@" && rt create --bundle "$work/bundles/$1" "$1" </dev/null >"$work/$1.out" 2>&1 && rt start "$1"; then
		return
	fi
	cat "$work/$1.out"
	return 1
}

down() {
	for id in "$@"; do
		rt delete --force "$id"
	done
}

in_container() {
	id=$1
	shift
	rt exec "$id" "$@"
}

pid() {
	rt state "$1" | jq -r .pid
}

status() {
	rt state "$1" 2>/dev/null | jq -r .status
}

cgroup() {
	sed -n 's|^0::|/sys/fs/cgroup|p' "/proc/$(pid "$1")/cgroup"
}

value() {
	cat "$(cgroup "$1")/$2"
}

within() {
	deadline=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$deadline" ] || { echo "not within the time: $*"; return 1; }
		sleep 0.05
	done
}

# Does a cgroup file hold this line?
holds() {
	grep -qx -e "$2" "$1" || { cat "$1"; return 1; }
}

gone() {
	[ ! -e "$1" ]
}

# Opening a file of the container fails with EPERM, whatever the container may do else.
denied() {
	if in_container "$1" sh -c "$2" >"$work/denied" 2>&1; then
		echo "was allowed"
		return 1
	fi
	grep -q 'not permitted' "$work/denied" || { cat "$work/denied"; return 1; }
}
