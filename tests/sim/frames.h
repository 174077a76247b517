/*
 * Reads along what members say to each other, as it is handed to the network:
 * frame by frame, whatever the pieces. What a frame promises must be durable
 * already (I7), what it says of commits must be so.
 */
#ifndef TESTS_SIM_FRAMES_H
#define TESTS_SIM_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

struct node;

/* Who says it, to whom, on which end of tests/sim/net.h. */
struct speaker {
	int end;
	uint32_t machine;
	uint64_t to;
	uint8_t lane;
	const struct node *node;
};

/* Frames begin on this end, behind `position`. */
void frames_begin(int end, uint64_t position);

void frames_sent(const struct speaker *speaker, const uint8_t *bytes,
		 uint32_t size);

/* The sequence of the frame in which that byte lies; 0: long ago, or none. */
uint64_t frames_at(int end, uint64_t position);

#endif
