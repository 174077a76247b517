/*
 * What the test does to a core: words of the members it plays, and requests
 * of the core's own shell.
 */
#include "tests/unit/support_raft.h"

#include <check.h>

enum play_sizes {
	PLAY_PAYLOADS = 64, /* changes of membership that live at once */
};

/* Bytes of entries may be lent for long and to several cores. */
static uint8_t payloads[PLAY_PAYLOADS][ENTRY_HEADER_SIZE + RAFT_CONF_HEADER +
				       RAFT_CHANGES_MAX * RAFT_CONF_CHANGE];
static unsigned int next_payload;

int core_offer(struct core *core, struct raft_message message)
{
	message.to = core->options.id;
	return raft_receive(core->raft, &message);
}

void core_give(struct core *core, struct raft_message message)
{
	ck_assert_int_eq(core_offer(core, message), 0);
}

void core_acknowledge(struct core *core, uint64_t from, uint64_t index)
{
	core_give(core, (struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					      .from = from,
					      .term = core_status(core)->term,
					      .log_index = index});
}

void core_answer_beat(struct core *core, uint64_t from)
{
	const struct raft_message *beat =
		core_message(core, RAFT_MSG_HEARTBEAT, from);

	core_give(core, (struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					      .from = from,
					      .term = beat->term,
					      .round = beat->round});
}

/* The others, from the lowest id on, grant what it asks while it asks. */
static void grant(struct core *core, uint8_t role)
{
	const struct raft_conf_state *conf = &core->image.conf;
	bool pre = role == RAFT_PRE_CANDIDATE;

	for (unsigned int i = 0; i < conf->voter_count; i++) {
		const struct raft_status *now = core_status(core);

		if (now->role != role)
			return;
		if (conf->voters[i] == core->options.id)
			continue;
		core_give(core, (struct raft_message){
					.type = pre ? RAFT_MSG_PRE_VOTE_REPLY
						    : RAFT_MSG_VOTE_REPLY,
					.from = conf->voters[i],
					.term = pre ? now->term + 1 : now->term,
				});
	}
}

void core_lead(struct core *core)
{
	ck_assert_int_eq(raft_campaign(core->raft), 0);
	core_settle(core);
	if (core_status(core)->role == RAFT_PRE_CANDIDATE) {
		grant(core, RAFT_PRE_CANDIDATE);
		core_settle(core);
	}
	if (core_status(core)->role == RAFT_CANDIDATE) {
		grant(core, RAFT_CANDIDATE);
		core_settle(core);
	}
	ck_assert_uint_eq(core_status(core)->role, RAFT_LEADER);
}

int core_propose(struct core *core, uint32_t size)
{
	struct raft_entry entry = {.kind = ENTRY_NORMAL, .size = size};
	uint64_t index, term;

	return raft_propose(core->raft, &entry, &index, &term);
}

int core_propose_conf(struct core *core,
		      const struct raft_conf_changes *changes)
{
	uint8_t *bytes = payloads[next_payload++ % PLAY_PAYLOADS];
	struct raft_entry entry = {.kind = ENTRY_CONF_V2, .data = bytes};
	uint64_t index, term;

	entry.size = (uint32_t)raft_conf_size(changes->count);
	raft_conf_encode(changes, bytes + ENTRY_HEADER_SIZE);
	return raft_propose(core->raft, &entry, &index, &term);
}

struct raft_entry core_entry(uint64_t index, uint64_t term)
{
	return (struct raft_entry){
		.index = index, .term = term, .kind = ENTRY_NORMAL, .size = 8};
}
