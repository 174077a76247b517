/*
 * Whole lives of a log against a model of it, from a seed: appends, conflicts
 * that overwrite the tail, snapshots of one's own and received ones, segments
 * that are used again, crashes that tear what was in flight, bits that rot
 * meanwhile and entries that come back from a leader then, and reading back at
 * any time. The model is an array of terms.
 *
 * WAL_SEED=n replays one life.
 */
#include "tests/unit/support_disk.h"
#include "tests/unit/support_wal.h"

enum {
	INDEXES = 4096,
	STEPS = 600,
	SEEDS_EACH = 50,
	TICKETS = 3,
	SECTOR = 512,
};

/* What the log holds: the term of each entry, 0: none that it must know. */
struct history {
	uint64_t terms[INDEXES];
	uint64_t last;
};

struct reading {
	int ticket; /* -1: none */
	uint64_t index;
	bool excused; /* what it reads was overwritten or covered since */
};

struct life {
	struct rig rig;
	uint64_t seed;
	uint64_t random;
	struct history durable;
	struct history next; /* when what is in flight is durable too */
	uint64_t flight; /* the number of what is in flight, 0: nothing */
	uint64_t flight_term;
	uint64_t term;
	uint64_t vote_term; /* of the newest durable hard state */

	uint64_t snapshot; /* named */
	uint64_t begun; /* being written, 0: none */
	uint64_t begun_term;
	uint32_t left; /* of its image */
	uint64_t acked; /* while entries come back: what it once had; else 0 */

	struct reading readings[TICKETS];
	uint32_t conflicts, replaced, torn, fetched, restarts;
	uint32_t damaged, stale;
};

static uint64_t below(struct life *life, uint64_t limit)
{
	uint64_t z;

	life->random += 0x9e3779b97f4a7c15u;
	z = life->random;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % limit;
}

#define check(life, condition)                                      \
	ck_assert_msg(condition, "seed %llu: %s, where: %s",        \
		      (unsigned long long)(life)->seed, #condition, \
		      (life)->rig.report.where)

/* An entry's size follows from who it is. */
static uint32_t size_of(uint64_t index, uint64_t term)
{
	uint64_t mix = (index * 2654435761u) ^ (term * 40503u);

	if (mix % 11 == 0)
		return (uint32_t)(mix % 30000);
	return (uint32_t)(mix % 400);
}

static void image_of(uint64_t index, uint8_t *bytes, uint32_t size)
{
	memset(bytes, (int)(index * 7 + 1), size);
}

static uint32_t image_size(uint64_t index)
{
	return (uint32_t)(index * 977 % 9000);
}

/* ---- the log as it must be ---- */

static bool differs(const struct history *history, uint64_t index,
		    uint64_t term)
{
	return index > history->last || history->terms[index] != term;
}

/* A snapshot at (index, term) was named. */
static void name(struct life *life)
{
	struct history *history = &life->durable;

	if (differs(history, life->begun, life->begun_term)) {
		memset(history->terms, 0, sizeof(history->terms));
		history->last = life->begun;
		life->next = *history;
		life->replaced++;
	}
	history->terms[life->begun] = life->begun_term;
	life->next.terms[life->begun] = life->begun_term;
	life->snapshot = life->begun;
	life->begun = 0;
}

/* Every entry that is read back must be the one that counts. */
static void check_bytes(struct life *life, const uint8_t *bytes, uint32_t size,
			uint64_t first, uint64_t last)
{
	struct entry_header header;
	struct raft_entry entry;
	uint32_t at = 0;

	for (; at < size; at += entry_size(header.size), first++) {
		check(life, entry_check(bytes + at, size - at, &header) == 0);
		check(life, header.index == first);
		check(life, header.term == life->durable.terms[first]);
		check(life, header.size == size_of(first, header.term));
		entry.index = header.index;
		entry.term = header.term;
		entry.kind = header.kind;
		entry.size = header.size;
		entry.data = bytes + at;
		rig_check(&entry, first, header.term);
	}
	check(life, first == last + 1);
}

/* ---- what a life does ---- */

static void submit(struct life *life, uint64_t first, uint32_t count)
{
	struct raft_hard_state hard = {.term = life->term, .vote = 1};
	struct wal_buffer *buffer = NULL;
	struct rig *rig = &life->rig;
	struct history *next = &life->next;
	uint64_t index;
	uint32_t i;

	/* A reading may have come further than the entry that it wanted. */
	for (i = 0; i < TICKETS && count && first <= next->last; i++)
		life->readings[i].excused = true;
	rig->next_index = first;
	rig->term = life->term;
	if (count > 0) {
		buffer = wal_buffer_open(rig->wal, 60000);
		check(life, buffer != NULL);
	}
	for (index = next->last; count > 0 && index >= first; index--)
		next->terms[index] = 0;
	for (i = 0; i < count; i++) {
		uint32_t size = size_of(first + i, life->term);

		if (buffer->used + entry_size(size) > buffer->room)
			break;
		rig_build(rig, buffer, size);
		next->terms[first + i] = life->term;
		next->last = first + i;
	}
	check(life, wal_append(rig->wal, buffer, &hard, count ? first : 0,
			       count ? next->last : 0, ++rig->number) == 0);
	if (buffer)
		wal_buffer_release(rig->wal, buffer);
	life->flight = rig->number;
	life->flight_term = life->term;
}

static void append(struct life *life)
{
	uint64_t first = life->next.last + 1;
	uint32_t count = (uint32_t)below(life, 5);
	uint64_t fixed = life->snapshot;

	if (!wal_can_append(life->rig.wal) || first + count >= INDEXES)
		return;
	if (below(life, 6) == 0)
		life->term++;
	/* What a snapshot was cut from is never overwritten. */
	if (life->begun && !differs(&life->next, life->begun, life->begun_term))
		fixed = life->begun;
	if (below(life, 4) == 0 && count > 0 && first > fixed + 1) {
		first -= below(life, first - fixed - 1) % 12 + 1;
		life->term++; /* only another leader has another entry */
		life->conflicts++;
	}
	submit(life, first, count);
}

static void begin_snapshot(struct life *life)
{
	struct history *now = &life->durable;
	bool received = below(life, 3) == 0;

	if (wal_snapshot_active(life->rig.wal) || life->begun)
		return;
	if (received) {
		life->begun = life->snapshot + 1 + below(life, 30);
		life->begun_term = life->term + below(life, 2);
		if (life->begun <= now->last && below(life, 2))
			life->begun_term = now->terms[life->begun];
	} else {
		if (now->last == life->snapshot ||
		    life->next.last <= life->snapshot)
			return;
		life->begun = life->snapshot + 1 +
			      below(life, now->last - life->snapshot);
		/* What was applied is never overwritten. */
		if (life->flight &&
		    life->next.terms[life->begun] != now->terms[life->begun]) {
			life->begun = 0;
			return;
		}
		life->begun_term = now->terms[life->begun];
	}
	if (life->begun >= INDEXES - 100 ||
	    wal_snapshot_begin(life->rig.wal, life->begun, life->begun_term,
			       "head", 4) < 0) {
		life->begun = 0;
		return;
	}
	if (life->begun_term > life->term)
		life->term = life->begun_term;
	life->left = image_size(life->begun);
}

static void feed(struct life *life)
{
	uint8_t *room;
	uint32_t size;

	if (!life->begun)
		return;
	room = wal_snapshot_room(life->rig.wal, &size);
	if (!room)
		return;
	if (size > life->left)
		size = life->left;
	image_of(life->begun, room, size);
	wal_snapshot_put(life->rig.wal, size);
	life->left -= size;
	if (life->left == 0)
		wal_snapshot_end(life->rig.wal);
}

static void turn(struct life *life)
{
	struct rig *rig = &life->rig;
	struct wal_done done;
	uint32_t i;
	int r;

	feed(life);
	while ((r = wal_reap(rig->wal, &done)) > 0) {
		check(life, done.number == life->flight);
		life->durable = life->next;
		life->vote_term = life->flight_term;
		life->flight = 0;
	}
	check(life, r == 0);
	wal_work(rig->wal);
	if (!life->begun || wal_snapshot_index(rig->wal) != life->begun)
		return;
	for (i = 0; i < TICKETS; i++)
		life->readings[i].excused = true;
	name(life);
}

/* ---- reading back ---- */

static void start_reading(struct life *life)
{
	struct reading *reading = &life->readings[below(life, TICKETS)];
	uint64_t last = life->durable.last;

	if (reading->ticket >= 0)
		return;
	reading->index = 1 + below(life, life->next.last + 3);
	reading->excused = false;
	reading->ticket = wal_fetch_entries(life->rig.wal, reading->index);
	if (reading->ticket == -EAGAIN) {
		check(life, life->flight);
		reading->excused = true;
	}
	if (reading->ticket == -ENOENT)
		check(life, reading->index > last ||
				    reading->index <= life->snapshot ||
				    reading->index > life->next.last);
	if (reading->ticket < 0)
		reading->ticket = -1;
}

static void end_reading(struct life *life, struct reading *reading)
{
	struct wal_fetched fetched;
	int r;

	if (reading->ticket < 0)
		return;
	r = wal_fetched(life->rig.wal, reading->ticket, &fetched);
	if (r == -EINPROGRESS)
		return;
	if (r == 0) {
		check(life, fetched.first_index == reading->index);
		check(life, fetched.last_index <= life->next.last);
		check_bytes(life, fetched.bytes, fetched.size,
			    fetched.first_index, fetched.last_index);
		life->fetched++;
	} else {
		check(life, r == -ENOENT);
		check(life,
		      reading->excused || reading->index <= life->snapshot);
	}
	wal_fetch_end(life->rig.wal, reading->ticket);
	reading->ticket = -1;
}

static void read_snapshot(struct life *life)
{
	struct rig *rig = &life->rig;
	uint64_t index = life->snapshot;
	uint32_t size = image_size(index);
	struct wal_fetched fetched;
	uint8_t expected[9000];
	int ticket;
	int r;

	if (index == 0 || size == 0)
		return;
	ticket = wal_fetch_chunk(rig->wal, index, 0);
	if (ticket == -EAGAIN)
		return;
	check(life, ticket >= 0);
	while ((r = wal_fetched(rig->wal, ticket, &fetched)) == -EINPROGRESS)
		turn(life);
	check(life, r == 0);
	image_of(index, expected, size);
	check(life, fetched.size == size && fetched.last_chunk);
	check(life, memcmp(fetched.bytes, expected, size) == 0);
	wal_fetch_end(rig->wal, ticket);
}

/* ---- crashes ---- */

/* What is in flight lands: all, nothing, or (power) some sectors of it. */
static void land(struct life *life, const struct disk_op *op, bool power)
{
	struct disk *disk = life->rig.disk;
	uint8_t *to = disk->files[disk->open[op->file]].data + op->offset;
	uint64_t size = disk->files[disk->open[op->file]].size;
	uint64_t how = below(life, 3);
	uint32_t at;

	if (op->offset + op->size > size)
		return; /* a file that grows: nobody counts on it yet */
	for (at = 0; at < op->size; at += SECTOR) {
		if (how == 0 || (how == 1 && power && below(life, 2)))
			memcpy(to + at, (uint8_t *)op->buffer + at, SECTOR);
	}
}

static void crash_disk(struct life *life, bool power)
{
	const struct disk_op *op;

	for (op = life->rig.disk->first; op; op = op->next) {
		if (op->kind == DISK_WRITE || op->kind == DISK_WRITE_DURABLE)
			land(life, op, power);
	}
	mem_disk_crash(life->rig.disk);
	if (power)
		mem_disk_reboot(life->rig.disk);
}

/* The recovered log is one of the two that it may be; takes it over. */
static void adopt(struct life *life, const struct history *found)
{
	const struct history *now = &life->durable;
	uint64_t index;
	bool is_next = life->flight && found->last == life->next.last;

	for (index = life->snapshot + 1; is_next && index <= found->last;
	     index++)
		is_next = found->terms[index] == life->next.terms[index];
	if (is_next)
		now = &life->next;
	check(life, found->last == now->last || found->last == life->snapshot);
	check(life, found->last >= now->last);
	for (index = life->snapshot + 1; index <= found->last; index++)
		check(life, found->terms[index] == now->terms[index]);
	life->durable = *now;
	life->durable.last = found->last;
	life->next = life->durable;
	life->flight = 0;
}

/* ---- damage ---- */

static void recover(struct life *life);

/* A bit changes somewhere in a segment. */
static void rot(struct life *life)
{
	struct mem_file *file;
	int tries;

	for (tries = 0; tries < 50; tries++) {
		file = &life->rig.disk->files[below(life, MEM_FILES_MAX)];
		if (strncmp(file->name, "segment-", 8) != 0 || !file->size)
			continue;
		file->data[below(life, file->size)] ^=
			(uint8_t)(1u << below(life, 8));
		return;
	}
}

/* Turns until no record is in flight; false: the process died instead. */
static bool mend_wait(struct life *life)
{
	struct wal_done done;
	int r;

	do {
		while ((r = wal_reap(life->rig.wal, &done)) > 0)
			;
		check(life, r == 0);
		wal_work(life->rig.wal);
		life->rig.disk->history_count = 0;
		if (below(life, 60) == 0) {
			crash_disk(life, below(life, 2));
			rig_drop(&life->rig);
			recover(life);
			return false;
		}
	} while (!wal_can_append(life->rig.wal));
	return true;
}

/* The leader sends what it has from `first` on. Returns the last one sent. */
static uint64_t mend_send(struct life *life, uint64_t first)
{
	const struct history *leader = &life->durable;
	struct raft_hard_state hard = {.term = life->term};
	struct wal_buffer *buffer = wal_buffer_open(life->rig.wal, 60000);
	uint64_t last = first + below(life, 6);
	struct rig *rig = &life->rig;
	uint64_t index;

	check(life, buffer != NULL);
	if (last > leader->last)
		last = leader->last;
	rig->next_index = first;
	for (index = first; index <= last; index++) {
		uint32_t size = size_of(index, leader->terms[index]);

		if (buffer->used + entry_size(size) > buffer->room)
			break;
		rig->term = leader->terms[index];
		rig_build(rig, buffer, size);
	}
	check(life, wal_append(rig->wal, buffer, &hard, first, index - 1,
			       ++rig->number) == 0);
	wal_buffer_release(rig->wal, buffer);
	return index - 1;
}

/*
 * What is missing comes back from a leader, who has all that was acknowledged
 * and begins where its log and the one that was found differ, as Raft does.
 */
static void mend(struct life *life, const struct history *found)
{
	struct history *leader = &life->durable;
	uint64_t good = life->snapshot;
	struct wal_damage damage;
	bool healed = false;

	check(life, wal_damaged(life->rig.wal, &damage));
	/* No later than what it may have had. */
	if (life->acked == 0) {
		uint64_t term = leader->terms[leader->last];

		check(life,
		      damage.term > term || (damage.term == term &&
					     damage.last >= leader->last));
		life->acked = leader->last;
	}
	life->damaged++;
	while (good < found->last && good < leader->last &&
	       found->terms[good + 1] == leader->terms[good + 1])
		good++;
	life->stale += good < found->last && good < leader->last;
	if (life->term < life->rig.report.hard.term)
		life->term = life->rig.report.hard.term;
	/* At last the leader's first entry of a term that nobody had yet. */
	life->term++;
	leader->terms[++leader->last] = life->term;
	life->next = *leader;
	life->flight = 0;
	life->vote_term = 0;
	wal_repair(life->rig.wal);
	if (!mend_wait(life))
		return;
	for (;;) {
		if (!healed && !wal_damaged(life->rig.wal, &damage)) {
			check(life, good >= life->acked);
			healed = true;
		}
		if (good == leader->last)
			break;
		good = mend_send(life, good + 1);
		if (!mend_wait(life))
			return;
		if (life->acked < good)
			life->acked = good;
	}
	check(life, healed);
	life->acked = 0;
	life->vote_term = life->term;
}

/* ---- starting again ---- */

/* Collects what is replayed. */
static struct history *replay(struct life *life)
{
	struct history *found = calloc(1, sizeof(*found));
	struct raft_entry entry;
	int r;

	assert(found);
	found->last = life->snapshot;
	while ((r = wal_replay_next(life->rig.wal, &entry)) > 0) {
		check(life, entry.index == ++found->last);
		check(life, entry.size == size_of(entry.index, entry.term));
		rig_check(&entry, entry.index, entry.term);
		found->terms[entry.index] = entry.term;
	}
	check(life, r == 0);
	check(life, found->last == life->rig.report.last_index);
	return found;
}

/* It died while entries came back, but has all that it once had. */
static void settle_for(struct life *life, const struct history *found)
{
	struct history *leader = &life->durable;
	uint64_t index;

	check(life, found->last >= life->acked && found->last <= leader->last);
	for (index = found->last + 1; index <= leader->last; index++)
		leader->terms[index] = 0;
	leader->last = found->last;
	life->acked = 0;
}

static void recover(struct life *life)
{
	struct rig *rig = &life->rig;
	const struct wal_report *report = &rig->report;
	struct history *found;
	int r;

	r = rig_open(rig);
	check(life, r == 0);
	life->torn += report->torn;
	if (life->begun && report->snapshot_index == life->begun)
		name(life);
	life->begun = 0;
	check(life, report->snapshot_index == life->snapshot);
	check(life, report->hard.commit >= life->snapshot);
	check(life, report->hard.term >= life->vote_term);
	found = replay(life);
	if (!report->damaged && life->acked > 0)
		settle_for(life, found);
	if (report->damaged)
		mend(life, found);
	else
		adopt(life, found);
	free(found);
}

static void restart(struct life *life)
{
	bool power = below(life, 2);
	int i;

	crash_disk(life, power);
	/* A bad last record after power was lost is taken for torn. */
	if (!power && below(life, 2))
		rot(life);
	rig_drop(&life->rig);
	for (i = 0; i < TICKETS; i++)
		life->readings[i].ticket = -1;
	recover(life);
	life->restarts++;
}

/* ---- lives ---- */

static void step(struct life *life)
{
	struct wal_stats stats;
	uint64_t dice = below(life, 100);

	life->rig.disk->history_count = 0;
	wal_stats(life->rig.wal, &stats);
	if (stats.segments > 20 || dice < 4)
		begin_snapshot(life);
	else if (dice < 6)
		restart(life);
	else if (dice < 10)
		read_snapshot(life);
	else if (dice < 30)
		start_reading(life);
	else if (dice < 45)
		end_reading(life, &life->readings[below(life, TICKETS)]);
	else if (dice < 75 && stats.segments <= 24)
		append(life);
	else
		turn(life);
}

static void live(uint64_t seed, struct life *life)
{
	int i;

	memset(life, 0, sizeof(*life));
	life->seed = seed;
	life->random = seed * 1000003;
	life->term = 1;
	for (i = 0; i < TICKETS; i++)
		life->readings[i].ticket = -1;
	rig_init(&life->rig, mem_disk_new());
	life->rig.options.fetches = TICKETS + 1;
	life->rig.options.seed = seed;
	life->rig.options.tolerate_damage = true;
	ck_assert_int_eq(rig_open(&life->rig), 0);
	ck_assert_int_eq(rig_settle(&life->rig), 0);
	life->rig.disk->shuffle = seed * 2 + 1;
	for (i = 0; i < STEPS; i++)
		step(life);
	restart(life);
	rig_drop(&life->rig);
	mem_disk_free(life->rig.disk);
}

START_TEST(recovery_replay_and_reading_back_agree_with_a_model)
{
	const char *only = getenv("WAL_SEED");
	struct life *life = malloc(sizeof(*life));
	uint32_t conflicts = 0;
	uint32_t replaced = 0;
	uint32_t fetched = 0;
	uint32_t damaged = 0;
	uint32_t torn = 0;
	uint64_t seed = (uint64_t)_i * SEEDS_EACH;
	uint64_t end = seed + SEEDS_EACH;

	assert(life);
	if (only) {
		seed = strtoull(only, NULL, 0);
		end = seed + 1;
	}
	for (; seed < end; seed++) {
		live(seed, life);
		conflicts += life->conflicts;
		replaced += life->replaced;
		fetched += life->fetched;
		torn += life->torn;
		damaged += life->damaged;
	}
	free(life);
	if (only)
		return;
	ck_assert_uint_gt(conflicts, 100);
	ck_assert_uint_gt(replaced, 5);
	ck_assert_uint_gt(fetched, 200);
	ck_assert_uint_gt(torn, 0);
	ck_assert_uint_gt(damaged, 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memwal_model");
	TCase *tests = tcase_create("model");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 300);
	tcase_add_loop_test(tests,
			    recovery_replay_and_reading_back_agree_with_a_model,
			    0, getenv("WAL_SEED") ? 1 : 16);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
