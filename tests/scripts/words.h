/*
 * The three vocabularies. Each keeps its state from one directive of a file
 * to the next; what a directive prints replaces what the text held.
 */
#ifndef TESTS_SCRIPTS_WORDS_H
#define TESTS_SCRIPTS_WORDS_H

#include "tests/scripts/cluster.h"
#include "tests/scripts/script.h"
#include "tests/scripts/text.h"

#include <stdbool.h>

/* False when the word is not known, or its arguments make no sense. */
bool raft_words_run(struct cluster *cluster, const struct directive *directive);

/* One member's configuration and table of progress, without the rest. */
struct conf_words {
	struct raft *raft;
	void *memory;
	uint64_t last_index;
};

void conf_words_init(struct conf_words *words);
void conf_words_release(struct conf_words *words);
bool conf_words_run(struct conf_words *words, const struct directive *directive,
		    struct text *out);

bool quorum_words_run(const struct directive *directive, struct text *out);

/*
 * Changes from tokens like "v1 l2 r3 u4" in `text`, which is cut up; false
 * if it holds anything else, and then what is wrong with it in *ret_error.
 */
bool words_changes(char *text, struct raft_conf_changes *ret_changes,
		   struct text *ret_error);

/* What Go says of a word that is no yes or no. */
#define WORDS_BAD_BOOL "strconv.ParseBool: parsing \"%s\": invalid syntax"

#endif
