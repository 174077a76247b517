/*
 * The store against a model that is too simple to be wrong: every key has the
 * list of all that ever happened to it, every session the list of all its
 * results. Two stores apply the same entries, one in slices of one unit, and
 * must not differ in anything that can be seen.
 *
 * CONCLAVE_SEED chooses another history; a failure prints the seed.
 */
#include "tests/unit/support_store.h"

enum {
	MODEL_KEYS = 300,
	MODEL_EVENTS = 400,
	MODEL_SESSIONS = 6,
	MODEL_SEQUENCES = 20000,
	MODEL_STEPS = 4000,
	MODEL_ROOM = 1 << 20,
};

struct event {
	uint64_t revision;
	uint64_t create;
	uint64_t version; /* 0: deleted */
	uint32_t seed; /* of the value */
	uint32_t size;
};

struct model_key {
	uint8_t bytes[300];
	uint32_t size;
	uint32_t count;
	struct event events[MODEL_EVENTS];
};

struct model_session {
	bool live;
	uint64_t epoch;
	uint64_t next;
	uint64_t settled_below;
	bool known[MODEL_SEQUENCES];
	struct store_result results[MODEL_SEQUENCES];
};

struct model {
	uint64_t random;
	uint64_t seed;
	uint64_t revision;
	uint64_t compacted;
	struct model_key keys[MODEL_KEYS]; /* in order */
	struct model_session sessions[MODEL_SESSIONS + 1];
};

static struct model model;
static struct rig rigs[2]; /* the second has a budget of one */
static uint8_t value_bytes[1 << 17], expected[MODEL_ROOM], got[MODEL_ROOM];

static uint64_t roll(void)
{
	model.random ^= model.random << 13;
	model.random ^= model.random >> 7;
	model.random ^= model.random << 17;
	return model.random;
}

static uint32_t below(uint32_t limit)
{
	return (uint32_t)(roll() >> 20) % limit;
}

static void fill_value(uint32_t seed, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < size; i++) {
		seed = seed * 1664525 + 1013904223;
		value_bytes[i] = (uint8_t)(seed >> 24);
	}
}

static int compare_keys(const void *a, const void *b)
{
	const struct model_key *x = a, *y = b;
	uint32_t size = x->size < y->size ? x->size : y->size;
	int order = memcmp(x->bytes, y->bytes, size);

	return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

/* Keys with long common beginnings, and zeros at their ends. */
static void make_keys(void)
{
	static const char *const prefixes[] = {"",
					       "a",
					       "/registry/pods/namespace/",
					       "/registry/pods/",
					       "\0\0\0\0\0\0\0\0",
					       "key"};
	static const uint32_t sizes[] = {0, 1, 25, 15, 8, 3};
	uint32_t i, j, kind;

	for (i = 0; i < MODEL_KEYS; i++) {
		struct model_key *key = &model.keys[i];

		kind = below(6);
		memcpy(key->bytes, prefixes[kind], sizes[kind]);
		key->size = sizes[kind] + 1 + below(i % 50 == 0 ? 200 : 9);
		for (j = sizes[kind]; j < key->size; j++)
			key->bytes[j] = (uint8_t)(below(3) * 77);
	}
	qsort(model.keys, MODEL_KEYS, sizeof(model.keys[0]), compare_keys);
	/* Twins get an end that tells them apart. */
	for (i = 1; i < MODEL_KEYS; i++)
		if (compare_keys(&model.keys[i - 1], &model.keys[i]) >= 0) {
			model.keys[i] = model.keys[i - 1];
			model.keys[i].bytes[model.keys[i].size++] = 1;
			qsort(model.keys, MODEL_KEYS, sizeof(model.keys[0]),
			      compare_keys);
			i = 0;
		}
}

/* The last event of a key at or before a revision, if it shows the key. */
static const struct event *seen(const struct model_key *key, uint64_t revision)
{
	const struct event *event = NULL;
	uint32_t i;

	for (i = 0; i < key->count && key->events[i].revision <= revision; i++)
		event = &key->events[i];
	return event != NULL && event->version != 0 ? event : NULL;
}

static void remember(struct model_key *key, struct event event)
{
	if (key->count == MODEL_EVENTS) {
		/* What compaction forgot may be forgotten here. */
		uint32_t drop = 0;

		while (key->events[drop + 1].revision <= model.compacted)
			drop++;
		ck_assert_uint_gt(drop, 0);
		memmove(key->events, key->events + drop,
			(key->count - drop) * sizeof(event));
		key->count -= drop;
	}
	key->events[key->count++] = event;
}

static void model_put(const struct ask *ask, struct model_key *key,
		      uint32_t seed, struct store_result *result)
{
	const struct event *old = seen(key, UINT64_MAX);

	if (ask->type == OP_CAS &&
	    ask->argument != (old == NULL ? 0 : old->revision)) {
		result->status = CONCLAVE_ECOMPARE;
		result->aux = old == NULL ? 0 : old->revision;
		return;
	}
	model.revision++;
	remember(key,
		 (struct event){
			 .revision = model.revision,
			 .create = old == NULL ? model.revision : old->create,
			 .version = old == NULL ? 1 : old->version + 1,
			 .seed = seed,
			 .size = ask->value_size,
		 });
	result->revision = model.revision;
	if (ask->type == OP_CAS)
		result->flags = CONCLAVE_RESULT_SUCCEEDED;
}

/* The keys from `first` up to, not with, `last`. */
static void model_delete(uint32_t first, uint32_t last,
			 struct store_result *result)
{
	uint32_t i;

	for (i = first; i < last; i++) {
		if (seen(&model.keys[i], UINT64_MAX) == NULL)
			continue;
		remember(&model.keys[i],
			 (struct event){.revision = model.revision + 1});
		result->aux++;
	}
	if (result->aux > 0)
		model.revision++;
	result->revision = model.revision;
}

static void model_compact(uint64_t revision, struct store_result *result)
{
	if (revision <= model.compacted)
		result->status = CONCLAVE_ECOMPACTED;
	else if (revision > model.revision)
		result->status = CONCLAVE_EFUTURE;
	else
		model.compacted = revision;
}

/* What is asked for, and what the model says to it. */
struct trial {
	struct ask ask;
	struct store_result result;
	uint8_t value[1 << 14];
};

static void choose_write(struct trial *trial)
{
	struct ask *ask = &trial->ask;
	struct model_key *key = &model.keys[below(MODEL_KEYS)];
	uint32_t seed = below(1 << 30);
	const struct event *old = seen(key, UINT64_MAX);

	ask->type = below(4) == 0 ? OP_CAS : OP_PUT;
	ask->key = key->bytes;
	ask->key_size = key->size;
	ask->value_size = below(100) == 0 ? below(1 << 14) : below(300);
	ask->argument = below(3) == 0 ? below(50)
			: old == NULL ? 0
				      : old->revision;
	fill_value(seed, ask->value_size);
	memcpy(trial->value, value_bytes, ask->value_size);
	ask->value = trial->value;
	model_put(ask, key, seed, &trial->result);
}

static void choose_delete(struct trial *trial)
{
	static const uint8_t zero;
	struct ask *ask = &trial->ask;
	uint32_t first = below(MODEL_KEYS), last = first + 1;

	ask->type = OP_DELETE;
	ask->key = model.keys[first].bytes;
	ask->key_size = model.keys[first].size;
	if (below(2) == 0) {
		last = first + below(below(8) == 0 ? MODEL_KEYS : 12);
		if (last >= MODEL_KEYS) {
			last = MODEL_KEYS;
			ask->value = &zero;
			ask->value_size = 1;
		} else {
			ask->value = model.keys[last].bytes;
			ask->value_size = model.keys[last].size;
		}
	}
	/* An end of one zero byte means all. */
	if (ask->value_size == 1 && *(const uint8_t *)ask->value == 0)
		last = MODEL_KEYS;
	model_delete(first, last, &trial->result);
}

static void choose(struct trial *trial)
{
	uint32_t what = below(100);

	trial->result = (struct store_result){.revision = model.revision};
	if (what < 75) {
		choose_write(trial);
	} else if (what < 97) {
		choose_delete(trial);
	} else {
		trial->ask.type = OP_COMPACT;
		trial->ask.argument = model.revision > 100 && below(10) != 0
					      ? model.revision - below(100)
					      : model.revision + below(3);
		model_compact(trial->ask.argument, &trial->result);
	}
}

/* Who asks: a new sequence, in any order, or one that was asked before. */
static void choose_session(struct trial *trial)
{
	uint8_t id = (uint8_t)(1 + below(MODEL_SESSIONS));
	struct model_session *session = &model.sessions[id];
	struct ask *ask = &trial->ask;

	ask->session = id;
	ask->uid = id;
	ask->epoch = 1;
	ask->born = UINT64_MAX;
	ask->flags = session->next < 10 ? OP_BEGIN : 0;
	if (session->next == 0)
		session->next = 1;
	if (session->settled_below == 0)
		session->settled_below = 1;
	while (below(4) == 0 && session->settled_below < session->next &&
	       session->next > 10)
		session->settled_below +=
			below((uint32_t)(session->next -
					 session->settled_below)) +
			1;
	ask->settled_below = session->settled_below;
	ask->sequence = session->next + below(3);
	session->next = ask->sequence + 1;
	ck_assert_uint_lt(session->next, MODEL_SEQUENCES);
}

static bool choose_repeat(struct trial *trial)
{
	struct model_session *session = &model.sessions[trial->ask.session];
	uint64_t sequence;

	if (session->next < 20 || below(20) != 0)
		return false;
	sequence = 1 + below((uint32_t)session->next - 1);
	trial->ask.sequence = sequence;
	trial->ask.settled_below = session->settled_below;
	if (sequence < session->settled_below) {
		trial->result.status = CONCLAVE_ESETTLED;
		return true;
	}
	if (!session->known[sequence])
		return false;
	trial->result = session->results[sequence];
	trial->result.flags |= CONCLAVE_RESULT_REPEATED;
	return true;
}

static void make_trial(struct trial *trial)
{
	static const char junk[] = "junk";
	struct model_session *session;

	memset(&trial->ask, 0, sizeof(trial->ask));
	memset(&trial->result, 0, sizeof(trial->result));
	choose_session(trial);
	session = &model.sessions[trial->ask.session];
	trial->result.revision = model.revision;
	if (choose_repeat(trial)) {
		/* It must not matter what it says the second time. */
		trial->ask.type = OP_PUT;
		trial->ask.key = junk;
		trial->ask.key_size = 4;
		return;
	}
	choose(trial);
	session->known[trial->ask.sequence] = true;
	session->results[trial->ask.sequence] = trial->result;
}

static uint32_t expect_range(uint32_t first, uint32_t last, uint64_t revision,
			     uint32_t limit, uint64_t *ret_count)
{
	uint32_t used = 0, i;

	*ret_count = 0;
	for (i = first; i < last; i++) {
		const struct model_key *key = &model.keys[i];
		const struct event *event = seen(key, revision);
		struct cv_record record = {.key_size = key->size};

		if (event == NULL)
			continue;
		if ((limit != 0 && *ret_count == limit) ||
		    ((used + sizeof(record) + key->size + event->size + 7) &
		     ~7u) > MODEL_ROOM)
			break;
		record.value_size = event->size;
		record.create_revision = event->create;
		record.mod_revision = event->revision;
		record.version = event->version;
		memcpy(expected + used, &record, sizeof(record));
		used += (uint32_t)sizeof(record);
		memcpy(expected + used, key->bytes, key->size);
		used += key->size;
		fill_value(event->seed, event->size);
		memcpy(expected + used, value_bytes, event->size);
		used += event->size;
		while (used % 8 != 0)
			expected[used++] = 0;
		(*ret_count)++;
	}
	return used;
}

/* The same read of a store, in slices; it must be what was expected. */
static void compare_read(struct store *store, struct store_read read,
			 uint32_t used, uint64_t count)
{
	int more;

	do
		more = store_read(store, &read, 1 + below(40));
	while (more == 1);
	ck_assert_int_eq(more, 0);
	ck_assert_uint_eq(read.count, count);
	ck_assert_uint_eq(read.used, used);
	ck_assert_mem_eq(got, expected, used);
}

/* A revision that can be read. */
static uint64_t some_revision(void)
{
	uint64_t revision = model.revision;

	if (below(2) == 0 && model.revision > model.compacted)
		revision =
			model.compacted +
			below((uint32_t)(model.revision - model.compacted) + 1);
	return revision == 0 ? 1 : revision;
}

static void compare_reads(void)
{
	static const uint8_t zero;
	uint32_t first = below(MODEL_KEYS), last = first + below(60), used, i;
	struct store_read read = {
		.key = model.keys[first].bytes,
		.key_size = model.keys[first].size,
		.end = &zero,
		.end_size = 1,
		.revision = some_revision(),
		.limit = below(3) == 0 ? 1 + below(10) : 0,
		.out = got,
		.room = MODEL_ROOM,
	};
	uint64_t count;

	if (last < MODEL_KEYS && below(10) != 0) {
		read.end = model.keys[last].bytes;
		read.end_size = model.keys[last].size;
	}
	/* An end of one zero byte means all. */
	if (read.end_size == 1 && read.end[0] == 0)
		last = MODEL_KEYS;
	used = expect_range(first, last, read.revision, read.limit, &count);
	for (i = 0; i < 2; i++)
		compare_read(rigs[i].store, read, used, count);
}

static void compare_outcomes(void)
{
	uint8_t id[16] = {(uint8_t)(1 + below(MODEL_SESSIONS))};
	const struct model_session *session = &model.sessions[id[0]];
	uint64_t sequence = 1 + below((uint32_t)session->next + 2);
	struct store_result result;
	int found;

	if (session->next == 0)
		return;
	found = store_outcome(rigs[0].store, id, sequence, &result);
	if (sequence < session->settled_below)
		return; /* the store may not have heard of it yet */
	ck_assert_int_eq(found, session->known[sequence]);
	if (found != 1)
		return;
	ck_assert_int_eq(result.status, session->results[sequence].status);
	ck_assert_uint_eq(result.aux, session->results[sequence].aux);
	ck_assert_uint_eq(result.revision, session->results[sequence].revision);
}

static void compare_result(const struct store_result *is,
			   const struct store_result *should)
{
	ck_assert_int_eq(is->status, should->status);
	ck_assert_uint_eq(is->revision, should->revision);
	ck_assert_uint_eq(is->aux, should->aux);
	ck_assert_uint_eq(is->flags, should->flags);
}

static void compare_results(const struct trial *trials, uint32_t count)
{
	uint32_t i, j;

	for (i = 0; i < 2; i++) {
		ck_assert_uint_eq(rigs[i].result_count, count);
		for (j = 0; j < count; j++)
			compare_result(&rigs[i].results[j], &trials[j].result);
	}
}

/* Images of both are the same bytes; one of them goes on from its image. */
static void compare_images(void)
{
	uint32_t sizes[2];
	uint8_t *images[2];
	struct rig loaded;

	images[0] = rig_image(&rigs[0], 100000, &sizes[0]);
	images[1] = rig_image(&rigs[1], 1, &sizes[1]);
	ck_assert_uint_eq(sizes[0], sizes[1]);
	ck_assert_mem_eq(images[0], images[1], sizes[0]);
	free(images[1]);
	ck_assert_int_eq(rig_load(&loaded, images[0], sizes[0], 777), 0);
	loaded.budget = rigs[1].budget;
	rig_check(&loaded);
	rig_expect_same(&loaded, &rigs[0]);
	images[1] = rig_image(&loaded, 50, &sizes[1]);
	ck_assert_uint_eq(sizes[0], sizes[1]);
	ck_assert_mem_eq(images[0], images[1], sizes[0]);
	free(images[0]);
	free(images[1]);
	rig_release(&rigs[1]);
	rigs[1] = loaded;
}

static void run_step(uint32_t step)
{
	static struct trial trials[8];
	uint32_t count = 1 + below(8), i, j;

	for (j = 0; j < count; j++)
		make_trial(&trials[j]);
	for (i = 0; i < 2; i++) {
		for (j = 0; j < count; j++)
			rig_add(&rigs[i], &trials[j].ask);
		rig_apply(&rigs[i]);
		rig_sweep(&rigs[i], i == 0 ? 10000 : below(100));
	}
	compare_results(trials, count);
	compare_reads();
	compare_outcomes();
	rig_expect_same(&rigs[0], &rigs[1]);
	if (step % 16 == 0) {
		rig_check(&rigs[0]);
		rig_check(&rigs[1]);
	}
	if (step % 256 == 255)
		compare_images();
}

START_TEST(agrees_with_a_model)
{
	const char *seed = getenv("CONCLAVE_SEED");
	uint32_t step;

	memset(&model, 0, sizeof(model));
	model.seed = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)_i + 1;
	model.random = model.seed * 0x9e3779b97f4a7c15ull;
	model.revision = 1;
	make_keys();
	rig_init(&rigs[0], &rig_settings);
	rig_init(&rigs[1], &rig_settings);
	rigs[1].budget = 1;
	fprintf(stderr, "CONCLAVE_SEED=%llu\n", (unsigned long long)model.seed);
	for (step = 0; step < MODEL_STEPS; step++)
		run_step(step);
	rig_release(&rigs[0]);
	rig_release(&rigs[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_model");
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, agrees_with_a_model, 0, 4);
	suite_add_tcase(suite, tcase);
	return rig_run(suite);
}
