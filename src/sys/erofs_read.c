/* erofs_read.c: an index back into a tree. The bytes may be anybody's: every offset is checked before it is used, every directory is entered
 * once, and what costs memory or time is counted against the limits. */
#include "sys/erofs_impl.h"

#include <stdarg.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/fd.h"

/* Seen: an inode of the index, by number. */
typedef struct Seen {
	ErofsInode *inode;
	uint32_t nlink;     /* as it says itself */
	bool no_dot;        /* a directory without "." */
	uint64_t inline_at; /* where its inline bytes start */
	uint64_t block;     /* where its blocks start */
	bool is_inline;
} Seen;

typedef struct Reader {
	const uint8_t *p;
	uint64_t n;
	ErofsTree *t;
	Err *e;
	uint64_t meta, xattrs; /* where they start, bytes */
	int64_t epoch;
	uint32_t epoch_ns, devices, device_mask;
	bool wide;
	Seen *seen; /* open addressing by nid */
	size_t seen_n, seen_used;
} Reader;

static int bad(Reader *r, uint64_t nid, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int bad(Reader *r, uint64_t nid, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(r->e, ERR_CONFIG, EBADMSG, "inode %llu: %s", (unsigned long long)nid, text);
}

static int unsupported(Reader *r, const char *what)
{
	return err_set(r->e, ERR_UNSUPPORTED, EOPNOTSUPP, "%s: not in an index", what);
}

/* at: n bytes of the image at offset, NULL when it has not so many. */
static const uint8_t *at(const Reader *r, uint64_t offset, uint64_t n)
{
	return n <= r->n && offset <= r->n - n ? r->p + offset : NULL;
}

/* ---- inodes by number ---- */

static Seen *seen_slot(const Reader *r, Seen *table, size_t n, uint64_t nid)
{
	size_t i = (size_t)((nid ^ r->t->key[0]) * r->t->key[1] >> 20) & (n - 1);
	while (table[i].inode && table[i].inode->nid != nid)
		i = (i + 1) & (n - 1);
	return &table[i];
}

/* The slot of nid, with an inode in it or empty and ready to take one. NULL: no memory. */
static Seen *seen_get(Reader *r, uint64_t nid)
{
	if (r->seen_used + 1 >= r->seen_n / 2) {
		size_t n = r->seen_n ? r->seen_n * 2 : 1024;
		Seen *table = calloc(n, sizeof *table);
		if (!table) return NULL;
		for (size_t i = 0; i < r->seen_n; i++)
			if (r->seen[i].inode) *seen_slot(r, table, n, r->seen[i].inode->nid) = r->seen[i];
		free(r->seen);
		r->seen = table;
		r->seen_n = n;
	}
	return seen_slot(r, r->seen, r->seen_n, nid);
}

/* ---- extended attributes ---- */

/* One entry at p, of which there are n bytes; returns its size. */
static int64_t read_xattr(Reader *r, uint64_t nid, ErofsInode *i, const uint8_t *p, uint64_t n)
{
	if (n < EROFS_XATTR_ENTRY) return bad(r, nid, "an attribute ends behind its place");
	Str name = { (const char *)p + EROFS_XATTR_ENTRY, p[0] };
	Str value = { name.p + name.n, le_get16(p + 2) };
	uint64_t size = align_to(EROFS_XATTR_ENTRY + name.n + value.n, 4);
	if (size > n) return bad(r, nid, "an attribute ends behind its place");
	if (p[1] & 0x80) return unsupported(r, "a long prefix of attribute names");
	const char *prefix = erofs_xattr_prefix(p[1]);
	if (!prefix) return unsupported(r, "an attribute with an unknown prefix");
	if (ends_with(prefix, ".") != !!name.n || memchr(name.p, 0, name.n)) return bad(r, nid, "an attribute has no proper name");
	if (p[1] == erofs_xattr_split(STR("trusted.overlay.opaque"), &(Str){ 0 }) &&
	    (str_eq(name, "overlay.opaque") || str_eq(name, "overlay.origin"))) {
		bool opaque = str_eq(name, "overlay.opaque");
		if (!str_eq(value, opaque ? "y" : "") || !inode_is_dir(i)) return unsupported(r, "a mark of overlayfs other than ours");
		if (opaque) i->opaque = true; /* the other one is made again where there are whiteouts */
		return (int64_t)size;
	}
	ErofsXattr *x;
	int res = erofs_xattr_intern(r->t, p[1], name, value, &x, r->e);
	if (res >= 0) res = erofs_xattr_add(r->t, i, x, r->e);
	return res < 0 ? res : (int64_t)size;
}

/* The attributes of an inode: n bytes at offset. */
static int read_xattrs(Reader *r, uint64_t nid, ErofsInode *i, uint64_t offset, uint64_t n)
{
	const uint8_t *p = r->p + offset;
	if (n <= EROFS_XATTR_HEADER) return bad(r, nid, "attributes without one");
	uint64_t shared = p[4], done = EROFS_XATTR_HEADER + 4 * shared;
	if (done > n) return bad(r, nid, "more shared attributes than there is room for");
	for (uint64_t s = 0; s < shared; s++) {
		uint64_t where = r->xattrs + 4 * (uint64_t)le_get32(p + EROFS_XATTR_HEADER + 4 * s);
		if (!at(r, where, EROFS_XATTR_ENTRY)) return bad(r, nid, "a shared attribute behind the end");
		int64_t size = read_xattr(r, nid, i, r->p + where, r->n - where);
		if (size < 0) return (int)size;
	}
	while (done < n) {
		int64_t size = read_xattr(r, nid, i, p + done, n - done);
		if (size < 0) return (int)size;
		done += (uint64_t)size;
	}
	return 0;
}

/* ---- contents ---- */

/* Appends blocks of a file to its runs; -ENOMEM. */
static int add_run(ErofsRun **runs, size_t *n, size_t *cap, ErofsRun run)
{
	ErofsRun *last = *n ? &(*runs)[*n - 1] : NULL;
	if (last && last->device == run.device && last->at + last->n == run.at && last->block + last->n == run.block) {
		last->n += run.n;
		return 0;
	}
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 16;
		ErofsRun *to = reallocarray(*runs, more, sizeof run);
		if (!to) return -ENOMEM;
		*runs = to;
		*cap = more;
	}
	(*runs)[(*n)++] = run;
	return 0;
}

static int read_chunks(Reader *r, uint64_t nid, ErofsInode *i, uint64_t size, uint32_t format, uint64_t offset)
{
	AUTO_FREE ErofsRun *runs = NULL;
	size_t n_runs = 0, cap = 0;
	if (format & ~(uint32_t)(CHUNK_BITS_MASK | CHUNK_INDEXES | (r->wide ? CHUNK_48BIT : 0)))
		return bad(r, nid, "an unknown kind of chunks");
	if (!(format & CHUNK_INDEXES)) return unsupported(r, "chunks without a device");
	uint64_t blocks = blocks_of(size), mask = format & CHUNK_48BIT ? ((uint64_t)1 << 48) - 1 : UINT32_MAX;
	unsigned bits = format & CHUNK_BITS_MASK;
	uint64_t n = ((blocks - 1) >> bits) + 1;
	const uint8_t *p = n <= r->n / EROFS_CHUNK ? at(r, align_to(offset, EROFS_CHUNK), n * EROFS_CHUNK) : NULL;
	if (!p) return bad(r, nid, "chunks behind the end");
	for (uint64_t c = 0; c < n; c++, p += EROFS_CHUNK) {
		ErofsRun run = { .at = c << bits, .n = (uint64_t)1 << bits, .device = le_get16(p + CHUNK_DEVICE) & r->device_mask };
		run.block = (le_get32(p + CHUNK_BLOCK) | (uint64_t)le_get16(p + CHUNK_BLOCK_HIGH) << 32) & mask;
		if (run.block == mask) continue;
		if (run.n > blocks - run.at) run.n = blocks - run.at;
		if (!run.device) return unsupported(r, "contents inside the image");
		if (run.device > r->devices) return bad(r, nid, "contents in device %u of %u", run.device, r->devices);
		uint64_t has = r->t->device_blocks[run.device - 1];
		if (run.n > has || run.block > has - run.n) return bad(r, nid, "contents behind the end of device %u", run.device);
		if (add_run(&runs, &n_runs, &cap, run) < 0) return err_sys(r->e, ENOMEM, "index");
	}
	return erofs_inode_set_runs(r->t, i, size, runs, n_runs, r->e);
}

/* flat_block: the k-th block of a directory or a target of size bytes, and how much of it is used. NULL: not there. */
static const uint8_t *flat_block(const Reader *r, const Seen *s, uint64_t size, uint64_t k, size_t *ret_n)
{
	uint64_t left = size - k * EROFS_BLOCK;
	*ret_n = left < EROFS_BLOCK ? (size_t)left : EROFS_BLOCK;
	if (s->is_inline && k == blocks_of(size) - 1) { /* the last one */
		if (s->inline_at / EROFS_BLOCK != (s->inline_at + *ret_n - 1) / EROFS_BLOCK) return NULL;
		return at(r, s->inline_at, *ret_n);
	}
	return at(r, (s->block + k) * EROFS_BLOCK, *ret_n);
}

static int read_target(Reader *r, uint64_t nid, ErofsInode *i, const Seen *s, uint64_t size)
{
	if (!size || size > EROFS_TARGET_MAX) return bad(r, nid, "a target of %llu bytes", (unsigned long long)size);
	char *to = arena_alloc(&r->t->arena, size + 1);
	if (!to) return erofs_no_memory(r->t, r->e);
	for (uint64_t k = 0; k < blocks_of(size); k++) {
		size_t n;
		const uint8_t *p = flat_block(r, s, size, k, &n);
		if (!p) return bad(r, nid, "a target behind the end");
		memcpy(to + k * EROFS_BLOCK, p, n);
	}
	if (strlen(to) != size) return bad(r, nid, "a zero byte in a target");
	i->u.link.target = to;
	i->size = size;
	return 0;
}

/* ---- inodes ---- */

/* What the two forms of an inode say in different places. */
static uint64_t read_fields(const Reader *r, const uint8_t *p, bool extended, uint16_t format, ErofsInode *i, uint32_t *ret_nlink)
{
	i->mode = le_get16(p + INODE_MODE);
	i->implied = S_ISDIR(i->mode) && le_get32(p + INODE_INO) & INO_IMPLIED;
	if (extended) {
		i->uid = le_get32(p + EXTENDED_UID);
		i->gid = le_get32(p + EXTENDED_GID);
		i->mtime = (int64_t)le_get64(p + EXTENDED_MTIME);
		i->mtime_ns = le_get32(p + EXTENDED_NSEC);
		*ret_nlink = le_get32(p + EXTENDED_NLINK);
		return le_get64(p + INODE_SIZE);
	}
	i->uid = le_get16(p + COMPACT_UID);
	i->gid = le_get16(p + COMPACT_GID);
	i->mtime = (int64_t)((uint64_t)r->epoch + le_get32(p + COMPACT_MTIME));
	i->mtime_ns = r->epoch_ns;
	bool one = !S_ISDIR(i->mode) && (format & FORMAT_NLINK_ONE);
	*ret_nlink = one ? 1 : le_get16(p + INODE_NLINK16);
	return le_get32(p + INODE_SIZE);
}

static int read_device(Reader *r, uint64_t nid, ErofsInode *i, uint32_t number)
{
	if (S_ISFIFO(i->mode) || S_ISSOCK(i->mode)) return 0;
	if (!S_ISCHR(i->mode) && !S_ISBLK(i->mode)) return bad(r, nid, "mode %o has no known type", i->mode);
	i->u.dev.major = (number & 0xfff00) >> 8;
	i->u.dev.minor = (number & 0xff) | (number >> 12 & 0xfff00);
	i->whiteout = S_ISCHR(i->mode) && !number;
	return 0;
}

static int read_contents(Reader *r, uint64_t nid, ErofsInode *i, const Seen *s, uint64_t size, unsigned layout, uint32_t u)
{
	switch (i->mode & S_IFMT) {
	case S_IFREG:
		if (size > INT64_MAX - EROFS_BLOCK) return bad(r, nid, "a file of %llu bytes", (unsigned long long)size);
		if (!size) return 0;
		if (layout != LAYOUT_CHUNKS) return unsupported(r, "contents inside the image");
		return read_chunks(r, nid, i, size, u & UINT16_MAX, s->inline_at);
	case S_IFDIR:
	case S_IFLNK:
		if (layout == LAYOUT_CHUNKS) return unsupported(r, "a directory or a target in chunks");
		i->size = size;
		return S_ISLNK(i->mode) ? read_target(r, nid, i, s, size) : 0;
	default:
		return read_device(r, nid, i, u);
	}
}

/* Reads inode nid into s->inode. */
static int read_inode(Reader *r, uint64_t nid, Seen *s)
{
	ErofsInode *i = erofs_inode_new(r->t);
	if (!i) return erofs_no_memory(r->t, r->e);
	uint64_t offset = r->meta + nid * EROFS_SLOT;
	const uint8_t *p = nid <= r->n / EROFS_SLOT ? at(r, offset, EROFS_COMPACT_SIZE) : NULL;
	if (!p) return bad(r, nid, "behind the end");
	uint16_t format = le_get16(p + INODE_FORMAT);
	bool extended = format & FORMAT_EXTENDED;
	unsigned layout = format >> FORMAT_LAYOUT_SHIFT & FORMAT_LAYOUT_MASK;
	if (format & ~FORMAT_ALL || (format & FORMAT_NLINK_ONE && !r->wide)) return bad(r, nid, "format %x is unknown", format);
	if (layout != LAYOUT_PLAIN && layout != LAYOUT_INLINE && layout != LAYOUT_CHUNKS) return unsupported(r, "compression");
	uint64_t base = extended ? EROFS_EXTENDED_SIZE : EROFS_COMPACT_SIZE, words = le_get16(p + INODE_XATTRS);
	uint64_t xattrs = words ? EROFS_XATTR_HEADER + 4 * (words - 1) : 0;
	if (!at(r, offset, base + xattrs)) return bad(r, nid, "behind the end");
	*s = (Seen){ .inline_at = offset + base + xattrs, .block = le_get32(p + INODE_U), .is_inline = layout == LAYOUT_INLINE };
	uint64_t size = read_fields(r, p, extended, format, i, &s->nlink);
	s->no_dot = S_ISDIR(i->mode) && format & FORMAT_NLINK_ONE;
	if (i->mtime_ns >= 1000000000) return bad(r, nid, "%u nanoseconds", i->mtime_ns);
	if (xattrs) {
		int res = read_xattrs(r, nid, i, offset + base, xattrs);
		if (res < 0) return res;
	}
	int res = read_contents(r, nid, i, s, size, layout, le_get32(p + INODE_U));
	if (res < 0) return res;
	i->nid = nid;
	s->inode = i;
	r->seen_used++;
	return 0;
}

/* ---- directories ---- */

static uint8_t type_of(const ErofsInode *i)
{
	static const uint8_t types[] = { [S_IFREG >> 12] = FT_REGULAR, [S_IFDIR >> 12] = FT_DIRECTORY, [S_IFCHR >> 12] = FT_CHAR,
					 [S_IFBLK >> 12] = FT_BLOCK,   [S_IFIFO >> 12] = FT_FIFO,      [S_IFSOCK >> 12] = FT_SOCKET,
					 [S_IFLNK >> 12] = FT_SYMLINK };
	unsigned type = i->mode >> 12;
	return type < ARRAY_LEN(types) ? types[type] : FT_UNKNOWN;
}

typedef struct Dir {
	ErofsNode *node;
	uint64_t nid;
	Str last;      /* the name before */
	unsigned dots; /* bit 0: "." was there, bit 1: ".." */
} Dir;

static int read_entry(Reader *r, Dir *d, Str name, uint64_t nid, uint8_t type)
{
	if (!name.n || name.n > EROFS_NAME_MAX || memchr(name.p, 0, name.n) || memchr(name.p, '/', name.n))
		return bad(r, d->nid, "an improper name");
	if (d->last.p && erofs_names_compare(d->last, name) >= 0) return bad(r, d->nid, "names out of order");
	d->last = name;
	if (str_eq(name, ".") || str_eq(name, "..")) {
		const ErofsNode *up = name.n == 2 && d->node->parent ? d->node->parent : d->node;
		d->dots |= (unsigned)name.n;
		return nid == up->inode->nid ? 0
					     : bad(r, d->nid, "\"%.*s\" leads to inode %llu", (int)name.n, name.p, (unsigned long long)nid);
	}
	Seen *s = seen_get(r, nid);
	if (!s) return err_sys(r->e, ENOMEM, "index");
	if (s->inode && inode_is_dir(s->inode)) return bad(r, nid, "a directory with two names");
	int res = s->inode ? 0 : read_inode(r, nid, s);
	if (res < 0) return res;
	if (type_of(s->inode) != type) return bad(r, nid, "mode %o, but type %u in its directory", s->inode->mode, type);
	return erofs_node_attach(r->t, d->node, name, s->inode, NULL, r->e);
}

static int read_block(Reader *r, Dir *d, const uint8_t *p, size_t n)
{
	size_t first = n >= EROFS_DIRENT ? le_get16(p + DIRENT_NAME) : 0;
	if (!first || first % EROFS_DIRENT || first > n) return bad(r, d->nid, "a block without proper entries");
	for (size_t i = 0; i < first; i += EROFS_DIRENT) {
		size_t from = le_get16(p + i + DIRENT_NAME), end = n;
		if (from < first || from >= n) return bad(r, d->nid, "a name outside of its block");
		if (i + EROFS_DIRENT < first)
			end = le_get16(p + i + EROFS_DIRENT + DIRENT_NAME);
		else
			end = from + strnlen((const char *)p + from, n - from);
		if (end <= from || end > n) return bad(r, d->nid, "a name outside of its block");
		int res = read_entry(r, d, (Str){ (const char *)p + from, end - from }, le_get64(p + i + DIRENT_NID), p[i + DIRENT_TYPE]);
		if (res < 0) return res;
	}
	return 0;
}

static int read_dir(Reader *r, ErofsNode *node)
{
	Dir d = { .node = node, .nid = node->inode->nid };
	Seen *found = seen_get(r, d.nid);
	if (!found) return err_sys(r->e, ENOMEM, "index");
	Seen s = *found; /* the table may move */
	uint64_t size = node->inode->size;
	if (size > r->n) return bad(r, d.nid, "a directory of %llu bytes", (unsigned long long)size);
	for (uint64_t k = 0; k < blocks_of(size); k++) {
		size_t n;
		const uint8_t *p = flat_block(r, &s, size, k, &n);
		if (!p) return bad(r, d.nid, "entries behind the end");
		int res = read_block(r, &d, p, n);
		if (res < 0) return res;
	}
	if (d.dots != 3 && !(s.no_dot && d.dots == 2)) return bad(r, d.nid, "\".\" or \"..\" is missing");
	return 0;
}

static int read_tree(Reader *r, uint64_t root)
{
	Seen *s = seen_get(r, root);
	if (!s) return err_sys(r->e, ENOMEM, "index");
	int res = read_inode(r, root, s);
	if (res < 0) return res;
	if (!inode_is_dir(s->inode)) return bad(r, root, "the root is no directory");
	s->inode->names = 1;
	r->t->root->inode = s->inode;
	for (ErofsNode *n = r->t->root; n && res >= 0; n = erofs_node_walk(r->t->root, n, true))
		if (inode_is_dir(n->inode)) res = read_dir(r, n);
	for (size_t i = 0; i < r->seen_n && res >= 0; i++) {
		ErofsInode *inode = r->seen[i].inode;
		if (!inode) continue;
		if (!inode_is_dir(inode) && inode->names != r->seen[i].nlink)
			res = bad(r, inode->nid, "%u names, but nlink %u", inode->names, r->seen[i].nlink);
		inode->nid = 0; /* it will get another one */
	}
	return res;
}

/* ---- the head ---- */

static int read_devices(Reader *r, const uint8_t *sb)
{
	uint64_t offset = (uint64_t)le_get16(sb + SB_DEVICE_SLOT) * EROFS_DEVICE_SIZE;
	r->devices = le_get16(sb + SB_DEVICES);
	if (!r->devices || r->devices > EROFS_DEVICES_MAX)
		return err_set(r->e, ERR_UNSUPPORTED, EOPNOTSUPP, "an index with %u devices", r->devices);
	const uint8_t *p = at(r, offset, (uint64_t)r->devices * EROFS_DEVICE_SIZE);
	if (!p) return err_set(r->e, ERR_CONFIG, EBADMSG, "the device table lies behind the end");
	while (r->device_mask < r->devices)
		r->device_mask = r->device_mask << 1 | 1;
	for (uint32_t i = 0; i < r->devices; i++, p += EROFS_DEVICE_SIZE) {
		uint64_t blocks = le_get32(p + DEVICE_BLOCKS) | (r->wide ? (uint64_t)le_get16(p + DEVICE_BLOCKS_HIGH) << 32 : 0);
		int res = erofs_tree_set_device(r->t, i + 1, blocks * EROFS_BLOCK, r->e);
		if (res < 0) return res;
	}
	return 0;
}

static int check_sum(Reader *r, const uint8_t *sb)
{
	uint8_t block[EROFS_BLOCK];
	bool has = le_get32(sb + SB_COMPAT) & COMPAT_CHECKSUM;
	memcpy(block, sb, sizeof block);
	le_put32(block + SB_CHECKSUM, 0);
	if (has && erofs_crc32c(UINT32_MAX, block, sizeof block) == le_get32(sb + SB_CHECKSUM)) return 0;
	return err_set(r->e, ERR_CONFIG, EBADMSG, "the checksum of the super block is missing or wrong");
}

static int read_super(Reader *r, uint64_t *ret_root)
{
	const uint8_t *sb = at(r, EROFS_SUPER_OFFSET, EROFS_BLOCK);
	if (!sb || le_get32(sb + SB_MAGIC) != EROFS_MAGIC) return err_set(r->e, ERR_CONFIG, EBADMSG, "no EROFS super block");
	int res = check_sum(r, sb);
	if (res < 0) return res;
	uint32_t needs = le_get32(sb + SB_INCOMPAT);
	if (sb[SB_BLOCK_BITS] != EROFS_BLOCK_BITS || sb[SB_DIR_BITS]) return unsupported(r, "blocks of other than 512 bytes");
	if (needs & ~(uint32_t)(INCOMPAT_CHUNKED | INCOMPAT_DEVICES | INCOMPAT_48BIT) || sb[SB_PREFIXES])
		return unsupported(r, "an unknown feature");
	if (!(needs & INCOMPAT_DEVICES)) return unsupported(r, "no device table");
	if (le_get64(sb + SB_PACKED_NID)) return unsupported(r, "a packed inode");
	r->wide = needs & INCOMPAT_48BIT;
	r->epoch = (int64_t)le_get64(sb + SB_EPOCH);
	r->epoch_ns = le_get32(sb + SB_NSEC);
	r->meta = (uint64_t)le_get32(sb + SB_META_BLOCK) * EROFS_BLOCK;
	r->xattrs = (uint64_t)le_get32(sb + SB_XATTR_BLOCK) * EROFS_BLOCK;
	*ret_root = le_get16(sb + SB_ROOT_NID);
	if (r->wide && le_get64(sb + SB_ROOT_NID8)) *ret_root = le_get64(sb + SB_ROOT_NID8);
	return read_devices(r, sb);
}

int erofs_load_bytes(const void *p, size_t n, const ErofsLimits *limits, ErofsTree **ret, Err *e)
{
	AUTO_EROFS_TREE *t = NULL;
	uint64_t root = 0;
	if (erofs_tree_new(limits, &t) < 0) return err_sys(e, ENOMEM, "index");
	Reader r = { .p = p, .n = n, .t = t, .e = e };
	int res = read_super(&r, &root);
	if (res >= 0) res = read_tree(&r, root);
	free(r.seen);
	if (res < 0) return err_wrap(e, "index");
	*ret = take(t);
	return 0;
}

int erofs_load(int fd, const ErofsLimits *limits, ErofsTree **ret, Err *e)
{
	struct stat st;
	uint64_t max = (limits ? *limits : EROFS_LIMITS_DEFAULT).index_bytes;
	if (fstat(fd, &st) < 0) return err_sys(e, errno, "index");
	if (!S_ISREG(st.st_mode)) return err_set(e, ERR_CONFIG, EINVAL, "index: no regular file");
	if ((uint64_t)st.st_size > max) return err_set(e, ERR_RESOURCE, EFBIG, "index: more than %llu bytes", (unsigned long long)max);
	size_t n = (size_t)st.st_size, done = 0;
	AUTO_FREE uint8_t *p = malloc(n + 1);
	if (!p) return err_sys(e, ENOMEM, "index");
	while (done < n) {
		ssize_t got = pread(fd, p + done, n - done, (off_t)done);
		if (got < 0 && errno == EINTR) continue;
		if (got < 0) return err_sys(e, errno, "read the index");
		if (!got) break;
		done += (size_t)got;
	}
	return erofs_load_bytes(p, done, limits, ret, e);
}

int erofs_load_part(int fd, uint64_t *left, ErofsTree **ret, Err *e)
{
	ErofsLimits limits = EROFS_LIMITS_DEFAULT;
	if (limits.memory > *left) limits.memory = *left;
	int r = erofs_load(fd, &limits, ret, e);
	if (r == -EDQUOT && limits.memory < EROFS_PARTS_MEMORY)
		return err_set(e, ERR_RESOURCE, EDQUOT, "more than the %llu bytes of memory that the indexes of an image may take together",
			       (unsigned long long)EROFS_PARTS_MEMORY);
	if (r < 0) return r;
	uint64_t taken = erofs_tree_memory(*ret);
	*left -= taken < *left ? taken : *left;
	return 0;
}
