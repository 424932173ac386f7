/* copy.c: see copy.h. Where something goes, by docker's rules: into a directory that is there; else it gets the name of the destination. */
#include "engine/copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/owner_ids.h"
#include "engine/root.h"
#include "engine/tree_tar.h"
#include "engine/tree_untar.h"
#include "oci/passwd.h"
#include "sys/mount_id.h"
#include "sys/path.h"

enum { LINKS_MAX = 10, TARGET_MAX = 4096, PIECE = 256 << 10 };

static int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "copy");
}

/* ---- paths as text ---- */

static bool ends_in_dot(const char *path)
{
	return streq(path, ".") || ends_with(path, "/.");
}

static bool says_directory(const char *path)
{
	return ends_with(path, "/") || ends_in_dot(path);
}

/* What a copy is called: the last part, "" for what is in a directory ("x/.") and for the root. */
static const char *base_of(Arena *a, const char *path)
{
	const char *clean = path_clean(a, path);
	if (!clean || ends_in_dot(path)) return clean ? "" : NULL;
	return strrchr(clean, '/') + 1;
}

static const char *parent_of(Arena *a, const char *path)
{
	char *clean = path_clean(a, path);
	if (!clean || ends_in_dot(path)) return clean;
	char *slash = strrchr(clean, '/');
	slash[slash == clean] = 0;
	return clean;
}

static const char *join(Arena *a, const char *dir, const char *path)
{
	return arena_printf(a, "%s%s%s", dir, ends_with(dir, "/") ? "" : "/", path);
}

/* Absolute, links not looked at; "/" and "/." at the end stay. */
static const char *absolute(Arena *a, const char *path)
{
	AUTO_FREE char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
	if (path[0] != '/' && !here) return NULL;
	const char *all = here ? join(a, here, path) : path, *clean = all ? path_clean(a, all) : NULL;
	if (!clean || streq(clean, "/")) return clean;
	return ends_in_dot(path) ? join(a, clean, ".") : ends_with(path, "/") ? join(a, clean, "") : clean;
}

/* ---- either side ---- */

/* Place: where something is to go. */
typedef struct Place {
	int root;         /* the container's; AT_FDCWD: the host */
	const char *path; /* links resolved; where nothing is yet, too */
	int fd;           /* O_PATH of what is there; -1: nothing */
	bool is_dir;
	mode_t type;
} Place;

static void place_done(Place *p)
{
	fd_close(p->fd);
}

static int open_at(int root, const char *path, int flags)
{
	if (root != AT_FDCWD) return path_open(root, path, flags | O_PATH, 0);
	int fd = open(path, flags | O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Follows links at the end one by one, as the name of what is not there yet has to be known. */
static int find_place(int root, const char *path, Arena *a, Place *ret)
{
	*ret = (Place){ .root = root, .path = path, .fd = -1 };
	for (int i = 0; i <= LINKS_MAX; i++) {
		struct stat st;
		char target[TARGET_MAX];
		AUTO_FD int fd = open_at(root, ret->path, O_NOFOLLOW);
		if (fd == -ENOENT || fd == -ENOTDIR) return fd == -ENOENT ? 0 : fd;
		if (fd < 0) return fd;
		if (fstat(fd, &st) < 0) return -errno;
		if (!S_ISLNK(st.st_mode)) {
			ret->fd = take_fd(fd);
			ret->is_dir = S_ISDIR(st.st_mode);
			ret->type = st.st_mode & S_IFMT;
			return 0;
		}
		ssize_t n = readlinkat(fd, "", target, sizeof target - 1);
		if (n < 0) return -errno;
		target[n] = 0;
		const char *parent = parent_of(a, ret->path);
		ret->path = !parent ? NULL : target[0] == '/' ? arena_strdup(a, target) : join(a, parent, target);
		if (!ret->path) return -ENOMEM;
	}
	return -ELOOP;
}

typedef struct Target {
	int dir; /* owned */
	const char *dir_path, *name;
	bool in_root;
} Target;

static void target_done(Target *t)
{
	fd_close(t->dir);
}

/* docker's table: what a copy called `base` becomes at p. 1: the directory cannot be opened, and dir is why. */
static int choose(Place *p, const char *base, bool source_is_dir, Arena *a, Target *ret, Err *e)
{
	*ret = (Target){ .dir = -1, .dir_path = p->path, .name = base };
	if (p->fd >= 0 && p->is_dir) {
		ret->dir = take_fd(p->fd);
		return 0;
	}
	if (p->fd >= 0 && source_is_dir) return err_set(e, ERR_USAGE, EISDIR, "cannot copy directory");
	if (p->fd < 0 && !source_is_dir && says_directory(p->path)) return err_set(e, ERR_USAGE, ENOENT, "no such directory");
	ret->dir_path = parent_of(a, p->path);
	ret->name = base_of(a, p->path);
	if (!ret->dir_path || !ret->name) return no_memory(e);
	ret->dir = open_at(p->root, ret->dir_path, O_DIRECTORY);
	return ret->dir < 0;
}

/* ---- the stream ---- */

typedef struct Stream {
	TarSink *sink;
	void *arg;
	uint64_t bytes;
} Stream;

static int count(void *arg, const void *p, size_t n, Err *e)
{
	Stream *s = arg;
	s->bytes += n;
	return s->sink(s->arg, p, n, e);
}

static int to_stdout(void *arg, const void *p, size_t n, Err *e)
{
	int r = fd_write_all(1, p, n);
	return r < 0 ? err_sys(e, -r, "write to standard output") : 0;
}

/* maps: of the container that it is in; NULL: of the host. */
static int send_tree(int fd, const char *name, const IdMaps *maps, TarSink *sink, void *arg, uint64_t *ret_bytes, Err *e)
{
	Stream s = { .sink = sink, .arg = arg };
	AUTO_TAR_WRITER *w = tar_writer_new(count, &s);
	AUTO_TREE_TAR t = TREE_TAR_INIT(w);
	if (!w) return no_memory(e);
	if (maps) t.maps = *maps;
	int r = tree_tar_add(&t, fd, name, e);
	if (r >= 0) r = tar_writer_finish(w, e);
	*ret_bytes = s.bytes;
	return r;
}

static int send_stdin(Untar *u, uint64_t *ret_bytes, Err *e)
{
	AUTO_FREE char *buffer = malloc(PIECE);
	if (!buffer) return no_memory(e);
	for (*ret_bytes = 0;;) {
		ssize_t n = retry_eintr(read(0, buffer, PIECE));
		if (n < 0) return err_sys(e, errno, "read standard input");
		if (n == 0) return 0;
		if (!*ret_bytes && n > 1 && memcmp(buffer, "\x1f\x8b", 2) == 0)
			return err_set(e, ERR_CONFIG, EINVAL, "standard input: the archive is compressed: a plain tar is needed");
		int r = untar_feed(u, buffer, (size_t)n, e);
		if (r < 0) return r;
		*ret_bytes += (uint64_t)n;
	}
}

static int is_dir(int fd)
{
	struct stat st;
	return fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode);
}

/* ---- from a container ---- */

static int not_found(const CopyRequest *q, const char *path, int r, Err *e)
{
	if (r == -ENOENT || r == -ENOTDIR)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "Could not find the file %s in container %s", path, q->name);
	return err_sys(e, -r, "open %s in container %s", path, q->name);
}

static int check_output(const char *path, Arena *a, Err *e)
{
	struct stat st;
	const char *clean = path_clean(a, path), *parent = clean ? parent_of(a, clean) : NULL;
	if (!parent) return no_memory(e);
	if (stat(parent, &st) < 0 && errno == ENOENT)
		return err_set(e, ERR_USAGE, ENOENT, "invalid output path: directory \"%s\" does not exist", parent);
	if (stat(path, &st) < 0) return errno == ENOENT ? 0 : err_sys(e, errno, "stat %s", path);
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)) return 0;
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		return err_set(e, ERR_USAGE, EINVAL, "invalid output path: \"%s\" must be a directory or a regular file: got a device",
			       path);
	return 0;
}

static int write_host(int source, const IdMaps *maps, CopyRequest *q, const char *base, Arena *a, Err *e)
{
	AUTO(place_done) Place p = { .fd = -1 };
	AUTO(target_done) Target to = { .dir = -1 };
	const char *path = absolute(a, q->host);
	if (!path) return no_memory(e);
	int dir = is_dir(source), r = find_place(AT_FDCWD, path, a, &p);
	if (dir < 0 || r < 0) return err_sys(e, dir < 0 ? -dir : -r, "lstat %s", path);
	if ((r = choose(&p, base, dir, a, &to, e)) != 0) return r > 0 ? err_sys(e, -to.dir, "open %s", to.dir_path) : r;
	const UntarOptions o = {
		.dir = to.dir, .shown = to.dir_path, .owner = q->archive ? OWNER_OF_TAR : OWNER_GIVEN, .uid = geteuid(), .gid = getegid()
	};
	AUTO_UNTAR *u = untar_new(&o);
	if (!u) return no_memory(e);
	r = send_tree(source, to.name, maps, untar_feed, u, &q->bytes, e);
	return r < 0 ? r : untar_finish(u, &q->left, e);
}

int container_copy_from(Engine *g, const Record *c, CopyRequest *q, Arena *a, Err *e)
{
	AUTO_CONTAINER_ROOT root = CONTAINER_ROOT_NONE;
	bool to_tar = streq(q->host, "-");
	const char *host = to_tar ? "" : absolute(a, q->host);
	const char *path = q->path[0] == '/' ? q->path : join(a, "/", q->path), *base = path ? base_of(a, path) : NULL;
	if (!host || !base) return no_memory(e);
	int r = to_tar ? 0 : check_output(host, a, e);
	if (r < 0 || (r = container_root_open(g, c, true, a, &root, e)) < 0) return r;
	AUTO_FD int source = path_open(root.fd, path, O_PATH | (q->follow ? 0 : O_NOFOLLOW), 0);
	if (source < 0) return not_found(q, q->path, source, e);
	record_event(g, c, "archive-path", NULL, NULL);
	if (!to_tar) return write_host(source, &root.maps, q, base, a, e);
	return send_tree(source, base, &root.maps, to_stdout, NULL, &q->bytes, e);
}

/* ---- to a container ---- */

static int check_writable(int root, int dir, Err *e)
{
	struct statvfs fs;
	if (fstatvfs(dir, &fs) < 0) return err_sys(e, errno, "look at the destination");
	if (!(fs.f_flag & ST_RDONLY)) return 0;
	return err_set(e, ERR_PERMISSION, EROFS, "%s",
		       mount_id_of(root) == mount_id_of(dir) ? "container rootfs is marked read-only"
							     : "mounted volume is marked read-only");
}

static int open_source(const CopyRequest *q, const char *path, Err *e)
{
	int fd = open(path, O_PATH | O_CLOEXEC | (q->follow ? 0 : O_NOFOLLOW));
	return fd < 0 ? err_sys(e, errno, "lstat %s", path) : fd;
}

static int check_place(const CopyRequest *q, const Place *p, bool from_tar, Err *e)
{
	if (p->fd >= 0 && (p->type == S_IFCHR || p->type == S_IFBLK))
		return err_set(e, ERR_USAGE, EINVAL, "destination \"%s:%s\" must be a directory or a regular file: got a device", q->name,
			       q->path);
	if (from_tar && !p->is_dir) return err_set(e, ERR_USAGE, ENOTDIR, "destination \"%s:%s\" must be a directory", q->name, q->path);
	return 0;
}

/* -a: the files belong to the container's user, if it has one; else to whom the source says. */
static int set_owner(const CopyRequest *q, const Record *c, int root, Arena *a, UntarOptions *o, Err *e)
{
	PasswdUser user;
	if (!q->archive || !c->config.user || !*c->config.user) return 0;
	int r = passwd_find_user(root, c->config.user, NULL, a, &user, e);
	if (r < 0) return r;
	o->owner = OWNER_GIVEN;
	o->uid = user.uid;
	o->gid = user.gid;
	return 0;
}

static int write_container(const Record *c, const ContainerRoot *root, int source, const char *base, CopyRequest *q, Arena *a, Err *e)
{
	AUTO(place_done) Place p = { .fd = -1 };
	AUTO(target_done) Target to = { .dir = -1 };
	bool from_tar = source < 0;
	const char *path = q->path[0] == '/' ? q->path : join(a, "/", q->path);
	int dir = from_tar ? 0 : is_dir(source);
	if (!path || dir < 0) return no_memory(e);
	int r = find_place(root->fd, path, a, &p);
	if (r < 0) return not_found(q, q->path, r, e);
	if ((r = check_place(q, &p, from_tar, e)) < 0) return r;
	if ((r = choose(&p, base, dir, a, &to, e)) != 0) return r > 0 ? not_found(q, to.dir_path, to.dir, e) : r;
	if ((r = check_writable(root->fd, to.dir, e)) < 0) return r;
	UntarOptions o = { .dir = to.dir, .shown = to.dir_path, .in_root = streq(to.dir_path, "/"), .maps = root->maps };
	if ((r = set_owner(q, c, root->fd, a, &o, e)) < 0) return r;
	AUTO_UNTAR *u = untar_new(&o);
	if (!u) return no_memory(e);
	q->into = p.path;
	r = from_tar ? send_stdin(u, &q->bytes, e) : send_tree(source, to.name, NULL, untar_feed, u, &q->bytes, e);
	return r < 0 ? r : untar_finish(u, &q->left, e);
}

int container_copy_to(Engine *g, const Record *c, CopyRequest *q, Arena *a, Err *e)
{
	AUTO_CONTAINER_ROOT root = CONTAINER_ROOT_NONE;
	bool from_tar = streq(q->host, "-");
	const char *path = from_tar ? "" : absolute(a, q->host), *base = path ? base_of(a, path) : NULL;
	if (!base) return no_memory(e);
	AUTO_FS_OWNER owner = { 0 };
	int r = container_root_open(g, c, true, a, &root, e);
	if (r < 0) return r;
	AUTO_FD int source = from_tar ? -1 : open_source(q, path, e);
	if (!from_tar && source < 0) return source;
	record_event(g, c, "extract-to-dir", NULL, NULL); /* while we are who we are */
	if ((r = fs_owner_take(&root.maps, &owner, e)) < 0) return r;
	return write_container(c, &root, source, base, q, a, e);
}
