/*
 * Between the stream of an image (load.c) and its records (load_record.c):
 * what is known of the image so far, and a call for each kind of record.
 */
#ifndef DAEMON_STORE_LOAD_H
#define DAEMON_STORE_LOAD_H

#include "daemon/store/image.h"

enum load_limits {
	/* The longest record without its value. */
	LOAD_STAGE = sizeof(struct image_version) + OP_KEY_MAX,
};

struct load {
	bool broken;
	bool ended;
	bool member_due; /* members may follow */
	bool in_body; /* behind a version's key */
	uint32_t phase; /* type of the last record, 0: none yet */
	uint32_t stage_size;
	uint32_t body_done;
	uint64_t body; /* version whose value is coming; 0: a tombstone */
	uint64_t records;
	uint64_t last_revision;
	uint64_t last_sequence;
	uint64_t session; /* the last one; 0: none yet */
	uint64_t results; /* of it, still to come */
	struct store_hash digest;
	struct image_head head;
	struct image_version version; /* the last one */
	uint8_t stage[LOAD_STAGE];
};

/* All return 0, or -EBADMSG; load_head() also -EINVAL, see store_load(). */
int load_head(struct store *store, const uint8_t *stage)
	__attribute__((warn_unused_result));
int load_member(struct store *store, const uint8_t *stage)
	__attribute__((warn_unused_result));
int load_session(struct store *store, const uint8_t *stage)
	__attribute__((warn_unused_result));
int load_result(struct store *store, const uint8_t *stage)
	__attribute__((warn_unused_result));
int load_version_begin(struct store *store) __attribute__((warn_unused_result));
int load_version_end(struct store *store) __attribute__((warn_unused_result));
int load_finish(struct store *store, const uint8_t *stage)
	__attribute__((warn_unused_result));

#endif
