/* archive_impl.h: what the files of archive_load.h share. */
#pragma once

#include "image/archive_load.h"
#include "image/archive_source.h"
#include "image/layer_import.h"

enum { ARCHIVE_IMAGES_MAX = 1000 };

typedef struct Load {
	ImageStore *store;
	const LoadRequest *req;
	const ArchiveSource *source;
	TransferClient *client; /* NULL: not needed so far */
	Arena *arena;           /* of the whole archive */
	int loaded;
} Load;

/* LoadBlob: a document as the archive has it. */
typedef struct LoadBlob {
	Digest digest;
	const char *text;
	size_t n;
} LoadBlob;
enum { LOAD_INDEXES_MAX = INDEX_DEPTH_MAX + 1 };

typedef struct LoadLayer {
	const char *path; /* in the archive */
	Digest diff_id;
	Digest blob;   /* algorithm 0: not known before it was read */
	uint64_t size; /* of the blob */
	const char *media_type;
	size_t job; /* of those that import it; SIZE_MAX: none has to */
} LoadLayer;

/* LoadImage: one image on its way into the store. */
typedef struct LoadImage {
	LoadBlob manifest; /* digest 0: to be made from the rest */
	LoadBlob config;
	LoadBlob indexes[LOAD_INDEXES_MAX]; /* that led to it, the first from outside */
	size_t n_indexes;
	const char *media_type;
	ImageConfig parsed;
	LoadLayer *layers;
	size_t n_layers;
	StrList names; /* whole, with tags */
} LoadImage;

/* load_worker: starts the worker unless it runs. */
int load_worker(Load *l, Err *e) MUST_USE;
/* load_image: puts it into the store and says so. a: memory of this image. */
int load_image(Load *l, LoadImage *m, Arena *a, Err *e) MUST_USE;

/* load_layout, load_docker: all images of an archive that has index.json, manifest.json. */
int load_layout(Load *l, Err *e) MUST_USE;
int load_docker(Load *l, Err *e) MUST_USE;
