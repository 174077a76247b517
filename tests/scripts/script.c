/*
 * Reading scripts; the language is at the head of script.h.
 */
#include "tests/scripts/script.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int script_open(struct script *script, const char *path)
{
	FILE *file = fopen(path, "rb");
	size_t size = 0, got;

	if (!file)
		return -errno;
	script->bytes = NULL;
	do {
		script->bytes = realloc(script->bytes, size + 65537);
		assert(script->bytes);
		got = fread(script->bytes + size, 1, 65536, file);
		size += got;
	} while (got > 0);
	(void)fclose(file); /* it was only read */
	script->bytes[size] = 0;
	script->at = script->bytes;
	script->line = 0;
	return 0;
}

void script_close(struct script *script)
{
	free(script->bytes);
	script->bytes = NULL;
}

/* The next line without its end, or NULL; *ret_end is where it was cut. */
static char *next_line(struct script *script)
{
	char *line = script->at;
	char *end;

	if (*line == 0)
		return NULL;
	end = strchr(line, '\n');
	if (end) {
		*end = 0;
		script->at = end + 1;
	} else {
		script->at = line + strlen(line);
	}
	script->line++;
	return line;
}

static bool is_blank(const char *line)
{
	while (*line && isspace((unsigned char)*line))
		line++;
	return *line == 0;
}

static bool is_comment(const char *line)
{
	return line[strspn(line, " \t")] == '#';
}

static void add_value(struct script_arg *arg, char *value)
{
	char *end;

	while (isspace((unsigned char)*value))
		value++;
	end = value + strlen(value);
	while (end > value && isspace((unsigned char)end[-1]))
		*--end = 0;
	if (*value == 0)
		return;
	assert(arg->value_count < SCRIPT_VALUES_MAX);
	arg->values[arg->value_count++] = value;
}

static void cut_values(struct script_arg *arg, char *values)
{
	char *comma;

	while ((comma = strchr(values, ','))) {
		*comma = 0;
		add_value(arg, values);
		values = comma + 1;
	}
	add_value(arg, values);
}

/* One argument, cut out of the line at `at`; returns what follows. */
static char *cut_arg(char *at, struct script_arg *arg)
{
	bool listed = false;
	char *values;

	arg->key = at;
	arg->value_count = 0;
	while (*at && !isspace((unsigned char)*at) && *at != '=')
		at++;
	if (*at != '=') {
		if (*at)
			*at++ = 0;
		return at;
	}
	*at++ = 0;
	if (*at == '(') {
		listed = true;
		at++;
	}
	values = at;
	while (*at && (listed ? *at != ')' : !isspace((unsigned char)*at)))
		at++;
	if (*at)
		*at++ = 0;
	if (listed)
		cut_values(arg, values);
	else
		add_value(arg, values);
	return at;
}

static void cut_line(char *line, struct directive *directive)
{
	while (isspace((unsigned char)*line))
		line++;
	directive->word = line;
	while (*line && !isspace((unsigned char)*line))
		line++;
	if (*line)
		*line++ = 0;
	directive->arg_count = 0;
	for (;;) {
		while (isspace((unsigned char)*line))
			line++;
		if (*line == 0)
			return;
		assert(directive->arg_count < SCRIPT_ARGS_MAX);
		line = cut_arg(line, &directive->args[directive->arg_count++]);
	}
}

/* Lines up to `stop` ("----" or a blank one), joined again. */
static char *read_block(struct script *script, bool until_dashes,
			bool *ret_stopped)
{
	char *begin = script->at;
	char *end = begin;
	char *line;

	*ret_stopped = false;
	while ((line = next_line(script))) {
		if (until_dashes ? strcmp(line, "----") == 0 : is_blank(line)) {
			*ret_stopped = true;
			break;
		}
		end = line + strlen(line);
		*end++ = '\n';
	}
	/* The line that ended it gives room for the end of the text. */
	*end = 0;
	return begin;
}

int script_next(struct script *script, struct directive *ret_directive)
{
	char *line;
	bool stopped;

	do {
		line = next_line(script);
		if (!line)
			return 0;
	} while (is_blank(line) || is_comment(line));
	ret_directive->line = script->line;
	cut_line(line, ret_directive);
	ret_directive->input = read_block(script, true, &stopped);
	if (!stopped)
		return -1;
	ret_directive->expected = read_block(script, false, &stopped);
	return 1;
}

const struct script_arg *directive_find(const struct directive *directive,
					const char *key)
{
	for (unsigned int i = 0; i < directive->arg_count; i++)
		if (strcmp(directive->args[i].key, key) == 0)
			return &directive->args[i];
	return NULL;
}

const char *directive_value(const struct directive *directive, const char *key)
{
	const struct script_arg *arg = directive_find(directive, key);

	return arg && arg->value_count > 0 ? arg->values[0] : NULL;
}

bool script_number(const char *word, uint64_t *ret_number)
{
	char *end;
	uint64_t number;

	if (!isdigit((unsigned char)word[0]))
		return false;
	errno = 0;
	number = strtoull(word, &end, 10);
	if (*end != 0 || errno == ERANGE)
		return false;
	*ret_number = number;
	return true;
}

bool script_bool(const char *word, bool *ret_bool)
{
	static const char *const yes[] = {"1",	  "t",	  "T",
					  "true", "True", "TRUE"};
	static const char *const no[] = {"0",	  "f",	   "F",
					 "false", "False", "FALSE"};

	for (unsigned int i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		bool is_yes = strcmp(word, yes[i]) == 0;

		if (is_yes || strcmp(word, no[i]) == 0) {
			*ret_bool = is_yes;
			return true;
		}
	}
	return false;
}

uint64_t directive_number(const struct directive *directive, const char *key,
			  uint64_t otherwise)
{
	const char *value = directive_value(directive, key);
	uint64_t number;

	return value && script_number(value, &number) ? number : otherwise;
}

bool directive_is(const struct directive *directive, const char *key,
		  const char *value)
{
	const char *has = directive_value(directive, key);

	return has && strcmp(has, value) == 0;
}
