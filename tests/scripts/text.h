/*
 * Text that grows, with a level of indentation: what a directive prints.
 */
#ifndef TESTS_SCRIPTS_TEXT_H
#define TESTS_SCRIPTS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *bytes; /* ends in 0 once anything was added */
	size_t size;
	size_t room;
	unsigned int indent; /* spaces before each line */
	bool muted;
};

void text_release(struct text *text);
void text_add(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* As Go prints a quoted string. */
void text_add_quoted(struct text *text, const char *bytes, size_t size);

#endif
