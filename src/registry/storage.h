/* storage.h: the registry's directory: blobs and uploads as files, the catalogue beside them.
 *
 *   ROOT/registry.db                 catalogue (catalog.h); manifests are in it, as they are small and change with their rows
 *   ROOT/blobs/sha256/<hex>          immutable; durable before a row names it
 *   ROOT/uploads/<session>           what has arrived; its size is the session's offset, before and after a restart
 *   ROOT/uploads/<session>.info      repository and algorithm of the session
 *   ROOT/token.key                   what tokens are signed with
 *   ROOT/lock                        held by the one process that owns the directory
 *
 * Names are made here from checked digests and session ids, so nothing a client says becomes a path.
 */
#pragma once

#include "base/digest.h"
#include "base/err.h"
#include "registry/name.h"
#include "registry/token.h"

typedef struct Storage {
	int root, uploads, lock;
	int blobs[3]; /* by DIGEST_… algorithm; [0] is -1 */
} Storage;

/* storage_open: makes what is missing and takes the lock. -EBUSY: another process has it. */
int storage_open(const char *path, Storage *ret, Err *e) MUST_USE;
void storage_close(Storage *s);

/* storage_blob_open: for reading. Returns the descriptor or -errno. ret_size may be NULL. */
int storage_blob_open(const Storage *s, const Digest *d, uint64_t *ret_size) MUST_USE;
int storage_blob_remove(const Storage *s, const Digest *d) MUST_USE;
/* storage_blob_hold: a descriptor that keeps what stands there, so that its pages are given back when that is closed and not when its name
 * goes: 20 ms for 200 MB. -ENOENT. */
int storage_blob_hold(const Storage *s, const Digest *d) MUST_USE;
/* storage_blob_publish: the upload becomes the blob; the caller has synced its file and syncs the directory (storage_blob_directory). */
int storage_blob_publish(const Storage *s, const char *session, const Digest *d) MUST_USE;
int storage_blob_directory(const Storage *s, const Digest *d);

/* storage_upload_create: an empty upload; returns its descriptor or -errno. storage_upload_open: for going on. */
int storage_upload_create(const Storage *s, const char *session, const char *repository, uint8_t algorithm) MUST_USE;
int storage_upload_open(const Storage *s, const char *session) MUST_USE;
/* storage_upload_info: what create was told. -ENOENT. */
int storage_upload_info(const Storage *s, const char *session, char ret_repository[static NAME_MAX_LENGTH + 1], uint8_t *ret_algorithm,
			uint64_t *ret_size) MUST_USE;
void storage_upload_remove(const Storage *s, const char *session);

/* storage_each_blob, storage_each_upload: every file by name; fn returns false to end. -errno of reading the directory. */
typedef bool StorageBlobFn(void *arg, const Digest *d, uint64_t size, int64_t changed);
int storage_each_blob(const Storage *s, StorageBlobFn *fn, void *arg) MUST_USE;
typedef bool StorageUploadFn(void *arg, const char *session, int64_t changed);
int storage_each_upload(const Storage *s, StorageUploadFn *fn, void *arg) MUST_USE;

/* storage_token_key: made at the first call, 0600. */
int storage_token_key(const Storage *s, TokenKey *ret, Err *e) MUST_USE;
