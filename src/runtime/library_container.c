/* library_container.c: libskepruntime: the life of a container. */
#include "runtime/library.h"

static int refuse_flags(Call *c, unsigned flags, unsigned known)
{
	return flags & ~known ? err_set(c->e, ERR_USAGE, EINVAL, "flags: 0x%x is not known", flags & ~known) : 0;
}

/* An error that was met on the way to a success is none. */
static int finish(Call *c, int r)
{
	if (r >= 0) *c->e = ERR_INIT;
	return r;
}

static int create_options(Call *c, const skep_create_options *options, unsigned known_flags, CreateOptions *ret)
{
	skep_create_options o;
	int r = call_options(c, options, &o, sizeof o);
	if (r < 0 || (r = refuse_flags(c, o.flags, known_flags)) < 0) return r;
	if (!o.id) return err_set(c->e, ERR_USAGE, EINVAL, "id: must not be NULL");
	*ret = (CreateOptions){
		.id = o.id,
		.bundle = o.bundle,
		.pid_file = o.pid_file,
		.console_socket = o.console_socket,
		.pidfd_socket = o.pidfd_socket,
		.no_pivot = o.flags & SKEP_CREATE_NO_PIVOT,
		.no_new_keyring = o.flags & SKEP_CREATE_NO_NEW_KEYRING,
		.preserve_fds = o.preserve_fds,
		.listen_fds = o.listen_fds,
		.detach = o.flags & SKEP_RUN_DETACH,
		.keep = o.flags & SKEP_RUN_KEEP,
	};
	return 0;
}

int skep_container_create(skep_runtime *runtime, const skep_create_options *options, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	CreateOptions o;
	int r = call_begin(&c, runtime, CALL_ALONE, error);
	if (r < 0 || (r = create_options(&c, options, SKEP_CREATE_NO_PIVOT | SKEP_CREATE_NO_NEW_KEYRING, &o)) < 0) return r;
	return finish(&c, container_create(&runtime->rt, &o, c.e));
}

int skep_container_start(skep_runtime *runtime, const char *id, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	int r = call_container(&c, runtime, id, CALL_ALONE, error);
	return r < 0 ? r : finish(&c, container_start(&c.container, c.e));
}

int skep_container_run(skep_runtime *runtime, const skep_create_options *options, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	CreateOptions o;
	unsigned known = SKEP_CREATE_NO_PIVOT | SKEP_CREATE_NO_NEW_KEYRING | SKEP_RUN_DETACH | SKEP_RUN_KEEP;
	int r = call_begin(&c, runtime, CALL_ALONE, error);
	if (r < 0 || (r = create_options(&c, options, known, &o)) < 0) return r;
	return finish(&c, container_run(&runtime->rt, &o, c.e));
}

/* ---- exec ---- */

static size_t count(const char *const *items)
{
	size_t n = 0;
	while (items && items[n])
		n++;
	return n;
}

static int add_env(Call *c, const char *const *more, StrList *env)
{
	size_t n = count(more);
	const char **items = arena_array(&c->arena, env->n + n + 1, sizeof *items);
	if (!items) return err_sys(c->e, ENOMEM, "env");
	if (env->n) memcpy(items, env->items, env->n * sizeof *items);
	if (n) memcpy(items + env->n, more, n * sizeof *items);
	*env = (StrList){ items, env->n + n };
	return 0;
}

/* The container's own process, changed as the options say. */
static int process_from_options(Call *c, const skep_exec_options *o, OciProcess *p)
{
	OciSpec *spec = arena_alloc(&c->arena, sizeof *spec);
	if (!spec) return err_sys(c->e, ENOMEM, "exec");
	if (!o->args || !o->args[0]) return err_set(c->e, ERR_USAGE, EINVAL, "args: a program or process_json is required");
	int r = container_spec(&c->container, spec, c->e);
	if (r < 0) return r;
	if (!spec->process)
		return err_set(c->e, ERR_STATE, EINVAL,
			       "the container has no process to take user and environment from: give process_json");
	*p = *spec->process;
	size_t n = count(o->args);
	const char **args = arena_array(&c->arena, n + 1, sizeof *args);
	if (!args) return err_sys(c->e, ENOMEM, "args");
	memcpy(args, o->args, n * sizeof *args);
	p->args = (StrList){ args, n };
	if ((r = add_env(c, o->env, &p->env)) < 0) return r;
	p->terminal = o->flags & SKEP_EXEC_TERMINAL;
	p->console_size = NULL;
	if (o->cwd) p->cwd = o->cwd;
	if (o->flags & SKEP_EXEC_NO_NEW_PRIVILEGES) p->no_new_privileges = true;
	if (o->flags & SKEP_EXEC_USER) {
		p->user.uid = o->uid;
		p->user.gid = o->gid;
	}
	return oci_process_check(p, c->e);
}

static int process_from_json(Call *c, const skep_exec_options *o, OciProcess *p)
{
	unsigned own = SKEP_EXEC_TERMINAL | SKEP_EXEC_NO_NEW_PRIVILEGES | SKEP_EXEC_USER;
	if (o->args || o->env || o->cwd || o->uid || o->gid || o->flags & own)
		return err_set(c->e, ERR_USAGE, EINVAL,
			       "process_json: is the whole process: args, env, cwd, uid, gid and their flags must be zero");
	char *text = arena_strdup(&c->arena, o->process_json);
	if (!text) return err_sys(c->e, ENOMEM, "process_json");
	return oci_process_parse(text, strlen(text), &c->arena, p, c->e);
}

int skep_container_exec(skep_runtime *runtime, const char *id, const skep_exec_options *options, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	skep_exec_options o;
	OciProcess process;
	unsigned known = SKEP_EXEC_DETACH | SKEP_EXEC_IGNORE_PAUSED | SKEP_EXEC_TERMINAL | SKEP_EXEC_NO_NEW_PRIVILEGES | SKEP_EXEC_USER;
	int r = call_container(&c, runtime, id, CALL_ALONE, error);
	if (r < 0 || (r = call_options(&c, options, &o, sizeof o)) < 0 || (r = refuse_flags(&c, o.flags, known)) < 0) return r;
	r = o.process_json ? process_from_json(&c, &o, &process) : process_from_options(&c, &o, &process);
	if (r < 0) return r;
	ExecOptions x = {
		.process = &process,
		.pid_file = o.pid_file,
		.console_socket = o.console_socket,
		.pidfd_socket = o.pidfd_socket,
		.preserve_fds = o.preserve_fds,
		.detach = o.flags & SKEP_EXEC_DETACH,
		.ignore_paused = o.flags & SKEP_EXEC_IGNORE_PAUSED,
	};
	return finish(&c, container_exec(&c.container, &x, c.e));
}

/* ---- control ---- */

int skep_container_kill(skep_runtime *runtime, const char *id, int signal, unsigned flags, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	int r = call_container(&c, runtime, id, 0, error);
	if (r < 0 || (r = refuse_flags(&c, flags, SKEP_KILL_ALL)) < 0) return r;
	if (signal < 0 || signal > 64) return err_set(c.e, ERR_USAGE, EINVAL, "signal: expected a number from 0 to 64, got %d", signal);
	return finish(&c, container_kill(&c.container, signal, flags & SKEP_KILL_ALL, c.e));
}

int skep_container_delete(skep_runtime *runtime, const char *id, unsigned flags, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	bool force = flags & SKEP_DELETE_FORCE;
	int r = call_begin(&c, runtime, CALL_ALONE, error);
	if (r < 0 || (r = refuse_flags(&c, flags, SKEP_DELETE_FORCE)) < 0) return r;
	if (!id) return err_set(c.e, ERR_USAGE, EINVAL, "id: must not be NULL");
	r = container_load(&runtime->rt, id, &c.arena, &c.container, c.e);
	if (r < 0 && !force) return r;
	return finish(&c, r < 0 ? container_delete_remains(&runtime->rt, id, c.e) : container_delete(&c.container, force, c.e));
}

static int set_paused(skep_runtime *runtime, const char *id, bool pause, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	int r = call_container(&c, runtime, id, 0, error);
	return r < 0 ? r : finish(&c, container_pause(&c.container, pause, c.e));
}

int skep_container_pause(skep_runtime *runtime, const char *id, skep_error *error)
{
	return set_paused(runtime, id, true, error);
}

int skep_container_resume(skep_runtime *runtime, const char *id, skep_error *error)
{
	return set_paused(runtime, id, false, error);
}

int skep_container_update(skep_runtime *runtime, const char *id, const char *resources_json, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	CgroupResources resources;
	int r = call_container(&c, runtime, id, 0, error);
	if (r < 0) return r;
	if (!resources_json) return err_set(c.e, ERR_USAGE, EINVAL, "resources_json: must not be NULL");
	char *text = arena_strdup(&c.arena, resources_json);
	if (!text) return err_sys(c.e, ENOMEM, "resources_json");
	if ((r = oci_resources_parse(text, strlen(text), &c.arena, &resources, c.e)) < 0) return r;
	return finish(&c, container_update(&c.container, &resources, NULL, c.e));
}
