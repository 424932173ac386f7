/* collect.c: the steps of a collection; see collect.h. */
#include "registry/collect.h"

#include "base/glob.h"
#include "base/time.h"

enum { ROWS_MAX = 500 /* looked at in one step */ };

void collection_init(Collection *c, const RegistryOptions *o, const Storage *s, bool files)
{
	int64_t now = time_now();
	*c = (Collection){ .o = o, .storage = s, .now = now, .files = files, .before = now - (int64_t)o->gc.grace.v * 1000000000 };
}

static int next_stage(Collection *c)
{
	c->stage++;
	c->cursor[0] = 0;
	c->cursor_id = 0;
	return c->stage < COLLECT_END;
}

static void set_cursor(Collection *c, const char *text)
{
	snprintf(c->cursor, sizeof c->cursor, "%s", text);
}

/* ---- retention ---- */

static bool any_matches(const StrList *patterns, const char *text, unsigned flags)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (glob_match(str_of(patterns->items[i]), str_of(text), flags) > 0) return true;
	return false;
}

/* Whether some rule keeps the tag, or none speaks of it. kept: tags that each rule has kept by number so far. */
static bool keeps_tag(const Collection *c, const char *repository, const char *tag, int64_t pushed, uint32_t *kept)
{
	bool spoken = false, keep = false;
	for (size_t i = 0; i < c->o->gc.retention.n; i++) {
		const RegistryRetention *rule = &c->o->gc.retention.items[i];
		if (!any_matches(&rule->repositories, repository, GLOB_STARSTAR) || !any_matches(&rule->tags, tag, GLOB_ANY_SLASH))
			continue;
		spoken = true;
		if (kept[i] < rule->keep_last) keep = true;
		if (rule->keep_days && c->now - pushed < (int64_t)rule->keep_days * 86400 * 1000000000) keep = true;
		kept[i]++;
	}
	return keep || !spoken;
}

/* The names of those that go, into the arena. The newest come first. */
static int list_expired(Collection *c, Db *db, int64_t repository, const char *name, Arena *a, const char ***ret, size_t *ret_n, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	size_t n = 0, cap = 0;
	const char **names = NULL;
	uint32_t *kept = arena_array(a, c->o->gc.retention.n, sizeof *kept);
	if (!kept) return err_sys(e, ENOMEM, "collect tags of %s", name);
	int r = db_query(db, "SELECT name, pushed FROM tags WHERE repository = ? ORDER BY pushed DESC, name DESC",
			 DB_ARGS(db_int(repository)), &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0) {
		const char *tag = db_row_text(&rows, 0);
		if (keeps_tag(c, name, tag, db_row_int(&rows, 1), kept)) continue;
		if (n == cap) {
			cap = cap ? 2 * cap : 64;
			const char **grown = arena_array(a, cap, sizeof *grown);
			if (!grown) return err_sys(e, ENOMEM, "collect tags of %s", name);
			if (n) memcpy(grown, names, n * sizeof *grown);
			names = grown;
		}
		names[n] = arena_strdup(a, tag);
		if (!names[n++]) return err_sys(e, ENOMEM, "collect tags of %s", name);
	}
	*ret = names;
	*ret_n = n;
	return r;
}

static int expire_tags(Collection *c, Db *db, int64_t repository, const char *name, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(64 << 20);
	const char **names = NULL;
	size_t n = 0;
	int r = list_expired(c, db, repository, name, &a, &names, &n, e);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = db_run(db, "DELETE FROM tags WHERE repository = ? AND name = ?", DB_ARGS(db_int(repository), db_text(names[i])), e);
		if (r > 0) c->result.tags++;
	}
	return r < 0 ? r : 0;
}

/* One repository a step. */
static int step_tags(Collection *c, Db *db, Err *e)
{
	int64_t id;
	if (!c->o->gc.retention.n) return next_stage(c);
	{
		AUTO_DB_ROWS rows = { 0 };
		int r = db_get(db, "SELECT id, name FROM repositories WHERE name > ? ORDER BY name LIMIT 1", DB_ARGS(db_text(c->cursor)),
			       &rows, e);
		if (r < 0) return r;
		if (r == 0) return next_stage(c);
		id = db_row_int(&rows, 0);
		set_cursor(c, db_row_text(&rows, 1));
	}
	int r = expire_tags(c, db, id, c->cursor, e);
	return r < 0 ? r : 1;
}

/* ---- manifests ---- */

/* A manifest without a tag that no index lists goes when it has no subject (untagged), or when its subject is not there
 * (dangling). One whose subject is there stays with it. */
static const char manifests_sql[] =
	"SELECT m.id, m.repository, m.digest, m.pushed < ?2"
	" AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository = m.repository AND t.digest = m.digest)"
	" AND NOT EXISTS (SELECT 1 FROM refs r WHERE r.repository = m.repository AND r.digest = m.digest)"
	" AND CASE WHEN m.subject IS NULL THEN ?3"
	" ELSE ?4 AND NOT EXISTS (SELECT 1 FROM manifests s WHERE s.repository = m.repository AND s.digest = m.subject) END"
	" FROM manifests m WHERE m.id > ?1 ORDER BY m.id LIMIT ?5";

typedef struct Doomed {
	int64_t repository;
	char digest[DIGEST_TEXT_MAX];
} Doomed;

static int find_manifests(Collection *c, Db *db, Doomed *doomed, size_t *ret_n, bool *ret_more, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	size_t n = 0, seen = 0;
	int r = db_query(
		db, manifests_sql,
		DB_ARGS(db_int(c->cursor_id), db_int(c->before), db_int(c->o->gc.untagged), db_int(c->o->gc.dangling), db_int(ROWS_MAX)),
		&rows, e);
	while (r >= 0 && n < COLLECT_BATCH && (r = db_next(&rows, e)) > 0) {
		seen++;
		c->cursor_id = db_row_int(&rows, 0);
		if (!db_row_int(&rows, 3)) continue;
		doomed[n].repository = db_row_int(&rows, 1);
		snprintf(doomed[n++].digest, DIGEST_TEXT_MAX, "%s", db_row_text(&rows, 2));
	}
	*ret_n = n;
	*ret_more = seen == ROWS_MAX || n == COLLECT_BATCH;
	return r;
}

static int step_manifests(Collection *c, Db *db, Err *e)
{
	AUTO_FREE Doomed *doomed = calloc(COLLECT_BATCH, sizeof *doomed);
	size_t n = 0;
	bool more = false;
	if (!c->o->gc.untagged && !c->o->gc.dangling) return next_stage(c);
	if (!doomed) return err_sys(e, ENOMEM, "collect manifests");
	int r = find_manifests(c, db, doomed, &n, &more, e);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = catalog_remove_manifest(db, doomed[i].repository, doomed[i].digest, e);
		if (r >= 0) c->result.manifests++;
	}
	if (r < 0) return r;
	c->found += n;
	if (more) return 1;
	if (!c->found) return next_stage(c);
	/* what an index or a subject held may be free now */
	c->found = 0;
	c->cursor_id = 0;
	return 1;
}

/* ---- blobs ---- */

typedef struct Link {
	int64_t repository;
	uint64_t size;
	char digest[DIGEST_TEXT_MAX];
} Link;

static int find_links(Collection *c, Db *db, Link *links, size_t *ret_n, bool *ret_more, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	size_t n = 0, seen = 0;
	int r = db_query(db,
			 "SELECT l.repository, l.digest, b.size, l.touched < ?3"
			 " AND NOT EXISTS (SELECT 1 FROM refs r WHERE r.repository = l.repository AND r.digest = l.digest)"
			 " FROM links l JOIN blobs b ON b.digest = l.digest WHERE (l.repository, l.digest) > (?1, ?2)"
			 " ORDER BY l.repository, l.digest LIMIT ?4",
			 DB_ARGS(db_int(c->cursor_id), db_text(c->cursor), db_int(c->before), db_int(ROWS_MAX)), &rows, e);
	while (r >= 0 && n < COLLECT_BATCH && (r = db_next(&rows, e)) > 0) {
		seen++;
		c->cursor_id = db_row_int(&rows, 0);
		set_cursor(c, db_row_text(&rows, 1));
		if (!db_row_int(&rows, 3)) continue;
		links[n].repository = c->cursor_id;
		links[n].size = (uint64_t)db_row_int(&rows, 2);
		snprintf(links[n++].digest, DIGEST_TEXT_MAX, "%s", db_row_text(&rows, 1));
	}
	*ret_n = n;
	*ret_more = seen == ROWS_MAX || n == COLLECT_BATCH;
	return r;
}

static int step_links(Collection *c, Db *db, Err *e)
{
	AUTO_FREE Link *links = calloc(COLLECT_BATCH, sizeof *links);
	size_t n = 0;
	bool more = false;
	if (!links) return err_sys(e, ENOMEM, "collect blobs");
	int r = find_links(c, db, links, &n, &more, e);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = db_run(db, "DELETE FROM links WHERE repository = ? AND digest = ?",
			   DB_ARGS(db_int(links[i].repository), db_text(links[i].digest)), e);
		if (r >= 0)
			r = db_run(db, "UPDATE repositories SET bytes = bytes - ? WHERE id = ?",
				   DB_ARGS(db_int((int64_t)links[i].size), db_int(links[i].repository)), e);
		if (r >= 0) c->result.links++;
	}
	return r < 0 ? r : more ? 1 : next_stage(c);
}

static int find_blobs(Collection *c, Db *db, bool *ret_more, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	size_t seen = 0;
	int r = db_query(db,
			 "SELECT b.digest, b.size, b.created < ?2 AND NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = b.digest)"
			 " FROM blobs b WHERE b.digest > ?1 ORDER BY b.digest LIMIT ?3",
			 DB_ARGS(db_text(c->cursor), db_int(c->before), db_int(ROWS_MAX)), &rows, e);
	while (r >= 0 && c->n_removed < COLLECT_REMOVED_MAX && (r = db_next(&rows, e)) > 0) {
		seen++;
		set_cursor(c, db_row_text(&rows, 0));
		if (!db_row_int(&rows, 2) || digest_parse(str_of(c->cursor), &c->removed[c->n_removed]) < 0) continue;
		c->n_removed++;
		c->result.blobs++;
		c->result.bytes += (uint64_t)db_row_int(&rows, 1);
	}
	*ret_more = seen == ROWS_MAX || c->n_removed == COLLECT_REMOVED_MAX;
	return r;
}

static int step_blobs(Collection *c, Db *db, Err *e)
{
	bool more = false;
	char text[DIGEST_TEXT_MAX];
	int r = find_blobs(c, db, &more, e);
	for (size_t i = 0; r >= 0 && i < c->n_removed; i++)
		r = db_run(db, "DELETE FROM blobs WHERE digest = ?", DB_ARGS(db_text(digest_format(&c->removed[i], text))), e);
	return r < 0 ? r : more ? 1 : next_stage(c);
}

static int step_repositories(Collection *c, Db *db, Err *e)
{
	int r = db_run(db,
		       "DELETE FROM repositories WHERE created < ?1 AND NOT EXISTS (SELECT 1 FROM links WHERE repository = id)"
		       " AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = repositories.id)",
		       DB_ARGS(db_int(c->before)), e);
	if (r < 0) return r;
	c->result.repositories += (uint64_t)r;
	return next_stage(c);
}

/* ---- files ---- */

static int has_row(Db *db, const Digest *d, Err *e)
{
	char text[DIGEST_TEXT_MAX];
	AUTO_DB_ROWS rows = { 0 };
	return db_get(db, "SELECT 1 FROM blobs WHERE digest = ?", DB_ARGS(db_text(digest_format(d, text))), &rows, e);
}

typedef struct FileSearch {
	Collection *c;
	Db *db;
	Err *e;
	int result;
} FileSearch;

static bool judge_file(void *arg, const Digest *d, uint64_t size, int64_t changed)
{
	FileSearch *s = arg;
	s->result = has_row(s->db, d, s->e);
	if (s->result < 0) return false;
	if (s->result == 0 && storage_blob_remove(s->c->storage, d) >= 0) s->c->result.files++;
	return true;
}

/* Only this thread moves files to their place, so a file without a row is nobody's. */
static int step_files(Collection *c, Db *db, Err *e)
{
	FileSearch s = { c, db, e, 0 };
	if (!c->files) return next_stage(c);
	int r = storage_each_blob(c->storage, judge_file, &s);
	if (r < 0) return err_sys(e, -r, "read the blobs' directory");
	return s.result < 0 ? s.result : next_stage(c);
}

/* ---- a step ---- */

int collection_step(Collection *c, Db *db, Err *e)
{
	c->n_removed = 0;
	switch (c->stage) {
	case COLLECT_TAGS:
		return step_tags(c, db, e);
	case COLLECT_MANIFESTS:
		return step_manifests(c, db, e);
	case COLLECT_LINKS:
		return step_links(c, db, e);
	case COLLECT_BLOBS:
		return step_blobs(c, db, e);
	case COLLECT_REPOSITORIES:
		return step_repositories(c, db, e);
	case COLLECT_FILES:
		return step_files(c, db, e);
	default:
		return 0;
	}
}

void collection_after(Collection *c, Db *db)
{
	Err ignored = ERR_INIT;
	for (size_t i = 0; i < c->n_removed; i++)
		/* pushed again within the same transaction: then the file is the new one */
		if (has_row(db, &c->removed[i], &ignored) == 0) (void)!storage_blob_remove(c->storage, &c->removed[i]);
	c->n_removed = 0;
}
