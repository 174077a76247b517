/* XXH3-128 behind two functions, so that one file includes its header. */
#include "daemon/store/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct store_hash hash_bytes(const void *bytes, size_t size)
{
	XXH128_hash_t hash = XXH3_128bits(bytes, size);

	return (struct store_hash){hash.low64, hash.high64};
}

struct store_hash hash_more(struct store_hash before, const void *bytes,
			    size_t size)
{
	uint64_t seed = before.low ^ (before.high << 1 | before.high >> 63);
	XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, size, seed);

	hash_add(&before, (struct store_hash){hash.low64, hash.high64});
	return before;
}

void store_secret_hash(const uint8_t secret[16], uint8_t ret_hash[16])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(secret, 16));
	memcpy(ret_hash, canonical.digest, 16);
}
