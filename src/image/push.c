/* push.c: see push.h. */
#include "image/push.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "image/siblings.h"
#include "image/store_impl.h"

enum { IN_FLIGHT_MAX = 4, POLL_MS = 200 };

typedef enum { BLOB_WAITS, BLOB_SENDING, BLOB_DONE, BLOB_FAILED } BlobState;

typedef struct Push Push;

typedef struct PushBlob {
	Push *push;
	Digest digest;
	uint64_t size;
	bool layer; /* told about */
	int fd;     /* owned */
	BlobState state;
	char *location; /* to be kept for a later push; malloc'ed */
	Err e;
} PushBlob;

struct Push {
	ImageStore *store;
	const PushOptions *o;
	const Image *image;
	const char *tag; /* NULL: by its digest alone */
	Arena *arena;
	TransferClient *worker;
	const char *repository; /* "docker.io/library/debian" */
	StrList mount_from;
	Manifest manifest;
	char *text; /* of the manifest */
	size_t text_n;
	bool rewritten;
	PushBlob *blobs; /* the configuration, then the layers, each once */
	size_t n;
};

static void tell(const PushBlob *b, PushStep step, uint64_t bytes)
{
	const PushEvent event = { .step = step, .blob = &b->digest, .bytes = bytes, .total = b->size };
	if (b->layer && b->push->o->event) b->push->o->event(b->push->o->arg, &event);
}

static int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "push");
}

static TransferRequest request(const Push *p, TransferOp op)
{
	return (TransferRequest){ .op = op,
				  .endpoints = { (TransferEndpoint *)(uintptr_t)p->o->endpoints, p->o->n_endpoints },
				  .repository = p->o->reference->path,
				  .tuning = p->o->tuning };
}

/* ---- what is to be sent ---- */

/* The blob is not kept: made anew from the tar, in a nameless file. */
static int compress_layer(Push *p, const Digest *diff_id, Descriptor *d, int *ret_fd, Err *e)
{
	char path[STORE_PATH_MAX + 8];
	TransferEvent made;
	TransferRequest req = request(p, TRANSFER_LAYER_COMPRESS);
	req.compression = COMPRESSION_GZIP;
	store_layer_path(diff_id, path);
	memcpy(path + strlen(path), "/tar", sizeof "/tar");
	AUTO_FD int tar = openat(p->store->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (tar < 0) return err_sys(e, errno, "open %s/%s", p->store->path, path);
	AUTO_FD int out = openat(p->store->ingest, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (out < 0) return err_sys(e, errno, "make a file in %s/ingest", p->store->path);
	int r = transfer_call(p->worker, &req, &(TransferFds){ .input = tar, .body = out }, NULL, NULL, p->arena, &made, e);
	if (r < 0) return r;
	Digest digest;
	if (!made.digest || digest_parse(str_of(made.digest), &digest) < 0)
		return err_set(e, ERR_INTERNAL, EPROTO, "the worker told no digest");
	p->rewritten |= !digest_equal(&digest, &d->digest);
	const MediaType *type = media_type(str_of(d->media_type));
	d->digest = digest;
	d->size = (int64_t)made.size;
	d->media_type = media_type_layer(type ? type->family : MEDIA_OCI, COMPRESSION_GZIP);
	*ret_fd = take_fd(out);
	return 0;
}

static PushBlob *add_blob(Push *p, const Descriptor *d, int fd, bool layer)
{
	for (size_t i = 0; i < p->n; i++) {
		if (!digest_equal(&p->blobs[i].digest, &d->digest)) continue;
		fd_close(fd);
		return &p->blobs[i];
	}
	PushBlob *b = &p->blobs[p->n++];
	*b = (PushBlob){ .push = p, .digest = d->digest, .size = (uint64_t)d->size, .layer = layer, .fd = fd };
	tell(b, PUSH_PREPARING, 0);
	return b;
}

static int plan_layer(Push *p, size_t i, const Digest *diff_id, Err *e)
{
	Descriptor *d = &p->manifest.layers.items[i];
	const MediaType *type = media_type(str_of(d->media_type));
	int fd = -1, r = content_has(p->store, &d->digest, e);
	if (r > 0) r = fd = content_open(p->store, &d->digest, NULL, e);
	if (r < 0) return r;
	if (fd < 0 && type && type->foreign && d->urls.n) return 0; /* stays where it is */
	if (fd < 0 && (r = compress_layer(p, diff_id, d, &fd, e)) < 0) return r;
	add_blob(p, d, fd, true);
	return 0;
}

static int encode_manifest(Push *p, Err *e)
{
	AUTO_BUF b = BUF_INIT(MANIFEST_MAX);
	if (manifest_encode(&p->manifest, &b) < 0) return err_sys(e, EFBIG, "encode the manifest");
	if (!(p->text = arena_str(p->arena, (Str){ buf_str(&b), b.n }))) return no_memory(e);
	p->text_n = b.n;
	return 0;
}

/* Repositories of the same registry that are known to have the image's layers. */
static int find_mounts(Push *p, Err *e)
{
	enum { MOUNTS_MAX = 3 };
	AUTO_DB_ROWS rows = { 0 };
	const char **items = arena_array(p->arena, MOUNTS_MAX + 1, sizeof *items);
	char *prefix = arena_printf(p->arena, "%s/", p->o->reference->domain);
	if (!items || !prefix) return no_memory(e);
	int r = db_query(
		p->store->db,
		"SELECT DISTINCT substr(repository, length(?1) + 1) FROM repo_digests WHERE substr(repository, 1, length(?1)) = ?1 AND "
		"repository <> ?2 AND manifest IN (SELECT other.manifest FROM image_layers AS other JOIN image_layers AS own USING (diff_id) "
		"WHERE own.manifest = ?3) LIMIT 3",
		DB_ARGS(db_text(prefix), db_text(p->repository), DB_DIGEST(&p->image->manifest)), &rows, e);
	size_t n = 0;
	while (r >= 0 && n < MOUNTS_MAX && (r = db_next(&rows, e)) > 0)
		if (db_row_dup(&rows, 0, p->arena, &items[n++]) < 0) return no_memory(e);
	p->mount_from = (StrList){ items, n };
	return r < 0 ? r : 0;
}

static int plan(Push *p, Err *e)
{
	ImageConfig config;
	int r = image_documents(p->store, p->image, p->arena, &p->manifest, &config, e);
	if (r >= 0) r = image_config_check_layers(&config, &p->manifest, e);
	if (r >= 0) r = content_read(p->store, &p->image->manifest, MANIFEST_MAX, p->arena, &p->text, &p->text_n, e);
	if (r < 0) return r;
	if (!(p->blobs = arena_array(p->arena, p->manifest.layers.n + 1, sizeof *p->blobs))) return no_memory(e);
	int fd = content_open(p->store, &p->manifest.config.digest, NULL, e);
	if (fd < 0) return fd;
	add_blob(p, &p->manifest.config, fd, false);
	for (size_t i = 0; i < p->manifest.layers.n; i++)
		if ((r = plan_layer(p, i, &config.rootfs.diff_ids.items[i], e)) < 0) return r;
	if (p->rewritten && (r = encode_manifest(p, e)) < 0) return r;
	return find_mounts(p, e);
}

/* ---- sending ---- */

static void blob_event(void *arg, const TransferEvent *ev)
{
	PushBlob *b = arg;
	char text[DIGEST_TEXT_MAX];
	switch (ev->kind) {
	case TRANSFER_PROGRESS:
		tell(b, PUSH_BYTES, ev->bytes);
		return;
	case TRANSFER_LOCATION:
		free(b->location);
		b->location = ev->location ? strdup(ev->location) : NULL;
		return;
	case TRANSFER_DONE:
		b->state = BLOB_DONE;
		tell(b, ev->mounted ? PUSH_MOUNTED : ev->existed ? PUSH_EXISTED : PUSH_DONE, b->size);
		return;
	case TRANSFER_FAILED:
		transfer_event_error(ev, &b->e);
		err_wrap(&b->e, "blob %.19s", digest_format(&b->digest, text));
		b->state = BLOB_FAILED;
		return;
	default:
		return;
	}
}

/* Where an upload can go on is written down when it is known, not when the push fails: a killed process writes nothing any more. */
static int keep_location(PushBlob *b, Err *e)
{
	Push *p = b->push;
	AUTO_FREE char *location = take(b->location);
	if (b->state == BLOB_DONE)
		return db_run(p->store->db, "DELETE FROM uploads WHERE repository = ? AND digest = ?",
			      DB_ARGS(db_text(p->repository), DB_DIGEST(&b->digest)), e);
	if (!location) return 0;
	return db_run(p->store->db, "INSERT OR REPLACE INTO uploads VALUES(?, ?, ?)",
		      DB_ARGS(db_text(p->repository), DB_DIGEST(&b->digest), db_text(location)), e);
}

static int send_blob(PushBlob *b, Err *e)
{
	Push *p = b->push;
	char text[DIGEST_TEXT_MAX];
	AUTO_DB_ROWS rows = { 0 };
	TransferRequest req = request(p, TRANSFER_BLOB_PUT);
	req.digest = digest_format(&b->digest, text);
	req.size = b->size;
	req.chunk = p->o->chunk;
	req.mount_from = p->mount_from;
	int r = db_get(p->store->db, "SELECT location FROM uploads WHERE repository = ? AND digest = ?",
		       DB_ARGS(db_text(p->repository), DB_DIGEST(&b->digest)), &rows, e);
	if (r < 0) return r;
	if (r > 0) req.location = db_row_text(&rows, 0);
	r = transfer_send(p->worker, &req, &(TransferFds){ .input = b->fd }, blob_event, b, NULL, e);
	if (r < 0) return r;
	b->state = BLOB_SENDING;
	b->fd = fd_close(b->fd);
	return 0;
}

/* Returns how many are left. */
static int drive(Push *p, Err *e)
{
	size_t left = 0;
	for (size_t i = 0; i < p->n; i++) {
		PushBlob *b = &p->blobs[i];
		int r = 0;
		if (b->state == BLOB_WAITS && transfer_pending(p->worker) < IN_FLIGHT_MAX) r = send_blob(b, e);
		if (r >= 0 && (b->location || b->state == BLOB_DONE)) r = keep_location(b, e);
		if (r < 0) return r;
		if (b->state == BLOB_FAILED) {
			*e = b->e;
			return -(e->errnum ? e->errnum : EIO);
		}
		left += b->state != BLOB_DONE;
	}
	return (int)left;
}

static int send_blobs(Push *p, Err *e)
{
	int left;
	while ((left = drive(p, e)) > 0) {
		int r = transfer_dispatch(p->worker, POLL_MS, e);
		if (r < 0) return r;
	}
	return left;
}

static int send_manifest(Push *p, PushResult *ret, Err *e)
{
	AUTO_FD int body = memfd_create("skep-push", MFD_CLOEXEC);
	if (body < 0) return err_sys(e, errno, "memfd_create");
	int r = fd_write_all(body, p->text, p->text_n);
	if (r >= 0) r = digest_of(DIGEST_SHA256, p->text, p->text_n, &ret->manifest);
	if (r < 0) return err_sys(e, r, "write the manifest");
	char digest[DIGEST_TEXT_MAX];
	TransferRequest req = request(p, TRANSFER_MANIFEST_PUT);
	req.reference = p->tag;
	req.media_type = p->manifest.media_type ? p->manifest.media_type : MEDIA_TYPE_OCI_MANIFEST;
	req.size = p->text_n;
	req.digest = digest_format(&ret->manifest, digest);
	ret->size = p->text_n;
	r = transfer_call(p->worker, &req, &(TransferFds){ .input = body }, NULL, NULL, p->arena, NULL, e);
	if (r < 0) return r;
	return db_run(p->store->db, "INSERT OR IGNORE INTO repo_digests VALUES(?, ?, ?)",
		      DB_ARGS(db_text(p->repository), DB_DIGEST(&ret->manifest), DB_DIGEST(&p->image->manifest)), e);
}

static void push_done(Push *p)
{
	for (size_t i = 0; i < p->n; i++) {
		fd_close(p->blobs[i].fd);
		free(p->blobs[i].location);
	}
}

/* One image with all it consists of. */
static int push_image(const Push *with, const Image *image, const char *tag, PushResult *ret, Err *e)
{
	AUTO(push_done) Push p = *with;
	p.image = image;
	p.tag = tag;
	int r = plan(&p, e);
	if (r >= 0) r = send_blobs(&p, e);
	return r < 0 ? r : send_manifest(&p, ret, e);
}

/* ---- several platforms ---- */

/* An index names manifests by digest: they must go as they are, with the blobs that they name. */
static int has_all_blobs(const Push *p, const Digest *manifest, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(p->store->db,
		       "SELECT 1 FROM image_layers WHERE manifest = ? AND (blob IS NULL OR blob NOT IN (SELECT digest FROM contents))",
		       DB_ARGS(DB_DIGEST(manifest)), &rows, e);
	return r < 0 ? r : r == 0;
}

/* 1 when the index can go: the store has all of its images, whole. */
static int is_complete(const Push *p, const Siblings *all, Err *e)
{
	int r = all->whole;
	for (size_t i = 0; r > 0 && i < all->n; i++)
		r = has_all_blobs(p, &all->images[i].manifest, e);
	return r;
}

static int push_index(Push *p, const Siblings *all, PushResult *ret, Err *e)
{
	PushResult each;
	for (size_t i = 0; i < all->n; i++) {
		int r = push_image(p, &all->images[i], NULL, &each, e);
		if (r < 0) return r;
		if (!digest_equal(&each.manifest, &all->images[i].manifest))
			return err_set(e, ERR_STATE, ESTALE, "a compressed layer has been removed meanwhile: push again");
	}
	p->tag = p->o->reference->tag;
	p->image = p->o->image;
	p->text = all->text;
	p->text_n = all->text_n;
	p->manifest.media_type = all->media_type;
	return send_manifest(p, ret, e);
}

static int push_all(Push *p, const char *name, PushResult *ret, Err *e)
{
	const Image *image = p->o->image;
	Image chosen;
	Siblings all;
	int r = siblings_find(p->store, image, p->arena, &all, e);
	int complete = r >= 0 && !p->o->platform ? is_complete(p, &all, e) : r;
	if (complete < 0) return complete;
	*ret = (PushResult){ .alone = !complete && !digest_equal(&image->target, &image->manifest) };
	if (complete) return push_index(p, &all, ret, e);
	r = siblings_choose(p->store, name, image, p->o->platform, p->arena, &chosen, e);
	return r < 0 ? r : push_image(p, &chosen, p->o->reference->tag, ret, e);
}

static void worker_done(Push *p)
{
	transfer_stop(p->worker);
}

int image_push(ImageStore *s, const PushOptions *o, Arena *a, PushResult *ret, Err *e)
{
	AUTO(worker_done) Push p = { .store = s, .o = o, .arena = a, .repository = reference_name(o->reference, a) };
	const char *familiar = reference_familiar(o->reference, a);
	if (!p.repository || !familiar) return no_memory(e);
	int r = transfer_start(&(TransferOptions){ .program = o->worker }, &p.worker, e);
	if (r >= 0) r = push_all(&p, familiar, ret, e);
	return r < 0 ? err_wrap(e, "push %s", familiar) : 0;
}
