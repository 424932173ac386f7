# The systemd driver: scopes with properties, by the system's manager and a user's.
# shellcheck source-path=SCRIPTDIR source=tap.sh
. /skep/tests/vm/tap.sh
# shellcheck source-path=SCRIPTDIR source=container.sh
. /skep/tests/vm/container.sh
# shellcheck disable=SC2016,SC2154 # quoted for jq and the container; from container.sh
options=--systemd-cgroup

property() {
	systemctl show -P "$2" "$1"
}

loaded() {
	[ "$(property "$1" LoadState)" = loaded ]
}

unloaded() {
	! loaded "$1"
}

# The scope, its properties and the cgroup's files say the same.
check "scope: start" up one '.linux.resources += {
	memory: {limit: 67108864, swap: 100663296, reservation: 33554432},
	cpu: {shares: 262144, quota: 50000, period: 100000, cpus: "0"},
	pids: {limit: 20}, blockIO: {weight: 500},
	unified: {"memory.high": "50331648"}}'
scope=skep-one.scope
dir=/sys/fs/cgroup/skepvm.slice/$scope
is "slice:prefix:name names the scope" "$(cgroup one)" $dir
is "scope: state" "$(property $scope ActiveState)" active
is "scope: slice" "$(property $scope Slice)" skepvm.slice
is "scope: Delegate" "$(property $scope Delegate)" yes
is "MemoryMax" "$(property $scope MemoryMax)" 67108864
is "MemorySwapMax" "$(property $scope MemorySwapMax)" 33554432
is "MemoryLow" "$(property $scope MemoryLow)" 33554432
is "MemoryHigh from unified" "$(property $scope MemoryHigh)" 50331648
is "TasksMax" "$(property $scope TasksMax)" 20
is "CPUWeight" "$(property $scope CPUWeight)" 10000
is "CPUQuota" "$(property $scope CPUQuotaPerSecUSec)" 500ms
is "AllowedCPUs" "$(property $scope AllowedCPUs)" 0
is "memory.max" "$(cat $dir/memory.max)" 67108864
is "memory.swap.max" "$(cat $dir/memory.swap.max)" 33554432
is "memory.high" "$(cat $dir/memory.high)" 50331648
is "pids.max" "$(cat $dir/pids.max)" 20
is "cpu.max" "$(cat $dir/cpu.max)" "50000 100000"
is "cpu.weight" "$(cat $dir/cpu.weight)" 10000
is "io.weight" "$(cat $dir/io.weight)" "default 4950"
is "exec enters the scope" "$(in_container one sh -c 'cut -d: -f3 /proc/self/cgroup')" /
check "stats" sh -c "$RUNTIME --root $state $options events --stats one |
	jq -e '.data.memory.usage.limit == 67108864 and .data.pids.limit == 20 and .data.cpu.usage.total > 0'"
refuse "a second one of the same name" up one

# Updates go through systemd, so that it does not undo them.
check "update" rt update --memory 134217728 --memory-swap 134217728 --pids-limit 50 --cpu-share 2 \
	--cpu-quota 20000 --cpu-period 100000 one
is "update: MemoryMax" "$(property $scope MemoryMax)" 134217728
is "update: MemorySwapMax" "$(property $scope MemorySwapMax)" 0
is "update: TasksMax" "$(property $scope TasksMax)" 50
is "update: CPUWeight" "$(property $scope CPUWeight)" 1
is "update: CPUQuota" "$(property $scope CPUQuotaPerSecUSec)" 200ms
files() {
	echo "$(cat $dir/memory.max) $(cat $dir/memory.swap.max) $(cat $dir/pids.max) $(cat $dir/cpu.weight) $(cat $dir/cpu.max)"
}
is "update: the files" "$(files)" "134217728 0 50 1 20000 100000"
check "daemon-reload" systemctl daemon-reload
is "daemon-reload undoes nothing" "$(files)" "134217728 0 50 1 20000 100000"
check "pause" rt pause one
check "paused: frozen" holds $dir/cgroup.events 'frozen 1'
is "paused: state" "$(status one)" paused
check "resume" rt resume one
check "resumed: not frozen" holds $dir/cgroup.events 'frozen 0'
check "kill" rt kill one KILL
check "kill: state" within 10 sh -c "[ \"\$($RUNTIME --root $state state one | jq -r .status)\" = stopped ]"
check "delete" rt delete one
check "delete: the scope is gone" within 10 unloaded $scope
check "delete: the cgroup is gone" within 10 gone $dir

# Devices: systemd's own filter and ours must agree, also after a reload.
modprobe loop
check "devices: start" up devices '.linux.devices = [
	{path: "/dev/loop0", type: "b", major: 7, minor: 0, fileMode: 438},
	{path: "/dev/loop1", type: "b", major: 7, minor: 1, fileMode: 438}] |
	.linux.resources.devices += [{allow: true, type: "b", major: 7, minor: 0, access: "rw"}]'
for when in "at first" "after daemon-reload" "after an update"; do
	case $when in
	*reload) systemctl daemon-reload ;;
	*update) rt update --memory 134217728 devices ;;
	esac
	check "devices $when: listed" in_container devices head -c 0 /dev/loop0
	check "devices $when: not listed" denied devices 'head -c 1 /dev/loop1'
	check "devices $when: /dev/null" in_container devices sh -c ': </dev/null >/dev/null'
done
down devices

# Names.
check "nested slice: start" up inner '.linux.cgroupsPath = "skepvm-deep-er.slice:skep:inner"'
is "nested slice" "$(cgroup inner)" /sys/fs/cgroup/skepvm.slice/skepvm-deep.slice/skepvm-deep-er.slice/skep-inner.scope
down inner
check "no path: start" up pathless 'del(.linux.cgroupsPath)'
matches "no path: a scope of system.slice" "$(cgroup pathless)" "/sys/fs/cgroup/system.slice/*pathless.scope"
down pathless
check "no slice: start" up sliceless '.linux.cgroupsPath = ":skep:sliceless"'
is "no slice: system.slice" "$(cgroup sliceless)" /sys/fs/cgroup/system.slice/skep-sliceless.scope
down sliceless
check "a name to escape: start" up dashed '.linux.cgroupsPath = "skepvm.slice:skep:a-b_c.d"'
is "a name to escape" "$(cgroup dashed)" /sys/fs/cgroup/skepvm.slice/skep-a-b_c.d.scope
down dashed
refuse "a path without colons" up bad '.linux.cgroupsPath = "/skep/bad"'
rt delete --force bad >/dev/null 2>&1
refuse "a slice that is none" up bad '.linux.cgroupsPath = "a/b:skep:bad"'
rt delete --force bad >/dev/null 2>&1

# Annotations set properties of the scope.
check "annotations: start" up noted '.annotations = {
	"org.systemd.property.TimeoutStopUSec": "uint64 123000000",
	"org.systemd.property.Description": "'\''a note'\''"}'
is "annotations: a number" "$(property skep-noted.scope TimeoutStopUSec)" "2min 3s"
is "annotations: a string" "$(property skep-noted.scope Description)" "a note"
down noted

# The ends of a scope.
family='.process.args = ["sh", "-c", "sleep 1000 & setsid sleep 1000 & exec sleep 1000"]'
check "kill --all: start" up all "$no_pid_namespace | $family"
dir=$(cgroup all)
within 10 sh -c "[ \$(wc -l <$dir/cgroup.procs) -ge 3 ]"
check "kill --all" rt kill --all all KILL
check "kill --all: nothing lives" within 10 sh -c "[ ! -e $dir ] || grep -q 'populated 0' $dir/cgroup.events"
check "kill --all: delete" rt delete all
check "kill --all: the scope is gone" within 10 unloaded skep-all.scope
bundle seven '.process.args = ["sh", "-c", "exit 7"]'
rt run --bundle $work/bundles/seven seven </dev/null >/dev/null 2>&1
is "run: the status of the program" $? 7
check "run: the scope is gone" within 10 unloaded skep-seven.scope
bundle greedy '.process.args = ["sh", "-c", "tail /dev/zero"] | .linux.resources.memory = {limit: 16777216, swap: 16777216}'
rt run --bundle $work/bundles/greedy greedy </dev/null >/dev/null 2>&1
is "out of memory: status" $? 137
check "out of memory: no failed scope stays" within 10 unloaded skep-greedy.scope
check "the init dies by itself: start" up dead
kill -KILL "$(pid dead)"
check "the init dies by itself: state" within 10 sh -c "[ \"\$($RUNTIME --root $state state dead | jq -r .status)\" = stopped ]"
check "the init dies by itself: delete" rt delete dead
check "the init dies by itself: the scope is gone" within 10 unloaded skep-dead.scope
check "stopped by systemd: start" up stopped
check "stopped by systemd" systemctl stop skep-stopped.scope
check "stopped by systemd: state" within 10 sh -c "[ \"\$($RUNTIME --root $state state stopped | jq -r .status)\" = stopped ]"
check "stopped by systemd: delete" rt delete stopped
refuse "refused: no such hugetlb size" up bad '.linux.resources.hugepageLimits = [{pageSize: "3MB", limit: 1}]'
check "refused: no scope stays" within 10 unloaded skep-bad.scope
check "refused: no container" sh -c "! $RUNTIME --root $state state bad"
rt delete --force bad >/dev/null 2>&1

# Delegation to a user namespace.
mapped='.linux.namespaces += [{type: "user"}] | .linux |= (.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .gidMappings = .uidMappings)'
check "userns: start" up mapped "$mapped | $writable_cgroup | .linux.resources.memory.limit = 67108864"
dir=$(cgroup mapped)
for f in . cgroup.procs cgroup.subtree_control cgroup.threads; do
	is "userns: owner of $f" "$(stat -c %u "$dir/$f")" 100000
done
is "userns: owner of memory.max" "$(stat -c %u "$dir/memory.max")" 0
check "userns: a cgroup made inside" in_container mapped mkdir /sys/fs/cgroup/inner
down mapped
check "userns: the scope is gone" within 10 unloaded skep-mapped.scope

# A user's own manager: no privilege, limits all the same.
loginctl enable-linger user
systemctl start user@1000.service
session() {
	runuser -u user -- env XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus \
		HOME=/home/user PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
own=/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service
user_rt() {
	session systemd-run --user --quiet --pipe --wait --collect -- \
		timeout 60 "$RUNTIME" --root /run/user/1000/skep --systemd-cgroup "$@"
}
rootless='.linux.namespaces += [{type: "user"}] |
	.linux |= (.uidMappings = [{containerID: 0, hostID: 1000, size: 1}, {containerID: 1, hostID: 100000, size: 65536}] | .gidMappings = .uidMappings)'
user_up() {
	bundle "$1" "$rootless | $2"
	user_rt create --bundle "$work/bundles/$1" "$1" && user_rt start "$1"
}
user_property() {
	session systemctl --user show -P "$2" "$1"
}
check "user: start" user_up mine '.linux.cgroupsPath = "app.slice:skep:mine" |
	.linux.resources = {memory: {limit: 67108864}, pids: {limit: 20}, cpu: {quota: 50000, period: 100000, shares: 262144}}'
dir=$own/app.slice/skep-mine.scope
is "user: the scope of the user's manager" "$(user_property skep-mine.scope ActiveState)" active
is "user: Delegate" "$(user_property skep-mine.scope Delegate)" yes
is "user: MemoryMax" "$(user_property skep-mine.scope MemoryMax)" 67108864
is "user: TasksMax" "$(user_property skep-mine.scope TasksMax)" 20
is "user: memory.max" "$(cat $dir/memory.max)" 67108864
is "user: pids.max" "$(cat $dir/pids.max)" 20
is "user: cpu.max" "$(cat $dir/cpu.max)" "50000 100000"
is "user: state" "$(user_rt state mine | jq -r .status)" running
is "user: the container's init is in it" "$(cat $dir/cgroup.procs)" "$(user_rt state mine | jq -r .pid)"
check "user: exec" user_rt exec mine true
check "user: update" user_rt update --memory 134217728 --pids-limit 50 mine
is "user: update: MemoryMax" "$(user_property skep-mine.scope MemoryMax)" 134217728
is "user: update: memory.max" "$(cat $dir/memory.max)" 134217728
is "user: update: pids.max" "$(cat $dir/pids.max)" 50
check "user: pause" user_rt pause mine
check "user: frozen" holds $dir/cgroup.events 'frozen 1'
check "user: resume" user_rt resume mine
check "user: delete" user_rt delete --force mine
check "user: the cgroup is gone" within 10 gone $dir
is "user: the scope is gone" "$(user_property skep-mine.scope LoadState)" not-found
check "user, no path: start" user_up pathless 'del(.linux.cgroupsPath) | .linux.resources = {}'
matches "user, no path: below the user's manager" \
	"$(cut -d: -f3 "/proc/$(user_rt state pathless | jq -r .pid)/cgroup")" "${own#/sys/fs/cgroup}/*pathless.scope"
user_rt delete --force pathless
finish
