/* erofs.h: EROFS images that hold metadata only: built, written, read back and merged.
 *
 * Such an image, an index, describes a tree whose file contents lie in other files, its devices: for a layer, the raw tar. The
 * kernel mounts the index with the devices beside it (sys/erofs_mount.h). The format is the one of linux/fs/erofs/erofs_fs.h; blocks
 * have 512 bytes, as a tar's have, so a file of a tar needs no copy: it is one chunk that starts at a block of the tar.
 *
 * Invariants
 *  - A node is a name in a directory. Names of one file (hard links) are nodes that share one inode. A directory has one name.
 *  - Whiteouts and opaque directories are kept as such, not as what they look like on disk: a character device 0/0
 *    and the attribute trusted.overlay.opaque=y; and on a directory with whiteouts in it trusted.overlay.origin, without which overlayfs
 *    lists them where it has no second directory to merge. erofs_write and erofs_load translate.
 *  - A directory may be implied: something lies below it, and nothing more is known of it. Merged, it is as the layers below have described
 *    it. On disk that is the highest bit of the inode's i_ino, which no kernel reads: mounted, it is an ordinary directory.
 *  - The same tree gives the same bytes, in whatever order it was built.
 *  - A tree never holds more than its limits; beyond them functions fail with -EDQUOT and name the limit.
 *  - Ownership: the tree owns its nodes and copies what it is given. Nodes live as long as their tree; not longer than
 *    until they are removed.
 *
 * One tree is used by one thread at a time.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum {
	EROFS_BLOCK = 512,
	EROFS_NAME_MAX = 255,
	EROFS_TARGET_MAX = 4095,      /* of a symbolic link, as PATH_MAX has it */
	EROFS_DEVICES_MAX = 1000,     /* more than overlayfs takes layers */
	EROFS_XATTRS_MAX = 253,       /* of one inode; h_shared_count has eight bits, and two marks may be added */
	EROFS_XATTR_VALUE_MAX = 65535 /* e_value_size has sixteen bits */
};

typedef struct ErofsTree ErofsTree;
typedef struct ErofsNode ErofsNode;

typedef struct ErofsLimits {
	uint64_t entries;     /* names, the root included */
	uint64_t memory;      /* bytes, of everything a tree allocates */
	uint64_t chunks;      /* of all sparse files together: 8 bytes each on disk */
	uint64_t xattr_bytes; /* names and values of all extended attributes, before equal ones are found */
	uint64_t index_bytes; /* size of an index that erofs_load takes */
	unsigned depth;       /* directories below the root */
} ErofsLimits;

#define EROFS_LIMITS_DEFAULT \
	((ErofsLimits){ .entries = 4000000, \
			.memory = 1 << 30, \
			.chunks = 4 << 20, \
			.xattr_bytes = 256 << 20, \
			.index_bytes = 1 << 30, \
			.depth = 4096 })

/* ErofsAttr: what is the same for all names of a file. */
typedef struct ErofsAttr {
	uint32_t mode; /* S_IFMT and 07777 */
	uint32_t uid, gid;
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t major, minor; /* S_IFCHR, S_IFBLK: below 2^12 and 2^20 */
} ErofsAttr;

/* ErofsExtent: bytes of a file and where they lie. Starts are multiples of EROFS_BLOCK; so is n, but at the end of the file. */
typedef struct ErofsExtent {
	uint64_t at, n;  /* in the file, bytes */
	uint64_t offset; /* in the device, bytes */
	uint32_t device; /* 1 is the first */
} ErofsExtent;

/* ErofsStat: a node as it stands in its tree. */
typedef struct ErofsStat {
	ErofsAttr attr;
	uint32_t nlink; /* names in the tree; directories: 2 and one per subdirectory */
	uint64_t size;  /* of a regular file; of a target; else 0 */
	uint64_t inode; /* equal for the names of one file, else different; valid while the node is */
	bool whiteout;
	bool opaque;        /* directories */
	bool implied;       /* directories */
	const char *target; /* symbolic links, else NULL */
	size_t n_extents;
	size_t n_xattrs;
} ErofsStat;

/* ---- building ---- */

/* erofs_tree_new: a tree of a root directory, 0755 root:root of 1970; one device. limits NULL: the defaults. -ENOMEM. */
int erofs_tree_new(const ErofsLimits *limits, ErofsTree **ret) MUST_USE;
void erofs_tree_free(ErofsTree *t);
void auto_erofs_tree(ErofsTree **t);
#define AUTO_EROFS_TREE AUTO(auto_erofs_tree) ErofsTree

ErofsNode *erofs_tree_root(ErofsTree *t);
uint64_t erofs_tree_entries(const ErofsTree *t); /* the root included */
uint64_t erofs_tree_memory(const ErofsTree *t);  /* bytes held */
uint32_t erofs_tree_devices(const ErofsTree *t);

/* erofs_tree_set_device: says how many bytes device has (1 is the first; unknown ones before it get none). */
int erofs_tree_set_device(ErofsTree *t, uint32_t device, uint64_t size, Err *e) MUST_USE;

/* erofs_node_find: the entry of that name in dir, NULL when there is none. In the time of one look into a hash table. */
ErofsNode *erofs_node_find(const ErofsTree *t, const ErofsNode *dir, Str name);

/* erofs_node_add: a new entry. -EEXIST when there is one of that name, -EINVAL for what cannot be stored (a name with a slash, a
 * device number too large), -EDQUOT beyond a limit. A symbolic link needs its target, then. */
int erofs_node_add(ErofsTree *t, ErofsNode *dir, Str name, const ErofsAttr *a, ErofsNode **ret, Err *e) MUST_USE;

/* erofs_node_link: a further name of target's file. -EPERM for a directory or a whiteout, -EMLINK. */
int erofs_node_link(ErofsTree *t, ErofsNode *dir, Str name, ErofsNode *target, ErofsNode **ret, Err *e) MUST_USE;

/* erofs_node_add_whiteout: an entry that hides, in an overlay, the one of the same name below. */
int erofs_node_add_whiteout(ErofsTree *t, ErofsNode *dir, Str name, ErofsNode **ret, Err *e) MUST_USE;

/* erofs_node_remove: takes the entry out, and all below it. Not the root. */
void erofs_node_remove(ErofsTree *t, ErofsNode *node);
/* erofs_node_clear: takes out all below a directory. */
void erofs_node_clear(ErofsTree *t, ErofsNode *dir);

/* erofs_node_set_attr: changes everything but the type, which must be the same: -EINVAL. A directory is not implied any more. */
int erofs_node_set_attr(ErofsTree *t, ErofsNode *node, const ErofsAttr *a, Err *e) MUST_USE;
int erofs_node_set_target(ErofsTree *t, ErofsNode *node, Str target, Err *e) MUST_USE;
/* erofs_node_set_opaque: hides, in an overlay, what lies below dir in other layers. overlayfs does not look at the root's mark: who mounts
 * layers leaves those below an opaque root out; erofs_merge does. */
void erofs_node_set_opaque(ErofsTree *t, ErofsNode *dir, bool opaque);
void erofs_node_set_implied(ErofsTree *t, ErofsNode *dir, bool implied);

/* erofs_node_set_extents: size and contents of a regular file; what no extent covers is a hole. Extents rise and do not overlap. -EINVAL,
 * or -EDQUOT when the holes are so scattered that their map goes over the limit. */
int erofs_node_set_extents(ErofsTree *t, ErofsNode *node, uint64_t size, const ErofsExtent *x, size_t n, Err *e) MUST_USE;

/* erofs_node_set_xattr: adds or replaces one. -EOPNOTSUPP for a name outside user., trusted., security. and
 * system.posix_acl_{access,default}: the format has no others; -E2BIG for a value or a number of them it has no room for. ACLs have
 * the form of setxattr(2). */
int erofs_node_set_xattr(ErofsTree *t, ErofsNode *node, const char *name, const void *value, size_t n, Err *e) MUST_USE;
void erofs_node_clear_xattrs(ErofsTree *t, ErofsNode *node);

/* ---- looking ---- */

void erofs_node_stat(const ErofsTree *t, const ErofsNode *node, ErofsStat *ret);
Str erofs_node_name(const ErofsNode *node);
ErofsNode *erofs_node_parent(const ErofsNode *node); /* NULL for the root */
/* erofs_node_child, _next: the entries of a directory; sorted by name once the tree was written, loaded or merged. */
ErofsNode *erofs_node_child(const ErofsNode *dir);
ErofsNode *erofs_node_next(const ErofsNode *node);
/* erofs_node_walk: the next node of a walk through all below top, parents first, NULL at the end. descend false: not into node. */
ErofsNode *erofs_node_walk(const ErofsNode *top, const ErofsNode *node, bool descend);
/* erofs_node_tag: a byte for whoever builds the tree; 0 at first, not written. */
uint8_t erofs_node_tag(const ErofsNode *node);
void erofs_node_set_tag(ErofsNode *node, uint8_t tag);
/* erofs_node_extent, _xattr: the i-th. The name is written into name with its prefix. */
ErofsExtent erofs_node_extent(const ErofsNode *node, size_t i);
enum { EROFS_XATTR_NAME_SIZE = 288 };
void erofs_node_xattr(const ErofsNode *node, size_t i, char name[EROFS_XATTR_NAME_SIZE], Str *ret_value);

/* ---- on disk ---- */

typedef struct ErofsWriteOptions {
	const uint8_t *uuid;       /* 16 bytes; NULL: made of the content */
	const uint8_t (*tags)[64]; /* one per device, for the device table; NULL: zeros */
} ErofsWriteOptions;

typedef struct ErofsWriteStats {
	uint64_t bytes, inodes, compact, shared_xattrs;
	uint8_t uuid[16];
} ErofsWriteStats;

/* erofs_write: writes the index from the start of fd, a seekable file, which should be empty. options and stats may be NULL. Not
 * durable: fdatasync(2) is the caller's. Needs the 48-bit layout (Linux 6.15) only for devices beyond 2 TiB. */
int erofs_write(ErofsTree *t, int fd, const ErofsWriteOptions *options, ErofsWriteStats *stats, Err *e) MUST_USE;

/* erofs_is_marked: does an index that erofs_write made have whiteouts or opaque directories, which show as what they look like unless
 * it is one of several in an overlay, or merged? By its label, which says "whiteouts" then. Negative errno. */
int erofs_is_marked(int fd) MUST_USE;

/* erofs_load: reads an index back, ours or one of `mkfs.erofs --tar=i`. Strict: whatever is not as the format has it is -EBADMSG, what
 * the format has and an index has not (compression, contents inside the image, long attribute prefixes) -EOPNOTSUPP. */
int erofs_load(int fd, const ErofsLimits *limits, ErofsTree **ret, Err *e) MUST_USE;
int erofs_load_bytes(const void *p, size_t n, const ErofsLimits *limits, ErofsTree **ret, Err *e) MUST_USE;

/* erofs_load_part: one of several indexes that are to be merged. *left, at first EROFS_PARTS_MEMORY, is how many bytes they may still take together;
 * what this one takes goes off it. */
#define EROFS_PARTS_MEMORY (UINT64_C(1) << 30)
int erofs_load_part(int fd, uint64_t *left, ErofsTree **ret, Err *e) MUST_USE;

/* erofs_merge: layers (the lowest first) as one tree without whiteouts: the view that overlayfs would give of them, but for implied directories,
 * which keep what the layers below say of them. Its devices are those of the layers, in the same order. The layers stay as they are. */
int erofs_merge(ErofsTree *const *layers, size_t n, const ErofsLimits *limits, ErofsTree **ret, Err *e) MUST_USE;
