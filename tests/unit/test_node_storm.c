/*
 * Clusters in bad weather: members die and come back, links break, disks
 * stall, bytes come in pieces, and clients go on asking. Each put has a key
 * of its own; so what was acknowledged must be there on every member, and
 * nothing may have been applied twice: its version is 1.
 *
 * STORM_SEED and STORM_COUNT choose other weather.
 */
#include "tests/unit/support_cluster.h"

#include <stdio.h>

enum {
	STEPS = 300,
	PUTS_MAX = 4096,
	GUEST_SLOTS = 8,
};

struct put {
	uint32_t guest;
	bool acked;
};

struct crew {
	struct guest guest;
	bool open;
	uint32_t puts[GUEST_SLOTS]; /* number + 1 of what a slot asks for */
};

static struct cluster cluster;
static struct crew crews[CLUSTER_MAX];
static struct put asked[PUTS_MAX];
static uint32_t put_count;
static uint8_t next_name;
static uint64_t seed_now;

static uint32_t draw(uint32_t below)
{
	return cluster_draw(&cluster, below);
}

static void name_key(uint32_t number, char key[16])
{
	(void)snprintf(key, 16, "key-%06u", number);
}

static void drop_crew(uint32_t i)
{
	if (crews[i].open)
		peer_unmap(&crews[i].guest);
	memset(&crews[i], 0, sizeof(crews[i]));
}

static void board(uint32_t i)
{
	if (crews[i].open || !cluster.alive[i])
		return;
	peer_init(&crews[i].guest, &cluster.rigs[i], ++next_name);
	memcpy(crews[i].guest.who.hello.session + 1, &put_count, 4);
	crews[i].guest.who.hello.session[15] = 1; /* never all zero */
	ck_assert_int_eq(peer_knock(&crews[i].guest), 0);
	crews[i].open = true;
}

/* Takes results; asks for more. */
static void work(uint32_t i)
{
	struct crew *crew = &crews[i];
	uint32_t slot;
	char key[16];

	for (slot = 0; crew->open && slot < GUEST_SLOTS; slot++) {
		uint32_t number = crew->puts[slot];

		if (number && is_posted(&crew->guest, slot)) {
			int32_t status = status_of(&crew->guest, slot);

			ck_assert_msg(status == 0 ||
					      status == CONCLAVE_ENOLEADER ||
					      status == CONCLAVE_EQUOTA,
				      "seed %lu: status %d", seed_now, status);
			asked[number - 1].acked = status == 0;
			crew->puts[slot] = 0;
		}
		if (crew->puts[slot] || put_count == PUTS_MAX || draw(3))
			continue;
		asked[put_count].guest = i;
		name_key(put_count, key);
		peer_put_size(&crew->guest, slot, key, 10 + draw(3000));
		crew->puts[slot] = ++put_count;
	}
}

static uint32_t count_alive(void)
{
	uint32_t i, count = 0;

	for (i = 0; i < cluster.count; i++)
		count += cluster.alive[i];
	return count;
}

static void fault(void)
{
	uint32_t a = draw(cluster.count), b = draw(cluster.count);

	switch (draw(10)) {
	case 0:
		if (cluster.alive[a] && count_alive() > 1) {
			drop_crew(a);
			cluster_kill(&cluster, a);
		}
		break;
	case 1:
	case 2:
		if (!cluster.alive[a])
			cluster_start_one(&cluster, a);
		break;
	case 3:
		if (a != b)
			cluster_cut(&cluster, a, b, true);
		break;
	case 4:
	case 5:
		if (a != b)
			cluster_cut(&cluster, a, b, false);
		break;
	case 6:
		cluster_isolate(&cluster, a, draw(2));
		break;
	case 7:
		cluster.piece_max = draw(2) ? 1 + draw(5000) : UINT32_MAX;
		break;
	case 8:
		if (cluster.alive[a])
			rig_stall(&cluster.rigs[a]);
		break;
	default:
		if (cluster.alive[a])
			rig_unstall(&cluster.rigs[a]);
		break;
	}
}

static void heal(void)
{
	uint32_t i, k;

	cluster.piece_max = UINT32_MAX;
	for (i = 0; i < cluster.count; i++) {
		if (!cluster.alive[i])
			cluster_start_one(&cluster, i);
		rig_unstall(&cluster.rigs[i]);
	}
	for (i = 0; i < cluster.count; i++)
		for (k = 0; k < i; k++)
			cluster_cut(&cluster, i, k, false);
}

static uint64_t version_of(struct store *store, uint32_t number)
{
	struct cv_record record = {0};
	uint8_t out[4096 + 256];
	char key[16];
	struct store_read read = {
		.key = (const uint8_t *)key,
		.key_size = 10,
		.out = out,
		.room = sizeof(out),
	};

	name_key(number, key);
	ck_assert_int_eq(store_read(store, &read, 1000000), 0);
	if (read.count)
		memcpy(&record, out, sizeof(record));
	return record.version;
}

static bool are_busy(void)
{
	uint32_t i, slot;

	for (i = 0; i < cluster.count; i++)
		for (slot = 0; slot < GUEST_SLOTS; slot++)
			if (crews[i].open && crews[i].puts[slot] &&
			    !is_posted(&crews[i].guest, slot))
				return true;
	return false;
}

/* For a person: where everybody stands. */
static void show(void)
{
	uint32_t i;

	for (i = 0; i < cluster.count; i++) {
		const struct node *node = cluster.rigs[i].node;
		struct raft_status raft;

		raft_status(node->raft, &raft);
		printf("member %u: role %u/%u leader %lu/%lu term %lu "
		       "log %lu..%lu commit %lu applied %lu supplied %lu "
		       "batches %lu %lu %lu sealed %u held %u free %u "
		       "can append %d open %d out %d\n",
		       i + 1, node->role, raft.role, node->leader, raft.leader,
		       raft.term, raft.first_index, raft.last_index,
		       raft.commit, node->applied, node->supplied,
		       node->batch_head, node->batch_next, node->batch_tail,
		       node->sealed_count, node->held_tail - node->held_head,
		       wal_buffers_free(node->wal), wal_can_append(node->wal),
		       node->open.entry != NULL, node->outbound != NULL);
	}
}

static void check(void)
{
	struct store_hash first, hash;
	uint32_t i, k, acked = 0;

	for (i = 0; i < 600 && are_busy(); i++)
		cluster_pass(&cluster, RIG_TICK_NS);
	if (are_busy())
		show();
	ck_assert_msg(!are_busy(), "seed %lu: no progress", seed_now);
	for (i = 0; i < 30; i++)
		cluster_pass(&cluster, RIG_TICK_NS);
	store_hash(cluster.rigs[0].node->store, &first);
	for (k = 0; k < cluster.count; k++) {
		struct store *store = cluster.rigs[k].node->store;

		ck_assert_uint_eq(store_applied(store),
				  store_applied(cluster.rigs[0].node->store));
		store_hash(store, &hash);
		ck_assert_msg(hash.low == first.low && hash.high == first.high,
			      "seed %lu: member %u differs", seed_now, k + 1);
		for (i = 0; i < put_count; i++) {
			uint64_t version = version_of(store, i);

			acked += asked[i].acked;
			ck_assert_msg(version == 1 ||
					      (!version && !asked[i].acked),
				      "seed %lu: put %u has version %lu",
				      seed_now, i, version);
		}
	}
	if (getenv("STORM_SEED"))
		printf("seed %lu: %u puts, %u acknowledged\n", seed_now,
		       put_count, acked / cluster.count);
}

static void storm(uint64_t seed)
{
	uint32_t i, step, turns;

	seed_now = seed;
	put_count = 0;
	memset(asked, 0, sizeof(asked));
	memset(crews, 0, sizeof(crews));
	cluster_init(&cluster, seed % 3 ? 3 : 5);
	cluster.random = seed * 7919;
	cluster.heedless = true;
	for (i = 0; i < cluster.count; i++) {
		/* Who lags is then sent an image. */
		if (seed % 2)
			cluster.rigs[i].wal_options.snapshot_after = 100000;
		cluster_start_one(&cluster, i);
	}
	for (step = 0; step < STEPS; step++) {
		if (!draw(3))
			fault();
		for (i = 0; i < cluster.count; i++) {
			board(i);
			work(i);
		}
		turns = 1 + draw(60);
		while (turns--)
			(void)cluster_turn(&cluster, draw(4) ? RIG_STEP_NS
							     : RIG_TICK_NS / 3);
	}
	heal();
	check();
	for (i = 0; i < cluster.count; i++)
		drop_crew(i);
	cluster_release(&cluster);
}

START_TEST(what_was_acknowledged_is_everywhere_and_once)
{
	const char *seed = getenv("STORM_SEED"), *count = getenv("STORM_COUNT");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
	uint64_t i, last = first + (count ? strtoull(count, NULL, 10) : 10);

	for (i = first; i < last; i++)
		storm(i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_storm");
	TCase *tests = tcase_create("storms");

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, what_was_acknowledged_is_everywhere_and_once);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
