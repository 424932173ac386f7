/* layer_index.h: from the bytes of a layer's tar to the EROFS index over it.
 *
 * The bytes come in pieces of any size, in order, as a decompressor has them; contents are not kept, only where they lie. What an
 * entry means follows OCI image-spec layer.md, and where that is silent what docker and containerd do:
 *
 *  - ".wh.NAME" hides NAME of the layers below, never an entry of the same layer, wherever it stands in the tar: beside a directory of the
 *    same layer it makes that one opaque. ".wh..wh..opq" makes its directory opaque. Aufs' own files (".wh..wh.plnk") are skipped. ".wh."
 *    with nothing behind it, and a whiteout of "." or "..", are errors.
 *  - A path that comes twice: the later entry wins. A directory over a directory keeps the children and takes the later attributes, extended ones
 *    included. Anything else replaces what was there, with all below it. Hard links made before keep the earlier file.
 *  - Parents that have no entry, and the root without one, are directories 0755 root:root of 1970, and implied: over a directory of a layer below they
 *    change nothing of it (erofs_merge).
 *  - An entry below something that is no directory is an error, also below a symbolic link: nothing is followed inside a layer.
 *  - The target of a hard link must come before it and be neither a directory nor a whiteout nor below the link's own path. What else the
 *    entry of a hard link says is ignored.
 *  - A character device 0/0 is how overlayfs writes a whiteout: in a tar it is an error.
 *  - Extended attributes user.*, trusted.*, security.* and ACLs are kept; dropped (and counted) are trusted.overlay.*, user.overlay.*, which
 *    would steer overlayfs, security.selinux and security.ima, security.evm, which belong to the host, and those that EROFS has no
 *    place for. An ACL that the kernel would not take is an error.
 *  - The root's entry ("./") gives the root's attributes; it can only be a directory.
 *  - Symbolic links have mode 0777, whatever the entry says: what is unpacked has no other.
 *  - Sparse files need pieces on 512-byte boundaries, as GNU tar writes them.
 */
#pragma once

#include "base/err.h"
#include "oci/tar_read.h"
#include "sys/erofs.h"

typedef struct LayerIndex LayerIndex;

typedef struct LayerIndexOptions {
	const ErofsLimits *limits;   /* NULL: EROFS_LIMITS_DEFAULT */
	const TarLimits *tar_limits; /* NULL: those of the reader */
	const uint8_t *uuid;         /* 16 bytes: of the index; NULL: made of the content */
	const uint8_t *tag;          /* 64 bytes: of the tar in the device table, its digest in hexadecimal; NULL: zeros */
} LayerIndexOptions;

typedef struct LayerIndexStats {
	uint64_t tar_bytes;                                         /* fed */
	uint64_t data_bytes;                                        /* of them contents */
	uint64_t size;                                              /* of all regular files as a reader sees them */
	uint64_t entries;                                           /* of the tree, the root included */
	uint64_t files, directories, symlinks, hardlinks, specials; /* entries of the tar */
	uint64_t whiteouts, opaques;                                /* markers of the tar */
	uint64_t parents;                                           /* directories made for want of an entry, and never given one */
	uint64_t replaced;                                          /* paths that came again */
	uint64_t dropped_xattrs;
	bool root_opaque; /* the layers below are hidden entirely; overlayfs must not be given them */
	uint64_t memory;  /* bytes held at the end */
	ErofsWriteStats index;
} LayerIndexStats;

/* layer_index_new: options may be NULL. -ENOMEM. */
int layer_index_new(const LayerIndexOptions *options, LayerIndex **ret) MUST_USE;
void layer_index_free(LayerIndex *l);
void auto_layer_index(LayerIndex **l);
#define AUTO_LAYER_INDEX AUTO(auto_layer_index) LayerIndex

/* layer_index_feed: the next n bytes of the tar. Messages name the entry and the rule. After a failure only _free is allowed. */
int layer_index_feed(LayerIndex *l, const void *p, size_t n, Err *e) MUST_USE;

/* layer_index_set_tag: options.tag, when the digest is known at the end only. */
void layer_index_set_tag(LayerIndex *l, const uint8_t tag[static 64]);

/* layer_index_finish: the tar has ended; writes the index to index_fd (erofs_write). stats may be NULL. */
int layer_index_finish(LayerIndex *l, int index_fd, LayerIndexStats *stats, Err *e) MUST_USE;

/* layer_index_tree: the tree, complete after _finish; owned by l. For merging without reading the index back. */
ErofsTree *layer_index_tree(LayerIndex *l);
