/*
 * Random changes of membership: one by one and through a joint configuration
 * they lead to the same; every step keeps what a configuration must; every
 * configuration that can be is reached by changes, and survives a restart.
 */
#include "raft/conf.h"
#include "raft/entry.h"
#include "raft/raft.h"
#include "tests/unit/support_raft_draw.h"

#include <check.h>
#include <string.h>

enum sizes {
	TRIES = 3000,
	IDS = 8, /* few, so that changes meet each other */
};

static struct draw draw;

static unsigned int some(unsigned int below)
{
	return (unsigned int)draw_below(&draw, below);
}

/* One change of a member but 1, which stays a voter. */
static struct raft_conf_change any_change(void)
{
	static const uint8_t types[] = {RAFT_ADD_VOTER, RAFT_REMOVE,
					RAFT_UPDATE, RAFT_ADD_LEARNER};

	return (struct raft_conf_change){.id = some(20) ? 2 + some(IDS) : 0,
					 .type = types[some(4)]};
}

static void any_changes(struct raft_conf_changes *changes, unsigned int least)
{
	*changes = (struct raft_conf_changes){0};
	changes->count = (uint8_t)(least + some(RAFT_CHANGES_MAX + 1 - least));
	for (unsigned int i = 0; i < changes->count; i++)
		changes->changes[i] = any_change();
}

/* In how many voters they differ, counted by hand. */
static unsigned int difference(const struct raft_conf_state *a,
			       const struct raft_conf_state *b)
{
	unsigned int differ = 0;

	for (uint64_t id = 1; id < 2 + IDS; id++)
		differ += raft_conf_has(a->voters, a->voter_count, id) !=
			  raft_conf_has(b->voters, b->voter_count, id);
	return differ;
}

static void change_one_by_one(struct raft_conf_state *conf,
			      const struct raft_conf_changes *changes)
{
	for (unsigned int i = 0; i < changes->count; i++) {
		struct raft_conf_changes one = {.count = 1};
		struct raft_conf_state before = *conf;
		struct raft_conf_fresh fresh;

		one.changes[0] = changes->changes[i];
		ck_assert_int_eq(raft_conf_change(conf, &one, &fresh),
				 RAFT_CONF_OK);
		ck_assert(raft_conf_is_valid(conf));
		ck_assert_uint_le(difference(&before, conf), 1);
	}
}

/* Voter 1 and what some changes made of the rest. */
static void any_beginning(struct raft_conf_state *conf)
{
	struct raft_conf_changes changes;

	*conf = (struct raft_conf_state){.voters = {1}, .voter_count = 1};
	any_changes(&changes, 0);
	change_one_by_one(conf, &changes);
}

static void change_jointly(struct raft_conf_state *conf,
			   const struct raft_conf_changes *changes,
			   bool auto_leave)
{
	struct raft_conf_state before = *conf;
	struct raft_conf_fresh fresh;

	ck_assert_int_eq(raft_conf_enter(conf, changes, auto_leave, &fresh),
			 RAFT_CONF_OK);
	ck_assert(raft_conf_is_valid(conf));
	ck_assert(conf->auto_leave == auto_leave);
	/* Both decide: the half before and the half to come. */
	ck_assert_uint_eq(conf->outgoing_count, before.voter_count);
	ck_assert_mem_eq(conf->outgoing, before.voters, sizeof(before.voters));
	ck_assert_int_eq(raft_conf_enter(conf, changes, false, &fresh),
			 RAFT_CONF_IS_JOINT);
	ck_assert_int_eq(raft_conf_simple(conf, changes, &fresh),
			 RAFT_CONF_IS_JOINT);
	ck_assert_int_eq(raft_conf_leave(conf), RAFT_CONF_OK);
	ck_assert(raft_conf_is_valid(conf));
	ck_assert_int_eq(raft_conf_leave(conf), RAFT_CONF_NOT_JOINT);
}

START_TEST(one_by_one_and_jointly_lead_to_the_same)
{
	draw_init(&draw, (uint64_t)_i);
	for (unsigned int try = 0; try < TRIES; try++) {
		struct raft_conf_state simple, joint;
		struct raft_conf_changes changes;

		any_beginning(&simple);
		joint = simple;
		any_changes(&changes, 0);
		change_one_by_one(&simple, &changes);
		change_jointly(&joint, &changes, some(2));
		ck_assert_mem_eq(&simple, &joint, sizeof(simple));
	}
}
END_TEST

START_TEST(a_simple_change_of_many_moves_at_most_one_voter)
{
	unsigned int refused = 0, made = 0;

	draw_init(&draw, (uint64_t)_i);
	for (unsigned int try = 0; try < TRIES; try++) {
		struct raft_conf_state before, conf;
		struct raft_conf_changes changes;
		struct raft_conf_fresh fresh;
		enum raft_conf_error err;

		any_beginning(&before);
		conf = before;
		any_changes(&changes, 1);
		err = raft_conf_simple(&conf, &changes, &fresh);
		ck_assert(raft_conf_is_valid(&conf));
		if (err == RAFT_CONF_OK) {
			made++;
			ck_assert_uint_le(difference(&before, &conf), 1);
			continue;
		}
		refused++;
		ck_assert_int_eq(err, RAFT_CONF_TOO_MANY);
		ck_assert_mem_eq(&before, &conf, sizeof(conf));
	}
	ck_assert_uint_gt(refused, TRIES / 20);
	ck_assert_uint_gt(made, TRIES / 20);
}
END_TEST

static void add(struct raft_conf_changes *changes, uint8_t type, uint64_t id)
{
	struct raft_conf_change *one = &changes->changes[changes->count++];

	one->id = id;
	one->type = type;
}

static bool has(const uint64_t *ids, uint8_t count, uint64_t id)
{
	return raft_conf_has(ids, count, id);
}

/* A joint configuration of up to 1 + IDS members, from random roles. */
static void any_joint(struct raft_conf_state *conf)
{
	*conf = (struct raft_conf_state){.auto_leave = some(2)};
	for (uint64_t id = 1; id < 2 + IDS; id++) {
		bool out = id == 1 || some(2);

		if (out)
			conf->outgoing[conf->outgoing_count++] = id;
		if (id == 1 || some(2))
			conf->voters[conf->voter_count++] = id;
		else if (some(2) && out)
			conf->learners_next[conf->learner_next_count++] = id;
		else if (some(2) && !out)
			conf->learners[conf->learner_count++] = id;
	}
}

/* By changes from one voter to what `want` was before it became joint... */
static void reach_outgoing(const struct raft_conf_state *want,
			   struct raft_conf_state *conf)
{
	struct raft_conf_changes changes = {0};

	*conf = (struct raft_conf_state){.voters = {1}, .voter_count = 1};
	for (unsigned int i = 0; i < want->outgoing_count; i++)
		add(&changes, RAFT_ADD_VOTER, want->outgoing[i]);
	for (unsigned int i = 0; i < want->learner_count; i++)
		add(&changes, RAFT_ADD_LEARNER, want->learners[i]);
	change_one_by_one(conf, &changes);
}

/* ...and from there into it. */
static void reach(const struct raft_conf_state *want,
		  struct raft_conf_state *conf)
{
	struct raft_conf_changes changes = {0};
	struct raft_conf_fresh fresh;

	reach_outgoing(want, conf);
	for (uint64_t id = 1; id < 2 + IDS; id++) {
		if (has(want->voters, want->voter_count, id))
			add(&changes, RAFT_ADD_VOTER, id);
		else if (has(want->learners_next, want->learner_next_count, id))
			add(&changes, RAFT_ADD_LEARNER, id);
		else if (has(want->outgoing, want->outgoing_count, id))
			add(&changes, RAFT_REMOVE, id);
	}
	changes.transition = want->auto_leave ? RAFT_TRANSITION_IMPLICIT
					      : RAFT_TRANSITION_EXPLICIT;
	ck_assert_int_eq(raft_conf_change(conf, &changes, &fresh),
			 RAFT_CONF_OK);
}

START_TEST(every_configuration_is_reached_by_changes)
{
	draw_init(&draw, (uint64_t)_i);
	for (unsigned int try = 0; try < TRIES; try++) {
		struct raft_conf_state want, conf;

		any_joint(&want);
		ck_assert(raft_conf_is_valid(&want));
		reach(&want, &conf);
		ck_assert_mem_eq(&conf, &want, sizeof(want));
	}
}
END_TEST

START_TEST(every_configuration_survives_a_restart)
{
	struct raft_options options = {.id = 1,
				       .election_ticks = 10,
				       .heartbeat_ticks = 1,
				       .entries_max = 16,
				       .messages_max = 128,
				       .reads_max = 1,
				       .inflight_max = 1};
	struct raft_hard_state hard = {.term = 1, .commit = 5};
	void *memory = aligned_alloc(64, raft_memory_size(&options));

	ck_assert_ptr_nonnull(memory);
	draw_init(&draw, (uint64_t)_i);
	for (unsigned int try = 0; try < TRIES; try++) {
		struct raft_snapshot image = {.index = 5, .term = 1};
		struct raft_status status;
		struct raft *raft;

		if (some(2))
			any_joint(&image.conf);
		else
			any_beginning(&image.conf);
		ck_assert_int_eq(
			raft_init(&raft, &options, &hard, &image, memory), 0);
		raft_status(raft, &status);
		ck_assert_mem_eq(&status.conf, &image.conf, sizeof(image.conf));
	}
	free(memory);
}
END_TEST

/* The rules, said another way: each id in the places where it may be. */
static bool is_naive_valid(const struct raft_conf_state *conf)
{
	bool joint = conf->outgoing_count > 0;

	for (uint64_t id = 1; id < 2 + IDS; id++) {
		bool in = has(conf->voters, conf->voter_count, id);
		bool out = has(conf->outgoing, conf->outgoing_count, id);
		bool now = has(conf->learners, conf->learner_count, id);
		bool next =
			has(conf->learners_next, conf->learner_next_count, id);

		if ((now && (in || out || next)) || (next && (in || !out)))
			return false;
	}
	return joint ? conf->voter_count > 0 : !conf->auto_leave;
}

static void any_ids(uint64_t *ids, uint8_t *count)
{
	for (uint64_t id = 1; id < 2 + IDS; id++)
		if (some(6) == 0)
			ids[(*count)++] = id;
}

START_TEST(configurations_are_judged_as_by_naive_rules)
{
	unsigned int good = 0, bad = 0;

	draw_init(&draw, (uint64_t)_i);
	for (unsigned int try = 0; try < TRIES; try++) {
		struct raft_conf_state conf = {.auto_leave = some(4) == 0};
		bool valid;

		any_ids(conf.voters, &conf.voter_count);
		any_ids(conf.outgoing, &conf.outgoing_count);
		any_ids(conf.learners, &conf.learner_count);
		if (some(2))
			any_ids(conf.learners_next, &conf.learner_next_count);
		valid = is_naive_valid(&conf);
		good += valid;
		bad += !valid;
		ck_assert(raft_conf_is_valid(&conf) == valid);
	}
	ck_assert_uint_gt(good, TRIES / 20);
	ck_assert_uint_gt(bad, TRIES / 20);
}
END_TEST

START_TEST(changes_survive_their_encoding)
{
	draw_init(&draw, (uint64_t)_i);
	for (unsigned int try = 0; try < TRIES; try++) {
		uint8_t bytes[RAFT_CONF_HEADER +
			      RAFT_CHANGES_MAX * RAFT_CONF_CHANGE];
		struct raft_conf_changes changes, back;
		size_t size;

		any_changes(&changes, 0);
		changes.transition = (uint8_t)some(3);
		size = raft_conf_size(changes.count);
		memset(bytes, 0xee, sizeof(bytes));
		raft_conf_encode(&changes, bytes);
		memset(&back, 0xee, sizeof(back));
		ck_assert_int_eq(
			raft_conf_decode(ENTRY_CONF_V2, bytes, size, &back), 0);
		ck_assert_uint_eq(back.transition, changes.transition);
		ck_assert_uint_eq(back.count, changes.count);
		for (unsigned int i = 0; i < back.count; i++) {
			ck_assert_uint_eq(back.changes[i].id,
					  changes.changes[i].id);
			ck_assert_uint_eq(back.changes[i].type,
					  changes.changes[i].type);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, random membership");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(all, one_by_one_and_jointly_lead_to_the_same, 0, 4);
	tcase_add_loop_test(
		all, a_simple_change_of_many_moves_at_most_one_voter, 0, 2);
	tcase_add_loop_test(all, every_configuration_is_reached_by_changes, 0,
			    2);
	tcase_add_loop_test(all, every_configuration_survives_a_restart, 0, 2);
	tcase_add_loop_test(all, configurations_are_judged_as_by_naive_rules, 0,
			    2);
	tcase_add_loop_test(all, changes_survive_their_encoding, 0, 2);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
