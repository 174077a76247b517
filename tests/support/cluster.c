/* See tests/support/cluster.h. */
#define _GNU_SOURCE
#include "tests/support/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* Below what the kernel gives to those who dial. */
	PORT_FIRST = 12000,
	PORT_COUNT = 20000,
	PORT_TRIES = 1000,
};

static bool is_free(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return false;
	ok = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	(void)close(fd);
	return ok;
}

int daemon_free_port(void)
{
	int tries;

	for (tries = 0; tries < PORT_TRIES; tries++) {
		uint32_t draw;
		uint16_t port;

		if (getrandom(&draw, sizeof(draw), 0) != sizeof(draw))
			return -errno;
		port = (uint16_t)(PORT_FIRST + draw % PORT_COUNT);
		if (is_free(port))
			return port;
	}
	return -EADDRINUSE;
}

static int choose_ports(struct daemon_cluster *cluster)
{
	int i, k, port;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		if (cluster->ports[i])
			continue;
		port = daemon_free_port();
		if (port < 0)
			return port;
		cluster->ports[i] = (uint16_t)port;
		for (k = 0; k < i; k++)
			if (cluster->ports[k] == port)
				cluster->ports[i] = 0;
		i -= !cluster->ports[i];
	}
	return 0;
}

static void put_flags(struct daemon_cluster *cluster, uint32_t i)
{
	struct daemon_process *member = &cluster->members[i];
	const uint16_t *ports = cluster->ports;
	uint32_t k, count = 0;

	(void)snprintf(cluster->own[i][0], DAEMON_FLAG_MAX, "--cluster=%.64s",
		       cluster->name ? cluster->name : "demo");
	(void)snprintf(cluster->own[i][1], DAEMON_FLAG_MAX, "--member=%u",
		       i + 1);
	(void)snprintf(cluster->own[i][2], DAEMON_FLAG_MAX,
		       "--peer-listen=127.0.0.1:%u", ports[i]);
	(void)snprintf(cluster->own[i][3], DAEMON_FLAG_MAX,
		       "--peers=1=127.0.0.1:%u,2=127.0.0.1:%u,3=127.0.0.1:%u",
		       ports[0], ports[1], ports[2]);
	for (k = 0; k < DAEMON_FLAGS_OWN; k++)
		member->flags[count++] = cluster->own[i][k];
	if (cluster->engines[i])
		member->flags[count++] = cluster->engines[i];
	for (k = 0; cluster->flags[k] && count < DAEMON_FLAGS_MAX - 1; k++)
		member->flags[count++] = cluster->flags[k];
	member->flags[count] = NULL;
}

int daemon_cluster_prepare(struct daemon_cluster *cluster, const char *folder)
{
	int code = choose_ports(cluster);
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS && !code; i++) {
		struct daemon_process *member = &cluster->members[i];

		member->program = cluster->program;
		code = daemon_process_prepare(member, folder);
		(void)snprintf(member->log, sizeof(member->log), "%.64s/log",
			       member->run);
		put_flags(cluster, i);
	}
	if (code)
		daemon_cluster_remove(cluster);
	return code;
}

int daemon_cluster_run(struct daemon_cluster *cluster)
{
	int i, code = 0;

	for (i = 0; i < DAEMON_MEMBERS && !code; i++)
		if (cluster->members[i].pid <= 0)
			code = daemon_process_again(&cluster->members[i]);
	for (i = 0; i < DAEMON_MEMBERS && !code; i++)
		code = daemon_process_wait(&cluster->members[i]);
	return code;
}

void daemon_cluster_print_logs(const struct daemon_cluster *cluster)
{
	char line[512];
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		FILE *log = fopen(cluster->members[i].log, "r");

		while (log && fgets(line, sizeof(line), log))
			(void)fprintf(stderr, "  member %u: %s", i + 1, line);
		if (log)
			(void)fclose(log);
	}
}

void daemon_cluster_remove(struct daemon_cluster *cluster)
{
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		daemon_process_kill(&cluster->members[i]);
		if (cluster->members[i].data[0])
			daemon_process_remove(&cluster->members[i]);
		cluster->members[i].data[0] = '\0';
	}
}
