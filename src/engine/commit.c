/* commit.c: see commit.h. */
#include "engine/commit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "engine/control.h"
#include "engine/diff.h"
#include "engine/root.h"
#include "engine/start.h"
#include "engine/tree_tar.h"
#include "image/change.h"
#include "image/event.h"
#include "image/layer_import.h"

enum { COMMAND_MAX = 64 << 10, EXPORT_ARENA = 32 << 20 };

/* ---- the layer ---- */

static int to_file(void *arg, const void *p, size_t n, Err *e)
{
	int r = fd_write_all(*(const int *)arg, p, n);
	return r < 0 ? err_sys(e, -r, "write a layer") : 0;
}

/* The root's own attributes are not the container's to change: upper is made with ours. Directories may have been changed: they stay. */
static bool is_no_change(void *arg, const TarEntry *t)
{
	if (t->type == TAR_SYMLINK && t->link) return is_runtime_file(t->path, S_IFLNK, strlen(t->link));
	return !*t->path || (t->type == TAR_FILE && is_runtime_file(t->path, S_IFREG, t->size));
}

static int write_layer(const Engine *g, const Record *c, int fd, Arena *a, Err *e)
{
	AUTO_FD int upper = container_upper(g, c, e);
	if (upper < 0) return upper;
	AUTO_TAR_WRITER *w = tar_writer_new(to_file, &fd);
	AUTO_TREE_TAR t = TREE_TAR_INIT(w);
	if (!w) return err_sys(e, ENOMEM, "commit");
	t.layer = true;
	t.skip = is_no_change;
	int r = userns_maps(&c->host, a, &t.maps, e);
	if (r >= 0) r = tree_tar_add(&t, upper, "", e);
	if (r >= 0) r = tar_writer_finish(w, e);
	if (r < 0) return r;
	return lseek(fd, 0, SEEK_SET) < 0 ? err_sys(e, errno, "commit") : 0;
}

/* A paused container changes nothing while it is read. */
static int write_paused(Engine *g, const Record *c, bool pause, int fd, Arena *a, Err *e)
{
	RunState s;
	int r = engine_state(g, c, a, &s, e);
	if (r < 0) return r;
	pause = pause && s.status == RUN_RUNNING && engine_is_paused(g, c) <= 0;
	Err why = ERR_INIT;
	if (pause && (r = engine_pause(g, c, true, &why)) == -ESRCH) pause = false; /* it has ended meanwhile */
	if (pause && r < 0) {
		*e = why;
		return r;
	}
	r = write_layer(g, c, fd, a, e);
	why = ERR_INIT;
	int woken = pause ? engine_pause(g, c, false, &why) : 0;
	if (r < 0 || woken >= 0 || engine_is_paused(g, c) <= 0) return r;
	*e = why;
	return woken;
}

/* ---- the documents ---- */

/* "sh -c echo x": what made the layer. */
static const char *command_of(const ContainerConfig *c, Arena *a)
{
	AUTO_BUF b = BUF_INIT(COMMAND_MAX);
	for (size_t i = 0; i < c->cmd.n; i++)
		buf_printf(&b, i ? " %s" : "%s", c->cmd.items[i]);
	return buf_failed(&b) ? NULL : arena_strdup(a, buf_str(&b));
}

static ImageDefaults defaults_of(const ContainerConfig *c)
{
	return (ImageDefaults){ .user = c->user,
				.exposed_ports = c->exposed_ports,
				.env = c->env,
				.entrypoint = c->entrypoint,
				.cmd = c->cmd,
				.volumes = c->volumes,
				.working_dir = c->working_dir,
				.labels = c->labels,
				.stop_signal = c->stop_signal,
				.healthcheck = c->healthcheck,
				.on_build = c->on_build,
				.shell = c->shell };
}

static int make_config(const Record *c, const CommitRequest *q, const Digest *diff_id, Arena *a, ImageConfig *config, Err *e)
{
	char created[TIME_TEXT_MAX];
	time_format(time_now(), TIME_NANOSECONDS, created);
	config->created = arena_strdup(a, created);
	config->author = q->author && *q->author ? q->author : NULL;
	config->config = defaults_of(&c->config);
	const ImageHistory step = { .created = config->created,
				    .created_by = command_of(&c->config, a),
				    .author = config->author,
				    .comment = q->message && *q->message ? q->message : NULL };
	if (!config->created || !step.created_by) return err_sys(e, ENOMEM, "commit");
	int r = image_change(config, &q->changes, a, e);
	return r < 0 ? r : image_config_add_step(config, &step, diff_id, a, e);
}

/* Base: the image that the container was made of. */
typedef struct Base {
	Image image;
	Manifest manifest;
	ImageConfig config;
	ImageLayerList layers;
} Base;

static int read_base(Engine *g, const Record *c, Arena *a, Base *ret, Err *e)
{
	char id[DIGEST_TEXT_MAX];
	int r = image_find(g->store, digest_format(&c->image_id, id), a, &ret->image, e);
	if (r >= 0) r = image_documents(g->store, &ret->image, a, &ret->manifest, &ret->config, e);
	if (r >= 0) r = image_layers(g->store, &ret->image.manifest, a, &ret->layers, e);
	return r;
}

/* Layers as the base has them, and the new one as it is. */
static int add_documents(StoreBatch *b, const Base *base, ImageConfig *config, const LayerFacts *f, ImageRecord *record, Err *e)
{
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	size_t n = base->manifest.layers.n;
	Descriptor *layers = arena_array(b->arena, n + 1, sizeof *layers);
	if (!layers) return err_sys(e, ENOMEM, "commit");
	if (n) memcpy(layers, base->manifest.layers.items, n * sizeof *layers);
	layers[n] = (Descriptor){ .media_type = media_type_layer(MEDIA_OCI, COMPRESSION_NONE),
				  .digest = f->diff_id,
				  .size = (int64_t)f->tar_size };
	if (image_config_encode(config, &text) < 0)
		return err_set(e, ERR_CONFIG, EFBIG, "the configuration would have more than %d bytes", MANIFEST_MAX);
	int r = batch_add_bytes(b, text.p, text.n, &record->config, e);
	if (r < 0) return r;
	Manifest m = { .schema_version = 2,
		       .media_type = MEDIA_TYPE_OCI_MANIFEST,
		       .config = { .media_type = MEDIA_TYPE_OCI_CONFIG, .digest = record->config, .size = (int64_t)text.n },
		       .layers = { layers, n + 1 } };
	buf_reset(&text);
	if (manifest_encode(&m, &text) < 0) return err_sys(e, ENOMEM, "commit");
	record->media_type = m.media_type;
	return batch_add_bytes(b, text.p, text.n, &record->manifest, e);
}

/* All layers by both of their digests, and what of the base must stay. */
static int list_layers(const Base *base, const LayerFacts *f, Arena *a, ImageRecord *record, Digest **ret_contents, Err *e)
{
	size_t n = base->layers.n;
	Digest *ids = arena_array(a, n + 1, sizeof *ids), *blobs = arena_array(a, n + 1, sizeof *blobs);
	Digest *contents = arena_array(a, n + 2, sizeof *contents);
	if (!ids || !blobs || !contents) return err_sys(e, ENOMEM, "commit");
	record->n_contents = 2;
	for (size_t i = 0; i < n; i++) {
		const ImageLayer *l = &base->layers.items[i];
		ids[i] = l->diff_id;
		blobs[i] = base->manifest.layers.items[i].digest;
		if (!digest_equal(&blobs[i], &ids[i])) contents[record->n_contents++] = blobs[i];
	}
	ids[n] = blobs[n] = f->diff_id;
	record->diff_ids = ids;
	record->blobs = blobs;
	record->n_layers = n + 1;
	record->contents = *ret_contents = contents;
	return 0;
}

static int lease(ImageStore *s, const ImageRecord *record, Arena *a, Err *e)
{
	bool *there = arena_array(a, record->n_layers, sizeof *there);
	if (!there) return err_sys(e, ENOMEM, "commit");
	return lease_layers(s, record->diff_ids, record->n_layers, there, e);
}

static int add_layer(StoreBatch *b, LayerImport *i, Err *e)
{
	bool there;
	int r = lease_layers(b->store, &i->facts.diff_id, 1, &there, e);
	if (r >= 0 && !there) r = batch_add_layer(b, &i->facts, &i->tar_file, &i->index_file, e);
	if (r < 0) return r;
	return batch_add_form(b, &i->facts.diff_id, &i->facts.diff_id, i->facts.tar_size, media_type_layer(MEDIA_OCI, COMPRESSION_NONE), e);
}

static int put_image(Engine *g, const Record *c, const CommitRequest *q, LayerImport *i, Arena *a, Digest *ret_id, Err *e)
{
	AUTO_BATCH StoreBatch b = BATCH_INIT(g->store, a);
	Base base;
	Digest *contents = NULL;
	ImageRecord record = { 0 };
	int r = read_base(g, c, a, &base, e);
	if (r >= 0) r = list_layers(&base, &i->facts, a, &record, &contents, e);
	if (r >= 0) r = lease(g->store, &record, a, e);
	if (r >= 0) r = add_layer(&b, i, e);
	if (r >= 0) r = make_config(c, q, &i->facts.diff_id, a, &base.config, e);
	if (r >= 0) r = add_documents(&b, &base, &base.config, &i->facts, &record, e);
	if (r < 0) return r;
	contents[0] = record.manifest;
	contents[1] = record.config;
	record.target = record.manifest;
	record.platform = &base.config.platform;
	record.created = base.config.created;
	r = batch_add_image(&b, &record, e);
	if (r >= 0 && q->name) r = batch_add_name(&b, q->name, &record.manifest, e);
	if (r >= 0) r = batch_commit(&b, e);
	if (r >= 0) *ret_id = record.config;
	return r;
}

/* Told before the container is paused and its files are read. */
static int check_changes(const Record *c, const CommitRequest *q, Arena *a, Err *e)
{
	ImageConfig config = { .config = defaults_of(&c->config) };
	return image_change(&config, &q->changes, a, e);
}

static int tell_commit(Engine *g, const Record *c, const CommitRequest *q, const char *id, Arena *a, Err *e)
{
	Reference ref;
	const char *name = "";
	int r = q->name ? reference_parse(str_of(q->name), a, &ref, e) : 0;
	if (r < 0 || (q->name && !(name = reference_familiar(&ref, a)))) return r < 0 ? r : err_sys(e, ENOMEM, "commit");
	image_event(g->store, "create", id, id);
	if (*name) image_event(g->store, "tag", id, name);
	record_event_more(g, c, "commit",
			  (const StrPair[]){ { "comment", q->message ? q->message : "" }, { "imageID", id }, { "imageRef", name } }, 3);
	return 0;
}

int container_commit(Engine *g, const Record *c, const CommitRequest *q, Arena *a, Digest *ret_id, Err *e)
{
	TransferClient *client = NULL;
	const TransferLimits limits = { 0 };
	Ingest file = INGEST_NONE;
	char id[DIGEST_TEXT_MAX];
	int r = check_changes(c, q, a, e);
	if (r >= 0) r = lease_layers(g->store, NULL, 0, NULL, e); /* tidies up */
	if (r >= 0) r = ingest_new(g->store, &file, e);
	if (r >= 0) r = write_paused(g, c, q->pause, file.fd, a, e);
	if (!record_is_there(g, c->id)) r = record_no_such(c->id, e); /* half of its files may have been gone already */
	if (r >= 0) r = transfer_start(&(TransferOptions){ .offline = true }, &client, e);
	LayerImport i = LAYER_IMPORT_INIT;
	i.fd = file.fd;
	i.tar = i.index = true;
	i.name = "commit";
	if (r >= 0) r = layer_import(g->store, client, &i, 1, &limits, e);
	transfer_stop(client);
	if (r >= 0) r = put_image(g, c, q, &i, a, ret_id, e);
	layer_import_drop(g->store, &i, 1);
	ingest_drop(g->store, &file);
	return r < 0 ? r : tell_commit(g, c, q, digest_format(ret_id, id), a, e);
}

/* ---- export ---- */

int container_export(Engine *g, const Record *c, int (*sink)(void *arg, const void *p, size_t n, Err *e), void *arg, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(EXPORT_ARENA);
	AUTO_CONTAINER_ROOT root = CONTAINER_ROOT_NONE;
	AUTO_TAR_WRITER *w = tar_writer_new(sink, arg);
	AUTO_TREE_TAR t = TREE_TAR_INIT(w);
	if (!w) return err_sys(e, ENOMEM, "export");
	int r = container_root_open(g, c, false, &a, &root, e);
	if (r < 0) return r;
	t.one_fs = true;
	t.maps = root.maps;
	if ((r = tree_tar_add(&t, root.fd, "", e)) < 0 || (r = tar_writer_finish(w, e)) < 0) return r;
	record_event(g, c, "export", NULL, NULL);
	return 0;
}
