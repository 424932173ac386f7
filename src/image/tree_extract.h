/* tree_extract.h: an image as a plain directory, for where nothing can be mounted: made from the layers' indexes and tars.
 *
 * All of it happens in a child that sees nothing but the target: the file system's root is the directory itself where the caller may have
 * namespaces, else Landlock confines it there; of root's capabilities those are left that files need. In the child every name is made
 * from the descriptor of its parent; no symbolic link is followed, no path of several parts is resolved.
 *
 * What an unprivileged user cannot make is left out, by one policy: all files belong to the caller (owners are not kept); device nodes and
 * attributes other than user.* are left out and counted.
 */
#pragma once

#include "base/err.h"

typedef struct TreeSource {
	const int *indexes, *tars; /* of the layers, the lowest first: those that count (none below an opaque root) */
	size_t n;
} TreeSource;

typedef struct TreeStats {
	uint64_t entries, size;             /* names made, the root among them; bytes of file contents */
	uint64_t left_devices, left_xattrs; /* left out; see above */
	bool squashed;                      /* all files belong to the caller */
} TreeStats;

/* tree_extract: makes the tree in the empty directory dir, whose own attributes become those of the image's root. Whiteouts are resolved. Durable
 * when it returns 0; on failure dir holds what was made so far. */
int tree_extract(const TreeSource *from, int dir, TreeStats *ret, Err *e) MUST_USE;
