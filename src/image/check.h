/* check.h: whether the store holds what it says, and putting right what it does not.
 *
 *  - All blobs and all tars are read and hashed; the index of each layer is made anew and compared with the one that is there. Files without a row, rows
 *    without a file and what killed processes have left are found as well. Other processes may use the store meanwhile.
 *  - Repair: an index is made anew. A layer is made from its blob, where that is kept and sound. Everything else is fetched again through the
 *    caller. What cannot be had is taken out of the books, so that the next pull or load of the image brings it.
 */
#pragma once

#include "image/catalog.h"
#include "image/transfer_client.h"

typedef enum {
	FINDING_BLOB_MISSING, /* also the second name of a layer's tar */
	FINDING_BLOB_DAMAGED,
	FINDING_TAR_MISSING,
	FINDING_TAR_DAMAGED,
	FINDING_INDEX_MISSING,
	FINDING_INDEX_DAMAGED,
	FINDING_LAYER_UNKNOWN, /* an image needs a layer that has no row */
	FINDING_BLOB_UNKNOWN,  /* an image's manifest, configuration or index has no row */
	FINDING_FILE_STRAY,    /* no row leads to it */
	FINDING_FILE_FOREIGN,  /* not of this store's making: never touched */
	FINDING_INGEST_STALE,  /* nobody works on it any more */
} FindingKind;

typedef enum { REPAIR_NONE, REPAIR_DONE, REPAIR_DROPPED, REPAIR_FAILED } Repair;

typedef struct Finding {
	FindingKind kind;
	Digest digest;       /* of the blob or layer; algorithm 0: of none */
	const char *path;    /* below the state directory */
	Repair repair;       /* DROPPED: out of the books, to be fetched with the image */
	const char *message; /* one line; with FAILED or DROPPED also why */
} Finding;

/* CheckFetch: fetches the blob d, size bytes when that is known (else 0), into the empty file fd, from one of the repositories that are known to
 * have it. Its bytes are checked here. */
typedef int CheckFetch(void *arg, const Digest *d, uint64_t size, const StrList *repositories, int fd, Err *e);

typedef struct CheckRequest {
	bool repair;
	const char *worker;                         /* TransferOptions.program */
	void (*found)(void *arg, const Finding *f); /* valid during the call */
	CheckFetch *fetch;                          /* NULL: nothing can be fetched */
	void *arg;
} CheckRequest;

typedef struct CheckResult {
	uint64_t blobs, layers, bytes;        /* looked at */
	uint64_t findings, repaired, dropped; /* REPAIR_DONE, REPAIR_DROPPED */
} CheckResult;

/* image_check: 0 when it could look at everything, whatever it found. -EUCLEAN: the database itself is damaged. */
int image_check(ImageStore *s, const CheckRequest *req, CheckResult *ret, Err *e) MUST_USE;
/* finding_name: "blob-damaged". */
const char *finding_name(FindingKind kind);
