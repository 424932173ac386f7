/* test_idmap.c: id mappings: the kernel's rules told in words, and maps written to real user namespaces. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "child.h"
#include "sys/fd.h"
#include "sys/idmap.h"
#include "sys/path.h"

static void mappings_are_checked(void **state)
{
	(void)state;
	static const struct {
		IdMapping m[3];
		size_t n;
		const char *says; /* NULL: fine */
	} cases[] = {
		{ { { 0 } }, 0, NULL },
		{ { { 0, 100000, 65536 }, { 65536, 1000, 1 } }, 2, NULL },
		{ { { 0, 0, UINT32_MAX } }, 1, NULL }, /* the initial namespace's own map */
		{ { { UINT32_MAX - 1, 0, 1 } }, 1, NULL },
		{ { { 0, 100000, 0 } }, 1, "m[0]: size is 0" },
		{ { { UINT32_MAX, 0, 1 } }, 1, "goes beyond the highest id" },
		{ { { 0, 4294967290U, 6 } }, 1, "goes beyond the highest id" },
		{ { { 0, 1000, 10 }, { 9, 2000, 10 } }, 2, "m[1]: container ids overlap those of entry 0" },
		{ { { 0, 1000, 10 }, { 50, 5000, 1 }, { 10, 991, 10 } }, 3, "m[2]: host ids overlap those of entry 0" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		IdMapping m[3];
		memcpy(m, cases[i].m, sizeof m);
		IdMappings l = { m, cases[i].n };
		assert_int_equal(idmap_check(&l, "m", &e), cases[i].says ? -EINVAL : 0);
		if (cases[i].says && !strstr(e.msg, cases[i].says)) fail_msg("\"%s\" lacks \"%s\"", e.msg, cases[i].says);
	}
	static IdMapping many[IDMAP_MAX + 1];
	for (uint32_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (IdMapping){ i * 2, i * 2, 1 };
	Err e = ERR_INIT;
	IdMappings l = { many, IDMAP_MAX };
	assert_int_equal(idmap_check(&l, "m", &e), 0);
	l.n++;
	assert_int_equal(idmap_check(&l, "m", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "340"));
}

static void maps_are_read(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	IdMappings l;
	assert_int_equal(idmap_parse(STR("         0     100000      65536\n     65536       1000          1\n"), &a, &l), 0);
	assert_true(l.n == 2 && l.items[0].host_id == 100000 && l.items[1].container_id == 65536 && l.items[1].size == 1);
	assert_int_equal(idmap_parse(STR(""), &a, &l), 0);
	assert_int_equal(l.n, 0);
	static const char *const wrong[] = { "0 1", "0 1 2 3", "a 1 2", "0 1 4294967296" };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		if (idmap_parse(str_of(wrong[i]), &a, &l) != -EINVAL) fail_msg("%s", wrong[i]);
}

static void ids_are_translated(void **state)
{
	(void)state;
	IdMapping m[] = { { 0, 100000, 65536 }, { 65536, 1000, 1 } }, n[] = { { 0, 100000, 65536 }, { 65536, 1001, 1 } };
	IdMappings l = { m, 2 }, other = { n, 2 }, none = { NULL, 0 };
	uint32_t id = 0;
	assert_true(idmap_to_host(&l, 0, &id) == 0 && id == 100000);
	assert_true(idmap_to_host(&l, 65535, &id) == 0 && id == 165535);
	assert_true(idmap_to_host(&l, 65536, &id) == 0 && id == 1000);
	assert_int_equal(idmap_to_host(&l, 65537, &id), -ENOENT);
	assert_true(idmap_to_container(&l, 1000, &id) == 0 && id == 65536);
	assert_true(idmap_to_container(&l, 165535, &id) == 0 && id == 65535);
	assert_int_equal(idmap_to_container(&l, 165536, &id), -ENOENT);
	assert_int_equal(idmap_to_container(&none, 0, &id), -ENOENT);
	assert_true(idmap_equal(&l, &l) && idmap_equal(&none, &none));
	assert_false(idmap_equal(&l, &other) || idmap_equal(&l, &none));
	AUTO_BUF b = BUF_INIT(200);
	idmap_format(&l, &b);
	assert_string_equal(buf_str(&b), "0 100000 65536\n65536 1000 1\n");
}

static void mappings_come_from_documents(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(10000);
	Err e = ERR_INIT;
	IdMapping m;
	char text[] = "{\"containerID\":0,\"hostID\":4294967295,\"size\":7}",
	     bad[] = "{\"containerID\":0,\"hostID\":4294967296,\"size\":7}", half[] = "{\"containerID\":0,\"size\":7}";
	assert_int_equal(bind_parse(&idmap_table, text, strlen(text), &m, "c", &a, &e), 0);
	assert_true(m.container_id == 0 && m.host_id == UINT32_MAX && m.size == 7);
	assert_int_equal(bind_parse(&idmap_table, bad, strlen(bad), &m, "c", &a, &e), -EINVAL);
	assert_int_equal(bind_parse(&idmap_table, half, strlen(half), &m, "c", &a, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "hostID"));
}

/* The map of a process without the kernel's column blanks. */
static int read_map(int dirfd, const char *path, char *to, size_t size)
{
	char text[512];
	size_t k = 0;
	if (fd_read_small(dirfd, path, text, sizeof text) < 0) return -1;
	for (const char *p = text; *p && k + 1 < size; p++)
		if (*p != ' ' || (k && to[k - 1] != ' ' && to[k - 1] != '\n')) to[k++] = *p;
	to[k] = 0;
	return 0;
}

/* A descriptor of a namespace, as an idmapped mount would use it: joined, to see what it holds. */
static int join_made_namespace(void)
{
	Err e = ERR_INIT;
	char map[200];
	IdMapping u[] = { { 0, 100000, 1000 }, { 2000, 5000, 10 } }, g[] = { { 0, 200000, 1000 } };
	IdMappings uids = { u, 2 }, gids = { g, 1 };
	AUTO_FD int fd = idmap_userns_fd(&uids, &gids, &e);
	NEED_OK(fd);
	NEED(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	NEED(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD); /* no child is left behind */
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	IdMaps told;
	NEED_OK(idmap_of_userns(fd, &a, &told, &e));
	NEED(idmap_equal(&told.uids, &uids) && idmap_equal(&told.gids, &gids));
	NEED(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	AUTO_FD int ours = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	NEED(idmap_of_userns(ours, &a, &told, &e) == -EINVAL); /* nobody joins where he is */
	NEED(setns(fd, CLONE_NEWUSER) == 0);
	NEED(read_map(AT_FDCWD, "/proc/self/uid_map", map, sizeof map) == 0);
	NEED(streq(map, "0 100000 1000\n2000 5000 10"));
	NEED(read_map(AT_FDCWD, "/proc/self/gid_map", map, sizeof map) == 0);
	NEED(streq(map, "0 200000 1000"));
	return 0;
}

static void namespaces_are_made_for_mounts(void **state)
{
	(void)state;
	need_user_namespaces();
	in_child(join_made_namespace);
}

/* A child in a new user namespace that waits until *hold is closed. */
static pid_t waiting_child(int *hold)
{
	int ends[2], ready[2];
	char c;
	if (pipe2(ends, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0) return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[1]);
		if (unshare(CLONE_NEWUSER) < 0) _exit(1);
		if (write(ready[1], "r", 1) != 1) _exit(1);
		_exit(read(ends[0], &c, 1) != 0);
	}
	close(ends[0]);
	close(ready[1]);
	ssize_t n = read(ready[0], &c, 1);
	close(ready[0]);
	*hold = ends[1];
	return n == 1 ? pid : -1;
}

static int drop_to_nobody(void)
{
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0) return -1;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* lost with the change of user; without it /proc/PID is root's */
}

/* In a mount namespace of its own: the machine has no helpers. */
static int hide_helpers(void)
{
	static const char *const helpers[] = { "/usr/bin/newuidmap", "/usr/bin/newgidmap" };
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -1;
	for (size_t i = 0; i < ARRAY_LEN(helpers); i++)
		if (access(helpers[i], F_OK) == 0 && mount("/dev/null", helpers[i], NULL, MS_BIND, NULL) < 0) return -1;
	return 0;
}

static int own_id_without_privilege(void)
{
	Err e = ERR_INIT;
	int hold = -1;
	char path[64], text[64];
	if (hide_helpers() < 0) return CHILD_SKIP;
	NEED(drop_to_nobody() == 0);
	pid_t pid = waiting_child(&hold);
	if (pid < 0) return CHILD_SKIP; /* unprivileged user namespaces are off */
	IdMapping own[] = { { 0, 65534, 1 } };
	IdMappings l = { own, 1 };
	NEED_OK(idmap_write(-1, pid, &l, &l, false, &e));
	snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
	NEED(read_map(AT_FDCWD, path, text, sizeof text) == 0 && streq(text, "0 65534 1"));
	snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
	NEED(read_map(AT_FDCWD, path, text, sizeof text) == 0 && streq(text, "0 65534 1"));
	snprintf(path, sizeof path, "/proc/%d/setgroups", (int)pid);
	NEED(fd_read_small(AT_FDCWD, path, text, sizeof text) > 0 && streq(text, "deny"));
	close(hold);
	NEED(waitpid(pid, NULL, 0) == pid);
	return 0;
}

static int refused_range(void)
{
	Err e = ERR_INIT;
	int hold = -1;
	NEED(drop_to_nobody() == 0);
	pid_t pid = waiting_child(&hold);
	if (pid < 0) return CHILD_SKIP;
	IdMapping wide[] = { { 0, 10, 50 } };
	IdMappings l = { wide, 1 };
	NEED(idmap_write(-1, pid, &l, &l, false, &e) == -EPERM);
	NEED(strstr(e.msg, "newuidmap"));
	if (access("/usr/bin/newuidmap", X_OK) == 0) NEED(strstr(e.msg, "failed: ") && !strstr(e.msg, "no message"));
	close(hold);
	NEED(waitpid(pid, NULL, 0) == pid);
	return 0;
}

static void unprivileged_maps_are_own_ids(void **state)
{
	(void)state;
	need_root();
	in_child(own_id_without_privilege);
	in_child(refused_range);
}

/* In a mount namespace of its own: an /etc/subuid that grants nobody a range. */
static int grant(const char *file)
{
	static const char line[] = "nobody:300000:65536\n";
	char name[] = "/tmp/subid-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0644) < 0 || fd_write_all(fd, line, sizeof line - 1) < 0) return -1;
	close(fd);
	int r = mount(name, file, NULL, MS_BIND, NULL);
	unlink(name);
	return r;
}

static int mapped_by_helper(void)
{
	Err e = ERR_INIT;
	int hold = -1;
	char path[64], text[64];
	struct stat st;
	if (stat("/usr/bin/newuidmap", &st) < 0 || !(st.st_mode & S_ISUID)) return CHILD_SKIP;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return CHILD_SKIP;
	if (grant("/etc/subuid") < 0 || grant("/etc/subgid") < 0) return CHILD_SKIP;
	NEED(drop_to_nobody() == 0);
	pid_t pid = waiting_child(&hold);
	if (pid < 0) return CHILD_SKIP;
	IdMapping m[] = { { 0, 65534, 1 }, { 1, 300000, 65536 } };
	IdMappings l = { m, 2 };
	NEED_OK(idmap_write(-1, pid, &l, &l, false, &e));
	snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
	NEED(read_map(AT_FDCWD, path, text, sizeof text) == 0 && streq(text, "0 65534 1\n1 300000 65536"));
	snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
	NEED(read_map(AT_FDCWD, path, text, sizeof text) == 0 && streq(text, "0 65534 1\n1 300000 65536"));
	close(hold);
	NEED(waitpid(pid, NULL, 0) == pid);
	return 0;
}

static void subordinate_ids_need_the_helper(void **state)
{
	(void)state;
	need_root();
	in_child(mapped_by_helper);
}

static int maps_with_privilege(void)
{
	Err e = ERR_INIT;
	int hold = -1;
	char path[64], text[64];
	pid_t pid = waiting_child(&hold);
	NEED(pid > 0);
	IdMapping m[] = { { 0, 300000, 65536 } };
	IdMappings l = { m, 1 }, none = { NULL, 0 };
	AUTO_FD int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NEED(idmap_write(tmp, pid, &l, &l, false, &e) < 0); /* not a directory of procfs */
	NEED_OK(idmap_write(-1, pid, &l, &none, true, &e));
	snprintf(path, sizeof path, "/proc/%d/setgroups", (int)pid);
	NEED(fd_read_small(AT_FDCWD, path, text, sizeof text) > 0 && streq(text, "deny"));
	snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
	NEED(read_map(AT_FDCWD, path, text, sizeof text) == 0 && streq(text, ""));
	NEED_OK(idmap_write(-1, pid, &none, &l, false, &e));
	NEED(read_map(AT_FDCWD, path, text, sizeof text) == 0 && streq(text, "0 300000 65536"));
	close(hold);
	NEED(waitpid(pid, NULL, 0) == pid);
	return 0;
}

static void root_maps_directly(void **state)
{
	(void)state;
	need_user_namespaces();
	in_child(maps_with_privilege);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappings_are_checked),
		cmocka_unit_test(maps_are_read),
		cmocka_unit_test(ids_are_translated),
		cmocka_unit_test(mappings_come_from_documents),
		cmocka_unit_test(namespaces_are_made_for_mounts),
		cmocka_unit_test(unprivileged_maps_are_own_ids),
		cmocka_unit_test(subordinate_ids_need_the_helper),
		cmocka_unit_test(root_maps_directly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
