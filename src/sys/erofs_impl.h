/* erofs_impl.h: between the files of erofs: the tree as it lies in memory, and the format on disk.
 *
 * The numbers are those of linux/fs/erofs/erofs_fs.h; everything is little-endian. Structures are read and written by offset, so
 * no struct of ours has to have the layout of one on disk.
 */
#pragma once

#include <endian.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "sys/erofs.h"

/* ---- on disk ---- */

enum {
	EROFS_SUPER_OFFSET = 1024,
	EROFS_SUPER_SIZE = 128,
	EROFS_DEVICE_SIZE = 128,
	EROFS_DEVICE_TAG = 64,
	EROFS_BLOCK_BITS = 9,
	EROFS_SLOT = 32, /* an inode starts at a multiple of it, and its number (nid) counts them */
	EROFS_COMPACT_SIZE = 32,
	EROFS_EXTENDED_SIZE = 64,
	EROFS_XATTR_HEADER = 12,
	EROFS_XATTR_ENTRY = 4,
	EROFS_DIRENT = 12,
	EROFS_CHUNK = 8,
};
#define EROFS_MAGIC 0xe0f5e1e2u

enum { /* the super block, from EROFS_SUPER_OFFSET */
       SB_MAGIC = 0,
       SB_CHECKSUM = 4,
       SB_COMPAT = 8,
       SB_BLOCK_BITS = 12,
       SB_EXT_SLOTS = 13,
       SB_ROOT_NID = 14,
       SB_INODES = 16,
       SB_EPOCH = 24,
       SB_NSEC = 32,
       SB_BLOCKS = 36,
       SB_META_BLOCK = 40,
       SB_XATTR_BLOCK = 44,
       SB_UUID = 48,
       SB_LABEL = 64, /* 16 bytes */
       SB_INCOMPAT = 80,
       SB_DEVICES = 86,
       SB_DEVICE_SLOT = 88,
       SB_DIR_BITS = 90,
       SB_PREFIXES = 91,
       SB_PACKED_NID = 96,
       SB_ROOT_NID8 = 112,
};

enum {
	COMPAT_CHECKSUM = 1,
	COMPAT_MTIME = 2,
	INCOMPAT_CHUNKED = 4,
	INCOMPAT_DEVICES = 8,
	INCOMPAT_48BIT = 0x80,
};

enum { /* an inode; the first fields are common to both forms */
       INODE_FORMAT = 0,
       INODE_XATTRS = 2,
       INODE_MODE = 4,
       INODE_NLINK16 = 6, /* compact */
       INODE_SIZE = 8,    /* 32 bits, 64 bits */
       COMPACT_MTIME = 12,
       INODE_U = 16,   /* first block, device number or chunk format */
       INODE_INO = 20, /* the highest bit: INO_IMPLIED */
       COMPACT_UID = 24,
       COMPACT_GID = 26,
       EXTENDED_UID = 24,
       EXTENDED_GID = 28,
       EXTENDED_MTIME = 32,
       EXTENDED_NSEC = 40,
       EXTENDED_NLINK = 44,
};

#define INO_IMPLIED 0x80000000u

enum { LAYOUT_PLAIN = 0, LAYOUT_INLINE = 2, LAYOUT_CHUNKS = 4 };

enum {
	FORMAT_EXTENDED = 1,
	FORMAT_LAYOUT_SHIFT = 1,
	FORMAT_LAYOUT_MASK = 7,
	FORMAT_NLINK_ONE = 0x10,
	FORMAT_ALL = 0x1f,
	CHUNK_BITS_MASK = 0x1f,
	CHUNK_INDEXES = 0x20,
	CHUNK_48BIT = 0x40,
};
#define EROFS_NO_BLOCK UINT64_MAX /* a hole; on disk its low 32 or 48 bits */

enum { DEVICE_TAG = 0, DEVICE_BLOCKS = 64, DEVICE_BLOCKS_HIGH = 72 };
enum { CHUNK_BLOCK_HIGH = 0, CHUNK_DEVICE = 2, CHUNK_BLOCK = 4 };
enum { DIRENT_NID = 0, DIRENT_NAME = 8, DIRENT_TYPE = 10 };
enum { FT_UNKNOWN, FT_REGULAR, FT_DIRECTORY, FT_CHAR, FT_BLOCK, FT_FIFO, FT_SOCKET, FT_SYMLINK };

static inline void le_put16(void *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof v);
}
static inline void le_put32(void *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof v);
}
static inline void le_put64(void *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof v);
}
static inline uint16_t le_get16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return le16toh(v);
}
static inline uint32_t le_get32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return le32toh(v);
}
static inline uint64_t le_get64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

/* align_to: up to a multiple of a power of two. */
static inline uint64_t align_to(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

static inline uint64_t blocks_of(uint64_t bytes)
{
	return bytes / EROFS_BLOCK + (bytes % EROFS_BLOCK != 0);
}

/* ---- in memory ---- */

typedef struct ErofsXattr ErofsXattr;
typedef struct ErofsXattrRef ErofsXattrRef;
typedef struct ErofsInode ErofsInode;

/* ErofsXattr: one name with one value, shared by all inodes that have it. */
struct ErofsXattr {
	ErofsXattr *next; /* in its hash bucket */
	uint64_t hash;
	uint64_t users; /* inodes; counted while laying out */
	uint64_t place; /* in the shared area, bytes; EROFS_NO_BLOCK: inline */
	uint32_t value_n;
	uint8_t prefix, name_n; /* e_name_index, and the length without the prefix */
	char bytes[];           /* name, value */
};

struct ErofsXattrRef {
	ErofsXattrRef *next; /* sorted by prefix and name */
	ErofsXattr *x;
};

/* ErofsRun: ErofsExtent in blocks. */
typedef struct ErofsRun {
	uint64_t at, n, block;
	uint32_t device;
} ErofsRun;

struct ErofsInode {
	uint64_t size; /* regular file, target; directory, on disk: of its entries */
	int64_t mtime;
	uint32_t mtime_ns, uid, gid, names; /* names: nodes that have it */
	uint16_t mode;
	bool whiteout, opaque, implied;
	uint32_t n_runs;
	ErofsXattrRef *xattrs;
	union {
		struct {
			ErofsNode *first, *last;
			uint32_t subdirs, whiteouts; /* of the entries */
			uint64_t block;              /* on disk: of its full blocks, counted from the first of all */
			const ErofsNode *tail;       /* the first entry behind them */
			uint8_t tail_dots;           /* how many of "." and ".." lie in them */
		} dir;
		struct {
			const char *target;
			uint64_t block; /* on disk, when it is too long for the inode */
		} link;
		struct {
			uint64_t block; /* one run over the whole file */
			ErofsRun *runs; /* else */
			uint32_t device;
			uint8_t chunk_bits; /* of a chunk, counted from a block */
		} file;
		struct {
			uint32_t major, minor;
		} dev;
	} u;
	uint64_t nid; /* on disk; 0: none yet */
	union {
		ErofsInode *merged;    /* erofs_merge: what it became in the new tree */
		ErofsNode *merged_dir; /* the same of a directory */
		ErofsNode *next_dir;   /* erofs_layout: the directory that follows in the order of the inodes */
	} x;
};

struct ErofsNode {
	ErofsNode *parent, *next, *prev;
	ErofsInode *inode;
	uint32_t hash;
	uint16_t depth; /* of the root: 0 */
	uint8_t name_n, tag;
	char name[];
};

struct ErofsTree {
	ErofsLimits limits;
	Arena arena;
	ErofsNode *root;
	ErofsNode **table; /* open addressing; &erofs_removed where one was */
	size_t table_n, table_used;
	ErofsXattr **xattrs; /* buckets */
	size_t xattrs_n, n_xattrs;
	uint64_t entries, chunks, xattr_bytes;
	uint64_t key[2];         /* of the hashes: an attacker does not know it */
	uint64_t *device_blocks; /* per device */
	uint32_t devices;
	ErofsXattr *opaque; /* trusted.overlay.opaque=y, for erofs_write */
	ErofsXattr *origin; /* trusted.overlay.origin= */
};

/* erofs_quota: -EDQUOT with "index: more than N what". */
int erofs_quota(Err *e, uint64_t limit, const char *what) MUST_USE;
/* erofs_no_memory: -ENOMEM, or -EDQUOT when it is the tree's own limit. */
int erofs_no_memory(const ErofsTree *t, Err *e) MUST_USE;

/* erofs_inode_new: a nameless inode. erofs_node_attach: a name for it. Both -ENOMEM without a message. */
ErofsInode *erofs_inode_new(ErofsTree *t) MUST_USE;
int erofs_node_attach(ErofsTree *t, ErofsNode *dir, Str name, ErofsInode *inode, ErofsNode **ret, Err *e) MUST_USE;

static inline bool inode_is_dir(const ErofsInode *i)
{
	return S_ISDIR(i->mode);
}
static inline bool inode_is_file(const ErofsInode *i)
{
	return S_ISREG(i->mode);
}
/* inode_nlink: as stat(2) shows it. */
static inline uint32_t inode_nlink(const ErofsInode *i)
{
	return inode_is_dir(i) ? 2 + i->u.dir.subdirs : i->names;
}

/* erofs_names_compare: the order of directory entries on disk: as bytes, the shorter first. */
int erofs_names_compare(Str a, Str b);

/* erofs_hash: of n bytes under the tree's key. */
uint64_t erofs_hash(const ErofsTree *t, const void *p, size_t n, uint64_t seed);

/* erofs_xattr_intern: the one copy of that attribute in t. erofs_xattr_add: makes it one of inode's. */
int erofs_xattr_intern(ErofsTree *t, uint8_t prefix, Str name, Str value, ErofsXattr **ret, Err *e) MUST_USE;
int erofs_xattr_add(ErofsTree *t, ErofsInode *inode, ErofsXattr *x, Err *e) MUST_USE;
/* erofs_xattr_split: the index of the prefix of name, and what follows; 0 when the format has no room for it. */
uint8_t erofs_xattr_split(Str name, Str *ret_rest);
/* erofs_xattr_prefix: the text of an index, NULL when there is none. */
const char *erofs_xattr_prefix(uint8_t index);
static inline size_t xattr_size(const ErofsXattr *x)
{
	return align_to(EROFS_XATTR_ENTRY + (size_t)x->name_n + x->value_n, 4);
}

/* erofs_inode_set_runs: the contents of a file; runs are checked, sorted and merged already, and copied. */
int erofs_inode_set_runs(ErofsTree *t, ErofsInode *i, uint64_t size, const ErofsRun *runs, size_t n, Err *e) MUST_USE;
ErofsRun erofs_inode_run(const ErofsInode *i, size_t n);
/* inode_chunks: how many chunks it takes on disk. */
static inline uint64_t inode_chunks(const ErofsInode *i)
{
	uint64_t blocks = blocks_of(i->size);
	return blocks ? ((blocks - 1) >> i->u.file.chunk_bits) + 1 : 0;
}

/* ErofsXattrs: those an inode has on disk, marks of directories among them. Start with erofs_xattrs(). */
typedef struct ErofsXattrs {
	const ErofsXattrRef *next;
	ErofsXattr *marks[2];
} ErofsXattrs;
ErofsXattrs erofs_xattrs(const ErofsTree *t, const ErofsInode *i);
ErofsXattr *erofs_xattrs_next(ErofsXattrs *it);

/* ErofsEntries: a directory as it is on disk, "." and ".." in their places among the names. */
typedef struct ErofsEntries {
	const ErofsNode *dir, *next;
	unsigned dots; /* how many of the two have been given */
} ErofsEntries;
ErofsEntries erofs_entries(const ErofsNode *dir);
ErofsEntries erofs_entries_tail(const ErofsNode *dir); /* those behind the full blocks */
bool erofs_entries_next(ErofsEntries *it, Str *ret_name, const ErofsInode **ret_inode);
/* erofs_entries_block: how many entries from it on fit one block, and the bytes they take. */
size_t erofs_entries_block(ErofsEntries it, size_t *ret_bytes);

/* ErofsLayout: where everything goes; made before a byte is written. */
typedef struct ErofsLayout {
	uint64_t meta;   /* first inode, bytes */
	uint64_t blocks; /* first block of directories, bytes */
	uint64_t links;  /* first block of targets too long for their inodes, bytes */
	uint64_t shared; /* shared attributes, bytes */
	uint64_t end;
	uint64_t inodes, compact, n_shared;
	int64_t epoch; /* the commonest time: its inodes can be compact */
	uint32_t epoch_ns;
	bool wide;   /* the 48-bit layout */
	bool marked; /* whiteouts or opaque directories in it */
} ErofsLayout;
#define EROFS_MARKED "whiteouts" /* the label of such an index */
int erofs_layout(ErofsTree *t, ErofsLayout *ret, Err *e) MUST_USE;
/* erofs_tree_sort: the entries of all directories by name. -ENOMEM. */
int erofs_tree_sort(ErofsTree *t) MUST_USE;

/* What erofs_layout and erofs_write must agree on, per inode. */
typedef struct ErofsShape {
	size_t base;      /* bytes of the inode itself */
	size_t xattrs;    /* bytes of inline attributes with their header */
	size_t chunks_at; /* from the start of the inode, when layout is LAYOUT_CHUNKS */
	uint64_t chunks;  /* number */
	size_t tail;      /* inline bytes */
	uint64_t blocks;  /* blocks outside */
	unsigned layout;
} ErofsShape;
ErofsShape erofs_shape(const ErofsTree *t, const ErofsLayout *l, const ErofsInode *i);
/* erofs_shape_place: where an inode of that shape can start, at pos or after it. */
uint64_t erofs_shape_place(const ErofsShape *s, const ErofsInode *i, uint64_t pos);
static inline uint64_t shape_size(const ErofsShape *s)
{
	return s->layout == LAYOUT_CHUNKS ? s->chunks_at + s->chunks * EROFS_CHUNK : s->base + s->xattrs + s->tail;
}

/* erofs_each: calls fn for every node in the order of the inodes on disk: the root, then the entries of one directory together. Ends at a
 * negative result and returns it. */
int erofs_each(const ErofsTree *t, int (*fn)(void *arg, ErofsNode *node), void *arg) MUST_USE;

uint32_t erofs_crc32c(uint32_t crc, const void *p, size_t n);
