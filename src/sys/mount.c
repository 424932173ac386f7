/* mount.c: see mount.h. */
#include "sys/mount.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/path.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

enum {
	/* The access-time flags act as one field. */
	MS_ATIME_ANY = MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME,
	MS_BIND_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW,
};

/* One row per option of the specification. */
typedef struct OptionRow {
	const char *name;
	unsigned long set, clear, propagation;
	uint64_t rec_set, rec_clear;
	int idmap;
	bool copy_up;
} OptionRow;

static const OptionRow option_rows[] = {
	{ "async", .clear = MS_SYNCHRONOUS },
	{ "atime", .clear = MS_NOATIME },
	{ "bind", .set = MS_BIND },
	{ "defaults" },
	{ "dev", .clear = MS_NODEV },
	{ "diratime", .clear = MS_NODIRATIME },
	{ "dirsync", .set = MS_DIRSYNC },
	{ "exec", .clear = MS_NOEXEC },
	{ "idmap", .idmap = MOUNT_IDMAP },
	{ "iversion", .set = MS_I_VERSION },
	{ "lazytime", .set = MS_LAZYTIME },
	{ "loud", .clear = MS_SILENT },
	{ "mand", .set = MS_MANDLOCK },
	{ "noatime", .set = MS_NOATIME },
	{ "nodev", .set = MS_NODEV },
	{ "nodiratime", .set = MS_NODIRATIME },
	{ "noexec", .set = MS_NOEXEC },
	{ "noiversion", .clear = MS_I_VERSION },
	{ "nolazytime", .clear = MS_LAZYTIME },
	{ "nomand", .clear = MS_MANDLOCK },
	{ "norelatime", .clear = MS_RELATIME },
	{ "nostrictatime", .clear = MS_STRICTATIME },
	{ "nosuid", .set = MS_NOSUID },
	{ "nosymfollow", .set = MS_NOSYMFOLLOW },
	{ "private", .propagation = MS_PRIVATE },
	{ "ratime", .rec_clear = MOUNT_ATTR_NOATIME },
	{ "rbind", .set = MS_BIND | MS_REC },
	{ "rdev", .rec_clear = MOUNT_ATTR_NODEV },
	{ "rdiratime", .rec_clear = MOUNT_ATTR_NODIRATIME },
	{ "relatime", .set = MS_RELATIME },
	{ "remount", .set = MS_REMOUNT },
	{ "rexec", .rec_clear = MOUNT_ATTR_NOEXEC },
	{ "ridmap", .idmap = MOUNT_RIDMAP },
	{ "rnoatime", .rec_set = MOUNT_ATTR_NOATIME },
	{ "rnodev", .rec_set = MOUNT_ATTR_NODEV },
	{ "rnodiratime", .rec_set = MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", .rec_set = MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", .rec_clear = MOUNT_ATTR_RELATIME | MOUNT_ATTR__ATIME },
	{ "rnostrictatime", .rec_clear = MOUNT_ATTR_STRICTATIME },
	{ "rnosuid", .rec_set = MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", .rec_set = MOUNT_ATTR_NOSYMFOLLOW },
	{ "ro", .set = MS_RDONLY },
	{ "rprivate", .propagation = MS_PRIVATE | MS_REC },
	{ "rrelatime", .rec_set = MOUNT_ATTR_RELATIME, .rec_clear = MOUNT_ATTR__ATIME },
	{ "rro", .rec_set = MOUNT_ATTR_RDONLY },
	{ "rrw", .rec_clear = MOUNT_ATTR_RDONLY },
	{ "rshared", .propagation = MS_SHARED | MS_REC },
	{ "rslave", .propagation = MS_SLAVE | MS_REC },
	{ "rstrictatime", .rec_set = MOUNT_ATTR_STRICTATIME },
	{ "rsuid", .rec_clear = MOUNT_ATTR_NOSUID },
	{ "rsymfollow", .rec_clear = MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", .propagation = MS_UNBINDABLE | MS_REC },
	{ "rw", .clear = MS_RDONLY },
	{ "shared", .propagation = MS_SHARED },
	{ "silent", .set = MS_SILENT },
	{ "slave", .propagation = MS_SLAVE },
	{ "strictatime", .set = MS_STRICTATIME },
	{ "suid", .clear = MS_NOSUID },
	{ "symfollow", .clear = MS_NOSYMFOLLOW },
	{ "sync", .set = MS_SYNCHRONOUS },
	{ "tmpcopyup", .copy_up = true },
	{ "unbindable", .propagation = MS_UNBINDABLE },
};

static int compare_option(const void *name, const void *row)
{
	return strcmp(name, ((const OptionRow *)row)->name);
}

void mount_option_names(void (*each)(void *data, const char *name), void *data)
{
	for (size_t i = 0; i < ARRAY_LEN(option_rows); i++)
		each(data, option_rows[i].name);
}

static int option_apply(const OptionRow *row, MountOptions *o, Err *e)
{
	unsigned long touching = MS_BIND_FLAGS | MS_ATIME_ANY;
	o->flags = (o->flags | row->set) & ~row->clear;
	o->cleared = (o->cleared | row->clear) & ~row->set;
	/* clearing an access-time flag alone changes nothing: the kernel has no "unset" for that field */
	if ((row->set & touching) || (row->clear & MS_BIND_FLAGS)) o->touched = true;
	o->copy_up |= row->copy_up;
	if (row->idmap) o->idmap = row->idmap;
	o->rec_set = (o->rec_set & ~row->rec_clear) | row->rec_set;
	o->rec_clear = (o->rec_clear & ~row->rec_set) | row->rec_clear;
	if (row->rec_set & MOUNT_ATTR__ATIME) {
		o->rec_clear |= MOUNT_ATTR__ATIME;
		o->rec_set = (o->rec_set & ~(uint64_t)MOUNT_ATTR__ATIME) | row->rec_set;
	}
	if (row->rec_clear & MOUNT_ATTR__ATIME) o->rec_clear |= MOUNT_ATTR__ATIME;
	if (!row->propagation) return 0;
	if (o->propagations == ARRAY_LEN(o->propagation))
		return err_set(e, ERR_CONFIG, EINVAL, "more than %zu propagation options", o->propagations);
	o->propagation[o->propagations++] = row->propagation;
	return 0;
}

int mount_options_parse(const StrList *options, Arena *a, MountOptions *ret, Err *e)
{
	MountOptions o = { .data = "" };
	AUTO_BUF data = BUF_INIT(65536);
	for (size_t i = 0; i < options->n; i++) {
		const char *name = options->items[i];
		const OptionRow *row = bsearch(name, option_rows, ARRAY_LEN(option_rows), sizeof *option_rows, compare_option);
		if (row) {
			int r = option_apply(row, &o, e);
			if (r < 0) return r;
			continue;
		}
		if (!*name) continue;
		if (data.n) buf_putc(&data, ',');
		buf_puts(&data, name);
	}
	if (buf_failed(&data)) return err_set(e, ERR_CONFIG, E2BIG, "mount options too long");
	if (data.n) {
		o.data = arena_strdup(a, buf_str(&data));
		if (!o.data) return err_sys(e, ENOMEM, "mount options");
	}
	*ret = o;
	return 0;
}

int mount_clone(int dirfd, const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) | (*path ? 0 : AT_EMPTY_PATH);
	int fd = open_tree(dirfd, path, flags);
	return fd < 0 ? -errno : fd;
}

/* In a child: the copy goes to the parent, or what went wrong. */
static _Noreturn void clone_inside(int ns, const char *path, int sock)
{
	int r = setns(ns, CLONE_NEWNS) < 0 ? -errno : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r >= 0) r = path_open_plain(r, path, O_PATH);
	if (r >= 0) r = mount_clone(r, "", false);
	_exit(fd_send(sock, &r, sizeof r, &r, r >= 0) < 0);
}

int mount_clone_of(pid_t pid, const char *path)
{
	char name[32];
	int pair[2], r = 0, tree = -1;
	size_t n = 0;
	snprintf(name, sizeof name, "/proc/%d/ns/mnt", (int)pid);
	AUTO_FD int ns = open(name, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
	AUTO_FD int ours = pair[0], theirs = pair[1];
	pid_t child = fork();
	if (child < 0) return -errno;
	if (!child) clone_inside(ns, path + strspn(path, "/"), theirs);
	theirs = fd_close(theirs);
	ssize_t got = fd_recv(ours, &r, sizeof r, &tree, 1, &n);
	(void)!retry_eintr(waitpid(child, NULL, 0));
	if (got != (ssize_t)sizeof r) return got < 0 ? (int)got : -ECHILD;
	return n ? tree : r < 0 ? r : -EPROTO;
}

static uint64_t attrs_of(unsigned long flags)
{
	uint64_t a = 0;
	if (flags & MS_RDONLY) a |= MOUNT_ATTR_RDONLY;
	if (flags & MS_NOSUID) a |= MOUNT_ATTR_NOSUID;
	if (flags & MS_NODEV) a |= MOUNT_ATTR_NODEV;
	if (flags & MS_NOEXEC) a |= MOUNT_ATTR_NOEXEC;
	if (flags & MS_NOSYMFOLLOW) a |= MOUNT_ATTR_NOSYMFOLLOW;
	if (flags & MS_NODIRATIME) a |= MOUNT_ATTR_NODIRATIME;
	if (flags & MS_NOATIME)
		a |= MOUNT_ATTR_NOATIME;
	else if (flags & MS_STRICTATIME)
		a |= MOUNT_ATTR_STRICTATIME;
	return a;
}

/* "key" or "key=value"; the quotes around a value that may hold commas are mount(2)'s, not the value's. */
static int put_option(int fs, Str option)
{
	Str name, value;
	bool has_value = str_cut(option, '=', &name, &value);
	if (has_value && value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"') value = (Str){ value.p + 1, value.n - 2 };
	AUTO_FREE char *key = strndup(name.p, name.n);
	AUTO_FREE char *text = has_value ? strndup(value.p, value.n) : NULL;
	if (!key || (has_value && !text)) return -ENOMEM;
	return fsconfig(fs, has_value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, text, 0) < 0 ? -errno : 0;
}

static int make_mount(int fs, uint64_t attrs)
{
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) return -errno;
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attrs);
	return fd < 0 ? -errno : fd;
}

int mount_new(const char *fstype, const char *const *options, uint64_t attrs)
{
	AUTO_FD int fs = fsopen(fstype, FSOPEN_CLOEXEC);
	if (fs < 0) return -errno;
	for (; options && *options; options++) {
		int r = put_option(fs, str_of(*options));
		if (r < 0) return r;
	}
	return make_mount(fs, attrs);
}

static Str next_option(Str *rest)
{
	bool quoted = false;
	size_t n = 0;
	while (n < rest->n && (quoted || rest->p[n] != ',')) {
		quoted ^= rest->p[n] == '"';
		n++;
	}
	Str option = { rest->p, n };
	n += n < rest->n; /* the comma */
	*rest = (Str){ rest->p + n, rest->n - n };
	return option;
}

/* Flags of the file system, not of the mount. */
static int put_flags(int fs, unsigned long flags)
{
	static const struct {
		unsigned long flag;
		const char *name;
	} names[] = { { MS_RDONLY, "ro" },
		      { MS_SYNCHRONOUS, "sync" },
		      { MS_DIRSYNC, "dirsync" },
		      { MS_MANDLOCK, "mand" },
		      { MS_LAZYTIME, "lazytime" } };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (flags & names[i].flag && fsconfig(fs, FSCONFIG_SET_FLAG, names[i].name, NULL, 0) < 0) return -errno;
	return 0;
}

int mount_made(const char *source, const char *fstype, unsigned long flags, const char *data)
{
	AUTO_FD int fs = fsopen(fstype, FSOPEN_CLOEXEC);
	if (fs < 0) return -errno;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0) return -errno;
	int r = put_flags(fs, flags);
	Str rest = str_of(data);
	while (r >= 0 && rest.n) {
		Str option = next_option(&rest);
		if (option.n) r = put_option(fs, option);
	}
	return r < 0 ? r : make_mount(fs, attrs_of(flags));
}

int mount_attach(int mount, int target)
{
	return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

int mount_attr(int fd, uint64_t set, uint64_t clear, unsigned long propagation, bool recursive)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear, .propagation = propagation };
	return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr) < 0 ? -errno : 0;
}

int mount_idmap(int fd, int userns, bool recursive)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns };
	return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr) < 0 ? -errno : 0;
}

/* What the source's mount has, as MS_* (statfs reports them as ST_*, of the same values but for two). */
static int flags_of(int fd, unsigned long *ret)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0) return -errno;
	unsigned long st = (unsigned long)fs.f_flags, f = 0;
	f |= st & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_NODIRATIME);
	if (st & 0x2000 /* ST_NOSYMFOLLOW */) f |= MS_NOSYMFOLLOW;
	if (st & ST_RELATIME) f |= MS_RELATIME;
	if (!(f & (MS_NOATIME | MS_RELATIME))) f |= MS_STRICTATIME;
	*ret = f;
	return 0;
}

#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#endif

int mount_clone_attr(int dirfd, const char *path, bool recursive, uint64_t set, uint64_t clear)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) | (*path ? 0 : AT_EMPTY_PATH);
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear };
	long both = syscall(SYS_open_tree_attr, dirfd, path, flags, &attr, sizeof attr); /* from Linux 6.15 on */
	if (both >= 0) return (int)both;
	if (errno != ENOSYS) return -errno;
	AUTO_FD int tree = mount_clone(dirfd, path, recursive);
	if (tree < 0) return tree;
	int r = mount_attr(tree, set, clear, 0, recursive);
	return r < 0 ? r : take_fd(tree);
}

void mount_flag_attrs(unsigned long flags, uint64_t *ret_set, uint64_t *ret_clear)
{
	*ret_set = attrs_of(flags & ~(unsigned long)MS_ATIME_ANY);
	*ret_clear = attrs_of(MS_BIND_FLAGS) & ~*ret_set;
}

static int set_exactly(int fd, unsigned long flags, bool atime)
{
	uint64_t set = attrs_of(flags);
	uint64_t clear = attrs_of(MS_BIND_FLAGS) & ~set;
	if (atime)
		clear |= MOUNT_ATTR__ATIME | (set & MOUNT_ATTR_NODIRATIME ? 0 : MOUNT_ATTR_NODIRATIME);
	else
		set &= ~(uint64_t)(MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME);
	return mount_attr(fd, set, clear, 0, false);
}

/* One of noatime, strictatime and relatime (the kernel's default), and nodiratime beside it. */
static unsigned long atime_of(unsigned long flags)
{
	unsigned long f = flags & MS_NODIRATIME;
	return f | (flags & MS_NOATIME ? MS_NOATIME : flags & MS_STRICTATIME ? MS_STRICTATIME : MS_RELATIME);
}

int mount_bind_flags(int fd, const MountOptions *o, bool locked)
{
	if (!o->touched) return 0;
	bool atime = o->flags & MS_ATIME_ANY;
	int r = locked ? -EPERM : set_exactly(fd, o->flags, atime);
	if (r != -EPERM) return r;
	unsigned long have = 0, lockable = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int x = flags_of(fd, &have);
	if (x < 0) return x;
	if (have & lockable & o->cleared) return r; /* asked for the impossible */
	if (atime && atime_of(have) != atime_of(o->flags)) return r;
	return set_exactly(fd, (o->flags & ~(unsigned long)MS_ATIME_ANY) | (have & lockable), false);
}

int mount_at(const char *source, int target, const char *fstype, unsigned long flags, const char *data)
{
	return mount_at_name(source, target, NULL, fstype, flags, data);
}

int mount_at_name(const char *source, int dir, const char *name, const char *fstype, unsigned long flags, const char *data)
{
	char path[320];
	int n = snprintf(path, sizeof path, "/proc/self/fd/%d%s%s", dir, name ? "/" : "", name ? name : "");
	if (n >= (int)sizeof path) return -ENAMETOOLONG;
	return mount(source, path, fstype, flags, data) < 0 ? -errno : 0;
}
