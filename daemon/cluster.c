/*
 * Names of clusters, and what a new one begins with.
 */
#include "daemon/cluster.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const struct store_settings cluster_settings = {
	.quota_bytes = 2ull << 30,
	.retention_ms = 300000,
	.session_expiry_ms = 600000,
	.tombstone_ms = 600000,
	.sessions_max = 65536,
	.store_address_bytes = 32ull << 30,
	.lease_reads = 0,
};

void cluster_id(const char *name, uint8_t ret_id[16])
{
	XXH128_canonical_t id;

	XXH128_canonicalFromHash(&id, XXH3_128bits(name, strlen(name)));
	memcpy(ret_id, id.digest, sizeof(id.digest));
}
