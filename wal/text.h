/*
 * Names and messages, formatted without the C library's formatter, which the
 * pure floors do not link.
 *
 * Known: %s, %u, %llu, %x and %llx, the last two also with zeros in front to
 * a width (%08x); nothing else. What does not fit is cut off; the text always
 * ends in a zero byte.
 */
#ifndef WAL_TEXT_H
#define WAL_TEXT_H

#include <stdarg.h>
#include <stddef.h>

void text_format(char *ret_text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void text_vformat(char *ret_text, size_t size, const char *format,
		  va_list arguments) __attribute__((format(printf, 3, 0)));

#endif
