/*
 * Watches every completion slot: what is posted, that it is posted once, to
 * the one who asked, and that it does not change afterwards (I35). Each
 * revision that is shown is handed to the ghost.
 */
#ifndef TESTS_SIM_POSTS_H
#define TESTS_SIM_POSTS_H

#include "tests/sim/socket.h"

enum posts_limits {
	POSTS_SLOTS_MAX = 64,
};

/* The daemon on that machine is another one. */
void posts_forget(uint32_t machine);
void posts_attach(const struct socket *socket);
/* It was welcomed: from here on it is served. */
void posts_open(const struct socket *socket);
void posts_detach(const struct socket *socket);

/* Looks at all slots; between two looks no client of it has run. */
void posts_look(uint32_t machine);

/* The daemon goes to sleep: it leaves no request that it could take (I38). */
void posts_check_sleep(uint32_t machine, bool leads);

#endif
