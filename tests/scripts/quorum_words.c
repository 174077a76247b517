/*
 * The vocabulary of quorums:
 *
 *   committed cfg=(1,2) cfgj=(2,3)|zero idx=(5,_,7)
 *   vote cfg=(1,2) cfgj=(2,3)|zero votes=(y,n,_)
 *
 * The values belong to the members of cfg, then to those of cfgj that are
 * not in cfg. Beside the answer itself, everything that must not change it
 * is tried: the halves exchanged, an empty half joined.
 */
#include "tests/scripts/words.h"

#include "raft/quorum.h"

#include <inttypes.h>
#include <string.h>

enum quorum_limits {
	QUORUM_MAX = 32,
};

struct half {
	uint64_t ids[QUORUM_MAX];
	unsigned int count;
};

/* Each member once, in the order in which the values are given. */
struct values {
	uint64_t ids[QUORUM_MAX];
	uint64_t values[QUORUM_MAX];
	unsigned int count;
};

static bool read_half(const struct directive *directive, const char *key,
		      struct half *half)
{
	const struct script_arg *arg = directive_find(directive, key);

	half->count = 0;
	if (!arg || directive_is(directive, key, "zero"))
		return true;
	for (unsigned int i = 0; i < arg->value_count; i++)
		if (!script_number(arg->values[i], &half->ids[half->count++]))
			return false;
	return true;
}

static bool has(const uint64_t *ids, unsigned int count, uint64_t id,
		unsigned int *ret_at)
{
	for (unsigned int i = 0; i < count; i++) {
		if (ids[i] == id) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

static void add_members(struct values *values, const struct half *half)
{
	unsigned int at;

	for (unsigned int i = 0; i < half->count; i++)
		if (!has(values->ids, values->count, half->ids[i], &at))
			values->ids[values->count++] = half->ids[i];
}

static bool read_value(const char *word, bool votes, uint64_t *ret_value)
{
	*ret_value = 0;
	if (strcmp(word, "_") == 0)
		return true;
	if (!votes)
		return script_number(word, ret_value);
	*ret_value = word[0] == 'y' ? RAFT_VOTE_YES : RAFT_VOTE_NO;
	return strcmp(word, "y") == 0 || strcmp(word, "n") == 0;
}

static bool read_values(const struct directive *directive, const char *key,
			struct values *values)
{
	const struct script_arg *arg = directive_find(directive, key);
	unsigned int count = arg ? arg->value_count : 0;

	if (count != values->count)
		return false;
	for (unsigned int i = 0; i < count; i++)
		if (!read_value(arg->values[i], strcmp(key, "votes") == 0,
				&values->values[i]))
			return false;
	return true;
}

static uint64_t value_of(const struct values *values, uint64_t id)
{
	unsigned int at = 0;

	return has(values->ids, values->count, id, &at) ? values->values[at]
							: 0;
}

static uint64_t half_index(const struct half *half, const struct values *values)
{
	uint64_t acked[QUORUM_MAX];

	for (unsigned int i = 0; i < half->count; i++)
		acked[i] = value_of(values, half->ids[i]);
	return raft_quorum_index(acked, half->count);
}

static enum raft_vote_result half_vote(const struct half *half,
				       const struct values *values)
{
	uint8_t votes[QUORUM_MAX];

	for (unsigned int i = 0; i < half->count; i++)
		votes[i] = (uint8_t)value_of(values, half->ids[i]);
	return raft_quorum_vote(votes, half->count);
}

/*
 * How many members are behind `at`; of several with the same value only the
 * one with the lowest id shows it.
 */
static unsigned int bar_of(const struct values *values, unsigned int at)
{
	unsigned int behind = 0;

	for (unsigned int i = 0; i < values->count; i++) {
		if (values->values[i] == values->values[at] &&
		    values->ids[i] < values->ids[at])
			return 0;
		behind += values->values[i] < values->values[at];
	}
	return behind;
}

static void describe_bars(struct text *out, const struct values *values)
{
	unsigned int count = values->count;
	uint64_t below = 0;

	if (count == 0) {
		text_add(out, "<empty majority quorum>");
		return;
	}
	text_add(out, "%*s    idx\n", (int)count, "");
	for (unsigned int shown = 0; shown < count; shown++) {
		unsigned int at = 0, bar;
		uint64_t least = UINT64_MAX;

		for (unsigned int i = 0; i < count; i++) {
			if (values->ids[i] > below && values->ids[i] < least) {
				least = values->ids[i];
				at = i;
			}
		}
		below = least;
		bar = bar_of(values, at);
		if (values->values[at] == 0)
			text_add(out, "?%*s", (int)count, "");
		else
			text_add(out, "%.*s>%*s", (int)bar,
				 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
				 (int)(count - bar), "");
		text_add(out, " %5" PRIu64 "    (id=%" PRIu64 ")\n",
			 values->values[at], values->ids[at]);
	}
}

static void describe_index(struct text *out, uint64_t index)
{
	if (index == UINT64_MAX)
		text_add(out, "\xe2\x88\x9e");
	else
		text_add(out, "%" PRIu64, index);
}

static void run_committed(struct text *out, const struct half *half,
			  const struct half *joined,
			  const struct values *values)
{
	uint64_t a = half_index(half, values);
	uint64_t b = half_index(joined, values);
	uint64_t index = raft_quorum_joint_index(a, b);

	describe_bars(out, values);
	if (raft_quorum_joint_index(b, a) != index) {
		describe_index(out, raft_quorum_joint_index(b, a));
		text_add(out, " <-- via symmetry\n");
	}
	if (raft_quorum_joint_index(index, UINT64_MAX) != index)
		text_add(out, "differs <-- via joining an empty half\n");
	describe_index(out, index);
	text_add(out, "\n");
}

static void run_vote(struct text *out, const struct half *half,
		     const struct half *joined, const struct values *values)
{
	static const char *const names[] = {
		[RAFT_VOTE_PENDING] = "VotePending",
		[RAFT_VOTE_LOST] = "VoteLost",
		[RAFT_VOTE_WON] = "VoteWon",
	};
	enum raft_vote_result a = half_vote(half, values);
	enum raft_vote_result b = half_vote(joined, values);
	enum raft_vote_result result = raft_quorum_joint_vote(a, b);

	if (raft_quorum_joint_vote(b, a) != result)
		text_add(out, "%s <-- via symmetry\n",
			 names[raft_quorum_joint_vote(b, a)]);
	text_add(out, "%s\n", names[result]);
}

bool quorum_words_run(const struct directive *directive, struct text *out)
{
	bool vote = strcmp(directive->word, "vote") == 0;
	struct half half, joined;
	struct values values = {0};

	if (!vote && strcmp(directive->word, "committed") != 0)
		return false;
	if (!read_half(directive, "cfg", &half) ||
	    !read_half(directive, "cfgj", &joined))
		return false;
	add_members(&values, &half);
	add_members(&values, &joined);
	if (!read_values(directive, vote ? "votes" : "idx", &values))
		return false;
	if (vote)
		run_vote(out, &half, &joined, &values);
	else
		run_committed(out, &half, &joined, &values);
	return true;
}
