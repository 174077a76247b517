/*
 * The words that members played by a test say to the core, beyond those of
 * support_raft.h: entries of a leader, heartbeats, questions for a vote, and
 * answers to the core's own heartbeats.
 */
#ifndef TESTS_UNIT_SUPPORT_RAFT_SAY_H
#define TESTS_UNIT_SUPPORT_RAFT_SAY_H

#include "tests/unit/support_raft.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * `append` says from whom, in which term, behind which entry, and what is
 * committed; the entries have these terms (ended by 0; NULL: there are none).
 */
int say_append(struct core *core, struct raft_message append,
	       const uint64_t *terms);
int say_beat(struct core *core, uint64_t from, uint64_t term, uint64_t commit);
/* With a log that ends in (index, log_term). */
int say_vote(struct core *core, struct raft_message ask);
int say_pre_vote(struct core *core, struct raft_message ask);
/* An answer in the core's own term, or the term that it asks about. */
int say_vote_reply(struct core *core, uint64_t from, bool reject);

/* `from` refuses the append behind `index`, as a log with this end does. */
void say_refusal(struct core *core, uint64_t from, uint64_t index,
		 uint64_t hint, uint64_t hint_term);
/* `from` answers the newest heartbeat that lies for it in mail. */
void say_round(struct core *core, uint64_t from);
/* One tick of a leader with heartbeat_ticks 1, and one answer to it. */
void core_round(struct core *core, uint64_t from);

/* One change of membership, to be proposed. */
struct raft_conf_changes conf_change(uint8_t type, uint64_t id);
/* The ids of a configuration, as "1 2 3, learner 4, out 1 2, next 2, auto". */
const char *conf_words(const struct raft_conf_state *conf);

#endif
