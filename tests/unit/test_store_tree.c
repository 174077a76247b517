/* The tree and the mapping under it, by themselves. */
#include <assert.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/store/tree.h"

enum {
	MAP_SIZE = 128 << 20,
	KEYS_MAX = 20000,
};

static struct mapping *map;
static struct tree tree;
static uint64_t items[KEYS_MAX]; /* 0: not in the tree */
static uint64_t random_state;

static void setup(void)
{
	map = mmap(NULL, MAP_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert((void *)map != MAP_FAILED);
	mapping_init(map, MAP_SIZE, sizeof(*map));
	memset(&tree, 0, sizeof(tree));
	memset(items, 0, sizeof(items));
	tree_init(map, &tree);
	random_state = 88172645463325252ull;
}

static void teardown(void)
{
	munmap(map, MAP_SIZE);
}

static uint32_t below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % limit;
}

static void check(void)
{
	const char *what = "";
	uint64_t bytes, versions = 0;
	uint32_t i;
	int error = tree_check(map, &tree, &bytes, &what);

	ck_assert_msg(error == 0, "tree: %s", what);
	error = mapping_check(map, &what);
	ck_assert_msg(error == 0, "mapping: %s", what);
	for (i = 0; i < KEYS_MAX; i++)
		if (items[i] != 0)
			versions += version_charge_of(
					    map, version_see(map, items[i])) -
				    VERSION_FIXED;
	ck_assert_uint_eq(map->used, bytes + versions);
}

static void insert(uint32_t number, struct key key)
{
	struct tree_path path;
	struct version *version;

	if (tree_locate(map, &tree, key, &path) != 0)
		return;
	items[number] = version_new(map, key.size, 0);
	version = version_at(map, items[number]);
	version->version = 1;
	version_write(map, version, 0, key.bytes, key.size);
	tree_insert(map, &tree, items[number], &path);
}

static void take_out(uint32_t number)
{
	struct tree_path path;
	struct key key;

	if (items[number] == 0)
		return;
	key = version_key(map, version_see(map, items[number]));
	ck_assert_uint_eq(tree_locate(map, &tree, key, &path), items[number]);
	tree_remove(map, &tree, &path);
	ck_assert_uint_eq(tree_find(map, &tree, key), 0);
	version_free(map, items[number]);
	items[number] = 0;
}

/* Keys of one kind, different for different numbers. */
static struct key key_of(uint32_t kind, uint32_t number, uint8_t *room)
{
	uint32_t i, size = 0;

	switch (kind) {
	case 0: /* eight bytes, in order */
		for (i = 0; i < 8; i++)
			room[size++] =
				(uint8_t)((uint64_t)number >> (56 - 8 * i));
		break;
	case 1: /* scattered */
		number *= 2654435761u;
		memcpy(room, &number, 4);
		size = 4;
		break;
	case 2: /* a long beginning in common */
		memset(room, 'x', 300);
		memcpy(room + 300, &number, 4);
		size = 304;
		break;
	case 3: /* each the beginning of the next */
		memset(room, 0, number % 4000 + 1);
		size = number % 4000 + 1;
		break;
	default: /* of any length, with few letters */
		for (i = 0; i <= number % 23; i++)
			room[size++] = (uint8_t)((number >> i % 5) % 3 * 127);
		for (i = 0; i < 4; i++)
			room[size++] = (uint8_t)(number >> (8 * i));
		break;
	}
	return (struct key){room, size};
}

START_TEST(stays_in_order_through_any_history)
{
	static uint8_t room[OP_KEY_MAX];
	uint32_t keys = _i == 3 ? 1500 : 5000, step, i, number;

	for (step = 0; step < 8; step++) {
		for (i = 0; i < keys / 2; i++) {
			number = below(keys);
			if (below(10) < (step % 4 < 2 ? 8 : 2))
				insert(number,
				       key_of((uint32_t)_i, number, room));
			else
				take_out(number);
		}
		check();
	}
	for (i = 0; i < keys; i++) {
		struct key key = key_of((uint32_t)_i, i, room);

		ck_assert_uint_eq(tree_find(map, &tree, key), items[i]);
	}
	for (i = 0; i < keys; i++) {
		take_out(i);
		if (i % 1000 == 0)
			check();
	}
	ck_assert_uint_eq(tree.count, 0);
	ck_assert_uint_eq(tree.height, 1);
	ck_assert_uint_eq(map->used, TREE_NODE_SIZE);
}
END_TEST

START_TEST(walks_from_any_place_to_the_end)
{
	uint8_t room[8];
	struct tree_cursor cursor;
	uint32_t i, count, from;

	for (i = 0; i < 2000; i += 2)
		insert(i, key_of(0, i, room));
	for (from = 0; from < 2001; from += 37) {
		cursor = tree_seek(map, &tree, key_of(0, from, room), true);
		for (count = 0; tree_item(map, &cursor) != 0; count++)
			tree_next(map, &cursor);
		ck_assert_uint_eq(count, (1999 - from) / 2);
	}
	cursor = tree_seek(map, &tree, key_of(0, 100, room), false);
	ck_assert_uint_eq(tree_item(map, &cursor), items[100]);
	cursor = tree_seek(map, &tree, key_of(0, 5000, room), false);
	ck_assert_uint_eq(tree_item(map, &cursor), 0);
}
END_TEST

START_TEST(fills_its_leaves_when_keys_come_in_order)
{
	uint8_t room[8];
	uint64_t bytes;
	const char *what;
	uint32_t i;

	for (i = 0; i < 10000; i++)
		insert(i, key_of(0, i, room));
	ck_assert_int_eq(tree_check(map, &tree, &bytes, &what), 0);
	/* 16 bytes a slot, and little more. */
	ck_assert_uint_lt(bytes, 10000 * 19);
}
END_TEST

START_TEST(bumps_the_word_of_all_that_it_frees)
{
	static uint64_t nodes[2000], words[2000];
	uint8_t room[8];
	uint32_t i, j, count = 0;
	struct tree_path path;

	for (i = 0; i < 10000; i++)
		insert(i, key_of(1, i, room));
	for (i = 0; i < 10000; i++) {
		(void)tree_locate(map, &tree, key_of(1, i, room),
				  &path); /* the path is wanted */
		for (j = 0; j < count && nodes[j] != path.node[0]; j++)
			;
		if (j < count)
			continue;
		nodes[count] = path.node[0];
		words[count] = tree_node_see(map, path.node[0])->word;
		ck_assert_uint_eq(words[count++] % 2, 0);
	}
	ck_assert_uint_gt(count, 200);
	for (i = 0; i < 10000; i++)
		take_out(i);
	/* Freed memory of a node is still a node, with a newer word. */
	for (j = 0; j < count; j++) {
		ck_assert_uint_gt(tree_node_see(map, nodes[j])->word, words[j]);
		words[j] = tree_node_see(map, nodes[j])->word;
		ck_assert_uint_eq(words[j] % 2, 0);
	}
	for (i = 0; i < 10000; i++)
		insert(i, key_of(2, i, (uint8_t[304]){0}));
	for (j = 0; j < count; j++)
		ck_assert_uint_ge(tree_node_see(map, nodes[j])->word, words[j]);
	check();
}
END_TEST

START_TEST(bumps_the_word_of_the_leaf_that_owns_a_key)
{
	uint8_t room[8];
	struct tree_path path;
	uint64_t before;

	insert(1, key_of(0, 1, room));
	(void)tree_locate(map, &tree, key_of(0, 1, room),
			  &path); /* the path is wanted */
	before = tree_node_see(map, path.node[0])->word;
	tree_bump(map, &tree, key_of(0, 1, room));
	ck_assert_uint_eq(tree_node_see(map, path.node[0])->word, before + 2);
}
END_TEST

START_TEST(reuses_empty_chunks_for_other_sizes)
{
	static uint64_t blocks[40000];
	uint32_t class, i, round, count, fresh = 0;

	for (round = 0; round < 3; round++) {
		for (class = 0; class < MAPPING_CLASS_NODE; class ++) {
			count = (8 << 20) / map->classes[class].block_size;
			if (count > 40000)
				count = 40000;
			for (i = 0; i < count; i++)
				blocks[i] = mapping_take(map, class);
			for (i = 0; i < count; i++)
				mapping_give(map, blocks[i]);
		}
		if (round == 0)
			fresh = map->chunk_fresh;
		ck_assert_uint_le(map->chunk_fresh, fresh + 16);
	}
	ck_assert_uint_le(fresh, (8 << 20) / MAPPING_CHUNK_SIZE + 24);
	check();
}
END_TEST

START_TEST(never_reuses_nodes_for_anything_else)
{
	static uint64_t nodes[200];
	uint64_t block;
	uint32_t i, j;

	for (i = 0; i < 200; i++)
		nodes[i] = mapping_take(map, MAPPING_CLASS_NODE);
	for (i = 0; i < 200; i++)
		mapping_give(map, nodes[i]);
	for (i = 0; i < 1000; i++) {
		block = mapping_take(map, mapping_class(map, 1024));
		for (j = 0; j < 200; j++)
			ck_assert_uint_ne(block / MAPPING_CHUNK_SIZE,
					  nodes[j] / MAPPING_CHUNK_SIZE);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_tree");
	TCase *tcase = tcase_create("tree");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, stays_in_order_through_any_history, 0, 5);
	tcase_add_test(tcase, walks_from_any_place_to_the_end);
	tcase_add_test(tcase, fills_its_leaves_when_keys_come_in_order);
	tcase_add_test(tcase, bumps_the_word_of_all_that_it_frees);
	tcase_add_test(tcase, bumps_the_word_of_the_leaf_that_owns_a_key);
	tcase_add_test(tcase, reuses_empty_chunks_for_other_sizes);
	tcase_add_test(tcase, never_reuses_nodes_for_anything_else);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
