/*
 * See tests/sim/operator.h.
 */
#include "tests/sim/operator.h"
#include "tests/sim/client.h"
#include "tests/sim/roster.h"
#include "tests/sim/worker.h"

#include <assert.h>
#include <string.h>

enum {
	OPERATOR_TRIES = 8,
};

struct job {
	bool under_way;
	struct roster_change change;
};

static struct job jobs[SIM_CLIENTS_MAX];

void operator_clear(void)
{
	memset(jobs, 0, sizeof(jobs));
}

static int ask(struct conclave *c, const struct roster_change *change)
{
	if (change->type == CV_MOVE)
		return conclave_move_leader(c, change->member);
	switch (change->change) {
	case CV_MEMBER_ADD:
		return conclave_member_add(c, change->member, change->address);
	case CV_MEMBER_PROMOTE:
		return conclave_member_promote(c, change->member);
	case CV_MEMBER_REMOVE:
		return conclave_member_remove(c, change->member);
	default:
		assert(change->change == CV_MEMBER_REPLACE);
		return conclave_member_replace(c, change->member,
					       change->other);
	}
}

/* A backup: an image of now is asked for, and later again whether it is. */
static void ask_image(struct worker *worker)
{
	static struct conclave_image image;
	struct cv_state state;
	int code = conclave_state(worker->c, &state);

	if (code == 0)
		code = conclave_find_image(worker->c, state.applied, &image);
	sim_trace("client %: asks for an image of %, there is one of %",
		  worker->client, state.applied, image.index);
	if (code == 0)
		SIM_SOMETIMES(IMAGE_ASKED_FOR);
	if (code == 0 && image.index > 0)
		sim_check(image.index <= image.applied,
			  "an image has index %lu, and only %lu is applied",
			  (unsigned long)image.index,
			  (unsigned long)image.applied);
	worker_expect(worker, code);
}

/* Who was let in has not caught up: asked again after a while. */
static bool is_too_early(const struct roster_change *change, int code)
{
	return code == CONCLAVE_EMEMBERSHIP && !sim.healing &&
	       (change->change == CV_MEMBER_PROMOTE ||
		change->change == CV_MEMBER_REPLACE);
}

static bool act(struct worker *worker)
{
	struct job *job = &jobs[worker->client];
	if (sim_below(SIM_CLIENT, 4) == 0) {
		ask_image(worker);
		return false;
	}
	if (!roster_plan(&job->change))
		return false;
	job->under_way = true;
	sim_trace("client %: asks for change % of member %, other %",
		  worker->client, job->change.change, job->change.member,
		  job->change.other);
	int code = ask(worker->c, &job->change);
	sim_trace("client %: change % of member % gives %", worker->client,
		  job->change.change, job->change.member, (int64_t)code);
	job->under_way = false;
	roster_told(&job->change, code);
	worker_expect(worker, code);
	return is_too_early(&job->change, code);
}

void operator_act(struct worker *worker)
{
	uint64_t election_ns = sim.swarm.tick_ns * sim.swarm.election_ticks;
	for (uint32_t i = 0; i < OPERATOR_TRIES && act(worker); i++)
		client_sleep(sim_spread(SIM_CLIENT, election_ns) + 1);
}

void operator_died(uint32_t client)
{
	struct job *job = &jobs[client];
	if (job->under_way)
		roster_told(&job->change, CONCLAVE_EDEADLINE);
	job->under_way = false;
}
