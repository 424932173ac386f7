/* record.c: see record.h. */
#include "engine/record.h"

#include <fcntl.h>
#include <sys/random.h>

#include "base/time.h"
#include "monitor/event_log.h"

enum { DOCUMENT_MAX = 4 << 20, NAME_TRIES = 64 };

#define COLUMNS "id, name, manifest, image_id, created, config, host, mounts, networks"

/* ---- names ---- */

int record_new_id(char id[static RECORD_ID_LENGTH + 1], Err *e)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char raw[RECORD_ID_LENGTH / 2];
	bool letter = false;
	do {
		if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw) return err_sys(e, errno, "make an id");
		for (size_t i = 0; i < sizeof raw; i++) {
			id[2 * i] = hex[raw[i] >> 4];
			id[2 * i + 1] = hex[raw[i] & 15];
		}
		id[RECORD_ID_LENGTH] = 0;
		for (size_t i = 0; i < RECORD_SHORT_ID; i++)
			letter |= id[i] >= 'a';
	} while (!letter);
	return 0;
}

static int name_is_taken(Engine *g, const char *name, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	return db_get(g->db, "SELECT 1 FROM containers WHERE name = ?", DB_ARGS(db_text(name)), &rows, e);
}

static int new_name(Engine *g, Arena *a, const char **ret, Err *e)
{
	static const char *const how[] = { "amber", "bold",    "brave",  "bright", "busy",  "calm",   "clever", "crisp",  "eager",
					   "fair",  "fleet",   "fond",   "gentle", "glad",  "golden", "happy",  "humble", "jolly",
					   "keen",  "kind",    "lively", "loyal",  "lucky", "merry",  "mild",   "neat",   "nimble",
					   "noble", "patient", "plucky", "proud",  "quick", "quiet",  "ready",  "sharp",  "silent",
					   "sleek", "smart",   "snug",   "sober",  "solid", "steady", "sunny",  "swift",  "tidy",
					   "true",  "vivid",   "warm",   "wise",   "witty" };
	static const char *const what[] = { "apple",   "aspen",    "aster",  "bee",    "birch",  "bramble", "briar",  "broom",   "cedar",
					    "cherry",  "clover",   "comb",   "daisy",  "drone",  "elder",   "fennel", "fern",    "gorse",
					    "hazel",   "heather",  "hive",   "honey",  "hyssop", "iris",    "ivy",    "juniper", "larch",
					    "laurel",  "lavender", "lilac",  "linden", "lupin",  "maple",   "meadow", "mint",    "myrtle",
					    "nectar",  "orchard",  "pollen", "poppy",  "queen",  "rowan",   "sage",   "sorrel",  "swarm",
					    "thistle", "thyme",    "willow", "worker", "yarrow" };
	for (int i = 0; i < NAME_TRIES; i++) {
		uint32_t n[3];
		if (getrandom(n, sizeof n, 0) != (ssize_t)sizeof n) return err_sys(e, errno, "make a name");
		const char *first = how[n[0] % ARRAY_LEN(how)], *second = what[n[1] % ARRAY_LEN(what)];
		char *name = i < 4 ? arena_printf(a, "%s_%s", first, second) : arena_printf(a, "%s_%s%u", first, second, n[2] % 1000000);
		if (!name) return err_sys(e, ENOMEM, "make a name");
		int r = name_is_taken(g, name, e);
		if (r < 0) return r;
		*ret = name;
		if (!r) return 0;
	}
	return err_set(e, ERR_RESOURCE, EEXIST, "no name is free: give one with --name");
}

int record_name_check(const char *name, Err *e)
{
	const char *p = name[0] == '/' ? name + 1 : name;
	bool good = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
	size_t n = strlen(p);
	for (size_t i = 1; good && i < n; i++)
		good = (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= '0' && p[i] <= '9') || strchr("_.-", p[i]);
	if (good && n > 1) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "Invalid container name (%.128s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name);
}

/* ---- rows ---- */

static int decode(const BindTable *t, const DbRows *rows, int column, void *obj, const char *what, Arena *a, Err *e)
{
	Str text = db_row_str(rows, column);
	char *copy = arena_str(a, text);
	JsonValue *v = arena_alloc(a, sizeof *v);
	if (!copy || !v) return err_sys(e, ENOMEM, "read a container");
	int r = json_parse(copy, text.n, a, v, e);
	return r < 0 ? r : bind_decode(t, v, obj, what, a, e);
}

typedef struct MountsDocument {
	MountPointList mounts;
} MountsDocument;
static const BindRow mounts_rows[] = {
	{ .name = "mounts", .kind = BIND_LIST, .offset = offsetof(MountsDocument, mounts), .sub = &mount_point_table },
};
static const BindTable mounts_table = { .type = "mounts", .size = sizeof(MountsDocument), .rows = mounts_rows, .n = 1 };

typedef struct NetworksDocument {
	EndpointRequestList networks;
} NetworksDocument;
static const BindRow networks_rows[] = {
	{ .name = "networks", .kind = BIND_LIST, .offset = offsetof(NetworksDocument, networks), .sub = &endpoint_row_table },
};
static const BindTable networks_table = { .type = "networks", .size = sizeof(NetworksDocument), .rows = networks_rows, .n = 1 };

static int row_digest(const DbRows *rows, int column, Digest *ret, Err *e)
{
	*ret = (Digest){ 0 };
	if (db_row_null(rows, column)) return 0;
	int r = digest_parse(db_row_str(rows, column), ret);
	return r < 0 ? err_set(e, ERR_STATE, EUCLEAN, "skep.db: \"%.80s\" is no digest", db_row_text(rows, column)) : 0;
}

static int read_row(const DbRows *rows, bool brief, Arena *a, Record *ret, Err *e)
{
	MountsDocument m;
	NetworksDocument n;
	int r;
	*ret = (Record){ .created = db_row_int(rows, 4), .brief = brief };
	if (db_row_dup(rows, 0, a, &ret->id) < 0 || db_row_dup(rows, 1, a, &ret->name) < 0) return err_sys(e, ENOMEM, "read a container");
	if ((r = row_digest(rows, 2, &ret->manifest, e)) < 0 || (r = row_digest(rows, 3, &ret->image_id, e)) < 0) return r;
	if ((r = decode(&container_config_table, rows, 5, &ret->config, "container", a, e)) < 0 || brief) return r;
	if ((r = decode(&host_config_table, rows, 6, &ret->host, "container", a, e)) < 0) return r;
	if ((r = decode(&mounts_table, rows, 7, &m, "container", a, e)) < 0) return r;
	ret->mounts = m.mounts;
	if ((r = decode(&networks_table, rows, 8, &n, "container", a, e)) < 0) return r;
	ret->networks = n.networks;
	return 0;
}

static bool is_hex(const char *s)
{
	return *s && strspn(s, "0123456789abcdef") == strlen(s);
}

static int find_by_prefix(Engine *g, const char *prefix, Arena *a, Record *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	char end[RECORD_ID_LENGTH + 2];
	size_t n = strlen(prefix);
	if (!is_hex(prefix) || n > RECORD_ID_LENGTH) return 0;
	memcpy(end, prefix, n + 1);
	end[n] = 'g'; /* behind all that begin so */
	end[n + 1] = 0;
	int r = db_get(g->db, "SELECT " COLUMNS " FROM containers WHERE id >= ? AND id < ?", DB_ARGS(db_text(prefix), db_text(end)), &rows,
		       e);
	if (r <= 0 || (r = read_row(&rows, false, a, ret, e)) < 0) return r;
	r = db_next(&rows, e);
	if (r > 0) return err_set(e, ERR_CONFIG, EINVAL, "multiple IDs found with provided prefix: %s", prefix);
	return r < 0 ? r : 1;
}

int record_find(Engine *g, const char *name, Arena *a, Record *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	const char *bare = name[0] == '/' ? name + 1 : name;
	int r = db_get(g->db, "SELECT " COLUMNS " FROM containers WHERE name = ?1 OR id = ?1 ORDER BY id <> ?1", DB_ARGS(db_text(bare)),
		       &rows, e);
	if (r > 0) return read_row(&rows, false, a, ret, e);
	db_rows_done(&rows);
	if (r == 0) r = find_by_prefix(g, bare, a, ret, e);
	if (r == 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "No such container: %.256s", name);
	return r < 0 ? r : 0;
}

static int list(Engine *g, bool brief, Arena *a, RecordList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	AUTO_DB_TX tx = { 0 };
	size_t n = 0;
	int r = db_begin(g->db, DB_READ, &tx, e);
	if (r >= 0) r = db_get(g->db, "SELECT count(*) FROM containers", DB_NONE, &rows, e);
	if (r > 0) n = (size_t)db_row_int(&rows, 0);
	db_rows_done(&rows);
	*ret = (RecordList){ .items = arena_array(a, n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "list containers");
	if (r >= 0) r = db_query(g->db, "SELECT " COLUMNS " FROM containers ORDER BY created DESC", DB_NONE, &rows, e);
	while (r >= 0 && ret->n < n && (r = db_next(&rows, e)) > 0)
		if ((r = read_row(&rows, brief, a, &ret->items[ret->n], e)) >= 0) ret->n++;
	db_rows_done(&rows);
	return r < 0 ? r : 0;
}

int record_list(Engine *g, Arena *a, RecordList *ret, Err *e)
{
	return list(g, false, a, ret, e);
}

int record_list_brief(Engine *g, Arena *a, RecordList *ret, Err *e)
{
	return list(g, true, a, ret, e);
}

static int encode(const BindTable *t, const void *obj, Buf *b, Err *e)
{
	JsonWriter w = JSON_WRITER(b);
	w.brief = true;
	bind_encode(t, obj, &w);
	return buf_failed(b) ? err_set(e, ERR_RESOURCE, EFBIG, "the container's configuration is larger than %d bytes", DOCUMENT_MAX) : 0;
}

static int name_in_use(Engine *g, const char *name, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	Err ignored = ERR_INIT;
	int r = db_get(g->db, "SELECT id FROM containers WHERE name = ?", DB_ARGS(db_text(name)), &rows, &ignored);
	return err_set(
		e, ERR_EXISTS, EEXIST,
		"Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or rename) that container to be "
		"able to reuse that name.",
		name, r > 0 ? db_row_text(&rows, 0) : "?");
}

typedef struct Documents {
	Buf config, host, mounts, networks;
} Documents;

static void documents_done(Documents *d)
{
	Buf *all[] = { &d->config, &d->host, &d->mounts, &d->networks };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_done(all[i]);
}

static int insert_row(Engine *g, const Record *c, Documents *d, Err *e)
{
	char manifest[DIGEST_TEXT_MAX], image[DIGEST_TEXT_MAX];
	bool has = c->manifest.algorithm;
	int r = db_run(g->db, "INSERT INTO containers(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		       DB_ARGS(db_text(c->id), db_text(c->name), has ? db_text(digest_format(&c->manifest, manifest)) : db_null(),
			       has ? db_text(digest_format(&c->image_id, image)) : db_null(), db_int(c->created),
			       db_text(buf_str(&d->config)), db_text(buf_str(&d->host)), db_text(buf_str(&d->mounts)),
			       db_text(buf_str(&d->networks))),
		       e);
	if (r == -EBUSY) return err_set(e, ERR_NOT_FOUND, ENOENT, "No such image: %s: it was removed meanwhile", c->config.image);
	return r;
}

static int insert_volumes(Engine *g, const Record *c, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < c->mounts.n; i++) {
		const MountPoint *m = &c->mounts.items[i];
		if (!streq(m->type, "volume") || !m->name) continue;
		r = db_run(g->db, "INSERT OR IGNORE INTO volume_uses(volume, container) VALUES(?, ?)",
			   DB_ARGS(db_text(m->name), db_text(c->id)), e);
		if (r == -EBUSY) return err_set(e, ERR_NOT_FOUND, ENOENT, "no such volume: %s: it was removed meanwhile", m->name);
	}
	return r < 0 ? r : 0;
}

static int insert_images(Engine *g, const Record *c, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < c->mounts.n; i++) {
		const MountPoint *m = &c->mounts.items[i];
		if (!m->manifest) continue;
		r = db_run(g->db, "INSERT OR IGNORE INTO container_images(container, manifest) VALUES(?, ?)",
			   DB_ARGS(db_text(c->id), db_text(m->manifest)), e);
		if (r == -EBUSY) return err_set(e, ERR_NOT_FOUND, ENOENT, "No such image: %s: it was removed meanwhile", m->name);
	}
	return r < 0 ? r : 0;
}

/* The host configuration with the ids that the container gets. */
static int encode_host(Engine *g, Record *c, UsernsPlan *ids, Arena *a, Buf *host, Err *e)
{
	int r = ids->kind == USERNS_AUTO ? id_ranges_choose(g->db, ids, a, e) : 0;
	if (r >= 0 && ids->maps.uids.n) r = userns_keep(&c->host, &ids->maps, a, e);
	return r < 0 ? r : encode(&host_config_table, &c->host, host, e);
}

int record_insert(Engine *g, Record *c, UsernsPlan *ids, Arena *a, Err *e)
{
	AUTO(documents_done)
	Documents d = { BUF_INIT(DOCUMENT_MAX), BUF_INIT(DOCUMENT_MAX), BUF_INIT(DOCUMENT_MAX), BUF_INIT(DOCUMENT_MAX) };
	AUTO_DB_TX tx = { 0 };
	const MountsDocument m = { .mounts = c->mounts };
	const NetworksDocument n = { .networks = c->networks };
	int r = encode(&container_config_table, &c->config, &d.config, e);
	if (r < 0 || (r = encode(&mounts_table, &m, &d.mounts, e)) < 0 || (r = encode(&networks_table, &n, &d.networks, e)) < 0) return r;
	if ((r = db_begin(g->db, DB_WRITE, &tx, e)) < 0) return r;
	if ((r = encode_host(g, c, ids, a, &d.host, e)) < 0 || (!c->name && (r = new_name(g, a, &c->name, e)) < 0)) return r;
	r = insert_row(g, c, &d, e);
	if (r == -EEXIST) return name_in_use(g, c->name, e);
	if (r < 0 || (r = insert_volumes(g, c, e)) < 0 || (r = insert_images(g, c, e)) < 0) return r;
	if (ids->kind == USERNS_MAPS) r = id_ranges_insert(g->db, c->id, &ids->maps, e);
	return r < 0 ? r : db_commit(&tx, e);
}

int record_delete(Engine *g, const char *id, bool has_files, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	char path[RECORD_ID_LENGTH + 16];
	snprintf(path, sizeof path, "containers/%s", id);
	int r = db_begin(g->db, DB_WRITE, &tx, e);
	if (r >= 0 && has_files) r = db_run(g->db, "INSERT OR IGNORE INTO doomed(path) VALUES(?)", DB_ARGS(db_text(path)), e);
	if (r < 0) return r;
	if ((r = db_run(g->db, "DELETE FROM containers WHERE id = ?", DB_ARGS(db_text(id)), e)) < 0) return r;
	if (r == 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "No such container: %s", id);
	return db_commit(&tx, e);
}

int record_rename(Engine *g, const char *id, const char *name, Err *e)
{
	int r = db_run(g->db, "UPDATE containers SET name = ? WHERE id = ?", DB_ARGS(db_text(name), db_text(id)), e);
	if (r == -EEXIST) return name_in_use(g, name, e);
	return r == 0 ? err_set(e, ERR_NOT_FOUND, ENOENT, "No such container: %s", id) : r < 0 ? r : 0;
}

int record_set_host(Engine *g, const char *id, const HostConfig *host, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX);
	int r = encode(&host_config_table, host, &b, e);
	if (r >= 0) r = db_run(g->db, "UPDATE containers SET host = ? WHERE id = ?", DB_ARGS(db_text(buf_str(&b)), db_text(id)), e);
	return r == 0 ? err_set(e, ERR_NOT_FOUND, ENOENT, "No such container: %s", id) : r < 0 ? r : 0;
}

int record_set_networks(Engine *g, const char *id, const EndpointRequestList *networks, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX);
	const NetworksDocument n = { .networks = *networks };
	int r = encode(&networks_table, &n, &b, e);
	if (r >= 0) r = db_run(g->db, "UPDATE containers SET networks = ? WHERE id = ?", DB_ARGS(db_text(buf_str(&b)), db_text(id)), e);
	return r == 0 ? record_no_such(id, e) : r < 0 ? r : 0;
}

/* ---- directory and events ---- */

int record_no_such(const char *id, Err *e)
{
	return err_set(e, ERR_NOT_FOUND, ENOENT, "No such container: %s", id);
}

bool record_is_there(const Engine *g, const char *id)
{
	AUTO_DB_ROWS rows = { 0 };
	Err ignored = ERR_INIT;
	return db_get(g->db, "SELECT 1 FROM containers WHERE id = ?", DB_ARGS(db_text(id)), &rows, &ignored) != 0;
}

int record_dir(const Engine *g, const char *id, Err *e)
{
	char path[RECORD_ID_LENGTH + 16];
	snprintf(path, sizeof path, "containers/%s", id);
	int fd = openat(g->root_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) return fd;
	int why = errno;
	return why == ENOENT && !record_is_there(g, id) ? record_no_such(id, e) : err_sys(e, why, "open %s/%s", g->root, path);
}

int record_lock(const Engine *g, const char *id, int dir, int timeout_ms, Err *e)
{
	AUTO_FD int lock = run_lock_wait(dir, timeout_ms, e);
	if ((lock >= 0 || lock == -ENOENT) && !record_is_there(g, id)) return record_no_such(id, e);
	return lock < 0 ? lock : take_fd(lock);
}

int record_attributes(const Record *c, Arena *a, StrMap *ret, Err *e)
{
	const StrMap *labels = &c->config.labels;
	*ret = (StrMap){ .items = arena_array(a, labels->n + 2 + EVENT_MORE_MAX, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "event");
	for (size_t i = 0; i < labels->n; i++)
		if (!streq(labels->items[i].key, "image") && !streq(labels->items[i].key, "name")) ret->items[ret->n++] = labels->items[i];
	ret->items[ret->n++] = (StrPair){ "image", c->config.image ? c->config.image : "" };
	ret->items[ret->n++] = (StrPair){ "name", c->name };
	str_map_sort(ret);
	return 0;
}

void record_event(const Engine *g, const Record *c, const char *action, const char *key, const char *value)
{
	record_event_more(g, c, action, &(StrPair){ key, value }, key ? 1 : 0);
}

void record_event_more(const Engine *g, const Record *c, const char *action, const StrPair *more, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err ignored = ERR_INIT;
	StrMap attributes;
	if (n > EVENT_MORE_MAX || record_attributes(c, &a, &attributes, &ignored) < 0) return;
	for (size_t i = 0; i < n; i++)
		attributes.items[attributes.n++] = more[i];
	str_map_sort(&attributes);
	(void)!event_append(g->root_dir, &(Event){ .type = "container", .action = action, .id = c->id, .attributes = attributes }, NULL,
			    &ignored);
}
