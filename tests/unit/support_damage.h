/*
 * Damage on a disk in memory: finds the record that holds an entry, and flips
 * a bit of it.
 */
#ifndef TESTS_UNIT_SUPPORT_DAMAGE_H
#define TESTS_UNIT_SUPPORT_DAMAGE_H

#include "tests/unit/support_disk.h"

enum damage_places {
	DAMAGE_HEAD = 20, /* nobody can say what the record held */
	DAMAGE_PAYLOAD = 900,
};

/*
 * Flips a bit, `at` bytes into the newest record with entry `index`, which
 * must be there. Returns where.
 */
uint8_t *damage(struct disk *disk, uint64_t index, uint32_t at);

#endif
