/*
 * The types of the client's public functions (shm/conclave.h).
 */
#ifndef SHM_TYPES_H
#define SHM_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "shm/abi.h"

#ifndef CONCLAVE_DEF
#define CONCLAVE_DEF static inline
#endif

struct conclave;
struct conclave_req;

/* ---- options ---- */

enum conclave_option_flags {
	CONCLAVE_INTERRUPTIBLE = 1, /* a signal ends a wait with -EINTR */
	CONCLAVE_TRUST_UID = 2, /* the daemon may run as `trusted_uid` */
};

#define CONCLAVE_SPIN_FOREVER  UINT32_MAX
#define CONCLAVE_SPIN_ADAPTIVE (UINT32_MAX - 1)

/* Zeros mean the default, except where it says otherwise. */
struct conclave_options {
	const char *socket; /* NULL: $CONCLAVE_SOCKET, or by cluster */
	const char *cluster; /* NULL: "default" */
	const char *name; /* for the daemon's log; NULL: none */
	uint32_t slots; /* requests at a time; 256 */
	uint32_t proposal_size; /* ring for writes, bytes; 256 KiB */
	uint32_t control_size; /* ring for reads, bytes; 256 KiB */
	uint32_t reply_size; /* room for what is read, bytes; 256 KiB */
	uint32_t request_max; /* key and value together, bytes; 64 KiB */
	uint32_t spin_us; /* before sleeping; 0 is none here */
	uint32_t timeout_ms; /* default deadline; 7,000 */
	uint32_t open_wait_ms; /* for a daemon that is not there; none */
	uint32_t flags; /* enum conclave_option_flags */
	uint32_t trusted_uid; /* with CONCLAVE_TRUST_UID */
};

/* ---- what is asked and answered ---- */

/* A key and what is known about it; whose bytes, the call says. */
struct conclave_kv {
	const uint8_t *key;
	const uint8_t *value;
	uint32_t key_size;
	uint32_t value_size;
	uint64_t create_revision;
	uint64_t mod_revision;
	uint64_t version;
	uint64_t lease;
	const uint8_t *cv_rest; /* the reply behind this record */
	uint32_t cv_rest_size;
};

struct conclave_range {
	const void *key;
	const void *end; /* end_size 0: the one key; "\0": all from key */
	size_t key_size;
	size_t end_size;
	uint64_t revision; /* 0: the newest */
	uint64_t limit; /* of records; 0: none */
	uint32_t flags; /* CV_SERIALIZABLE, _COUNT_ONLY, _KEYS_ONLY, _SYSTEM */
	uint32_t page_size; /* bytes of a reply; 0: a quarter of the room */
};

/* A walk; the caller's memory. Fields below are for reading. */
struct conclave_pages {
	struct conclave *c;
	struct conclave_range range; /* its revision is the one read at */
	uint64_t count; /* of all in the range, with CV_COUNT_ONLY */
	int more; /* the limit cut the range */
	struct conclave_req *cv_req;
	struct conclave_kv cv_last;
	int cv_done;
	uint8_t cv_key[CV_KEY_MAX];
};

/* A member of the cluster; whose bytes the address is, the call says. */
struct conclave_member {
	uint64_t id;
	uint64_t match; /* last index on its disk, if the leader answers */
	uint32_t flags; /* enum cv_member_flags */
	uint32_t address_size; /* 0: not known */
	const char *address; /* host:port, without a zero */
	const uint8_t *cv_rest; /* the reply behind this one */
	uint32_t cv_rest_size;
};

/* A walk over them; the caller's memory. */
struct conclave_members {
	struct conclave *c;
	uint64_t count;
	struct conclave_req *cv_req;
	struct conclave_member cv_last;
};

/* Where a daemon has its newest image. */
struct conclave_image {
	uint64_t index; /* of the last entry in it; 0: there is none */
	uint64_t term;
	uint64_t applied; /* what is applied now */
	char folder[CV_PLACE_MAX];
	char name[CV_PLACE_MAX]; /* of the cluster */
};

struct conclave_result {
	int32_t status; /* 0 or what it was refused with */
	uint32_t flags; /* enum conclave_result_flags */
	uint64_t revision; /* of the write; of a range: that it shows */
	uint64_t aux; /* DELETE, RANGE, MEMBERS: count; CAS: what was found */
	const void *reply; /* records, members, a state */
	uint32_t reply_size; /* with CONCLAVE_ETOOSMALL: what it takes */
};

enum conclave_error_kind {
	CONCLAVE_APPLIED = 0,
	CONCLAVE_NOT_APPLIED = 1, /* definitely */
	CONCLAVE_UNKNOWN = 2,
};

#endif
