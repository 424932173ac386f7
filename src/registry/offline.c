/* offline.c: collection and check of a registry whose server is stopped; see registry.h. */
#include <stdarg.h>

#include "base/hash.h"
#include "base/time.h"
#include "registry/collect.h"
#include "registry/upload.h"
#include "sys/fd.h"

typedef struct Place {
	Storage storage;
	Db *db;
} Place;

static void place_done(Place *p)
{
	db_close(p->db);
	storage_close(&p->storage);
}

static int place_open(const RegistryOptions *o, Place *ret, Err *e)
{
	*ret = (Place){ .storage = { .root = -1, .uploads = -1, .lock = -1, .blobs = { -1, -1, -1 } } };
	int r = storage_open(o->root, &ret->storage, e);
	return r < 0 ? r : catalog_open(o->root, &ret->db, e);
}

int registry_gc(const RegistryOptions *o, RegistryGcResult *ret, Err *e)
{
	AUTO(place_done) Place p;
	AUTO_FREE Collection *c = calloc(1, sizeof *c);
	int r = place_open(o, &p, e);
	if (r >= 0 && !c) r = err_sys(e, ENOMEM, "collect");
	if (r < 0) return r;
	collection_init(c, o, &p.storage, true);
	do {
		AUTO_DB_TX tx = { 0 };
		r = db_begin(p.db, DB_DURABLE, &tx, e);
		if (r < 0) return r;
		int more = collection_step(c, p.db, e);
		if (more < 0) return more;
		r = db_commit(&tx, e);
		if (r < 0) return r;
		collection_after(c, p.db);
		r = more;
	} while (r > 0);
	Uploads none = { 0 };
	c->result.uploads = uploads_expire(&none, &p.storage, c->now - (int64_t)o->upload_expiry * 1000000000);
	*ret = c->result;
	return 0;
}

/* ---- check ---- */

typedef struct Check {
	Place place;
	bool deep, repair;
	RegistryProblemFn *each;
	void *arg;
	RegistryCheckResult result;
	Err *e;
} Check;

static void problem(Check *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void problem(Check *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	c->result.problems++;
	if (c->each) c->each(c->arg, text);
}

/* Rows of a blob that is lost: everywhere, so that clients push it again. Its bytes are taken off. */
static int forget_blob(Check *c, const char *digest, uint64_t size)
{
	Db *db = c->place.db;
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(db, DB_DURABLE, &tx, c->e);
	if (r >= 0)
		r = db_run(db, "UPDATE repositories SET bytes = bytes - ?1 WHERE id IN (SELECT repository FROM links WHERE digest = ?2)",
			   DB_ARGS(db_int((int64_t)size), db_text(digest)), c->e);
	if (r >= 0) r = db_run(db, "DELETE FROM links WHERE digest = ?", DB_ARGS(db_text(digest)), c->e);
	if (r >= 0) r = db_run(db, "DELETE FROM blobs WHERE digest = ?", DB_ARGS(db_text(digest)), c->e);
	if (r >= 0) r = db_commit(&tx, c->e);
	if (r >= 0) c->result.repaired++;
	return r;
}

/* true when the file is what its row says. */
static bool blob_is_good(Check *c, const Digest *d, const char *digest, uint64_t size)
{
	uint64_t found;
	Digest is;
	AUTO_FD int fd = storage_blob_open(&c->place.storage, d, &found);
	if (fd < 0) {
		problem(c, "blob %s: its file: %s", digest, err_text(-fd));
		return false;
	}
	if (found != size) {
		problem(c, "blob %s: its file has %ju bytes, not %ju", digest, (uintmax_t)found, (uintmax_t)size);
		return false;
	}
	if (!c->deep) return true;
	int r = hash_file(fd, d->algorithm, &is, NULL);
	if (r >= 0 && digest_equal(d, &is)) return true;
	problem(c, r < 0 ? "blob %s: cannot be read: %s" : "blob %s: its bytes are others%s", digest, r < 0 ? err_text(-r) : "");
	return false;
}

/* One blob after another, each by a query of its own: a repair may change the table between two. */
static int check_blobs(Check *c)
{
	char digest[DIGEST_TEXT_MAX] = "";
	for (;;) {
		uint64_t size;
		Digest d;
		{
			AUTO_DB_ROWS rows = { 0 };
			int r = db_get(c->place.db, "SELECT digest, size FROM blobs WHERE digest > ? ORDER BY digest LIMIT 1",
				       DB_ARGS(db_text(digest)), &rows, c->e);
			if (r <= 0) return r;
			snprintf(digest, sizeof digest, "%s", db_row_text(&rows, 0));
			size = (uint64_t)db_row_int(&rows, 1);
		}
		c->result.blobs++;
		if (digest_parse(str_of(digest), &d) < 0) {
			problem(c, "blob %s: that is no digest", digest);
			continue;
		}
		if (blob_is_good(c, &d, digest, size) || !c->repair) continue;
		int r = forget_blob(c, digest, size);
		if (r < 0) return r;
	}
}

static int check_manifest_bytes(Check *c)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_query(c->place.db,
			 "SELECT m.digest, r.name, c.body FROM manifests m JOIN repositories r ON r.id = m.repository"
			 " JOIN contents c ON c.digest = m.digest",
			 DB_NONE, &rows, c->e);
	while (r >= 0 && (r = db_next(&rows, c->e)) > 0) {
		Digest d, is;
		Str body = db_row_blob(&rows, 2);
		const char *digest = db_row_text(&rows, 0);
		c->result.manifests++;
		if (digest_parse(str_of(digest), &d) < 0 || digest_of(d.algorithm, body.p ? body.p : "", body.n, &is) < 0 ||
		    !digest_equal(&d, &is))
			problem(c, "manifest %s of %s: its bytes are others", digest, db_row_text(&rows, 1));
	}
	return r;
}

static int check_references(Check *c)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_query(c->place.db,
			 "SELECT n.name, f.manifest, f.digest FROM refs f JOIN repositories n ON n.id = f.repository WHERE NOT f.optional"
			 " AND NOT EXISTS (SELECT 1 FROM links l WHERE l.repository = f.repository AND l.digest = f.digest)"
			 " AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.repository = f.repository AND m.digest = f.digest)",
			 DB_NONE, &rows, c->e);
	while (r >= 0 && (r = db_next(&rows, c->e)) > 0)
		problem(c, "manifest %s of %s: refers to %s, which the repository has not", db_row_text(&rows, 1), db_row_text(&rows, 0),
			db_row_text(&rows, 2));
	return r;
}

static int check_bytes(Check *c)
{
	const char *sum = "(SELECT coalesce(sum(b.size), 0) FROM links l JOIN blobs b ON b.digest = l.digest WHERE l.repository = r.id)"
			  " + (SELECT coalesce(sum(m.size), 0) FROM manifests m WHERE m.repository = r.id)";
	char sql[512];
	AUTO_DB_ROWS rows = { 0 };
	snprintf(sql, sizeof sql, "SELECT r.name, r.bytes, %s FROM repositories r WHERE r.bytes <> %s", sum, sum);
	int r = db_query(c->place.db, sql, DB_NONE, &rows, c->e);
	while (r >= 0 && (r = db_next(&rows, c->e)) > 0)
		problem(c, "repository %s: its bytes are counted as %jd, but are %jd", db_row_text(&rows, 0),
			(intmax_t)db_row_int(&rows, 1), (intmax_t)db_row_int(&rows, 2));
	return r;
}

static int count_tags(Check *c)
{
	CatalogTotals totals;
	int r = catalog_totals(c->place.db, &totals, c->e);
	if (r >= 0) c->result.tags = totals.tags;
	return r;
}

int registry_check(const RegistryOptions *o, bool deep, bool repair, RegistryProblemFn *each, void *arg, RegistryCheckResult *ret, Err *e)
{
	Check c = { .deep = deep, .repair = repair, .each = each, .arg = arg, .e = e };
	int r = place_open(o, &c.place, e);
	if (r >= 0) r = db_check(c.place.db, e);
	if (r >= 0) r = check_blobs(&c);
	if (r >= 0) r = check_manifest_bytes(&c);
	if (r >= 0) r = check_references(&c);
	if (r >= 0) r = check_bytes(&c);
	if (r >= 0) r = count_tags(&c);
	if (r >= 0) *ret = c.result;
	place_done(&c.place);
	return r < 0 ? r : 0;
}
