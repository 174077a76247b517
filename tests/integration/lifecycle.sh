#!/bin/sh
# A daemon starts, refuses a second one, survives SIGKILL and ends cleanly on
# SIGTERM, on both engines.
. "$(dirname "$0")/lib.sh"

small='--segment-size=4M'

mode_is() {
	[ "$(stat -c %a "$1")" = "$2" ]
}

lines_are_key_value() {
	! grep -vE '^(time=[^ ]+ level=(debug|info|warn|error) msg=|level=warn )' \
		"$log"
}

gone() {
	[ ! -e "$1" ]
}

for engine in auto plain; do
	data=$work/$engine/data
	socket=$sockets/$engine/socket
	flags="--data=$data --socket=$socket --engine=$engine $small"

	start "$engine" $flags || fail "starts_$engine" 'not ready' "$log"
	check "says_it_is_ready_$engine" said 'msg=ready' "socket=$socket" \
		"data=$data" 'msg="made a new log"'
	check "folder_has_its_mode_$engine" mode_is "$data" 750
	check "socket_folder_has_its_mode_$engine" \
		mode_is "$sockets/$engine" 750
	check "socket_has_its_mode_$engine" mode_is "$socket" 660
	check "log_lines_are_key_value_$engine" lines_are_key_value
	first=$pid first_log=$log

	run $flags --socket="$sockets/other"
	check "second_daemon_on_the_folder_is_refused_$engine" ended_with 2 \
		'owned by a running daemon' "folder=$data" 'next='
	check "it_left_no_socket_$engine" gone "$sockets/other"
	run $flags --data="$work/$engine/other"
	check "second_daemon_on_the_socket_is_refused_$engine" ended_with 2 \
		"socket=$socket" 'a running daemon answers there'
	check "the_first_goes_on_$engine" kill -0 "$first"
	check "its_socket_is_still_there_$engine" [ -S "$socket" ]

	kill -KILL "$first"
	start "$engine-again" $flags ||
		fail "starts_after_kill_$engine" 'not ready' "$log"
	ended "$first"
	check "recovers_after_kill_$engine" said 'msg="recovered the log"'
	kill -TERM "$pid"
	ended "$pid"
	check "sigterm_ends_cleanly_$engine" ended_with 0 'msg=stopping' \
		'msg=stopped'
	check "the_socket_is_removed_$engine" gone "$socket"

	start "$engine-last" $flags ||
		fail "starts_after_stop_$engine" 'not ready' "$log"
	kill -INT "$pid"
	ended "$pid"
	check "sigint_ends_cleanly_$engine" ended_with 0 'msg=stopped'

	# Both signals are there when it wakes up: it does not wait to drain.
	start "$engine-twice" $flags ||
		fail "starts_again_$engine" 'not ready' "$log"
	kill -STOP "$pid"
	kill -TERM "$pid"
	kill -INT "$pid"
	kill -CONT "$pid"
	ended "$pid"
	check "a_second_signal_ends_it_at_once_$engine" ended_with 5 \
		'msg="stopped by a second signal"'
done

# Something else at the socket's path is not touched.
echo precious >"$sockets/file"
run --data="$work/auto/data" --socket="$sockets/file" $small
check a_file_in_the_way_is_named ended_with 5 "socket=$sockets/file" \
	'something else lies there'
check a_file_in_the_way_stays [ "$(cat "$sockets/file")" = precious ]

# Another cluster's, or another member's, folder is left alone.
run --data="$work/auto/data" --socket="$sockets/s" --cluster=other $small
check a_folder_of_another_cluster_is_refused ended_with 3 \
	"folder=$work/auto/data" 'another cluster or member' 'next='
run --data="$work/auto/data" --socket="$sockets/s" --member=2 $small
check a_folder_of_another_member_is_refused ended_with 3 \
	'another cluster or member'

# Folders that cannot be used.
run --data="$sockets/file" --socket="$sockets/s" $small
check a_folder_that_is_a_file_is_refused ended_with 5 "folder=$sockets/file" \
	'next='
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	mkdir "$work/private"
	chmod 700 "$work/private"
	chmod 755 "$work"
	nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
	# The program, too, must be where this user can read it.
	install -m 755 "$conclaved" "$work/conclaved"
	log=$work/run.log
	timeout -k 5 60 $nobody "$work/conclaved" --data="$work/private" \
		--socket="$sockets/s" $small >"$log" 2>&1
	status=$?
	check a_folder_that_cannot_be_read_is_refused ended_with 5 \
		"folder=$work/private" 'Permission denied' 'next='
	chmod 755 "$work/private"
	timeout -k 5 60 $nobody "$work/conclaved" --data="$work/private" \
		--socket="$sockets/s" $small >"$log" 2>&1
	status=$?
	check a_folder_that_cannot_be_written_is_refused ended_with 5 \
		"folder=$work/private" 'Permission denied' 'next='
else
	echo 'skip a_folder_that_cannot_be_read_is_refused: needs root'
fi
finish
