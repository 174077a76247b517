/*
 * The table of options, and the notation of each kind of value.
 */
#include "daemon/config.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "daemon/engine.h"
#include "daemon/log.h"
#include "daemon/node.h"

enum {
	SUGGEST_DISTANCE_MAX = 3,
	SUGGEST_NAME_MAX = 31,
	WORD_MAX = 64,
};

int config_parse_digits(const char *text, size_t size, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (size == 0)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		uint64_t digit = (uint64_t)(text[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return 0;
}

static int in_range(const struct config_option *option, uint64_t value,
		    uint64_t *field)
{
	if (value < option->min || value > option->max)
		return -ERANGE;
	*field = value;
	return 0;
}

static int parse_number(const struct config_option *option, const char *text,
			void *field)
{
	uint64_t value;
	int result = config_parse_digits(text, strlen(text), &value);

	return result < 0 ? result : in_range(option, value, field);
}

/* Bytes, or K, M, G of them (powers of 1,024). */
static int parse_size(const struct config_option *option, const char *text,
		      void *field)
{
	static const char units[] = "KMG";
	size_t size = strlen(text);
	uint32_t shift = 0;
	uint64_t value;

	const char *unit = size > 0 ? strchr(units, text[size - 1]) : NULL;
	if (unit) {
		shift = 10 * (uint32_t)(unit - units + 1);
		size--;
	}
	int result = config_parse_digits(text, size, &value);
	if (result < 0)
		return result;
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	return in_range(option, value << shift, field);
}

/* Whole MiB: what segments are made of. */
static int parse_segment(const struct config_option *option, const char *text,
			 void *field)
{
	uint64_t value;
	int result = parse_size(option, text, &value);

	if (result < 0)
		return result;
	if (value % (1 << 20) != 0)
		return -EINVAL;
	return in_range(option, value, field);
}

static int parse_text(const struct config_option *option, const char *text,
		      void *field)
{
	size_t size = strlen(text);

	if (size == 0 || size >= option->max)
		return -EINVAL;
	memcpy(field, text, size + 1);
	return 0;
}

/* A name that is also a part of file names. */
static int parse_name(const struct config_option *option, const char *text,
		      void *field)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.-";

	if (text[0] == '.' || text[0] == '-')
		return -EINVAL;
	if (text[strspn(text, good)] != '\0')
		return -EINVAL;
	return parse_text(option, text, field);
}

static int parse_flag(const struct config_option *option, const char *text,
		      void *field)
{
	bool *flag = field;

	(void)option; /* all flags are written alike */
	if (strcmp(text, "yes") == 0 || strcmp(text, "true") == 0)
		*flag = true;
	else if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0)
		*flag = false;
	else
		return -EINVAL;
	return 0;
}

static int choose(const char *const *words, const char *text, void *field)
{
	uint64_t *choice = field;

	for (uint64_t i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0) {
			*choice = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_engine(const struct config_option *option, const char *text,
			void *field)
{
	static const char *const words[] = {
		[ENGINE_AUTO] = "auto",
		[ENGINE_URING] = "io_uring",
		[ENGINE_PLAIN] = "plain",
		NULL,
	};

	(void)option; /* the words are all there is to know */
	return choose(words, text, field);
}

static int parse_level(const struct config_option *option, const char *text,
		       void *field)
{
	static const char *const words[] = {
		[LOG_DEBUG] = "debug",
		[LOG_INFO] = "info",
		[LOG_WARN] = "warn",
		[LOG_ERROR] = "error",
		NULL,
	};

	(void)option; /* the words are all there is to know */
	return choose(words, text, field);
}

static int parse_format(const struct config_option *option, const char *text,
			void *field)
{
	static const char *const words[] = {
		[CONFIG_LOG_KEY_VALUE] = "key=value",
		NULL,
	};

	(void)option; /* the words are all there is to know */
	return choose(words, text, field);
}

static int parse_spin(const struct config_option *option, const char *text,
		      void *field)
{
	uint64_t *spin_us = field;

	if (strcmp(text, "forever") != 0)
		return parse_number(option, text, field);
	*spin_us = CONFIG_SPIN_FOREVER;
	return 0;
}

/* One of the list: a number or a name, of a user or, after gid:, a group. */
static int parse_who(const char *word, struct config_allow *ret_allow)
{
	struct config_allow allow = {0};
	uint64_t id;

	if (strncmp(word, "gid:", 4) == 0) {
		allow.group = true;
		word += 4;
	} else if (strncmp(word, "uid:", 4) == 0) {
		word += 4;
	}
	int result = config_parse_digits(word, strlen(word), &id);
	if (result == 0 && id < UINT32_MAX) {
		allow.id = (uint32_t)id;
	} else if (result == -EINVAL && word[0] != '\0' && allow.group) {
		const struct group *group = getgrnam(word);
		if (!group)
			return -EINVAL;
		allow.id = group->gr_gid;
	} else if (result == -EINVAL && word[0] != '\0') {
		const struct passwd *user = getpwnam(word);
		if (!user)
			return -EINVAL;
		allow.id = user->pw_uid;
	} else {
		return -EINVAL;
	}
	*ret_allow = allow;
	return 0;
}

/* The list replaces an earlier one; it is stored only when it is whole. */
static int parse_allow(const struct config_option *option, const char *text,
		       void *field)
{
	struct config *config = field;
	struct config_allow allow[CONFIG_ALLOW_MAX];
	uint32_t count = 0;

	assert(option->offset == 0);
	for (;;) {
		char word[WORD_MAX] = {0};
		text += strspn(text, " \t");
		size_t whole = strcspn(text, ",");
		size_t size = whole;
		while (size > 0 && strchr(" \t", text[size - 1]))
			size--;
		if (size >= sizeof(word) || count == CONFIG_ALLOW_MAX)
			return -EINVAL;
		memcpy(word, text, size);
		int result = parse_who(word, &allow[count]);
		if (result < 0)
			return result;
		count++;
		text += whole;
		if (*text == '\0')
			break;
		text++;
	}
	memcpy(config->allow, allow, count * sizeof(allow[0]));
	config->allow_count = count;
	return 0;
}

static const struct config_option options[] = {
	{"config", "FILE", "a path shorter than 256 bytes",
	 "read options from FILE, lines `name = value`", NULL, parse_text,
	 offsetof(struct config, config), 0, CONFIG_PATH_MAX},
	{"cluster", "NAME",
	 "up to 64 letters, digits, _ . and -, not beginning with . or -",
	 "the cluster this member belongs to", "default", parse_name,
	 offsetof(struct config, cluster), 0, CONFIG_CLUSTER_MAX + 1},
	{"member", "ID", "a number from 1 to 18446744073709551615",
	 "the id of this member in the cluster", "1", parse_number,
	 offsetof(struct config, member), 1, UINT64_MAX},
	{"data", "FOLDER", "a path shorter than 256 bytes",
	 "where the log and the snapshots are kept", NULL, parse_text,
	 offsetof(struct config, data), 0, CONFIG_PATH_MAX},
	{"socket", "PATH", "a path shorter than 108 bytes",
	 "the socket at which clients arrive", NULL, parse_text,
	 offsetof(struct config, socket), 0, CONFIG_SOCKET_MAX},
	{"allow", "WHO,...",
	 "up to 64 users (1000, uid:1000, alice) and groups (gid:50, "
	 "gid:staff) that exist, with commas between",
	 "who may connect; default: the daemon's own user and root", NULL,
	 parse_allow, 0, 0, 0},
	{"engine", "KIND", "auto, io_uring or plain",
	 "how to talk to the kernel", "auto", parse_engine,
	 offsetof(struct config, engine), 0, 0},
	{"spin", "US", "microseconds from 0 to 1000000, or forever",
	 "how long to look for work before sleeping; default: 50, and 0 on "
	 "one processor",
	 NULL, parse_spin, offsetof(struct config, spin_us), 0,
	 CONFIG_SPIN_MAX_US},
	{"handles-max", "N", "a number from 1 to 1024",
	 "how many clients may be connected at once", "1024", parse_number,
	 offsetof(struct config, handles_max), 1, NODE_HANDLES_MAX},
	{"segment-size", "SIZE", "a size from 1M to 64M in whole M",
	 "size of one file of the log", "64M", parse_segment,
	 offsetof(struct config, segment_size), 1 << 20, WAL_SEGMENT_SIZE},
	{"snapshot-after", "SIZE", "a size from 1M to 1024G",
	 "log since the last snapshot that makes the next one due", "1G",
	 parse_size, offsetof(struct config, snapshot_after), 1 << 20,
	 1ull << 40},
	{"accept-tail-loss", NULL, "yes or no",
	 "start on a damaged log and give up what lies behind the damage", "no",
	 parse_flag, offsetof(struct config, accept_tail_loss), 0, 0},
	{"peer-listen", "HOST:PORT",
	 "host:port, an IPv6 host in brackets, a port from 1 to 65535",
	 "where to listen for other members", NULL, config_parse_address,
	 offsetof(struct config, peer_listen), 0, NODE_ADDRESS_MAX},
	{"peers", "ID=HOST:PORT,...",
	 "up to 16 members as id=host:port with commas between, each id once",
	 "all first members, this one included", NULL, config_parse_peers, 0, 0,
	 0},
	{"join", NULL, "yes or no",
	 "join a cluster that exists; --peers says where it is", "no",
	 parse_flag, offsetof(struct config, join), 0, 0},
	{"heartbeat-ms", "MS", "milliseconds from 10 to 10000",
	 "pause between a leader's heartbeats", "100", parse_number,
	 offsetof(struct config, heartbeat_ms), 10, 10000},
	{"election-ms", "MS", "milliseconds from 50 to 100000",
	 "silence of the leader after which another is elected", "1000",
	 parse_number, offsetof(struct config, election_ms), 50, 100000},
	{"disk-patience", "PERCENT", "percent of election-ms from 10 to 100",
	 "how long a write may take before this member does not lead", "50",
	 parse_number, offsetof(struct config, disk_patience), 10, 100},
	{"peer-plaintext", NULL, "yes or no",
	 "talk to members on other hosts without TLS", "no", parse_flag,
	 offsetof(struct config, peer_plaintext), 0, 0},
	{"peer-cert", "FILE", "a path shorter than 256 bytes",
	 "certificate of this member, PEM", NULL, parse_text,
	 offsetof(struct config, peer_cert), 0, CONFIG_PATH_MAX},
	{"peer-key", "FILE", "a path shorter than 256 bytes",
	 "its private key, PEM: ECDSA P-256 or Ed25519", NULL, parse_text,
	 offsetof(struct config, peer_key), 0, CONFIG_PATH_MAX},
	{"peer-ca", "FILE", "a path shorter than 256 bytes",
	 "who signs the certificates of members, PEM", NULL, parse_text,
	 offsetof(struct config, peer_ca), 0, CONFIG_PATH_MAX},
	{"peer-names", "NAME,...",
	 "host names and addresses with commas between, shorter than 1024 "
	 "bytes; .example.com means every name below",
	 "names that certificates of members may have; default: the host at "
	 "which a member is",
	 NULL, config_parse_names, offsetof(struct config, peer_names), 0,
	 CONFIG_NAMES_MAX},
	{"log-level", "LEVEL", "debug, info, warn or error",
	 "the least level that is logged", "info", parse_level,
	 offsetof(struct config, log_level), 0, 0},
	{"log-format", "FORMAT", "key=value", "the format of log lines",
	 "key=value", parse_format, offsetof(struct config, log_format), 0, 0},
	{"version", NULL, "yes or no", "say which version this is, and end",
	 "no", parse_flag, offsetof(struct config, version), 0, 0},
	{"help", NULL, "yes or no", "say this, and end", "no", parse_flag,
	 offsetof(struct config, help), 0, 0},
};

enum {
	OPTION_COUNT = sizeof(options) / sizeof(options[0]),
};

const struct config_option *config_option_at(uint32_t index)
{
	return index < OPTION_COUNT ? &options[index] : NULL;
}

const struct config_option *config_option(const char *name, size_t size)
{
	for (uint32_t i = 0; i < OPTION_COUNT; i++) {
		if (strlen(options[i].name) == size &&
		    memcmp(options[i].name, name, size) == 0)
			return &options[i];
	}
	return NULL;
}

static uint32_t least(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t smaller = a < b ? a : b;

	return smaller < c ? smaller : c;
}

/* Levenshtein's distance: letters to insert, delete or change. */
static uint32_t distance(const char *a, size_t a_size, const char *b)
{
	uint32_t row[SUGGEST_NAME_MAX + 1];
	size_t b_size = strlen(b);

	assert(b_size <= SUGGEST_NAME_MAX);
	for (uint32_t j = 0; j <= b_size; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= a_size; i++) {
		uint32_t diagonal = row[0];
		row[0] = i;
		for (uint32_t j = 1; j <= b_size; j++) {
			uint32_t above = row[j];
			uint32_t change = diagonal + (a[i - 1] != b[j - 1]);
			row[j] = least(change, above + 1, row[j - 1] + 1);
			diagonal = above;
		}
	}
	return row[b_size];
}

const char *config_suggest(const char *name, size_t size)
{
	uint32_t best = SUGGEST_DISTANCE_MAX + 1;
	const char *suggestion = NULL;

	if (size > SUGGEST_NAME_MAX)
		return NULL;
	for (uint32_t i = 0; i < OPTION_COUNT; i++) {
		uint32_t away = distance(name, size, options[i].name);
		if (away < best && away * 2 <= strlen(options[i].name)) {
			best = away;
			suggestion = options[i].name;
		}
	}
	return suggestion;
}
