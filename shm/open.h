/*
 * The beginning and the end of a handle, and what it knows. All memory is
 * taken here: the handle itself, a page that a child finds empty, and, when
 * the daemon has said how large, the arrays of requests and rooms.
 */
#ifndef SHM_OPEN_H
#define SHM_OPEN_H

#include "shm/pages.h"

CONCLAVE_DEF void conclave_options_init(struct conclave_options *options)
{
	memset(options, 0, sizeof(*options));
	options->spin_us = CONCLAVE_SPIN_ADAPTIVE;
}

/* ---- where the daemon may be ---- */

/* Appends `text` to a path of `size` bytes so far; 0 when it is too long. */
static inline size_t cv_path_add(char *path, size_t size, const char *text)
{
	size_t more = strlen(text);

	if (size == 0 || size + more > CV_PATH_SIZE)
		return 0;
	memcpy(path + size - 1, text, more + 1);
	return size + more;
}

static inline int cv_path_make(struct conclave *c, const char *folder,
			       const char *subfolder, const char *cluster)
{
	char *path = c->paths[c->path_count];
	size_t size = 1;

	path[0] = 0;
	size = cv_path_add(path, size, folder);
	size = cv_path_add(path, size, subfolder);
	size = cv_path_add(path, size, cluster);
	size = cv_path_add(path, size, cluster[0] != 0 ? ".sock" : "");
	if (size == 0)
		return -ENAMETOOLONG;
	c->path_count++;
	return 0;
}

static inline int cv_paths_make(struct conclave *c,
				const struct conclave_options *options)
{
	const char *cluster = options->cluster, *path = options->socket;
	int status;

	if (path == NULL)
		path = cv_env_variable("CONCLAVE_SOCKET");
	if (path != NULL && path[0] != 0)
		return cv_path_make(c, path, "", "");
	if (cluster == NULL || cluster[0] == 0)
		cluster = "default";
	if (strchr(cluster, '/') != NULL)
		return -EINVAL;
	status = cv_path_make(c, "/run/conclave", "/", cluster);
	path = cv_env_variable("XDG_RUNTIME_DIR");
	if (status == 0 && path != NULL && path[0] == '/')
		status = cv_path_make(c, path, "/conclave/", cluster);
	return status;
}

/* ---- memory ---- */

static inline void cv_handle_init(struct conclave *c,
				  const struct conclave_options *options)
{
	uint64_t spin_us = options->spin_us;
	size_t i;

	for (i = 0; i < CV_LISTS; i++) {
		c->lists[i].first = CV_NONE;
		c->lists[i].last = CV_NONE;
	}
	if (options->spin_us == CONCLAVE_SPIN_ADAPTIVE)
		spin_us = cv_env_cpus() > 1 ? CV_SPIN_DEFAULT_US : 0;
	c->spin_max_ns = spin_us * 1000;
	c->spin_ns = options->spin_us == CONCLAVE_SPIN_FOREVER ? UINT64_MAX
							       : c->spin_max_ns;
	c->timeout_ns = (uint64_t)CV_TIMEOUT_DEFAULT_MS * CV_MS;
	if (options->timeout_ms != 0)
		c->timeout_ns = (uint64_t)options->timeout_ms * CV_MS;
	c->flags = options->flags;
	c->trusted_uid = options->trusted_uid;
	c->gather = -1;
	c->wish.slots = options->slots;
	c->wish.request_max = options->request_max;
	c->wish.proposal_size = options->proposal_size;
	c->wish.control_size = options->control_size;
	c->wish.reply_size = options->reply_size;
	c->link.socket = -1;
	c->link.doorbell = -1;
	c->link.completion = -1;
	c->link.backoff_ns = CV_BACKOFF_MIN_NS;
	cv_window_init(&c->window);
	for (i = 0; options->name != NULL && options->name[i] != 0 &&
		    i < CV_NAME_SIZE - 1;
	     i++)
		c->name[i] = options->name[i];
}

/* Everything that depends on the granted geometry. */
static inline int cv_handle_allocate(struct conclave *c)
{
	uint32_t slots = c->wish.slots;
	size_t places = cv_rooms_places(c->wish.reply_size), reqs, links;
	uint8_t *base;
	uint32_t i;

	reqs = slots * sizeof(struct conclave_req);
	links = places * sizeof(struct cv_room_link);
	c->arrays_size = reqs + links + places;
	base = (uint8_t *)cv_env_memory(c->arrays_size, 0);
	if (base == NULL)
		return -ENOMEM;
	c->arrays = base;
	c->reqs = (struct conclave_req *)(void *)base;
	c->rooms.links = (struct cv_room_link *)(void *)(base + reqs);
	c->rooms.order = base + reqs + links;
	cv_rooms_init(&c->rooms, c->wish.reply_size);
	c->slot_count = slots;
	for (i = 0; i < slots; i++) {
		c->reqs[i].slot = i;
		c->reqs[i].seat = CV_SEATS;
		cv_list_push(c, &c->reqs[i], CV_LIST_FREE);
	}
	return 0;
}

static inline void cv_handle_free(struct conclave *c)
{
	cv_env_unmap(c->arrays, c->arrays_size);
	cv_env_unmap(c->mark_page, CV_PAGE);
	cv_env_unmap(c, sizeof(*c));
}

/* ---- open and close ---- */

/* Nothing will make it better to try again. */
static inline int cv_open_final(int status)
{
	return status != CONCLAVE_ESTOPPED && status != CONCLAVE_ENOLEADER &&
	       status != -EAGAIN;
}

static inline int cv_open_connect(struct conclave *c, uint32_t wait_ms)
{
	uint64_t start = cv_env_now();
	uint64_t there = cv_after(start, (uint64_t)wait_ms * CV_MS);
	uint64_t until;
	int status;

	for (;;) {
		status = cv_link_step(c);
		if (status == 0)
			return 0;
		/* It is there, if busy: as long as for any other answer. */
		if (c->link_state == CV_LINK_GREETING || status == -EAGAIN)
			until = cv_after(there, c->timeout_ns);
		else if (cv_open_final(status))
			return status;
		else
			until = there;
		if (cv_env_now() >= until)
			return status == -EAGAIN ? CONCLAVE_ESTOPPED : status;
		if (cv_link_pause(c, until) != 0 &&
		    (c->flags & CONCLAVE_INTERRUPTIBLE) != 0)
			return -EINTR;
	}
}

CONCLAVE_DEF void conclave_close(struct conclave *c)
{
	struct cv_bye bye;
	uint32_t i;

	if (c == NULL)
		return;
	if (!cv_forked(c)) {
		bye.magic = CV_MAGIC_HELLO;
		bye.size = sizeof(bye);
		/* A daemon that does not hear it sees the socket close. */
		if (c->link_state == CV_LINK_UP)
			(void)!cv_env_send(c->link.socket, &bye, sizeof(bye));
		cv_link_unmap_up(c);
		cv_link_unmap_down(c);
		for (i = 0; i < CV_SEATS; i++)
			cv_env_unmap(c->seats[i].base, c->seats[i].size);
	}
	/* In a child the maps are not there, but the descriptors are. */
	cv_link_close_fds(c);
	cv_env_close(c->gather);
	cv_handle_free(c);
}

CONCLAVE_DEF int conclave_open(struct conclave **ret_conclave,
			       const struct conclave_options *options)
{
	struct conclave_options defaults;
	struct conclave *c;
	int status;

	if (options == NULL) {
		conclave_options_init(&defaults);
		options = &defaults;
	}
	c = (struct conclave *)cv_env_memory(sizeof(*c), 0);
	if (c == NULL)
		return -ENOMEM;
	cv_handle_init(c, options);
	c->mark_page = (uint64_t *)cv_env_memory(CV_PAGE, 1);
	c->mark = c->mark_page;
	if (c->mark_page == NULL) {
		cv_handle_free(c);
		return -ENOMEM;
	}
	*c->mark_page = 1;
	status = cv_paths_make(c, options);
	if (status == 0)
		status = cv_session_renew(c);
	if (status == 0)
		status = cv_open_connect(c, options->open_wait_ms);
	if (status == 0)
		status = cv_handle_allocate(c);
	if (status != 0) {
		conclave_close(c);
		return status;
	}
	*ret_conclave = c;
	return 0;
}

/* ---- what is known ---- */

CONCLAVE_DEF int conclave_status(struct conclave *c,
				 struct cv_status *ret_status)
{
	const uint64_t *from;
	uint64_t words[sizeof(struct cv_status) / sizeof(uint64_t)];
	size_t i;

	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	if (cv_look_is_due(c))
		cv_look(c); /* the page of a dead daemon stays mapped */
	if (c->link_state != CV_LINK_UP)
		return -ENOTCONN;
	from = (const uint64_t *)(const void *)c->link.status;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = cv_load_relaxed64(&from[i]);
	memcpy(ret_status, words, sizeof(words));
	return 0;
}

CONCLAVE_DEF uint64_t conclave_revision(const struct conclave *c)
{
	return c->revision;
}

CONCLAVE_DEF void conclave_session_id(const struct conclave *c,
				      uint8_t ret_id[16])
{
	memcpy(ret_id, c->session, sizeof(c->session));
}

CONCLAVE_DEF uint32_t conclave_slots(const struct conclave *c)
{
	return c->slot_count;
}

CONCLAVE_DEF int conclave_link_error(const struct conclave *c)
{
	return c->link_state == CV_LINK_UP ? 0 : c->link.error;
}

#endif
