/*
 * From host:port to what the kernel wants, and back.
 */
#include "daemon/address.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PORT_LAST = 65535,
	LOOPBACK_NET = 127,
};

static int take_port(const char *text, char ret_port[ADDRESS_PORT_MAX])
{
	size_t size = strlen(text);
	uint32_t port = 0;

	if (size == 0 || size >= ADDRESS_PORT_MAX || text[0] == '0')
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		port = port * 10 + (uint32_t)(text[i] - '0');
	}
	if (port > PORT_LAST)
		return -EINVAL;
	memcpy(ret_port, text, size + 1);
	return 0;
}

/* What a host's name or number may be made of. */
static bool is_host(const char *host, size_t size, bool bracketed)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789.-_";
	/* With the name of an interface behind %. */
	static const char good_v6[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEF0123456789:.%-_";

	if (size == 0 || size >= ADDRESS_HOST_MAX)
		return false;
	return strspn(host, bracketed ? good_v6 : good) >= size;
}

int address_split(const char *text, struct address_parts *ret_parts)
{
	struct address_parts parts = {0};
	bool bracketed = text[0] == '[';
	const char *host = bracketed ? text + 1 : text;
	const char *end = strchr(host, bracketed ? ']' : ':');

	if (!end || (bracketed && end[1] != ':'))
		return -EINVAL;
	size_t size = (size_t)(end - host);
	if (!is_host(host, size, bracketed))
		return -EINVAL;
	memcpy(parts.host, host, size);
	int result = take_port(end + (bracketed ? 2 : 1), parts.port);
	if (result < 0)
		return result;
	*ret_parts = parts;
	return 0;
}

static int find(const struct address_parts *parts, int flags,
		struct addrinfo **ret_found)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = flags | AI_NUMERICSERV,
	};

	return getaddrinfo(parts->host, parts->port, &hints, ret_found);
}

static void copy(const struct addrinfo *from, struct address *address)
{
	memset(address, 0, sizeof(*address));
	assert(from->ai_addrlen <= sizeof(address->where));
	memcpy(&address->where, from->ai_addr, from->ai_addrlen);
	address->size = from->ai_addrlen;
}

int address_numeric(const struct address_parts *parts,
		    struct address *ret_address)
{
	struct addrinfo *found;

	if (find(parts, AI_NUMERICHOST, &found) != 0)
		return -ENOENT;
	copy(found, ret_address);
	freeaddrinfo(found);
	return 0;
}

int address_look_up(const struct address_parts *parts,
		    struct address ret_found[ADDRESS_FOUND_MAX])
{
	struct addrinfo *found;
	int count = 0;
	int result = find(parts, 0, &found);

	if (result != 0)
		return result < 0 ? result : EAI_FAIL;
	for (const struct addrinfo *one = found;
	     one && count < ADDRESS_FOUND_MAX; one = one->ai_next)
		copy(one, &ret_found[count++]);
	freeaddrinfo(found);
	return count > 0 ? count : EAI_NONAME;
}

bool address_is_loopback(const struct address *address)
{
	const struct sockaddr_in *v4 = (const void *)&address->where;
	const struct sockaddr_in6 *v6 = (const void *)&address->where;

	switch (address->where.ss_family) {
	case AF_INET:
		return ntohl(v4->sin_addr.s_addr) >> 24 == LOOPBACK_NET;
	case AF_INET6:
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			return v6->sin6_addr.s6_addr[12] == LOOPBACK_NET;
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	default:
		return false;
	}
}

bool address_names_loopback(const struct address_parts *parts)
{
	struct address address;

	if (strcmp(parts->host, "localhost") == 0)
		return true;
	return address_numeric(parts, &address) == 0 &&
	       address_is_loopback(&address);
}

void address_text(const struct address *address,
		  char ret_text[ADDRESS_TEXT_MAX])
{
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	const struct sockaddr *where = (const void *)&address->where;
	bool v6 = address->where.ss_family == AF_INET6;

	ret_text[0] = '\0';
	if (getnameinfo(where, address->size, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	(void)snprintf(ret_text, ADDRESS_TEXT_MAX, "%s%.48s%s:%.5s",
		       v6 ? "[" : "", host, v6 ? "]" : "", port);
}
