/*
 * A datadriven script: directives with their arguments, input and expected
 * output.
 *
 *   # comments and blank lines between
 *   word argument key=value key=(value, value)
 *   lines of input
 *   ----
 *   lines of expected output, up to a blank line or the end
 */
#ifndef TESTS_SCRIPTS_SCRIPT_H
#define TESTS_SCRIPTS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum script_limits {
	SCRIPT_ARGS_MAX = 24,
	SCRIPT_VALUES_MAX = 24,
};

struct script_arg {
	char *key;
	char *values[SCRIPT_VALUES_MAX];
	unsigned int value_count;
};

struct directive {
	unsigned int line;
	char *word;
	struct script_arg args[SCRIPT_ARGS_MAX];
	unsigned int arg_count;
	char *input; /* all lines, each with its end; "" if none */
	char *expected; /* likewise */
};

struct script {
	char *bytes; /* of the file, cut up in place */
	char *at; /* what is not read yet */
	unsigned int line;
};

/* Returns 0 or -errno. */
int script_open(struct script *script, const char *path);
void script_close(struct script *script);

/*
 * The next directive, lent until script_close(); 0 at the end, 1 if there is
 * one, -1 when the text is no script.
 */
int script_next(struct script *script, struct directive *ret_directive);

/* The argument `key`, or NULL. */
const struct script_arg *directive_find(const struct directive *directive,
					const char *key);
const char *directive_value(const struct directive *directive, const char *key);
/* A plain number argument: its value, or `otherwise`. */
uint64_t directive_number(const struct directive *directive, const char *key,
			  uint64_t otherwise);
bool directive_is(const struct directive *directive, const char *key,
		  const char *value);

/* Whether `word` is a number, and which. */
bool script_number(const char *word, uint64_t *ret_number);
/* The same of yes and no, in all the forms that Go takes. */
bool script_bool(const char *word, bool *ret_bool);

#endif
