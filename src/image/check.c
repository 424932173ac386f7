/* check.c: see check.h: reading all there is. */
#include "image/check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "image/check_impl.h"

enum { CHECK_ARENA_MAX = 256 << 20, COMPARE_CHUNK = 64 << 10, MESSAGE_MAX = 1400 };

const char *finding_name(FindingKind kind)
{
	static const char *const names[] = {
		[FINDING_BLOB_MISSING] = "blob-missing",   [FINDING_BLOB_DAMAGED] = "blob-damaged",
		[FINDING_TAR_MISSING] = "tar-missing",     [FINDING_TAR_DAMAGED] = "tar-damaged",
		[FINDING_INDEX_MISSING] = "index-missing", [FINDING_INDEX_DAMAGED] = "index-damaged",
		[FINDING_LAYER_UNKNOWN] = "layer-unknown", [FINDING_BLOB_UNKNOWN] = "blob-unknown",
		[FINDING_FILE_STRAY] = "file-stray",       [FINDING_FILE_FOREIGN] = "file-foreign",
		[FINDING_INGEST_STALE] = "ingest-stale",
	};
	return names[kind];
}

void check_report(Check *c, FindingKind kind, const Digest *d, const char *path, Repair repair, const char *what, const Err *why)
{
	char message[MESSAGE_MAX];
	static const char *const outcomes[] = { "", ": repaired", ": taken out of the books, a pull of its image brings it",
						": not repaired" };
	bool told = why && why->code != ERR_NONE && repair != REPAIR_DONE;
	snprintf(message, sizeof message, "%s: %s%s%s%s%s", path, what, outcomes[repair], told ? " (" : "", told ? why->msg : "",
		 told ? ")" : "");
	c->result.findings++;
	c->result.repaired += repair == REPAIR_DONE;
	c->result.dropped += repair == REPAIR_DROPPED;
	if (!c->req->found) return;
	c->req->found(c->req->arg,
		      &(Finding){ .kind = kind, .digest = d ? *d : (Digest){ 0 }, .path = path, .repair = repair, .message = message });
}

int check_worker(Check *c, Err *e)
{
	if (c->client) return 0;
	return transfer_start(&(TransferOptions){ .program = c->req->worker, .offline = true }, &c->client, e);
}

/* ---- blobs ---- */

static void blob_finding(Check *c, FindingKind kind, const Digest *d, const char *path, const char *what)
{
	Err why = ERR_INIT;
	Repair repair = c->req->repair ? check_fix_blob(c, d, &why) : REPAIR_NONE;
	check_report(c, kind, d, path, repair, what, &why);
}

static int check_blob(Check *c, const Digest *d, Err *e)
{
	char path[STORE_PATH_MAX];
	uint64_t size = 0;
	Digest got;
	store_blob_path(d, path);
	AUTO_FD int fd = content_open(c->store, d, NULL, e);
	if (fd < 0 && fd != -ENOENT) return fd;
	if (fd < 0) {
		blob_finding(c, FINDING_BLOB_MISSING, d, path, "missing");
		return 0;
	}
	int r = hash_file(fd, d->algorithm, &got, &size);
	c->result.blobs++;
	c->result.bytes += size;
	if (r == -EIO) /* the disk cannot read it: as bad as other bytes */
		blob_finding(c, FINDING_BLOB_DAMAGED, d, path, "cannot be read");
	else if (r < 0)
		return err_sys(e, r, "read %s/%s", c->store->path, path);
	else if (!digest_equal(&got, d))
		blob_finding(c, FINDING_BLOB_DAMAGED, d, path, "has other bytes than its digest says");
	return 0;
}

/* ---- layers ---- */

static void layer_finding(Check *c, FindingKind kind, const Digest *d, const char *path, const char *what)
{
	Err why = ERR_INIT;
	Repair repair = c->req->repair ? check_fix_layer(c, d, &why) : REPAIR_NONE;
	check_report(c, kind, d, path, repair, what, &why);
}

static int same_bytes(int a, int b)
{
	struct stat x, y;
	char p[COMPARE_CHUNK / 2], q[COMPARE_CHUNK / 2];
	if (fstat(a, &x) < 0 || fstat(b, &y) < 0) return -errno;
	if (x.st_size != y.st_size) return 0;
	for (off_t at = 0; at < x.st_size;) {
		ssize_t n = retry_eintr(pread(a, p, sizeof p, at));
		if (n <= 0) return n < 0 ? -errno : 0;
		for (ssize_t got = 0; got < n;) {
			ssize_t k = retry_eintr(pread(b, q + got, (size_t)(n - got), at + got));
			if (k <= 0) return k < 0 ? -errno : 0;
			got += k;
		}
		if (memcmp(p, q, (size_t)n) != 0) return 0;
		at += n;
	}
	return 1;
}

static void check_index(Check *c, const Digest *d, const char *path, LayerImport *made)
{
	char file[STORE_PATH_MAX + 8];
	Err why = ERR_INIT;
	snprintf(file, sizeof file, "%s/index", path);
	AUTO_FD int fd = layer_open_index(c->store, d, &why);
	int same = fd < 0 ? fd : same_bytes(fd, made->index_file.fd);
	if (same > 0) return;
	why = ERR_INIT;
	Repair repair = c->req->repair ? check_put_index(c, d, made, &why) : REPAIR_NONE;
	check_report(c, fd == -ENOENT ? FINDING_INDEX_MISSING : FINDING_INDEX_DAMAGED, d, file, repair,
		     fd == -ENOENT ? "missing" : "is not the index of its tar", &why);
}

/* The second name of a tar that a manifest names as it is: without it other tools cannot read the image in place. */
static int check_name(Check *c, const Digest *d, Err *e)
{
	char path[STORE_PATH_MAX];
	Err why = ERR_INIT;
	AUTO_DB_ROWS rows = { 0 };
	store_blob_path(d, path);
	int r = db_get(c->store->db,
		       "SELECT 1 FROM forms JOIN layers USING (diff_id) WHERE blob = ?1 AND diff_id = ?1 AND "
		       "NOT EXISTS (SELECT 1 FROM contents WHERE digest = ?1)",
		       DB_ARGS(DB_DIGEST(d)), &rows, e);
	if (r <= 0 || (r = store_tar_named(c->store, d, e))) return r < 0 ? r : 0;
	Repair repair = c->req->repair ? check_put_name(c, d, &why) : REPAIR_NONE;
	check_report(c, FINDING_BLOB_MISSING, d, path, repair, "is not there as a name of the layer's tar", &why);
	return 0;
}

/* One pass of the worker over the tar gives its digest and its index. */
static int check_layer(Check *c, const Digest *d, Err *e)
{
	char path[STORE_PATH_MAX], file[STORE_PATH_MAX + 8];
	uint64_t size = 0;
	LayerImport made = LAYER_IMPORT_INIT;
	Err why = ERR_INIT;
	store_layer_path(d, path);
	snprintf(file, sizeof file, "%s/tar", path);
	AUTO_FD int fd = layer_open_tar(c->store, d, &size, e);
	if (fd < 0 && fd != -ENOENT) return fd;
	if (fd < 0) {
		layer_finding(c, FINDING_TAR_MISSING, d, file, "missing");
		return c->req->repair ? check_name(c, d, e) : 0;
	}
	int r = check_worker(c, e);
	if (r < 0) return r;
	made.fd = fd;
	made.diff_id = d;
	made.index = true;
	r = layer_import(c->store, c->client, &made, 1, NULL, &why);
	c->result.layers++;
	c->result.bytes += size;
	if (r >= 0) check_index(c, d, path, &made);
	layer_import_drop(c->store, &made, 1);
	if (r >= 0) return check_name(c, d, e);
	/* damaged bytes fail in many ways; what fails with the right bytes is another matter */
	Digest got;
	r = hash_file(fd, d->algorithm, &got, NULL);
	if (r == -EIO || (r >= 0 && !digest_equal(&got, d))) {
		layer_finding(c, FINDING_TAR_DAMAGED, d, file, "has other bytes than its digest says");
		return check_name(c, d, e); /* a new tar is another file */
	}
	*e = why;
	return err_wrap(e, "check %s", file);
}

/* ---- all of them ---- */

typedef struct Digests {
	Digest *items;
	bool *there;
	size_t n;
} Digests;

static int list(ImageStore *s, const char *count, const char *sql, Arena *a, Digests *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(s->db, count, DB_NONE, &rows, e);
	size_t max = r > 0 ? (size_t)db_row_int(&rows, 0) : 0;
	db_rows_done(&rows);
	if (r < 0) return r;
	ret->items = arena_array(a, max + 1, sizeof *ret->items);
	ret->there = arena_array(a, max + 1, sizeof *ret->there);
	ret->n = 0;
	if (!ret->items || !ret->there) return err_sys(e, ENOMEM, "check the store");
	r = db_query(s->db, sql, DB_NONE, &rows, e);
	while (r >= 0 && ret->n < max && (r = db_next(&rows, e)) > 0)
		r = store_row_digest(&rows, 0, &ret->items[ret->n++], e);
	return r < 0 ? r : 0;
}

static int check_blobs(Check *c, Arena *a, Err *e)
{
	Digests d;
	int r = list(c->store, "SELECT count(*) FROM contents", "SELECT digest FROM contents ORDER BY digest", a, &d, e);
	if (r >= 0) r = lease_contents(c->store, d.items, d.n, d.there, e); /* none goes while it is read */
	for (size_t i = 0; r >= 0 && i < d.n; i++)
		if (d.there[i]) r = check_blob(c, &d.items[i], e);
	return r;
}

static int check_layers(Check *c, Arena *a, Err *e)
{
	Digests d;
	int r = list(c->store, "SELECT count(*) FROM layers", "SELECT diff_id FROM layers ORDER BY diff_id", a, &d, e);
	if (r >= 0) r = lease_layers(c->store, d.items, d.n, d.there, e);
	for (size_t i = 0; r >= 0 && i < d.n; i++)
		if (d.there[i]) r = check_layer(c, &d.items[i], e);
	return r;
}

/* What images need and no row tells of: taken out of the books by an earlier repair. */
static int check_images(Check *c, Arena *a, Err *e)
{
	static const char layers[] = "FROM image_layers WHERE diff_id NOT IN (SELECT diff_id FROM layers)";
	static const char blobs[] =
		"FROM (SELECT manifest AS digest FROM images UNION SELECT id FROM images) WHERE digest NOT IN (SELECT digest FROM "
		"contents)";
	char count[256], sql[256], path[STORE_PATH_MAX];
	Digests d;
	snprintf(count, sizeof count, "SELECT count(DISTINCT diff_id) %s", layers);
	snprintf(sql, sizeof sql, "SELECT DISTINCT diff_id %s", layers);
	int r = list(c->store, count, sql, a, &d, e);
	for (size_t i = 0; r >= 0 && i < d.n; i++) {
		store_layer_path(&d.items[i], path);
		layer_finding(c, FINDING_LAYER_UNKNOWN, &d.items[i], path, "an image needs it, and it is not there");
	}
	snprintf(count, sizeof count, "SELECT count(*) %s", blobs);
	snprintf(sql, sizeof sql, "SELECT digest %s", blobs);
	if (r >= 0) r = list(c->store, count, sql, a, &d, e);
	for (size_t i = 0; r >= 0 && i < d.n; i++) {
		store_blob_path(&d.items[i], path);
		blob_finding(c, FINDING_BLOB_UNKNOWN, &d.items[i], path, "an image needs it, and it is not there");
	}
	return r;
}

int image_check(ImageStore *s, const CheckRequest *req, CheckResult *ret, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(CHECK_ARENA_MAX);
	Check c = { .store = s, .req = req };
	int r = db_check(s->db, e);
	if (r >= 0) r = check_images(&c, &a, e); /* first: what the others drop has been told by them */
	if (r >= 0) r = check_blobs(&c, &a, e);  /* before the layers, which are mended from them */
	if (r >= 0) r = check_layers(&c, &a, e);
	if (r >= 0) r = check_files(&c, e);
	transfer_stop(c.client);
	if (r < 0) return r;
	*ret = c.result;
	return 0;
}
