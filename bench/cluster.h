/*
 * Clients of the three daemons that are measured.
 */
#ifndef BENCH_CLUSTER_H
#define BENCH_CLUSTER_H

#include "bench/bench.h"
#include "shm/conclave.h"

/* `slots`: BENCH_SLOTS for a pipeline, 0 for one request at a time. */
int bench_member_open(struct bench *bench, uint32_t member, uint32_t slots,
		      struct conclave **ret_client)
	__attribute__((warn_unused_result));

/* Waits until the client's member follows, or is, a leader other than the
 * member with the id `not`; 0: any. ret_member is its index, its id less 1. */
int bench_find_leader(struct conclave *client, uint64_t not,
		      uint32_t *ret_member) __attribute__((warn_unused_result));

#endif
