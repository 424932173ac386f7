/* state.c: the containers' directories and state.json, see container.h. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/container.h"
#include "sys/proc.h"

#define ROW(json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(ContainerState, field), ##__VA_ARGS__ \
	}

BIND_TABLE(container_state_table, "state", ContainerState, ROW("ociVersion", BIND_STRING, oci_version), ROW("id", BIND_STRING, id),
	   ROW("bundle", BIND_STRING, bundle), ROW("rootfs", BIND_STRING, rootfs), ROW("created", BIND_STRING, created),
	   ROW("pid", BIND_I64, pid), ROW("startTime", BIND_U64, start_time), ROW("owner", BIND_U32, owner),
	   ROW("annotations", BIND_MAP, annotations), ROW("cgroup", BIND_OBJECT, cgroup, .sub = &cgroup_table),
	   ROW("rdt", BIND_OBJECT, rdt, .sub = &rdt_group_table), ROW("hostMounts", BIND_BOOL, host_mounts),
	   ROW("systemdCgroup", BIND_BOOL, systemd_cgroup));

enum { STATE_MAX = 4 * 1024 * 1024 };

int container_id_check(const char *id, Err *e)
{
	size_t n = strlen(id);
	bool ok = n > 0 && n <= 1024 && id[0] != '.' && id[0] != '-';
	for (size_t i = 0; ok && i < n; i++)
		ok = (id[i] >= 'a' && id[i] <= 'z') || (id[i] >= 'A' && id[i] <= 'Z') || (id[i] >= '0' && id[i] <= '9') ||
		     strchr("_+-.", id[i]);
	if (ok) return 0;
	return err_set(
		e, ERR_USAGE, EINVAL,
		"invalid container ID \"%.64s\": letters, digits, '_', '+', '-' and '.' are allowed, the first one neither '-' nor '.'",
		id);
}

static int no_container(const char *id, Err *e)
{
	return err_set(e, ERR_NOT_FOUND, ENOENT, "container \"%s\" does not exist", id);
}

int container_load(const Runtime *rt, const char *id, Arena *a, Container *ret, Err *e)
{
	int r = container_id_check(id, e);
	if (r < 0) return no_container(id, e);
	char *path = arena_printf(a, "%s/%s", rt->root, id), *text;
	size_t n;
	if (!path) return err_sys(e, ENOMEM, "container %s", id);
	AUTO_FD int dir = openat(AT_FDCWD, path, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0) return errno == ENOENT ? no_container(id, e) : err_sys(e, errno, "container %s: open %s", id, path);
	r = fd_read_file(dir, "state.json", STATE_MAX, a, &text, &n, e);
	if (r == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, ENOENT,
			       "container \"%s\" does not exist (its creation did not finish: delete --force clears it)", id);
	if (r < 0) return err_wrap(e, "container %s", id);
	Container c = { .rt = rt, .arena = a, .dir = -1 };
	if ((r = bind_parse(&container_state_table, text, n, &c.state, "state.json", a, e)) < 0) return err_wrap(e, "container %s", id);
	if (!c.state.id || !streq(c.state.id, id))
		return err_set(e, ERR_STATE, EINVAL, "container %s: state.json is not this container's", id);
	c.dir = take_fd(dir);
	*ret = c;
	return 0;
}

void container_done(Container *c)
{
	c->dir = fd_close(c->dir);
}

int container_save(const Container *c, Err *e)
{
	AUTO_BUF out = BUF_INIT(STATE_MAX);
	JsonWriter w = JSON_WRITER(&out);
	bind_encode(&container_state_table, &c->state, &w);
	if (buf_failed(&out))
		return err_set(e, ERR_RESOURCE, E2BIG, "state.json: more than %d bytes: the annotations are too long", STATE_MAX);
	return fd_replace_file(c->dir, "state.json", out.p, out.n, 0600, REPLACE_LAZY, e);
}

static void auto_dir(DIR **d)
{
	if (*d) closedir(*d);
}

/* The notify directory, and temporary files of a writer that was killed. */
static int remove_rest(int dir)
{
	AUTO_FD int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(auto_dir) DIR *d = own < 0 ? NULL : fdopendir(own);
	if (!d) return -errno;
	own = -1; /* the stream has it now */
	unlinkat(dir, "notify/notify.sock", 0);
	for (struct dirent *de; (de = readdir(d));) {
		if (streq(de->d_name, "notify")) (void)!unlinkat(dir, de->d_name, AT_REMOVEDIR);
		if (de->d_name[0] == '.' && ends_with(de->d_name, ".tmp")) (void)!unlinkat(dir, de->d_name, 0);
	}
	return 0;
}

int container_remove_dir(Container *c, Err *e)
{
	static const char *const files[] = { "config.json", "state.json", "start.sock" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (unlinkat(c->dir, files[i], 0) < 0 && errno != ENOENT)
			return err_sys(e, errno, "container %s: remove %s", c->state.id, files[i]);
	char *path = arena_printf(c->arena, "%s/%s", c->rt->root, c->state.id);
	if (!path) return err_sys(e, ENOMEM, "container %s", c->state.id);
	if (rmdir(path) == 0 || errno == ENOENT) return 0;
	if (errno == ENOTEMPTY && remove_rest(c->dir) == 0 && rmdir(path) == 0) return 0;
	return err_sys(e, errno, "container %s: remove %s", c->state.id, path);
}

int container_pidfd(const Container *c)
{
	if (c->state.pid <= 0) return -ESRCH;
	return pid_open_exact((pid_t)c->state.pid, c->state.start_time);
}

/* Is somebody still at work on this container's creation? They hold a lock on its directory, which the kernel drops with them. */
static bool is_locked(const Container *c)
{
	if (flock(c->dir, LOCK_SH | LOCK_NB) < 0) return errno == EWOULDBLOCK;
	flock(c->dir, LOCK_UN);
	return false;
}

/* A created container's init listens on start.sock; nobody listens once it has started, whatever files are left. */
static bool is_waiting(const Container *c)
{
	if (faccessat(c->dir, "start.sock", F_OK, 0) < 0) return false;
	AUTO_FD int fd = fd_connect_unix(c->dir, "start.sock", SOCK_SEQPACKET);
	return fd >= 0;
}

ContainerStatus container_status(const Container *c)
{
	ProcStat st;
	if (c->state.pid <= 0) return is_locked(c) ? STATUS_CREATING : STATUS_STOPPED;
	if (proc_stat((pid_t)c->state.pid, &st) < 0 || st.start_time != c->state.start_time) return STATUS_STOPPED;
	if (st.state == 'Z' || st.state == 'X') return STATUS_STOPPED;
	if (is_waiting(c)) return STATUS_CREATED;
	return cgroup_is_frozen(&c->state.cgroup) == 1 ? STATUS_PAUSED : STATUS_RUNNING;
}

const char *container_status_name(ContainerStatus s)
{
	static const char *const names[] = { "creating", "created", "running", "paused", "stopped" };
	return names[s];
}

int container_spec(const Container *c, OciSpec *ret, Err *e)
{
	char *text;
	size_t n;
	int r = fd_read_file(c->dir, "config.json", OCI_SPEC_MAX, c->arena, &text, &n, e);
	if (r < 0) return err_wrap(e, "container %s", c->state.id);
	r = oci_spec_parse(text, n, c->arena, ret, e);
	return r < 0 ? err_wrap(e, "container %s", c->state.id) : 0;
}

void container_state_write(const Container *c, ContainerStatus status, bool details, JsonWriter *w)
{
	json_begin_object(w);
	json_put_string(w, "ociVersion", c->state.oci_version);
	json_put_string(w, "id", c->state.id);
	json_put_int(w, "pid", status == STATUS_STOPPED ? 0 : c->state.pid);
	json_put_string(w, "status", container_status_name(status));
	json_put_string(w, "bundle", c->state.bundle);
	if (details) {
		json_put_string(w, "rootfs", c->state.rootfs);
		json_put_string(w, "created", c->state.created);
	}
	if (c->state.annotations.n) {
		json_key(w, "annotations");
		json_begin_object(w);
		for (size_t i = 0; i < c->state.annotations.n; i++)
			json_put_string(w, c->state.annotations.items[i].key, c->state.annotations.items[i].value);
		json_end_object(w);
	}
	char owner[16];
	snprintf(owner, sizeof owner, "%u", c->state.owner);
	if (details) json_put_string(w, "owner", c->state.owner ? owner : "root");
	json_end_object(w);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int container_list(const Runtime *rt, bool must_exist, Arena *a, StrList *ret, Err *e)
{
	*ret = (StrList){ 0 };
	AUTO(auto_dir) DIR *d = opendir(rt->root);
	if (!d) return errno == ENOENT && !must_exist ? 0 : err_sys(e, errno, "open %s", rt->root);
	size_t n = 0, cap = 64;
	AUTO_FREE const char **found = malloc(cap * sizeof *found);
	if (!found) return err_sys(e, ENOMEM, "list");
	for (struct dirent *de; (de = readdir(d));) {
		Err ignored;
		if (container_id_check(de->d_name, &ignored) < 0) continue;
		if (n + 1 >= cap) {
			const char **more = realloc(found, (cap *= 2) * sizeof *more);
			if (!more) return err_sys(e, ENOMEM, "list");
			found = more;
		}
		if (!(found[n++] = arena_strdup(a, de->d_name))) return err_sys(e, ENOMEM, "list");
	}
	qsort(found, n, sizeof *found, compare_strings);
	const char **items = arena_array(a, n + 1, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "list");
	memcpy(items, found, n * sizeof *items);
	*ret = (StrList){ .items = items, .n = n };
	return 0;
}
