/* test_passwd.c: users and groups of a container: what docker makes of them, and of files that are not what they should be. */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/passwd.h"
#include "sys/fd.h"

/* Root: a directory with files of its own, gone at the end of the test. */
typedef struct Root {
	char path[64];
	int fd;
} Root;

static void root_put(const Root *r, const char *name, const char *text)
{
	AUTO_FD int fd = openat(r->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void root_init(Root *r, const char *passwd, const char *group)
{
	snprintf(r->path, sizeof r->path, "/tmp/test_passwd-XXXXXX");
	assert_non_null(mkdtemp(r->path));
	r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(r->fd >= 0);
	assert_int_equal(mkdirat(r->fd, "etc", 0755), 0);
	if (passwd) root_put(r, "etc/passwd", passwd);
	if (group) root_put(r, "etc/group", group);
}

static void root_done(Root *r)
{
	static const char *const names[] = { "etc/passwd", "etc/group", "etc/elsewhere" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlinkat(r->fd, names[i], 0);
	unlinkat(r->fd, "etc", AT_REMOVEDIR);
	close(r->fd);
	rmdir(r->path);
}
#define AUTO_ROOT AUTO(root_done) Root

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "  spaced:x:7:8::/spaced:/bin/sh  \n"
			     "# web:x:1:1::/comment:/bin/sh\n"
			     "broken:x:zero:0::/:/bin/sh\n"
			     "empty:x::0::/:/bin/sh\n"
			     "huge:x:2147483648:0::/:/bin/sh\n"
			     "web:x:33:34:Web,,,:/srv/www:/bin/sh\n"
			     "web:x:99:99:second:/other:/bin/sh\n"
			     "1000:x:0:0:a number for a name:/root:/bin/sh\n"
			     "4294967296:x:0:0:root, they hope:/root:/bin/sh\n"
			     "short:x:40:41\n"
			     "\n"
			     "last:x:50:51::/last:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "tty:x:5:web,short\n"
			    "web:x:34:web\n"
			    "staff:x:50:root,web,\n"
			    "1234:x:0:\n"
			    "bad:x:-1:web\n"
			    "#off:x:60:web\n"
			    "video:x:44:webmaster";

typedef struct Case {
	const char *user, *add;
	long uid, gid;
	const char *groups, *home;
	const char *error; /* NULL: none */
} Case;

static const Case cases[] = {
	{ "", NULL, 0, 0, "0 50", "/root", NULL },
	{ "root", NULL, 0, 0, "0 50", "/root", NULL },
	{ "web", NULL, 33, 34, "34 5 50", "/srv/www", NULL },
	{ "33", NULL, 33, 34, "34 5 50", "/srv/www", NULL },
	{ "033", NULL, 33, 34, "34 5 50", "/srv/www", NULL },
	{ "web:root", NULL, 33, 0, "0", "/srv/www", NULL }, /* a group that was named is the only one */
	{ "web:7", NULL, 33, 7, "7", "/srv/www", NULL },
	{ "web:", NULL, 33, 34, "34 5 50", "/srv/www", NULL },
	{ ":staff", NULL, 0, 50, "50", "/root", NULL },
	{ "77", NULL, 77, 0, "0", NULL, NULL },
	{ "77:88", NULL, 77, 88, "88", NULL, NULL },
	{ "77:web", NULL, 77, 34, "34", NULL, NULL },
	{ "1000", NULL, 1000, 0, "0", NULL, NULL },      /* an id, though a name */
	{ "1:1234", NULL, 1, 1234, "1234", NULL, NULL }, /* the same for groups */
	{ "spaced", NULL, 7, 8, "8", "/spaced", NULL },
	{ "short", NULL, 40, 41, "41 5", NULL, NULL },
	{ "last", NULL, 50, 51, "51", "/last", NULL },
	{ "2147483647", NULL, 2147483647, 0, "0", NULL, NULL },
	{ "web", "video", 33, 34, "34 5 50 44", "/srv/www", NULL },
	{ "web", "tty", 33, 34, "34 5 50", "/srv/www", NULL }, /* in it already */
	{ "web", "999", 33, 34, "34 5 50 999", "/srv/www", NULL },
	{ "web:root", "video", 33, 0, "0 44", "/srv/www", NULL },
	{ "nobody", NULL, 0, 0, NULL, NULL, "unable to find user nobody: no matching entries in passwd file" },
	{ "web:nogroup", NULL, 0, 0, NULL, NULL, "unable to find group nogroup: no matching entries in group file" },
	{ "web", "nogroup", 0, 0, NULL, NULL, "unable to find group nogroup: no matching entries in group file" },
	{ "broken", NULL, 0, 0, NULL, NULL, "unable to find user broken: no matching entries in passwd file" },
	{ "empty", NULL, 0, 0, NULL, NULL, "unable to find user empty: no matching entries in passwd file" },
	{ "huge", NULL, 0, 0, NULL, NULL, "unable to find user huge: no matching entries in passwd file" },
	{ "# web", NULL, 0, 0, NULL, NULL, "unable to find user # web: no matching entries in passwd file" },
	{ "bad", NULL, 0, 0, NULL, NULL, "unable to find user bad: no matching entries in passwd file" },
	{ "web:bad", NULL, 0, 0, NULL, NULL, "unable to find group bad: no matching entries in group file" },
	{ "-1", NULL, 0, 0, NULL, NULL, "-1: uids and gids must be in range 0-2147483647" },
	{ "2147483648", NULL, 0, 0, NULL, NULL, "2147483648: uids and gids must be in range 0-2147483647" },
	{ "4294967296", NULL, 0, 0, NULL, NULL, "4294967296: uids and gids must be in range 0-2147483647" },
	{ "99999999999999999999999", NULL, 0, 0, NULL, NULL, "99999999999999999999999: uids and gids must be in range 0-2147483647" },
	{ "1:4294967295", NULL, 0, 0, NULL, NULL, "4294967295: uids and gids must be in range 0-2147483647" },
	{ "1:2x", NULL, 0, 0, NULL, NULL, "unable to find group 2x: no matching entries in group file" },
	{ "1:2:3", NULL, 0, 0, NULL, NULL, "unable to find group 2:3: no matching entries in group file" },
	{ "+1", NULL, 0, 0, NULL, NULL, "unable to find user +1: no matching entries in passwd file" },
	{ " 1", NULL, 0, 0, NULL, NULL, "unable to find user  1: no matching entries in passwd file" },
	{ "0x0", NULL, 0, 0, NULL, NULL, "unable to find user 0x0: no matching entries in passwd file" },
	{ "web", "-5", 0, 0, NULL, NULL, "-5: uids and gids must be in range 0-2147483647" },
};

static void check_case(int root, const Case *c)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	PasswdUser u = { .uid = 4711 };
	StrList add = { .items = (const char *[]){ c->add, NULL }, .n = c->add ? 1 : 0 };
	AUTO_BUF groups = BUF_INIT(4096);
	int r = passwd_find_user(root, c->user, &add, &a, &u, &e);
	if (c->error) {
		if (r >= 0 || !streq(e.msg, c->error)) fail_msg("\"%s\": %d, \"%s\"", c->user, r, e.msg);
		assert_int_equal(u.uid, 4711); /* nothing is written on failure */
		return;
	}
	if (r < 0) fail_msg("\"%s\": %s", c->user, e.msg);
	for (size_t i = 0; i < u.groups.n; i++)
		buf_printf(&groups, "%s%u", i ? " " : "", u.groups.items[i]);
	if (u.uid != c->uid || u.gid != c->gid || !streq(buf_str(&groups), c->groups) || (!u.home != !c->home) ||
	    (u.home && !streq(u.home, c->home)))
		fail_msg("\"%s\": %u:%u in %s, home %s", c->user, u.uid, u.gid, buf_str(&groups), u.home ? u.home : "none");
}

static void test_cases(void **state)
{
	AUTO_ROOT root;
	root_init(&root, passwd, group);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_case(root.fd, &cases[i]);
}

/* No files, and no root at all: ids go, names do not. */
static void test_missing(void **state)
{
	AUTO_ROOT root;
	root_init(&root, NULL, NULL);
	const int roots[] = { root.fd, -1 };
	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		check_case(roots[i], &(Case){ "", NULL, 0, 0, "0", NULL, NULL });
		check_case(roots[i], &(Case){ "5:6", "7", 5, 6, "6 7", NULL, NULL });
		check_case(roots[i],
			   &(Case){ "root", NULL, 0, 0, NULL, NULL, "unable to find user root: no matching entries in passwd file" });
	}
	assert_null(passwd_home(-1, 0, &ARENA_INIT(4096)));
}

static void assert_unreadable(int root, int errnum)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	PasswdUser u;
	assert_int_equal(passwd_find_user(root, "0", NULL, &a, &u, &e), -errnum);
	assert_non_null(strstr(e.msg, "read /etc/passwd of the container"));
	assert_null(passwd_home(root, 0, &a));
}

/* A FIFO must not be waited for, a device not be read, a file as large as one likes not fill the memory. */
static void test_odd_files(void **state)
{
	AUTO_ROOT root;
	root_init(&root, NULL, NULL);
	assert_int_equal(mkfifoat(root.fd, "etc/passwd", 0644), 0);
	assert_unreadable(root.fd, EINVAL);
	assert_int_equal(unlinkat(root.fd, "etc/passwd", 0), 0);
	root_put(&root, "etc/passwd", "");
	char path[96];
	snprintf(path, sizeof path, "%s/etc/passwd", root.path);
	assert_int_equal(truncate(path, PASSWD_MAX + 1), 0);
	assert_unreadable(root.fd, EFBIG);
}

/* A link leads nowhere but into the container. */
static void test_links(void **state)
{
	AUTO_ROOT root;
	root_init(&root, NULL, NULL);
	assert_int_equal(symlinkat("/../../../../../../etc/elsewhere", root.fd, "etc/passwd"), 0);
	check_case(root.fd, &(Case){ "daemon", NULL, 0, 0, NULL, NULL, "unable to find user daemon: no matching entries in passwd file" });
	root_put(&root, "etc/elsewhere", "own:x:12:13::/own:/bin/sh\n");
	check_case(root.fd, &(Case){ "own", NULL, 12, 13, "13", "/own", NULL });
	assert_int_equal(unlinkat(root.fd, "etc/passwd", 0), 0);
	assert_int_equal(symlinkat("/proc/self/root/etc/passwd", root.fd, "etc/passwd"), 0);
	check_case(root.fd, &(Case){ "root", NULL, 0, 0, NULL, NULL, "unable to find user root: no matching entries in passwd file" });
}

static void test_too_many_groups(void **state)
{
	AUTO_ROOT root;
	AUTO_BUF text = BUF_INIT(PASSWD_MAX);
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	Err e = ERR_INIT;
	PasswdUser u;
	for (int i = 1; i <= 65536; i++)
		buf_printf(&text, "g:x:%d:a\n", i);
	assert_false(buf_failed(&text));
	root_init(&root, "a:x:1:70000::/:/bin/sh\n", buf_str(&text));
	assert_int_equal(passwd_find_user(root.fd, "a", NULL, &a, &u, &e), -EINVAL);
	assert_string_equal(e.msg, "a process can be in at most 65536 groups");
	text.n = (size_t)(strstr(text.p, "g:x:65536:") - text.p);
	text.p[text.n] = 0;
	root_put(&root, "etc/group", buf_str(&text));
	assert_int_equal(passwd_find_user(root.fd, "a", NULL, &a, &u, &e), 0);
	assert_int_equal(u.groups.n, 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases), cmocka_unit_test(test_missing),         cmocka_unit_test(test_odd_files),
		cmocka_unit_test(test_links), cmocka_unit_test(test_too_many_groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
