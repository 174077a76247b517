/*
 * Snapshot files: the image of the state machine at one log index.
 *
 * The file is called `snapshot-` and the index in sixteen hex digits, and
 * ends in `.tmp` until it is whole and durable; what counts is the one that
 * `meta` names, by index, size and root. Two members that cut at one index
 * write the same bytes. The image is a stream; chunks cut it anywhere.
 *
 * Byte map, little-endian. Block 0, the header:
 *
 *   0  frame (wal/frame.h), `own` is head_size; checksum over bytes 4..4,095
 *  16  u8[16]  cluster
 *  32  u64     index
 *  40  u64     term
 *  48  zeros
 * 512  head    head_size bytes, opaque, then zeros
 *
 * Then chunks, each at 4,096 + n * 1 MiB, the last one cut at the next block:
 *
 *   0  frame, `own` is size; checksum over bytes 4 to 64 + size
 *  16  u64     index
 *  24  u64     number  0, 1, 2, ...
 *  32  zeros
 *  64  size bytes of the image (full: 1 MiB - 64), then zeros
 *
 * Then one block, the footer:
 *
 *   0  frame, `own` is 0; checksum over bytes 4..4,095
 *  16  u64     index
 *  24  u64     chunk_count
 *  32  u64     image_size  bytes of the stream
 *  40  u64     file_size   this block included
 *  48  u64[2]  root        XXH3-128 (low, high) of all bytes before the footer
 *  64  zeros
 */
#ifndef WAL_SNAPSHOT_H
#define WAL_SNAPSHOT_H

#include "wal/frame.h"

enum snapshot_limits {
	SNAPSHOT_HEAD_AT = 512,
	SNAPSHOT_CHUNK_HEADER = 64,
	SNAPSHOT_CHUNK_ROOM = WAL_CHUNK_SIZE - SNAPSHOT_CHUNK_HEADER,
};

struct snapshot_header {
	struct frame frame; /* own: head_size */
	uint8_t cluster[16];
	uint64_t index;
	uint64_t term;
};

struct snapshot_chunk {
	struct frame frame; /* own: size */
	uint64_t index;
	uint64_t number;
	uint8_t zeros[32];
};

struct snapshot_footer {
	struct frame frame;
	uint64_t index;
	uint64_t chunk_count;
	uint64_t image_size;
	uint64_t file_size;
	uint64_t root[2];
};

_Static_assert(SNAPSHOT_HEAD_AT + WAL_HEAD_MAX <= DISK_BLOCK, "snapshot");
_Static_assert(sizeof(struct snapshot_header) == 48, "snapshot");
_Static_assert(sizeof(struct snapshot_chunk) == SNAPSHOT_CHUNK_HEADER,
	       "snapshot");
_Static_assert(sizeof(struct snapshot_footer) == 64, "snapshot");

/* Bytes on disk of a chunk with `size` bytes of the image. */
static inline uint32_t snapshot_chunk_size(uint32_t size)
{
	return (SNAPSHOT_CHUNK_HEADER + size + DISK_BLOCK - 1) / DISK_BLOCK *
	       DISK_BLOCK;
}

/* Bytes of a file whose image has `image_size` bytes. */
static inline uint64_t snapshot_file_size(uint64_t image_size)
{
	uint64_t full = image_size / SNAPSHOT_CHUNK_ROOM;
	uint32_t rest = (uint32_t)(image_size % SNAPSHOT_CHUNK_ROOM);

	return DISK_BLOCK + full * WAL_CHUNK_SIZE +
	       (rest ? snapshot_chunk_size(rest) : 0) + DISK_BLOCK;
}

/* Bytes on disk of the chunk at `offset` of a file of `size` bytes. */
static inline uint32_t snapshot_chunk_at(uint64_t size, uint64_t offset)
{
	uint64_t left = size - DISK_BLOCK - offset;

	return left < WAL_CHUNK_SIZE ? (uint32_t)left : WAL_CHUNK_SIZE;
}

/* Each fills whole blocks; `header` ones need all fields but the frame. */
void snapshot_seal_header(void *block, const struct snapshot_header *header,
			  const void *head, uint32_t head_size);
void snapshot_seal_chunk(void *chunk, uint64_t index, uint64_t number,
			 uint32_t size);
void snapshot_seal_footer(void *block, const struct snapshot_footer *footer);

/* Each: 0, -EBADMSG or WAL_EFUTURE. */
int snapshot_check_header(const void *block, struct snapshot_header *ret_header)
	__attribute__((warn_unused_result));
int snapshot_check_chunk(const void *chunk, uint32_t room,
			 struct snapshot_chunk *ret_chunk)
	__attribute__((warn_unused_result));
int snapshot_check_footer(const void *block, struct snapshot_footer *ret_footer)
	__attribute__((warn_unused_result));

/* The name of the file at `index`; `suffix` is "" or ".tmp". */
void snapshot_name(char ret_name[DISK_NAME_MAX], uint64_t index,
		   const char *suffix);
bool snapshot_parse(const char *name, uint64_t *ret_index);

#endif
