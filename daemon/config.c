/*
 * Layers of configuration: defaults, file, environment, flags, each over the
 * one before; then what is computed where nothing was said.
 */
#include "daemon/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	VARIABLE_MAX = 64,
	PLACE_MAX = CONFIG_PATH_MAX + 32,
};

/* Where a value stands, and where to complain. */
struct source {
	struct config *config;
	char place[PLACE_MAX]; /* "flag --spin", "etc/x.conf:12" */
	char *error; /* CONFIG_ERROR_MAX bytes */
};

static int refuse(const struct source *source,
		  const struct config_option *option, const char *value)
{
	(void)snprintf(source->error, CONFIG_ERROR_MAX,
		       "%s: option \"%s\" is \"%.200s\"; it may be %s",
		       source->place, option->name, value, option->may);
	return -EINVAL;
}

static int refuse_unknown(const struct source *source, const char *name,
			  size_t size)
{
	const char *near = config_suggest(name, size);
	int shown = size > 100 ? 100 : (int)size;

	if (near)
		(void)snprintf(source->error, CONFIG_ERROR_MAX,
			       "%s: unknown option \"%.*s\"; did you mean "
			       "\"%s\"?",
			       source->place, shown, name, near);
	else
		(void)snprintf(source->error, CONFIG_ERROR_MAX,
			       "%s: unknown option \"%.*s\"; --help lists "
			       "all",
			       source->place, shown, name);
	return -EINVAL;
}

static int set(const struct source *source, const struct config_option *option,
	       const char *value)
{
	uint8_t *field = (uint8_t *)source->config + option->offset;

	if (option->parse(option, value, field) < 0)
		return refuse(source, option, value);
	return 0;
}

/* ---- flags ---- */

/*
 * One flag at arguments[*index]; *index moves on over what it used up. Only
 * `only`, or with NULL all but the one called "config", which was read first.
 */
static int read_flag(struct source *source, char *const *arguments,
		     uint32_t *index, const char *only)
{
	const char *argument = arguments[(*index)++];
	const char *name = argument + 2;

	(void)snprintf(source->place, sizeof(source->place), "flag %.100s",
		       argument);
	if (strncmp(argument, "--", 2) != 0) {
		(void)snprintf(source->error, CONFIG_ERROR_MAX,
			       "\"%.200s\" is not an option; options are "
			       "written --name=value, --help lists all",
			       argument);
		return -EINVAL;
	}
	size_t size = strcspn(name, "=");
	const struct config_option *option = config_option(name, size);
	if (!option)
		return refuse_unknown(source, name, size);
	(void)snprintf(source->place, sizeof(source->place), "flag --%s",
		       option->name);
	const char *value = name[size] == '=' ? name + size + 1 : NULL;
	if (!value && !option->value)
		value = "yes";
	if (!value)
		value = arguments[*index] ? arguments[(*index)++] : NULL;
	if (!value) {
		(void)snprintf(source->error, CONFIG_ERROR_MAX,
			       "%s: a value is missing; it may be %s",
			       source->place, option->may);
		return -EINVAL;
	}
	if (only && strcmp(only, option->name) != 0)
		return 0;
	return set(source, option, value);
}

static int read_flags(struct source *source, char *const *arguments,
		      const char *only)
{
	for (uint32_t i = 1; arguments[i];) {
		int result = read_flag(source, arguments, &i, only);
		if (result < 0)
			return result;
	}
	return 0;
}

/* ---- environment ---- */

static void variable_name(const char *name, char ret_variable[VARIABLE_MAX])
{
	static const char prefix[] = "CONCLAVE_";
	size_t used = sizeof(prefix) - 1;

	memcpy(ret_variable, prefix, used);
	for (; *name; name++) {
		assert(used < VARIABLE_MAX - 1);
		ret_variable[used++] =
			*name == '-' ? '_' : (char)toupper(*name);
	}
	ret_variable[used] = '\0';
}

static const char *variable(char *const *environment, const char *name)
{
	size_t size = strlen(name);

	for (; *environment; environment++) {
		if (strncmp(*environment, name, size) == 0 &&
		    (*environment)[size] == '=')
			return *environment + size + 1;
	}
	return NULL;
}

static int read_environment(struct source *source, char *const *environment,
			    const char *only)
{
	for (uint32_t i = 0; config_option_at(i); i++) {
		const struct config_option *option = config_option_at(i);
		char name[VARIABLE_MAX];
		if (only && strcmp(only, option->name) != 0)
			continue;
		variable_name(option->name, name);
		const char *value = variable(environment, name);
		if (!value || *value == '\0')
			continue;
		(void)snprintf(source->place, sizeof(source->place),
			       "environment %s", name);
		int result = set(source, option, value);
		if (result < 0)
			return result;
	}
	return 0;
}

/* ---- file ---- */

static char *trim(char *text)
{
	text += strspn(text, " \t\r\n");
	size_t size = strlen(text);
	while (size > 0 && strchr(" \t\r\n", text[size - 1]))
		size--;
	text[size] = '\0';
	return text;
}

static int read_line(struct source *source, char *line)
{
	char *text = trim(line);

	if (*text == '\0' || *text == '#')
		return 0;
	char *equals = strchr(text, '=');
	if (!equals) {
		(void)snprintf(source->error, CONFIG_ERROR_MAX,
			       "%s: \"%.200s\" has no =; a line is "
			       "`name = value`, `# comment` or empty",
			       source->place, text);
		return -EINVAL;
	}
	*equals = '\0';
	const char *name = trim(text);
	const char *value = trim(equals + 1);
	const struct config_option *option = config_option(name, strlen(name));
	if (!option)
		return refuse_unknown(source, name, strlen(name));
	if (strcmp(name, "config") == 0 || strcmp(name, "help") == 0 ||
	    strcmp(name, "version") == 0) {
		(void)snprintf(source->error, CONFIG_ERROR_MAX,
			       "%s: option \"%s\" is for the command line",
			       source->place, name);
		return -EINVAL;
	}
	return set(source, option, value);
}

static int read_lines(struct source *source, FILE *file, const char *path)
{
	char line[CONFIG_LINE_MAX];
	uint32_t number = 0;

	while (fgets(line, sizeof(line), file)) {
		number++;
		(void)snprintf(source->place, sizeof(source->place), "%s:%u",
			       path, number);
		if (!strchr(line, '\n') && !feof(file)) {
			(void)snprintf(source->error, CONFIG_ERROR_MAX,
				       "%s: the line is longer than %d bytes",
				       source->place, CONFIG_LINE_MAX - 2);
			return -EINVAL;
		}
		int result = read_line(source, line);
		if (result < 0)
			return result;
	}
	if (!ferror(file))
		return 0;
	(void)snprintf(source->error, CONFIG_ERROR_MAX,
		       "%s: cannot be read: %s", path, strerror(errno));
	return -EINVAL;
}

static int read_file(struct source *source, const char *path)
{
	FILE *file = fopen(path, "re");

	if (!file) {
		(void)snprintf(source->error, CONFIG_ERROR_MAX,
			       "%s: option \"config\" is \"%s\", which cannot "
			       "be opened: %s; it may be a readable file",
			       source->place, path, strerror(errno));
		return -EINVAL;
	}
	int result = read_lines(source, file, path);
	(void)fclose(file); /* nothing was written */
	return result;
}

/* ---- what was not said ---- */

static uint64_t usual_spin_us(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1)
		return CONFIG_SPIN_USUAL_US;
	return 0;
}

/* A path that is put together here must fit where it goes. */
static int compose(const struct source *source, const char *name, char *path,
		   size_t room, const char *const parts[4])
{
	int size = snprintf(path, room, "%s%s%s%s", parts[0], parts[1],
			    parts[2], parts[3]);

	if (size > 0 && (size_t)size < room)
		return 0;
	(void)snprintf(source->error, CONFIG_ERROR_MAX,
		       "the default of option \"%s\" is too long; say --%s",
		       name, name);
	return -EINVAL;
}

static int usual_socket(const struct source *source, char *const *environment)
{
	struct config *config = source->config;
	const char *runtime = variable(environment, "XDG_RUNTIME_DIR");
	const char *base = geteuid() == 0 ? "/run" : runtime;

	if (base && *base)
		return compose(source, "socket", config->socket,
			       sizeof(config->socket),
			       (const char *const[]){base, "/conclave/",
						     config->cluster, ".sock"});
	(void)snprintf(source->error, CONFIG_ERROR_MAX,
		       "option \"socket\" has no default while "
		       "XDG_RUNTIME_DIR is not set; say --socket");
	return -EINVAL;
}

static int usual_data(const struct source *source, char *const *environment)
{
	struct config *config = source->config;
	const char *state = variable(environment, "XDG_STATE_HOME");
	const char *home = variable(environment, "HOME");
	const char *folder = "/conclave/";

	if (geteuid() == 0) {
		state = "/var/lib";
	} else if (!state || *state == '\0') {
		state = home;
		folder = "/.local/state/conclave/";
	}
	if (state && *state)
		return compose(source, "data", config->data,
			       sizeof(config->data),
			       (const char *const[]){state, folder,
						     config->cluster, ""});
	(void)snprintf(source->error, CONFIG_ERROR_MAX,
		       "option \"data\" has no default while HOME is not "
		       "set; say --data");
	return -EINVAL;
}

static int finish(const struct source *source, char *const *environment)
{
	struct config *config = source->config;
	int result = 0;

	if (config->spin_us == CONFIG_SPIN_UNSET)
		config->spin_us = usual_spin_us();
	if (config->allow_count == 0) {
		config->allow[0] = (struct config_allow){false, geteuid()};
		config->allow[1] = (struct config_allow){false, 0};
		config->allow_count = 2;
	}
	if (config->socket[0] == '\0')
		result = usual_socket(source, environment);
	if (result == 0 && config->data[0] == '\0')
		result = usual_data(source, environment);
	return result < 0 ? result : config_check_peers(config, source->error);
}

static void set_defaults(struct source *source)
{
	memset(source->config, 0, sizeof(*source->config));
	source->config->spin_us = CONFIG_SPIN_UNSET;
	for (uint32_t i = 0; config_option_at(i); i++) {
		const struct config_option *option = config_option_at(i);
		if (!option->usual)
			continue;
		int result = set(source, option, option->usual);
		assert(result == 0);
	}
}

int config_read(struct config *ret_config, char *const *arguments,
		char *const *environment, char ret_error[CONFIG_ERROR_MAX])
{
	static struct config config; /* large; stored when it is whole */
	struct source source = {&config, "", ret_error};
	int result;

	assert(arguments[0]);
	ret_error[0] = '\0';
	set_defaults(&source);
	/* First the file's name, which is itself an option. */
	result = read_environment(&source, environment, "config");
	if (result == 0)
		result = read_flags(&source, arguments, "config");
	if (result == 0 && config.config[0] != '\0')
		result = read_file(&source, config.config);
	if (result == 0)
		result = read_environment(&source, environment, NULL);
	if (result == 0)
		result = read_flags(&source, arguments, NULL);
	if (result == 0 && !config.help && !config.version)
		result = finish(&source, environment);
	if (result == 0)
		*ret_config = config;
	return result;
}

void config_help(int fd)
{
	(void)dprintf(fd, "Usage: conclaved [--name=value]...\n\n"
			  "The daemon of Conclave: one member of a cluster, to "
			  "which processes of this\nhost talk through shared "
			  "memory.\n\nOptions (also CONCLAVE_NAME in the "
			  "environment, name = value in the file):\n");
	for (uint32_t i = 0; config_option_at(i); i++) {
		const struct config_option *option = config_option_at(i);
		char name[VARIABLE_MAX];
		(void)snprintf(name, sizeof(name), "--%s%s%s", option->name,
			       option->value ? "=" : "",
			       option->value ? option->value : "");
		(void)dprintf(fd, "  %-24s %s", name, option->meaning);
		if (option->value && option->usual)
			(void)dprintf(fd, "; default: %s", option->usual);
		(void)dprintf(fd, "\n");
	}
	(void)dprintf(fd, "\nThe manual is conclaved(8).\n");
}
