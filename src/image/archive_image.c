/* archive_image.c: one image of an archive into the store: its layers by the worker, then all in one batch. */
#include "base/hash.h"
#include "image/archive_impl.h"

enum { NAME_ROOM = 400 };

int load_worker(Load *l, Err *e)
{
	if (l->client) return 0;
	return transfer_start(&(TransferOptions){ .program = l->req->worker, .offline = true }, &l->client, e);
}

/* ---- layers ---- */

/* Jobs: the layers of an image that have to be read, each once. */
typedef struct Jobs {
	LayerImport *items;
	ArchivePart *parts;
	size_t n;
} Jobs;

static bool is_plain(const LoadLayer *y)
{
	return digest_equal(&y->blob, &y->diff_id);
}

/* The same layer further down in this image: its files are in the works already. */
static const LoadLayer *find_same(const LoadImage *m, const LoadLayer *y)
{
	for (const LoadLayer *i = m->layers; i < y; i++)
		if (digest_equal(&i->diff_id, &y->diff_id) &&
		    (streq(i->path, y->path) || (y->blob.algorithm && digest_equal(&i->blob, &y->blob))))
			return i;
	return NULL;
}

static bool layer_in_works(const LoadImage *m, const LoadLayer *y)
{
	for (const LoadLayer *i = m->layers; i < y; i++)
		if (digest_equal(&i->diff_id, &y->diff_id)) return true;
	return false;
}

/* Is the blob known to be that layer? -EILSEQ when it is known to be another. */
static int check_form(const Load *l, const LoadLayer *y, Err *e)
{
	Digest known;
	char text[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX];
	int r = layer_of_blob(l->store, &y->blob, &known, e);
	if (r <= 0 || digest_equal(&known, &y->diff_id)) return r;
	digest_format(&y->blob, text);
	return err_set(e, ERR_SECURITY, EILSEQ, "layer %s: its tar is %s, another than the configuration says", text,
		       digest_format(&known, got));
}

static int add_job(Load *l, LoadLayer *y, Jobs *jobs, Err *e)
{
	ArchivePart *p = &jobs->parts[jobs->n];
	LayerImport *i = &jobs->items[jobs->n];
	*p = ARCHIVE_PART_NONE;
	int r = archive_part(l->source, y->path, p, e);
	if (r < 0) return r;
	y->job = jobs->n++;
	*i = LAYER_IMPORT_INIT;
	if (y->blob.algorithm && y->size != p->size)
		return err_set(e, ERR_CONFIG, EBADMSG, "archive: \"%.256s\": %ju bytes long, its descriptor says %ju", y->path,
			       (uintmax_t)p->size, (uintmax_t)y->size);
	i->fd = p->fd;
	i->part = true;
	i->offset = p->offset;
	i->size = p->size;
	i->diff_id = &y->diff_id;
	i->expected = y->blob.algorithm ? &y->blob : NULL;
	return 0;
}

/* What has to be read of layer y. have_layer, have_blob: what the store holds. */
static int plan_layer(Load *l, const LoadImage *m, LoadLayer *y, bool have_layer, bool have_blob, Jobs *jobs, Arena *a, Err *e)
{
	const LoadLayer *same = find_same(m, y);
	y->job = SIZE_MAX;
	if (same) {
		y->job = same->job;
		return 0;
	}
	int known = 0;
	if (have_layer && y->blob.algorithm) {
		if (is_plain(y)) return 0;
		if ((known = check_form(l, y, e)) < 0) return known;
		if (known && have_blob) return 0;
	}
	int r = add_job(l, y, jobs, e);
	if (r < 0) return r;
	LayerImport *i = &jobs->items[y->job];
	i->tar = i->index = !have_layer && !layer_in_works(m, y);
	i->copy = !have_blob && !(y->blob.algorithm && is_plain(y));
	i->name = arena_printf(a, "layer \"%.256s\"", y->path);
	return i->name ? 0 : err_sys(e, ENOMEM, "load an image");
}

/* What the store has is leased first: nobody takes it away meanwhile. */
static int plan(Load *l, LoadImage *m, Jobs *jobs, Arena *a, Err *e)
{
	size_t n = m->n_layers;
	Digest *ids = arena_array(a, n + 1, sizeof *ids), *blobs = arena_array(a, n + 1, sizeof *blobs);
	bool *have = arena_array(a, 2 * n + 1, sizeof *have);
	jobs->items = arena_array(a, n + 1, sizeof *jobs->items);
	jobs->parts = arena_array(a, n + 1, sizeof *jobs->parts);
	if (!ids || !blobs || !have || !jobs->items || !jobs->parts) return err_sys(e, ENOMEM, "load an image");
	for (size_t i = 0; i < n; i++) {
		ids[i] = m->layers[i].diff_id;
		blobs[i] = m->layers[i].blob.algorithm ? m->layers[i].blob : ids[i];
	}
	int r = lease_layers(l->store, ids, n, have, e);
	if (r >= 0) r = lease_contents(l->store, blobs, n, have + n, e);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = plan_layer(l, m, &m->layers[i], have[i], have[n + i], jobs, a, e);
	return r;
}

static int take_blob(Load *l, StoreBatch *b, LoadLayer *y, LayerImport *i, Err *e)
{
	bool there = false;
	if (!y->blob.algorithm) { /* found out just now */
		y->blob = i->blob;
		y->size = i->blob_size;
		y->media_type = media_type_layer(MEDIA_OCI, i->compression);
		int r = lease_contents(l->store, &y->blob, 1, &there, e);
		if (r < 0) return r;
	}
	if (is_plain(y) || there || i->copy_file.fd < 0) return 0; /* its tar is kept anyhow */
	return batch_add_blob(b, &y->blob, y->size, &i->copy_file, e);
}

/* The files that were made, and which blob is which layer. */
static int add_layers(Load *l, LoadImage *m, Jobs *jobs, StoreBatch *b, Err *e)
{
	for (size_t k = 0; k < m->n_layers; k++) {
		LoadLayer *y = &m->layers[k];
		int r = 0;
		if (y->job != SIZE_MAX) {
			LayerImport *i = &jobs->items[y->job];
			r = take_blob(l, b, y, i, e);
			if (r >= 0 && !media_type_is(y->media_type, MEDIA_LAYER))
				return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "%s: layers compressed with %s have no media type", i->name,
					       bind_name(compression_names, (int)i->compression));
			if (r >= 0 && i->tar_file.fd >= 0) r = batch_add_layer(b, &i->facts, &i->tar_file, &i->index_file, e);
		}
		if (r >= 0) r = batch_add_form(b, &y->diff_id, &y->blob, y->size, y->media_type, e);
		if (r < 0) return r;
	}
	return 0;
}

/* ---- documents ---- */

static int add_document(ImageStore *s, StoreBatch *b, const LoadBlob *d, Err *e)
{
	Ingest file = INGEST_NONE;
	bool there;
	int r = lease_contents(s, &d->digest, 1, &there, e);
	if (r < 0 || there) return r;
	if ((r = ingest_new(s, &file, e)) < 0) return r;
	if ((r = fd_write_all(file.fd, d->text, d->n)) < 0) r = err_sys(e, r, "write %s/ingest/%s", s->path, file.name);
	if (r >= 0) r = batch_add_blob(b, &d->digest, d->n, &file, e);
	ingest_drop(s, &file);
	return r;
}

/* A manifest for what came without one. */
static int make_manifest(LoadImage *m, Arena *a, Err *e)
{
	Manifest doc = { .schema_version = 2, .media_type = MEDIA_TYPE_OCI_MANIFEST };
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	doc.config = (Descriptor){ .media_type = MEDIA_TYPE_OCI_CONFIG, .digest = m->config.digest, .size = (int64_t)m->config.n };
	doc.layers.items = arena_array(a, m->n_layers + 1, sizeof *doc.layers.items);
	if (!doc.layers.items) return err_sys(e, ENOMEM, "load an image");
	for (; doc.layers.n < m->n_layers; doc.layers.n++) {
		const LoadLayer *y = &m->layers[doc.layers.n];
		doc.layers.items[doc.layers.n] = (Descriptor){ .media_type = y->media_type, .digest = y->blob, .size = (int64_t)y->size };
	}
	int r = manifest_encode(&doc, &text);
	if (r < 0) return err_sys(e, r, "make a manifest");
	m->manifest.text = arena_str(a, (Str){ text.p, text.n });
	m->manifest.n = text.n;
	m->media_type = MEDIA_TYPE_OCI_MANIFEST;
	if (!m->manifest.text) return err_sys(e, ENOMEM, "load an image");
	r = digest_of(DIGEST_SHA256, text.p, text.n, &m->manifest.digest);
	return r < 0 ? err_sys(e, r, "hash a manifest") : 0;
}

/* ---- the image ---- */

static int fill_record(const LoadImage *m, const Platform *platform, ImageRecord *ret, Arena *a, Err *e)
{
	Digest *contents = arena_array(a, m->n_layers + m->n_indexes + 2, sizeof *contents);
	Digest *ids = arena_array(a, m->n_layers + 1, sizeof *ids), *blobs = arena_array(a, m->n_layers + 1, sizeof *blobs);
	size_t n = 0;
	if (!contents || !ids || !blobs) return err_sys(e, ENOMEM, "load an image");
	contents[n++] = m->manifest.digest;
	contents[n++] = m->config.digest;
	for (size_t i = 0; i < m->n_indexes; i++)
		contents[n++] = m->indexes[i].digest;
	for (size_t i = 0; i < m->n_layers; i++) {
		ids[i] = m->layers[i].diff_id;
		blobs[i] = m->layers[i].blob;
		if (!is_plain(&m->layers[i])) contents[n++] = blobs[i];
	}
	*ret = (ImageRecord){ .manifest = m->manifest.digest,
			      .config = m->config.digest,
			      .media_type = m->media_type,
			      .target = m->n_indexes ? m->indexes[0].digest : m->manifest.digest,
			      .platform = platform,
			      .created = m->parsed.created,
			      .contents = contents,
			      .n_contents = n,
			      .diff_ids = ids,
			      .blobs = blobs,
			      .n_layers = m->n_layers };
	return 0;
}

static int add_all(Load *l, LoadImage *m, StoreBatch *b, ImageRecord *record, Platform *platform, Arena *a, Err *e)
{
	int r = add_document(l->store, b, &m->manifest, e);
	if (r >= 0) r = add_document(l->store, b, &m->config, e);
	for (size_t i = 0; r >= 0 && i < m->n_indexes; i++)
		r = add_document(l->store, b, &m->indexes[i], e);
	if (r >= 0 && platform_normalize(&m->parsed.platform, a, platform) < 0) r = err_sys(e, ENOMEM, "load an image");
	if (r >= 0) r = fill_record(m, platform, record, a, e);
	if (r >= 0) r = batch_add_image(b, record, e);
	for (size_t i = 0; r >= 0 && i < m->names.n; i++)
		r = batch_add_name(b, m->names.items[i], &m->manifest.digest, e);
	return r < 0 ? r : batch_commit(b, e);
}

static void say(const Load *l, const LoadImage *m, Arena *a)
{
	char line[NAME_ROOM], text[DIGEST_TEXT_MAX];
	Err ignored = ERR_INIT;
	if (!l->req->loaded) return;
	for (size_t i = 0; i < m->names.n; i++) {
		Reference ref;
		const char *name = reference_parse(str_of(m->names.items[i]), a, &ref, &ignored) < 0 ? NULL : reference_familiar(&ref, a);
		snprintf(line, sizeof line, "Loaded image: %s", name ?: m->names.items[i]);
		l->req->loaded(l->req->arg, line);
	}
	if (m->names.n) return;
	snprintf(line, sizeof line, "Loaded image ID: %s", digest_format(&m->config.digest, text));
	l->req->loaded(l->req->arg, line);
}

int load_image(Load *l, LoadImage *m, Arena *a, Err *e)
{
	AUTO_BATCH StoreBatch b = BATCH_INIT(l->store, a);
	Jobs jobs = { 0 };
	ImageRecord record;
	Platform platform;
	int r = plan(l, m, &jobs, a, e);
	if (r >= 0 && jobs.n) r = load_worker(l, e);
	if (r >= 0) r = layer_import(l->store, l->client, jobs.items, jobs.n, &l->req->limits, e);
	if (r >= 0) r = add_layers(l, m, &jobs, &b, e);
	if (r >= 0 && !m->manifest.digest.algorithm) r = make_manifest(m, a, e);
	if (r >= 0) r = add_all(l, m, &b, &record, &platform, a, e);
	if (jobs.items) layer_import_drop(l->store, jobs.items, jobs.n);
	for (size_t i = 0; i < jobs.n; i++)
		archive_part_done(&jobs.parts[i]);
	if (r < 0) return r;
	l->loaded++;
	say(l, m, a);
	return 0;
}
