/* snapshot.h: the file system of an image, mounted.
 *
 * A layer is two files, an EROFS index and the tar that it points into. What stands for all layers of an image, its chain, is one of
 *
 *   merged/<hex>      one index over all the tars, whiteouts resolved: one mount, whatever the number of layers
 *   trees/<hex>/root  the same as a plain directory, for where nothing can be mounted
 *
 * below the state directory, <hex> being the chainID (OCI image-spec config.md). They are made once, from the layers alone, are as durable as these, and
 * are removed with the last image of the chain. Where no merged index can be made (a full disk), the layers are mounted one by one, below an overlay:
 * a directory that a layer has no entry for, and something below, is then not what the layers below say, but 0755 root:root.
 *
 * How it is mounted: the files themselves (Linux 6.12, not on tmpfs); else loop devices over them; else a tree, made when there is none.
 * docs/images.md has the measurements behind that order.
 */
#pragma once

#include "image/catalog.h"

typedef enum {
	SNAPSHOT_AUTO,  /* the first of these that works here */
	SNAPSHOT_EROFS, /* file-backed */
	SNAPSHOT_LOOP,  /* through loop devices */
	SNAPSHOT_TREE,  /* a directory */
} SnapshotKind;

typedef struct SnapshotOptions {
	SnapshotKind kind;
	int writable;     /* a directory with "upper" and "work" in it, which takes what is changed; -1: read-only */
	bool is_volatile; /* what is changed need not survive a crash: nothing waits for the disk; after the unmount, overlay_settle */
	int below;        /* a directory whose entries show where the image has none, below a writable one; -1: none */
	int userns;       /* the user namespace whose ids the files get (an idmapped mount); -1: none */
	bool held; /* the caller sees to it that the image stays, by a container of it that it has locked: the layers need no lease */
	/* layers: that of the image as one mount, without mapped ids, for others to have it, too: what the caller has from one of them, or -1; then what was
	 * used, the caller's, or -1 where that is not one mount of an EROFS. NULL: nobody wants it. */
	int *layers;
	bool no_merged; /* layers one by one even where they could be one mount: for measurements and tests */
} SnapshotOptions;
#define SNAPSHOT_OPTIONS ((SnapshotOptions){ .writable = -1, .below = -1, .userns = -1 })

/* snapshot_mount: a detached mount of the file system of an image, of which id and manifest are looked at: the caller attaches it (mount_attach) where it wants it. Returns its descriptor;
 * *ret_kind (may be NULL, not together with layers) is what it became. Layers are leased until the store is closed; a mount that outlives it has its files all the same,
 * but the image can be removed below it, unless mount_add told. -EOPNOTSUPP, -EPERM: cannot be done here that way. */
int snapshot_mount(ImageStore *s, const Image *i, const SnapshotOptions *o, SnapshotKind *ret_kind, Err *e) MUST_USE;

/* snapshot_prepare: makes the merged index of an image of two layers or more, unless there is one or another process is at it. Some 10 ms for 10,000
 * files; what snapshot_mount would do else. */
int snapshot_prepare(ImageStore *s, const Image *i, Err *e) MUST_USE;

/* snapshot_kind_name: "erofs", "loop", "tree". */
const char *snapshot_kind_name(SnapshotKind kind);

/* ---- mounts that users made ---- */

/* ImageMount: an image that is mounted somewhere. */
typedef struct ImageMount {
	Digest manifest;
	const char *path; /* absolute */
	bool here;        /* in this mount namespace */
} ImageMount;
typedef LIST_OF(ImageMount) ImageMountList;

/* mount_add: remembers that the image of that manifest is mounted at path, here and now; the image cannot be removed from then on.
 * mount_forget: it is not any more. mount_list: those there are, by path; what was unmounted in another way, or ended with its
 * namespace or a reboot, is forgotten. */
int mount_add(ImageStore *s, const Digest *manifest, const char *path, Err *e) MUST_USE;
int mount_forget(ImageStore *s, const char *path, Err *e) MUST_USE;
int mount_list(ImageStore *s, Arena *a, ImageMountList *ret, Err *e) MUST_USE;
