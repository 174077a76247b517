/*
 * conclavectl's commands about the daemon on this host: what it says of
 * itself, is it healthy, and what state is its store in.
 */
#include "shm/conclavectl.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* What is wrong though it answers, the worst first. */
static const struct {
	uint64_t bit;
	const char *name;
	const char *text;
} alarms[] = {
	{CV_ALARM_CORRUPT, "CORRUPT",
	 "alarm CORRUPT: its state differs from another member's"},
	{CV_ALARM_NOSPACE, "NOSPACE",
	 "alarm NOSPACE: the disk is full, writes are refused"},
	{CV_ALARM_DAMAGED, "DAMAGED",
	 "alarm DAMAGED: part of its log has not come back yet"},
};

/* ---- status ---- */

/* Their names, an array in JSON; one that is not known here is its bit. */
static void print_alarms(const struct ctl *ctl, uint64_t set)
{
	static const char *const begin[] = {
		[CTL_SIMPLE] = "alarms         ",
		[CTL_JSON] = ",\"alarms\":[",
		[CTL_FIELDS] = "\"alarms\" : \"",
	};
	static const char *const end[] = {
		[CTL_SIMPLE] = "\n",
		[CTL_JSON] = "]",
		[CTL_FIELDS] = "\"\n",
	};
	enum ctl_format format = ctl->options->format;
	const char *quote = format == CTL_JSON ? "\"" : "", *before = "";
	size_t i;

	printf("%s", begin[format]);
	if (set == 0 && format == CTL_SIMPLE)
		printf("none");
	for (i = 0; i < sizeof(alarms) / sizeof(alarms[0]); i++) {
		if ((set & alarms[i].bit) == 0)
			continue;
		printf("%s%s%s%s", before, quote, alarms[i].name, quote);
		before = ",";
		set &= ~alarms[i].bit;
	}
	if (set != 0)
		printf("%s%s%#" PRIx64 "%s", before, quote, set, quote);
	printf("%s", end[format]);
}

static void print_counters(const struct ctl *ctl, const struct cv_status *s)
{
	ctl_print_number(ctl, "commit", s->commit);
	ctl_print_number(ctl, "applied", s->applied);
	ctl_print_number(ctl, "revision", s->revision);
	ctl_print_number(ctl, "compacted", s->compacted);
	print_alarms(ctl, s->alarms);
	ctl_print_number(ctl, "differs_index", s->differs_index);
	ctl_print_number(ctl, "handles", s->handles);
	ctl_print_number(ctl, "sessions", s->sessions);
	ctl_print_number(ctl, "keys", s->keys);
	ctl_print_number(ctl, "store_bytes", s->store_bytes);
	ctl_print_number(ctl, "store_used", s->store_used);
	ctl_print_number(ctl, "log_size", s->log_size);
	ctl_print_number(ctl, "snapshots", s->snapshots);
	ctl_print_number(ctl, "turns", s->turns);
	ctl_print_number(ctl, "proposals", s->proposals);
	ctl_print_number(ctl, "reads", s->reads);
	ctl_print_number(ctl, "read_rounds", s->read_rounds);
	ctl_print_number(ctl, "lease_reads", s->lease_reads);
	ctl_print_number(ctl, "refused", s->refused);
	ctl_print_number(ctl, "cancelled", s->cancelled);
	ctl_print_number(ctl, "batches", s->batches);
	ctl_print_number(ctl, "log_records", s->log_records);
	ctl_print_number(ctl, "log_bytes", s->log_bytes);
	ctl_print_number(ctl, "wakes", s->wakes);
	ctl_print_number(ctl, "sleeps", s->sleeps);
}

static const char *role_name(uint64_t role)
{
	static const char *const names[] = {"follower", "candidate", "leader",
					    "pre-candidate"};

	return role < 4 ? names[role] : "unknown";
}

int ctl_status(struct ctl *ctl)
{
	const char *role;
	struct cv_status s;
	int status = conclave_status(ctl->conclave, &s);

	if (status != 0)
		return ctl_fail(ctl, "status", status);
	role = role_name(s.role);
	ctl_print_header(ctl, s.revision);
	if (ctl->options->format == CTL_JSON)
		printf(",\"role\":\"%s\"", role);
	else if (ctl->options->format == CTL_FIELDS)
		printf("\"role\" : \"%s\"\n", role);
	else
		printf("%-14s %s\n", "role", role);
	ctl_print_number(ctl, "member", s.member);
	ctl_print_number(ctl, "leader", s.leader);
	ctl_print_number(ctl, "term", s.term);
	print_counters(ctl, &s);
	if (ctl->options->format == CTL_JSON)
		printf("}\n");
	return CTL_OK;
}

/* ---- health ---- */

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What is wrong though it answers, or NULL. */
static const char *alarm_of(const struct cv_status *status)
{
	size_t i;

	for (i = 0; i < sizeof(alarms) / sizeof(alarms[0]); i++) {
		if ((status->alarms & alarms[i].bit) != 0)
			return alarms[i].text;
	}
	return NULL;
}

/* A linearizable read: a majority answers, and what it knows is here. NULL, or
 * what is wrong. */
static const char *look(struct ctl *ctl, struct cv_status *ret_status,
			uint64_t *ret_us)
{
	uint64_t begin = now_us();
	int code = conclave_get(ctl->conclave, "health", 6, NULL, 0, NULL);
	int status = conclave_status(ctl->conclave, ret_status);

	*ret_us = now_us() - begin;
	if (code == 0 || code == CONCLAVE_ENOTFOUND)
		code = status;
	if (code == 0)
		return alarm_of(ret_status);
	if (code != CONCLAVE_EDEADLINE && code != CONCLAVE_ECANCELLED)
		return conclave_strerror(code);
	if (status == 0 && ret_status->leader == 0)
		return conclave_strerror(CONCLAVE_ENOLEADER);
	return "no linearizable read came through in time";
}

static void print_health(const struct ctl *ctl, uint64_t member, uint64_t us,
			 const char *wrong)
{
	ctl_print_header(ctl, conclave_revision(ctl->conclave));
	if (ctl->options->format == CTL_JSON) {
		printf(",\"health\":%s", wrong == NULL ? "true" : "false");
		if (wrong != NULL)
			printf(",\"error\":\"%s\"", wrong);
		printf(",\"took_us\":%" PRIu64 "}\n", us);
	} else if (ctl->options->format == CTL_FIELDS) {
		printf("\"Health\" : %s\n", wrong == NULL ? "true" : "false");
		if (wrong != NULL)
			printf("\"Error\" : \"%s\"\n", wrong);
		printf("\"TookUs\" : %" PRIu64 "\n", us);
	} else if (wrong == NULL) {
		printf("member %" PRIu64 " is healthy: a linearizable read "
		       "took %" PRIu64 ".%03" PRIu64 " ms\n",
		       member, us / 1000, us % 1000);
	}
	if (wrong != NULL)
		fprintf(stderr,
			"conclavectl: member %" PRIu64 " is not healthy: %s\n",
			member, wrong);
}

int ctl_endpoint_health(struct ctl *ctl)
{
	struct cv_status status;
	const char *wrong;
	uint64_t us;

	memset(&status, 0, sizeof(status));
	/* Who it is, even if it does not answer in time. */
	if (conclave_status(ctl->conclave, &status) != 0)
		memset(&status, 0, sizeof(status));
	wrong = look(ctl, &status, &us);
	print_health(ctl, status.member, us, wrong);
	return wrong == NULL ? CTL_OK : CTL_NOT_APPLIED;
}

/* ---- hash ---- */

int ctl_endpoint_hash(struct ctl *ctl)
{
	struct cv_state state;
	int status = conclave_state(ctl->conclave, &state);

	if (status != 0)
		return ctl_fail(ctl, ctl->options->command, status);
	ctl_print_header(ctl, state.revision);
	if (ctl->options->format == CTL_JSON)
		printf(",\"applied\":%" PRIu64 ",\"hash\":\"%016" PRIx64
		       "%016" PRIx64 "\"}\n",
		       state.applied, state.hash[1], state.hash[0]);
	else if (ctl->options->format == CTL_FIELDS)
		printf("\"Applied\" : %" PRIu64 "\n\"Hash\" : \"%016" PRIx64
		       "%016" PRIx64 "\"\n",
		       state.applied, state.hash[1], state.hash[0]);
	else
		printf("%" PRIu64 " %016" PRIx64 "%016" PRIx64 "\n",
		       state.applied, state.hash[1], state.hash[0]);
	return CTL_OK;
}
