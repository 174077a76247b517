/*
 * Memory that has a descriptor: sealed memfds, mapped once.
 *
 * The size of all is sealed before anybody else sees the descriptor, so no
 * holder can cut it and make the daemon fault. MEMORY_READ_ONLY adds the seal
 * that keeps every later mapping from writing; the daemon's own mapping,
 * which must exist before, goes on to write. Pages appear when touched.
 */
#ifndef DAEMON_MEMORY_H
#define DAEMON_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum memory_flags {
	MEMORY_READ_ONLY = 1, /* for all others, from now on */
};

struct memory {
	uint8_t *base; /* zeroed; NULL: not mapped */
	size_t size;
	int fd; /* -1: closed, the mapping stays */
};

/* `name` is for /proc; `size` is a multiple of the page size. */
int memory_open(struct memory *ret_memory, const char *name, size_t size,
		uint32_t flags) __attribute__((warn_unused_result));

/* Closes the descriptor, keeps the mapping. */
void memory_close_fd(struct memory *memory);

/* Ends both; fine for one that was never opened but is zeroed, fd -1. */
void memory_close(struct memory *memory);

/* Anonymous zeroed memory that nobody else sees, for the daemon's life. */
int memory_reserve(void **ret_base, size_t size)
	__attribute__((warn_unused_result));

#endif
