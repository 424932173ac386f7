/* batch.c: see batch.h. */
#include "image/batch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/time.h"
#include "image/store_impl.h"

struct BatchItem {
	BatchItem *next;
	BatchKind kind;
	Digest digest, other; /* a form: the layer and the blob; a repository's digest: target and manifest */
	uint64_t size;
	Ingest files[2]; /* a blob's, a layer's tar and index */
	LayerFacts facts;
	const ImageRecord *image;
	const char *text; /* media type, name, repository */
};

static BatchItem *add(StoreBatch *b, BatchKind kind, Err *e)
{
	BatchItem *i = arena_alloc(b->arena, sizeof *i);
	if (!i) {
		err_sys(e, ENOMEM, "put an image into the store");
		return NULL;
	}
	*i = (BatchItem){ .kind = kind, .files = { INGEST_NONE, INGEST_NONE } };
	if (!b->last) b->last = &b->first;
	*b->last = i;
	b->last = &i->next;
	return i;
}

static Ingest take_ingest(Ingest *i)
{
	Ingest taken = *i;
	i->fd = -1;
	return taken;
}

void batch_done(StoreBatch *b)
{
	for (BatchItem *i = b->first; i; i = i->next)
		for (size_t k = 0; k < ARRAY_LEN(i->files); k++) {
			if (starts_with(i->files[k].name, "new-")) ingest_drop(b->store, &i->files[k]); /* nobody will ever go on with it */
			ingest_keep(&i->files[k]);
		}
	b->first = NULL;
	b->last = NULL;
}

int batch_add_blob(StoreBatch *b, const Digest *d, uint64_t size, Ingest *file, Err *e)
{
	BatchItem *i = add(b, BATCH_BLOB, e);
	if (!i) return -ENOMEM;
	i->digest = *d;
	i->size = size;
	i->files[0] = take_ingest(file);
	return 0;
}

int batch_add_bytes(StoreBatch *b, const void *p, size_t n, Digest *ret, Err *e)
{
	Ingest file = INGEST_NONE;
	bool there;
	int r = digest_of(DIGEST_SHA256, p, n, ret);
	if (r < 0) return err_sys(e, r, "hash a document");
	if ((r = lease_contents(b->store, ret, 1, &there, e)) < 0 || there) return r; /* it must not go before the commit */
	if ((r = ingest_new(b->store, &file, e)) < 0) return r;
	if ((r = fd_write_all(file.fd, p, n)) < 0) r = err_sys(e, r, "write %s/ingest/%s", b->store->path, file.name);
	if (r >= 0) r = batch_add_blob(b, ret, n, &file, e);
	ingest_drop(b->store, &file);
	return r;
}

int batch_add_layer(StoreBatch *b, const LayerFacts *f, Ingest *tar, Ingest *index, Err *e)
{
	BatchItem *i = add(b, BATCH_LAYER, e);
	if (!i) return -ENOMEM;
	i->digest = f->diff_id;
	i->facts = *f;
	i->files[0] = take_ingest(tar);
	i->files[1] = take_ingest(index);
	return 0;
}

int batch_add_form(StoreBatch *b, const Digest *diff_id, const Digest *blob, uint64_t size, const char *media_type, Err *e)
{
	BatchItem *i = add(b, BATCH_FORM, e);
	if (!i) return -ENOMEM;
	i->digest = *diff_id;
	i->other = *blob;
	i->size = size;
	i->text = media_type;
	return 0;
}

int batch_add_image(StoreBatch *b, const ImageRecord *r, Err *e)
{
	BatchItem *i = add(b, BATCH_IMAGE, e);
	if (i) i->image = r;
	return i ? 0 : -ENOMEM;
}

int batch_add_name(StoreBatch *b, const char *name, const Digest *manifest, Err *e)
{
	BatchItem *i = add(b, BATCH_NAME, e);
	if (!i) return -ENOMEM;
	i->text = name;
	i->digest = *manifest;
	b->names = true;
	return 0;
}

int batch_add_repo_digest(StoreBatch *b, const char *repository, const Digest *target, const Digest *manifest, Err *e)
{
	BatchItem *i = add(b, BATCH_REPO_DIGEST, e);
	if (!i) return -ENOMEM;
	i->text = repository;
	i->digest = *target;
	i->other = *manifest;
	return 0;
}

/* ---- commit ---- */

static void item_path(const BatchItem *i, char path[static STORE_PATH_MAX])
{
	if (i->kind == BATCH_BLOB)
		store_blob_path(&i->digest, path);
	else
		store_layer_path(&i->digest, path);
}

static bool has_files(const BatchItem *i)
{
	return i->kind == BATCH_BLOB || i->kind == BATCH_LAYER;
}

/* A hint: what it cannot do, fdatasync does later. */
static void write_range(int fd, unsigned how)
{
	(void)sync_file_range(fd, 0, 0, how);
}

/* The data of all files is on its way before anything is waited for, and there before the first fdatasync: that one's commit of the file
 * system's journal then holds what all of them need, and the others find nothing left to commit. */
static int sync_files(const StoreBatch *b, Err *e)
{
	static const unsigned passes[] = { SYNC_FILE_RANGE_WRITE, SYNC_FILE_RANGE_WAIT_BEFORE, 0 };
	for (size_t pass = 0; pass < ARRAY_LEN(passes); pass++)
		for (const BatchItem *i = b->first; i; i = i->next)
			for (size_t k = 0; k < ARRAY_LEN(i->files); k++) {
				if (i->files[k].fd < 0) continue;
				if (passes[pass])
					write_range(i->files[k].fd, passes[pass]);
				else if (fdatasync(i->files[k].fd) < 0)
					return err_sys(e, errno, "write %s/ingest/%s to the disk", b->store->path, i->files[k].name);
			}
	return 0;
}

/* Should this process die from here on, what it has put in place without a row is found and taken away. */
static int announce(const StoreBatch *b, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(b->store->db, DB_WRITE, &tx, e);
	for (const BatchItem *i = b->first; r >= 0 && i; i = i->next) {
		char path[STORE_PATH_MAX];
		if (!has_files(i)) continue;
		item_path(i, path);
		r = db_run(b->store->db, "INSERT OR IGNORE INTO doomed VALUES(?)", DB_ARGS(db_text(path)), e);
	}
	return r < 0 ? r : db_commit(&tx, e);
}

static int sync_dir(int root, const char *path)
{
	AUTO_FD int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int place(const ImageStore *s, const Ingest *from, const char *path, Err *e)
{
	if (from->fd < 0) return 0;
	if (renameat(s->ingest, from->name, s->root, path) < 0) return err_sys(e, errno, "put %s/%s in place", s->path, path);
	return 0;
}

static int place_item(const ImageStore *s, BatchItem *i, Err *e)
{
	char path[STORE_PATH_MAX], file[STORE_PATH_MAX + 8];
	item_path(i, path);
	if (i->kind == BATCH_BLOB) {
		char *slash = strrchr(path, '/');
		*slash = 0; /* the algorithm's directory */
		if (mkdirat(s->root, path, 0700) < 0 && errno != EEXIST) return err_sys(e, errno, "create %s/%s", s->path, path);
		*slash = '/';
		return place(s, &i->files[0], path, e);
	}
	if (mkdirat(s->root, path, 0700) < 0 && errno != EEXIST) return err_sys(e, errno, "create %s/%s", s->path, path);
	snprintf(file, sizeof file, "%s/tar", path);
	int r = place(s, &i->files[0], file, e);
	snprintf(file, sizeof file, "%s/index", path);
	return r < 0 ? r : place(s, &i->files[1], file, e);
}

/* After the last rename: the first sync then commits all of them, one journal commit for an image and not one for each layer. */
static int sync_dirs(const StoreBatch *b, Err *e)
{
	static const char *const dirs[] = { "layers", "blobs", "blobs/sha256", "blobs/sha512" };
	const ImageStore *s = b->store;
	int r = 0;
	for (const BatchItem *i = b->first; r >= 0 && i; i = i->next) {
		char path[STORE_PATH_MAX];
		if (i->kind != BATCH_LAYER) continue;
		item_path(i, path);
		if ((r = sync_dir(s->root, path)) < 0) return err_sys(e, r, "write %s/%s to the disk", s->path, path);
	}
	for (size_t k = 0; k < ARRAY_LEN(dirs); k++)
		if ((r = sync_dir(s->root, dirs[k])) < 0 && r != -ENOENT) return err_sys(e, r, "write %s/%s to the disk", s->path, dirs[k]);
	return 0;
}

static int place_files(const StoreBatch *b, Err *e)
{
	bool any = false;
	for (BatchItem *i = b->first; i; i = i->next) {
		if (!has_files(i)) continue;
		int r = place_item(b->store, i, e);
		if (r < 0) return r;
		any = true;
	}
	for (const BatchItem *i = b->first; i; i = i->next) {
		if (i->kind != BATCH_FORM || !digest_equal(&i->digest, &i->other)) continue;
		int r = store_name_tar(b->store, &i->digest, e);
		if (r < 0) return r;
		any |= r > 0;
	}
	return any ? sync_dirs(b, e) : 0;
}

static int insert_layer(Db *db, const BatchItem *i, Err *e)
{
	struct stat st;
	const LayerFacts *f = &i->facts;
	if (fstat(i->files[1].fd, &st) < 0) return err_sys(e, errno, "stat an index");
	return db_run(db, "INSERT OR REPLACE INTO layers VALUES(?, ?, ?, ?, ?, ?)",
		      DB_ARGS(DB_DIGEST(&f->diff_id), db_int((int64_t)f->tar_size), db_int(st.st_size), db_int((int64_t)f->size),
			      db_int((int64_t)f->entries), db_int(f->opaque)),
		      e);
}

static int insert_image(Db *db, const ImageRecord *m, Err *e)
{
	DigestText id;
	DbValue manifest = db_digest(&m->manifest, &id);
	const Platform *p = m->platform;
	int r = db_run(
		db,
		"INSERT INTO images VALUES(?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT(manifest) DO UPDATE SET target = excluded.target, "
		"added = excluded.added",
		DB_ARGS(manifest, db_text(m->media_type), DB_DIGEST(&m->target), DB_DIGEST(&m->config), db_text(p ? p->os : NULL),
			db_text(p ? p->architecture : NULL), db_text(p ? p->variant : NULL), db_text(m->created), db_int(time_now())),
		e);
	for (size_t i = 0; r >= 0 && i < m->n_contents; i++)
		r = db_run(db, "INSERT OR IGNORE INTO image_contents VALUES(?, ?)", DB_ARGS(manifest, DB_DIGEST(&m->contents[i])), e);
	for (size_t i = 0; r >= 0 && i < m->n_layers; i++)
		r = db_run(db, "INSERT OR IGNORE INTO image_layers VALUES(?, ?, ?, ?)",
			   DB_ARGS(manifest, db_int((int64_t)i), DB_DIGEST(&m->diff_ids[i]),
				   m->blobs && m->blobs[i].algorithm ? DB_DIGEST(&m->blobs[i]) : db_null()),
			   e);
	if (r < 0) return r;
	return db_run(db,
		      "UPDATE images SET size = (SELECT coalesce(sum(layers.size), 0) FROM image_layers JOIN layers USING (diff_id) "
		      "WHERE image_layers.manifest = images.manifest) WHERE manifest = ?",
		      DB_ARGS(manifest), e);
}

static int insert(Db *db, const BatchItem *i, Err *e)
{
	switch (i->kind) {
	case BATCH_BLOB:
		return db_run(db, "INSERT OR REPLACE INTO contents VALUES(?, ?)", DB_ARGS(DB_DIGEST(&i->digest), db_int((int64_t)i->size)),
			      e);
	case BATCH_LAYER:
		return insert_layer(db, i, e);
	case BATCH_FORM:
		return db_run(db, "INSERT OR REPLACE INTO forms VALUES(?, ?, ?, ?)",
			      DB_ARGS(DB_DIGEST(&i->other), DB_DIGEST(&i->digest), db_int((int64_t)i->size), db_text(i->text)), e);
	case BATCH_IMAGE:
		return insert_image(db, i->image, e);
	case BATCH_NAME:
		return db_run(db, "INSERT OR REPLACE INTO names VALUES(?, ?)", DB_ARGS(db_text(i->text), DB_DIGEST(&i->digest)), e);
	case BATCH_REPO_DIGEST:
		return db_run(db, "INSERT OR IGNORE INTO repo_digests VALUES(?, ?, ?)",
			      DB_ARGS(db_text(i->text), DB_DIGEST(&i->digest), DB_DIGEST(&i->other)), e);
	}
	return 0;
}

static int insert_all(const StoreBatch *b, Err *e)
{
	Db *db = b->store->db;
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(db, DB_DURABLE, &tx, e);
	for (const BatchItem *i = b->first; r >= 0 && i; i = i->next) {
		char path[STORE_PATH_MAX];
		r = insert(db, i, e);
		if (r < 0 || !has_files(i)) continue;
		item_path(i, path);
		r = db_run(db, "DELETE FROM doomed WHERE path = ?", DB_ARGS(db_text(path)), e);
	}
	if (r >= 0 && b->names) r = store_names_changed(db, e);
	return r < 0 ? r : db_commit(&tx, e);
}

static void let_go(StoreBatch *b)
{
	for (BatchItem *i = b->first; i; i = i->next)
		for (size_t k = 0; k < ARRAY_LEN(i->files); k++)
			i->files[k].fd = fd_close(i->files[k].fd);
}

int batch_commit(StoreBatch *b, Err *e)
{
	int r = sync_files(b, e);
	if (r < 0) return r;
	AUTO_FD int lock = store_lock(b->store, LOCK_SH, e);
	if (lock < 0) return lock;
	if ((r = announce(b, e)) < 0 || (r = place_files(b, e)) < 0 || (r = insert_all(b, e)) < 0) return r;
	lock = fd_close(lock);
	let_go(b);
	return b->names ? store_write_index(b->store, e) : 0;
}
