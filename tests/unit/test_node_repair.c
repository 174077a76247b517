/*
 * Members whose logs are damaged where they had acknowledged: what is missing
 * comes again from the others, and until then they deny nothing.
 */
#include "tests/unit/support_damaged.h"

START_TEST(a_follower_gets_what_was_damaged_wherever_that_is)
{
	uint32_t hurt = other(1);
	uint64_t index;

	for (index = 1; index <= last; index++) {
		cluster_kill(&cluster, hurt);
		(void)damage(cluster.rigs[hurt].disk, index,
			     index % 2 ? DAMAGE_HEAD : DAMAGE_PAYLOAD);
		cluster_start_one(&cluster, hurt);
		ck_assert(is_damaged(hurt));
		check_whole();
		/* The same leader sent it, in the same term. */
		ck_assert_int_eq(cluster_leader(&cluster), (int)leader);
	}
	leave(leader);
	check_disks();
}
END_TEST

START_TEST(a_leader_gets_what_was_damaged_from_the_next_one)
{
	leave(leader);
	(void)damage(cluster.rigs[leader].disk, last / 2, DAMAGE_PAYLOAD);
	cluster_start_one(&cluster, leader);
	ck_assert(is_damaged(leader));
	check_whole();
	ck_assert_int_ne(cluster_leader(&cluster), (int)leader);
	check_disks();
}
END_TEST

START_TEST(a_damaged_member_does_not_lead_nor_help_another_to_forget)
{
	uint32_t behind = other(1), hurt = other(2);
	uint32_t i;

	/* Only the leader and the one that is hurt have the last ones. */
	leave(behind);
	for (i = PUTS; i < PUTS + 3; i++)
		put(leader, i);
	last = cluster.rigs[hurt].node->supplied;
	leave(leader);
	leave(hurt);
	(void)damage(cluster.rigs[hurt].disk, last, DAMAGE_PAYLOAD);
	cluster_start_one(&cluster, hurt);
	cluster_start_one(&cluster, behind);
	cluster_pass(&cluster, 100 * RIG_TICK_NS);
	ck_assert_int_eq(cluster_leader(&cluster), -1);
	ck_assert(is_damaged(hurt));
	cluster_start_one(&cluster, leader);
	(void)cluster_elect(&cluster);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(store_revision(cluster.rigs[i].node->store),
				  revision + 3);
	ck_assert(!is_damaged(hurt));
}
END_TEST

/* Damage in two of three, found when all start at once. */
static void hurt_two(uint64_t one, uint32_t one_at, uint64_t two,
		     uint32_t two_at)
{
	peer_unmap(&guests[leader]);
	kill_all();
	(void)damage(cluster.rigs[1].disk, one, one_at);
	(void)damage(cluster.rigs[2].disk, two, two_at);
	start_all();
	ck_assert(is_damaged(1) && is_damaged(2));
}

START_TEST(two_that_are_damaged_at_different_places_are_repaired)
{
	hurt_two(3, DAMAGE_PAYLOAD, last - 2, DAMAGE_HEAD);
	check_whole();
	ck_assert_int_eq(cluster_leader(&cluster), 0);
	check_disks();
}
END_TEST

START_TEST(two_that_are_damaged_at_the_same_place_are_repaired)
{
	hurt_two(last / 2, DAMAGE_HEAD, last / 2, DAMAGE_PAYLOAD);
	check_whole();
	ck_assert_int_eq(cluster_leader(&cluster), 0);
	check_disks();
}
END_TEST

START_TEST(two_whose_last_record_is_damaged_are_repaired)
{
	hurt_two(last, DAMAGE_PAYLOAD, last, DAMAGE_PAYLOAD);
	check_whole();
	check_disks();
}
END_TEST

START_TEST(what_no_majority_is_known_to_have_had_is_not_given_up)
{
	uint8_t *heads[2];
	uint32_t i;

	peer_unmap(&guests[leader]);
	kill_all();
	heads[0] = damage(cluster.rigs[1].disk, last, DAMAGE_HEAD);
	heads[1] = damage(cluster.rigs[2].disk, last, DAMAGE_HEAD);
	/* Nobody knows that the last records held no more than the third. */
	for (i = 1; i < 3; i++)
		memset(mem_disk_find(cluster.rigs[i].disk, "meta")->data, 0, 1);
	start_all();
	cluster_pass(&cluster, 200 * RIG_TICK_NS);
	ck_assert_int_eq(cluster_leader(&cluster), -1);
	/* What can be read again is there again. */
	for (i = 1; i < 3; i++) {
		cluster_kill(&cluster, i);
		*heads[i - 1] ^= 0x10;
		cluster_start_one(&cluster, i);
		check_whole();
		if (i == 1)
			ck_assert(!is_damaged(2));
	}
}
END_TEST

START_TEST(what_all_have_lost_nobody_goes_on_without)
{
	uint8_t *bytes[3];
	uint32_t i;

	peer_unmap(&guests[leader]);
	kill_all();
	for (i = 0; i < 3; i++)
		bytes[i] =
			damage(cluster.rigs[i].disk, last / 2, DAMAGE_PAYLOAD);
	start_all();
	cluster_pass(&cluster, 200 * RIG_TICK_NS);
	ck_assert_int_eq(cluster_leader(&cluster), -1);
	for (i = 0; i < 3; i++)
		ck_assert(is_damaged(i));
	/* One disk gives it back, and that is enough. */
	cluster_kill(&cluster, 1);
	*bytes[1] ^= 0x10;
	cluster_start_one(&cluster, 1);
	check_whole();
	check_disks();
}
END_TEST

START_TEST(a_crash_in_the_middle_of_a_repair_finds_what_is_missing_still)
{
	uint32_t hurt = other(1), i;

	cluster_kill(&cluster, hurt);
	(void)damage(cluster.rigs[hurt].disk, 3, DAMAGE_PAYLOAD);
	cluster_start_one(&cluster, hurt);
	/* The first heartbeat comes somewhere in the first tick. */
	for (i = 0; i < 1000 && !cluster.rigs[hurt].status.leader; i++)
		(void)cluster_turn(&cluster, RIG_TICK_NS / 20);
	cluster_turns(&cluster, (uint32_t)_i);
	cluster_kill(&cluster, hurt);
	cluster_start_one(&cluster, hurt);
	check_whole();
	leave(leader);
	check_disks();
}
END_TEST

START_TEST(an_image_takes_the_place_of_what_the_others_have_compacted)
{
	uint32_t hurt = other(1), i;

	cluster_kill(&cluster, hurt);
	(void)damage(cluster.rigs[hurt].disk, 3, DAMAGE_PAYLOAD);
	for (i = 0; i < 3; i++)
		if (i != hurt) {
			cluster.rigs[i].node->options.entries_max = 64;
			cluster.rigs[i].node->cut_last = 0;
		}
	for (i = 0; i < 80; i++)
		put(leader, PUTS + i);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert_uint_gt(wal_snapshot_index(cluster.rigs[leader].wal), last);
	cluster_start_one(&cluster, hurt);
	(void)cluster_elect(&cluster);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert(!is_damaged(hurt));
	ck_assert_uint_gt(wal_snapshot_index(cluster.rigs[hurt].wal), last);
	ck_assert_uint_eq(store_revision(cluster.rigs[hurt].node->store),
			  revision + 80);
}
END_TEST

START_TEST(entries_that_others_had_replaced_do_not_come_to_life_again)
{
	uint32_t a = other(1), b = other(2), i;
	uint64_t index;

	/* The old leader appends what nobody else gets. */
	cluster_isolate(&cluster, leader, true);
	for (i = PUTS; i < PUTS + 3; i++)
		peer_put_size(&guests[leader], i, "lost", 3000);
	cluster_pass(&cluster, 30 * RIG_TICK_NS);
	index = cluster.rigs[leader].node->supplied;
	ck_assert_uint_gt(index, last);
	leave(leader);
	cluster_open(&cluster, &guests[a], a, 2);
	for (i = 0; i < 5; i++)
		put(a, i);
	cluster_isolate(&cluster, leader, false);
	cluster_start_one(&cluster, leader);
	(void)cluster_elect(&cluster);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	/* The records that took their place are damaged; theirs are not. */
	cluster_kill(&cluster, leader);
	(void)damage(cluster.rigs[leader].disk, last + 1, DAMAGE_PAYLOAD);
	cluster_start_one(&cluster, leader);
	ck_assert(is_damaged(leader));
	ck_assert_uint_le(cluster.rigs[leader].node->applied, last);
	(void)cluster_elect(&cluster);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert(!is_damaged(leader));
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(store_revision(cluster.rigs[i].node->store),
				  revision + 5);
	ck_assert_uint_eq(cluster.rigs[leader].node->applied,
			  cluster.rigs[b].node->applied);
}
END_TEST

START_TEST(who_votes_alone_does_not_start_with_damage)
{
	struct rig rig;
	struct guest guest;

	rig_init(&rig);
	rig.wal_options.tolerate_damage = true;
	rig_start(&rig);
	peer_open(&guest, &rig, 1);
	peer_put(&guest, 0, "k", "v");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&guest, 0), 0);
	peer_unmap(&guest);
	rig_crash(&rig);
	(void)damage(rig.disk, 2, DAMAGE_PAYLOAD);
	ck_assert_int_eq(rig_try(&rig), WAL_EDAMAGED);
	ck_assert_ptr_nonnull(strstr(rig.report.where, "segment-"));
	rig_release(&rig);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, a_follower_gets_what_was_damaged_wherever_that_is);
	tcase_add_test(all, a_leader_gets_what_was_damaged_from_the_next_one);
	tcase_add_test(
		all, a_damaged_member_does_not_lead_nor_help_another_to_forget);
	tcase_add_test(all,
		       two_that_are_damaged_at_different_places_are_repaired);
	tcase_add_test(all,
		       two_that_are_damaged_at_the_same_place_are_repaired);
	tcase_add_test(all, two_whose_last_record_is_damaged_are_repaired);
	tcase_add_test(all,
		       what_no_majority_is_known_to_have_had_is_not_given_up);
	tcase_add_test(all, what_all_have_lost_nobody_goes_on_without);
	tcase_add_loop_test(
		all,
		a_crash_in_the_middle_of_a_repair_finds_what_is_missing_still,
		0, 16);
	tcase_add_test(
		all,
		an_image_takes_the_place_of_what_the_others_have_compacted);
	tcase_add_test(
		all,
		entries_that_others_had_replaced_do_not_come_to_life_again);
}

int main(void)
{
	Suite *suite = suite_create("node, repair");
	TCase *all = tcase_create("cluster");
	TCase *alone = tcase_create("alone");

	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, set_up, tear_down);
	add_tests(all);
	suite_add_tcase(suite, all);
	tcase_add_test(alone, who_votes_alone_does_not_start_with_damage);
	suite_add_tcase(suite, alone);
	return run_suite(suite);
}
