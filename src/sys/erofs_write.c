/* erofs_write.c: a tree as an EROFS image. Two passes over the tree: erofs_layout.c says where things go, this one writes them in that
 * order through one buffer; the super block, which has the checksum and the content's UUID, comes last. */
#include "sys/erofs_impl.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/fd.h"

enum { WRITE_BUFFER = 1 << 18 };

typedef struct Writer {
	ErofsTree *t;
	ErofsLayout l;
	int fd;
	uint64_t pos;     /* of the next byte */
	uint64_t flushed; /* of the first byte in the buffer */
	uint64_t digest[2];
	uint32_t ino;
	int error;
	uint8_t *buffer;
} Writer;

/* crc32c: table driven; it is computed over 512 bytes. */
uint32_t erofs_crc32c(uint32_t crc, const void *p, size_t n)
{
	const uint8_t *s = p;
	while (n--) {
		crc ^= *s++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* ---- the stream ---- */

/* Not cryptographic: the digest only has to give different indexes different UUIDs. */
static void digest_block(Writer *w, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 16 <= n; i += 16) {
		unsigned __int128 m = (unsigned __int128)(le_get64(p + i) ^ w->digest[0]) * 0x9e3779b97f4a7c15u;
		w->digest[0] = (uint64_t)m ^ w->digest[1];
		m = (unsigned __int128)(le_get64(p + i + 8) ^ (uint64_t)(m >> 64)) * 0xd6e8feb86659fd93u;
		w->digest[1] = (uint64_t)m ^ (uint64_t)(m >> 64);
	}
}

static void put_at(Writer *w, const uint8_t *p, size_t n, uint64_t at)
{
	while (n && !w->error) {
		ssize_t r = pwrite(w->fd, p, n, (off_t)at);
		if (r < 0 && errno == EINTR) continue;
		if (r <= 0) {
			w->error = r < 0 ? -errno : -EIO;
			return;
		}
		p += r;
		n -= (size_t)r;
		at += (size_t)r;
	}
}

static void flush(Writer *w)
{
	size_t n = w->pos - w->flushed;
	digest_block(w, w->buffer, n);
	put_at(w, w->buffer, n, w->flushed);
	w->flushed = w->pos;
}

/* put: p, or zeros when p is NULL. */
static void put(Writer *w, const void *p, uint64_t n)
{
	const uint8_t *s = p;
	while (n) {
		size_t have = w->pos - w->flushed, part = WRITE_BUFFER - have;
		if (part > n) part = n;
		if (s)
			memcpy(w->buffer + have, s, part);
		else
			memset(w->buffer + have, 0, part);
		w->pos += part;
		n -= part;
		if (s) s += part;
		if (w->pos - w->flushed == WRITE_BUFFER) flush(w);
	}
}

static void pad_to(Writer *w, uint64_t pos)
{
	put(w, NULL, pos - w->pos);
}

/* ---- attributes ---- */

static void put_xattr(Writer *w, const ErofsXattr *x)
{
	uint8_t head[EROFS_XATTR_ENTRY] = { x->name_n, x->prefix };
	le_put16(head + 2, (uint16_t)x->value_n);
	put(w, head, sizeof head);
	put(w, x->bytes, (size_t)x->name_n + x->value_n);
	put(w, NULL, xattr_size(x) - EROFS_XATTR_ENTRY - x->name_n - x->value_n);
}

/* The header, the numbers of the shared ones, the others in full. */
static void put_xattrs(Writer *w, const ErofsInode *i)
{
	uint8_t head[EROFS_XATTR_HEADER + 4 * (EROFS_XATTRS_MAX + 2)] = { 0 };
	size_t shared = 0;
	ErofsXattrs it = erofs_xattrs(w->t, i), again = it;
	for (const ErofsXattr *x; (x = erofs_xattrs_next(&it));)
		if (x->place != EROFS_NO_BLOCK) le_put32(head + EROFS_XATTR_HEADER + 4 * shared++, (uint32_t)(x->place / 4));
	head[4] = (uint8_t)shared;
	put(w, head, EROFS_XATTR_HEADER + 4 * shared);
	for (const ErofsXattr *x; (x = erofs_xattrs_next(&again));)
		if (x->place == EROFS_NO_BLOCK) put_xattr(w, x);
}

static int put_shared(void *arg, ErofsNode *node)
{
	Writer *w = arg;
	ErofsXattrs it = erofs_xattrs(w->t, node->inode);
	for (const ErofsXattr *x; (x = erofs_xattrs_next(&it));)
		if (x->place != EROFS_NO_BLOCK && w->l.shared + x->place == w->pos) put_xattr(w, x);
	return w->error;
}

/* ---- directories ---- */

static uint8_t entry_type(const ErofsInode *i)
{
	switch (i->mode & S_IFMT) {
	case S_IFREG:
		return FT_REGULAR;
	case S_IFDIR:
		return FT_DIRECTORY;
	case S_IFCHR:
		return FT_CHAR;
	case S_IFBLK:
		return FT_BLOCK;
	case S_IFIFO:
		return FT_FIFO;
	case S_IFSOCK:
		return FT_SOCKET;
	case S_IFLNK:
		return FT_SYMLINK;
	default:
		return FT_UNKNOWN;
	}
}

/* The next block of a directory: its entries, then their names; returns the bytes used. */
static size_t dir_block(ErofsEntries *it, uint8_t to[EROFS_BLOCK])
{
	size_t bytes, n = erofs_entries_block(*it, &bytes), name_at = n * EROFS_DIRENT;
	memset(to, 0, EROFS_BLOCK);
	for (size_t i = 0; i < n; i++) {
		Str name;
		const ErofsInode *inode;
		uint8_t *entry = to + i * EROFS_DIRENT;
		if (!erofs_entries_next(it, &name, &inode)) break;
		le_put64(entry + DIRENT_NID, inode->nid);
		le_put16(entry + DIRENT_NAME, (uint16_t)name_at);
		entry[DIRENT_TYPE] = entry_type(inode);
		memcpy(to + name_at, name.p, name.n);
		name_at += name.n;
	}
	return bytes;
}

/* ---- inodes ---- */

static uint32_t device_number(const ErofsInode *i)
{
	return (i->u.dev.minor & 0xff) | i->u.dev.major << 8 | (i->u.dev.minor & ~0xffu) << 12;
}

static uint32_t inode_u(const Writer *w, const ErofsInode *i, const ErofsShape *s)
{
	if (s->layout == LAYOUT_CHUNKS) return i->u.file.chunk_bits | CHUNK_INDEXES | (w->l.wide ? CHUNK_48BIT : 0);
	if (S_ISCHR(i->mode) || S_ISBLK(i->mode)) return device_number(i);
	if (!s->blocks) return 0;
	uint64_t block = inode_is_dir(i) ? w->l.blocks / EROFS_BLOCK + i->u.dir.block : w->l.links / EROFS_BLOCK + i->u.link.block;
	return (uint32_t)block;
}

static void put_inode_head(Writer *w, const ErofsInode *i, const ErofsShape *s)
{
	uint8_t b[EROFS_EXTENDED_SIZE] = { 0 };
	bool extended = s->base == EROFS_EXTENDED_SIZE;
	le_put16(b + INODE_FORMAT, (uint16_t)(s->layout << FORMAT_LAYOUT_SHIFT | (extended ? FORMAT_EXTENDED : 0)));
	le_put16(b + INODE_XATTRS, s->xattrs ? (uint16_t)((s->xattrs - EROFS_XATTR_HEADER) / 4 + 1) : 0);
	le_put16(b + INODE_MODE, i->mode);
	le_put32(b + INODE_U, inode_u(w, i, s));
	le_put32(b + INODE_INO, ++w->ino | (i->implied ? INO_IMPLIED : 0));
	if (extended) {
		le_put64(b + INODE_SIZE, i->size);
		le_put32(b + EXTENDED_UID, i->uid);
		le_put32(b + EXTENDED_GID, i->gid);
		le_put64(b + EXTENDED_MTIME, (uint64_t)i->mtime);
		le_put32(b + EXTENDED_NSEC, i->mtime_ns);
		le_put32(b + EXTENDED_NLINK, inode_nlink(i));
	} else {
		le_put32(b + INODE_SIZE, (uint32_t)i->size);
		le_put16(b + INODE_NLINK16, (uint16_t)inode_nlink(i));
		le_put16(b + COMPACT_UID, (uint16_t)i->uid);
		le_put16(b + COMPACT_GID, (uint16_t)i->gid);
	}
	put(w, b, s->base);
}

static void put_chunk(Writer *w, uint64_t block, uint32_t device)
{
	uint8_t b[EROFS_CHUNK];
	bool wide = w->l.wide;
	le_put16(b + CHUNK_BLOCK_HIGH, wide ? (uint16_t)(block >> 32) : 0);
	le_put16(b + CHUNK_DEVICE, (uint16_t)device);
	le_put32(b + CHUNK_BLOCK, (uint32_t)block);
	put(w, b, sizeof b);
}

static void put_chunks(Writer *w, const ErofsInode *i, uint64_t n)
{
	const ErofsRun end = { .at = UINT64_MAX };
	size_t next = 0;
	ErofsRun run = i->n_runs ? erofs_inode_run(i, next++) : end;
	for (uint64_t c = 0; c < n; c++) {
		uint64_t first = c << i->u.file.chunk_bits;
		if (run.at != end.at && run.at + run.n <= first) run = next < i->n_runs ? erofs_inode_run(i, next++) : end;
		if (run.at <= first)
			put_chunk(w, run.block + (first - run.at), run.device);
		else
			put_chunk(w, EROFS_NO_BLOCK, 0);
	}
}

static int put_inode(void *arg, ErofsNode *node)
{
	Writer *w = arg;
	const ErofsInode *i = node->inode;
	uint8_t tail[EROFS_BLOCK];
	if (i->nid * EROFS_SLOT < w->pos) return 0; /* a further name of what was written */
	ErofsShape s = erofs_shape(w->t, &w->l, i);
	pad_to(w, i->nid * EROFS_SLOT);
	put_inode_head(w, i, &s);
	if (s.xattrs) put_xattrs(w, i);
	if (s.layout == LAYOUT_CHUNKS) {
		pad_to(w, i->nid * EROFS_SLOT + s.chunks_at);
		put_chunks(w, i, s.chunks);
	} else if (S_ISLNK(i->mode)) {
		put(w, i->u.link.target, s.tail);
	} else if (s.tail) {
		ErofsEntries it = erofs_entries_tail(node);
		put(w, tail, dir_block(&it, tail));
	}
	return w->error;
}

static void put_dir_blocks(Writer *w)
{
	uint8_t block[EROFS_BLOCK];
	for (const ErofsNode *dir = w->t->root; dir; dir = dir->inode->x.next_dir) {
		ErofsEntries it = erofs_entries(dir);
		for (uint64_t n = erofs_shape(w->t, &w->l, dir->inode).blocks; n; n--) {
			dir_block(&it, block);
			put(w, block, sizeof block);
		}
	}
}

static int put_long_target(void *arg, ErofsNode *node)
{
	Writer *w = arg;
	const ErofsInode *i = node->inode;
	if (!S_ISLNK(i->mode) || w->l.links + i->u.link.block * EROFS_BLOCK != w->pos) return 0; /* a further name */
	if (erofs_shape(w->t, &w->l, i).blocks) {
		put(w, i->u.link.target, i->size);
		pad_to(w, align_to(w->pos, EROFS_BLOCK));
	}
	return w->error;
}

/* ---- the head ---- */

static void put_devices(Writer *w, const ErofsWriteOptions *o)
{
	for (uint32_t i = 0; i < w->t->devices; i++) {
		uint8_t b[EROFS_DEVICE_SIZE] = { 0 };
		uint64_t blocks = w->t->device_blocks[i];
		if (o && o->tags) memcpy(b + DEVICE_TAG, o->tags[i], EROFS_DEVICE_TAG);
		le_put32(b + DEVICE_BLOCKS, (uint32_t)blocks);
		if (w->l.wide) le_put16(b + DEVICE_BLOCKS_HIGH, (uint16_t)(blocks >> 32));
		put(w, b, sizeof b);
	}
}

/* A version 8 UUID (RFC 9562): 122 bits of the content. */
static void content_uuid(const Writer *w, uint8_t to[16])
{
	le_put64(to, w->digest[0]);
	le_put64(to + 8, w->digest[1]);
	to[6] = (uint8_t)((to[6] & 0x0f) | 0x80);
	to[8] = (uint8_t)((to[8] & 0x3f) | 0x80);
}

static void put_super(Writer *w, const uint8_t uuid[16])
{
	uint8_t block[EROFS_BLOCK] = { 0 };
	le_put32(block + SB_MAGIC, EROFS_MAGIC);
	le_put32(block + SB_COMPAT, COMPAT_CHECKSUM | COMPAT_MTIME);
	block[SB_BLOCK_BITS] = EROFS_BLOCK_BITS;
	le_put16(block + SB_ROOT_NID, (uint16_t)w->t->root->inode->nid);
	le_put64(block + SB_INODES, w->l.inodes);
	le_put64(block + SB_EPOCH, (uint64_t)w->l.epoch);
	le_put32(block + SB_NSEC, w->l.epoch_ns);
	le_put32(block + SB_BLOCKS, (uint32_t)(w->l.end / EROFS_BLOCK));
	le_put32(block + SB_XATTR_BLOCK, (uint32_t)(w->l.shared / EROFS_BLOCK));
	memcpy(block + SB_UUID, uuid, 16);
	if (w->l.marked) memcpy(block + SB_LABEL, EROFS_MARKED, sizeof EROFS_MARKED);
	le_put32(block + SB_INCOMPAT, INCOMPAT_CHUNKED | INCOMPAT_DEVICES | (w->l.wide ? INCOMPAT_48BIT : 0));
	le_put16(block + SB_DEVICES, (uint16_t)w->t->devices);
	le_put16(block + SB_DEVICE_SLOT, (EROFS_SUPER_OFFSET + EROFS_BLOCK) / EROFS_DEVICE_SIZE);
	le_put32(block + SB_CHECKSUM, erofs_crc32c(UINT32_MAX, block, sizeof block));
	put_at(w, block, sizeof block, EROFS_SUPER_OFFSET);
}

static int put_all(Writer *w, const ErofsWriteOptions *o)
{
	int r;
	pad_to(w, EROFS_SUPER_OFFSET + EROFS_BLOCK);
	put_devices(w, o);
	if ((r = erofs_each(w->t, put_inode, w)) < 0) return r;
	pad_to(w, w->l.blocks);
	put_dir_blocks(w);
	if (w->l.links < w->l.shared && (r = erofs_each(w->t, put_long_target, w)) < 0) return r;
	if (w->l.n_shared && (r = erofs_each(w->t, put_shared, w)) < 0) return r;
	pad_to(w, w->l.end);
	flush(w);
	return w->error;
}

int erofs_write(ErofsTree *t, int fd, const ErofsWriteOptions *options, ErofsWriteStats *stats, Err *e)
{
	Writer w = { .t = t, .fd = fd };
	uint8_t uuid[16];
	int r = erofs_layout(t, &w.l, e);
	if (r < 0) return r;
	AUTO_FREE uint8_t *buffer = malloc(WRITE_BUFFER);
	if (!buffer) return err_sys(e, ENOMEM, "index");
	w.buffer = buffer;
	r = put_all(&w, options);
	if (options && options->uuid)
		memcpy(uuid, options->uuid, sizeof uuid);
	else
		content_uuid(&w, uuid);
	if (r >= 0) put_super(&w, uuid);
	if (w.error < 0) return err_sys(e, -w.error, "write the index");
	if (stats) {
		*stats = (ErofsWriteStats){ .bytes = w.l.end, .inodes = w.l.inodes, .compact = w.l.compact, .shared_xattrs = w.l.n_shared };
		memcpy(stats->uuid, uuid, sizeof uuid);
	}
	return 0;
}

int erofs_is_marked(int fd)
{
	uint8_t super[EROFS_SUPER_SIZE];
	ssize_t n = retry_eintr(pread(fd, super, sizeof super, EROFS_SUPER_OFFSET));
	if (n < 0) return -errno;
	if (n != sizeof super || le_get32(super + SB_MAGIC) != EROFS_MAGIC) return -EBADMSG;
	return memcmp(super + SB_LABEL, EROFS_MARKED, sizeof EROFS_MARKED) == 0;
}
