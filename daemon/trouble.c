/*
 * A line for each change of what is wrong, and of who leads.
 */
#include "daemon/trouble.h"

static void say_damage(struct log *log, const struct node_trouble *now)
{
	if (!now->damaged) {
		log_begin(log, LOG_INFO, "the log is whole again");
		log_end(log);
		return;
	}
	log_begin(log, LOG_WARN, "the log is not whole");
	log_number(log, "first_missing", now->damaged_first);
	if (now->damaged_last != UINT64_MAX)
		log_number(log, "last_missing", now->damaged_last);
	log_text(log, "next",
		 "the other members send what is missing, as soon as one of "
		 "them leads, or else what can be proven to be the same; until "
		 "then this one votes only for who has it all. Look at the "
		 "disk (the kernel's log says more)");
	log_end(log);
}

static void say_full(struct log *log, bool full)
{
	log_begin(log, full ? LOG_WARN : LOG_INFO,
		  full ? "the disk is full" : "the disk has room again");
	if (full)
		log_text(log, "next",
			 "make room: until then writes that add something are "
			 "refused; reads, deletions and compaction go on");
	log_end(log);
}

static const char *words_of(enum node_hash_verdict verdict)
{
	switch (verdict) {
	case NODE_HASH_OTHER:
		return "another member's state is not what most have";
	case NODE_HASH_DOUBT:
		return "members have different states, and none of them a "
		       "majority";
	case NODE_HASH_OWN:
		return "this member's state is not what most have: it serves "
		       "no client";
	default:
		return "the members have the same state again";
	}
}

static const char *next_of(enum node_hash_verdict verdict)
{
	switch (verdict) {
	case NODE_HASH_OTHER:
		return "replace that member";
	case NODE_HASH_DOUBT:
		return "start the members that are away; keep a copy of each "
		       "folder";
	case NODE_HASH_OWN:
		return "keep a copy of its folder, then start it again; if it "
		       "says this once more, replace the member";
	default:
		return NULL;
	}
}

static void say_state(struct log *log, const struct node_trouble *now)
{
	const char *next = next_of(now->verdict);
	enum log_level level = LOG_INFO;

	if (now->verdict != NODE_HASH_SAME)
		level = now->verdict == NODE_HASH_OTHER ? LOG_WARN : LOG_ERROR;
	log_begin(log, level, words_of(now->verdict));
	if (now->differs_index) {
		log_number(log, "index", now->differs_index);
		log_number(log, "differs_from", now->differs);
	}
	if (next)
		log_text(log, "next", next);
	log_end(log);
}

static void say_leader(struct log *log, const struct node_trouble *now,
		       uint64_t was)
{
	if (now->leader == 0) {
		log_begin(log, LOG_WARN, "nobody leads");
		log_number(log, "leader_was", was);
	} else if (now->leads) {
		log_begin(log, LOG_INFO, "this member leads");
	} else {
		log_begin(log, LOG_INFO, "another member leads");
		log_number(log, "leader", now->leader);
	}
	log_number(log, "term", now->term);
	log_end(log);
}

void trouble_turn(struct trouble *trouble, const struct node *node,
		  struct log *log)
{
	struct node_trouble *told = &trouble->told;
	struct node_trouble now;

	node_trouble(node, &now);
	/* Without a leader terms pass by. */
	if (now.leader != told->leader ||
	    (now.leader != 0 && now.term != told->term))
		say_leader(log, &now, told->leader);
	if (now.damaged != told->damaged)
		say_damage(log, &now);
	if (now.full != told->full)
		say_full(log, now.full);
	if (now.verdict != told->verdict)
		say_state(log, &now);
	*told = now;
}
