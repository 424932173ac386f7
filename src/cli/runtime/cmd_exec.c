/* cmd_exec.c: exec. */
#include <fcntl.h>

#include "cli/runtime/commands.h"
#include "runtime/foreground.h"

enum { PROCESS_MAX = 16 * 1024 * 1024 };

/* Strictly numbers: a name would have to be looked up in the image's passwd, which may say anything (CVE-2016-3697, CVE-2026-30892). */
static int parse_user(const char *text, OciUser *u, Err *e)
{
	Str uid, gid;
	bool both = str_cut(str_of(text), ':', &uid, &gid);
	if (str_to_u32(uid, &u->uid) < 0 || u->uid == UINT32_MAX || (both && (str_to_u32(gid, &u->gid) < 0 || u->gid == UINT32_MAX)))
		return err_set(e, ERR_USAGE, EINVAL, "--user: expected UID or UID:GID in numbers below 4294967295, got \"%.64s\"", text);
	return 0;
}

static int add_strings(Invocation *in, StrList *to, const StrList *from)
{
	if (!from->n) return 0;
	const char **items = arena_array(in->arena, to->n + from->n + 1, sizeof *items);
	if (!items) return -ENOMEM;
	if (to->n) memcpy(items, to->items, to->n * sizeof *items);
	memcpy(items + to->n, from->items, from->n * sizeof *items);
	*to = (StrList){ items, to->n + from->n };
	return 0;
}

static int add_groups(Invocation *in, OciUser *u, Err *e)
{
	const StrList *l = option_list(in, "additional-gids");
	if (!l->n) return 0;
	uint32_t *items = arena_array(in->arena, u->additional_gids.n + l->n, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "exec");
	if (u->additional_gids.n) memcpy(items, u->additional_gids.items, u->additional_gids.n * sizeof *items);
	for (size_t i = 0; i < l->n; i++)
		if (str_to_u32(str_of(l->items[i]), &items[u->additional_gids.n + i]) < 0)
			return err_set(e, ERR_USAGE, EINVAL, "--additional-gids: expected a number, got \"%.64s\"", l->items[i]);
	u->additional_gids = (U32List){ items, u->additional_gids.n + l->n };
	return 0;
}

/* As with runc: added to what the program has; ambient only where the container hands anything on that way. */
static int add_caps(Invocation *in, OciProcess *p, Err *e)
{
	const StrList *l = option_list(in, "cap");
	if (!l->n) return 0;
	Capabilities *c = arena_alloc(in->arena, sizeof *c);
	if (!c) return err_sys(e, ENOMEM, "exec");
	if (p->capabilities) *c = *p->capabilities;
	if (add_strings(in, &c->bounding, l) < 0 || add_strings(in, &c->effective, l) < 0 || add_strings(in, &c->permitted, l) < 0 ||
	    (c->inheritable.n && add_strings(in, &c->ambient, l) < 0))
		return err_sys(e, ENOMEM, "exec");
	p->capabilities = c;
	return 0;
}

static int read_process(Invocation *in, const char *path, OciProcess *p, Err *e)
{
	AUTO_FD int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) return err_sys(e, errno, "open %s", path);
	AUTO_BUF text = BUF_INIT(PROCESS_MAX);
	int r = fd_read_all(fd, &text); /* may be a pipe: <(…) */
	if (r < 0) return err_sys(e, r, "read %s", path);
	char *copy = arena_str(in->arena, (Str){ buf_str(&text), text.n });
	return copy ? oci_process_parse(copy, text.n, in->arena, p, e) : err_sys(e, ENOMEM, "read %s", path);
}

static int process_from_options(Invocation *in, const OciSpec *spec, OciProcess *p, Err *e)
{
	if (!spec->process)
		return err_set(e, ERR_STATE, EINVAL, "the container has no process to take user and environment from: use --process");
	*p = *spec->process;
	p->args = (StrList){ in->args.items + 1, in->args.n - 1 };
	p->terminal = option_switch(in, "tty");
	p->console_size = NULL;
	if (!p->args.n) return err_set(e, ERR_USAGE, EINVAL, "exec: a command or --process is required");
	const char *user = option_value(in, "user");
	int r;
	if (option_value(in, "cwd")) p->cwd = option_value(in, "cwd");
	if (user && (r = parse_user(user, &p->user, e)) < 0) return r;
	if ((r = add_groups(in, &p->user, e)) < 0 || (r = add_caps(in, p, e)) < 0) return r;
	if (add_strings(in, &p->env, option_list(in, "env")) < 0) return err_sys(e, ENOMEM, "exec");
	if (option_switch(in, "no-new-privs")) p->no_new_privileges = true;
	if (option_value(in, "apparmor")) p->apparmor_profile = option_value(in, "apparmor");
	if (option_value(in, "process-label")) p->selinux_label = option_value(in, "process-label");
	return oci_process_check(p, e);
}

static int sub_cgroups(Invocation *in, StrMap *ret, Err *e)
{
	const StrList *l = option_list(in, "cgroup");
	StrPair *items = arena_array(in->arena, l->n + 1, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "exec");
	for (size_t i = 0; i < l->n; i++) {
		Str names, path;
		if (!str_cut(str_of(l->items[i]), ':', &names, &path)) {
			path = names;
			names = (Str){ "", 0 };
		}
		items[i] = (StrPair){ arena_str(in->arena, names), arena_str(in->arena, path) };
		if (!items[i].key || !items[i].value) return err_sys(e, ENOMEM, "exec");
	}
	*ret = (StrMap){ items, l->n };
	return 0;
}

int exec_run(Invocation *in, Err *e)
{
	AUTO_CONTAINER c = { .dir = -1 };
	OciSpec spec;
	OciProcess process;
	StrMap subs;
	unsigned preserve;
	const char *file = option_value(in, "process");
	int r = container_load(runtime_of(in), in->args.items[0], in->arena, &c, e);
	if (r < 0 || (r = preserved_fds(in, &preserve, e)) < 0 || (r = sub_cgroups(in, &subs, e)) < 0) return r;
	if (file)
		r = read_process(in, file, &process, e);
	else if ((r = container_spec(&c, &spec, e)) >= 0)
		r = process_from_options(in, &spec, &process, e);
	if (r < 0) return r;
	ExecOptions o = {
		.process = &process,
		.spec = file ? NULL : &spec,
		.pid_file = option_value(in, "pid-file"),
		.console_socket = option_value(in, "console-socket"),
		.pidfd_socket = option_value(in, "pidfd-socket"),
		.preserve_fds = preserve,
		.detach = option_switch(in, "detach"),
		.ignore_paused = option_switch(in, "ignore-paused"),
		.sub_cgroups = &subs,
	};
	if (!o.detach) foreground_block_signals();
	return container_exec(&c, &o, e);
}
