/*
 * Records of replies, the get, and walks over a range page by page. The bytes
 * of a reply are the daemon's: sizes are checked against the reply before
 * anything is pointed at.
 */
#ifndef SHM_PAGES_H
#define SHM_PAGES_H

#include "shm/calls.h"

/* ---- records ---- */

CONCLAVE_DEF int conclave_record_next(struct conclave_kv *kv)
{
	const uint8_t *at = kv->cv_rest;
	uint64_t size, left = kv->cv_rest_size;
	struct cv_record record;

	if (left == 0 || at == NULL)
		return 0;
	if (at == NULL || left < sizeof(record))
		return CONCLAVE_EPROTO;
	cv_copy(&record, at, sizeof(record));
	size = sizeof(record) + (uint64_t)record.key_size + record.value_size;
	size = (size + 7) & ~(uint64_t)7;
	if (size > left)
		return CONCLAVE_EPROTO;
	kv->key = at + sizeof(record);
	kv->value = kv->key + record.key_size;
	kv->key_size = record.key_size;
	kv->value_size = record.value_size;
	kv->create_revision = record.create_revision;
	kv->mod_revision = record.mod_revision;
	kv->version = record.version;
	kv->lease = record.lease;
	kv->cv_rest = at + size;
	kv->cv_rest_size = (uint32_t)(left - size);
	return 1;
}

CONCLAVE_DEF int conclave_record_first(const struct conclave_result *result,
				       struct conclave_kv *ret_kv)
{
	memset(ret_kv, 0, sizeof(*ret_kv));
	ret_kv->cv_rest = (const uint8_t *)result->reply;
	if (result->reply != NULL)
		ret_kv->cv_rest_size = result->reply_size;
	return conclave_record_next(ret_kv);
}

/* ---- get ---- */

/* Room for the record of one key, as much as there can be. */
static inline uint32_t cv_get_room(const struct conclave *c, size_t key_size,
				   size_t room)
{
	uint64_t most = (uint64_t)c->rooms.count * CV_ROOM_MIN;
	uint64_t size = sizeof(struct cv_record) + key_size + 8;

	size = room > most ? most : size + room;
	return (uint32_t)(size > most ? most : size);
}

/* The one record of a reply, its value copied. */
static inline int cv_get_take(const struct conclave_result *result,
			      void *buffer, size_t room,
			      struct conclave_kv *ret_kv)
{
	int status = conclave_record_first(result, ret_kv);

	if (status <= 0)
		return status == 0 ? CONCLAVE_ENOTFOUND : status;
	if (ret_kv->value_size > room)
		return CONCLAVE_ETOOSMALL;
	if (buffer != NULL)
		cv_copy(buffer, ret_kv->value, ret_kv->value_size);
	return 0;
}

CONCLAVE_DEF int conclave_get(struct conclave *c, const void *key,
			      size_t key_size, void *buffer, size_t room,
			      struct conclave_kv *ret_kv)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;
	struct conclave_kv kv;
	int status;

	if (req == NULL)
		return cv_call_none(c);
	memset(&kv, 0, sizeof(kv));
	memset(&result, 0, sizeof(result));
	conclave_prep_get(req, key, key_size);
	conclave_req_set_reply_room(req, cv_get_room(c, key_size, room));
	if (buffer == NULL)
		conclave_req_set_flags(req, CV_KEYS_ONLY);
	status = cv_call(c, req, &result);
	if (status == 0) {
		status = cv_get_take(&result, buffer, room, &kv);
		cv_req_release(c, req);
	} else if (status == CONCLAVE_ETOOSMALL) {
		kv.value_size = result.reply_size;
	}
	if (ret_kv == NULL)
		return status;
	*ret_kv = kv;
	ret_kv->key = (const uint8_t *)key;
	ret_kv->key_size = (uint32_t)key_size;
	ret_kv->value = (const uint8_t *)buffer;
	ret_kv->cv_rest_size = 0;
	return status;
}

/* ---- walks ---- */

CONCLAVE_DEF size_t conclave_prefix_end(const void *prefix, size_t prefix_size,
					uint8_t *ret_end)
{
	size_t size = prefix_size;

	if (size != 0)
		memcpy(ret_end, prefix, size);
	while (size > 0 && ret_end[size - 1] == 0xff)
		size--;
	if (size > 0) {
		ret_end[size - 1]++;
		return size;
	}
	ret_end[0] = 0; /* nothing is above: all from the prefix on */
	return 1;
}

/* The least key above `kv`'s into the walk's own memory; 0 when there can be
 * none. A longest key has no longer one behind it. */
static inline size_t cv_pages_above(struct conclave_pages *pages,
				    const struct conclave_kv *kv)
{
	size_t size = kv->key_size;

	if (size > CV_KEY_MAX)
		return 0;
	cv_copy(pages->cv_key, kv->key, size);
	if (size < CV_KEY_MAX) {
		pages->cv_key[size] = 0;
		return size + 1;
	}
	while (size > 0 && pages->cv_key[size - 1] == 0xff)
		size--;
	if (size > 0)
		pages->cv_key[size - 1]++;
	return size;
}

static inline uint32_t cv_pages_room(const struct conclave_pages *pages)
{
	uint32_t most = pages->c->rooms.count * CV_ROOM_MIN;

	if ((pages->range.flags & CV_COUNT_ONLY) != 0)
		return 0;
	if (pages->range.page_size == 0)
		return most / 4;
	return pages->range.page_size < most ? pages->range.page_size : most;
}

/* Reads one page; a record that is larger than it gets what it takes. */
static inline int cv_pages_read(struct conclave_pages *pages,
				struct conclave_result *ret_result)
{
	uint32_t room = cv_pages_room(pages);
	struct conclave_req *req;
	int status;

	memset(ret_result, 0, sizeof(*ret_result));
	for (;;) {
		req = cv_call_begin(pages->c);
		if (req == NULL)
			return cv_call_none(pages->c);
		conclave_prep_range(req, &pages->range);
		conclave_req_set_reply_room(req, room);
		status = cv_call(pages->c, req, ret_result);
		if (status == 0)
			break;
		if (status != CONCLAVE_ETOOSMALL ||
		    ret_result->reply_size <= room)
			return status;
		room = ret_result->reply_size;
		if (room > pages->c->rooms.count * CV_ROOM_MIN)
			return status;
	}
	pages->cv_req = req;
	return 0;
}

/* Takes the page up, before its first record. */
static inline void cv_pages_take(struct conclave_pages *pages,
				 const struct conclave_result *result)
{
	struct conclave_kv *last = &pages->cv_last;

	pages->range.revision = result->revision;
	pages->more = (result->flags & CONCLAVE_RESULT_MORE) != 0;
	memset(last, 0, sizeof(*last));
	last->cv_rest = (const uint8_t *)result->reply;
	if (result->reply != NULL)
		last->cv_rest_size = result->reply_size;
}

static inline void cv_pages_leave(struct conclave_pages *pages)
{
	if (pages->cv_req != NULL)
		conclave_abandon(pages->c, pages->cv_req);
	pages->cv_req = NULL;
}

/* The page behind the last record: 1 when there is one. */
static inline int cv_pages_turn(struct conclave_pages *pages)
{
	struct conclave_result result;
	size_t size;
	int status;

	if (!pages->more || pages->cv_last.key == NULL)
		return 0;
	size = cv_pages_above(pages, &pages->cv_last);
	if (size == 0)
		return CONCLAVE_EPROTO;
	pages->range.key = pages->cv_key;
	pages->range.key_size = size;
	cv_pages_leave(pages);
	status = cv_pages_read(pages, &result);
	if (status != 0)
		return status;
	cv_pages_take(pages, &result);
	return 1;
}

CONCLAVE_DEF int conclave_range_begin(struct conclave *c,
				      const struct conclave_range *range,
				      struct conclave_pages *ret_pages)
{
	struct conclave_result result;
	int status;

	ret_pages->c = c;
	ret_pages->range = *range;
	ret_pages->count = 0;
	ret_pages->more = 0;
	ret_pages->cv_req = NULL;
	ret_pages->cv_done = 0;
	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	status = cv_pages_read(ret_pages, &result);
	if (status != 0)
		return status;
	ret_pages->count = result.aux;
	cv_pages_take(ret_pages, &result);
	return 0;
}

CONCLAVE_DEF int conclave_range_next(struct conclave_pages *pages,
				     struct conclave_kv *ret_kv)
{
	int status = 0;

	if (pages->cv_done)
		return 0;
	if (cv_forked(pages->c))
		return CONCLAVE_EFORKED;
	while (status == 0) {
		status = conclave_record_next(&pages->cv_last);
		if (status != 0)
			break;
		status = cv_pages_turn(pages);
		if (status <= 0)
			break;
		status = 0;
	}
	if (status <= 0) {
		pages->cv_done = 1;
		return status;
	}
	*ret_kv = pages->cv_last;
	if (pages->range.limit == 0)
		return 1;
	if (--pages->range.limit == 0) {
		pages->cv_done = 1;
		pages->more |= pages->cv_last.cv_rest_size != 0;
	}
	return 1;
}

CONCLAVE_DEF void conclave_range_end(struct conclave_pages *pages)
{
	cv_pages_leave(pages);
	pages->cv_done = 1;
}

#endif
