# For the scripts of this folder: $work for data and $sockets for sockets, which go
# away with whatever was started, and words for what is expected. A script ends
# with `finish`.
set -u

cd "$(dirname "$0")/../.." || exit 1
conclaved=${CONCLAVED:-build/conclaved}
work=$(mktemp -d "${TMPDIR:-/tmp}/conclave-test-XXXXXX") || exit 1
# A socket's path is short, wherever the data lies.
sockets=$(mktemp -d /tmp/conclave-run-XXXXXX) || exit 1
started=
bad=0

# Undone in the opposite order, also after a failure or a signal.
clean_up() {
	for pid in $started; do
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	type undo >/dev/null 2>&1 && undo
	rm -rf "$work" "$sockets"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

ok() {
	printf 'ok %s\n' "$1"
}

# fail NAME WHY [FILE]
fail() {
	bad=1
	printf 'FAIL %s\n' "$1"
	printf '    %s\n' "$2"
	[ -n "${3-}" ] && [ -f "$3" ] && tail -n 20 "$3" | sed 's/^/    | /'
}

# finish: the script's exit status
finish() {
	exit $bad
}

# check NAME COMMAND...: ok when the command succeeds
check() {
	check_name=$1
	shift
	if "$@"; then
		ok "$check_name"
	else
		fail "$check_name" "failed: $*" "${log-}"
	fi
}

# start NAME FLAGS...: a daemon in the background; its log is in $log, its
# process in $pid. Returns when it is ready; 1 when it ended before.
start() {
	log=$work/$1.log
	shift
	: >"$log"
	"$conclaved" "$@" >>"$log" 2>&1 &
	pid=$!
	started="$started $pid"
	# A minute: a loaded disk takes its time to make the first segments.
	for tick in $(seq 600); do
		grep -q 'msg=ready' "$log" && return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

# ended PID: waits for the end and leaves the exit status in $status
ended() {
	wait "$1" 2>/dev/null
	status=$?
}

# run FLAGS...: a daemon that is expected to end by itself; what it said is in
# $log, its exit status in $status
run() {
	log=$work/run.log
	timeout -k 5 60 "$conclaved" "$@" >"$log" 2>&1
	status=$?
}

# said TEXT...: each is somewhere in the log
said() {
	for text; do
		grep -qF -- "$text" "$log" || {
			printf '    not said: %s\n' "$text"
			return 1
		}
	done
}

# ended_with STATUS TEXT...: of `run`
ended_with() {
	want=$1
	shift
	[ "$status" = "$want" ] || {
		printf '    exit status %s, not %s\n' "$status" "$want"
		return 1
	}
	said "$@"
}
