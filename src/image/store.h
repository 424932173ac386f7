/* store.h: the image store of one state directory.
 *
 *   skep.db                     what there is (store/db.h)
 *   oci-layout, index.json      make an OCI image layout of blobs/, for other tools to read in place
 *   blobs/<algorithm>/<hex>     manifests, configurations, layers as they are transferred
 *   layers/<hex>/tar, index     a layer's tar, whose digest is its diffID, and the EROFS index over it; a tar that a manifest names as it is
 *                               has a second name in blobs/
 *   reserve                     room for removing when the disk is full
 *   ingest/                     what is being made, each file locked by who makes it
 *   store.lock                  shared while files are put in place, exclusive while files are taken away
 *
 * Invariants
 *  - A row stands for files that the disk has: it is written after them and removed before them. What is put in place or is to be
 *    taken away stands in the table `doomed` meanwhile, so that whoever comes next finishes the work of one that was killed.
 *  - Files in blobs/ and layers/ are never changed. Documents are checked against their digest each time they are read.
 *  - Nothing is waited for in a transaction, and no lock is held while waiting for the network.
 *  - Any number of processes. What one has found to be there stays while it holds a lease on it.
 *
 * An ImageStore belongs to one thread, and to the process that opened it.
 */
#pragma once

#include "base/digest.h"
#include "store/db.h"
#include "sys/fd.h"

typedef struct ImageStore {
	Db *db;
	const char *path;
	int root; /* the state directory */
	int ingest, blobs, layers;
	int64_t lease; /* of this process; 0: none yet */
	Arena arena;   /* of path */
} ImageStore;

/* image_store_open: opens the store below root, made when missing (0700). What a killed process left half done is finished. */
int image_store_open(const char *root, ImageStore **ret, Err *e) MUST_USE;
void image_store_close(ImageStore *s);
void auto_image_store(ImageStore **s);
#define AUTO_IMAGE_STORE AUTO(auto_image_store) ImageStore

/* ---- contents ---- */

/* content_open: the file of a blob. -ENOENT. content_has: whether there is one. */
int content_open(const ImageStore *s, const Digest *d, uint64_t *ret_size, Err *e) MUST_USE;
int content_has(const ImageStore *s, const Digest *d, Err *e) MUST_USE;
/* layer_open_tar, layer_open_index: the files of a layer. -ENOENT. */
int layer_open_tar(const ImageStore *s, const Digest *diff_id, uint64_t *ret_size, Err *e) MUST_USE;
int layer_open_index(const ImageStore *s, const Digest *diff_id, Err *e) MUST_USE;
/* layer_of_blob: the layer that the blob is known to be: 1, or 0 when nothing is known. */
int layer_of_blob(const ImageStore *s, const Digest *blob, Digest *ret_diff_id, Err *e) MUST_USE;
/* content_read: a whole document, in the arena, NUL-terminated: -EFBIG beyond max, -EUCLEAN when the bytes are not those of the digest. */
int content_read(const ImageStore *s, const Digest *d, size_t max, Arena *a, char **ret, size_t *ret_n, Err *e) MUST_USE;

/* ---- what is being made ---- */

enum { INGEST_NAME_MAX = 160 };

/* Ingest: a file in ingest/, held by a lock on its descriptor (which a worker that has it holds, too). */
typedef struct Ingest {
	int fd; /* -1: none */
	char name[INGEST_NAME_MAX];
} Ingest;
#define INGEST_NONE ((Ingest){ .fd = -1 })

/* ingest_open: the file of that name, as a killed process may have left it. -EWOULDBLOCK: another process is making it.
 * ingest_new: an empty one with a name of its own. */
int ingest_open(const ImageStore *s, const char *name, Ingest *ret, Err *e) MUST_USE;
int ingest_new(const ImageStore *s, Ingest *ret, Err *e) MUST_USE;
/* ingest_keep: lets go of it, for somebody to go on with. ingest_drop: removes it. Both do nothing with one that was put in place. */
void ingest_keep(Ingest *i);
void ingest_drop(const ImageStore *s, Ingest *i);
/* ingest_sweep: removes what killed processes have left: files under names of ingest_new, with which nobody goes on (returns how many), and, in the
 * background, trees that they were about to remove. */
int ingest_sweep(ImageStore *s, Err *e) MUST_USE;

/* ---- leases ---- */

/* lease_contents, lease_layers: keeps what is there of these from being removed until the store is closed, and says which are
 * (ret[i], for n digests). Later ones of the same name count as soon as they are put in place. */
int lease_contents(ImageStore *s, const Digest *d, size_t n, bool *ret, Err *e) MUST_USE;
int lease_layers(ImageStore *s, const Digest *diff_ids, size_t n, bool *ret, Err *e) MUST_USE;

/* store_sweep: takes away what is doomed. Run by image_store_open and by whoever removes. */
/* store_set_aside: moves the directory path (below the root) to where trees wait for their removal; its name there is in name. Who was killed before the
 * removal leaves it to the next who works on contents. -ENOENT: there is none. */
enum { SET_ASIDE_MAX = 128 };
#define STORE_ASIDE "ingest" /* below the root */
int store_set_aside(ImageStore *s, const char *path, char name[static SET_ASIDE_MAX]) MUST_USE;
int store_sweep(ImageStore *s, Err *e) MUST_USE;
/* store_write_index: index.json from the names. */
int store_write_index(ImageStore *s, Err *e) MUST_USE;
