/*
 * Log lines as key=value, one write each, to a descriptor (stderr):
 *
 *   time=2025-01-31T12:00:00.123456Z level=info msg=ready member=1
 *
 * A line is begun, gets its fields, and ends. A value with anything in it
 * but plain letters, digits and ._:/@%+,- stands in quotes, with " \ and
 * control bytes escaped, so a line is always one line, whoever chose the
 * value. The log never holds up the loop: when whoever reads it is behind,
 * lines are dropped and counted, and the next line that fits says how many.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_DEBUG = 0,
	LOG_INFO,
	LOG_WARN,
	LOG_ERROR,
};

enum log_limits {
	LOG_LINE_MAX = 2048, /* what is longer is cut; below PIPE_BUF */
};

struct log {
	int fd;
	enum log_level least;
	bool muted; /* the line begun is below `least` */
	bool cut; /* a field did not fit */
	uint64_t dropped;
	uint32_t used;
	char line[LOG_LINE_MAX];
};

/* `fd` is borrowed and stays as it is: its flags belong to others too. */
void log_init(struct log *log, int fd, enum log_level least);

void log_begin(struct log *log, enum log_level level, const char *message);
void log_text(struct log *log, const char *key, const char *value);
void log_number(struct log *log, const char *key, uint64_t value);
void log_signed(struct log *log, const char *key, int64_t value);
/* The kernel's word for -errno, and the code. */
void log_errno(struct log *log, int code);
void log_end(struct log *log);

/* Lines that nobody will ever see. */
uint64_t log_dropped(const struct log *log);

#endif
