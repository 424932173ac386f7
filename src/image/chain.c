/* chain.c: chains, their merged indexes and trees: making them, and putting them into the store. See snapshot_impl.h. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "image/snapshot_impl.h"
#include "image/tree_extract.h"
#include "sys/erofs.h"
#include "sys/tree_remove.h"

enum { FORM_NAME = INGEST_NAME_MAX, WAIT_MS = 20, WAIT_MAX_MS = 600000 };

/* ---- chains ---- */

int chain_id(const Digest *diff_ids, size_t n, Digest *ret)
{
	char text[2 * DIGEST_TEXT_MAX + 1], above[DIGEST_TEXT_MAX], below[DIGEST_TEXT_MAX];
	Digest id = diff_ids[0];
	for (size_t i = 1; i < n; i++) {
		int len = snprintf(text, sizeof text, "%s %s", digest_format(&id, below), digest_format(&diff_ids[i], above));
		int r = digest_of(DIGEST_SHA256, text, (size_t)len, &id);
		if (r < 0) return r;
	}
	*ret = id;
	return 0;
}

static int lost_layer(const ImageStore *s, const Digest *diff_id, Err *e)
{
	char text[DIGEST_TEXT_MAX];
	return err_set(e, ERR_NOT_FOUND, ENOENT, "layer %s is not in the store %s: pull the image again", digest_format(diff_id, text),
		       s->path);
}

static int lease_all(ImageStore *s, const Digest *diff_ids, size_t n, Arena *a, Err *e)
{
	bool *there = arena_array(a, n + 1, sizeof *there);
	if (!there) return err_sys(e, ENOMEM, "read the layers");
	int r = lease_layers(s, diff_ids, n, there, e);
	for (size_t i = 0; r >= 0 && i < n; i++)
		if (!there[i]) return lost_layer(s, &diff_ids[i], e);
	return r;
}

int chain_read(ImageStore *s, const Digest *manifest, bool held, Arena *a, Chain *ret, Err *e)
{
	ImageLayerList l;
	int r = image_layers(s, manifest, a, &l, e);
	if (r < 0) return r;
	if (!l.n) return err_set(e, ERR_STATE, ENOTSUP, "the image has no layers: there is nothing to mount");
	Digest *diff_ids = arena_array(a, l.n, sizeof *diff_ids);
	if (!diff_ids) return err_sys(e, ENOMEM, "read the layers");
	size_t first = 0;
	for (size_t i = 0; i < l.n; i++) {
		diff_ids[i] = l.items[i].diff_id;
		if (l.items[i].opaque) first = i;
		if (held && !l.items[i].there) return lost_layer(s, &diff_ids[i], e);
	}
	if (!held && (r = lease_all(s, diff_ids, l.n, a, e)) < 0) return r;
	if ((r = chain_id(diff_ids, l.n, &ret->id)) < 0) return err_sys(e, r, "hash the layers' names");
	ret->layers = l.items + first;
	ret->n = l.n - first;
	return 0;
}

int chain_open(const ImageStore *s, const ImageLayer *l, const char *file, Err *e)
{
	char dir[STORE_PATH_MAX], path[STORE_PATH_MAX + 8];
	store_layer_path(&l->diff_id, dir);
	snprintf(path, sizeof path, "%s/%s", dir, file);
	int fd = openat(s->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open %s/%s", s->path, path) : fd;
}

/* ---- forms: rows of the table snapshots ---- */

static void form_path(const char *kind, const Chain *c, char path[static STORE_PATH_MAX])
{
	char hex[DIGEST_HEX_MAX];
	snprintf(path, STORE_PATH_MAX, "%s/%s", kind, digest_hex(&c->id, hex));
}

static int has_form(ImageStore *s, const char *kind, const Chain *c, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	return db_get(s->db, "SELECT 1 FROM snapshots WHERE kind = ? AND chain_id = ?", DB_ARGS(db_text(kind), DB_DIGEST(&c->id)), &rows,
		      e);
}

static int insert_form(ImageStore *s, const char *kind, const Image *i, const Chain *c, const char *path, uint64_t size, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(s->db, DB_DURABLE, &tx, e);
	/* for as long as there is such an image; and if it has gone meanwhile, nothing is put in place */
	if (r >= 0)
		r = db_run(s->db, "INSERT OR REPLACE INTO image_chains VALUES(?, ?)", DB_ARGS(DB_DIGEST(&i->manifest), DB_DIGEST(&c->id)),
			   e);
	if (r == -EBUSY) return err_set(e, ERR_NOT_FOUND, ENOENT, "the image is gone");
	if (r >= 0)
		r = db_run(s->db, "INSERT OR REPLACE INTO snapshots VALUES(?, ?, ?)",
			   DB_ARGS(db_text(kind), DB_DIGEST(&c->id), db_int((int64_t)size)), e);
	if (r >= 0) r = db_run(s->db, "DELETE FROM doomed WHERE path = ?", DB_ARGS(db_text(path)), e);
	return r < 0 ? r : db_commit(&tx, e);
}

/* What was made as ingest/name, durable, becomes path: as batch_commit does it. */
static int place_form(ImageStore *s, const char *kind, const Image *i, const Chain *c, const char *name, uint64_t size, Err *e)
{
	char path[STORE_PATH_MAX];
	form_path(kind, c, path);
	AUTO_FD int lock = store_lock(s, LOCK_SH, e);
	if (lock < 0) return lock;
	if (mkdirat(s->root, kind, 0700) < 0 && errno != EEXIST) return err_sys(e, errno, "create %s/%s", s->path, kind);
	int r = db_run(s->db, "INSERT OR IGNORE INTO doomed VALUES(?)", DB_ARGS(db_text(path)), e);
	if (r < 0) return r;
	if (renameat(s->ingest, name, s->root, path) < 0) return err_sys(e, errno, "put %s/%s in place", s->path, path);
	AUTO_FD int dir = openat(s->root, kind, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0) return err_sys(e, errno, "write %s/%s to the disk", s->path, kind);
	return insert_form(s, kind, i, c, path, size, e);
}

/* Another image of the chain may have been the one that it was made for. */
static int note_chain(ImageStore *s, const Image *i, const Chain *c, Err *e)
{
	int r = db_run(s->db, "INSERT OR IGNORE INTO image_chains VALUES(?, ?)", DB_ARGS(DB_DIGEST(&i->manifest), DB_DIGEST(&c->id)), e);
	return r == -EBUSY ? err_set(e, ERR_NOT_FOUND, ENOENT, "the image is gone") : r;
}

/* ---- merged indexes ---- */

int chain_open_merged(ImageStore *s, const Chain *c, Err *e)
{
	char path[STORE_PATH_MAX];
	int r = has_form(s, "merged", c, e);
	if (r <= 0) return r < 0 ? r : -ENOENT;
	form_path("merged", c, path);
	int fd = openat(s->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -ENOENT : fd; /* the layers themselves do as well */
}

typedef struct Trees {
	ErofsTree **items;
	size_t n;
} Trees;

static void trees_done(Trees *t)
{
	for (size_t i = 0; t->items && i < t->n; i++)
		erofs_tree_free(t->items[i]);
	free(t->items);
}

/* The device table names each tar by its digest: whoever finds the index alone knows what it needs. */
static int write_merged(const Chain *c, ErofsTree *merged, int fd, Arena *a, Err *e)
{
	uint8_t(*tags)[64] = arena_array(a, c->n, sizeof *tags);
	if (!tags) return err_sys(e, ENOMEM, "merge the indexes");
	for (size_t i = 0; i < c->n; i++) {
		char hex[DIGEST_HEX_MAX];
		if (c->layers[i].diff_id.algorithm == DIGEST_SHA256)
			memcpy(tags[i], digest_hex(&c->layers[i].diff_id, hex), sizeof tags[i]);
	}
	const ErofsWriteOptions options = { .tags = (const uint8_t(*)[64])tags };
	return erofs_write(merged, fd, &options, NULL, e);
}

static int make_merged(ImageStore *s, const Chain *c, int to, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO(trees_done) Trees trees = { calloc(c->n, sizeof(ErofsTree *)), c->n };
	AUTO_EROFS_TREE *merged = NULL;
	uint64_t left = EROFS_PARTS_MEMORY;
	if (!trees.items) return err_sys(e, ENOMEM, "merge the indexes");
	for (size_t i = 0; i < c->n; i++) {
		char text[DIGEST_TEXT_MAX];
		AUTO_FD int index = chain_open(s, &c->layers[i], "index", e);
		int r = index < 0 ? index : erofs_load_part(index, &left, &trees.items[i], e);
		if (r < 0) return err_wrap(e, "layer %s", digest_format(&c->layers[i].diff_id, text));
	}
	int r = erofs_merge(trees.items, c->n, NULL, &merged, e);
	if (r >= 0) r = write_merged(c, merged, to, &a, e);
	if (r >= 0 && fdatasync(to) < 0) r = err_sys(e, errno, "write %s/ingest to the disk", s->path);
	return r;
}

/* One layer is its own merged index, unless it takes away what is not there: a mount would show its whiteouts. */
static int wants_merging(const ImageStore *s, const Chain *c, Err *e)
{
	if (c->n > 1) return 1;
	AUTO_FD int index = chain_open(s, c->layers, "index", e);
	int r = index < 0 ? index : erofs_is_marked(index);
	return index >= 0 && r < 0 ? err_sys(e, r, "read the index of a layer") : r;
}

/* Another process that makes the same form is waited for. */
static int wait_for(ImageStore *s, const char *name, Ingest *ret, Err *e)
{
	for (int waited = 0;; waited += WAIT_MS) {
		Err why = ERR_INIT;
		int r = ingest_open(s, name, ret, &why);
		if (r == -EWOULDBLOCK && waited < WAIT_MAX_MS) {
			usleep(WAIT_MS * 1000);
			continue;
		}
		if (r < 0) *e = why;
		return r;
	}
}

int chain_merge(ImageStore *s, const Image *i, const Chain *c, bool wait, Err *e)
{
	char hex[DIGEST_HEX_MAX], name[FORM_NAME];
	Ingest file = INGEST_NONE;
	struct stat st;
	int r = wants_merging(s, c, e);
	if (r <= 0) return r;
	if ((r = has_form(s, "merged", c, e)) != 0) return r < 0 ? r : note_chain(s, i, c, e);
	snprintf(name, sizeof name, "%s.merged", digest_hex(&c->id, hex));
	if ((r = wait ? wait_for(s, name, &file, e) : ingest_open(s, name, &file, e)) < 0) return r;
	if ((r = has_form(s, "merged", c, e)) != 0) { /* made while it was waited for */
		ingest_drop(s, &file);
		return r < 0 ? r : note_chain(s, i, c, e);
	}
	if (ftruncate(file.fd, 0) < 0) r = err_sys(e, errno, "empty %s/ingest/%s", s->path, name);
	if (r >= 0 && (r = make_merged(s, c, file.fd, e)) >= 0 && fstat(file.fd, &st) < 0) r = err_sys(e, errno, "stat a merged index");
	if (r >= 0) r = place_form(s, "merged", i, c, name, (uint64_t)st.st_size, e);
	if (r < 0)
		ingest_drop(s, &file);
	else
		ingest_keep(&file); /* it has moved */
	return r;
}

int snapshot_prepare(ImageStore *s, const Image *i, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	Chain c;
	Err why = ERR_INIT;
	int r = chain_read(s, &i->manifest, false, &a, &c, &why);
	if (r >= 0) r = chain_merge(s, i, &c, false, &why);
	if (r >= 0 || r == -EWOULDBLOCK) return 0; /* another process is at it */
	*e = why;
	return r;
}

/* ---- trees ---- */

typedef struct OpenFiles {
	int *fds;
	size_t n;
} OpenFiles;

static void files_done(OpenFiles *f)
{
	for (size_t i = 0; i < f->n; i++)
		fd_close(f->fds[i]);
	free(f->fds);
}

static int open_files(const ImageStore *s, const Chain *c, OpenFiles *ret, Err *e)
{
	if (!(ret->fds = calloc(2 * c->n, sizeof *ret->fds))) return err_sys(e, ENOMEM, "open the layers");
	for (size_t i = 0; i < 2 * c->n; i++) {
		int fd = chain_open(s, &c->layers[i < c->n ? i : i - c->n], i < c->n ? "index" : "tar", e);
		if (fd < 0) return fd;
		ret->fds[ret->n++] = fd;
	}
	return 0;
}

/* The tree below the directory name of ingest/. */
static int fill_tree(ImageStore *s, const Chain *c, const char *name, TreeStats *stats, Err *e)
{
	AUTO(files_done) OpenFiles files = { 0 };
	int r = open_files(s, c, &files, e);
	if (r < 0) return r;
	r = tree_remove(s->ingest, name); /* what a killed process has left */
	if (r < 0 && r != -ENOENT) return err_sys(e, r, "remove %s/ingest/%s", s->path, name);
	if (mkdirat(s->ingest, name, 0700) < 0) return err_sys(e, errno, "create %s/ingest/%s", s->path, name);
	AUTO_FD int dir = openat(s->ingest, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || mkdirat(dir, "root", 0700) < 0) return err_sys(e, errno, "create %s/ingest/%s/root", s->path, name);
	AUTO_FD int root = openat(dir, "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0) return err_sys(e, errno, "open %s/ingest/%s/root", s->path, name);
	const TreeSource from = { .indexes = files.fds, .tars = files.fds + c->n, .n = c->n };
	r = tree_extract(&from, root, stats, e);
	if (r >= 0 && (fsync(dir) < 0 || fsync(s->ingest) < 0)) r = err_sys(e, errno, "write %s/ingest/%s to the disk", s->path, name);
	return r;
}

static int make_tree(ImageStore *s, const Image *i, const Chain *c, Err *e)
{
	char hex[DIGEST_HEX_MAX], name[FORM_NAME], lock_name[FORM_NAME];
	Ingest lock = INGEST_NONE;
	TreeStats stats = { 0 };
	snprintf(name, sizeof name, "%s.tree", digest_hex(&c->id, hex));
	snprintf(lock_name, sizeof lock_name, "%s.tree.lock", hex);
	int r = wait_for(s, lock_name, &lock, e);
	if (r < 0) return r;
	if ((r = has_form(s, "trees", c, e)) == 0) { /* not made while the lock was waited for */
		if ((r = fill_tree(s, c, name, &stats, e)) >= 0) r = place_form(s, "trees", i, c, name, stats.size, e);
		if (r < 0) (void)!tree_remove(s->ingest, name);
	}
	ingest_drop(s, &lock);
	return r < 0 ? r : 0;
}

int chain_tree(ImageStore *s, const Image *i, const Chain *c, Err *e)
{
	char dir[STORE_PATH_MAX], path[STORE_PATH_MAX + 8];
	int r = has_form(s, "trees", c, e);
	if (r >= 0) r = r ? note_chain(s, i, c, e) : make_tree(s, i, c, e);
	if (r < 0) return r;
	form_path("trees", c, dir);
	snprintf(path, sizeof path, "%s/root", dir);
	int fd = openat(s->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open %s/%s", s->path, path) : fd;
}
