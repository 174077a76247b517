/*
 * Settings: what apply consults, and what all members must have in common.
 * Each is a decimal number with limits; it is read as a key of the system
 * tree, with the revision of the store at which it was set last.
 */
#ifndef DAEMON_STORE_SETTING_H
#define DAEMON_STORE_SETTING_H

#include "daemon/store/version.h"

enum setting_id {
	SETTING_CLUSTER_VERSION = 0, /* in the order of their names */
	SETTING_LEASE_READS,
	SETTING_QUOTA_BYTES,
	SETTING_RETENTION_MS,
	SETTING_SESSION_EXPIRY_MS,
	SETTING_SESSIONS_MAX,
	SETTING_STORE_ADDRESS_BYTES,
	SETTING_TOMBSTONE_MS,
	SETTING_COUNT,
	SETTING_VALUE_MAX = 20, /* digits */
};

struct setting_record {
	uint64_t mod_revision;
	uint64_t version;
};

const char *setting_name(uint32_t id);

/* Whether all values are within their limits, also with each other. */
bool setting_are_valid(const struct store_settings *settings);

/* Whether a newer release than this one set them. */
bool setting_is_of_newer(const struct store_settings *settings);

uint64_t setting_get(const struct store_settings *settings, uint32_t id);
void setting_put(struct store_settings *settings, uint32_t id, uint64_t value);

/* 0, CONCLAVE_ENOTFOUND or CONCLAVE_EBADREQ. */
int setting_apply(struct store *store, struct key name, struct key value)
	__attribute__((warn_unused_result));

/* Writes the value in decimal, returns its length. */
uint32_t setting_format(uint64_t value, char ret_text[SETTING_VALUE_MAX]);

#endif
