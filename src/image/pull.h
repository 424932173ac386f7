/* pull.h: an image from a registry into the store.
 *
 * The worker (transfer_client.h) fetches, inflates and checks; the layers that are missing are under way at once, each written once:
 * the blob as it came, its tar, and the index over it. An image is ready when its bytes have been hashed: nothing is unpacked.
 *
 *  - What is in the store already is not fetched. What another process is fetching is waited for, not fetched twice.
 *  - A pull that was killed goes on where it was.
 *  - The name moves to the new image in the same commit that makes it visible.
 */
#pragma once

#include "image/catalog.h"
#include "image/transfer_client.h"

typedef enum {
	PULL_FOUND,   /* a layer of the image, not in the store */
	PULL_EXISTS,  /* a layer of the image, in the store */
	PULL_WAITING, /* another process is fetching it */
	PULL_BYTES,   /* bytes of total have arrived */
	PULL_DONE,    /* the layer is complete and checked */
} PullStep;

typedef struct PullEvent {
	PullStep step;
	const Digest *blob;
	uint64_t bytes, total; /* compressed */
} PullEvent;

typedef struct PullOptions {
	const Reference *reference; /* with a tag or a digest */
	const TransferEndpoint *endpoints;
	size_t n_endpoints;
	const Platform *platform; /* NULL: this machine's */
	bool drop_blobs;          /* compressed layers are not kept: a push compresses anew */
	TransferTuning tuning;
	const char *worker;                               /* for tests: TransferOptions.program */
	void (*event)(void *arg, const PullEvent *event); /* may be NULL */
	void *arg;
} PullOptions;

typedef struct PullResult {
	Image image;
	bool newer; /* the name meant something else before, or nothing */
} PullResult;

/* image_pull: strings of *ret in a. -ENOENT: the registry has no such image. */
int image_pull(ImageStore *s, const PullOptions *o, Arena *a, PullResult *ret, Err *e) MUST_USE;
