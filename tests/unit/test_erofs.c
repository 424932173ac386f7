/* test_erofs.c: indexes byte by byte: where things lie, what is refused, and that what was written is what is read. */
#include "alloc.h"
#include "check.h"
#include "sys/erofs_impl.h"
#include "sys/erofs_mount.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys/fd.h"

static const ErofsAttr file_attr = { .mode = S_IFREG | 0644, .mtime = 100 };
static const ErofsAttr dir_attr = { .mode = S_IFDIR | 0755, .mtime = 100 };

static ErofsTree *new_tree(void)
{
	ErofsTree *t = NULL;
	assert_int_equal(erofs_tree_new(NULL, &t), 0);
	return t;
}

static ErofsNode *add(ErofsTree *t, ErofsNode *dir, const char *name, const ErofsAttr *a)
{
	Err e = ERR_INIT;
	ErofsNode *n = NULL;
	if (erofs_node_add(t, dir, str_of(name), a, &n, &e) < 0) fail_msg("%s: %s", name, e.msg);
	return n;
}

/* The bytes of t's index; free them. */
static uint8_t *image(ErofsTree *t, size_t *ret_n)
{
	Err e = ERR_INIT;
	ErofsWriteStats stats;
	AUTO_FD int fd = memfd_create("index", MFD_CLOEXEC);
	assert_true(fd >= 0);
	if (erofs_write(t, fd, NULL, &stats, &e) < 0) fail_msg("%s", e.msg);
	uint8_t *p = malloc(stats.bytes + 1);
	assert_non_null(p);
	assert_int_equal(pread(fd, p, stats.bytes + 1, 0), stats.bytes);
	*ret_n = stats.bytes;
	return p;
}

static ErofsTree *load(const uint8_t *p, size_t n)
{
	Err e = ERR_INIT;
	ErofsTree *t = NULL;
	if (erofs_load_bytes(p, n, NULL, &t, &e) < 0) fail_msg("%s", e.msg);
	return t;
}

/* The inode of name in the root, as it lies in the image. */
static const uint8_t *inode_at(const uint8_t *p, ErofsTree *t, const char *name)
{
	const ErofsNode *n = *name ? erofs_node_find(t, erofs_tree_root(t), str_of(name)) : erofs_tree_root(t);
	assert_non_null(n);
	return p + n->inode->nid * EROFS_SLOT;
}

static size_t head_size(const uint8_t *inode)
{
	return inode[0] & 1 ? 64 : 32;
}

static void assert_fails(int r, const Err *e, int errnum, const char *text)
{
	assert_int_equal(r, -errnum);
	if (!strstr(e->msg, text)) fail_msg("\"%s\" has not \"%s\"", e->msg, text);
}

static void set_whole(ErofsTree *t, ErofsNode *n, uint64_t size, uint64_t offset)
{
	Err e = ERR_INIT;
	ErofsExtent x = { .n = size, .offset = offset, .device = 1 };
	assert_int_equal(erofs_node_set_extents(t, n, size, &x, 1, &e), 0);
}

static void the_head_is_as_the_format_has_it(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	size_t n;
	AUTO_EROFS_TREE *t = new_tree();
	assert_int_equal(erofs_tree_set_device(t, 2, 1 << 20, &e), 0);
	AUTO_FREE uint8_t *p = image(t, &n);
	const uint8_t *sb = p + 1024;
	assert_int_equal(n % 512, 0);
	assert_int_equal(le_get32(sb), 0xe0f5e1e2);
	assert_int_equal(sb[12], 9);                /* blkszbits */
	assert_int_equal(le_get32(sb + 80), 4 | 8); /* chunked files, device table */
	assert_int_equal(le_get16(sb + 86), 2);     /* extra devices */
	assert_int_equal(le_get16(sb + 88) * 128, 1536);
	assert_int_equal(le_get32(p + 1536 + 128 + 64), 2048);
	assert_int_equal(le_get32(sb + 36) * 512, n); /* blocks */
	assert_int_equal(le_get16(sb + 14) * 32, 1536 + 2 * 128);
	assert_int_equal(le_get64(sb + 16), 1); /* inodes */
	/* the checksum the kernel computes: over the block of the super block, its own field zero */
	uint32_t sum = le_get32(sb + 4);
	le_put32(p + 1024 + 4, 0);
	assert_int_equal(erofs_crc32c(UINT32_MAX, sb, 512), sum);
	assert_int_equal(~erofs_crc32c(UINT32_MAX, "123456789", 9), 0xe3069283); /* RFC 3720, the usual check value */
	assert_int_equal(sb[48 + 6] >> 4, 8);                                    /* UUID version */
}

static void inodes_are_compact_when_they_can(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *root = erofs_tree_root(t);
	Err e = ERR_INIT;
	size_t n;
	add(t, root, "compact", &file_attr);
	add(t, root, "compact2", &(ErofsAttr){ .mode = S_IFREG | 07777, .uid = 65535, .gid = 65535, .mtime = 100 });
	add(t, root, "uid", &(ErofsAttr){ .mode = S_IFREG, .uid = 65536, .mtime = 100 });
	add(t, root, "gid", &(ErofsAttr){ .mode = S_IFREG, .gid = 65536, .mtime = 100 });
	add(t, root, "time", &(ErofsAttr){ .mode = S_IFREG, .mtime = -5, .mtime_ns = 7 });
	set_whole(t, add(t, root, "large", &file_attr), (uint64_t)1 << 32, 0);
	ErofsNode *many = add(t, root, "many", &file_attr), *dir = add(t, root, "links", &dir_attr);
	for (int i = 0; i < 65535; i++) {
		char name[16];
		snprintf(name, sizeof name, "%d", i);
		assert_int_equal(erofs_node_link(t, dir, str_of(name), many, NULL, &e), 0);
	}
	assert_int_equal(erofs_tree_set_device(t, 1, (uint64_t)1 << 33, &e), 0);
	AUTO_FREE uint8_t *p = image(t, &n);
	assert_int_equal(le_get64(p + 1024 + SB_EPOCH), 100);
	const char *extended[] = { "", "uid", "gid", "time", "large", "many" }, *compact[] = { "compact", "compact2", "links" };
	for (size_t i = 0; i < ARRAY_LEN(extended); i++)
		assert_int_equal(inode_at(p, t, extended[i])[0] & 1, 1);
	for (size_t i = 0; i < ARRAY_LEN(compact); i++)
		assert_int_equal(inode_at(p, t, compact[i])[0] & 1, 0);
	assert_int_equal(le_get32(inode_at(p, t, "many") + 44), 65536);
	assert_int_equal((int64_t)le_get64(inode_at(p, t, "time") + 32), -5);
	assert_int_equal(le_get32(inode_at(p, t, "time") + 40), 7);
	assert_int_equal(le_get16(inode_at(p, t, "compact2") + 24), 65535);
	assert_int_equal(le_get64(inode_at(p, t, "large") + 8), (uint64_t)1 << 32);
}

static void a_file_is_one_chunk(void **state)
{
	(void)state;
	static const struct {
		uint64_t size;
		unsigned bits, chunks;
	} cases[] = { { 1, 0, 1 },
		      { 512, 0, 1 },
		      { 513, 1, 1 },
		      { 1025, 2, 1 },
		      { 4096, 3, 1 },
		      { ((uint64_t)1 << 40) - 1, 31, 1 },
		      { (uint64_t)1 << 40, 31, 1 },
		      { ((uint64_t)1 << 40) + 1, 31, 2 } };
	AUTO_EROFS_TREE *t = new_tree();
	Err e = ERR_INIT;
	size_t n;
	char name[] = "a";
	for (size_t i = 0; i < ARRAY_LEN(cases); i++, name[0]++)
		set_whole(t, add(t, erofs_tree_root(t), name, &file_attr), cases[i].size, 512 * (i + 1));
	assert_int_equal(erofs_tree_set_device(t, 1, (uint64_t)1 << 40, &e), 0);
	{
		AUTO_FD int fd = memfd_create("index", MFD_CLOEXEC);
		assert_fails(erofs_write(t, fd, NULL, NULL, &e), &e, EINVAL, "end behind device 1"); /* 1 TiB and a header */
	}
	assert_int_equal(erofs_tree_set_device(t, 1, (uint64_t)1 << 40 | 1 << 20, &e), 0);
	AUTO_FREE uint8_t *p = image(t, &n);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		name[0] = (char)('a' + i);
		const uint8_t *inode = inode_at(p, t, name), *chunk = inode + head_size(inode);
		assert_int_equal(inode[0] >> 1, 4);
		assert_int_equal(le_get16(inode + 16), cases[i].bits | 0x20);
		for (unsigned c = 0; c < cases[i].chunks; c++, chunk += 8) {
			assert_int_equal(le_get16(chunk + 2), 1);
			assert_int_equal(le_get32(chunk + 4), i + 1 + ((uint64_t)c << 31));
		}
	}
}

static void holes_take_the_largest_chunks_that_fit(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *root = erofs_tree_root(t);
	Err e = ERR_INIT;
	size_t n;
	/* 8 KiB of data at 32 KiB of a file of 100 KiB: chunks of 8 KiB, the fifth is no hole */
	ErofsExtent one = { .at = 32768, .n = 8192, .offset = 1024, .device = 1 };
	ErofsExtent end[] = { { .at = 0, .n = 4096, .offset = 512, .device = 1 }, { .at = 65536, .n = 100, .offset = 4608, .device = 1 } };
	/* neighbours in the file and in the tar: no border */
	ErofsExtent joined[] = { { .at = 0, .n = 512, .offset = 512, .device = 1 }, { .at = 512, .n = 512, .offset = 1024, .device = 1 } };
	/* a hole of one block, then data to the end: only the start is a border */
	ErofsExtent late = { .at = 512, .n = 1536, .offset = 512, .device = 1 };
	/* neighbours in the file only */
	ErofsExtent apart[] = { { .at = 0, .n = 512, .offset = 512, .device = 1 }, { .at = 512, .n = 512, .offset = 2048, .device = 1 } };
	assert_int_equal(erofs_node_set_extents(t, add(t, root, "one", &file_attr), 102400, &one, 1, &e), 0);
	assert_int_equal(erofs_node_set_extents(t, add(t, root, "end", &file_attr), 65636, end, 2, &e), 0);
	assert_int_equal(erofs_node_set_extents(t, add(t, root, "joined", &file_attr), 1024, joined, 2, &e), 0);
	assert_int_equal(erofs_node_set_extents(t, add(t, root, "apart", &file_attr), 1024, apart, 2, &e), 0);
	assert_int_equal(erofs_node_set_extents(t, add(t, root, "late", &file_attr), 2048, &late, 1, &e), 0);
	assert_int_equal(erofs_node_set_extents(t, add(t, root, "hole", &file_attr), (uint64_t)1 << 50, NULL, 0, &e), 0);
	assert_int_equal(erofs_tree_set_device(t, 1, 1 << 20, &e), 0);
	AUTO_FREE uint8_t *p = image(t, &n);
	const uint8_t *c = inode_at(p, t, "one");
	assert_int_equal(le_get16(c + 16) & 0x1f, 4);
	for (unsigned i = 0; i < 13; i++)
		assert_int_equal(le_get32(c + 32 + 8 * i + 4), i == 4 ? 2 : UINT32_MAX);
	c = inode_at(p, t, "end");
	assert_int_equal(le_get16(c + 16) & 0x1f, 3);
	assert_int_equal(le_get32(c + 32 + 4), 1);
	assert_int_equal(le_get32(c + 32 + 8 * 16 + 4), 9);
	assert_int_equal(le_get16(inode_at(p, t, "joined") + 16) & 0x1f, 1);
	assert_int_equal(le_get16(inode_at(p, t, "apart") + 16) & 0x1f, 0);
	assert_int_equal(le_get16(inode_at(p, t, "late") + 16) & 0x1f, 0);
	assert_int_equal(le_get16(inode_at(p, t, "hole") + 16) & 0x1f, 31);
	AUTO_EROFS_TREE *again = load(p, n);
	ErofsExtent x = erofs_node_extent(erofs_node_find(again, erofs_tree_root(again), STR("end")), 1);
	assert_int_equal(x.at, 65536);
	assert_int_equal(x.n, 100);
	assert_int_equal(x.offset, 4608);
}

static void extents_are_checked(void **state)
{
	(void)state;
	static const struct {
		uint64_t size;
		ErofsExtent x[2];
		size_t n;
		int errnum;
		const char *text;
	} cases[] = {
		{ 1024, { { .at = 0, .n = 100, .device = 1 } }, 1, EOPNOTSUPP, "512-byte boundaries" },
		{ 1024, { { .at = 100, .n = 924, .device = 1 } }, 1, EOPNOTSUPP, "512-byte boundaries" },
		{ 1024, { { .at = 0, .n = 1024, .offset = 1, .device = 1 } }, 1, EOPNOTSUPP, "512-byte boundaries" },
		{ 1024, { { .at = 512, .n = 1024, .device = 1 } }, 1, EINVAL, "behind the end" },
		{ 1024, { { .at = 0, .n = 0, .device = 1 } }, 1, EINVAL, "empty" },
		{ 1024, { { .at = 0, .n = UINT64_MAX, .device = 1 } }, 1, EINVAL, "behind the end" },
		{ 1024, { { .at = UINT64_MAX - 511, .n = 512, .device = 1 } }, 1, EINVAL, "behind the end" },
		{ 1024, { { .at = 512, .n = 512, .device = 1 }, { .at = 0, .n = 512, .device = 1 } }, 2, EINVAL, "out of order" },
		{ 1024, { { .at = 0, .n = 1024, .device = 1 }, { .at = 512, .n = 512, .device = 1 } }, 2, EINVAL, "out of order" },
		{ 1024, { { .at = 0, .n = 1024, .device = 0 } }, 1, EINVAL, "device 0" },
		{ 1024, { { .at = 0, .n = 1024, .offset = UINT64_MAX - 511, .device = 1 } }, 1, EINVAL, "lies at byte" },
		{ UINT64_MAX, { { 0 } }, 0, EFBIG, "a file of" },
		{ (uint64_t)1 << 62, { { .at = 512, .n = 512, .device = 1 } }, 1, EDQUOT, "pieces of sparse files" },
	};
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *f = add(t, erofs_tree_root(t), "f", &file_attr), *d = add(t, erofs_tree_root(t), "d", &dir_attr);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		assert_fails(erofs_node_set_extents(t, f, cases[i].size, cases[i].x, cases[i].n, &e), &e, cases[i].errnum, cases[i].text);
	}
	Err e = ERR_INIT;
	assert_fails(erofs_node_set_extents(t, d, 0, NULL, 0, &e), &e, EINVAL, "regular file");
}

/* Whatever names and sizes there are: inline bytes stay in one block, entries are sorted, nothing overlaps. */
static void check_layout(const uint8_t *p, size_t n, ErofsTree *t)
{
	AUTO_FREE uint8_t *used = calloc(n / 32, 1);
	assert_non_null(used);
	for (ErofsNode *node = erofs_tree_root(t); node; node = erofs_node_walk(erofs_tree_root(t), node, true)) {
		const ErofsInode *i = node->inode;
		const uint8_t *inode = p + i->nid * 32;
		size_t words = le_get16(inode + 2), head = head_size(inode) + (words ? 12 + 4 * (words - 1) : 0), from = i->nid * 32 + head;
		size_t tail = inode[0] >> 1 == 2 ? i->size % 512 : 0;
		if (tail) assert_int_equal(from / 512, (from + tail - 1) / 512);
		for (size_t slot = i->nid; slot < (from + tail + 31) / 32; slot++)
			assert_int_equal(used[slot]++, 0);
		const ErofsNode *next = erofs_node_next(node);
		if (next) assert_true(erofs_names_compare(erofs_node_name(node), erofs_node_name(next)) < 0);
	}
}

static void tails_never_cross_a_block(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *root = erofs_tree_root(t);
	Err e = ERR_INIT;
	char name[300], text[600];
	memset(text, 'x', sizeof text);
	for (unsigned i = 0; i < 1200; i++) {
		snprintf(name, sizeof name, "%u", (i * 7919) % 1200);
		ErofsNode *d = add(t, root, name, &(ErofsAttr){ .mode = S_IFDIR | 0755, .mtime = i % 3 });
		/* attributes of each size shift the tail by four bytes */
		if (i % 2) assert_int_equal(erofs_node_set_xattr(t, d, "user.x", text, i % 140, &e), 0);
		snprintf(name, sizeof name, "%.*s", (int)(i % 255 + 1), text);
		add(t, d, name, &file_attr);
		for (unsigned k = 0; k < i % 5; k++) {
			snprintf(name, sizeof name, "%u%.*s", k, (int)(i * k % 230), text);
			add(t, d, name, &file_attr);
		}
		ErofsNode *l = add(t, d, "!link", &(ErofsAttr){ .mode = S_IFLNK | 0777, .mtime = i % 3 });
		assert_int_equal(erofs_node_set_target(t, l, (Str){ text, i % 599 + 1 }, &e), 0);
	}
	size_t n, m;
	AUTO_FREE uint8_t *p = image(t, &n);
	check_layout(p, n, t);
	AUTO_EROFS_TREE *again = load(p, n);
	assert_int_equal(erofs_tree_entries(again), erofs_tree_entries(t));
	AUTO_FREE uint8_t *q = image(again, &m);
	assert_int_equal(m, n);
	assert_memory_equal(p, q, n);
}

static void attributes_are_shared_when_it_pays(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *a = add(t, erofs_tree_root(t), "a", &file_attr), *b = add(t, erofs_tree_root(t), "b", &file_attr);
	Err e = ERR_INIT;
	char large[1000] = { 1 };
	size_t n;
	assert_int_equal(erofs_node_set_xattr(t, a, "user.same", "v", 1, &e), 0);
	assert_int_equal(erofs_node_set_xattr(t, b, "user.same", "v", 1, &e), 0);
	assert_int_equal(erofs_node_set_xattr(t, a, "security.capability", "own", 3, &e), 0);
	assert_int_equal(erofs_node_set_xattr(t, a, "trusted.large", large, sizeof large, &e), 0);
	assert_int_equal(erofs_node_set_xattr(t, b, "system.posix_acl_access", "acl", 3, &e), 0);
	assert_int_equal(erofs_node_set_xattr(t, b, "system.posix_acl_access", "new", 3, &e), 0);
	AUTO_FREE uint8_t *p = image(t, &n);
	const uint8_t *x = inode_at(p, t, "a") + 32, *shared = p + le_get32(p + 1024 + SB_XATTR_BLOCK) * 512;
	assert_int_equal(x[4], 2); /* user.same, trusted.large */
	assert_memory_equal(shared + 4 * le_get32(x + 12),
			    "\4\1\1\0same"
			    "v",
			    9);
	assert_memory_equal(shared + 4 * le_get32(x + 16), "\5\4\350\3large\1", 10);
	assert_memory_equal(x + 20,
			    "\12\6\3\0capability"
			    "own",
			    17);
	assert_int_equal(le_get16(inode_at(p, t, "a") + 2), 1 + 2 + 5);
	x = inode_at(p, t, "b") + 32;
	assert_int_equal(x[4], 1);
	assert_memory_equal(x + 16, "\0\2\3\0new", 7); /* the whole name is in the index */
	AUTO_EROFS_TREE *again = load(p, n);
	char name[EROFS_XATTR_NAME_SIZE];
	Str value;
	erofs_node_xattr(erofs_node_find(again, erofs_tree_root(again), STR("b")), 1, name, &value);
	assert_string_equal(name, "system.posix_acl_access");
	assert_true(str_eq(value, "new"));
}

static void attributes_are_checked(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *a = add(t, erofs_tree_root(t), "a", &file_attr);
	AUTO_FREE char *large = calloc(1, 65536);
	char name[300] = "user.";
	Err e = ERR_INIT;
	const char *no_place[] = {
		"", "user", "user.", "system.nfs4_acl", "system.posix_acl_accessx", "com.apple.x", "trusted.", "lustre.x"
	};
	for (size_t i = 0; i < ARRAY_LEN(no_place); i++)
		assert_int_equal(erofs_node_set_xattr(t, a, no_place[i], "", 0, &e), -EOPNOTSUPP);
	assert_int_equal(erofs_node_set_xattr(t, a, "user.max", large, 65535, &e), 0);
	assert_fails(erofs_node_set_xattr(t, a, "user.x", large, 65536, &e), &e, E2BIG, "attribute user.x");
	memset(name + 5, 'n', 255);
	assert_int_equal(erofs_node_set_xattr(t, a, name, "", 0, &e), 0);
	name[5 + 255] = 'n';
	assert_int_equal(erofs_node_set_xattr(t, a, name, "", 0, &e), -E2BIG);
	assert_int_equal(erofs_node_set_xattr(t, a, "trusted.overlay.opaque", "y", 1, &e), -EINVAL);
	for (int i = 2; i < EROFS_XATTRS_MAX; i++) {
		snprintf(name, sizeof name, "user.%d", i);
		assert_int_equal(erofs_node_set_xattr(t, a, name, "", 0, &e), 0);
	}
	assert_fails(erofs_node_set_xattr(t, a, "user.one-more", "", 0, &e), &e, E2BIG, "more than 253");
	size_t n;
	AUTO_FREE uint8_t *p = image(t, &n);
	AUTO_EROFS_TREE *again = load(p, n);
	ErofsStat st;
	erofs_node_stat(again, erofs_node_find(again, erofs_tree_root(again), STR("a")), &st);
	assert_int_equal(st.n_xattrs, EROFS_XATTRS_MAX);
}

static void names_and_types_are_checked(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *root = erofs_tree_root(t), *f = add(t, root, "f", &file_attr), *d = add(t, root, "d", &dir_attr), *w = NULL;
	char name[256] = "";
	Err e = ERR_INIT;
	memset(name, 'n', sizeof name);
	assert_int_equal(erofs_node_add(t, root, (Str){ name, 255 }, &file_attr, NULL, &e), 0);
	assert_int_equal(erofs_node_add(t, root, (Str){ name, 256 }, &file_attr, NULL, &e), -ENAMETOOLONG);
	const Str bad[] = { STR("."), STR(".."), STR("a/b"), STR("a\0b"), STR("/") };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(erofs_node_add(t, root, bad[i], &file_attr, NULL, &e), -EINVAL);
	assert_int_equal(erofs_node_add(t, root, STR("f"), &file_attr, NULL, &e), -EEXIST);
	assert_int_equal(erofs_node_add(t, f, STR("x"), &file_attr, NULL, &e), -ENOTDIR);
	assert_int_equal(erofs_node_link(t, root, STR("x"), d, NULL, &e), -EPERM);
	assert_int_equal(erofs_node_add_whiteout(t, root, STR("w"), &w, &e), 0);
	assert_int_equal(erofs_node_link(t, root, STR("x"), w, NULL, &e), -EPERM);
	assert_int_equal(erofs_node_set_attr(t, f, &dir_attr, &e), -EINVAL);
	const ErofsAttr wrong[] = { { .mode = 0644 },
				    { .mode = S_IFCHR },
				    { .mode = S_IFCHR, .major = 4096 },
				    { .mode = S_IFBLK, .minor = 1 << 20 },
				    { .mode = S_IFREG, .mtime_ns = 1000000000 },
				    { .mode = S_IFREG | 0x10000 } };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(erofs_node_add(t, root, STR("wrong"), &wrong[i], NULL, &e), -EINVAL);
	ErofsNode *l = add(t, root, "l", &(ErofsAttr){ .mode = S_IFLNK | 0777 });
	assert_int_equal(erofs_node_set_target(t, l, STR(""), &e), -EINVAL);
	assert_int_equal(erofs_node_set_target(t, l, STR("a\0b"), &e), -EINVAL);
	assert_int_equal(erofs_node_set_target(t, f, STR("x"), &e), -EINVAL);
	AUTO_FD int fd = memfd_create("index", MFD_CLOEXEC);
	assert_fails(erofs_write(t, fd, NULL, NULL, &e), &e, EINVAL, "symbolic link l has no target");
	assert_int_equal(erofs_node_set_target(t, l, STR("x"), &e), 0);
	assert_int_equal(erofs_write(t, fd, NULL, NULL, &e), 0);
}

static void limits_hold(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = NULL;
	ErofsLimits limits = EROFS_LIMITS_DEFAULT;
	limits.entries = 10;
	limits.depth = 3;
	limits.xattr_bytes = 100;
	Err e = ERR_INIT;
	assert_int_equal(erofs_tree_new(&limits, &t), 0);
	ErofsNode *d = erofs_tree_root(t), *deep = NULL;
	for (int i = 0; i < 3; i++)
		d = add(t, d, "d", &dir_attr);
	assert_fails(erofs_node_add(t, d, STR("d"), &dir_attr, &deep, &e), &e, EDQUOT, "more than the 3 levels of directories");
	for (int i = 0; i < 6; i++)
		add(t, erofs_tree_root(t), (char[]){ (char)('0' + i), 0 }, &file_attr);
	assert_fails(erofs_node_add(t, erofs_tree_root(t), STR("x"), &file_attr, NULL, &e), &e, EDQUOT, "more than the 10 entries");
	char value[100] = "";
	assert_fails(erofs_node_set_xattr(t, d, "user.x", value, sizeof value, &e), &e, EDQUOT, "bytes of extended attributes");
	assert_int_equal(erofs_tree_set_device(t, EROFS_DEVICES_MAX + 1, 0, &e), -EDQUOT);
	assert_int_equal(erofs_tree_set_device(t, 0, 0, &e), -EDQUOT);
	AUTO_EROFS_TREE *small = NULL;
	limits = EROFS_LIMITS_DEFAULT;
	limits.memory = 1 << 18;
	assert_int_equal(erofs_tree_new(&limits, &small), 0);
	int r = 0;
	for (int i = 0; r >= 0; i++) {
		char name[16];
		snprintf(name, sizeof name, "%d", i);
		r = erofs_node_add(small, erofs_tree_root(small), str_of(name), &file_attr, NULL, &e);
	}
	assert_fails(r, &e, EDQUOT, "bytes of memory");
	assert_true(erofs_tree_memory(small) < 3 << 18);
}

/* Of indexes that are read to be merged, all together have one limit. */
static void parts_share_their_memory(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree(), *first = NULL, *second = NULL;
	AUTO_FD int fd = memfd_create("index", MFD_CLOEXEC);
	Err e = ERR_INIT;
	for (int i = 0; i < 5000; i++) {
		char name[16];
		snprintf(name, sizeof name, "%d", i);
		add(t, erofs_tree_root(t), name, &file_attr);
	}
	assert_int_equal(erofs_write(t, fd, NULL, NULL, &e), 0);
	uint64_t left = EROFS_PARTS_MEMORY;
	assert_int_equal(erofs_load_part(fd, &left, &first, &e), 0);
	assert_true(left == EROFS_PARTS_MEMORY - erofs_tree_memory(first));
	left = erofs_tree_memory(first) / 2;
	assert_fails(erofs_load_part(fd, &left, &second, &e), &e, EDQUOT, "that the indexes of an image may take together");
}

static void removed_names_are_gone(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *root = erofs_tree_root(t), *d = add(t, root, "d", &dir_attr), *sub = add(t, d, "sub", &dir_attr),
		  *f = add(t, sub, "f", &file_attr);
	Err e = ERR_INIT;
	ErofsStat st;
	ErofsNode *link = NULL;
	assert_int_equal(erofs_node_link(t, root, STR("link"), f, &link, &e), 0);
	erofs_node_stat(t, link, &st);
	assert_int_equal(st.nlink, 2);
	erofs_node_remove(t, d);
	assert_null(erofs_node_find(t, root, STR("d")));
	assert_null(erofs_node_find(t, sub, STR("f")));
	erofs_node_stat(t, link, &st);
	assert_int_equal(st.nlink, 1);
	erofs_node_stat(t, root, &st);
	assert_int_equal(st.nlink, 2);
	assert_int_equal(erofs_tree_entries(t), 2);
	for (int round = 0; round < 3; round++) { /* the table sweeps what was removed */
		ErofsNode *many = add(t, root, "many", &dir_attr);
		for (int i = 0; i < 20000; i++) {
			char name[16];
			snprintf(name, sizeof name, "%d", i);
			add(t, many, name, &file_attr);
		}
		assert_non_null(erofs_node_find(t, many, STR("19999")));
		erofs_node_remove(t, many);
	}
	assert_int_equal(erofs_tree_entries(t), 2);
	assert_true(t->table_n <= 131072);
}

static void layers_beyond_two_tebibytes(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *f = add(t, erofs_tree_root(t), "f", &file_attr);
	Err e = ERR_INIT;
	size_t n;
	uint64_t far = ((uint64_t)16 << 40) - 4096;
	assert_int_equal(erofs_tree_set_device(t, 1, (uint64_t)16 << 40, &e), 0);
	set_whole(t, f, 4000, far);
	AUTO_FREE uint8_t *p = image(t, &n);
	assert_int_equal(le_get32(p + 1024 + SB_INCOMPAT), 4 | 8 | 0x80);
	assert_int_equal(le_get32(p + 1536 + 64), 0);
	assert_int_equal(le_get16(p + 1536 + 72), 8);
	const uint8_t *inode = inode_at(p, t, "f");
	assert_int_equal(le_get16(inode + 16), 3 | 0x20 | 0x40);
	assert_int_equal(le_get16(inode + head_size(inode)), far / 512 >> 32);
	assert_int_equal(le_get32(inode + head_size(inode) + 4), (uint32_t)(far / 512));
	AUTO_EROFS_TREE *again = load(p, n);
	assert_int_equal(erofs_node_extent(erofs_node_find(again, erofs_tree_root(again), STR("f")), 0).offset, far);
	assert_int_equal(erofs_tree_set_device(t, 1, UINT64_MAX, &e), -EFBIG);
}

static void whiteouts_become_what_overlayfs_knows(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree();
	ErofsNode *d = add(t, erofs_tree_root(t), "d", &dir_attr), *o = add(t, erofs_tree_root(t), "o", &dir_attr);
	Err e = ERR_INIT;
	ErofsStat st;
	size_t n;
	assert_int_equal(erofs_node_add_whiteout(t, d, STR("w"), NULL, &e), 0);
	erofs_node_set_opaque(t, o, true);
	AUTO_FREE uint8_t *p = image(t, &n);
	const uint8_t *di = inode_at(p, t, "d"), *oi = inode_at(p, t, "o");
	assert_memory_equal(di + head_size(di) + 12, "\16\4\0\0overlay.origin", 18);
	assert_memory_equal(oi + head_size(oi) + 12, "\16\4\1\0overlay.opaquey", 19);
	const uint8_t *w = p + erofs_node_child(d)->inode->nid * 32;
	assert_int_equal(le_get16(w + 4), S_IFCHR);
	assert_int_equal(le_get32(w + 16), 0);
	AUTO_EROFS_TREE *again = load(p, n);
	ErofsNode *root = erofs_tree_root(again);
	erofs_node_stat(again, erofs_node_find(again, root, STR("o")), &st);
	assert_true(st.opaque);
	assert_int_equal(st.n_xattrs, 0);
	erofs_node_stat(again, erofs_node_child(erofs_node_find(again, root, STR("d"))), &st);
	assert_true(st.whiteout);
}

static int is_marked(ErofsTree *t)
{
	Err e = ERR_INIT;
	int fd = memfd_create("index", MFD_CLOEXEC);
	assert_int_equal(erofs_write(t, fd, NULL, NULL, &e), 0);
	int r = erofs_is_marked(fd);
	close(fd);
	return r;
}

static void an_index_tells_of_its_whiteouts(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree(), *merged = NULL;
	ErofsNode *d = add(t, erofs_tree_root(t), "d", &dir_attr), *w;
	Err e = ERR_INIT;
	assert_int_equal(is_marked(t), 0);
	erofs_node_set_opaque(t, d, true);
	assert_int_equal(is_marked(t), 1);
	erofs_node_set_opaque(t, d, false);
	assert_int_equal(erofs_node_add_whiteout(t, d, STR("w"), &w, &e), 0);
	assert_int_equal(is_marked(t), 1);
	assert_int_equal(erofs_merge(&t, 1, NULL, &merged, &e), 0);
	assert_int_equal(is_marked(merged), 0);
	erofs_node_remove(t, w);
	assert_int_equal(is_marked(t), 0);
	int empty = memfd_create("index", MFD_CLOEXEC);
	assert_int_equal(erofs_is_marked(empty), -EBADMSG);
	close(empty);
	assert_int_equal(erofs_is_marked(-1), -EBADF);
}

/* A tree with something of everything, for the tests below. */
static int make_sample(ErofsTree **ret, Err *e)
{
	AUTO_EROFS_TREE *t = NULL;
	int r = erofs_tree_new(NULL, &t);
	if (r < 0) return r;
	ErofsNode *root = erofs_tree_root(t), *d, *f, *l;
	if ((r = erofs_node_add(t, root, STR("d"), &dir_attr, &d, e)) < 0) return r;
	for (int i = 0; i < 60; i++) {
		char name[32];
		snprintf(name, sizeof name, "file-%d", i * 37 % 60);
		ErofsExtent x = { .at = 4096, .n = 512, .offset = 512, .device = 1 };
		if ((r = erofs_node_add(t, d, str_of(name), &file_attr, &f, e)) < 0) return r;
		if ((r = erofs_node_set_extents(t, f, 8192, &x, 1, e)) < 0) return r;
		if ((r = erofs_node_set_xattr(t, f, "user.x", name, (size_t)i % 8, e)) < 0) return r;
	}
	if ((r = erofs_node_link(t, root, STR("again"), f, NULL, e)) < 0) return r;
	if ((r = erofs_node_add(t, root, STR("l"), &(ErofsAttr){ .mode = S_IFLNK | 0777 }, &l, e)) < 0) return r;
	char target[1000];
	memset(target, 't', sizeof target);
	if ((r = erofs_node_set_target(t, l, (Str){ target, sizeof target }, e)) < 0) return r;
	if ((r = erofs_node_add(t, root, STR("null"), &(ErofsAttr){ .mode = S_IFCHR | 0666, .major = 1, .minor = 3 }, NULL, e)) < 0)
		return r;
	if ((r = erofs_node_add_whiteout(t, root, STR("w"), NULL, e)) < 0) return r;
	if ((r = erofs_tree_set_device(t, 1, 1 << 20, e)) < 0) return r;
	*ret = take(t);
	return 0;
}

static void cut_and_damaged_indexes_are_refused(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = NULL;
	Err e = ERR_INIT;
	size_t n, refused = 0;
	assert_int_equal(make_sample(&t, &e), 0);
	AUTO_FREE uint8_t *p = image(t, &n);
	size_t needed = n;
	while (!p[needed - 1])
		needed--; /* the padding is nobody's */
	for (size_t k = 0; k < needed; k++) {
		AUTO_EROFS_TREE *cut = NULL;
		AUTO_FREE uint8_t *exact = malloc(k + 1);
		memcpy(exact, p, k);
		e = ERR_INIT;
		assert_int_equal(erofs_load_bytes(exact, k, NULL, &cut, &e), -EBADMSG);
		assert_true(starts_with(e.msg, "index: "));
	}
	for (size_t k = 1024; k < n; k++) {
		for (int bit = 0; bit < 8; bit++) {
			AUTO_EROFS_TREE *damaged = NULL;
			p[k] ^= (uint8_t)(1 << bit);
			int r = erofs_load_bytes(p, n, NULL, &damaged, &e);
			if (k < 1536) assert_true(r < 0); /* the checksum sees it */
			refused += r < 0;
			p[k] ^= (uint8_t)(1 << bit);
		}
	}
	assert_true(refused > n); /* names, times and ids may be anything */
}

static void a_cycle_is_refused(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = new_tree(), *again = NULL;
	ErofsNode *root = erofs_tree_root(t), *a = add(t, root, "a", &dir_attr), *b = add(t, a, "b", &dir_attr);
	Err e = ERR_INIT;
	size_t n;
	AUTO_FREE uint8_t *p = image(t, &n);
	uint8_t *entries = p + a->inode->nid * 32 + 32; /* ".", "..", "b" */
	assert_int_equal(le_get64(entries + 24), b->inode->nid);
	le_put64(entries + 24, root->inode->nid);
	assert_fails(erofs_load_bytes(p, n, NULL, &again, &e), &e, EBADMSG, "a directory with two names");
	le_put64(entries + 24, a->inode->nid);
	assert_fails(erofs_load_bytes(p, n, NULL, &again, &e), &e, EBADMSG, "a directory with two names");
	le_put64(entries + 24, b->inode->nid);
	le_put64(entries + 12, a->inode->nid);
	assert_fails(erofs_load_bytes(p, n, NULL, &again, &e), &e, EBADMSG, "\"..\" leads to inode");
	le_put64(entries + 12, UINT64_MAX / 32);
	le_put64(entries + 24, UINT64_MAX);
	assert_int_equal(erofs_load_bytes(p, n, NULL, &again, &e), -EBADMSG);
}

static ErofsNode *get(ErofsTree *t, const char *path)
{
	ErofsNode *n = erofs_tree_root(t);
	Str rest = str_of(path), part;
	while (n && str_next(&rest, '/', &part))
		n = erofs_node_find(t, n, part);
	return n;
}

static void merging_is_what_overlayfs_does(void **state)
{
	(void)state;
	ErofsTree *layers[3] = { new_tree(), new_tree(), new_tree() };
	AUTO_EROFS_TREE *all = NULL;
	Err e = ERR_INIT;
	ErofsStat st;
	for (unsigned i = 0; i < 3; i++) {
		ErofsTree *t = layers[i];
		ErofsNode *d = add(t, erofs_tree_root(t), "d", &(ErofsAttr){ .mode = S_IFDIR | 0700, .uid = i });
		ErofsNode *o = add(t, erofs_tree_root(t), "o", &dir_attr);
		ErofsNode *f = add(t, d, (char[]){ (char)('0' + i), 0 }, &file_attr);
		set_whole(t, f, 1000, 512 * (i + 1));
		add(t, o, (char[]){ (char)('0' + i), 0 }, &file_attr);
		assert_int_equal(erofs_node_link(t, d, STR("link"), f, NULL, &e), 0);
		assert_int_equal(erofs_tree_set_device(t, 1, 1 << 20, &e), 0);
		erofs_node_set_opaque(t, o, i == 1);
	}
	assert_int_equal(erofs_node_add_whiteout(layers[2], get(layers[2], "d"), STR("0"), NULL, &e), 0);
	assert_int_equal(erofs_merge(layers, 3, NULL, &all, &e), 0);
	for (size_t i = 0; i < 3; i++)
		erofs_tree_free(layers[i]);
	assert_int_equal(erofs_tree_devices(all), 3);
	assert_null(get(all, "d/0"));
	assert_non_null(get(all, "d/1"));
	assert_int_equal(erofs_node_extent(get(all, "d/1"), 0).device, 2);
	assert_int_equal(erofs_node_extent(get(all, "d/link"), 0).device, 3);
	assert_null(get(all, "o/0"));
	assert_non_null(get(all, "o/1"));
	assert_non_null(get(all, "o/2"));
	erofs_node_stat(all, get(all, "d"), &st);
	assert_int_equal(st.attr.uid, 2);
	erofs_node_stat(all, get(all, "o"), &st);
	assert_false(st.opaque);
	erofs_node_stat(all, get(all, "d/1"), &st);
	assert_int_equal(st.nlink, 1); /* its second name was taken by the layer above */
	erofs_node_stat(all, get(all, "d/2"), &st);
	assert_int_equal(st.nlink, 2);
}

static void implied_directories_change_nothing(void **state)
{
	(void)state;
	ErofsTree *layers[2] = { new_tree(), new_tree() };
	AUTO_EROFS_TREE *all = NULL, *again = NULL;
	Err e = ERR_INIT;
	ErofsStat st;
	size_t n;
	assert_int_equal(erofs_node_set_attr(layers[0], erofs_tree_root(layers[0]), &(ErofsAttr){ .mode = S_IFDIR | 01777, .uid = 3 }, &e),
			 0);
	for (unsigned i = 0; i < 2; i++) {
		ErofsTree *t = layers[i];
		ErofsNode *d = add(t, erofs_tree_root(t), "d", &(ErofsAttr){ .mode = S_IFDIR | (i ? 0755 : 0700), .uid = 4 - 4 * i });
		ErofsNode *o = add(t, erofs_tree_root(t), i ? "later" : "first", &dir_attr);
		erofs_node_set_implied(t, o, true);
		if (i) erofs_node_set_implied(t, d, true);
	}
	erofs_node_set_implied(layers[1], erofs_tree_root(layers[1]), true);
	assert_int_equal(erofs_merge(layers, 2, NULL, &all, &e), 0);
	erofs_node_stat(all, erofs_tree_root(all), &st);
	assert_true(st.attr.mode == (S_IFDIR | 01777) && st.attr.uid == 3 && !st.implied);
	erofs_node_stat(all, get(all, "d"), &st);
	assert_true(st.attr.mode == (S_IFDIR | 0700) && st.attr.uid == 4 && !st.implied);
	erofs_node_stat(all, get(all, "later"), &st);
	assert_true(st.implied);
	/* on disk, too; and what is described is not implied any more */
	AUTO_FREE uint8_t *p = image(layers[1], &n);
	assert_int_equal(erofs_load_bytes(p, n, NULL, &again, &e), 0);
	erofs_node_stat(again, get(again, "d"), &st);
	assert_true(st.implied);
	assert_int_equal(erofs_node_set_attr(again, get(again, "d"), &dir_attr, &e), 0);
	erofs_node_stat(again, get(again, "d"), &st);
	assert_false(st.implied);
	for (size_t i = 0; i < 2; i++)
		erofs_tree_free(layers[i]);
}

static void a_full_disk_is_an_error(void **state)
{
	(void)state;
	AUTO_EROFS_TREE *t = NULL;
	Err e = ERR_INIT;
	assert_int_equal(make_sample(&t, &e), 0);
	AUTO_FD int full = open("/dev/full", O_RDWR | O_CLOEXEC);
	assert_true(full >= 0);
	assert_fails(erofs_write(t, full, NULL, NULL, &e), &e, ENOSPC, "write the index: no space left on device");
}

static int whole_task(Err *e)
{
	AUTO_EROFS_TREE *t = NULL, *again = NULL, *merged = NULL;
	AUTO_FD int fd = memfd_create("index", MFD_CLOEXEC);
	int r = make_sample(&t, e);
	if (r >= 0) r = erofs_write(t, fd, NULL, NULL, e);
	if (r >= 0) r = erofs_load(fd, NULL, &again, e);
	if (r >= 0) r = erofs_merge((ErofsTree *const[]){ t, again }, 2, NULL, &merged, e);
	return r;
}

static void each_allocation_may_fail(void **state)
{
	(void)state;
	unsigned long k = 1;
	for (;; k++) {
		Err e = ERR_INIT;
		allocation_to_fail = k;
		int r = whole_task(&e);
		bool all_done = allocation_to_fail > 0;
		allocation_to_fail = 0;
		if (all_done) {
			assert_int_equal(r, 0);
			break;
		}
		if (r < 0) assert_int_equal(r, -ENOMEM);
	}
	assert_true(k > 20);
}

static void mounting_needs_files(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	AUTO_FD int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_fails(erofs_mount(dir, NULL, 0, &e), &e, EINVAL, "the index is no regular file");
	assert_int_equal(erofs_mount(-1, NULL, 0, &e), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_head_is_as_the_format_has_it),
		cmocka_unit_test(inodes_are_compact_when_they_can),
		cmocka_unit_test(a_file_is_one_chunk),
		cmocka_unit_test(holes_take_the_largest_chunks_that_fit),
		cmocka_unit_test(extents_are_checked),
		cmocka_unit_test(tails_never_cross_a_block),
		cmocka_unit_test(attributes_are_shared_when_it_pays),
		cmocka_unit_test(attributes_are_checked),
		cmocka_unit_test(names_and_types_are_checked),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(parts_share_their_memory),
		cmocka_unit_test(removed_names_are_gone),
		cmocka_unit_test(layers_beyond_two_tebibytes),
		cmocka_unit_test(whiteouts_become_what_overlayfs_knows),
		cmocka_unit_test(an_index_tells_of_its_whiteouts),
		cmocka_unit_test(cut_and_damaged_indexes_are_refused),
		cmocka_unit_test(a_cycle_is_refused),
		cmocka_unit_test(merging_is_what_overlayfs_does),
		cmocka_unit_test(implied_directories_change_nothing),
		cmocka_unit_test(a_full_disk_is_an_error),
		cmocka_unit_test(each_allocation_may_fail),
		cmocka_unit_test(mounting_needs_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
