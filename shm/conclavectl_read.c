/*
 * conclavectl's reading commands: get, range, settings.
 */
#include "shm/conclavectl.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- what is selected ---- */

static int complain(const char *text)
{
	fprintf(stderr, "conclavectl: %s\n", text);
	return CTL_USAGE;
}

int ctl_range_of(const struct ctl_options *options, const char *key,
		 const char *end, struct ctl_range *ret_range)
{
	struct ctl_range *r = ret_range;
	size_t size = strlen(key);

	if (size > CV_KEY_MAX || (end != NULL && strlen(end) > CV_KEY_MAX))
		return complain("a key has at most 4096 bytes");
	if (end != NULL && (options->prefix || options->from_key))
		return complain("END and --prefix or --from-key exclude each "
				"other");
	if (size == 0 && !options->prefix && !options->from_key)
		return complain("the key is empty; all keys: --prefix ''");
	memcpy(r->key, key, size);
	r->key_size = size;
	r->end_size = 0;
	r->end[0] = 0;
	if (size == 0) {
		r->key[0] = 0; /* the least key there can be */
		r->key_size = 1;
		r->end_size = 1;
	} else if (options->prefix) {
		r->end_size = conclave_prefix_end(key, size, r->end);
	} else if (options->from_key) {
		r->end_size = 1;
	} else if (end != NULL) {
		r->end_size = strlen(end);
		memcpy(r->end, end, r->end_size);
		if (r->end_size == 0)
			return complain("END is empty; from KEY on: "
					"--from-key");
	}
	return 0;
}

static uint32_t read_flags(const struct ctl_options *o)
{
	uint32_t set = 0;

	if (o->count_only)
		set |= CV_COUNT_ONLY;
	if (o->keys_only)
		set |= CV_KEYS_ONLY;
	if (o->serializable)
		set |= CV_SERIALIZABLE;
	return set;
}

/* ---- get and range ---- */

static struct conclave_pages pages;

/* How many there are in all, where a limit cut the walk. */
static int count_all(struct ctl *ctl, struct conclave_range range,
		     uint64_t *ret_count)
{
	int status;

	range.flags |= CV_COUNT_ONLY;
	range.revision = pages.range.revision;
	range.limit = 0;
	conclave_range_end(&pages);
	status = conclave_range_begin(ctl->conclave, &range, &pages);
	if (status != 0)
		return status;
	*ret_count = pages.count;
	conclave_range_end(&pages);
	return 0;
}

static int print_end(struct ctl *ctl, const struct conclave_range *range,
		     uint64_t seen)
{
	uint64_t count = ctl->options->count_only ? pages.count : seen;
	bool more = pages.more != 0;
	int status = 0;

	if (more && ctl->options->format != CTL_SIMPLE)
		status = count_all(ctl, *range, &count);
	if (status != 0)
		return ctl_fail(ctl, "count", status);
	if (ctl->options->format == CTL_JSON)
		printf("],\"count\":%" PRIu64 "%s}\n", count,
		       more ? ",\"more\":true" : "");
	else if (ctl->options->format == CTL_FIELDS)
		printf("\"More\" : %s\n\"Count\" : %" PRIu64 "\n",
		       more ? "true" : "false", count);
	else if (ctl->options->count_only)
		printf("%" PRIu64 "\n", count);
	return count != 0 || ctl->options->count_only ? CTL_OK : CTL_NOT_FOUND;
}

static int walk(struct ctl *ctl, const struct conclave_range *range)
{
	struct conclave_kv kv;
	uint64_t seen = 0;
	int status;

	status = conclave_range_begin(ctl->conclave, range, &pages);
	if (status != 0)
		return ctl_fail(ctl, ctl->options->command, status);
	ctl_print_header(ctl, pages.range.revision);
	if (ctl->options->format == CTL_JSON)
		printf(",\"kvs\":[");
	while ((status = conclave_range_next(&pages, &kv)) == 1) {
		ctl_print_kv(ctl, &kv, seen == 0);
		seen++;
	}
	if (status == 0)
		status = print_end(ctl, range, seen);
	else
		status = ctl_fail(ctl, ctl->options->command, status);
	conclave_range_end(&pages);
	return status;
}

static int get(struct ctl *ctl, const char *key, const char *end)
{
	static struct ctl_range selected;
	const struct ctl_options *o = ctl->options;
	struct conclave_range range;
	int status;

	status = ctl_range_of(o, key, end, &selected);
	if (status != 0)
		return status;
	memset(&range, 0, sizeof(range));
	range.key = selected.key;
	range.key_size = selected.key_size;
	range.end = selected.end;
	range.end_size = selected.end_size;
	range.revision = o->revision;
	range.limit = o->limit;
	range.flags = read_flags(o);
	range.page_size = CTL_PAGE_SIZE;
	return walk(ctl, &range);
}

int ctl_get(struct ctl *ctl)
{
	const struct ctl_options *o = ctl->options;

	return get(ctl, o->arguments[0],
		   o->argument_count > 1 ? o->arguments[1] : NULL);
}

int ctl_range(struct ctl *ctl)
{
	struct ctl_options all = *ctl->options;
	struct ctl copy = *ctl;

	if (all.argument_count == 1)
		return complain("range takes KEY and END, or neither");
	if (all.argument_count == 2)
		return get(ctl, all.arguments[0], all.arguments[1]);
	all.prefix = true;
	copy.options = &all;
	return get(&copy, "", NULL);
}

/* ---- settings ---- */

static void print_setting(const struct ctl *ctl, const struct conclave_kv *kv,
			  bool first)
{
	if (ctl->options->format == CTL_JSON) {
		printf("%s", first ? "" : ",");
		ctl_print_json_text(kv->key, kv->key_size);
		putchar(':');
		ctl_print_json_text(kv->value, kv->value_size);
	} else if (ctl->options->format == CTL_FIELDS) {
		ctl_print_quoted(kv->key, kv->key_size);
		printf(" : ");
		ctl_print_quoted(kv->value, kv->value_size);
		putchar('\n');
	} else {
		ctl_print_bytes(ctl, kv->key, kv->key_size);
		printf(" = ");
		ctl_print_bytes(ctl, kv->value, kv->value_size);
		putchar('\n');
	}
}

static int fail_to_set(const struct ctl *ctl, int code)
{
	const char *const *words = ctl->options->arguments;

	if (code == CONCLAVE_ENOTFOUND) {
		fprintf(stderr,
			"conclavectl: there is no setting '%s'; see "
			"'conclavectl settings'\n",
			words[0]);
		return CTL_NOT_FOUND;
	}
	if (code == CONCLAVE_EBADREQ) {
		fprintf(stderr,
			"conclavectl: %s cannot be '%s': that is no number, "
			"too small or large, or it cannot be set; see "
			"conclavectl(1)\n",
			words[0], words[1]);
		return CTL_NOT_APPLIED;
	}
	return ctl_fail(ctl, words[0], code);
}

/* All settings, or the one that is named; how many were shown. */
static int show_settings(struct ctl *ctl, const char *name)
{
	struct conclave_kv kv;
	uint32_t shown = 0;
	int status;

	ctl_print_header(ctl, pages.range.revision);
	if (ctl->options->format == CTL_JSON)
		printf(",\"settings\":{");
	while ((status = conclave_range_next(&pages, &kv)) == 1) {
		if (name != NULL && (strlen(name) != kv.key_size ||
				     memcmp(name, kv.key, kv.key_size) != 0))
			continue;
		print_setting(ctl, &kv, shown == 0);
		shown++;
	}
	if (ctl->options->format == CTL_JSON)
		printf("}}\n");
	if (status != 0)
		return ctl_fail(ctl, "settings", status);
	if (shown == 0 && name != NULL)
		return fail_to_set(ctl, CONCLAVE_ENOTFOUND);
	return CTL_OK;
}

int ctl_settings(struct ctl *ctl)
{
	const struct ctl_options *o = ctl->options;
	const char *name = o->argument_count > 0 ? o->arguments[0] : NULL;
	struct conclave_range range;
	int status;

	if (o->argument_count == 2) {
		status = conclave_setting(ctl->conclave, name, o->arguments[1]);
		if (status != 0)
			return fail_to_set(ctl, status);
	}
	memset(&range, 0, sizeof(range));
	range.key = "";
	range.key_size = 1; /* all, from one zero byte on */
	range.end = "";
	range.end_size = 1;
	range.flags = CV_SYSTEM;
	status = conclave_range_begin(ctl->conclave, &range, &pages);
	if (status != 0)
		return ctl_fail(ctl, "settings", status);
	status = show_settings(ctl, name);
	conclave_range_end(&pages);
	return status;
}
