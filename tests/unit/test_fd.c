/* test_fd.c: whole reads and writes, atomic replacement, descriptors over sockets, sockets at long paths. */
#include "check.h"
#include "sys/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Place {
	char path[64];
	int dir;
} Place;

static int setup(void **state)
{
	static Place p;
	snprintf(p.path, sizeof p.path, "/tmp/test_fd.XXXXXX");
	if (!mkdtemp(p.path)) return -1;
	p.dir = open(p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &p;
	return p.dir < 0;
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
	fd_close(p->dir);
	remove_tree(AT_FDCWD, p->path);
	return 0;
}

static int open_fds(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
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

static void put_file(int dir, const char *name, const char *text)
{
	AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void assert_content(int dir, const char *name, const char *want)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	char *text;
	size_t n;
	if (fd_read_file(dir, name, 1 << 16, &a, &text, &n, &e) < 0) fail_msg("%s", e.msg);
	assert_string_equal(text, want);
	assert_int_equal(n, strlen(want));
}

static void replace_makes_and_replaces(void **state)
{
	Place *p = *state;
	Err e = ERR_INIT;
	struct stat st;
	mode_t mask = umask(0);
	assert_int_equal(fd_replace_file(p->dir, "state.json", "one", 3, 0600, REPLACE_LAZY, &e), 0);
	assert_content(p->dir, "state.json", "one");
	assert_int_equal(fstatat(p->dir, "state.json", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fd_replace_file(p->dir, "state.json", "three", 5, 0644, REPLACE_DURABLE, &e), 0);
	umask(mask);
	assert_content(p->dir, "state.json", "three");
	assert_int_equal(fstatat(p->dir, "state.json", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(fd_replace_file(p->dir, "state.json", "four", 4, 0644, REPLACE_ORDERED, &e), 0);
	assert_content(p->dir, "state.json", "four");
	assert_int_equal(entries(p->dir), 1);
}

/* Someone who has the old file open keeps reading the old content: nothing is written in place. */
static void replace_leaves_the_old_file_whole(void **state)
{
	Place *p = *state;
	Err e = ERR_INIT;
	char old[8] = { 0 };
	put_file(p->dir, "f", "old");
	AUTO_FD int fd = openat(p->dir, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd_replace_file(p->dir, "f", "fresh", 5, 0600, REPLACE_LAZY, &e), 0);
	assert_int_equal(read(fd, old, sizeof old), 3);
	assert_string_equal(old, "old");
}

static void failed_replace_changes_nothing(void **state)
{
	Place *p = *state;
	Err e = ERR_INIT;
	struct rlimit before, small = { .rlim_cur = 4096 };
	AUTO_FREE char *big = calloc(1, 10000);
	put_file(p->dir, "f", "old");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small); /* stands for a full disk: the write fails halfway */
	int r = fd_replace_file(p->dir, "f", big, 10000, 0600, REPLACE_LAZY, &e);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(r, -EFBIG);
	assert_string_equal(e.msg, "write f: file too large");
	assert_content(p->dir, "f", "old");
	assert_int_equal(mkdirat(p->dir, "d", 0700), 0);
	e = ERR_INIT;
	assert_int_equal(fd_replace_file(p->dir, "d", "x", 1, 0600, REPLACE_LAZY, &e), -EISDIR);
	assert_string_equal(e.msg, "write d: is a directory");
	e = ERR_INIT;
	assert_int_equal(fd_replace_file(p->dir, "no/f", "x", 1, 0600, REPLACE_LAZY, &e), -ENOENT);
	assert_int_equal(entries(p->dir), 2); /* no temporary file stays behind */
}

/* A leftover of a killed process with our pid, or a link that somebody placed there, is not written through. */
static void replace_does_not_reuse_a_temporary_file(void **state)
{
	Place *p = *state;
	Err e = ERR_INIT;
	char tmp[64];
	struct stat st;
	snprintf(tmp, sizeof tmp, ".f.%d.tmp", (int)getpid());
	put_file(p->dir, "precious", "precious");
	assert_int_equal(linkat(p->dir, "precious", p->dir, tmp, 0), 0);
	assert_int_equal(fd_replace_file(p->dir, "f", "new", 3, 0600, REPLACE_LAZY, &e), 0);
	assert_content(p->dir, "f", "new");
	assert_content(p->dir, "precious", "precious");
	assert_int_equal(symlinkat("precious", p->dir, tmp), 0);
	assert_int_equal(fd_replace_file(p->dir, "f", "newer", 5, 0600, REPLACE_LAZY, &e), 0);
	assert_content(p->dir, "f", "newer");
	assert_content(p->dir, "precious", "precious");
	assert_int_equal(fstatat(p->dir, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(entries(p->dir), 2);
}

static void read_file_obeys_its_cap(void **state)
{
	Place *p = *state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	char *text;
	size_t n = 99;
	put_file(p->dir, "f", "12345678");
	assert_int_equal(fd_read_file(p->dir, "f", 8, &a, &text, &n, &e), 0);
	assert_string_equal(text, "12345678");
	assert_int_equal(n, 8);
	n = 99;
	assert_int_equal(fd_read_file(p->dir, "f", 7, &a, &text, &n, &e), -EFBIG);
	assert_string_equal(e.msg, "f: 8 bytes, at most 7 are read");
	assert_int_equal(n, 99);
	put_file(p->dir, "empty", "");
	assert_int_equal(fd_read_file(p->dir, "empty", 0, &a, &text, &n, &e), 0);
	assert_string_equal(text, "");
	assert_int_equal(n, 0);
}

static void read_file_refuses_what_is_no_file(void **state)
{
	Place *p = *state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	char *text;
	size_t n;
	assert_int_equal(mkfifoat(p->dir, "fifo", 0600), 0);
	alarm(20); /* a FIFO without a writer must not hold us */
	assert_int_equal(fd_read_file(p->dir, "fifo", 100, &a, &text, &n, &e), -EINVAL);
	alarm(0);
	assert_string_equal(e.msg, "fifo: not a regular file");
	assert_int_equal(fd_read_file(AT_FDCWD, "/dev/zero", 100, &a, &text, &n, &e), -EINVAL);
	assert_int_equal(fd_read_file(p->dir, ".", 100, &a, &text, &n, &e), -EINVAL);
	assert_int_equal(fd_read_file(p->dir, "missing", 100, &a, &text, &n, &e), -ENOENT);
	assert_string_equal(e.msg, "open missing: no such file or directory");
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

/* Files of proc and sysfs say they are empty. */
static void read_file_reads_kernel_files_whole(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	char *text;
	size_t n;
	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/status", 1 << 16, &a, &text, &n, &e), 0);
	assert_true(starts_with(text, "Name:"));
	assert_int_equal(n, strlen(text));
	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/status", 10, &a, &text, &n, &e), -EFBIG);
}

static void read_all_obeys_its_cap(void **state)
{
	Place *p = *state;
	put_file(p->dir, "f", "12345678");
	for (size_t max = 7; max <= 9; max++) {
		AUTO_BUF b = BUF_INIT(max);
		AUTO_FD int fd = openat(p->dir, "f", O_RDONLY | O_CLOEXEC);
		assert_int_equal(fd_read_all(fd, &b), max < 8 ? -EFBIG : 0);
		assert_int_equal(b.n, max < 8 ? 7 : 8);
	}
}

static void small_files_lose_their_newline(void **state)
{
	Place *p = *state;
	char t[8];
	put_file(p->dir, "a", "max\n");
	put_file(p->dir, "b", "");
	put_file(p->dir, "c", "1234567890\n");
	assert_int_equal(fd_read_small(p->dir, "a", t, sizeof t), 3);
	assert_string_equal(t, "max");
	assert_int_equal(fd_read_small(p->dir, "b", t, sizeof t), 0);
	assert_string_equal(t, "");
	assert_int_equal(fd_read_small(p->dir, "c", t, sizeof t), 7);
	assert_string_equal(t, "1234567");
	assert_int_equal(fd_read_small(p->dir, "d", t, sizeof t), -ENOENT);
	assert_int_equal(fd_write_file(p->dir, "d", "x"), -ENOENT); /* never creates */
	assert_int_equal(fd_write_file(p->dir, "a", "22"), 0);
}

static void pair(int type, int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv), 0);
}

static void descriptors_travel(void **state)
{
	Place *p = *state;
	int sv[2], got[2] = { -1, -1 };
	char text[8] = { 0 };
	size_t n = 99;
	put_file(p->dir, "f", "through");
	pair(SOCK_SEQPACKET, sv);
	AUTO_FD int file = openat(p->dir, "f", O_RDONLY | O_CLOEXEC);
	int send[2] = { file, p->dir };
	assert_int_equal(fd_send(sv[0], "hi", 2, send, 2), 0);
	assert_int_equal(fd_recv(sv[1], text, sizeof text, got, 2, &n), 2);
	assert_string_equal(text, "hi");
	assert_int_equal(n, 2);
	assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(got[1], F_GETFD), FD_CLOEXEC);
	assert_int_equal(read(got[0], text, sizeof text), 7);
	assert_content(got[1], "f", "through");
	fd_close(got[0]);
	fd_close(got[1]);
	assert_int_equal(fd_send(sv[0], "plain", 5, NULL, 0), 0);
	assert_int_equal(fd_recv(sv[1], text, sizeof text, got, 2, &n), 5);
	assert_int_equal(n, 0);
	fd_close(sv[0]);
	assert_int_equal(fd_recv(sv[1], text, sizeof text, got, 2, &n), 0); /* end of file */
	assert_int_equal(fd_send(sv[1], "x", 1, NULL, 0), -EPIPE);          /* and no signal */
	fd_close(sv[1]);
}

static void surplus_descriptors_are_closed(void **state)
{
	Place *p = *state;
	int sv[2], send[FD_PASS_MAX + 1], got[3];
	char c;
	size_t n = 99;
	pair(SOCK_STREAM, sv);
	for (size_t i = 0; i < ARRAY_LEN(send); i++)
		send[i] = p->dir;
	int before = open_fds();
	assert_int_equal(fd_send(sv[0], "x", 1, send, ARRAY_LEN(send)), -E2BIG);
	assert_int_equal(fd_send(sv[0], "x", 1, send, FD_PASS_MAX), 0);
	assert_int_equal(fd_recv(sv[1], &c, 1, got, 3, &n), 1);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++)
		fd_close(got[i]);
	assert_int_equal(open_fds(), before);
	assert_int_equal(fd_send(sv[0], "x", 1, send, 1), 0);
	assert_int_equal(fd_recv(sv[1], &c, 1, NULL, 0, NULL), 1); /* none wanted */
	assert_int_equal(open_fds(), before);
	fd_close(sv[0]);
	fd_close(sv[1]);
}

static void a_message_too_long_is_an_error(void **state)
{
	Place *p = *state;
	int sv[2], got;
	char t[4];
	size_t n = 99;
	pair(SOCK_SEQPACKET, sv);
	int before = open_fds();
	assert_int_equal(fd_send(sv[0], "12345", 5, &p->dir, 1), 0);
	assert_int_equal(fd_recv(sv[1], t, sizeof t, &got, 1, &n), -EMSGSIZE);
	assert_int_equal(n, 0);
	assert_int_equal(open_fds(), before);
	fd_close(sv[0]);
	fd_close(sv[1]);
}

/* The reader goes away after a part of a long message: an error, not a signal. */
static void a_broken_stream_is_an_error(void **state)
{
	(void)state;
	enum { LONG = 8 << 20 };
	int sv[2], status = -1;
	char c;
	pair(SOCK_STREAM, sv);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		fd_close(sv[1]);
		char *p = calloc(1, LONG);
		int r = p ? fd_send(sv[0], p, LONG, NULL, 0) : -ENOMEM;
		_exit(r == -EPIPE || r == -ECONNRESET ? 0 : 1);
	}
	fd_close(sv[0]);
	assert_int_equal(read(sv[1], &c, 1), 1);
	fd_close(sv[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void talk(int listener, int client)
{
	char t[4] = { 0 };
	AUTO_FD int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	assert_int_equal(fd_send(client, "ok", 2, NULL, 0), 0);
	assert_int_equal(fd_recv(server, t, sizeof t, NULL, 0, NULL), 2);
	assert_string_equal(t, "ok");
}

static void sockets_stand_at_long_paths(void **state)
{
	Place *p = *state;
	char path[1024], part[80];
	memset(part, 'd', sizeof part - 1);
	part[sizeof part - 1] = 0;
	snprintf(path, sizeof path, "%s/%s", p->path, part);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/%s/%s", p->path, part, part);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/%s/%s/s", p->path, part, part);
	int before = open_fds();
	{
		AUTO_FD int listener = fd_listen_unix(AT_FDCWD, path, SOCK_STREAM, 0600);
		assert_true(listener >= 0);
		AUTO_FD int absolute = fd_connect_unix(AT_FDCWD, path, SOCK_STREAM);
		assert_true(absolute >= 0);
		talk(listener, absolute);
		AUTO_FD int relative = fd_connect_unix(p->dir, path + strlen(p->path) + 1, SOCK_STREAM);
		assert_true(relative >= 0);
		talk(listener, relative);
		AUTO_FD int any = fd_connect_unix(p->dir, path, SOCK_STREAM); /* absolute: the descriptor does not matter */
		assert_true(any >= 0);
		talk(listener, any);
		assert_int_equal(open_fds(), before + 4);
	}
	assert_int_equal(open_fds(), before);
	memset(part, 'n', sizeof part - 1);
	snprintf(path, sizeof path, "%s/%s%s", p->path, part, part); /* the last part alone is too long */
	assert_int_equal(fd_listen_unix(AT_FDCWD, path, SOCK_STREAM, 0600), -ENAMETOOLONG);
	assert_int_equal(open_fds(), before);
}

static void socket_files_have_the_mode_asked_for(void **state)
{
	Place *p = *state;
	struct stat st;
	mode_t mask = umask(0);
	AUTO_FD int listener = fd_listen_unix(p->dir, "s", SOCK_SEQPACKET, 0620);
	umask(mask);
	assert_true(listener >= 0);
	assert_int_equal(fstatat(p->dir, "s", &st, 0), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0620);
	assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
	AUTO_FD int client = fd_connect_unix(p->dir, "s", SOCK_SEQPACKET);
	assert_true(client >= 0);
	assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
	talk(listener, client);
	assert_int_equal(fd_listen_unix(p->dir, "s", SOCK_SEQPACKET, 0600), -EADDRINUSE);
	assert_int_equal(fd_connect_unix(p->dir, "missing", SOCK_STREAM), -ENOENT);
	assert_int_equal(fd_connect_unix(AT_FDCWD, "", SOCK_STREAM), -ENOENT); /* not an abstract name */
	assert_int_equal(fd_listen_unix(AT_FDCWD, "", SOCK_STREAM, 0600), -ENOENT);
}

static void descriptors_move_and_close(void **state)
{
	(void)state;
	int before = open_fds(), kept;
	{
		AUTO_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		AUTO_FD int moved = open("/dev/null", O_RDONLY | O_CLOEXEC);
		kept = take_fd(moved);
		assert_int_equal(moved, -1);
		assert_true(fd >= 0);
	}
	assert_int_equal(open_fds(), before + 1);
	errno = ELOOP;
	kept = fd_close(kept);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(kept, -1);
	assert_int_equal(fd_close(-1), -1);
	assert_int_equal(open_fds(), before);
}

static void cloexec_is_set_from_a_number_on(void **state)
{
	(void)state;
	AUTO_FD int low = open("/dev/null", O_RDONLY);
	int high = fcntl(low, F_DUPFD, 500);
	assert_int_equal(high, 500);
	assert_int_equal(fd_cloexec_from(400), 0);
	assert_int_equal(fcntl(low, F_GETFD), 0);
	assert_int_equal(fcntl(high, F_GETFD), FD_CLOEXEC);
	fd_close(high);
}

static void all_but_some_are_closed(void **state)
{
	(void)state;
	int low = open("/dev/null", O_RDONLY), fds[6];
	for (int i = 0; i < 6; i++)
		assert_int_equal(fds[i] = fcntl(low, F_DUPFD_CLOEXEC, 500 + i), 500 + i);
	fd_close_all_but(501, (int[]){ 504, -1, 502, 3 }, 4);
	for (int i = 0; i < 6; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD) >= 0, i == 0 || i == 2 || i == 4);
	fd_close_all_but(500, NULL, 0);
	assert_int_equal(fcntl(500, F_GETFD), -1);
	fd_close(low);
}

/* Linux 5.10 answers EINVAL to close_range with CLOEXEC; a filter makes this kernel answer so. */
static void cloexec_works_without_close_range(void **state)
{
	(void)state;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = ARRAY_LEN(code), .filter = code };
	int status = -1;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int low = open("/dev/null", O_RDONLY), high = fcntl(low, F_DUPFD, 500);
		bool ok = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
		ok = ok && fd_cloexec_from(400) == 0 && fcntl(low, F_GETFD) == 0 && fcntl(high, F_GETFD) == FD_CLOEXEC;
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
#define IN_PLACE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_PLACE(replace_makes_and_replaces),
		IN_PLACE(replace_leaves_the_old_file_whole),
		IN_PLACE(failed_replace_changes_nothing),
		IN_PLACE(replace_does_not_reuse_a_temporary_file),
		IN_PLACE(read_file_obeys_its_cap),
		IN_PLACE(read_file_refuses_what_is_no_file),
		cmocka_unit_test(read_file_reads_kernel_files_whole),
		IN_PLACE(read_all_obeys_its_cap),
		IN_PLACE(small_files_lose_their_newline),
		IN_PLACE(descriptors_travel),
		IN_PLACE(surplus_descriptors_are_closed),
		IN_PLACE(a_message_too_long_is_an_error),
		cmocka_unit_test(a_broken_stream_is_an_error),
		IN_PLACE(sockets_stand_at_long_paths),
		IN_PLACE(socket_files_have_the_mode_asked_for),
		cmocka_unit_test(descriptors_move_and_close),
		cmocka_unit_test(cloexec_is_set_from_a_number_on),
		cmocka_unit_test(all_but_some_are_closed),
		cmocka_unit_test(cloexec_works_without_close_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
