/*
 * conclavectl: what its files share. One process runs one command.
 *
 *   conclavectl.c           the commands by name, and the way through main()
 *   conclavectl_options.c   flags, and what was meant by a wrong one
 *   conclavectl_read.c      get, range, settings
 *   conclavectl_write.c     put, del, cas, compact
 *   conclavectl_member.c    member ..., move-leader
 *   conclavectl_endpoint.c  status, endpoint ...
 *   conclavectl_snapshot.c  snapshot ..., which works on files itself
 *   conclavectl_print.c     simple, json and fields
 */
#ifndef SHM_CONCLAVECTL_H
#define SHM_CONCLAVECTL_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/conclave.h"

enum ctl_exit {
	CTL_OK = 0,
	CTL_USAGE = 1, /* also: input or output failed */
	CTL_NOT_FOUND = 2, /* or the comparison failed */
	CTL_NOT_APPLIED = 3, /* definitely */
	CTL_UNKNOWN = 4, /* perhaps applied */
	CTL_NO_DAEMON = 5,
	CTL_DAMAGED = 6, /* a backup, or a data folder */
};

enum ctl_format {
	CTL_SIMPLE = 0,
	CTL_JSON,
	CTL_FIELDS,
};

/* Which flags a command takes; all take the common ones. */
enum ctl_flag_set {
	CTL_TAKES_RANGE = 1, /* --prefix, --from-key */
	CTL_TAKES_READ = 2, /* --limit, --rev, --keys-only, ... */
	CTL_TAKES_LOCAL = 4, /* --serializable */
	CTL_TAKES_SAVE = 8, /* --data, --force */
	CTL_TAKES_RESTORE = 16, /* --data, --member, --peers, ... */
	CTL_ALONE = 32, /* no flag: it opens the daemon itself, or none */
	CTL_WRITES = 64, /* no flag: in doubt, it may have been applied */
};

enum ctl_limits {
	CTL_ARGUMENTS = 3,
	CTL_NAME_MAX = 64, /* of what may be a command */
	CTL_TIMEOUT_MS = 7000,
	CTL_REPLY_SIZE = 4 << 20,
	CTL_PAGE_SIZE = 256 << 10,
};

struct ctl_options {
	const char *command;
	const char *group; /* first word of one that has two, or NULL */
	const char *arguments[CTL_ARGUMENTS];
	uint32_t argument_count;
	const char *socket;
	const char *cluster;
	uint32_t timeout_ms;
	enum ctl_format format;
	uint64_t limit;
	uint64_t revision;
	const char *data;
	const char *peers;
	uint64_t member;
	bool force;
	bool accept_data_loss;
	bool hex;
	bool prefix;
	bool from_key;
	bool keys_only;
	bool values_only;
	bool count_only;
	bool serializable;
	bool help;
	bool version;
};

struct ctl {
	const struct ctl_options *options;
	struct conclave *conclave;
};

struct ctl_command {
	const char *name; /* one word, or a group's and another */
	const char *arguments; /* for the usage line */
	const char *text;
	uint32_t least, most; /* arguments */
	uint32_t takes; /* enum ctl_flag_set */
	int (*run)(struct ctl *ctl); /* gives an enum ctl_exit */
};

extern const struct ctl_command ctl_commands[];
extern const char *const ctl_groups[];

/* ---- conclavectl_options.c ---- */

/* 0, or an exit status behind a message. */
int ctl_options_parse(struct ctl_options *ret_options, int count,
		      char *const *words) CV_MUST_USE;
/* What takes these flags, for help. */
void ctl_options_print(uint32_t takes);
/* The name among those of `next` that is most like `word`, or NULL. */
const char *ctl_similar(const char *word, const char *(*next)(uint32_t at));
/* 0 and a whole decimal number, or -EINVAL. */
int ctl_number(const char *text, uint64_t *ret_number) CV_MUST_USE;

/* ---- conclavectl.c ---- */

/* Says what a failed call means; gives the exit status. */
int ctl_fail(const struct ctl *ctl, const char *what, int code) CV_MUST_USE;
/* Connects; CTL_OK, or an exit status behind a message. */
int ctl_open(struct ctl *ctl) CV_MUST_USE;

/* ---- commands ---- */

int ctl_get(struct ctl *ctl) CV_MUST_USE;
int ctl_range(struct ctl *ctl) CV_MUST_USE;
int ctl_status(struct ctl *ctl) CV_MUST_USE;
int ctl_settings(struct ctl *ctl) CV_MUST_USE;
int ctl_put(struct ctl *ctl) CV_MUST_USE;
int ctl_del(struct ctl *ctl) CV_MUST_USE;
int ctl_cas(struct ctl *ctl) CV_MUST_USE;
int ctl_compact(struct ctl *ctl) CV_MUST_USE;
int ctl_member_list(struct ctl *ctl) CV_MUST_USE;
int ctl_member_add(struct ctl *ctl) CV_MUST_USE;
int ctl_member_promote(struct ctl *ctl) CV_MUST_USE;
int ctl_member_remove(struct ctl *ctl) CV_MUST_USE;
int ctl_member_update(struct ctl *ctl) CV_MUST_USE;
int ctl_member_replace(struct ctl *ctl) CV_MUST_USE;
int ctl_move_leader(struct ctl *ctl) CV_MUST_USE;
int ctl_endpoint_health(struct ctl *ctl) CV_MUST_USE;
int ctl_endpoint_hash(struct ctl *ctl) CV_MUST_USE;
int ctl_snapshot_save(struct ctl *ctl) CV_MUST_USE;
int ctl_snapshot_status(struct ctl *ctl) CV_MUST_USE;
int ctl_snapshot_restore(struct ctl *ctl) CV_MUST_USE;

/* What a key and its flags select. `key` and `end` are the caller's, with
 * room for CV_KEY_MAX each; 0, or an exit status behind a message. */
struct ctl_range {
	uint8_t key[CV_KEY_MAX];
	uint8_t end[CV_KEY_MAX];
	size_t key_size;
	size_t end_size;
};

int ctl_range_of(const struct ctl_options *options, const char *key,
		 const char *end, struct ctl_range *ret_range) CV_MUST_USE;

/* ---- conclavectl_print.c ---- */

void ctl_print_bytes(const struct ctl *ctl, const uint8_t *bytes, size_t size);
void ctl_print_json_bytes(const uint8_t *bytes, size_t size);
void ctl_print_json_text(const uint8_t *bytes, size_t size);
void ctl_print_quoted(const uint8_t *bytes, size_t size);
/* `{"header":{...}`, without the end; or the fields of it. */
void ctl_print_header(const struct ctl *ctl, uint64_t revision);
void ctl_print_kv(const struct ctl *ctl, const struct conclave_kv *kv,
		  bool first);
/* A name and a number of a status, in whatever form. */
void ctl_print_number(const struct ctl *ctl, const char *name, uint64_t value);

#endif
