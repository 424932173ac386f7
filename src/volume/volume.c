/* volume.c: see volume.h. */
#include "volume/volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "base/time.h"
#include "monitor/volume_hold.h"
#include "sys/fd.h"
#include "sys/project_quota.h"

enum { MAP_MAX = 1 << 20, USERS_MAX = 4096 };

#define COLUMNS "name, driver, created, anonymous, labels, options"

typedef struct Map {
	StrMap map;
} Map;
static const BindRow map_rows[] = { { .name = "map", .kind = BIND_MAP, .offset = offsetof(Map, map) } };
static const BindTable map_table = { .type = "map", .size = sizeof(Map), .rows = map_rows, .n = 1 };

/* ---- checks ---- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int check_name(const char *name, Err *e)
{
	size_t n = strlen(name);
	bool good = n > 1 && is_letter(name[0]);
	if (n == 1)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "create %s: volume name is too short, names should be at least two alphanumeric characters", name);
	for (size_t i = 1; good && i < n; i++)
		good = is_letter(name[i]) || strchr("_.-", name[i]);
	if (good && n < 256) return 0;
	return err_set(
		e, ERR_CONFIG, EINVAL,
		"create %.256s: \"%.256s\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If "
		"you intended to pass a host directory, use absolute path",
		name, name);
}

static int check_options(const char *name, const StrMap *o, Err *e)
{
	int64_t size = 0;
	const char *text = str_map_get(o, "size");
	bool device = str_map_get(o, "device"), type = str_map_get(o, "type"), any = device || type || str_map_get(o, "o");
	for (size_t i = 0; i < o->n; i++) {
		const char *key = o->items[i].key;
		if (!streq(key, "type") && !streq(key, "device") && !streq(key, "o") && !streq(key, "size"))
			return err_set(e, ERR_CONFIG, EINVAL, "create %s: invalid option: \"%s\"", name, key);
	}
	if (text && size_parse(str_of(text), SIZE_BINARY, &size, e) < 0) return err_wrap(e, "create %s", name);
	if (any && !device) return err_set(e, ERR_CONFIG, EINVAL, "create %s: missing required option: \"device\"", name);
	if (any && !type) return err_set(e, ERR_CONFIG, EINVAL, "create %s: missing required option: \"type\"", name);
	return 0;
}

static int check(const Volume *w, Err *e)
{
	int r = check_name(w->name, e);
	if (r < 0) return r;
	if (w->driver && *w->driver && !streq(w->driver, "local"))
		return err_set(e, ERR_NOT_FOUND, EINVAL, "create %s: error looking up volume plugin %s: plugin \"%s\" not found", w->name,
			       w->driver, w->driver);
	return check_options(w->name, &w->options, e);
}

/* ---- rows ---- */

static int read_map(const DbRows *rows, int column, Arena *a, StrMap *ret, Err *e)
{
	Map m;
	Str text = db_row_str(rows, column);
	char *copy = arena_str(a, text);
	int r = copy ? bind_parse(&map_table, copy, text.n, &m, "volume", a, e) : err_sys(e, ENOMEM, "read a volume");
	if (r >= 0) *ret = m.map;
	return r;
}

static int read_row(const DbRows *rows, Arena *a, Volume *ret, Err *e)
{
	*ret = (Volume){ .created = db_row_int(rows, 2), .anonymous = db_row_int(rows, 3) };
	if (db_row_dup(rows, 0, a, &ret->name) < 0 || db_row_dup(rows, 1, a, &ret->driver) < 0) return err_sys(e, ENOMEM, "read a volume");
	int r = read_map(rows, 4, a, &ret->labels, e);
	return r < 0 ? r : read_map(rows, 5, a, &ret->options, e);
}

static int get(const Volumes *v, const char *name, Arena *a, Volume *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(v->store->db, "SELECT " COLUMNS " FROM volumes WHERE name = ?", DB_ARGS(db_text(name)), &rows, e);
	if (r <= 0) return r;
	r = read_row(&rows, a, ret, e);
	return r < 0 ? r : 1;
}

int volume_find(const Volumes *v, const char *name, Arena *a, Volume *ret, Err *e)
{
	int r = get(v, name, a, ret, e);
	if (r == 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "get %.256s: no such volume", name);
	return r < 0 ? r : 0;
}

static void put_map(const StrMap *m, Buf *b)
{
	JsonWriter w = JSON_WRITER(b);
	Map map = { .map = *m };
	str_map_sort(&map.map);
	bind_encode(&map_table, &map, &w);
}

static int insert(const Volumes *v, const Volume *w, Err *e)
{
	AUTO_BUF labels = BUF_INIT(MAP_MAX), options = BUF_INIT(MAP_MAX);
	put_map(&w->labels, &labels);
	put_map(&w->options, &options);
	if (buf_failed(&labels) || buf_failed(&options))
		return err_set(e, ERR_RESOURCE, EFBIG, "create %s: too many labels or options", w->name);
	return db_run(v->store->db, "INSERT INTO volumes(" COLUMNS ") VALUES(?, 'local', ?, ?, ?, ?)",
		      DB_ARGS(db_text(w->name), db_int(w->created ? w->created : time_now()), db_int(w->anonymous),
			      db_text(buf_str(&labels)), db_text(buf_str(&options))),
		      e);
}

/* volumes/<name>/_data; what is there of a volume that was being made stays. */
static int make_directory(const Volumes *v, const char *name, Err *e)
{
	if (mkdirat(v->store->root, "volumes", 0711) < 0 && errno != EEXIST) return err_sys(e, errno, "make %s/volumes", v->store->path);
	AUTO_FD int all = openat(v->store->root, "volumes", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (all < 0 || (mkdirat(all, name, 0711) < 0 && errno != EEXIST))
		return err_sys(e, errno, "make %s/volumes/%s", v->store->path, name);
	AUTO_FD int own = openat(all, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (own < 0 || (mkdirat(own, "_data", 0755) < 0 && errno != EEXIST))
		return err_sys(e, errno, "make %s/volumes/%s/_data", v->store->path, name);
	return 0;
}

/* The option size, by a project of the volume's own. */
static int limit_size(const Volumes *v, const Volume *want, Err *e)
{
	char path[320];
	Err why = ERR_INIT;
	int64_t size = 0;
	uint32_t project;
	const char *text = str_map_get(&want->options, "size");
	if (!text || size_parse(str_of(text), SIZE_BINARY, &size, e) < 0 || !size) return 0;
	snprintf(path, sizeof path, "volumes/%s/_data", want->name);
	AUTO_FD int data = openat(v->store->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (data < 0 || getrandom(&project, sizeof project, 0) != (ssize_t)sizeof project)
		return err_sys(e, errno, "create %s", want->name);
	int r = project_quota_set(data, project | PROJECT_QUOTA_OURS, (uint64_t)size, &why);
	if (r == -EOPNOTSUPP)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "create %s: quota size requested but no quota support", want->name);
	if (r < 0) *e = why;
	return r;
}

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

int volume_sweep(const Volumes *v, Err *e)
{
	struct dirent *entry;
	AUTO_DB_TX tx = { 0 };
	int fd = openat(v->store->root, "volumes", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) return errno == ENOENT ? 0 : err_sys(e, errno, "open %s/volumes", v->store->path);
	AUTO(closedirp) DIR *d = fdopendir(fd);
	int r = d ? db_begin(v->store->db, DB_WRITE, &tx, e) : err_sys(e, errno, "read %s/volumes", v->store->path);
	while (d && r >= 0 && (entry = readdir(d))) {
		char data[NAME_MAX + sizeof "/_data"];
		AUTO_DB_ROWS rows = { 0 };
		if (entry->d_name[0] == '.') continue;
		r = db_get(v->store->db, "SELECT 1 FROM volumes WHERE name = ?", DB_ARGS(db_text(entry->d_name)), &rows, e);
		if (r != 0) continue;
		snprintf(data, sizeof data, "%s/_data", entry->d_name);
		(void)!unlinkat(fd, data, AT_REMOVEDIR); /* what has something in it is not ours to judge */
		(void)!unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	}
	return r < 0 ? r : 0;
}

static int is_doomed(const Volumes *v, const char *name, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	return db_get(v->store->db, "SELECT 1 FROM doomed WHERE path = 'volumes/' || ?", DB_ARGS(db_text(name)), &rows, e);
}

/* 1 when it was made, 0 when it is there; -EAGAIN: one of that name is being taken away, with its directory. */
static int make(const Volumes *v, const Volume *want, Arena *a, Volume *ret, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(v->store->db, DB_WRITE, &tx, e);
	if (r < 0 || (r = get(v, want->name, a, ret, e)) != 0) return r < 0 ? r : 0;
	if ((r = is_doomed(v, want->name, e)) != 0) return r < 0 ? r : -EAGAIN;
	if ((r = make_directory(v, want->name, e)) < 0 || (r = limit_size(v, want, e)) < 0 || (r = insert(v, want, e)) < 0 ||
	    (r = db_commit(&tx, e)) < 0)
		return r;
	return 1;
}

int volume_create(const Volumes *v, const Volume *want, Arena *a, Volume *ret, bool *ret_made, Err *e)
{
	int r = check(want, e);
	*ret_made = false;
	if (r < 0 || (r = get(v, want->name, a, ret, e)) != 0) return r < 0 ? r : 0;
	while ((r = make(v, want, a, ret, e)) == -EAGAIN)
		if ((r = store_sweep(v->store, e)) < 0) return r;
	if (r <= 0) return r;
	*ret_made = true;
	return volume_find(v, want->name, a, ret, e);
}

int volume_list(const Volumes *v, Arena *a, VolumeList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	size_t n = 0;
	int r = db_get(v->store->db, "SELECT count(*) FROM volumes", DB_NONE, &rows, e);
	if (r > 0) n = (size_t)db_row_int(&rows, 0);
	db_rows_done(&rows);
	*ret = (VolumeList){ .items = arena_array(a, n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "list volumes");
	if (r >= 0) r = db_query(v->store->db, "SELECT " COLUMNS " FROM volumes ORDER BY name", DB_NONE, &rows, e);
	while (r >= 0 && ret->n < n && (r = db_next(&rows, e)) > 0)
		if ((r = read_row(&rows, a, &ret->items[ret->n], e)) >= 0) ret->n++;
	return r < 0 ? r : 0;
}

int volume_users(const Volumes *v, const char *name, Arena *a, StrList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	*ret = (StrList){ .items = arena_array(a, USERS_MAX + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "list users of a volume");
	int r = db_query(v->store->db, "SELECT container FROM volume_uses WHERE volume = ? ORDER BY container LIMIT 4096",
			 DB_ARGS(db_text(name)), &rows, e);
	while (r >= 0 && ret->n < USERS_MAX && (r = db_next(&rows, e)) > 0)
		if (db_row_dup(&rows, 0, a, &ret->items[ret->n++]) < 0) r = err_sys(e, ENOMEM, "list users of a volume");
	return r < 0 ? r : 0;
}

static int in_use(const Volumes *v, const char *name, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF ids = BUF_INIT(1 << 18);
	StrList users;
	int r = volume_users(v, name, &a, &users, e);
	if (r < 0) return r;
	for (size_t i = 0; i < users.n; i++)
		buf_printf(&ids, i ? ", %s" : "%s", users.items[i]);
	return err_set(e, ERR_STATE, EBUSY, "remove %s: volume is in use - [%.700s]", name, buf_str(&ids));
}

/* What a killed monitor left mounted is not ours to delete. */
static int unmount(const Volumes *v, const char *name, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	Err busy = ERR_INIT;
	Volume w;
	int r = get(v, name, &a, &w, e);
	if (r <= 0 || !w.options.n) return r;
	r = volume_release(v->store->root, name, NULL, &busy);
	if (r < 0 && r != -EBUSY) *e = busy;
	return r == -EBUSY ? 0 : r;
}

int volume_remove(const Volumes *v, const char *name, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	char path[320];
	Err why = ERR_INIT;
	int r = unmount(v, name, e);
	if (r < 0 || (r = db_begin(v->store->db, DB_WRITE, &tx, e)) < 0) return r;
	snprintf(path, sizeof path, "volumes/%s", name);
	r = db_run(v->store->db, "DELETE FROM volumes WHERE name = ?", DB_ARGS(db_text(name)), &why);
	if (r == -EBUSY) {
		db_rollback(&tx);
		return in_use(v, name, e);
	}
	if (r == 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "get %.256s: no such volume", name);
	if (r > 0) r = db_run(v->store->db, "INSERT OR IGNORE INTO doomed(path) VALUES(?)", DB_ARGS(db_text(path)), &why);
	if (r >= 0) r = db_commit(&tx, &why);
	if (r < 0) *e = why;
	return r < 0 ? r : 0;
}

const char *volume_path(const Volumes *v, const char *name, Arena *a)
{
	return arena_printf(a, "%s/volumes/%s/_data", v->store->path, name);
}

int volume_new_name(char name[static VOLUME_ANONYMOUS_NAME + 1], Err *e)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char raw[VOLUME_ANONYMOUS_NAME / 2];
	if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw) return err_sys(e, errno, "make a name");
	for (size_t i = 0; i < sizeof raw; i++) {
		name[2 * i] = hex[raw[i] >> 4];
		name[2 * i + 1] = hex[raw[i] & 15];
	}
	name[VOLUME_ANONYMOUS_NAME] = 0;
	return 0;
}
