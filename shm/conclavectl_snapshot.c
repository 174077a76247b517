/*
 * conclavectl's commands about backups: save one from the daemon on this host
 * or from the folder of a stopped member, say what one is, and restore one.
 *
 * Saving from a daemon is a request to it to make an image of now, and a copy
 * of that file, which any user may make who may read the daemon's folder. The
 * daemon sends nothing and keeps nothing for it, and a command that hangs or
 * dies holds up nobody: all that it has is an open file.
 */
#include "shm/conclavectl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/backup.h"

enum {
	LOOK_IMAGE_NS = 20000000, /* between two looks */
	IMAGE_WAIT_S = 600,
	IMAGE_TRIES = 5, /* each was replaced before it could be opened */
	IMAGE_PATH_MAX = CV_PLACE_MAX + 32,
};

/* ---- words ---- */

static int tell_failure(const struct ctl *ctl, int code, const char *error)
{
	fprintf(stderr, "conclavectl: %s: %s\n", ctl->options->command, error);
	switch (code) {
	case BACKUP_EDAMAGED:
		return CTL_DAMAGED;
	case BACKUP_EREFUSED:
		return CTL_NOT_APPLIED;
	default:
		return CTL_USAGE;
	}
}

static void print_text(const struct ctl *ctl, const char *name,
		       const char *text, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)text;

	if (ctl->options->format == CTL_JSON) {
		printf(",\"%s\":", name);
		ctl_print_json_text(bytes, size);
	} else if (ctl->options->format == CTL_FIELDS) {
		printf("\"%s\" : ", name);
		ctl_print_quoted(bytes, size);
		putchar('\n');
	} else {
		printf("%-14s %.*s\n", name, (int)size, text);
	}
}

static void print_hash(const struct ctl *ctl, const struct backup_info *info)
{
	char text[33];

	snprintf(text, sizeof(text), "%016" PRIx64 "%016" PRIx64, info->hash[1],
		 info->hash[0]);
	print_text(ctl, "hash", text, strlen(text));
}

static void print_cluster_id(const struct ctl *ctl,
			     const struct backup_info *info)
{
	char text[33];
	uint32_t i;

	for (i = 0; i < 16; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", info->cluster[i]);
	print_text(ctl, "cluster_id", text, strlen(text));
}

static void print_time(const struct ctl *ctl, const char *name, uint64_t at_s)
{
	time_t at = (time_t)at_s;
	char text[32] = "";
	struct tm utc;

	if (gmtime_r(&at, &utc) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	print_text(ctl, name, text, strlen(text));
}

/* Where it comes from and how far it goes: known of every backup. */
static void print_origin(const struct ctl *ctl, const struct backup_info *info)
{
	const struct backup_label *label = &info->label;

	if (ctl->options->format == CTL_JSON)
		printf("{\"format\":%d", BACKUP_FORMAT);
	print_text(ctl, "cluster", label->name, label->name_size);
	print_cluster_id(ctl, info);
	ctl_print_number(ctl, "member", label->member);
	print_time(ctl, "saved", label->saved_s);
	ctl_print_number(ctl, "alone", (label->flags & BACKUP_ALONE) != 0);
	ctl_print_number(ctl, "index", info->index);
	ctl_print_number(ctl, "term", info->term);
	ctl_print_number(ctl, "revision", info->revision);
	print_hash(ctl, info);
	ctl_print_number(ctl, "size", info->size);
}

static void print_content(const struct ctl *ctl, const struct backup_info *info)
{
	ctl_print_number(ctl, "compacted", info->compacted);
	ctl_print_number(ctl, "keys", info->keys);
	ctl_print_number(ctl, "versions", info->versions);
	ctl_print_number(ctl, "sessions", info->sessions);
	ctl_print_number(ctl, "members", info->members);
	ctl_print_number(ctl, "store_bytes", info->logical_bytes);
}

static void print_close(const struct ctl *ctl)
{
	if (ctl->options->format == CTL_JSON)
		printf("}\n");
}

/* ---- save ---- */

static uint64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

/*
 * The index that the image must have: with it, all is in the image that was
 * acknowledged, to anybody, before the command began.
 */
static int find_index(struct ctl *ctl, uint64_t *ret_index)
{
	struct cv_status now;
	struct cv_state state;
	int status = 0;

	if (!ctl->options->serializable &&
	    conclave_status(ctl->conclave, &now) == 0 &&
	    (now.alarms & CV_ALARM_CORRUPT) != 0) {
		fprintf(stderr,
			"conclavectl: %s: alarm CORRUPT: the state of this "
			"member differs from another's; save from another "
			"member, or say --serializable\n",
			ctl->options->command);
		return CTL_NOT_APPLIED;
	}
	if (!ctl->options->serializable)
		status = conclave_get(ctl->conclave, "save", 4, NULL, 0, NULL);
	if (status == CONCLAVE_ENOTFOUND)
		status = 0;
	if (status != 0) {
		status = ctl_fail(ctl, ctl->options->command, status);
		fprintf(stderr, "Does a majority answer? What this member "
				"knows is saved with --serializable.\n");
		return status;
	}
	status = conclave_state(ctl->conclave, &state);
	if (status != 0)
		return ctl_fail(ctl, ctl->options->command, status);
	*ret_index = state.applied;
	return CTL_OK;
}

/* Waits until the daemon has an image with this index. */
static int await_image(struct ctl *ctl, uint64_t index,
		       struct conclave_image *image)
{
	const struct timespec pause = {.tv_nsec = LOOK_IMAGE_NS};
	uint64_t until = now_s() + IMAGE_WAIT_S;
	struct cv_status now;
	int status;

	do {
		status = conclave_find_image(ctl->conclave, index, image);
		if (status == 0 && image->index < index)
			status = conclave_status(ctl->conclave, &now);
		if (status != 0)
			return ctl_fail(ctl, ctl->options->command, status);
		if (image->index >= index)
			return CTL_OK;
		if ((now.alarms & CV_ALARM_NOSPACE) != 0)
			break;
		nanosleep(&pause, NULL);
	} while (now_s() < until);
	fprintf(stderr,
		"conclavectl: %s: the daemon has not finished an image; is its "
		"disk full or slow? See 'conclavectl endpoint health' and its "
		"log.\n",
		ctl->options->command);
	return CTL_NOT_APPLIED;
}

static int save_image(struct ctl *ctl, const struct conclave_image *image,
		      struct backup_info *ret_info, char *error)
{
	static char path[IMAGE_PATH_MAX];
	const struct ctl_options *o = ctl->options;
	struct backup_source source = {.image = path, .name = image->name};
	struct cv_status status;

	memset(&status, 0, sizeof(status));
	/* A daemon that is gone by now has left its image. */
	if (conclave_status(ctl->conclave, &status) == 0)
		source.member = status.member;
	snprintf(path, sizeof(path), "%s/snapshot-%016" PRIx64, image->folder,
		 image->index);
	return backup_save_image(&source, o->arguments[0], o->force, ret_info,
				 error);
}

static int save_from_daemon(struct ctl *ctl, struct backup_info *ret_info)
{
	static struct conclave_image image;
	static char error[BACKUP_ERROR_MAX];
	uint64_t index = 0;
	int status = ctl_open(ctl), code = 0, tries;

	if (status == CTL_OK)
		status = find_index(ctl, &index);
	if (status != CTL_OK)
		return status;
	for (tries = 0; tries < IMAGE_TRIES; tries++) {
		status = await_image(ctl, index, &image);
		if (status != CTL_OK)
			return status;
		code = save_image(ctl, &image, ret_info, error);
		if (code != -ENOENT)
			break;
	}
	if (code == 0)
		return CTL_OK;
	status = tell_failure(ctl, code, error);
	if (access(image.folder, R_OK | X_OK) != 0)
		fprintf(stderr,
			"Run it as root or as the daemon's user, and where "
			"the daemon's data folder, %s, is seen.\n",
			image.folder);
	return status;
}

static int save_from_folder(struct ctl *ctl, struct backup_info *ret_info)
{
	const struct ctl_options *o = ctl->options;
	static char error[BACKUP_ERROR_MAX];
	int code = backup_save_folder(o->data, o->arguments[0], o->force,
				      ret_info, error);

	if (code != 0)
		return tell_failure(ctl, code, error);
	fprintf(stderr,
		"conclavectl: WARNING: this is what member %" PRIu64
		" alone had, up to index %" PRIu64 " of term %" PRIu64
		". What other members acknowledged and this one had not "
		"received is not in it.\n",
		ret_info->label.member, ret_info->index, ret_info->term);
	return CTL_OK;
}

int ctl_snapshot_save(struct ctl *ctl)
{
	const struct ctl_options *o = ctl->options;
	struct backup_info info;
	int status = o->data != NULL ? save_from_folder(ctl, &info)
				     : save_from_daemon(ctl, &info);

	if (status != CTL_OK)
		return status;
	if (o->format == CTL_SIMPLE) {
		printf("saved %s: revision %" PRIu64 ", %" PRIu64 " bytes\n",
		       o->arguments[0], info.revision, info.size);
		return CTL_OK;
	}
	print_origin(ctl, &info);
	print_close(ctl);
	return CTL_OK;
}

/* ---- status and restore ---- */

int ctl_snapshot_status(struct ctl *ctl)
{
	static char error[BACKUP_ERROR_MAX];
	struct backup_info info;
	int code = backup_look(ctl->options->arguments[0], &info, error);

	if (code != 0)
		return tell_failure(ctl, code, error);
	print_origin(ctl, &info);
	print_content(ctl, &info);
	print_close(ctl);
	return CTL_OK;
}

static int check_target(const struct ctl *ctl)
{
	const struct ctl_options *o = ctl->options;
	const char *lacks = o->data == NULL	 ? "data"
			    : o->cluster == NULL ? "cluster"
			    : o->member == 0	 ? "member"
						 : NULL;

	if (lacks == NULL)
		return CTL_OK;
	fprintf(stderr,
		"conclavectl: %s needs --data=FOLDER, --cluster=NAME and "
		"--member=ID; --%s is missing\n",
		o->command, lacks);
	return CTL_USAGE;
}

int ctl_snapshot_restore(struct ctl *ctl)
{
	const struct ctl_options *o = ctl->options;
	const struct backup_target target = {
		.data = o->data,
		.cluster = o->cluster,
		.member = o->member,
		.peers = o->peers,
		.accept_data_loss = o->accept_data_loss,
	};
	static char error[BACKUP_ERROR_MAX];
	struct backup_info info;
	int status = check_target(ctl), code;

	if (status != CTL_OK)
		return status;
	code = backup_restore(o->arguments[0], &target, &info, error);
	if (code != 0)
		return tell_failure(ctl, code, error);
	if (o->format == CTL_SIMPLE) {
		printf("restored %s: member %" PRIu64 " of cluster %s, %" PRIu64
		       " keys, revision %" PRIu64 "\n",
		       o->data, o->member, o->cluster, info.keys,
		       info.revision);
		return CTL_OK;
	}
	print_origin(ctl, &info);
	print_content(ctl, &info);
	print_close(ctl);
	return CTL_OK;
}
