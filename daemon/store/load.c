/*
 * The stream of an image (image.h). Pieces are cut anywhere, so what comes
 * before a value is put together on a stage; values go straight to their
 * version. Everything is checked before it is believed; after the first
 * error the store is good for nothing but to be made anew.
 */
#include "daemon/store/load.h"

#include <errno.h>
#include <string.h>

#include "daemon/store/state.h"

enum {
	RECORD_HEAD = 8, /* size and type */
};

/* The size of a record's part that is always there; 0: no such type. */
static uint32_t fixed_size(uint32_t type)
{
	switch (type) {
	case IMAGE_TYPE_HEAD:
		return sizeof(struct image_head);
	case IMAGE_TYPE_MEMBER:
		return sizeof(struct image_member);
	case IMAGE_TYPE_SESSION:
		return sizeof(struct image_session);
	case IMAGE_TYPE_RESULT:
		return sizeof(struct image_result);
	case IMAGE_TYPE_BASE:
	case IMAGE_TYPE_LOG:
		return sizeof(struct image_version);
	case IMAGE_TYPE_END:
		return sizeof(struct image_end);
	default:
		return 0;
	}
}

static bool is_version(uint32_t type)
{
	return type == IMAGE_TYPE_BASE || type == IMAGE_TYPE_LOG;
}

static uint32_t stage_type(const struct load *load)
{
	uint32_t type;

	memcpy(&type, load->stage + sizeof(uint32_t), sizeof(type));
	return type;
}

static uint32_t stage_record_size(const struct load *load)
{
	uint32_t size;

	memcpy(&size, load->stage, sizeof(size));
	return size;
}

/* How much must lie on the stage before the next step. */
static uint32_t stage_goal(const struct load *load)
{
	uint32_t fixed;

	if (load->stage_size < RECORD_HEAD)
		return RECORD_HEAD;
	fixed = fixed_size(stage_type(load));
	if (load->stage_size < fixed || !is_version(stage_type(load)))
		return fixed;
	return fixed + load->version.key_size;
}

static bool version_sizes_are_valid(const struct image_version *head)
{
	return head->key_size > 0 && head->key_size <= OP_KEY_MAX &&
	       head->value_size <= OP_VALUE_MAX &&
	       head->size ==
		       image_version_size(head->key_size, head->value_size);
}

/* A record without a value is whole. */
static int take_record(struct store *store)
{
	struct load *load = &store->load;
	uint32_t type = stage_type(load);
	int error;

	if (type != IMAGE_TYPE_END) {
		load->digest =
			hash_more(load->digest, load->stage, fixed_size(type));
		load->records++;
	}
	load->member_due = type == IMAGE_TYPE_HEAD ||
			   (type == IMAGE_TYPE_MEMBER && load->member_due);
	switch (type) {
	case IMAGE_TYPE_HEAD:
		error = load_head(store, load->stage);
		break;
	case IMAGE_TYPE_MEMBER:
		/* They stand between the head and all else. */
		error = load->member_due ? load_member(store, load->stage)
					 : -EBADMSG;
		load->stage_size = 0;
		return error;
	case IMAGE_TYPE_SESSION:
		error = load_session(store, load->stage);
		break;
	case IMAGE_TYPE_RESULT:
		error = load_result(store, load->stage);
		break;
	case IMAGE_TYPE_END:
		error = load_finish(store, load->stage);
		break;
	default:
		return load_version_begin(store);
	}
	load->phase = type;
	load->stage_size = 0;
	return error;
}

/* The stage has reached its goal: another goal, or a record. */
static int take_stage(struct store *store)
{
	struct load *load = &store->load;
	uint32_t type = stage_type(load), fixed = fixed_size(type);

	if (load->stage_size == RECORD_HEAD) {
		if (fixed == 0 || stage_record_size(load) < fixed ||
		    (!is_version(type) && stage_record_size(load) != fixed))
			return -EBADMSG;
		return 0;
	}
	if (load->stage_size == fixed && is_version(type)) {
		memcpy(&load->version, load->stage, sizeof(load->version));
		return version_sizes_are_valid(&load->version) ? 0 : -EBADMSG;
	}
	return take_record(store);
}

static bool all_zero(const uint8_t *bytes, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < size; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

/* Takes of a version's value, and the zeros behind it, what there is. */
static int take_body(struct store *store, const uint8_t *bytes, uint32_t size,
		     uint32_t *ret_taken)
{
	struct load *load = &store->load;
	const struct image_version *head = &load->version;
	uint32_t total = head->size - (uint32_t)sizeof(*head) - head->key_size;
	uint32_t left = total - load->body_done, value = 0;

	if (size > left)
		size = left;
	if (load->body_done < head->value_size)
		value = head->value_size - load->body_done;
	if (value > size)
		value = size;
	if (value > 0)
		version_write(&store->map, version_at(&store->map, load->body),
			      head->key_size + load->body_done, bytes, value);
	if (!all_zero(bytes + value, size - value))
		return -EBADMSG;
	load->body_done += size;
	*ret_taken = size;
	if (load->body_done < total)
		return 0;
	load->phase = head->type;
	load->stage_size = 0;
	return load_version_end(store);
}

static int take(struct store *store, const uint8_t *bytes, uint32_t size,
		uint32_t *ret_taken)
{
	struct load *load = &store->load;
	uint32_t goal;

	if (load->ended)
		return -EBADMSG;
	if (load->in_body)
		return take_body(store, bytes, size, ret_taken);
	goal = stage_goal(load);
	assert(goal > load->stage_size && goal <= LOAD_STAGE);
	if (size > goal - load->stage_size)
		size = goal - load->stage_size;
	memcpy(load->stage + load->stage_size, bytes, size);
	load->stage_size += size;
	*ret_taken = size;
	return load->stage_size == goal ? take_stage(store) : 0;
}

int store_load(struct store *store, const void *piece, uint32_t size)
{
	struct load *load = &store->load;
	const uint8_t *bytes = piece;
	uint32_t taken = 0, none;
	int error = load->broken ? -EBADMSG : 0;

	assert(store->applied == 0 || load->ended);
	while (size > 0 && error == 0) {
		error = take(store, bytes, size, &taken);
		bytes += taken;
		size -= taken;
		/* A version may have neither value nor zeros to come. */
		if (error == 0 && load->in_body)
			error = take_body(store, bytes, 0, &none);
	}
	load->broken = error != 0;
	return error;
}

int store_load_end(struct store *store)
{
	return store->load.ended && !store->load.broken ? 0 : -EBADMSG;
}

int store_image_settings(const void *piece, uint32_t size,
			 struct store_settings *ret_settings)
{
	struct store_settings settings = {0};
	struct image_head head;
	uint32_t i;

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, piece, sizeof(head));
	if (head.size != sizeof(head) || head.type != IMAGE_TYPE_HEAD ||
	    head.magic != IMAGE_MAGIC)
		return -EBADMSG;
	if (head.format > STORE_FORMAT)
		return -EPROTO;
	if (head.format != STORE_FORMAT || head.setting_count != SETTING_COUNT)
		return -EBADMSG;
	for (i = 0; i < SETTING_COUNT; i++)
		setting_put(&settings, i, head.settings[i].value);
	if (setting_is_of_newer(&settings))
		return -EPROTO;
	if (!setting_are_valid(&settings))
		return -EBADMSG;
	*ret_settings = settings;
	return 0;
}
