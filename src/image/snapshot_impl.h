/* snapshot_impl.h: between the files of snapshot: an image's layers that count, and the forms of all of them together. */
#pragma once

#include "image/snapshot.h"
#include "image/store_impl.h"

/* Chain: the layers of an image from the lowest that can be seen. */
typedef struct Chain {
	Digest id;                /* of all layers */
	const ImageLayer *layers; /* none below an opaque root */
	size_t n;
} Chain;

/* chain_read: leases the layers, unless they are held in another way. -ENOENT when one of them is not there. */
int chain_read(ImageStore *s, const Digest *manifest, bool held, Arena *a, Chain *ret, Err *e) MUST_USE;
/* chain_id: the chainID of n layers, n > 0. */
int chain_id(const Digest *diff_ids, size_t n, Digest *ret) MUST_USE;

/* chain_open: a file of a layer, "tar" or "index". chain_open_merged: -ENOENT without an explanation when there is none. */
int chain_open(const ImageStore *s, const ImageLayer *l, const char *file, Err *e) MUST_USE;
int chain_open_merged(ImageStore *s, const Chain *c, Err *e) MUST_USE;
/* chain_tree: the root of the tree, made when there is none. */
int chain_tree(ImageStore *s, const Image *i, const Chain *c, Err *e) MUST_USE;
/* chain_merge: makes the merged index when there is none. wait: for another process that makes it; else -EWOULDBLOCK. */
int chain_merge(ImageStore *s, const Image *i, const Chain *c, bool wait, Err *e) MUST_USE;
