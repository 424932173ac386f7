# tap.sh: the result lines of a test script. Source it, then:
#
#   check NAME COMMAND…       ok when the command succeeds; its output is shown when not
#   refuse NAME COMMAND…      ok when the command fails
#   is NAME GOT WANT          ok when both are the same text, and not empty
#   matches NAME GOT PATTERN  ok when GOT matches the shell pattern (a|b in one: use `check`)
#   skip NAME REASON
#   finish                    last line of a script: the plan, and the exit status

tap_count=0
tap_failed=0
tap_output=${TMPDIR:-/tmp}/tap.$$

tap_result() {
	tap_count=$((tap_count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $2"
	fi
}

check() {
	tap_name=$1
	shift
	if "$@" >"$tap_output" 2>&1; then
		tap_result 0 "$tap_name"
	else
		set -- "$?" "$*"
		tap_result 1 "$tap_name"
		echo "#   $2: status $1"
		sed 's/^/#   | /' "$tap_output" | head -n 20
	fi
}

refuse() {
	tap_name=$1
	shift
	if "$@" >"$tap_output" 2>&1; then
		tap_result 1 "$tap_name"
		echo "#   $*: succeeded"
		sed 's/^/#   | /' "$tap_output" | head -n 20
	else
		tap_result 0 "$tap_name"
	fi
}

is() {
	if [ "$2" = "$3" ] && [ -n "$2" ]; then
		tap_result 0 "$1"
	else
		tap_result 1 "$1"
		printf '#   got:  %s\n#   want: %s\n' "$2" "$3"
	fi
}

matches() {
	# shellcheck disable=SC2254 # a pattern is wanted
	case $2 in
	$3) tap_result 0 "$1" ;;
	*)
		tap_result 1 "$1"
		printf '#   got:  %s\n#   want: %s\n' "$2" "$3"
		;;
	esac
}

skip() {
	echo "ok $1 # SKIP $2"
}

finish() {
	rm -f "$tap_output"
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
	exit
}
