/* See tests/integration/support_peer.h. */
#include "tests/integration/support_peer.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
	BACKLOG = 16,
};

static struct sockaddr_in place_of(uint64_t member)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(cluster_daemons()->ports[member - 1]),
	};
}

int peer_door(uint64_t member)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;
	struct sockaddr_in address = place_of(member);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	/* The kernel lets go of its socket a little after it died. */
	while (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		cluster_rest(deadline_ms);
	ck_assert_int_eq(listen(fd, BACKLOG), 0);
	return fd;
}

int peer_dial(uint64_t member)
{
	struct sockaddr_in address = place_of(member);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

struct wire_greeting peer_hear_greeting(int fd)
{
	uint8_t bytes[WIRE_GREETING_SIZE];
	struct wire_greeting greeting;

	ck_assert_int_eq(recv(fd, bytes, sizeof(bytes), MSG_WAITALL),
			 sizeof(bytes));
	ck_assert_int_eq(wire_greeting_check(bytes, &greeting), 0);
	return greeting;
}
