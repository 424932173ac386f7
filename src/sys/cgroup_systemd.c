/* cgroup_systemd.c: the container's group as a transient unit of systemd: names and paths, starting, changing, stopping. */
#include "sys/cgroup_impl.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/time.h"
#include "sys/dbus.h"
#include "sys/path.h"

enum { UNIT_MAX = 255, WAIT_SECONDS = 30, BODY_MAX = 512 << 10 };

static const char service[] = "org.freedesktop.systemd1", manager_path[] = "/org/freedesktop/systemd1",
		  manager[] = "org.freedesktop.systemd1.Manager";

/* ---- the connection ---- */

/* Our uid as the peer sees it: outside of our user namespace. */
static uid_t outer_uid(void)
{
	char map[4096];
	uid_t uid = geteuid();
	ssize_t n = fd_read_small(AT_FDCWD, "/proc/self/uid_map", map, sizeof map);
	Str rest = { map, n > 0 ? (size_t)n : 0 }, line, word;
	while (str_next(&rest, '\n', &line)) {
		uint32_t v[3] = { 0 };
		size_t k = 0;
		while (k < 3 && str_next(&line, ' ', &word))
			if (word.n && str_to_u32(word, &v[k]) >= 0) k++;
		if (k == 3 && uid >= v[0] && uid - v[0] < v[2]) return v[1] + (uid - v[0]);
	}
	return uid;
}

static int try_connect(DBus *b, const char *address, bool bus, Err *e)
{
	return dbus_connect(b, address, bus, outer_uid(), time_monotonic() + WAIT_SECONDS * INT64_C(1000000000), e);
}

/* On a bus systemd tells of jobs only those who subscribed; on its private socket, everybody. */
static int subscribe(DBus *b, Err *e)
{
	static const DBusCall match = { "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s" };
	static const DBusCall call = { service, manager_path, manager, "Subscribe", NULL };
	AUTO_BUF rule = BUF_INIT(512);
	dbus_put_string(&rule,
			"type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='JobRemoved',"
			"path='/org/freedesktop/systemd1'");
	int r = dbus_call(b, &match, &rule, NULL, e);
	return r < 0 ? r : dbus_call(b, &call, NULL, NULL, e);
}

static int connect_bus(DBus *b, const char *address, Err *e)
{
	int r = try_connect(b, address, true, e);
	if (r < 0) return r;
	r = subscribe(b, e);
	if (r < 0) dbus_done(b);
	return r;
}

static int connect_user(DBus *b, Err *e)
{
	const char *run = getenv("XDG_RUNTIME_DIR"), *address = getenv("DBUS_SESSION_BUS_ADDRESS");
	AUTO_BUF path = BUF_INIT(4096);
	Err why = ERR_INIT;
	if (run && *run) {
		buf_printf(&path, "unix:path=%s/systemd/private", run);
		if (try_connect(b, buf_str(&path), false, &why) >= 0) return 0;
		buf_reset(&path);
		buf_printf(&path, "unix:path=%s/bus", run);
	}
	if (address && *address) {
		if (connect_bus(b, address, &why) >= 0) return 0;
	}
	if (path.n && connect_bus(b, buf_str(&path), &why) >= 0) return 0;
	if (why.code == ERR_NONE)
		return err_set(e, ERR_UNSUPPORTED, ENOENT,
			       "no user session of systemd: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set");
	*e = why;
	return err_wrap(e, "connect to the user session of systemd");
}

static int connect_systemd(const Cgroup *cg, DBus *b, Err *e)
{
	const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
	if (cg->rootless) return connect_user(b, e);
	if (address && *address) return connect_bus(b, address, e);
	Err why = ERR_INIT;
	if (try_connect(b, "unix:path=/run/systemd/private", false, &why) >= 0) return 0;
	int r = connect_bus(b, "unix:path=/run/dbus/system_bus_socket", e);
	return r < 0 ? err_wrap(e, "connect to systemd") : 0;
}

/* ---- names ---- */

/* "a-b.slice" lies in "a.slice": "/a.slice/a-b.slice". "-.slice" is the root: "". */
char *cgroup_slice_path(Arena *a, const char *slice, Err *e)
{
	AUTO_BUF path = BUF_INIT(CGROUP_PATH_MAX);
	size_t n = strlen(slice);
	Str stem = { slice, n > 6 ? n - 6 : 0 };
	bool good = n > 6 && n <= UNIT_MAX && ends_with(slice, ".slice") && !strchr(slice, '/');
	if (good && str_eq(stem, "-")) return arena_strdup(a, "");
	for (size_t i = 0; i < stem.n && good; i++) {
		if (slice[i] != '-' && i + 1 < stem.n) continue;
		bool dash = slice[i] == '-';
		size_t end = dash ? i : i + 1;
		if (dash && (i == 0 || slice[i - 1] == '-' || i + 1 == stem.n)) good = false;
		buf_printf(&path, "/%.*s.slice", (int)end, slice);
	}
	if (!good || buf_failed(&path)) {
		(void)!err_set(e, ERR_CONFIG, EINVAL, "invalid slice name: %.255s", slice);
		return NULL;
	}
	char *copy = arena_strdup(a, buf_str(&path));
	if (!copy) (void)!err_sys(e, ENOMEM, "plan the cgroup");
	return copy;
}

static bool is_unit_name(const char *s)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\-@";
	size_t n = strlen(s);
	return n && n <= UNIT_MAX && strspn(s, good) == n && s[0] != '.';
}

/* Splits "slice:prefix:name" and names the unit. */
static int name_unit(const CgroupRequest *req, Arena *a, Cgroup *ret, Err *e)
{
	Str slice = { 0 }, prefix = STR("skep"), name = str_of(req->id), rest;
	if (req->path && *req->path) {
		bool three = str_cut(str_of(req->path), ':', &slice, &rest) && str_cut(rest, ':', &prefix, &name);
		if (!three || memchr(name.p, ':', name.n))
			return err_set(
				e, ERR_CONFIG, EINVAL,
				"expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"%.256s\" instead",
				req->path);
	}
	bool is_slice = name.n > 6 && memcmp(name.p + name.n - 6, ".slice", 6) == 0;
	ret->slice = slice.n ? arena_str(a, slice) : req->rootless ? "user.slice" : "system.slice";
	ret->unit = is_slice   ? arena_str(a, name)
		    : prefix.n ? arena_printf(a, "%.*s-%.*s.scope", (int)prefix.n, prefix.p, (int)name.n, name.p)
			       : arena_printf(a, "%.*s.scope", (int)name.n, name.p);
	if (!ret->slice || !ret->unit) return err_sys(e, ENOMEM, "plan the cgroup");
	return is_unit_name(ret->unit) ? 0 : err_set(e, ERR_CONFIG, EINVAL, "invalid systemd unit name: %.255s", ret->unit);
}

/* One property of systemd itself that is a string. */
static int manager_property(DBus *b, const char *name, Arena *a, char **ret, Err *e)
{
	static const DBusCall call = { service, manager_path, "org.freedesktop.DBus.Properties", "Get", "ss" };
	AUTO_BUF body = BUF_INIT(256);
	DBusMessage m;
	dbus_put_string(&body, manager);
	dbus_put_string(&body, name);
	int r = dbus_call(b, &call, &body, &m, e);
	if (r < 0) return r;
	const char *type = streq(m.signature, "v") ? dbus_get_signature(&m.body) : "";
	const char *value = streq(type, "s") ? dbus_get_string(&m.body) : "";
	if (!*type || m.body.failed) return err_set(e, ERR_IO, EPROTO, "systemd: property %s is not a string", name);
	*ret = arena_strdup(a, value);
	return *ret ? 0 : err_sys(e, ENOMEM, "systemd");
}

/* Rootless units live below the user's manager: "/user.slice/user-1000.slice/user@1000.service". */
static int user_prefix(const Cgroup *cg, Arena *a, char **ret, Err *e)
{
	DBus b;
	int r = connect_systemd(cg, &b, e);
	if (r < 0) return r;
	r = manager_property(&b, "ControlGroup", a, ret, e);
	dbus_done(&b);
	return r;
}

int cgroup_plan_unit(const CgroupPlace *place, const CgroupRequest *req, Arena *a, Cgroup *ret, const char **ret_path, Err *e)
{
	char *prefix = NULL;
	int r = name_unit(req, a, ret, e);
	if (r < 0) return r;
	char *slice = cgroup_slice_path(a, ret->slice, e);
	if (!slice) return -e->errnum;
	if (req->rootless) r = user_prefix(ret, a, &prefix, e);
	if (r < 0) return r;
	char *path = arena_printf(a, "%s%s/%s", prefix ? prefix : "", slice, ret->unit);
	*ret_path = path ? path_clean(a, path) : NULL;
	return *ret_path ? 0 : err_sys(e, ENOMEM, "plan the cgroup");
}

/* ---- jobs ---- */

typedef struct Job {
	char path[256];
	char result[32];
} Job;

static bool job_removed(const DBusMessage *m, void *p)
{
	Job *job = p;
	DBusReader r = m->body;
	if (m->type != DBUS_SIGNAL || !streq(m->member, "JobRemoved") || !streq(m->interface, manager) || !streq(m->signature, "uoss"))
		return false;
	(void)dbus_get_u32(&r);
	const char *path = dbus_get_string(&r);
	(void)dbus_get_string(&r); /* the unit */
	const char *result = dbus_get_string(&r);
	if (r.failed || !streq(path, job->path)) return false;
	snprintf(job->result, sizeof job->result, "%s", result);
	return true;
}

/* Calls a method that answers with a job and waits until that is over. *ret_error: the name of the peer's error. */
static int run_job(DBus *b, const char *method, const char *signature, const Buf *body, Job *job, char ret_error[static 128], Err *e)
{
	const DBusCall call = { service, manager_path, manager, method, signature };
	DBusMessage m;
	int r = dbus_call(b, &call, body, &m, e);
	snprintf(ret_error, 128, "%s", r < 0 ? m.error : "");
	if (r < 0) return r;
	const char *path = streq(m.signature, "o") ? dbus_get_string(&m.body) : "";
	if (!*path || strlen(path) >= sizeof job->path) return err_set(e, ERR_IO, EPROTO, "%s: systemd gave no job", method);
	memcpy(job->path, path, strlen(path) + 1);
	return dbus_wait(b, job_removed, job, e);
}

static void reset_failed(DBus *b, const char *unit)
{
	static const DBusCall call = { service, manager_path, manager, "ResetFailedUnit", "s" };
	AUTO_BUF body = BUF_INIT(512);
	Err ignored = ERR_INIT;
	dbus_put_string(&body, unit);
	(void)!dbus_call(b, &call, &body, NULL, &ignored);
}

static int systemd_version(DBus *b)
{
	AUTO_ARENA a = ARENA_INIT(4096);
	Err ignored = ERR_INIT;
	char *text = NULL;
	uint32_t version = 0;
	if (manager_property(b, "Version", &a, &text, &ignored) < 0 || !text) return 0;
	while (*text == 'v')
		text++;
	return str_to_u32((Str){ text, strspn(text, "0123456789") }, &version) < 0 ? 0 : (int)version;
}

/* ---- start, update, stop ---- */

static int start_on(DBus *b, const Cgroup *cg, const CgroupResources *r, const StrMap *annotations, const char *id, pid_t pid, Err *e)
{
	AUTO_BUF body = BUF_INIT(BODY_MAX);
	Job job = { 0 };
	char error[128];
	int version = cgroup_unit_wants_version(r) ? systemd_version(b) : 0;
	int k = cgroup_unit_start(cg, r, annotations, id, pid, version, &body, e);
	if (k < 0) return k;
	for (int attempt = 0;; attempt++) {
		k = run_job(b, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body, &job, error, e);
		if (k >= 0 || attempt || !streq(error, "org.freedesktop.systemd1.UnitExists")) break;
		reset_failed(b, cg->unit); /* perhaps a failed unit left over by an earlier container of this name */
	}
	if (k == -ETIMEDOUT) reset_failed(b, cg->unit);
	if (k < 0) return err_wrap(e, "unable to start unit \"%s\"", cg->unit);
	if (streq(job.result, "done")) return 0;
	reset_failed(b, cg->unit);
	return err_set(e, ERR_STATE, EIO, "error creating systemd unit `%s`: got `%s`", cg->unit, job.result);
}

int cgroup_start_unit(Cgroup *cg, const CgroupResources *r, const StrMap *annotations, const char *id, pid_t pid, Err *e)
{
	static const CgroupResources nothing;
	DBus b;
	if (cg->driver != CGROUP_SYSTEMD) return 0;
	if (!r) r = &nothing;
	int k = connect_systemd(cg, &b, e);
	if (k < 0) return k;
	k = start_on(&b, cg, r, annotations, id, pid, e);
	dbus_done(&b);
	if (k >= 0) k = cgroup_create_all(cg, r, false, e);
	/* v1: systemd moves a process only in the hierarchies it manages itself */
	return k < 0 || cg->layout == CGROUP_V2 || pid <= 0 ? k : cgroup_add(cg, pid, e);
}

int cgroup_update_unit(const Cgroup *cg, const CgroupResources *r, Err *e)
{
	static const DBusCall call = { service, manager_path, manager, "SetUnitProperties", "sba(sv)" };
	AUTO_BUF body = BUF_INIT(BODY_MAX);
	DBus b;
	int version = 0;
	bool ask = cgroup_unit_wants_version(r), connected = false;
	if (ask) {
		int k = connect_systemd(cg, &b, e);
		if (k < 0) return k;
		connected = true;
		version = systemd_version(&b);
	}
	dbus_put_string(&body, cg->unit);
	dbus_put_bool(&body, true); /* for this boot only */
	DBusArray properties = dbus_open_array(&body, 8);
	int k = cgroup_unit_resources(cg, r, true, version, &body, e);
	bool any = body.n > properties.start;
	dbus_close_array(&body, properties);
	if (k >= 0 && any && !connected) {
		k = connect_systemd(cg, &b, e);
		connected = k >= 0;
	}
	if (k >= 0 && any) {
		k = dbus_call(&b, &call, &body, NULL, e);
		if (k < 0) k = err_wrap(e, "unable to set unit properties of \"%s\"", cg->unit);
	}
	if (connected) dbus_done(&b);
	return k;
}

int cgroup_attach_unit(const Cgroup *cg, pid_t pid, Err *e)
{
	static const DBusCall call = { service, manager_path, manager, "AttachProcessesToUnit", "ssau" };
	AUTO_BUF body = BUF_INIT(1024);
	DBus b;
	int k = connect_systemd(cg, &b, e);
	if (k < 0) return k;
	dbus_put_string(&body, cg->unit);
	dbus_put_string(&body, "");
	DBusArray pids = dbus_open_array(&body, 4);
	dbus_put_u32(&body, (uint32_t)pid);
	dbus_close_array(&body, pids);
	k = dbus_call(&b, &call, &body, NULL, e);
	dbus_done(&b);
	return k < 0 ? err_wrap(e, "move process %d to unit \"%s\"", (int)pid, cg->unit) : 0;
}

int cgroup_stop_unit(const Cgroup *cg, Err *e)
{
	AUTO_BUF body = BUF_INIT(1024);
	Job job = { 0 };
	char error[128];
	DBus b;
	int k = connect_systemd(cg, &b, e);
	if (k < 0) return k;
	dbus_put_string(&body, cg->unit);
	dbus_put_string(&body, "replace");
	k = run_job(&b, "StopUnit", "ss", &body, &job, error, e);
	if (k < 0 && streq(error, "org.freedesktop.systemd1.NoSuchUnit")) k = 0; /* it went with its last process */
	reset_failed(&b, cg->unit);
	dbus_done(&b);
	return k < 0 ? err_wrap(e, "stop unit \"%s\"", cg->unit) : 0;
}
