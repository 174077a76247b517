/*
 * conclavectl's writing commands: put, del, cas, compact. A value of `-` is
 * read from standard input, byte for byte, up to what a request may carry.
 */
#include "shm/conclavectl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct value {
	const void *bytes;
	size_t size;
	void *owned; /* to be freed, or NULL */
};

/* 0, or an exit status behind a message. */
static int value_of(const char *word, struct value *ret_value)
{
	size_t room = CV_REQUEST_MAX + 1, size = 0, got;
	uint8_t *bytes;

	if (strcmp(word, "-") != 0) {
		ret_value->bytes = word;
		ret_value->size = strlen(word);
		ret_value->owned = NULL;
		return 0;
	}
	bytes = malloc(room);
	if (bytes == NULL) {
		fprintf(stderr, "conclavectl: out of memory\n");
		return CTL_USAGE;
	}
	do {
		got = fread(bytes + size, 1, room - size, stdin);
		size += got;
	} while (got != 0 && size < room);
	if (ferror(stdin) != 0) {
		fprintf(stderr, "conclavectl: standard input cannot be read\n");
		free(bytes);
		return CTL_USAGE;
	}
	ret_value->bytes = bytes;
	ret_value->size = size;
	ret_value->owned = bytes;
	return 0;
}

/* 0, or an exit status behind a message. */
static int check_key(const char *key)
{
	size_t size = strlen(key);

	if (size != 0 && size <= CV_KEY_MAX)
		return 0;
	fprintf(stderr, "conclavectl: %s\n",
		size == 0 ? "the key is empty"
			  : "a key has at most 4096 bytes");
	return CTL_USAGE;
}

/* Header, what is told, and the end. */
static void print_told(const struct ctl *ctl, uint64_t revision,
		       const char *simple, const char *json, const char *fields)
{
	ctl_print_header(ctl, revision);
	if (ctl->options->format == CTL_JSON)
		printf("%s}\n", json);
	else if (ctl->options->format == CTL_FIELDS)
		printf("%s", fields);
	else
		printf("%s\n", simple);
}

int ctl_put(struct ctl *ctl)
{
	const char *key = ctl->options->arguments[0];
	uint64_t revision = 0;
	struct value value;
	int status;

	status = check_key(key);
	if (status == 0)
		status = value_of(ctl->options->arguments[1], &value);
	if (status != 0)
		return status;
	status = conclave_put(ctl->conclave, key, strlen(key), value.bytes,
			      value.size, &revision);
	free(value.owned);
	if (status != 0)
		return ctl_fail(ctl, "put", status);
	print_told(ctl, revision, "OK", "", "");
	return CTL_OK;
}

int ctl_del(struct ctl *ctl)
{
	static struct ctl_range selected;
	const struct ctl_options *o = ctl->options;
	char simple[32], json[64], fields[64];
	uint64_t count = 0;
	int status;

	status = ctl_range_of(o, o->arguments[0],
			      o->argument_count > 1 ? o->arguments[1] : NULL,
			      &selected);
	if (status != 0)
		return status;
	status = conclave_delete_range(ctl->conclave, selected.key,
				       selected.key_size, selected.end,
				       selected.end_size, &count);
	if (status != 0)
		return ctl_fail(ctl, "del", status);
	snprintf(simple, sizeof(simple), "%" PRIu64, count);
	snprintf(json, sizeof(json), ",\"deleted\":%" PRIu64, count);
	snprintf(fields, sizeof(fields), "\"Deleted\" : %" PRIu64 "\n", count);
	print_told(ctl, conclave_revision(ctl->conclave), simple, json, fields);
	return CTL_OK;
}

int ctl_cas(struct ctl *ctl)
{
	const struct ctl_options *o = ctl->options;
	const char *key = o->arguments[0];
	char simple[32];
	uint64_t revision;
	struct value value;
	int status;

	if (ctl_number(o->arguments[1], &revision) != 0) {
		fprintf(stderr, "conclavectl: REVISION is a number, not '%s'\n",
			o->arguments[1]);
		return CTL_USAGE;
	}
	status = check_key(key);
	if (status == 0)
		status = value_of(o->arguments[2], &value);
	if (status != 0)
		return status;
	status = conclave_cas(ctl->conclave, key, strlen(key), value.bytes,
			      value.size, &revision);
	free(value.owned);
	if (status != 0 && status != CONCLAVE_ECOMPARE)
		return ctl_fail(ctl, "cas", status);
	snprintf(simple, sizeof(simple), "%" PRIu64, revision);
	if (status == 0) {
		print_told(ctl, revision, simple, ",\"succeeded\":true",
			   "\"Succeeded\" : true\n");
		return CTL_OK;
	}
	if (o->format != CTL_SIMPLE)
		print_told(ctl, conclave_revision(ctl->conclave), "",
			   ",\"succeeded\":false", "\"Succeeded\" : false\n");
	fprintf(stderr,
		"conclavectl: cas: the key was last changed at revision "
		"%" PRIu64 "\n",
		revision);
	return CTL_NOT_FOUND;
}

int ctl_compact(struct ctl *ctl)
{
	const char *word = ctl->options->arguments[0];
	char simple[64];
	uint64_t revision;
	int status;

	if (ctl_number(word, &revision) != 0) {
		fprintf(stderr, "conclavectl: REVISION is a number, not '%s'\n",
			word);
		return CTL_USAGE;
	}
	status = conclave_compact(ctl->conclave, revision);
	if (status != 0)
		return ctl_fail(ctl, "compact", status);
	snprintf(simple, sizeof(simple), "compacted revision %" PRIu64,
		 revision);
	print_told(ctl, conclave_revision(ctl->conclave), simple, "", "");
	return CTL_OK;
}
