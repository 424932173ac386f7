/* program.c: see program.h. */
#include <unistd.h>

#include "cli/skep/commands.h"
#include "cli/skep/program.h"
#include "sys/fd.h"

enum { ARENA_MAX = 256 * 1024 * 1024, STATUS_TEMPLATE = 64 };

const Option skep_global_options[] = {
	VALUE("config", 0, NULL, "Location of client config files (default: $DOCKER_CONFIG, else ~/.docker)"),
	SWITCH("debug", 'D', "Enable debug mode"),
	OPTION(ENUM, "log-format", 0, NULL, "Set the format of log messages", .choices = CHOICES("text", "json"), .fallback = "text"),
	VALUE("log-level", 'l', NULL, "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")", .fallback = "info"),
	VALUE("root", 0, NULL,
	      "Keep images and containers below this directory (default: /var/lib/skep; $XDG_DATA_HOME/skep without privileges)"),
	VALUE("run-root", 0, NULL,
	      "Keep what need not survive a boot below this directory (default: /run/skep; $XDG_RUNTIME_DIR/skep without privileges)"),
	SWITCH("version", 'v', "Print version information and quit"),
	{ 0 },
};

/* Scripts look for docker's spelling when they call this program so. */
static int print_version(const Invocation *in)
{
	printf("%s version %s, build %s\n", streq(in->name, "docker") ? "Docker" : in->name, skep_version, skep_commit);
	return fflush(stdout) ? 1 : 0;
}

static int set_log(Invocation *in, Err *e)
{
	static const struct {
		const char *name;
		LogLevel level;
	} levels[] = { { "debug", LOG_DEBUG }, { "info", LOG_INFO }, { "warn", LOG_WARN }, { "error", LOG_ERROR }, { "fatal", LOG_ERROR } };
	const char *text = global_value(in, "log-level");
	in->log.json = streq(global_value(in, "log-format"), "json");
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (!streq(text, levels[i].name)) continue;
		in->log.level = global_switch(in, "debug") ? LOG_DEBUG : levels[i].level;
		return 0;
	}
	return err_set(e, ERR_USAGE, EINVAL, "Unable to parse logging level: %.100s", text);
}

/* A directory by option, or below a well-known one: of the system for root, else of the user ($name, or fallback below his home). */
static int find_dir(Invocation *in, const char *option, const char *system, const char *name, const char *fallback, const char **ret,
		    Err *e)
{
	const char *value = global_value(in, option), *base = getenv(name), *home = getenv("HOME");
	char cwd[4096];
	if (value && *value == '/')
		*ret = value;
	else if (value && *value)
		*ret = getcwd(cwd, sizeof cwd) ? arena_printf(in->arena, "%s/%s", cwd, value) : NULL;
	else if (geteuid() == 0)
		*ret = system;
	else if (base && *base == '/')
		*ret = arena_printf(in->arena, "%s/skep", base);
	else if (fallback && home && *home == '/')
		*ret = arena_printf(in->arena, "%s/%s/skep", home, fallback);
	else
		return err_set(e, ERR_CONFIG, EINVAL, "no place for --%s: give it, or set %s", option, name);
	return *ret ? 0 : err_sys(e, errno ? errno : ENOMEM, "--%s", option);
}

static int prepare(Invocation *in, Err *e)
{
	Skep *s = in->app;
	int r = set_log(in, e);
	s->config = global_value(in, "config");
	if (r >= 0) r = find_dir(in, "root", "/var/lib/skep", "XDG_DATA_HOME", ".local/share", &s->root, e);
	if (r >= 0) r = find_dir(in, "run-root", "/run/skep", "XDG_RUNTIME_DIR", NULL, &s->run_root, e);
	return r;
}

/* The reason, and for a wrong command line the way out below it. */
static int report(const Invocation *in, const Err *e)
{
	AUTO_BUF b = BUF_INIT(65536);
	int status = in->usage.status ? in->usage.status : err_exit_status(e->code);
	if (in->log.json)
		log_write(&in->log, LOG_ERROR, "%s", e->msg);
	else
		buf_printf(&b, "%s\n", e->msg);
	if (in->usage.status) help_docker_usage(in, &b);
	(void)!fd_write_all(2, buf_str(&b), b.n);
	return starts_with(e->msg, "template parsing error") && e->code == ERR_USAGE ? STATUS_TEMPLATE : status;
}

static int print_help(const Invocation *in, Err *e)
{
	AUTO_BUF b = BUF_INIT(1 << 20);
	in->program->help(in, in->command, &b);
	return print_buf(&b, e);
}

static int run(Invocation *in, int argc, char **argv, Err *e)
{
	bool help = false;
	int r = in->program->parse(in, argc, argv, &help, e);
	if (r < 0) return r;
	if (help) return print_help(in, e);
	if (global_switch(in, "version")) return print_version(in);
	r = prepare(in, e);
	return r < 0 ? r : in->command->run(in, e);
}

int skep_main(const Program *program, int argc, char **argv)
{
	AUTO_ARENA arena = ARENA_INIT(ARENA_MAX);
	Err e = ERR_INIT;
	Skep skep = { .argv = argv };
	Invocation in = { .program = program,
			  .name = invocation_name(argc, argv, program->name),
			  .arena = &arena,
			  .log = { .fd = 2, .level = LOG_INFO },
			  .app = &skep };
	if (standard_streams_open() < 0) return 1;
	int r = run(&in, argc, argv, &e);
	return r < 0 ? report(&in, &e) : r;
}
