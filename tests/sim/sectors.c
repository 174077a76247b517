/*
 * Content: what a read returns, what a power loss leaves; see
 * tests/sim/folder.h.
 *
 * Each sector that was written and is not durable carries the number of its
 * write. A sync covers the numbers up to the one that stood when it was
 * submitted. When a sector is written again while older content of it is
 * pending, the older content becomes durable: a kernel may write at any time,
 * and a sync that covers the older one must not be made a liar.
 */
#include "tests/sim/sectors.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum rot_limits {
	ROT_MAX = 16,
	FILES_ALL = SIM_MACHINES_MAX * FOLDER_FILES_MAX,
};

struct file {
	bool used;
	uint32_t holds;
	uint64_t size;
	uint64_t safe_size;
	uint64_t room; /* bytes in the arrays; what was never written is 0 */
	uint8_t *seen;
	uint8_t *safe;
	uint64_t *stamps; /* of a sector: its pending write, 0: durable */
};

struct rot {
	int file;
	uint64_t offset;
	uint8_t bit;
};

static struct file files[FILES_ALL];
static uint64_t stamp_last;
static struct rot rots[ROT_MAX];
static uint32_t rot_count;

static struct file *file_of(int number)
{
	assert(number >= 0 && number < FILES_ALL);
	assert(files[number].used);
	return &files[number];
}

/* Rot under what is written anew, or freed, is gone. */
static void cure(const struct file *file, uint64_t offset, uint64_t size)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < rot_count; i++) {
		bool inside = &files[rots[i].file] == file &&
			      rots[i].offset >= offset &&
			      rots[i].offset - offset < size;
		if (!inside)
			rots[kept++] = rots[i];
	}
	rot_count = kept;
}

/* Room is kept from life to life of a number, for speed; it is zeroed. */
static void forget(struct file *file)
{
	if (file->room > 0) {
		uint64_t used = file->size > file->safe_size ? file->size
							     : file->safe_size;
		memset(file->seen, 0, used);
		memset(file->safe, 0, used);
		memset(file->stamps, 0, used / FOLDER_SECTOR * 8);
	}
	cure(file, 0, UINT64_MAX);
	file->used = false;
	file->holds = 0;
	file->size = 0;
	file->safe_size = 0;
}

void sectors_clear(uint32_t machine)
{
	struct file *mine = &files[machine * FOLDER_FILES_MAX];
	for (uint32_t i = 0; i < FOLDER_FILES_MAX; i++)
		forget(&mine[i]);
}

int sectors_new(uint32_t machine)
{
	int first = (int)machine * FOLDER_FILES_MAX;
	for (int i = first; i < first + FOLDER_FILES_MAX; i++) {
		if (files[i].used)
			continue;
		files[i].used = true;
		return i;
	}
	return -1;
}

void sectors_free(int file)
{
	forget(file_of(file));
}

bool sectors_used(int file)
{
	return files[file].used;
}

bool sectors_held(int file)
{
	return files[file].holds > 0;
}

void folder_hold(int file)
{
	file_of(file)->holds++;
}

void folder_drop(int number)
{
	struct file *file = file_of(number);
	assert(file->holds > 0);
	file->holds--;
}

static void *grown(void *old, uint64_t old_size, uint64_t size)
{
	uint8_t *bytes = realloc(old, size);
	assert(bytes != NULL);
	memset(bytes + old_size, 0, size - old_size);
	return bytes;
}

static void grow(struct file *file, uint64_t size)
{
	assert(size <= FOLDER_SIZE_MAX);
	if (size <= file->room)
		return;
	uint64_t room = file->room == 0 ? 64 << 10 : file->room;
	while (room < size)
		room *= 2;
	uint64_t old = file->room;
	file->seen = grown(file->seen, old, room);
	file->safe = grown(file->safe, old, room);
	file->stamps = grown(file->stamps, old / FOLDER_SECTOR * 8,
			     room / FOLDER_SECTOR * 8);
	file->room = room;
}

uint64_t folder_size(int file)
{
	return file_of(file)->size;
}

void folder_read(int number, uint64_t offset, void *buffer, uint32_t size)
{
	const struct file *file = file_of(number);
	assert(offset + size <= file->size);
	memcpy(buffer, file->seen + offset, size);
}

void folder_write(int number, uint64_t offset, const void *data, uint32_t size,
		  bool durable)
{
	struct file *file = file_of(number);
	assert(offset % FOLDER_SECTOR == 0 && size % FOLDER_SECTOR == 0);
	grow(file, offset + size);
	cure(file, offset, size);
	stamp_last++;
	for (uint64_t at = offset; at < offset + size; at += FOLDER_SECTOR) {
		uint64_t *stamp = &file->stamps[at / FOLDER_SECTOR];
		if (*stamp != 0)
			memcpy(file->safe + at, file->seen + at, FOLDER_SECTOR);
		*stamp = durable ? 0 : stamp_last;
	}
	memcpy(file->seen + offset, data, size);
	if (offset + size > file->size)
		file->size = offset + size;
	if (!durable)
		return;
	memcpy(file->safe + offset, data, size);
	if (offset + size > file->safe_size)
		file->safe_size = offset + size;
}

uint64_t folder_stamp(void)
{
	return stamp_last;
}

/* One pending sector comes to rest. */
static void settle(struct file *file, uint64_t sector, bool anew)
{
	uint64_t at = sector * FOLDER_SECTOR;
	if (anew)
		memcpy(file->safe + at, file->seen + at, FOLDER_SECTOR);
	else
		memcpy(file->seen + at, file->safe + at, FOLDER_SECTOR);
	file->stamps[sector] = 0;
}

void folder_sync(int number, uint64_t stamp)
{
	struct file *file = file_of(number);
	for (uint64_t i = 0; i < file->size / FOLDER_SECTOR; i++)
		if (file->stamps[i] != 0 && file->stamps[i] <= stamp)
			settle(file, i, true);
	file->safe_size = file->size;
}

void folder_sync_failed(int number, uint64_t stamp)
{
	struct file *file = file_of(number);
	for (uint64_t i = 0; i < file->size / FOLDER_SECTOR; i++)
		if (file->stamps[i] != 0 && file->stamps[i] <= stamp)
			settle(file, i, sim_below(SIM_DISK, 2) != 0);
}

/* Which sectors of a cut write land: none, all, a prefix, any. */
enum tear {
	TEAR_NONE,
	TEAR_ALL,
	TEAR_PREFIX,
	TEAR_ANY,
	TEAR_KINDS,
};

static bool lands(enum tear tear, uint64_t sector, uint64_t prefix)
{
	switch (tear) {
	case TEAR_ALL:
		return true;
	case TEAR_PREFIX:
		return sector < prefix;
	case TEAR_ANY:
		return sim_below(SIM_DISK, 2) != 0;
	default:
		return false;
	}
}

bool folder_holds(int number, uint64_t offset, const void *data, uint32_t size)
{
	const struct file *file = file_of(number);
	return file->safe_size >= offset + size &&
	       memcmp(file->safe + offset, data, size) == 0;
}

void folder_tear(int number, uint64_t offset, const void *data, uint32_t size)
{
	const uint8_t *bytes = data;
	enum tear tear = (enum tear)sim_below(SIM_DISK, TEAR_KINDS);
	uint64_t count = size / FOLDER_SECTOR;
	uint64_t prefix = sim_below(SIM_DISK, count + 1);
	uint64_t landed = 0;
	for (uint64_t i = 0; i < count; i++) {
		if (!lands(tear, i, prefix))
			continue;
		landed++;
		folder_write(number, offset + i * FOLDER_SECTOR,
			     bytes + i * FOLDER_SECTOR, FOLDER_SECTOR, true);
	}
	if (landed == 0)
		sim_fault(SIM_FAULT_LOST_WRITE);
	else if (landed < count)
		sim_fault(SIM_FAULT_TORN_WRITE);
}

void sectors_power_loss(uint32_t machine)
{
	for (uint32_t i = 0; i < FOLDER_FILES_MAX; i++) {
		struct file *file = &files[machine * FOLDER_FILES_MAX + i];
		if (!file->used)
			continue;
		for (uint64_t s = 0; s < file->size / FOLDER_SECTOR; s++)
			if (file->stamps[s] != 0)
				settle(file, s, sim_below(SIM_DISK, 2) != 0);
		if (sim_below(SIM_DISK, 2) != 0)
			file->safe_size = file->size;
		if (file->size > file->safe_size) {
			uint64_t tail = file->size - file->safe_size;
			memset(file->seen + file->safe_size, 0, tail);
			memset(file->safe + file->safe_size, 0, tail);
		}
		file->size = file->safe_size;
	}
}

/* ---- rot ---- */

static void flip(const struct rot *rot)
{
	struct file *file = &files[rot->file];
	assert(rot->offset < file->room);
	file->seen[rot->offset] ^= rot->bit;
	file->safe[rot->offset] ^= rot->bit;
}

void folder_rot(int file, uint64_t offset, uint8_t bit)
{
	assert(offset < file_of(file)->size);
	if (rot_count == ROT_MAX)
		return;
	rots[rot_count] = (struct rot){file, offset, bit};
	flip(&rots[rot_count++]);
}

uint32_t folder_rotten(uint32_t machine)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < rot_count; i++)
		count += folder_machine(rots[i].file) == machine;
	return count;
}

/* Takes them out of the list; `undo` flips them back, too. */
static void leave_rots(uint32_t machine, bool undo)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < rot_count; i++) {
		if (folder_machine(rots[i].file) != machine)
			rots[kept++] = rots[i];
		else if (undo)
			flip(&rots[i]);
	}
	rot_count = kept;
}

void folder_mend(uint32_t machine)
{
	leave_rots(machine, true);
}

void folder_forget_rot(uint32_t machine)
{
	leave_rots(machine, false);
}
