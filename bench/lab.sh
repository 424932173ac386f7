# shellcheck shell=bash
# lab.sh: what bench/engine and bench/networks have in common, sourced by both: programs and files go into the tree of peers, a page comes out.
# Set before: NAME, of the measurement; TOP, of the source tree.
if [ -z "${LAB_IN:-}" ]; then
	echo "bench/$NAME: left out: LAB_IN names no tree of peers" >&2
	exit 0
fi
SKEP=$(realpath "${SKEP:-$TOP/${BUILD:-build}/skep}")
OUT=$(realpath -m "${OUT:-$TOP/bench/results/$(date +%F)-$NAME.md}")
WHERE=/data/skep-$NAME # in there
HERE=$(mktemp -d)
trap 'rm -rf "$HERE"' EXIT
cp "$SKEP" "$(dirname "$SKEP")/skep-runtime" "$(dirname "$SKEP")/skep-transfer" "$TOP/bench/peers.py" "$TOP/bench/$NAME.py" "$HERE/"
strip "$HERE/skep" "$HERE/skep-transfer"
printf 'int main(void) { return 0; }\n' | cc -O2 -static -x c -o "$HERE/true" -
printf '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n' | cc -O2 -static -x c -o "$HERE/pause" -

# lab_measure [VARIABLE=VALUE…]: with all that is in HERE
lab_measure() {
	tar -C "$HERE" -cf - . | "$LAB_IN" sh -c "rm -rf $WHERE && mkdir -p $WHERE/bin && tar -C $WHERE/bin -xf -"
	"$LAB_IN" env "$@" RUNS="${RUNS:-20}" MANY="${MANY:-100}" PEERS="${PEERS-docker podman}" WHERE="$WHERE" python3 "$WHERE/bin/$NAME.py" >"$HERE/page"
	mkdir -p "$(dirname "$OUT")"
	cp "$HERE/page" "$OUT"
	echo "bench/$NAME: $OUT" >&2
}
