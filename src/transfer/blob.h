/* blob.h: a blob being got: what has arrived goes through here in order, whichever way it came. */
#pragma once

#include "base/hash.h"
#include "transfer/layer.h"
#include "transfer/session.h"

typedef struct Blob {
	Job *job;
	Digest want;
	Hash *hash;
	Layer *layer;   /* NULL: none is wanted, or it has failed */
	bool bad_layer; /* layer_error tells why; the digest decides whose fault it is */
	bool proven;    /* the digest is right: what is wrong with the layer is wrong wherever it comes from */
	Err layer_error;
	int layer_errnum;
	uint64_t pos;     /* bytes taken */
	uint64_t flushed; /* bytes of the file whose writeback was begun, or need not be */
} Blob;

/* BlobSource: one place to get it from. */
typedef struct BlobSource {
	Session *session; /* NULL: a foreign URL, asked without any credentials */
	const char *url;
} BlobSource;

/* blob_take: the next n bytes. An error is one of this machine: a layer that is bad is kept for later. -EPROTO: more than its size. */
int blob_take(Blob *b, const void *p, size_t n, Err *e) MUST_USE;

/* blob_source_once: one request to the source. */
int blob_source_once(Blob *b, const BlobSource *source, HttpRequest *req, HttpResponse *res, Err *e) MUST_USE;
/* blob_check_start: does the answer begin at byte `start`? Also checks the size that it announces. *ret_skip: bytes to drop first, where the
 * whole blob comes although a part was asked for. */
int blob_check_start(const Blob *b, const HttpResponse *res, uint64_t start, uint64_t *ret_skip, Err *e) MUST_USE;

enum { BLOB_SEGMENT = 2 << 20, BLOB_RANGES_FROM = 16 << 20 };
/* blob_ranges: the rest of the blob by parallel requests of BLOB_SEGMENT bytes. -EOPNOTSUPP: this source has no ranges, or there is no memory
 * to spare; what has arrived stays. */
int blob_ranges(Blob *b, const BlobSource *source, Err *e) MUST_USE;
