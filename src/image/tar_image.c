/* tar_image.c: see tar_image.h. */
#include "image/tar_image.h"

#include "image/transfer_client.h"

static void on_event(void *arg, const TransferEvent *ev)
{
	uint64_t *bytes = arg;
	if (ev->kind == TRANSFER_PROGRESS) *bytes = ev->tar_bytes;
}

/* The tar into ingest/: inflated, hashed and indexed. */
static int import(ImageStore *s, const TarImage *t, Ingest *tar, Ingest *index, LayerFacts *ret, uint64_t *bytes, Arena *a, Err *e)
{
	AUTO_TRANSFER TransferClient *c = NULL;
	TransferEvent done;
	int r = ingest_new(s, tar, e);
	if (r >= 0) r = ingest_new(s, index, e);
	if (r >= 0) r = transfer_start(&(TransferOptions){ .program = t->worker, .offline = true }, &c, e);
	if (r < 0) return r;
	TransferRequest req = { .op = TRANSFER_LAYER_IMPORT };
	r = transfer_call(c, &req, &(TransferFds){ .input = t->input, .tar = tar->fd, .index = index->fd }, on_event, bytes, a, &done, e);
	if (r < 0) return r;
	*ret = (LayerFacts){ .tar_size = done.tar_size, .size = done.files_size, .entries = done.entries, .opaque = done.opaque };
	if (!done.diff_id || digest_parse(str_of(done.diff_id), &ret->diff_id) < 0)
		return err_set(e, ERR_INTERNAL, EPROTO, "the worker told no digest");
	return 0;
}

static int add_config(StoreBatch *b, ImageConfig *c, Descriptor *ret, Err *e)
{
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	*ret = (Descriptor){ .media_type = MEDIA_TYPE_OCI_CONFIG };
	if (image_config_encode(c, &text) < 0) return err_sys(e, EFBIG, "encode the configuration");
	ret->size = (int64_t)text.n;
	return batch_add_bytes(b, buf_str(&text), text.n, &ret->digest, e);
}

static int add_manifest(StoreBatch *b, const Manifest *m, Digest *ret, Err *e)
{
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	if (manifest_encode(m, &text) < 0) return err_sys(e, EFBIG, "encode the manifest");
	return batch_add_bytes(b, buf_str(&text), text.n, ret, e);
}

/* Everything but the layer's files: the documents, the image and its name. */
static int add_image(StoreBatch *b, const TarImage *t, const LayerFacts *f, ImageRecord *record, Digest contents[static 2], Err *e)
{
	Arena *a = b->arena;
	ImageConfig *config = arena_alloc(a, sizeof *config);
	Descriptor *layer = arena_alloc(a, sizeof *layer);
	if (!config || !layer) return err_sys(e, ENOMEM, "make an image");
	*config = t->config;
	config->rootfs.type = "layers";
	*layer = (Descriptor){ .media_type = media_type_layer(MEDIA_OCI, COMPRESSION_NONE),
			       .digest = f->diff_id,
			       .size = (int64_t)f->tar_size };
	int r = image_config_add_step(config, &t->step, &f->diff_id, a, e);
	Manifest m = { .schema_version = 2, .media_type = MEDIA_TYPE_OCI_MANIFEST, .layers = { layer, 1 } };
	if (r < 0 || (r = add_config(b, config, &m.config, e)) < 0 || (r = add_manifest(b, &m, &contents[1], e)) < 0) return r;
	contents[0] = m.config.digest;
	*record = (ImageRecord){ .manifest = contents[1],
				 .config = contents[0],
				 .media_type = m.media_type,
				 .target = contents[1],
				 .platform = &config->platform,
				 .created = config->created,
				 .contents = contents,
				 .n_contents = 2,
				 .diff_ids = config->rootfs.diff_ids.items,
				 .blobs = config->rootfs.diff_ids.items,
				 .n_layers = 1 };
	if ((r = batch_add_form(b, &f->diff_id, &f->diff_id, f->tar_size, layer->media_type, e)) < 0) return r;
	if ((r = batch_add_image(b, record, e)) < 0) return r;
	return batch_add_name(b, t->name, &record->manifest, e);
}

static int add_layer(StoreBatch *b, const LayerFacts *f, Ingest *tar, Ingest *index, Err *e)
{
	bool there;
	int r = lease_layers(b->store, &f->diff_id, 1, &there, e);
	return r < 0 || there ? r : batch_add_layer(b, f, tar, index, e);
}

int tar_image_add(ImageStore *s, const TarImage *t, Arena *a, Image *ret, uint64_t *ret_bytes, Err *e)
{
	AUTO_BATCH StoreBatch b = BATCH_INIT(s, a);
	Ingest tar = INGEST_NONE, index = INGEST_NONE;
	LayerFacts facts;
	ImageRecord record;
	Digest contents[2];
	uint64_t bytes = 0;
	int r = import(s, t, &tar, &index, &facts, &bytes, a, e);
	if (ret_bytes) *ret_bytes = bytes;
	if (r >= 0) r = add_layer(&b, &facts, &tar, &index, e);
	if (r >= 0) r = add_image(&b, t, &facts, &record, contents, e);
	if (r >= 0) r = batch_commit(&b, e);
	ingest_drop(s, &tar);
	ingest_drop(s, &index);
	return r < 0 ? r : image_find(s, t->name, a, ret, e);
}
