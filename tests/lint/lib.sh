# What the checks share; read by each with `.`, from any folder.
#
# A check writes what it has against the sources to its findings, one
# `file:line: complaint` a line, and ends with `verdict NAME`. LINT_ROOT is for
# check_itself, which tries each check on a small tree that is wrong on purpose.
set -u
lint=$(cd "$(dirname "$0")" && pwd)
cd "${LINT_ROOT:-$lint/../..}" || exit 1
findings=$(mktemp) || exit 1
trap 'rm -f "$findings" "$findings".*' EXIT
# Used by the checks, not here.
# shellcheck disable=SC2034
jobs=$(nproc 2>/dev/null || echo 2)

# sources PATTERN: every file of ours whose name matches, sorted
sources() {
	for folder in raft wal shm daemon bench tests; do
		[ -d "$folder" ] && find "$folder" -type f -name "$1"
	done | LC_ALL=C sort
}

# verdict NAME: say it, and exit
verdict() {
	if [ -s "$findings" ]; then
		cat "$findings"
		printf 'FAIL %s\n' "$1"
		exit 1
	fi
	printf 'ok %s\n' "$1"
	exit 0
}

# need PROGRAM: complain if it is not installed
need() {
	command -v "$1" >/dev/null && return 0
	printf '%s is not installed; run: tests/setup test\n' "$1" >>"$findings"
	return 1
}

# stripped FILE...: each line as `file<TAB>line<TAB>code`, without comments
# and without what is inside of quotes
stripped() {
	[ $# -eq 0 ] || awk -f "$lint/strip.awk" "$@"
}
