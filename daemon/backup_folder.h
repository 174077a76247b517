/*
 * Making a data folder that holds an image and an empty log.
 */
#ifndef DAEMON_BACKUP_FOLDER_H
#define DAEMON_BACKUP_FOLDER_H

#include "daemon/backup_file.h"

struct backup_folder {
	const char *data;
	uint64_t member;
	struct node_head head;
	struct store *store; /* what head says */
	char *error;
};

/* Whether there may be a new folder of that name; BACKUP_EREFUSED. */
int backup_folder_check(const char *data, char *error)
	__attribute__((warn_unused_result));

/* Makes it: it is there, whole and durable, or it is not. */
int backup_folder_make(const struct backup_folder *folder)
	__attribute__((warn_unused_result));

#endif
