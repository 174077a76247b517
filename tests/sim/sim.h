/*
 * The simulator's ground: one seed, virtual time, and everything that is
 * counted, traced and drawn.
 *
 * One thread runs a cluster of one to seven members of the shipped pure
 * files, and a few clients of the shipped header. Time moves only from event to event; events lie in a
 * heap keyed by (time, order of making). Chance comes from one generator per
 * subsystem, so that a change in one does not reshuffle the others. Every
 * event and every trace line goes into one rolling hash: two runs of a seed
 * must agree on it.
 *
 * There is one simulation at a time, in `sim`: the seam of the client header
 * and wal/disk.h have no room for a context of ours.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_limits {
	SIM_TRACE_LINES = 200,
	SIM_CLIENTS_MAX = 12,
	SIM_MACHINES_MAX = 9, /* seven members, and two that may join */
	SIM_MILLION = 1000000,
};

enum sim_exit {
	SIM_OK = 0,
	SIM_USAGE = 2,
	SIM_UNCOVERED = 3, /* a coverage point was never hit */
	SIM_CRASHED = 127,
	SIM_STUCK = 128, /* liveness */
	SIM_BROKEN = 129, /* an invariant */
	SIM_UNREPEATABLE = 130, /* one seed, two histories */
};

enum sim_time {
	SIM_US = 1000,
	SIM_MS = 1000 * 1000,
	SIM_SECOND = 1000 * 1000 * 1000,
};

enum sim_stream {
	SIM_SWARM,
	SIM_DISK,
	SIM_CLOCK,
	SIM_CRASH,
	SIM_CLIENT,
	SIM_DAEMON,
	SIM_NET,
	SIM_STREAMS,
};

enum sim_event_kind {
	SIM_EVENT_DISK = 1, /* an operation finishes */
	SIM_EVENT_DAEMON, /* the daemon goes on */
	SIM_EVENT_CLIENT, /* a client goes on */
	SIM_EVENT_SOCKET, /* a client's connection is told of something */
	SIM_EVENT_FAULT, /* the next fault of the outside */
	SIM_EVENT_FULL, /* a disk fills up, or has room again */
	SIM_EVENT_NET, /* bytes arrive */
	SIM_EVENT_NET_END, /* a connection's end is told that it is over */
	SIM_EVENT_ROSTER, /* a member that was removed goes */
	SIM_EVENT_KINDS,
};

/* Faults, as the last line counts them. */
#define SIM_FAULTS(X)          \
	X(PROCESS_CRASH)       \
	X(POWER_LOSS)          \
	X(CRASH_IN_RECOVERY)   \
	X(CRASH_IN_TURN)       \
	X(CRASH_AT_COMPLETION) \
	X(CLEAN_STOP)          \
	X(TORN_WRITE)          \
	X(LOST_WRITE)          \
	X(LOST_NAME)           \
	X(WRITE_ERROR)         \
	X(SYNC_ERROR)          \
	X(READ_ERROR)          \
	X(SHORT_WRITE)         \
	X(DISK_FULL)           \
	X(BIT_ROT)             \
	X(SLOW_DISK)           \
	X(STALLED_DISK)        \
	X(DAEMON_PAUSE)        \
	X(CLIENT_DEATH)        \
	X(CLIENT_PAUSE)        \
	X(CLIENT_ABANDON)      \
	X(CLIENT_CANCEL)       \
	SIM_CLUSTER_FAULTS(X)

/* The same, where there are several members. */
#define SIM_CLUSTER_FAULTS(X) \
	X(ALL_CRASH)          \
	X(MINORITY_CRASH)     \
	X(DISK_HANGS)         \
	X(DISK_LOST)          \
	X(MEMBER_DAMAGED)     \
	X(MACHINE_FREEZES)    \
	X(CLOCK_DRIFTS)       \
	X(CUT_IN_TWO)         \
	X(CUT_OFF_ONE)        \
	X(CUT_OFF_LEADER)     \
	X(CUT_TO_BRIDGE)      \
	X(CUT_ONE_WAY)        \
	X(LINK_SLOW)          \
	X(LINK_CLOGGED)       \
	X(CONNECTION_RESET)   \
	X(HALF_OPEN)          \
	X(PEER_DEAF)          \
	X(FLIPPED_BIT)        \
	X(STRANGER)

enum sim_fault {
#define SIM_FAULT_NAME(name) SIM_FAULT_##name,
	SIM_FAULTS(SIM_FAULT_NAME)
#undef SIM_FAULT_NAME
	SIM_FAULT_COUNT,
};

/*
 * Coverage points: what a set of seeds must have seen at least once, lest the
 * simulator tests nothing.
 */
#define SIM_POINTS(X)              \
	X(SEGMENT_RECYCLED)        \
	X(SEGMENT_ROTATED)         \
	X(SNAPSHOT_MADE)           \
	X(SNAPSHOT_LOADED)         \
	X(TAIL_TORN)               \
	X(TAIL_LANDED_AFTER_DEATH) \
	X(WAITED_FOR_DEAD_OWNER)   \
	X(DAMAGE_REFUSED)          \
	X(LOG_FAILED)              \
	X(STOPPED_CLEANLY)         \
	X(SETTING_CHANGED)         \
	X(SESSION_EXPIRED)         \
	X(LEADER_COMPACTED)        \
	X(DISK_FULL_REFUSAL)       \
	X(BATCH_OF_MANY)           \
	X(DAEMON_SLEPT)            \
	X(DAEMON_RUNG)             \
	X(CLIENT_SLEPT)            \
	X(CLIENT_WOKEN)            \
	X(RING_FULL)               \
	X(CANCEL_WON)              \
	X(CANCEL_LOST)             \
	X(DEADLINE_PASSED)         \
	X(LATE_COMPLETION)         \
	X(RESUMED)                 \
	X(SETTLED_APPLIED)         \
	X(SETTLED_NOT_APPLIED)     \
	X(COMPARE_SUCCEEDED)       \
	X(COMPARE_FAILED)          \
	X(RANGE_PAGED)             \
	X(READ_OF_HISTORY)         \
	X(READ_COMPACTED)          \
	X(COMPACTED)               \
	X(DELETED_MANY)            \
	X(DIED_WITH_REQUESTS)      \
	SIM_CLUSTER_POINTS(X)

/* Those that a single member never comes to. */
#define SIM_CLUSTER_POINTS(X) \
	X(LEADER_CHANGED)     \
	X(QUORUM_LOST)        \
	X(VOTE_GRANTED)       \
	X(BATCH_AGAIN)        \
	X(SECOND_COPY)        \
	X(FORWARDED)          \
	X(NACKED)             \
	X(READ_ON_FOLLOWER)   \
	X(READ_ROUND_LOST)    \
	X(READ_SERIALIZABLE)  \
	X(TAIL_OVERWRITTEN)   \
	X(TAIL_RECOVERED)     \
	X(IMAGE_SENT)         \
	X(IMAGE_RESUMED)      \
	X(IMAGE_INSTALLED)    \
	X(ENTRY_MOVED)        \
	X(LOG_REPAIRED)       \
	X(LOG_FILLED)         \
	X(PARTIAL_SEND)       \
	X(LANE_STUCK)         \
	X(ENTRIES_READ_BACK)  \
	X(FLIP_CAUGHT)        \
	X(STRANGER_REFUSED)   \
	X(REMOVED_REFUSED)    \
	X(HANDED_OVER)        \
	X(TRANSFERRED)        \
	X(MEMBER_ADDED)       \
	X(MEMBER_PROMOTED)    \
	X(MEMBER_REMOVED)     \
	X(MEMBER_REPLACED)    \
	X(CHANGE_REFUSED)     \
	X(IMAGE_ASKED_FOR)    \
	X(LEASE_READ)         \
	X(VERSION_RAISED)

enum sim_point {
#define SIM_POINT_NAME(name) SIM_POINT_##name,
	SIM_POINTS(SIM_POINT_NAME)
#undef SIM_POINT_NAME
	SIM_POINT_COUNT,
};

/* Counts a coverage point: SIM_SOMETIMES(TAIL_TORN). */
#define SIM_SOMETIMES(name) sim_reached(SIM_POINT_##name)

/* Deliberate lies at the simulator's own boundary; the checkers must see. */
enum sim_bug {
	SIM_BUG_NONE = 0,
	SIM_BUG_ACK_EARLY, /* a durable write is reported before it is */
	SIM_BUG_LYING_DISK, /* reported, and gone at the next power loss */
	SIM_BUG_NO_FOLDER_SYNC, /* names are never made durable */
	SIM_BUG_ROT_UNSEEN, /* rot in the newest record, which no log sees */
	SIM_BUG_FREE_LOCK, /* a dead owner's lock is gone before its writes */
	SIM_BUG_SAME_BOOT, /* the boot id survives a power loss */
	SIM_BUG_LOST_DOORBELL, /* rings now and then go nowhere */
	SIM_BUG_LOST_WAKE, /* wakes now and then go nowhere */
	SIM_BUG_FORGED_REVISION, /* a reply shows a revision too high */
	SIM_BUG_SWAPPED_VALUE, /* a reply shows another byte */
	SIM_BUG_FORGED_SUCCESS, /* a refusal is told as success */
	SIM_BUG_FORGED_REFUSAL, /* a success is told as not applied */
	SIM_BUG_POSTED_TWICE, /* a slot is written again */
	SIM_BUG_WILD_CLOCKS, /* they drift beyond what a lease gives away */
	/* Of a member of a cluster, see tests/sim/lies.h. */
	SIM_BUG_FORGOTTEN_VOTE, /* who it voted for, at a restart */
	SIM_BUG_ACK_AHEAD, /* acknowledges an entry more than it has */
	SIM_BUG_FORGED_ACK, /* the same, as a leader hears it */
	SIM_BUG_COMMIT_AHEAD, /* tells of a commit too many */
	SIM_BUG_UNCONFIRMED_READ, /* reads wait for no majority */
	SIM_BUG_RENAMED_COPY, /* a batch comes again under other names */
	SIM_BUG_ALTERED_ENTRY, /* applies something else than the others */
	SIM_BUG_FORGED_GRANT, /* a vote that was refused arrives as granted */
	SIM_BUG_BOASTED_LOG, /* who asks for votes claims more than it has */
	SIM_BUG_FORGED_ENTRY, /* an entry changes on its way */
	SIM_BUG_CUT_LOG, /* a leader drops the end of its own log */
	SIM_BUG_OLD_COMMIT, /* takes entries of older terms for committed */
	SIM_BUG_SECOND_CHANGE, /* of membership, while one is under way */
	SIM_BUG_OLDER_READ, /* a read tells of an earlier revision */
	SIM_BUGS,
	SIM_BUG_OF_CLUSTERS = SIM_BUG_WILD_CLOCKS,
};

/* What one seed is like; drawn by swarm_draw() from the seed alone. */
struct sim_swarm {
	uint32_t clients;
	uint32_t keys;
	uint32_t value_max;
	uint32_t slots;
	uint32_t ring_size;
	uint32_t request_max;
	uint32_t reply_size;
	uint32_t segment_size;
	uint32_t spares;
	uint32_t buffers;
	uint64_t snapshot_after;
	uint32_t batch_size;
	uint64_t uncommitted_max;
	uint32_t apply_budget;
	uint32_t entries_max;
	/* Latency of one durable write, ns. */
	uint64_t write_ns_min;
	uint64_t write_ns_mean;
	/* Chances in a million, each of its own occasion; 0: never here. */
	uint32_t slow;
	uint32_t stall;
	uint32_t write_error;
	uint32_t sync_error;
	uint32_t read_error;
	uint32_t short_write;
	uint32_t full;
	uint32_t turn_crash;
	uint32_t completion_crash;
	uint32_t stop_share; /* of crashes, in a hundred: told to stop */
	uint32_t recovery_crash;
	uint32_t client_yield;
	uint32_t client_death;
	uint32_t client_pause;
	uint32_t daemon_pause;
	/* Mean distance between faults of the outside, ns; 0: never. */
	uint64_t crash_ns;
	uint64_t rot_ns;
	uint32_t power_share; /* of crashes, in a hundred */
	bool free_names; /* names survive a crash in any subset */
	uint64_t pause_ns; /* mean length of a daemon's pause */
	uint64_t stall_ns; /* longest stall of a disk operation */
	uint64_t down_ns; /* mean time until a daemon is started again */
	/* The cluster: members, its time, its network. */
	uint32_t members;
	uint64_t tick_ns;
	uint32_t election_ticks;
	uint64_t net_ns_min;
	uint64_t net_ns_mean;
	uint64_t net_ns_kib; /* for a kibibyte */
	uint32_t net_room; /* on the way and unread, of one way */
	uint32_t net_piece; /* most bytes of one read; 0: all */
	uint64_t silence_ns; /* until a connection is given up */
	uint64_t greet_ns;
	uint64_t dial_ns;
	/* As above: mean distance; chances of kinds by bits. */
	uint32_t crash_all_share; /* of crashes, in a hundred */
	uint32_t crash_minority_share;
	uint64_t lost_ns; /* a disk, for good */
	uint64_t hang_ns;
	uint64_t freeze_ns;
	uint64_t drift_ns;
	int32_t drift_max; /* in a million */
	uint64_t cut_ns;
	uint64_t mend_ns; /* how long a cut lasts */
	uint32_t cut_kinds;
	uint64_t wire_ns;
	uint32_t wire_kinds;
	uint64_t stranger_ns;
	uint32_t operator_share; /* of calls, in a thousand */
	bool lease_reads; /* leaders may rely on their lease */
};

struct sim_event {
	uint64_t time;
	uint64_t order;
	uint32_t kind;
	uint32_t who;
	uint64_t stamp;
};

struct sim_line {
	uint64_t time;
	const char *format;
	uint64_t values[4];
};

struct sim {
	uint64_t seed;
	uint64_t steps_max;
	uint32_t members; /* asked for; 0: the seed says it */
	bool calm;
	enum sim_bug bug;
	bool trace; /* print every line at once */
	bool quiet; /* a failure prints one line, for selftests */
	struct sim_swarm swarm;

	uint64_t now; /* ns, the machine's monotonic clock */
	uint64_t steps;
	uint64_t hash;
	bool healing; /* no new faults: everything must come to rest */
	uint64_t disturbed_until; /* what was begun is over then */
	uint64_t streams[SIM_STREAMS];

	struct sim_event *heap;
	uint32_t heap_count;
	uint32_t heap_room;
	uint64_t heap_order;

	struct sim_line lines[SIM_TRACE_LINES];
	uint64_t line_count;

	uint64_t faults[SIM_FAULT_COUNT];
	uint64_t points[SIM_POINT_COUNT];
};

extern struct sim sim;

/* Starts a seed: clock, generators, heap and trace; counters stay. */
void sim_begin(uint64_t seed);

/* ---- chance ---- */

uint64_t sim_random(enum sim_stream stream);
/* 0 .. bound - 1 */
uint64_t sim_below(enum sim_stream stream, uint64_t bound);
uint64_t sim_between(enum sim_stream stream, uint64_t low, uint64_t high);
bool sim_chance(enum sim_stream stream, uint32_t in_a_million);
/* Exponential around `mean`, cut at eight times of it. */
uint64_t sim_spread(enum sim_stream stream, uint64_t mean);

/* ---- events ---- */

void sim_at(uint64_t time, enum sim_event_kind kind, uint32_t who,
	    uint64_t stamp);
/* Takes the next event and moves the clock; false: nothing is left. */
bool sim_next(struct sim_event *ret_event);

/* ---- what is said ---- */

/*
 * One line of the trace: '%' in `format`, a literal, stands for the next of
 * the four values, '$' for the next in hexadecimal. Written out only when
 * somebody reads it.
 */
void sim_trace4(const char *format, uint64_t a, uint64_t b, uint64_t c,
		uint64_t d);
#define sim_trace(...) SIM_TRACE_(__VA_ARGS__, 0, 0, 0, 0, 0)
#define SIM_TRACE_(format, a, b, c, d, ...)                             \
	sim_trace4(format, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), \
		   (uint64_t)(d))

/* Something stands still until then. */
static inline void sim_disturb(uint64_t time)
{
	if (sim.disturbed_until < time)
		sim.disturbed_until = time;
}

/* The same for what is too much to remember: only with --trace. */
#define sim_chat(...)                           \
	do {                                    \
		if (sim.trace)                  \
			sim_trace(__VA_ARGS__); \
	} while (0)

void sim_fault(enum sim_fault fault);
void sim_reached(enum sim_point point);
const char *sim_fault_name(enum sim_fault fault);
const char *sim_point_name(enum sim_point point);

/* Ends the program: the reason, the last lines, how to see it again. */
void sim_fail(enum sim_exit code, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* An invariant: what must hold, and a sentence when it does not. */
#define sim_check(condition, ...)                          \
	do {                                               \
		if (!(condition))                          \
			sim_fail(SIM_BROKEN, __VA_ARGS__); \
	} while (0)

#endif
