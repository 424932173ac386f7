/* copy.h: files between a container and the host: docker cp.
 *
 * Either side is read as a tar and written from one, in one pass and in this process, so that both have one set of rules: see tree_tar.h, tree_untar.h.
 */
#pragma once

#include "engine/record.h"

typedef struct CopyRequest {
	const char *name; /* of the container, as the user wrote it */
	const char *path; /* in it, as the user wrote it */
	const char *host; /* "-": a tar on standard input or output */
	bool follow;      /* the source, when it is a link */
	bool archive;     /* keep owners */

	/* what came of it */
	uint64_t bytes;   /* of the tar */
	uint64_t left;    /* device nodes that were not made on the host */
	const char *into; /* where it went, in the container */
} CopyRequest;

int container_copy_from(Engine *g, const Record *c, CopyRequest *q, Arena *a, Err *e) MUST_USE;
int container_copy_to(Engine *g, const Record *c, CopyRequest *q, Arena *a, Err *e) MUST_USE;
