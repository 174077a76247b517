/*
 * Options about the other members: their notation, and what they say
 * together. A set of options that cannot work, or that would let what members
 * say leave this host in the clear unasked, is refused at start.
 */
#include "daemon/config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/address.h"

enum {
	PEER_MAX = 32 + NODE_ADDRESS_MAX, /* one of the list */
};

int config_parse_address(const struct config_option *option, const char *text,
			 void *field)
{
	struct address_parts parts;
	size_t size = strlen(text);

	if (size >= option->max || address_split(text, &parts) < 0)
		return -EINVAL;
	memcpy(field, text, size + 1);
	return 0;
}

/* Copies the next of a list, without blanks; what follows, or NULL. */
static const char *next_word(const char *text, char *ret_word, size_t room)
{
	text += strspn(text, " \t");
	size_t whole = strcspn(text, ",");
	size_t size = whole;
	while (size > 0 && strchr(" \t", text[size - 1]))
		size--;
	if (size == 0 || size >= room)
		return NULL;
	memcpy(ret_word, text, size);
	ret_word[size] = '\0';
	return text + whole;
}

static int parse_peer(const char *word, struct node_member *ret_member)
{
	struct node_member member = {.voter = true};
	const char *equals = strchr(word, '=');
	struct address_parts parts;

	if (!equals || strlen(equals + 1) >= sizeof(member.address))
		return -EINVAL;
	int result =
		config_parse_digits(word, (size_t)(equals - word), &member.id);
	if (result < 0 || member.id == 0)
		return -EINVAL;
	result = address_split(equals + 1, &parts);
	if (result < 0)
		return result;
	memcpy(member.address, equals + 1, strlen(equals + 1));
	*ret_member = member;
	return 0;
}

static const struct node_member *find(const struct node_member *peers,
				      uint32_t count, uint64_t id)
{
	for (uint32_t i = 0; i < count; i++) {
		if (peers[i].id == id)
			return &peers[i];
	}
	return NULL;
}

/* The list replaces an earlier one; it is stored only when it is whole. */
int config_parse_peers(const struct config_option *option, const char *text,
		       void *field)
{
	struct config *config = field;
	struct node_member peers[CONFIG_PEERS_MAX];
	uint32_t count = 0;

	assert(option->offset == 0);
	for (;;) {
		char word[PEER_MAX];
		text = next_word(text, word, sizeof(word));
		if (!text || count == CONFIG_PEERS_MAX)
			return -EINVAL;
		if (parse_peer(word, &peers[count]) < 0)
			return -EINVAL;
		if (find(peers, count, peers[count].id))
			return -EINVAL;
		count++;
		if (*text == '\0')
			break;
		text++;
	}
	memcpy(config->peers, peers, count * sizeof(peers[0]));
	config->peer_count = count;
	return 0;
}

int config_parse_names(const struct config_option *option, const char *text,
		       void *field)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789.-_:";
	char names[CONFIG_NAMES_MAX] = "";
	size_t used = 0;

	assert(option->max == sizeof(names));
	for (;;) {
		char word[CONFIG_NAMES_MAX];
		text = next_word(text, word, sizeof(word));
		if (!text || word[strspn(word, good)] != '\0')
			return -EINVAL;
		int size = snprintf(names + used, sizeof(names) - used, "%s%s",
				    used > 0 ? "," : "", word);
		if (size < 0 || (size_t)size >= sizeof(names) - used)
			return -EINVAL;
		used += (size_t)size;
		if (*text == '\0')
			break;
		text++;
	}
	memcpy(field, names, sizeof(names));
	return 0;
}

/* ---- what they say together ---- */

bool config_has_peers(const struct config *config)
{
	return config->peer_count > 0 || config->peer_listen[0] != '\0';
}

static int refuse(char *error, const char *what, const char *why)
{
	(void)snprintf(error, CONFIG_ERROR_MAX, "option \"%s\" %s", what, why);
	return -EINVAL;
}

static int check_members(const struct config *config, char *error)
{
	bool named = find(config->peers, config->peer_count, config->member);

	if (config->join && config->peer_count == 0)
		return refuse(error, "join",
			      "needs option \"peers\": say with "
			      "--peers=ID=HOST:PORT,... where the members of "
			      "the cluster are");
	if (config->peer_count > 0 && !config->join && !named) {
		(void)snprintf(error, CONFIG_ERROR_MAX,
			       "option \"peers\" does not name member %" PRIu64
			       ", which this one is by option \"member\"; it "
			       "names all first members, this one included",
			       config->member);
		return -EINVAL;
	}
	if (config->peer_count > (named ? 1 : 0) &&
	    config->peer_listen[0] == '\0')
		return refuse(error, "peer-listen",
			      "is missing: say with --peer-listen=HOST:PORT "
			      "where this member listens for those that option "
			      "\"peers\" names");
	return 0;
}

static int check_times(const struct config *config, char *error)
{
	if (config->election_ms >= CONFIG_ELECTION_BEATS * config->heartbeat_ms)
		return 0;
	(void)snprintf(error, CONFIG_ERROR_MAX,
		       "option \"election-ms\" is %" PRIu64
		       "; it may be no less than %d times option "
		       "\"heartbeat-ms\", which is %" PRIu64,
		       config->election_ms, CONFIG_ELECTION_BEATS,
		       config->heartbeat_ms);
	return -EINVAL;
}

static int check_tls(const struct config *config, char *error)
{
	bool any = config->peer_cert[0] || config->peer_key[0] ||
		   config->peer_ca[0] || config->peer_names[0];
	const char *why = "is missing: TLS between members needs --peer-cert, "
			  "--peer-key and --peer-ca";

	if (!any)
		return 0;
	if (!config->peer_cert[0])
		return refuse(error, "peer-cert", why);
	if (!config->peer_key[0])
		return refuse(error, "peer-key", why);
	if (!config->peer_ca[0])
		return refuse(error, "peer-ca", why);
	if (config->peer_plaintext)
		return refuse(error, "peer-plaintext",
			      "and option \"peer-cert\" contradict each other: "
			      "members talk either with TLS or without");
	return 0;
}

static bool stays_here(const char *address)
{
	struct address_parts parts;

	return address_split(address, &parts) == 0 &&
	       address_names_loopback(&parts);
}

static int refuse_plaintext(char *error, const char *option,
			    const char *address)
{
	(void)snprintf(
		error, CONFIG_ERROR_MAX,
		"option \"%s\" has the address \"%s\", which is not loopback, "
		"and plain TCP is refused there: give --peer-cert, --peer-key "
		"and --peer-ca, or, if everybody on that network may read and "
		"write all that is kept here, say --peer-plaintext",
		option, address);
	return -EINVAL;
}

static int check_plaintext(const struct config *config, char *error)
{
	if (config->peer_cert[0] || config->peer_plaintext)
		return 0;
	if (config->peer_listen[0] && !stays_here(config->peer_listen))
		return refuse_plaintext(error, "peer-listen",
					config->peer_listen);
	for (uint32_t i = 0; i < config->peer_count; i++) {
		if (!stays_here(config->peers[i].address))
			return refuse_plaintext(error, "peers",
						config->peers[i].address);
	}
	return 0;
}

int config_check_peers(const struct config *config,
		       char ret_error[CONFIG_ERROR_MAX])
{
	int result = check_members(config, ret_error);

	if (result == 0)
		result = check_times(config, ret_error);
	if (result == 0)
		result = check_tls(config, ret_error);
	if (result == 0)
		result = check_plaintext(config, ret_error);
	return result;
}
