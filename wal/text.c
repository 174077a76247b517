/*
 * The formatter of wal/text.h.
 */
#include "wal/text.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct text {
	char *at;
	char *end; /* where the zero byte goes at the latest */
};

/* One conversion: %[0width][ll]{s,u,x}. */
struct text_kind {
	int width;
	bool wide;
	char letter;
};

static void text_put(struct text *text, char c)
{
	if (text->at < text->end)
		*text->at++ = c;
}

static void text_put_string(struct text *text, const char *string)
{
	while (*string)
		text_put(text, *string++);
}

static void text_put_number(struct text *text, uint64_t number, unsigned base,
			    int width)
{
	static const char letters[] = "0123456789abcdef";
	char digits[20];
	int count = 0;

	do {
		digits[count++] = letters[number % base];
		number /= base;
	} while (number > 0);
	while (width-- > count)
		text_put(text, '0');
	while (count > 0)
		text_put(text, digits[--count]);
}

/* Reads a conversion behind its percent sign; returns what follows it. */
static const char *text_parse(const char *format, struct text_kind *ret_kind)
{
	struct text_kind kind = {0};

	while (*format >= '0' && *format <= '9')
		kind.width = kind.width * 10 + (*format++ - '0');
	for (; *format == 'l'; format++)
		kind.wide = true;
	kind.letter = *format;
	*ret_kind = kind;
	return format + 1;
}

void text_vformat(char *ret_text, size_t size, const char *format,
		  va_list arguments)
{
	struct text text = {ret_text, ret_text + size - 1};
	struct text_kind kind;
	uint64_t number;

	assert(size > 0);
	while (*format) {
		if (*format != '%') {
			text_put(&text, *format++);
			continue;
		}
		format = text_parse(format + 1, &kind);
		if (kind.letter == 's') {
			text_put_string(&text, va_arg(arguments, const char *));
			continue;
		}
		assert(kind.letter == 'u' || kind.letter == 'x');
		number = kind.wide ? va_arg(arguments, unsigned long long)
				   : va_arg(arguments, unsigned int);
		text_put_number(&text, number, kind.letter == 'u' ? 10 : 16,
				kind.width);
	}
	*text.at = '\0';
}

void text_format(char *ret_text, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text_vformat(ret_text, size, format, arguments);
	va_end(arguments);
}
