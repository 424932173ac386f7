/* layer.h: one pass over a layer: compressed bytes in; out come the raw tar, its digest (the diffID) and the index over it.
 *
 *   layer_feed -> ring -> [inflate] -> ring -> [sha256, pwrite, index]
 *
 * Two threads per layer, one for each pair of brackets, because inflating takes about as long as the rest together. Memory: both rings, the
 * decompressor's window, and the index of the tree. Early writeback keeps the final fdatasync, which is the caller's, short.
 */
#pragma once

#include "base/digest.h"
#include "base/err.h"
#include "image/transfer_wire.h"

typedef struct Layer Layer;

typedef struct LayerSpec {
	int tar, index;  /* descriptors, not owned; both are emptied first. -1: not kept, not made */
	int compression; /* Compression expected */
	const TransferLimits *limits;
	const char *diff_id; /* expected; NULL: any */
} LayerSpec;

typedef struct LayerResult {
	Digest diff_id;
	uint64_t tar_size, entries, files_size;
	bool opaque;
	int compression;
} LayerResult;

int layer_new(const LayerSpec *spec, Layer **ret, Err *e) MUST_USE;
/* layer_free: ends the threads, whatever they do. */
void layer_free(Layer *l);
static inline void auto_layer(Layer **l)
{
	layer_free(*l);
}
#define AUTO_LAYER AUTO(auto_layer) Layer

/* layer_feed: the next bytes of the blob; waits while the threads are behind. After a failure inside of them -EPIPE without a message:
 * layer_finish has it. */
int layer_feed(Layer *l, const void *p, size_t n) MUST_USE;
/* layer_finish: waits for the end; once. -EBADMSG, -EFBIG or -EINVAL: the layer is bad; -EILSEQ: it is not what diff_id says;
 * others: it could not be written. */
int layer_finish(Layer *l, LayerResult *ret, Err *e) MUST_USE;
/* layer_written: tar bytes so far. For progress, from any thread. */
uint64_t layer_written(const Layer *l);
