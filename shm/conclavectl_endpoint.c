/*
 * conclavectl's commands about the daemon on this host: is it healthy, and
 * what state is its store in. `endpoint status` is `status`.
 */
#include "shm/conclavectl.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

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
	if ((status->alarms & CV_ALARM_CORRUPT) != 0)
		return "its state differs from another member's";
	if ((status->alarms & CV_ALARM_NOSPACE) != 0)
		return "the disk is full: writes are refused";
	if ((status->alarms & CV_ALARM_DAMAGED) != 0)
		return "part of its log was damaged and has not come back yet";
	return NULL;
}

/* A linearizable read: a majority answers, and what it knows is here. */
static const char *look(struct ctl *ctl, struct cv_status *ret_status,
			uint64_t *ret_us)
{
	uint64_t begin = now_us();
	int status = conclave_get(ctl->conclave, "health", 6, NULL, 0, NULL);

	*ret_us = now_us() - begin;
	if (status == 0 || status == CONCLAVE_ENOTFOUND)
		status = conclave_status(ctl->conclave, ret_status);
	return status == 0 ? alarm_of(ret_status) : conclave_strerror(status);
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
