# shellcheck shell=bash
# Shared by the run-* scripts: what a run does to mounts, networks, processes
# and cgroups must not outlive it or reach the machine.

# sandbox COMMAND...: runs it with a mount, process and network namespace of
# its own; leaving it ends every process the run forgot.
sandbox() {
	unshare --mount --pid --net --fork --kill-child --mount-proc -- "$@"
}

# A /sys/fs/cgroup of our own over the machine's hierarchies: suites make
# folders in it. CGROUP_VIEW=v1 hides the unified hierarchy, for runtimes that
# refuse a hybrid layout.
cgroup_view() {
	local new=$WORK/cgroup point type name
	grep -q '^cgroup2 /sys/fs/cgroup ' /proc/self/mounts && return 0
	mkdir "$new"
	mount -t tmpfs -o mode=755 cgroup "$new"
	while read -r _ point type _; do
		case $type:$point in
		cgroup:/sys/fs/cgroup/* | cgroup2:/sys/fs/cgroup/*) ;;
		*) continue ;;
		esac
		[ "$type" = cgroup2 ] && [ "${CGROUP_VIEW:-}" = v1 ] && continue
		name=${point##*/}
		for name in "$name" ${name//,/ }; do # "cpu,cpuacct" has links beside it
			[ -d "$new/$name" ] && continue
			mkdir "$new/$name"
			mount --bind "$point" "$new/$name"
		done
	done < <(cat /proc/self/mounts)
	mount --move "$new" /sys/fs/cgroup
}

# cgroup_idle CONTROLLER...: mounts v1 hierarchies that the kernel has and the
# machine does not use, in the sandbox alone.
cgroup_idle() {
	local name
	for name in "$@"; do
		[ -d "/sys/fs/cgroup/$name" ] || grep -q '^cgroup2 /sys/fs/cgroup ' /proc/self/mounts && continue
		mkdir "/sys/fs/cgroup/$name"
		if mount -t cgroup -o "$name" "$name" "/sys/fs/cgroup/$name" 2>/dev/null; then
			IDLE+=("$name")
		else
			rmdir "/sys/fs/cgroup/$name"
		fi
	done
}
IDLE=()

# cgroup_idle_end: a hierarchy goes a moment after its last mount, but not when
# groups below it were still going; then it is mounted and unmounted once more.
cgroup_idle_end() {
	local name n
	for name in "${IDLE[@]}"; do
		umount "/sys/fs/cgroup/$name"
		for n in {1..50}; do
			awk -v name="$name" '$1 == name && $2 != 0 { found = 1 } END { exit !found }' /proc/cgroups || continue 2
			sleep 0.1
			[ $((n % 10)) -eq 0 ] && mount -t cgroup -o "$name" "$name" "/sys/fs/cgroup/$name" && umount "/sys/fs/cgroup/$name"
		done
		echo "left behind: the hierarchy $name"
	done
}

# inside_setup: to be called first in the sandbox
inside_setup() {
	mount --make-rprivate /
	cgroup_view
	mount -t tmpfs -o mode=755 run /run
	ip link set lo up 2>/dev/null
	cgroup_list >"$WORK/cgroups"
}

cgroup_list() { find /sys/fs/cgroup/ -mindepth 2 -type d 2>/dev/null | sort; }

# those that were not there when the run began
cgroup_new() { cgroup_list | comm -13 "$WORK/cgroups" -; }

# cgroup_sweep PATTERN: removes what the run left in the cgroup trees, deepest
# first: only folders that were not there before and whose path matches the
# extended regular expression.
cgroup_sweep() {
	local d
	cgroup_new | grep -E "$1" | sort -r | while read -r d; do
		rmdir "$d" 2>/dev/null || echo "left behind: $d"
	done
}
