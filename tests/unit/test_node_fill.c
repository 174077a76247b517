/*
 * Most members have damaged logs, each at another place, and nobody whole is
 * there: each gets the record that it lost from who has it, and all goes on.
 * What cannot be proven to be the same stays as it is.
 */
#include "tests/unit/support_damaged.h"

enum {
	LONG = 200, /* ticks, in which nothing may happen */
};

/* Members 2 and 3 are started, each with one damaged record; 1 is away. */
static void hurt_both(uint64_t one, uint32_t one_at, uint64_t two,
		      uint32_t two_at)
{
	peer_unmap(&guests[leader]);
	kill_all();
	(void)damage(cluster.rigs[1].disk, one, one_at);
	(void)damage(cluster.rigs[2].disk, two, two_at);
	cluster_start_one(&cluster, 1);
	cluster_start_one(&cluster, 2);
	ck_assert(is_damaged(1) && is_damaged(2));
}

/* The two lead each other, and have all that there was. */
static void check_both(void)
{
	uint32_t i;

	(void)cluster_elect(&cluster);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	for (i = 1; i < 3; i++) {
		ck_assert(!is_damaged(i));
		ck_assert_uint_ge(cluster.rigs[i].node->applied, last);
		ck_assert_uint_eq(store_revision(cluster.rigs[i].node->store),
				  revision);
	}
}

static void check_all(void)
{
	cluster_start_one(&cluster, 0);
	check_whole();
	check_disks();
}

static uint32_t place(uint32_t nth)
{
	return nth & 1 ? DAMAGE_HEAD : DAMAGE_PAYLOAD;
}

START_TEST(two_damaged_in_different_places_fill_each_other)
{
	uint64_t one = 2 + (uint64_t)_i / 4, two = last - 2;

	hurt_both(one, place(_i), two, place(_i / 2));
	check_both();
	ck_assert_uint_ge(cluster.fills, 1);
	check_all();
}
END_TEST

START_TEST(both_are_filled_when_both_have_lost_the_end)
{
	/* Neither is long enough for the other before. */
	hurt_both(last - 3, DAMAGE_HEAD, last - 1, DAMAGE_PAYLOAD);
	check_both();
	check_all();
}
END_TEST

START_TEST(a_third_that_lags_is_not_needed_and_does_not_lead)
{
	uint32_t i;

	leave(other(1));
	for (i = PUTS; i < PUTS + 4; i++)
		put(leader, i);
	cluster_pass(&cluster, 5 * RIG_TICK_NS);
	last = cluster.rigs[leader].node->supplied;
	revision += 4;
	leave(leader);
	cluster_kill(&cluster, other(2));
	(void)damage(cluster.rigs[leader].disk, last - 3, DAMAGE_HEAD);
	(void)damage(cluster.rigs[other(2)].disk, last - 1, DAMAGE_PAYLOAD);
	start_all();
	check_whole();
	ck_assert_uint_ge(cluster.fills, 1);
	ck_assert_int_ne(cluster_leader(&cluster), (int)other(1));
	check_disks();
}
END_TEST

/* Nobody leads, and the logs stay as they are. */
static void check_nothing(void)
{
	struct disk *before[3];
	uint32_t i, k;

	for (i = 1; i < 3; i++)
		before[i] = mem_disk_copy(cluster.rigs[i].disk);
	cluster_pass(&cluster, LONG * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.fills, 0);
	ck_assert_int_eq(cluster_leader(&cluster), -1);
	for (i = 1; i < 3; i++) {
		ck_assert(is_damaged(i));
		for (k = 0; k < MEM_FILES_MAX; k++) {
			struct mem_file *file = &before[i]->files[k];

			if (strncmp(file->name, "segment", 7) != 0)
				continue;
			ck_assert_mem_eq(cluster.rigs[i].disk->files[k].data,
					 file->data, file->size);
		}
		mem_disk_free(before[i]);
	}
}

START_TEST(who_lost_the_entry_behind_proves_nothing)
{
	hurt_both(last / 2, DAMAGE_HEAD, last / 2 + 1, DAMAGE_HEAD);
	check_nothing();
	/* Who is whole leads, and sends it all. */
	check_all();
}
END_TEST

/* Entries of the same index that were replaced elsewhere are not the same. */
START_TEST(another_history_proves_nothing)
{
	uint32_t a = other(1), b = other(2), i;
	uint64_t index = last + 1 + (uint64_t)_i;

	cluster_isolate(&cluster, leader, true);
	for (i = PUTS; i < PUTS + 3; i++)
		peer_put_size(&guests[leader], i, "lost", 3000);
	cluster_pass(&cluster, 30 * RIG_TICK_NS);
	ck_assert_uint_gt(cluster.rigs[leader].node->supplied, last);
	leave(leader);
	cluster_open(&cluster, &guests[a], a, 2);
	for (i = 0; i < 5; i++)
		put(a, i);
	cluster_pass(&cluster, 5 * RIG_TICK_NS);
	leave(a);
	leave(b);
	cluster_isolate(&cluster, leader, false);
	(void)damage(cluster.rigs[a].disk, index, DAMAGE_HEAD);
	cluster_start_one(&cluster, a);
	cluster_start_one(&cluster, leader);
	cluster_pass(&cluster, LONG * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.fills, 0);
	ck_assert_int_eq(cluster_leader(&cluster), -1);
	ck_assert(is_damaged(a));
	/* Who has the same does. */
	(void)damage(cluster.rigs[b].disk, index - 2, DAMAGE_HEAD);
	cluster_start_one(&cluster, b);
	revision += 5;
	check_whole();
	ck_assert_uint_ge(cluster.fills, 1);
	check_disks();
}
END_TEST

/* Whether the leader answers who asks for this. */
static bool answers(uint64_t first, uint64_t to, uint64_t before_term,
		    uint64_t proof, uint64_t proof_term)
{
	struct node *node = cluster.rigs[leader].node;
	struct peer *peer = peer_find(node, other(1) + 1);
	struct lane *lane = &peer->lanes[NODE_BULK];
	struct wire_frame frame = {
		.type = WIRE_SEEK,
		.first_index = first,
		.reject_hint = to,
		.log_index = first - 1,
		.log_term = before_term,
		.commit = proof,
		.commit_term = proof_term,
	};
	uint32_t tail = lane->tail;

	fill_asked(node, peer, &frame);
	cluster_pass(&cluster, RIG_TICK_NS);
	return lane->tail != tail;
}

START_TEST(nobody_tells_what_is_not_proven)
{
	uint64_t term = cluster.rigs[leader].node->term;

	ck_assert_uint_eq(term, 1);
	ck_assert(answers(5, 6, term, 7, term));
	ck_assert(answers(1, 6, 0, 7, term));
	ck_assert(answers(5, last, term, 0, 0));
	ck_assert(answers(5, 4, term, 5, term)); /* there were none */
	/* Another entry in front; or behind; or none is known there. */
	ck_assert(!answers(5, 6, term + 1, 7, term));
	ck_assert(!answers(5, 6, 0, 7, term));
	ck_assert(!answers(5, 6, term, 7, term + 1));
	ck_assert(!answers(5, 6, term, last + 1, term));
	ck_assert(!answers(1, 6, term, 7, term));
	/* What it does not have. */
	ck_assert(!answers(5, last + 1, term, 0, 0));
	ck_assert(!answers(last + 2, last + 2, term, 0, 0));
	/* What cannot be meant. */
	ck_assert(!answers(0, 3, term, 0, 0));
	ck_assert(!answers(5, 3, term, 7, term));
	ck_assert(!answers(5, UINT64_MAX, term, 7, term));
}
END_TEST

START_TEST(what_both_have_lost_nobody_fills)
{
	hurt_both(last / 2, place(_i), last / 2, place(_i / 2));
	check_nothing();
	check_all();
}
END_TEST

START_TEST(who_is_led_is_not_filled)
{
	uint32_t hurt = other(1);

	cluster_kill(&cluster, hurt);
	(void)damage(cluster.rigs[hurt].disk, last / 2, DAMAGE_PAYLOAD);
	cluster_start_one(&cluster, hurt);
	check_whole();
	cluster_pass(&cluster, LONG * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.fills, 0);
}
END_TEST

START_TEST(one_that_is_told_to_stop_stops)
{
	hurt_both(3, DAMAGE_HEAD, last - 2, DAMAGE_PAYLOAD);
	node_drain(cluster.rigs[1].node);
	node_drain(cluster.rigs[2].node);
	cluster_pass(&cluster, LONG * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.fills, 0);
	ck_assert(node_drained(cluster.rigs[1].node));
}
END_TEST

START_TEST(a_crash_in_the_middle_of_a_fill_does_no_harm)
{
	uint32_t i;

	hurt_both(3, DAMAGE_HEAD, last - 2, DAMAGE_PAYLOAD);
	/* Until the one that asks first is about to. */
	for (i = 0; i < 100000; i++) {
		uint64_t due_ns = cluster.rigs[1].node->seek_ns;

		if (due_ns && cluster.rigs[1].now_ns + RIG_TICK_NS >= due_ns)
			break;
		(void)cluster_turn(&cluster, RIG_TICK_NS / 20);
	}
	for (i = 0; i < (uint32_t)_i; i++)
		(void)cluster_turn(&cluster, RIG_TICK_NS / 20);
	cluster_kill(&cluster, 1);
	cluster_start_one(&cluster, 1);
	check_both();
	check_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node, a damaged record written anew");
	TCase *all = tcase_create("cluster");

	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_loop_test(
		all, two_damaged_in_different_places_fill_each_other, 0, 8);
	tcase_add_test(all, both_are_filled_when_both_have_lost_the_end);
	tcase_add_test(all, a_third_that_lags_is_not_needed_and_does_not_lead);
	tcase_add_test(all, who_lost_the_entry_behind_proves_nothing);
	tcase_add_test(all, nobody_tells_what_is_not_proven);
	tcase_add_loop_test(all, another_history_proves_nothing, 0, 3);
	tcase_add_loop_test(all, what_both_have_lost_nobody_fills, 0, 4);
	tcase_add_test(all, who_is_led_is_not_filled);
	tcase_add_test(all, one_that_is_told_to_stop_stops);
	tcase_add_loop_test(all, a_crash_in_the_middle_of_a_fill_does_no_harm,
			    0, 12);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
