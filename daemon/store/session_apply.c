/*
 * What apply does to sessions. Every refusal here is either recorded or
 * stable, that is: a second copy of the same operation, later in the log,
 * cannot be executed after the first was refused.
 */
#include "daemon/store/state.h"
#include "raft/entry.h"

#include <string.h>

enum {
	SEQUENCE_MAX_SHIFT = 62, /* sums of sequences do not overflow */
};

bool session_is_sequence(uint64_t sequence)
{
	return sequence > 0 && sequence >> SEQUENCE_MAX_SHIFT == 0;
}

/* Same user, same secret. */
static bool is_owner(const struct session *session,
		     const struct op_begin *begin)
{
	return session->uid == begin->uid &&
	       memcmp(session->secret_hash, begin->secret_hash, 16) == 0;
}

/* A session that is not known: may it begin here? */
static int begin_session(struct store *store, const uint8_t id[16],
			 const struct op_begin *begin, uint64_t settled_below,
			 struct session **ret_session)
{
	if (settled_below != 1 || !store_never_began(store, begin->born))
		return CONCLAVE_ESESSION;
	return session_new(store, id, begin, ret_session);
}

/* What an operation says about itself, whatever the session. */
static int check_sequence(const struct op_header *head)
{
	if (!session_is_sequence(head->sequence) ||
	    !session_is_sequence(head->settled_below))
		return CONCLAVE_EBADREQ;
	if (head->sequence < head->settled_below)
		return CONCLAVE_ESETTLED;
	if (head->sequence - head->settled_below >= OP_SEQUENCE_WINDOW)
		return CONCLAVE_EWINDOW;
	return 0;
}

/* The session of an operation, begun if it may be. */
static int find_session(struct store *store, const struct op *op,
			struct session **ret_session)
{
	struct session *session = session_of(store, op->head.session);
	int error;

	if (session == NULL) {
		if ((op->head.flags & OP_BEGIN) == 0)
			return CONCLAVE_ESESSION;
		error = begin_session(store, op->head.session, &op->begin,
				      op->head.settled_below, ret_session);
		if (error != 0)
			return error;
		(*ret_session)->epoch = op->head.epoch;
		session_rehash(store, *ret_session);
		return 0;
	}
	if (session->ended_index != 0)
		return CONCLAVE_ESESSION;
	if ((op->head.flags & OP_BEGIN) != 0 && !is_owner(session, &op->begin))
		return CONCLAVE_EPERM;
	if (op->head.epoch != session->epoch)
		return op->head.epoch < session->epoch ? CONCLAVE_EEPOCH
						       : CONCLAVE_EBADREQ;
	*ret_session = session;
	return 0;
}

int session_admit(struct store *store, const struct op *op,
		  struct session **ret_session, struct store_result *ret_result)
{
	const struct op_header *head = &op->head;
	struct session *session = NULL;
	int error = check_sequence(head);

	if (error == 0)
		error = find_session(store, op, &session);
	if (error != 0) {
		*ret_result = (struct store_result){
			.status = error,
			.revision = store->revision,
		};
		return 0;
	}
	if (head->settled_below > session->settled_below) {
		session_touch(store, session);
		session_settle(store, session, head->settled_below);
		session_rehash(store, session);
	}
	if (head->sequence < session->settled_below) {
		*ret_result = (struct store_result){
			.status = CONCLAVE_ESETTLED,
			.revision = store->revision,
		};
		return 0;
	}
	if (store_outcome(store, head->session, head->sequence, ret_result) ==
	    1)
		return 0;
	*ret_session = session;
	return 1;
}

static void resume(struct store *store, const struct op_session *entry,
		   struct session *session, struct store_result *ret_result)
{
	if (session == NULL)
		ret_result->status =
			begin_session(store, entry->session, &entry->begin,
				      entry->settled_below, &session);
	else if (session->ended_index != 0)
		ret_result->status = CONCLAVE_ESESSION;
	else if (!is_owner(session, &entry->begin))
		ret_result->status = CONCLAVE_EPERM;
	else if (entry->epoch < session->epoch)
		ret_result->status = CONCLAVE_EEPOCH;
	if (ret_result->status != 0)
		return;
	session_touch(store, session);
	session->epoch = entry->epoch;
	session->owner = entry->begin.owner;
	if (entry->settled_below > session->settled_below)
		session_settle(store, session, entry->settled_below);
	session_rehash(store, session);
	ret_result->aux = session->epoch;
}

/* An end that was decided in an older epoch does not end the resumed one. */
static void end(struct store *store, const struct op_session *entry,
		struct session *session, struct store_result *ret_result)
{
	if (session == NULL || session->ended_index != 0)
		ret_result->status = CONCLAVE_ESESSION;
	else if (entry->epoch != 0 && entry->epoch < session->epoch)
		ret_result->status = CONCLAVE_EEPOCH;
	else
		session_finish(store, session, store->apply.index);
}

static void drop(struct store *store, struct session *session,
		 struct store_result *ret_result)
{
	if (session == NULL) {
		ret_result->status = CONCLAVE_ESESSION;
		return;
	}
	if (session->ended_index == 0) {
		ret_result->status = CONCLAVE_EBADREQ;
		return;
	}
	if (session->ended_index > store->session_floor)
		store->session_floor = session->ended_index;
	session_forget(store, session);
}

void session_entry(struct store *store, uint32_t kind,
		   const struct op_session *entry,
		   struct store_result *ret_result)
{
	struct session *session = session_of(store, entry->session);

	*ret_result = (struct store_result){.revision = store->revision};
	if (kind == ENTRY_SESSION_DROP)
		drop(store, session, ret_result);
	else if (kind != ENTRY_SESSION_RESUME)
		end(store, entry, session, ret_result);
	else if (!session_is_sequence(entry->settled_below))
		ret_result->status = CONCLAVE_EBADREQ;
	else
		resume(store, entry, session, ret_result);
}
