/* erofs_layout.c: where in the index everything goes.
 *
 * The file, in this order: 1024 free bytes, the super block, the device table, the inodes, the blocks of directories, those of long
 * link targets, the shared attributes. Inodes come first because the super block has but 16 bits for the number of the root's;
 * those of one directory's entries lie together, which is what `ls -l` and a path walk read. Sizes are all known from the tree, so
 * two passes over it, one to place and one to write, need no memory of their own.
 */
#include "sys/erofs_impl.h"

enum {
	SHARE_FROM = 256, /* an attribute of so many bytes is stored outside of the inode even when it is the only one */
	SURVEYED = 1,     /* in place of a number; no inode can have it, there is the super block */
};

int erofs_names_compare(Str a, Str b)
{
	int r = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
	if (r) return r;
	return a.n < b.n ? -1 : a.n > b.n;
}

/* ---- sorting ---- */

/* Key: the first bytes of the name as a number, which decide nearly always. */
typedef struct SortItem {
	uint64_t key;
	ErofsNode *node;
} SortItem;

typedef struct Sorter {
	SortItem *items;
	size_t cap;
} Sorter;

static int compare_items(const void *va, const void *vb)
{
	const SortItem *a = va, *b = vb;
	if (a->key != b->key) return a->key < b->key ? -1 : 1;
	return erofs_names_compare(erofs_node_name(a->node), erofs_node_name(b->node));
}

static uint64_t sort_key(const ErofsNode *n)
{
	uint64_t key = 0;
	memcpy(&key, n->name, n->name_n < sizeof key ? n->name_n : sizeof key);
	return be64toh(key);
}

static int sort_dir(Sorter *s, ErofsInode *d)
{
	size_t n = 0;
	bool sorted = true;
	for (const ErofsNode *c = d->u.dir.first; c; c = c->next, n++)
		if (c->prev && erofs_names_compare(erofs_node_name(c->prev), erofs_node_name(c)) > 0) sorted = false;
	if (sorted || !n) return 0;
	if (n > s->cap || !s->items) {
		free(s->items);
		s->cap = 0;
		s->items = calloc(n, sizeof *s->items);
		if (!s->items) return -ENOMEM;
		s->cap = n;
	}
	n = 0;
	for (ErofsNode *c = d->u.dir.first; c; c = c->next)
		s->items[n++] = (SortItem){ sort_key(c), c };
	qsort(s->items, n, sizeof *s->items, compare_items);
	for (size_t i = 0; i < n; i++) {
		s->items[i].node->prev = i ? s->items[i - 1].node : NULL;
		s->items[i].node->next = i + 1 < n ? s->items[i + 1].node : NULL;
	}
	d->u.dir.first = s->items[0].node;
	d->u.dir.last = s->items[n - 1].node;
	return 0;
}

int erofs_tree_sort(ErofsTree *t)
{
	Sorter s = { 0 };
	int r = 0;
	for (ErofsNode *n = t->root; n && r >= 0; n = erofs_node_walk(t->root, n, true))
		if (inode_is_dir(n->inode)) r = sort_dir(&s, n->inode);
	free(s.items);
	return r;
}

int erofs_each(const ErofsTree *t, int (*fn)(void *arg, ErofsNode *node), void *arg)
{
	int r = fn(arg, t->root);
	for (ErofsNode *dir = t->root; dir && r >= 0; dir = dir->inode->x.next_dir)
		for (ErofsNode *n = erofs_node_child(dir); n && r >= 0; n = n->next)
			r = fn(arg, n);
	return r;
}

/* ---- directories ---- */

ErofsEntries erofs_entries(const ErofsNode *dir)
{
	return (ErofsEntries){ .dir = dir, .next = erofs_node_child(dir) };
}

bool erofs_entries_next(ErofsEntries *it, Str *ret_name, const ErofsInode **ret_inode)
{
	Str dots = { "..", it->dots + 1 };
	bool dot = it->dots < 2 && (!it->next || erofs_names_compare(dots, erofs_node_name(it->next)) < 0);
	if (dot) {
		const ErofsNode *up = it->dir->parent ? it->dir->parent : it->dir;
		*ret_inode = it->dots ? up->inode : it->dir->inode;
		*ret_name = dots;
		it->dots++;
		return true;
	}
	if (!it->next) return false;
	*ret_inode = it->next->inode;
	*ret_name = erofs_node_name(it->next);
	it->next = it->next->next;
	return true;
}

size_t erofs_entries_block(ErofsEntries it, size_t *ret_bytes)
{
	size_t n = 0, bytes = 0;
	Str name;
	const ErofsInode *inode;
	while (erofs_entries_next(&it, &name, &inode) && bytes + EROFS_DIRENT + name.n <= EROFS_BLOCK) {
		bytes += EROFS_DIRENT + name.n;
		n++;
	}
	*ret_bytes = bytes;
	return n;
}

ErofsEntries erofs_entries_tail(const ErofsNode *dir)
{
	return (ErofsEntries){ .dir = dir, .next = dir->inode->u.dir.tail, .dots = dir->inode->u.dir.tail_dots };
}

/* The size of a directory's file: full blocks and what its last one holds; and where that one starts. */
static void measure_dir(ErofsNode *dir)
{
	ErofsEntries it = erofs_entries(dir), before = it, tail = it;
	ErofsInode *i = dir->inode;
	size_t bytes = 0;
	Str name;
	const ErofsInode *inode;
	i->size = 0;
	for (; erofs_entries_next(&it, &name, &inode); before = it) {
		if (bytes + EROFS_DIRENT + name.n > EROFS_BLOCK) {
			i->size += EROFS_BLOCK;
			bytes = 0;
			tail = before;
		}
		bytes += EROFS_DIRENT + name.n;
	}
	i->size += bytes;
	i->u.dir.tail = tail.next;
	i->u.dir.tail_dots = (uint8_t)tail.dots;
}

/* ---- inodes ---- */

static size_t xattrs_size(const ErofsTree *t, const ErofsInode *i)
{
	size_t n = 0;
	ErofsXattrs it = erofs_xattrs(t, i);
	for (const ErofsXattr *x; (x = erofs_xattrs_next(&it));)
		n += x->place == EROFS_NO_BLOCK ? xattr_size(x) : 4;
	return n ? EROFS_XATTR_HEADER + n : 0;
}

static bool is_compact(const ErofsLayout *l, const ErofsInode *i)
{
	/* COMPACT_MTIME is only known to Linux 6.15 and later: before, every compact inode has the time of the super block */
	return i->mtime == l->epoch && i->mtime_ns == l->epoch_ns && i->uid <= UINT16_MAX && i->gid <= UINT16_MAX &&
	       i->size <= UINT32_MAX && inode_nlink(i) <= UINT16_MAX;
}

ErofsShape erofs_shape(const ErofsTree *t, const ErofsLayout *l, const ErofsInode *i)
{
	ErofsShape s = { .base = is_compact(l, i) ? EROFS_COMPACT_SIZE : EROFS_EXTENDED_SIZE, .xattrs = xattrs_size(t, i) };
	if (inode_is_file(i) && i->size) {
		s.layout = LAYOUT_CHUNKS;
		s.chunks_at = align_to(s.base + s.xattrs, EROFS_CHUNK);
		s.chunks = inode_chunks(i);
	} else if (inode_is_dir(i)) {
		s.tail = i->size % EROFS_BLOCK;
		s.blocks = i->size / EROFS_BLOCK;
		s.layout = s.tail ? LAYOUT_INLINE : LAYOUT_PLAIN;
		if ((s.base + s.xattrs) % EROFS_SLOT + s.tail > EROFS_BLOCK) { /* wherever the inode starts, the tail would cross a block */
			s.layout = LAYOUT_PLAIN;
			s.tail = 0;
			s.blocks++;
		}
	} else if (S_ISLNK(i->mode)) {
		/* before Linux 6.12 the kernel wants a target inline in the block of its inode, or else outside */
		s.layout = s.base + s.xattrs + i->size <= EROFS_BLOCK ? LAYOUT_INLINE : LAYOUT_PLAIN;
		s.tail = s.layout == LAYOUT_INLINE ? i->size : 0;
		s.blocks = s.layout == LAYOUT_PLAIN ? blocks_of(i->size) : 0;
	}
	return s;
}

uint64_t erofs_shape_place(const ErofsShape *s, const ErofsInode *i, uint64_t pos)
{
	pos = align_to(pos, EROFS_SLOT);
	if (!s->tail) return pos;
	size_t head = s->base + s->xattrs;
	for (;; pos += EROFS_SLOT) { /* inline bytes never cross a block; 16 steps at most */
		uint64_t from = S_ISLNK(i->mode) ? pos : pos + head;
		if (from / EROFS_BLOCK == (pos + head + s->tail - 1) / EROFS_BLOCK) return pos;
	}
}

/* ---- placing ---- */

static void reset_xattrs(ErofsTree *t)
{
	for (size_t i = 0; i < t->xattrs_n; i++)
		for (ErofsXattr *x = t->xattrs[i]; x; x = x->next) {
			x->users = 0;
			x->place = EROFS_NO_BLOCK;
		}
}

typedef struct Placing {
	ErofsTree *t;
	ErofsLayout *l;
	uint64_t pos, blocks, links, shared;
	int64_t majority; /* Boyer and Moore's vote for the time */
	Err *e;
} Placing;

static int check_runs(const Placing *p, const ErofsInode *i, bool *wide)
{
	for (size_t n = 0; n < i->n_runs; n++) {
		ErofsRun run = erofs_inode_run(i, n);
		uint64_t has = run.device <= p->t->devices ? p->t->device_blocks[run.device - 1] : 0;
		if (run.n > has || run.block > has - run.n)
			return err_set(p->e, ERR_CONFIG, EINVAL, "contents at block %llu end behind device %u, which has %llu blocks",
				       (unsigned long long)run.block, run.device, (unsigned long long)has);
		if (run.block + run.n >= UINT32_MAX) *wide = true;
	}
	return 0;
}

/* What the placing of one needs to know of all. */
static int survey(Placing *p, ErofsNode *node)
{
	ErofsInode *i = node->inode;
	if (i->nid == SURVEYED) return 0; /* a further name */
	i->nid = SURVEYED;
	p->l->inodes++;
	ErofsXattrs it = erofs_xattrs(p->t, i);
	for (ErofsXattr *x; (x = erofs_xattrs_next(&it));)
		x->users++;
	if (p->majority == 0) {
		p->l->epoch = i->mtime;
		p->l->epoch_ns = i->mtime_ns;
	}
	p->majority += i->mtime == p->l->epoch && i->mtime_ns == p->l->epoch_ns ? 1 : -1;
	if (S_ISLNK(i->mode) && !i->size) return err_set(p->e, ERR_INTERNAL, EINVAL, "symbolic link %s has no target", node->name);
	return inode_is_file(i) ? check_runs(p, i, &p->l->wide) : 0;
}

/* First pass: sorts all directories and chains them, and surveys. Numbers are from the write before, if there was one. */
static int survey_tree(Placing *p)
{
	ErofsTree *t = p->t;
	Sorter s = { 0 };
	ErofsNode *last = NULL;
	int r = 0;
	for (ErofsNode *n = t->root; n && r >= 0; n = erofs_node_walk(t->root, n, true)) {
		r = survey(p, n);
		if (r < 0 || !inode_is_dir(n->inode)) continue;
		if (sort_dir(&s, n->inode) < 0) r = err_sys(p->e, ENOMEM, "index");
		measure_dir(n);
		if (last) last->inode->x.next_dir = n;
		last = n;
		n->inode->x.next_dir = NULL;
	}
	free(s.items);
	return r;
}

static bool is_shared(const ErofsXattr *x)
{
	return x->users > 1 || (x->users && xattr_size(x) >= SHARE_FROM);
}

static bool any_shared(const ErofsTree *t)
{
	for (size_t i = 0; i < t->xattrs_n; i++)
		for (const ErofsXattr *x = t->xattrs[i]; x; x = x->next)
			if (is_shared(x)) return true;
	return false;
}

/* Between them: which attributes are shared. In the order of the walk, so that equal trees give equal bytes. */
static int share(void *arg, ErofsNode *node)
{
	Placing *p = arg;
	ErofsXattrs it = erofs_xattrs(p->t, node->inode);
	for (ErofsXattr *x; (x = erofs_xattrs_next(&it));) {
		if (x->place != EROFS_NO_BLOCK || !is_shared(x)) continue;
		x->place = p->shared;
		p->shared += xattr_size(x);
		p->l->n_shared++;
	}
	return 0;
}

static int place(void *arg, ErofsNode *node)
{
	Placing *p = arg;
	ErofsInode *i = node->inode;
	if (i->nid != SURVEYED) return 0;
	ErofsShape s = erofs_shape(p->t, p->l, i);
	uint64_t pos = erofs_shape_place(&s, i, p->pos);
	i->nid = pos / EROFS_SLOT;
	p->pos = pos + shape_size(&s);
	if (S_ISLNK(i->mode)) {
		i->u.link.block = p->links;
		p->links += s.blocks;
	}
	p->l->compact += s.base == EROFS_COMPACT_SIZE;
	return 0;
}

static int make_mark(ErofsTree *t, ErofsXattr **mark, const char *name, Str value, Err *e)
{
	Str rest;
	uint8_t prefix = erofs_xattr_split(str_of(name), &rest);
	return *mark ? 0 : erofs_xattr_intern(t, prefix, rest, value, mark, e);
}

static int lay_out(Placing *p)
{
	ErofsTree *t = p->t;
	ErofsLayout *l = p->l;
	reset_xattrs(t);
	int r = survey_tree(p);
	if (r >= 0 && any_shared(t)) r = erofs_each(t, share, p);
	if (r < 0) return r;
	for (uint32_t i = 0; i < t->devices; i++)
		l->wide |= t->device_blocks[i] > UINT32_MAX;
	l->meta = EROFS_SUPER_OFFSET + EROFS_BLOCK + (uint64_t)t->devices * EROFS_DEVICE_SIZE;
	p->pos = l->meta;
	if ((r = erofs_each(t, place, p)) < 0) return r;
	for (const ErofsNode *dir = t->root; dir; dir = dir->inode->x.next_dir) {
		dir->inode->u.dir.block = p->blocks;
		l->marked |= dir->inode->opaque || dir->inode->u.dir.whiteouts;
		p->blocks += erofs_shape(t, l, dir->inode).blocks;
	}
	l->blocks = align_to(p->pos, EROFS_BLOCK);
	l->links = l->blocks + p->blocks * EROFS_BLOCK;
	l->shared = l->links + p->links * EROFS_BLOCK;
	l->end = align_to(l->shared + p->shared, EROFS_BLOCK);
	if (l->end / EROFS_BLOCK >= UINT32_MAX || p->shared / 4 > UINT32_MAX)
		return err_set(p->e, ERR_RESOURCE, EFBIG, "an index of %llu bytes is too large", (unsigned long long)l->end);
	return 0;
}

int erofs_layout(ErofsTree *t, ErofsLayout *ret, Err *e)
{
	ErofsLayout l = { 0 };
	Placing p = { .t = t, .l = &l, .e = e };
	int r = make_mark(t, &t->opaque, "trusted.overlay.opaque", STR("y"), e);
	if (r >= 0) r = make_mark(t, &t->origin, "trusted.overlay.origin", STR(""), e);
	if (r < 0) return r;
	if ((r = lay_out(&p)) < 0) {
		for (ErofsNode *n = t->root; n; n = erofs_node_walk(t->root, n, true))
			n->inode->nid = 0; /* some are SURVEYED */
		return r;
	}
	*ret = l;
	return 0;
}
