/*
 * The proof: everything is read back on every member, with linearizable
 * reads, and compared with what the clients were told.
 */
#define _GNU_SOURCE
#include "tests/demo/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm/conclave.h"

enum {
	KEY_ROOM = 64,
	DEADLINE_MS = 60000,
};

/* What one member has, against what all clients were told. */
struct finding {
	uint64_t there;
	uint64_t missing; /* acknowledged and not there */
	uint64_t contradicted; /* settled one way, found the other */
	uint64_t strange; /* there, and never asked for */
	uint64_t inexact; /* counters */
	uint64_t increments;
};

static bool is_write(const struct conclave_kv *kv, uint32_t writer,
		     uint64_t number)
{
	char key[KEY_ROOM];
	size_t size = cluster_key(writer, number, key);

	return kv->key_size == size && !memcmp(kv->key, key, size) &&
	       kv->value_size == sizeof(number) &&
	       !memcmp(kv->value, &number, sizeof(number)) &&
	       kv->version == 1; /* put once */
}

static void judge(struct finding *finding, uint8_t fate, bool there)
{
	finding->there += there;
	finding->missing += fate == FATE_ACKNOWLEDGED && !there;
	finding->contradicted += (fate == FATE_SETTLED_APPLIED && !there) ||
				 (fate == FATE_SETTLED_NOT && there);
	finding->strange += fate == FATE_NONE && there;
}

static int look_up(struct cluster_demo *demo, struct conclave *client,
		   uint32_t writer, struct finding *finding)
{
	static struct conclave_pages pages; /* 4 KiB: not for the stack */
	char key[KEY_ROOM];
	uint8_t end[KEY_ROOM];
	struct conclave_range range = {.key = key, .end = end};
	struct conclave_kv kv;
	uint32_t i;
	int more;

	range.key_size = (size_t)snprintf(key, sizeof(key), "load/%u/", writer);
	range.end_size = conclave_prefix_end(key, range.key_size, end);
	more = conclave_range_begin(client, &range, &pages);
	if (more)
		return more;
	more = conclave_range_next(&pages, &kv);
	for (i = 0; i < demo->writes && more >= 0; i++) {
		bool there = more == 1 && is_write(&kv, writer, i);

		judge(finding, demo->fates[writer][i], there);
		if (there)
			more = conclave_range_next(&pages, &kv);
	}
	conclave_range_end(&pages);
	finding->strange += more == 1;
	return more < 0 ? more : 0;
}

static uint64_t increments(const struct cluster_demo *demo, uint32_t counter)
{
	uint64_t sum = 0;
	uint32_t i;

	if (counter < DAEMON_MEMBERS)
		return demo->board->tallies[DAEMON_MEMBERS + counter].own;
	for (i = 0; i < DAEMON_MEMBERS; i++)
		sum += demo->board->tallies[DAEMON_MEMBERS + i].shared;
	return sum;
}

static int count_up(struct cluster_demo *demo, struct conclave *client,
		    struct finding *finding)
{
	uint64_t value, revision;
	uint32_t i;
	int code = 0;

	for (i = 0; i <= DAEMON_MEMBERS && !code; i++) {
		code = cluster_counter(client, i, &value, &revision);
		if (code)
			break;
		finding->increments += value;
		finding->inexact += value != increments(demo, i);
	}
	return code;
}

static int examine(struct cluster_demo *demo, uint32_t member,
		   struct finding *finding)
{
	struct conclave *client;
	uint32_t i;
	int code = cluster_open(demo, member, DEADLINE_MS, &client);

	if (code)
		return code;
	for (i = 0; i < DAEMON_MEMBERS && !code; i++)
		code = look_up(demo, client, i, finding);
	if (!code)
		code = count_up(demo, client, finding);
	conclave_close(client);
	return code;
}

static const char *verdict(bool good)
{
	return good ? "ok" : "FAIL";
}

static bool prove_member(struct cluster_demo *demo, uint32_t member,
			 int *ret_code)
{
	struct finding found = {0};
	bool good;

	*ret_code = examine(demo, member, &found);
	if (*ret_code) {
		(void)printf("  FAIL member %u cannot be read: %s\n",
			     member + 1, conclave_strerror(*ret_code));
		return false;
	}
	good = !found.missing && !found.contradicted && !found.strange &&
	       !found.inexact;
	(void)printf("  %-4s member %u: %llu writes there, %llu missing, %llu "
		     "contradicted, %llu unasked; %llu increments, %llu of %d "
		     "counters wrong\n",
		     verdict(good), member + 1, (unsigned long long)found.there,
		     (unsigned long long)found.missing,
		     (unsigned long long)found.contradicted,
		     (unsigned long long)found.strange,
		     (unsigned long long)found.increments,
		     (unsigned long long)found.inexact, DAEMON_MEMBERS + 1);
	return good;
}

static bool prove_outcomes(const struct cluster_demo *demo)
{
	struct cluster_tally sum = {0};
	bool good;
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		const struct cluster_tally *tally = &demo->board->tallies[i];

		sum.acknowledged += tally->acknowledged;
		sum.settled_applied += tally->settled_applied;
		sum.settled_not += tally->settled_not;
		sum.unknown += tally->unknown;
		sum.flying += tally->flying;
	}
	good = !sum.unknown && !sum.flying && sum.acknowledged;
	(void)printf("  %-4s %llu writes acknowledged; in doubt: %llu settled "
		     "as applied, %llu as not applied, %llu unknown\n",
		     verdict(good), (unsigned long long)sum.acknowledged,
		     (unsigned long long)sum.settled_applied,
		     (unsigned long long)sum.settled_not,
		     (unsigned long long)(sum.unknown + sum.flying));
	return good;
}

int cluster_proof(struct cluster_demo *demo)
{
	bool good = prove_outcomes(demo);
	int code = 0, each;
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		good = prove_member(demo, i, &each) && good;
		code = code ? code : each;
	}
	if (code)
		return code;
	return good ? 0 : -EBADMSG;
}
