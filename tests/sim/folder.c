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

/* The names on one medium. */
struct folder {
	struct names seen;
	struct names safe;
	struct change changes[FOLDER_CHANGES_MAX];
	uint32_t change_count;
	uint64_t change_first; /* number of changes[0] */
};

static struct folder folders[SIM_MACHINES_MAX];

static struct folder *folder_of(int file)
{
	return &folders[folder_machine(file)];
}

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

static bool pending(const struct folder *folder, int file)
{
	for (uint32_t i = 0; i < folder->change_count; i++)
		if (folder->changes[i].file == file)
			return true;
	return false;
}

/* Frees what no name and nobody leads to any more. */
static void collect(uint32_t machine)
{
	struct folder *folder = &folders[machine];
	int first = (int)machine * FOLDER_FILES_MAX;
	for (int i = first; i < first + FOLDER_FILES_MAX; i++) {
		if (!sectors_used(i) || sectors_held(i))
			continue;
		if (find_file(&folder->seen, i) != NULL ||
		    find_file(&folder->safe, i) != NULL)
			continue;
		if (!pending(folder, i))
			sectors_free(i);
	}
}

static void change(enum change_kind kind, int file, const char *name,
		   const char *new_name)
{
	struct folder *folder = folder_of(file);
	if (folder->change_count == FOLDER_CHANGES_MAX)
		folder_sync_names(folder_machine(file),
				  folder->change_first + 1);
	struct change *next = &folder->changes[folder->change_count++];
	memset(next, 0, sizeof(*next));
	next->kind = kind;
	next->file = file;
	copy_name(next->name, name);
	copy_name(next->new_name, new_name);
	bool done = apply(&folder->seen, next);
	assert(done);
}

void folder_clear(uint32_t machine)
{
	struct folder *folder = &folders[machine];
	for (uint32_t i = 0; i < FOLDER_NAMES_MAX; i++) {
		folder->seen.entries[i].file = -1;
		folder->safe.entries[i].file = -1;
	}
	folder->change_count = 0;
	folder->change_first = 0;
	sectors_clear(machine);
}

int folder_lookup(uint32_t machine, const char *name)
{
	struct entry *entry = find(&folders[machine].seen, name);
	return entry != NULL ? entry->file : -ENOENT;
}

int folder_create(uint32_t machine, const char *name)
{
	if (find(&folders[machine].seen, name) != NULL)
		return -EEXIST;
	collect(machine);
	int file = sectors_new(machine);
	assert(file >= 0);
	change(CHANGE_CREATE, file, name, "");
	return file;
}

int folder_rename(uint32_t machine, const char *name, const char *new_name)
{
	struct entry *entry = find(&folders[machine].seen, name);
	if (entry == NULL)
		return -ENOENT;
	if (strcmp(name, new_name) == 0)
		return 0;
	change(CHANGE_RENAME, entry->file, name, new_name);
	return 0;
}

int folder_unlink(uint32_t machine, const char *name)
{
	struct entry *entry = find(&folders[machine].seen, name);
	if (entry == NULL)
		return -ENOENT;
	change(CHANGE_UNLINK, entry->file, name, "");
	return 0;
}

int folder_list(uint32_t machine, uint32_t *position, char *ret_name)
{
	const struct names *seen = &folders[machine].seen;
	while (*position < FOLDER_NAMES_MAX) {
		const struct entry *entry = &seen->entries[(*position)++];
		if (entry->file < 0)
			continue;
		memcpy(ret_name, entry->name, FOLDER_NAME_SIZE);
		return 1;
	}
	return 0;
}

uint64_t folder_change(uint32_t machine)
{
	return folders[machine].change_first + folders[machine].change_count;
}

void folder_sync_names(uint32_t machine, uint64_t until)
{
	struct folder *folder = &folders[machine];
	uint32_t count = 0;
	while (count < folder->change_count &&
	       folder->change_first + count < until) {
		/* As far as it goes. */
		(void)apply(&folder->safe, &folder->changes[count]);
		count++;
	}
	folder->change_count -= count;
	folder->change_first += count;
	memmove(folder->changes, &folder->changes[count],
		folder->change_count * sizeof(folder->changes[0]));
	collect(machine);
}

bool folder_named(int file)
{
	struct folder *folder = folder_of(file);
	const struct entry *now = find_file(&folder->seen, file);
	const struct entry *then = find_file(&folder->safe, file);
	return now != NULL && then != NULL &&
	       strcmp(now->name, then->name) == 0;
}

const char *folder_name(int file)
{
	const struct entry *entry = find_file(&folder_of(file)->seen, file);
	return entry != NULL ? entry->name : "";
}

/* Pending changes fall: a prefix of them stays, or any subset. */
static void lose_names(struct folder *folder)
{
	uint64_t keep = sim_below(SIM_DISK, folder->change_count + 1);
	for (uint32_t i = 0; i < folder->change_count; i++) {
		bool stays = i < keep;
		if (sim.swarm.free_names)
			stays = sim_below(SIM_DISK, 2) != 0;
		if (stays && apply(&folder->safe, &folder->changes[i]))
			continue;
		sim_fault(SIM_FAULT_LOST_NAME);
		sim_trace("disk: a change of names of file % is lost",
			  folder->changes[i].file);
	}
	folder->change_first += folder->change_count;
	folder->change_count = 0;
	folder->seen = folder->safe;
}

void folder_power_loss(uint32_t machine)
{
	lose_names(&folders[machine]);
	sectors_power_loss(machine);
	collect(machine);
}
