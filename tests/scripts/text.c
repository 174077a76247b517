/*
 * Text that grows; each line begins with the indentation of the moment.
 */
#include "tests/scripts/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_release(struct text *text)
{
	free(text->bytes);
	text->bytes = NULL;
	text->size = 0;
	text->room = 0;
}

static void put_byte(struct text *text, char byte)
{
	if (text->size + 2 > text->room) {
		text->room = text->room ? 2 * text->room : 256;
		text->bytes = realloc(text->bytes, text->room);
		assert(text->bytes);
	}
	text->bytes[text->size++] = byte;
	text->bytes[text->size] = 0;
}

static void put_bytes(struct text *text, const char *bytes, size_t size)
{
	if (text->muted)
		return;
	for (size_t i = 0; i < size; i++) {
		bool begins =
			text->size == 0 || text->bytes[text->size - 1] == '\n';

		for (unsigned int j = 0; begins && j < text->indent; j++)
			put_byte(text, ' ');
		put_byte(text, bytes[i]);
	}
}

void text_add(struct text *text, const char *format, ...)
{
	char line[1024];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	assert(size >= 0 && (size_t)size < sizeof(line));
	put_bytes(text, line, (size_t)size);
}

void text_add_quoted(struct text *text, const char *bytes, size_t size)
{
	text_add(text, "\"");
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '"' || c == '\\')
			text_add(text, "\\%c", c);
		else if (c == '\n')
			text_add(text, "\\n");
		else if (c == '\t')
			text_add(text, "\\t");
		else if (c < 0x20 || c == 0x7f)
			text_add(text, "\\x%02x", c);
		else
			put_bytes(text, &bytes[i], 1);
	}
	text_add(text, "\"");
}
