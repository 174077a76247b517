#!/bin/sh
# What conclaved is told on its command line, and what it says to nonsense.
. "$(dirname "$0")/lib.sh"

# refused NAME TEXT... -- FLAGS...: exit status 1, each text said, no log line
refused() {
	name=$1
	shift
	texts=
	while [ "$1" != -- ]; do
		printf '%s\n' "$1" >>"$work/texts"
		shift
	done
	shift
	run "$@"
	while IFS= read -r text; do
		said "$text" || texts=1
	done <"$work/texts"
	rm -f "$work/texts"
	if [ -z "$texts" ] && [ "$status" = 1 ] && ! said 'msg=' >/dev/null
	then
		ok "$name"
	else
		fail "$name" "exit status $status" "$log"
	fi
}

run --version
check version_is_said ended_with 0 'conclaved ' 'ABI '
run --help
check help_is_said ended_with 0 'Usage: conclaved' '--socket=PATH' '--data=FOLDER'

refused an_unknown_option_gets_a_suggestion \
	'unknown option "sokcet"' '"socket"' -- --sokcet=/tmp/x
refused a_wrong_value_is_told_what_it_may_be \
	'"engine" is "epoll"' 'auto, io_uring or plain' -- --engine epoll
refused a_missing_value_is_refused '--data' 'missing' -- --data
refused a_bare_word_is_refused '"start"' -- start
refused a_missing_file_is_refused '/nowhere/conclaved.conf' \
	-- --config=/nowhere/conclaved.conf

printf 'member = 1\nlog-levle = debug\n' >"$work/conf"
refused a_wrong_line_is_named "$work/conf:2" '"log-level"' \
	-- --config="$work/conf"

export CONCLAVE_SPIN=fast
refused a_wrong_variable_is_named 'CONCLAVE_SPIN' '"fast"' 'forever' -- \
	--data="$work/d"
unset CONCLAVE_SPIN

cat >"$work/conf" <<END
# all of it in a file
data = $work/data
socket = $sockets/socket
segment-size = 4M
log-level = debug
END
if start file --config="$work/conf" && [ -S "$sockets/socket" ]; then
	ok a_file_is_enough
else
	fail a_file_is_enough 'no daemon' "$log"
fi

# Kernels before 6.6 refuse O_DIRECT there.
memory=$(mktemp -d /dev/shm/conclave-test-XXXXXX)
undo() {
	rm -rf "$memory"
}
start memory --data="$memory/data" --socket="$sockets/memory" \
	--segment-size=1M
if said 'msg="the data folder lies in memory"' >/dev/null ||
	said 'refuses O_DIRECT'; then
	ok a_folder_in_memory_is_warned_of
else
	fail a_folder_in_memory_is_warned_of 'no word' "$log"
fi
finish
