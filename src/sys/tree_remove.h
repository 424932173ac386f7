/* tree_remove.h: removing a directory with all below it, of any depth, by descriptor. */
#pragma once

#include "base/defs.h"

/* tree_remove: takes away the directory name below dir. What lies deep is moved up first, so three descriptors are enough whatever the depth;
 * symbolic links are not followed, nothing outside is touched, and a mount in the tree is left alone (-EXDEV). A tree that is half gone is finished by
 * another call. -ENOENT: there is none. Nobody else may change the tree meanwhile. */
int tree_remove(int dir, const char *name) MUST_USE;
