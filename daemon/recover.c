/*
 * Recovery in words.
 */
#include "daemon/recover.h"

#include <assert.h>
#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/backup.h"
#include "wal/disk_engine.h"

enum {
	PATIENCE_S = 3,
	NOTE_TRIES = 100, /* two seconds for a last note in `meta` */
	NOTE_WAIT_NS = 20000000,
	FOLDER_MODE = 0750,
};

/*
 * A restore that was interrupted leaves a folder beside this one's place. To
 * begin an empty log now would be to begin without what was to be restored.
 */
static bool awaits_restore(const char *folder)
{
	char path[CONFIG_PATH_MAX + sizeof(BACKUP_PARTIAL) + 8];
	size_t size = strlen(folder);

	while (size > 1 && folder[size - 1] == '/')
		size--;
	(void)snprintf(path, sizeof(path), "%.*s/meta", (int)size, folder);
	if (access(path, F_OK) == 0)
		return false;
	(void)snprintf(path, sizeof(path), "%.*s" BACKUP_PARTIAL, (int)size,
		       folder);
	return access(path, F_OK) == 0;
}

static int refuse_unrestored(struct member *member)
{
	log_begin(member->log, LOG_ERROR,
		  "a restore into the data folder was not finished");
	log_text(member->log, "folder", member->config->data);
	log_text(member->log, "next",
		 "run conclavectl snapshot restore again, or remove the folder "
		 "whose name ends in " BACKUP_PARTIAL);
	log_end(member->log);
	return MEMBER_DAMAGED;
}

/* Some kernels take O_DIRECT for files that are gone after a restart. */
static void warn_of_memory(struct log *log, const char *folder)
{
	struct statfs statistics;

	if (statfs(folder, &statistics) != 0 ||
	    (statistics.f_type != TMPFS_MAGIC &&
	     statistics.f_type != RAMFS_MAGIC))
		return;
	log_begin(log, LOG_WARN, "the data folder lies in memory");
	log_text(log, "folder", folder);
	log_text(log, "next",
		 "what is acknowledged is lost when this host restarts: choose "
		 "a folder on ext4 or XFS with --data");
	log_end(log);
}

int recover_folder(struct member *member)
{
	const char *folder = member->config->data;
	const char *what = "cannot make the data folder";

	if (awaits_restore(folder))
		return refuse_unrestored(member);
	int result = listen_make_folder(folder, FOLDER_MODE);

	if (result == 0) {
		what = "cannot open the data folder";
		result = disk_open(&member->disk, folder,
				   engine_ring(member->engine));
	}
	if (result == 0) {
		what = "the disk's thread cannot be watched";
		result = engine_set_disk(member->engine, member->disk);
	}
	if (result == 0) {
		warn_of_memory(member->log, folder);
		return MEMBER_STOPPED;
	}
	log_begin(member->log, LOG_ERROR, what);
	log_text(member->log, "folder", folder);
	log_errno(member->log, result);
	log_text(member->log, "next",
		 "make it a folder that this user may read and write, or "
		 "choose another with --data");
	log_end(member->log);
	return MEMBER_OTHER;
}

/* ---- patience ---- */

static void say_waiting(int number)
{
	static const char line[] =
		"level=warn msg=\"still opening the log\" why=\"a long log is "
		"read, the last writes of a killed daemon have not landed "
		"yet, or a running daemon owns the data folder\"\n";
	int error = errno;

	assert(number == SIGALRM);
	ssize_t size = write(STDERR_FILENO, line, sizeof(line) - 1);
	(void)size; /* who does not read it does not wait for it */
	errno = error;
}

static void set_alarm(uint32_t seconds)
{
	const struct itimerval timer = {
		.it_interval.tv_sec = seconds,
		.it_value.tv_sec = seconds,
	};

	(void)setitimer(ITIMER_REAL, &timer,
			NULL); /* only words depend on it */
}

void recover_begin(struct log *log)
{
	struct sigaction action = {
		.sa_handler = say_waiting,
		.sa_flags = SA_RESTART,
	};

	if (log->least > LOG_WARN)
		return;
	if (sigaction(SIGALRM, &action, NULL) == 0)
		set_alarm(PATIENCE_S);
}

void recover_end(void)
{
	set_alarm(0);
	(void)signal(SIGALRM, SIG_IGN); /* one may still be pending */
}

/* ---- codes ---- */

struct explanation {
	int code;
	int status; /* enum member_exit */
	const char *what;
	const char *next;
};

static const struct explanation explanations[] = {
	{WAL_EDAMAGED, MEMBER_DAMAGED,
	 "the log is damaged where it was acknowledged",
	 "if other members are well, replace this one; alone, restore this "
	 "folder from a copy, or start once with --accept-tail-loss to give up "
	 "what lies behind the damage"},
	{WAL_EFOREIGN, MEMBER_DAMAGED,
	 "the data folder belongs to another cluster or member",
	 "check --data, --cluster and --member"},
	{WAL_EFUTURE, MEMBER_DAMAGED, "the log was written by a newer version",
	 "start that version"},
	{WAL_EOWNED, MEMBER_OWNED,
	 "the data folder is owned by a running daemon",
	 "stop that one, or choose another folder with --data"},
	{WAL_ENODIRECT, MEMBER_OTHER,
	 "the file system of the data folder refuses O_DIRECT",
	 "choose a folder on ext4 or XFS with --data"},
	{WAL_EFULL, MEMBER_OTHER,
	 "there is no space for the first segments of the log",
	 "make room, or choose another folder with --data"},
	{WAL_EFAILED, MEMBER_LOG_FAILED,
	 "a write or flush of the log failed; nothing was acknowledged "
	 "after it",
	 "look at the disk (the kernel's log says more), then start again: "
	 "recovery decides what stands"},
	{NODE_ESEGMENT, MEMBER_OTHER,
	 "the cluster's log has an entry that no segment of this member has "
	 "room for",
	 "start it with --segment-size as the other members have it"},
	{NODE_EOUTDATED, MEMBER_DAMAGED,
	 "this release is older than what the cluster has agreed on",
	 "install the release that the other members run, and start that; "
	 "the data folder is as it was"},
	{-EBADMSG, MEMBER_DAMAGED, "the snapshot contradicts itself",
	 "restore this folder from a copy"},
};

static const struct explanation *find_explanation(int code)
{
	static const struct explanation other = {
		0, MEMBER_OTHER, "the log cannot be opened",
		"make the folder and its files readable and writable for this "
		"user, or choose another with --data"};

	for (uint32_t i = 0; i < sizeof(explanations) / sizeof(explanations[0]);
	     i++) {
		if (explanations[i].code == code)
			return &explanations[i];
	}
	return &other;
}

int recover_explain(struct member *member, int code)
{
	const struct explanation *explanation = find_explanation(code);
	char filesystem[DISK_FILESYSTEM_MAX];

	assert(code < 0);
	log_begin(member->log, LOG_ERROR, explanation->what);
	log_text(member->log, "folder", member->config->data);
	if (member->report.where[0] != '\0')
		log_text(member->log, "where", member->report.where);
	if (code == WAL_ENODIRECT) {
		disk_filesystem(member->disk, filesystem);
		log_text(member->log, "filesystem", filesystem);
	}
	if (explanation->code == 0 && code > -1000)
		log_errno(member->log, code);
	else
		log_signed(member->log, "code", code);
	log_text(member->log, "next", explanation->next);
	log_end(member->log);
	return explanation->status;
}

/* ---- a log that failed ---- */

/* Nobody is served any more; connections still on their way are closed. */
static void drop_events(struct engine *engine)
{
	struct engine_event event;

	while (engine_next(engine, &event)) {
		if (event.kind == ENGINE_ARRIVAL && event.fd >= 0)
			(void)close(event.fd); /* nothing was said on it */
	}
}

static void write_last_note(struct member *member)
{
	struct wal_done done;

	engine_accept_stop(member->engine, ENGINE_DOOR_CLIENTS);
	engine_accept_stop(member->engine, ENGINE_DOOR_PEERS);
	for (int i = 0; i < NOTE_TRIES && !wal_idle(member->wal); i++) {
		int result = wal_reap(member->wal, &done);
		assert(result == WAL_EFAILED);
		if (engine_wait(member->engine, NOTE_WAIT_NS) < 0)
			return;
		engine_reap(member->engine, UINT64_MAX);
		drop_events(member->engine);
	}
}

int recover_fail(struct member *member)
{
	struct wal_stats stats;

	write_last_note(member);
	wal_stats(member->wal, &stats);
	log_begin(member->log, LOG_ERROR, "a write or flush of the log failed");
	log_text(member->log, "folder", member->config->data);
	log_number(member->log, "records_before", stats.records);
	log_text(member->log, "next",
		 "nothing was acknowledged after it: look at the disk (the "
		 "kernel's log says more), then start again");
	log_end(member->log);
	return MEMBER_LOG_FAILED;
}

static const char *kind_of_start(const struct wal_report *report)
{
	if (report->fresh)
		return "made a new log";
	if (report->dropped > 0)
		return "recovered the log, giving up a damaged tail";
	if (report->damaged)
		return "recovered the log up to where it is damaged";
	if (report->torn)
		return "recovered the log, cutting a torn tail";
	return "recovered the log";
}

void recover_report(struct member *member)
{
	const struct wal_report *report = &member->report;
	bool lost = report->dropped > 0;
	struct log *log = member->log;

	log_begin(log, lost || report->damaged ? LOG_WARN : LOG_INFO,
		  kind_of_start(report));
	log_text(log, "folder", member->config->data);
	log_number(log, "records", report->records);
	log_number(log, "first", report->first_index);
	log_number(log, "last", report->last_index);
	log_number(log, "snapshot", report->snapshot_index);
	log_number(log, "term", report->hard.term);
	if (report->torn)
		log_number(log, "torn_blocks", report->torn_blocks);
	if (lost)
		log_number(log, "dropped", report->dropped);
	if (report->where[0] != '\0')
		log_text(log, "where", report->where);
	if (report->waited)
		log_text(log, "waited", "for the writes of a killed daemon");
	log_end(log);
}
