# cgroup v2 by the cgroupfs driver: limits, devices, freezer, kill, stats, ownership.
# shellcheck source-path=SCRIPTDIR source=tap.sh
. /skep/tests/vm/tap.sh
# shellcheck source-path=SCRIPTDIR source=container.sh
. /skep/tests/vm/container.sh
# shellcheck disable=SC2154 # from container.sh
# shellcheck disable=SC2016 # jq's variables, and the container's

# Limits at creation, in the units of the files.
disk=$(cat /sys/block/nvme0n1/dev)
check "limits: start" up limits '.linux.resources += {
	memory: {limit: 67108864, swap: 100663296, reservation: 33554432},
	cpu: {shares: 1024, quota: 50000, period: 100000, cpus: "0"},
	pids: {limit: 20},
	blockIO: {weight: 500, throttleReadBpsDevice: [{major: '"${disk%:*}, minor: ${disk#*:}"', rate: 1048576}]},
	hugepageLimits: [{pageSize: "2MB", limit: 4194304}],
	unified: {"memory.high": "50331648", "cgroup.max.descendants": "7"}}'
is "cgroupsPath is the path below the mount" "$(cgroup limits)" /sys/fs/cgroup/skep-vm/limits
is "memory.max" "$(value limits memory.max)" 67108864
is "memory.swap.max is swap less memory" "$(value limits memory.swap.max)" 33554432
is "memory.low is the reservation" "$(value limits memory.low)" 33554432
is "cpu.max" "$(value limits cpu.max)" "50000 100000"
# 39: linear from 2..262144 to 1..10000; 100: the newer curve that keeps the default the default
check "cpu.weight of 1024 shares" holds "$(cgroup limits)/cpu.weight" '39\|100'
is "cpuset.cpus" "$(value limits cpuset.cpus)" 0
is "pids.max" "$(value limits pids.max)" 20
is "io.weight of blkio weight 500" "$(value limits io.weight)" "default 4950"
check "io.max" holds "$(cgroup limits)/io.max" "$disk rbps=1048576 .*"
is "hugetlb.2MB.max" "$(value limits hugetlb.2MB.max)" 4194304
is "unified: memory.high" "$(value limits memory.high)" 50331648
is "unified: a file of the core" "$(value limits cgroup.max.descendants)" 7
refuse "the 21st process is refused" in_container limits sh -c 'for i in $(seq 25); do sleep 5 & done 2>&1; wait'

# Stats of the same container.
rt events --stats limits >$work/stats 2>&1
stat() {
	jq -e "$1" $work/stats
}
check "stats: the envelope" stat '.type == "stats" and .id == "limits"'
check "stats: CPU time, user and kernel" stat '.data.cpu.usage | .total > 0 and .total >= .user and has("kernel")'
check "stats: throttling" stat '.data.cpu.throttling | type == "object"'
check "stats: memory" stat '.data.memory.usage | .usage > 0 and .limit == 67108864'
check "stats: swap limit" stat '.data.memory.swap.limit | . == 33554432 or . == 100663296'
check "stats: memory.stat as it is" stat '.data.memory.raw | .anon >= 0 and .file >= 0 and has("pgfault")'
check "stats: pids" stat '.data.pids | .current >= 1 and .limit == 20'
check "stats: huge pages" stat '.data.hugetlb | has("2MB")'
check "stats: blkio" stat '.data.blkio | type == "object"'

# Changes by update.
check "update: memory and swap" rt update --memory 134217728 --memory-swap 268435456 limits
is "update: memory.max" "$(value limits memory.max)" 134217728
is "update: memory.swap.max" "$(value limits memory.swap.max)" 134217728
check "update: pids" rt update --pids-limit 50 limits
is "update: pids.max" "$(value limits pids.max)" 50
check "update: quota" rt update --cpu-quota 20000 --cpu-period 200000 limits
is "update: cpu.max" "$(value limits cpu.max)" "20000 200000"
check "update: largest share" rt update --cpu-share 262144 limits
is "update: cpu.weight of 262144 shares" "$(value limits cpu.weight)" 10000
check "update: smallest share" rt update --cpu-share 2 limits
is "update: cpu.weight of 2 shares" "$(value limits cpu.weight)" 1
is "update: what it does not name stays" "$(value limits pids.max) $(value limits memory.max)" "50 134217728"
check "update: JSON on standard input" sh -c "echo '{\"memory\": {\"limit\": 201326592, \"swap\": 201326592}, \"pids\": {\"limit\": -1}}' |
	$RUNTIME --root $state update --resources=- limits"
is "update: JSON: memory.max" "$(value limits memory.max)" 201326592
is "update: JSON: equal swap is none" "$(value limits memory.swap.max)" 0
is "update: JSON: -1 is no limit" "$(value limits pids.max)" max
check "update: no limit" rt update --memory -1 --memory-swap -1 limits
is "update: memory.max without limit" "$(value limits memory.max)" max
is "update: memory.swap.max without limit" "$(value limits memory.swap.max)" max

# Freezer.
events=$(cgroup limits)/cgroup.events
check "pause" rt pause limits
check "paused: the cgroup is frozen" holds "$events" 'frozen 1'
is "paused: state" "$(status limits)" paused
refuse "paused: exec is refused" timeout 10 "$RUNTIME" --root $state exec limits true
check "resume" rt resume limits
check "resumed: the cgroup is not frozen" holds "$events" 'frozen 0'
is "resumed: state" "$(status limits)" running
dir=$(cgroup limits)
rt pause limits
check "delete --force of a paused one" timeout 20 "$RUNTIME" --root $state delete --force limits
check "delete: the cgroup is gone" gone "$dir"

# Newer fields; each is absent in some kernels.
check "cpu: start" up burst '.linux.resources.cpu = {quota: 50000, period: 100000, burst: 20000}'
is "cpu.max.burst" "$(value burst cpu.max.burst)" 20000
down burst
check "cpu idle: start" up idle '.linux.resources.cpu = {idle: 1}'
is "cpu.idle" "$(value idle cpu.idle)" 1
down idle
check "no limits in words: start" up nolimit '.linux.resources += {memory: {limit: -1}, cpu: {period: 50000}, pids: {limit: -1}}'
is "no limits: memory.max" "$(value nolimit memory.max)" max
is "no limits: pids.max" "$(value nolimit pids.max)" max
is "period alone" "$(value nolimit cpu.max)" "max 50000"
down nolimit

# Where the cgroup lies.
check "nested path: start" up nested '.linux.cgroupsPath = "/skep-vm-a/b/c" | .linux.resources.memory.limit = 67108864'
is "nested path: the limit" "$(cat /sys/fs/cgroup/skep-vm-a/b/c/memory.max)" 67108864
down nested
check "nested path: deleted" gone /sys/fs/cgroup/skep-vm-a/b/c
rmdir /sys/fs/cgroup/skep-vm-a/b /sys/fs/cgroup/skep-vm-a 2>/dev/null
check "no path: start" up pathless 'del(.linux.cgroupsPath)'
dir=$(cgroup pathless)
matches "no path: a cgroup of its own" "$dir" "*pathless*"
down pathless
check "no path: deleted" gone "$dir"

# Devices: the last rule that matches decides.
modprobe loop
nodes='.linux.devices = [
	{path: "/dev/loop0", type: "b", major: 7, minor: 0, fileMode: 438},
	{path: "/dev/loop1", type: "b", major: 7, minor: 1, fileMode: 438},
	{path: "/dev/loop-control", type: "c", major: 10, minor: 237, fileMode: 438}]'
check "devices: start" up devices "$nodes"' | .linux.resources.devices += [
	{allow: true, type: "b", major: 7, minor: 0, access: "r"}]'
check "devices: listed for reading" in_container devices head -c 0 /dev/loop0
check "devices: listed for reading, not for writing" denied devices ': >/dev/loop0'
check "devices: not listed, block" denied devices 'head -c 1 /dev/loop1'
check "devices: not listed, character" denied devices ': </dev/loop-control'
for d in null zero full random urandom tty ptmx; do
	case $d in
	tty) check "devices: /dev/$d is not denied" sh -c "! $RUNTIME --root $state exec devices sh -c ': </dev/tty' 2>&1 | grep 'not permitted'" ;;
	*) check "devices: /dev/$d is always there" in_container devices sh -c ": </dev/$d" ;;
	esac
done
check "devices: an update of memory keeps the rules" rt update --memory 134217728 devices
check "devices: denied after the update" denied devices 'head -c 1 /dev/loop1'
check "devices: listed after the update" in_container devices head -c 0 /dev/loop0
down devices
check "devices: allow all but one: start" up butone "$nodes"' | .linux.resources.devices = [
	{allow: true, access: "rwm"}, {allow: false, type: "b", major: 7, minor: 1, access: "rw"}]'
check "devices: allow all but one: others" in_container butone sh -c ': </dev/loop-control && head -c 0 /dev/loop0'
check "devices: allow all but one: that one" denied butone 'head -c 1 /dev/loop1'
down butone
check "devices: wildcard minor: start" up wildcard "$nodes"' | .linux.resources.devices += [
	{allow: true, type: "b", major: 7, access: "rwm"}]'
check "devices: wildcard minor: all of the major" in_container wildcard sh -c 'head -c 0 /dev/loop0 && head -c 0 /dev/loop1'
check "devices: wildcard minor: the other type" denied wildcard ': </dev/loop-control'
down wildcard

# Signals to everything in the cgroup; no pid namespace does it here.
family='.process.args = ["sh", "-c", "sleep 1000 & setsid sleep 1000 & setsid sleep 1000 & exec sleep 1000"]'
check "kill --all: start" up all "$no_pid_namespace | $family"
dir=$(cgroup all)
within 10 sh -c "[ \$(wc -l <$dir/cgroup.procs) -ge 4 ]"
is "ps lists all of the cgroup" "$(rt ps --format json all | jq length)" 4
check "kill --all" rt kill --all all KILL
check "kill --all: nothing lives" within 10 holds "$dir/cgroup.events" 'populated 0'
check "kill --all: state" within 10 sh -c "[ \"\$($RUNTIME --root $state state all | jq -r .status)\" = stopped ]"
check "kill --all: delete" rt delete all
check "kill --all: the cgroup is gone" gone "$dir"
check "delete --force ends all: start" up family "$no_pid_namespace | $family"
dir=$(cgroup family)
within 10 sh -c "[ \$(wc -l <$dir/cgroup.procs) -ge 4 ]"
check "delete --force ends all" rt delete --force family
check "delete --force ends all: the cgroup is gone" gone "$dir"

# A container that divides its own cgroup.
check "sub-cgroups: start" up divided "$writable_cgroup"
dir=$(cgroup divided)
check "sub-cgroups: made inside" in_container divided sh -c 'cd /sys/fs/cgroup && mkdir leaf other other/deep &&
	for p in $(cat cgroup.procs); do echo $p >leaf/cgroup.procs; done 2>/dev/null; echo +memory >cgroup.subtree_control'
check "sub-cgroups: exec still enters" in_container divided true
is "sub-cgroups: exec lands inside" "$(in_container divided sh -c 'cut -d: -f3 /proc/self/cgroup')" /leaf
down divided
check "sub-cgroups: all are gone" gone "$dir"

# Out of memory.
bundle oom '.process.args = ["sh", "-c", "tail /dev/zero"] | .linux.resources.memory = {limit: 16777216, swap: 16777216}'
check "OOM: create" sh -c "$RUNTIME --root $state create --bundle $work/bundles/oom oom </dev/null >$work/oom.out 2>&1"
dir=$(cgroup oom)
rt events --interval 100ms oom >$work/oom.events 2>&1 &
watcher=$!
check "OOM: events listens" within 20 grep -q stats $work/oom.events
rt start oom
check "OOM: the kernel's count" within 20 sh -c "grep -q 'oom_kill [1-9]' $dir/memory.events"
check "OOM: events reports it" within 10 sh -c "jq -e 'select(.type == \"oom\" and .id == \"oom\")' $work/oom.events | grep -q oom"
down oom
wait $watcher # it ends with the container

# The kill that ends a container: its end is seen before the delayed change of memory.events.
bundle last '.process.args = ["tail", "/dev/zero"] | .linux.resources.memory = {limit: 16777216, swap: 16777216}'
check "OOM of the init: create" sh -c "$RUNTIME --root $state create --bundle $work/bundles/last last </dev/null >$work/last.out 2>&1"
rt events --interval 1s last >$work/last.events 2>&1 &
watcher=$!
check "OOM of the init: events listens" within 20 grep -q stats $work/last.events
rt start last
wait $watcher
is "OOM of the init: events tells it, and ends" "$(jq -c .type <$work/last.events | tail -n 1)" '"oom"'
down last

# Delegation to a user namespace.
mapped='.linux.namespaces += [{type: "user"}] | .linux |= (.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .gidMappings = .uidMappings)'
owner() {
	command stat -c %u "$dir/$1"
}
check "userns: start" up mapped "$mapped | $writable_cgroup | .linux.resources.memory.limit = 67108864"
dir=$(cgroup mapped)
is "userns: owner of the cgroup" "$(owner .)" 100000
while read -r f; do
	[ ! -e "$dir/$f" ] || is "userns: owner of $f" "$(owner "$f")" 100000
done </sys/kernel/cgroup/delegate
for f in memory.max pids.max cgroup.freeze; do
	is "userns: owner of $f" "$(owner $f)" 0
done
check "userns: a cgroup made inside" in_container mapped mkdir /sys/fs/cgroup/inner
refuse "userns: its own limit is not its to change" in_container mapped sh -c 'echo max >/sys/fs/cgroup/memory.max'
down mapped
check "userns: all is gone" gone "$dir"
check "userns, cgroup read-only: start" up readonly "$mapped"
dir=$(cgroup readonly)
is "userns, cgroup read-only: not delegated" "$(owner .)" 0
down readonly

# What must not work, and what it leaves: nothing.
refused() {
	refuse "refused: $1" up bad "$2"
	check "refused: $1: no container" sh -c "! $RUNTIME --root $state state bad"
	check "refused: $1: no cgroup" gone /sys/fs/cgroup/skep-vm/bad
	rt delete --force bad >/dev/null 2>&1
}
refused "unified: an unknown file" '.linux.resources.unified = {"no.such": "1"}'
refused "unified: a value the kernel refuses" '.linux.resources.unified = {"memory.max": "no number"}'
refused "unified: a path" '.linux.resources.unified = {"../memory.max": "1"}'
refused "swap below memory" '.linux.resources.memory = {limit: 67108864, swap: 33554432}'
refused "an unknown page size" '.linux.resources.hugepageLimits = [{pageSize: "3MB", limit: 1}]'
finish
