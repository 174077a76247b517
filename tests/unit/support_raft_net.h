/*
 * A network of Raft cores in memory, for tests that look at several: messages
 * arrive in the order in which they were sent, at once or not at all. Disks
 * answer at once, but for cores that are `stalled`.
 */
#ifndef TESTS_UNIT_SUPPORT_RAFT_NET_H
#define TESTS_UNIT_SUPPORT_RAFT_NET_H

#include "tests/unit/support_raft.h"

enum net_sizes {
	NET_MEMBERS_MAX = 7,
	NET_QUEUE_MAX = 1024,
	NET_TYPES = 16,
};

struct net {
	unsigned int count;
	struct core core[NET_MEMBERS_MAX]; /* of id 1, 2, ... */
	struct core_parcel queue[NET_QUEUE_MAX]; /* oldest first */
	unsigned int queued;
	bool cut[NET_MEMBERS_MAX][NET_MEMBERS_MAX]; /* from, to: id - 1 */
	bool ignored[NET_TYPES]; /* by type of message */
	unsigned int sent[NET_TYPES]; /* by type, the lost ones too */
};

/* Members 1 .. `count`, all voters, with options of core_init(). */
void net_init(struct net *net, unsigned int count);
/* Starts all; options and disks may have been changed before. */
void net_start(struct net *net);
void net_release(struct net *net);

struct core *net_core(struct net *net, uint64_t id);
const struct raft_status *net_status(struct net *net, uint64_t id);

/* Readies are done and messages delivered until all is quiet. */
void net_settle(struct net *net);

/* What `from` sends to `to` is lost; what both send each other. */
void net_drop(struct net *net, uint64_t from, uint64_t to);
void net_cut(struct net *net, uint64_t one, uint64_t other);
void net_isolate(struct net *net, uint64_t id);
void net_ignore(struct net *net, uint8_t type);
/* All messages arrive again. */
void net_heal(struct net *net);

/* Each of these settles the net afterwards, but for net_crash(). */
void net_campaign(struct net *net, uint64_t id); /* it must be allowed to */
int net_propose(struct net *net, uint64_t id);
int net_propose_conf(struct net *net, uint64_t id,
		     const struct raft_conf_changes *changes);
/* The clock of one moves on by some ticks; settled after each. */
void net_tick(struct net *net, uint64_t id, unsigned int count);
/* The clocks of all that run do. */
void net_tick_all(struct net *net, unsigned int count);
void net_deliver(struct net *net, struct raft_message message);
void net_crash(struct net *net, uint64_t id);
void net_restart(struct net *net, uint64_t id);
void net_compact(struct net *net, uint64_t id);

/* Who leads in the highest term that has a leader; 0: no one. */
uint64_t net_leader(struct net *net);
/* The roles of all in one word: F, C, L, P, and - for who is down. */
const char *net_roles(struct net *net);

#endif
