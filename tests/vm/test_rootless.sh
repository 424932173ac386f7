# Containers of unprivileged users: ranges by newuidmap, a single id, with and
# without cgroups, and inside a user namespace that somebody else made.
# shellcheck source-path=SCRIPTDIR source=tap.sh
. /skep/tests/vm/tap.sh
# shellcheck source-path=SCRIPTDIR source=container.sh
. /skep/tests/vm/container.sh
# shellcheck disable=SC2016,SC2154 # quoted for jq and the container; from container.sh

# user has the sub-ids 100000-165535 and a session; single has neither.
as() {
	name=$1
	shift
	runuser -u "$name" -- env XDG_RUNTIME_DIR="/run/user/$(id -u "$name")" HOME="/home/$name" \
		DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$(id -u "$name")/bus" PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
as_rt() {
	name=$1
	shift
	as "$name" timeout 60 "$RUNTIME" --root "$work/$name" "$@"
}
for name in user single; do
	mkdir -p $work/$name
	chown $name $work/$name
done

user_ids='.linux |= (.uidMappings = [{containerID: 0, hostID: 1000, size: 1}, {containerID: 1, hostID: 100000, size: 65536}] | .gidMappings = .uidMappings)'
single_ids='.linux |= (.uidMappings = [{containerID: 0, hostID: 1001, size: 1}] | .gidMappings = .uidMappings)'
rootless='.linux.namespaces += [{type: "user"}] | del(.linux.resources, .linux.cgroupsPath)'

# as_up NAME ID FILTER
as_up() {
	bundle "$2" "$3"
	if as_rt "$1" create --bundle "$work/bundles/$2" "$2" </dev/null >"$work/$2.out" 2>&1 && as_rt "$1" start "$2"; then
		return
	fi
	cat "$work/$2.out"
	return 1
}

# Ranges of ids.
mkdir $work/shared
chmod 777 $work/shared
shared='.mounts += [{destination: "/data", type: "bind", source: "'$work'/shared", options: ["bind"]}]'
check "ranges: start" as_up user ranges "$rootless | $user_ids | $shared"
is "ranges: state" "$(as_rt user state ranges | jq -r .status)" running
is "ranges: uid_map" "$(as_rt user exec ranges cat /proc/self/uid_map | tr -s ' \n' ' ')" " 0 1000 1 1 100000 65536 "
is "ranges: gid_map" "$(as_rt user exec ranges cat /proc/self/gid_map | tr -s ' \n' ' ')" " 0 1000 1 1 100000 65536 "
check "ranges: files as root" as_rt user exec ranges touch /data/root
is "ranges: root's file is the user's" "$(stat -c %u:%g $work/shared/root)" 1000:1000
check "ranges: files as 5:7" as_rt user exec --user 5:7 ranges touch /data/five
is "ranges: 5:7 is of the range" "$(stat -c %u:%g $work/shared/five)" 100004:100006
check "ranges: chown inside" as_rt user exec ranges chown 9:9 /data/root
is "ranges: the new owner" "$(stat -c %u:%g $work/shared/root)" 100008:100008
is "ranges: the set of ids" "$(as_rt user exec --user 5:7 ranges id -u)" 5
is "ranges: no capability on the machine" "$(stat -c %U "/proc/$(as_rt user state ranges | jq -r .pid)")" user
check "ranges: /dev/null" as_rt user exec ranges sh -c ': >/dev/null && : </dev/zero && head -c 4 /dev/urandom >/dev/null'
refuse "ranges: another user does not see it" as_rt single state ranges
check "ranges: kill" as_rt user kill ranges KILL
check "ranges: stopped" within 10 sh -c "runuser -u user -- $RUNTIME --root $work/user state ranges | grep -q '\"stopped\"'"
check "ranges: delete" as_rt user delete ranges
is "ranges: nothing stays" "$(as_rt user list --format json | jq 'length')" 0
bundle status "$rootless | $user_ids | "'.process.args = ["sh", "-c", "id -u; exit 7"]'
is "run: output" "$(as_rt user run --bundle $work/bundles/status status </dev/null 2>/dev/null; echo "$?")" "0
7"
refuse "ranges: ids that are not the user's" as_up user foreign "$rootless | $user_ids | "'.linux.uidMappings[1].hostID = 200000'
refuse "ranges: ids that are not the user's: no container" as_rt user state foreign
as_rt user delete --force foreign >/dev/null 2>&1

# The network of the machine: sysfs cannot be mounted then, only bound.
host_network='.linux.namespaces |= map(select(.type != "network")) | .mounts |= map(
	if .type == "sysfs" then {destination: "/sys", type: "none", source: "/sys", options: ["rbind", "nosuid", "noexec", "nodev", "ro"]} else . end)'
check "the machine's network: start" as_up user network "$rootless | $user_ids | $host_network | "'.mounts |= map(select(.type != "cgroup"))'
is "the machine's network" "$(as_rt user exec network readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
as_rt user delete --force network

# One id, no set-uid program.
check "single id: start" as_up single lone "$rootless | $single_ids"
is "single id: uid_map" "$(as_rt single exec lone cat /proc/self/uid_map | tr -s ' ')" " 0 1001 1"
is "single id: setgroups" "$(as_rt single exec lone cat /proc/self/setgroups)" deny
check "single id: exec" as_rt single exec lone true
refuse "single id: no other user" as_rt single exec --user 5 lone true
check "single id: delete" as_rt single delete --force lone
refuse "single id: a range is refused" as_up single range "$rootless | $user_ids"
as_rt single delete --force range >/dev/null 2>&1
# The set-uid programs are hidden: a single id needs none of them.
bundle alone "$rootless | $single_ids | "'.process.args = ["id", "-u"]'
is "single id, without newuidmap" "$(unshare -m sh -c "mount --bind /dev/null /usr/bin/newuidmap && mount --bind /dev/null /usr/bin/newgidmap &&
	runuser -u single -- $RUNTIME --root $work/single run --bundle $work/bundles/alone alone </dev/null")" 0

# No cgroup to write to: fine as long as no limit is asked for.
bundle limited "$rootless | $single_ids | "'.linux.resources = {memory: {limit: 67108864}} | .process.args = ["true"]'
refuse "no cgroup: a limit is refused" as_rt single run --bundle $work/bundles/limited limited
refuse "no cgroup: refused: no container" as_rt single state limited
as_rt single delete --force limited >/dev/null 2>&1
check "no cgroup: start" as_up single free "$rootless | $single_ids"
is "no cgroup: it stays in the caller's" "$(sed -n 's/^0:://p' "/proc/$(as_rt single state free | jq -r .pid)/cgroup")" \
	"$(sed -n 's/^0:://p' /proc/self/cgroup)"
is "no cgroup: state" "$(as_rt single state free | jq -r .status)" running
check "no cgroup: delete" as_rt single delete --force free

# A cgroup that was delegated to the user: limits by the cgroupfs driver.
loginctl enable-linger user
systemctl start user@1000.service
own=/user.slice/user-1000.slice/user@1000.service
in_session() {
	as user systemd-run --user --quiet --pipe --wait --collect -- timeout 60 "$RUNTIME" --root "$work/user" "$@"
}
bundle delegated "$rootless | $user_ids | "'.linux.cgroupsPath = "'$own'/skep/delegated" |
	.linux.resources = {memory: {limit: 67108864}, pids: {limit: 20}}'
check "delegated cgroup: create" in_session create --bundle $work/bundles/delegated delegated
check "delegated cgroup: start" in_session start delegated
dir=/sys/fs/cgroup$own/skep/delegated
is "delegated cgroup: memory.max" "$(cat $dir/memory.max)" 67108864
is "delegated cgroup: pids.max" "$(cat $dir/pids.max)" 20
is "delegated cgroup: the container is in it" "$(cat $dir/cgroup.procs)" "$(as_rt user state delegated | jq -r .pid)"
check "delegated cgroup: exec" in_session exec delegated true
check "delegated cgroup: update" in_session update --pids-limit 50 delegated
is "delegated cgroup: updated" "$(cat $dir/pids.max)" 50
check "delegated cgroup: pause" in_session pause delegated
check "delegated cgroup: frozen" holds $dir/cgroup.events 'frozen 1'
check "delegated cgroup: resume" in_session resume delegated
check "delegated cgroup: delete" in_session delete --force delegated
check "delegated cgroup: gone" within 10 gone $dir

# Root of a user namespace that somebody else made, as in a container.
nested() {
	as user unshare --user --map-root-user --map-auto --mount --pid --fork --mount-proc timeout 60 sh -c "$1"
}
bundle inner 'del(.linux.resources, .linux.cgroupsPath) | .process.args = ["cat", "/proc/self/uid_map"]'
matches "nested: no user namespace of its own" \
	"$(nested "$RUNTIME --root $work/user/nested run --bundle $work/bundles/inner inner </dev/null" | tr -s ' \n' ' ')" " 0 1000 1 1 100000 6553[56] "
# an extent must not cross one of the namespace above: two of them
bundle innermost 'del(.linux.resources, .linux.cgroupsPath) | .linux.namespaces += [{type: "user"}] |
	.linux |= (.uidMappings = [{containerID: 0, hostID: 0, size: 1}, {containerID: 1, hostID: 1, size: 999}] | .gidMappings = .uidMappings) |
	.process.args = ["cat", "/proc/self/uid_map"]'
is "nested: a user namespace inside" \
	"$(nested "$RUNTIME --root $work/user/nested run --bundle $work/bundles/innermost innermost </dev/null" | tr -s ' \n' ' ')" " 0 0 1 1 1 999 "
finish
