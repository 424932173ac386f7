/* pull.c: see pull.h. */
#include "image/pull.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/time.h"
#include "image/snapshot.h"
#include "image/store_impl.h"
#include "oci/platform.h"

enum { IN_FLIGHT_MAX = 4, WAIT_NS = 100000000, POLL_MS = 100 };
enum { DOCUMENT_ATTEMPTS = 3 }; /* the first thing asked for: a wrong name is told of in a second */

typedef enum { LAYER_MISSING, LAYER_ELSEWHERE, LAYER_UNDER_WAY, LAYER_GOT, LAYER_THERE, LAYER_FAILED } LayerState;

typedef struct Pull Pull;

typedef struct PullLayer {
	Pull *pull;
	const Descriptor *d;
	Digest diff_id;
	LayerState state;
	int64_t again; /* LAYER_ELSEWHERE: when to look again */
	Ingest blob, tar, index;
	LayerFacts facts;
	Err e;
} PullLayer;

struct Pull {
	ImageStore *store;
	const PullOptions *o;
	Arena *arena;
	TransferClient *worker;
	StoreBatch batch;

	Digest target;          /* what the reference leads to */
	ImageDocument document; /* the manifest of the image */
	Digest manifest;
	ImageConfig config;
	PullLayer *layers; /* one for each layer of the manifest; the same layer twice is fetched once */
	size_t n;
	DigestList contents; /* all blobs of the image */
};

static void tell(const Pull *p, PullStep step, const Digest *blob, uint64_t bytes, uint64_t total)
{
	const PullEvent event = { .step = step, .blob = blob, .bytes = bytes, .total = total };
	if (p->o->event) p->o->event(p->o->arg, &event);
}

static int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "pull");
}

static int add_content(Pull *p, const Digest *d, Err *e)
{
	Digest *items = arena_array(p->arena, p->contents.n + 1, sizeof *items);
	if (!items) return no_memory(e);
	if (p->contents.n) memcpy(items, p->contents.items, p->contents.n * sizeof *items);
	items[p->contents.n++] = *d;
	p->contents.items = items;
	return 0;
}

/* Whether it is there; then it stays, whoever removes images meanwhile. */
static int keep_content(const Pull *p, const Digest *d, Err *e)
{
	bool there = false;
	int r = lease_contents(p->store, d, 1, &there, e);
	return r < 0 ? r : there;
}

/* ---- documents ---- */

static TransferRequest request(const Pull *p, TransferOp op)
{
	return (TransferRequest){ .op = op,
				  .endpoints = { (TransferEndpoint *)(uintptr_t)p->o->endpoints, p->o->n_endpoints },
				  .repository = p->o->reference->path,
				  .tuning = p->o->tuning };
}

static int memory_file(Err *e)
{
	int fd = memfd_create("skep-pull", MFD_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "memfd_create") : fd;
}

/* The bytes of a document that has arrived: checked against their digest, kept for the store. */
static int take_document(Pull *p, int fd, const Digest *d, char **ret, size_t *ret_n, Err *e)
{
	AUTO_BUF b = BUF_INIT(MANIFEST_MAX);
	Ingest file = INGEST_NONE;
	Digest found;
	int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd_read_all(fd, &b);
	if (r < 0) return err_sys(e, r, "read a document of the image");
	if ((r = digest_of(d->algorithm, buf_str(&b), b.n, &found)) < 0) return err_sys(e, r, "hash a document");
	if (!digest_equal(&found, d))
		return err_set(e, ERR_SECURITY, EILSEQ, "the registry sent a document with another digest than it was asked for");
	if (!(*ret = arena_str(p->arena, (Str){ buf_str(&b), b.n }))) return no_memory(e);
	*ret_n = b.n;
	if ((r = add_content(p, d, e)) < 0 || (r = keep_content(p, d, e)) != 0) return r < 0 ? r : 0;
	if ((r = ingest_new(p->store, &file, e)) < 0) return r;
	if ((r = fd_write_all(file.fd, *ret, b.n)) < 0) r = err_sys(e, r, "write %s/ingest/%s", p->store->path, file.name);
	if (r >= 0) r = batch_add_blob(&p->batch, d, b.n, &file, e);
	ingest_drop(p->store, &file);
	return r;
}

static int check_size(const Descriptor *d, size_t n, Err *e)
{
	char text[DIGEST_TEXT_MAX];
	if (!d || (uint64_t)d->size == n) return 0;
	return err_set(e, ERR_SECURITY, EBADMSG, "manifest %s has %zu bytes, its descriptor says %jd", digest_format(&d->digest, text), n,
		       (intmax_t)d->size);
}

/* A manifest or index, from the store or the registry. reference: a tag or a digest; known: the digest, when it is known; entry: what an index
 * says of it, NULL where none does. */
static int get_document(Pull *p, const char *reference, const Digest *known, const Descriptor *entry, Digest *ret,
			ImageDocument *ret_document, Err *e)
{
	static const char *const accept[] = { MEDIA_TYPE_OCI_INDEX, MEDIA_TYPE_OCI_MANIFEST, MEDIA_TYPE_DOCKER_LIST,
					      MEDIA_TYPE_DOCKER_MANIFEST, NULL };
	char *text;
	size_t n;
	int r = known ? keep_content(p, known, e) : 0;
	if (r > 0 && content_read(p->store, known, MANIFEST_MAX, p->arena, &text, &n, &(Err){ 0 }) >= 0) {
		*ret = *known;
		if ((r = check_size(entry, n, e)) < 0 || (r = add_content(p, known, e)) < 0) return r;
		return image_document_parse(text, n, entry ? entry->media_type : NULL, p->arena, ret_document, e);
	}
	if (r < 0) return r;
	AUTO_FD int body = memory_file(e);
	if (body < 0) return body;
	TransferEvent got;
	TransferRequest req = request(p, TRANSFER_MANIFEST_GET);
	req.reference = reference;
	if (!req.tuning.attempts) req.tuning.attempts = DOCUMENT_ATTEMPTS;
	req.accept = (StrList){ (const char **)(uintptr_t)accept, ARRAY_LEN(accept) - 1 };
	req.limit = MANIFEST_MAX;
	r = transfer_call(p->worker, &req, &(TransferFds){ .body = body }, NULL, NULL, p->arena, &got, e);
	if (r < 0) return r;
	Digest d;
	if (!got.digest || digest_parse(str_of(got.digest), &d) < 0) return err_set(e, ERR_INTERNAL, EPROTO, "the worker told no digest");
	if (known) d = *known;
	if ((r = check_size(entry, got.size, e)) < 0 || (r = take_document(p, body, &d, &text, &n, e)) < 0) return r;
	*ret = d;
	return image_document_parse(text, n, entry ? entry->media_type : got.content_type, p->arena, ret_document, e);
}

/* From what the reference leads to, down to the manifest of one platform. */
static int find_manifest(Pull *p, Err *e)
{
	const Reference *ref = p->o->reference;
	char text[DIGEST_TEXT_MAX];
	const Platform *wanted = p->o->platform ? p->o->platform : platform_host();
	const char *reference = ref->digest.algorithm ? digest_format(&ref->digest, text) : ref->tag;
	int r = get_document(p, reference, ref->digest.algorithm ? &ref->digest : NULL, NULL, &p->target, &p->document, e);
	p->manifest = p->target;
	for (int depth = 0; r >= 0 && p->document.kind == MEDIA_INDEX; depth++) {
		size_t i;
		if (depth >= INDEX_DEPTH_MAX)
			return err_set(e, ERR_CONFIG, EINVAL, "indexes in indexes: more than %d levels", INDEX_DEPTH_MAX);
		if ((r = index_choose(&p->document.index, wanted, p->arena, &i, e)) < 0) return r;
		const Descriptor d = p->document.index.manifests.items[i];
		r = get_document(p, digest_format(&d.digest, text), &d.digest, &d, &p->manifest, &p->document, e);
	}
	return r < 0 ? r : manifest_check_image(&p->document.manifest, e);
}

static int get_config(Pull *p, Err *e)
{
	const Descriptor *d = &p->document.manifest.config;
	char text[DIGEST_TEXT_MAX], *json;
	size_t n;
	int r = keep_content(p, &d->digest, e);
	if (r < 0) return r;
	if (r > 0 && content_read(p->store, &d->digest, MANIFEST_MAX, p->arena, &json, &n, &(Err){ 0 }) >= 0) {
		if ((r = add_content(p, &d->digest, e)) < 0) return r;
	} else {
		AUTO_FD int body = memory_file(e);
		if (body < 0) return body;
		if (d->size > MANIFEST_MAX)
			return err_set(e, ERR_RESOURCE, EFBIG, "configuration of %jd bytes, at most %d are allowed", (intmax_t)d->size,
				       MANIFEST_MAX);
		TransferRequest req = request(p, TRANSFER_BLOB_GET);
		req.digest = digest_format(&d->digest, text);
		req.size = (uint64_t)d->size;
		r = transfer_call(p->worker, &req, &(TransferFds){ .body = body }, NULL, NULL, p->arena, NULL, e);
		if (r < 0 || (r = take_document(p, body, &d->digest, &json, &n, e)) < 0) return r;
	}
	if ((r = image_config_parse(json, n, p->arena, &p->config, e)) < 0) return r;
	return image_config_check_layers(&p->config, &p->document.manifest, e);
}

/* ---- layers ---- */

static const PullLayer *same_before(const Pull *p, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (digest_equal(&p->layers[k].diff_id, &p->layers[i].diff_id)) return &p->layers[k];
	return NULL;
}

static int plan_layers(Pull *p, Err *e)
{
	const DescriptorList *l = &p->document.manifest.layers;
	p->layers = arena_array(p->arena, l->n + 1, sizeof *p->layers);
	bool *there = arena_array(p->arena, l->n + 1, sizeof *there), *kept = arena_array(p->arena, l->n + 1, sizeof *kept);
	Digest *blobs = arena_array(p->arena, l->n + 1, sizeof *blobs);
	if (!p->layers || !there || !kept || !blobs) return no_memory(e);
	p->n = l->n;
	for (size_t i = 0; i < l->n; i++) {
		p->layers[i] = (PullLayer){ .pull = p,
					    .d = &l->items[i],
					    .diff_id = p->config.rootfs.diff_ids.items[i],
					    .blob = INGEST_NONE,
					    .tar = INGEST_NONE,
					    .index = INGEST_NONE };
		blobs[i] = l->items[i].digest;
	}
	int r = lease_layers(p->store, p->config.rootfs.diff_ids.items, l->n, there, e);
	if (r >= 0) r = lease_contents(p->store, blobs, l->n, kept, e);
	for (size_t i = 0; r >= 0 && i < l->n; i++) {
		PullLayer *layer = &p->layers[i];
		bool ready = there[i] || same_before(p, i);
		layer->state = ready ? LAYER_THERE : LAYER_MISSING;
		tell(p, ready ? PULL_EXISTS : PULL_FOUND, &layer->d->digest, 0, (uint64_t)layer->d->size);
		if (!p->o->drop_blobs || kept[i]) r = add_content(p, &layer->d->digest, e);
		if (r >= 0)
			r = batch_add_form(&p->batch, &layer->diff_id, &layer->d->digest, (uint64_t)layer->d->size, layer->d->media_type,
					   e);
	}
	return r;
}

static void drop_files(PullLayer *l)
{
	ingest_keep(&l->blob); /* what has arrived is worth keeping */
	ingest_drop(l->pull->store, &l->tar);
	ingest_drop(l->pull->store, &l->index);
}

static void layer_event(void *arg, const TransferEvent *ev)
{
	PullLayer *l = arg;
	Digest d;
	switch (ev->kind) {
	case TRANSFER_PROGRESS:
		tell(l->pull, PULL_BYTES, &l->d->digest, ev->bytes, (uint64_t)l->d->size);
		return;
	case TRANSFER_DONE:
		if (!ev->diff_id || digest_parse(str_of(ev->diff_id), &d) < 0 || !digest_equal(&d, &l->diff_id)) {
			err_set(&l->e, ERR_SECURITY, EILSEQ, "the layer is %.80s, not what the configuration says",
				ev->diff_id ? ev->diff_id : "?");
			break;
		}
		l->facts = (LayerFacts){
			.diff_id = d, .tar_size = ev->tar_size, .size = ev->files_size, .entries = ev->entries, .opaque = ev->opaque
		};
		l->state = LAYER_GOT;
		tell(l->pull, PULL_DONE, &l->d->digest, (uint64_t)l->d->size, (uint64_t)l->d->size);
		return;
	case TRANSFER_FAILED:
		transfer_event_error(ev, &l->e);
		break;
	default:
		return;
	}
	char text[DIGEST_TEXT_MAX];
	err_wrap(&l->e, "layer %.19s", digest_format(&l->d->digest, text));
	l->state = LAYER_FAILED;
}

static int open_files(PullLayer *l, Err *e)
{
	const ImageStore *s = l->pull->store;
	char hex[DIGEST_HEX_MAX], name[INGEST_NAME_MAX];
	digest_hex(&l->d->digest, hex);
	snprintf(name, sizeof name, "%s.blob", hex);
	int r = ingest_open(s, name, &l->blob, e);
	snprintf(name, sizeof name, "%s.tar", hex);
	if (r >= 0) r = ingest_open(s, name, &l->tar, e);
	snprintf(name, sizeof name, "%s.index", hex);
	if (r >= 0) r = ingest_open(s, name, &l->index, e);
	if (r < 0) drop_files(l);
	return r;
}

/* Nobody else fetches it (any more): is it there by now? */
static int is_there_now(PullLayer *l, Err *e)
{
	ImageStore *s = l->pull->store;
	char path[STORE_PATH_MAX];
	bool there = false;
	int r = lease_layers(s, &l->diff_id, 1, &there, e);
	if (r < 0 || there) return r < 0 ? r : 1;
	store_layer_path(&l->diff_id, path);
	if (faccessat(s->root, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0) return 0;
	AUTO_FD int lock = store_lock(s, LOCK_EX, e); /* the files are in place already: their commit ends with its lock */
	if (lock < 0) return lock;
	r = lease_layers(s, &l->diff_id, 1, &there, e);
	return r < 0 ? r : there;
}

static int send_layer(PullLayer *l, Err *e)
{
	Pull *p = l->pull;
	char digest[DIGEST_TEXT_MAX], diff_id[DIGEST_TEXT_MAX];
	TransferRequest req = request(p, TRANSFER_BLOB_GET);
	req.digest = digest_format(&l->d->digest, digest);
	req.size = (uint64_t)l->d->size;
	req.diff_id = digest_format(&l->diff_id, diff_id);
	req.urls = l->d->urls;
	req.limits.ratio = TRANSFER_RATIO;
	if (req.tuning.ranges == 0) req.tuning.ranges = 1;
	int r = transfer_send(p->worker, &req,
			      &(TransferFds){ .body = p->o->drop_blobs ? 0 : l->blob.fd, .tar = l->tar.fd, .index = l->index.fd },
			      layer_event, l, NULL, e);
	if (r >= 0) l->state = LAYER_UNDER_WAY;
	return r;
}

static int begin_layer(PullLayer *l, Err *e)
{
	Pull *p = l->pull;
	Err busy = ERR_INIT;
	int r = open_files(l, &busy);
	if (r == -EWOULDBLOCK) {
		if (l->state != LAYER_ELSEWHERE) tell(l->pull, PULL_WAITING, &l->d->digest, 0, (uint64_t)l->d->size);
		l->state = LAYER_ELSEWHERE;
		l->again = time_monotonic() + WAIT_NS;
		return 0;
	}
	if (r < 0) {
		*e = busy;
		return r;
	}
	if ((r = is_there_now(l, e)) < 0) return r;
	if (r == 0) return send_layer(l, e);
	ingest_drop(p->store, &l->blob); /* made just now, or left by somebody who did not get as far */
	drop_files(l);
	l->state = LAYER_THERE;
	tell(l->pull, PULL_DONE, &l->d->digest, (uint64_t)l->d->size, (uint64_t)l->d->size);
	return 0;
}

/* Starts what may start. Returns how many are neither got nor there. */
static int drive(Pull *p, Err *e)
{
	size_t under_way = transfer_pending(p->worker), left = 0;
	for (size_t i = 0; i < p->n; i++) {
		PullLayer *l = &p->layers[i];
		bool waits = l->state == LAYER_ELSEWHERE && time_monotonic() < l->again;
		if ((l->state == LAYER_MISSING || l->state == LAYER_ELSEWHERE) && !waits && under_way < IN_FLIGHT_MAX) {
			int r = begin_layer(l, e);
			if (r < 0) return r;
			under_way += l->state == LAYER_UNDER_WAY;
		}
		if (l->state == LAYER_FAILED) {
			*e = l->e;
			return -(e->errnum ? e->errnum : EIO);
		}
		left += l->state != LAYER_GOT && l->state != LAYER_THERE;
	}
	return (int)left;
}

static int add_layers(Pull *p, StoreBatch *batch, Err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		PullLayer *l = &p->layers[i];
		if (l->state != LAYER_GOT) continue;
		int r = batch_add_layer(batch, &l->facts, &l->tar, &l->index, e);
		if (r >= 0 && !p->o->drop_blobs) r = batch_add_blob(batch, &l->d->digest, (uint64_t)l->d->size, &l->blob, e);
		if (r < 0) return r;
		ingest_drop(p->store, &l->blob);
		l->state = LAYER_THERE;
	}
	return 0;
}

/* hand_over: into the store with what has arrived: those who fetch the layers that this pull waits for may wait for these. */
static int hand_over(Pull *p, Err *e)
{
	AUTO_BATCH StoreBatch batch = BATCH_INIT(p->store, p->arena);
	int r = add_layers(p, &batch, e);
	return r < 0 || !batch.first ? r : batch_commit(&batch, e);
}

static int get_layers(Pull *p, Err *e)
{
	int left;
	while ((left = drive(p, e)) > 0) {
		int r = transfer_dispatch(p->worker, POLL_MS, e);
		if (r < 0) return r;
		if (r > 0 || transfer_pending(p->worker)) continue;
		if ((r = hand_over(p, e)) < 0) return r;
		usleep(POLL_MS * 1000); /* others are at work on all that is left */
	}
	return left;
}

/* ---- the store ---- */

static int add_image(Pull *p, ImageRecord *record, Err *e)
{
	const Reference *ref = p->o->reference;
	Digest *blobs = arena_array(p->arena, p->n + 1, sizeof *blobs);
	if (!blobs) return no_memory(e);
	for (size_t i = 0; i < p->n; i++)
		blobs[i] = p->layers[i].d->digest;
	*record = (ImageRecord){ .manifest = p->manifest,
				 .media_type = p->document.media_type,
				 .config = p->document.manifest.config.digest,
				 .target = p->target,
				 .platform = &p->config.platform,
				 .created = p->config.created,
				 .contents = p->contents.items,
				 .n_contents = p->contents.n,
				 .diff_ids = p->config.rootfs.diff_ids.items,
				 .blobs = blobs,
				 .n_layers = p->n };
	const char *repository = reference_name(ref, p->arena);
	Reference named = *ref;
	named.digest = (Digest){ 0 };
	const char *name = ref->tag ? reference_format(&named, p->arena) : NULL;
	if (!repository || (ref->tag && !name)) return no_memory(e);
	int r = batch_add_image(&p->batch, record, e);
	if (r >= 0 && name && !ref->digest.algorithm) r = batch_add_name(&p->batch, name, &p->manifest, e);
	return r < 0 ? r : batch_add_repo_digest(&p->batch, repository, &p->target, &p->manifest, e);
}

static int run(Pull *p, ImageRecord *record, Err *e)
{
	int r;
	if ((r = find_manifest(p, e)) < 0 || (r = get_config(p, e)) < 0 || (r = plan_layers(p, e)) < 0) return r;
	if ((r = get_layers(p, e)) < 0 || (r = add_layers(p, &p->batch, e)) < 0 || (r = add_image(p, record, e)) < 0) return r;
	return batch_commit(&p->batch, e);
}

static void pull_done(Pull *p)
{
	transfer_stop(p->worker);
	for (size_t i = 0; i < p->n; i++)
		drop_files(&p->layers[i]);
	batch_done(&p->batch);
}

int image_pull(ImageStore *s, const PullOptions *o, Arena *a, PullResult *ret, Err *e)
{
	AUTO(pull_done) Pull p = { .store = s, .o = o, .arena = a, .batch = BATCH_INIT(s, a) };
	ImageRecord record;
	Image before = { 0 };
	Err ignored = ERR_INIT;
	const char *name = reference_format(o->reference, a), *familiar = reference_familiar(o->reference, a);
	if (!name || !familiar) return no_memory(e);
	bool had = image_find(s, name, a, &before, &ignored) >= 0;
	int r = transfer_start(&(TransferOptions){ .program = o->worker }, &p.worker, e);
	if (r < 0) return r;
	if ((r = run(&p, &record, e)) < 0) return err_wrap(e, "pull %s", familiar);
	char text[DIGEST_TEXT_MAX];
	r = image_find(s, digest_format(&record.manifest, text), a, &ret->image, e);
	ret->newer = !had || !digest_equal(&before.manifest, &record.manifest);
	/* so that the first mount need not. Only root can mount it. */
	if (r >= 0 && geteuid() == 0) (void)!snapshot_prepare(s, &ret->image, &ignored);
	return r;
}
