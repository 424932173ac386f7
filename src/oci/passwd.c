/* passwd.c: see passwd.h. The formats: passwd(5), group(5). */
#include "oci/passwd.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "sys/path.h"

enum { GROUPS_MAX = 65536 }; /* the kernel's NGROUPS_MAX */

/* Name: a user or group as it was asked for. */
typedef struct Name {
	Str text; /* empty: none was */
	bool is_id;
	uint32_t id;
} Name;

typedef struct Files {
	Buf passwd, group;
} Files;

static void files_done(Files *f)
{
	buf_done(&f->passwd);
	buf_done(&f->group);
}
#define AUTO_FILES AUTO(files_done) Files

static int read_file(int root, const char *path, Buf *b)
{
	struct stat st;
	if (root < 0) return 0;
	AUTO_FD int fd = path_open(root, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd == -ENOENT || fd == -ENOTDIR) return 0;
	if (fd < 0) return fd;
	if (fstat(fd, &st) < 0) return -errno;
	if (!S_ISREG(st.st_mode)) return -EINVAL;
	return st.st_size > PASSWD_MAX ? -EFBIG : fd_read_all(fd, b);
}

static int read_one(int root, const char *path, Buf *b, Err *e)
{
	*b = BUF_INIT(PASSWD_MAX);
	int r = read_file(root, path, b);
	return r < 0 ? err_sys(e, r, "read %s of the container", path) : 0;
}

static bool parse_id(Str s, uint32_t *ret)
{
	return str_to_u32(s, ret) == 0 && *ret <= PASSWD_ID_MAX;
}

static bool all_digits(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9') return false;
	return s.n > 0;
}

static int parse_name(Str s, Name *ret, Err *e)
{
	*ret = (Name){ .text = s };
	Str digits = s.n > 1 && s.p[0] == '-' ? (Str){ s.p + 1, s.n - 1 } : s;
	if (!all_digits(digits)) return 0;
	ret->is_id = true;
	if (digits.n == s.n && parse_id(s, &ret->id)) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "%.*s: uids and gids must be in range 0-%d", (int)s.n, s.p, PASSWD_ID_MAX);
}

/* Line: of either file. */
typedef struct Line {
	Str name;
	uint32_t id, gid;
	Str home;    /* passwd */
	Str members; /* group */
} Line;

static bool next_line(Str *rest, bool passwd, Line *ret)
{
	Str line;
	while (str_next(rest, '\n', &line)) {
		Str field[7] = { 0 };
		size_t n = 0;
		line = str_trim(line);
		if (line.n && line.p[0] == '#') continue;
		while (n < ARRAY_LEN(field) && str_next(&line, ':', &field[n]))
			n++;
		*ret = (Line){ .name = field[0] };
		if (n < 3 || !parse_id(field[2], &ret->id)) continue;
		if (passwd && !parse_id(field[3], &ret->gid)) continue;
		if (passwd) ret->home = field[5];
		if (!passwd) ret->members = field[3];
		return true;
	}
	return false;
}

static bool matches(const Name *n, const Line *l)
{
	return n->is_id ? l->id == n->id : l->name.n == n->text.n && memcmp(l->name.p, n->text.p, n->text.n) == 0;
}

static bool find_line(Str rest, bool passwd, const Name *n, Line *ret)
{
	while (next_line(&rest, passwd, ret))
		if (matches(n, ret)) return true;
	return false;
}

static bool is_member(Str members, Str user)
{
	Str one;
	while (str_next(&members, ',', &one))
		if (one.n == user.n && memcmp(one.p, user.p, one.n) == 0) return true;
	return false;
}

static int find_group(Str file, const Name *group, uint32_t *ret, Err *e)
{
	Line line;
	if (group->is_id) *ret = group->id;
	if (group->is_id) return 0;
	if (!find_line(file, false, group, &line))
		return err_set(e, ERR_CONFIG, EINVAL, "unable to find group %.*s: no matching entries in group file", (int)group->text.n,
			       group->text.p);
	*ret = line.id;
	return 0;
}

/* The groups that name user as a member, counted, and stored when there is room for them. */
static size_t memberships(Str rest, Str user, uint32_t gid, uint32_t *to)
{
	Line line;
	size_t n = 0;
	while (next_line(&rest, false, &line)) {
		if (line.id == gid || !is_member(line.members, user)) continue;
		if (to) to[n] = line.id;
		n++;
	}
	return n;
}

static void add_group(U32List *l, uint32_t gid)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i] == gid) return;
	l->items[l->n++] = gid;
}

/* implied: the user's name, whose memberships count; empty: none do. */
static int fill_groups(Str file, Str implied, const StrList *more, Arena *a, PasswdUser *u, Err *e)
{
	size_t n = implied.n ? memberships(file, implied, u->gid, NULL) : 0, added = more ? more->n : 0;
	if (n + added >= GROUPS_MAX) return err_set(e, ERR_CONFIG, EINVAL, "a process can be in at most %d groups", GROUPS_MAX);
	uint32_t *items = arena_array(a, n + added + 1, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "groups");
	items[0] = u->gid;
	if (n) n = memberships(file, implied, u->gid, items + 1);
	u->groups = (U32List){ items, n + 1 };
	for (size_t i = 0; i < added; i++) {
		Name group;
		uint32_t gid = 0;
		int r = parse_name(str_of(more->items[i]), &group, e);
		if (r < 0 || (r = find_group(file, &group, &gid, e)) < 0) return r;
		add_group(&u->groups, gid);
	}
	return 0;
}

int passwd_find_user_in(Str passwd, Str group, const char *user, const StrList *group_add, Arena *a, PasswdUser *ret, Err *e)
{
	Str name, group_name;
	Name who, in;
	Line line = { 0 };
	PasswdUser u = { 0 };
	int r;
	str_cut(str_of(user ? user : ""), ':', &name, &group_name);
	if ((r = parse_name(name, &who, e)) < 0 || (r = parse_name(group_name, &in, e)) < 0) return r;
	if (!name.n) who = (Name){ .is_id = true };
	bool found = find_line(passwd, true, &who, &line);
	if (!found && !who.is_id)
		return err_set(e, ERR_CONFIG, EINVAL, "unable to find user %.*s: no matching entries in passwd file", (int)name.n, name.p);
	u.uid = found ? line.id : who.id;
	u.gid = found ? line.gid : 0;
	if (found && line.home.n && !(u.home = arena_str(a, line.home))) return err_sys(e, ENOMEM, "user");
	if (group_name.n && (r = find_group(group, &in, &u.gid, e)) < 0) return r;
	if ((r = fill_groups(group, group_name.n || !found ? (Str){ 0 } : line.name, group_add, a, &u, e)) < 0) return r;
	*ret = u;
	return 0;
}

int passwd_find_user(int root, const char *user, const StrList *group_add, Arena *a, PasswdUser *ret, Err *e)
{
	int r;
	AUTO_FILES f = { 0 };
	if ((r = read_one(root, "/etc/passwd", &f.passwd, e)) < 0 || (r = read_one(root, "/etc/group", &f.group, e)) < 0) return r;
	return passwd_find_user_in((Str){ f.passwd.p, f.passwd.n }, (Str){ f.group.p, f.group.n }, user, group_add, a, ret, e);
}

const char *passwd_home(int root, uint32_t uid, Arena *a)
{
	AUTO_BUF file = BUF_INIT(PASSWD_MAX);
	Name who = { .is_id = true, .id = uid };
	Line line;
	if (read_file(root, "/etc/passwd", &file) < 0) return NULL;
	if (!find_line((Str){ file.p, file.n }, true, &who, &line) || !line.home.n) return NULL;
	return arena_str(a, line.home);
}

Str passwd_text(int root, Arena *a)
{
	AUTO_BUF file = BUF_INIT(PASSWD_MAX);
	if (read_file(root, "/etc/passwd", &file) < 0) return (Str){ 0 };
	const char *copy = arena_str(a, (Str){ file.p, file.n });
	return (Str){ copy, copy ? file.n : 0 };
}

static uint32_t highest_in(int root, const char *path, bool passwd, uint32_t id)
{
	AUTO_BUF file = BUF_INIT(PASSWD_MAX);
	Line line;
	if (read_file(root, path, &file) < 0) return id;
	Str rest = { file.p, file.n };
	while (next_line(&rest, passwd, &line)) {
		if (str_eq(line.name, "nobody") || str_eq(line.name, "nogroup")) continue;
		if (line.id > id) id = line.id;
		if (line.gid > id) id = line.gid;
	}
	return id;
}

uint32_t passwd_highest_id(int root)
{
	return highest_in(root, "/etc/group", false, highest_in(root, "/etc/passwd", true, 0));
}
