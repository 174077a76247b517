/*
 * What a loaded store becomes when another cluster begins with it. Keys stay
 * as they are, with their values, versions, leases and revisions, and so do
 * settings. What belonged to the old cluster goes:
 *
 *   members   those of the new cluster take their place
 *   sessions  end, all. The old cluster went on after the image was made, so
 *             that a result that it recorded may be missing here; a client
 *             that came back would be told "not applied" of what it was told
 *             "applied" before. It is told that its session is over instead.
 *   history   is compacted: a watcher or a reader of an old revision learns
 *             that it has to read anew
 *
 * Revisions and indexes leap: nobody was ever shown one as high, so none goes
 * back, and none means two things.
 */
#include "daemon/store/state.h"

#include <errno.h>

enum {
	RESTORE_BUDGET = 1 << 20,
	RESTORE_SHIFT = 62, /* sums of indexes do not overflow */
};

static void end_sessions(struct store *store)
{
	struct store_session known;
	uint64_t position = 0;
	uint8_t id[16];

	while (store_session_next(store, &position, id, &known)) {
		struct session *session = session_of(store, id);

		if (session->ended_index == 0)
			session_finish(store, session, store->applied);
		session_forget(store, session);
	}
	assert(store->session_live == 0 && store->session_ended == 0);
}

static void compact_all(struct store *store)
{
	int code = 0;

	if (store->compacted < store->revision)
		code = compact_to(store, store->revision);
	assert(code == 0);
	while (store_compact(store, RESTORE_BUDGET))
		;
}

int store_restore(struct store *store, const struct store_member *members,
		  uint32_t count)
{
	uint64_t step = STORE_RESTORE_STEP;

	assert(!store->apply.active && store->image.phase == IMAGE_NONE);
	if (store->applied == 0 ||
	    (store->applied | store->revision) >> RESTORE_SHIFT)
		return -ERANGE;
	store->roster.count = 0;
	for (uint32_t i = 0; i < count; i++)
		if (!roster_load(store, &members[i]))
			return -EINVAL;
	end_sessions(store);
	compact_all(store);
	store->applied += step;
	store->revision += step;
	store->compacted = store->revision;
	store->swept = store->revision;
	/* Who is born in the new cluster is born at `applied` or later. */
	store->session_floor = store->applied - 1;
	return 0;
}
