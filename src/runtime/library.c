/* library.c: libskepruntime: errors, the runtime handle, and what every call has in common. See skep-runtime.h. */
#include "runtime/library.h"

#include <sys/stat.h>

#include "runtime/seal.h"

#define SAME(name) _Static_assert((int)SKEP_ERROR_##name == (int)ERR_##name, "the numbers of errors.def are part of the ABI")
SAME(NONE);
SAME(INTERNAL);
SAME(USAGE);
SAME(CONFIG);
SAME(NOT_FOUND);
SAME(EXISTS);
SAME(STATE);
SAME(PERMISSION);
SAME(UNSUPPORTED);
SAME(RESOURCE);
SAME(TIMEOUT);
SAME(SECURITY);
SAME(NOT_EXECUTABLE);
SAME(NO_COMMAND);
SAME(IO);
_Static_assert((int)SKEP_ERROR_IO + 1 == (int)ERR_COUNT, "a new error needs a number in skep-runtime.h");
_Static_assert((int)SKEP_LOG_DEBUG == (int)LOG_DEBUG && (int)SKEP_LOG_ERROR == (int)LOG_ERROR, "levels are those of the log");

const char *skep_version(void)
{
	return SKEP_VERSION;
}

const char *skep_spec_version(void)
{
	return OCI_VERSION;
}

void skep_free(char *text)
{
	free(text);
}

/* ---- errors ---- */

skep_error *skep_error_new(void)
{
	return calloc(1, sizeof(skep_error));
}

void skep_error_free(skep_error *error)
{
	free(error);
}

int skep_error_get_code(const skep_error *error)
{
	return (int)error->err.code;
}

int skep_error_get_errno(const skep_error *error)
{
	return error->err.errnum;
}

const char *skep_error_get_message(const skep_error *error)
{
	return error->err.msg;
}

const char *skep_error_code_name(int code)
{
	return code >= 0 && code < ERR_COUNT ? err_name((ErrCode)code) : "?";
}

/* ---- calls ---- */

/* /proc/self/task has a directory for each thread. */
static int check_alone(Err *e)
{
	struct stat st;
	if (stat("/proc/self/task", &st) < 0 || st.st_nlink <= 3) return 0;
	return err_set(e, ERR_USAGE, EBUSY,
		       "called from a process with %u threads: namespaces are made by processes with one; execute skep-runtime",
		       (unsigned)st.st_nlink - 2);
}

void call_plain(Call *c, skep_error *error)
{
	c->e = error ? &error->err : &c->own;
	*c->e = ERR_INIT;
}

int call_begin(Call *c, const skep_runtime *runtime, unsigned kind, skep_error *error)
{
	call_plain(c, error);
	if (!runtime) return err_set(c->e, ERR_USAGE, EINVAL, "runtime: must not be NULL");
	return kind & CALL_ALONE ? check_alone(c->e) : 0;
}

int call_container(Call *c, const skep_runtime *runtime, const char *id, unsigned kind, skep_error *error)
{
	int r = call_begin(c, runtime, kind, error);
	if (r < 0) return r;
	if (!id) return err_set(c->e, ERR_USAGE, EINVAL, "id: must not be NULL");
	return container_load(&runtime->rt, id, &c->arena, &c->container, c->e);
}

void call_end(Call *c)
{
	container_done(&c->container);
	arena_done(&c->arena);
}

int call_options(Call *c, const void *options, void *ret, size_t own)
{
	size_t size;
	if (!options) return err_set(c->e, ERR_USAGE, EINVAL, "options: must not be NULL");
	memcpy(&size, options, sizeof size);
	if (size < sizeof size) return err_set(c->e, ERR_USAGE, EINVAL, "options.size: must be the size of the struct, got %zu", size);
	memset(ret, 0, own);
	memcpy(ret, options, size < own ? size : own);
	for (size_t i = own; i < size; i++)
		if (((const char *)options)[i])
			return err_set(c->e, ERR_USAGE, E2BIG, "options: byte %zu is set, but libskepruntime %s knows %zu", i, SKEP_VERSION,
				       own);
	return 0;
}

int call_text(Call *c, Buf *b, char **ret)
{
	buf_puts(b, ""); /* an empty text is one, too */
	char *text = buf_take(b);
	if (!text) return err_sys(c->e, ENOMEM, "output");
	*ret = text;
	return 0;
}

/* ---- the runtime ---- */

static void pass_on(void *data, LogLevel level, const char *message)
{
	const skep_runtime *runtime = data;
	if (runtime->sink) runtime->sink(runtime->sink_data, (int)level, message);
}

static int set_driver(skep_runtime *rt, const skep_runtime_options *o, Err *e)
{
	static const int drivers[] = {
		[SKEP_CGROUP_CGROUPFS] = CGROUP_FS, [SKEP_CGROUP_SYSTEMD] = CGROUP_SYSTEMD, [SKEP_CGROUP_DISABLED] = CGROUP_DISABLED
	};
	if (o->cgroup_manager < 0 || o->cgroup_manager >= (int)ARRAY_LEN(drivers))
		return err_set(e, ERR_USAGE, EINVAL, "cgroup_manager: %d is not one of enum skep_cgroup_manager", o->cgroup_manager);
	if (o->rootless < SKEP_ROOTLESS_AUTO || o->rootless > SKEP_ROOTLESS_YES)
		return err_set(e, ERR_USAGE, EINVAL, "rootless: %d is not one of enum skep_rootless", o->rootless);
	if (o->log_level < SKEP_LOG_DEBUG || o->log_level > SKEP_LOG_ERROR)
		return err_set(e, ERR_USAGE, EINVAL, "log_level: %d is not one of enum skep_log_level", o->log_level);
	rt->rt.cgroup_driver = drivers[o->cgroup_manager];
	rt->rt.rootless = o->rootless == SKEP_ROOTLESS_AUTO ? runtime_is_rootless() : o->rootless == SKEP_ROOTLESS_YES;
	return 0;
}

static int set_up(skep_runtime *rt, const skep_runtime_options *o, Err *e)
{
	int r = set_driver(rt, o, e);
	if (r < 0) return r;
	if (o->root && o->root[0] != '/') return err_set(e, ERR_USAGE, EINVAL, "root: must be an absolute path, got \"%.128s\"", o->root);
	const char *root = o->root ? o->root : runtime_default_root(rt->rt.rootless, &rt->arena);
	rt->rt.root = root ? arena_strdup(&rt->arena, root) : NULL;
	rt->rt.name = arena_strdup(&rt->arena, o->name ? o->name : "skep-runtime");
	if (!rt->rt.root || !rt->rt.name) return err_sys(e, ENOMEM, "open the runtime");
	rt->sink = o->log;
	rt->sink_data = o->log_data;
	rt->log = (Log){ .fd = -1, .level = (LogLevel)o->log_level, .sink = pass_on, .data = rt };
	rt->rt.log = &rt->log;
	return 0;
}

int skep_runtime_open(const skep_runtime_options *options, skep_runtime **ret_runtime, skep_error *error)
{
	AUTO_CALL c = CALL_INIT;
	skep_runtime_options o = { .size = sizeof o };
	call_plain(&c, error);
	int r = options ? call_options(&c, options, &o, sizeof o) : 0;
	if (r < 0) return r;
	if (!ret_runtime) return err_set(c.e, ERR_USAGE, EINVAL, "ret_runtime: must not be NULL");
	skep_runtime *rt = calloc(1, sizeof *rt);
	if (!rt) return err_sys(c.e, ENOMEM, "open the runtime");
	rt->arena = ARENA_INIT(65536);
	if ((r = set_up(rt, &o, c.e)) < 0) {
		skep_runtime_free(rt);
		return r;
	}
	*ret_runtime = rt;
	return 0;
}

void skep_runtime_free(skep_runtime *runtime)
{
	if (!runtime) return;
	arena_done(&runtime->arena);
	free(runtime);
}

int skep_seal_self(char *const *argv, char *const *envp, skep_error *error)
{
	Err own = ERR_INIT, *e = error ? &error->err : &own;
	*e = ERR_INIT;
	return seal_self(argv, envp, e);
}
