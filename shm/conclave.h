/*
 * Conclave's client, all of it: include this header, link nothing.
 *
 * A handle (struct conclave) is one connection of one thread to the daemon on
 * this host. Every request is made of the same steps:
 *
 *   get_req -> prep_... -> submit -> wait, poll or next -> finish
 *
 * and the synchronous calls are these steps, waited for. A handle belongs to
 * one thread at a time, a request to its handle. After fork() the child may
 * only close it: everything else gives CONCLAVE_EFORKED there. Nothing is
 * allocated after conclave_open(), nothing ever aborts or prints.
 *
 * Functions return 0 (or a count) or a negative code: -errno, or one of enum
 * conclave_error. conclave_error_kind() says for each what became of a write.
 *
 * A daemon that dies and comes back is found again, within the deadline of
 * whoever waits; what it had not answered is then settled as applied or as
 * CONCLAVE_ENOTAPPLIED. Nothing is ever applied twice.
 *
 * C11 with GNU declarations (-std=gnu11, or -D_GNU_SOURCE) and C++17. With
 * CONCLAVE_DEF defined as nothing, in one file, the functions are external.
 */
#ifndef SHM_CONCLAVE_H
#define SHM_CONCLAVE_H

#if defined(__STRICT_ANSI__) && !defined(_GNU_SOURCE)
#error "conclave.h needs GNU declarations: -std=gnu11 or -D_GNU_SOURCE"
#else

#include "shm/env.h"
#include "shm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- open and close ---- */

CONCLAVE_DEF void conclave_options_init(struct conclave_options *options);

/*
 * Connects. `options` NULL: all defaults; it is not kept. CONCLAVE_ESTOPPED
 * when no daemon is there, CONCLAVE_EPERM when it may not be reached,
 * CONCLAVE_EUNTRUSTED, CONCLAVE_EVERSION, or what the daemon refuses with.
 */
CONCLAVE_DEF int
conclave_open(struct conclave **ret_conclave,
	      const struct conclave_options *options) CV_MUST_USE;

/* Ends the session. Requests that are outstanding are forgotten, applied or
 * not; what replies lent is gone. NULL is fine. */
CONCLAVE_DEF void conclave_close(struct conclave *c);

/* ---- synchronous calls ---- */

/*
 * They wait until the handle's default deadline. A write that the death of a
 * daemon left unapplied is proposed again within it, a read is repeated. Keys
 * are 1 to CV_KEY_MAX bytes, keys and values any bytes. ret_... may be NULL.
 */
CONCLAVE_DEF int conclave_put(struct conclave *c, const void *key,
			      size_t key_size, const void *value,
			      size_t value_size,
			      uint64_t *ret_revision) CV_MUST_USE;

/* A key that is not there is deleted 0 times; that is no error. */
CONCLAVE_DEF int conclave_delete(struct conclave *c, const void *key,
				 size_t key_size, uint64_t *ret_count,
				 uint64_t *ret_revision) CV_MUST_USE;

/* Deletes key <= k < end; an end of one zero byte: all from key on. */
CONCLAVE_DEF int conclave_delete_range(struct conclave *c, const void *key,
				       size_t key_size, const void *end,
				       size_t end_size,
				       uint64_t *ret_count) CV_MUST_USE;

/*
 * Puts if the key's mod_revision is still *revision (0: if it is absent).
 * Then *revision is the new one; with CONCLAVE_ECOMPARE it is the one found.
 */
CONCLAVE_DEF int conclave_cas(struct conclave *c, const void *key,
			      size_t key_size, const void *value,
			      size_t value_size,
			      uint64_t *revision) CV_MUST_USE;

/*
 * Copies the value into `buffer`; ret_kv->key is `key`, ret_kv->value is
 * `buffer`. CONCLAVE_ENOTFOUND; CONCLAVE_ETOOSMALL when it does not fit: then
 * ret_kv->value_size says how much room is enough. With no buffer and room 0
 * all but the value is read.
 */
CONCLAVE_DEF int conclave_get(struct conclave *c, const void *key,
			      size_t key_size, void *buffer, size_t room,
			      struct conclave_kv *ret_kv) CV_MUST_USE;

/* One round trip to the daemon, and the revision there. */
CONCLAVE_DEF int conclave_ping(struct conclave *c,
			       uint64_t *ret_revision) CV_MUST_USE;

/* Makes history before `revision` unreadable. */
CONCLAVE_DEF int conclave_compact(struct conclave *c,
				  uint64_t revision) CV_MUST_USE;

/* Changes a replicated setting. Settings are read with conclave_range_begin()
 * and CV_SYSTEM. */
CONCLAVE_DEF int conclave_setting(struct conclave *c, const char *name,
				  const char *value) CV_MUST_USE;

/* ---- ranges, page by page, all at one revision ---- */

/*
 * Begins a walk and reads the first page. `range` is copied; its key and end
 * stay the caller's and must live as long as the walk. CONCLAVE_ECOMPACTED,
 * CONCLAVE_EFUTURE. On success conclave_range_end() must follow.
 */
CONCLAVE_DEF int
conclave_range_begin(struct conclave *c, const struct conclave_range *range,
		     struct conclave_pages *ret_pages) CV_MUST_USE;

/* 1 and the next record, lent until the next call; 0 when that was all. */
CONCLAVE_DEF int conclave_range_next(struct conclave_pages *pages,
				     struct conclave_kv *ret_kv) CV_MUST_USE;
CONCLAVE_DEF void conclave_range_end(struct conclave_pages *pages);

/*
 * The end of all keys that begin with `prefix`; written to ret_end, which has
 * room for prefix_size bytes and at least one. Returns its size.
 */
CONCLAVE_DEF size_t conclave_prefix_end(const void *prefix, size_t prefix_size,
					uint8_t *ret_end);

/* ---- members of the cluster ---- */

/*
 * Each is one entry of the log, with an identity like any write: it takes
 * effect once. CONCLAVE_EMEMBERSHIP: refused, and nothing is changed, because
 * the change does not fit who is a member now (the id is one already, is none
 * or was removed before; to be promoted, or to replace another, a learner must
 * have caught up), because the members that answer would be no majority then,
 * or because another change is under way. An address is "host:port", at most
 * 127 bytes; ids are never 0.
 */
/* As a learner, who gets everything and does not vote. */
CONCLAVE_DEF int conclave_member_add(struct conclave *c, uint64_t id,
				     const char *address) CV_MUST_USE;
/* A learner that has caught up becomes a voter. */
CONCLAVE_DEF int conclave_member_promote(struct conclave *c,
					 uint64_t id) CV_MUST_USE;
/* For ever: the id never becomes a member again. */
CONCLAVE_DEF int conclave_member_remove(struct conclave *c,
					uint64_t id) CV_MUST_USE;
CONCLAVE_DEF int conclave_member_update(struct conclave *c, uint64_t id,
					const char *address) CV_MUST_USE;
/* Removes `id` and promotes the learner `by`, in one step. */
CONCLAVE_DEF int conclave_member_replace(struct conclave *c, uint64_t id,
					 uint64_t by) CV_MUST_USE;

/*
 * Asks the leader to hand leadership to the voter `id`; begun, not over, when
 * this returns: conclave_status() says who leads. Nothing happens if that
 * member does not catch up within an election timeout. CONCLAVE_ENOTFOUND: no
 * such voter; CONCLAVE_ENOLEADER.
 */
CONCLAVE_DEF int conclave_move_leader(struct conclave *c,
				      uint64_t id) CV_MUST_USE;

/*
 * The members as the daemon on this host knows them, without asking others.
 * On success conclave_members_end() must follow.
 */
CONCLAVE_DEF int
conclave_members_begin(struct conclave *c,
		       struct conclave_members *ret_members) CV_MUST_USE;
/* 1 and the next member, its address lent until the end; 0: that was all. */
CONCLAVE_DEF int
conclave_members_next(struct conclave_members *members,
		      struct conclave_member *ret_member) CV_MUST_USE;
CONCLAVE_DEF void conclave_members_end(struct conclave_members *members);

/* What the store of the daemon on this host is: members that applied the same
 * index have the same hash. */
CONCLAVE_DEF int conclave_state(struct conclave *c,
				struct cv_state *ret_state) CV_MUST_USE;

/*
 * Where the newest image of the store lies on this host. If it was made before
 * index `index` was applied another is begun; ask again until there is one. For
 * backups: see conclavectl(1).
 */
CONCLAVE_DEF int
conclave_find_image(struct conclave *c, uint64_t index,
		    struct conclave_image *ret_image) CV_MUST_USE;

/* ---- asynchronous requests ---- */

/* A free request; NULL when all are in use. */
CONCLAVE_DEF struct conclave_req *conclave_get_req(struct conclave *c);

/*
 * Say what it is; each forgets what was said before. Keys and values are
 * borrowed until conclave_submit() has returned 0.
 */
CONCLAVE_DEF void conclave_prep_put(struct conclave_req *req, const void *key,
				    size_t key_size, const void *value,
				    size_t value_size);
CONCLAVE_DEF void conclave_prep_delete(struct conclave_req *req,
				       const void *key, size_t key_size);
CONCLAVE_DEF void conclave_prep_delete_range(struct conclave_req *req,
					     const void *key, size_t key_size,
					     const void *end, size_t end_size);
CONCLAVE_DEF void conclave_prep_cas(struct conclave_req *req, const void *key,
				    size_t key_size, const void *value,
				    size_t value_size, uint64_t revision);
CONCLAVE_DEF void conclave_prep_get(struct conclave_req *req, const void *key,
				    size_t key_size);
/* Of `range` all but page_size; one page, see conclave_req_set_reply_room. */
CONCLAVE_DEF void conclave_prep_range(struct conclave_req *req,
				      const struct conclave_range *range);
CONCLAVE_DEF void conclave_prep_ping(struct conclave_req *req);
CONCLAVE_DEF void conclave_prep_compact(struct conclave_req *req,
					uint64_t revision);
CONCLAVE_DEF void conclave_prep_setting(struct conclave_req *req,
					const char *name, const char *value);

/* Changes of members; see conclave_member_add() and those that follow it. */
CONCLAVE_DEF void conclave_prep_member_add(struct conclave_req *req,
					   uint64_t id, const char *address);
CONCLAVE_DEF void conclave_prep_member_promote(struct conclave_req *req,
					       uint64_t id);
CONCLAVE_DEF void conclave_prep_member_remove(struct conclave_req *req,
					      uint64_t id);
CONCLAVE_DEF void conclave_prep_member_update(struct conclave_req *req,
					      uint64_t id, const char *address);
CONCLAVE_DEF void conclave_prep_member_replace(struct conclave_req *req,
					       uint64_t id, uint64_t by);
CONCLAVE_DEF void conclave_prep_move_leader(struct conclave_req *req,
					    uint64_t id);
/* The reply is read with conclave_member_first(). */
CONCLAVE_DEF void conclave_prep_members(struct conclave_req *req);
/* The reply is read with conclave_result_state(). */
CONCLAVE_DEF void conclave_prep_state(struct conclave_req *req);
/* The reply is a struct cv_image. */
CONCLAVE_DEF void conclave_prep_image(struct conclave_req *req, uint64_t index);

/* After prep_...: how it is to be done. The deadline is CLOCK_MONOTONIC; 0 is
 * the handle's default, counted from submit. */
CONCLAVE_DEF void conclave_req_set_deadline(struct conclave_req *req,
					    uint64_t deadline_ns);
/* Adds CV_FAIL_FAST, CV_SERIALIZABLE, ... */
CONCLAVE_DEF void conclave_req_set_flags(struct conclave_req *req,
					 uint32_t flags);
/* Room for the reply of a read: default 1 KiB (get), 32 KiB (range) or 8 KiB
 * (members). */
CONCLAVE_DEF void conclave_req_set_reply_room(struct conclave_req *req,
					      uint32_t size);
/* A read waits until this proposal of the handle, and all before it, are
 * settled. */
CONCLAVE_DEF void conclave_req_set_after(struct conclave_req *req,
					 const struct conclave_req *proposal);
CONCLAVE_DEF void conclave_req_set_user_data(struct conclave_req *req,
					     uint64_t user_data);
CONCLAVE_DEF uint64_t conclave_req_user_data(const struct conclave_req *req);

/*
 * Hands the request over; it is copied. The daemon is woken by the next call
 * that waits, polls or looks for results, or by conclave_flush(). On an error
 * the request is still the caller's, definitely not proposed: -EAGAIN (a ring
 * or the reply room is full, or 4,096 sequences are not settled), -ENOTCONN
 * (the daemon is away), CONCLAVE_ETOOLARGE, CONCLAVE_EBADREQ.
 */
CONCLAVE_DEF int conclave_submit(struct conclave *c,
				 struct conclave_req *req) CV_MUST_USE;

/* Wakes the daemon if it sleeps, for all that was submitted since. */
CONCLAVE_DEF void conclave_flush(struct conclave *c);

/*
 * Waits until the request is complete: 0, and conclave_finish() follows.
 *
 * -ETIMEDOUT: timeout_ms passed first. CONCLAVE_EDEADLINE: the request's own
 * deadline passed after the daemon had taken it; its outcome is unknown now,
 * and it keeps its identity: wait again (then timeout_ms counts alone), or
 * conclave_abandon(). CONCLAVE_ESTOPPED: the same, and no daemon answers. A
 * request still in the queue at its deadline is cancelled and thus complete.
 * timeout_ms < 0: no limit but the deadline, or, once that has passed, the
 * handle's default. -EINTR with CONCLAVE_INTERRUPTIBLE.
 */
CONCLAVE_DEF int conclave_wait(struct conclave *c, struct conclave_req *req,
			       int timeout_ms) CV_MUST_USE;

/* 1 when it is complete, 0 when not; never blocks. */
CONCLAVE_DEF int conclave_poll(struct conclave *c,
			       struct conclave_req *req) CV_MUST_USE;

/* Some request that is complete and was not returned before, or NULL. Never
 * blocks; costs next to nothing in the order of submission. */
CONCLAVE_DEF struct conclave_req *conclave_next(struct conclave *c);

/* Waits for such a request: 0, -ETIMEDOUT, -ENOENT when nothing is
 * outstanding, -EINTR. */
CONCLAVE_DEF int conclave_wait_any(struct conclave *c, int timeout_ms,
				   struct conclave_req **ret_req) CV_MUST_USE;

/* The result of a complete request; the reply is lent until finish. -EBUSY
 * when it is not complete. */
CONCLAVE_DEF int conclave_peek(struct conclave *c, struct conclave_req *req,
			       struct conclave_result *ret_result) CV_MUST_USE;

/*
 * The same, and the request is free again; the reply is lent until the next
 * call on this handle. ret_result may be NULL.
 */
CONCLAVE_DEF int
conclave_finish(struct conclave *c, struct conclave_req *req,
		struct conclave_result *ret_result) CV_MUST_USE;

/* 0: it is complete with CONCLAVE_ECANCELLED, definitely not proposed.
 * -EALREADY: the daemon has it; go on waiting. */
CONCLAVE_DEF int conclave_cancel(struct conclave *c,
				 struct conclave_req *req) CV_MUST_USE;

/* Gives a request up, in whatever state: nobody will ask for its outcome. It
 * becomes free as soon as the daemon is done with it. */
CONCLAVE_DEF void conclave_abandon(struct conclave *c,
				   struct conclave_req *req);

/* 1 and the first (next) record of a reply, 0 when there is none (left),
 * CONCLAVE_EPROTO. The record is lent as long as the reply. */
CONCLAVE_DEF int conclave_record_first(const struct conclave_result *result,
				       struct conclave_kv *ret_kv) CV_MUST_USE;
CONCLAVE_DEF int conclave_record_next(struct conclave_kv *kv) CV_MUST_USE;

/* The same for the members in a reply, and its address. */
CONCLAVE_DEF int
conclave_member_first(const struct conclave_result *result,
		      struct conclave_member *ret_member) CV_MUST_USE;
CONCLAVE_DEF int
conclave_member_next(struct conclave_member *member) CV_MUST_USE;
/* 0, or CONCLAVE_EPROTO when the reply is none. */
CONCLAVE_DEF int conclave_result_state(const struct conclave_result *result,
				       struct cv_state *ret_state) CV_MUST_USE;

/* ---- event loops ---- */

/*
 * A descriptor, the same for the life of the handle, that becomes readable
 * when something completes after conclave_arm(), or the daemon dies.
 */
CONCLAVE_DEF int conclave_eventfd(struct conclave *c) CV_MUST_USE;

/*
 * Before sleeping on it: 1 when conclave_next() has something now, else 0 and
 * how long to sleep at most (-1: for ever). After each sleep, call
 * conclave_next() until NULL.
 */
CONCLAVE_DEF int conclave_arm(struct conclave *c,
			      int *ret_timeout_ms) CV_MUST_USE;

/* ---- what is known ---- */

/*
 * A copy of the daemon's status page; -ENOTCONN while it is away, which is
 * seen within a tenth of a second. Each call goes on connecting.
 */
CONCLAVE_DEF int conclave_status(struct conclave *c,
				 struct cv_status *ret_status) CV_MUST_USE;
/* The highest revision that this session was ever shown. */
CONCLAVE_DEF uint64_t conclave_revision(const struct conclave *c);
CONCLAVE_DEF void conclave_session_id(const struct conclave *c,
				      uint8_t ret_id[16]);
CONCLAVE_DEF uint32_t conclave_slots(const struct conclave *c);
/* Why the daemon is away: 0 while it is not. */
CONCLAVE_DEF int conclave_link_error(const struct conclave *c) CV_MUST_USE;

/* What a write that ended with `code` came to. */
CONCLAVE_DEF enum conclave_error_kind conclave_error_kind(int code);
/* A sentence for people; static. */
CONCLAVE_DEF const char *conclave_strerror(int code);

#ifdef __cplusplus
}
#endif

#include "shm/handle.h"
#include "shm/link.h"
#include "shm/harvest.h"
#include "shm/resume.h"
#include "shm/request.h"
#include "shm/await.h"
#include "shm/calls.h"
#include "shm/pages.h"
#include "shm/members.h"
#include "shm/open.h"
#include "shm/errors.h"

#endif

#endif
