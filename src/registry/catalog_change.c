/* catalog_change.c: what changes the catalogue, within the committer's transaction; see catalog.h. */
#include <inttypes.h>

#include "registry/catalog.h"
#include "registry/name.h"

/* ---- repositories and quotas ---- */

static int find_repository(Db *db, const char *name, int64_t *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db, "SELECT id FROM repositories WHERE name = ?", DB_ARGS(db_text(name)), &rows, e);
	if (r == 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "repository %s unknown to registry", name);
	if (r > 0) *ret = db_row_int(&rows, 0);
	return r < 0 ? r : 0;
}

static int count_repositories(Db *db, uint64_t *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db, "SELECT count(*) FROM repositories", DB_NONE, &rows, e);
	if (r > 0) *ret = (uint64_t)db_row_int(&rows, 0);
	return r < 0 ? r : 0;
}

static int need_repository(Db *db, const RegistryOptions *limits, const char *name, int64_t now, int64_t *ret, Err *e)
{
	Err unknown = ERR_INIT;
	int r = find_repository(db, name, ret, &unknown);
	if (r >= 0) return 0;
	if (r != -ENOENT) {
		*e = unknown;
		return r;
	}
	if (limits->max_repositories) {
		uint64_t n = 0;
		r = count_repositories(db, &n, e);
		if (r < 0) return r;
		if (n >= limits->max_repositories)
			return err_set(e, ERR_RESOURCE, EDQUOT, "repository %s: the registry takes no more than %" PRIu64 " repositories",
				       name, limits->max_repositories);
	}
	r = db_run(db, "INSERT INTO repositories (name, created) VALUES (?, ?)", DB_ARGS(db_text(name), db_int(now)), e);
	if (r >= 0) *ret = db_last_id(db);
	return r < 0 ? r : 0;
}

static int check_quota(Db *db, const RegistryQuota *quota, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	/* "0" is the character behind "/": all names that begin with the prefix and a slash */
	int r = quota->prefix[0]
			? db_get(db,
				 "SELECT coalesce(sum(bytes), 0) FROM repositories WHERE name = ?1 OR (name > ?1 || '/' AND name < ?1 || '0')",
				 DB_ARGS(db_text(quota->prefix)), &rows, e)
			: db_get(db, "SELECT coalesce(sum(bytes), 0) FROM repositories", DB_NONE, &rows, e);
	if (r <= 0) return r;
	if ((uint64_t)db_row_int(&rows, 0) <= quota->bytes) return 0;
	return err_set(e, ERR_RESOURCE, EDQUOT, "quota exceeded: %s%s may hold %" PRIu64 " bytes",
		       quota->prefix[0] ? "repositories below " : "the registry", quota->prefix, quota->bytes);
}

static int add_bytes(Db *db, const RegistryOptions *limits, const char *name, int64_t repository, uint64_t bytes, Err *e)
{
	int r = db_run(db, "UPDATE repositories SET bytes = bytes + ? WHERE id = ?", DB_ARGS(db_int((int64_t)bytes), db_int(repository)),
		       e);
	for (size_t i = 0; r >= 0 && i < limits->quotas.n; i++)
		if (name_below(name, limits->quotas.items[i].prefix)) r = check_quota(db, &limits->quotas.items[i], e);
	return r < 0 ? r : 0;
}

/* ---- blobs ---- */

static int link_blob(Db *db, const RegistryOptions *limits, const char *name, const char *digest, uint64_t size, int64_t now, Err *e)
{
	int64_t repository;
	int r = need_repository(db, limits, name, now, &repository, e);
	if (r < 0) return r;
	r = db_run(db, "UPDATE links SET touched = ? WHERE repository = ? AND digest = ?",
		   DB_ARGS(db_int(now), db_int(repository), db_text(digest)), e);
	if (r != 0) return r < 0 ? r : 0;
	r = db_run(db, "INSERT INTO links (repository, digest, touched) VALUES (?, ?, ?)",
		   DB_ARGS(db_int(repository), db_text(digest), db_int(now)), e);
	return r < 0 ? r : add_bytes(db, limits, name, repository, size, e);
}

int catalog_add_blob(Db *db, const RegistryOptions *limits, const char *name, const char *digest, uint64_t size, int64_t now, Err *e)
{
	int r = db_run(
		db,
		"INSERT INTO blobs (digest, size, created) VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET created = excluded.created",
		DB_ARGS(db_text(digest), db_int((int64_t)size), db_int(now)), e);
	return r < 0 ? r : link_blob(db, limits, name, digest, size, now, e);
}

int catalog_mount_blob(Db *db, const RegistryOptions *limits, const char *from, const char *to, const char *digest, int64_t now, Err *e)
{
	CatalogBlob blob;
	int r = catalog_blob(db, from, digest, &blob, e);
	return r < 0 ? r : link_blob(db, limits, to, digest, blob.size, now, e);
}

int catalog_touch_blob(Db *db, const char *name, const char *digest, int64_t now, Err *e)
{
	int r = db_run(db, "UPDATE links SET touched = ? WHERE repository = (SELECT id FROM repositories WHERE name = ?) AND digest = ?",
		       DB_ARGS(db_int(now), db_text(name), db_text(digest)), e);
	return r < 0 ? r : 0;
}

int catalog_delete_blob(Db *db, const char *name, const char *digest, Err *e)
{
	CatalogBlob blob;
	int64_t repository;
	int r = catalog_blob(db, name, digest, &blob, e);
	if (r >= 0) r = find_repository(db, name, &repository, e);
	if (r >= 0)
		r = db_run(db, "DELETE FROM links WHERE repository = ? AND digest = ?", DB_ARGS(db_int(repository), db_text(digest)), e);
	if (r >= 0)
		r = db_run(db, "UPDATE repositories SET bytes = bytes - ? WHERE id = ?",
			   DB_ARGS(db_int((int64_t)blob.size), db_int(repository)), e);
	return r < 0 ? r : 0;
}

/* ---- manifests ---- */

static int check_reference(Db *db, int64_t repository, const ManifestReference *ref, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	const char *sql = ref->kind == REFERENCE_BLOB ? "SELECT 1 FROM links WHERE repository = ? AND digest = ?"
						      : "SELECT 1 FROM manifests WHERE repository = ? AND digest = ?";
	int r = db_get(db, sql, DB_ARGS(db_int(repository), db_text(ref->digest)), &rows, e);
	if (r != 0) return r;
	return err_set(e, ERR_NOT_FOUND, ENOLINK, "%s %s is not in the repository", ref->kind == REFERENCE_BLOB ? "blob" : "manifest",
		       ref->digest);
}

static int put_references(Db *db, int64_t repository, const CatalogManifest *m, bool sparse, Err *e)
{
	const ManifestView *v = m->view;
	int r = db_run(db, "DELETE FROM refs WHERE repository = ? AND manifest = ?", DB_ARGS(db_int(repository), db_text(m->digest)), e);
	for (size_t i = 0; r >= 0 && i < v->n; i++) {
		const ManifestReference *ref = &v->references[i];
		if (!ref->optional && !sparse) r = check_reference(db, repository, ref, e);
		if (r >= 0)
			r = db_run(db, "INSERT OR IGNORE INTO refs (repository, manifest, digest, kind, optional) VALUES (?, ?, ?, ?, ?)",
				   DB_ARGS(db_int(repository), db_text(m->digest), db_text(ref->digest), db_int(ref->kind),
					   db_int(ref->optional || sparse)),
				   e);
	}
	return r < 0 ? r : 0;
}

static int put_tags(Db *db, int64_t repository, const CatalogManifest *m, int64_t now, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < m->n_tags; i++)
		r = db_run(db,
			   "INSERT INTO tags (repository, name, digest, pushed) VALUES (?, ?, ?, ?)"
			   " ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest, pushed = excluded.pushed",
			   DB_ARGS(db_int(repository), db_text(m->tags[i]), db_text(m->digest), db_int(now)), e);
	return r < 0 ? r : 0;
}

static int put_row(Db *db, const RegistryOptions *limits, const char *name, int64_t repository, const CatalogManifest *m, int64_t now,
		   Err *e)
{
	const ManifestView *v = m->view;
	int r = db_run(db, "UPDATE manifests SET pushed = ?, media_type = ? WHERE repository = ? AND digest = ?",
		       DB_ARGS(db_int(now), db_text(v->media_type), db_int(repository), db_text(m->digest)), e);
	if (r != 0) return r < 0 ? r : 0;
	r = db_run(db, "INSERT OR IGNORE INTO contents (digest, body) VALUES (?, ?)",
		   DB_ARGS(db_text(m->digest), db_blob(m->body.p, m->body.n)), e);
	if (r >= 0)
		r = db_run(db,
			   "INSERT INTO manifests (repository, digest, media_type, size, artifact_type, subject, annotations, pushed)"
			   " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			   DB_ARGS(db_int(repository), db_text(m->digest), db_text(v->media_type), db_int((int64_t)m->body.n),
				   db_text(v->artifact_type), db_text(v->subject), db_text(v->annotations), db_int(now)),
			   e);
	return r < 0 ? r : add_bytes(db, limits, name, repository, m->body.n, e);
}

int catalog_put_manifest(Db *db, const RegistryOptions *limits, const char *name, const CatalogManifest *m, int64_t now, Err *e)
{
	int64_t repository;
	int r = need_repository(db, limits, name, now, &repository, e);
	if (r >= 0) r = put_row(db, limits, name, repository, m, now, e);
	if (r >= 0) r = put_references(db, repository, m, limits->sparse, e);
	return r < 0 ? r : put_tags(db, repository, m, now, e);
}

int catalog_touch_tag(Db *db, const char *name, const char *tag, int64_t now, Err *e)
{
	int r = db_run(db, "UPDATE tags SET pushed = ? WHERE repository = (SELECT id FROM repositories WHERE name = ?) AND name = ?",
		       DB_ARGS(db_int(now), db_text(name), db_text(tag)), e);
	return r < 0 ? r : 0;
}

static int remove_manifest(Db *db, int64_t repository, const char *digest, uint64_t size, Err *e)
{
	DbArgs key = DB_ARGS(db_int(repository), db_text(digest));
	int r = db_run(db, "DELETE FROM tags WHERE repository = ? AND digest = ?", key, e);
	if (r >= 0) r = db_run(db, "DELETE FROM manifests WHERE repository = ? AND digest = ?", key, e);
	if (r >= 0)
		r = db_run(db, "DELETE FROM contents WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = ?1)",
			   DB_ARGS(db_text(digest)), e);
	if (r >= 0)
		r = db_run(db, "UPDATE repositories SET bytes = bytes - ? WHERE id = ?", DB_ARGS(db_int((int64_t)size), db_int(repository)),
			   e);
	return r < 0 ? r : 0;
}

int catalog_remove_manifest(Db *db, int64_t repository, const char *digest, Err *e)
{
	uint64_t size = 0;
	{
		AUTO_DB_ROWS rows = { 0 };
		int r = db_get(db, "SELECT size FROM manifests WHERE repository = ? AND digest = ?",
			       DB_ARGS(db_int(repository), db_text(digest)), &rows, e);
		if (r == 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "manifest %s unknown to registry", digest);
		if (r < 0) return r;
		size = (uint64_t)db_row_int(&rows, 0);
	}
	return remove_manifest(db, repository, digest, size, e);
}

int catalog_delete_manifest(Db *db, const char *name, const char *digest, Err *e)
{
	int64_t repository;
	int r = find_repository(db, name, &repository, e);
	return r < 0 ? r : catalog_remove_manifest(db, repository, digest, e);
}

int catalog_delete_tag(Db *db, const char *name, const char *tag, Err *e)
{
	int64_t repository;
	int r = find_repository(db, name, &repository, e);
	if (r >= 0) r = db_run(db, "DELETE FROM tags WHERE repository = ? AND name = ?", DB_ARGS(db_int(repository), db_text(tag)), e);
	return r == 0 ? err_set(e, ERR_NOT_FOUND, ENOENT, "tag %s unknown to registry", tag) : r < 0 ? r : 0;
}
