/* tar_impl.h: what the files behind tar_read.h share; nobody else includes it. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "oci/tar_read.h"

/* ---- tar_rule.c ---- */

typedef enum {
#define RULE(name, code, errnum, text) TAR_##name,
#include "oci/tar_rules.def"
#undef RULE
	TAR_RULES
} TarRule;

/* "tar: byte 512: …", "tar: "name": …", "tar: byte 512: extended header: "key": …". Return the negative errno of the rule. */
int tar_refuse_at(Err *e, TarRule rule, uint64_t at);
int tar_refuse_name(Err *e, TarRule rule, Str name);
int tar_refuse_record(Err *e, TarRule rule, uint64_t at, const char *key);

/* ---- tar_header.c: one block ---- */

typedef enum { TAR_V7, TAR_USTAR, TAR_GNU } TarMagic;

/* TarHeader: a header block decoded. The strings point into the block. Devices and the fields of old GNU sparse files are decoded on demand,
 * since other members may have anything there. */
typedef struct TarHeader {
	TarMagic magic;
	char type; /* the typeflag as written */
	Str name, prefix, link, uname, gname;
	int64_t mode, uid, gid, size, mtime;
	const unsigned char *block;
} TarHeader;

bool tar_is_zero(const void *p, size_t n);

/* tar_header_decode: block must stay as long as ret is used. */
TarRule tar_header_decode(const unsigned char block[static TAR_BLOCK_BYTES], TarHeader *ret) MUST_USE;

/* tar_header_device: major and minor as written; false: no numbers. */
bool tar_header_device(const TarHeader *h, int64_t *ret_major, int64_t *ret_minor);

/* tar_number: octal text between blanks and NULs, or base-256 (first byte 0x80: positive, 0xff: negative). An empty field is 0. False: neither, or
 * beyond 63 bits. */
bool tar_number(const unsigned char *p, size_t n, int64_t *ret);

/* ---- tar_name.c ---- */

/* tar_name_clean: writes the clean form of a path (see tar.h) into ret, which has room for limits->path + 1 bytes. A
 * member's name must not be empty: "" is never clean, while "/" and "." give "", the root. */
TarRule tar_name_clean(Str name, const TarLimits *limits, char *ret, size_t *ret_n) MUST_USE;

/* ---- tar_sparse.c ---- */

/* TarMap: the extents of a sparse file while they are read. */
typedef struct TarMap {
	TarExtent *items;
	size_t n, cap;
	uint64_t pairs; /* seen, empty ones included */
	uint64_t max;   /* pairs */
	uint64_t end;   /* of the last extent */
	uint64_t bytes; /* of all extents */
	/* a map of version 1.0 on its way */
	uint64_t want, number, first; /* pairs; the number under the cursor; the offset before it */
	unsigned digits;
	uint64_t numbers; /* complete ones */
} TarMap;

void tar_map_done(TarMap *m);
void tar_map_reset(TarMap *m);

/* tar_map_add: one pair; empty extents are checked and dropped. */
TarRule tar_map_add(TarMap *m, uint64_t offset, uint64_t n) MUST_USE;

/* tar_map_text: version 0.1, "offset,bytes,offset,bytes". */
TarRule tar_map_text(TarMap *m, Str text) MUST_USE;

/* tar_map_header: the pairs of an old GNU header (n = 4) or of an extension block (n = 21). *ret_last: no pair can follow. */
TarRule tar_map_header(TarMap *m, const unsigned char *p, size_t n, bool *ret_last) MUST_USE;

/* tar_map_block: the next block of a map of version 1.0. *ret_done: it was the last one. */
TarRule tar_map_block(TarMap *m, const unsigned char block[static TAR_BLOCK_BYTES], bool *ret_done) MUST_USE;

/* tar_map_check: whether the map fits the file's size and its stored data. */
TarRule tar_map_check(const TarMap *m, uint64_t size, uint64_t stored) MUST_USE;

/* ---- tar_pax.c ---- */

/* Keys of an extended header that we act on: bits of TarPax.seen. */
enum {
	PAX_PATH = 1 << 0,
	PAX_LINKPATH = 1 << 1,
	PAX_SIZE = 1 << 2,
	PAX_UID = 1 << 3,
	PAX_GID = 1 << 4,
	PAX_UNAME = 1 << 5,
	PAX_GNAME = 1 << 6,
	PAX_MTIME = 1 << 7,
	PAX_DEVMAJOR = 1 << 8,
	PAX_DEVMINOR = 1 << 9,
	PAX_SPARSE_MAJOR = 1 << 10,
	PAX_SPARSE_MINOR = 1 << 11,
	PAX_SPARSE_NAME = 1 << 12,
	PAX_SPARSE_REALSIZE = 1 << 13,
	PAX_SPARSE_SIZE = 1 << 14,
	PAX_SPARSE_BLOCKS = 1 << 15,
	PAX_SPARSE_OFFSET = 1 << 16,
	PAX_SPARSE_BYTES = 1 << 17,
	PAX_SPARSE_MAP = 1 << 18,
	PAX_REALSIZE = 1 << 19,
	PAX_SPARSE_ANY = PAX_SPARSE_MAJOR | PAX_SPARSE_MINOR | PAX_SPARSE_NAME | PAX_SPARSE_REALSIZE | PAX_SPARSE_SIZE | PAX_SPARSE_BLOCKS |
			 PAX_SPARSE_OFFSET | PAX_SPARSE_BYTES | PAX_SPARSE_MAP,
};

typedef struct TarPaxXattr {
	TarXattr x;
	uint32_t rank; /* of two with one name the higher wins */
} TarPaxXattr;

/* TarPax: an extended header read. The strings end in a NUL and point into the text it was read from. */
typedef struct TarPax {
	uint32_t seen;
	Str path, linkpath, uname, gname, sparse_name, sparse_map;
	uint64_t size, uid, gid, devmajor, devminor;
	uint64_t sparse_major, sparse_minor, sparse_realsize, sparse_size, sparse_blocks, sparse_offset, realsize;
	int64_t mtime;
	uint32_t mtime_ns;
	TarPaxXattr *found; /* as they come; kept from member to member */
	size_t n_found, cap_found;
	TarXattr *xattrs; /* sorted, each name once */
	size_t n_xattrs, cap_xattrs;
	uint64_t xattrs_bytes;
} TarPax;

void tar_pax_done(TarPax *p);
void tar_pax_reset(TarPax *p);

/* tar_pax_parse: reads the records of text, which is modified, into p, and the pairs of a sparse map of version 0.0 into map. global: only
 * checks that nothing in it matters. at: the offset of text in the archive, for messages. -EBADMSG, -E2BIG, -ENOMEM. */
int tar_pax_parse(TarPax *p, TarMap *map, char *text, size_t n, bool global, uint64_t at, const TarLimits *limits, Err *e) MUST_USE;
