/*
 * raft-scripts [--verbose] file-or-folder...
 *
 * Runs scripts against the core and compares what they print with what they
 * expect. Which vocabulary a file speaks follows from the name of its
 * folder: quorum, confchange, anything else is a cluster. Lines of logging
 * are left out of the comparison on both sides.
 */
#include "tests/scripts/words.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum main_limits {
	MAIN_PATH_MAX = 1024,
};

struct tally {
	unsigned int passed;
	unsigned int failed;
	bool verbose;
};

/* What one file's directives share. */
struct stage {
	struct cluster cluster;
	struct conf_words conf;
	const char *speaks; /* name of the folder */
};

static bool is_log_line(const char *line)
{
	static const char *const marks[] = {"DEBUG ", "INFO ", "WARN ",
					    "ERROR "};

	line += strspn(line, " ");
	for (unsigned int i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (strncmp(line, marks[i], strlen(marks[i])) == 0)
			return true;
	return false;
}

/* Without logging; nothing at all is "ok". The caller frees it. */
static char *plain(const char *bytes)
{
	size_t size = bytes ? strlen(bytes) : 0;
	char *copy = malloc(size + 8);
	size_t kept = 0;

	assert(copy);
	for (size_t at = 0; at < size;) {
		size_t length = strcspn(bytes + at, "\n");

		if (!is_log_line(bytes + at)) {
			memcpy(copy + kept, bytes + at, length);
			kept += length;
			copy[kept++] = '\n';
		}
		at += length + 1;
	}
	copy[kept] = 0;
	if (kept == 0)
		memcpy(copy, "ok\n", 4);
	return copy;
}

static bool run_words(struct stage *stage, const struct directive *directive,
		      struct text *out)
{
	if (strcmp(stage->speaks, "quorum") == 0)
		return quorum_words_run(directive, out);
	if (strcmp(stage->speaks, "confchange") == 0)
		return conf_words_run(&stage->conf, directive, out);
	return raft_words_run(&stage->cluster, directive);
}

static bool run_directive(struct stage *stage,
			  const struct directive *directive, const char *path,
			  bool verbose)
{
	struct text *out = &stage->cluster.out;
	char *wanted, *got;
	bool known, same;

	text_release(out);
	known = run_words(stage, directive, out);
	wanted = plain(directive->expected);
	got = plain(out->bytes);
	same = known && strcmp(wanted, got) == 0;
	if (verbose)
		printf("%s %s:%u %s\n", same ? "ok  " : "FAIL", path,
		       directive->line, directive->word);
	if (!known)
		printf("FAIL %s: directive at line %u: '%s' is not known, or "
		       "its arguments make no sense\n",
		       path, directive->line, directive->word);
	else if (!same)
		printf("FAIL %s: directive at line %u: %s\n--- expected\n"
		       "%s--- actual\n%s---\n",
		       path, directive->line, directive->word, wanted, got);
	free(wanted);
	free(got);
	return same;
}

/* The name of the folder that holds the file. */
static void folder_name(const char *path, char *name, size_t room)
{
	const char *end = strrchr(path, '/');
	const char *begin = end;

	name[0] = 0;
	if (!end)
		return;
	while (begin > path && begin[-1] != '/')
		begin--;
	if ((size_t)(end - begin) >= room)
		return;
	memcpy(name, begin, (size_t)(end - begin));
	name[end - begin] = 0;
}

static void run_file(const char *path, struct tally *tally)
{
	unsigned int passed = 0, failed = 0;
	char folder[MAIN_PATH_MAX];
	struct script script;
	static struct directive directive;
	static struct stage stage;
	int more;

	if (script_open(&script, path) != 0) {
		printf("FAIL %s: cannot be read: %s\n", path, strerror(errno));
		tally->failed++;
		return;
	}
	folder_name(path, folder, sizeof(folder));
	stage.speaks = folder;
	cluster_init(&stage.cluster);
	conf_words_init(&stage.conf);
	while ((more = script_next(&script, &directive)) > 0) {
		if (run_directive(&stage, &directive, path, tally->verbose))
			passed++;
		else
			failed++;
	}
	if (more < 0) {
		printf("FAIL %s: directive at line %u has no ----\n", path,
		       directive.line);
		failed++;
	}
	printf("%s %s/%s %u/%u\n", failed ? "FAIL" : "ok  ", folder,
	       strrchr(path, '/') ? strrchr(path, '/') + 1 : path, passed,
	       passed + failed);
	tally->passed += passed;
	tally->failed += failed;
	cluster_release(&stage.cluster);
	conf_words_release(&stage.conf);
	script_close(&script);
}

static bool is_script(const char *name)
{
	size_t size = strlen(name);

	return size > 4 && strcmp(name + size - 4, ".txt") == 0;
}

static void run_path(const char *path, struct tally *tally, unsigned int depth);

static void run_folder(const char *path, struct tally *tally,
		       unsigned int depth)
{
	struct dirent **names;
	int count = scandir(path, &names, NULL, alphasort);

	if (count < 0) {
		printf("FAIL %s: cannot be listed: %s\n", path,
		       strerror(errno));
		tally->failed++;
		return;
	}
	for (int i = 0; i < count; i++) {
		char below[MAIN_PATH_MAX];
		int size = snprintf(below, sizeof(below), "%s/%s", path,
				    names[i]->d_name);
		struct stat info;

		assert(size > 0 && (size_t)size < sizeof(below));
		if (names[i]->d_name[0] != '.' && stat(below, &info) == 0 &&
		    (S_ISDIR(info.st_mode) || is_script(below)))
			run_path(below, tally, depth + 1);
		free(names[i]);
	}
	free(names);
}

static void run_path(const char *path, struct tally *tally, unsigned int depth)
{
	struct stat info;

	if (stat(path, &info) == 0 && S_ISDIR(info.st_mode) && depth < 8)
		run_folder(path, tally, depth);
	else
		run_file(path, tally);
}

int main(int argc, char **argv)
{
	struct tally tally = {0};
	unsigned int paths = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verbose") == 0) {
			tally.verbose = true;
			continue;
		}
		run_path(argv[i], &tally, 0);
		paths++;
	}
	if (paths == 0) {
		fprintf(stderr, "usage: raft-scripts [--verbose] "
				"file-or-folder...\n");
		return 2;
	}
	printf("%u passed, %u failed\n", tally.passed, tally.failed);
	return tally.failed == 0 && tally.passed > 0 ? EXIT_SUCCESS
						     : EXIT_FAILURE;
}
