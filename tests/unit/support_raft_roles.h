/*
 * One core of three in each of its roles, and the question whether a message
 * left it as it was, byte for byte.
 */
#ifndef TESTS_UNIT_SUPPORT_RAFT_ROLES_H
#define TESTS_UNIT_SUPPORT_RAFT_ROLES_H

#include "tests/unit/support_raft.h"

enum role_facts {
	ROLE_COUNT = 4,
	ROLE_LAST = 4, /* the log that all begin with: "1 2 2 3" */
	ROLE_COMMIT = 2,
	ROLE_TERM = 3, /* of a follower, whose leader is 2 */
	ROLE_STRANGER = 9, /* is no member */
};

/*
 * Member 1 with what `core->options` switches on, by core_init(); started
 * anew, with nothing left to do. A leader has one entry more.
 */
void role_follower(struct core *core);
void role_candidate(struct core *core);
void role_leader(struct core *core);
/* Needs, and switches on, pre_vote. */
void role_pre_candidate(struct core *core);

/* The four of them. */
extern void (*const role_be[ROLE_COUNT])(struct core *core);

/* core_offer(), of a message that may not change one byte of the core. */
int role_offer_unchanged(struct core *core, struct raft_message message);
/* The same; it is refused with RAFT_EINVALID. */
void role_refuses(struct core *core, struct raft_message message);
/* In each role, of the core's own term and of a newer one; from 2 if not said. */
void role_all_refuse(struct core *core, struct raft_message message);

#endif
