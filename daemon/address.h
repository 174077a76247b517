/*
 * Addresses of members: host:port as a person writes it, and as the kernel
 * wants it.
 */
#ifndef DAEMON_ADDRESS_H
#define DAEMON_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum address_limits {
	ADDRESS_HOST_MAX = 116, /* with its NUL */
	ADDRESS_PORT_MAX = 6,
	ADDRESS_TEXT_MAX = 64, /* of one with numbers */
	ADDRESS_FOUND_MAX = 4, /* of one name */
};

struct address {
	struct sockaddr_storage where;
	socklen_t size;
};

/* The parts of an address; an IPv6 address as host stands in brackets. */
struct address_parts {
	char host[ADDRESS_HOST_MAX];
	char port[ADDRESS_PORT_MAX];
};

/* Splits host:port or [host]:port with a port from 1 to 65535, or -EINVAL. */
int address_split(const char *text, struct address_parts *ret_parts)
	__attribute__((warn_unused_result));

/* Never looks anything up: -ENOENT when the host is a name. */
int address_numeric(const struct address_parts *parts,
		    struct address *ret_address)
	__attribute__((warn_unused_result));

/*
 * Looks a name up, which may take long. How many were found, or a (negative)
 * code of getaddrinfo().
 */
int address_look_up(const struct address_parts *parts,
		    struct address ret_found[ADDRESS_FOUND_MAX])
	__attribute__((warn_unused_result));

/* Whether what is sent there stays on this host. */
bool address_is_loopback(const struct address *address);

/* Whether the host part is known, without looking it up, to be loopback. */
bool address_names_loopback(const struct address_parts *parts);

/* The address in numbers. */
void address_text(const struct address *address,
		  char ret_text[ADDRESS_TEXT_MAX]);

#endif
