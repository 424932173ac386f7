/* import.h: an image of one layer from a tar: `docker import`. */
#pragma once

#include "image/catalog.h"
#include "image/transfer_client.h"

typedef struct ImportRequest {
	int fd;                   /* a tar of any compression: a file (from its first byte) or a pipe */
	const char *source;       /* as the user wrote it: "-", a path. URLs are refused: nothing here fetches them */
	const char *name;         /* "docker.io/library/debian:12"; NULL: none */
	StrList changes;          /* change.h */
	const char *message;      /* comment of the history; NULL: "Imported from SOURCE" */
	const Platform *platform; /* normal; NULL: this machine's */
	int64_t created;          /* ns since 1970; 0: now */
	const char *worker;       /* TransferOptions.program */
	TransferLimits limits;
} ImportRequest;

/* image_import: *ret_id is the image's id. */
int image_import(ImageStore *s, const ImportRequest *req, Digest *ret_id, Err *e) MUST_USE;
