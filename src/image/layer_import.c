/* layer_import.c: see layer_import.h. */
#include "image/layer_import.h"

enum { WINDOW = 8 }; /* more than the worker has cores: it queues them */

typedef struct LayerImports {
	ImageStore *store;
	TransferClient *client;
	const TransferLimits *limits;
	size_t pending;
	int failed; /* negative errno of the first failure, which is in e */
	Err *e;
} LayerImports;

static int fail(LayerImports *all, const LayerImport *i, const Err *why)
{
	if (all->failed) return all->failed;
	*all->e = *why;
	return all->failed = i->name ? err_wrap(all->e, "%s", i->name) : -(why->errnum ?: EIO);
}

static int take_result(LayerImport *i, const TransferEvent *ev, Err *e)
{
	if (digest_parse(str_of(ev->digest), &i->blob) < 0 || (ev->diff_id && digest_parse(str_of(ev->diff_id), &i->facts.diff_id) < 0))
		return err_set(e, ERR_IO, EPROTO, "skep-transfer answered without a digest");
	if ((i->diff_id && !digest_equal(i->diff_id, &i->facts.diff_id)) || (i->expected && !digest_equal(i->expected, &i->blob)))
		return err_set(e, ERR_IO, EPROTO, "skep-transfer answered with another layer");
	i->blob_size = ev->size;
	i->compression = (Compression)ev->compression;
	i->facts.tar_size = ev->tar_size;
	i->facts.entries = ev->entries;
	i->facts.size = ev->files_size;
	i->facts.opaque = ev->opaque;
	return 0;
}

static void on_event(void *arg, const TransferEvent *ev)
{
	LayerImport *i = arg;
	LayerImports *all = i->all;
	Err why = ERR_INIT;
	int r = 0;
	if (ev->kind != TRANSFER_DONE && ev->kind != TRANSFER_FAILED) return;
	i->ended = true;
	all->pending--;
	if (ev->kind == TRANSFER_FAILED)
		r = transfer_event_error(ev, &why);
	else
		r = take_result(i, ev, &why);
	if (r < 0) fail(all, i, &why);
}

static int open_files(LayerImports *all, LayerImport *i, Err *e)
{
	int r = i->tar ? ingest_new(all->store, &i->tar_file, e) : 0;
	if (r >= 0 && i->index) r = ingest_new(all->store, &i->index_file, e);
	if (r >= 0 && i->copy) r = ingest_new(all->store, &i->copy_file, e);
	return r;
}

static int fd_or_none(const Ingest *i)
{
	return i->fd >= 0 ? i->fd : 0;
}

static int start(LayerImports *all, LayerImport *i, Err *e)
{
	char diff_id[DIGEST_TEXT_MAX], expected[DIGEST_TEXT_MAX];
	TransferRequest req = {
		.op = i->url ? TRANSFER_LAYER_FETCH : TRANSFER_LAYER_IMPORT, .part = i->part, .offset = i->offset, .size = i->size
	};
	const char *urls[] = { i->url, NULL };
	i->all = all;
	int r = open_files(all, i, e);
	if (r < 0) return r;
	req.tuning = i->tuning;
	if (i->url) req.urls = (StrList){ urls, 1 };
	if (all->limits) req.limits = *all->limits;
	if (!req.limits.ratio) req.limits.ratio = TRANSFER_RATIO;
	if (i->diff_id) req.diff_id = digest_format(i->diff_id, diff_id);
	if (i->expected) req.digest = digest_format(i->expected, expected);
	const TransferFds fds = {
		.body = fd_or_none(&i->copy_file), .tar = fd_or_none(&i->tar_file), .index = fd_or_none(&i->index_file), .input = i->fd
	};
	r = transfer_send(all->client, &req, &fds, on_event, i, &i->id, e);
	if (r >= 0) all->pending++;
	return r;
}

/* Nobody waits for what nobody wants any more. */
static void cancel_all(LayerImports *all, LayerImport *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (items[i].id && !items[i].ended) (void)!transfer_cancel(all->client, items[i].id);
}

int layer_import(ImageStore *s, TransferClient *c, LayerImport *items, size_t n, const TransferLimits *limits, Err *e)
{
	Err first = ERR_INIT, why = ERR_INIT;
	LayerImports all = { .store = s, .client = c, .limits = limits, .e = &first };
	size_t next = 0;
	bool cancelled = false;
	while (all.pending || (next < n && !all.failed)) {
		for (; next < n && !all.failed && all.pending < WINDOW; next++)
			if (start(&all, &items[next], &why) < 0) fail(&all, &items[next], &why);
		if (all.failed && !cancelled) cancel_all(&all, items, next);
		cancelled = all.failed;
		/* a worker that is gone fails all that is pending by itself */
		if (all.pending && transfer_dispatch(c, -1, &why) < 0 && all.pending) break;
	}
	if (!all.failed && all.pending) fail(&all, &items[next - 1], &why);
	if (all.failed) *e = first;
	return all.failed;
}

void layer_import_drop(const ImageStore *s, LayerImport *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ingest_drop(s, &items[i].tar_file);
		ingest_drop(s, &items[i].index_file);
		ingest_drop(s, &items[i].copy_file);
	}
}
