/* push.h: an image of the store to a registry.
 *
 *  - Blobs go as they came, so the digests are those of the original. A layer whose blob is not kept is compressed anew, deterministically,
 *    and the manifest then names that one.
 *  - What the registry has is not sent; what another repository of the same registry has is mounted from there.
 *  - An image that was chosen from an index goes with all of the index when the store has every image that it names; else alone.
 *  - An upload that was interrupted goes on where the registry says it stopped, also in a later process.
 */
#pragma once

#include "image/catalog.h"
#include "image/transfer_client.h"

typedef enum {
	PUSH_PREPARING, /* a layer that will be pushed */
	PUSH_BYTES,     /* bytes of total have been sent */
	PUSH_EXISTED,   /* the registry had it */
	PUSH_MOUNTED,   /* taken from `from`, another repository of the registry */
	PUSH_DONE,      /* sent */
} PushStep;

typedef struct PushEvent {
	PushStep step;
	const Digest *blob;
	uint64_t bytes, total;
} PushEvent;

typedef struct PushOptions {
	const Image *image;
	const Platform *platform;   /* that of the image's index, without the index; NULL: as the store has it. Normal */
	const Reference *reference; /* where to: name with a tag */
	const TransferEndpoint *endpoints;
	size_t n_endpoints;
	uint64_t chunk; /* bytes of one PATCH; 0: each blob in one request */
	TransferTuning tuning;
	const char *worker;
	void (*event)(void *arg, const PushEvent *event);
	void *arg;
} PushOptions;

typedef struct PushResult {
	Digest manifest; /* or index: what stands in the registry under the tag now */
	uint64_t size;   /* of that */
	bool alone;      /* an index was left behind */
} PushResult;

int image_push(ImageStore *s, const PushOptions *o, Arena *a, PushResult *ret, Err *e) MUST_USE;
