/*
 * Real input: the machine's own package database, key
 * dpkg/<package>/<field>, loaded by four processes at once.
 *
 * A package that stands there for several architectures has its stanzas in
 * one process, so that the last one wins in the order of the file.
 */
#define _GNU_SOURCE
#include "tests/demo/demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/conclave.h"

enum {
	KEY_ROOM = 512,
	PREFIX_SIZE = 5,
};

struct field {
	char *key;
	const char *value;
	uint32_t value_size;
	uint32_t worker;
	bool last; /* no later one has the same key */
};

struct dpkg {
	char *text;
	struct field *fields; /* in the order of the file */
	struct field **sorted; /* the last of each key, by key */
	uint64_t count;
	uint64_t distinct;
	uint64_t room;
};

static int slurp(const char *path, char **ret_text)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	if (!file)
		return -errno;
	if (getdelim(&text, &room, '\0', file) < 0) {
		(void)fclose(file);
		free(text);
		return -EIO;
	}
	(void)fclose(file);
	*ret_text = text;
	return 0;
}

static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261u;

	while (*text)
		h = (h ^ (uint8_t)*text++) * 16777619u;
	return h;
}

static int add_field(struct dpkg *dpkg, const char *package, const char *name,
		     size_t name_size, const char *value)
{
	struct field *field;
	char key[KEY_ROOM];

	if (dpkg->count == dpkg->room) {
		uint64_t room = dpkg->room ? 2 * dpkg->room : 1024;
		struct field *more =
			realloc(dpkg->fields, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		dpkg->fields = more;
		dpkg->room = room;
	}
	field = &dpkg->fields[dpkg->count];
	(void)snprintf(key, sizeof(key), "dpkg/%s/%.*s", package,
		       (int)name_size, name);
	field->key = strdup(key);
	if (!field->key)
		return -ENOMEM;
	field->value = value;
	field->worker = hash(package) % DEMO_LOADERS;
	field->last = false;
	dpkg->count++;
	return 0;
}

static void end_value(struct dpkg *dpkg, const char *end)
{
	struct field *field = &dpkg->fields[dpkg->count - 1];

	field->value_size = (uint32_t)(end - field->value);
}

static const char *skip_space(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* One line of a stanza; a line that starts with a blank goes on with the
 * value before it. */
static int parse_line(struct dpkg *dpkg, char *package, const char *line,
		      const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	int code;

	if (line == end) {
		package[0] = 0;
		return 0;
	}
	if (*line == ' ' || *line == '\t' || !colon) {
		if (dpkg->count && package[0])
			end_value(dpkg, end);
		return 0;
	}
	if (!strncmp(line, "Package:", 8))
		(void)snprintf(package, KEY_ROOM / 2, "%.*s",
			       (int)(end - skip_space(colon + 1)),
			       skip_space(colon + 1));
	if (!package[0])
		return 0;
	code = add_field(dpkg, package, line, (size_t)(colon - line),
			 skip_space(colon + 1));
	if (!code)
		end_value(dpkg, end);
	return code;
}

static int by_key(const void *a, const void *b)
{
	const struct field *x = *(const struct field *const *)a;
	const struct field *y = *(const struct field *const *)b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x > y) - (x < y);
}

static int sort_fields(struct dpkg *dpkg)
{
	uint64_t i;

	dpkg->sorted = malloc((dpkg->count + 1) * sizeof(*dpkg->sorted));
	if (!dpkg->sorted)
		return -ENOMEM;
	for (i = 0; i < dpkg->count; i++)
		dpkg->sorted[i] = &dpkg->fields[i];
	qsort(dpkg->sorted, dpkg->count, sizeof(*dpkg->sorted), by_key);
	for (i = 0; i < dpkg->count; i++)
		if (i + 1 == dpkg->count ||
		    strcmp(dpkg->sorted[i]->key, dpkg->sorted[i + 1]->key))
			dpkg->sorted[dpkg->distinct++] = dpkg->sorted[i];
	return dpkg->count ? 0 : -ENODATA;
}

int dpkg_read(struct dpkg **ret_dpkg)
{
	struct dpkg *dpkg = calloc(1, sizeof(*dpkg));
	char package[KEY_ROOM / 2] = "";
	const char *line, *end;
	int code;

	if (!dpkg)
		return -ENOMEM;
	code = slurp("/var/lib/dpkg/status", &dpkg->text);
	for (line = dpkg->text; !code && *line; line = end + (*end == '\n')) {
		end = strchrnul(line, '\n');
		code = parse_line(dpkg, package, line, end);
	}
	if (!code)
		code = sort_fields(dpkg);
	if (code) {
		dpkg_free(dpkg);
		return code;
	}
	*ret_dpkg = dpkg;
	return 0;
}

void dpkg_free(struct dpkg *dpkg)
{
	uint64_t i;

	if (!dpkg)
		return;
	for (i = 0; i < dpkg->count; i++)
		free(dpkg->fields[i].key);
	free(dpkg->fields);
	free(dpkg->sorted);
	free(dpkg->text);
	free(dpkg);
}

uint64_t dpkg_fields(const struct dpkg *dpkg)
{
	return dpkg->count;
}

static int take_result(struct conclave *client, struct conclave_req *req,
		       struct demo_tally *tally)
{
	struct conclave_result result;
	uint64_t asked_ns = conclave_req_user_data(req);
	int code = conclave_finish(client, req, &result);

	if (code)
		return code;
	if (result.status)
		return result.status;
	demo_note_latency(tally, demo_now_ns() - asked_ns);
	__atomic_store_n(&tally->done, tally->done + 1, __ATOMIC_RELAXED);
	return 0;
}

/* The next free request, after what is complete was taken in. */
static int next_request(struct conclave *client, struct demo_tally *tally,
			struct conclave_req **ret_req)
{
	struct conclave_req *done;
	int code = 0;

	while (!code && (done = conclave_next(client)))
		code = take_result(client, done, tally);
	*ret_req = code ? NULL : conclave_get_req(client);
	if (code || *ret_req)
		return code;
	code = conclave_wait_any(client, -1, &done);
	if (!code)
		code = take_result(client, done, tally);
	*ret_req = code ? NULL : conclave_get_req(client);
	return code;
}

static int put_field(struct conclave *client, const struct field *field,
		     struct demo_tally *tally)
{
	struct conclave_req *req, *done;
	int code = next_request(client, tally, &req);

	if (code)
		return code;
	conclave_prep_put(req, field->key, strlen(field->key), field->value,
			  field->value_size);
	conclave_req_set_user_data(req, demo_now_ns());
	while ((code = conclave_submit(client, req)) == -EAGAIN) {
		code = conclave_wait_any(client, -1, &done);
		if (!code)
			code = take_result(client, done, tally);
		if (code)
			return code;
	}
	return code;
}

static int finish_all(struct conclave *client, struct demo_tally *tally)
{
	struct conclave_req *done;
	int code;

	while (!(code = conclave_wait_any(client, -1, &done))) {
		code = take_result(client, done, tally);
		if (code)
			return code;
	}
	return code == -ENOENT ? 0 : code;
}

static int load_worker(struct demo *demo, uint32_t worker, void *context)
{
	struct demo_tally *tally = &demo->tallies[worker];
	struct dpkg *dpkg = context;
	struct conclave *client;
	uint64_t i;
	int code = demo_open(demo, &client);

	if (code)
		return code;
	for (i = 0; i < dpkg->count && !code; i++)
		if (dpkg->fields[i].worker == worker)
			code = put_field(client, &dpkg->fields[i], tally);
	if (!code)
		code = finish_all(client, tally);
	conclave_close(client);
	return code;
}

int dpkg_load(struct demo *demo, struct dpkg *dpkg, double *ret_seconds)
{
	struct demo_job job = {
		.title = "loading the package database",
		.work = load_worker,
		.context = dpkg,
		.count = DEMO_LOADERS,
		.goal = dpkg->count,
	};

	return demo_run(demo, &job, ret_seconds);
}

static bool same(const struct field *field, const struct conclave_kv *kv)
{
	return strlen(field->key) == kv->key_size &&
	       !memcmp(field->key, kv->key, kv->key_size) &&
	       field->value_size == kv->value_size &&
	       !memcmp(field->value, kv->value, kv->value_size);
}

static int64_t compare_pages(struct conclave_pages *pages,
			     const struct dpkg *dpkg)
{
	struct conclave_kv kv;
	uint64_t at = 0;
	int code;

	while ((code = conclave_range_next(pages, &kv)) == 1) {
		if (at == dpkg->distinct || !same(dpkg->sorted[at], &kv))
			return -EBADMSG;
		at++;
	}
	if (code)
		return code;
	return at == dpkg->distinct ? (int64_t)at : -ENODATA;
}

int64_t dpkg_compare(struct demo *demo, struct dpkg *dpkg)
{
	uint8_t end[PREFIX_SIZE];
	struct conclave_range range = {
		.key = "dpkg/", .key_size = PREFIX_SIZE, .end = end};
	static struct conclave_pages pages; /* 4 KiB: not for the stack */
	struct conclave *client;
	int64_t compared;
	int code = demo_open(demo, &client);

	if (code)
		return code;
	range.end_size = conclave_prefix_end("dpkg/", PREFIX_SIZE, end);
	code = conclave_range_begin(client, &range, &pages);
	compared = code;
	if (!code) {
		compared = compare_pages(&pages, dpkg);
		conclave_range_end(&pages);
	}
	conclave_close(client);
	return compared;
}
