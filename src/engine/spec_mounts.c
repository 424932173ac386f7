/* spec_mounts.c: what is mounted in a container: the kernel's file systems, volumes and binds, tmpfs, the files of names.
 *
 * The kernel's come first, then all others, those of lesser depth before deeper ones. A mount of the user's takes the place of a
 * default one at the same destination; with /dev, of all below it.
 */
#include "engine/mount_idmap.h"
#include "engine/spec_impl.h"

#include <sched.h>
#include <sys/mount.h>

#include "sys/path.h"

#define SHM_DEFAULT (INT64_C(64) << 20)

typedef struct MountBuild {
	SpecBuild *b;
	OciMount *items; /* first the default ones */
	size_t n, room;
	size_t defaults; /* how many */
} MountBuild;

static bool is_user_destination(const SpecBuild *b, const char *destination)
{
	const MountPointList *l = b->in->mounts;
	for (size_t i = 0; l && i < l->n; i++)
		if (streq(l->items[i].destination, destination)) return true;
	for (size_t i = 0; i < b->host->tmpfs.n; i++) {
		const char *path = path_clean(b->a, b->host->tmpfs.items[i].key);
		if (path && streq(path, destination)) return true;
	}
	return false;
}

/* options: as for str_build, ending in NULL. */
static int add_mount(MountBuild *m, const char *destination, const char *type, const char *source, const char *const *options)
{
	StrBuild l;
	size_t n = 0;
	while (options[n])
		n++;
	if (m->n == m->room || str_build_init(&l, n, m->b->a) < 0) return spec_no_memory(m->b);
	for (size_t i = 0; i < n; i++)
		str_build_add(&l, options[i]);
	m->items[m->n++] = (OciMount){ .destination = destination, .type = type, .source = source, .options = l.list };
	return 0;
}

/* ---- the kernel's file systems ---- */

/* Whether /dev/shm is a directory of the host: the host's own, or one that containers share. */
static const char *shared_shm(const SpecBuild *b)
{
	if (b->in->shm) return b->in->shm;
	return mode_is(b->host->ipc_mode, "host") ? "/dev/shm" : NULL;
}

static int add_shm(MountBuild *m)
{
	const SpecBuild *b = m->b;
	const char *shared = shared_shm(b);
	int64_t size = b->host->shm_size > 0 ? b->host->shm_size : SHM_DEFAULT;
	if (mode_is(b->host->ipc_mode, "none")) return 0;
	if (shared)
		return add_mount(m, "/dev/shm", "bind", shared, (const char *[]){ "rbind", "rprivate", "nosuid", "noexec", "nodev", NULL });
	const char *bytes = arena_printf(b->a, "size=%lld", (long long)size);
	if (!bytes) return spec_no_memory(b);
	return add_mount(m, "/dev/shm", "tmpfs", "shm", (const char *[]){ "nosuid", "noexec", "nodev", "mode=1777", bytes, NULL });
}

/* A file system that shows a namespace takes rights over it, which a new user namespace has over new ones alone: else the host's is shown. */
static bool is_foreign(const SpecBuild *b, int namespace)
{
	return (b->new_userns || b->in->user_ns) && !oci_is_new(b->s, namespace);
}

static int add_proc(MountBuild *m)
{
	if (is_foreign(m->b, CLONE_NEWPID) && !oci_namespace(m->b->s, CLONE_NEWPID))
		return add_mount(m, "/proc", "bind", "/proc", (const char *[]){ "rbind", "nosuid", "noexec", "nodev", NULL });
	return add_mount(m, "/proc", "proc", "proc", (const char *[]){ "nosuid", "noexec", "nodev", NULL });
}

static int add_dev(MountBuild *m)
{
	return add_mount(m, "/dev", "tmpfs", "tmpfs", (const char *[]){ "nosuid", "strictatime", "mode=755", "size=65536k", NULL });
}

/* gid 5 (tty) must be one of the container's. */
static int add_pts(MountBuild *m)
{
	uint32_t host;
	const SpecBuild *b = m->b;
	bool mapped = !b->in->maps.gids.n || idmap_to_host(&b->in->maps.gids, 5, &host) == 0;
	return add_mount(
		m, "/dev/pts", "devpts", "devpts",
		(const char *[]){ "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", mapped ? "gid=5" : NULL, NULL });
}

static int add_sys(MountBuild *m)
{
	const SpecBuild *b = m->b;
	if (is_foreign(b, CLONE_NEWNET))
		return add_mount(m, "/sys", "bind", "/sys", (const char *[]){ "rbind", "nosuid", "noexec", "nodev", "ro", NULL });
	return add_mount(m, "/sys", "sysfs", "sysfs",
			 (const char *[]){ "nosuid", "noexec", "nodev", b->host->privileged ? NULL : "ro", NULL });
}

static int add_cgroup(MountBuild *m)
{
	const SpecBuild *b = m->b;
	bool writable = b->host->privileged || b->security.writable_cgroups;
	return add_mount(m, "/sys/fs/cgroup", "cgroup", "cgroup",
			 (const char *[]){ "nosuid", "noexec", "nodev", writable ? "rw" : "ro", NULL });
}

static int add_mqueue(MountBuild *m)
{
	if (is_foreign(m->b, CLONE_NEWIPC) && !oci_namespace(m->b->s, CLONE_NEWIPC)) {
		if (!machine_has(m->b->in->machine, MACHINE_MQUEUE)) return 0;
		return add_mount(m, "/dev/mqueue", "bind", "/dev/mqueue", (const char *[]){ "rbind", "nosuid", "noexec", "nodev", NULL });
	}
	return add_mount(m, "/dev/mqueue", "mqueue", "mqueue", (const char *[]){ "nosuid", "noexec", "nodev", NULL });
}

static int add_defaults(MountBuild *m)
{
	static const struct {
		const char *destination;
		int (*add)(MountBuild *m);
	} rows[] = {
		{ "/proc", add_proc },
		{ "/dev", add_dev },
		{ "/dev/pts", add_pts },
		{ "/sys", add_sys },
		{ "/sys/fs/cgroup", add_cgroup },
		{ "/dev/mqueue", add_mqueue },
		{ "/dev/shm", add_shm },
	};
	bool own_dev = is_user_destination(m->b, "/dev");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (is_user_destination(m->b, rows[i].destination)) continue;
		if (own_dev && starts_with(rows[i].destination, "/dev/")) continue;
		int r = rows[i].add(m);
		if (r < 0) return r;
	}
	m->defaults = m->n;
	return 0;
}

/* ---- tmpfs ---- */

/* What --tmpfs and type=tmpfs may say: flags in groups of which the last one counts, and key=value of the file system. */
static const struct {
	const char *name;
	int group;
} tmpfs_flags[] = {
	{ "ro", 1 },           { "rw", 1 },           { "suid", 2 },
	{ "nosuid", 2 },       { "dev", 3 },          { "nodev", 3 },
	{ "exec", 4 },         { "noexec", 4 },       { "sync", 5 },
	{ "async", 5 },        { "dirsync", 6 },      { "mand", 7 },
	{ "nomand", 7 },       { "atime", 8 },        { "noatime", 8 },
	{ "diratime", 9 },     { "nodiratime", 9 },   { "relatime", 10 },
	{ "norelatime", 10 },  { "strictatime", 11 }, { "nostrictatime", 11 },
	{ "private", 12 },     { "rprivate", 12 },    { "shared", 12 },
	{ "rshared", 12 },     { "slave", 12 },       { "rslave", 12 },
	{ "unbindable", 12 },  { "runbindable", 12 }, { "tmpcopyup", 13 },
	{ "notmpcopyup", 13 },
};
static const char *const tmpfs_keys[] = { "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol" };

enum { TMPFS_KEY_GROUP = 100 };

static int tmpfs_group(Str option)
{
	Str key, value;
	for (size_t i = 0; i < ARRAY_LEN(tmpfs_flags); i++)
		if (str_eq(option, tmpfs_flags[i].name)) return tmpfs_flags[i].group;
	if (!str_cut(option, '=', &key, &value)) return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(tmpfs_keys); i++)
		if (str_eq(key, tmpfs_keys[i])) return TMPFS_KEY_GROUP + (int)i;
	return -EINVAL;
}

/* The last of a group wins, in the place of the first. */
static int put_tmpfs_option(StrBuild *l, Str option, Arena *a, Err *e)
{
	if (!option.n || str_eq(option, "defaults")) return 0;
	int group = tmpfs_group(option);
	if (group < 0) return err_set(e, ERR_CONFIG, EINVAL, "invalid tmpfs option \"%.*s\"", (int)option.n, option.p);
	const char *text = arena_str(a, option);
	if (!text) return err_sys(e, ENOMEM, "tmpfs");
	for (size_t i = 0; i < l->list.n; i++) {
		if (tmpfs_group(str_of(l->list.items[i])) != group) continue;
		l->list.items[i] = text;
		return 0;
	}
	str_build_add(l, text);
	return 0;
}

int tmpfs_options(const char *text, const StrList *more, Arena *a, StrList *ret, Err *e)
{
	static const char *const defaults[] = { "noexec", "nosuid", "nodev", "rprivate" };
	Str rest = str_of(text), option;
	StrBuild l;
	size_t room = ARRAY_LEN(defaults) + 1 + (more ? more->n : 0);
	for (const char *p = text; p && *p; p++)
		room += *p == ',';
	if (str_build_init(&l, room, a) < 0) return err_sys(e, ENOMEM, "tmpfs");
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		str_build_add(&l, defaults[i]);
	while (rest.n && str_next(&rest, ',', &option)) {
		int r = put_tmpfs_option(&l, option, a, e);
		if (r < 0) return r;
	}
	for (size_t i = 0; more && i < more->n; i++) {
		int r = put_tmpfs_option(&l, str_of(more->items[i]), a, e);
		if (r < 0) return r;
	}
	size_t kept = 0;
	for (size_t i = 0; i < l.list.n; i++)
		if (!streq(l.list.items[i], "notmpcopyup")) l.list.items[kept++] = l.list.items[i];
	l.list.n = kept;
	l.list.items[kept] = NULL;
	*ret = l.list;
	return 0;
}

static int add_tmpfs(MountBuild *m, const char *destination, const char *text, const StrList *more)
{
	StrList options;
	int r = tmpfs_options(text, more, m->b->a, &options, m->b->e);
	if (r < 0) return err_wrap(m->b->e, "tmpfs %s", destination);
	return add_mount(m, destination, "tmpfs", "tmpfs", options.items);
}

static int add_all_tmpfs(MountBuild *m)
{
	const StrMap *all = &m->b->host->tmpfs;
	for (size_t i = 0; i < all->n; i++) {
		const char *path = path_clean(m->b->a, all->items[i].key);
		int r = path ? add_tmpfs(m, path, all->items[i].value, NULL) : spec_no_memory(m->b);
		if (r < 0) return r;
	}
	return 0;
}

/* ---- binds and volumes ---- */

static bool has(const StrList *l, const char *option)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i], option)) return true;
	return false;
}

static bool has_propagation(const StrList *l)
{
	static const char *const names[] = { "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (has(l, names[i])) return true;
	return false;
}

/* A mount that can be seen on the host, or that sees the host's, needs a root that lets them through. */
static void raise_root_propagation(SpecBuild *b, const StrList *options)
{
	int *p = &b->lnx->rootfs_propagation;
	if (has(options, "shared") || has(options, "rshared"))
		*p = OCI_SHARED;
	else if ((has(options, "slave") || has(options, "rslave")) && *p != OCI_SHARED)
		*p = OCI_RSLAVE;
}

static int add_bind(MountBuild *m, const MountPoint *p, const char *source)
{
	StrBuild l;
	StrList options;
	bool bind = has(&p->options, "bind"), ro = has(&p->options, "ro") || has(&p->options, "rro");
	if (str_build_init(&l, p->options.n + 4, m->b->a) < 0) return spec_no_memory(m->b);
	if (!bind && !has(&p->options, "rbind")) str_build_add(&l, "rbind");
	str_build_add_all(&l, &p->options);
	/* read-only all the way down, as long as nobody said otherwise */
	if (!p->rw && !ro) str_build_add(&l, bind ? "ro" : "rro");
	if (mount_point_is_mapped(p) && m->b->in->maps.uids.n) str_build_add(&l, bind ? "idmap" : "ridmap");
	if (!has_propagation(&p->options)) str_build_add(&l, p->propagation && *p->propagation ? p->propagation : "rprivate");
	if (str_build_done(&l, &options) < 0) return spec_no_memory(m->b);
	int r = spec_check_propagation(m->b, source, &options);
	if (r < 0) return r;
	raise_root_propagation(m->b, &options);
	return add_mount(m, p->destination, "bind", source, options.items);
}

/* The mount added last. */
static int map_ids(MountBuild *m, const MountPoint *p)
{
	OciMount *to = &m->items[m->n - 1];
	if (!p->idmap || !*p->idmap) return 0;
	return mount_idmap_parse(p->idmap, m->b->a, &to->uid_mappings, &to->gid_mappings, m->b->e);
}

static int add_point(MountBuild *m, size_t i)
{
	const MountPoint *p = &m->b->in->mounts->items[i];
	const char *source = m->b->in->sources ? m->b->in->sources[i] : NULL;
	if (streq(p->type, "tmpfs")) return add_tmpfs(m, p->destination, NULL, &p->options);
	if (!source && p->subpath && *p->subpath)
		return err_set(m->b->e, ERR_INTERNAL, EINVAL, "mount %s: its subpath %s has not been resolved", p->destination, p->subpath);
	if (!source && !p->source) return err_set(m->b->e, ERR_CONFIG, EINVAL, "mount %s: it has no source", p->destination);
	int r = add_bind(m, p, source ? source : p->source);
	return r < 0 ? r : map_ids(m, p);
}

/* ---- files of names ---- */

static int add_names(MountBuild *m)
{
	static const char *const names[] = { "resolv.conf", "hostname", "hosts" };
	const SpecBuild *b = m->b;
	for (size_t i = 0; b->in->dir && i < ARRAY_LEN(names); i++) {
		const char *destination = arena_printf(b->a, "/etc/%s", names[i]),
			   *source = arena_printf(b->a, "%s/%s", b->in->dir, names[i]);
		if (!destination || !source) return spec_no_memory(b);
		if (is_user_destination(b, destination)) continue;
		const char *options[5] = { "rbind", "rprivate" };
		size_t n = 2;
		if (b->in->maps.uids.n) options[n++] = "idmap";
		if (b->host->readonly_rootfs) options[n++] = "ro";
		int r = add_mount(m, destination, "bind", source, options);
		if (r < 0) return r;
	}
	return 0;
}

/* ---- the whole ---- */

static size_t depth(const char *path)
{
	size_t n = 0;
	for (; *path; path++)
		n += *path == '/' && path[1];
	return n;
}

/* Stable, and short lists. */
static void sort_by_depth(OciMount *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		OciMount m = items[i];
		size_t at = i, d = depth(m.destination);
		for (; at && depth(items[at - 1].destination) > d; at--)
			items[at] = items[at - 1];
		items[at] = m;
	}
}

static int add_init(MountBuild *m)
{
	const OciProcess *p = m->b->s->process;
	if (!p->args.n || !streq(p->args.items[0], SPEC_INIT_PATH) || !m->b->in->init_program) return 0;
	return add_mount(m, SPEC_INIT_PATH, "bind", m->b->in->init_program, (const char *[]){ "bind", "ro", "nosuid", "nodev", NULL });
}

int spec_add_mounts(SpecBuild *b)
{
	enum { FIXED = 16 };
	size_t points = b->in->mounts ? b->in->mounts->n : 0;
	MountBuild m = { .b = b, .room = FIXED + points + b->host->tmpfs.n };
	int r;
	m.items = arena_array(b->a, m.room, sizeof *m.items);
	if (!m.items) return spec_no_memory(b);
	if ((r = add_defaults(&m)) < 0 || (r = add_names(&m)) < 0) return r;
	for (size_t i = 0; i < points; i++)
		if ((r = add_point(&m, i)) < 0) return r;
	if ((r = add_all_tmpfs(&m)) < 0) return r;
	sort_by_depth(m.items + m.defaults, m.n - m.defaults);
	if ((r = add_init(&m)) < 0) return r;
	b->s->mounts.items = m.items;
	b->s->mounts.n = m.n;
	return 0;
}
