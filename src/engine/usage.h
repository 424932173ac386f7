/* usage.h: what containers and volumes take on the disk. */
#pragma once

#include "engine/record.h"

/* container_usage: bytes of the files that a container has written: *ret_own; with its image's: *ret_all. What cannot be read, or lies deeper
 * than 128 directories, does not count; of what is being removed nothing does. */
int container_usage(Engine *g, const Record *c, Arena *a, int64_t *ret_own, int64_t *ret_all, Err *e) MUST_USE;
/* volume_usage: of its directory. */
int64_t volume_usage(const Engine *g, const char *name);
