/*
 * explore SEED STEPS [COUNT] [--trace]
 *
 * Runs COUNT seeds from SEED on, STEPS random steps each, and checks every
 * property after every step; then faults stop, and a new proposal must reach
 * every voter. A failure prints the command that replays it.
 */
#include "tests/explore/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum explore_limits {
	EXPLORE_CALM_ROUNDS = 600,
	EXPLORE_TERM_LIMIT = WORLD_TERMS_MAX - 64,
	EXPLORE_LOG_LIMIT = WORLD_LOG_MAX - 2048,
};

static struct member *any_member(struct world *world)
{
	return &world->members[world_draw(world, world->count)];
}

static void sever_some(struct world *world)
{
	uint64_t sides = world_draw(world, 1u << world->count);
	bool one_way = world_chance(world, 20);

	for (unsigned int i = 0; i < world->count; i++)
		for (unsigned int j = 0; j < world->count; j++)
			world->severed[i][j] =
				((sides >> i) & 1) != ((sides >> j) & 1) &&
				(!one_way || i < j);
	world_say(world, "parted: %#" PRIx64 "%s", sides,
		  one_way ? ", one way" : "");
}

static void heal_all(struct world *world)
{
	memset(world->severed, 0, sizeof(world->severed));
	world_say(world, "healed");
}

/* Clocks that run together, or each as it likes. */
static void tick_some(struct world *world)
{
	if (!world->lockstep) {
		struct member *member = any_member(world);

		if (member->running)
			raft_tick(member->raft);
		return;
	}
	for (unsigned int i = 0; i < world->count; i++)
		if (world->members[i].running)
			raft_tick(world->members[i].raft);
}

static void disturb(struct world *world, struct member *member)
{
	uint64_t other = 1 + world_draw(world, world->count);
	int err = 0;

	switch (world_draw(world, 6)) {
	case 0:
		world_say(world, "%" PRIu64 " campaigns",
			  member_id(world, member));
		err = raft_campaign(member->raft);
		break;
	case 1:
		world_say(world, "%" PRIu64 " hands over to %" PRIu64,
			  member_id(world, member), other);
		err = raft_transfer(member->raft, other);
		break;
	case 2:
		raft_forget_leader(member->raft);
		break;
	case 3:
		raft_report_unreachable(member->raft, other);
		break;
	case 4:
		raft_report_snapshot(member->raft, other,
				     world_chance(world, 50));
		break;
	default:
		world_change(world, member);
		break;
	}
	(void)err; /* refused is fine */
}

static void break_something(struct world *world, struct member *member)
{
	switch (world_draw(world, 4)) {
	case 0:
		if (member->running) {
			world_say(world, "%" PRIu64 " crashes",
				  member_id(world, member));
			world_crash(world, member);
		}
		break;
	case 1:
		sever_some(world);
		break;
	default:
		heal_all(world);
		break;
	}
}

static void touch_network(struct world *world)
{
	unsigned int at;

	if (world->network_count == 0)
		return;
	at = (unsigned int)world_draw(world, world->network_count);
	if (world_chance(world, 4))
		world_drop(world, at);
	else if (world_chance(world, 3))
		world_double(world, at);
	else
		world_deliver(world, at);
}

static void touch_member(struct world *world, struct member *member)
{
	uint64_t what = world_draw(world, 100);

	if (what < 45)
		world_ready(world, member);
	else if (what < 65)
		world_complete(world, member,
			       1 + (unsigned int)world_draw(world, 3));
	else if (what < 80)
		world_apply(world, member);
	else if (what < 92)
		world_propose(world, member);
	else if (what < 96)
		world_read(world, member);
	else if (what < 98)
		world_compact(world, member);
	else
		disturb(world, member);
}

static void step(struct world *world)
{
	struct member *member = any_member(world);
	uint64_t what = world_draw(world, 1000);

	if (what < 4) {
		break_something(world, member);
	} else if (what < 30) {
		tick_some(world);
	} else if (!member->running) {
		if (what < 60) {
			world_say(world, "%" PRIu64 " restarts",
				  member_id(world, member));
			world_start(world, member);
		}
	} else if (what < 480) {
		touch_network(world);
	} else {
		touch_member(world, member);
	}
}

static void check_all(struct world *world)
{
	for (unsigned int i = 0; i < world->count; i++)
		if (world->members[i].running)
			check_member(world, &world->members[i]);
}

/* Everything that can happen without a fault, once. */
static void calm_round(struct world *world)
{
	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member = &world->members[i];

		if (!member->running)
			world_start(world, member);
		raft_tick(member->raft);
		for (unsigned int turns = 0; turns < 8; turns++) {
			world_ready(world, member);
			world_complete(world, member, WORLD_WRITES_MAX);
			world_apply(world, member);
		}
		if (world_chance(world, 2) ||
		    member->raft->log.last - member->raft->log.first > 100)
			world_compact(world, member);
	}
	for (unsigned int i = world->network_count; i > 0; i--)
		world_deliver(world, 0);
	check_all(world);
}

static struct member *find_leader(struct world *world)
{
	struct member *found = NULL;

	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member = &world->members[i];

		if (member->raft->role == RAFT_LEADER &&
		    (!found || member->raft->term > found->raft->term))
			found = member;
	}
	return found;
}

/* Whether every voter of the leader's configuration has `index` applied. */
static bool all_have(const struct world *world, const struct member *leader,
		     uint64_t index)
{
	for (unsigned int i = 0; i < world->count; i++)
		if (raft_is_voter(leader->raft, i + 1) &&
		    world->members[i].image.index < index)
			return false;
	return true;
}

static void show_ids(const char *name, const uint64_t *ids, uint8_t count)
{
	printf(" %s(", name);
	for (unsigned int i = 0; i < count; i++)
		printf("%s%" PRIu64, i > 0 ? " " : "", ids[i]);
	printf(")");
}

static void show_progress(const struct raft_progress *p)
{
	printf("   %" PRIu64 ": state %u match %" PRIu64 " next %" PRIu64
	       " pending %" PRIu64 "%s%s, %u in flight\n",
	       p->id, p->state, p->match, p->next, p->pending_snapshot,
	       p->paused ? " paused" : "", p->recent_active ? "" : " silent",
	       p->inflights.count);
}

static void show_all(const struct world *world)
{
	for (unsigned int i = 0; i < world->count; i++) {
		const struct raft *raft = world->members[i].raft;
		const struct raft_conf_state *conf = &raft->conf;

		printf("%u: role %u term %" PRIu64 " leader %" PRIu64
		       " log %" PRIu64 "..%" PRIu64 " commit %" PRIu64
		       " applied %" PRIu64,
		       i + 1, raft->role, raft->term, raft->leader,
		       raft->log.first, raft->log.last, raft->log.commit,
		       raft->log.applied);
		show_ids("voters", conf->voters, conf->voter_count);
		show_ids("outgoing", conf->outgoing, conf->outgoing_count);
		show_ids("learners", conf->learners, conf->learner_count);
		show_ids("next", conf->learners_next, conf->learner_next_count);
		printf("%s\n", conf->auto_leave ? " auto" : "");
		for (unsigned int j = 0;
		     raft->role == RAFT_LEADER && j < raft->progress_count; j++)
			show_progress(&raft->progress[raft->order[j]]);
	}
}

static void settle(struct world *world)
{
	struct member *leader = NULL;
	uint64_t goal = 0;

	heal_all(world);
	for (unsigned int i = 0; i < EXPLORE_CALM_ROUNDS; i++) {
		calm_round(world);
		if (world->failed)
			return;
		leader = find_leader(world);
		if (!leader ||
		    !raft_is_voter(leader->raft, leader->raft->options.id)) {
			goal = 0;
			continue;
		}
		if (goal == 0 && i > EXPLORE_CALM_ROUNDS / 3) {
			world_propose(world, leader);
			goal = leader->raft->log.last;
		}
		if (goal != 0 && all_have(world, leader, goal))
			return;
	}
	check_fail(world, "no progress after faults stopped");
	show_all(world);
}

static bool is_spent(const struct world *world)
{
	for (unsigned int i = 0; i < world->count; i++) {
		const struct raft *raft = world->members[i].raft;

		if (raft->term > EXPLORE_TERM_LIMIT ||
		    raft->log.last > EXPLORE_LOG_LIMIT)
			return true;
	}
	return false;
}

static bool run_seed(struct world *world, uint64_t seed, uint64_t steps,
		     bool trace)
{
	world_init(world, seed);
	world->trace = trace;
	for (uint64_t i = 0; i < steps && !world->failed; i++) {
		step(world);
		check_all(world);
		if (world->failed)
			printf("at step %" PRIu64 "\n", i);
		if (is_spent(world))
			break;
	}
	if (!world->failed)
		settle(world);
	if (world->failed)
		printf("replay: make explore SEED=%" PRIu64 " STEPS=%" PRIu64
		       " TRACE=1\n",
		       seed, steps);
	return !world->failed;
}

int main(int argc, char **argv)
{
	static struct world world;
	uint64_t seed, steps, count = 1, bad = 0;
	uint64_t commits = 0, reads = 0, leases = 0, elections = 0;
	uint64_t changes = 0, installs = 0;
	bool trace = argc > 3 && strcmp(argv[argc - 1], "--trace") == 0;

	if (argc < 3) {
		fprintf(stderr, "usage: explore SEED STEPS [COUNT] "
				"[--trace]\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 10);
	steps = strtoull(argv[2], NULL, 10);
	if (argc > 3 && strcmp(argv[3], "--trace") != 0)
		count = strtoull(argv[3], NULL, 10);
	for (uint64_t i = 0; i < count; i++) {
		bad += !run_seed(&world, seed + i, steps, trace);
		commits += world.commit;
		reads += world.reads_done;
		leases += world.leases_seen;
		elections += world.elections;
		changes += world.changes;
		installs += world.installs;
		world_release(&world);
		if (bad >= 5)
			break;
	}
	printf("%" PRIu64 " seeds, %" PRIu64 " steps each: %" PRIu64
	       " elections, %" PRIu64 " commits, %" PRIu64
	       " changes applied, %" PRIu64 " images installed, %" PRIu64
	       " reads, %" PRIu64 " lease checks, %" PRIu64 " failed\n",
	       count, steps, elections, commits, changes, installs, reads,
	       leases, bad);
	return bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
