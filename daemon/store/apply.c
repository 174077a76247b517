/*
 * Applying entries: decoding, the session's word, execution, the result.
 * Bytes of an operation are never trusted, only because they are in the log:
 * what cannot be parsed gets CONCLAVE_EBADREQ as its result, and so does
 * everything behind it in the entry, since nobody knows where it begins.
 */
#include "daemon/store/state.h"
#include "raft/entry.h"

#include <string.h>

enum {
	APPLY_GROUP = 16, /* operations that are warmed together */
};

static bool sizes_are_valid(const struct op_header *head)
{
	return head->key_size <= OP_KEY_MAX &&
	       head->value_size <= OP_VALUE_MAX && head->type > 0 &&
	       head->type <= OP_TYPE_MAX && (head->flags & ~OP_BEGIN) == 0 &&
	       head->reserved == 0;
}

int op_decode(const uint8_t *bytes, uint32_t room, struct op *ret_op)
{
	struct op_header *head = &ret_op->head;

	if (room < OP_HEADER_SIZE)
		return CONCLAVE_EBADREQ;
	memcpy(head, bytes, sizeof(*head));
	if (!sizes_are_valid(head) || head->size > room ||
	    head->size !=
		    op_size(head->flags, head->key_size, head->value_size))
		return CONCLAVE_EBADREQ;
	ret_op->key = bytes + OP_HEADER_SIZE;
	if ((head->flags & OP_BEGIN) != 0) {
		memcpy(&ret_op->begin, ret_op->key, sizeof(ret_op->begin));
		ret_op->key += sizeof(ret_op->begin);
	}
	ret_op->value = ret_op->key + head->key_size;
	return 0;
}

/* What the sizes of an operation must be for its type. */
static bool is_sound(const struct op_header *head)
{
	switch (head->type) {
	case OP_PUT:
	case OP_CAS:
	case OP_SETTING:
		return head->key_size > 0;
	case OP_DELETE:
		return head->key_size > 0 && head->value_size <= OP_KEY_MAX;
	default:
		return true;
	}
}

/* 1: the operation is in the middle of its work. */
static int execute(struct store *store, const struct op *op, uint32_t *budget,
		   struct store_result *ret_result)
{
	struct key key = {op->key, op->head.key_size};
	struct key value = {op->value, op->head.value_size};

	*ret_result = (struct store_result){.revision = store->revision};
	if (!is_sound(&op->head)) {
		ret_result->status = CONCLAVE_EBADREQ;
		return 0;
	}
	switch (op->head.type) {
	case OP_PUT:
	case OP_CAS:
		write_put(store, op, ret_result);
		(void)budget_spend(budget, 4 + op->head.value_size / 1024);
		return 0;
	case OP_DELETE:
		return write_delete(store, op, budget, ret_result);
	case OP_COMPACT:
		ret_result->status = compact_to(store, op->head.argument);
		return 0;
	case OP_MEMBER:
		ret_result->status = store->apply.refused
					     ? store->apply.refused
					     : roster_apply(store, key);
		return 0;
	default:
		ret_result->status = setting_apply(store, key, value);
		return 0;
	}
}

static struct store_result *results(struct store *store)
{
	return mapping_at(&store->map, store->results);
}

/*
 * Brings into the cache what the next operations will look at: the leaves of
 * all of them first, then the versions in them, so that they are fetched side
 * by side and not one after the other.
 */
static void warm(const struct store *store)
{
	const struct apply *apply = &store->apply;
	uint32_t position = apply->position, count = 0, i;
	struct op op = {0};
	struct key keys[APPLY_GROUP];
	uint64_t leaves[APPLY_GROUP];

	for (i = 0; i < APPLY_GROUP; i++) {
		if (op_decode(apply->payload + position, apply->size - position,
			      &op) != 0)
			break;
		position += op.head.size;
		if (op.head.key_size == 0)
			continue;
		keys[count] = (struct key){op.key, op.head.key_size};
		leaves[count] =
			tree_warm_leaf(&store->map, &store->keys, keys[count]);
		count++;
	}
	for (i = 0; i < count; i++)
		tree_warm_item(&store->map, leaves[i], keys[i]);
}

/* An operation under its session: 1 when it is in the middle of its work. */
static int run(struct store *store, const struct op *op, uint32_t *budget,
	       struct store_result *ret_result)
{
	struct session *session = NULL;

	if (store->apply.deleting) {
		session = session_of(store, op->head.session);
	} else if (op_has_session(op)) {
		if (session_admit(store, op, &session, ret_result) == 0)
			return 0;
	} else if (store->apply.kind == ENTRY_NORMAL) {
		*ret_result = (struct store_result){
			.status = CONCLAVE_EBADREQ,
			.revision = store->revision,
		};
		return 0;
	}
	if (execute(store, op, budget, ret_result) != 0)
		return 1;
	if (session != NULL)
		session_record(store, session, op->head.sequence, ret_result);
	return 0;
}

/* Whether an entry of this kind may hold an operation of that type. */
static bool kind_holds(uint32_t kind, uint8_t type)
{
	if (kind == ENTRY_SETTING)
		return type == OP_SETTING;
	if (kind == ENTRY_COMPACTION)
		return type == OP_COMPACT;
	if (entry_is_conf(kind))
		return type == OP_MEMBER;
	return kind == ENTRY_NORMAL && type != OP_MEMBER;
}

/* The next operation of the entry: 1 when it is in the middle. */
static int step(struct store *store, uint32_t *budget)
{
	struct apply *apply = &store->apply;
	struct store_result *result = &results(store)[apply->op_next];
	struct op op = {0};
	int error;

	(void)budget_spend(budget, 1); /* one at least, whatever it is */
	if (apply->op_next >= apply->op_warm && !apply->deleting &&
	    *budget > 0) {
		apply->op_warm = apply->op_next + APPLY_GROUP;
		warm(store);
	}
	error = op_decode(apply->payload + apply->position,
			  apply->size - apply->position, &op);
	if (error == 0 && !kind_holds(apply->kind, op.head.type))
		error = CONCLAVE_EBADREQ;
	if (error == 0) {
		if (run(store, &op, budget, result) != 0)
			return 1;
		apply->position += op.head.size;
	} else {
		*result = (struct store_result){
			.status = error,
			.revision = store->revision,
		};
		apply->position = apply->size;
	}
	apply->op_next++;
	return 0;
}

static void apply_session(struct store *store)
{
	struct apply *apply = &store->apply;
	struct store_result *result = results(store);
	struct op_session entry;

	if (apply->size == sizeof(entry)) {
		memcpy(&entry, apply->payload, sizeof(entry));
		session_entry(store, apply->kind, &entry, result);
	} else {
		*result = (struct store_result){
			.status = CONCLAVE_EBADREQ,
			.revision = store->revision,
		};
	}
	apply->op_next = 1;
}

static bool is_session_kind(uint32_t kind)
{
	return kind >= ENTRY_SESSION_RESUME && kind <= ENTRY_SESSION_DROP;
}

/* The operation stands behind the changes. */
static void begin_conf(struct apply *apply)
{
	if (apply->size == 0 ||
	    raft_conf_decode(apply->kind, apply->payload, apply->size,
			     &apply->changes) != 0)
		return;
	apply->position = (uint32_t)raft_conf_size(apply->changes.count);
	apply->op_count = 1;
}

void store_apply_refuse(struct store *store, int32_t status)
{
	assert(store->apply.active && store->apply.op_next == 0);
	store->apply.refused = status;
}

void store_apply_begin(struct store *store, const struct raft_entry *entry)
{
	struct apply *apply = &store->apply;
	struct entry_header head;

	assert(!apply->active && entry->data != NULL);
	assert(entry->index == store->applied + 1);
	memcpy(&head, entry->data, sizeof(head));
	apply->active = true;
	apply->deleting = false;
	apply->kind = entry->kind;
	apply->size = entry->size;
	apply->payload = entry_payload(entry->data);
	apply->position = 0;
	apply->op_next = 0;
	apply->op_warm = 0;
	apply->op_count = 0;
	apply->index = entry->index;
	store->result_count = 0;
	if (entry->kind == ENTRY_NORMAL)
		apply->op_count = head.op_count < OP_ENTRY_OPS_MAX
					  ? head.op_count
					  : OP_ENTRY_OPS_MAX;
	else if (entry->kind == ENTRY_SETTING ||
		 entry->kind == ENTRY_COMPACTION ||
		 is_session_kind(entry->kind))
		apply->op_count = 1;
	apply->refused = 0;
	if (entry_is_conf(entry->kind))
		begin_conf(apply);
}

int store_apply(struct store *store, uint32_t budget)
{
	struct apply *apply = &store->apply;

	assert(apply->active);
	while (apply->op_next < apply->op_count) {
		if (budget == 0 || compact_for_room(store, &budget) != 0)
			return 1;
		if (is_session_kind(apply->kind))
			apply_session(store);
		else
			(void)step(store, &budget); /* the budget will tell */
	}
	apply->active = false;
	apply->payload = NULL;
	store->result_count = apply->op_count;
	store->applied = apply->index;
	return 0;
}

const struct store_result *store_results(const struct store *store,
					 uint32_t *ret_count)
{
	assert(!store->apply.active);
	*ret_count = store->result_count;
	return mapping_see(&store->map, store->results);
}
