/* upload.h: the sessions of uploads: what this process knows of the files in ROOT/uploads.
 *
 * A session is its file; the object here adds the hash of what has arrived, so that it need not be read again. An
 * object may be dropped at any time while nobody writes, and comes back from the file, as after a restart.
 */
#pragma once

#include "base/hash.h"
#include "registry/catalog.h"
#include "registry/committer.h"
#include "registry/storage.h"

typedef struct Registry Registry;
typedef struct Receive Receive;
typedef struct Upload Upload;

struct Upload {
	char id[SESSION_LENGTH + 1];
	char repository[NAME_MAX_LENGTH + 1];
	uint8_t algorithm;
	uint64_t size;   /* bytes that have arrived; the file may hold the pieces being written beyond them */
	Hash *hash;      /* has seen these bytes; NULL: has not */
	int fd;          /* while somebody writes, else -1 */
	bool busy;       /* somebody writes: */
	Receive *writer; /* he, until his body has ended or he has gone */
	Upload *chain, *newer, *older;
};

enum { UPLOADS_BUCKETS = 256, UPLOADS_IDLE_MAX = 4096 };

typedef struct Uploads {
	Upload *buckets[UPLOADS_BUCKETS];
	Upload *newest, *oldest; /* the idle ones */
	size_t n, idle;
} Uploads;

/* uploads_new: a new session, busy, its file open. -errno. */
int uploads_new(Uploads *u, const Storage *s, const char *repository, uint8_t algorithm, Upload **ret) MUST_USE;

/* uploads_find: the session of that id if it belongs to the repository; -ENOENT. */
int uploads_find(Uploads *u, const Storage *s, const char *id, const char *repository, Upload **ret) MUST_USE;

/* uploads_take: somebody begins to write: busy, file open. -EBUSY: somebody does already. uploads_release: he has ended. */
int uploads_take(Uploads *u, const Storage *s, Upload *upload) MUST_USE;
void uploads_release(Uploads *u, Upload *upload);

/* upload_publish: within a commit: the upload, synced and of size bytes, becomes the blob d of its repository. The caller forgets it then. As
 * catalog_add_blob; -errno of moving the file. */
int upload_publish(const Upload *upload, const Storage *s, const Digest *d, uint64_t size, const RegistryOptions *limits, Committer *c,
		   Db *db, Err *e) MUST_USE;

/* uploads_forget: the object alone (the file has become a blob). uploads_remove: session and file. */
void uploads_forget(Uploads *u, Upload *upload);
void uploads_remove(Uploads *u, const Storage *s, Upload *upload);

/* uploads_expire: removes what was not written since then (ns since 1970). Returns how many. */
size_t uploads_expire(Uploads *u, const Storage *s, int64_t before);

void uploads_done(Uploads *u);
