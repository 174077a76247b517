# For each floor: the floors (or single headers) of ours that it may include,
# and the libraries. "pure" is the part of libc that only computes, "libc" all
# of it. What is in no row below is not a floor.
BEGIN {
	own["shm"] = "shm/"
	libs["shm"] = "libc"
	own["ctl"] = "shm/ daemon/backup.h"
	libs["ctl"] = "libc"
	own["raft"] = "raft/"
	libs["raft"] = "pure"
	own["wal"] = "wal/ raft/"
	libs["wal"] = "pure stdio.h xxhash.h" # names, and where it is
	own["disk"] = "wal/ raft/"
	libs["disk"] = "libc liburing.h"
	own["store"] = "daemon/store/ raft/ shm/abi.h"
	libs["store"] = "pure xxhash.h"
	own["node"] = "node daemon/store/ wal/ raft/ shm/"
	libs["node"] = "pure"
	own["daemon"] = "daemon/ wal/ raft/ shm/"
	libs["daemon"] = "libc liburing.h jemalloc/jemalloc.h xxhash.h" \
		" openssl/ssl.h openssl/err.h openssl/x509v3.h"
	own["program"] = "bench/ tests/ daemon/ wal/ raft/ shm/"
	libs["program"] = "libc liburing.h jemalloc/jemalloc.h xxhash.h check.h" \
		" openssl/ssl.h openssl/err.h openssl/x509v3.h" \
		" openssl/pem.h openssl/evp.h"

	split("assert errno limits stdalign stdarg stdbool stddef stdint " \
		"string strings endian inttypes immintrin nmmintrin " \
		"smmintrin emmintrin cpuid", names, " ")
	for (i in names)
		pure["<" names[i] ".h>"] = 1
}

function floor_of(path) {
	if (path ~ /^shm\/conclavectl/)
		return "ctl"
	if (path ~ /^(shm|raft)\//)
		return substr(path, 1, index(path, "/") - 1)
	# wal/disk.h is what the pure files know of the disk.
	if (path ~ /^wal\/disk/ && path != "wal/disk.h")
		return "disk"
	if (path ~ /^wal\//)
		return "wal"
	if (path ~ /^daemon\/store\//)
		return "store"
	if (path ~ /^daemon\/(node|intake|session|reply|wire)[^\/]*$/)
		return "node"
	if (path ~ /^daemon\//)
		return "daemon"
	if (path ~ /^(bench|tests)\//)
		return "program"
	return ""
}

function complain(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what
}

function check_own(path,    rows, n, i, to) {
	to = floor_of(path)
	if (path ~ /(^|\/)\.\.?(\/|$)/ || to == "") {
		complain("\"" path "\" is not named from the root")
		return
	}
	if ((getline line < path) < 0)
		complain("there is no " path)
	close(path)
	if (to == "disk" && floor !~ /^(disk|daemon|program)$/) {
		complain("only the disk itself and the shell include " path)
		return
	}
	n = split(own[floor], rows, " ")
	for (i = 1; i <= n; i++) {
		if (rows[i] == to || rows[i] == path)
			return
		if (rows[i] ~ /\/$/ && index(path, rows[i]) == 1)
			return
	}
	complain(floor " may not include " path)
}

function check_library(name,    rows, n, i) {
	if (floor_of(substr(name, 2)) != "")
		complain("ours is included with quotes: " name)
	n = split(libs[floor], rows, " ")
	for (i = 1; i <= n; i++) {
		if ("<" rows[i] ">" == name)
			return
		if (rows[i] == "pure" && name in pure)
			return
		if (rows[i] == "libc" && !(name ~ \
		    /^<(liburing|jemalloc|xxhash|xxh3|check|subunit|openssl)/))
			return
	}
	complain(floor " may not include " name)
}

FNR == 1 {
	floor = floor_of(FILENAME)
}

/^[ \t]*#[ \t]*include/ {
	name = $0
	sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
	if (match(name, /^"[^"]*"/))
		check_own(substr(name, 2, RLENGTH - 2))
	else if (match(name, /^<[^>]*>/))
		check_library(substr(name, 1, RLENGTH))
	else
		complain("an include names a file, not a macro")
}
