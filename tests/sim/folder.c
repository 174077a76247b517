/*
 * Names and their durability; see tests/sim/folder.h. Content is in
 * tests/sim/sectors.c.
 */
#include "tests/sim/sectors.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum change_kind {
	CHANGE_CREATE,
	CHANGE_RENAME,
	CHANGE_UNLINK,
};

struct entry {
	int file; /* -1: free */
	char name[FOLDER_NAME_SIZE];
};

struct names {
	struct entry entries[FOLDER_NAMES_MAX];
};

struct change {
	enum change_kind kind;
	int file;
	char name[FOLDER_NAME_SIZE];
	char new_name[FOLDER_NAME_SIZE];
};

static struct names seen;
static struct names safe;
static struct change changes[FOLDER_CHANGES_MAX];
static uint32_t change_count;
static uint64_t change_first; /* number of changes[0] */

static struct entry *find(struct names *names, const char *name)
{
	for (uint32_t i = 0; i < FOLDER_NAMES_MAX; i++) {
		struct entry *entry = &names->entries[i];
		if (entry->file >= 0 && strcmp(entry->name, name) == 0)
			return entry;
	}
	return NULL;
}

static struct entry *find_file(struct names *names, int file)
{
	for (uint32_t i = 0; i < FOLDER_NAMES_MAX; i++)
		if (names->entries[i].file == file)
			return &names->entries[i];
	return NULL;
}

static void copy_name(char *to, const char *name)
{
	size_t size = strlen(name) + 1;
	assert(size <= FOLDER_NAME_SIZE);
	memcpy(to, name, size);
}

static void put(struct names *names, const char *name, int file)
{
	struct entry *entry = find(names, name);
	if (entry == NULL)
		entry = find_file(names, -1);
	assert(entry != NULL);
	entry->file = file;
	copy_name(entry->name, name);
}

/* Applies a change as far as it makes sense; true when it did. */
static bool apply(struct names *names, const struct change *change)
{
	struct entry *entry = find(names, change->name);
	switch (change->kind) {
	case CHANGE_CREATE:
		put(names, change->name, change->file);
		return true;
	case CHANGE_RENAME:
		if (entry == NULL || entry->file != change->file)
			return false;
		entry->file = -1;
		put(names, change->new_name, change->file);
		return true;
	case CHANGE_UNLINK:
		if (entry == NULL || entry->file != change->file)
			return false;
		entry->file = -1;
		return true;
	}
	return false;
}

static bool pending(int file)
{
	for (uint32_t i = 0; i < change_count; i++)
		if (changes[i].file == file)
			return true;
	return false;
}

/* Frees what no name and nobody leads to any more. */
static void collect(void)
{
	for (int i = 0; i < FOLDER_FILES_MAX; i++) {
		if (!sectors_used(i) || sectors_held(i))
			continue;
		if (find_file(&seen, i) != NULL || find_file(&safe, i) != NULL)
			continue;
		if (!pending(i))
			sectors_free(i);
	}
}

static void change(enum change_kind kind, int file, const char *name,
		   const char *new_name)
{
	if (change_count == FOLDER_CHANGES_MAX)
		folder_sync_names(change_first + 1);
	struct change *next = &changes[change_count++];
	memset(next, 0, sizeof(*next));
	next->kind = kind;
	next->file = file;
	copy_name(next->name, name);
	copy_name(next->new_name, new_name);
	bool done = apply(&seen, next);
	assert(done);
}

void folder_clear(void)
{
	for (uint32_t i = 0; i < FOLDER_NAMES_MAX; i++) {
		seen.entries[i].file = -1;
		safe.entries[i].file = -1;
	}
	change_count = 0;
	change_first = 0;
	sectors_clear();
}

int folder_lookup(const char *name)
{
	struct entry *entry = find(&seen, name);
	return entry != NULL ? entry->file : -ENOENT;
}

int folder_create(const char *name)
{
	if (find(&seen, name) != NULL)
		return -EEXIST;
	collect();
	int file = sectors_new();
	assert(file >= 0);
	change(CHANGE_CREATE, file, name, "");
	return file;
}

int folder_rename(const char *name, const char *new_name)
{
	struct entry *entry = find(&seen, name);
	if (entry == NULL)
		return -ENOENT;
	if (strcmp(name, new_name) == 0)
		return 0;
	change(CHANGE_RENAME, entry->file, name, new_name);
	return 0;
}

int folder_unlink(const char *name)
{
	struct entry *entry = find(&seen, name);
	if (entry == NULL)
		return -ENOENT;
	change(CHANGE_UNLINK, entry->file, name, "");
	return 0;
}

int folder_list(uint32_t *position, char *ret_name)
{
	while (*position < FOLDER_NAMES_MAX) {
		const struct entry *entry = &seen.entries[(*position)++];
		if (entry->file < 0)
			continue;
		memcpy(ret_name, entry->name, FOLDER_NAME_SIZE);
		return 1;
	}
	return 0;
}

uint64_t folder_change(void)
{
	return change_first + change_count;
}

void folder_sync_names(uint64_t until)
{
	uint32_t count = 0;
	while (count < change_count && change_first + count < until) {
		(void)apply(&safe, &changes[count]); /* as far as it goes */
		count++;
	}
	change_count -= count;
	change_first += count;
	memmove(changes, &changes[count], change_count * sizeof(changes[0]));
	collect();
}

bool folder_named(int file)
{
	const struct entry *now = find_file(&seen, file);
	const struct entry *then = find_file(&safe, file);
	return now != NULL && then != NULL &&
	       strcmp(now->name, then->name) == 0;
}

const char *folder_name(int file)
{
	const struct entry *entry = find_file(&seen, file);
	return entry != NULL ? entry->name : "";
}

/* Pending changes fall: a prefix of them stays, or any subset. */
static void lose_names(void)
{
	uint64_t keep = sim_below(SIM_DISK, change_count + 1);
	for (uint32_t i = 0; i < change_count; i++) {
		bool stays = i < keep;
		if (sim.swarm.free_names)
			stays = sim_below(SIM_DISK, 2) != 0;
		if (stays && apply(&safe, &changes[i]))
			continue;
		sim_fault(SIM_FAULT_LOST_NAME);
		sim_trace("disk: a change of names of file % is lost",
			  changes[i].file);
	}
	change_first += change_count;
	change_count = 0;
	seen = safe;
}

void folder_power_loss(void)
{
	lose_names();
	sectors_power_loss();
	collect();
}
