/* layer_index.c: see layer_index.h for the rules. */
#include "image/layer_index.h"

#include <endian.h>
#include <sys/stat.h>

#include "oci/whiteout.h"

enum { TAG_IMPLIED = 1 }; /* a directory that no entry has described yet */

struct LayerIndex {
	ErofsTree *tree;
	TarReader *reader;
	LayerIndexStats stats;
	bool has_uuid, has_tag, failed;
	uint8_t uuid[16], tag[64];
	/* The directory of the entry before: mostly that of the next one, too. */
	ErofsNode *last_dir;
	size_t last_n;
	char last_path[4096];
};

/* ---- directories ---- */

static const ErofsAttr implied = { .mode = S_IFDIR | 0755 };

/* The directory at name in dir, made when there is none. */
static int enter_dir(LayerIndex *l, ErofsNode *dir, Str name, ErofsNode **ret, Err *e)
{
	ErofsNode *found = erofs_node_find(l->tree, dir, name);
	ErofsStat st = { 0 };
	if (found) erofs_node_stat(l->tree, found, &st);
	if (found && !st.whiteout) {
		if (!S_ISDIR(st.attr.mode))
			return err_set(e, ERR_SECURITY, ENOTDIR, "\"%.*s\" above it is no directory", (int)name.n, name.p);
		*ret = found;
		return 0;
	}
	if (found) erofs_node_remove(l->tree, found);
	int r = erofs_node_add(l->tree, dir, name, &implied, ret, e);
	if (r < 0) return r;
	erofs_node_set_opaque(l->tree, *ret, st.whiteout);
	erofs_node_set_implied(l->tree, *ret, !st.whiteout);
	erofs_node_set_tag(*ret, TAG_IMPLIED);
	l->stats.parents++;
	return 0;
}

static int enter_path(LayerIndex *l, Str path, ErofsNode **ret, Err *e)
{
	if (l->last_dir && path.n == l->last_n && memcmp(path.p, l->last_path, path.n) == 0) {
		*ret = l->last_dir;
		return 0;
	}
	ErofsNode *dir = erofs_tree_root(l->tree);
	Str rest = path, part;
	while (rest.n && str_next(&rest, '/', &part)) {
		int r = enter_dir(l, dir, part, &dir, e);
		if (r < 0) return r;
	}
	l->last_dir = path.n <= sizeof l->last_path ? dir : NULL;
	if (l->last_dir) {
		l->last_n = path.n;
		memcpy(l->last_path, path.p, path.n);
	}
	*ret = dir;
	return 0;
}

/* Takes a node out, and with it what we remember. */
static void replace(LayerIndex *l, ErofsNode *node)
{
	l->last_dir = NULL;
	erofs_node_remove(l->tree, node);
}

/* ---- extended attributes ---- */

enum { ACL_HEAD = 4, ACL_ENTRY = 8 };
enum { ACL_USER_OBJ = 1, ACL_USER = 2, ACL_GROUP_OBJ = 4, ACL_GROUP = 8, ACL_MASK = 16, ACL_OTHER = 32 };

/* acl(5) as setxattr(2) takes it: version 2, then entries of a tag, rights and an id, in the order of the tags: those of the owner, the group and
 * others once, a mask when anybody is named. The kernel takes others from a file system, and answers every access with an error then. */
static bool acl_is_valid(const TarXattr *x)
{
	unsigned seen = 0, last = 0;
	uint32_t version;
	if (x->n < ACL_HEAD || (x->n - ACL_HEAD) % ACL_ENTRY) return false;
	memcpy(&version, x->value, sizeof version);
	for (size_t at = ACL_HEAD; at < x->n; at += ACL_ENTRY) {
		const char *p = (const char *)x->value + at;
		uint16_t tag, rights;
		uint32_t id;
		memcpy(&tag, p, sizeof tag);
		memcpy(&rights, p + 2, sizeof rights);
		memcpy(&id, p + 4, sizeof id);
		tag = le16toh(tag);
		bool named = tag == ACL_USER || tag == ACL_GROUP;
		if (!tag || tag > ACL_OTHER || tag & (tag - 1) || tag < last || (tag == last && !named)) return false;
		if (le16toh(rights) > 7 || (named && id == UINT32_MAX)) return false;
		seen |= last = tag;
	}
	unsigned always = ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER;
	return le32toh(version) == 2 && (seen & always) == always && (seen & ACL_MASK || !(seen & (ACL_USER | ACL_GROUP)));
}

static bool is_dropped(const char *name)
{
	/* of overlayfs: an image could point into other layers; of the host's policy and its keys: docker does not take them from images either */
	return starts_with(name, "trusted.overlay.") || starts_with(name, "user.overlay.") || streq(name, "security.selinux") ||
	       streq(name, "security.ima") || streq(name, "security.evm");
}

static int set_xattrs(LayerIndex *l, ErofsNode *node, const TarEntry *t, Err *e)
{
	for (size_t i = 0; i < t->n_xattrs; i++) {
		const TarXattr *x = &t->xattrs[i];
		if (is_dropped(x->name)) {
			l->stats.dropped_xattrs++;
			continue;
		}
		if (starts_with(x->name, "system.posix_acl_") && !acl_is_valid(x))
			return err_set(e, ERR_CONFIG, EINVAL, "attribute %.64s is no access control list", x->name);
		Err why = ERR_INIT;
		int r = erofs_node_set_xattr(l->tree, node, x->name, x->value, x->n, &why);
		if (r == -EOPNOTSUPP) {
			l->stats.dropped_xattrs++;
		} else if (r < 0) {
			*e = why;
			return r;
		}
	}
	return 0;
}

/* ---- entries ---- */

static const uint32_t modes[] = {
	[TAR_FILE] = S_IFREG,  [TAR_HARDLINK] = S_IFREG, [TAR_SYMLINK] = S_IFLNK, [TAR_CHAR] = S_IFCHR,
	[TAR_BLOCK] = S_IFBLK, [TAR_DIR] = S_IFDIR,      [TAR_FIFO] = S_IFIFO,
};

/* A symbolic link has no mode of its own on Linux: tar(1), too, unpacks it as 0777 whatever the archive says. */
static ErofsAttr attr_of(const TarEntry *t)
{
	return (ErofsAttr){ .mode = modes[t->type] | (t->type == TAR_SYMLINK ? 0777 : t->mode),
			    .uid = t->uid,
			    .gid = t->gid,
			    .mtime = t->mtime,
			    .mtime_ns = t->mtime_ns,
			    .major = t->major,
			    .minor = t->minor };
}

/* The contents of a file: where its bytes lie in the tar. */
static int set_contents(LayerIndex *l, ErofsNode *node, const TarEntry *t, Err *e)
{
	ErofsExtent one = { .n = t->size, .offset = t->offset, .device = 1 };
	l->stats.data_bytes += t->stored;
	l->stats.size += t->size;
	if (!t->sparse) return erofs_node_set_extents(l->tree, node, t->size, &one, t->size != 0, e);
	AUTO_FREE ErofsExtent *x = calloc(t->n_extents + 1, sizeof *x);
	if (!x) return err_sys(e, ENOMEM, "index");
	size_t n = 0;
	uint64_t offset = t->offset;
	for (size_t i = 0; i < t->n_extents; i++) {
		const TarExtent *from = &t->extents[i];
		if (n && x[n - 1].at + x[n - 1].n == from->offset) { /* what follows in the file follows in the tar */
			x[n - 1].n += from->n;
		} else {
			x[n] = (ErofsExtent){ .at = from->offset, .n = from->n, .offset = offset, .device = 1 };
			n++;
		}
		offset += from->n;
	}
	return erofs_node_set_extents(l->tree, node, t->size, x, n, e);
}

static int describe(LayerIndex *l, ErofsNode *node, const TarEntry *t, Err *e)
{
	int r = set_xattrs(l, node, t, e);
	if (r < 0) return r;
	switch (t->type) {
	case TAR_FILE:
		l->stats.files++;
		return set_contents(l, node, t, e);
	case TAR_SYMLINK:
		l->stats.symlinks++;
		return erofs_node_set_target(l->tree, node, str_of(t->link), e);
	case TAR_DIR:
		l->stats.directories++;
		return 0;
	default:
		l->stats.specials++;
		return 0;
	}
}

/* A directory that is there already, the root among them. */
static int describe_again(LayerIndex *l, ErofsNode *node, const TarEntry *t, Err *e)
{
	ErofsAttr a = attr_of(t);
	int r = erofs_node_set_attr(l->tree, node, &a, e);
	if (r < 0) return r;
	if (erofs_node_tag(node) == TAG_IMPLIED)
		l->stats.parents--;
	else
		l->stats.replaced++;
	erofs_node_set_tag(node, 0);
	erofs_node_clear_xattrs(l->tree, node);
	return describe(l, node, t, e);
}

/* The file a hard link names; nothing is made or followed on the way. */
static int find_target(LayerIndex *l, const TarEntry *t, ErofsNode **ret, Err *e)
{
	ErofsNode *node = erofs_tree_root(l->tree);
	Str rest = str_of(t->link), part;
	ErofsStat st;
	while (node && rest.n && str_next(&rest, '/', &part))
		node = erofs_node_child(node) ? erofs_node_find(l->tree, node, part) : NULL;
	if (node) erofs_node_stat(l->tree, node, &st);
	if (!node || st.whiteout) return err_set(e, ERR_SECURITY, ENOENT, "hard link to \"%s\", which is not in the layer", t->link);
	if (S_ISDIR(st.attr.mode)) return err_set(e, ERR_SECURITY, EPERM, "hard link to \"%s\", a directory", t->link);
	if (starts_with(t->link, t->path) && t->link[strlen(t->path)] == '/')
		return err_set(e, ERR_SECURITY, ENOENT, "hard link to \"%s\", which lies below it", t->link);
	*ret = node;
	return 0;
}

static int add_hardlink(LayerIndex *l, ErofsNode *dir, Str name, ErofsNode *found, const TarEntry *t, Err *e)
{
	ErofsNode *target;
	int r = find_target(l, t, &target, e);
	if (r < 0) return r;
	l->stats.hardlinks++;
	if (found) {
		ErofsStat a, b;
		erofs_node_stat(l->tree, found, &a);
		erofs_node_stat(l->tree, target, &b);
		if (!a.whiteout) l->stats.replaced++;
		if (a.inode == b.inode) return 0;
		replace(l, found);
	}
	return erofs_node_link(l->tree, dir, name, target, NULL, e);
}

static int add_member(LayerIndex *l, const TarEntry *t, Err *e)
{
	const char *slash = strrchr(t->path, '/');
	Str path = { t->path, slash ? (size_t)(slash - t->path) : 0 }, name = str_of(slash ? slash + 1 : t->path);
	ErofsNode *dir, *node;
	int r = enter_path(l, path, &dir, e);
	if (r < 0) return r;
	ErofsNode *found = erofs_node_find(l->tree, dir, name);
	if (t->type == TAR_HARDLINK) return add_hardlink(l, dir, name, found, t, e);
	ErofsStat st = { 0 };
	ErofsAttr a = attr_of(t);
	if (found) erofs_node_stat(l->tree, found, &st);
	if (found && t->type == TAR_DIR && S_ISDIR(st.attr.mode)) return describe_again(l, found, t, e);
	if (found) {
		if (!st.whiteout) l->stats.replaced++;
		replace(l, found);
	}
	if ((r = erofs_node_add(l->tree, dir, name, &a, &node, e)) < 0) return r;
	if (st.whiteout) erofs_node_set_opaque(l->tree, node, true); /* does nothing to what is no directory */
	return describe(l, node, t, e);
}

static int add_root(LayerIndex *l, const TarEntry *t, Err *e)
{
	if (t->type != TAR_DIR) return err_set(e, ERR_SECURITY, EINVAL, "the root is a directory and cannot be replaced");
	return describe_again(l, erofs_tree_root(l->tree), t, e);
}

/* ---- whiteouts ---- */

static int add_whiteout(LayerIndex *l, const Whiteout *w, const TarEntry *t, Err *e)
{
	ErofsNode *dir;
	int r = enter_path(l, (Str){ t->path, w->parent }, &dir, e);
	if (r < 0) return r;
	if (w->kind == WHITEOUT_OPAQUE) {
		l->stats.opaques++;
		erofs_node_set_opaque(l->tree, dir, true);
		return 0;
	}
	l->stats.whiteouts++;
	ErofsNode *found = erofs_node_find(l->tree, dir, str_of(w->name));
	if (!found) return erofs_node_add_whiteout(l->tree, dir, str_of(w->name), NULL, e);
	/* The entry of this layer stays, and what a directory would show from below does not. Anything else hides it anyway. */
	erofs_node_set_opaque(l->tree, found, true);
	erofs_node_set_implied(l->tree, found, false);
	return 0;
}

static int on_entry(void *arg, const TarEntry *t, Err *e)
{
	LayerIndex *l = arg;
	Whiteout w = whiteout_classify(t->path);
	int r;
	switch (w.kind) {
	case WHITEOUT_NONE:
		r = *t->path ? add_member(l, t, e) : add_root(l, t, e);
		break;
	case WHITEOUT_FILE:
	case WHITEOUT_OPAQUE:
		r = add_whiteout(l, &w, t, e);
		break;
	case WHITEOUT_SKIP:
		return 0;
	default:
		r = err_set(e, ERR_SECURITY, EINVAL, "a whiteout that names nothing");
	}
	return r < 0 ? err_wrap(e, "layer: \"%s\"", t->path) : 0;
}

/* ---- the stream ---- */

void layer_index_free(LayerIndex *l)
{
	if (!l) return;
	tar_reader_free(l->reader);
	erofs_tree_free(l->tree);
	free(l);
}

void auto_layer_index(LayerIndex **l)
{
	layer_index_free(*l);
}

int layer_index_new(const LayerIndexOptions *options, LayerIndex **ret)
{
	AUTO_LAYER_INDEX *l = calloc(1, sizeof *l);
	if (!l) return -ENOMEM;
	LayerIndexOptions o = options ? *options : (LayerIndexOptions){ 0 };
	if (o.uuid) memcpy(l->uuid, o.uuid, sizeof l->uuid);
	if (o.tag) memcpy(l->tag, o.tag, sizeof l->tag);
	l->has_uuid = o.uuid;
	l->has_tag = o.tag;
	int r = erofs_tree_new(o.limits, &l->tree);
	if (r < 0) return r;
	erofs_node_set_implied(l->tree, erofs_tree_root(l->tree), true);
	erofs_node_set_tag(erofs_tree_root(l->tree), TAG_IMPLIED);
	l->stats.parents = 1;
	TarVisitor v = { .entry = on_entry, .arg = l };
	l->reader = tar_reader_new(&v, o.tar_limits);
	if (!l->reader) return -ENOMEM;
	*ret = take(l);
	return 0;
}

int layer_index_feed(LayerIndex *l, const void *p, size_t n, Err *e)
{
	if (l->failed) return err_set(e, ERR_STATE, EINVAL, "layer: it was refused before");
	int r = tar_reader_feed(l->reader, p, n, e);
	l->stats.tar_bytes += n;
	if (r < 0) l->failed = true;
	return r;
}

void layer_index_set_tag(LayerIndex *l, const uint8_t tag[static 64])
{
	memcpy(l->tag, tag, sizeof l->tag);
	l->has_tag = true;
}

int layer_index_finish(LayerIndex *l, int index_fd, LayerIndexStats *stats, Err *e)
{
	if (l->failed) return err_set(e, ERR_STATE, EINVAL, "layer: it was refused before");
	l->failed = true; /* until the end is reached */
	ErofsWriteOptions o = { .uuid = l->has_uuid ? l->uuid : NULL, .tags = l->has_tag ? (const uint8_t(*)[64])l->tag : NULL };
	ErofsStat root;
	int r = tar_reader_finish(l->reader, e);
	if (r >= 0) r = erofs_tree_set_device(l->tree, 1, l->stats.tar_bytes, e);
	if (r >= 0) r = erofs_write(l->tree, index_fd, &o, &l->stats.index, e);
	if (r < 0) return r;
	erofs_node_stat(l->tree, erofs_tree_root(l->tree), &root);
	l->stats.root_opaque = root.opaque;
	l->stats.entries = erofs_tree_entries(l->tree);
	l->stats.memory = erofs_tree_memory(l->tree);
	if (stats) *stats = l->stats;
	return 0;
}

ErofsTree *layer_index_tree(LayerIndex *l)
{
	return l->tree;
}
