/* main.c: skep-runtime: one command, then the end. The only place that logs and exits. */
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
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
	in->log = (Log){ .fd = 2, .level = global_value(in, "debug") ? LOG_DEBUG : LOG_INFO };
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
		in->runtime.rootless = runtime_is_rootless();
	else if (streq(mode, "true"))
		in->runtime.rootless = true;
	else if (!streq(mode, "false"))
		return err_set(e, ERR_USAGE, EINVAL, "--rootless: unknown \"%.32s\"; allowed: true, false, auto", mode);
	return 0;
}

static int set_cgroup_driver(Invocation *in, Err *e)
{
	const char *manager = global_value(in, "cgroup-manager");
	in->runtime.cgroup_driver = global_value(in, "systemd-cgroup") ? CGROUP_SYSTEMD : CGROUP_FS;
	if (!manager) return 0;
	if (streq(manager, "systemd"))
		in->runtime.cgroup_driver = CGROUP_SYSTEMD;
	else if (streq(manager, "disabled"))
		in->runtime.cgroup_driver = CGROUP_DISABLED;
	else if (!streq(manager, "cgroupfs"))
		return err_set(e, ERR_USAGE, EINVAL, "--cgroup-manager: unknown \"%.32s\"; allowed: cgroupfs, systemd, disabled", manager);
	return 0;
}

static int set_root(Invocation *in, Err *e)
{
	const char *root = global_value(in, "root");
	char cwd[4096];
	if (!root || !*root) {
		root = runtime_default_root(in->runtime.rootless, in->arena);
	} else if (root[0] != '/') {
		if (!getcwd(cwd, sizeof cwd)) return err_sys(e, errno, "getcwd");
		root = arena_printf(in->arena, "%s/%s", cwd, root);
	}
	if (!root) return err_sys(e, ENOMEM, "--root");
	in->runtime.root = root;
	return 0;
}

static int prepare(Invocation *in, Err *e)
{
	int r;
	if ((r = set_rootless(in, e)) < 0 || (r = set_cgroup_driver(in, e)) < 0 || (r = set_root(in, e)) < 0) return r;
	in->runtime.name = in->program;
	in->runtime.log = &in->log;
	return 0;
}

/* Callers look for the message in the log they named, people on the terminal; exec tells its own failures by 255. */
static int report(const Invocation *in, const Err *e)
{
	bool framed = in->command && (streq(in->command->name, "create") || streq(in->command->name, "run"));
	char msg[ERR_MESSAGE_MAX + 64];
	if (framed)
		snprintf(msg, sizeof msg, "%s %s failed: %s", in->program, in->command->name, e->msg);
	else
		snprintf(msg, sizeof msg, "%s", e->msg);
	if (in->log.fd > 2) log_write(&in->log, LOG_ERROR, "%s", msg);
	if (in->log.fd == 2 && in->log.json)
		log_write(&in->log, LOG_ERROR, "%s", msg);
	else
		dprintf(2, "%s\n", msg);
	return in->command && streq(in->command->name, "exec") ? 255 : 1;
}

int print_buf(const Buf *b, Err *e)
{
	if (buf_failed(b)) return err_sys(e, ENOMEM, "output");
	int r = fd_write_all(1, buf_str(b), b->n);
	return r < 0 ? err_sys(e, r, "write to standard output") : 0;
}

static int run_command(Invocation *in, char **argv, Err *e)
{
	int r = 0;
	if (in->command->enters_container && !seal_done) r = seal_self(argv, environ, e);
	if (r < 0 || (r = prepare(in, e)) < 0) return r;
	return in->command->run(in, e);
}

/* 0 to 2 are open from here on: a file of ours must never become somebody's standard error. */
static int open_standard_streams(void)
{
	struct pollfd p[3] = { { 0, 0, 0 }, { 1, 0, 0 }, { 2, 0, 0 } };
	if (poll(p, 3, 0) <= 0) return 0;
	for (int fd = 0; fd <= 2; fd++)
		if (p[fd].revents & POLLNVAL && openat(AT_FDCWD, "/dev/null", O_RDWR | O_NOCTTY) != fd) return -EBADF;
	return 0;
}

int main(int argc, char **argv)
{
	AUTO_ARENA arena = ARENA_INIT(ARENA_MAX);
	Err e = ERR_INIT;
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	Invocation in = { .program = slash      ? slash + 1
				     : argc > 0 ? argv[0]
						: "skep-runtime",
			  .arena = &arena,
			  .log = { .fd = 2, .level = LOG_INFO } };
	bool help = false;
#ifdef __GLIBC__
	/* one short life: memory is taken from the kernel in few steps and never given back */
	mallopt(M_TOP_PAD, 256 * 1024);
	mallopt(M_TRIM_THRESHOLD, ARENA_MAX);
#endif
	if (open_standard_streams() < 0) return 1;
	int r = command_parse(&in, argc, argv, &help, &e);
	if (r >= 0 && global_value(&in, "version")) return print_version(in.program);
	if (r >= 0 && help) {
		if (in.command)
			help_command(in.program, in.command);
		else
			help_program(in.program);
		return 0;
	}
	if (r >= 0) r = open_log(&in, &e);
	if (r >= 0) r = run_command(&in, argv, &e);
	return r < 0 ? report(&in, &e) : r;
}
