/* import.c: see import.h. The tar as it is becomes the layer; of its compressed form nothing is kept, as it has none that a registry knows. */
#include "image/import.h"

#include "base/time.h"
#include "image/change.h"
#include "image/layer_import.h"
#include "oci/platform.h"

enum { IMPORT_ARENA_MAX = 32 << 20 };

static int make_config(const ImportRequest *req, const Digest *diff_id, Arena *a, ImageConfig *ret, Err *e)
{
	char created[TIME_TEXT_MAX];
	time_format(req->created ?: time_now(), TIME_NANOSECONDS, created);
	*ret = (ImageConfig){ .platform = req->platform ? *req->platform : *platform_host(), .rootfs.type = "layers" };
	ret->created = arena_strdup(a, created);
	ImageHistory step = { .created = ret->created, .comment = req->message && *req->message ? req->message : NULL };
	if (!step.comment) step.comment = arena_printf(a, "Imported from %s", req->source);
	if (!ret->created || !step.comment) return err_sys(e, ENOMEM, "import an image");
	int r = image_change(ret, &req->changes, a, e);
	return r < 0 ? r : image_config_add_step(ret, &step, diff_id, a, e);
}

static int encode(ImageConfig *config, Buf *b, Err *e)
{
	int r = image_config_encode(config, b);
	return r < 0 ? err_set(e, ERR_CONFIG, EFBIG, "the configuration would have more than %d bytes", MANIFEST_MAX) : 0;
}

/* The two documents: of the image, and of what it consists of. */
static int add_documents(StoreBatch *b, const ImportRequest *req, const LayerImport *i, ImageConfig *config, ImageRecord *record, Err *e)
{
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	int r = make_config(req, &i->facts.diff_id, b->arena, config, e);
	if (r >= 0) r = encode(config, &text, e);
	if (r >= 0) r = batch_add_bytes(b, text.p, text.n, &record->config, e);
	if (r < 0) return r;
	Descriptor layer = { .media_type = media_type_layer(MEDIA_OCI, COMPRESSION_NONE),
			     .digest = i->facts.diff_id,
			     .size = (int64_t)i->facts.tar_size };
	Manifest m = { .schema_version = 2,
		       .media_type = MEDIA_TYPE_OCI_MANIFEST,
		       .config = { .media_type = MEDIA_TYPE_OCI_CONFIG, .digest = record->config, .size = (int64_t)text.n },
		       .layers = { &layer, 1 } };
	buf_reset(&text);
	if (manifest_encode(&m, &text) < 0) return err_sys(e, ENOMEM, "import an image");
	record->media_type = m.media_type;
	return batch_add_bytes(b, text.p, text.n, &record->manifest, e);
}

static int add_layer(StoreBatch *b, LayerImport *i, Err *e)
{
	bool there;
	int r = lease_layers(b->store, &i->facts.diff_id, 1, &there, e);
	if (r >= 0 && !there) r = batch_add_layer(b, &i->facts, &i->tar_file, &i->index_file, e);
	if (r < 0) return r;
	return batch_add_form(b, &i->facts.diff_id, &i->facts.diff_id, i->facts.tar_size, media_type_layer(MEDIA_OCI, COMPRESSION_NONE), e);
}

static int commit(ImageStore *s, const ImportRequest *req, LayerImport *i, Digest *ret_id, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(IMPORT_ARENA_MAX);
	AUTO_BATCH StoreBatch b = BATCH_INIT(s, &a);
	ImageConfig config;
	ImageRecord record = { .diff_ids = &i->facts.diff_id, .blobs = &i->facts.diff_id, .n_layers = 1 };
	int r = add_layer(&b, i, e);
	if (r >= 0) r = add_documents(&b, req, i, &config, &record, e);
	if (r < 0) return r;
	const Digest contents[] = { record.manifest, record.config };
	record.target = record.manifest;
	record.platform = &config.platform;
	record.created = config.created;
	record.contents = contents;
	record.n_contents = ARRAY_LEN(contents);
	r = batch_add_image(&b, &record, e);
	if (r >= 0 && req->name) r = batch_add_name(&b, req->name, &record.manifest, e);
	if (r >= 0) r = batch_commit(&b, e);
	if (r >= 0) *ret_id = record.config;
	return r;
}

static bool has_user(const char *url)
{
	const char *authority = strstr(url, "://");
	return authority && memchr(authority + 3, '@', strcspn(authority + 3, "/?#"));
}

/* Told before the tar is read: it may be long. */
static int check_request(const ImportRequest *req, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(IMPORT_ARENA_MAX);
	ImageConfig config;
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	const Digest d = { .algorithm = DIGEST_SHA256 };
	if (req->fd < 0 && has_user(req->source))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "import: a URL with a user or password is not taken: it would stand in the image's history");
	int r = make_config(req, &d, &a, &config, e);
	return r < 0 ? r : encode(&config, &text, e);
}

static int tell(const ImportRequest *req, Err *e)
{
	AUTO_FREE char *line = NULL;
	if (asprintf(&line, "Downloading from %s", req->source) < 0) return err_sys(e, ENOMEM, "import");
	if (req->fetching) req->fetching(req->arg, line);
	return 0;
}

int image_import(ImageStore *s, const ImportRequest *req, Digest *ret_id, Err *e)
{
	TransferClient *client = NULL;
	LayerImport i = LAYER_IMPORT_INIT;
	i.fd = req->fd;
	i.tar = i.index = true;
	i.name = "import";
	if (req->fd < 0) i.url = req->source;
	i.tuning = req->tuning;
	int r = check_request(req, e);
	if (r >= 0) r = lease_layers(s, NULL, 0, NULL, e); /* tidies up */
	if (r >= 0) r = transfer_start(&(TransferOptions){ .program = req->worker, .offline = req->fd >= 0 }, &client, e);
	if (r >= 0 && i.url) r = tell(req, e);
	if (r >= 0) r = layer_import(s, client, &i, 1, &req->limits, e);
	transfer_stop(client);
	if (r >= 0) r = commit(s, req, &i, ret_id, e);
	layer_import_drop(s, &i, 1);
	return r;
}
