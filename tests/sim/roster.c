/*
 * See tests/sim/roster.h.
 */
#include "tests/sim/roster.h"
#include "tests/sim/disk.h"
#include "tests/sim/folder.h"
#include "tests/sim/ghost.h"
#include "tests/sim/machine.h"
#include "tests/sim/sim.h"
#include "tests/sim/watch.h"
#include "tests/sim/wound.h"

#include "raft/conf.h"
#include "shm/conclave.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum roster_limits {
	LONE_MEMBER = 7, /* the id of one that stays alone */
	VOTERS_MIN = 3, /* the operator leaves at least so many */
	MEND_ELECTIONS = 20, /* timeouts, until logs have mended each other */
};

/* A machine without a member may be meant for one. */
struct seat {
	uint64_t asked; /* id that was asked to be added here; 0: nobody */
	bool leaving;
};

static struct seat seats[SIM_MACHINES_MAX];
static uint64_t next_id;
static uint32_t asked; /* changes under way */
static bool unsure; /* a change may come to be at any time */
static struct raft_conf_state before; /* the configuration last followed */

/* ---- begin ---- */

static void write_address(uint32_t machine, char *ret_address, size_t room)
{
	int size = snprintf(ret_address, room, "m%u", machine);
	assert(size > 0 && (size_t)size < room);
}

int roster_machine_at(const char *address)
{
	return address[0] == 'm' ? (int)strtol(address + 1, NULL, 10) : -1;
}

static void introduce(struct machine_member *member, uint64_t id,
		      uint32_t machine, bool voter)
{
	struct node_member *known = &member->known[member->known_count++];
	memset(known, 0, sizeof(*known));
	known->id = id;
	known->voter = voter;
	write_address(machine, known->address, sizeof(known->address));
}

static void found_cluster(uint32_t count)
{
	struct machine_member founder;
	memset(&founder, 0, sizeof(founder));
	for (uint32_t i = 0; i < count; i++) {
		founder.voters.voters[i] = i + 1;
		introduce(&founder, i + 1, i, true);
	}
	founder.voters.voter_count = (uint8_t)count;
	before = founder.voters;
	ghost_clear(&founder.voters);
	for (uint32_t i = 0; i < count; i++) {
		founder.id = i + 1;
		machine_install(i, &founder);
		machine_start(i, 1 + sim_below(SIM_CRASH, SIM_MS));
	}
	next_id = count + 1;
}

void roster_begin(void)
{
	struct machine_member lone;
	memset(seats, 0, sizeof(seats));
	asked = 0;
	unsure = false;
	if (sim.swarm.members > 1) {
		found_cluster(sim.swarm.members);
		return;
	}
	memset(&lone, 0, sizeof(lone));
	lone.id = LONE_MEMBER;
	lone.voters.voters[0] = LONE_MEMBER;
	lone.voters.voter_count = 1;
	before = lone.voters;
	ghost_clear(&lone.voters);
	machine_install(0, &lone);
	machine_start(0, 1);
}

/* ---- machines with members ---- */

uint32_t roster_count(void)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		count += machine_view(i)->member != 0;
	return count;
}

uint32_t roster_machine(uint32_t number)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		if (machine_view(i)->member == 0)
			continue;
		if (number-- == 0)
			return i;
	}
	assert(false);
	return 0;
}

uint32_t roster_home(void)
{
	uint32_t first = (uint32_t)sim_below(SIM_CLIENT, roster_count());
	for (uint32_t i = 0; i < roster_count(); i++) {
		uint32_t machine = roster_machine((first + i) % roster_count());
		if (!machine_view(machine)->away && !seats[machine].leaving)
			return machine;
	}
	return roster_machine(first);
}

/* ---- what the log says ---- */

static bool votes(const struct raft_conf_state *conf, uint64_t id)
{
	return raft_conf_has(conf->voters, conf->voter_count, id) ||
	       raft_conf_has(conf->outgoing, conf->outgoing_count, id);
}

static bool listens(const struct raft_conf_state *conf, uint64_t id)
{
	return raft_conf_has(conf->learners, conf->learner_count, id) ||
	       raft_conf_has(conf->learners_next, conf->learner_next_count, id);
}

static bool is_in(const struct raft_conf_state *conf, uint64_t id)
{
	return votes(conf, id) || listens(conf, id);
}

static void settle_in(uint32_t machine, uint64_t id)
{
	struct machine_member member;
	memset(&member, 0, sizeof(member));
	member.id = id;
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		uint64_t other = machine_view(i)->member;
		if (other != 0 && votes(ghost_conf(), other))
			introduce(&member, other, i, true);
	}
	machine_install(machine, &member);
	machine_start(machine, 1 + sim_spread(SIM_CRASH, sim.swarm.down_ns));
	seats[machine] = (struct seat){0, false};
}

static void follow_new(const uint64_t *ids, uint8_t count)
{
	for (uint8_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < SIM_MACHINES_MAX; k++)
			if (seats[k].asked == ids[i])
				settle_in(k, ids[i]);
}

static void follow_removed(uint32_t machine)
{
	uint64_t id = machine_view(machine)->member;
	if (id == 0 || seats[machine].leaving || is_in(ghost_conf(), id))
		return;
	seats[machine].leaving = true;
	sim_at(sim.now + sim_spread(SIM_CRASH, 10 * sim.swarm.down_ns) + 1,
	       SIM_EVENT_ROSTER, machine, id);
}

static void note_changes(const struct raft_conf_state *now)
{
	bool replaced = now->outgoing_count > 0 && before.outgoing_count == 0;
	if (replaced)
		SIM_SOMETIMES(MEMBER_REPLACED);
	if (now->learner_count > before.learner_count)
		SIM_SOMETIMES(MEMBER_ADDED);
	if (!replaced && now->voter_count > before.voter_count)
		SIM_SOMETIMES(MEMBER_PROMOTED);
	if (!replaced && now->voter_count < before.voter_count)
		SIM_SOMETIMES(MEMBER_REMOVED);
}

/* Two majorities that decide one after the other have a member in common. */
static void check_overlap(const struct raft_conf_state *now)
{
	uint32_t common = 0;
	for (uint8_t i = 0; i < now->voter_count; i++)
		common += raft_conf_has(before.voters, before.voter_count,
					now->voters[i]);
	uint32_t least = now->voter_count > before.voter_count
				 ? now->voter_count
				 : before.voter_count;
	bool joint = now->outgoing_count > 0 || before.outgoing_count > 0;
	sim_check(joint || common + 1 >= least,
		  "a configuration of %u voters follows one of %u, and they "
		  "have %u in common",
		  now->voter_count, before.voter_count, common);
}

void roster_follow(void)
{
	const struct raft_conf_state *now = ghost_conf();
	note_changes(now);
	check_overlap(now);
	before = *now;
	follow_new(now->learners, now->learner_count);
	follow_new(now->voters, now->voter_count);
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		follow_removed(i);
}

void roster_event(uint32_t machine, uint64_t member)
{
	if (machine_view(machine)->member != member)
		return;
	machine_leave(machine);
	seats[machine].leaving = false;
}

/* ---- losses ---- */

static uint32_t count_away(const struct raft_conf_state *conf)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		const struct machine_view *view = machine_view(i);
		bool lost = view->away || folder_rotten(i) > 0;
		count += lost && votes(conf, view->member);
	}
	return count;
}

static bool is_steady(void)
{
	const struct raft_conf_state *conf = ghost_conf();
	return conf->outgoing_count == 0 && conf->learner_count == 0 &&
	       asked == 0 && !unsure;
}

bool roster_may_lose(uint32_t machine)
{
	const struct raft_conf_state *conf = ghost_conf();
	const struct machine_view *view = machine_view(machine);
	if (sim.swarm.members == 1 || !is_steady() || view->away)
		return false;
	if (!votes(conf, view->member))
		return true;
	return count_away(conf) + 1 <= (conf->voter_count - 1u) / 2;
}

bool roster_damaged(uint32_t machine)
{
	if (sim.swarm.members == 1 || machine_view(machine)->away)
		return false;
	sim_fault(SIM_FAULT_MEMBER_DAMAGED);
	machine_send_away(machine);
	return true;
}

/*
 * It never comes back under its id: what it acknowledged while it had a disk
 * still counts, and its leader may count it later.
 */
void roster_lose(uint32_t machine)
{
	sim_fault(SIM_FAULT_DISK_LOST);
	machine_crash(machine, true);
	machine_send_away(machine);
}

/*
 * What others have is sometimes left to them. Each in its turn may ask, and
 * start again, before somebody leads.
 */
static bool is_left(uint32_t machine)
{
	uint64_t ns = sim.swarm.election_ticks * sim.swarm.tick_ns;
	if (!wound_heals(machine) || sim_below(SIM_CRASH, 4) == 0)
		return false;
	sim_trace("machine %: what rotted is left to the others", machine);
	sim_disturb(sim.now + (MEND_ELECTIONS + 2 * roster_count()) * ns);
	return true;
}

/* Rot in most of them: a person brings back what rotted. */
static void mend_most(void)
{
	const struct raft_conf_state *conf = ghost_conf();
	if (sim.swarm.members == 1 ||
	    count_away(conf) <= (conf->voter_count - 1u) / 2)
		return;
	sim_trace("most logs are damaged: what rotted is brought back");
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		if (machine_view(i)->member == 0 || folder_rotten(i) == 0 ||
		    is_left(i))
			continue;
		folder_mend(i);
		sim_disk_excuse_clear(i);
		if (machine_view(i)->away)
			machine_return(i);
		/* Else it would have read both what rotted and what is back. */
		else if (machine_view(i)->state == MACHINE_STARTING)
			machine_crash(i, false);
	}
}

void roster_heal(void)
{
	mend_most();
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		const struct machine_view *view = machine_view(i);
		if (seats[i].leaving) {
			roster_event(i, view->member);
			continue;
		}
		/* What could not be read for once may be read now. */
		if (view->node != NULL && folder_rotten(i) == 0 &&
		    (view->status->alarms & CV_ALARM_DAMAGED) != 0)
			machine_crash(i, false);
		if (!view->away || folder_rotten(i) == 0 ||
		    sim_below(SIM_CRASH, 2) != 0)
			continue;
		folder_mend(i);
		sim_disk_excuse_clear(i);
		machine_return(i);
	}
}

/* ---- the operator ---- */

static int free_machine(void)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		if (machine_view(i)->member == 0 && seats[i].asked == 0)
			return (int)i;
	return -1;
}

/* A voter, rather one that is away. */
static uint64_t pick_voter(const struct raft_conf_state *conf)
{
	for (uint8_t i = 0; i < conf->voter_count; i++) {
		int machine = machine_of_member(conf->voters[i]);
		if (machine >= 0 && machine_view((uint32_t)machine)->away)
			return conf->voters[i];
	}
	return conf->voters[sim_below(SIM_CLIENT, conf->voter_count)];
}

static bool plan_add(struct roster_change *change)
{
	int machine = free_machine();
	if (machine < 0 || roster_count() >= sim.swarm.members + 2)
		return false;
	change->change = CV_MEMBER_ADD;
	change->member = next_id++;
	write_address((uint32_t)machine, change->address,
		      sizeof(change->address));
	seats[machine].asked = change->member;
	return true;
}

static bool plan_remove(const struct raft_conf_state *conf,
			struct roster_change *change)
{
	change->change = CV_MEMBER_REMOVE;
	change->member = pick_voter(conf);
	int machine = machine_of_member(change->member);
	bool away = machine >= 0 && machine_view((uint32_t)machine)->away;
	uint32_t left = conf->voter_count - 1u;
	return left >= VOTERS_MIN && count_away(conf) - away <= (left - 1) / 2;
}

static bool plan_for_learner(const struct raft_conf_state *conf,
			     struct roster_change *change)
{
	uint64_t learner = conf->learners[0];
	uint64_t draw = sim_below(SIM_CLIENT, 10);
	change->change = CV_MEMBER_PROMOTE;
	change->member = learner;
	if (draw < 1) {
		change->change = CV_MEMBER_REMOVE;
	} else if (draw < 5) {
		change->change = CV_MEMBER_REPLACE;
		change->member = pick_voter(conf);
		change->other = learner;
	}
	return true;
}

bool roster_plan(struct roster_change *ret_change)
{
	const struct raft_conf_state *conf = ghost_conf();
	struct roster_change change = {.type = CV_MEMBER};
	bool any;
	if (sim.swarm.members == 1 || conf->outgoing_count > 0)
		return false;
	if (sim_below(SIM_CLIENT, 4) == 0) {
		change.type = CV_MOVE;
		change.member =
			conf->voters[sim_below(SIM_CLIENT, conf->voter_count)];
		any = true;
	} else if (conf->learner_count > 0) {
		any = plan_for_learner(conf, &change);
	} else if (sim_below(SIM_CLIENT, 2) != 0) {
		any = plan_add(&change);
	} else {
		any = plan_remove(conf, &change);
	}
	if (!any)
		return false;
	asked += change.type == CV_MEMBER;
	*ret_change = change;
	return true;
}

/* It was told that this change was made: then it is what is committed. */
static void check_made(const struct roster_change *change)
{
	uint64_t gone = change->change == CV_MEMBER_REMOVE ||
					change->change == CV_MEMBER_REPLACE
				? change->member
				: 0;
	if (gone != 0)
		sim_check(!raft_conf_has(ghost_conf()->voters,
					 ghost_conf()->voter_count, gone),
			  "member %lu is told to be removed, and votes",
			  (unsigned long)gone);
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		sim_check(change->change != CV_MEMBER_ADD ||
				  seats[i].asked != change->member,
			  "member %lu is told to be added, and never was",
			  (unsigned long)change->member);
}

void roster_told(const struct roster_change *change, int code)
{
	if (change->type != CV_MEMBER)
		return;
	assert(asked > 0);
	asked--;
	switch (conclave_error_kind(code)) {
	case CONCLAVE_UNKNOWN:
		unsure = true;
		return;
	case CONCLAVE_APPLIED:
		check_made(change);
		return;
	default:
		break;
	}
	SIM_SOMETIMES(CHANGE_REFUSED);
	if (change->change == CV_MEMBER_ADD)
		sim_check(!is_in(ghost_conf(), change->member),
			  "the addition of member %lu is refused with %d, and "
			  "it is one",
			  (unsigned long)change->member, code);
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		if (seats[i].asked == change->member)
			seats[i].asked = 0;
}
