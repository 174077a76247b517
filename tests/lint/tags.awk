# Reads shm/atomic.h without its comments, the sources without theirs, and then
# the sources as they are: what orders is learned from the first, where it is
# used from the second, and which tag is there from the third.

# orders(text): the name of the first ordering operation in it, or ""
function orders(text,    name) {
	if (match(text, /__ATOMIC_(RELEASE|ACQUIRE|SEQ_CST|ACQ_REL|CONSUME)/))
		return substr(text, RSTART, RLENGTH)
	while (match(text, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
		name = substr(text, RSTART, RLENGTH - 1)
		sub(/[ \t]+$/, "", name)
		text = substr(text, RSTART + RLENGTH)
		if (name in ordering)
			return name "()"
	}
	return ""
}

# The functions of shm/atomic.h that order: those with an order in the body,
# and those that call one of them.
FILENAME == atomic {
	if ($3 ~ /^[A-Za-z_]/ && match($3, /cv_[a-z0-9_]+[ \t]*\(/)) {
		function_name = substr($3, RSTART, RLENGTH - 1)
		sub(/[ \t]+$/, "", function_name)
	} else if ($3 ~ /^#[ \t]*define[ \t]+cv_[a-z0-9_]+\(/) {
		function_name = $3
		sub(/^#[ \t]*define[ \t]+/, "", function_name)
		sub(/\(.*/, "", function_name)
		if (orders(substr($3, index($3, ")"))) != "")
			ordering[function_name] = 1
	} else if (orders($3) != "" && function_name != "") {
		ordering[function_name] = 1
	}
	next
}

FILENAME == code {
	text[$1, $2] = $3
	next
}

# The sources as they are, line by line, kept until a file is whole.
FNR == 1 {
	judge_file()
	file = FILENAME
}

{
	raw[FNR] = $0
	lines = FNR
}

END {
	judge_file()
	for (tag in borne)
		if (borne[tag] < 2)
			printf "%s: the tag %s has no partner\n",
				first[tag], tag
}

# A tag is bracketed capitals with a number, in a comment that begins with it
# or follows code.
function collect(line,    found) {
	found = ""
	while (match(line, /\[[A-Z][A-Z]*[0-9]+[a-z]?\]/)) {
		found = found " " substr(line, RSTART, RLENGTH)
		line = substr(line, RSTART + RLENGTH)
	}
	return found
}

# comment_of(n): what is written on the line but is not code
function comment_of(n,    at) {
	at = index(raw[n], "/*")
	if (at)
		return substr(raw[n], at)
	return text[file, n] ~ /[^ ]/ ? "" : raw[n]
}

# tags_at(n): those of the whole statement that line n is part of
function tags_at(n,    at, found) {
	at = n
	while (at > 1 && text[file, at - 1] ~ /[^ ]/ &&
	    text[file, at - 1] !~ /[;{}] *$/)
		at--
	found = ""
	for (; at <= lines; at++) {
		found = found collect(comment_of(at))
		if (at >= n && text[file, at] ~ /[;{}]/)
			break
	}
	return found
}

# tags_above(n): those of the comment that stands above the statement
function tags_above(n,    found) {
	while (n > 1 && text[file, n - 1] ~ /[^ ]/ &&
	    text[file, n - 1] !~ /[;{}] *$/)
		n--
	found = ""
	while (--n > 0 && text[file, n] !~ /[^ ]/ && raw[n] ~ /[^ \t]/)
		found = found collect(raw[n])
	return found
}

function judge_file(    n, what, found, names, count, i) {
	for (n = 1; n <= lines; n++) {
		what = orders(text[file, n])
		if (what == "")
			continue
		found = tags_above(n) tags_at(n)
		if (found == "") {
			printf "%s:%d: %s bears no tag\n", file, n, what
			continue
		}
		count = split(found, names, " ")
		for (i = 1; i <= count; i++) {
			borne[names[i]]++
			if (!(names[i] in first))
				first[names[i]] = file ":" n
		}
	}
	lines = 0
}
