/* spec_devices.c: devices of the host that a container gets, and what it may do with them. What every container has is the runtime's. */
#include "engine/spec_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/path.h"

enum { DEVICES_MAX = 16384, DEPTH_MAX = 16 };

typedef struct DeviceBuild {
	SpecBuild *b;
	OciDevice *devices;
	CgroupDeviceRule *rules;
	size_t n, rules_n, room;
	/* in a user namespace no node can be made: those of another name are bound; the runtime does it for those with the name of the host. NULL: none */
	const char *from, *to;
	size_t found;
} DeviceBuild;

static int grow(void **items, size_t n, size_t room, size_t size, Arena *a)
{
	void *more = arena_array(a, room, size);
	if (!more) return -ENOMEM;
	if (n) memcpy(more, *items, n * size);
	*items = more;
	return 0;
}

static int make_room(DeviceBuild *d)
{
	size_t used = d->n > d->rules_n ? d->n : d->rules_n, room = d->room ? d->room * 2 : 32;
	if (used < d->room) return 0;
	if (room > DEVICES_MAX) return err_set(d->b->e, ERR_CONFIG, E2BIG, "more than %d devices", DEVICES_MAX);
	void *devices = d->devices, *rules = d->rules;
	if (grow(&devices, d->n, room, sizeof *d->devices, d->b->a) < 0 || grow(&rules, d->rules_n, room, sizeof *d->rules, d->b->a) < 0)
		return spec_no_memory(d->b);
	d->devices = devices;
	d->rules = rules;
	d->room = room;
	return 0;
}

static bool is_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

static int add_rule(DeviceBuild *d, CgroupDeviceRule rule)
{
	int r = make_room(d);
	if (r == 0) d->rules[d->rules_n++] = rule;
	return r;
}

static int add_bind(DeviceBuild *d, const char *path)
{
	static const char *options[] = { "bind", "nosuid", "noexec", NULL };
	SpecBuild *b = d->b;
	size_t n = b->s->mounts.n;
	void *items = b->s->mounts.items;
	const char *source = arena_printf(b->a, "%s%s", d->from, path + strlen(d->to));
	if (!source || grow(&items, n, n + 1, sizeof *b->s->mounts.items, b->a) < 0) return spec_no_memory(b);
	b->s->mounts.items = items;
	b->s->mounts.items[b->s->mounts.n++] =
		(OciMount){ .destination = path, .type = "bind", .source = source, .options = { options, ARRAY_LEN(options) - 1 } };
	return 0;
}

/* access NULL: no rule. */
static int add_device(DeviceBuild *d, const struct stat *st, const char *path, const char *access)
{
	const char *type = S_ISBLK(st->st_mode) ? "b" : "c";
	OptInt major_number = { true, major(st->st_rdev) }, minor_number = { true, minor(st->st_rdev) };
	int r = d->from ? add_bind(d, path) : make_room(d);
	if (r < 0) return r;
	if (!d->from)
		d->devices[d->n++] = (OciDevice){ .type = type,
						  .path = path,
						  .major = major_number,
						  .minor = minor_number,
						  .file_mode = { true, st->st_mode & 07777 },
						  .uid = { true, st->st_uid },
						  .gid = { true, st->st_gid } };
	d->found++;
	if (!access) return 0;
	return add_rule(d,
			(CgroupDeviceRule){ .allow = true, .type = type, .major = major_number, .minor = minor_number, .access = access });
}

/* ---- directories of devices ---- */

typedef struct Walk {
	DeviceBuild *d;
	const char *access;
	bool whole_dev; /* /dev of a privileged container: without what is the container's own */
} Walk;

static bool is_own(const char *name)
{
	static const char *const names[] = { "pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(name, names[i])) return true;
	return false;
}

static void close_dir(DIR **dir)
{
	if (*dir) closedir(*dir);
}

static int walk(const Walk *w, int fd, const char *path, int depth);

static int visit(const Walk *w, int dir, const char *name, const char *path, int depth)
{
	struct stat st;
	if (w->whole_dev && depth == 0 && is_own(name)) return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return 0; /* gone meanwhile */
	/* a link to a device is the device; where it leads elsewhere it says nothing */
	if (S_ISLNK(st.st_mode) && (w->whole_dev || fstatat(dir, name, &st, 0) < 0 || !is_device(&st))) return 0;
	if (!S_ISDIR(st.st_mode) && !is_device(&st)) return 0;
	const char *at = arena_printf(w->d->b->a, "%s/%s", path, name);
	if (!at) return spec_no_memory(w->d->b);
	if (is_device(&st)) return add_device(w->d, &st, at, w->access);
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : walk(w, fd, at, depth + 1);
}

/* Takes fd. path: in the container. */
static int walk(const Walk *w, int fd, const char *path, int depth)
{
	DIR *dir AUTO(close_dir) = depth > DEPTH_MAX ? NULL : fdopendir(fd);
	if (!dir) fd_close(fd);
	if (!dir) return 0;
	for (const struct dirent *d; (d = readdir(dir));) {
		if (streq(d->d_name, ".") || streq(d->d_name, "..")) continue;
		int r = visit(w, dirfd(dir), d->d_name, path, depth);
		if (r < 0) return r;
	}
	return 0;
}

static int add_privileged(DeviceBuild *d)
{
	Walk w = { .d = d, .whole_dev = true };
	int fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) return err_sys(d->b->e, errno, "open /dev");
	return walk(&w, fd, "/dev", 0);
}

/* ---- --device ---- */

static int gather_error(const SpecBuild *b, const char *path, int errnum, const char *why)
{
	if (!why) return err_sys(b->e, errnum, "error gathering device information while adding custom device \"%s\"", path);
	return err_set(b->e, ERR_CONFIG, errnum, "error gathering device information while adding custom device \"%s\": %s", path, why);
}

static int add_mapping(DeviceBuild *d, const DeviceMapping *m)
{
	struct stat st;
	const char *path = m->path_on_host, *inside = m->path_in_container && *m->path_in_container ? m->path_in_container : path;
	const char *access = m->cgroup_permissions && *m->cgroup_permissions ? m->cgroup_permissions : "rwm";
	bool privileged = d->b->host->privileged;
	if (!path || *path != '/') return gather_error(d->b, path ? path : "", ENOENT, NULL);
	if (privileged && streq(path, inside)) return 0; /* there already */
	const char *clean = path_clean(d->b->a, inside);
	if (!clean) return spec_no_memory(d->b);
	AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) return gather_error(d->b, path, errno, NULL);
	d->from = d->b->in->maps.uids.n && !streq(path, clean) ? path : NULL;
	d->to = clean;
	if (is_device(&st)) return add_device(d, &st, clean, privileged ? NULL : access);
	if (!S_ISDIR(st.st_mode)) return gather_error(d->b, path, EINVAL, "not a device node");
	size_t before = d->found;
	Walk w = { .d = d, .access = privileged ? NULL : access };
	int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) return gather_error(d->b, path, errno, NULL);
	int r = walk(&w, dir, clean, 0);
	if (r < 0) return r;
	return d->found > before ? 0 : gather_error(d->b, path, EINVAL, "not a device node");
}

/* ---- --device-cgroup-rule ---- */

static int rule_number(Str s, OptInt *ret)
{
	uint32_t v;
	*ret = (OptInt){ true, -1 };
	if (str_eq(s, "*")) return 0;
	int r = str_to_u32(s, &v);
	if (r == 0) ret->v = v;
	return r;
}

int device_rule_parse(const char *text, Arena *a, CgroupDeviceRule *ret, Err *e)
{
	Str type, rest, numbers, access, major_text, minor_text;
	OptInt major_number, minor_number;
	Str whole = streq(text, "a") ? STR("a *:* rwm") : str_of(text);
	bool ok = str_cut(whole, ' ', &type, &rest) && str_cut(rest, ' ', &numbers, &access) &&
		  str_cut(numbers, ':', &major_text, &minor_text) && type.n == 1 && strchr("abc", type.p[0]) && access.n >= 1 &&
		  access.n <= 3;
	for (size_t i = 0; ok && i < access.n; i++)
		ok = strchr("rwm", access.p[i]);
	if (!ok) return err_set(e, ERR_CONFIG, EINVAL, "invalid device cgroup rule format: '%.100s'", text);
	int r = rule_number(major_text, &major_number), x = rule_number(minor_text, &minor_number);
	if (r == -EINVAL || x == -EINVAL) return err_set(e, ERR_CONFIG, EINVAL, "invalid device cgroup rule format: '%.100s'", text);
	if (r < 0) return err_set(e, ERR_CONFIG, EINVAL, "invalid major value in device cgroup rule format: '%.100s'", text);
	if (x < 0) return err_set(e, ERR_CONFIG, EINVAL, "invalid minor value in device cgroup rule format: '%.100s'", text);
	*ret = (CgroupDeviceRule){
		.allow = true, .type = arena_str(a, type), .major = major_number, .minor = minor_number, .access = arena_str(a, access)
	};
	return ret->type && ret->access ? 0 : err_sys(e, ENOMEM, "device cgroup rule");
}

static int add_cgroup_rules(DeviceBuild *d)
{
	const StrList *texts = &d->b->host->device_cgroup_rules;
	for (size_t i = 0; i < texts->n; i++) {
		CgroupDeviceRule rule;
		int r = device_rule_parse(texts->items[i], d->b->a, &rule, d->b->e);
		if (r < 0 || (r = add_rule(d, rule)) < 0) return r;
	}
	return 0;
}

int spec_add_devices(SpecBuild *b)
{
	DeviceBuild d = { .b = b };
	const HostConfig *h = b->host;
	bool privileged = h->privileged;
	int r = add_rule(&d, (CgroupDeviceRule){ .allow = privileged, .access = "rwm" });
	if (r < 0 || (privileged && (r = add_privileged(&d)) < 0)) return r;
	for (size_t i = 0; i < h->devices.n; i++)
		if ((r = add_mapping(&d, &h->devices.items[i])) < 0) return r;
	if (!privileged && (r = add_cgroup_rules(&d)) < 0) return r;
	b->lnx->devices.items = d.devices;
	b->lnx->devices.n = d.n;
	b->lnx->resources->devices.items = d.rules;
	b->lnx->resources->devices.n = d.rules_n;
	return 0;
}
