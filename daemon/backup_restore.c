/*
 * Restoring: the data folder of one member of a new cluster. All members of it
 * are restored from the same file with the same peers, and come out the same:
 * same keys, same revision, same index and term, same hash.
 *
 * The folder is made by the log itself, as that of a member that received its
 * first image: an empty log, the image, and a `meta` that names it. It is made
 * beside its place, under a lock, and renamed when all of it is durable. What
 * a crash leaves beside is cleared by the next attempt; and the daemon refuses
 * to begin an empty folder where that lies beside (recover.c).
 */
#include "daemon/backup_folder.h"
#include "daemon/cluster.h"
#include "daemon/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is asked for ---- */

static int parse(const char *option_name, const char *text, void *field,
		 char *error)
{
	const struct config_option *option =
		config_option(option_name, strlen(option_name));

	if (option->parse(option, text, field) == 0)
		return 0;
	return backup_fail(error, BACKUP_EREFUSED, "--%s is %s, not '%s'",
			   option_name, option->may, text);
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t left = ((const struct node_member *)a)->id;
	uint64_t right = ((const struct node_member *)b)->id;

	return (left > right) - (left < right);
}

/* The new cluster's members, in the order of ids. */
static int read_peers(const struct backup_target *target, struct config *config,
		      char *error)
{
	uint32_t i;
	int code;

	if (!target->peers) {
		config->peer_count = 1;
		config->peers[0] = (struct node_member){
			.id = target->member,
			.voter = true,
		};
		return 0;
	}
	code = parse("peers", target->peers, config, error);
	if (code < 0)
		return code;
	qsort(config->peers, config->peer_count, sizeof(config->peers[0]),
	      compare_ids);
	for (i = 0; i < config->peer_count; i++)
		if (config->peers[i].id == target->member)
			return 0;
	return backup_fail(error, BACKUP_EREFUSED,
			   "--peers does not name member %llu; it names all "
			   "members of the new cluster, this one included",
			   (unsigned long long)target->member);
}

/* Whether what the file holds may become this cluster. */
static int check_origin(const struct backup_info *info,
			const struct backup_target *target,
			const uint8_t cluster[16], const char *file,
			char *error)
{
	if (memcmp(info->cluster, cluster, 16) == 0)
		return backup_fail(
			error, BACKUP_EREFUSED,
			"'%s' is the cluster that %s was saved from; choose a "
			"name that was never used, so that what is left of the "
			"old members can never join the new ones",
			target->cluster, file);
	if ((info->label.flags & BACKUP_ALONE) && !target->accept_data_loss)
		return backup_fail(
			error, BACKUP_EREFUSED,
			"%s was saved from the folder of member %llu alone: "
			"what other members acknowledged and this one had not "
			"received is NOT in it and would be LOST, and what "
			"nobody acknowledged may be in it; if no better copy "
			"exists, say --accept-data-loss",
			file, (unsigned long long)info->label.member);
	return 0;
}

/* ---- making it ---- */

/* The store of the old cluster becomes that of the new one. */
static int convert(struct backup_store *made, const struct config *config,
		   struct backup_info *info, const char *file, char *error)
{
	struct store_member *members =
		calloc(config->peer_count, sizeof(*members));
	struct store_hash hash;
	uint32_t i;
	int code;

	if (!members)
		return backup_fail(error, -ENOMEM, "no memory");
	for (i = 0; i < config->peer_count; i++) {
		members[i].id = config->peers[i].id;
		memcpy(members[i].address, config->peers[i].address,
		       sizeof(members[i].address));
	}
	code = store_restore(made->store, members, config->peer_count);
	free(members);
	if (code < 0)
		return backup_fail(error, BACKUP_EREFUSED,
				   "%s: its revision or index is too high to "
				   "go on from",
				   file);
	store_hash(made->store, &hash);
	info->hash[0] = hash.low;
	info->hash[1] = hash.high;
	info->index = store_applied(made->store);
	info->revision = store_revision(made->store);
	backup_tell_content(made->store, info);
	return 0;
}

static int make(struct backup_store *made, const struct config *config,
		const struct backup_target *target, struct backup_info *info,
		char *error)
{
	struct raft_snapshot snapshot = {.index = info->index,
					 .term = info->term};
	struct backup_folder folder = {
		.data = target->data,
		.member = target->member,
		.store = made->store,
		.error = error,
	};
	uint32_t i;

	snapshot.conf.voter_count = (uint8_t)config->peer_count;
	for (i = 0; i < config->peer_count; i++)
		snapshot.conf.voters[i] = config->peers[i].id;
	node_head_fill(made->store, info->cluster, &snapshot, &folder.head);
	return backup_folder_make(&folder);
}

static int restore(const char *file, const struct backup_target *target,
		   struct config *config, struct backup_info *ret_info,
		   char *error)
{
	struct backup_reader *reader;
	struct backup_store made = {0};
	struct node_head head;
	uint8_t cluster[16];
	int code = backup_reader_open(&reader, file, error);

	if (code < 0)
		return code;
	cluster_id(target->cluster, cluster);
	code = backup_reader_info(reader, &head, ret_info);
	if (code == 0)
		code = check_origin(ret_info, target, cluster, file, error);
	if (code == 0)
		code = backup_load(&made, &head, backup_reader_next, reader,
				   file, error);
	backup_reader_close(reader);
	if (code < 0)
		return code;
	memcpy(ret_info->cluster, cluster, sizeof(cluster));
	backup_label_fill(target->cluster, target->member, 0, &ret_info->label);
	code = convert(&made, config, ret_info, file, error);
	if (code == 0)
		code = make(&made, config, target, ret_info, error);
	backup_store_release(&made);
	return code;
}

int backup_restore(const char *file, const struct backup_target *target,
		   struct backup_info *ret_info,
		   char ret_error[BACKUP_ERROR_MAX])
{
	struct config *config = calloc(1, sizeof(*config));
	struct backup_info info;
	int code;

	if (!config)
		return backup_fail(ret_error, -ENOMEM, "no memory");
	code = parse("cluster", target->cluster, config->cluster, ret_error);
	if (code == 0)
		code = read_peers(target, config, ret_error);
	if (code == 0)
		code = backup_folder_check(target->data, ret_error);
	if (code == 0)
		code = restore(file, target, config, &info, ret_error);
	free(config);
	if (code == 0)
		*ret_info = info;
	return code;
}
