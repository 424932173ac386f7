/* store_impl.h: what the files of the image store share. */
#pragma once

#include "image/store.h"

enum { STORE_PATH_MAX = 320, BOOT_ID_MAX = 64, INDEX_FILE_MAX = 80 };

extern const DbSchema image_schema;

/* Paths below the state directory. */
void store_blob_path(const Digest *d, char path[static STORE_PATH_MAX]);  /* "blobs/sha256/<hex>" */
void store_layer_path(const Digest *d, char path[static STORE_PATH_MAX]); /* "layers/<hex>" */

/* store_name_tar: the tar of a layer that a manifest names as it is gets its name in blobs/, too: a second name of one file, so that the layout holds
 * all that it lists. It goes with the layer. 1: made; 0: it is there, the layer is not, or the file system has no second names.
 * store_tar_named: whether the two are one file. */
int store_name_tar(const ImageStore *s, const Digest *diff_id, Err *e) MUST_USE;
int store_tar_named(const ImageStore *s, const Digest *diff_id, Err *e) MUST_USE;

/* store_lock: LOCK_SH while files are put in place, LOCK_EX while they are taken away. Returns the descriptor that holds it. */
int store_lock(const ImageStore *s, int how, Err *e) MUST_USE;

#define INGEST_REMOVED "removed-" /* a tree in ingest/ that is to go; whoever removes it has the directory locked */

/* ingest_sweep_files: ingest_sweep; and whether there are trees to be removed that nobody is at (left as they are). */
int ingest_sweep_files(const ImageStore *s, bool *ret_trees, Err *e) MUST_USE;
/* sweep_trees: leaves a process behind that removes them. */
void sweep_trees(ImageStore *s);

/* store_reserve_take: sets room on the disk aside, if there is any. store_reserve_give: gives it up: true when there was some. */
void store_reserve_take(const ImageStore *s);
bool store_reserve_give(const ImageStore *s);
/* store_boot_id: which boot this is: what rows of processes and mounts are worth ends with it. */
int store_boot_id(char text[static BOOT_ID_MAX]) MUST_USE;
/* store_index_file: which file index.json is at the moment; "" when there is none. */
void store_index_file(const ImageStore *s, char text[static INDEX_FILE_MAX]);

/* A digest as a value of a statement: text lives as long as the array. */
typedef struct DigestText {
	char text[DIGEST_TEXT_MAX];
} DigestText;
static inline DbValue db_digest(const Digest *d, DigestText *t)
{
	return db_text(digest_format(d, t->text));
}
#define DB_DIGEST(d) db_digest((d), &(DigestText){ { 0 } })
/* store_row_digest: the digest in a column; -EUCLEAN when the database holds something else. NULL gives none. */
int store_row_digest(const DbRows *rows, int column, Digest *ret, Err *e) MUST_USE;

/* store_names_changed: in the transaction that changes names: index.json is older from its commit on. */
static inline int store_names_changed(Db *db, Err *e)
{
	return db_run(db, "UPDATE generation SET names = names + 1", DB_NONE, e);
}
