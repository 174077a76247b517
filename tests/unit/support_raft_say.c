/*
 * Words of the members that a test plays: messages put together from what the
 * test wants to say.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum say_sizes {
	SAY_ENTRIES = 64,
	SAY_TEXT = 512,
};

int say_append(struct core *core, struct raft_message append,
	       const uint64_t *terms)
{
	struct raft_entry entries[SAY_ENTRIES];
	uint32_t count = 0;

	for (; terms && terms[count] != 0; count++) {
		ck_assert_uint_lt(count, SAY_ENTRIES);
		entries[count] =
			core_entry(append.log_index + 1 + count, terms[count]);
	}
	append.type = RAFT_MSG_APPEND;
	append.first_index = count > 0 ? append.log_index + 1 : 0;
	append.entry_count = count;
	append.entries = count > 0 ? entries : NULL;
	return core_offer(core, append);
}

int say_beat(struct core *core, uint64_t from, uint64_t term, uint64_t commit)
{
	return core_offer(core,
			  (struct raft_message){.type = RAFT_MSG_HEARTBEAT,
						.from = from,
						.term = term,
						.commit = commit});
}

int say_vote(struct core *core, struct raft_message ask)
{
	ask.type = RAFT_MSG_VOTE;
	return core_offer(core, ask);
}

int say_pre_vote(struct core *core, struct raft_message ask)
{
	ask.type = RAFT_MSG_PRE_VOTE;
	return core_offer(core, ask);
}

int say_vote_reply(struct core *core, uint64_t from, bool reject)
{
	const struct raft_status *now = core_status(core);
	bool pre = now->role == RAFT_PRE_CANDIDATE;

	return core_offer(core, (struct raft_message){
					.type = pre ? RAFT_MSG_PRE_VOTE_REPLY
						    : RAFT_MSG_VOTE_REPLY,
					.from = from,
					.term = pre && !reject ? now->term + 1
							       : now->term,
					.reject = reject,
				});
}

void say_refusal(struct core *core, uint64_t from, uint64_t index,
		 uint64_t hint, uint64_t hint_term)
{
	core_give(core, (struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					      .from = from,
					      .term = core_status(core)->term,
					      .reject = true,
					      .log_index = index,
					      .log_term = hint_term,
					      .reject_hint = hint});
}

void say_round(struct core *core, uint64_t from)
{
	uint64_t round = 0;

	for (unsigned int i = 0; i < core->mail_count; i++) {
		const struct raft_message *message = &core->mail[i].message;

		if (message->type == RAFT_MSG_HEARTBEAT && message->to == from)
			round = message->round;
	}
	ck_assert_uint_ne(round, 0);
	core_give(core, (struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					      .from = from,
					      .term = core_status(core)->term,
					      .round = round});
}

void core_round(struct core *core, uint64_t from)
{
	raft_tick(core->raft);
	ck_assert(core_take(core));
	say_round(core, from);
}

struct raft_conf_changes conf_change(uint8_t type, uint64_t id)
{
	return (struct raft_conf_changes){
		.count = 1, .changes = {{.id = id, .type = type}}};
}

struct words {
	char text[SAY_TEXT];
	size_t size;
};

static void put(struct words *words, const char *text)
{
	size_t size = strlen(text);

	ck_assert_uint_lt(words->size + size, sizeof(words->text));
	memcpy(&words->text[words->size], text, size + 1);
	words->size += size;
}

static void put_ids(struct words *words, const char *name, const uint64_t *ids,
		    uint8_t count)
{
	char number[24];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(number, sizeof(number), "%llu",
			 (unsigned long long)ids[i]);
		put(words, i > 0 ? " " : name);
		put(words, number);
	}
}

const char *conf_words(const struct raft_conf_state *conf)
{
	static struct words words;

	words = (struct words){0};
	put_ids(&words, "", conf->voters, conf->voter_count);
	put_ids(&words, ", learner ", conf->learners, conf->learner_count);
	put_ids(&words, ", out ", conf->outgoing, conf->outgoing_count);
	put_ids(&words, ", next ", conf->learners_next,
		conf->learner_next_count);
	if (conf->auto_leave)
		put(&words, ", auto");
	return words.text;
}
