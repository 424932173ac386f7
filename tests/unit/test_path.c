/* test_path.c: nothing that stands inside a root leads out of it, not even while it is being swapped. */
#include "check.h"
#include "sys/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

/* <top>/root is the root under test, <top>/outside what must stay untouched: it holds one canary file. */
typedef struct Place {
	char path[64];
	int top, root, outside;
} Place;

static int make_open_dir(int at, const char *name)
{
	return mkdirat(at, name, 0755) < 0 ? -1 : openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int setup(void **state)
{
	static Place p;
	umask(022);
	snprintf(p.path, sizeof p.path, "/tmp/test_path.XXXXXX");
	if (!mkdtemp(p.path)) return -1;
	p.top = open(p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p.root = make_open_dir(p.top, "root");
	p.outside = make_open_dir(p.top, "outside");
	fd_close(openat(p.outside, "canary", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	*state = &p;
	return p.top < 0 || p.root < 0 || p.outside < 0;
}

static void remove_tree(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *ent; d && (ent = readdir(d));)
		if (!streq(ent->d_name, ".") && !streq(ent->d_name, "..")) remove_tree(dirfd(d), ent->d_name);
	if (d) closedir(d);
	unlinkat(at, name, d ? AT_REMOVEDIR : 0);
}

static int teardown(void **state)
{
	Place *p = *state;
	fd_close(p->top);
	fd_close(p->root);
	fd_close(p->outside);
	remove_tree(AT_FDCWD, p->path);
	return 0;
}

static int entries(int dir)
{
	int n = 0, fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static int open_fds(void)
{
	AUTO_FD int d = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(d >= 0);
	return entries(d);
}

static void assert_outside_untouched(const Place *p)
{
	struct stat st;
	assert_int_equal(entries(p->outside), 1);
	assert_int_equal(fstatat(p->outside, "canary", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(entries(p->top), 2);
}

static void link_to(const Place *p, const char *name, const char *target)
{
	assert_int_equal(symlinkat(target, p->root, name), 0);
}

/* fd (which is closed) and the object at path below dir are one and the same. */
static void assert_same(int fd, int dir, const char *path)
{
	struct stat a, b;
	if (fd < 0) fail_msg("%s: %s", path, err_text(-fd));
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstatat(dir, path, &b, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(a.st_dev == b.st_dev && a.st_ino == b.st_ino);
	fd_close(fd);
}

static void assert_absent(int dir, const char *path)
{
	struct stat st;
	assert_int_equal(fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(errno, ENOENT);
}

static void links_and_dots_stay_inside(void **state)
{
	const Place *p = *state;
	assert_int_equal(mkdirat(p->root, "etc", 0755), 0);
	fd_close(openat(p->root, "etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	link_to(p, "absolute", "/etc");
	link_to(p, "up", "../../../../etc");
	link_to(p, "chain", "up/../absolute");
	link_to(p, "host", p->path); /* the host's absolute path means nothing inside */
	const char *paths[] = { "etc/passwd", "/etc/passwd",  "/../../etc/passwd", "etc/../../../etc/passwd", "absolute/passwd",
				"up/passwd",  "chain/passwd", "up/../etc/passwd",  "//etc/.//passwd",         "absolute/../../etc/passwd" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		assert_same(path_open(p->root, paths[i], O_RDONLY, 0), p->root, "etc/passwd");
		assert_same(path_make_file(p->root, paths[i], 0644), p->root, "etc/passwd");
	}
	const char *roots[] = { "", "/", ".", "..", "/..", "../../..", "etc/..", "up/..", "absolute/.." };
	for (size_t i = 0; i < ARRAY_LEN(roots); i++)
		assert_same(path_open(p->root, roots[i], O_PATH | O_DIRECTORY, 0), p->top, "root");
	assert_int_equal(path_open(p->root, "host", O_PATH | O_DIRECTORY, 0), -ENOENT);
	assert_int_equal(path_open(p->root, "../outside/canary", O_RDONLY, 0), -ENOENT);
	assert_outside_untouched(p);
}

static void creation_follows_links_inside(void **state)
{
	const Place *p = *state;
	assert_int_equal(mkdirat(p->root, "real", 0755), 0);
	link_to(p, "a", "/real");
	link_to(p, "b", "../../real");
	assert_same(path_make_dir(p->root, "/a/x/y", 0755), p->root, "real/x/y");
	assert_same(path_make_dir(p->root, "b/z", 0755), p->root, "real/z");
	assert_same(path_make_file(p->root, "b/x/y/f", 0640), p->root, "real/x/y/f");
	assert_same(path_make_file(p->root, "/a/new/dirs/f", 0640), p->root, "real/new/dirs/f");
	link_to(p, "real/self", "."); /* found again through a link */
	assert_same(path_make_dir(p->root, "a/self/self/x/w", 0755), p->root, "real/x/w");
	assert_outside_untouched(p);
}

static void modes_are_those_asked_for(void **state)
{
	const Place *p = *state;
	struct stat st;
	assert_same(path_make_dir(p->root, "a/b", 0700), p->root, "a/b");
	assert_same(path_make_file(p->root, "c/f", 0640), p->root, "c/f");
	assert_int_equal(fstatat(p->root, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstatat(p->root, "a/b", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstatat(p->root, "c", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fstatat(p->root, "c/f", &st, 0), 0);
	assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_same(path_make_dir(p->root, "a", 0755), p->root, "a"); /* what exists keeps its mode */
	assert_int_equal(fstatat(p->root, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void descriptors_are_path_only_and_cloexec(void **state)
{
	const Place *p = *state;
	const int made[] = { path_make_dir(p->root, "d", 0755), path_make_dir(p->root, "d", 0755), path_make_file(p->root, "f", 0644),
			     path_make_file(p->root, "f", 0644), path_make_dir(p->root, "", 0755) };
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		assert_true(made[i] >= 0);
		assert_true(fcntl(made[i], F_GETFL) & O_PATH);
		assert_int_equal(fcntl(made[i], F_GETFD), FD_CLOEXEC);
		fd_close(made[i]);
	}
	AUTO_FD int plain = path_open(p->root, "f", O_RDWR, 0);
	assert_true(plain >= 0);
	assert_int_equal(fcntl(plain, F_GETFD), FD_CLOEXEC);
}

/* What a dangling link points to is made inside the root, wherever it points. */
static void dangling_links_stay_inside(void **state)
{
	const Place *p = *state;
	AUTO_FREE char *outside = NULL;
	assert_true(asprintf(&outside, "%s/outside/new", p->path) > 0);
	link_to(p, "inside", "/nowhere");
	link_to(p, "up", "../../../above/new");
	link_to(p, "host", outside);
	link_to(p, "chain", "relative");
	link_to(p, "relative", "deep/er");
	assert_same(path_make_file(p->root, "inside", 0644), p->root, "nowhere");
	assert_same(path_make_file(p->root, "up", 0644), p->root, "above/new");
	assert_same(path_make_dir(p->root, "chain/more", 0755), p->root, "deep/er/more");
	assert_same(path_make_file(p->root, "host", 0644), p->root, outside + 1);
	assert_outside_untouched(p);
}

static void endless_links_are_refused(void **state)
{
	const Place *p = *state;
	link_to(p, "loop", "loop");
	link_to(p, "ping", "pong");
	link_to(p, "pong", "ping");
	const char *links[] = { "loop", "ping", "loop/x" };
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		assert_int_equal(path_open(p->root, links[i], O_PATH, 0), -ELOOP);
		assert_int_equal(path_make_file(p->root, links[i], 0644), -ELOOP);
		assert_int_equal(path_make_dir(p->root, links[i], 0755), -ELOOP);
	}
}

static void magic_links_are_refused(void **state)
{
	const Place *p = *state;
	char path[64];
	AUTO_FD int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(proc >= 0);
	snprintf(path, sizeof path, "self/fd/%d", p->outside);
	assert_int_equal(path_open(proc, path, O_PATH, 0), -ELOOP);
	assert_int_equal(path_make_file(proc, path, 0644), -ELOOP);
	snprintf(path, sizeof path, "self/fd/%d/new", p->outside);
	assert_int_equal(path_make_dir(proc, path, 0755), -ELOOP);
	assert_int_equal(path_make_file(proc, path, 0644), -ELOOP);
	const char *links[] = { "self/root", "self/cwd", "self/exe", "self/ns/mnt", "self/root/etc/passwd", "thread-self/root" };
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		assert_int_equal(path_open(proc, links[i], O_RDONLY, 0), -ELOOP);
	assert_outside_untouched(p);
}

static void existing_objects_are_taken_as_they_are(void **state)
{
	const Place *p = *state;
	struct stat st;
	assert_int_equal(mkfifoat(p->root, "fifo", 0600), 0);
	assert_same(path_make_file(p->root, "fifo", 0644), p->root, "fifo");
	if (mknodat(p->root, "null", S_IFCHR | 0600, makedev(1, 3)) == 0) /* needs CAP_MKNOD */
		assert_same(path_make_file(p->root, "null", 0644), p->root, "null");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/root/socket", p->path);
	AUTO_FD int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_same(path_make_file(p->root, "socket", 0644), p->root, "socket");
	assert_int_equal(fstatat(p->root, "fifo", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	fd_close(openat(p->root, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	const char *through[] = { "fifo/x", "socket/x", "file/x", "file/x/y" };
	for (size_t i = 0; i < ARRAY_LEN(through); i++) {
		assert_int_equal(path_make_file(p->root, through[i], 0644), -ENOTDIR);
		assert_int_equal(path_make_dir(p->root, through[i], 0755), -ENOTDIR);
	}
	assert_int_equal(path_make_dir(p->root, "file", 0755), -ENOTDIR);
	assert_int_equal(path_make_dir(p->root, "fifo", 0755), -ENOTDIR);
}

static void a_directory_is_no_file(void **state)
{
	const Place *p = *state;
	assert_int_equal(mkdirat(p->root, "d", 0755), 0);
	link_to(p, "l", "d");
	const char *dirs[] = { "d", "d/", "/d/.", "l", "", "/", ".", "..", "new/..", "d/.." };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		int r = path_make_file(p->root, dirs[i], 0644);
		if (r != (streq(dirs[i], "new/..") ? -EINVAL : -EISDIR)) fail_msg("%s gives %d", dirs[i], r);
	}
	assert_int_equal(entries(p->root), 2);
}

static void dots_after_a_missing_part_are_refused(void **state)
{
	const Place *p = *state;
	assert_int_equal(path_make_dir(p->root, "missing/../x", 0755), -ENOENT);
	assert_absent(p->root, "x");
	assert_same(path_make_dir(p->root, "./y/./z//", 0755), p->root, "y/z");
	assert_same(path_make_dir(p->root, "y/z/../w", 0755), p->root, "y/w");
}

static void names_reach_their_limits(void **state)
{
	const Place *p = *state;
	char name[300], path[8192];
	memset(name, 'n', sizeof name);
	name[255] = 0;
	assert_same(path_make_dir(p->root, name, 0755), p->root, name);
	snprintf(path, sizeof path, "%s/%s", name, name);
	assert_same(path_make_file(p->root, path, 0644), p->root, path);
	name[255] = 'n';
	name[256] = 0;
	assert_int_equal(path_make_dir(p->root, name, 0755), -ENAMETOOLONG);
	assert_int_equal(path_make_file(p->root, name, 0644), -ENAMETOOLONG);
	snprintf(path, sizeof path, "a/%s/b", name);
	assert_int_equal(path_make_dir(p->root, path, 0755), -ENAMETOOLONG);
	assert_int_equal(path_make_file(p->root, path, 0644), -ENAMETOOLONG);
	size_t n = 0;
	while (n < 4090) { /* PATH_MAX is 4096 with the NUL */
		memcpy(path + n, "/d", 2);
		n += 2;
	}
	path[n] = 0;
	AUTO_FD int deep = path_make_dir(p->root, path, 0755);
	assert_true(deep >= 0);
	for (size_t i = 0; i < 100; i++) {
		memcpy(path + n, "/d", 2);
		n += 2;
	}
	path[n] = 0;
	assert_int_equal(path_make_dir(p->root, path, 0755), -ENAMETOOLONG);
	assert_int_equal(path_make_file(p->root, path, 0644), -ENAMETOOLONG);
}

static void nothing_leaks(void **state)
{
	const Place *p = *state;
	int before = open_fds();
	link_to(p, "dangling", "/nowhere");
	for (int i = 0; i < 10; i++) {
		fd_close(path_make_dir(p->root, "a/b/c", 0755));
		fd_close(path_make_file(p->root, "a/b/d/f", 0644));
		fd_close(path_make_dir(p->root, "dangling/x", 0755));
		fd_close(path_make_file(p->root, "dangling", 0755));
		fd_close(path_make_file(p->root, "a", 0644));
		fd_close(path_make_file(p->root, "a/b/d/f/g", 0644));
	}
	assert_int_equal(open_fds(), before);
}

static void beneath_is_strict(void **state)
{
	const Place *p = *state;
	assert_int_equal(mkdirat(p->root, "net", 0755), 0);
	assert_int_equal(mkdirat(p->root, "kernel", 0755), 0);
	fd_close(openat(p->root, "net/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	fd_close(openat(p->root, "kernel/..core", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	link_to(p, "link", "net");
	link_to(p, "net/g", "f");
	assert_same(path_open_beneath(p->root, "net/f", O_RDONLY), p->root, "net/f");
	assert_same(path_open_beneath(p->root, "net", O_RDONLY | O_DIRECTORY), p->root, "net");
	assert_same(path_open_beneath(p->root, "kernel/..core", O_RDONLY), p->root, "kernel/..core");
	assert_int_equal(path_open_beneath(p->root, "link/f", O_RDONLY), -ELOOP);
	assert_int_equal(path_open_beneath(p->root, "net/g", O_RDONLY), -ELOOP);
	assert_int_equal(path_open_beneath(p->root, "../outside/canary", O_RDONLY), -EXDEV);
	assert_int_equal(path_open_beneath(p->root, "/net/f", O_RDONLY), -EXDEV);
	assert_int_equal(path_open_beneath(p->root, "", O_RDONLY), -ENOENT);
	/* ".." that stays inside would slip past a check of the first part ("net.") */
	assert_int_equal(path_open_beneath(p->root, "net/../kernel/..core", O_RDONLY), -EXDEV);
	assert_int_equal(path_open_beneath(p->root, "net/..", O_RDONLY), -EXDEV);
	AUTO_FD int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(path_open_beneath(slash, "proc/self/status", O_RDONLY), -EXDEV); /* a mount crossed */
}

static void file_systems_are_told_apart(void **state)
{
	const Place *p = *state;
	AUTO_FD int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(path_is_fs(proc, PROC_SUPER_MAGIC), 0);
	assert_int_equal(path_is_fs(proc, SYSFS_MAGIC), -EXDEV);
	assert_int_equal(path_is_fs(p->root, PROC_SUPER_MAGIC), -EXDEV);
	assert_int_equal(path_is_fs(-1, PROC_SUPER_MAGIC), -EBADF);
}

static void clean_is_textual(void **state)
{
	(void)state;
	const char *cases[][2] = {
		{ "", "/" },
		{ "/", "/" },
		{ ".", "/" },
		{ "..", "/" },
		{ "/..", "/" },
		{ "/../..", "/" },
		{ "a", "/a" },
		{ "/a/", "/a" },
		{ "//a//b/", "/a/b" },
		{ "/a//b/./../c", "/a/c" },
		{ "a/b/../../c", "/c" },
		{ "a/../..", "/" },
		{ "/a/../../b", "/b" },
		{ "/...", "/..." },
		{ "/..a/.b/c..", "/..a/.b/c.." },
		{ "/ab/../c", "/c" },
	};
	AUTO_ARENA a = ARENA_INIT(4096), tiny = ARENA_INIT(8);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(path_clean(&a, cases[i][0]), cases[i][1]);
	assert_null(path_clean(&tiny, "/a/long/path"));
}

/* The race: "swap" is by turns a directory and a link that leads outside, while the main thread creates through it. */
typedef struct Swapper {
	const Place *place;
	atomic_bool done;
	int failures;
} Swapper;

enum { SWAPS = 20000 };

static void *swap_all_day(void *p)
{
	Swapper *s = p;
	for (int i = 0; i < SWAPS; i++)
		if (renameat2(s->place->root, "swap", s->place->root, "evil", RENAME_EXCHANGE) < 0) s->failures++;
	atomic_store(&s->done, true);
	return NULL;
}

static void race(const Place *p, const char *target)
{
	Swapper s = { .place = p };
	pthread_t thread;
	assert_int_equal(mkdirat(p->root, "swap", 0755), 0);
	link_to(p, "evil", target);
	assert_int_equal(pthread_create(&thread, NULL, swap_all_day, &s), 0);
	unsigned tries = 0, made = 0;
	do {
		char path[64];
		int fd;
		switch (tries % 5) {
		case 0:
			snprintf(path, sizeof path, "swap/f%u", tries % 64);
			fd = path_make_file(p->root, path, 0644);
			break;
		case 1:
			snprintf(path, sizeof path, "swap/d%u/e", tries % 64);
			fd = path_make_dir(p->root, path, 0755);
			break;
		case 2:
			snprintf(path, sizeof path, "swap/../swap/g%u/f", tries % 64);
			fd = path_make_file(p->root, path, 0644);
			break;
		case 3: /* "..", of what is a directory at one moment and nothing at the next */
			snprintf(path, sizeof path, "swap/../../outside/h%u", tries % 64);
			fd = path_make_dir(p->root, path, 0755);
			break;
		default:
			fd = path_open(p->root, "swap/canary", O_RDONLY, 0);
			assert_true(fd < 0);
			break;
		}
		made += fd >= 0;
		if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR && fd != -EAGAIN && fd != -ELOOP) fail_msg("%s: %s", path, err_text(-fd));
		fd_close(fd);
		tries++;
	} while (!atomic_load(&s.done));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(s.failures, 0);
	assert_true(made > 0);
	assert_outside_untouched(p);
	remove_tree(p->root, "swap");
	remove_tree(p->root, "evil");
	remove_tree(p->root, "outside");
}

static void swapped_links_never_lead_outside(void **state)
{
	const Place *p = *state;
	char host[96];
	snprintf(host, sizeof host, "%s/outside", p->path);
	race(p, host);
	race(p, "../outside");
	race(p, "/../../../../../outside");
}

int main(void)
{
#define IN_PLACE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_PLACE(links_and_dots_stay_inside), IN_PLACE(creation_follows_links_inside),
		IN_PLACE(modes_are_those_asked_for),  IN_PLACE(descriptors_are_path_only_and_cloexec),
		IN_PLACE(dangling_links_stay_inside), IN_PLACE(endless_links_are_refused),
		IN_PLACE(magic_links_are_refused),    IN_PLACE(existing_objects_are_taken_as_they_are),
		IN_PLACE(a_directory_is_no_file),     IN_PLACE(dots_after_a_missing_part_are_refused),
		IN_PLACE(names_reach_their_limits),   IN_PLACE(nothing_leaks),
		IN_PLACE(beneath_is_strict),          IN_PLACE(file_systems_are_told_apart),
		cmocka_unit_test(clean_is_textual),   IN_PLACE(swapped_links_never_lead_outside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
