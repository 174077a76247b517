/*
 * The words of clusters that live in files of their own, and what they share.
 */
#ifndef TESTS_SCRIPTS_CLUSTER_WORDS_H
#define TESTS_SCRIPTS_CLUSTER_WORDS_H

#include "tests/scripts/cluster.h"
#include "tests/scripts/script.h"

#include <stdbool.h>

/* The members that a directive names; all of them if it names none. */
struct chosen {
	struct member *members[CLUSTER_MEMBERS_MAX];
	unsigned int count;
};

bool words_choose(struct cluster *cluster, const struct directive *directive,
		  struct chosen *chosen);
/* The member that the first argument names, or NULL. */
struct member *words_member(struct cluster *cluster,
			    const struct directive *directive);

/* An error that a script may expect: it shows even where all else is muted. */
void words_fail(struct cluster *cluster, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* From here on what is printed shows, or does not; false if it is no level. */
bool words_level(struct cluster *cluster, const char *level);

/* turn_words.c: a member's turn, and the network's. */
bool word_process_ready(struct cluster *cluster,
			const struct directive *directive);
bool word_process_append_thread(struct cluster *cluster,
				const struct directive *directive);
bool word_process_apply_thread(struct cluster *cluster,
			       const struct directive *directive);
bool word_deliver_msgs(struct cluster *cluster,
		       const struct directive *directive);
bool word_stabilize(struct cluster *cluster, const struct directive *directive);

/* birth_words.c: how members begin and end. */
bool word_add_nodes(struct cluster *cluster, const struct directive *directive);
bool word_restart(struct cluster *cluster, const struct directive *directive);
bool word_crash(struct cluster *cluster, const struct directive *directive);

/* propose_words.c: what members are asked. */
bool word_propose(struct cluster *cluster, const struct directive *directive);
bool word_propose_conf_change(struct cluster *cluster,
			      const struct directive *directive);
bool word_read_index(struct cluster *cluster,
		     const struct directive *directive);

/* fault_words.c: what goes wrong between them. */
bool word_dup_msgs(struct cluster *cluster, const struct directive *directive);
bool word_hold_msgs(struct cluster *cluster, const struct directive *directive);
bool word_release_msgs(struct cluster *cluster,
		       const struct directive *directive);
bool word_reorder(struct cluster *cluster, const struct directive *directive);
bool word_partition(struct cluster *cluster, const struct directive *directive);
bool word_heal(struct cluster *cluster, const struct directive *directive);

#endif
