/* test_rdt.c: Intel RDT against a directory that looks like a mounted resctrl (few machines have one). What the kernel makes by
 * itself in a new group (tasks, schemata) is made by the test. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/bind.h"
#include "child.h"
#include "sys/fd.h"
#include "sys/rdt.h"

typedef struct Tree {
	char path[64];
	int root;
	Arena arena;
} Tree;

static void put(int root, const char *path, const char *text)
{
	AUTO_FD int fd = openat(root, path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static const char *text_of(int root, const char *path)
{
	static char text[4096];
	if (fd_read_small(root, path, text, sizeof text) < 0) return "(none)";
	return text;
}

static void group(int root, const char *name, const char *schemata)
{
	char path[96];
	static const char *const dirs[] = { "", "/mon_groups", "/mon_data", "/mon_data/mon_L3_00", "/mon_data/mon_L3_01" };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof path, "%s%s", name, dirs[i]);
		assert_true(mkdirat(root, path, 0755) == 0 || errno == EEXIST);
	}
	snprintf(path, sizeof path, "%s/schemata", name);
	put(root, path, schemata);
	snprintf(path, sizeof path, "%s/tasks", name);
	put(root, path, "");
	static const char *const counters[] = { "mbm_total_bytes", "mbm_local_bytes", "llc_occupancy" };
	for (int cache = 0; cache < 2; cache++)
		for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
			char value[16];
			snprintf(path, sizeof path, "%s/mon_data/mon_L3_0%d/%s", name, cache, counters[i]);
			snprintf(value, sizeof value, "%d%zu\n", cache + 1, i);
			put(root, path, value);
		}
}

static int setup(void **state)
{
	Tree *t = calloc(1, sizeof *t);
	Err e = ERR_INIT;
	t->arena = ARENA_INIT(100000);
	snprintf(t->path, sizeof t->path, "/tmp/resctrl-XXXXXX");
	if (!mkdtemp(t->path)) return -1;
	t->root = rdt_open(t->path, &t->arena, NULL, &e);
	if (t->root < 0) return -1;
	static const char *const dirs[] = { "info", "info/L3", "info/MB", "info/L3_MON" };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdirat(t->root, dirs[i], 0755) < 0) return -1;
	put(t->root, "info/L3/cbm_mask", "7ff\n");
	put(t->root, "info/L3/min_cbm_bits", "1\n");
	put(t->root, "info/L3/num_closids", "16\n");
	put(t->root, "info/MB/bandwidth_gran", "10\n");
	put(t->root, "info/MB/delay_linear", "1\n");
	put(t->root, "info/MB/min_bandwidth", "10\n");
	put(t->root, "info/MB/num_closids", "8\n");
	put(t->root, "info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n");
	put(t->root, "info/last_cmd_status", "the kernel's reason\n");
	group(t->root, ".", "    L3:0=7ff;1=7ff\n    MB:0=100;1=100\n");
	group(t->root, "gold", "    MB:0=20;1= 70\n    L3:0=7f0;1=01f\n");
	*state = t;
	return 0;
}

/* Removes the tree, depth first. */
static void sweep(int dirfd, const char *name, int depth)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd >= 0 && depth < 8 ? fdopendir(fd) : NULL;
	if (!d) return;
	for (struct dirent *t; (t = readdir(d));) {
		if (streq(t->d_name, ".") || streq(t->d_name, "..")) continue;
		if (unlinkat(fd, t->d_name, 0) < 0) sweep(fd, t->d_name, depth + 1);
	}
	closedir(d);
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

static int teardown(void **state)
{
	Tree *t = *state;
	sweep(AT_FDCWD, t->path, 0);
	fd_close(t->root);
	arena_done(&t->arena);
	free(t);
	return 0;
}

static void bad_settings_are_refused(void **state)
{
	(void)state;
	static const struct {
		IntelRdt r;
		const char *id, *says;
	} cases[] = {
		{ { .clos_id = "gold" }, "c1", NULL },
		{ { .clos_id = "/" }, "c1", NULL },
		{ { .mem_bw_schema = "MB:0=20" }, "c1", NULL },
		{ { .clos_id = ".." }, "c1", "invalid intelRdt.ClosID \"..\"" },
		{ { .clos_id = "." }, "c1", "invalid intelRdt.ClosID" },
		{ { .clos_id = "a/b" }, "c1", "invalid intelRdt.ClosID" },
		{ { .clos_id = "/a" }, "c1", "invalid intelRdt.ClosID" },
		{ { .clos_id = "info" }, "c1", "invalid intelRdt.ClosID" },
		{ { .clos_id = "gold" }, "mon_groups", "cannot name an RDT group" },
		{ { .mem_bw_schema = "0=20" }, "c1", "does not start with \"MB:\"" },
		{ { .l3_cache_schema = "L3:0=f\nMB:0=10" }, "c1", "newline" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		assert_int_equal(rdt_check(&cases[i].r, cases[i].id, &e), cases[i].says ? -EINVAL : 0);
		if (cases[i].says && !strstr(e.msg, cases[i].says)) fail_msg("\"%s\" lacks \"%s\"", e.msg, cases[i].says);
	}
}

static void a_shared_group_is_used_not_owned(void **state)
{
	Tree *t = *state;
	Err e = ERR_INIT;
	RdtGroup g = { 0 };
	IntelRdt r = { .clos_id = "gold", .enable_monitoring = true };
	assert_int_equal(rdt_create(t->root, &r, "c1", &t->arena, &g, &e), 0);
	assert_string_equal(g.clos, "gold");
	assert_string_equal(g.mon, "gold/mon_groups/c1");
	assert_false(g.created);
	assert_string_equal(text_of(t->root, "gold/schemata"), "    MB:0=20;1= 70\n    L3:0=7f0;1=01f"); /* untouched */
	put(t->root, "gold/mon_groups/c1/tasks", "");
	assert_int_equal(rdt_join(t->root, &g, 4711, &e), 0);
	assert_string_equal(text_of(t->root, "gold/tasks"), "4711");
	assert_string_equal(text_of(t->root, "gold/mon_groups/c1/tasks"), "4711");
	assert_int_equal(unlinkat(t->root, "gold/mon_groups/c1/tasks", 0), 0);
	assert_int_equal(rdt_remove(t->root, &g, &e), 0);
	assert_int_equal(faccessat(t->root, "gold/mon_groups/c1", F_OK, 0), -1);
	assert_int_equal(faccessat(t->root, "gold", F_OK, 0), 0);
	assert_int_equal(rdt_remove(t->root, &g, &e), 0);
}

static void a_shared_group_must_match(void **state)
{
	Tree *t = *state;
	const char *lines[] = { "L2:0=f", NULL };
	const struct {
		IntelRdt r;
		const char *says, *schemata;
	} cases[] = {
		{ { .clos_id = "missing" }, "must be pre-created", NULL },
		{ { .clos_id = "gold", .l3_cache_schema = "L3:1=1f;0=7f0" }, NULL, "L3:1=1f;0=7f0\n" },
		{ { .clos_id = "gold", .mem_bw_schema = "MB:1=65" }, NULL, "MB:1=65\n" }, /* the kernel rounds up to 70 */
		{ { .clos_id = "gold", .l3_cache_schema = "L3:0=7f0", .mem_bw_schema = "MB:0=20", .schemata = { lines, 1 } },
		  NULL,
		  "L3:0=7f0\nMB:0=20\nL2:0=f\n" },
		{ { .clos_id = "gold", .l3_cache_schema = "L3:0=7ff" }, "does not match", NULL },
		{ { .clos_id = "gold", .l3_cache_schema = "L3:2=1f" }, "does not match", NULL },
		{ { .clos_id = "gold", .mem_bw_schema = "MB:0=30" }, "does not match", NULL },
		{ { .clos_id = "gold", .l3_cache_schema = "L2:0=1" }, "exists without", NULL },
		{ { .clos_id = "/", .l3_cache_schema = "L3:0=1" }, "does not match", NULL },
	};
	static const char before[] = "    MB:0=20;1= 70\n    L3:0=7f0;1=01f\n";
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		RdtGroup g = { 0 };
		put(t->root, "gold/schemata", before);
		int r = rdt_create(t->root, &cases[i].r, "c1", &t->arena, &g, &e);
		if (cases[i].says) {
			assert_true(r < 0);
			if (!strstr(e.msg, cases[i].says)) fail_msg("\"%s\" lacks \"%s\"", e.msg, cases[i].says);
			continue;
		}
		if (r < 0) fail_msg("%s", e.msg);
		/* a plain file keeps what one write does not cover; the kernel's schemata does not */
		assert_memory_equal(text_of(t->root, "gold/schemata"), cases[i].schemata, strlen(cases[i].schemata));
	}
}

static void an_own_group_goes_with_the_container(void **state)
{
	Tree *t = *state;
	Err e = ERR_INIT;
	RdtGroup g = { 0 };
	IntelRdt r = { 0 };
	assert_int_equal(rdt_create(t->root, &r, "c2", &t->arena, &g, &e), 0);
	assert_true(g.created && streq(g.clos, "c2") && !g.mon);
	assert_int_equal(faccessat(t->root, "c2", F_OK, 0), 0);
	assert_int_equal(rdt_remove(t->root, &g, &e), 0);
	assert_int_equal(faccessat(t->root, "c2", F_OK, 0), -1);
	/* a refused schema leaves nothing behind (here: the directory has no file "schemata"), and the kernel's reason is told */
	r.l3_cache_schema = "L3:0=1";
	assert_true(rdt_create(t->root, &r, "c2", &t->arena, &g, &e) < 0);
	assert_non_null(strstr(e.msg, "last_cmd_status: the kernel's reason"));
	assert_int_equal(faccessat(t->root, "c2", F_OK, 0), -1);
	/* the same for a closID of its own making */
	r.clos_id = "silver";
	assert_true(rdt_create(t->root, &r, "c2", &t->arena, &g, &e) < 0);
	assert_int_equal(faccessat(t->root, "silver", F_OK, 0), -1);
}

static void the_root_group_can_be_asked_for(void **state)
{
	Tree *t = *state;
	Err e = ERR_INIT;
	RdtGroup g = { 0 };
	IntelRdt r = { .clos_id = "/", .enable_monitoring = true };
	assert_int_equal(rdt_create(t->root, &r, "c3", &t->arena, &g, &e), 0);
	assert_string_equal(g.clos, ".");
	assert_string_equal(g.mon, "mon_groups/c3");
	assert_false(g.created);
	put(t->root, "mon_groups/c3/tasks", "");
	assert_int_equal(rdt_join(t->root, &g, 12, &e), 0);
	assert_string_equal(text_of(t->root, "tasks"), "12");
	IntelRdt update = { .mem_bw_schema = "MB:0=50" };
	assert_int_equal(rdt_update(t->root, &g, &update, &e), 0);
	assert_memory_equal(text_of(t->root, "schemata"), "MB:0=50\n", 8);
	assert_int_equal(unlinkat(t->root, "mon_groups/c3/tasks", 0), 0);
	assert_int_equal(rdt_remove(t->root, &g, &e), 0);
	RdtGroup none = { 0 };
	assert_int_equal(rdt_update(t->root, &none, &update, &e), -EINVAL);
	assert_int_equal(rdt_join(t->root, &none, 12, &e), 0);
}

static void statistics_are_runcs(void **state)
{
	Tree *t = *state;
	Err e = ERR_INIT;
	RdtGroup g = { .clos = "gold" };
	AUTO_BUF out = BUF_INIT(10000);
	JsonWriter w = JSON_WRITER(&out);
	group(t->root, ".", "    L3:0=7ff;1=7ff\n    MB:0=100;1=100\n");
	group(t->root, "gold", "    MB:0=20;1=70\n    L3:0=7f0;1=1f\n");
	assert_int_equal(rdt_stats_write(t->root, &g, &w, &e), 0);
	assert_string_equal(
		buf_str(&out),
		"{\"l3_cache_info\":{\"cbm_mask\":\"7ff\",\"min_cbm_bits\":1,\"num_closids\":16},"
		"\"mem_bw_info\":{\"bandwidth_gran\":10,\"delay_linear\":1,\"min_bandwidth\":10,\"num_closids\":8},"
		"\"schemata\":[\"MB:0=20;1=70\",\"L3:0=7f0;1=1f\"],"
		"\"l3_cache_schema_root\":\"L3:0=7ff;1=7ff\",\"l3_cache_schema\":\"L3:0=7f0;1=1f\","
		"\"mem_bw_schema_root\":\"MB:0=100;1=100\",\"mem_bw_schema\":\"MB:0=20;1=70\","
		"\"mbm_stats\":[{\"mbm_total_bytes\":10,\"mbm_local_bytes\":11},{\"mbm_total_bytes\":20,\"mbm_local_bytes\":21}],"
		"\"cmt_stats\":[{\"llc_occupancy\":12},{\"llc_occupancy\":22}]}");
	RdtFeatures f;
	assert_int_equal(rdt_features(t->root, &f), 0);
	assert_true(f.l3_cat && f.mba && f.llc_occupancy && f.mbm_total && f.mbm_local);
}

static void a_machine_without_rdt_says_so(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	if (rdt_is_available()) skip();
	assert_int_equal(rdt_open(NULL, &a, NULL, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "Intel RDT not available"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_settings_are_refused),        cmocka_unit_test(a_shared_group_is_used_not_owned),
		cmocka_unit_test(a_shared_group_must_match),       cmocka_unit_test(an_own_group_goes_with_the_container),
		cmocka_unit_test(the_root_group_can_be_asked_for), cmocka_unit_test(statistics_are_runcs),
		cmocka_unit_test(a_machine_without_rdt_says_so),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
