/* erofs_merge.c: layers as one tree. */
#include "sys/erofs_impl.h"

typedef struct Merging {
	ErofsTree *to;
	uint32_t device; /* how many the layers below have */
	Err *e;
} Merging;

static int copy_runs(const Merging *m, const ErofsInode *from, ErofsInode *to)
{
	AUTO_FREE ErofsRun *runs = calloc((size_t)from->n_runs + 1, sizeof *runs);
	if (!runs) return err_sys(m->e, ENOMEM, "index");
	for (size_t i = 0; i < from->n_runs; i++) {
		runs[i] = erofs_inode_run(from, i);
		runs[i].device += m->device;
	}
	return erofs_inode_set_runs(m->to, to, from->size, runs, from->n_runs, m->e);
}

/* Attributes of from, extended ones included, become those of to. */
static int copy_attrs(const Merging *m, const ErofsInode *from, ErofsInode *to)
{
	to->mode = from->mode;
	to->uid = from->uid;
	to->gid = from->gid;
	to->mtime = from->mtime;
	to->mtime_ns = from->mtime_ns;
	to->implied = from->implied;
	to->xattrs = NULL;
	for (const ErofsXattrRef *ref = from->xattrs; ref; ref = ref->next) {
		ErofsXattr *x;
		Str name = { ref->x->bytes, ref->x->name_n }, value = { ref->x->bytes + name.n, ref->x->value_n };
		int r = erofs_xattr_intern(m->to, ref->x->prefix, name, value, &x, m->e);
		if (r >= 0) r = erofs_xattr_add(m->to, to, x, m->e);
		if (r < 0) return r;
	}
	return 0;
}

static int copy_inode(const Merging *m, ErofsInode *from)
{
	ErofsInode *to = erofs_inode_new(m->to);
	if (!to) return erofs_no_memory(m->to, m->e);
	int r = copy_attrs(m, from, to);
	if (r < 0) return r;
	if (S_ISREG(from->mode)) {
		r = copy_runs(m, from, to);
	} else if (S_ISLNK(from->mode)) {
		to->u.link.target = arena_strdup(&m->to->arena, from->u.link.target);
		to->size = from->size;
		if (!to->u.link.target) r = erofs_no_memory(m->to, m->e);
	} else if (!S_ISDIR(from->mode)) {
		to->u.dev = from->u.dev;
	}
	from->x.merged = to;
	return r;
}

/* A directory over one of the layers below. */
static int merge_dir(const Merging *m, const ErofsInode *from, ErofsNode *to)
{
	if (from->opaque) erofs_node_clear(m->to, to);
	return from->implied ? 0 : copy_attrs(m, from, to->inode);
}

/* One entry of a layer, over what the layers below have made of its directory. */
static int merge_node(const Merging *m, ErofsNode *node)
{
	ErofsNode *dir = node->parent->inode->x.merged_dir, *made;
	ErofsInode *i = node->inode;
	Str name = erofs_node_name(node);
	ErofsNode *below = erofs_node_find(m->to, dir, name);
	if (below && inode_is_dir(i) && inode_is_dir(below->inode)) {
		i->x.merged_dir = below;
		return merge_dir(m, i, below);
	}
	if (below) erofs_node_remove(m->to, below);
	if (i->whiteout) return 0;
	int r = i->x.merged ? 0 : copy_inode(m, i);
	if (r >= 0) r = erofs_node_attach(m->to, dir, name, i->x.merged, &made, m->e);
	if (r >= 0 && inode_is_dir(i)) i->x.merged_dir = made;
	return r;
}

static int merge_layer(const Merging *m, ErofsTree *layer)
{
	int r = 0;
	for (ErofsNode *n = layer->root; n; n = erofs_node_walk(layer->root, n, true))
		n->inode->x.merged = NULL;
	ErofsInode *root = layer->root->inode;
	root->x.merged_dir = m->to->root;
	r = merge_dir(m, root, m->to->root);
	for (ErofsNode *n = erofs_node_child(layer->root); n && r >= 0; n = erofs_node_walk(layer->root, n, true)) {
		r = merge_node(m, n);
		if (r < 0) err_wrap(m->e, "\"%s\"", n->name);
	}
	return r;
}

int erofs_merge(ErofsTree *const *layers, size_t n, const ErofsLimits *limits, ErofsTree **ret, Err *e)
{
	AUTO_EROFS_TREE *to = NULL;
	if (erofs_tree_new(limits, &to) < 0) return err_sys(e, ENOMEM, "index");
	Merging m = { .to = to, .e = e };
	to->root->inode->implied = true; /* until a layer describes it */
	for (size_t i = 0; i < n; i++) {
		int r = 0;
		for (uint32_t d = 0; d < layers[i]->devices && r >= 0; d++)
			r = erofs_tree_set_device(to, m.device + d + 1, layers[i]->device_blocks[d] * EROFS_BLOCK, e);
		if (r >= 0) r = merge_layer(&m, layers[i]);
		if (r < 0) return err_wrap(e, "merge layer %zu", i + 1);
		m.device += layers[i]->devices;
	}
	if (erofs_tree_sort(to) < 0) return err_sys(e, ENOMEM, "index");
	*ret = take(to);
	return 0;
}
