/* cmd_image_mount.c: image mount, image unmount. */
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/format.h"
#include "cli/skep/store.h"
#include "image/snapshot.h"
#include "sys/mount.h"
#include "sys/path.h"

enum { OUTPUT_MAX = 16 << 20 };

#define MOUNTS_DIR "images" /* below --run-root */

/* ---- listing ---- */

static const char *names_of(const Image *i, Arena *a)
{
	AUTO_BUF b = BUF_INIT(65536);
	for (size_t k = 0; k < i->names.n; k++)
		buf_printf(&b, k ? " %s" : "%s", i->names.items[k]);
	return buf_failed(&b) ? NULL : arena_strdup(a, i->names.n ? buf_str(&b) : "<none>");
}

static int put_mount(Format *f, const Image *i, const ImageMount *m, Arena *a, Err *e)
{
	char id[DIGEST_TEXT_MAX];
	const char *names = names_of(i, a);
	if (!names) return err_sys(e, ENOMEM, "image mount");
	const StrPair row[] = { { "ID", digest_format(&i->id, id) }, { "Image", names }, { "MountPoint", m->path } };
	return format_texts(f, row, ARRAY_LEN(row), e);
}

static int list_mounts(const Invocation *in, ImageStore *s, Err *e)
{
	static const FormatField fields[] = { { "ID", "IMAGE ID" }, { "Image", "IMAGE" }, { "MountPoint", "MOUNT POINT" }, { 0 } };
	AUTO_FORMAT f = { 0 };
	ImageMountList l;
	const Buf *out;
	int r = format_init(&f, option_value(in, "format"), "{{.Image}} {{.MountPoint}}", fields, NULL, in->arena, e);
	if (r < 0 || (r = mount_list(s, in->arena, &l, e)) < 0) return r;
	for (size_t k = 0; k < l.n; k++) {
		char digest[DIGEST_TEXT_MAX];
		Image i;
		if (!l.items[k].here) continue;
		r = image_find(s, digest_format(&l.items[k].manifest, digest), in->arena, &i, e);
		if (r < 0 || (r = put_mount(&f, &i, &l.items[k], in->arena, e)) < 0) return r;
	}
	if ((r = format_finish(&f, &out, e)) < 0) return r;
	return print_buf(out, e);
}

/* ---- mount ---- */

/* The place of an image below --run-root; made when missing. */
static int own_place(const Invocation *in, const Image *i, const char **ret, Err *e)
{
	char hex[DIGEST_HEX_MAX];
	const char *root = skep_of(in)->run_root;
	char *path = arena_printf(in->arena, "%s/" MOUNTS_DIR "/%s", root, digest_hex(&i->id, hex));
	if (!path) return err_sys(e, ENOMEM, "image mount");
	AUTO_FD int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int dir = top < 0 ? -errno : path_make_dir(top, path, 0700);
	if (dir < 0) return err_sys(e, dir, "create %s", path);
	*ret = path;
	return 0;
}

static int given_place(const Invocation *in, const char *dir, const char **ret, Err *e)
{
	AUTO_FREE char *path = realpath(dir, NULL);
	if (!path) return err_sys(e, errno, "mount at %s", dir);
	*ret = arena_strdup(in->arena, path);
	return *ret ? 0 : err_sys(e, ENOMEM, "image mount");
}

static int attach(ImageStore *s, const Image *i, int mount, const char *path, Err *e)
{
	AUTO_FD int at = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (at < 0) return err_sys(e, errno, "mount at %s", path);
	int r = mount_attach(mount, at);
	if (r < 0) return err_sys(e, r, "mount at %s", path);
	if ((r = mount_add(s, &i->manifest, path, e)) < 0) (void)!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	return r;
}

static int is_mounted(ImageStore *s, const Image *i, const char *path, Arena *a, Err *e)
{
	ImageMountList l;
	int r = mount_list(s, a, &l, e);
	for (size_t k = 0; r >= 0 && k < l.n; k++)
		if (l.items[k].here && streq(l.items[k].path, path) && digest_equal(&l.items[k].manifest, &i->manifest)) return 1;
	return r < 0 ? r : 0;
}

static SnapshotKind kind_of(const Invocation *in)
{
	for (SnapshotKind k = SNAPSHOT_AUTO; k < SNAPSHOT_TREE; k++)
		if (streq(option_value(in, "kind"), snapshot_kind_name(k))) return k;
	return SNAPSHOT_TREE;
}

static int mount_one(const Invocation *in, ImageStore *s, const char *name, const char *dir, Err *e)
{
	Image i;
	const char *path = NULL;
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	SnapshotOptions o = SNAPSHOT_OPTIONS;
	o.kind = kind_of(in);
	int r = image_find(s, name, in->arena, &i, e);
	if (r >= 0) r = dir ? given_place(in, dir, &path, e) : own_place(in, &i, &path, e);
	if (r < 0 || !path) return r;
	if ((r = dir ? 0 : is_mounted(s, &i, path, in->arena, e)) < 0) return r;
	if (r == 0) {
		if (o.kind != SNAPSHOT_TREE && (r = snapshot_prepare(s, &i, e)) < 0) return r;
		AUTO_FD int mount = snapshot_mount(s, &i, &o, NULL, e);
		if (mount < 0 || (r = attach(s, &i, mount, path, e)) < 0) return mount < 0 ? mount : r;
	}
	buf_printf(&out, "%s\n", path);
	return print_buf(&out, e);
}

int image_mount_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *s = NULL;
	int r = skep_store(in, &s, e);
	if (r < 0) return r;
	return in->args.n ? mount_one(in, s, in->args.items[0], in->args.n > 1 ? in->args.items[1] : NULL, e) : list_mounts(in, s, e);
}

/* ---- unmount ---- */

static int unmount_at(const Invocation *in, ImageStore *s, const char *path, Err *e)
{
	const char *root = skep_of(in)->run_root;
	int flags = UMOUNT_NOFOLLOW | (option_switch(in, "force") ? MNT_DETACH : 0);
	if (umount2(path, flags) < 0) return err_sys(e, errno, "unmount %s", path);
	size_t n = strlen(root);
	if (strncmp(path, root, n) == 0 && starts_with(path + n, "/" MOUNTS_DIR "/")) (void)!rmdir(path);
	return mount_forget(s, path, e);
}

/* By the directory, or all mounts of an image. */
static int unmount_one(const Invocation *in, ImageStore *s, const ImageMountList *l, const char *arg, Buf *out, Err *e)
{
	AUTO_FREE char *path = strchr(arg, '/') ? realpath(arg, NULL) : NULL;
	Image i;
	bool any = false;
	int r;
	for (size_t k = 0; path && k < l->n; k++) {
		if (!l->items[k].here || !streq(l->items[k].path, path)) continue;
		if ((r = unmount_at(in, s, path, e)) >= 0) buf_printf(out, "%s\n", path);
		return r;
	}
	if ((r = image_find(s, arg, in->arena, &i, e)) < 0)
		return path ? err_set(e, ERR_NOT_FOUND, ENOENT, "no image is mounted at %s", arg) : r;
	for (size_t k = l->n; k > 0; k--) { /* the last one first: one may lie below another */
		const ImageMount *m = &l->items[k - 1];
		if (!m->here || !digest_equal(&m->manifest, &i.manifest)) continue;
		if ((r = unmount_at(in, s, m->path, e)) < 0) return r;
		buf_printf(out, "%s\n", m->path);
		any = true;
	}
	return any ? 0 : err_set(e, ERR_NOT_FOUND, ENOENT, "image %s is not mounted", arg);
}

int image_unmount_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *s = NULL;
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	ImageMountList l;
	bool all = option_switch(in, "all");
	if (all == (in->args.n > 0)) return err_set(e, ERR_USAGE, EINVAL, "image unmount: give images or directories, or --all");
	int r = skep_store(in, &s, e);
	if (r >= 0) r = mount_list(s, in->arena, &l, e);
	for (size_t k = 0; all && r >= 0 && k < l.n; k++) {
		const ImageMount *m = &l.items[l.n - 1 - k];
		if (!m->here) continue;
		if ((r = unmount_at(in, s, m->path, e)) >= 0) buf_printf(&out, "%s\n", m->path);
	}
	for (size_t k = 0; k < in->args.n && r >= 0; k++)
		r = unmount_one(in, s, &l, in->args.items[k], &out, e);
	Err printing = ERR_INIT;
	int p = print_buf(&out, r < 0 ? &printing : e);
	return r < 0 ? r : p;
}
