/*
 * conclavectl: keys, settings, members and the state of a Conclave cluster
 * from the command line, in the manner of etcdctl. It uses the public header
 * alone, but for backups, whose files are the daemon's (daemon/backup.h).
 */
#include "shm/conclavectl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef BUILD_VERSION
#define BUILD_VERSION "unknown"
#endif

const struct ctl_command ctl_commands[] = {
	{"put", "KEY VALUE|-", "put a key; - reads the value", 2, 2, CTL_WRITES,
	 ctl_put},
	{"get", "KEY [END]", "get a key, or a range", 1, 2,
	 CTL_TAKES_RANGE | CTL_TAKES_READ, ctl_get},
	{"range", "[KEY END]", "get keys from KEY up to END, or all", 0, 2,
	 CTL_TAKES_READ, ctl_range},
	{"del", "KEY [END]", "delete a key, or a range", 1, 2,
	 CTL_TAKES_RANGE | CTL_WRITES, ctl_del},
	{"cas", "KEY REVISION VALUE|-",
	 "put if the key was last changed at REVISION; 0: if it is absent", 3,
	 3, CTL_WRITES, ctl_cas},
	{"compact", "REVISION", "forget history before REVISION", 1, 1,
	 CTL_WRITES, ctl_compact},
	{"status", "", "what the daemon says of itself", 0, 0, 0, ctl_status},
	{"settings", "[NAME [VALUE]]", "show or change replicated settings", 0,
	 2, CTL_WRITES, ctl_settings},
	{"member list", "", "who is a member, and how far", 0, 0, 0,
	 ctl_member_list},
	{"member add", "ID HOST:PORT", "add a member, as a learner", 2, 2,
	 CTL_WRITES, ctl_member_add},
	{"member promote", "ID", "let a learner vote that has caught up", 1, 1,
	 CTL_WRITES, ctl_member_promote},
	{"member remove", "ID", "remove a member, for ever", 1, 1, CTL_WRITES,
	 ctl_member_remove},
	{"member update", "ID HOST:PORT", "a member has another address", 2, 2,
	 CTL_WRITES, ctl_member_update},
	{"member replace", "OLD NEW", "remove OLD and promote NEW, in one step",
	 2, 2, CTL_WRITES, ctl_member_replace},
	{"move-leader", "ID", "hand leadership to that member", 1, 1,
	 CTL_WRITES, ctl_move_leader},
	{"endpoint status", "", "the same as status", 0, 0, 0, ctl_status},
	{"endpoint health", "", "whether a linearizable read comes through", 0,
	 0, 0, ctl_endpoint_health},
	{"endpoint hash", "", "what is applied, and the hash of that state", 0,
	 0, 0, ctl_endpoint_hash},
	{"snapshot save", "FILE", "save all that the cluster has to a new file",
	 1, 1, CTL_TAKES_LOCAL | CTL_TAKES_SAVE | CTL_ALONE, ctl_snapshot_save},
	{"snapshot status", "FILE", "check a backup, and say what it is", 1, 1,
	 CTL_ALONE, ctl_snapshot_status},
	{"snapshot restore", "FILE",
	 "make the data folder of a member of a NEW cluster", 1, 1,
	 CTL_TAKES_RESTORE | CTL_ALONE, ctl_snapshot_restore},
	{NULL, NULL, NULL, 0, 0, 0, NULL},
};

const char *const ctl_groups[] = {"member", "endpoint", "snapshot", NULL};

/* ---- help ---- */

static const struct ctl_command *find_command(const char *name)
{
	uint32_t at;

	for (at = 0; ctl_commands[at].name != NULL; at++) {
		if (ctl_commands[at].name == name)
			return &ctl_commands[at];
	}
	return NULL;
}

/* All commands, or those of a group. */
static void print_commands(const char *group)
{
	size_t size = group != NULL ? strlen(group) : 0;
	const struct ctl_command *command;
	uint32_t at;

	printf("Usage: conclavectl %s%sCOMMAND [ARGUMENT]... [--flag]...\n\n"
	       "Commands:\n",
	       group != NULL ? group : "", group != NULL ? " " : "");
	for (at = 0; ctl_commands[at].name != NULL; at++) {
		command = &ctl_commands[at];
		if (group == NULL ||
		    (strncmp(command->name, group, size) == 0 &&
		     command->name[size] == ' '))
			printf("  %-16s %-20s %s\n", command->name,
			       command->arguments, command->text);
	}
}

static void print_help(const struct ctl_command *command, const char *group)
{
	if (command != NULL) {
		printf("Usage: conclavectl %s%s%s [--flag]...\n\n%s.\n\n",
		       command->name, command->arguments[0] != 0 ? " " : "",
		       command->arguments, command->text);
		printf("Flags:\n");
		ctl_options_print(command->takes);
		return;
	}
	print_commands(group);
	printf("\nFlags:\n");
	ctl_options_print(0);
	printf("\nExit status: 0 done, 1 usage, 2 not found or compared "
	       "differently,\n3 definitely not applied, 4 unknown, 5 no "
	       "daemon, 6 damaged.\n\nThe manual is conclavectl(1).\n");
}

/* ---- the way through ---- */

/* Where nothing was answered in time because nobody leads. */
static void tell_leaderless(const struct ctl *ctl, int code)
{
	struct cv_status status;

	if (code != CONCLAVE_EDEADLINE && code != CONCLAVE_ECANCELLED &&
	    code != CONCLAVE_ENOLEADER)
		return;
	if (conclave_status(ctl->conclave, &status) == 0 && status.leader == 0)
		fprintf(stderr, "No member leads: do most members run, and "
				"reach each other? See 'conclavectl member "
				"list' and their logs.\n");
}

int ctl_fail(const struct ctl *ctl, const char *what, int code)
{
	const struct ctl_command *command = find_command(ctl->options->command);
	const char *hint = "";
	int status = CTL_UNKNOWN;

	if (code == CONCLAVE_ENOTFOUND || code == CONCLAVE_ECOMPARE)
		status = CTL_NOT_FOUND;
	else if (code == -ENOTCONN)
		status = CTL_NO_DAEMON;
	else if (conclave_error_kind(code) == CONCLAVE_NOT_APPLIED)
		status = CTL_NOT_APPLIED;
	if (status == CTL_UNKNOWN)
		hint = (command->takes & CTL_WRITES) != 0
			       ? " (it may or may not be applied)"
			       : " (it only reads, and can be repeated)";
	fprintf(stderr, "conclavectl: %s: %s%s\n", what,
		conclave_strerror(code), hint);
	tell_leaderless(ctl, code);
	return status;
}

/* Nothing to do: the wait that it interrupts returns. */
static void on_signal(int number)
{
	(void)number;
}

static void catch_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* Where it was looked for, in the order of cv_paths_make(). */
static void tell_unreachable(const struct ctl_options *o, int code)
{
	const char *path =
		o->socket != NULL ? o->socket : getenv("CONCLAVE_SOCKET");
	const char *cluster = o->cluster != NULL ? o->cluster : "default";
	const char *why = conclave_strerror(code);

	if (path != NULL && path[0] != 0)
		fprintf(stderr,
			"conclavectl: cannot reach the daemon at %s: %s\n",
			path, why);
	else
		fprintf(stderr,
			"conclavectl: cannot reach the daemon at "
			"/run/conclave/%s.sock or "
			"$XDG_RUNTIME_DIR/conclave/%s.sock: %s\n",
			cluster, cluster, why);
	if (code == CONCLAVE_ESTOPPED)
		fprintf(stderr, "Is conclaved running? Where it listens is "
				"said with --socket or $CONCLAVE_SOCKET.\n");
}

int ctl_open(struct ctl *ctl)
{
	const struct ctl_options *o = ctl->options;
	struct conclave_options options;
	int status;

	conclave_options_init(&options);
	options.socket = o->socket;
	options.cluster = o->cluster;
	options.name = "conclavectl";
	options.timeout_ms = o->timeout_ms;
	options.slots = 8;
	options.proposal_size = CV_RING_MAX;
	options.request_max = CV_REQUEST_MAX;
	options.reply_size = CTL_REPLY_SIZE;
	options.flags = CONCLAVE_INTERRUPTIBLE;
	status = conclave_open(&ctl->conclave, &options);
	if (status == 0)
		return CTL_OK;
	tell_unreachable(o, status);
	return CTL_NO_DAEMON;
}

static int run(const struct ctl_options *options,
	       const struct ctl_command *command)
{
	struct ctl ctl = {.options = options};
	int status;

	/* A file that is not finished is no outcome to wait for. */
	if ((command->takes & CTL_ALONE) != 0) {
		status = command->run(&ctl);
	} else {
		catch_signals();
		status = ctl_open(&ctl);
		if (status == CTL_OK)
			status = command->run(&ctl);
	}
	conclave_close(ctl.conclave);
	return status;
}

int main(int count, char **words)
{
	const struct ctl_command *command;
	struct ctl_options options;
	int status = ctl_options_parse(&options, count, words);

	if (status != 0)
		return status;
	command = find_command(options.command);
	if (options.version) {
		printf("conclavectl %s\n", BUILD_VERSION);
	} else if (options.help) {
		print_help(command, options.group);
	} else if (command == NULL) {
		print_help(NULL, options.group);
		status = CTL_USAGE;
	} else if (options.argument_count < command->least ||
		   options.argument_count > command->most) {
		fprintf(stderr, "Usage: conclavectl %s %s\n", command->name,
			command->arguments);
		status = CTL_USAGE;
	} else {
		status = run(&options, command);
	}
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	fprintf(stderr, "conclavectl: the output could not be written\n");
	return status == CTL_OK ? CTL_USAGE : status;
}
