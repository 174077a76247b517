/*
 * An allocator that counts what is asked of it. Whoever includes this, once a
 * program, is linked with `--wrap` (the Makefile finds it by this name), so
 * that every call from our own objects comes through here.
 */
#ifndef TESTS_SUPPORT_COUNT_MALLOC_H
#define TESTS_SUPPORT_COUNT_MALLOC_H

#include <stddef.h>
#include <stdint.h>

static uint64_t malloc_count; /* calls since the program began */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **ret_memory, size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **ret_memory, size_t align, size_t size);

void *__wrap_malloc(size_t size)
{
	malloc_count++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	malloc_count++;
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	malloc_count++;
	return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	malloc_count++;
	return __real_aligned_alloc(align, size);
}

int __wrap_posix_memalign(void **ret_memory, size_t align, size_t size)
{
	malloc_count++;
	return __real_posix_memalign(ret_memory, align, size);
}

#endif
