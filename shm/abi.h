/*
 * The bytes that a client and the daemon share, and the messages with which
 * they meet. This is the ABI: little-endian, fixed widths, every offset
 * pinned below. Nothing here is code.
 *
 * A handle is one connection of one thread. It has two sealed memfds, made by
 * the daemon: *up*, which the client writes and the daemon reads, and *down*,
 * which the daemon writes and the client maps read-only. A third memfd, the
 * status page, is one for all clients.
 *
 *   up:   header 256 | words 256 | claim words | proposal ring | control ring
 *   down: header 256 | words 256 | slots | reply area | event ring
 *
 * Offsets and sizes stand in the welcome message and again in both headers;
 * the client checks them once, the daemon never reads them back.
 *
 * Rings are byte rings of records, a multiple of CV_RECORD_ALIGN, one
 * producer and one consumer; positions grow for ever and are taken modulo the
 * ring's size, a power of two. See shm/ring.h.
 */
#ifndef SHM_ABI_H
#define SHM_ABI_H

#include <stddef.h>
#include <stdint.h>

/* Results. Below -1000, so that they never meet an errno. */
enum conclave_error {
	/* Definitely not applied. */
	CONCLAVE_ENOLEADER = -1001, /* no leader, and FAIL_FAST */
	CONCLAVE_ETRANSFER = -1002, /* leadership is moving */
	CONCLAVE_ELOGFULL = -1003, /* too much is uncommitted */
	CONCLAVE_EREMOVED = -1004, /* this member was removed */
	CONCLAVE_ETOOLARGE = -1005, /* request over the handle's maximum */
	CONCLAVE_ETOOMANY = -1006, /* a limit on handles, sessions, ... */
	CONCLAVE_EQUOTA = -1007, /* the store is full */
	CONCLAVE_EPERM = -1008, /* not allowed to this user */
	CONCLAVE_EBADREQ = -1009, /* malformed request */
	CONCLAVE_EUNSUPPORTED = -1010, /* unknown request or feature */
	CONCLAVE_ECANCELLED = -1011, /* the cancel won: never proposed */
	CONCLAVE_ENOSPACE = -1012, /* the disk is full: writes refused */
	CONCLAVE_ECOMPARE = -1013, /* compare-and-swap: it differed */
	CONCLAVE_ECOMPACTED = -1014, /* that revision is gone */
	CONCLAVE_EFUTURE = -1015, /* that revision is not yet */
	CONCLAVE_ETOOSMALL = -1016, /* reply room; reply_size says how much */
	CONCLAVE_ENOTAPPLIED = -1017, /* settled after a restart: not applied */
	CONCLAVE_ENOTFOUND = -1018, /* no such key, setting, lease */
	CONCLAVE_EEPOCH = -1019, /* an operation of an older epoch */
	CONCLAVE_EWINDOW = -1020, /* sequence beyond settled-below + 4,096 */
	CONCLAVE_ESETTLED = -1021, /* sequence below settled-below */
	CONCLAVE_EMEMBERSHIP = -1022, /* this change of members is refused */
	CONCLAVE_ECORRUPT = -1023, /* this member's state is not the others' */
	/* Unknown now; ask again (conclave_wait) or for ever (ESESSION). */
	CONCLAVE_EDEADLINE = -1030, /* passed after the request was taken */
	CONCLAVE_ESESSION = -1031, /* the session expired; unknown is final */
	CONCLAVE_ESTOPPED = -1032, /* no daemon answers */
	/* The client's own. */
	CONCLAVE_EVERSION = -1040, /* ABI versions do not meet */
	CONCLAVE_EFORKED = -1041, /* this handle belongs to the parent */
	CONCLAVE_EPROTO = -1042, /* the daemon said something impossible */
	CONCLAVE_EUNTRUSTED = -1043, /* the daemon runs as another user */
};

enum cv_limits {
	CV_ABI_MAJOR = 1,
	CV_ABI_MINOR = 2, /* 1: members, state; 2: image */
	CV_LINE = 64,
	CV_PAGE = 4096,
	CV_RECORD_ALIGN = 64,
	CV_HEADER_SIZE = 256,
	CV_WORDS_SIZE = 256,
	CV_CLAIMS_OFFSET = 512,
	CV_SLOTS_OFFSET = 512,
	CV_REQUEST_HEAD = 80,
	CV_KEY_MAX = 4096,
	CV_SLOTS_DEFAULT = 256,
	CV_SLOTS_MAX = 4096,
	CV_RING_DEFAULT = 256 << 10,
	CV_RING_MAX = 8 << 20,
	CV_REPLY_DEFAULT = 256 << 10,
	CV_REPLY_MAX = 8 << 20,
	CV_REQUEST_DEFAULT = 64 << 10,
	CV_REQUEST_MAX = 3 << 19, /* key and value, 1.5 MiB */
	CV_WINDOW = 4096, /* sequences above settled-below */
	CV_MESSAGE_SIZE = 256,
	CV_FD_COUNT = 5,
	CV_HISTOGRAM_BUCKETS = 48,
	CV_PLACE_MAX = 1024, /* a folder's path or a name, with a NUL */
};

#define CV_MAGIC_UP	0x31705576436e6f43ull /* "ConCvUp1" */
#define CV_MAGIC_DOWN	0x316e447643636e43ull /* "CncCvDn1" */
#define CV_MAGIC_STATUS 0x3174537643636e43ull /* "CncCvSt1" */
#define CV_MAGIC_HELLO	0x6f6c4c65u /* handshake */

enum cv_type {
	/* The proposal ring. */
	CV_PUT = 1,
	CV_DELETE = 2,
	CV_CAS = 3,
	CV_COMPACT = 4,
	CV_SETTING = 5,
	CV_MEMBER = 6, /* `limit` says what: enum cv_member_change */
	/* The control ring. */
	CV_PING = 16,
	CV_RANGE = 17,
	CV_OUTCOME = 18, /* what became of `sequence`? */
	CV_MOVE =
		19, /* hand leadership to member `argument`: begun, not over */
	CV_MEMBERS = 20, /* as known here: struct cv_member in the reply */
	CV_STATE = 21, /* what the store is here: struct cv_state */
	CV_IMAGE = 22, /* where the newest image is: struct cv_image; one that
			  is older than index `argument` is made anew */
};

/* What a CV_MEMBER does with member `argument`. */
enum cv_member_change {
	CV_MEMBER_ADD = 1, /* as a learner; key: its address */
	CV_MEMBER_PROMOTE = 2, /* a learner that has caught up, to a voter */
	CV_MEMBER_REMOVE = 3,
	CV_MEMBER_UPDATE = 4, /* key: its new address */
	CV_MEMBER_REPLACE = 5, /* by the learner whose id (u64) is the value,
				  in one joint change */
};

/* The slot of a pad: the rest of the ring, go on at its start. */
#define CV_SLOT_PAD UINT32_MAX

enum cv_request_flags {
	CV_FAIL_FAST = 1, /* no leader: refuse at once */
	CV_SERIALIZABLE = 2, /* read: local state will do */
	CV_COUNT_ONLY = 4,
	CV_KEYS_ONLY = 8,
	CV_SYSTEM = 16, /* range over the settings */
};

/*
 * A request, in a ring. The daemon reads the first 16 bytes once, takes the
 * claim, and only then the rest. A request without key fits in 64 bytes if what
 * lies beyond is zero. Key, then value or range end, without padding,
 * follow at CV_REQUEST_HEAD.
 *
 * A request that is taken is posted exactly once. One whose deadline passed
 * before is taken and posted as CONCLAVE_ECANCELLED. CV_OUTCOME is answered
 * with the first result of that sequence and CONCLAVE_RESULT_REPEATED, with
 * CONCLAVE_ENOTAPPLIED, or with CONCLAVE_ESESSION.
 */
struct cv_request {
	uint32_t length; /* of the record; 0: nothing here. Stored last */
	uint32_t slot;
	uint64_t generation;
	uint16_t type; /* enum cv_type */
	uint16_t flags; /* enum cv_request_flags */
	uint32_t reply_offset; /* in the reply area */
	uint32_t reply_size; /* room reserved there, may be 0 */
	uint32_t key_size;
	uint64_t sequence; /* of a proposal; of a read: `after` */
	uint64_t settled; /* settled-below; of a read: min_revision */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
	uint64_t argument; /* CAS: mod_revision; RANGE, COMPACT: revision;
			      OUTCOME: the sequence asked about;
			      MEMBER, MOVE: a member's id */
	uint32_t value_size; /* value, or range end */
	uint32_t limit;
	uint64_t lease;
};

/* States in the low two bits of a claim word; the rest is the generation. */
enum cv_claim_state {
	CV_FREE = 0,
	CV_QUEUED = 1,
	CV_TAKEN = 2,
	CV_CANCELLED = 3,
};

enum conclave_result_flags {
	CONCLAVE_RESULT_MORE = 1, /* the range goes on */
	CONCLAVE_RESULT_SUCCEEDED = 2, /* the compare held */
	CONCLAVE_RESULT_REPEATED = 4, /* the first result of a repeated one */
};

/* One completion. `generation` is stored last and says whose it is. */
struct cv_slot {
	uint64_t generation;
	int32_t status; /* 0 or an error */
	uint32_t reply_size; /* bytes in the reply room, or wanted */
	uint64_t revision; /* of the write; of a range: that was read at */
	uint64_t aux; /* DELETE: count; RANGE: count; CAS: found */
	uint32_t flags; /* enum conclave_result_flags */
	uint32_t reserved0;
	uint64_t reserved1[3];
};

/* One key in a reply; key, value and zeros to a multiple of 8 follow. */
struct cv_record {
	uint32_t key_size;
	uint32_t value_size;
	uint64_t create_revision;
	uint64_t mod_revision;
	uint64_t version;
	uint64_t lease;
};

enum cv_member_flags {
	CV_MEMBER_VOTER = 1,
	CV_MEMBER_LEARNER = 2,
	CV_MEMBER_LEADER = 4,
	CV_MEMBER_SELF = 8, /* the one that answers */
	CV_MEMBER_LINKED = 16, /* connected to the one that answers */
	CV_MEMBER_REMOVED = 32, /* was one */
};

/* One member in a reply; the address and zeros to a multiple of 8 follow. */
struct cv_member {
	uint64_t id;
	uint64_t match; /* last index on its disk, if the leader answers */
	uint32_t flags;
	uint32_t address_size;
};

/* Equal at equal `applied` on all members. */
struct cv_state {
	uint64_t applied;
	uint64_t revision;
	uint64_t hash[2]; /* low, high */
};

/* What a client sleeps for. */
enum cv_waiting {
	CV_WAITING_NOT = 0,
	CV_WAITING_RESULT = 1,
	CV_WAITING_ROOM = 2, /* in a ring, or a result */
};

/* The path of the folder in which the image lies, then the cluster's name,
 * neither with a NUL, follow. */
struct cv_image {
	uint64_t index; /* of the last entry in it; 0: there is none */
	uint64_t term;
	uint64_t applied; /* what is applied now */
	uint32_t folder_size;
	uint32_t name_size;
};

/* Words of *up* that the client writes, besides claims and rings. */
struct cv_up_words {
	uint32_t waiting; /* enum cv_waiting: it sleeps, or is about to */
	uint32_t armed; /* each change: ring the completion descriptor once */
	uint32_t reserved[62];
};

/* Words of *down* that the daemon writes. */
struct cv_down_words {
	uint32_t completion; /* how many slots were posted, modulo 2^32 */
	uint32_t reserved0[15];
	uint64_t proposal_head; /* ring positions that are free again */
	uint64_t control_head;
	uint32_t reserved1[44];
};

/* Both memfds begin so; written before the descriptors are sent. */
struct cv_header {
	uint64_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t header_size;
	uint64_t incarnation;
	uint64_t size; /* of the memfd */
	uint32_t slots;
	uint32_t request_max;
	uint32_t proposal_offset;
	uint32_t proposal_size;
	uint32_t control_offset;
	uint32_t control_size;
	uint32_t reply_offset;
	uint32_t reply_size;
	uint32_t event_offset;
	uint32_t event_size;
	uint8_t reserved[184];
};

/* Client to daemon, the first message on the socket. */
enum cv_hello_flags {
	CV_HELLO_RESUME = 1, /* the session existed: go on with it */
};

struct cv_hello {
	uint32_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t size; /* CV_MESSAGE_SIZE */
	uint32_t flags;
	uint64_t features;
	uint32_t slots; /* geometry wished for; 0: the default */
	uint32_t proposal_size;
	uint32_t control_size;
	uint32_t reply_size;
	uint32_t event_size;
	uint32_t request_max;
	uint8_t session[16];
	uint8_t secret[16];
	uint64_t epoch;
	uint64_t min_revision;
	uint64_t settled_below;
	uint64_t clock_ns; /* CLOCK_BOOTTIME when sent */
	char name[64]; /* for logs; may be empty */
	uint64_t born; /* of the welcome; 0: nothing was ever proposed */
	uint8_t reserved[72];
};

/* Daemon to client; with status 0 the descriptors ride along, in the order
 * up, down, status page, doorbell (an eventfd), completion (it becomes readable
 * when something completed and that was asked for). */
struct cv_welcome {
	uint32_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t size; /* CV_MESSAGE_SIZE */
	int32_t status;
	uint64_t features;
	uint64_t incarnation;
	uint8_t cluster[16];
	uint64_t member;
	uint64_t epoch;
	uint64_t revision;
	uint64_t clock_ns;
	uint64_t up_size;
	uint64_t down_size;
	uint32_t slots;
	uint32_t request_max;
	uint32_t proposal_offset;
	uint32_t proposal_size;
	uint32_t control_offset;
	uint32_t control_size;
	uint32_t reply_offset;
	uint32_t reply_size;
	uint32_t event_offset;
	uint32_t event_size;
	uint32_t status_size; /* of the status page */
	uint32_t session_known; /* 1: the cluster knows this session */
	uint64_t born; /* a resume tells it back */
	uint8_t reserved[104];
};

/* Client to daemon: close the session, nothing more will come. */
struct cv_bye {
	uint32_t magic;
	uint32_t size; /* sizeof(struct cv_bye) */
};

/* Bits of cv_status.alarms. */
enum cv_alarm {
	CV_ALARM_NOSPACE = 1, /* the disk is full: puts are refused */
	CV_ALARM_CORRUPT = 2, /* the state is not what others have */
	CV_ALARM_DAMAGED = 4, /* part of the log is missing, and will come */
};

/* The status page: written by the daemon, read-only for all. */
struct cv_status {
	uint64_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t size;
	uint64_t incarnation;
	uint8_t cluster[16];
	uint64_t member;
	uint64_t started_ns; /* CLOCK_BOOTTIME */
	uint64_t reserved0;
	/* A line of its own: every publish looks here. */
	uint32_t sleeping;
	uint32_t reserved1[15];
	/* A line that moves with each turn that did something. */
	uint64_t term;
	uint64_t leader; /* member id, 0: none known */
	uint64_t commit;
	uint64_t applied;
	uint64_t revision;
	uint64_t compacted;
	uint64_t role; /* enum raft_role */
	uint64_t alarms;
	/* The lease, a seqlock record; all zero: none. */
	uint64_t lease_sequence;
	uint64_t lease_term;
	uint64_t lease_end_ns; /* CLOCK_BOOTTIME */
	/* With CV_ALARM_CORRUPT: the state was another than others' there. */
	uint64_t differs_index;
	uint64_t reserved2[4];
	/* Counters, each only ever grows; gauges are marked. */
	uint64_t turns;
	uint64_t proposals;
	uint64_t reads;
	uint64_t batches;
	uint64_t log_records;
	uint64_t log_bytes;
	uint64_t wakes;
	uint64_t sleeps;
	uint64_t refused;
	uint64_t cancelled;
	uint64_t handles; /* gauge */
	uint64_t sessions; /* gauge */
	uint64_t keys; /* gauge */
	uint64_t store_bytes; /* gauge, logical */
	uint64_t store_used; /* gauge */
	uint64_t snapshots;
	uint64_t log_size; /* gauge */
	uint64_t read_rounds; /* begun to ask who leads, for reads of here */
	uint64_t lease_reads; /* that needed none */
	uint64_t reserved3[5];
	/* Powers of two of nanoseconds: durable write, and turn. */
	uint64_t write_ns[CV_HISTOGRAM_BUCKETS];
	uint64_t turn_ns[CV_HISTOGRAM_BUCKETS];
};

#ifdef __cplusplus
#define CV_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define CV_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

CV_STATIC_ASSERT(sizeof(struct cv_request) == CV_REQUEST_HEAD, "request");
CV_STATIC_ASSERT(offsetof(struct cv_request, generation) == 8, "request");
CV_STATIC_ASSERT(offsetof(struct cv_request, sequence) == 32, "request");
CV_STATIC_ASSERT(offsetof(struct cv_request, argument) == 56, "request");
CV_STATIC_ASSERT(sizeof(struct cv_slot) == CV_LINE, "slot");
CV_STATIC_ASSERT(sizeof(struct cv_record) == 40, "record");
CV_STATIC_ASSERT(sizeof(struct cv_member) == 24, "member");
CV_STATIC_ASSERT(sizeof(struct cv_state) == 32, "state");
CV_STATIC_ASSERT(sizeof(struct cv_image) == 32, "image");
CV_STATIC_ASSERT(sizeof(struct cv_up_words) == CV_WORDS_SIZE, "up words");
CV_STATIC_ASSERT(sizeof(struct cv_down_words) == CV_WORDS_SIZE, "down words");
CV_STATIC_ASSERT(offsetof(struct cv_down_words, proposal_head) == 64, "down");
CV_STATIC_ASSERT(sizeof(struct cv_header) == CV_HEADER_SIZE, "header");
CV_STATIC_ASSERT(sizeof(struct cv_hello) == CV_MESSAGE_SIZE, "hello");
CV_STATIC_ASSERT(sizeof(struct cv_welcome) == CV_MESSAGE_SIZE, "welcome");
CV_STATIC_ASSERT(offsetof(struct cv_status, sleeping) == 64, "status");
CV_STATIC_ASSERT(offsetof(struct cv_status, term) == 128, "status");
CV_STATIC_ASSERT(offsetof(struct cv_status, lease_sequence) == 192, "status");
CV_STATIC_ASSERT(offsetof(struct cv_status, turns) == 256, "status");

#endif
