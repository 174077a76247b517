/*
 * Loading an image that is anything. The first byte chooses how: how large
 * the pieces are, and whether the input is the image itself or what follows
 * the head of a real one, so that the records behind it are reached. What is
 * accepted must be sound, and its image must be what was loaded.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/store/image.h"
#include "daemon/store/store.h"

enum {
	ADDRESS = 64 << 20,
	IMAGE_MAX = 4 << 20,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct store_settings settings = {
	.quota_bytes = 4 << 20,
	.retention_ms = 300000,
	.session_expiry_ms = 600000,
	.tombstone_ms = 600000,
	.sessions_max = 64,
	.store_address_bytes = ADDRESS,
};

/* A store in memory that is all zero again. */
static struct store *make(void)
{
	static void *memory;
	struct store *store = NULL;
	int error;

	if (memory == NULL)
		memory = mmap(NULL, ADDRESS, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			      0);
	assert(memory != MAP_FAILED);
	error = madvise(memory, ADDRESS, MADV_DONTNEED);
	assert(error == 0);
	error = store_init(&store, memory, ADDRESS, &settings);
	assert(error == 0);
	return store;
}

static uint32_t write_image(struct store *store, uint8_t *image)
{
	uint32_t size = 0, used;
	int more;

	store_image_begin(store);
	do {
		assert(IMAGE_MAX - size >= STORE_PIECE_MIN);
		more = store_image_next(store, image + size, STORE_PIECE_MIN,
					1000, &used);
		size += used;
	} while (more == 1);
	assert(more == 0);
	store_image_end(store);
	return size;
}

/* The head of an empty store's image, with what the input wants in it. */
static void make_head(struct image_head *head, uint8_t choice)
{
	static uint8_t image[IMAGE_MAX];
	uint32_t size = write_image(make(), image);

	assert(size >= sizeof(*head));
	memcpy(head, image, sizeof(*head));
	head->revision = 1 + (choice & 15);
	head->compacted = choice >> 4 & 7;
	if (head->compacted > head->revision)
		head->compacted = head->revision;
	head->logical_bytes = 8 << 20;
}

static int load(struct store *store, const uint8_t *bytes, size_t size,
		size_t step)
{
	size_t at, piece;
	int error = 0;

	for (at = 0; at < size && error == 0; at += piece) {
		piece = size - at < step ? size - at : step;
		error = store_load(store, bytes + at, (uint32_t)piece);
	}
	return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t image[IMAGE_MAX];
	struct image_head head;
	struct store *store;
	const char *what;
	size_t step;
	int error = 0;

	if (size < 2)
		return 0;
	make_head(&head, data[1]);
	store = make();
	step = 1 + (data[0] >> 1);
	if ((data[0] & 1) != 0)
		error = load(store, (const uint8_t *)&head, sizeof(head), step);
	assert(error == 0);
	error = load(store, data + 2, size - 2, step);
	if (error == 0)
		error = store_load_end(store);
	if (error != 0)
		return 0;
	error = store_check(store, &what);
	assert(error == 0);
	if ((data[0] & 1) == 0) {
		assert(write_image(store, image) == size - 2);
		assert(memcmp(image, data + 2, size - 2) == 0);
	}
	/* Another cluster may begin with it. */
	error = store_restore(store, NULL, 0);
	if (error == 0)
		error = store_check(store, &what);
	assert(error == 0 || error == -ERANGE);
	return 0;
}
