#!/bin/sh
# The demonstration of a cluster, short: it proves what it shows, and leaves
# nothing when it is interrupted.
. "$(dirname "$0")/lib.sh"

demo=${DEMO:-build/demo}

log=$work/demo.log
mkdir "$work/folders"

proves() {
	timeout -k 5 90 "$demo" --daemon "$conclaved" --folder "$work/folders" \
		--cluster --seconds 8 --every 3 --rate 1000 >"$log" 2>&1 &&
		said 'ok   member 1:' 'ok   member 2:' 'ok   member 3:' \
			'kill -9 member'
}

leaves_nothing() {
	[ -z "$(ls -A "$work/folders")" ] || {
		ls -lA "$work/folders"
		return 1
	}
}

# Interrupted as soon as the table begins.
is_interrupted() {
	timeout -k 5 90 "$demo" --daemon "$conclaved" --folder "$work/folders" \
		--cluster >"$log" 2>&1 &
	pid=$!
	started="$started $pid"
	for tick in $(seq 600); do
		grep -q 'longest pause' "$log" && break
		sleep 0.1
	done
	kill -INT "$pid"
	ended "$pid"
	[ "$status" != 0 ] && said 'stopped by signal'
}

check the_demo_of_a_cluster_proves_what_it_shows proves
check it_leaves_nothing leaves_nothing
# A job of a shell like this one ignores SIGINT unless the demo asks for it.
check it_stops_when_it_is_interrupted is_interrupted
check it_leaves_nothing_then leaves_nothing
finish
