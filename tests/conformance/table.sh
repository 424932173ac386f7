# shellcheck shell=bash
# Shared by the run-* scripts: rows of "name<TAB>pass|fail|skip<TAB>reason".

die() {
	echo "$(basename "$0"): $*" >&2
	exit 2
}

# skip_unless VALUE WHAT VARIABLE: succeeds visibly when the suite is absent
skip_unless() {
	[ -n "$1" ] && return
	echo "skipped: $2: set $3 to the folder in which it stands"
	exit 0
}

skip_unless_root() {
	[ "$(id -u)" -eq 0 ] && return
	echo "skipped: $1: needs root"
	exit 0
}

# need PROGRAM...: an absent tool would show up as failures of the runtime
need() {
	local p
	for p in "$@"; do
		command -v "$p" >/dev/null || die "$p is missing"
	done
}

# Sets RUNTIME to an absolute path; the default is the one just built.
runtime_find() {
	RUNTIME=${RUNTIME:-$HERE/../../build/skep-runtime}
	case $RUNTIME in
	*/*) ;;
	*) RUNTIME=$(command -v "$RUNTIME") || die "no such runtime in PATH" ;;
	esac
	[ -x "$RUNTIME" ] || die "$RUNTIME is not a program: build it, or set RUNTIME"
	RUNTIME=$(readlink -f "$RUNTIME")
}

# table_summary LABEL FILE
table_summary() {
	awk -F '\t' -v label="$1" '{ n[$2]++ } END { printf "%-28s %3d pass %3d fail %3d skip\n", label, n["pass"], n["fail"], n["skip"] }' "$2"
}

# table_print FILE: one line per test and the totals
table_print() {
	awk -F '\t' '
	{ n[$2]++; printf "%-4s  %s%s\n", $2, $1, $3 == "" ? "" : "  (" $3 ")" }
	END { printf "%d passed, %d failed, %d skipped\n", n["pass"], n["fail"], n["skip"] }' "$1"
}

# table_compare FILE EXPECTED COMPLETE PREFIX...: fails when a test that is
# expected to pass did not, or (COMPLETE) is missing from a file that was run.
# A test that does better than expected is named, so that the list is kept.
table_compare() {
	local rows=$1 expected=$2 complete=$3
	shift 3
	[ -e "$expected" ] || die "$expected is missing"
	awk -F '\t' -v complete="$complete" -v prefixes="$*" '
	BEGIN { k = split(prefixes, p, " "); for (i = 1; i <= k; i++) ran[p[i]] = 1 }
	FNR == NR { if ($0 !~ /^(#|$)/) want[$1] = $2; next }
	{
		got[$1] = $2
		if (!($1 in want)) { fresh++; printf "not listed: %s (%s)\n", $1, $2 }
		else if (want[$1] == "either") next
		else if (want[$1] == "pass" && $2 != "pass") { bad++; printf "REGRESSED: %s (now %s)\n", $1, $2 }
		else if (want[$1] == "skip" && $2 == "fail") { bad++; printf "REGRESSED: %s (skipped before, now fail)\n", $1 }
		else if (want[$1] != "pass" && $2 == "pass") { better++; printf "better than listed: %s\n", $1 }
	}
	END {
		if (complete) for (name in want) {
			f = name; sub(/: .*/, "", f)
			if (!(name in got) && want[name] == "pass" && (k == 0 || f in ran)) { bad++; printf "REGRESSED: %s (did not run)\n", name }
		}
		printf "%d regressed, %d better, %d not listed\n", bad, better, fresh
		exit bad > 0
	}' "$expected" "$rows"
}
