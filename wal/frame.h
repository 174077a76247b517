/*
 * The first sixteen bytes of everything that the log puts on a disk: record,
 * segment header, copy of `meta`, and a snapshot's header, chunk and footer.
 *
 * Byte map, little-endian:
 *
 *   0  u32  crc       CRC32C of the bytes from 4 to the end of the frame
 *   4  u32  magic     which of them it is
 *   8  u16  format    1; readers refuse what is newer
 *  10  u16  flags     0
 *  12  u32  the owner's
 *
 * How far a frame reaches (what the checksum covers) is said by its owner.
 */
#ifndef WAL_FRAME_H
#define WAL_FRAME_H

#include "raft/crc32c.h"
#include "wal/wal.h"

#include <errno.h>
#include <string.h>

/* What counts up never comes near this: a larger number is a wrong one. */
#define FRAME_COUNT_MAX ((uint64_t)1 << 62)

enum frame_constants {
	FRAME_FORMAT = 1,
	FRAME_MAGIC_RECORD = 0x4352574c, /* "LWRC" in memory */
	FRAME_MAGIC_SEGMENT = 0x4753574c, /* "LWSG" */
	FRAME_MAGIC_META = 0x544d574c, /* "LWMT" */
	FRAME_MAGIC_SNAPSHOT = 0x4e53574c, /* "LWSN" */
	FRAME_MAGIC_CHUNK = 0x4b43574c, /* "LWCK" */
	FRAME_MAGIC_FOOTER = 0x5446574c, /* "LWFT" */
};

struct frame {
	uint32_t crc;
	uint32_t magic;
	uint16_t format;
	uint16_t flags;
	uint32_t own;
};

_Static_assert(sizeof(struct frame) == 16, "frame");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "formats are little-endian and written as they lie in memory");

/* Makes the first ten bytes of the frame of `size` bytes at `bytes`. */
static inline void frame_seal(void *bytes, uint32_t magic, uint32_t size)
{
	struct frame *frame = bytes;

	frame->magic = magic;
	frame->format = FRAME_FORMAT;
	frame->flags = 0;
	frame->crc = crc32c(0, (const uint8_t *)bytes + 4, size - 4);
}

/*
 * 0; -EBADMSG: not such a frame, or damaged; WAL_EFUTURE: intact, and newer
 * than this program.
 */
static inline int frame_check(const void *bytes, uint32_t magic, uint32_t size)
{
	struct frame frame;

	memcpy(&frame, bytes, sizeof(frame));
	if (frame.magic != magic)
		return -EBADMSG;
	if (frame.crc != crc32c(0, (const uint8_t *)bytes + 4, size - 4))
		return -EBADMSG;
	if (frame.format > FRAME_FORMAT)
		return WAL_EFUTURE;
	if (frame.format != FRAME_FORMAT || frame.flags != 0)
		return -EBADMSG;
	return 0;
}

#endif
