/*
 * Configuration: what this member is told, as against what its cluster has
 * agreed on (settings, which are replicated and not here).
 *
 * An option has one name everywhere: `name = value` in the file, --name=value
 * or --name value on the command line, CONCLAVE_NAME in the environment (with
 * _ for -). Flags win over the environment, the environment over the file,
 * the file over the defaults. A wrong value is refused with the name of the
 * option, what it was, where it stood, and what it may be.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/node.h"

enum config_limits {
	CONFIG_CLUSTER_MAX = 64,
	CONFIG_PATH_MAX = 256,
	CONFIG_SOCKET_MAX = 108, /* sun_path, with its NUL */
	CONFIG_ALLOW_MAX = 64,
	CONFIG_ERROR_MAX = 1024,
	CONFIG_LINE_MAX = 2048,
	CONFIG_PEERS_MAX = RAFT_MEMBERS_MAX,
	CONFIG_NAMES_MAX = 1024,
	CONFIG_ELECTION_BEATS = 5, /* heartbeats in an election timeout */
	CONFIG_SPIN_MAX_US = 1000000,
	CONFIG_SPIN_USUAL_US = 50,
};

#define CONFIG_SPIN_FOREVER UINT64_MAX
#define CONFIG_SPIN_UNSET   (UINT64_MAX - 1)

enum config_log_format {
	CONFIG_LOG_KEY_VALUE = 0,
};

/* One user or group that may connect. */
struct config_allow {
	bool group;
	uint32_t id;
};

struct config {
	char cluster[CONFIG_CLUSTER_MAX + 1];
	char data[CONFIG_PATH_MAX];
	char socket[CONFIG_SOCKET_MAX];
	char config[CONFIG_PATH_MAX]; /* the file; "" for none */
	uint64_t member;
	uint64_t engine; /* enum engine_kind */
	uint64_t log_level; /* enum log_level */
	uint64_t log_format;
	uint64_t spin_us; /* or CONFIG_SPIN_FOREVER */
	uint64_t handles_max;
	uint64_t segment_size;
	uint64_t snapshot_after;
	struct config_allow allow[CONFIG_ALLOW_MAX];
	uint32_t allow_count;
	/* The other members; see daemon/config_peers.c for what goes together.
	 */
	uint32_t peer_count;
	struct node_member peers[CONFIG_PEERS_MAX];
	char peer_listen[NODE_ADDRESS_MAX]; /* "": listens to nobody */
	uint64_t heartbeat_ms;
	uint64_t election_ms;
	uint64_t disk_patience; /* percent of election_ms */
	char peer_cert[CONFIG_PATH_MAX]; /* "": plain TCP */
	char peer_key[CONFIG_PATH_MAX];
	char peer_ca[CONFIG_PATH_MAX];
	char peer_names[CONFIG_NAMES_MAX]; /* with commas between */
	bool peer_plaintext;
	bool join;
	bool accept_tail_loss;
	bool version;
	bool help;
};

/*
 * Reads flags, environment and the file named by either. `environment` is
 * what main() was given. 0, or -EINVAL and a sentence (or a few, each a line)
 * in ret_error. With `help` or `version` set the rest may be incomplete.
 */
int config_read(struct config *ret_config, char *const *arguments,
		char *const *environment, char ret_error[CONFIG_ERROR_MAX])
	__attribute__((warn_unused_result));

/* Writes what --help says to descriptor `fd`. */
void config_help(int fd);

/* ---- the table of options; config.c alone uses what is below ---- */

struct config_option {
	const char *name;
	const char *value; /* its place holder in the help; NULL: a flag */
	const char *may; /* what it may be, as a part of a sentence */
	const char *meaning;
	const char *usual; /* the default, in the option's own notation */
	int (*parse)(const struct config_option *option, const char *text,
		     void *field);
	size_t offset; /* in struct config */
	uint64_t min;
	uint64_t max; /* number: largest; text: room with its NUL */
};

/* The option called by the first `size` bytes of `name`, or NULL. */
const struct config_option *config_option(const char *name, size_t size);

/* host:port; a list of id=host:port; a list of names. */
int config_parse_address(const struct config_option *option, const char *text,
			 void *field) __attribute__((warn_unused_result));
int config_parse_peers(const struct config_option *option, const char *text,
		       void *field) __attribute__((warn_unused_result));
int config_parse_names(const struct config_option *option, const char *text,
		       void *field) __attribute__((warn_unused_result));

/* Decimal digits and nothing else: 0, -EINVAL or -ERANGE. */
int config_parse_digits(const char *text, size_t size, uint64_t *ret_value)
	__attribute__((warn_unused_result));

/* What options about members say together: 0, or -EINVAL and a sentence. */
int config_check_peers(const struct config *config,
		       char ret_error[CONFIG_ERROR_MAX])
	__attribute__((warn_unused_result));

/* Whether this member has others, or may get them. */
bool config_has_peers(const struct config *config);

/* The option at `index`, or NULL behind the last. */
const struct config_option *config_option_at(uint32_t index);

/* The name most like `name`, or NULL when none is near. */
const char *config_suggest(const char *name, size_t size);

#endif
