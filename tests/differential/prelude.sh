# What the lines of a case can use besides $D (the client), $I (the image) and $N (the network of containers: none).

# await TEXT COMMAND…: repeats the command until it prints the text. For what happens by itself in an engine.
await() {
	awaited=$1
	shift
	for _ in $(seq $((AWAIT * 20))); do
		case $("$@" 2>&1) in *"$awaited"*) return 0 ;; esac
		sleep 0.05
	done
	echo "it did not come to this: $awaited" >&2
	return 1
}

# tty COMMAND: on a terminal of 80 columns and 24 lines; what is on standard input is typed there.
tty() {
	"$HELP/terminal.py" "$1"
}

# keys FILE: the keys of a JSON document, sorted, one a line: for what has other values on each machine.
keys() {
	tr -d '\n' <"$1" | grep -o '"[A-Za-z][A-Za-z0-9]*":' | sort -u
}
