/*
 * The members of the cluster: who they are, changing them, moving leadership
 * among them, and the state by which they can be compared.
 */
#ifndef SHM_MEMBERS_H
#define SHM_MEMBERS_H

#include "shm/pages.h"

/* ---- saying what it is ---- */

/* A change of member `id`; `limit` says which. */
static inline void cv_prep_change(struct conclave_req *req,
				  enum cv_member_change change, uint64_t id,
				  const char *address)
{
	cv_prep(req, CV_MEMBER, address,
		address != NULL ? strlen(address) : (size_t)0);
	req->argument = id;
	req->limit = (uint32_t)change;
}

CONCLAVE_DEF void conclave_prep_member_add(struct conclave_req *req,
					   uint64_t id, const char *address)
{
	cv_prep_change(req, CV_MEMBER_ADD, id, address);
}

CONCLAVE_DEF void conclave_prep_member_promote(struct conclave_req *req,
					       uint64_t id)
{
	cv_prep_change(req, CV_MEMBER_PROMOTE, id, NULL);
}

CONCLAVE_DEF void conclave_prep_member_remove(struct conclave_req *req,
					      uint64_t id)
{
	cv_prep_change(req, CV_MEMBER_REMOVE, id, NULL);
}

CONCLAVE_DEF void conclave_prep_member_update(struct conclave_req *req,
					      uint64_t id, const char *address)
{
	cv_prep_change(req, CV_MEMBER_UPDATE, id, address);
}

CONCLAVE_DEF void conclave_prep_member_replace(struct conclave_req *req,
					       uint64_t id, uint64_t by)
{
	cv_prep_change(req, CV_MEMBER_REPLACE, id, NULL);
	req->other = by;
	req->value = &req->other;
	req->value_size = sizeof(req->other);
}

CONCLAVE_DEF void conclave_prep_members(struct conclave_req *req)
{
	cv_prep(req, CV_MEMBERS, NULL, 0);
	req->reply_room = CV_ROOM_MEMBERS;
}

CONCLAVE_DEF void conclave_prep_state(struct conclave_req *req)
{
	cv_prep(req, CV_STATE, NULL, 0);
	req->reply_room = sizeof(struct cv_state);
}

CONCLAVE_DEF void conclave_prep_move_leader(struct conclave_req *req,
					    uint64_t id)
{
	cv_prep(req, CV_MOVE, NULL, 0);
	req->argument = id;
}

CONCLAVE_DEF void conclave_prep_image(struct conclave_req *req, uint64_t index)
{
	cv_prep(req, CV_IMAGE, NULL, 0);
	req->argument = index;
	req->reply_room = CV_ROOM_IMAGE;
}

/* ---- changes, waited for ---- */

static inline int cv_call_change(struct conclave *c,
				 enum cv_member_change change, uint64_t id,
				 const char *address)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;

	if (req == NULL)
		return cv_call_none(c);
	cv_prep_change(req, change, id, address);
	return cv_call_short(c, req, &result);
}

CONCLAVE_DEF int conclave_member_add(struct conclave *c, uint64_t id,
				     const char *address)
{
	return cv_call_change(c, CV_MEMBER_ADD, id, address);
}

CONCLAVE_DEF int conclave_member_promote(struct conclave *c, uint64_t id)
{
	return cv_call_change(c, CV_MEMBER_PROMOTE, id, NULL);
}

CONCLAVE_DEF int conclave_member_remove(struct conclave *c, uint64_t id)
{
	return cv_call_change(c, CV_MEMBER_REMOVE, id, NULL);
}

CONCLAVE_DEF int conclave_member_update(struct conclave *c, uint64_t id,
					const char *address)
{
	return cv_call_change(c, CV_MEMBER_UPDATE, id, address);
}

CONCLAVE_DEF int conclave_member_replace(struct conclave *c, uint64_t id,
					 uint64_t by)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_member_replace(req, id, by);
	return cv_call_short(c, req, &result);
}

CONCLAVE_DEF int conclave_move_leader(struct conclave *c, uint64_t id)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_move_leader(req, id);
	return cv_call_short(c, req, &result);
}

/* ---- the state of the store ---- */

CONCLAVE_DEF int conclave_result_state(const struct conclave_result *result,
				       struct cv_state *ret_state)
{
	if (result->reply == NULL || result->reply_size < sizeof(*ret_state))
		return CONCLAVE_EPROTO;
	cv_copy(ret_state, result->reply, sizeof(*ret_state));
	return 0;
}

CONCLAVE_DEF int conclave_state(struct conclave *c, struct cv_state *ret_state)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;
	int status;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_state(req);
	status = cv_call(c, req, &result);
	if (status != 0)
		return status;
	status = conclave_result_state(&result, ret_state);
	cv_req_release(c, req);
	return status;
}

CONCLAVE_DEF int conclave_find_image(struct conclave *c, uint64_t index,
				     struct conclave_image *ret_image)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;
	struct cv_image image;
	const char *text;
	int status;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_image(req, index);
	status = cv_call(c, req, &result);
	if (status != 0)
		return status;
	memset(ret_image, 0, sizeof(*ret_image));
	status = CONCLAVE_EPROTO;
	if (result.reply != NULL && result.reply_size >= sizeof(image)) {
		cv_copy(&image, result.reply, sizeof(image));
		text = (const char *)result.reply + sizeof(image);
		if (image.folder_size < sizeof(ret_image->folder) &&
		    image.name_size < sizeof(ret_image->name) &&
		    result.reply_size - sizeof(image) >=
			    (size_t)image.folder_size + image.name_size)
			status = 0;
	}
	if (status == 0) {
		ret_image->index = image.index;
		ret_image->term = image.term;
		ret_image->applied = image.applied;
		cv_copy(ret_image->folder, text, image.folder_size);
		cv_copy(ret_image->name, text + image.folder_size,
			image.name_size);
	}
	cv_req_release(c, req);
	return status;
}

/* ---- the list of members ---- */

CONCLAVE_DEF int conclave_member_next(struct conclave_member *member)
{
	const uint8_t *at = member->cv_rest;
	uint64_t size, left = member->cv_rest_size;
	struct cv_member head;

	if (left == 0 || at == NULL)
		return 0;
	if (left < sizeof(head))
		return CONCLAVE_EPROTO;
	cv_copy(&head, at, sizeof(head));
	size = sizeof(head) + (uint64_t)head.address_size;
	size = (size + 7) & ~(uint64_t)7;
	if (size > left)
		return CONCLAVE_EPROTO;
	member->id = head.id;
	member->match = head.match;
	member->flags = head.flags;
	member->address_size = head.address_size;
	member->address = (const char *)(at + sizeof(head));
	member->cv_rest = at + size;
	member->cv_rest_size = (uint32_t)(left - size);
	return 1;
}

CONCLAVE_DEF int conclave_member_first(const struct conclave_result *result,
				       struct conclave_member *ret_member)
{
	memset(ret_member, 0, sizeof(*ret_member));
	ret_member->cv_rest = (const uint8_t *)result->reply;
	if (result->reply != NULL)
		ret_member->cv_rest_size = result->reply_size;
	return conclave_member_next(ret_member);
}

/* Asks; a list that is larger than the usual room gets what it takes. */
static inline int cv_members_read(struct conclave_members *members,
				  struct conclave_result *ret_result)
{
	uint32_t most = members->c->rooms.count * CV_ROOM_MIN;
	uint32_t room = CV_ROOM_MEMBERS;
	struct conclave_req *req;
	int status;

	if (room > most)
		room = most;
	for (;;) {
		req = cv_call_begin(members->c);
		if (req == NULL)
			return cv_call_none(members->c);
		conclave_prep_members(req);
		conclave_req_set_reply_room(req, room);
		status = cv_call(members->c, req, ret_result);
		if (status == 0)
			break;
		if (status != CONCLAVE_ETOOSMALL ||
		    ret_result->reply_size <= room ||
		    ret_result->reply_size > most)
			return status;
		room = ret_result->reply_size;
	}
	members->cv_req = req;
	return 0;
}

CONCLAVE_DEF int conclave_members_begin(struct conclave *c,
					struct conclave_members *ret_members)
{
	struct conclave_member *last = &ret_members->cv_last;
	struct conclave_result result;
	int status;

	memset(ret_members, 0, sizeof(*ret_members));
	ret_members->c = c;
	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	status = cv_members_read(ret_members, &result);
	if (status != 0)
		return status;
	ret_members->count = result.aux;
	last->cv_rest = (const uint8_t *)result.reply;
	if (result.reply != NULL)
		last->cv_rest_size = result.reply_size;
	return 0;
}

CONCLAVE_DEF int conclave_members_next(struct conclave_members *members,
				       struct conclave_member *ret_member)
{
	int status;

	if (cv_forked(members->c))
		return CONCLAVE_EFORKED;
	status = conclave_member_next(&members->cv_last);
	if (status == 1)
		*ret_member = members->cv_last;
	return status;
}

CONCLAVE_DEF void conclave_members_end(struct conclave_members *members)
{
	if (members->cv_req != NULL)
		conclave_abandon(members->c, members->cv_req);
	members->cv_req = NULL;
	members->cv_last.cv_rest_size = 0;
}

#endif
