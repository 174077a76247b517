/*
 * conclavectl's commands about members: list, add, promote, remove, update,
 * replace; and move-leader. A refused change says what to look at next.
 */
#include "shm/conclavectl.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
	ADDRESS_MAX = 127,
	PORT_MAX = 65535,
	LOOK_NS = 10000000, /* between two looks at who leads */
	DIGITS_MAX = 20,
};

/* ---- list ---- */

static const char *role_of(const struct conclave_member *member)
{
	if ((member->flags & CV_MEMBER_LEADER) != 0)
		return "leader";
	if ((member->flags & CV_MEMBER_VOTER) != 0)
		return "voter";
	if ((member->flags & CV_MEMBER_LEARNER) != 0)
		return "learner";
	return (member->flags & CV_MEMBER_REMOVED) != 0 ? "removed" : "none";
}

static bool is_self(const struct conclave_member *member)
{
	return (member->flags & CV_MEMBER_SELF) != 0;
}

static bool is_linked(const struct conclave_member *member)
{
	return (member->flags & (CV_MEMBER_LINKED | CV_MEMBER_SELF)) != 0;
}

/* How the columns must be, and whether a leader answers: it alone knows how
 * far the others are. */
struct shape {
	int id_width;
	int match_width;
	bool leads;
};

/* The walk is the caller's own copy: the list is walked again. */
static int find_shape(struct conclave_members walk, struct shape *ret_shape)
{
	struct shape shape = {.id_width = 2, .match_width = 5};
	struct conclave_member member;
	char text[DIGITS_MAX + 1];
	int status, width;

	while ((status = conclave_members_next(&walk, &member)) == 1) {
		width = snprintf(text, sizeof(text), "%" PRIu64, member.id);
		if (width > shape.id_width)
			shape.id_width = width;
		width = snprintf(text, sizeof(text), "%" PRIu64, member.match);
		if (width > shape.match_width)
			shape.match_width = width;
		if (is_self(&member) && (member.flags & CV_MEMBER_LEADER) != 0)
			shape.leads = true;
	}
	*ret_shape = shape;
	return status;
}

static void print_simple(const struct shape *shape,
			 const struct conclave_member *m)
{
	char match[DIGITS_MAX + 1] = "-";

	if (shape->leads)
		snprintf(match, sizeof(match), "%" PRIu64, m->match);
	printf("%-*" PRIu64 "  %-7s  %-6s  %-*s  %.*s\n", shape->id_width,
	       m->id, role_of(m),
	       is_self(m) ? "self" : (is_linked(m) ? "yes" : "no"),
	       shape->match_width, match, (int)m->address_size, m->address);
}

static void print_json(const struct shape *shape,
		       const struct conclave_member *m, bool first)
{
	printf("%s{\"id\":%" PRIu64 ",\"role\":\"%s\",\"self\":%s,"
	       "\"linked\":%s",
	       first ? "" : ",", m->id, role_of(m),
	       is_self(m) ? "true" : "false", is_linked(m) ? "true" : "false");
	if (shape->leads)
		printf(",\"match\":%" PRIu64, m->match);
	printf(",\"address\":");
	ctl_print_json_text((const uint8_t *)m->address, m->address_size);
	putchar('}');
}

static void print_fields(const struct shape *shape,
			 const struct conclave_member *m)
{
	printf("\"ID\" : %" PRIu64 "\n\"Role\" : \"%s\"\n\"Self\" : %s\n"
	       "\"Linked\" : %s\n",
	       m->id, role_of(m), is_self(m) ? "true" : "false",
	       is_linked(m) ? "true" : "false");
	if (shape->leads)
		printf("\"Match\" : %" PRIu64 "\n", m->match);
	printf("\"Address\" : ");
	ctl_print_quoted((const uint8_t *)m->address, m->address_size);
	putchar('\n');
}

static int print_members(const struct ctl *ctl,
			 struct conclave_members *members,
			 const struct shape *shape)
{
	struct conclave_member member;
	bool first = true;
	int status;

	if (ctl->options->format == CTL_SIMPLE)
		printf("%-*s  ROLE     LINKED  %-*s  ADDRESS\n",
		       shape->id_width, "ID", shape->match_width, "MATCH");
	ctl_print_header(ctl, conclave_revision(ctl->conclave));
	if (ctl->options->format == CTL_JSON)
		printf(",\"members\":[");
	while ((status = conclave_members_next(members, &member)) == 1) {
		if (ctl->options->format == CTL_JSON)
			print_json(shape, &member, first);
		else if (ctl->options->format == CTL_FIELDS)
			print_fields(shape, &member);
		else
			print_simple(shape, &member);
		first = false;
	}
	if (ctl->options->format == CTL_JSON)
		printf("]}\n");
	return status;
}

int ctl_member_list(struct ctl *ctl)
{
	struct conclave_members members;
	struct shape shape;
	int status = conclave_members_begin(ctl->conclave, &members);

	if (status != 0)
		return ctl_fail(ctl, ctl->options->command, status);
	status = find_shape(members, &shape);
	if (status == 0)
		status = print_members(ctl, &members, &shape);
	conclave_members_end(&members);
	return status == 0 ? CTL_OK
			   : ctl_fail(ctl, ctl->options->command, status);
}

/* ---- what was typed ---- */

/* 0 and a member's id, or an exit status behind a message. */
static int parse_id(const char *word, uint64_t *ret_id)
{
	if (ctl_number(word, ret_id) == 0 && *ret_id != 0)
		return 0;
	fprintf(stderr,
		"conclavectl: a member's id is a number above 0, not '%s'\n",
		word);
	return CTL_USAGE;
}

/* The host may be anything without a colon, or stand in brackets. */
static int check_address(const char *word)
{
	const char *colon = strrchr(word, ':');
	bool bracketed = colon != NULL && word[0] == '[' && colon[-1] == ']';
	uint64_t port = 0;

	if (colon != NULL && colon != word &&
	    (bracketed || strchr(word, ':') == colon) &&
	    ctl_number(colon + 1, &port) == 0 && port != 0 &&
	    port <= PORT_MAX && strlen(word) <= ADDRESS_MAX)
		return 0;
	fprintf(stderr,
		"conclavectl: an address is HOST:PORT, at most %d bytes, not "
		"'%s'\n",
		ADDRESS_MAX, word);
	return CTL_USAGE;
}

/* ---- changes ---- */

/* Says what became of a change; `next`: what to do when it was refused. */
static int tell(const struct ctl *ctl, int code, const char *done,
		const char *next)
{
	const struct ctl_options *o = ctl->options;
	int status;

	if (code != 0) {
		status = ctl_fail(ctl, o->command, code);
		if (code == CONCLAVE_EMEMBERSHIP)
			fprintf(stderr, "%s\n", next);
		return status;
	}
	ctl_print_header(ctl, conclave_revision(ctl->conclave));
	if (o->format == CTL_JSON)
		printf(",\"member\":%s}\n", o->arguments[0]);
	else if (o->format == CTL_FIELDS)
		printf("\"Member\" : %s\n", o->arguments[0]);
	else
		printf("member %s %s\n", o->arguments[0], done);
	return CTL_OK;
}

int ctl_member_add(struct ctl *ctl)
{
	const char *address = ctl->options->arguments[1];
	uint64_t id;
	int status = parse_id(ctl->options->arguments[0], &id);

	if (status == 0)
		status = check_address(address);
	if (status != 0)
		return status;
	return tell(ctl, conclave_member_add(ctl->conclave, id, address),
		    "is a learner now; promote it when it has caught up",
		    "The id must be new: no member's, and none that was "
		    "removed; see 'conclavectl member list'.");
}

int ctl_member_promote(struct ctl *ctl)
{
	uint64_t id;
	int status = parse_id(ctl->options->arguments[0], &id);

	if (status != 0)
		return status;
	return tell(ctl, conclave_member_promote(ctl->conclave, id),
		    "votes now",
		    "Is it a learner, and has it caught up? See MATCH in "
		    "'conclavectl member list' on the leader's host.");
}

int ctl_member_remove(struct ctl *ctl)
{
	uint64_t id;
	int status = parse_id(ctl->options->arguments[0], &id);

	if (status != 0)
		return status;
	return tell(ctl, conclave_member_remove(ctl->conclave, id),
		    "is removed, for ever",
		    "Is it a member, and would those that are left and answer "
		    "be a majority? See 'conclavectl member list'.");
}

int ctl_member_update(struct ctl *ctl)
{
	const char *address = ctl->options->arguments[1];
	uint64_t id;
	int status = parse_id(ctl->options->arguments[0], &id);

	if (status == 0)
		status = check_address(address);
	if (status != 0)
		return status;
	return tell(ctl, conclave_member_update(ctl->conclave, id, address),
		    "has its new address",
		    "Is it a member? See 'conclavectl member list'.");
}

int ctl_member_replace(struct ctl *ctl)
{
	uint64_t id, by;
	int status = parse_id(ctl->options->arguments[0], &id);

	if (status == 0)
		status = parse_id(ctl->options->arguments[1], &by);
	if (status != 0)
		return status;
	return tell(ctl, conclave_member_replace(ctl->conclave, id, by),
		    "is replaced",
		    "OLD must be a voter and NEW a learner that has caught up; "
		    "see 'conclavectl member list' on the leader's host.");
}

/* ---- leadership ---- */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Looks until that member leads or the time is over: who leads then. */
static int await_leader(const struct ctl *ctl, uint64_t id,
			uint64_t *ret_leader)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};
	uint64_t until = now_ms() + ctl->options->timeout_ms;
	struct cv_status s;
	int status;

	for (;;) {
		status = conclave_status(ctl->conclave, &s);
		if (status != 0)
			return status;
		*ret_leader = s.leader;
		if (s.leader == id || now_ms() >= until)
			return 0;
		if (nanosleep(&pause, NULL) != 0)
			return -EINTR;
	}
}

int ctl_move_leader(struct ctl *ctl)
{
	const char *command = ctl->options->command;
	uint64_t id, leader = 0;
	int status = parse_id(ctl->options->arguments[0], &id);

	if (status != 0)
		return status;
	status = conclave_move_leader(ctl->conclave, id);
	if (status == CONCLAVE_ENOTFOUND) {
		fprintf(stderr,
			"conclavectl: %s: %" PRIu64 " is no voter; see "
			"'conclavectl member list'\n",
			command, id);
		return CTL_NOT_FOUND;
	}
	if (status == 0)
		status = await_leader(ctl, id, &leader);
	if (status != 0)
		return ctl_fail(ctl, command, status);
	if (leader == id)
		return tell(ctl, 0, "leads now", "");
	fprintf(stderr,
		"conclavectl: %s: member %" PRIu64 " does not lead yet, member "
		"%" PRIu64 " does; has it caught up, and is it linked? See "
		"'conclavectl member list' on the leader's host.\n",
		command, id, leader);
	return CTL_UNKNOWN;
}
