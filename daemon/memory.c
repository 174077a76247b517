/*
 * Sealed memfds. Flags and seals that the C library does not know yet are
 * named here with the kernel's numbers.
 */
#include "daemon/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	NOEXEC_SEAL = 0x8, /* MFD_NOEXEC_SEAL, since 6.3 */
	FUTURE_WRITE = 0x10, /* F_SEAL_FUTURE_WRITE, since 5.1 */
	PAGE = 4096,
};

static int create(const char *name)
{
	uint32_t flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return fd < 0 ? -errno : fd;
}

static int map_and_seal(struct memory *memory, bool read_only)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	void *base;

	if (ftruncate(memory->fd, (off_t)memory->size) < 0)
		return -errno;
	base = mmap(NULL, memory->size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE, memory->fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	if (read_only)
		seals |= FUTURE_WRITE;
	if (fcntl(memory->fd, F_ADD_SEALS, seals) < 0) {
		int error = -errno;
		(void)munmap(base, memory->size); /* it was just mapped */
		return error;
	}
	memory->base = base;
	return 0;
}

int memory_open(struct memory *ret_memory, const char *name, size_t size,
		uint32_t flags)
{
	struct memory memory = {.size = size};

	assert(size > 0 && size % PAGE == 0);
	memory.fd = create(name);
	if (memory.fd < 0)
		return memory.fd;
	int result = map_and_seal(&memory, flags & MEMORY_READ_ONLY);
	if (result < 0) {
		memory_close_fd(&memory);
		return result;
	}
	assert(memory.base);
	*ret_memory = memory;
	return 0;
}

void memory_close_fd(struct memory *memory)
{
	if (memory->fd >= 0)
		(void)close(memory->fd); /* there is no data to lose */
	memory->fd = -1;
}

void memory_close(struct memory *memory)
{
	memory_close_fd(memory);
	if (memory->base) {
		int result = munmap(memory->base, memory->size);
		assert(result == 0);
	}
	memory->base = NULL;
	memory->size = 0;
}

int memory_reserve(void **ret_base, size_t size)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	*ret_base = base;
	return 0;
}
