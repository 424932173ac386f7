/* commit.h: an image out of a container: what it changed as a layer on its image's, what it was asked to be as the configuration: docker commit. */
#pragma once

#include "engine/record.h"

typedef struct CommitRequest {
	const char *name; /* "docker.io/library/debian:12"; NULL: none */
	const char *author, *message;
	StrList changes; /* image/change.h */
	bool pause;      /* a running one while its files are read */
} CommitRequest;

/* container_commit: *ret_id is the image's id. The same files give the same layer. */
int container_commit(Engine *g, const Record *c, const CommitRequest *q, Arena *a, Digest *ret_id, Err *e) MUST_USE;

/* container_export: the file system as a tar, without what is mounted in it: docker export. */
int container_export(Engine *g, const Record *c, int (*sink)(void *arg, const void *p, size_t n, Err *e), void *arg, Err *e) MUST_USE;
