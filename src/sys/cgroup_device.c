/* cgroup_device.c: device rules in the v1 devices hierarchy. The kernel takes one rule a write, in devices.allow or
 * devices.deny. An update changes only what differs, so that a running container never meets a moment of "deny all". */
#include "sys/cgroup_impl.h"

#include <fcntl.h>
#include <unistd.h>

enum { LIST_MAX = 1 << 20 };

/* What a devices group holds: everything allowed or nothing, and the exceptions to that. */
typedef struct Devices {
	bool allow_all;
	CgroupDevice *items; /* the exceptions */
	size_t n;
} Devices;

/* ---- one rule ---- */

static int access_of(const char *s)
{
	int access = 0;
	if (!s || !*s) return CGROUP_ACCESS_ALL;
	for (; *s; s++) {
		if (*s != 'r' && *s != 'w' && *s != 'm' && *s != 'a') return -EINVAL;
		/* "a" is no access: configurations made for runc have it beside the others, and it is overlooked there */
		access |= *s == 'r' ? CGROUP_READ : *s == 'w' ? CGROUP_WRITE : *s == 'm' ? CGROUP_MKNOD : 0;
	}
	return access ? access : -EINVAL;
}

static int type_of(const char *s)
{
	if (!s || !*s || streq(s, "a")) return 'a';
	if (streq(s, "c") || streq(s, "b")) return *s;
	return streq(s, "u") ? 'c' : -EINVAL; /* unbuffered: the same to the kernel */
}

static int number_of(OptInt v, int64_t *ret)
{
	*ret = v.set ? v.v : CGROUP_DEVICE_ANY;
	return *ret < CGROUP_DEVICE_ANY || *ret > UINT32_MAX ? -EINVAL : 0;
}

int cgroup_device_parse(const CgroupDeviceRule *rule, CgroupDevice *ret, Err *e)
{
	int type = type_of(rule->type), access = access_of(rule->access);
	if (type < 0) return err_set(e, ERR_CONFIG, EINVAL, "invalid cgroup device type \"%.16s\" (expected a, b or c)", rule->type);
	if (access < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "invalid cgroup device access \"%.16s\" (expected some of r, w, m)", rule->access);
	*ret = (CgroupDevice){ .allow = rule->allow, .type = (char)type, .access = (uint8_t)access };
	if (number_of(rule->major, &ret->major) < 0 || number_of(rule->minor, &ret->minor) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "invalid cgroup device number %jd:%jd", (intmax_t)rule->major.v,
			       (intmax_t)rule->minor.v);
	return 0;
}

const char *cgroup_device_line(const CgroupDevice *d, char to[static CGROUP_DEVICE_LINE_MAX])
{
	char major[CGROUP_NUMBER_MAX] = "*", minor[CGROUP_NUMBER_MAX] = "*";
	if (d->type == 'a') return "a";
	if (d->major >= 0) cgroup_number(major, d->major);
	if (d->minor >= 0) cgroup_number(minor, d->minor);
	snprintf(to, CGROUP_DEVICE_LINE_MAX, "%c %s:%s %s%s%s", d->type, major, minor, d->access & CGROUP_READ ? "r" : "",
		 d->access & CGROUP_WRITE ? "w" : "", d->access & CGROUP_MKNOD ? "m" : "");
	return to;
}

/* ---- creation: the rules as they stand, one write each ---- */

typedef struct Files {
	const char *dir;
	int fd[2]; /* devices.deny, devices.allow; opened when first needed */
} Files;

static void files_done(Files *f)
{
	fd_close(f->fd[0]);
	fd_close(f->fd[1]);
}

static int put_rule(Files *f, const CgroupDevice *d, Err *e)
{
	char line[CGROUP_DEVICE_LINE_MAX], path[CGROUP_PATH_MAX];
	const char *name = d->allow ? "devices.allow" : "devices.deny", *text = cgroup_device_line(d, line);
	int *fd = &f->fd[d->allow], r = 0;
	if (*fd < 0) {
		r = cgroup_file(path, f->dir, name);
		*fd = r < 0 ? r : open(path, O_WRONLY | O_CLOEXEC);
		if (*fd < 0) return cgroup_write_error(f->dir, name, text, r < 0 ? r : errno, e);
	}
	if (retry_eintr(write(*fd, text, strlen(text))) < 0) return cgroup_write_error(f->dir, name, text, errno, e);
	return 0;
}

/* ---- update: the difference ---- */

static bool same_device(const CgroupDevice *a, const CgroupDevice *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor;
}

static uint8_t access_in(const Devices *d, const CgroupDevice *what)
{
	uint8_t access = 0;
	for (size_t i = 0; i < d->n; i++)
		if (same_device(&d->items[i], what)) access |= d->items[i].access;
	return access;
}

/* Follows the kernel: "a" starts anew, a rule against the default adds an exception, one for it takes a like one away. The
 * caller has made room for one more. */
static void follow(Devices *d, const CgroupDevice *rule)
{
	if (rule->type == 'a') {
		d->allow_all = rule->allow;
		d->n = 0;
		return;
	}
	for (size_t i = 0; i < d->n; i++) {
		CgroupDevice *x = &d->items[i];
		if (!same_device(x, rule)) continue;
		x->access = rule->allow == d->allow_all ? x->access & (uint8_t)~rule->access : x->access | rule->access;
		return;
	}
	if (rule->allow != d->allow_all) d->items[d->n++] = *rule;
}

static int parse_rules(const CgroupResources *r, Arena *a, Devices *ret, Err *e)
{
	ret->items = arena_array(a, r->devices.n, sizeof(CgroupDevice));
	if (!ret->items) return err_sys(e, ENOMEM, "device rules");
	for (size_t i = 0; i < r->devices.n; i++) {
		CgroupDevice d = { 0 };
		int k = cgroup_device_parse(&r->devices.items[i], &d, e);
		if (k < 0) return k;
		follow(ret, &d);
	}
	return 0;
}

/* A line of devices.list: "c 1:3 rwm", "a *:* rwm". */
static bool parse_line(Str line, CgroupDevice *ret)
{
	Str type, rest, numbers, access, major, minor;
	if (!str_cut(line, ' ', &type, &rest) || !str_cut(rest, ' ', &numbers, &access) || !str_cut(numbers, ':', &major, &minor) ||
	    type.n != 1)
		return false;
	*ret = (CgroupDevice){ .allow = true, .type = type.p[0], .major = CGROUP_DEVICE_ANY, .minor = CGROUP_DEVICE_ANY };
	if (!str_eq(major, "*") && str_to_i64(major, &ret->major) < 0) return false;
	if (!str_eq(minor, "*") && str_to_i64(minor, &ret->minor) < 0) return false;
	for (size_t i = 0; i < access.n; i++)
		ret->access |= access.p[i] == 'r' ? CGROUP_READ : access.p[i] == 'w' ? CGROUP_WRITE : CGROUP_MKNOD;
	return true;
}

static int read_present(const char *dir, Arena *a, Devices *ret, Err *e)
{
	char path[CGROUP_PATH_MAX];
	AUTO_BUF b = BUF_INIT(LIST_MAX);
	int r = cgroup_file(path, dir, "devices.list");
	AUTO_FD int fd = r < 0 ? r : openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return err_sys(e, r < 0 ? r : errno, "open %s/devices.list", dir);
	r = fd_read_all(fd, &b);
	if (r < 0) return err_sys(e, r, "read %s", path);
	size_t lines = 1;
	for (size_t i = 0; i < b.n; i++)
		lines += b.p[i] == '\n';
	ret->items = arena_array(a, lines, sizeof(CgroupDevice));
	if (!ret->items) return err_sys(e, ENOMEM, "read %s", path);
	Str rest = { b.p, b.n }, line;
	CgroupDevice d = { 0 };
	while (str_next(&rest, '\n', &line))
		if (parse_line(line, &d)) follow(ret, &d);
	return 0;
}

static int put_difference(Files *f, const Devices *from, const Devices *to, bool allow, Err *e)
{
	const Devices *more = allow ? to : from, *less = allow ? from : to;
	for (size_t i = 0; i < more->n; i++) {
		CgroupDevice d = more->items[i];
		d.access &= (uint8_t)~access_in(less, &d);
		d.allow = allow;
		int r = d.access ? put_rule(f, &d, e) : 0;
		if (r < 0) return r;
	}
	return 0;
}

static int put_all(Files *f, const CgroupResources *r, Err *e)
{
	for (size_t i = 0; i < r->devices.n; i++) {
		CgroupDevice d = { 0 };
		int k = cgroup_device_parse(&r->devices.items[i], &d, e);
		if (k >= 0) k = put_rule(f, &d, e);
		if (k < 0) return k;
	}
	return 0;
}

int cgroup_device_v1(const char *dir, const CgroupResources *r, bool update, Err *e)
{
	AUTO(files_done) Files f = { .dir = dir, .fd = { -1, -1 } };
	if (!update) return put_all(&f, r, e);
	AUTO_ARENA a = ARENA_INIT(16 << 20);
	Devices want = { 0 }, now = { 0 };
	int k = parse_rules(r, &a, &want, e);
	if (k >= 0) k = read_present(dir, &a, &now, e);
	if (k < 0) return k;
	/* devices.list does not tell the exceptions of an allow-all group: those are written anew */
	if (want.allow_all || now.allow_all) return want.allow_all && now.allow_all && !want.n ? 0 : put_all(&f, r, e);
	k = put_difference(&f, &now, &want, true, e);
	return k < 0 ? k : put_difference(&f, &now, &want, false, e);
}
