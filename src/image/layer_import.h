/* layer_import.h: layers from files into ingest/, by the worker: inflated, hashed, indexed. Many at once. */
#pragma once

#include "image/batch.h"
#include "image/transfer_client.h"

typedef struct LayerImport {
	/* what is imported: fd from its beginning to its end, or (part) size bytes at offset */
	int fd;
	const char *url; /* fetched from there instead; NULL: fd */
	TransferTuning tuning;
	bool part;
	uint64_t offset, size;
	const char *name;       /* for messages: "layer blobs/sha256/…" */
	const Digest *diff_id;  /* what the tar must hash to; NULL: whatever it does */
	const Digest *expected; /* what the bytes must hash to; NULL: the same */
	bool tar, index, copy;  /* what is wanted of it: else it is only checked */

	/* what came of it */
	LayerFacts facts; /* size, entries and opaque with index only */
	Digest blob;      /* of the bytes as they were */
	uint64_t blob_size;
	Compression compression;
	Ingest tar_file, index_file, copy_file;

	/* while it is under way */
	struct LayerImports *all;
	uint64_t id;
	bool ended;
} LayerImport;
#define LAYER_IMPORT_INIT ((LayerImport){ .fd = -1, .tar_file = INGEST_NONE, .index_file = INGEST_NONE, .copy_file = INGEST_NONE })

/* layer_import: all n of them; the first failure ends it, and its message begins with the layer's name. -EBADMSG and others: it is bad;
 * -EILSEQ: it is not what was expected. */
int layer_import(ImageStore *s, TransferClient *c, LayerImport *items, size_t n, const TransferLimits *limits, Err *e) MUST_USE;
/* layer_import_drop: removes what nobody has taken. */
void layer_import_drop(const ImageStore *s, LayerImport *items, size_t n);
