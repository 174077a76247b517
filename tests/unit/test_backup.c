/*
 * Backups as files, and the folders that are made of them: what was written is
 * read, whatever is not what was written is noticed, and nothing that is not
 * whole has a name.
 */
#include "daemon/backup_folder.h"
#include "daemon/cluster.h"
#include "daemon/memory.h"
#include "daemon/store/state.h"
#include "tests/unit/support_store.h"
#include "wal/disk_engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PATH_ROOM = 512,
	FILE_ROOM = 4 << 20,
	TERM = 3,
	MEMBER = 2,
	FLIP_STEP = 41,
};

static struct rig rig;
static char folder[PATH_ROOM], file[PATH_ROOM + 32], data[PATH_ROOM + 32];
static char error[BACKUP_ERROR_MAX];
static uint8_t bytes[FILE_ROOM];

static void set_up(void)
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(folder, sizeof(folder), "%.200s/conclave-XXXXXX",
		       base ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(file, sizeof(file), "%s/backup", folder);
	(void)snprintf(data, sizeof(data), "%s/data", folder);
	rig_init(&rig, &rig_settings);
	rig_put(&rig, "a", "one");
	rig_put(&rig, "b", "two");
	rig_put(&rig, "a", "three");
	rig_delete(&rig, "b");
}

static void remove_all(const char *path)
{
	DIR *listing = opendir(path);
	struct dirent *entry;
	char inner[PATH_ROOM + 300];

	while (listing && (entry = readdir(listing))) {
		(void)snprintf(inner, sizeof(inner), "%s/%s", path,
			       entry->d_name);
		if (entry->d_name[0] != '.' && unlink(inner) < 0)
			remove_all(inner);
	}
	if (listing)
		(void)closedir(listing);
	(void)rmdir(path);
}

static void tear_down(void)
{
	rig_release(&rig);
	remove_all(folder);
}

static bool is_there(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static const char *partial(const char *path)
{
	static char name[PATH_ROOM + 64];

	(void)snprintf(name, sizeof(name), "%s%s", path, BACKUP_PARTIAL);
	return name;
}

/* ---- writing ---- */

static void head_of(struct node_head *head)
{
	struct raft_snapshot snapshot = {
		.index = store_applied(rig.store),
		.term = TERM,
		.conf = {.voters = {1, 2, 3}, .voter_count = 3},
	};
	uint8_t cluster[16];

	cluster_id("old", cluster);
	node_head_fill(rig.store, cluster, &snapshot, head);
}

static struct backup_writer *begin(bool force, int *ret_code)
{
	struct backup_writer *writer = NULL;
	struct backup_label label;
	struct node_head head;

	head_of(&head);
	backup_label_fill("old", MEMBER, 0, &label);
	*ret_code =
		backup_writer_open(&writer, file, force, &head, &label, error);
	return writer;
}

static void put_image(struct backup_writer *writer)
{
	uint32_t size;
	uint8_t *image = rig_image(&rig, 1000, &size);

	ck_assert_int_eq(backup_writer_put(writer, image, size), 0);
	free(image);
}

static int save(bool force)
{
	struct backup_writer *writer;
	uint64_t size;
	int code;

	writer = begin(force, &code);
	if (code < 0)
		return code;
	put_image(writer);
	code = backup_writer_end(writer, &size);
	backup_writer_close(writer);
	return code;
}

static void save_well(void)
{
	ck_assert_msg(save(false) == 0, "%s", error);
}

/* As large as a few chunks. */
static void put_much(void)
{
	static char value[40001];
	int i;

	memset(value, 'x', sizeof(value) - 1);
	for (i = 0; i < 60; i++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "m%d", i);
		rig_put(&rig, key, value);
	}
}

static size_t slurp(void)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t size = read(fd, bytes, sizeof(bytes));

	ck_assert_int_gt(size, 0);
	(void)close(fd);
	return (size_t)size;
}

static void write_bytes(size_t size)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	(void)close(fd);
}

static void expect_damaged(void)
{
	struct backup_info info;

	ck_assert_int_eq(backup_look(file, &info, error), BACKUP_EDAMAGED);
	ck_assert_ptr_nonnull(strstr(error, file));
}

START_TEST(what_was_saved_is_what_is_seen)
{
	struct store_hash hash;
	struct backup_info info;

	put_much();
	save_well();
	ck_assert_int_eq(backup_look(file, &info, error), 0);
	store_hash(rig.store, &hash);
	ck_assert_uint_eq(info.index, store_applied(rig.store));
	ck_assert_uint_eq(info.term, TERM);
	ck_assert_uint_eq(info.revision, store_revision(rig.store));
	ck_assert_uint_eq(info.hash[0], hash.low);
	ck_assert_uint_eq(info.hash[1], hash.high);
	ck_assert_uint_eq(info.keys, 61);
	ck_assert_uint_eq(info.size, slurp());
	ck_assert_uint_eq(info.label.member, MEMBER);
	ck_assert_str_eq(info.label.name, "old");
	ck_assert(!is_there(partial(file)));
}
END_TEST

/* Bytes 592 on of the head, at 512 of the file; the rest is wal/snapshot.h. */
START_TEST(a_label_is_these_96_bytes)
{
	static const uint8_t golden[] = {'C', 'N', 'B', 'K', 1, 0, 0, 0,
					 2,   0,   0,	0,   0, 0, 0, 0};
	static const uint8_t name[12] = {0, 0, 0, 0, 3, 0, 0, 0, 'o', 'l', 'd'};

	save_well();
	(void)slurp();
	ck_assert_mem_eq(bytes + 512 + 592, golden, sizeof(golden));
	ck_assert_mem_eq(bytes + 512 + 592 + 24, name, sizeof(name));
}
END_TEST

START_TEST(every_byte_that_is_lost_is_noticed)
{
	size_t size, cut;

	save_well();
	size = slurp();
	for (cut = 0; cut < size; cut += 512) {
		write_bytes(cut);
		expect_damaged();
	}
	write_bytes(size - 1);
	expect_damaged();
	memset(bytes + size, 0, 4096);
	write_bytes(size + 4096);
	expect_damaged();
}
END_TEST

START_TEST(every_byte_that_changes_is_noticed)
{
	struct backup_info info;
	size_t size, at;

	save_well();
	size = slurp();
	for (at = 0; at < size; at += FLIP_STEP) {
		bytes[at] ^= 1;
		write_bytes(size);
		expect_damaged();
		bytes[at] ^= 1;
	}
	write_bytes(size);
	ck_assert_int_eq(backup_look(file, &info, error), 0);
}
END_TEST

START_TEST(chunks_that_change_places_are_noticed)
{
	static uint8_t chunk[WAL_CHUNK_SIZE];
	uint8_t *first = bytes + DISK_BLOCK;
	size_t size;

	put_much();
	save_well();
	size = slurp();
	ck_assert_uint_gt(size, 2 * WAL_CHUNK_SIZE + 2 * DISK_BLOCK);
	memcpy(chunk, first, sizeof(chunk));
	memcpy(first, first + WAL_CHUNK_SIZE, sizeof(chunk));
	memcpy(first + WAL_CHUNK_SIZE, chunk, sizeof(chunk));
	write_bytes(size);
	expect_damaged();
}
END_TEST

/* The image says another thing than the head, and all checksums are right. */
START_TEST(an_image_that_is_not_the_heads_is_noticed)
{
	struct backup_writer *writer;
	uint64_t size;
	int code;

	writer = begin(false, &code);
	ck_assert_int_eq(code, 0);
	rig_put(&rig, "a", "more");
	put_image(writer);
	ck_assert_int_eq(backup_writer_end(writer, &size), 0);
	backup_writer_close(writer);
	expect_damaged();
	ck_assert_ptr_nonnull(strstr(error, "contradicts itself"));
}
END_TEST

START_TEST(one_of_a_newer_release_is_not_taken_for_a_damaged_one)
{
	struct backup_info info;

	rig.store->settings.cluster_version = STORE_CLUSTER_VERSION + 1;
	save_well();
	ck_assert_int_eq(backup_look(file, &info, error), BACKUP_EREFUSED);
	ck_assert_ptr_nonnull(strstr(error, "newer version"));
}
END_TEST

START_TEST(one_that_was_not_ended_leaves_nothing)
{
	struct backup_writer *writer;
	int code;

	writer = begin(false, &code);
	ck_assert_int_eq(code, 0);
	put_image(writer);
	ck_assert(is_there(partial(file)));
	ck_assert(!is_there(file));
	backup_writer_close(writer);
	ck_assert(!is_there(partial(file)));
	ck_assert(!is_there(file));
}
END_TEST

START_TEST(what_a_crash_left_beside_is_overwritten)
{
	struct backup_info info;

	memset(bytes, 'x', sizeof(bytes));
	write_bytes(sizeof(bytes));
	ck_assert_int_eq(rename(file, partial(file)), 0);
	save_well();
	ck_assert_int_eq(backup_look(file, &info, error), 0);
}
END_TEST

START_TEST(a_file_that_is_there_is_not_replaced_unasked)
{
	struct backup_writer *writer;
	struct backup_info info;
	uint64_t size;
	int code;

	memcpy(bytes, "mine", 4);
	write_bytes(4);
	ck_assert_int_eq(save(false), BACKUP_EREFUSED);
	ck_assert_uint_eq(slurp(), 4);
	ck_assert_int_eq(save(true), 0);
	ck_assert_int_eq(backup_look(file, &info, error), 0);

	/* Nor one that came meanwhile. */
	ck_assert_int_eq(unlink(file), 0);
	writer = begin(false, &code);
	ck_assert_int_eq(code, 0);
	put_image(writer);
	memcpy(bytes, "mine", 4);
	write_bytes(4);
	ck_assert_int_eq(backup_writer_end(writer, &size), -EEXIST);
	backup_writer_close(writer);
	ck_assert_uint_eq(slurp(), 4);
	ck_assert(!is_there(partial(file)));
}
END_TEST

START_TEST(two_at_a_time_do_not_mix)
{
	struct backup_writer *writer;
	uint64_t size;
	int code;

	writer = begin(false, &code);
	ck_assert_int_eq(code, 0);
	ck_assert_int_eq(save(false), BACKUP_EREFUSED);
	put_image(writer);
	ck_assert_int_eq(backup_writer_end(writer, &size), 0);
	backup_writer_close(writer);
}
END_TEST

/* ---- folders ---- */

static int restore(const char *cluster, const char *peers,
		   struct backup_info *ret_info)
{
	const struct backup_target target = {
		.data = data,
		.cluster = cluster,
		.member = MEMBER,
		.peers = peers,
	};

	return backup_restore(file, &target, ret_info, error);
}

static void expect_same(const struct backup_info *a,
			const struct backup_info *b)
{
	ck_assert_uint_eq(a->index, b->index);
	ck_assert_uint_eq(a->term, b->term);
	ck_assert_uint_eq(a->revision, b->revision);
	ck_assert_uint_eq(a->hash[0], b->hash[0]);
	ck_assert_uint_eq(a->hash[1], b->hash[1]);
	ck_assert_uint_eq(a->keys, b->keys);
}

START_TEST(a_folder_holds_what_the_backup_had)
{
	struct backup_info made, kept;

	put_much();
	save_well();
	ck_assert_msg(restore("new", NULL, &made) == 0, "%s", error);
	ck_assert_uint_eq(made.index,
			  store_applied(rig.store) + STORE_RESTORE_STEP);
	ck_assert_uint_eq(made.keys, 61);
	ck_assert_uint_eq(made.sessions, 0);
	ck_assert_uint_eq(made.members, 1);
	ck_assert(!is_there(partial(data)));
	/* What is saved from it as it stands is that. */
	ck_assert_int_eq(backup_save_folder(data, file, true, &kept, error), 0);
	expect_same(&made, &kept);
	ck_assert_uint_eq(kept.label.flags, BACKUP_ALONE);
	ck_assert_uint_eq(kept.label.member, MEMBER);
	ck_assert_int_eq(backup_look(file, &kept, error), 0);
	expect_same(&made, &kept);
}
END_TEST

START_TEST(members_that_are_made_of_one_file_are_the_same)
{
	static const char *const lists[] = {"1=a:1,2=b:2,3=c:3",
					    "3=c:3,2=b:2,1=a:1"};
	struct backup_info made[2];
	int i;

	save_well();
	for (i = 0; i < 2; i++) {
		ck_assert_msg(restore("new", lists[i], &made[i]) == 0, "%s",
			      error);
		remove_all(data);
	}
	ck_assert_uint_eq(made[0].members, 3);
	expect_same(&made[0], &made[1]);
}
END_TEST

START_TEST(an_empty_folder_gives_way_and_a_full_one_does_not)
{
	struct backup_info info;

	save_well();
	ck_assert_int_eq(mkdir(data, 0700), 0);
	ck_assert_int_eq(restore("new", NULL, &info), 0);
	ck_assert_int_eq(restore("new", NULL, &info), BACKUP_EREFUSED);
	ck_assert_ptr_nonnull(strstr(error, "is not empty"));
	ck_assert(!is_there(partial(data)));
}
END_TEST

START_TEST(what_an_earlier_attempt_left_is_cleared)
{
	struct backup_info info;
	char left[PATH_ROOM + 128];

	save_well();
	ck_assert_int_eq(mkdir(partial(data), 0700), 0);
	(void)snprintf(left, sizeof(left), "%s/meta", partial(data));
	ck_assert_int_eq(symlink("nothing", left), 0);
	(void)snprintf(left, sizeof(left), "%s/segment-00000001",
		       partial(data));
	ck_assert_int_eq(symlink("nothing", left), 0);
	ck_assert_msg(restore("new", NULL, &info) == 0, "%s", error);
}
END_TEST

START_TEST(what_is_beside_and_not_ours_is_left_alone)
{
	struct backup_info info;
	char other[PATH_ROOM + 128];

	save_well();
	ck_assert_int_eq(mkdir(partial(data), 0700), 0);
	(void)snprintf(other, sizeof(other), "%s/letter", partial(data));
	ck_assert_int_eq(symlink("nothing", other), 0);
	ck_assert_int_eq(restore("new", NULL, &info), BACKUP_EREFUSED);
	ck_assert(is_there(other));
	ck_assert(!is_there(data));
}
END_TEST

START_TEST(only_one_command_makes_a_folder)
{
	struct backup_info info;
	int fd;

	save_well();
	ck_assert_int_eq(mkdir(partial(data), 0700), 0);
	fd = open(partial(data), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(restore("new", NULL, &info), BACKUP_EREFUSED);
	(void)close(fd);
	ck_assert_int_eq(restore("new", NULL, &info), 0);
}
END_TEST

START_TEST(the_old_cluster_is_not_made_again)
{
	struct backup_info info;

	save_well();
	ck_assert_int_eq(restore("old", NULL, &info), BACKUP_EREFUSED);
	ck_assert_int_eq(restore("", NULL, &info), BACKUP_EREFUSED);
	ck_assert_int_eq(restore("new", "1=a:1", &info), BACKUP_EREFUSED);
	ck_assert_int_eq(restore("new", "2=a", &info), BACKUP_EREFUSED);
	ck_assert(!is_there(data));
}
END_TEST

/* ---- a stopped member's log ---- */

struct opened {
	struct disk *disk;
	struct wal *wal;
	struct wal_options options;
	void *memory;
};

static void open_log(struct opened *opened)
{
	struct wal_report report;

	opened->options = (struct wal_options){.member = MEMBER,
					       .segment_size = WAL_SEGMENT_SIZE,
					       .spares_min = 1,
					       .buffers = 2,
					       .snapshot_after = 1 << 30};
	cluster_id("new", opened->options.cluster);
	ck_assert_int_eq(disk_open(&opened->disk, data, NULL), 0);
	ck_assert_int_eq(memory_reserve(&opened->memory,
					wal_memory_size(&opened->options)),
			 0);
	ck_assert_int_eq(wal_open(&opened->wal, opened->disk, &opened->options,
				  opened->memory, &report),
			 0);
}

static void close_log(struct opened *opened)
{
	wal_close(opened->wal);
	disk_close(opened->disk);
	munmap(opened->memory, wal_memory_size(&opened->options));
}

static void settle(struct opened *opened)
{
	struct wal_done done;

	do {
		struct pollfd wait = {.fd = disk_wait_fd(opened->disk),
				      .events = POLLIN};

		wal_work(opened->wal);
		if (disk_busy(opened->disk) > 0)
			ck_assert_int_eq(poll(&wait, 1, 30000), 1);
		while (wal_reap(opened->wal, &done) > 0)
			;
	} while (!wal_idle(opened->wal));
}

/* An entry that puts `key`, of which nobody says that it is committed. */
static void append_put(struct opened *opened, uint64_t index, const char *key,
		       uint64_t commit)
{
	struct raft_hard_state hard = {.term = TERM, .commit = commit};
	struct ask ask = {.type = OP_PUT,
			  .flags = OP_BEGIN,
			  .session = 9,
			  .sequence = 1,
			  .settled_below = 1,
			  .epoch = 1,
			  .born = UINT64_MAX / 2,
			  .key = key,
			  .key_size = (uint32_t)strlen(key)};
	struct wal_buffer *buffer = wal_buffer_open(opened->wal, 1000);
	struct entry_header head = {.kind = ENTRY_NORMAL,
				    .format = ENTRY_FORMAT,
				    .origin = MEMBER,
				    .op_count = 1};

	ck_assert_ptr_nonnull(buffer);
	rig_add(&rig, &ask);
	head.size = rig.used - ENTRY_HEADER_SIZE;
	memcpy(rig.entry, &head, sizeof(head));
	entry_seal(rig.entry);
	entry_stamp(rig.entry, index, TERM);
	memset(buffer->payload, 0, entry_size(head.size));
	memcpy(buffer->payload, rig.entry, rig.used);
	buffer->used = entry_size(head.size);
	rig.used = ENTRY_HEADER_SIZE;
	rig.ops = 0;
	ck_assert_int_eq(
		wal_append(opened->wal, buffer, &hard, index, index, 1), 0);
	wal_buffer_release(opened->wal, buffer);
	settle(opened);
}

START_TEST(all_of_a_stopped_members_log_is_saved)
{
	struct backup_info made, kept;
	struct opened opened;

	save_well();
	ck_assert_int_eq(restore("new", NULL, &made), 0);
	open_log(&opened);
	append_put(&opened, made.index + 1, "tail", made.index);
	ck_assert_int_eq(backup_save_folder(data, file, true, &kept, error),
			 BACKUP_EREFUSED);
	ck_assert_ptr_nonnull(strstr(error, "a running daemon owns it"));
	close_log(&opened);
	ck_assert_msg(backup_save_folder(data, file, true, &kept, error) == 0,
		      "%s", error);
	ck_assert_uint_eq(kept.index, made.index + 1);
	ck_assert_uint_eq(kept.term, TERM);
	ck_assert_uint_eq(kept.keys, made.keys + 1);
	ck_assert_int_eq(backup_look(file, &kept, error), 0);
	ck_assert_uint_eq(kept.keys, made.keys + 1);
}
END_TEST

START_TEST(what_one_member_had_is_restored_on_demand_only)
{
	struct backup_target target = {
		.data = data, .cluster = "newer", .member = MEMBER};
	struct backup_info info;

	save_well();
	ck_assert_int_eq(restore("new", NULL, &info), 0);
	ck_assert_int_eq(backup_save_folder(data, file, true, &info, error), 0);
	remove_all(data);
	ck_assert_int_eq(backup_restore(file, &target, &info, error),
			 BACKUP_EREFUSED);
	ck_assert_ptr_nonnull(strstr(error, "--accept-data-loss"));
	ck_assert(!is_there(data));
	target.accept_data_loss = true;
	ck_assert_int_eq(backup_restore(file, &target, &info, error), 0);
}
END_TEST

START_TEST(a_folder_that_is_no_members_is_refused)
{
	struct backup_info info;
	char meta[PATH_ROOM + 64];
	int fd;

	ck_assert_int_eq(backup_save_folder(data, file, false, &info, error),
			 -ENOENT);
	ck_assert_int_eq(mkdir(data, 0700), 0);
	(void)snprintf(meta, sizeof(meta), "%s/meta", data);
	fd = open(meta, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	(void)close(fd);
	ck_assert_int_eq(backup_save_folder(data, file, false, &info, error),
			 BACKUP_EDAMAGED);
	ck_assert(!is_there(file));
}
END_TEST

/* ---- an image in a daemon's folder ---- */

static void image_of_folder(char path[PATH_ROOM + 96], uint64_t index)
{
	(void)snprintf(path, PATH_ROOM + 96, "%s/snapshot-%016llx", data,
		       (unsigned long long)index);
}

START_TEST(an_image_of_a_folder_is_saved_and_gets_a_label)
{
	struct backup_source source = {.name = "new", .member = 9};
	struct backup_info made, saved, seen;
	char image[PATH_ROOM + 96];

	put_much();
	save_well();
	ck_assert_int_eq(restore("new", NULL, &made), 0);
	image_of_folder(image, made.index);
	source.image = image;
	ck_assert_int_eq(backup_save_image(&source, file, false, &saved, error),
			 BACKUP_EREFUSED);
	ck_assert_msg(backup_save_image(&source, file, true, &saved, error) ==
			      0,
		      "%s", error);
	ck_assert_int_eq(backup_look(file, &seen, error), 0);
	expect_same(&made, &seen);
	ck_assert_uint_eq(saved.size, seen.size);
	ck_assert_str_eq(seen.label.name, "new");
	ck_assert_uint_eq(seen.label.member, 9);
	ck_assert_uint_eq(seen.label.flags, 0);
}
END_TEST

START_TEST(an_image_that_is_damaged_or_gone_is_not_saved)
{
	struct backup_source source = {.name = "new", .member = 9};
	struct backup_info made;
	char image[PATH_ROOM + 96];
	int fd;

	put_much();
	save_well();
	ck_assert_int_eq(restore("new", NULL, &made), 0);
	ck_assert_int_eq(unlink(file), 0);
	image_of_folder(image, made.index);
	source.image = image;
	fd = open(image, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "y", 1, WAL_CHUNK_SIZE + 9000), 1);
	(void)close(fd);
	ck_assert_int_eq(backup_save_image(&source, file, false, &made, error),
			 BACKUP_EDAMAGED);
	ck_assert_int_eq(unlink(image), 0);
	ck_assert_int_eq(backup_save_image(&source, file, false, &made, error),
			 -ENOENT);
	ck_assert(!is_there(file));
	ck_assert(!is_there(partial(file)));
}
END_TEST

static void add_file_tests(TCase *files)
{
	tcase_add_test(files, what_was_saved_is_what_is_seen);
	tcase_add_test(files, a_label_is_these_96_bytes);
	tcase_add_test(files, every_byte_that_is_lost_is_noticed);
	tcase_add_test(files, every_byte_that_changes_is_noticed);
	tcase_add_test(files, chunks_that_change_places_are_noticed);
	tcase_add_test(files, an_image_that_is_not_the_heads_is_noticed);
	tcase_add_test(files,
		       one_of_a_newer_release_is_not_taken_for_a_damaged_one);
	tcase_add_test(files, one_that_was_not_ended_leaves_nothing);
	tcase_add_test(files, what_a_crash_left_beside_is_overwritten);
	tcase_add_test(files, a_file_that_is_there_is_not_replaced_unasked);
	tcase_add_test(files, two_at_a_time_do_not_mix);
}

static void add_folder_tests(TCase *folders)
{
	tcase_add_test(folders, a_folder_holds_what_the_backup_had);
	tcase_add_test(folders, members_that_are_made_of_one_file_are_the_same);
	tcase_add_test(folders,
		       an_empty_folder_gives_way_and_a_full_one_does_not);
	tcase_add_test(folders, what_an_earlier_attempt_left_is_cleared);
	tcase_add_test(folders, what_is_beside_and_not_ours_is_left_alone);
	tcase_add_test(folders, only_one_command_makes_a_folder);
	tcase_add_test(folders, the_old_cluster_is_not_made_again);
	tcase_add_test(folders, all_of_a_stopped_members_log_is_saved);
	tcase_add_test(folders, what_one_member_had_is_restored_on_demand_only);
	tcase_add_test(folders, a_folder_that_is_no_members_is_refused);
	tcase_add_test(folders, an_image_of_a_folder_is_saved_and_gets_a_label);
	tcase_add_test(folders, an_image_that_is_damaged_or_gone_is_not_saved);
}

int main(void)
{
	Suite *suite = suite_create("backup");
	TCase *files = tcase_create("files");
	TCase *folders = tcase_create("folders");

	tcase_add_checked_fixture(files, set_up, tear_down);
	tcase_add_checked_fixture(folders, set_up, tear_down);
	tcase_set_timeout(folders, 60);
	add_file_tests(files);
	add_folder_tests(folders);
	suite_add_tcase(suite, files);
	suite_add_tcase(suite, folders);
	return rig_run(suite);
}
