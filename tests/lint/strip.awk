# Prints each line as file, line number and code, separated by tabs; tabs in
# the code become blanks. Comments become a blank, and what stands between
# quotes is taken out; a line comment, which the style does not allow, becomes
# "//", for the reader to see.
FNR == 1 {
	inside = 0
}

{
	rest = $0
	code = ""
	while (rest != "") {
		if (inside) {
			at = index(rest, "*/")
			if (!at)
				break
			inside = 0
			rest = substr(rest, at + 2)
			code = code " "
			continue
		}
		if (!match(rest, /\/\*|\/\/|["']/)) {
			code = code rest
			break
		}
		code = code substr(rest, 1, RSTART - 1)
		mark = substr(rest, RSTART, RLENGTH)
		rest = substr(rest, RSTART + RLENGTH)
		if (mark == "/*") {
			inside = 1
		} else if (mark == "//") {
			code = code "//"
			break
		} else {
			code = code mark mark
			while (rest != "") {
				c = substr(rest, 1, 1)
				if (c == "\\") {
					rest = substr(rest, 3)
					continue
				}
				rest = substr(rest, 2)
				if (c == mark)
					break
			}
		}
	}
	gsub(/\t/, " ", code)
	printf "%s\t%d\t%s\n", FILENAME, FNR, code
}
