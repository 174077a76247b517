/* The settings' names, limits and texts. */
#include "daemon/store/state.h"
#include "raft/entry.h"

#include <string.h>

struct setting_kind {
	const char *name;
	size_t offset;
	uint64_t min;
	uint64_t max;
};

#define SETTING_OFFSET(field) offsetof(struct store_settings, field)
#define SETTING_TEN_YEARS     (3653 * (uint64_t)86400000)

static const struct setting_kind kinds[SETTING_COUNT] = {
	{"cluster_version", SETTING_OFFSET(cluster_version), 1,
	 STORE_CLUSTER_VERSION},
	{"lease_reads", SETTING_OFFSET(lease_reads), 0, 1},
	{"quota_bytes", SETTING_OFFSET(quota_bytes), BOUNDS_QUOTA_MIN,
	 (uint64_t)1 << 42},
	{"retention_ms", SETTING_OFFSET(retention_ms), 0, SETTING_TEN_YEARS},
	{"session_expiry_ms", SETTING_OFFSET(session_expiry_ms), 1,
	 SETTING_TEN_YEARS},
	{"sessions_max", SETTING_OFFSET(sessions_max), 1, 1 << 24},
	{"store_address_bytes", SETTING_OFFSET(store_address_bytes),
	 BOUNDS_ADDRESS_MIN, (uint64_t)1 << 46},
	{"tombstone_ms", SETTING_OFFSET(tombstone_ms), 1, SETTING_TEN_YEARS},
};

const char *setting_name(uint32_t id)
{
	assert(id < SETTING_COUNT);
	return kinds[id].name;
}

uint64_t setting_get(const struct store_settings *settings, uint32_t id)
{
	uint64_t value;

	assert(id < SETTING_COUNT);
	memcpy(&value, (const uint8_t *)settings + kinds[id].offset,
	       sizeof(value));
	return value;
}

void setting_put(struct store_settings *settings, uint32_t id, uint64_t value)
{
	assert(id < SETTING_COUNT);
	memcpy((uint8_t *)settings + kinds[id].offset, &value, sizeof(value));
}

bool setting_are_valid(const struct store_settings *settings)
{
	uint64_t value;
	uint32_t id;

	for (id = 0; id < SETTING_COUNT; id++) {
		value = setting_get(settings, id);
		if (value < kinds[id].min || value > kinds[id].max)
			return false;
	}
	return settings->quota_bytes <=
	       settings->store_address_bytes / BOUNDS_ADDRESS_PER_QUOTA;
}

/* Decimal digits alone, without sign, space or a leading zero. */
static bool parse(struct key text, uint64_t *ret_value)
{
	uint64_t value = 0;
	uint32_t i, digit;

	if (text.size == 0 || text.size > SETTING_VALUE_MAX ||
	    (text.bytes[0] == '0' && text.size > 1))
		return false;
	for (i = 0; i < text.size; i++) {
		digit = (uint32_t)text.bytes[i] - '0';
		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return true;
}

/* The setting's id; SETTING_COUNT: there is none of that name. */
static uint32_t find(struct key name)
{
	uint32_t id = 0;

	while (id < SETTING_COUNT &&
	       (strlen(kinds[id].name) != name.size ||
		memcmp(kinds[id].name, name.bytes, name.size) != 0))
		id++;
	return id;
}

/*
 * What was written by a newer one must still be understood, and only a leader
 * that knows what all members can apply may raise it.
 */
static bool may_be_version(const struct store *store, uint64_t version)
{
	uint64_t now = store->settings.cluster_version;

	return version == now ||
	       (version > now && store->apply.kind == ENTRY_SETTING);
}

int setting_apply(struct store *store, struct key name, struct key value)
{
	struct store_settings settings = store->settings;
	uint32_t id = find(name);
	uint64_t number;

	if (id == SETTING_COUNT)
		return CONCLAVE_ENOTFOUND;
	if (id == SETTING_STORE_ADDRESS_BYTES || !parse(value, &number))
		return CONCLAVE_EBADREQ;
	if (id == SETTING_CLUSTER_VERSION && !may_be_version(store, number))
		return CONCLAVE_EBADREQ;
	setting_put(&settings, id, number);
	if (!setting_are_valid(&settings))
		return CONCLAVE_EBADREQ;
	store->settings = settings;
	store->setting_records[id].mod_revision = store->revision;
	store->setting_records[id].version++;
	return 0;
}

uint64_t store_entry_version(const struct raft_entry *entry)
{
	struct op op = {0};
	uint64_t version;

	if (entry->kind != ENTRY_SETTING ||
	    op_decode(entry_payload(entry->data), entry->size, &op) != 0 ||
	    find((struct key){op.key, op.head.key_size}) !=
		    SETTING_CLUSTER_VERSION ||
	    !parse((struct key){op.value, op.head.value_size}, &version))
		return 0;
	return version;
}

bool setting_is_of_newer(const struct store_settings *settings)
{
	return settings->cluster_version > STORE_CLUSTER_VERSION;
}

uint32_t setting_format(uint64_t value, char ret_text[SETTING_VALUE_MAX])
{
	char text[SETTING_VALUE_MAX];
	uint32_t size = 0, i;

	do {
		text[size++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	for (i = 0; i < size; i++)
		ret_text[i] = text[size - 1 - i];
	return size;
}
