/* check_repair.c: putting right what image_check has found. */
#include <sys/file.h>
#include <unistd.h>

#include "base/hash.h"
#include "image/check_impl.h"

enum { REPAIR_ARENA_MAX = 1 << 20, REPOSITORIES_MAX = 16 };

/* A row goes, and with it, at once, the file, if there is one. */
static Repair drop(Check *c, const Digest *d, bool layer, Err *why)
{
	char path[STORE_PATH_MAX];
	Err failed = ERR_INIT;
	Db *db = c->store->db;
	AUTO_DB_TX tx = { 0 };
	if (layer)
		store_layer_path(d, path);
	else
		store_blob_path(d, path);
	int r = db_begin(db, DB_DURABLE, &tx, &failed);
	if (r >= 0)
		r = db_run(db, layer ? "DELETE FROM layers WHERE diff_id = ?" : "DELETE FROM contents WHERE digest = ?",
			   DB_ARGS(DB_DIGEST(d)), &failed);
	if (r >= 0) r = db_run(db, "INSERT OR IGNORE INTO doomed VALUES(?)", DB_ARGS(db_text(path)), &failed);
	if (r >= 0) r = db_commit(&tx, &failed);
	if (r >= 0) r = store_sweep(c->store, &failed);
	if (r >= 0) return REPAIR_DROPPED;
	*why = failed;
	return REPAIR_FAILED;
}

/* ---- fetching ---- */

static int repositories(Check *c, const char *sql, const Digest *d, Arena *a, StrList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	ret->items = arena_array(a, REPOSITORIES_MAX + 1, sizeof *ret->items);
	if (!ret->items) return err_sys(e, ENOMEM, "repair the store");
	int r = db_query(c->store->db, sql, DB_ARGS(DB_DIGEST(d)), &rows, e);
	while (r >= 0 && ret->n < REPOSITORIES_MAX && (r = db_next(&rows, e)) > 0)
		if (db_row_dup(&rows, 0, a, &ret->items[ret->n++]) < 0) return err_sys(e, ENOMEM, "repair the store");
	return r < 0 ? r : 0;
}

/* Into a file of ingest/, checked. size: 0 when it is not known. */
static int fetch(Check *c, const Digest *d, uint64_t size, const StrList *from, Ingest *ret, uint64_t *ret_size, Err *e)
{
	Digest got;
	char text[DIGEST_TEXT_MAX];
	if (!c->req->fetch || !from->n) return err_set(e, ERR_NOT_FOUND, ENOENT, "no registry is known to have %s", digest_format(d, text));
	int r = ingest_new(c->store, ret, e);
	if (r < 0) return r;
	r = c->req->fetch(c->req->arg, d, size, from, ret->fd, e);
	if (r >= 0 && (r = hash_file(ret->fd, d->algorithm, &got, ret_size)) < 0) r = err_sys(e, r, "read %s", digest_format(d, text));
	if (r >= 0 && !digest_equal(&got, d))
		r = err_set(e, ERR_SECURITY, EILSEQ, "what was fetched for %s has other bytes", digest_format(d, text));
	if (r < 0) ingest_drop(c->store, ret);
	return r;
}

static int fetch_blob(Check *c, const Digest *d, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(REPAIR_ARENA_MAX);
	AUTO_BATCH StoreBatch b = BATCH_INIT(c->store, &a);
	Ingest file = INGEST_NONE;
	StrList from = { 0 };
	uint64_t size = 0;
	int r = repositories(c, "SELECT DISTINCT repository FROM repo_digests JOIN image_contents USING (manifest) WHERE digest = ?", d, &a,
			     &from, e);
	if (r >= 0) r = fetch(c, d, 0, &from, &file, &size, e);
	if (r >= 0) r = batch_add_blob(&b, d, size, &file, e);
	if (r >= 0) r = batch_commit(&b, e);
	ingest_drop(c->store, &file);
	return r;
}

Repair check_fix_blob(Check *c, const Digest *d, Err *why)
{
	return fetch_blob(c, d, why) >= 0 ? REPAIR_DONE : drop(c, d, false, why);
}

/* ---- layers ---- */

/* The layer from a blob of it. */
static int make_layer(Check *c, const Digest *diff_id, const Digest *blob, int fd, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(REPAIR_ARENA_MAX);
	AUTO_BATCH StoreBatch b = BATCH_INIT(c->store, &a);
	LayerImport i = LAYER_IMPORT_INIT;
	i.fd = fd;
	i.diff_id = diff_id;
	i.expected = blob;
	i.tar = i.index = true;
	int r = check_worker(c, e);
	if (r >= 0) r = layer_import(c->store, c->client, &i, 1, NULL, e);
	if (r >= 0) r = batch_add_layer(&b, &i.facts, &i.tar_file, &i.index_file, e);
	if (r >= 0) r = batch_commit(&b, e);
	layer_import_drop(c->store, &i, 1);
	return r;
}

static int from_kept_blob(Check *c, const Digest *diff_id, const Digest *blob, Err *e)
{
	bool there = false;
	int r = lease_contents(c->store, blob, 1, &there, e);
	there |= digest_equal(blob, diff_id); /* the tar's second name may be left */
	if (r < 0 || !there) return r < 0 ? r : -ENOENT;
	AUTO_FD int fd = content_open(c->store, blob, NULL, e);
	return fd < 0 ? fd : make_layer(c, diff_id, blob, fd, e);
}

static int from_registry(Check *c, const Digest *diff_id, const Digest *blob, uint64_t size, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(REPAIR_ARENA_MAX);
	Ingest file = INGEST_NONE;
	StrList from = { 0 };
	uint64_t got = 0;
	int r = repositories(c, "SELECT DISTINCT repository FROM repo_digests JOIN image_layers USING (manifest) WHERE diff_id = ?",
			     diff_id, &a, &from, e);
	if (r >= 0) r = fetch(c, blob, size, &from, &file, &got, e);
	if (r >= 0) r = make_layer(c, diff_id, blob, file.fd, e);
	ingest_drop(c->store, &file);
	return r;
}

/* The forms in which the layer is transferred, the ones that are here first. */
static int remake_layer(Check *c, const Digest *diff_id, Err *e)
{
	enum { FORMS_MAX = 8 };
	Digest blobs[FORMS_MAX];
	uint64_t sizes[FORMS_MAX];
	size_t n = 0;
	AUTO_DB_ROWS rows = { 0 };
	int r = db_query(c->store->db, "SELECT blob, size FROM forms WHERE diff_id = ? ORDER BY blob NOT IN (SELECT digest FROM contents)",
			 DB_ARGS(DB_DIGEST(diff_id)), &rows, e);
	while (r >= 0 && n < FORMS_MAX && (r = db_next(&rows, e)) > 0) {
		sizes[n] = (uint64_t)db_row_int(&rows, 1);
		r = store_row_digest(&rows, 0, &blobs[n++], e);
	}
	db_rows_done(&rows);
	if (r < 0) return r;
	r = err_set(e, ERR_NOT_FOUND, ENOENT, "the store does not know in which form it is transferred");
	for (size_t i = 0; i < n; i++) {
		Err quiet = ERR_INIT;
		if (from_kept_blob(c, diff_id, &blobs[i], &quiet) >= 0) return 0;
		*e = ERR_INIT;
		if ((r = from_registry(c, diff_id, &blobs[i], sizes[i], e)) >= 0) return 0;
	}
	return r;
}

Repair check_fix_layer(Check *c, const Digest *diff_id, Err *why)
{
	return remake_layer(c, diff_id, why) >= 0 ? REPAIR_DONE : drop(c, diff_id, true, why);
}

Repair check_put_index(Check *c, const Digest *diff_id, LayerImport *made, Err *why)
{
	AUTO_ARENA a = ARENA_INIT(REPAIR_ARENA_MAX);
	AUTO_BATCH StoreBatch b = BATCH_INIT(c->store, &a);
	Ingest none = INGEST_NONE; /* the tar stays as it is */
	int r = batch_add_layer(&b, &made->facts, &none, &made->index_file, why);
	if (r >= 0) r = batch_commit(&b, why);
	return r >= 0 ? REPAIR_DONE : REPAIR_FAILED;
}

Repair check_put_name(Check *c, const Digest *diff_id, Err *why)
{
	AUTO_FD int lock = store_lock(c->store, LOCK_SH, why);
	int r = lock < 0 ? lock : store_name_tar(c->store, diff_id, why);
	if (r == 0) r = err_set(why, ERR_UNSUPPORTED, ENOTSUP, "the file system has no second names of files");
	return r < 0 ? REPAIR_FAILED : REPAIR_DONE;
}
