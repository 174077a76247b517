/*
 * What the integration tests have in common: where the daemon is, children
 * that cannot outlive a test, and the handshake by hand.
 */
#ifndef TESTS_INTEGRATION_SUPPORT_H
#define TESTS_INTEGRATION_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shm/abi.h"
#include "tests/support/daemon.h"

enum support_limits {
	SUPPORT_OUTPUT_MAX = 64 << 10,
	SUPPORT_TIMEOUT_S = 120, /* of one test */
};

/* Path of the daemon under test: $CONCLAVED, else build/conclaved. */
const char *support_conclaved(void);

/*
 * A folder for data, which goes away with all that is in it when all tests
 * are over, passed or not.
 */
const char *support_folder(void);

/*
 * Runs a command to its end. Returns its exit status (128 + signal when one
 * ended it, 127 when it cannot be run) and what it wrote to both outputs, with
 * a NUL. `arguments` ends with NULL and begins with the program. ret_output
 * may be NULL.
 */
int support_run(const char *const *arguments,
		char ret_output[SUPPORT_OUTPUT_MAX]);

/* Whether this host has io_uring; if not, that the test is skipped is said. */
bool support_has_uring(void);

/* A hello that a daemon welcomes. */
struct cv_hello support_hello(void);

/* Connects to a socket: the descriptor, or -errno. */
int support_connect(const char *path);

/* Sends bytes as a hello and waits for the welcome: 0, or -errno. */
int support_greet(int socket, const void *hello, size_t size,
		  struct cv_welcome *ret_welcome);

/* Waits until the peer has hung up; false: it does not. */
bool support_hung_up(int socket);

/* Runs a test program's suite; what main() returns. */
struct Suite;
int support_main(struct Suite *suite);

#endif
