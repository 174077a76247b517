/*
 * CRC32C (Castagnoli, reflected, initial value and final xor ~0), with SSE4.2
 * where the processor has it and a table where it does not: the checksum of
 * entries (entry.h), and of the disk's and the wire's formats above them.
 *
 * Invariant: the same bytes have the same checksum on every machine, in one
 * piece or in several.
 */
#ifndef RAFT_CRC32C_H
#define RAFT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * The checksum of `size` bytes at `data`, continued from `crc`, which is 0 at
 * the start or the result for what came before: crc32c(crc32c(0, a), b) is
 * the checksum of a followed by b.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same by the table alone, for machines without SSE4.2 and for tests. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t size);

#endif
