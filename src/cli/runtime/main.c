/* main.c: skep-runtime: one command, then the end. The only place that logs and exits. */
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/runtime/commands.h"
#include "runtime/foreground.h"
#include "runtime/seal.h"

enum { ARENA_MAX = 64 * 1024 * 1024 };

extern char **environ;

static int print_version(const char *program)
{
	printf("%s version %s\ncommit: %s\nspec: %s\n", program, skep_version, skep_commit, OCI_VERSION);
	return fflush(stdout) ? 1 : 0;
}

static int open_log(Invocation *in, Err *e)
{
	const char *file = global_value(in, "log"), *format = global_value(in, "log-format");
	in->log = (Log){ .fd = 2, .level = global_switch(in, "debug") ? LOG_DEBUG : LOG_INFO };
	if (format && !streq(format, "json") && !streq(format, "text") && *format)
		return err_set(e, ERR_USAGE, EINVAL, "invalid log-format \"%.32s\": text or json", format);
	in->log.json = format && streq(format, "json");
	if (!file || !*file) return 0;
	in->log.fd = openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
	return in->log.fd < 0 ? err_sys(e, errno, "open log file %s", file) : 0;
}

static int set_rootless(Invocation *in, Err *e)
{
	const char *mode = global_value(in, "rootless");
	if (!mode || streq(mode, "auto"))
		runtime_of(in)->rootless = runtime_is_rootless();
	else if (streq(mode, "true"))
		runtime_of(in)->rootless = true;
	else if (!streq(mode, "false"))
		return err_set(e, ERR_USAGE, EINVAL, "--rootless: unknown \"%.32s\"; allowed: true, false, auto", mode);
	return 0;
}

static int set_cgroup_driver(Invocation *in, Err *e)
{
	const char *manager = global_value(in, "cgroup-manager");
	runtime_of(in)->cgroup_driver = global_switch(in, "systemd-cgroup") ? CGROUP_SYSTEMD : CGROUP_FS;
	if (!manager) return 0;
	if (streq(manager, "systemd"))
		runtime_of(in)->cgroup_driver = CGROUP_SYSTEMD;
	else if (streq(manager, "disabled"))
		runtime_of(in)->cgroup_driver = CGROUP_DISABLED;
	else if (!streq(manager, "cgroupfs"))
		return err_set(e, ERR_USAGE, EINVAL, "--cgroup-manager: unknown \"%.32s\"; allowed: cgroupfs, systemd, disabled", manager);
	return 0;
}

static int set_root(Invocation *in, Err *e)
{
	const char *root = global_value(in, "root");
	char cwd[4096];
	if (!root || !*root) {
		root = runtime_default_root(runtime_of(in)->rootless, in->arena);
	} else if (root[0] != '/') {
		if (!getcwd(cwd, sizeof cwd)) return err_sys(e, errno, "getcwd");
		root = arena_printf(in->arena, "%s/%s", cwd, root);
	}
	if (!root) return err_sys(e, ENOMEM, "--root");
	runtime_of(in)->root = root;
	return 0;
}

static int prepare(Invocation *in, Err *e)
{
	int r;
	if ((r = set_rootless(in, e)) < 0 || (r = set_cgroup_driver(in, e)) < 0 || (r = set_root(in, e)) < 0) return r;
	runtime_of(in)->name = in->name;
	runtime_of(in)->log = &in->log;
	return 0;
}

/* Callers look for the message in the log they named, people on the terminal; exec tells its own failures by 255. */
static int report(const Invocation *in, const Err *e)
{
	bool framed = in->command && (streq(in->command->name, "create") || streq(in->command->name, "run"));
	char msg[ERR_MESSAGE_MAX + 64];
	if (framed)
		snprintf(msg, sizeof msg, "%s %s failed: %s", in->name, in->command->name, e->msg);
	else
		snprintf(msg, sizeof msg, "%s", e->msg);
	if (in->log.fd > 2) log_write(&in->log, LOG_ERROR, "%s", msg);
	if (in->log.fd == 2 && in->log.json)
		log_write(&in->log, LOG_ERROR, "%s", msg);
	else
		dprintf(2, "%s\n", msg);
	return in->command && streq(in->command->name, "exec") ? 255 : 1;
}

static int run_command(Invocation *in, char **argv, Err *e)
{
	int r = 0;
	if (in->command->flags & ENTERS_CONTAINER && !seal_done) r = seal_self(argv, environ, e);
	if (r < 0 || (r = prepare(in, e)) < 0) return r;
	return in->command->run(in, e);
}

static int print_help(const Invocation *in)
{
	AUTO_BUF b = BUF_INIT(65536);
	Err e = ERR_INIT;
	in->program->help(in, in->command, &b);
	return print_buf(&b, &e) < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	AUTO_ARENA arena = ARENA_INIT(ARENA_MAX);
	Err e = ERR_INIT;
	Runtime runtime = { 0 };
	Invocation in = { .program = &runtime_program,
			  .name = invocation_name(argc, argv, runtime_program.name),
			  .arena = &arena,
			  .log = { .fd = 2, .level = LOG_INFO },
			  .app = &runtime };
	bool help = false;
	if (streq(in.name, CONTAINER_INIT_NAME)) return container_init_main(argc, argv);
#ifdef __GLIBC__
	/* one short life: memory is taken from the kernel in few steps and never given back */
	mallopt(M_TOP_PAD, 256 * 1024);
	mallopt(M_TRIM_THRESHOLD, ARENA_MAX);
#endif
	if (standard_streams_open() < 0) return 1;
	int r = in.program->parse(&in, argc, argv, &help, &e);
	if (r >= 0 && global_switch(&in, "version")) return print_version(in.name);
	if (r >= 0 && help) return print_help(&in);
	if (r >= 0) r = open_log(&in, &e);
	if (r >= 0) r = run_command(&in, argv, &e);
	return r < 0 ? report(&in, &e) : r;
}
