/*
 * The network between machines: connections that carry bytes in order or not
 * at all, as TCP does. What is written takes time to arrive, comes in pieces,
 * fills a bounded buffer when nobody reads, and is lost from any byte on when
 * the connection breaks. Nothing is reordered but between connections.
 *
 * A process that dies leaves what it wrote to be delivered; a machine that
 * loses power leaves a connection of which the other side hears nothing. A
 * link that is cut delivers nothing until it is mended, or somebody loses
 * patience. All this may go one way only.
 *
 * One *end* of a connection is a number. Ends belong to machines.
 */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/sim.h"

enum net_limits {
	NET_CONNECTIONS_MAX = 320,
	NET_ENDS_MAX = 2 * NET_CONNECTIONS_MAX,
	NET_ROOM_MAX = 64 << 10,
	/* Places are machines, and one from where strangers dial. */
	NET_STRANGER = SIM_MACHINES_MAX,
	NET_PLACES = SIM_MACHINES_MAX + 1,
};

void net_clear(void);

/* ---- an end ---- */

/* A connection to a machine, -1: none is free. It arrives with its bytes. */
int net_dial(uint32_t from, uint32_t to);
/* One that arrived here and was not handed out yet, or -1. */
int net_accept(uint32_t machine);
/* Gives it up; the other side hears of that. */
void net_close(int end);
/* Nothing can be read or written any more. */
bool net_ended(int end);

uint32_t net_room(int end);
void net_put(int end, const uint8_t *bytes, uint32_t size);
/* What can be read now, lent until net_take(); how much. */
uint32_t net_readable(int end, const uint8_t **ret_bytes);
void net_take(int end, uint32_t size);

/* Bytes that were put into it so far, and where a flipped bit lies: 0: none. */
uint64_t net_written(int end);
uint64_t net_flipped(int end);
/* The end at which it is read. */
int net_other(int end);

/* ---- the outside ---- */

/* SIM_EVENT_NET: something arrives; SIM_EVENT_NET_END: an end is over. */
void net_event(uint32_t end, uint64_t stamp);
void net_end_event(uint32_t end, uint64_t serial);
void net_machine_died(uint32_t machine, bool power);

/* Between two machines, one way. */
void net_cut(uint32_t from, uint32_t to, bool cut);
bool net_is_cut(uint32_t from, uint32_t to);
/* Everything takes so many times as long; 1: as usual. */
void net_slow(uint32_t from, uint32_t to, uint32_t times);
/* All links are as they should be. */
void net_mend(void);

/* A connection breaks, this one or any, at any byte. */
void net_break(int end);
void net_break_one(void);
/* One bit of what is on its way flips. */
void net_flip_one(void);
/* Somebody does not read for a while. */
void net_deafen_one(uint64_t ns);

#endif
