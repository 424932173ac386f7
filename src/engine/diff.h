/* diff.h: what a container has changed of its image's files: docker diff. */
#pragma once

#include "engine/record.h"
#include "oci/tar.h"

typedef enum { CHANGE_ADDED, CHANGE_MODIFIED, CHANGE_DELETED } ChangeKind;

typedef struct Change {
	ChangeKind kind;
	const char *path; /* absolute */
} Change;
typedef LIST_OF(Change) ChangeList;

/* container_diff: by path. A directory counts as changed when something in it has, or its owner or mode; a file that was only opened does not. -ENOTSUP for
 * a container without an image. */
int container_diff(Engine *g, const Record *c, Arena *a, ChangeList *ret, Err *e) MUST_USE;

/* is_runtime_file: whether the file is an empty one that starting a container leaves for its mounts: no change of the container's. path: relative. */
bool is_runtime_file(const char *path, bool is_dir, uint64_t size);

/* container_upper: O_PATH of the directory that has what was changed. */
int container_upper(const Engine *g, const Record *c, Err *e) MUST_USE;
