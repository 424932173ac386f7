/* batch.h: putting an image into the store: all of its files become durable and visible together, in one commit.
 *
 *   AUTO_BATCH StoreBatch b = BATCH_INIT(store, arena);
 *   batch_add_blob(&b, &digest, size, &ingest, e); …
 *   batch_add_image(&b, &record, e);
 *   batch_add_name(&b, "docker.io/library/debian:12", &record.manifest, e);
 *   batch_commit(&b, e);
 *
 * What was added and not committed stays in ingest/, unlocked, when the batch ends.
 */
#pragma once

#include "image/store.h"
#include "oci/image_config.h"

/* LayerFacts: what is known of a layer besides its files. */
typedef struct LayerFacts {
	Digest diff_id;
	uint64_t tar_size, size, entries; /* bytes of the tar; of the files in it; names */
	bool opaque;                      /* hides all layers below */
} LayerFacts;

/* ImageRecord: an image of one platform. Digests and strings are the caller's until the commit. */
typedef struct ImageRecord {
	Digest manifest, config;
	const char *media_type; /* of the manifest */
	Digest target;          /* the index it was chosen from, or manifest again */
	const Platform *platform;
	const char *created;    /* RFC 3339, NULL: not told */
	const Digest *contents; /* all blobs it consists of, these included */
	size_t n_contents;
	const Digest *diff_ids; /* from the lowest up */
	const Digest *blobs;    /* the same layers as they were transferred; algorithm 0: not kept */
	size_t n_layers;
} ImageRecord;

typedef enum { BATCH_BLOB, BATCH_LAYER, BATCH_FORM, BATCH_IMAGE, BATCH_NAME, BATCH_REPO_DIGEST } BatchKind;
typedef struct BatchItem BatchItem;

typedef struct StoreBatch {
	ImageStore *store;
	Arena *arena;
	BatchItem *first, **last;
	bool names;
} StoreBatch;

#define BATCH_INIT(s, a) ((StoreBatch){ .store = (s), .arena = (a) })
void batch_done(StoreBatch *b);
#define AUTO_BATCH AUTO(batch_done)

/* batch_add_blob: the file i becomes the blob d of size bytes; i is the batch's afterwards. batch_add_bytes: the same for bytes, whose digest
 * is computed here (SHA-256). */
int batch_add_blob(StoreBatch *b, const Digest *d, uint64_t size, Ingest *i, Err *e) MUST_USE;
int batch_add_bytes(StoreBatch *b, const void *p, size_t n, Digest *ret, Err *e) MUST_USE;
/* batch_add_layer: tar and index become the layer's files. */
int batch_add_layer(StoreBatch *b, const LayerFacts *f, Ingest *tar, Ingest *index, Err *e) MUST_USE;
/* batch_add_form: the blob is the layer diff_id as it is transferred. The file need not be there (any more). */
int batch_add_form(StoreBatch *b, const Digest *diff_id, const Digest *blob, uint64_t size, const char *media_type, Err *e) MUST_USE;
int batch_add_image(StoreBatch *b, const ImageRecord *r, Err *e) MUST_USE;
/* batch_add_name: name ("docker.io/library/debian:12") means the image of that manifest from now on. */
int batch_add_name(StoreBatch *b, const char *name, const Digest *manifest, Err *e) MUST_USE;
/* batch_add_repo_digest: the repository is known to serve target. */
int batch_add_repo_digest(StoreBatch *b, const char *repository, const Digest *target, const Digest *manifest, Err *e) MUST_USE;

/* batch_commit: durable when it returns 0. On failure nothing of it is visible. */
int batch_commit(StoreBatch *b, Err *e) MUST_USE;
