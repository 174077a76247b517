/* Members as the log tells of them. */
#include "daemon/store/state.h"

#include <string.h>

struct store_hash roster_hash(const struct roster *roster)
{
	return hash_bytes(roster->members,
			  roster->count * sizeof(roster->members[0]));
}

/* Where the id stands, or would. */
static uint32_t place(const struct roster *roster, uint64_t id)
{
	uint32_t at = 0;

	while (at < roster->count && roster->members[at].id < id)
		at++;
	return at;
}

static struct store_member *find(struct roster *roster, uint64_t id)
{
	uint32_t at = place(roster, id);

	if (at == roster->count || roster->members[at].id != id)
		return NULL;
	return &roster->members[at];
}

/* Makes room by forgetting who was removed first; false: all are members. */
static bool forget_one(struct roster *roster)
{
	uint32_t i, oldest = roster->count;

	for (i = 0; i < roster->count; i++)
		if (roster->members[i].removed_index &&
		    (oldest == roster->count ||
		     roster->members[i].removed_index <
			     roster->members[oldest].removed_index))
			oldest = i;
	if (oldest == roster->count)
		return false;
	roster->count--;
	memmove(&roster->members[oldest], &roster->members[oldest + 1],
		(roster->count - oldest) * sizeof(roster->members[0]));
	return true;
}

static struct store_member *add(struct roster *roster, uint64_t id)
{
	uint32_t at;

	if (roster->count == STORE_MEMBERS_MAX && !forget_one(roster))
		return NULL;
	at = place(roster, id);
	memmove(&roster->members[at + 1], &roster->members[at],
		(roster->count - at) * sizeof(roster->members[0]));
	roster->count++;
	memset(&roster->members[at], 0, sizeof(roster->members[at]));
	roster->members[at].id = id;
	return &roster->members[at];
}

/* The next address of the list; one that is too long is none. */
static bool next_address(struct key *list, char ret_address[STORE_ADDRESS_MAX])
{
	uint32_t size;

	memset(ret_address, 0, STORE_ADDRESS_MAX);
	if (list->size == 0)
		return false;
	size = list->bytes[0];
	if (size >= STORE_ADDRESS_MAX || size + 1 > list->size ||
	    memchr(list->bytes + 1, 0, size))
		return false;
	memcpy(ret_address, list->bytes + 1, size);
	list->bytes += size + 1;
	list->size -= size + 1;
	return true;
}

static int change(struct roster *roster, const struct raft_conf_change *one,
		  const char *address, uint64_t index)
{
	struct store_member *member = find(roster, one->id);

	if (member && member->removed_index)
		return CONCLAVE_EMEMBERSHIP;
	if (one->type == RAFT_REMOVE) {
		if (!member)
			member = add(roster, one->id);
		if (!member)
			return CONCLAVE_EMEMBERSHIP;
		member->removed_index = index;
		return 0;
	}
	if (!member && !address[0])
		return CONCLAVE_EMEMBERSHIP;
	if (!member)
		member = add(roster, one->id);
	if (!member)
		return CONCLAVE_EMEMBERSHIP;
	if (address[0])
		memcpy(member->address, address, STORE_ADDRESS_MAX);
	return 0;
}

int roster_apply(struct store *store, struct key addresses)
{
	const struct raft_conf_changes *changes = &store->apply.changes;
	struct roster *next = &store->roster_next;
	char address[STORE_ADDRESS_MAX];
	uint32_t i;
	int code = 0;

	*next = store->roster;
	for (i = 0; i < changes->count && !code; i++)
		code = next_address(&addresses, address)
			       ? change(next, &changes->changes[i], address,
					store->apply.index)
			       : CONCLAVE_EBADREQ;
	if (!code && addresses.size)
		code = CONCLAVE_EBADREQ;
	if (!code)
		store->roster = *next;
	return code;
}

bool roster_load(struct store *store, const struct store_member *member)
{
	struct roster *roster = &store->roster;
	const struct store_member *last =
		&roster->members[roster->count ? roster->count - 1 : 0];

	if (roster->count == STORE_MEMBERS_MAX || !member->id ||
	    member->address[STORE_ADDRESS_MAX - 1] ||
	    (roster->count && last->id >= member->id))
		return false;
	roster->members[roster->count++] = *member;
	return true;
}
