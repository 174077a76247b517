# Reads what `gcov --stdout --branch-probabilities --branch-counts` says of
# one source, and prints: lines reached, lines, branches taken, branches, name.
#
# Branches of an assertion do not count: one side of it is for bugs, and who
# takes it does not live to write down what was covered. What they are for is
# tested in processes of their own.

# assertion(code): whether the line belongs to one, which may have begun above
function assertion(code,    at, i, c) {
	if (depth == 0) {
		if (!match(code, /(^|[^A-Za-z0-9_])assert\(/))
			return 0
		at = RSTART + RLENGTH
		depth = 1
	} else {
		at = 1
	}
	for (i = at; i <= length(code) && depth > 0; i++) {
		c = substr(code, i, 1)
		depth += c == "("
		depth -= c == ")"
	}
	return 1
}

# Headers follow with the functions that are inline.
match($0, /^ *-: +0:Source:/) {
	here = substr($0, RSTART + RLENGTH) == source
	next
}

here && match($0, /^ *[-#=0-9]+[*]?: *[0-9]+:/) {
	if ($0 ~ /^ *-: +0:/)
		next
	count = $0
	sub(/:.*/, "", count)
	skipped = assertion(substr($0, RLENGTH + 1))
	if (count !~ /-/) {
		lines++
		reached += count !~ /[#=]/
	}
	next
}

here && /^branch / && !skipped {
	branches++
	taken += $3 == "taken" && $4 > 0
}

END {
	print reached + 0, lines + 0, taken + 0, branches + 0, source
}
