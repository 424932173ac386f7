/* test_memory.c: each allocation of a task fails in turn. The task fails with -ENOMEM and a message, or gets by
 * without; it never crashes, leaks (the sanitizer build sees it) or reports a success that is none. */
#include "alloc.h"
#include "base/bind.h"
#include "bind_sample.h"
#include "check.h"
#include "sys/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

enum { ARENA_MAX = 16 << 20 };

static int dir = -1;
static char dir_path[] = "/tmp/test_memory.XXXXXX";

typedef int Task(Err *e);

/* Returns how many allocations the task makes. */
static unsigned long fail_each(Task *task)
{
	for (unsigned long k = 1;; k++) {
		Err e = ERR_INIT;
		allocation_to_fail = k;
		int r = task(&e);
		bool all_done = allocation_to_fail > 0; /* fewer than k were made */
		allocation_to_fail = 0;
		if (all_done) {
			assert_int_equal(r, 0);
			return k - 1;
		}
		if (r < 0) assert_int_equal(r, -ENOMEM);
		if (r < 0 && e.code != ERR_NONE) assert_int_equal(e.code, ERR_RESOURCE);
	}
}

/* 20 members, more than are compared in pairs; long enough for several chunks of the arena and growths of the stack. */
static void make_document(Buf *b)
{
	buf_puts(b, "{\"version\":\"1\",\"colour\":\"red\",\"args\":[\"0\"");
	for (int i = 1; i < 2000; i++)
		buf_printf(b, ",\"%d\"", i);
	buf_puts(b, "],\"hook\":{\"path\":\"/a\"},\"hookPointer\":{\"path\":\"/b\"},\"limits\":[{\"type\":\"A\",\"soft\":0,\"hard\":0}]");
	for (int i = 0; i < 20; i++)
		buf_printf(b, ",\"x%d\":%d", i, i);
	buf_puts(b, ",\"labels\":{\"a\":\"b\"},\"named\":{\"eth0\":{}},\"raw\":[]}");
}

static int parse_task(Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	AUTO_BUF in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&out);
	Sample s;
	make_document(&in);
	AUTO_FREE char *text = buf_take(&in);
	if (!text) return -ENOMEM;
	int r = sample_parse(text, strlen(text), &s, "config.json", &a, e);
	if (r < 0) {
		assert_int_equal(e->code, ERR_RESOURCE);
		return r;
	}
	assert_int_equal(s.args.n, 2000);
	bind_encode(&sample_table, &s, &w);
	AUTO_FREE char *again = buf_take(&out);
	if (!again) return -ENOMEM;
	assert_true(ends_with(again, "\"raw\":[]}"));
	return 0;
}

static int unknown_name_task(Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	char text[] = "{\"version\":\"1\",\"colour\":\"pink\"}";
	Sample s;
	int r = sample_parse(text, strlen(text), &s, "config.json", &a, e);
	assert_true(r < 0);
	if (r == -ENOMEM) return r;
	assert_true(starts_with(e->msg, "config.json: colour: unknown value \"pink\""));
	*e = ERR_INIT;
	return 0;
}

static int arena_task(Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	const char *s = arena_printf(&a, "%s-%d", "x", 7);
	if (!s) return -ENOMEM;
	assert_string_equal(s, "x-7");
	return arena_alloc(&a, 100000) && arena_strdup(&a, "y") ? 0 : -ENOMEM;
}

static int file_task(Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	char *text;
	size_t n;
	int r = fd_replace_file(dir, "f", "content", 7, 0600, REPLACE_LAZY, e);
	if (r < 0) return r;
	if ((r = fd_read_file(dir, "f", 100, &a, &text, &n, e)) < 0) return r;
	assert_string_equal(text, "content");
	if ((r = fd_read_file(AT_FDCWD, "/proc/self/status", 1 << 16, &a, &text, &n, e)) < 0) return r;
	assert_true(starts_with(text, "Name:"));
	return 0;
}

static int path_task(Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	AUTO_FD int f = path_make_file(dir, "a/b/f", 0600);
	if (f < 0) return f;
	AUTO_FD int d = path_make_dir(dir, "a/c/d", 0700);
	if (d < 0) return d;
	const char *clean = path_clean(&a, "a/../b");
	if (!clean) return -ENOMEM;
	assert_string_equal(clean, "/b");
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

static void tasks_survive_each_failure(void **state)
{
	(void)state;
	int before = open_fds();
	assert_true(fail_each(parse_task) >= 10);
	assert_true(fail_each(unknown_name_task) >= 2);
	assert_true(fail_each(arena_task) >= 2);
	assert_true(fail_each(file_task) >= 2);
	assert_true(fail_each(path_task) >= 1);
	assert_int_equal(open_fds(), before);
}

static int setup(void **state)
{
	if (!mkdtemp(dir_path)) return -1;
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0;
}

static int teardown(void **state)
{
	unlinkat(dir, "f", 0);
	unlinkat(dir, "a/b/f", 0);
	unlinkat(dir, "a/b", AT_REMOVEDIR);
	unlinkat(dir, "a/c/d", AT_REMOVEDIR);
	unlinkat(dir, "a/c", AT_REMOVEDIR);
	unlinkat(dir, "a", AT_REMOVEDIR);
	fd_close(dir);
	return rmdir(dir_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(tasks_survive_each_failure) };
	return cmocka_run_group_tests(tests, setup, teardown);
}
