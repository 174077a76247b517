/*
 * The other members and the connections to them: who is dialled when, who
 * may come in, and that each lane to each member has one connection.
 *
 * Both sides dial. Where a lane has no connection, it is dialled; after a
 * failure again, each time after a longer pause, up to PEERS_PAUSE_MAX_NS,
 * with a little chance in it. The dialler greets first, the other judges the
 * greeting and answers with its own, or with a refusal.
 *
 * If both dial at once, the connection that was dialled by the member with
 * the smaller id stays: that member lets the other's greeting wait until its
 * own is answered. Likewise the greeting of somebody who is connected
 * already waits for the old connection to end (a member that restarted is
 * often back before its old connection is known to be dead), and is refused
 * when that does not happen in time: then there are two with one id.
 *
 * With TLS both also prove who they are before either greets; of the
 * handshakes, which cost some hundred microseconds each, a turn takes one
 * step.
 *
 * All memory but OpenSSL's own is taken at start. Connections that have not greeted are few
 * and for a short time; the oldest of them makes room for a new one.
 */
#ifndef DAEMON_PEERS_H
#define DAEMON_PEERS_H

#include "daemon/helper.h"
#include "daemon/link.h"
#include "daemon/log.h"

enum peers_limits {
	PEERS_OTHERS_MAX = NODE_MEMBERS_MAX - 1,
	PEERS_ARRIVED_MAX = 16, /* accepted and not yet answered */
	PEERS_LANES_MAX = PEERS_OTHERS_MAX * NODE_LANES,
	/* Each lane may be open and dialled at once. */
	PEERS_LINKS_MAX = 2 * PEERS_LANES_MAX + PEERS_ARRIVED_MAX,
	/* Some more, which the kernel has not yet let go of. */
	PEERS_STREAMS = PEERS_LINKS_MAX + 16,
	PEERS_SHAKES_MAX = 1, /* steps of handshakes in a turn */
	PEERS_REFUSALS = 16, /* remembered, not to repeat them */
	PEERS_LINES_MAX = 20, /* of the log about strangers, a second */
};

/* From a connection's begin until it is open. */
#define PEERS_GREET_NS 3000000000ull

/* For saying no. */
#define PEERS_REFUSE_NS 1000000000ull

/* A connection waits so long for the lane that another one has: the dialler
 * must not have given up when it is told that its id is there twice. */
#define PEERS_WAIT_NS (PEERS_GREET_NS / 2)

/* Pause before a lane is dialled again: from, to. */
#define PEERS_PAUSE_NS	   50000000ull
#define PEERS_PAUSE_MAX_NS 2000000000ull

/* Open for so long: the next failure is the first one again. */
#define PEERS_GOOD_NS 1000000000ull

/* Strangers, who may be many, do not fill the log. */
#define PEERS_LINES_NS 1000000000ull

/* The same refusal is not said again sooner. */
#define PEERS_AGAIN_NS 60000000000ull

/* A name is not looked up again sooner. */
#define PEERS_NAME_NS 5000000000ull

/* One lane to one member; links by number, -1: none. */
struct peers_lane {
	int open; /* answered, or being answered */
	int dialling;
	int waiting; /* greeted us, see the head */
	uint32_t failures; /* in a row */
	uint64_t dial_ns; /* when to dial */
};

struct peers_member {
	uint64_t id; /* 0: a free place */
	uint64_t tag; /* of the lookup whose answer is awaited */
	uint64_t looked_ns; /* when a name was looked up last; 0: never */
	uint32_t found; /* addresses */
	uint32_t next; /* to try */
	bool is_name; /* the host is one, and may have moved */
	struct peers_lane lanes[NODE_LANES];
	struct address addresses[ADDRESS_FOUND_MAX];
	char address[NODE_ADDRESS_MAX];
	char tls_error[TLS_ERROR_MAX]; /* the last one, to be said once */
	const char *said; /* the last complaint, not to repeat it */
	int said_code;
};

/* What was said about somebody who was refused. */
struct peers_refusal {
	uint64_t claimed;
	int32_t status;
	uint64_t until_ns; /* it is said again then */
};

struct peers {
	struct engine *engine; /* all lent */
	struct node *node;
	struct log *log;
	struct helper *helper;
	uint8_t cluster[16];
	uint64_t member; /* this one */
	uint64_t incarnation;
	bool plaintext; /* off this host, too */
	uint64_t random;
	uint64_t now_ns;
	uint64_t next_ns; /* when something is due */
	uint64_t change; /* of the members, as last read */
	uint64_t tag; /* of the last lookup */
	uint64_t lines_until_ns;
	uint32_t lines;
	uint32_t refused; /* ever */
	struct peers_refusal refusals[PEERS_REFUSALS];
	uint32_t arrived;
	uint32_t used; /* links from here on are free */
	uint32_t shakes; /* steps of handshakes in this turn */
	struct tls *tls; /* one for each link; NULL: plain TCP */
	struct tls_keys keys;
	struct peers_member members[PEERS_OTHERS_MAX];
	uint32_t others; /* members from here on are none */
	struct link links[PEERS_LINKS_MAX];
	struct node_member list[NODE_MEMBERS_MAX]; /* while it is read */
};

/* What peers stand on. Lent until the end. */
struct peers_ground {
	struct engine *engine;
	struct node *node;
	struct log *log;
	struct helper *helper;
	uint8_t cluster[16];
	uint64_t member;
	uint64_t incarnation;
	uint64_t seed; /* of the chance in pauses */
	bool plaintext; /* plain TCP is good enough everywhere */
	const struct tls_keys *keys; /* taken; NULL: plain TCP */
};

/* 0, or -ENOMEM. */
int peers_init(struct peers *peers, const struct peers_ground *ground)
	__attribute__((warn_unused_result));

/* Ends all connections; the node is not told. */
void peers_release(struct peers *peers);

/*
 * New connections use what the files say now; if something is wrong with
 * them, what they said before, and that is logged.
 */
void peers_reload(struct peers *peers, const struct tls_files *files);

/* A connection was accepted. */
void peers_arrive(struct peers *peers, int fd);

/* The helper has found the addresses of a name, or not. */
void peers_found(struct peers *peers, const struct helper_answer *answer);

/* After engine_reap(), before anything else: sends are over. */
void peers_sent(struct peers *peers, uint64_t now_ns);

/*
 * Before node_turn(): members as they are now, what came, what is due.
 * Whether anything was done.
 */
bool peers_turn(struct peers *peers);

/* After node_turn(): what the node wants to send. Whether there was any. */
bool peers_send(struct peers *peers);

/* ---- between the files of this module ---- */

/*
 * A link over `fd`, which is closed if there is no place: then NULL. It has
 * PEERS_GREET_NS to be open.
 */
struct link *peers_new_link(struct peers *peers, int fd, bool connecting);
int peers_number(const struct peers *peers, const struct link *link)
	__attribute__((warn_unused_result));
struct peers_member *peers_find(struct peers *peers, uint64_t id);

/* What every greeting of this member says. */
struct wire_greeting peers_greeting(const struct peers *peers, uint64_t to,
				    uint8_t lane);

/* Ends a link: the lane is dialled again, or the one that waits comes in. */
void peers_drop(struct peers *peers, struct link *link);

/* TCP is through: TLS begins, or greetings do. */
void peers_connected(struct peers *peers, struct link *link);

/* Goes on with TLS. */
void peers_shake(struct peers *peers, struct link *link);

/* TLS failed: says why, here and to the other side. */
void peers_broken(struct peers *peers, struct link *link);

/* Waits until the other side has heard it; whether that is over. */
bool peers_linger(struct peers *peers, struct link *link);

/* Who dialled greets. */
void peers_begin_greeting(struct peers *peers, struct link *link);

/* Whether the certificate of a link is that of the member. */
bool peers_is_named(const struct peers *peers, const struct link *link,
		    const struct peers_member *member);

/* It may carry frames from now on. */
void peers_open(struct peers *peers, struct link *link);

/* A line about a link; the caller adds to it and ends it. */
void peers_begin_line(struct peers *peers, const struct link *link,
		      enum log_level level, const char *message);

/* Whether one more line about strangers is bearable. */
bool peers_may_say(struct peers *peers);

/* Says why a member cannot be talked to, unless that was said. */
void peers_complain(struct peers *peers, struct peers_member *member,
		    const char *why, int code);

/* The same for what TLS says. */
void peers_complain_tls(struct peers *peers, struct peers_member *member,
			const char *why);

/* Reads the members anew; those that left are let go. */
void peers_follow(struct peers *peers);

/* Dials what is due. */
void peers_dial(struct peers *peers);

/* A lane has no connection: when to dial it. */
void peers_plan(struct peers *peers, struct peers_lane *lane, bool failed);

/* The answer to our greeting, or the greeting that we answer. */
void peers_hear_greeting(struct peers *peers, struct link *link);

/* A greeting that waited can be answered now. */
void peers_admit(struct peers *peers, struct link *link);

/* Our answer is out. */
void peers_answered(struct peers *peers, struct link *link);

/* Its time to be open is over. */
void peers_too_late(struct peers *peers, struct link *link);

#endif
