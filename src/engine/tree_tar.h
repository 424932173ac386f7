/* tree_tar.h: files below a descriptor as members of a tar.
 *
 *  - Each name is opened once, without following links, and what stands in the archive is what that descriptor is. Somebody may change
 *    the tree meanwhile: what has gone is left out, what was exchanged is what it has become; a device is never opened.
 *  - Members in the order of their names, a directory before what is in it: the same files give the same bytes. Names of one file are hard links to the
 *    first. Sockets are left out: tar has none.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "oci/tar_write.h"
#include "sys/idmap.h"

typedef struct TreeTarLink TreeTarLink;

typedef struct TreeTar {
	TarWriter *writer;
	bool layer;  /* the tree is the upper directory of an overlay: its marks become those of a layer, and members of layers.md */
	bool one_fs; /* what is mounted in it stays out: an empty directory */
	IdMaps maps; /* owners are written as the container sees them; empty: as they are */
	/* skip: whether the member stays out; may be NULL */
	bool (*skip)(void *arg, const TarEntry *t);
	void *arg;

	/* the module's */
	Arena arena;
	Buf path;
	TreeTarLink *links;
	size_t n_links, cap_links;
	uint64_t mount;
	char *buffer;
} TreeTar;

enum { TREE_TAR_ARENA = 512 << 20, TREE_TAR_PATH = 65536 };
#define TREE_TAR_INIT(w) ((TreeTar){ .writer = (w), .arena = ARENA_INIT(TREE_TAR_ARENA), .path = BUF_INIT(TREE_TAR_PATH) })
void tree_tar_done(TreeTar *t);
#define AUTO_TREE_TAR AUTO(tree_tar_done) TreeTar

/* tree_tar_add: what fd (O_PATH) is becomes the member of that name ("": a directory as the root), with all below it. */
int tree_tar_add(TreeTar *t, int fd, const char *name, Err *e) MUST_USE;
/* tree_names: the names in the directory fd (O_PATH will do), sorted. */
int tree_names(int fd, Arena *a, const char ***ret, size_t *ret_n, Err *e) MUST_USE;
/* tree_is_opaque: whether overlayfs hides what is below that directory. */
bool tree_is_opaque(int fd);
