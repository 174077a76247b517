/* A log over the disk in memory: its beginning, its restarts and its end. */
#ifndef TESTS_UNIT_SUPPORT_MEMWAL_H
#define TESTS_UNIT_SUPPORT_MEMWAL_H

#include "tests/unit/support_disk.h"
#include "tests/unit/support_wal.h"

/* A fresh log, opened and at rest: its spare is made. */
static inline void memwal_begin(struct rig *rig)
{
	rig_init(rig, mem_disk_new());
	ck_assert_int_eq(rig_open(rig), 0);
	ck_assert_int_eq(rig_settle(rig), 0);
}

/*
 * The process dies; the machine is started anew if `reboot`. Faults of the
 * disk end. What opening says.
 */
static inline int memwal_restart(struct rig *rig, bool reboot)
{
	if (rig->memory)
		rig_drop(rig);
	mem_disk_crash(rig->disk);
	rig->disk->fault_kinds = 0;
	if (reboot)
		mem_disk_reboot(rig->disk);
	return rig_open(rig);
}

static inline void memwal_end(struct rig *rig)
{
	if (rig->memory)
		rig_drop(rig);
	mem_disk_free(rig->disk);
}

#endif
