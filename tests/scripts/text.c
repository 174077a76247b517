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

/* How many bytes the character at `bytes` has; 0 if it is no UTF-8. */
static size_t utf8_size(const char *bytes, size_t size)
{
	const unsigned char *at = (const unsigned char *)bytes;
	size_t count = at[0] < 0x80   ? 1
		       : at[0] < 0xc2 ? 0
		       : at[0] < 0xe0 ? 2
		       : at[0] < 0xf0 ? 3
		       : at[0] < 0xf5 ? 4
				      : 0;

	if (count > size)
		return 0;
	for (size_t i = 1; i < count; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return count;
}

void text_add_quoted(struct text *text, const char *bytes, size_t size)
{
	static const char escaped[] = "\"\\\a\b\f\n\r\t\v";
	static const char letters[] = "\"\\abfnrtv";
	size_t step;

	text_add(text, "\"");
	for (size_t i = 0; i < size; i += step) {
		unsigned char c = (unsigned char)bytes[i];
		const char *known = c ? strchr(escaped, c) : NULL;

		step = utf8_size(&bytes[i], size - i);
		if (known)
			text_add(text, "\\%c", letters[known - escaped]);
		else if (step == 0 || c < 0x20 || c == 0x7f)
			text_add(text, "\\x%02x", c);
		else
			put_bytes(text, &bytes[i], step);
		if (step == 0)
			step = 1;
	}
	text_add(text, "\"");
}
