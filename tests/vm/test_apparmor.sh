# AppArmor: the profile of the configuration confines the container's program.
# shellcheck source-path=SCRIPTDIR source=tap.sh
. /skep/tests/vm/tap.sh
# shellcheck source-path=SCRIPTDIR source=container.sh
. /skep/tests/vm/container.sh
# shellcheck disable=SC2016,SC2154 # quoted for jq and the container; from container.sh

apparmor_parser -r -K <<-'E'
	profile skep-vm flags=(attach_disconnected, mediate_deleted) {
	  file,
	  capability,
	  signal,
	  mount,
	  network,
	  deny /tmp/secret rwk,
	}
	profile skep-vm-other flags=(attach_disconnected, mediate_deleted) {
	  file,
	  signal,
	  deny /tmp/other rwk,
	}
E

# With and without no_new_privs the label is the same.
for nnp in false true; do
	check "nnp $nnp: start" up confined ".process.apparmorProfile = \"skep-vm\" | .process.noNewPrivileges = $nnp"
	is "nnp $nnp: label of the init" "$(cat "/proc/$(pid confined)/attr/current")" "skep-vm (enforce)"
	is "nnp $nnp: label of an exec" "$(in_container confined cat /proc/self/attr/current)" "skep-vm (enforce)"
	refuse "nnp $nnp: what the profile denies" in_container confined sh -c ': >/tmp/secret'
	check "nnp $nnp: what it does not deny" in_container confined sh -c ': >/tmp/open'
	down confined
done

check "none: start" up free
is "none: label" "$(cat "/proc/$(pid free)/attr/current")" unconfined
jq -n '{args: ["cat", "/proc/self/attr/current"], env: ["PATH=/bin"], cwd: "/", user: {uid: 0, gid: 0}, apparmorProfile: "skep-vm-other"}' >$work/process.json
is "exec: the profile of --process" "$(rt exec --process $work/process.json free)" "skep-vm-other (enforce)"
is "exec: the profile of --apparmor" "$(rt exec --apparmor skep-vm free cat /proc/self/attr/current)" "skep-vm (enforce)"
refuse "exec: an unknown profile" rt exec --apparmor skep-vm-none free true
down free

bundle unknown '.process.apparmorProfile = "skep-vm-none"'
refuse "create: an unknown profile" timeout 60 "$RUNTIME" --root $state create --bundle $work/bundles/unknown unknown
refuse "create: an unknown profile: no container" rt state unknown
check "create: an unknown profile: no cgroup" gone /sys/fs/cgroup/skep-vm/unknown
rt delete --force unknown >/dev/null 2>&1
finish
