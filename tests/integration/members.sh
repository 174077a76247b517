#!/bin/sh
# Three daemons on loopback are one cluster, with and without TLS and on both
# engines: they elect a leader, each serves its clients, the leader may be
# killed. What cannot be a member is refused with a sentence.
. "$(dirname "$0")/lib.sh"

ctl=${CONCLAVECTL:-build/conclavectl}
small='--segment-size=4M'

# free_ports COUNT: ports below those that the kernel gives away, that nobody
# listens at; in $ports
free_ports() {
	ports= port=$((10000 + $$ % 9000))
	while [ "$(echo $ports | wc -w)" -lt "$1" ]; do
		port=$((port + 1))
		cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
			grep -qi ":$(printf '%04X' $port) [0-9A-F]*:0000 0A" ||
			ports="$ports $port"
	done
}

# lay_out: addresses of members 1 to 3, in $peers and $listen_1...
lay_out() {
	free_ports 3
	set -- $ports
	listen_1=127.0.0.1:$1 listen_2=127.0.0.1:$2 listen_3=127.0.0.1:$3
	peers=1=$listen_1,2=$listen_2,3=$listen_3
}

# member ID FLAGS...: starts it in the background
member() {
	id=$1
	shift
	eval "listen=\$listen_$id"
	start "$name-$id" --member="$id" --data="$work/$name/$id" \
		--socket="$sockets/$name-$id" --peers="$peers" \
		--peer-listen="$listen" $small "$@" || return 1
	eval "pid_$id=$pid"
}

at() {
	CONCLAVE_SOCKET=$sockets/$name-$1
	export CONCLAVE_SOCKET
	shift
	timeout 60 "$ctl" "$@"
}

# field ID NAME: from its status
field() {
	at "$1" status | awk -v name="$2" '$1 == name { print $2 }'
}

# waits_until COMMAND...: a minute
waits_until() {
	for tick in $(seq 300); do
		"$@" && return 0
		sleep 0.2
	done
	return 1
}

has_leader() {
	leader=$(field "$1" leader)
	[ -n "$leader" ] && [ "$leader" != 0 ]
}

# serves ID KEY VALUE: a put here is there on all that are named
serves() {
	at "$1" put "$2" "$3" >/dev/null || return 1
	for other in $4; do
		[ "$(at "$other" get "$2" | tail -n 1)" = "$3" ] || {
			printf '    member %s has not %s=%s\n' "$other" "$2" "$3"
			return 1
		}
	done
}

# says ID TEXT...: in its log, within a minute
says() {
	log=$work/$name-$1.log
	shift
	waits_until said "$@" >/dev/null || said "$@"
}

is_once() {
	[ "$(grep -cF -- "$2" "$1")" = 1 ]
}

# cluster NAME FLAGS...: all that three members are to do. With TLS the paths
# of keys are made from their id.
cluster() {
	name=$1
	tls=$2
	shift 2
	lay_out
	for id in 1 2 3; do
		keys=
		[ -z "$tls" ] || keys=$(keys_of $id)
		member $id $keys "$@" || fail "member_${id}_starts_$name" \
			'not ready' "$log"
	done
	check "they_elect_a_leader_$name" waits_until has_leader 1
	check "the_leader_says_so_$name" says $leader 'msg="this member leads"'
	for id in 1 2 3; do
		check "member_${id}_serves_a_put_$name" \
			serves $id "key-$id" "value-$id" '1 2 3'
	done

	has_leader 1
	dead=$leader
	eval "kill -KILL \$pid_$dead"
	others=$(echo $(echo 1 2 3 | sed "s/$dead//"))
	for id in $others; do
		check "says_that_${dead}_is_gone_at_${id}_$name" \
			says $id 'msg="nobody leads" leader_was='$dead
		check "goes_on_without_${dead}_at_${id}_$name" \
			serves $id "after-$id" "there" "$others"
	done
	keys=
	[ -z "$tls" ] || keys=$(keys_of $dead)
	member $dead $keys "$@" || fail "comes_back_$name" 'not ready' "$log"
	check "the_killed_one_serves_again_$name" \
		serves $dead back here '1 2 3'
	check "and_has_what_it_missed_$name" \
		[ "$(at $dead get after-${others##* } | tail -n 1)" = there ]
}

# stop_all: cleanly
stop_all() {
	for id in 1 2 3; do
		eval "pid=\$pid_$id"
		kill -TERM "$pid"
	done
	for id in 1 2 3; do
		eval "pid=\$pid_$id"
		log=$work/$name-$id.log
		ended "$pid"
		check "sigterm_ends_${id}_cleanly_$name" ended_with 0 \
			'msg=stopped'
	done
}

for engine in auto plain; do
	cluster plain-$engine '' --engine=$engine
	stop_all
done

# ---- TLS ----

# issue NAME NAMES KEY...: a key and a certificate of the authority
issue() {
	(
		cd "$work/keys" || exit 1
		issue_name=$1
		printf 'subjectAltName=%s\n' "$2" >"$1.ext"
		shift 2
		openssl req -new -newkey "$@" -nodes -subj "/CN=$issue_name" \
			-keyout "$issue_name.key" -out "$issue_name.csr" &&
			openssl x509 -req -in "$issue_name.csr" -CA ca.pem \
				-CAkey ca.key -CAcreateserial -days 3 \
				-extfile "$issue_name.ext" \
				-out "$issue_name.pem"
	) >"$work/openssl.log" 2>&1 || fail "keys_are_made" "openssl: $1" \
		"$work/openssl.log"
}

keys_of() {
	printf '%s ' "--peer-cert=$work/keys/m$1.pem" \
		"--peer-key=$work/keys/m$1.key" "--peer-ca=$work/keys/ca.pem"
}

p256='ec -pkeyopt ec_paramgen_curve:P-256'
if command -v openssl >/dev/null; then
	mkdir "$work/keys"
	(
		cd "$work/keys" || exit 1
		openssl req -x509 -newkey $p256 -nodes -days 3 \
			-subj /CN=conclave -keyout ca.key -out ca.pem
	) >"$work/openssl.log" 2>&1
	issue m1 IP:127.0.0.1 $p256
	issue m2 IP:127.0.0.1 $p256
	issue m3 IP:127.0.0.1 ed25519
	issue rsa IP:127.0.0.1 rsa:2048
	cluster tls tls

	# New keys are taken over by SIGHUP, broken ones are not.
	cp "$work/keys/m1.pem" "$work/keys/kept.pem"
	echo nonsense >"$work/keys/m1.pem"
	kill -HUP "$pid_1"
	check a_broken_certificate_is_not_taken_over \
		says 1 'msg="keys not reloaded"' "$work/keys/m1.pem"
	cp "$work/keys/kept.pem" "$work/keys/m1.pem"
	kill -HUP "$pid_1"
	check a_good_certificate_is_taken_over says 1 'msg="keys reloaded"'
	check it_still_serves_afterwards serves 1 reloaded yes '1 2 3'
	stop_all

	run --data="$work/rsa" --socket="$sockets/rsa" $small \
		--peer-listen="$listen_1" --peer-cert="$work/keys/rsa.pem" \
		--peer-key="$work/keys/rsa.key" --peer-ca="$work/keys/ca.pem"
	check an_rsa_key_is_refused ended_with 5 "$work/keys/rsa.pem" \
		'ECDSA P-256 or Ed25519'
	run --data="$work/rsa" --socket="$sockets/rsa" $small \
		--peer-listen="$listen_1" --peer-cert="$work/keys/none.pem" \
		--peer-key="$work/keys/m1.key" --peer-ca="$work/keys/ca.pem"
	check a_missing_certificate_is_named ended_with 5 \
		"$work/keys/none.pem" 'next='
else
	echo 'skip members_with_tls: there is no openssl; run tests/setup test'
fi

# ---- what cannot be ----

name=wrong
lay_out
run --data="$work/wrong/1" --socket="$sockets/wrong" $small \
	--peer-listen=0.0.0.0:2380
check plain_tcp_to_others_is_refused ended_with 1 '0.0.0.0:2380' \
	'--peer-plaintext'
run --data="$work/wrong/1" --socket="$sockets/wrong" $small \
	--peer-listen=192.0.2.1:2380 --peer-plaintext
check an_address_of_another_host_is_refused ended_with 5 \
	'address=192.0.2.1:2380' '--peer-listen'
run --data="$work/wrong/1" --socket="$sockets/wrong" $small \
	--peers="$peers" --member=4 --peer-listen="$listen_1"
check a_list_without_this_member_is_refused ended_with 1 \
	'does not name member 4'

# Two clusters by mistake on one list: each says so, once, and goes on.
member 1 || fail wrong_1_starts 'not ready' "$log"
log_1=$log
member 2 --cluster=other || fail wrong_2_starts 'not ready' "$log"
check a_foreign_cluster_is_named says 2 'a member of another cluster'
run --data="$work/wrong/3" --socket="$sockets/wrong-3" $small --member=3 \
	--peers="$peers" --peer-listen="$listen_1"
check a_port_in_use_is_named ended_with 5 "address=$listen_1" \
	'Address already in use' 'next='
sleep 3
check it_is_said_once is_once "$work/wrong-2.log" \
	'no connection to peer" peer=1'

# Member 3, given the folder of member 2 when that is gone.
kill -KILL "$pid_2"
ended "$pid_2"
run --data="$work/wrong/2" --socket="$sockets/wrong-3" $small --member=3 \
	--peers="$peers" --peer-listen="$listen_3" --cluster=other
check the_folder_of_another_member_is_refused ended_with 3 \
	"folder=$work/wrong/2" 'another cluster or member'
log=$log_1
check the_first_never_minded kill -0 "$pid_1"
finish
