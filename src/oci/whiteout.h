/* whiteout.h: what names in a layer take away (image-spec, layer.md, "Whiteouts").
 *
 * Classified by name alone. Which members a whiteout applies to (those of the layers below, never of its own) is for whoever
 * stacks layers to say.
 */
#pragma once

#include "oci/tar.h"

typedef enum {
	WHITEOUT_NONE,    /* a name like any other */
	WHITEOUT_FILE,    /* ".wh.x": x is gone */
	WHITEOUT_OPAQUE,  /* ".wh..wh..opq": everything below is gone from the directory that it stands in */
	WHITEOUT_SKIP,    /* ".wh..wh.x": what aufs kept for itself (plnk, aufs, orph, …), and anything below it */
	WHITEOUT_INVALID, /* takes away no name that can exist ("", ".", ".."), or stands in the middle of a path */
} WhiteoutKind;

typedef struct Whiteout {
	WhiteoutKind kind;
	size_t parent;    /* FILE, OPAQUE: the length of the directory's path in path; 0: the root */
	const char *name; /* FILE: what is gone; points into path */
} Whiteout;

/* whiteout_classify: path as TarEntry.path has it. */
Whiteout whiteout_classify(const char *path);

/* whiteout_is_forged: whether overlayfs itself would take the member for a whiteout, a redirect or the like: a character device 0:0, or
 * an extended attribute trusted.overlay.* or user.overlay.*. An image that brings one speaks to the kernel past the layers' rules. */
bool whiteout_is_forged(const TarEntry *t);
