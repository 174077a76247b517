/*
 * Who is connected, and the life of sessions: begin, resume, close, expiry,
 * and the dropping of tombstones (DESIGN §4).
 *
 * A handle is opened at once for a new session, whose first operation will
 * begin it; for a resume its rings are served only when the committed resume
 * was applied, so that no operation of an older epoch can still take effect.
 * Sessions that no handle holds are watched by a slow scan; what has waited
 * long enough ends by an entry that only the leader proposes.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <string.h>

enum {
	ORPHAN_WAYS = 8,
	SCAN_STEP = 256,
	SCAN_NS = 100000000,
	MS = 1000000,
};

/* A range: a key and an end. */
static uint32_t control_record_max(void)
{
	return cv_record_max(2 * CV_KEY_MAX);
}

static uint32_t power_of_two(uint32_t wish, uint32_t least)
{
	uint32_t size = CV_PAGE;

	while (size < wish || size < least)
		size *= 2;
	return size;
}

static uint32_t pick(uint32_t wish, uint32_t standard)
{
	return wish ? wish : standard;
}

static int check_hello(const struct cv_hello *hello)
{
	static const uint8_t none[16];

	if (hello->magic != CV_MAGIC_HELLO || hello->size != CV_MESSAGE_SIZE)
		return CONCLAVE_EBADREQ;
	if (hello->abi_major != CV_ABI_MAJOR)
		return CONCLAVE_EVERSION;
	if (!memcmp(hello->session, none, 16) || hello->epoch >> 62)
		return CONCLAVE_EBADREQ;
	if (hello->slots > CV_SLOTS_MAX || hello->proposal_size > CV_RING_MAX ||
	    hello->control_size > CV_RING_MAX ||
	    hello->reply_size > CV_REPLY_MAX ||
	    hello->request_max > CV_REQUEST_MAX)
		return CONCLAVE_ETOOLARGE;
	return 0;
}

static bool is_connected(const struct handle *handle, const uint8_t session[16])
{
	return (handle->state == HANDLE_OPEN ||
		handle->state == HANDLE_RESUMING) &&
	       !memcmp(handle->session, session, 16);
}

static uint32_t user_handles(const struct node *node, uint32_t uid)
{
	uint32_t i, count = 0;

	for (i = 0; i < node->handle_used; i++)
		count += node->handles[i].state != HANDLE_FREE &&
			 node->handles[i].uid == uid;
	return count;
}

/* Somebody else is connected with it, who has not begun it yet. */
static bool is_held_by_other(const struct node *node,
			     const struct node_peer *peer,
			     const uint8_t hash[16])
{
	uint32_t i;

	for (i = 0; i < node->handle_used; i++) {
		const struct handle *handle = &node->handles[i];

		if (is_connected(handle, peer->hello.session) &&
		    (handle->uid != peer->uid ||
		     memcmp(handle->secret_hash, hash, 16)))
			return true;
	}
	return false;
}

/* May this peer have this session? */
static int check_session(const struct node *node, const struct node_peer *peer,
			 uint32_t *ret_known)
{
	struct store_session session;
	uint8_t hash[16];

	store_session(node->store, peer->hello.session, &session);
	*ret_known = session.state == STORE_SESSION_LIVE;
	store_secret_hash(peer->hello.secret, hash);
	if (is_held_by_other(node, peer, hash))
		return CONCLAVE_EPERM;
	if (session.state == STORE_SESSION_UNKNOWN)
		return 0;
	if (session.uid != peer->uid || memcmp(session.secret_hash, hash, 16))
		return CONCLAVE_EPERM;
	if (session.state == STORE_SESSION_ENDED)
		return CONCLAVE_ESESSION;
	return peer->hello.flags & CV_HELLO_RESUME ? 0 : CONCLAVE_EPERM;
}

static uint32_t page_up(uint32_t size)
{
	return (size + CV_PAGE - 1) & ~(uint32_t)(CV_PAGE - 1);
}

static void lay_out(const struct cv_hello *hello, struct cv_welcome *welcome)
{
	uint32_t request = pick(hello->request_max, CV_REQUEST_DEFAULT);

	welcome->slots = pick(hello->slots, CV_SLOTS_DEFAULT);
	welcome->request_max = request;
	welcome->proposal_offset =
		page_up(CV_CLAIMS_OFFSET + welcome->slots * 8);
	welcome->proposal_size = power_of_two(
		pick(hello->proposal_size, CV_RING_DEFAULT), 4 * request);
	welcome->control_offset =
		welcome->proposal_offset + welcome->proposal_size;
	welcome->control_size =
		power_of_two(pick(hello->control_size, CV_RING_DEFAULT),
			     4 * control_record_max());
	welcome->up_size = welcome->control_offset + welcome->control_size;
	welcome->reply_offset =
		page_up(CV_SLOTS_OFFSET + welcome->slots * CV_LINE);
	welcome->reply_size =
		page_up(pick(hello->reply_size, CV_REPLY_DEFAULT));
	welcome->event_offset = welcome->reply_offset + welcome->reply_size;
	welcome->event_size = 0;
	welcome->down_size = welcome->event_offset;
}

/* 0 would be no date at all: the first index is the leader's own. */
uint64_t session_born(const struct node *node)
{
	return node->applied ? node->applied : 1;
}

int node_greet(struct node *node, const struct node_peer *peer,
	       struct cv_welcome *ret_welcome)
{
	struct cv_welcome welcome = {
		.magic = CV_MAGIC_HELLO,
		.abi_major = CV_ABI_MAJOR,
		.abi_minor = CV_ABI_MINOR,
		.size = CV_MESSAGE_SIZE,
		.incarnation = node->options.incarnation,
		.member = node->options.member,
		.epoch = 1,
		.status_size = sizeof(struct cv_status),
	};
	int status = check_hello(&peer->hello);

	memcpy(welcome.cluster, node->options.cluster, 16);
	welcome.revision = store_revision(node->store);
	welcome.born = session_born(node);
	if (!status)
		status = check_session(node, peer, &welcome.session_known);
	if (!status && (node->draining || node->failed))
		status = CONCLAVE_ESTOPPED;
	if (!status &&
	    user_handles(node, peer->uid) >= node->options.user_handles_max)
		status = CONCLAVE_ETOOMANY;
	if (!status)
		lay_out(&peer->hello, &welcome);
	welcome.status = status;
	*ret_welcome = welcome;
	return status;
}

/* A header's copy of the geometry; the client checks it, no one else. */
static void write_header(const struct cv_welcome *welcome, uint64_t magic,
			 uint64_t size, uint8_t *at)
{
	struct cv_header header = {
		.magic = magic,
		.abi_major = CV_ABI_MAJOR,
		.abi_minor = CV_ABI_MINOR,
		.header_size = CV_HEADER_SIZE,
		.incarnation = welcome->incarnation,
		.size = size,
		.slots = welcome->slots,
		.request_max = welcome->request_max,
		.proposal_offset = welcome->proposal_offset,
		.proposal_size = welcome->proposal_size,
		.control_offset = welcome->control_offset,
		.control_size = welcome->control_size,
		.reply_offset = welcome->reply_offset,
		.reply_size = welcome->reply_size,
		.event_offset = welcome->event_offset,
		.event_size = welcome->event_size,
	};

	memcpy(at, &header, sizeof(header));
}

static void fill_handle(struct handle *handle, const struct node_peer *peer,
			const struct cv_welcome *welcome, uint8_t *up,
			uint8_t *down)
{
	uint32_t generation = handle->generation + 1;
	bool hot = handle->hot, posted = handle->posted;

	memset(handle, 0, offsetof(struct handle, flights));
	handle->generation = generation;
	handle->hot = hot;
	handle->posted = posted;
	handle->uid = peer->uid;
	memcpy(handle->session, peer->hello.session, 16);
	store_secret_hash(peer->hello.secret, handle->secret_hash);
	handle->epoch = welcome->epoch;
	handle->born = welcome->born;
	handle->settled_below = peer->hello.settled_below;
	handle->down = down;
	handle->up_words = (struct cv_up_words *)(void *)(up + CV_HEADER_SIZE);
	handle->down_words =
		(struct cv_down_words *)(void *)(down + CV_HEADER_SIZE);
	handle->claims = (uint64_t *)(void *)(up + CV_CLAIMS_OFFSET);
	handle->slots = (struct cv_slot *)(void *)(down + CV_SLOTS_OFFSET);
	handle->slot_count = welcome->slots;
	handle->request_max = welcome->request_max;
	handle->reply_offset = welcome->reply_offset;
	handle->reply_size = welcome->reply_size;
	cv_ring_reader_init(&handle->proposals, up + welcome->proposal_offset,
			    welcome->proposal_size,
			    cv_record_max(welcome->request_max));
	cv_ring_reader_init(&handle->controls, up + welcome->control_offset,
			    welcome->control_size, control_record_max());
}

/* The same session on an older connection: that one is over. */
static void supersede(struct node *node, const uint8_t session[16])
{
	uint32_t i;

	for (i = 0; i < node->handle_used; i++) {
		struct handle *handle = &node->handles[i];

		if (!is_connected(handle, session))
			continue;
		handle->state = HANDLE_BROKEN;
		handle->expel = true;
		node->event_count++;
	}
}

static void welcome_due(struct node *node, struct handle *handle, int status)
{
	handle->welcome_due = true;
	handle->welcome_status = status;
	node->event_count++;
}

int node_attach(struct node *node, const struct node_peer *peer,
		const struct cv_welcome *welcome, uint8_t *up, uint8_t *down)
{
	struct handle *handle;
	uint32_t i;

	for (i = 0; i < node->options.handles_max; i++)
		if (node->handles[i].state == HANDLE_FREE)
			break;
	if (i == node->options.handles_max)
		return CONCLAVE_ETOOMANY;
	if (i >= node->handle_used)
		node->handle_used = i + 1;
	supersede(node, peer->hello.session);
	handle = &node->handles[i];
	write_header(welcome, CV_MAGIC_UP, welcome->up_size, up);
	write_header(welcome, CV_MAGIC_DOWN, welcome->down_size, down);
	fill_handle(handle, peer, welcome, up, down);
	node->status->handles++;
	if (peer->hello.flags & CV_HELLO_RESUME) {
		handle->state = HANDLE_RESUMING;
		handle->resume_due = true;
		/* A session that was proposed keeps what it was born at: a new
		 * date would let one that ended and was dropped begin again. */
		if (peer->hello.born && peer->hello.born < welcome->born)
			handle->born = peer->hello.born;
		handle->epoch = peer->hello.epoch;
		node->resumes_due = true;
		return (int)i;
	}
	handle->state = HANDLE_OPEN;
	welcome_due(node, handle, 0);
	intake_heat(node, i);
	return (int)i;
}

void node_detach(struct node *node, int index)
{
	struct handle *handle = &node->handles[index];

	assert(handle->state != HANDLE_FREE);
	handle->state = HANDLE_FREE;
	handle->generation++;
	node->event_count -= handle->wake + handle->ring + handle->expel +
			     handle->welcome_due;
	handle->wake = false;
	handle->ring = false;
	handle->expel = false;
	handle->welcome_due = false;
	node->status->handles--;
}

/* False: too many wait already. */
static bool push_end(struct node *node, const struct session_end *end)
{
	if (node->end_tail - node->end_head == ENDS_MAX)
		return false;
	node->ends[node->end_tail++ % ENDS_MAX] = *end;
	return true;
}

void node_bye(struct node *node, int index)
{
	struct handle *handle = &node->handles[index];
	struct session_end end = {
		.kind = ENTRY_SESSION_CLOSE,
		.epoch = handle->epoch,
	};

	if (handle->state != HANDLE_OPEN ||
	    !(handle->begun || handle->proposed))
		return;
	memcpy(end.session, handle->session, 16);
	(void)push_end(node, &end); /* too many: then it will expire */
}

/* Refused before it was in the log: it is proposed again. */
static bool was_dropped(int32_t status)
{
	return status == CONCLAVE_ENOLEADER || status == CONCLAVE_ETRANSFER ||
	       status == CONCLAVE_ELOGFULL;
}

void session_resumed(struct node *node, int index, uint32_t generation,
		     const struct store_result *result)
{
	struct handle *handle = &node->handles[index];

	if (handle->generation != generation ||
	    handle->state != HANDLE_RESUMING)
		return;
	if (was_dropped(result->status)) {
		handle->resume_due = true;
		node->resumes_due = true;
		return;
	}
	handle->state = result->status ? HANDLE_BROKEN : HANDLE_OPEN;
	handle->begun = true;
	handle->proposed = true;
	handle->epoch = result->aux;
	welcome_due(node, handle, result->status);
	intake_heat(node, (uint32_t)index);
}

static bool propose_resume(struct node *node, uint32_t index)
{
	struct handle *handle = &node->handles[index];
	struct store_session session;
	struct op_session op = {
		.settled_below = handle->settled_below,
		.begin =
			{
				.owner = node->options.member,
				.born = handle->born,
				.uid = handle->uid,
			},
	};

	store_session(node->store, handle->session, &session);
	op.epoch = handle->epoch;
	if (session.epoch > op.epoch)
		op.epoch = session.epoch;
	op.epoch++;
	memcpy(op.session, handle->session, 16);
	memcpy(op.begin.secret_hash, handle->secret_hash, 16);
	return batch_own(node, ENTRY_SESSION_RESUME, &op, sizeof(op),
			 (int)index);
}

static void propose_resumes(struct node *node)
{
	uint32_t i;

	if (!node->resumes_due)
		return;
	for (i = 0; i < node->handle_used; i++) {
		struct handle *handle = &node->handles[i];

		if (handle->state != HANDLE_RESUMING || !handle->resume_due)
			continue;
		if (!propose_resume(node, i))
			return;
		handle->resume_due = false;
	}
	node->resumes_due = false;
}

/* Who led when this was decided leads no more: the next one sees it, too. */
static bool is_of_another(const struct node *node,
			  const struct session_end *end)
{
	return end->kind == ENTRY_SESSION_DROP && !node_leads(node);
}

static void propose_ends(struct node *node)
{
	while (node->end_head != node->end_tail) {
		struct session_end *end =
			&node->ends[node->end_head % ENDS_MAX];
		struct op_session op = {
			.epoch = end->epoch,
			.floor = end->floor,
		};

		memcpy(op.session, end->session, 16);
		if (!is_of_another(node, end) &&
		    !batch_own(node, end->kind, &op, sizeof(op), -1))
			return;
		node->end_head++;
	}
}

static bool attached(const struct node *node, const uint8_t session[16])
{
	uint32_t i;

	for (i = 0; i < node->handle_used; i++)
		if (is_connected(&node->handles[i], session))
			return true;
	return false;
}

/* The place of this session, or a free one of its set, or NULL: full. */
static struct orphan *find_orphan(struct node *node, const uint8_t session[16])
{
	static const uint8_t none[16];
	struct orphan *set, *place = NULL;
	uint64_t hash;
	uint32_t i;

	memcpy(&hash, session, sizeof(hash));
	set = &node->orphans[hash % (ORPHANS_MAX / ORPHAN_WAYS) * ORPHAN_WAYS];
	for (i = 0; i < ORPHAN_WAYS; i++) {
		bool stale = node->scan_pass - set[i].pass > 1;

		if (!memcmp(set[i].session, session, 16))
			return &set[i];
		if (stale || !memcmp(set[i].session, none, 16))
			place = &set[i];
	}
	if (place)
		memset(place, 0, sizeof(*place));
	return place;
}

/*
 * Nobody holds it here, where it belongs; or the member where it belongs is
 * lost, and that is for the leader to see.
 */
static bool is_lost(struct node *node, const uint8_t id[16], uint64_t owner)
{
	const struct peer *peer;

	if (attached(node, id))
		return false;
	if (owner == node->options.member)
		return true;
	peer = peer_find(node, owner);
	return node_leads(node) && !(peer && peer->lanes[NODE_CONTROL].up);
}

static void watch(struct node *node, const uint8_t id[16],
		  const struct store_session *session)
{
	const struct store_settings *settings = store_settings(node->store);
	bool ended = session->state == STORE_SESSION_ENDED;
	uint64_t wait_ms =
		ended ? settings->tombstone_ms : settings->session_expiry_ms;
	struct session_end end = {
		.kind = ended ? ENTRY_SESSION_DROP : ENTRY_SESSION_EXPIRE,
		.epoch = session->epoch,
		.floor = session->ended_index,
	};
	struct orphan *orphan;

	if (ended ? !node_leads(node) : !is_lost(node, id, session->owner))
		return;
	orphan = find_orphan(node, id);
	if (!orphan)
		return;
	if (memcmp(orphan->session, id, 16) || orphan->ended != ended ||
	    orphan->epoch != session->epoch ||
	    node->scan_pass - orphan->pass > 1) {
		memcpy(orphan->session, id, 16);
		orphan->ended = ended;
		orphan->epoch = session->epoch;
		orphan->since_ns = node->now_ns;
	}
	orphan->pass = node->scan_pass;
	if (node->now_ns - orphan->since_ns < wait_ms * MS)
		return;
	memcpy(end.session, id, 16);
	if (push_end(node, &end))
		orphan->since_ns = node->now_ns;
}

static void scan(struct node *node)
{
	struct store_session session;
	uint8_t id[16];
	uint32_t i;

	if (node->now_ns < node->scan_due_ns)
		return;
	node->scan_due_ns = node->now_ns + SCAN_NS;
	for (i = 0; i < SCAN_STEP; i++) {
		if (!store_session_next(node->store, &node->scan_position, id,
					&session)) {
			node->scan_position = 0;
			node->scan_pass++;
			return;
		}
		watch(node, id, &session);
	}
}

void session_work(struct node *node)
{
	if (!node_may_propose(node))
		return;
	scan(node);
	propose_resumes(node);
	propose_ends(node);
}
