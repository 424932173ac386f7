/* import.h: an image of one layer from a tar: `docker import`. */
#pragma once

#include "image/catalog.h"
#include "image/transfer_client.h"

typedef struct ImportRequest {
	int fd;             /* a tar of any compression: a file (from its first byte) or a pipe; -1: source is a URL, http:// or https:// */
	const char *source; /* as the user wrote it: "-", a path, a URL. It stands in the history unless there is a message */
	const char *name;   /* "docker.io/library/debian:12"; NULL: none */
	StrList changes;    /* change.h */
	const char *message;      /* comment of the history; NULL: "Imported from SOURCE" */
	const Platform *platform; /* normal; NULL: this machine's */
	int64_t created;          /* ns since 1970; 0: now */
	const char *worker;       /* TransferOptions.program */
	TransferLimits limits;
	TransferTuning tuning; /* of the request of a URL */
	/* fetching: a line as docker's client prints it, when the request of a URL begins; may be NULL */
	void (*fetching)(void *arg, const char *line);
	void *arg;
} ImportRequest;

/* image_import: *ret_id is the image's id. */
int image_import(ImageStore *s, const ImportRequest *req, Digest *ret_id, Err *e) MUST_USE;
