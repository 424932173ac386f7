/* test_cgroup.c: conversions, paths, and what is written to which file in which order. The kernel's files are faked: a tree in a
 * temporary directory stands for /sys/fs/cgroup, and fd_write_file (wrapped by the linker) records every write and fails as told. */
#include <fcntl.h>
#include <ftw.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "sys/cgroup_impl.h"

/* ---- the recorder ---- */

enum { RECORD_MAX = 64 << 10, FAILURES_MAX = 4 };

static char record[RECORD_MAX]; /* "file value\n" for each write, the directory left out */
static struct {
	const char *file;
	int error, times;
} failures[FAILURES_MAX];

int __wrap_fd_write_file(int dirfd, const char *path, const char *text);

int __wrap_fd_write_file(int dirfd, const char *path, const char *text)
{
	const char *name = strrchr(path, '/') + 1;
	size_t n = strlen(record);
	assert_int_equal(dirfd, AT_FDCWD);
	for (size_t i = 0; i < FAILURES_MAX; i++) {
		if (!failures[i].file || !streq(failures[i].file, name) || !failures[i].times) continue;
		failures[i].times--;
		snprintf(record + n, sizeof record - n, "%s %s: error %d\n", name, text, failures[i].error);
		return -failures[i].error;
	}
	snprintf(record + n, sizeof record - n, "%s %s\n", name, text);
	return 0;
}

static void fail_on(const char *file, int error, int times)
{
	for (size_t i = 0; i < FAILURES_MAX; i++) {
		if (failures[i].file) continue;
		failures[i].file = file;
		failures[i].error = error;
		failures[i].times = times;
		return;
	}
	fail();
}

static void forget(void)
{
	record[0] = 0;
	memset(failures, 0, sizeof failures);
}

/* ---- the fake tree ---- */

static char base[64];

static void put_file(const char *path, const char *text)
{
	char full[512];
	snprintf(full, sizeof full, "%s/%s", base, path);
	for (char *p = full + strlen(base) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
		*p = '/';
	}
	int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void put_dir(const char *path)
{
	char file[512];
	snprintf(file, sizeof file, "%s/.", path);
	char full[512];
	snprintf(full, sizeof full, "%s/%s", base, path);
	for (char *p = full + strlen(base) + 1;; p++) {
		p = strchrnul(p, '/');
		char keep = *p;
		*p = 0;
		assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
		*p = keep;
		if (!keep) return;
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int start(void **state)
{
	snprintf(base, sizeof base, "/tmp/skep-cgroup-XXXXXX");
	forget();
	return mkdtemp(base) ? 0 : -1;
}

static int finish(void **state)
{
	return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A group whose v1 hierarchies (or, with "", v2) are directories of the fake tree. */
static Cgroup group(Arena *a, int layout, const char *const *names, size_t n)
{
	Cgroup cg = { .layout = layout, .driver = CGROUP_FS };
	cg.hierarchies.items = arena_array(a, n, sizeof(CgroupHierarchy));
	for (size_t i = 0; i < n; i++) {
		char *mount = arena_printf(a, "%s/%s", base, *names[i] ? names[i] : "unified");
		cg.hierarchies.items[cg.hierarchies.n++] = (CgroupHierarchy){ names[i], mount, arena_printf(a, "%s/x", mount) };
	}
	return cg;
}
#define GROUP(a, layout, ...) \
	group(a, layout, (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static OptInt integer(int64_t v)
{
	return (OptInt){ true, v };
}

static OptUint number(uint64_t v)
{
	return (OptUint){ true, v };
}

static void expect_apply(const Cgroup *cg, const CgroupResources *r, bool update, const char *want)
{
	Err e = ERR_INIT;
	if (cgroup_apply(cg, r, update, &e) < 0) fail_msg("%s", e.msg);
	assert_string_equal(record, want);
	forget();
}

static void expect_refusal(const Cgroup *cg, const CgroupResources *r, bool update, const char *text)
{
	Err e = ERR_INIT;
	assert_true(cgroup_apply(cg, r, update, &e) < 0);
	if (!strstr(e.msg, text)) fail_msg("\"%s\" is not in \"%s\"", text, e.msg);
	forget();
}

/* ---- conversions ---- */

static void weights_follow_the_curve(void **state)
{
	static const struct {
		uint64_t shares, weight;
	} t[] = {
		{ 0, 0 },      { 1, 1 },      { 2, 1 },      { 3, 2 },       { 10, 4 },         { 100, 17 },       { 512, 59 },
		{ 1024, 100 }, { 2048, 174 }, { 3333, 256 }, { 10240, 639 }, { 262143, 10000 }, { 262144, 10000 }, { UINT64_MAX, 10000 }
	};
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(cgroup_weight_from_shares(t[i].shares), t[i].weight);
	uint64_t last = 0;
	for (uint64_t s = 2; s <= 262144; s += 101) {
		uint64_t w = cgroup_weight_from_shares(s);
		assert_true(w >= last && w >= 1 && w <= 10000);
		last = w;
	}
	assert_int_equal(cgroup_io_weight(10), 1);
	assert_int_equal(cgroup_io_weight(750), 7475);
	assert_int_equal(cgroup_io_weight(1000), 10000);
	assert_int_equal(cgroup_io_weight(0), 0);
}

static void swap_is_the_difference(void **state)
{
	static const struct {
		int64_t limit, swap;
		bool set;
		int64_t want;
		const char *error;
	} t[] = {
		{ 100, 300, true, 200, NULL },   { 100, 100, true, 0, NULL },  { 100, -1, true, -1, NULL },
		{ -1, 0, true, -1, NULL },       { -1, 500, true, 500, NULL }, { 100, 0, false, 0, NULL },
		{ 0, 500, false, 0, "without" }, { 500, 100, false, 0, ">=" }, { -5, 100, false, 0, "invalid memory value" },
	};
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		Err e = ERR_INIT;
		bool set = false;
		int64_t v = 0;
		CgroupMemory m = { .limit = integer(t[i].limit), .swap = integer(t[i].swap) };
		int r = cgroup_swap_from_total(&m, &set, &v, &e);
		assert_int_equal(r < 0, t[i].error != NULL);
		if (t[i].error) {
			assert_non_null(strstr(e.msg, t[i].error));
			continue;
		}
		assert_int_equal(set, t[i].set);
		if (set) assert_int_equal(v, t[i].want);
	}
}

/* ---- paths ---- */

static const char self_v1[] = "12:cpu,cpuacct:/\n3:memory:/user/me\n2:pids:/\n1:name=systemd:/user.slice\n0::/mine\n";

static CgroupPlace place(unsigned long magic)
{
	static char root[128], self[128], mountinfo[128];
	snprintf(root, sizeof root, "%s/cg", base);
	snprintf(self, sizeof self, "%s/self", base);
	snprintf(mountinfo, sizeof mountinfo, "%s/mountinfo", base);
	return (CgroupPlace){ root, self, mountinfo, magic };
}

static const char *path_in(const Cgroup *cg, const char *controller)
{
	const CgroupHierarchy *h = cgroup_find(cg, controller);
	if (!h) return NULL;
	assert_true(starts_with(h->path, h->mount));
	return h->path + strlen(base) + strlen("/cg");
}

static Cgroup plan(Arena *a, unsigned long magic, const char *path)
{
	Err e = ERR_INIT;
	Cgroup cg;
	CgroupPlace at = place(magic);
	CgroupRequest req = { .path = path, .id = "box", .driver = CGROUP_FS };
	if (cgroup_plan_in(&at, &req, a, &cg, &e) < 0) fail_msg("%s", e.msg);
	return cg;
}

static void absolute_paths_start_at_the_mount(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	put_dir("cg/cpu,cpuacct");
	put_dir("cg/memory/user/me");
	put_dir("cg/pids");
	put_dir("cg/systemd");
	put_dir("cg/unified");
	put_file("self", self_v1);
	Cgroup cg = plan(&a, TMPFS_MAGIC, "/a//b/./../../../../c/");
	assert_int_equal(cg.layout, CGROUP_HYBRID);
	assert_int_equal(cg.hierarchies.n, 5);
	assert_string_equal(path_in(&cg, "cpuacct"), "/cpu,cpuacct/c");
	assert_string_equal(path_in(&cg, "memory"), "/memory/c");
	assert_string_equal(path_in(&cg, "name=systemd"), "/systemd/c");
	assert_string_equal(path_in(&cg, ""), "/unified/c");
	assert_null(cgroup_find(&cg, "devices"));
	assert_true(cg.explicit_path);
}

static void relative_paths_start_at_our_own_group(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	put_dir("cg/cpu,cpuacct");
	put_dir("cg/memory/user/me");
	put_dir("cg/pids");
	put_dir("cg/systemd/user.slice");
	put_file("self", self_v1);
	Cgroup cg = plan(&a, TMPFS_MAGIC, NULL);
	assert_int_equal(cg.layout, CGROUP_V1);
	assert_string_equal(path_in(&cg, "cpu"), "/cpu,cpuacct/box");
	assert_string_equal(path_in(&cg, "memory"), "/memory/user/me/box");
	assert_string_equal(path_in(&cg, "name=systemd"), "/systemd/user.slice/box");
	assert_false(cg.explicit_path);
	cg = plan(&a, TMPFS_MAGIC, "../../x/../../y");
	assert_string_equal(path_in(&cg, "memory"), "/memory/user/me/y");
}

static void what_is_mounted_elsewhere_is_looked_up(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	char *mounts = arena_printf(&a,
				    "30 1 0:5 / / rw - ext4 /dev/x rw\n"
				    "31 30 0:6 /docker/abc %s/cg/memory rw shared:1 - cgroup cgroup rw,memory\n"
				    "32 30 0:7 / %s/cg/odd\\040name rw - cgroup none rw,pids\n",
				    base, base);
	put_dir("cg/memory");
	put_file("mountinfo", mounts);
	put_file("self", "3:memory:/docker/abc/inner\n2:pids:/\n1:perf_event:/\n0::/\n");
	Cgroup cg = plan(&a, TMPFS_MAGIC, "rel");
	assert_int_equal(cg.hierarchies.n, 2);
	assert_string_equal(path_in(&cg, "memory"), "/memory/inner/rel"); /* the mount's root is cut off */
	assert_string_equal(path_in(&cg, "pids"), "/odd name/rel");
}

static void v2_goes_beside_our_own_group(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	put_dir("cg/user.slice/session");
	put_dir("cg/user.slice");
	put_file("self", "0::/user.slice/session\n");
	Cgroup cg = plan(&a, CGROUP2_SUPER_MAGIC, NULL);
	assert_int_equal(cg.layout, CGROUP_V2);
	assert_int_equal(cg.hierarchies.n, 1);
	assert_string_equal(path_in(&cg, ""), "/user.slice/box");
	cg = plan(&a, CGROUP2_SUPER_MAGIC, "/a/b");
	assert_string_equal(path_in(&cg, ""), "/a/b");
	assert_null(cgroup_path_v1(&cg, "memory"));
}

static void the_root_is_refused(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	Cgroup cg;
	CgroupPlace at = place(CGROUP2_SUPER_MAGIC);
	put_dir("cg");
	put_file("self", "0::/\n");
	static const char *const bad[] = { "/", "/..", "/a/..", ".." };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CgroupRequest req = { .path = bad[i], .id = "box", .driver = CGROUP_FS };
		assert_int_equal(cgroup_plan_in(&at, &req, &a, &cg, &e), -EINVAL);
	}
}

static void a_group_survives_the_state_file(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	Cgroup back, cg = GROUP(&a, CGROUP_HYBRID, "memory", "cpu,cpuacct", "");
	cg.rootless = cg.explicit_path = true;
	AUTO_BUF b = BUF_INIT(1 << 16);
	JsonWriter w = JSON_WRITER(&b);
	bind_encode(&cgroup_table, &cg, &w);
	char *text = arena_strdup(&a, buf_str(&b));
	assert_true(bind_parse(&cgroup_table, text, strlen(text), &back, "state", &a, &e) >= 0);
	assert_int_equal(back.layout, CGROUP_HYBRID);
	assert_int_equal(back.driver, CGROUP_FS);
	assert_true(back.rootless && back.explicit_path && !back.unit);
	assert_int_equal(back.hierarchies.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(back.hierarchies.items[i].path, cg.hierarchies.items[i].path);
	assert_string_equal(cgroup_path_v2(&back), cg.hierarchies.items[2].path);
}

/* ---- v2 ---- */

static void v2_writes_every_limit(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V2, "");
	CgroupBlockDevice weight = { 8, 0, .weight = number(500) }, rate = { 8, 16, .rate = number(1048576) },
			  none = { 8, 16, .rate = number(0) };
	CgroupHugepage huge = { "2MB", 4194304 };
	CgroupRdma rdma = { "mlx5_1", number(3), number(10000) };
	StrPair unified[] = { { "memory.high", "123" }, { "io.max", "8:0 rbps=1\n8:16 wbps=2\n" } };
	CgroupResources r = {
		.memory = { .limit = integer(100 << 20),
			    .swap = integer(300 << 20),
			    .reservation = integer(50 << 20),
			    .swappiness = number(60) },
		.cpu = { .shares = number(1024),
			 .quota = integer(50000),
			 .period = number(200000),
			 .burst = number(1000),
			 .cpus = "0-1",
			 .mems = "0" },
		.pids_limit = integer(0),
		.block_io = { .weight = number(100),
			      .weight_device = { &weight, 1 },
			      .read_bps = { &rate, 1 },
			      .write_bps = { &rate, 1 },
			      .read_iops = { &rate, 1 },
			      .write_iops = { &none, 1 } },
		.hugepages = { &huge, 1 },
		.rdma = { &rdma, 1 },
		.unified = { unified, 2 },
	};
	expect_apply(&cg, &r, false,
		     "pids.max 1\n"
		     "memory.swap.max 209715200\nmemory.max 104857600\nmemory.low 52428800\n"
		     "io.weight 910\nio.weight 8:0 4950\n"
		     "io.max 8:16 rbps=1048576\nio.max 8:16 wbps=1048576\nio.max 8:16 riops=1048576\nio.max 8:16 wiops=max\n"
		     "cpu.weight 100\ncpu.max.burst 1000\ncpu.max 50000 200000\ncpuset.cpus 0-1\ncpuset.mems 0\n"
		     "hugetlb.2MB.max 4194304\nhugetlb.2MB.rsvd.max 4194304\n"
		     "rdma.max mlx5_1 hca_handle=3 hca_object=10000\n"
		     "memory.high 123\nio.max 8:0 rbps=1\nio.max 8:16 wbps=2\n");
}

static void v2_takes_bfq_where_it_is(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V2, "");
	CgroupBlockDevice weight = { 8, 0, .weight = number(500) };
	CgroupResources r = { .block_io = { .weight = number(750), .weight_device = { &weight, 1 } } };
	put_file("unified/x/io.bfq.weight", "default 100\n");
	expect_apply(&cg, &r, false, "io.bfq.weight 750\nio.bfq.weight 8:0 500\n");
}

static void v2_unlimited_is_max(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V2, "");
	CgroupResources r = { .memory = { .limit = integer(-1), .reservation = integer(-1) },
			      .cpu.quota = integer(-1),
			      .pids_limit = integer(-1) };
	expect_apply(&cg, &r, true, "pids.max max\nmemory.swap.max max\nmemory.max max\nmemory.low max\ncpu.max max 100000\n");
	fail_on("memory.swap.max", ENOENT, 1); /* no swap accounting: nothing to lift */
	expect_apply(&cg, &r, true, "pids.max max\nmemory.swap.max max: error 2\nmemory.max max\nmemory.low max\ncpu.max max 100000\n");
}

static void v2_zero_means_not_set(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V2, "");
	CgroupResources r = { .memory = { .limit = integer(0), .swap = integer(0), .reservation = integer(0) },
			      .cpu = { .shares = number(0), .quota = integer(0), .period = number(0), .cpus = "", .mems = "" },
			      .block_io.weight = number(0),
			      .net_class_id = number(0) };
	expect_apply(&cg, &r, false, "");
	expect_apply(&cg, NULL, false, "");
}

static void v2_keeps_the_other_half_of_cpu_max(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V2, "");
	put_file("unified/x/cpu.max", "30000 150000\n");
	CgroupResources period = { .cpu.period = number(50000) }, quota = { .cpu.quota = integer(7000) };
	expect_apply(&cg, &period, true, "cpu.max 30000 50000\n");
	expect_apply(&cg, &quota, true, "cpu.max 7000 150000\n");
	expect_apply(&cg, &quota, false, "cpu.max 7000 100000\n");
	CgroupResources burst = { .cpu = { .quota = integer(7000), .period = number(10000), .burst = number(5000) } };
	fail_on("cpu.max.burst", EINVAL, 1); /* larger than the old quota: after the new one it fits */
	expect_apply(&cg, &burst, true, "cpu.max.burst 5000: error 22\ncpu.max 7000 10000\ncpu.max.burst 5000\n");
}

static void idle_goes_with_weight(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup v2 = GROUP(&a, CGROUP_V2, ""), v1 = GROUP(&a, CGROUP_V1, "cpu");
	CgroupResources on = { .cpu = { .idle = integer(1), .shares = number(1024) } },
			off = { .cpu = { .idle = integer(0), .shares = number(1024) } };
	fail_on("cpu.weight", EINVAL, 1);
	expect_apply(&v2, &on, true, "cpu.weight 100: error 22\ncpu.idle 1\n");
	expect_apply(&v2, &off, true, "cpu.idle 0\ncpu.weight 100\n");
	fail_on("cpu.shares", EINVAL, 1);
	expect_apply(&v1, &on, true, "cpu.shares 1024: error 22\ncpu.idle 1\n");
	expect_apply(&v1, &off, true, "cpu.idle 0\ncpu.shares 1024\n");
	CgroupResources bad = { .cpu.idle = integer(2) };
	fail_on("cpu.idle", EINVAL, 1);
	expect_refusal(&v2, &bad, true, "write \"2\" to ");
}

static void v2_refuses_what_it_cannot_do(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V2, "");
	CgroupPriority priority = { "eth0", 5 };
	CgroupHugepage bad = { "../2MB", 1 };
	CgroupResources r[] = {
		{ .cpu.realtime_runtime = integer(1000) }, { .net_class_id = number(5) }, { .net_priorities = { &priority, 1 } },
		{ .memory.swap = integer(100) },           { .hugepages = { &bad, 1 } },
	};
	static const char *const text[] = { "realtime", "classID", "classID", "without memory limit", "invalid huge page size" };
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		expect_refusal(&cg, &r[i], false, text[i]);
	put_file("unified/x/memory.current", "200000\n");
	CgroupResources tight = { .memory = { .limit = integer(100000), .check_before_update = { true, true } } };
	expect_refusal(&cg, &tight, true, "rejecting memory limit 100000 <= usage 200000");
}

static void unified_keys_are_checked(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V2, "");
	static const struct {
		const char *key, *text;
	} t[] = {
		{ "a/b.max", "(no slashes)" },           { "", "(no slashes)" },           { "memory", "CONTROLLER.PARAMETER" },
		{ ".max", "CONTROLLER.PARAMETER" },      { "memory.", "CONTROLLER" },      { "..", "CONTROLLER" },
		{ "cgroup.procs", "it is not a limit" }, { "cgroup.kill", "not a limit" }, { "cgroup.subtree_control", "not a limit" },
	};
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		StrPair one = { t[i].key, "1" };
		CgroupResources r = { .unified = { &one, 1 } };
		expect_refusal(&cg, &r, false, t[i].text);
		assert_string_equal(record, "");
	}
	StrPair fine = { "cgroup.max.depth", "3" }, absent = { "hugetlb.1GB.max", "0" };
	CgroupResources good = { .unified = { &fine, 1 } }, gone = { .unified = { &absent, 1 } };
	expect_apply(&cg, &good, false, "cgroup.max.depth 3\n");
	put_file("unified/x/cgroup.controllers", "cpu memory pids\n");
	fail_on("hugetlb.1GB.max", ENOENT, 1);
	expect_refusal(&cg, &gone, false, "unified resource \"hugetlb.1GB.max\" can't be set: controller \"hugetlb\" not available");
}

static void v2_controllers_are_enabled_on_the_way(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	CgroupResources r = { 0 };
	Cgroup cg = GROUP(&a, CGROUP_V2, "");
	CgroupHierarchy *h = cg.hierarchies.items;
	h->path = arena_printf(&a, "%s/p/q", h->mount);
	put_file("unified/cgroup.controllers", "cpu memory\n");
	put_file("unified/p/q/cgroup.controllers", "cpu\n");
	assert_int_equal(cgroup_v2_enable(h, &r, &e), 0);
	assert_string_equal(record, "cgroup.subtree_control +cpu +memory\ncgroup.subtree_control +cpu +memory\n");
	forget();
	fail_on("cgroup.subtree_control", EINVAL, 1); /* one of them is refused: each alone */
	assert_int_equal(cgroup_v2_enable(h, &r, &e), 0);
	assert_string_equal(record,
			    "cgroup.subtree_control +cpu +memory: error 22\ncgroup.subtree_control +cpu\ncgroup.subtree_control +memory\n"
			    "cgroup.subtree_control +cpu +memory\n");
	forget();
	put_file("unified/p/q/cgroup.controllers", "cpu memory\n"); /* all there: nothing to do */
	assert_int_equal(cgroup_v2_enable(h, &r, &e), 0);
	assert_string_equal(record, "");
	put_file("unified/p/q/cgroup.controllers", "\n");
	put_file("unified/p/q/cgroup.type", "domain invalid\n");
	CgroupResources memory = { .memory.limit = integer(5) };
	assert_true(cgroup_v2_enable(h, &memory, &e) < 0);
	assert_non_null(strstr(e.msg, "it is in an invalid state"));
	forget();
	assert_int_equal(cgroup_v2_enable(h, &r, &e), 0);
	assert_non_null(strstr(record, "cgroup.type threaded\n"));
}

/* ---- v1 ---- */

static void v1_writes_every_limit(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V1, "memory", "cpu,cpuacct", "blkio", "pids", "hugetlb", "net_cls,net_prio", "rdma", "cpuset");
	CgroupBlockDevice rate = { 8, 16, .rate = number(1048576) }, weight = { 8, 0, .weight = number(300), .leaf_weight = number(200) };
	CgroupPriority priority = { "eth0", 5 };
	CgroupHugepage huge = { "2MB", 4194304 };
	CgroupRdma rdma = { "mlx5_1", number(3), { 0 } };
	CgroupResources r = {
		.memory = { .limit = integer(100),
			    .swap = integer(300),
			    .reservation = integer(50),
			    .swappiness = number(60),
			    .disable_oom_killer = { true, true } },
		.cpu = { .shares = number(512),
			 .quota = integer(50000),
			 .period = number(200000),
			 .burst = number(10),
			 .cpus = "0",
			 .mems = "0" },
		.pids_limit = integer(-1),
		.block_io = { .weight = number(100),
			      .weight_device = { &weight, 1 },
			      .read_bps = { &rate, 1 },
			      .write_iops = { &rate, 1 } },
		.hugepages = { &huge, 1 },
		.net_class_id = number(0x100001),
		.net_priorities = { &priority, 1 },
		.rdma = { &rdma, 1 },
	};
	fail_on("blkio.weight", ENOENT, 1); /* a kernel with BFQ only */
	fail_on("hugetlb.2MB.rsvd.limit_in_bytes", ENOENT, 1);
	expect_apply(&cg, &r, false,
		     "memory.limit_in_bytes 100\nmemory.memsw.limit_in_bytes 300\nmemory.soft_limit_in_bytes 50\nmemory.oom_control 1\n"
		     "memory.swappiness 60\n"
		     "cpu.shares 512\ncpu.cfs_period_us 200000\ncpu.cfs_burst_us 10\ncpu.cfs_quota_us 50000\n"
		     "blkio.weight 100: error 2\nblkio.bfq.weight 100\nblkio.weight_device 8:0 300\nblkio.leaf_weight_device 8:0 200\n"
		     "blkio.throttle.read_bps_device 8:16 1048576\nblkio.throttle.write_iops_device 8:16 1048576\n"
		     "pids.max max\n"
		     "hugetlb.2MB.limit_in_bytes 4194304\nhugetlb.2MB.rsvd.limit_in_bytes 4194304: error 2\n"
		     "net_cls.classid 1048577\nnet_prio.ifpriomap eth0 5\n"
		     "rdma.max mlx5_1 hca_handle=3\n");
}

static void v1_memory_and_swap_fit_at_every_moment(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V1, "memory");
	CgroupResources raise = { .memory = { .limit = integer(200), .swap = integer(400) } };
	fail_on("memory.limit_in_bytes", EINVAL, 1); /* above the present sum: the sum goes first */
	expect_apply(&cg, &raise, true,
		     "memory.limit_in_bytes 200: error 22\nmemory.memsw.limit_in_bytes 400\nmemory.limit_in_bytes 200\n");
	CgroupResources open = { .memory.limit = integer(-1) };
	expect_apply(&cg, &open, true, "memory.memsw.limit_in_bytes -1\nmemory.limit_in_bytes -1\n");
	fail_on("memory.memsw.limit_in_bytes", ENOENT, 1);
	expect_apply(&cg, &open, true, "memory.memsw.limit_in_bytes -1: error 2\nmemory.limit_in_bytes -1\n");
	put_file("memory/x/memory.usage_in_bytes", "1052672\n");
	put_file("memory/x/memory.max_usage_in_bytes", "2000000\n");
	CgroupResources low = { .memory.limit = integer(4096) };
	fail_on("memory.limit_in_bytes", EBUSY, 1);
	expect_refusal(&cg, &low, true, "memory limit 4096 is too low: usage is 1052672, peak usage was 2000000");
	CgroupResources bad = { .memory.swappiness = number(101) };
	expect_refusal(&cg, &bad, true, "valid range is 0-100");
}

static void v1_quota_and_period_find_their_order(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V1, "cpu");
	CgroupResources r = { .cpu = { .quota = integer(3000), .period = number(10000), .burst = number(500) } };
	fail_on("cpu.cfs_period_us", EINVAL, 1);
	fail_on("cpu.cfs_burst_us", EINVAL, 1);
	expect_apply(
		&cg, &r, true,
		"cpu.cfs_period_us 10000: error 22\ncpu.cfs_burst_us 500: error 22\ncpu.cfs_quota_us 3000\ncpu.cfs_period_us 10000\ncpu.cfs_burst_us 500\n");
	CgroupResources period = { .cpu.period = number(100) };
	fail_on("cpu.cfs_period_us", EINVAL, 1);
	expect_refusal(&cg, &period, false, "write \"100\" to ");
	CgroupResources realtime = { .cpu = { .realtime_runtime = integer(900), .realtime_period = number(1000) } };
	fail_on("cpu.rt_period_us", EINVAL, 1);
	expect_apply(&cg, &realtime, true, "cpu.rt_period_us 1000: error 22\ncpu.rt_runtime_us 900\ncpu.rt_period_us 1000\n");
	CgroupResources few = { .cpu.shares = number(1) }, many = { .cpu.shares = number(262145) };
	expect_refusal(&cg, &few, true, "the minimum allowed cpu-shares is 2");
	expect_refusal(&cg, &many, true, "the maximum allowed cpu-shares is 262144");
}

static void v1_names_the_missing_controller(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Cgroup cg = GROUP(&a, CGROUP_V1, "memory");
	CgroupHugepage huge = { "2MB", 0 };
	StrPair one = { "memory.min", "1" };
	CgroupResources pids = { .pids_limit = integer(5) }, cpu = { .cpu.quota = integer(5) }, pages = { .hugepages = { &huge, 1 } },
			unified = { .unified = { &one, 1 } };
	expect_refusal(&cg, &pids, false, "cannot set pids limit: container could not join or create cgroup");
	expect_refusal(&cg, &cpu, false, "cannot set cpu limit: ");
	expect_refusal(&cg, &pages, false, "cannot set hugetlb limit: ");
	expect_refusal(&cg, &unified, false, "invalid configuration: cannot use unified on cgroup v1");
	/* in a hybrid layout the v2 tree does what it has */
	Cgroup hybrid = GROUP(&a, CGROUP_HYBRID, "memory", "");
	expect_apply(&hybrid, &pages, false, "hugetlb.2MB.max 0\nhugetlb.2MB.rsvd.max 0\n");
	put_file("unified/x/cgroup.controllers", "hugetlb\n");
	fail_on("memory.min", ENOENT, 1);
	expect_refusal(&hybrid, &unified, false,
		       "invalid configuration: unified resource \"memory.min\" can't be set: controller \"memory\" not available");
}

static void v1_cpuset_is_inherited(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	Cgroup cg = GROUP(&a, CGROUP_V1, "cpuset");
	CgroupHierarchy *h = cg.hierarchies.items;
	h->path = arena_printf(&a, "%s/p/q", h->mount);
	put_file("cpuset/cpuset.cpus", "0-3\n");
	put_file("cpuset/cpuset.mems", "0\n");
	put_file("cpuset/p/cpuset.cpus", "\n");
	put_file("cpuset/p/cpuset.mems", "0\n");
	put_file("cpuset/p/q/cpuset.cpus", "\n");
	CgroupResources none = { 0 }, given = { .cpu.cpus = "1" };
	assert_int_equal(cgroup_v1_create(&cg, h, false, &none, &e), 0);
	assert_string_equal(record, "cpuset.cpus 0-3\ncpuset.cpus 0-3\ncpuset.mems 0\n"); /* p and q; q */
	forget();
	assert_int_equal(cgroup_v1_create(&cg, h, false, &given, &e), 0);
	assert_string_equal(record, "cpuset.cpus 0-3\ncpuset.cpus 1\ncpuset.mems 0\n"); /* p; q; q */
}

/* ---- devices ---- */

static CgroupDeviceRule rule(bool allow, const char *type, int64_t major, int64_t minor, const char *access)
{
	return (CgroupDeviceRule){ .allow = allow, .type = type, .major = integer(major), .minor = integer(minor), .access = access };
}

static void device_rules_are_checked(void **state)
{
	char line[CGROUP_DEVICE_LINE_MAX];
	CgroupDevice d;
	Err e = ERR_INIT;
	CgroupDeviceRule good = rule(true, "c", 10, -1, "mr");
	assert_int_equal(cgroup_device_parse(&good, &d, &e), 0);
	assert_string_equal(cgroup_device_line(&d, line), "c 10:* rm");
	CgroupDeviceRule all = { .allow = false, .access = "rwm" };
	assert_int_equal(cgroup_device_parse(&all, &d, &e), 0);
	assert_string_equal(cgroup_device_line(&d, line), "a");
	CgroupDeviceRule odd = rule(false, "c", 1, 11, "rwa"), only_odd = rule(false, "c", 1, 11, "a");
	assert_int_equal(cgroup_device_parse(&odd, &d, &e), 0);
	assert_string_equal(cgroup_device_line(&d, line), "c 1:11 rw");
	assert_int_equal(cgroup_device_parse(&only_odd, &d, &e), -EINVAL);
	CgroupDeviceRule bad[] = { rule(true, "x", 1, 1, "r"), rule(true, "c", 1, 1, "rx"), rule(true, "c", -2, 1, "r"),
				   rule(true, "c", INT64_C(1) << 32, 1, "r") };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(cgroup_device_parse(&bad[i], &d, &e), -EINVAL);
}

static void read_back(const char *path, char *to, size_t size)
{
	char full[512];
	snprintf(full, sizeof full, "%s/%s", base, path);
	assert_true(fd_read_small(AT_FDCWD, full, to, size) >= 0);
}

static void v1_update_changes_only_what_differs(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	char allow[256], deny[256];
	Err e = ERR_INIT;
	Cgroup cg = GROUP(&a, CGROUP_V1, "devices");
	CgroupDeviceRule rules[] = {
		{ .allow = false }, rule(true, "c", 1, 3, "rwm"), rule(true, "c", 1, 5, "r"), rule(true, "b", 8, 0, NULL)
	};
	CgroupResources r = { .devices = { rules, ARRAY_LEN(rules) } };
	put_file("devices/x/devices.list", "c 1:3 rwm\nc 1:5 rw\nb 8:0 rm\n");
	put_file("devices/x/devices.allow", "");
	put_file("devices/x/devices.deny", "");
	assert_int_equal(cgroup_device_v1(cg.hierarchies.items[0].path, &r, true, &e), 0);
	read_back("devices/x/devices.allow", allow, sizeof allow);
	read_back("devices/x/devices.deny", deny, sizeof deny);
	assert_string_equal(allow, "b 8:0 w");
	assert_string_equal(deny, "c 1:5 w");
}

/* The few instructions that the device program uses. */
static bool run(const CgroupProgram *p, uint32_t type, uint32_t access, uint32_t major, uint32_t minor)
{
	uint64_t reg[11] = { 0 };
	const uint32_t ctx[3] = { access << 16 | type, major, minor };
	for (size_t at = 0; at < p->n; at++) {
		struct bpf_insn i = p->items[at];
		switch (i.code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			reg[i.dst_reg] = ctx[i.off / 4];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			reg[i.dst_reg] = reg[i.src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			reg[i.dst_reg] = (uint64_t)(int64_t)i.imm;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			reg[i.dst_reg] &= (uint64_t)(int64_t)i.imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			reg[i.dst_reg] >>= i.imm;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			if ((uint32_t)reg[i.dst_reg] != (uint32_t)i.imm) at += (size_t)i.off;
			break;
		case BPF_JMP32 | BPF_JEQ | BPF_K:
			if ((uint32_t)reg[i.dst_reg] == (uint32_t)i.imm) at += (size_t)i.off;
			break;
		case BPF_JMP | BPF_EXIT:
			return reg[0];
		default:
			fail_msg("instruction %zu: code 0x%x", at, i.code);
		}
	}
	fail_msg("the program has no end");
	return false;
}

static void later_device_rules_win(void **state)
{
	enum { B = BPF_DEVCG_DEV_BLOCK, C = BPF_DEVCG_DEV_CHAR, M = CGROUP_MKNOD, R = CGROUP_READ, W = CGROUP_WRITE };
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	CgroupProgram p;
	CgroupDeviceRule rules[] = {
		rule(true, "b", 8, 0, "rwm"), /* set aside by the next */
		{ .allow = false },
		rule(true, "c", -1, -1, "m"),
		rule(true, "c", 1, 3, "r"),
		rule(true, "c", 1, 3, "w"),
		rule(true, "c", 136, -1, "rwm"),
		rule(false, "c", 136, 7, "w"),
		rule(true, "b", UINT32_MAX, 0, "r"),
	};
	CgroupResources r = { .devices = { rules, ARRAY_LEN(rules) } };
	assert_int_equal(cgroup_program(&r, &a, &p, &e), 0);
	assert_false(run(&p, B, R, 8, 0));
	assert_true(run(&p, C, M, 9, 9));
	assert_false(run(&p, B, M, 9, 9));
	assert_true(run(&p, C, R | W, 1, 3)); /* from two rules */
	assert_true(run(&p, C, R | W | M, 1, 3));
	assert_false(run(&p, C, R, 1, 4));
	assert_true(run(&p, C, R | W, 136, 6));
	assert_true(run(&p, C, R, 136, 7));
	assert_false(run(&p, C, R | W, 136, 7));
	assert_true(run(&p, B, R, UINT32_MAX, 0));
	CgroupDeviceRule open[] = { { .allow = true }, rule(false, "c", 5, 1, "rw") };
	r.devices.items = open;
	r.devices.n = 2;
	assert_int_equal(cgroup_program(&r, &a, &p, &e), 0);
	assert_true(run(&p, C, M, 5, 1));
	assert_false(run(&p, C, W | M, 5, 1));
	assert_true(run(&p, B, R | W | M, 1, 1));
	r.devices.n = 0;
	assert_int_equal(cgroup_program(&r, &a, &p, &e), 0);
	assert_false(run(&p, C, R, 1, 3));
}

/* ---- statistics ---- */

static void v2_statistics_have_runcs_shape(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	Cgroup cg = GROUP(&a, CGROUP_V2, "");
	put_file("unified/x/cpu.stat",
		 "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 1\nthrottled_usec 7\nnr_bursts 0\n");
	put_file("unified/x/cpu.pressure",
		 "some avg10=1.50 avg60=0.00 avg300=0.00 total=10\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
	put_file("unified/x/memory.stat", "anon 100\nfile 200\n");
	put_file("unified/x/memory.current", "1000\n");
	put_file("unified/x/memory.max", "max\n");
	put_file("unified/x/memory.peak", "2000\n");
	put_file("unified/x/memory.swap.current", "50\n");
	put_file("unified/x/memory.swap.max", "4096\n");
	put_file("unified/x/pids.current", "3\n");
	put_file("unified/x/pids.max", "max\n");
	put_file("unified/x/io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n");
	AUTO_BUF b = BUF_INIT(1 << 16);
	JsonWriter w = JSON_WRITER(&b);
	assert_int_equal(cgroup_stats_write(&cg, &w, &e), 0);
	assert_string_equal(
		buf_str(&b),
		"{\"cpu\":{\"usage\":{\"total\":30000,\"kernel\":10000,\"user\":20000},"
		"\"throttling\":{\"periods\":5,\"throttledPeriods\":1,\"throttledTime\":7000},"
		"\"psi\":{\"some\":{\"avg10\":1.5,\"avg60\":0,\"avg300\":0,\"total\":10},\"full\":{\"avg10\":0,\"avg60\":0,\"avg300\":0,\"total\":0}}},"
		"\"cpuset\":{\"cpu_exclusive\":0,\"mem_hardwall\":0,\"mem_exclusive\":0,\"memory_migrate\":0,\"memory_spread_page\":0,"
		"\"memory_spread_slab\":0,\"memory_pressure\":0,\"sched_load_balance\":0,\"sched_relax_domain_level\":0},"
		"\"memory\":{\"cache\":200,\"usage\":{\"limit\":18446744073709551615,\"usage\":1000,\"max\":2000,\"failcnt\":0},"
		"\"swap\":{\"limit\":18446744073709551615,\"usage\":1050,\"failcnt\":0},\"raw\":{\"anon\":100,\"file\":200}},"
		"\"pids\":{\"current\":3},"
		"\"blkio\":{\"ioServiceBytesRecursive\":[{\"major\":8,\"op\":\"Read\",\"value\":10},{\"major\":8,\"op\":\"Write\",\"value\":20}],"
		"\"ioServicedRecursive\":[{\"major\":8,\"op\":\"Read\",\"value\":1},{\"major\":8,\"op\":\"Write\",\"value\":2}]},"
		"\"hugetlb\":{},\"intel_rdt\":{},\"network_interfaces\":null}");
	Cgroup gone = GROUP(&a, CGROUP_V2, "");
	gone.hierarchies.items[0].path = arena_printf(&a, "%s/nowhere", base);
	assert_int_equal(cgroup_stats_write(&gone, &w, &e), -ENOENT);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, start, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(weights_follow_the_curve),
		CASE(swap_is_the_difference),
		CASE(absolute_paths_start_at_the_mount),
		CASE(relative_paths_start_at_our_own_group),
		CASE(what_is_mounted_elsewhere_is_looked_up),
		CASE(v2_goes_beside_our_own_group),
		CASE(the_root_is_refused),
		CASE(a_group_survives_the_state_file),
		CASE(v2_writes_every_limit),
		CASE(v2_takes_bfq_where_it_is),
		CASE(v2_unlimited_is_max),
		CASE(v2_zero_means_not_set),
		CASE(v2_keeps_the_other_half_of_cpu_max),
		CASE(idle_goes_with_weight),
		CASE(v2_refuses_what_it_cannot_do),
		CASE(unified_keys_are_checked),
		CASE(v2_controllers_are_enabled_on_the_way),
		CASE(v1_writes_every_limit),
		CASE(v1_memory_and_swap_fit_at_every_moment),
		CASE(v1_quota_and_period_find_their_order),
		CASE(v1_names_the_missing_controller),
		CASE(v1_cpuset_is_inherited),
		CASE(device_rules_are_checked),
		CASE(v1_update_changes_only_what_differs),
		CASE(later_device_rules_win),
		CASE(v2_statistics_have_runcs_shape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
