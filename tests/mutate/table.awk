# Reads a table of faults (its form is at the head of tests/mutate/run) and
# the sources that it names.
#
#	awk -f table.awk -v task=list TABLE...	number, file, name, and by whom
#	awk -f table.awk -v task=check TABLE...	complains of what does not match
#	awk -f table.awk -v task=apply -v number=N TABLE...	the source with fault N
#
# Any white space in a pattern stands for any in the source.

function complain(text)
{
	printf "%s: %s\n", head_at, text >"/dev/stderr"
	wrong = 1
}

function source(file,    text, line)
{
	if (file in sources)
		return sources[file]
	while ((getline line <file) > 0)
		text = text line "\n"
	close(file)
	return sources[file] = text
}

# Text as a regular expression that matches just it.
function literal(text)
{
	gsub(/[][\\.^$*+?(){}|\/]/, "\\\\&", text)
	gsub(/[ \t\n]+/, "[ \t\n]+", text)
	return text
}

# Finds the function, struct or enum `scope` in `text`: its place is in
# scope_start and scope_size.
function find_scope(text, scope,    head)
{
	head = "(^|\n)([A-Za-z_][^;{}\n]*[ *])?" scope
	if (!match(text, head "\\([^;{}]*\\)\n\\{") &&
	    !match(text, head " \\{"))
		return 0
	scope_start = RSTART
	scope_size = index(substr(text, scope_start + RLENGTH), "\n}")
	if (scope_size == 0)
		return 0
	scope_size += RLENGTH
	return 1
}

# The source with the fault, or "" with a complaint.
function faulty(    text, body, before, rest, count)
{
	text = source(file)
	if (text == "") {
		complain("there is no " file)
		return ""
	}
	if (!find_scope(text, scope)) {
		complain(file " has no " scope)
		return ""
	}
	body = substr(text, scope_start, scope_size)
	for (rest = body; match(rest, literal(pattern)); count++) {
		if (count == 0) {
			before = substr(rest, 1, RSTART - 1)
			after = substr(rest, RSTART + RLENGTH)
		}
		rest = substr(rest, RSTART + 1)
	}
	if (count != 1) {
		complain("the pattern matches " count + 0 " times in " scope)
		return ""
	}
	return substr(text, 1, scope_start - 1) before replacement after \
		substr(text, scope_start + scope_size)
}

function end_of_fault(    text)
{
	if (head == "")
		return
	faults++
	if (pattern == "")
		complain("no line begins with -")
	else if (task == "list")
		printf "%d\t%s\t%s\t%s\n", faults, file, head, how
	else if (task == "check")
		faulty()
	else if (task == "apply" && faults == number)
		printf "%s", faulty()
	head = ""
}

function rest_of_line(text)
{
	sub(/^.[ \t]*/, "", text)
	return text
}

/^#/ || /^[ \t]*$/ {
	end_of_fault()
	next
}
/^== / {
	end_of_fault()
	file = $2
	next
}
/^-/ {
	pattern = pattern (pattern == "" ? "" : "\n") rest_of_line($0)
	next
}
/^\+/ {
	replacement = replacement (replacement == "" ? "" : "\n") \
		rest_of_line($0)
	next
}
/^\?/ {
	how = rest_of_line($0)
	next
}
head != "" && pattern == "" {
	head = head " " $0
	next
}
{
	end_of_fault()
	head = $0
	head_at = FILENAME ":" FNR
	pattern = how = ""
	replacement = ""
	scope = head
	sub(/:.*/, "", scope)
	if (file == "" || scope !~ /^[a-z_0-9]+$/)
		complain("expected `function: what goes wrong`")
	if ((file, head) in seen)
		complain("the same name as at " seen[file, head])
	seen[file, head] = head_at
}
END {
	end_of_fault()
	exit wrong
}
