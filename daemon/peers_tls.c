/*
 * TLS on the connections of members: handshakes, names, and new keys.
 */
#include "daemon/peers.h"

#include <assert.h>
#include <string.h>

void peers_connected(struct peers *peers, struct link *link)
{
	if (!link->tls) {
		peers_begin_greeting(peers, link);
		return;
	}
	link->state = LINK_SHAKING;
	if (tls_begin(link->tls, &peers->keys, peers->engine, link->stream,
		      link->dialled) < 0)
		peers_drop(peers, link);
}

/* The host that a member's address names; "" when there is none. */
static void host_of(const struct peers_member *member,
		    char ret_host[ADDRESS_HOST_MAX])
{
	struct address_parts parts;

	ret_host[0] = '\0';
	if (address_split(member->address, &parts) == 0)
		memcpy(ret_host, parts.host, ADDRESS_HOST_MAX);
}

bool peers_is_named(const struct peers *peers, const struct link *link,
		    const struct peers_member *member)
{
	char host[ADDRESS_HOST_MAX];

	if (!link->tls)
		return true;
	host_of(member, host);
	return tls_is_named(link->tls, &peers->keys, host);
}

/* Nobody is greeted who is not the one that was dialled. */
static void shaken(struct peers *peers, struct link *link)
{
	struct peers_member *member = peers_find(peers, link->member);

	if (link->dialled && member && !peers_is_named(peers, link, member)) {
		peers_complain(peers, member, wire_refusal_text(WIRE_ENAME), 0);
		peers_drop(peers, link);
		return;
	}
	peers_begin_greeting(peers, link);
}

void peers_shake(struct peers *peers, struct link *link)
{
	const uint8_t *bytes;

	/* Who dialled speaks first; all other steps follow what came. */
	if (engine_received(peers->engine, link->stream, &bytes) == 0 &&
	    (!link->dialled || link->is_shaking))
		return;
	if (peers->shakes == PEERS_SHAKES_MAX)
		return;
	peers->shakes++;
	link->is_shaking = true;
	if (tls_shake(link->tls) == 1)
		shaken(peers, link);
}

/* What TLS found; the other side is told, if it is still there. */
void peers_broken(struct peers *peers, struct link *link)
{
	struct peers_member *member = peers_find(peers, link->member);
	bool was_open = link->state == LINK_OPEN;

	if (link->dialled && !was_open && member) {
		peers_complain_tls(peers, member, link->tls->error);
	} else if (peers_may_say(peers)) {
		peers_begin_line(peers, link, LOG_WARN, "TLS connection ended");
		log_text(peers->log, "why", link->tls->error);
		log_end(peers->log);
	}
	if (was_open) {
		peers_drop(peers, link);
		return;
	}
	link->state = LINK_ENDING;
	link->out_size = link->out_sent; /* no greeting after this */
	link->deadline_ns = peers->now_ns + PEERS_REFUSE_NS;
}

bool peers_linger(struct peers *peers, struct link *link)
{
	const uint8_t *bytes;
	uint32_t size;

	assert(link->state == LINK_ENDING);
	/* Bytes left unread would break the connection before it was heard. */
	while ((size = engine_received(peers->engine, link->stream, &bytes)) >
	       0)
		engine_take(peers->engine, link->stream, size);
	if (!link->is_quiet && link_is_said(link)) {
		link->is_quiet = true;
		(void)shutdown(link->fd, SHUT_WR); /* or it is gone */
	}
	if (peers->now_ns < link->deadline_ns &&
	    engine_stream_state(peers->engine, link->stream) !=
		    ENGINE_STREAM_ENDED)
		return false;
	peers_drop(peers, link);
	return true;
}

void peers_reload(struct peers *peers, const struct tls_files *files)
{
	struct tls_keys keys;
	char error[TLS_ERROR_MAX];

	if (!peers->tls)
		return;
	int result = tls_keys_open(&keys, files, error);
	log_begin(peers->log, result < 0 ? LOG_ERROR : LOG_INFO,
		  result < 0 ? "keys not reloaded" : "keys reloaded");
	if (result < 0) {
		log_text(peers->log, "why", error);
		log_text(peers->log, "next",
			 "correct the file and send SIGHUP again; until then "
			 "the keys from before are used");
	}
	log_end(peers->log);
	if (result < 0)
		return;
	tls_keys_close(&peers->keys);
	peers->keys = keys;
}
