/* erofs_tree.c: the tree in memory (erofs.h). Names are found through one hash table over all directories. */
#include "sys/erofs_impl.h"

#include <sys/random.h>
#include <sys/sysmacros.h>

enum { TABLE_FIRST = 1024, XATTRS_FIRST = 64 };

/* What stands in the table where a node was removed. */
static ErofsNode removed;

/* ---- limits and memory ---- */

int erofs_quota(Err *e, uint64_t limit, const char *what)
{
	return err_set(e, ERR_RESOURCE, EDQUOT, "more than the %llu %s an index may have", (unsigned long long)limit, what);
}

int erofs_no_memory(const ErofsTree *t, Err *e)
{
	if (t->arena.used > t->arena.max / 2) return erofs_quota(e, t->limits.memory, "bytes of memory");
	return err_sys(e, ENOMEM, "index");
}

uint64_t erofs_tree_memory(const ErofsTree *t)
{
	return t->arena.used + t->table_n * sizeof *t->table + t->xattrs_n * sizeof *t->xattrs + sizeof *t;
}

/* ---- hashing ---- */

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t erofs_hash(const ErofsTree *t, const void *p, size_t n, uint64_t seed)
{
	const char *s = p;
	uint64_t h = fold(seed ^ t->key[0], t->key[1]), w;
	for (; n >= 8; s += 8, n -= 8) {
		memcpy(&w, s, 8);
		h = fold(h ^ w, t->key[1]);
	}
	w = (uint64_t)n << 56; /* n is below 8: the highest byte is free */
	memcpy(&w, s, n);
	return fold(h ^ w, t->key[1]);
}

static uint32_t name_hash(const ErofsTree *t, const ErofsNode *dir, Str name)
{
	return (uint32_t)erofs_hash(t, name.p, name.n, (uintptr_t)dir);
}

static size_t table_slot(const ErofsTree *t, const ErofsNode *node)
{
	size_t at = node->hash & (t->table_n - 1);
	while (t->table[at] != node)
		at = (at + 1) & (t->table_n - 1);
	return at;
}

static void table_put(ErofsNode **table, size_t n, ErofsNode *node)
{
	size_t at = node->hash & (n - 1);
	while (table[at])
		at = (at + 1) & (n - 1);
	table[at] = node;
}

/* Room for one more, at most two thirds full; the removed ones are swept out on the way. */
static int table_reserve(ErofsTree *t)
{
	if (t->table && t->table_used + 1 < t->table_n / 3 * 2) return 0;
	size_t n = t->table_n ? t->table_n : TABLE_FIRST;
	while (t->entries + 1 >= n / 2)
		n *= 2;
	if (n * sizeof *t->table > t->limits.memory) return -ENOMEM;
	ErofsNode **table = calloc(n, sizeof(ErofsNode *));
	if (!table) return -ENOMEM;
	for (size_t i = 0; i < t->table_n; i++)
		if (t->table[i] && t->table[i] != &removed) table_put(table, n, t->table[i]);
	free(t->table);
	t->table = table;
	t->table_n = n;
	t->table_used = t->entries;
	return 0;
}

ErofsNode *erofs_node_find(const ErofsTree *t, const ErofsNode *dir, Str name)
{
	uint32_t hash = name_hash(t, dir, name);
	for (size_t at = hash & (t->table_n - 1); t->table[at]; at = (at + 1) & (t->table_n - 1)) {
		ErofsNode *node = t->table[at];
		if (node->hash == hash && node->parent == dir && node->name_n == name.n && memcmp(node->name, name.p, name.n) == 0)
			return node;
	}
	return NULL;
}

/* ---- trees ---- */

void erofs_tree_free(ErofsTree *t)
{
	if (!t) return;
	arena_done(&t->arena);
	free(t->table);
	free(t->xattrs);
	free(t->device_blocks);
	free(t);
}

void auto_erofs_tree(ErofsTree **t)
{
	erofs_tree_free(*t);
}

/* A key nobody can guess. Without entropy (never after boot) names still differ, only an attacker gains. */
static void make_key(ErofsTree *t)
{
	if (getrandom(t->key, sizeof t->key, GRND_NONBLOCK) != sizeof t->key) t->key[0] = (uintptr_t)t;
	t->key[1] |= (uint64_t)1 << 63 | 1;
}

static int make_root(ErofsTree *t)
{
	ErofsInode *i = erofs_inode_new(t);
	t->root = arena_alloc(&t->arena, sizeof(ErofsNode) + 1);
	if (!i || !t->root) return -ENOMEM;
	i->mode = S_IFDIR | 0755;
	i->names = 1;
	t->root->inode = i;
	t->entries = 1;
	return table_reserve(t);
}

int erofs_tree_new(const ErofsLimits *limits, ErofsTree **ret)
{
	AUTO_EROFS_TREE *t = calloc(1, sizeof *t);
	if (!t) return -ENOMEM;
	t->limits = limits ? *limits : EROFS_LIMITS_DEFAULT;
	if (t->limits.depth >= UINT16_MAX) t->limits.depth = UINT16_MAX - 1;
	t->arena = ARENA_INIT(t->limits.memory);
	t->xattrs_n = XATTRS_FIRST;
	t->xattrs = calloc(t->xattrs_n, sizeof(ErofsXattr *));
	t->device_blocks = calloc(EROFS_DEVICES_MAX, sizeof *t->device_blocks);
	if (!t->xattrs || !t->device_blocks) return -ENOMEM;
	t->devices = 1;
	make_key(t);
	int r = make_root(t);
	if (r < 0) return r;
	*ret = take(t);
	return 0;
}

ErofsNode *erofs_tree_root(ErofsTree *t)
{
	return t->root;
}

uint64_t erofs_tree_entries(const ErofsTree *t)
{
	return t->entries;
}

uint32_t erofs_tree_devices(const ErofsTree *t)
{
	return t->devices;
}

int erofs_tree_set_device(ErofsTree *t, uint32_t device, uint64_t size, Err *e)
{
	if (!device || device > EROFS_DEVICES_MAX)
		return err_set(e, ERR_RESOURCE, EDQUOT, "device %u: an index has devices 1 to %d", device, EROFS_DEVICES_MAX);
	if (blocks_of(size) >> 47)
		return err_set(e, ERR_RESOURCE, EFBIG, "device %u: %llu bytes are too many", device, (unsigned long long)size);
	t->device_blocks[device - 1] = blocks_of(size);
	if (device > t->devices) t->devices = device;
	return 0;
}

/* ---- nodes ---- */

ErofsInode *erofs_inode_new(ErofsTree *t)
{
	return arena_alloc(&t->arena, sizeof(ErofsInode));
}

static int check_name(const ErofsNode *dir, Str name, Err *e)
{
	if (!inode_is_dir(dir->inode)) return err_set(e, ERR_CONFIG, ENOTDIR, "a name below what is no directory");
	if (!name.n || name.n > EROFS_NAME_MAX)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG, "a name of %zu bytes: 1 to %d are allowed", name.n, EROFS_NAME_MAX);
	if (memchr(name.p, '/', name.n) || memchr(name.p, 0, name.n))
		return err_set(e, ERR_CONFIG, EINVAL, "a slash or a zero byte in a name");
	if (str_eq(name, ".") || str_eq(name, "..")) return err_set(e, ERR_CONFIG, EINVAL, "\".\" and \"..\" are no names");
	return 0;
}

int erofs_node_attach(ErofsTree *t, ErofsNode *dir, Str name, ErofsInode *inode, ErofsNode **ret, Err *e)
{
	int r = check_name(dir, name, e);
	if (r < 0) return r;
	if (erofs_node_find(t, dir, name)) return err_set(e, ERR_EXISTS, EEXIST, "\"%.*s\" is there already", (int)name.n, name.p);
	if (t->entries >= t->limits.entries) return erofs_quota(e, t->limits.entries, "entries");
	if (dir->depth >= t->limits.depth) return erofs_quota(e, t->limits.depth, "levels of directories");
	ErofsNode *node = arena_alloc(&t->arena, sizeof *node + name.n + 1);
	if (!node || table_reserve(t) < 0) return erofs_no_memory(t, e);
	*node = (ErofsNode){ .parent = dir, .inode = inode, .hash = name_hash(t, dir, name), .depth = (uint16_t)(dir->depth + 1) };
	node->name_n = (uint8_t)name.n;
	memcpy(node->name, name.p, name.n);
	ErofsInode *d = dir->inode;
	node->prev = d->u.dir.last;
	if (node->prev)
		node->prev->next = node;
	else
		d->u.dir.first = node;
	d->u.dir.last = node;
	d->u.dir.subdirs += inode_is_dir(inode);
	d->u.dir.whiteouts += inode->whiteout;
	inode->names++;
	table_put(t->table, t->table_n, node);
	t->table_used++;
	t->entries++;
	if (ret) *ret = node;
	return 0;
}

static int check_attr(const ErofsAttr *a, Err *e)
{
	switch (a->mode & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		if (a->major >= 1 << 12 || a->minor >= 1 << 20)
			return err_set(e, ERR_CONFIG, EINVAL, "device number %u:%u is out of range", a->major, a->minor);
		if (S_ISCHR(a->mode) && !a->major && !a->minor)
			return err_set(e, ERR_SECURITY, EINVAL, "a character device 0:0 would hide a file of another layer");
		break;
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return err_set(e, ERR_CONFIG, EINVAL, "mode %o has no known type", a->mode);
	}
	if (a->mode & ~(uint32_t)(S_IFMT | 07777)) return err_set(e, ERR_CONFIG, EINVAL, "mode %o is out of range", a->mode);
	if (a->mtime_ns >= 1000000000) return err_set(e, ERR_CONFIG, EINVAL, "%u nanoseconds are more than a second", a->mtime_ns);
	return 0;
}

static void inode_set_attr(ErofsInode *i, const ErofsAttr *a)
{
	i->mode = (uint16_t)a->mode;
	i->uid = a->uid;
	i->gid = a->gid;
	i->mtime = a->mtime;
	i->mtime_ns = a->mtime_ns;
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode)) {
		i->u.dev.major = a->major;
		i->u.dev.minor = a->minor;
	}
}

int erofs_node_add(ErofsTree *t, ErofsNode *dir, Str name, const ErofsAttr *a, ErofsNode **ret, Err *e)
{
	int r = check_attr(a, e);
	if (r < 0) return r;
	ErofsInode *i = erofs_inode_new(t);
	if (!i) return erofs_no_memory(t, e);
	inode_set_attr(i, a);
	return erofs_node_attach(t, dir, name, i, ret, e);
}

int erofs_node_link(ErofsTree *t, ErofsNode *dir, Str name, ErofsNode *target, ErofsNode **ret, Err *e)
{
	if (inode_is_dir(target->inode)) return err_set(e, ERR_CONFIG, EPERM, "a hard link to a directory");
	if (target->inode->whiteout) return err_set(e, ERR_SECURITY, EPERM, "a hard link to a whiteout");
	return erofs_node_attach(t, dir, name, target->inode, ret, e);
}

int erofs_node_add_whiteout(ErofsTree *t, ErofsNode *dir, Str name, ErofsNode **ret, Err *e)
{
	ErofsInode *i = erofs_inode_new(t);
	if (!i) return erofs_no_memory(t, e);
	i->mode = S_IFCHR;
	i->whiteout = true;
	return erofs_node_attach(t, dir, name, i, ret, e);
}

static void forget(ErofsTree *t, ErofsNode *node)
{
	ErofsInode *i = node->inode;
	t->table[table_slot(t, node)] = &removed;
	t->entries--;
	if (!--i->names && inode_is_file(i) && inode_chunks(i) > 1) t->chunks -= inode_chunks(i);
}

void erofs_node_clear(ErofsTree *t, ErofsNode *dir)
{
	for (ErofsNode *n = erofs_node_child(dir); n; n = erofs_node_walk(dir, n, true))
		forget(t, n);
	dir->inode->u.dir.first = dir->inode->u.dir.last = NULL;
	dir->inode->u.dir.subdirs = dir->inode->u.dir.whiteouts = 0;
}

void erofs_node_remove(ErofsTree *t, ErofsNode *node)
{
	ErofsInode *d = node->parent->inode;
	if (inode_is_dir(node->inode)) {
		erofs_node_clear(t, node);
		d->u.dir.subdirs--;
	}
	d->u.dir.whiteouts -= node->inode->whiteout;
	forget(t, node);
	if (node->prev)
		node->prev->next = node->next;
	else
		d->u.dir.first = node->next;
	if (node->next)
		node->next->prev = node->prev;
	else
		d->u.dir.last = node->prev;
}

int erofs_node_set_attr(ErofsTree *t, ErofsNode *node, const ErofsAttr *a, Err *e)
{
	(void)t;
	int r = check_attr(a, e);
	if (r < 0) return r;
	if ((a->mode & S_IFMT) != (node->inode->mode & S_IFMT) || node->inode->whiteout)
		return err_set(e, ERR_CONFIG, EINVAL, "the type of a file cannot change");
	inode_set_attr(node->inode, a);
	node->inode->implied = false;
	return 0;
}

int erofs_node_set_target(ErofsTree *t, ErofsNode *node, Str target, Err *e)
{
	if (!S_ISLNK(node->inode->mode)) return err_set(e, ERR_CONFIG, EINVAL, "only a symbolic link has a target");
	if (!target.n || target.n > EROFS_TARGET_MAX || memchr(target.p, 0, target.n))
		return err_set(e, ERR_CONFIG, EINVAL, "a target of %zu bytes: 1 to %d are allowed, and no zeros", target.n,
			       EROFS_TARGET_MAX);
	const char *copy = arena_str(&t->arena, target);
	if (!copy) return erofs_no_memory(t, e);
	node->inode->u.link.target = copy;
	node->inode->size = target.n;
	return 0;
}

void erofs_node_set_opaque(ErofsTree *t, ErofsNode *dir, bool opaque)
{
	(void)t;
	dir->inode->opaque = opaque && inode_is_dir(dir->inode);
}

void erofs_node_set_implied(ErofsTree *t, ErofsNode *dir, bool implied)
{
	(void)t;
	dir->inode->implied = implied && inode_is_dir(dir->inode);
}

/* ---- looking ---- */

Str erofs_node_name(const ErofsNode *node)
{
	return (Str){ node->name, node->name_n };
}

ErofsNode *erofs_node_parent(const ErofsNode *node)
{
	return node->parent;
}

ErofsNode *erofs_node_child(const ErofsNode *dir)
{
	return inode_is_dir(dir->inode) ? dir->inode->u.dir.first : NULL;
}

ErofsNode *erofs_node_next(const ErofsNode *node)
{
	return node->next;
}

uint8_t erofs_node_tag(const ErofsNode *node)
{
	return node->tag;
}

void erofs_node_set_tag(ErofsNode *node, uint8_t tag)
{
	node->tag = tag;
}

ErofsNode *erofs_node_walk(const ErofsNode *top, const ErofsNode *node, bool descend)
{
	ErofsNode *child = descend ? erofs_node_child(node) : NULL;
	if (child) return child;
	for (; node != top; node = node->parent)
		if (node->next) return node->next;
	return NULL;
}

void erofs_node_stat(const ErofsTree *t, const ErofsNode *node, ErofsStat *ret)
{
	(void)t;
	const ErofsInode *i = node->inode;
	*ret = (ErofsStat){
		.attr = { .mode = i->mode, .uid = i->uid, .gid = i->gid, .mtime = i->mtime, .mtime_ns = i->mtime_ns },
		.nlink = inode_nlink(i),
		.size = inode_is_dir(i) ? 0 : i->size,
		.inode = (uintptr_t)i,
		.whiteout = i->whiteout,
		.opaque = i->opaque,
		.implied = i->implied,
		.target = S_ISLNK(i->mode) ? i->u.link.target : NULL,
		.n_extents = inode_is_file(i) ? i->n_runs : 0,
	};
	if (S_ISCHR(i->mode) || S_ISBLK(i->mode)) {
		ret->attr.major = i->u.dev.major;
		ret->attr.minor = i->u.dev.minor;
	}
	for (const ErofsXattrRef *x = i->xattrs; x; x = x->next)
		ret->n_xattrs++;
}
