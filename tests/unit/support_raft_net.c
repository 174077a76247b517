/*
 * The network: one queue, first in, first out. A message to a member that is
 * down or cut off is lost when its turn comes, and whoever sent an image
 * hears what became of it, as on a connection.
 */
#include "tests/unit/support_raft_net.h"

#include <check.h>
#include <string.h>

void net_init(struct net *net, unsigned int count)
{
	ck_assert_uint_le(count, NET_MEMBERS_MAX);
	memset(net, 0, sizeof(*net));
	net->count = count;
	for (unsigned int i = 0; i < count; i++)
		core_init(&net->core[i], i + 1, count);
}

void net_start(struct net *net)
{
	for (unsigned int i = 0; i < net->count; i++)
		core_start(&net->core[i]);
}

static void pop(struct net *net)
{
	core_parcel_drop(&net->queue[0]);
	net->queued--;
	memmove(&net->queue[0], &net->queue[1],
		net->queued * sizeof(net->queue[0]));
}

void net_release(struct net *net)
{
	while (net->queued > 0)
		pop(net);
	for (unsigned int i = 0; i < net->count; i++)
		core_release(&net->core[i]);
}

struct core *net_core(struct net *net, uint64_t id)
{
	ck_assert_uint_ge(id, 1);
	ck_assert_uint_le(id, net->count);
	return &net->core[id - 1];
}

const struct raft_status *net_status(struct net *net, uint64_t id)
{
	return core_status(net_core(net, id));
}

/* Moves what a core wants to send into the queue. */
static void collect(struct net *net, struct core *core)
{
	core_settle_on(core);
	for (unsigned int i = 0; i < core->mail_count; i++) {
		ck_assert_uint_lt(net->queued, NET_QUEUE_MAX);
		net->sent[core->mail[i].message.type]++;
		net->queue[net->queued++] = core->mail[i];
	}
	core->mail_count = 0; /* the queue owns them; its reads remain */
}

static void report(struct net *net, const struct raft_message *message, bool ok)
{
	struct core *from = net_core(net, message->from);

	if (message->type == RAFT_MSG_SNAPSHOT && from->raft)
		raft_report_snapshot(from->raft, message->to, ok);
}

static bool is_lost(struct net *net, const struct raft_message *message)
{
	if (message->to > net->count)
		return true;
	return !net_core(net, message->to)->raft ||
	       net->ignored[message->type] ||
	       net->cut[message->from - 1][message->to - 1];
}

static void deliver_oldest(struct net *net)
{
	const struct raft_message *message = &net->queue[0].message;
	bool lost = is_lost(net, message);

	if (!lost) {
		struct core *to = net_core(net, message->to);
		int err = raft_receive(to->raft, message);

		/* A refusal may be right, but no member sends nonsense. */
		ck_assert_int_ne(err, RAFT_EINVALID);
	}
	report(net, message, !lost);
	pop(net);
}

void net_settle(struct net *net)
{
	for (unsigned int i = 0; i < net->count; i++)
		core_forget_mail(&net->core[i]);
	do {
		for (unsigned int i = 0; i < net->count; i++)
			if (net->core[i].raft &&
			    raft_has_ready(net->core[i].raft))
				collect(net, &net->core[i]);
		if (net->queued == 0)
			return;
		deliver_oldest(net);
	} while (true);
}

void net_drop(struct net *net, uint64_t from, uint64_t to)
{
	net->cut[from - 1][to - 1] = true;
}

void net_cut(struct net *net, uint64_t one, uint64_t other)
{
	net_drop(net, one, other);
	net_drop(net, other, one);
}

void net_isolate(struct net *net, uint64_t id)
{
	for (uint64_t other = 1; other <= net->count; other++)
		if (other != id)
			net_cut(net, id, other);
}

void net_ignore(struct net *net, uint8_t type)
{
	net->ignored[type] = true;
}

void net_heal(struct net *net)
{
	memset(net->cut, 0, sizeof(net->cut));
	memset(net->ignored, 0, sizeof(net->ignored));
}

void net_campaign(struct net *net, uint64_t id)
{
	ck_assert_int_eq(raft_campaign(net_core(net, id)->raft), 0);
	net_settle(net);
}

int net_propose(struct net *net, uint64_t id)
{
	int err = core_propose(net_core(net, id), 8);

	net_settle(net);
	return err;
}

int net_propose_conf(struct net *net, uint64_t id,
		     const struct raft_conf_changes *changes)
{
	int err = core_propose_conf(net_core(net, id), changes);

	net_settle(net);
	return err;
}

void net_tick(struct net *net, uint64_t id, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		raft_tick(net_core(net, id)->raft);
		net_settle(net);
	}
}

void net_tick_all(struct net *net, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		for (unsigned int j = 0; j < net->count; j++)
			if (net->core[j].raft)
				raft_tick(net->core[j].raft);
		net_settle(net);
	}
}

void net_deliver(struct net *net, struct raft_message message)
{
	ck_assert_int_ne(
		raft_receive(net_core(net, message.to)->raft, &message),
		RAFT_EINVALID);
	net_settle(net);
}

void net_crash(struct net *net, uint64_t id)
{
	core_crash(net_core(net, id));
}

void net_restart(struct net *net, uint64_t id)
{
	core_start(net_core(net, id));
	net_settle(net);
}

void net_compact(struct net *net, uint64_t id)
{
	core_compact(net_core(net, id));
	net_settle(net);
}

uint64_t net_leader(struct net *net)
{
	uint64_t leader = 0, term = 0;

	for (uint64_t id = 1; id <= net->count; id++) {
		const struct raft_status *now;

		if (!net_core(net, id)->raft)
			continue;
		now = net_status(net, id);
		if (now->role == RAFT_LEADER && now->term > term) {
			leader = id;
			term = now->term;
		}
	}
	return leader;
}

const char *net_roles(struct net *net)
{
	static const char letters[] = {
		[RAFT_FOLLOWER] = 'F',
		[RAFT_CANDIDATE] = 'C',
		[RAFT_LEADER] = 'L',
		[RAFT_PRE_CANDIDATE] = 'P',
	};
	static char roles[NET_MEMBERS_MAX + 1];

	for (uint64_t id = 1; id <= net->count; id++)
		roles[id - 1] = net_core(net, id)->raft
					? letters[net_status(net, id)->role]
					: '-';
	roles[net->count] = '\0';
	return roles;
}
