/* mount_idmap.h: podman's mappings of the ids of one mount. */
#pragma once

#include "sys/idmap.h"

/* mount_idmap_parse: "uids=0-1000-1#1-5000-10;gids=0-1000-1": what is owned by the first id on the file system is owned by the second one in the mount, and
 * so on for as many as the third says. gids left out are as uids, and the other way round. -EINVAL. */
int mount_idmap_parse(const char *text, Arena *a, IdMappings *ret_uids, IdMappings *ret_gids, Err *e) MUST_USE;
