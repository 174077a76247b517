/*
 * See tests/sim/operator.h.
 */
#include "tests/sim/operator.h"
#include "tests/sim/roster.h"
#include "tests/sim/worker.h"

#include <assert.h>
#include <string.h>

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

void operator_act(struct worker *worker)
{
	struct job *job = &jobs[worker->client];
	if (!roster_plan(&job->change))
		return;
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
}

void operator_died(uint32_t client)
{
	struct job *job = &jobs[client];
	if (job->under_way)
		roster_told(&job->change, CONCLAVE_EDEADLINE);
	job->under_way = false;
}
