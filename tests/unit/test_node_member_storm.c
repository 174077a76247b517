/*
 * Members come and go in bad weather: they die and come back, links break,
 * bytes come in pieces, and all the while some are added, promoted, replaced
 * and removed, leadership is moved, and clients go on asking. What was
 * acknowledged must be with all who are members at the end, once; who was
 * removed must not be among them; and they agree on who they are.
 *
 * STORM_SEED and STORM_COUNT choose other weather.
 */
#include "tests/unit/support_crowd.h"

enum {
	STEPS = 300,
	FOUNDERS = 3,
	PUTS_MAX = 2048,
	PUT_SLOTS = 6, /* of a guest; the one behind is for changes */
	CHANGE_SLOT = PUT_SLOTS,
};

struct crew {
	bool open;
	uint32_t puts[PUT_SLOTS]; /* number + 1 of what a slot asks for */
	struct cv_request change; /* argument 0: none is asked for */
};

static struct crew crews[CLUSTER_MAX];
static bool acked[PUTS_MAX];
static uint32_t put_count;
static bool added[CLUSTER_MAX]; /* asked for, at least */
static bool removed[CLUSTER_MAX]; /* acknowledged */
static uint64_t seed_now;

static uint32_t draw(uint32_t below)
{
	return cluster_draw(&cluster, below);
}

static bool is_gone(uint32_t i)
{
	return removed[i] ||
	       (cluster.alive[i] && node_is_removed(cluster.rigs[i].node));
}

static void sink(uint32_t i)
{
	if (crews[i].open)
		peer_unmap(&guests[i]);
	guests[i].up = NULL;
	memset(&crews[i], 0, sizeof(crews[i]));
	cluster_kill(&cluster, i);
}

static void board(uint32_t i)
{
	static uint32_t name;

	if (crews[i].open || !cluster.alive[i])
		return;
	peer_init(&guests[i], &cluster.rigs[i], 1);
	name++;
	memcpy(guests[i].who.hello.session, &name, sizeof(name));
	ck_assert_int_eq(peer_knock(&guests[i]), 0);
	crews[i].open = true;
}

/* ---- puts ---- */

static void name_key(uint32_t number, char key[16])
{
	(void)snprintf(key, 16, "key-%06u", number);
}

static bool is_fine(int32_t status)
{
	return status == 0 || status == CONCLAVE_ENOLEADER ||
	       status == CONCLAVE_EQUOTA || status == CONCLAVE_EREMOVED;
}

static void work(uint32_t i)
{
	struct crew *crew = &crews[i];
	uint32_t slot;
	char key[16];

	for (slot = 0; crew->open && slot < PUT_SLOTS; slot++) {
		uint32_t number = crew->puts[slot];

		if (number && is_posted(&guests[i], slot)) {
			int32_t status = status_of(&guests[i], slot);

			ck_assert_msg(is_fine(status), "seed %lu: status %d",
				      seed_now, status);
			acked[number - 1] = status == 0;
			crew->puts[slot] = 0;
		}
		if (crew->puts[slot] || put_count == PUTS_MAX || draw(4))
			continue;
		name_key(put_count, key);
		peer_put_size(&guests[i], slot, key, 10 + draw(3000));
		crew->puts[slot] = ++put_count;
	}
}

/* ---- changes ---- */

/* A member to be added, or the id of none. */
static uint64_t draw_fresh(void)
{
	uint32_t i = FOUNDERS + draw(cluster.count - FOUNDERS);

	if (!cluster.alive[i] && !added[i]) {
		added[i] = true;
		cluster_start_one(&cluster, i);
	}
	return i + 1;
}

static void ask(uint32_t i)
{
	struct cv_request head = {.type = CV_MEMBER, .slot = CHANGE_SLOT};
	uint64_t by = 1 + draw(cluster.count);
	char address[32] = "";

	head.limit = 1 + draw(5);
	head.argument = 1 + draw(cluster.count);
	if (head.limit == CV_MEMBER_ADD)
		head.argument = draw_fresh();
	if (head.limit == CV_MEMBER_ADD || head.limit == CV_MEMBER_UPDATE)
		(void)snprintf(address, sizeof(address), "host-%u:%u",
			       draw(100), 1 + draw(1000));
	if (head.limit == CV_MEMBER_REPLACE)
		head.value_size = sizeof(by);
	/* Some remain. */
	if (head.limit == CV_MEMBER_REMOVE && draw(2))
		return;
	head.key_size = (uint32_t)strlen(address);
	head.sequence = ++guests[i].sequence;
	head.settled = guests[i].settled;
	(void)peer_write(&guests[i], head, address, &by);
	crews[i].change = head;
}

static void change(uint32_t i)
{
	struct crew *crew = &crews[i];
	int32_t status;

	if (!crew->open)
		return;
	if (crew->change.argument) {
		if (!is_posted(&guests[i], CHANGE_SLOT))
			return;
		status = status_of(&guests[i], CHANGE_SLOT);
		ck_assert_msg(is_fine(status) || status == CONCLAVE_EMEMBERSHIP,
			      "seed %lu: status %d", seed_now, status);
		if (!status && (crew->change.limit == CV_MEMBER_REMOVE ||
				crew->change.limit == CV_MEMBER_REPLACE))
			removed[crew->change.argument - 1] = true;
		crew->change.argument = 0;
	}
	if (!draw(12))
		ask(i);
}

/* ---- weather ---- */

static void hand_over(uint32_t from, uint32_t to)
{
	int code;

	if (!cluster.alive[from])
		return;
	code = raft_transfer(cluster.rigs[from].node->raft, to + 1);
	(void)code; /* it may lead no more, or not yet */
}

static void fault(void)
{
	uint32_t a = draw(cluster.count), b = draw(cluster.count);

	switch (draw(8)) {
	case 0:
		if (cluster.alive[a])
			sink(a);
		break;
	case 1:
	case 2:
		if (!cluster.alive[a] && !is_gone(a) &&
		    (a < FOUNDERS || added[a]))
			cluster_start_one(&cluster, a);
		break;
	case 3:
		if (a != b)
			cluster_cut(&cluster, a, b, true);
		break;
	case 4:
		if (a != b)
			cluster_cut(&cluster, a, b, false);
		break;
	case 5:
		cluster_isolate(&cluster, a, draw(4) == 0);
		break;
	case 6:
		cluster.piece_max = draw(2) ? 1 + draw(5000) : UINT32_MAX;
		break;
	default:
		hand_over(a, b);
		break;
	}
}

static void step(void)
{
	uint32_t i, turns = 1 + draw(60);

	if (!draw(3))
		fault();
	for (i = 0; i < cluster.count; i++) {
		if (cluster.alive[i] && node_is_removed(cluster.rigs[i].node))
			sink(i);
		board(i);
		work(i);
		change(i);
	}
	while (turns--)
		(void)cluster_turn(&cluster,
				   draw(4) ? RIG_STEP_NS : RIG_TICK_NS / 3);
}

/* ---- the end ---- */

static void heal(void)
{
	uint32_t i, k;

	cluster.piece_max = UINT32_MAX;
	for (i = 0; i < cluster.count; i++)
		for (k = 0; k < i; k++)
			cluster_cut(&cluster, i, k, false);
	for (i = 0; i < cluster.count; i++)
		if (!cluster.alive[i] && !is_gone(i) &&
		    (i < FOUNDERS || added[i]))
			cluster_start_one(&cluster, i);
}

/* Who leads, or cluster.count. */
static uint32_t who_leads(void)
{
	int at = cluster_leader(&cluster);

	return at < 0 || is_gone((uint32_t)at) ? cluster.count : (uint32_t)at;
}

/* All members have what the leader has, and nothing is under way. */
static bool is_calm(void)
{
	uint32_t at = who_leads(), i;
	struct raft_conf_state conf, its;

	if (at == cluster.count)
		return false;
	conf = conf_of(at);
	if (conf.outgoing_count)
		return false;
	for (i = 0; i < cluster.count; i++) {
		if (!peer_in_conf(&conf, i + 1))
			continue;
		if (!cluster.alive[i] || !is_even(at, i))
			return false;
		its = conf_of(i);
		if (memcmp(&conf, &its, sizeof(conf)) != 0)
			return false;
	}
	return true;
}

static void show_ids(const char *name, const uint64_t *ids, uint8_t count)
{
	uint8_t i;

	printf(" %s", name);
	for (i = 0; i < count; i++)
		printf(" %lu", ids[i]);
}

/* For a person: where everybody stands. */
static void show(void)
{
	uint32_t i;

	for (i = 0; i < cluster.count; i++) {
		const struct cv_status *status = &cluster.rigs[i].status;
		struct raft_conf_state conf;

		printf("member %u:%s%s", i + 1, removed[i] ? " removed" : "",
		       added[i] ? " added" : "");
		if (!cluster.alive[i]) {
			printf(" away\n");
			continue;
		}
		conf = conf_of(i);
		printf("%s role %lu leader %lu term %lu commit %lu applied "
		       "%lu",
		       node_is_removed(cluster.rigs[i].node) ? " knows it" : "",
		       status->role, status->leader, status->term,
		       status->commit, status->applied);
		show_ids("voters", conf.voters, conf.voter_count);
		show_ids("outgoing", conf.outgoing, conf.outgoing_count);
		show_ids("learners", conf.learners, conf.learner_count);
		printf("\n");
	}
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

static void check_one(uint32_t i, const struct store_hash *wanted)
{
	struct store *store = cluster.rigs[i].node->store;
	struct store_hash hash;
	uint32_t k;

	store_hash(store, &hash);
	ck_assert_msg(hash.low == wanted->low && hash.high == wanted->high,
		      "seed %lu: member %u differs", seed_now, i + 1);
	for (k = 0; k < put_count; k++) {
		uint64_t version = version_of(store, k);

		ck_assert_msg(version == 1 || (!version && !acked[k]),
			      "seed %lu: put %u has version %lu", seed_now, k,
			      version);
	}
}

static void check(void)
{
	struct raft_conf_state conf;
	struct store_hash hash;
	uint32_t at, i, ticks, members = 0;

	for (ticks = 0; ticks < 3000 && !is_calm(); ticks++)
		cluster_pass(&cluster, RIG_TICK_NS);
	if (!is_calm())
		show();
	ck_assert_msg(is_calm(), "seed %lu: it never comes to rest", seed_now);
	/* A moment later it still is. */
	cluster_pass(&cluster, 30 * RIG_TICK_NS);
	ck_assert_msg(is_calm(), "seed %lu: it was not at rest", seed_now);
	at = who_leads();
	conf = conf_of(at);
	store_hash(cluster.rigs[at].node->store, &hash);
	for (i = 0; i < cluster.count; i++) {
		if (!peer_in_conf(&conf, i + 1))
			continue;
		members++;
		ck_assert_msg(!removed[i], "seed %lu: member %u was removed",
			      seed_now, i + 1);
		check_one(i, &hash);
	}
	if (getenv("STORM_SEED"))
		printf("seed %lu: %u puts, %u voters of %u members, term "
		       "%lu\n",
		       seed_now, put_count, conf.voter_count, members,
		       cluster.rigs[at].status.term);
}

static void storm(uint64_t seed)
{
	uint32_t i;

	seed_now = seed;
	put_count = 0;
	memset(crews, 0, sizeof(crews));
	memset(acked, 0, sizeof(acked));
	memset(added, 0, sizeof(added));
	memset(removed, 0, sizeof(removed));
	cluster_init_some(&cluster, FOUNDERS, 7);
	cluster.random = seed * 7919;
	cluster.heedless = true;
	for (i = 0; i < cluster.count; i++)
		if (seed % 2)
			cluster.rigs[i].wal_options.snapshot_after = 100000;
	for (i = 0; i < FOUNDERS; i++)
		cluster_start_one(&cluster, i);
	for (i = 0; i < STEPS; i++)
		step();
	heal();
	check();
	for (i = 0; i < cluster.count; i++)
		if (crews[i].open)
			peer_unmap(&guests[i]);
	cluster_release(&cluster);
}

START_TEST(what_was_acknowledged_is_with_all_who_are_members)
{
	const char *seed = getenv("STORM_SEED"), *count = getenv("STORM_COUNT");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
	uint64_t i, last = first + (count ? strtoull(count, NULL, 10) : 8);

	for (i = first; i < last; i++)
		storm(i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_member_storm");
	TCase *tests = tcase_create("storms");

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests,
		       what_was_acknowledged_is_with_all_who_are_members);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
