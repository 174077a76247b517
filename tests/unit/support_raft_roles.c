/*
 * Roles are reached by what a shell and its peers may do, from the same disk.
 */
#include "tests/unit/support_raft_roles.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

void (*const role_be[ROLE_COUNT])(struct core *core) = {
	role_follower, role_candidate, role_pre_candidate, role_leader};

static void start(struct core *core, bool pre_vote)
{
	struct raft_options options = core->options;

	options.pre_vote = pre_vote;
	core_release(core);
	core_init(core, 1, 3);
	core->options = options;
	core_load(core, (const uint64_t[]){1, 2, 2, 3, 0});
	core->hard.commit = ROLE_COMMIT;
	core_start(core);
	core_settle(core);
}

void role_follower(struct core *core)
{
	start(core, core->options.pre_vote);
	core_give(core, (struct raft_message){.type = RAFT_MSG_HEARTBEAT,
					      .from = 2,
					      .term = ROLE_TERM});
	core_settle(core);
	ck_assert_uint_eq(core_status(core)->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(core_status(core)->leader, 2);
	ck_assert_uint_eq(core_status(core)->commit, ROLE_COMMIT);
}

void role_candidate(struct core *core)
{
	start(core, false);
	ck_assert_int_eq(raft_campaign(core->raft), 0);
	core_settle(core);
	ck_assert_uint_eq(core_status(core)->role, RAFT_CANDIDATE);
}

void role_pre_candidate(struct core *core)
{
	start(core, true);
	ck_assert_int_eq(raft_campaign(core->raft), 0);
	core_settle(core);
	ck_assert_uint_eq(core_status(core)->role, RAFT_PRE_CANDIDATE);
}

void role_leader(struct core *core)
{
	start(core, core->options.pre_vote);
	core_lead(core);
	ck_assert_uint_eq(core_status(core)->last_index, ROLE_LAST + 1);
}

int role_offer_unchanged(struct core *core, struct raft_message message)
{
	size_t size = raft_memory_size(&core->options);
	void *before = malloc(size);
	int err;

	ck_assert_ptr_nonnull(before);
	memcpy(before, core->memory, size);
	err = core_offer(core, message);
	ck_assert_msg(memcmp(before, core->memory, size) == 0,
		      "a message of type %u changed a core in role %u",
		      message.type, core_status(core)->role);
	free(before);
	return err;
}

void role_refuses(struct core *core, struct raft_message message)
{
	int err = role_offer_unchanged(core, message);

	ck_assert_msg(err == RAFT_EINVALID,
		      "a message of type %u and term %llu in role %u: %d",
		      message.type, (unsigned long long)message.term,
		      core_status(core)->role, err);
}

void role_all_refuse(struct core *core, struct raft_message message)
{
	if (message.from == 0)
		message.from = 2;
	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		role_be[i](core);
		message.term = core_status(core)->term;
		role_refuses(core, message);
		message.term++;
		role_refuses(core, message);
	}
}
