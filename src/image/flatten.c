/* flatten.c: see flatten.h: the indexes of the layers merged, contents from their tars. */
#include "image/flatten.h"

#include <sys/stat.h>
#include <unistd.h>

#include "sys/erofs.h"

enum { FLATTEN_ARENA_MAX = 512 << 20, COPY_CHUNK = 256 << 10, PATH_ROOM = 65536, LINKS_FIRST = 1024 };

/* Link: the first name of a file that has several. */
typedef struct Link {
	uint64_t inode;
	const char *path; /* NULL: free */
} Link;

typedef struct Flatten {
	ImageStore *store;
	Arena arena;
	ErofsTree *merged;
	int *tars; /* of the layers: device i + 1 is tars[i] */
	size_t n;
	TarWriter *writer;
	char *buffer;
	Link *links; /* open addressing; a power of two */
	size_t n_links, cap_links;
	char path[PATH_ROOM];
} Flatten;

static int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "export an image");
}

/* ---- hard links ---- */

static Link *find_link(const Flatten *f, uint64_t inode)
{
	size_t at = (size_t)(inode * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (f->cap_links - 1);
	while (f->links[at].path && f->links[at].inode != inode)
		at = (at + 1) & (f->cap_links - 1);
	return &f->links[at];
}

static int grow_links(Flatten *f, Err *e)
{
	Flatten bigger = { .cap_links = f->cap_links ? 2 * f->cap_links : LINKS_FIRST };
	if (!(bigger.links = calloc(bigger.cap_links, sizeof *bigger.links))) return no_memory(e);
	for (size_t i = 0; i < f->cap_links; i++)
		if (f->links[i].path) *find_link(&bigger, f->links[i].inode) = f->links[i];
	free(f->links);
	f->links = bigger.links;
	f->cap_links = bigger.cap_links;
	return 0;
}

/* The first name of that file: NULL for this one, which is remembered. */
static int first_name(Flatten *f, uint64_t inode, const char **ret, Err *e)
{
	int r = 2 * f->n_links >= f->cap_links ? grow_links(f, e) : 0;
	if (r < 0) return r;
	Link *l = find_link(f, inode);
	*ret = l->path;
	if (l->path) return 0;
	*l = (Link){ inode, arena_strdup(&f->arena, f->path) };
	if (!l->path) return no_memory(e);
	f->n_links++;
	return 0;
}

/* ---- members ---- */

/* From the node up to the root, written from the end. */
static int make_path(Flatten *f, const ErofsNode *node, Err *e)
{
	size_t at = PATH_ROOM - 1;
	f->path[at] = 0;
	for (const ErofsNode *i = node; erofs_node_parent(i); i = erofs_node_parent(i)) {
		Str name = erofs_node_name(i);
		if (name.n + 1 > at) return err_sys(e, ENAMETOOLONG, "export an image: a path");
		if (f->path[at]) f->path[--at] = '/';
		at -= name.n;
		memcpy(f->path + at, name.p, name.n);
	}
	memmove(f->path, f->path + at, PATH_ROOM - at);
	return 0;
}

static TarType tar_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return TAR_DIR;
	case S_IFLNK:
		return TAR_SYMLINK;
	case S_IFCHR:
		return TAR_CHAR;
	case S_IFBLK:
		return TAR_BLOCK;
	case S_IFIFO:
		return TAR_FIFO;
	default:
		return TAR_FILE;
	}
}

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(((const TarXattr *)a)->name, ((const TarXattr *)b)->name);
}

static int put_xattrs(const ErofsNode *node, size_t n, Arena *a, TarEntry *t, Err *e)
{
	TarXattr *x = n ? arena_array(a, n, sizeof *x) : NULL;
	if (n && !x) return no_memory(e);
	for (size_t i = 0; i < n; i++) {
		char name[EROFS_XATTR_NAME_SIZE];
		Str value;
		erofs_node_xattr(node, i, name, &value);
		x[i] = (TarXattr){ arena_strdup(a, name), arena_str(a, value), value.n };
		if (!x[i].name || !x[i].value) return no_memory(e);
	}
	if (n) qsort(x, n, sizeof *x, compare_xattrs);
	t->xattrs = x;
	t->n_xattrs = n;
	return 0;
}

/* Where the contents lie in the file: said only when they do not fill it. */
static int put_extents(const ErofsNode *node, const ErofsStat *st, Arena *a, TarEntry *t, Err *e)
{
	TarExtent *x = arena_array(a, st->n_extents + 1, sizeof *x);
	uint64_t stored = 0;
	if (!x) return no_memory(e);
	for (size_t i = 0; i < st->n_extents; i++) {
		ErofsExtent from = erofs_node_extent(node, i);
		x[i] = (TarExtent){ from.at, from.n };
		stored += from.n;
	}
	t->size = st->size;
	t->stored = stored;
	t->sparse = stored != st->size;
	if (!t->sparse) return 0;
	t->extents = x;
	t->n_extents = st->n_extents;
	return 0;
}

static int copy_extent(Flatten *f, const ErofsExtent *x, Err *e)
{
	if (!x->device || x->device > f->n)
		return err_set(e, ERR_STATE, EUCLEAN, "export: \"%.256s\": its index names a layer that there is not", f->path);
	for (uint64_t done = 0; done < x->n;) {
		uint64_t left = x->n - done;
		size_t want = left < COPY_CHUNK ? (size_t)left : COPY_CHUNK;
		ssize_t k = retry_eintr(pread(f->tars[x->device - 1], f->buffer, want, (off_t)(x->offset + done)));
		if (k < 0) return err_sys(e, errno, "export: read \"%.256s\" in its layer", f->path);
		if (k == 0) return err_set(e, ERR_STATE, EUCLEAN, "export: \"%.256s\": its layer ends before it", f->path);
		int r = tar_writer_data(f->writer, f->buffer, (size_t)k, e);
		if (r < 0) return r;
		done += (uint64_t)k;
	}
	return 0;
}

static int put_node(Flatten *f, const ErofsNode *node, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(64 << 20);
	ErofsStat st;
	const char *first = NULL;
	erofs_node_stat(f->merged, node, &st);
	int r = make_path(f, node, e);
	TarEntry t = { .type = tar_type(st.attr.mode),
		       .path = f->path,
		       .mode = st.attr.mode & 07777,
		       .uid = st.attr.uid,
		       .gid = st.attr.gid,
		       .mtime = st.attr.mtime,
		       .mtime_ns = st.attr.mtime_ns,
		       .link = st.target };
	if (r >= 0 && t.type != TAR_DIR && st.nlink > 1) r = first_name(f, st.inode, &first, e);
	if (r < 0) return r;
	if (first)
		return tar_writer_entry(f->writer,
					&(TarEntry){ .type = TAR_HARDLINK,
						     .path = f->path,
						     .link = first,
						     .mode = t.mode,
						     .uid = t.uid,
						     .gid = t.gid,
						     .mtime = t.mtime,
						     .mtime_ns = t.mtime_ns },
					e);
	if (t.type == TAR_CHAR || t.type == TAR_BLOCK) {
		t.major = st.attr.major;
		t.minor = st.attr.minor;
	}
	r = put_xattrs(node, st.n_xattrs, &a, &t, e);
	if (r >= 0 && t.type == TAR_FILE) r = put_extents(node, &st, &a, &t, e);
	if (r >= 0) r = tar_writer_entry(f->writer, &t, e);
	for (size_t i = 0; r >= 0 && t.type == TAR_FILE && i < st.n_extents; i++) {
		ErofsExtent x = erofs_node_extent(node, i);
		r = copy_extent(f, &x, e);
	}
	return r;
}

/* ---- the layers ---- */

static int merge(Flatten *f, const ImageLayerList *layers, Err *e)
{
	ErofsTree **trees = arena_array(&f->arena, layers->n + 1, sizeof *trees);
	uint64_t left = EROFS_PARTS_MEMORY;
	int r = 0;
	if (!trees) return no_memory(e);
	for (size_t i = 0; r >= 0 && i < layers->n; i++) {
		r = f->tars[i] = layer_open_tar(f->store, &layers->items[i].diff_id, NULL, e);
		if (r < 0) break;
		f->n = i + 1;
		AUTO_FD int index = layer_open_index(f->store, &layers->items[i].diff_id, e);
		r = index < 0 ? index : erofs_load_part(index, &left, &trees[i], e);
	}
	if (r >= 0) r = erofs_merge(trees, layers->n, NULL, &f->merged, e);
	for (size_t i = 0; i < layers->n; i++)
		erofs_tree_free(trees[i]);
	return r;
}

static int write_all(Flatten *f, TarSink *sink, void *arg, Err *e)
{
	f->writer = tar_writer_new(sink, arg);
	f->buffer = malloc(COPY_CHUNK);
	if (!f->writer || !f->buffer) return no_memory(e);
	const ErofsNode *root = erofs_tree_root(f->merged);
	int r = put_node(f, root, e);
	for (const ErofsNode *i = erofs_node_walk(root, root, true); r >= 0 && i; i = erofs_node_walk(root, i, true))
		r = put_node(f, i, e);
	return r < 0 ? r : tar_writer_finish(f->writer, e);
}

int image_flatten(ImageStore *s, const Digest *manifest, TarSink *sink, void *arg, Err *e)
{
	AUTO_FREE Flatten *f = calloc(1, sizeof *f);
	ImageLayerList layers;
	bool *there = NULL;
	Digest *ids = NULL;
	if (!f) return no_memory(e);
	f->store = s;
	f->arena = ARENA_INIT(FLATTEN_ARENA_MAX);
	int r = image_layers(s, manifest, &f->arena, &layers, e);
	if (r >= 0) {
		f->tars = arena_array(&f->arena, layers.n + 1, sizeof *f->tars);
		there = arena_array(&f->arena, layers.n + 1, sizeof *there);
		ids = arena_array(&f->arena, layers.n + 1, sizeof *ids);
		if (!f->tars || !there || !ids) r = no_memory(e);
	}
	for (size_t i = 0; r >= 0 && i < layers.n; i++)
		ids[i] = layers.items[i].diff_id;
	if (r >= 0) r = lease_layers(s, ids, layers.n, there, e);
	if (r >= 0) r = merge(f, &layers, e);
	if (r >= 0) r = write_all(f, sink, arg, e);
	tar_writer_free(f->writer);
	erofs_tree_free(f->merged);
	for (size_t i = 0; i < f->n; i++)
		fd_close(f->tars[i]);
	free(f->buffer);
	free(f->links);
	arena_done(&f->arena);
	return r;
}
