/*
 * Flags: `--name value`, `--name=value`, anywhere on the line; `--` ends them.
 * A flag or command that does not exist is answered with the one that was
 * probably meant.
 */
#include "shm/conclavectl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum flag_name {
	FLAG_SOCKET = 0,
	FLAG_CLUSTER,
	FLAG_TIMEOUT,
	FLAG_WRITE_OUT,
	FLAG_HEX,
	FLAG_HELP,
	FLAG_VERSION,
	FLAG_PREFIX,
	FLAG_FROM_KEY,
	FLAG_LIMIT,
	FLAG_REV,
	FLAG_KEYS_ONLY,
	FLAG_VALUES_ONLY,
	FLAG_COUNT_ONLY,
	FLAG_SERIALIZABLE,
	FLAG_DATA,
	FLAG_FORCE,
	FLAG_MEMBER,
	FLAG_PEERS,
	FLAG_ACCEPT_DATA_LOSS,
	FLAG_COUNT,
};

struct flag {
	const char *name;
	const char *value; /* what it takes, or NULL */
	const char *text;
	uint32_t takes; /* enum ctl_flag_set; 0: every command */
};

static const struct flag flags[FLAG_COUNT] = {
	{"socket", "PATH", "where the daemon listens", 0},
	{"cluster", "NAME",
	 "the cluster, when no socket is named; the new one to restore", 0},
	{"timeout", "TIME", "500ms, 7s or 1m; default: 7s", 0},
	{"write-out", "FORM", "simple, json or fields (-w)", 0},
	{"hex", NULL, "show bytes as \\x00", 0},
	{"help", NULL, "say this, and end (-h)", 0},
	{"version", NULL, "say which version this is, and end", 0},
	{"prefix", NULL, "all keys that begin with KEY", CTL_TAKES_RANGE},
	{"from-key", NULL, "all keys from KEY on", CTL_TAKES_RANGE},
	{"limit", "N", "at most N keys", CTL_TAKES_READ},
	{"rev", "REVISION", "as it was at REVISION", CTL_TAKES_READ},
	{"keys-only", NULL, "no values", CTL_TAKES_READ},
	{"print-value-only", NULL, "no keys", CTL_TAKES_READ},
	{"count-only", NULL, "only how many", CTL_TAKES_READ},
	{"serializable", NULL, "what this member knows will do",
	 CTL_TAKES_READ | CTL_TAKES_LOCAL},
	{"data", "FOLDER",
	 "save: of a stopped member, instead of a daemon; restore: to be made",
	 CTL_TAKES_SAVE | CTL_TAKES_RESTORE},
	{"force", NULL, "replace a file that is there", CTL_TAKES_SAVE},
	{"member", "ID", "whose folder it will be", CTL_TAKES_RESTORE},
	{"peers", "ID=HOST:PORT,...",
	 "all members of the new cluster; without: this one alone",
	 CTL_TAKES_RESTORE},
	{"accept-data-loss", NULL,
	 "restore what one member alone had, though others had more",
	 CTL_TAKES_RESTORE},
};

static const char *flag_name(uint32_t at)
{
	return at < FLAG_COUNT ? flags[at].name : NULL;
}

/* Commands, then groups. */
static const char *command_name(uint32_t at)
{
	uint32_t i;

	for (i = 0; ctl_commands[i].name != NULL; i++) {
		if (i == at)
			return ctl_commands[i].name;
	}
	return ctl_groups[at - i];
}

/* ---- what was meant ---- */

/* How many letters to add, drop, change or swap; up to 31 letters count. */
static uint32_t distance(const char *a, const char *b)
{
	uint32_t rows[3][32];
	size_t a_size = strlen(a), b_size = strlen(b), i, j;
	uint32_t *now, *last, *before, least;

	if (a_size > 31 || b_size > 31)
		return UINT32_MAX;
	memset(rows, 0, sizeof(rows));
	for (j = 0; j <= b_size; j++)
		rows[0][j] = (uint32_t)j;
	for (i = 1; i <= a_size; i++) {
		now = rows[i % 3];
		last = rows[(i + 2) % 3];
		before = rows[(i + 1) % 3];
		now[0] = (uint32_t)i;
		for (j = 1; j <= b_size; j++) {
			least = last[j - 1] + (a[i - 1] != b[j - 1]);
			if (last[j] + 1 < least)
				least = last[j] + 1;
			if (now[j - 1] + 1 < least)
				least = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < least)
				least = before[j - 2] + 1;
			now[j] = least;
		}
	}
	return rows[a_size % 3][b_size];
}

const char *ctl_similar(const char *word, const char *(*next)(uint32_t at))
{
	const char *best = NULL, *name;
	uint32_t least = 3, far, at;

	for (at = 0; (name = next(at)) != NULL; at++) {
		far = distance(word, name);
		if (far < least && far < strlen(name)) {
			least = far;
			best = name;
		}
	}
	return best;
}

static int complain_word(const char *what, const char *dashes, const char *word,
			 const char *(*next)(uint32_t at))
{
	size_t size = strcspn(word, "=");
	const char *similar = NULL;
	char name[32];

	if (size < sizeof(name)) {
		memcpy(name, word, size);
		name[size] = 0;
		similar = ctl_similar(name, next);
	}
	fprintf(stderr, "conclavectl: there is no %s '%s%s'", what, dashes,
		word);
	if (similar != NULL)
		fprintf(stderr, "; did you mean '%s%s'?", dashes, similar);
	fprintf(stderr, "\nTry 'conclavectl --help'.\n");
	return CTL_USAGE;
}

static int complain_flag(const char *dashes, const char *word)
{
	int status = complain_word("flag", dashes, word, flag_name);

	fprintf(stderr,
		"A key or a value that begins with - stands behind a '--'.\n");
	return status;
}

/* ---- values ---- */

int ctl_number(const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (number > (UINT64_MAX - 9) / 10)
			return -EINVAL;
		number = number * 10 + (uint64_t)(*at - '0');
	}
	if (*at != 0 || at == text)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int parse_time(const char *text, uint32_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"", 1000}};
	size_t digits = strspn(text, "0123456789"), i;
	uint64_t number;
	char copy[16];

	if (digits == 0 || digits >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, digits);
	copy[digits] = 0;
	if (ctl_number(copy, &number) != 0)
		return -EINVAL;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + digits, units[i].name) != 0)
			continue;
		if (number == 0 || number > INT_MAX / units[i].ms)
			return -EINVAL;
		*ret_ms = (uint32_t)(number * units[i].ms);
		return 0;
	}
	return -EINVAL;
}

static int parse_format(const char *text, enum ctl_format *ret_format)
{
	if (strcmp(text, "simple") == 0)
		*ret_format = CTL_SIMPLE;
	else if (strcmp(text, "json") == 0)
		*ret_format = CTL_JSON;
	else if (strcmp(text, "fields") == 0)
		*ret_format = CTL_FIELDS;
	else
		return -EINVAL;
	return 0;
}

/* ---- flags ---- */

static int set_with_value(struct ctl_options *o, uint32_t flag,
			  const char *value)
{
	static const char *const allowed[FLAG_COUNT] = {
		[FLAG_CLUSTER] = "a name without /",
		[FLAG_TIMEOUT] = "a time such as 500ms, 7s or 1m",
		[FLAG_WRITE_OUT] = "simple, json or fields",
		[FLAG_LIMIT] = "a number of keys",
		[FLAG_REV] = "a revision, a number",
		[FLAG_MEMBER] = "a member's id, a number above 0",
	};
	int status = 0;

	switch (flag) {
	case FLAG_SOCKET:
		o->socket = value;
		break;
	case FLAG_CLUSTER:
		o->cluster = value;
		status = strchr(value, '/') == NULL ? 0 : -EINVAL;
		break;
	case FLAG_TIMEOUT:
		status = parse_time(value, &o->timeout_ms);
		break;
	case FLAG_WRITE_OUT:
		status = parse_format(value, &o->format);
		break;
	case FLAG_DATA:
		o->data = value;
		break;
	case FLAG_PEERS:
		o->peers = value;
		break;
	case FLAG_MEMBER:
		status = ctl_number(value, &o->member);
		if (o->member == 0)
			status = -EINVAL;
		break;
	case FLAG_LIMIT:
		status = ctl_number(value, &o->limit);
		break;
	default:
		status = ctl_number(value, &o->revision);
		break;
	}
	if (status == 0)
		return 0;
	fprintf(stderr, "conclavectl: --%s is %s, not '%s'\n", flags[flag].name,
		allowed[flag], value);
	return CTL_USAGE;
}

static void set_alone(struct ctl_options *o, uint32_t flag)
{
	bool *const targets[FLAG_COUNT] = {
		[FLAG_HEX] = &o->hex,
		[FLAG_HELP] = &o->help,
		[FLAG_VERSION] = &o->version,
		[FLAG_PREFIX] = &o->prefix,
		[FLAG_FROM_KEY] = &o->from_key,
		[FLAG_KEYS_ONLY] = &o->keys_only,
		[FLAG_VALUES_ONLY] = &o->values_only,
		[FLAG_COUNT_ONLY] = &o->count_only,
		[FLAG_SERIALIZABLE] = &o->serializable,
		[FLAG_FORCE] = &o->force,
		[FLAG_ACCEPT_DATA_LOSS] = &o->accept_data_loss,
	};

	if (targets[flag] != NULL)
		*targets[flag] = true;
}

/* Which flag a word is, and its value if it stands behind a `=`. */
static uint32_t find_flag(const char *word, const char **ret_value)
{
	const char *equals = strchr(word, '=');
	size_t size = equals != NULL ? (size_t)(equals - word) : strlen(word);
	uint32_t at;

	*ret_value = equals != NULL ? equals + 1 : NULL;
	for (at = 0; at < FLAG_COUNT; at++) {
		if (strlen(flags[at].name) == size &&
		    memcmp(flags[at].name, word, size) == 0)
			break;
	}
	return at;
}

/* One flag at words[*at]; 0, or an exit status behind a message. */
static int take_flag(struct ctl_options *o, int count, char *const *words,
		     int *at, uint32_t *seen)
{
	const char *word = words[*at], *value = NULL;
	uint32_t flag;

	if (strcmp(word, "-w") == 0)
		flag = FLAG_WRITE_OUT;
	else if (strcmp(word, "-h") == 0)
		flag = FLAG_HELP;
	else if (strncmp(word, "--", 2) == 0)
		flag = find_flag(word + 2, &value);
	else
		return complain_flag("", word);
	if (flag == FLAG_COUNT)
		return complain_flag("--", word + 2);
	*seen |= 1u << flag;
	if (flags[flag].value == NULL && value != NULL) {
		fprintf(stderr, "conclavectl: --%s takes no value\n",
			flags[flag].name);
		return CTL_USAGE;
	}
	if (flags[flag].value == NULL) {
		set_alone(o, flag);
		return 0;
	}
	if (value == NULL && *at + 1 < count)
		value = words[++*at];
	if (value != NULL)
		return set_with_value(o, flag, value);
	fprintf(stderr, "conclavectl: --%s lacks its %s\n", flags[flag].name,
		flags[flag].value);
	return CTL_USAGE;
}

/* `help` and `version` are flags that may be written like commands. */
static bool is_flag_word(struct ctl_options *o, const char *word)
{
	bool is_help = strcmp(word, "help") == 0;
	bool is_version = strcmp(word, "version") == 0;

	o->help |= is_help;
	o->version |= is_version;
	return is_help || is_version;
}

/* A command of one word, a group, or the second word of one of its own. */
static int take_command(struct ctl_options *o, const char *word)
{
	char name[CTL_NAME_MAX];
	uint32_t at;

	if (o->group == NULL && is_flag_word(o, word))
		return 0;
	snprintf(name, sizeof(name), "%s%s%s", o->group != NULL ? o->group : "",
		 o->group != NULL ? " " : "", word);
	for (at = 0; ctl_commands[at].name != NULL; at++) {
		if (strcmp(ctl_commands[at].name, name) != 0)
			continue;
		o->command = ctl_commands[at].name;
		return 0;
	}
	for (at = 0; o->group == NULL && ctl_groups[at] != NULL; at++) {
		if (strcmp(ctl_groups[at], word) != 0)
			continue;
		o->group = ctl_groups[at];
		return 0;
	}
	return complain_word("command", "", name, command_name);
}

static int take_word(struct ctl_options *o, const char *word)
{
	if (o->command == NULL)
		return take_command(o, word);
	if (o->argument_count < CTL_ARGUMENTS)
		o->arguments[o->argument_count] = word;
	o->argument_count++;
	return 0;
}

static int check_seen(const struct ctl_options *o, uint32_t seen)
{
	uint32_t takes = 0, at;

	for (at = 0; ctl_commands[at].name != NULL; at++) {
		if (o->command == ctl_commands[at].name)
			takes = ctl_commands[at].takes;
	}
	for (at = 0; at < FLAG_COUNT && o->command != NULL; at++) {
		if ((seen & 1u << at) == 0 || flags[at].takes == 0 ||
		    (flags[at].takes & takes) != 0)
			continue;
		fprintf(stderr, "conclavectl: %s does not take --%s\n",
			o->command, flags[at].name);
		return CTL_USAGE;
	}
	if (o->prefix && o->from_key) {
		fprintf(stderr,
			"conclavectl: --prefix and --from-key exclude each "
			"other\n");
		return CTL_USAGE;
	}
	return 0;
}

int ctl_options_parse(struct ctl_options *ret_options, int count,
		      char *const *words)
{
	struct ctl_options o = {.timeout_ms = CTL_TIMEOUT_MS};
	bool ended = false;
	uint32_t seen = 0;
	int status = 0, at;

	for (at = 1; at < count && status == 0; at++) {
		/* A lone `-` is a word: standard input. */
		if (ended || words[at][0] != '-' || words[at][1] == 0)
			status = take_word(&o, words[at]);
		else if (strcmp(words[at], "--") == 0)
			ended = true;
		else
			status = take_flag(&o, count, words, &at, &seen);
	}
	if (status == 0)
		status = check_seen(&o, seen);
	if (status == 0)
		*ret_options = o;
	return status;
}

void ctl_options_print(uint32_t takes)
{
	char left[32];
	uint32_t at;

	for (at = 0; at < FLAG_COUNT; at++) {
		if (flags[at].takes != 0 && (flags[at].takes & takes) == 0)
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", flags[at].name,
			 flags[at].value != NULL ? "=" : "",
			 flags[at].value != NULL ? flags[at].value : "");
		printf("  %-22s %s\n", left, flags[at].text);
	}
}
