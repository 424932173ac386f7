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

/* is_runtime_file: whether the file is an empty one that starting a container leaves for its mounts, or the link that it makes: no change of the
 * container's. path: relative; mode: its type. */
bool is_runtime_file(const char *path, mode_t mode, uint64_t size);
/* What a container has where older programs look for what is mounted. */
#define MTAB_PATH "etc/mtab"
#define MTAB_TARGET "/proc/mounts"

/* container_upper: O_PATH of the directory that has what was changed. */
int container_upper(const Engine *g, const Record *c, Err *e) MUST_USE;
