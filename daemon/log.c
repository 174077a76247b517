/*
 * Log lines: built in place, written whole or dropped.
 */
#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	TAIL_ROOM = 64, /* kept for what ends a line */
	NUMBER_MAX = 24,
	TIME_MAX = 40,
};

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
};

void log_init(struct log *log, int fd, enum log_level least)
{
	assert(least <= LOG_ERROR);
	memset(log, 0, sizeof(*log));
	log->fd = fd;
	log->least = least;
}

/* Puts bytes if they fit and the tail's room stays. */
static void put(struct log *log, const char *bytes, size_t size)
{
	if (size > LOG_LINE_MAX - TAIL_ROOM - log->used)
		log->cut = true;
	if (log->cut)
		return;
	memcpy(log->line + log->used, bytes, size);
	log->used += (uint32_t)size;
	assert(log->used <= LOG_LINE_MAX - TAIL_ROOM);
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c != '\0' && strchr("._:/@%+,-", c));
}

static void put_escaped(struct log *log, char c)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t byte = (uint8_t)c;
	char hex[4] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
	char quoted[2] = {'\\', c};

	if (c == '"' || c == '\\')
		put(log, quoted, sizeof(quoted));
	else if (byte < 0x20 || byte == 0x7f)
		put(log, hex, sizeof(hex));
	else
		put(log, &c, 1);
}

static void put_value(struct log *log, const char *value)
{
	size_t size = strlen(value);
	size_t plain = 0;

	while (plain < size && is_plain(value[plain]))
		plain++;
	if (size > 0 && plain == size) {
		put(log, value, size);
		return;
	}
	put(log, "\"", 1);
	for (size_t i = 0; i < size; i++)
		put_escaped(log, value[i]);
	put(log, "\"", 1);
}

void log_begin(struct log *log, enum log_level level, const char *message)
{
	char stamp[TIME_MAX];
	struct timespec now;
	struct tm parts;

	assert(level <= LOG_ERROR);
	log->used = 0;
	log->cut = false;
	log->muted = level < log->least;
	if (log->muted)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	(void)gmtime_r(&now.tv_sec, &parts); /* nor this, in this aeon */
	size_t size =
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(stamp + size, sizeof(stamp) - size, ".%06ldZ",
		       now.tv_nsec / 1000);
	log_text(log, "time", stamp);
	log_text(log, "level", level_names[level]);
	log_text(log, "msg", message);
}

void log_text(struct log *log, const char *key, const char *value)
{
	uint32_t before = log->used;

	if (log->muted)
		return;
	if (log->used > 0)
		put(log, " ", 1);
	put(log, key, strlen(key));
	put(log, "=", 1);
	put_value(log, value);
	if (log->cut)
		log->used = before;
}

void log_number(struct log *log, const char *key, uint64_t value)
{
	char text[NUMBER_MAX];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	log_text(log, key, text);
}

void log_signed(struct log *log, const char *key, int64_t value)
{
	char text[NUMBER_MAX];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	log_text(log, key, text);
}

void log_errno(struct log *log, int code)
{
	assert(code <= 0);
	log_text(log, "error", strerror(-code));
	log_signed(log, "code", code);
}

/*
 * Whether a write of one line would go through at once. A pipe is writable
 * while PIPE_BUF bytes are free, and a line is shorter than that. The flags
 * of the descriptor are not touched: a terminal shares them with a shell.
 */
static bool can_write(int fd)
{
	struct pollfd look = {.fd = fd, .events = POLLOUT};

	return poll(&look, 1, 0) == 1 && (look.revents & POLLOUT);
}

/* What ends a line: that it was cut, and how many came before it in vain. */
static void put_tail(struct log *log)
{
	char tail[TAIL_ROOM];
	int size = 0;

	if (log->cut)
		size += snprintf(tail, sizeof(tail), " cut=yes");
	if (log->dropped > 0)
		size += snprintf(tail + size, sizeof(tail) - (size_t)size,
				 " dropped=%" PRIu64, log->dropped);
	tail[size++] = '\n';
	assert(size <= TAIL_ROOM);
	memcpy(log->line + log->used, tail, (size_t)size);
	log->used += (uint32_t)size;
}

void log_end(struct log *log)
{
	if (log->muted)
		return;
	put_tail(log);
	assert(log->used <= LOG_LINE_MAX);
	if (can_write(log->fd) &&
	    write(log->fd, log->line, log->used) == (ssize_t)log->used)
		log->dropped = 0;
	else
		log->dropped++;
}

uint64_t log_dropped(const struct log *log)
{
	return log->dropped;
}
