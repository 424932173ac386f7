/* snapshot.c: see snapshot.h. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/snapshot_impl.h"
#include "sys/erofs_mount.h"
#include "sys/loop_device.h"
#include "sys/mount.h"
#include "sys/overlay.h"

enum { CHAIN_ARENA = 4 << 20 };
#define INITIAL_USER_NAMESPACE UINT64_C(0xEFFFFFFD) /* its inode, PROC_USER_INIT_INO: part of the kernel's interface */

typedef struct Mounting {
	ImageStore *s;
	const Image *image;
	const SnapshotOptions *o;
	Chain chain;
	const char *source; /* for mountinfo */
} Mounting;

/* Fds: descriptors that are closed together. */
typedef struct Fds {
	int *items;
	size_t n;
} Fds;

static void fds_done(Fds *f)
{
	for (size_t i = 0; i < f->n; i++)
		fd_close(f->items[i]);
	free(f->items);
}

const char *snapshot_kind_name(SnapshotKind kind)
{
	static const char *const names[] = { "auto", "erofs", "loop", "tree" };
	return names[kind];
}

/* ---- EROFS ---- */

/* fd, as a file or as the loop device over it; takes fd. */
static int as_device(SnapshotKind kind, int fd, Err *e)
{
	if (fd < 0 || kind != SNAPSHOT_LOOP) return fd;
	int loop = loop_device_attach(fd, e);
	fd_close(fd);
	return loop;
}

/* -EOPNOTSUPP where the file system has no id-mapped mounts. */
static int cannot_map(int r, const char *what, Err *e)
{
	if (r != -EINVAL) return err_sys(e, r, "map the ids of an image");
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "a user namespace of the container's own needs id-mapped mounts, which %s does not have", what);
}

/* One mount of the index (taken) over the tars of the layers from `first` on. */
static int mount_index(const Mounting *m, SnapshotKind kind, int index, size_t first, size_t n, Err *e)
{
	AUTO_FD int source = as_device(kind, index, e);
	if (source < 0) return source;
	AUTO(fds_done) Fds tars = { .items = calloc(n, sizeof *tars.items) };
	if (!tars.items) return err_sys(e, ENOMEM, "mount an image");
	for (size_t i = 0; i < n; i++) {
		int fd = as_device(kind, chain_open(m->s, &m->chain.layers[first + i], "tar", e), e);
		if (fd < 0) return fd;
		tars.items[tars.n++] = fd;
	}
	return erofs_mount(source, tars.items, n, e);
}

static int map_ids(const Mounting *m, int mount, Err *e)
{
	int r = m->o->userns < 0 ? 0 : mount_idmap(mount, m->o->userns, false);
	return r < 0 ? cannot_map(r, "EROFS of this kernel", e) : 0;
}

/* The same mount, or where its ids are to be mapped a copy. */
static int share(const Mounting *m, int mount)
{
	return m->o->userns < 0 ? fcntl(mount, F_DUPFD_CLOEXEC, 0) : mount_clone(mount, "", false);
}

/* What the caller has from somebody else. */
static int use_shared(const Mounting *m, Fds *ret, Err *e)
{
	if (!(ret->items = calloc(1, sizeof *ret->items))) return err_sys(e, ENOMEM, "mount an image");
	AUTO_FD int fd = share(m, *m->o->layers);
	if (fd < 0) return err_sys(e, EBADF, "mount an image");
	int r = map_ids(m, fd, e);
	if (r >= 0) ret->items[ret->n++] = take_fd(fd);
	return r;
}

/* The merged index, made when there is none; -ENOENT where none can be made: on a full disk the layers have to do. */
static int open_merged(const Mounting *m, Err *e)
{
	Err why = ERR_INIT;
	int r = chain_open_merged(m->s, &m->chain, e);
	if (r != -ENOENT || m->chain.n == 1 || chain_merge(m->s, m->image, &m->chain, true, &why) < 0) return r;
	return chain_open_merged(m->s, &m->chain, e);
}

/* The mounts of all layers, or one of the merged index. */
static int mount_layers(const Mounting *m, SnapshotKind kind, Fds *ret, Err *e)
{
	const Chain *c = &m->chain;
	if (!(ret->items = calloc(c->n, sizeof *ret->items))) return err_sys(e, ENOMEM, "mount an image");
	int merged = m->o->no_merged ? -ENOENT : open_merged(m, e);
	if (merged < 0 && merged != -ENOENT) return merged;
	size_t mounts = merged >= 0 ? 1 : c->n;
	for (size_t i = 0; i < mounts; i++) {
		int index = merged >= 0 ? merged : chain_open(m->s, &c->layers[i], "index", e);
		int fd = index < 0 ? index : mount_index(m, kind, index, i, merged >= 0 ? c->n : 1, e);
		if (fd < 0) return fd;
		ret->items[ret->n++] = fd;
		if (mounts == 1 && m->o->layers) *m->o->layers = share(m, fd);
		int r = map_ids(m, fd, e);
		if (r < 0) return r;
	}
	return 0;
}

/* ---- trees ---- */

static int mount_tree(const Mounting *m, Fds *ret, Err *e)
{
	if (!(ret->items = calloc(1, sizeof *ret->items))) return err_sys(e, ENOMEM, "mount an image");
	AUTO_FD int root = chain_tree(m->s, m->image, &m->chain, e);
	if (root < 0) return root;
	AUTO_FD int fd = mount_clone_attr(root, "", false, MOUNT_ATTR_RDONLY, 0);
	if (fd < 0) return err_sys(e, -fd, "mount %s/trees", m->s->path);
	int r = m->o->userns < 0 ? 0 : mount_idmap(fd, m->o->userns, false);
	if (r < 0) return cannot_map(r, "the file system of the image store", e);
	ret->items[ret->n++] = take_fd(fd);
	return 0;
}

/* ---- all together ---- */

static bool in_user_namespace(void)
{
	struct stat st;
	return stat("/proc/self/ns/user", &st) < 0 || st.st_ino != INITIAL_USER_NAMESPACE;
}

enum { FRESH_MODE = 0755 };

/* The root of an overlay is that of its upper directory: one as it was made becomes like the image's. */
static int dress_upper(const Mounting *m, int top, Err *e)
{
	struct stat image, own;
	AUTO_FD int upper = openat(m->o->writable, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0 || fstat(upper, &own) < 0 || fstat(top, &image) < 0) return err_sys(e, errno, "look at the image's root");
	if ((own.st_mode & 07777) != FRESH_MODE || own.st_uid || own.st_gid) return 0;
	if (fchown(upper, image.st_uid, image.st_gid) < 0 || fchmod(upper, image.st_mode & 07777) < 0)
		return err_sys(e, errno, "give the writable root the image's owner and mode");
	return 0;
}

static int mount_over(const Mounting *m, const Fds *lower, Err *e)
{
	int r = m->o->writable < 0 ? 0 : dress_upper(m, lower->items[lower->n - 1], e);
	if (r < 0) return r;
	const OverlayOptions o = { .lower = lower->items,
				   .n = lower->n,
				   .below = m->o->below >= 0 && lower->n < OVERLAY_LOWER_MAX ? &m->o->below : NULL,
				   .writable = m->o->writable,
				   .is_volatile = m->o->is_volatile,
				   .user_xattrs = in_user_namespace(),
				   .source = m->source };
	return overlay_mount(&o, e);
}

static int mount_as(const Mounting *m, SnapshotKind kind, Err *e)
{
	AUTO(fds_done) Fds lower = { 0 };
	int r = kind == SNAPSHOT_TREE ? mount_tree(m, &lower, e) : mount_layers(m, kind, &lower, e);
	if (r < 0) return r;
	if (lower.n == 1 && m->o->writable < 0) return take_fd(lower.items[0]);
	r = mount_over(m, &lower, e);
	if (r < 0 && m->o->layers) *m->o->layers = fd_close(*m->o->layers);
	return r;
}

/* Whatever stands in the way: it can be mounted anew. */
static int mount_shared(const Mounting *m)
{
	Err ignored = ERR_INIT;
	AUTO(fds_done) Fds lower = { 0 };
	if (!m->o->layers || *m->o->layers < 0) return -ENOENT;
	int r = use_shared(m, &lower, &ignored);
	if (r >= 0) r = mount_over(m, &lower, &ignored);
	if (r < 0) *m->o->layers = fd_close(*m->o->layers);
	return r;
}

/* Not here that way: the next one may do. */
static bool is_refusal(int r)
{
	return r == -EOPNOTSUPP || r == -EPERM || r == -ENODEV;
}

static int mount_any(const Mounting *m, SnapshotKind *kind, Err *e)
{
	SnapshotKind k = m->o->kind == SNAPSHOT_AUTO ? SNAPSHOT_EROFS : m->o->kind;
	for (;; k++) {
		Err why = ERR_INIT;
		int fd = mount_as(m, k, &why);
		if (fd >= 0 || m->o->kind != SNAPSHOT_AUTO || k == SNAPSHOT_TREE || !is_refusal(fd)) {
			*kind = k;
			if (fd < 0) *e = why;
			return fd;
		}
	}
}

int snapshot_mount(ImageStore *s, const Image *i, const SnapshotOptions *o, SnapshotKind *ret_kind, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(CHAIN_ARENA);
	char hex[DIGEST_HEX_MAX], source[DIGEST_HEX_MAX + 8];
	SnapshotKind kind;
	digest_hex(&i->id, hex);
	snprintf(source, sizeof source, "skep:%.12s", hex);
	Mounting m = { .s = s, .image = i, .o = o, .source = source };
	int r = mount_shared(&m);
	if (r >= 0) return r;
	r = chain_read(s, &i->manifest, o->held, &a, &m.chain, e);
	if (r >= 0) r = mount_any(&m, &kind, e);
	if (r < 0) return err_wrap(e, "mount image %.12s", hex);
	if (ret_kind) *ret_kind = kind;
	return r;
}
