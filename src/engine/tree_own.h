/* tree_own.h: giving a tree of files to somebody: owner, and SELinux label. */
#pragma once

#include "base/err.h"

typedef struct TreeOwner {
	bool chown;
	uint32_t uid, gid;
	const char *label; /* NULL: they stay as they are */
} TreeOwner;

/* tree_own: the file or directory fd (O_PATH will do) and all below it. Links are changed themselves, not followed; other mounts are left alone. Somebody
 * else may change the tree meanwhile. -ENAMETOOLONG: more than 256 levels. */
int tree_own(int fd, const TreeOwner *o, Err *e) MUST_USE;
