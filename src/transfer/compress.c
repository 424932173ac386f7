/* compress.c: a tar into a blob for pushing. The same tar, format and level give the same bytes, whatever the machine's cores.
 *
 * gzip: blocks of BLOCK bytes are deflated by several threads, each by itself, and put one after the other: one member, which any reader
 * takes (gzip.h). zstd: the library's own threads.
 */
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "transfer/body.h"
#include "transfer/gzip.h"
#include "transfer/thread.h"
#include "transfer/zstd.h"

enum { BLOCK = 1 << 20, OUT_ROOM = BLOCK + BLOCK / 512 + 4096, SLOTS_MAX = 8, READ_SIZE = 256 << 10 };

typedef struct Compress {
	Job *job;
	uint64_t size, pos; /* of the tar; read so far */
	Hash *tar_hash;
	Body out;
} Compress;

static int read_exactly(int fd, uint8_t *p, size_t n, uint64_t at, Err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = TEMP_FAILURE_RETRY(pread(fd, p + done, n - done, (off_t)(at + done)));
		if (k < 0) return err_sys(e, errno, "read the tar at byte %" PRIu64, at + done);
		if (k == 0) return err_set(e, ERR_IO, EIO, "the tar became shorter while it was read");
		done += (size_t)k;
	}
	return 0;
}

/* ---- gzip ---- */

typedef struct Slot {
	uint8_t *in, *out;
	size_t n_in, n_out;
	bool done;
} Slot;

typedef struct Gzipping {
	Compress *c;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	Slot slots[SLOTS_MAX];
	unsigned n;
	uint64_t blocks, next, head;
	bool stop;
	int r;
	Err e;
} Gzipping;

static void fail(Gzipping *g, int r, const Err *e)
{
	pthread_mutex_lock(&g->lock);
	if (!g->stop) {
		g->stop = true;
		g->r = r;
		g->e = *e;
	}
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static Slot *claim(Gzipping *g, uint64_t *ret_block)
{
	Slot *s = NULL;
	pthread_mutex_lock(&g->lock);
	while (!g->stop && g->next < g->blocks && g->next - g->head >= g->n)
		pthread_cond_wait(&g->changed, &g->lock);
	if (!g->stop && g->next < g->blocks) {
		*ret_block = g->next;
		s = &g->slots[g->next++ % g->n];
		s->done = false;
	}
	pthread_mutex_unlock(&g->lock);
	return s;
}

static int deflate_slot(Gzipping *g, GzipBlock *b, Slot *s, uint64_t block, Err *e)
{
	uint64_t at = block * BLOCK, left = g->c->size - at;
	s->n_in = left < BLOCK ? (size_t)left : BLOCK;
	int r = read_exactly(g->c->job->input, s->in, s->n_in, at, e);
	if (r < 0) return r;
	r = gzip_block_deflate(b, s->in, s->n_in, s->out, OUT_ROOM, &s->n_out);
	if (r < 0) return err_sys(e, r, "gzip: compress the block at byte %" PRIu64, at);
	pthread_mutex_lock(&g->lock);
	s->done = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	return 0;
}

static void *deflater(void *arg)
{
	Gzipping *g = arg;
	Err e = ERR_INIT;
	GzipBlock *b = NULL;
	uint64_t block = 0;
	int r = gzip_block_new(g->c->job->req.level, &b);
	if (r < 0) err_sys(&e, r, "gzip");
	for (Slot *s; r >= 0 && (s = claim(g, &block));)
		r = deflate_slot(g, b, s, block, &e);
	if (r < 0) fail(g, r, &e);
	gzip_block_free(b);
	return NULL;
}

/* write_blocks: by the job's thread, in order. */
static int write_blocks(Gzipping *g, uint32_t *crc, Err *e)
{
	Compress *c = g->c;
	while (g->head < g->blocks) {
		Slot *s = &g->slots[g->head % g->n];
		pthread_mutex_lock(&g->lock);
		while (!g->stop && (g->head == g->next || !s->done))
			pthread_cond_wait(&g->changed, &g->lock);
		bool stop = g->stop;
		pthread_mutex_unlock(&g->lock);
		if (stop) return 0;
		hash_update(c->tar_hash, s->in, s->n_in);
		*crc = gzip_crc(*crc, s->in, s->n_in);
		c->pos += s->n_in;
		int r = body_put(&c->out, NULL, s->out, s->n_out, e);
		if (r >= 0) r = job_check(c->job, e);
		if (r < 0) return r;
		job_progress(c->job, c->pos, c->size, 0);
		pthread_mutex_lock(&g->lock);
		g->head++;
		pthread_cond_broadcast(&g->changed);
		pthread_mutex_unlock(&g->lock);
	}
	return 0;
}

static int write_gzip(Gzipping *g, Err *e)
{
	uint32_t crc = 0, length = (uint32_t)g->c->size;
	uint8_t end[8];
	int r = body_put(&g->c->out, NULL, GZIP_HEADER, sizeof GZIP_HEADER - 1, e);
	if (r >= 0) r = write_blocks(g, &crc, e);
	if (r < 0 || g->head < g->blocks) return r;
	for (int i = 0; i < 4; i++) {
		end[i] = (uint8_t)(crc >> 8 * i);
		end[4 + i] = (uint8_t)(length >> 8 * i);
	}
	r = body_put(&g->c->out, NULL, GZIP_TAIL, sizeof GZIP_TAIL - 1, e);
	return r < 0 ? r : body_put(&g->c->out, NULL, end, sizeof end, e);
}

static int run_gzip(Gzipping *g, Err *e)
{
	pthread_t threads[SLOTS_MAX];
	unsigned started = 0, cores = thread_cores();
	Err own = ERR_INIT;
	while (started < cores && started < g->n && thread_start(&threads[started], deflater, g) == 0)
		started++;
	int r = started ? write_gzip(g, &own) : err_set(&own, ERR_RESOURCE, EAGAIN, "gzip: no threads");
	fail(g, r, &own); /* or the end: without effect on what failed before */
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (g->r < 0) *e = g->e;
	return g->r;
}

static int compress_gzip(Compress *c, Err *e)
{
	Gzipping g = { .c = c, .blocks = (c->size + BLOCK - 1) / BLOCK, .e = ERR_INIT };
	int r = 0;
	g.n = 2 * thread_cores() < SLOTS_MAX ? 2 * thread_cores() : SLOTS_MAX;
	pthread_mutex_init(&g.lock, NULL);
	pthread_cond_init(&g.changed, NULL);
	for (unsigned i = 0; i < g.n && r == 0; i++) {
		g.slots[i].in = malloc(BLOCK);
		g.slots[i].out = malloc(OUT_ROOM);
		if (!g.slots[i].in || !g.slots[i].out) r = err_set(e, ERR_RESOURCE, ENOMEM, "gzip: out of memory");
	}
	if (r == 0) r = run_gzip(&g, e);
	for (unsigned i = 0; i < g.n; i++) {
		free(g.slots[i].in);
		free(g.slots[i].out);
	}
	pthread_cond_destroy(&g.changed);
	pthread_mutex_destroy(&g.lock);
	return r;
}

/* ---- zstd ---- */

static int zstd_out(void *arg, const void *p, size_t n, Err *e)
{
	return body_put(arg, NULL, p, n, e);
}

static int feed_zstd(Compress *c, ZstdWriter *w, uint8_t *buffer, Err *e)
{
	while (c->pos < c->size) {
		uint64_t left = c->size - c->pos;
		size_t n = left < READ_SIZE ? (size_t)left : READ_SIZE;
		int r = read_exactly(c->job->input, buffer, n, c->pos, e);
		if (r < 0) return r;
		hash_update(c->tar_hash, buffer, n);
		c->pos += n;
		r = zstd_writer_put(w, buffer, n, e);
		if (r >= 0) r = job_check(c->job, e);
		if (r < 0) return r;
		job_progress(c->job, c->pos, c->size, 0);
	}
	return zstd_writer_finish(w, e);
}

static int compress_zstd(Compress *c, Err *e)
{
	ZstdWriter *w = NULL;
	unsigned threads = thread_cores();
	AUTO_FREE uint8_t *buffer = malloc(READ_SIZE);
	if (!buffer) return err_set(e, ERR_RESOURCE, ENOMEM, "zstd: out of memory");
	int r = zstd_writer_new(c->job->req.level, threads < 4 ? threads : 4, zstd_out, &c->out, &w, e);
	if (r >= 0) r = feed_zstd(c, w, buffer, e);
	zstd_writer_free(w);
	return r;
}

/* ---- both ---- */

static int finish(Compress *c, Err *e)
{
	Job *j = c->job;
	Digest tar, blob;
	char text[DIGEST_TEXT_MAX];
	if (hash_final(c->tar_hash, &tar) < 0 || hash_final(c->out.hash, &blob) < 0)
		return err_set(e, ERR_INTERNAL, EIO, "digests of the layer");
	if (j->req.diff_id && !streq(j->req.diff_id, digest_format(&tar, text)))
		return err_set(e, ERR_SECURITY, EILSEQ, "the tar is %s, but %s was expected", text, j->req.diff_id);
	j->result.diff_id = job_string(j, digest_format(&tar, text));
	j->result.digest = job_string(j, digest_format(&blob, text));
	j->result.tar_size = c->size;
	j->result.size = c->out.n;
	j->result.compression = j->req.compression;
	return j->result.diff_id && j->result.digest ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "layer: out of memory");
}

int op_layer_compress(Job *j, Err *e)
{
	struct stat st;
	AUTO_HASH *tar = NULL, *blob = NULL;
	bool gzip = j->req.compression == COMPRESSION_GZIP;
	if (j->req.level < 0 || j->req.level > (gzip ? 9 : 19))
		return err_set(e, ERR_CONFIG, EINVAL, "level %d: 0 (the default) to %d", (int)j->req.level, gzip ? 9 : 19);
	if (fstat(j->input, &st) < 0) return err_sys(e, errno, "stat the tar");
	if (!S_ISREG(st.st_mode)) return err_set(e, ERR_CONFIG, EINVAL, "the tar is not a regular file");
	if (hash_new(DIGEST_SHA256, &tar) < 0 || hash_new(DIGEST_SHA256, &blob) < 0)
		return err_set(e, ERR_RESOURCE, ENOMEM, "layer: out of memory");
	Compress c = { .job = j, .size = (uint64_t)st.st_size, .tar_hash = tar, .out = { .fd = j->body, .hash = blob } };
	int r = body_begin(&c.out, e);
	if (r >= 0) r = gzip ? compress_gzip(&c, e) : compress_zstd(&c, e);
	return r < 0 ? r : finish(&c, e);
}
