/* catalog.c: opening the catalogue and reading it; see catalog.h. */
#include "registry/catalog.h"

static const char *const migrations[] = {
	"CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL DEFAULT 0,"
	"  created INTEGER NOT NULL) STRICT;"
	"CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	/* which repositories have which blobs; touched: when somebody last counted on it */
	"CREATE TABLE links (repository INTEGER NOT NULL REFERENCES repositories, digest TEXT NOT NULL REFERENCES blobs,"
	"  touched INTEGER NOT NULL, PRIMARY KEY (repository, digest)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX links_by_digest ON links (digest, repository);"
	"CREATE TABLE contents (digest TEXT NOT NULL UNIQUE, body BLOB NOT NULL) STRICT;"
	"CREATE TABLE manifests (id INTEGER PRIMARY KEY, repository INTEGER NOT NULL REFERENCES repositories,"
	"  digest TEXT NOT NULL REFERENCES contents (digest), media_type TEXT NOT NULL, size INTEGER NOT NULL, artifact_type TEXT,"
	"  subject TEXT, annotations TEXT, pushed INTEGER NOT NULL, UNIQUE (repository, digest)) STRICT;"
	"CREATE INDEX manifests_by_digest ON manifests (digest);"
	"CREATE INDEX manifests_by_subject ON manifests (repository, subject, digest) WHERE subject IS NOT NULL;"
	/* what a manifest refers to; optional: it may be absent. Deleted with it. */
	"CREATE TABLE refs (repository INTEGER NOT NULL, manifest TEXT NOT NULL, digest TEXT NOT NULL, kind INTEGER NOT NULL,"
	"  optional INTEGER NOT NULL, PRIMARY KEY (repository, manifest, digest),"
	"  FOREIGN KEY (repository, manifest) REFERENCES manifests (repository, digest) ON DELETE CASCADE) STRICT, WITHOUT ROWID;"
	"CREATE INDEX refs_by_digest ON refs (repository, digest);"
	"CREATE TABLE tags (repository INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, pushed INTEGER NOT NULL,"
	"  PRIMARY KEY (repository, name), FOREIGN KEY (repository, digest) REFERENCES manifests (repository, digest))"
	"  STRICT, WITHOUT ROWID;"
	"CREATE INDEX tags_by_digest ON tags (repository, digest);"
	"CREATE TABLE events (id INTEGER PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,"
	"  due INTEGER NOT NULL) STRICT;"
	"CREATE INDEX events_by_url ON events (url, id);",
};

static const DbSchema schema = { "skep registry", 0x736b7267 /* "skrg" */, migrations, ARRAY_LEN(migrations) };

int catalog_open(const char *root, Db **ret, Err *e)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/registry.db", root);
	if (n < 0 || (size_t)n >= sizeof path) return err_set(e, ERR_CONFIG, ENAMETOOLONG, "%.64s…: path too long", root);
	return db_open(path, &schema, DB_CREATE, ret, e);
}

/* ---- single rows ---- */

/* The first row of a query, -ENOENT when it has none. */
static int get_row(Db *db, const char *sql, DbArgs args, DbRows *ret, const char *what, Err *e)
{
	int r = db_get(db, sql, args, ret, e);
	return r == 0 ? err_set(e, ERR_NOT_FOUND, ENOENT, "%s unknown to registry", what) : r < 0 ? r : 0;
}

int catalog_repository(Db *db, const char *name, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	return get_row(db, "SELECT id FROM repositories WHERE name = ?", DB_ARGS(db_text(name)), &rows, "repository", e);
}

int catalog_blob(Db *db, const char *name, const char *digest, CatalogBlob *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = get_row(
		db,
		"SELECT b.size, l.touched FROM repositories r JOIN links l ON l.repository = r.id JOIN blobs b ON b.digest = l.digest"
		" WHERE r.name = ? AND l.digest = ?",
		DB_ARGS(db_text(name), db_text(digest)), &rows, "blob", e);
	if (r >= 0) *ret = (CatalogBlob){ .size = (uint64_t)db_row_int(&rows, 0), .touched = db_row_int(&rows, 1) };
	return r;
}

int catalog_tag(Db *db, const char *name, const char *tag, char ret_digest[static DIGEST_TEXT_MAX], Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = get_row(db, "SELECT t.digest FROM repositories r JOIN tags t ON t.repository = r.id WHERE r.name = ? AND t.name = ?",
			DB_ARGS(db_text(name), db_text(tag)), &rows, "tag", e);
	if (r < 0) return r;
	Str digest = db_row_str(&rows, 0);
	if (digest.n >= DIGEST_TEXT_MAX) return err_set(e, ERR_IO, EUCLEAN, "tag %s: damaged row", tag);
	memcpy(ret_digest, digest.p, digest.n);
	ret_digest[digest.n] = 0;
	return 0;
}

int catalog_manifest(Db *db, const char *name, const char *digest, Buf *type, Buf *body, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = get_row(db,
			"SELECT m.media_type, c.body FROM repositories r JOIN manifests m ON m.repository = r.id"
			" JOIN contents c ON c.digest = m.digest WHERE r.name = ? AND m.digest = ?",
			DB_ARGS(db_text(name), db_text(digest)), &rows, "manifest", e);
	if (r < 0) return r;
	Str t = db_row_str(&rows, 0), b = db_row_blob(&rows, 1);
	buf_put(type, t.p, t.n);
	buf_put(body, b.p, b.n);
	return buf_failed(type) || buf_failed(body) ? err_sys(e, ENOMEM, "read manifest %s", digest) : 0;
}

/* ---- lists ---- */

static int each_name(Db *db, const char *sql, DbArgs args, CatalogNameFn *each, void *arg, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_query(db, sql, args, &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0)
		if (!each(arg, db_row_text(&rows, 0))) return 0;
	return r;
}

int catalog_tags(Db *db, const char *name, const char *last, CatalogNameFn *each, void *arg, Err *e)
{
	return each_name(
		db, "SELECT t.name FROM repositories r JOIN tags t ON t.repository = r.id WHERE r.name = ? AND t.name > ? ORDER BY t.name",
		DB_ARGS(db_text(name), db_text(last)), each, arg, e);
}

int catalog_repositories(Db *db, const char *last, CatalogNameFn *each, void *arg, Err *e)
{
	return each_name(db, "SELECT name FROM repositories WHERE name > ? ORDER BY name", DB_ARGS(db_text(last)), each, arg, e);
}

int catalog_blob_repositories(Db *db, const char *digest, CatalogNameFn *each, void *arg, Err *e)
{
	return each_name(db, "SELECT r.name FROM links l JOIN repositories r ON r.id = l.repository WHERE l.digest = ?",
			 DB_ARGS(db_text(digest)), each, arg, e);
}

int catalog_referrers(Db *db, const char *name, const char *subject, const char *artifact_type, const char *last, CatalogReferrerFn *each,
		      void *arg, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_query(db,
			 "SELECT m.digest, m.media_type, m.size, m.artifact_type, m.annotations FROM repositories r"
			 " JOIN manifests m ON m.repository = r.id WHERE r.name = ?1 AND m.subject = ?2 AND m.digest > ?3"
			 " AND (?4 IS NULL OR m.artifact_type = ?4) ORDER BY m.digest",
			 DB_ARGS(db_text(name), db_text(subject), db_text(last), db_text(artifact_type)), &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0) {
		CatalogReferrer referrer = {
			.digest = db_row_text(&rows, 0),
			.media_type = db_row_text(&rows, 1),
			.size = (uint64_t)db_row_int(&rows, 2),
			.artifact_type = db_row_text(&rows, 3),
			.annotations = db_row_text(&rows, 4),
		};
		if (!each(arg, &referrer)) return 0;
	}
	return r;
}

int catalog_totals(Db *db, CatalogTotals *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db,
		       "SELECT (SELECT count(*) FROM repositories), (SELECT count(*) FROM manifests), (SELECT count(*) FROM tags),"
		       " count(*), coalesce(sum(size), 0) FROM blobs",
		       DB_NONE, &rows, e);
	if (r <= 0) return r < 0 ? r : err_set(e, ERR_IO, EIO, "count what there is");
	*ret = (CatalogTotals){ (uint64_t)db_row_int(&rows, 0), (uint64_t)db_row_int(&rows, 1), (uint64_t)db_row_int(&rows, 2),
				(uint64_t)db_row_int(&rows, 3), (uint64_t)db_row_int(&rows, 4) };
	return 0;
}
