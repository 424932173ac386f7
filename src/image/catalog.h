/* catalog.h: the images of a store: finding, listing, naming, removing. */
#pragma once

#include "image/batch.h"
#include "oci/reference.h"

typedef struct Image {
	Digest id;               /* of the configuration: what docker calls the image's id */
	Digest manifest, target; /* target: the index it was chosen from, or the manifest again */
	Platform platform;
	const char *created;  /* RFC 3339 or NULL */
	int64_t size;         /* bytes of the files in all layers */
	int64_t added;        /* ns since 1970 */
	StrList names;        /* "docker.io/library/debian:12", sorted */
	StrList repo_digests; /* "docker.io/library/debian@sha256:…", sorted */
} Image;
typedef LIST_OF(Image) ImageList;

/* ImageLayer: one layer of an image, the lowest first. */
typedef struct ImageLayer {
	Digest diff_id, blob; /* blob: algorithm 0 when it is not known */
	uint64_t tar_size, index_size, size, entries;
	bool opaque, there; /* there: in the store */
} ImageLayer;
typedef LIST_OF(ImageLayer) ImageLayerList;

/* image_find: by name with tag or digest, or by (a beginning of) its id, as docker does: a name first. -ENOENT "No such image: x", -EINVAL for
 * an id that is the beginning of several. */
int image_find(ImageStore *s, const char *name, Arena *a, Image *ret, Err *e) MUST_USE;
/* image_list: all of them, the newest first. */
int image_list(ImageStore *s, Arena *a, ImageList *ret, Err *e) MUST_USE;
int image_layers(ImageStore *s, const Digest *manifest, Arena *a, ImageLayerList *ret, Err *e) MUST_USE;
/* image_documents: its manifest and configuration, read and checked. Either may be NULL. */
int image_documents(ImageStore *s, const Image *i, Arena *a, Manifest *ret_manifest, ImageConfig *ret_config, Err *e) MUST_USE;

/* image_tag: a further name. */
int image_tag(ImageStore *s, const Digest *manifest, const char *name, Err *e) MUST_USE;

/* Removal: what was done, in docker's order. */
typedef struct Removal {
	StrList untagged; /* "debian:12", "debian@sha256:…" */
	StrList deleted;  /* "sha256:…": the image's id, then its layers' */
	int64_t freed;    /* bytes on disk */
} Removal;
/* image_untag: the name goes; the image, too, when that was its last one and no
 * container is made of it (then the last name must be forced: -EBUSY). image_remove: all names of an image (which must
 * be forced when there are several: -EBUSY), and the image. */
int image_untag(ImageStore *s, const char *name, bool force, Arena *a, Removal *ret, Err *e) MUST_USE;
int image_remove(ImageStore *s, const Image *i, bool force, Arena *a, Removal *ret, Err *e) MUST_USE;

/* StoreUsage: what the store holds, how many images have containers, and what none of those needs. */
typedef struct StoreUsage {
	int64_t images, active, size, reclaimable; /* numbers; bytes on disk */
	int64_t blobs, blob_size, layers, layer_size;
} StoreUsage;
int store_usage(ImageStore *s, StoreUsage *ret, Err *e) MUST_USE;
/* store_drop_blobs: removes compressed layers whose tar is kept: images stay runnable, a push compresses anew. */
int store_drop_blobs(ImageStore *s, int64_t *ret_freed, Err *e) MUST_USE;
