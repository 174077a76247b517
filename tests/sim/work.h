/*
 * What a client does with its life: synchronous calls, bursts of asynchronous
 * requests, cancels, abandoned deadlines; and what it checks of the answers.
 */
#ifndef TESTS_SIM_WORK_H
#define TESTS_SIM_WORK_H

#include <stdbool.h>
#include <stdint.h>

void work_clear(void);
/* One life, in the client's fiber. */
void work_live(uint32_t client);
/* It is over; `early`: in the middle of it. */
void work_died(uint32_t client, bool early);
/* All clients: come to an end. */
void work_finish(void);
/* At each point where a client may be stopped: what has it published? */
void work_note(uint32_t client);

/*
 * A client is about to sleep: if it published anything while the daemon
 * slept, the daemon must have been rung.
 */
void work_check_bell(uint32_t client);

/*
 * It is about to sleep until the word changes that counts what was posted:
 * something must be left to be posted.
 */
void work_check_wait(uint32_t client);

#endif
