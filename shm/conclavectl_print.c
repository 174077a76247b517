/*
 * How results look. simple: keys and values as they are, a line each. json:
 * one object on one line, keys and values in base64, as etcdctl does it.
 * fields: one `"Name" : value` a line.
 */
#include "shm/conclavectl.h"

#include <inttypes.h>
#include <stdio.h>

static void print_hex(const uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		printf("\\x%02x", bytes[i]);
}

void ctl_print_bytes(const struct ctl *ctl, const uint8_t *bytes, size_t size)
{
	if (ctl->options->hex)
		print_hex(bytes, size);
	else if (size != 0)
		fwrite(bytes, 1, size, stdout);
}

void ctl_print_json_bytes(const uint8_t *bytes, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	uint32_t group, left;
	size_t i;

	putchar('"');
	for (i = 0; i < size; i += 3) {
		left = size - i < 3 ? (uint32_t)(size - i) : 3;
		group = (uint32_t)bytes[i] << 16;
		if (left > 1)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (left > 2)
			group |= bytes[i + 2];
		putchar(digits[group >> 18]);
		putchar(digits[group >> 12 & 63]);
		putchar(left > 1 ? digits[group >> 6 & 63] : '=');
		putchar(left > 2 ? digits[group & 63] : '=');
	}
	putchar('"');
}

/* Text that is known to be text, such as the name of a setting. */
void ctl_print_json_text(const uint8_t *bytes, size_t size)
{
	size_t i;

	putchar('"');
	for (i = 0; i < size; i++) {
		if (bytes[i] == '"' || bytes[i] == '\\')
			printf("\\%c", bytes[i]);
		else if (bytes[i] < 0x20 || bytes[i] >= 0x7f)
			printf("\\u%04x", bytes[i]);
		else
			putchar(bytes[i]);
	}
	putchar('"');
}

void ctl_print_quoted(const uint8_t *bytes, size_t size)
{
	size_t i;

	putchar('"');
	for (i = 0; i < size; i++) {
		if (bytes[i] == '"' || bytes[i] == '\\')
			printf("\\%c", bytes[i]);
		else if (bytes[i] == '\n')
			printf("\\n");
		else if (bytes[i] < 0x20 || bytes[i] >= 0x7f)
			print_hex(&bytes[i], 1);
		else
			putchar(bytes[i]);
	}
	putchar('"');
}

static void print_cluster(const uint8_t id[16])
{
	uint32_t i;

	for (i = 0; i < 16; i++)
		printf("%02x", id[i]);
}

void ctl_print_header(const struct ctl *ctl, uint64_t revision)
{
	struct cv_status status;

	if (ctl->options->format == CTL_SIMPLE)
		return;
	memset(&status, 0, sizeof(status));
	/* A daemon that is gone by now has no id to show. */
	if (conclave_status(ctl->conclave, &status) != 0)
		memset(&status, 0, sizeof(status));
	if (ctl->options->format == CTL_JSON) {
		printf("{\"header\":{\"cluster_id\":\"");
		print_cluster(status.cluster);
		printf("\",\"member_id\":%" PRIu64 ",\"revision\":%" PRIu64
		       ",\"raft_term\":%" PRIu64 "}",
		       status.member, revision, status.term);
		return;
	}
	printf("\"ClusterID\" : \"");
	print_cluster(status.cluster);
	printf("\"\n\"MemberID\" : %" PRIu64 "\n\"Revision\" : %" PRIu64
	       "\n\"RaftTerm\" : %" PRIu64 "\n",
	       status.member, revision, status.term);
}

static void print_kv_simple(const struct ctl *ctl, const struct conclave_kv *kv)
{
	const struct ctl_options *o = ctl->options;

	if (!o->values_only) {
		ctl_print_bytes(ctl, kv->key, kv->key_size);
		putchar('\n');
	}
	if (!o->keys_only) {
		ctl_print_bytes(ctl, kv->value, kv->value_size);
		putchar('\n');
	}
}

static void print_kv_json(const struct conclave_kv *kv, bool values)
{
	printf("{\"key\":");
	ctl_print_json_bytes(kv->key, kv->key_size);
	printf(",\"create_revision\":%" PRIu64 ",\"mod_revision\":%" PRIu64
	       ",\"version\":%" PRIu64,
	       kv->create_revision, kv->mod_revision, kv->version);
	if (kv->lease != 0)
		printf(",\"lease\":%" PRIu64, kv->lease);
	if (values) {
		printf(",\"value\":");
		ctl_print_json_bytes(kv->value, kv->value_size);
	}
	putchar('}');
}

static void print_kv_fields(const struct ctl *ctl, const struct conclave_kv *kv)
{
	printf("\"Key\" : ");
	ctl_print_quoted(kv->key, kv->key_size);
	printf("\n\"CreateRevision\" : %" PRIu64 "\n\"ModRevision\" : %" PRIu64
	       "\n\"Version\" : %" PRIu64 "\n",
	       kv->create_revision, kv->mod_revision, kv->version);
	if (!ctl->options->keys_only) {
		printf("\"Value\" : ");
		ctl_print_quoted(kv->value, kv->value_size);
		putchar('\n');
	}
	printf("\"Lease\" : %" PRIu64 "\n", kv->lease);
}

void ctl_print_kv(const struct ctl *ctl, const struct conclave_kv *kv,
		  bool first)
{
	switch (ctl->options->format) {
	case CTL_JSON:
		if (!first)
			putchar(',');
		print_kv_json(kv, !ctl->options->keys_only);
		break;
	case CTL_FIELDS:
		print_kv_fields(ctl, kv);
		break;
	case CTL_SIMPLE:
	default:
		print_kv_simple(ctl, kv);
		break;
	}
}

void ctl_print_number(const struct ctl *ctl, const char *name, uint64_t value)
{
	switch (ctl->options->format) {
	case CTL_JSON:
		printf(",\"%s\":%" PRIu64, name, value);
		break;
	case CTL_FIELDS:
		printf("\"%s\" : %" PRIu64 "\n", name, value);
		break;
	case CTL_SIMPLE:
	default:
		printf("%-14s %" PRIu64 "\n", name, value);
		break;
	}
}
