/* tar_image.h: an image of one layer out of a tar. */
#pragma once

#include "image/catalog.h"

typedef struct TarImage {
	int input;          /* the tar, of any compression, from a file or a pipe */
	ImageConfig config; /* what the image is; layer and history are added */
	ImageHistory step;  /* how the layer came about */
	const char *name;   /* "docker.io/library/debian:12" */
	const char *worker; /* for tests: TransferOptions.program */
} TarImage;

/* tar_image_add: the tar becomes the layer as it is (the worker inflates, checks and indexes it), so the same tar and configuration give the same image.
 * No compressed blob is made: the manifest names the tar itself, and a push compresses it, as for any layer whose blob is not kept. *ret_bytes
 * (may be NULL) is how much of the tar had arrived when it failed. */
int tar_image_add(ImageStore *s, const TarImage *t, Arena *a, Image *ret, uint64_t *ret_bytes, Err *e) MUST_USE;
