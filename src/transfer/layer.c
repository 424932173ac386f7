/* layer.c: see layer.h. */
#include "transfer/layer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/hash.h"
#include "image/layer_index.h"
#include "transfer/inflate.h"
#include "transfer/ring.h"
#include "transfer/thread.h"

enum {
	IN_CHUNK = 64 << 10,
	IN_CHUNKS = 8,
	OUT_CHUNK = 256 << 10, /* also of one pwrite */
	OUT_CHUNKS = 6,
	WRITEBACK = 8 << 20,
};

/* Stage: a thread and what came of it. */
typedef struct Stage {
	pthread_t thread;
	bool started;
	int r;
	Err e;
} Stage;

struct Layer {
	LayerSpec spec;
	Ring *in, *out;
	Inflate *inflate;
	Hash *hash;
	LayerIndex *index;
	Stage inflating, writing;
	_Atomic uint64_t written;
	uint64_t flushed; /* bytes whose writeback was begun */
	LayerIndexStats stats;
	Digest diff_id;
};

/* ---- the threads ---- */

static int sink_room(void *arg, uint8_t **ret_p, size_t *ret_n, Err *e)
{
	Layer *l = arg;
	int r = ring_room(l->out, ret_p, ret_n);
	return r < 0 ? err_set(e, ERR_RESOURCE, -r, "layer: %s", err_text(-r)) : 0;
}

static int sink_done(void *arg, size_t n, Err *e)
{
	Layer *l = arg;
	ring_done(l->out, n);
	return 0;
}

static void *inflate_stage(void *arg)
{
	Layer *l = arg;
	Stage *s = &l->inflating;
	const uint8_t *p = NULL;
	size_t n = 0;
	int r;
	while ((r = ring_next(l->in, &p, &n)) > 0) {
		r = inflate_feed(l->inflate, p, n, &s->e);
		if (r < 0) break;
	}
	if (r == 0) r = inflate_finish(l->inflate, &s->e);
	s->r = r;
	if (r < 0) {
		ring_abort(l->in);
		ring_abort(l->out);
	} else {
		ring_end(l->out);
	}
	return NULL;
}

static int write_chunk(Layer *l, const uint8_t *p, size_t n, Err *e)
{
	uint64_t at = atomic_load(&l->written);
	for (size_t done = 0; l->spec.tar >= 0 && done < n;) {
		ssize_t k = TEMP_FAILURE_RETRY(pwrite(l->spec.tar, p + done, n - done, (off_t)(at + done)));
		if (k < 0) return err_sys(e, errno, "write the tar of the layer at byte %" PRIu64, at + done);
		done += (size_t)k;
	}
	at += n;
	atomic_store(&l->written, at);
	if (l->spec.tar >= 0 && at - l->flushed >= WRITEBACK) { /* only begins it; a file system that cannot is slower at the end */
		(void)sync_file_range(l->spec.tar, (off_t)l->flushed, (off_t)(at - l->flushed), SYNC_FILE_RANGE_WRITE);
		l->flushed = at;
	}
	return 0;
}

static int check_entries(const Layer *l, Err *e)
{
	uint64_t max = l->spec.limits->entries;
	if (max && l->stats.entries > max)
		return err_set(e, ERR_RESOURCE, EFBIG, "layer: %" PRIu64 " entries, at most %" PRIu64 " are allowed", l->stats.entries,
			       max);
	return 0;
}

static int finish_outputs(Layer *l, Err *e)
{
	char want[DIGEST_TEXT_MAX];
	int r = hash_final(l->hash, &l->diff_id);
	if (r < 0) return err_sys(e, r, "layer: digest of the tar");
	if (l->spec.diff_id && !streq(digest_format(&l->diff_id, want), l->spec.diff_id))
		return err_set(e, ERR_SECURITY, EILSEQ, "layer: the tar is %s, but %s was expected", want, l->spec.diff_id);
	if (l->index && l->diff_id.algorithm == DIGEST_SHA256) {
		char hex[DIGEST_HEX_MAX];
		layer_index_set_tag(l->index, (const uint8_t *)digest_hex(&l->diff_id, hex));
	}
	(void)sync_file_range(l->spec.tar, 0, 0, SYNC_FILE_RANGE_WRITE); /* the rest; other layers are still on their way */
	r = l->index ? layer_index_finish(l->index, l->spec.index, &l->stats, e) : 0;
	if (r >= 0 && l->index) (void)sync_file_range(l->spec.index, 0, 0, SYNC_FILE_RANGE_WRITE);
	return r < 0 ? r : check_entries(l, e);
}

static void *write_stage(void *arg)
{
	Layer *l = arg;
	Stage *s = &l->writing;
	const uint8_t *p = NULL;
	size_t n = 0;
	int r;
	while ((r = ring_next(l->out, &p, &n)) > 0) {
		hash_update(l->hash, p, n);
		r = write_chunk(l, p, n, &s->e);
		if (r >= 0 && l->index) r = layer_index_feed(l->index, p, n, &s->e);
		if (r < 0) break;
	}
	if (r == 0) r = finish_outputs(l, &s->e);
	s->r = r;
	if (r < 0) ring_abort(l->out);
	return NULL;
}

/* ---- from outside ---- */

static int start_stage(Stage *s, void *(*fn)(void *), Layer *l, Err *e)
{
	int r = thread_start(&s->thread, fn, l);
	if (r < 0) return err_sys(e, r, "layer: start a thread");
	s->started = true;
	return 0;
}

static void join(Stage *s)
{
	if (s->started) pthread_join(s->thread, NULL);
	s->started = false;
}

void layer_free(Layer *l)
{
	if (!l) return;
	if (l->in) ring_abort(l->in);
	if (l->out) ring_abort(l->out);
	join(&l->inflating);
	join(&l->writing);
	ring_free(l->in);
	ring_free(l->out);
	inflate_free(l->inflate);
	hash_free(l->hash);
	layer_index_free(l->index);
	free(l);
}

static int make_index(Layer *l, Err *e)
{
	TarLimits tar = TAR_LIMITS_DEFAULT;
	const LayerIndexOptions options = { .tar_limits = &tar };
	if (l->spec.limits->entries) tar.entries = l->spec.limits->entries;
	int r = layer_index_new(&options, &l->index);
	return r < 0 ? err_sys(e, r, "layer: make an index") : 0;
}

/* diff_id_algorithm: that of the expected diffID, sha256 without one. */
static int diff_id_algorithm(const LayerSpec *spec, uint8_t *ret, Err *e)
{
	Digest d = { .algorithm = DIGEST_SHA256 };
	if (spec->diff_id && digest_parse(str_of(spec->diff_id), &d) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "layer: \"%s\" is not a digest", spec->diff_id);
	*ret = d.algorithm;
	return 0;
}

static int prepare(Layer *l, Err *e)
{
	uint8_t algorithm = 0;
	const InflateSink sink = { .room = sink_room, .done = sink_done, .arg = l };
	if (l->spec.tar >= 0 && ftruncate(l->spec.tar, 0) < 0) return err_sys(e, errno, "layer: empty the tar's file");
	if (l->spec.index >= 0 && ftruncate(l->spec.index, 0) < 0) return err_sys(e, errno, "layer: empty the index's file");
	int r = diff_id_algorithm(&l->spec, &algorithm, e);
	if (r < 0) return r;
	r = inflate_new(l->spec.compression, l->spec.limits, &sink, &l->inflate, e);
	if (r < 0) return r;
	r = hash_new(algorithm, &l->hash);
	if (r >= 0) r = ring_new(IN_CHUNK, IN_CHUNKS, &l->in);
	if (r >= 0) r = ring_new(OUT_CHUNK, OUT_CHUNKS, &l->out);
	if (r < 0) return err_sys(e, r, "layer: prepare");
	return l->spec.index >= 0 ? make_index(l, e) : 0;
}

int layer_new(const LayerSpec *spec, Layer **ret, Err *e)
{
	AUTO_LAYER *l = calloc(1, sizeof *l);
	if (!l) return err_set(e, ERR_RESOURCE, ENOMEM, "layer: out of memory");
	l->spec = *spec;
	int r = prepare(l, e);
	if (r >= 0) r = start_stage(&l->writing, write_stage, l, e);
	if (r >= 0) r = start_stage(&l->inflating, inflate_stage, l, e);
	if (r < 0) return r;
	*ret = take(l);
	return 0;
}

int layer_feed(Layer *l, const void *p, size_t n)
{
	return ring_put(l->in, p, n);
}

int layer_finish(Layer *l, LayerResult *ret, Err *e)
{
	ring_end(l->in);
	join(&l->inflating);
	join(&l->writing);
	/* the one that is not just told about the other's failure knows the reason */
	const Stage *s = l->writing.r < 0 && l->writing.e.code != ERR_NONE ? &l->writing : &l->inflating;
	if (s->r < 0) {
		*e = s->e;
		return s->r;
	}
	*ret = (LayerResult){
		.diff_id = l->diff_id,
		.tar_size = atomic_load(&l->written),
		.entries = l->stats.entries,
		.files_size = l->stats.size,
		.opaque = l->stats.root_opaque,
		.compression = inflate_compression(l->inflate),
	};
	return 0;
}

uint64_t layer_written(const Layer *l)
{
	return atomic_load(&l->written);
}
