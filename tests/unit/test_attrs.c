/* test_attrs.c: what a process is given before it starts: capabilities, scheduling, limits, labels. Read back from the kernel. */
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "base/bind.h"
#include "child.h"
#include "sys/cap.h"
#include "sys/fd.h"
#include "sys/lsm.h"
#include "sys/sched.h"

/* A line of /proc/self/status as a number: "CapBnd" and the like. */
static uint64_t status_hex(const char *key)
{
	char text[8192], *line;
	char want[32];
	uint64_t v = 0;
	snprintf(want, sizeof want, "\n%s:\t", key);
	assert_true(fd_read_small(AT_FDCWD, "/proc/self/status", text, sizeof text) > 0);
	line = strstr(text, want);
	assert_non_null(line);
	line += strlen(want);
	assert_int_equal(str_to_u64_base((Str){ line, 16 }, 16, &v), 0);
	return v;
}

/* Fills *obj from JSON text; the message of a refusal is in *e. */
static int parse(const BindTable *t, const char *json, void *obj, Arena *a, Err *e)
{
	char *text = arena_strdup(a, json);
	assert_non_null(text);
	return bind_parse(t, text, strlen(text), obj, "config.json", a, e);
}

/* ---- capabilities ---- */

static void cap_names_are_the_kernels(void **state)
{
	(void)state;
	for (int n = 0; n <= 40; n++) {
		assert_non_null(cap_name(n));
		assert_int_equal(cap_by_name(cap_name(n)), n);
	}
	assert_null(cap_name(41));
	assert_string_equal(cap_name(21), "CAP_SYS_ADMIN");
	assert_string_equal(cap_name(40), "CAP_CHECKPOINT_RESTORE");
	assert_int_equal(cap_by_name("sys_admin"), 21);
	assert_int_equal(cap_by_name("cap_chown"), 0);
	const char *bad[] = { "", "CAP_", "CAP_CAP_CHOWN", "CAP_UNKNOWN", "CAP_CHOWN ", "CAP_A_NAME_LONGER_THAN_EVERY_BUFFER_HERE" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(cap_by_name(bad[i]), -EINVAL);
	char text[16];
	uint64_t last = 0;
	ssize_t n = fd_read_small(AT_FDCWD, "/proc/sys/kernel/cap_last_cap", text, sizeof text);
	if (n <= 0 || str_to_u64((Str){ text, (size_t)n }, &last) < 0) return;
	assert_int_equal(cap_last(), last);
}

static void note_unknown(void *data, const char *name)
{
	Buf *b = data;
	buf_printf(b, "%s;", name);
}

static void unknown_caps_are_told_not_refused(void **state)
{
	(void)state;
	const char *names[] = { "CAP_CHOWN", "CAP_UNKNOWN", "chown", "CAP_KILL", "CAP_CHOWN", NULL };
	StrList l = { .items = names, .n = 5 };
	AUTO_BUF said = BUF_INIT(200);
	assert_true(cap_parse_list(&l, note_unknown, &said) == (CAP_BIT(0) | CAP_BIT(5)));
	assert_string_equal(buf_str(&said), "CAP_UNKNOWN;chown;");
	assert_true(cap_parse_list(&l, NULL, NULL) == 0x21);
}

static int drop_bounding(void)
{
	uint64_t before = cap_get_bounding(), keep = CAP_BIT(0) | CAP_BIT(5) | CAP_BIT(8) | CAP_BIT(40);
	NEED(before == status_hex("CapBnd"));
	NEED(cap_drop_bounding(keep) == 0);
	NEED(status_hex("CapBnd") == (before & keep));
	NEED(cap_get_bounding() == (before & keep));
	CapSets none = { 0 };
	NEED(cap_set(&none) == 0);
	NEED(cap_drop_bounding(keep) == 0); /* nothing left to drop: no capability needed */
	NEED(cap_drop_bounding(CAP_BIT(0)) == -EPERM);
	return 0;
}

static int set_caps(void)
{
	CapSets s = { .effective = CAP_BIT(5),
		      .permitted = CAP_BIT(0) | CAP_BIT(5) | CAP_BIT(40),
		      .inheritable = CAP_BIT(0) | CAP_BIT(40) };
	CapSets got;
	NEED(cap_set(&s) == 0);
	NEED(status_hex("CapEff") == s.effective && cap_get_effective() == s.effective);
	NEED(status_hex("CapPrm") == s.permitted && cap_get_permitted() == s.permitted);
	NEED(status_hex("CapInh") == s.inheritable);
	NEED(cap_get(&got) == 0 && memcmp(&got, &s, sizeof s) == 0);
	NEED(cap_set_ambient(CAP_BIT(0) | CAP_BIT(40)) == 0);
	NEED(status_hex("CapAmb") == (CAP_BIT(0) | CAP_BIT(40)));
	NEED(cap_set_ambient(CAP_BIT(5) | CAP_BIT(40)) == -EPERM); /* 5 is not inheritable; the rest stands */
	NEED(status_hex("CapAmb") == CAP_BIT(40) && cap_get_ambient() == CAP_BIT(40));
	NEED(cap_set_ambient(0) == 0 && status_hex("CapAmb") == 0);
	s.permitted |= CAP_BIT(21);
	NEED(cap_set(&s) == -EPERM);
	return 0;
}

static void caps_reach_the_kernel(void **state)
{
	(void)state;
	need_root();
	in_child(drop_bounding);
	in_child(set_caps);
}

/* ---- scheduler ---- */

static void scheduler_is_checked(void **state)
{
	(void)state;
	static const struct {
		const char *json, *says; /* says NULL: fine */
	} cases[] = {
		{ "{\"policy\":\"SCHED_BATCH\",\"nice\":19}", NULL },
		{ "{\"policy\":\"SCHED_OTHER\",\"nice\":-20}", NULL },
		{ "{\"policy\":\"SCHED_FIFO\",\"priority\":99}", NULL },
		{ "{\"policy\":\"SCHED_FIFO\",\"priority\":50,\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\"]}", NULL },
		{ "{\"policy\":\"SCHED_DEADLINE\",\"runtime\":42000,\"deadline\":1000000,\"period\":1000000}", NULL },
		{ "{\"policy\":\"SCHED_DEADLINE\",\"runtime\":42000,\"deadline\":1000000}", NULL },
		{ "{}", "policy: required" },
		{ "{\"policy\":\"SCHED_BAD\"}", "unknown value \"SCHED_BAD\"" },
		{ "{\"policy\":\"SCHED_OTHER\",\"flags\":[\"BAD\"]}", "unknown value \"BAD\"" },
		{ "{\"policy\":\"SCHED_OTHER\",\"nice\":20}", "invalid scheduler.nice: 20 when scheduler.policy is SCHED_OTHER" },
		{ "{\"policy\":\"SCHED_BATCH\",\"nice\":-21}", "invalid scheduler.nice: -21" },
		{ "{\"policy\":\"SCHED_RR\",\"priority\":100}", "invalid scheduler.priority: 100" },
		{ "{\"policy\":\"SCHED_RR\"}", "invalid scheduler.priority: 0" },
		{ "{\"policy\":\"SCHED_OTHER\",\"priority\":1}", "can only be specified for SchedFIFO or SchedRR" },
		{ "{\"policy\":\"SCHED_OTHER\",\"runtime\":1}", "can only be specified for SchedDeadline" },
		{ "{\"policy\":\"SCHED_DEADLINE\",\"runtime\":2000000,\"deadline\":1000000}", "1024 <= runtime <= deadline <= period" },
		{ "{\"policy\":\"SCHED_DEADLINE\"}", "SCHED_DEADLINE needs" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(100000);
		Err e = ERR_INIT;
		Scheduler s;
		int r = parse(&sched_table, cases[i].json, &s, &a, &e);
		if (r >= 0) r = sched_check(&s, &e);
		assert_int_equal(r, cases[i].says ? -EINVAL : 0);
		if (cases[i].says && !strstr(e.msg, cases[i].says)) fail_msg("\"%s\" lacks \"%s\"", e.msg, cases[i].says);
	}
}

typedef struct Attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
} Attr;

static int apply_scheduler(void)
{
	static const struct {
		Scheduler s;
		int flag;
	} cases[] = {
		{ { .policy = SCHED_BATCH, .nice = 7 }, 0 },
		{ { .policy = SCHED_NORMAL, .nice = 8 }, SCHED_FLAG_RESET_ON_FORK },
		{ { .policy = SCHED_IDLE }, 0 },
		{ { .policy = SCHED_RR, .priority = 10 }, SCHED_FLAG_RESET_ON_FORK },
		{ { .policy = SCHED_DEADLINE, .runtime = 42000, .deadline = 1000000, .period = 2000000 }, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		Scheduler s = cases[i].s;
		int flags[] = { cases[i].flag };
		if (flags[0]) s.flags = (IntList){ flags, 1 };
		Attr got = { 0 };
		int r = sched_apply(&s, &e);
		if (r == -EPERM && s.policy >= SCHED_FIFO) return CHILD_SKIP; /* a cgroup without real-time share */
		NEED_OK(r);
		NEED(syscall(SYS_sched_getattr, 0, &got, sizeof got, 0) == 0);
		NEED((int)got.policy == s.policy && (int)got.priority == s.priority);
		NEED((s.policy != SCHED_BATCH && s.policy != SCHED_NORMAL) || got.nice == s.nice);
		NEED(got.flags == (uint64_t)cases[i].flag);
		NEED(s.policy != SCHED_DEADLINE || (got.runtime == s.runtime && got.deadline == s.deadline && got.period == s.period));
	}
	return 0;
}

static void scheduler_reaches_the_kernel(void **state)
{
	(void)state;
	need_root();
	in_child(apply_scheduler);
}

static int apply_ioprio(void)
{
	static const IoPriority cases[] = { { 2, 4 }, { 3, 0 }, { 1, 7 } };
	NEED(setpgid(0, 0) == 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		NEED_OK(ioprio_check(&cases[i], &e));
		int r = ioprio_apply(&cases[i], &e);
		if (r == -EPERM && cases[i].klass == 1) continue; /* real time needs CAP_SYS_NICE or CAP_SYS_ADMIN */
		NEED_OK(r);
		NEED(syscall(SYS_ioprio_get, IOPRIO_WHO_PGRP, 0) == (cases[i].klass << 13 | cases[i].priority));
	}
	return 0;
}

static void ioprio_reaches_the_kernel(void **state)
{
	(void)state;
	static const IoPriority bad[] = { { 2, 8 }, { 2, -1 }, { 0, 1 }, { 4, 1 } };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		Err e = ERR_INIT;
		assert_int_equal(ioprio_check(&bad[i], &e), -EINVAL);
	}
	in_child(apply_ioprio);
}

/* ---- lists, affinity ---- */

static void lists_are_parsed(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		int r;
		unsigned n, end;
		unsigned long word; /* the first one */
	} cases[] = {
		{ "0", 0, 1, 1, 1 },
		{ "0-3,7", 0, 5, 8, 0x8f },
		{ "7,0-3,2-4", 0, 6, 8, 0x9f },
		{ "63-64", 0, 2, 65, 1UL << 63 },
		{ " 1, 3 ,,", 0, 2, 4, 0xa }, /* as runc takes it */
		{ "8191", 0, 1, 8192, 0 },
		{ "8192", -ERANGE, 0, 0, 0 },
		{ "0-9876543210", -ERANGE, 0, 0, 0 },
		{ "", -EINVAL, 0, 0, 0 },
		{ ",", -EINVAL, 0, 0, 0 },
		{ "3-1", -EINVAL, 0, 0, 0 },
		{ "-1", -EINVAL, 0, 0, 0 },
		{ "1-", -EINVAL, 0, 0, 0 },
		{ "1-2-3", -EINVAL, 0, 0, 0 },
		{ "0x1", -EINVAL, 0, 0, 0 },
		{ "1 - 2", -EINVAL, 0, 0, 0 },
		{ "a", -EINVAL, 0, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		SchedBits b = { 0 };
		assert_int_equal(sched_list_parse(cases[i].list, "list", &b, &e), cases[i].r);
		assert_int_equal(b.n, cases[i].n);
		assert_int_equal(b.end, cases[i].end);
		assert_true(b.word[0] == cases[i].word);
	}
}

static int bind_cpus(void)
{
	Err e = ERR_INIT;
	unsigned long before[128] = { 0 }, now[128] = { 0 };
	NEED(syscall(SYS_sched_getaffinity, 0, sizeof before, before) > 0);
	int first = __builtin_ctzl(before[0] ? before[0] : 1);
	char list[16];
	snprintf(list, sizeof list, "%d", first);
	NEED_OK(cpu_affinity_set(NULL, &e));
	NEED_OK(cpu_affinity_set(list, &e));
	NEED(syscall(SYS_sched_getaffinity, 0, sizeof now, now) > 0);
	NEED(now[0] == 1UL << first);
	NEED(cpu_affinity_reset() == 0);
	NEED(syscall(SYS_sched_getaffinity, 0, sizeof now, now) > 0);
	NEED((now[0] & before[0]) == before[0]);
	NEED(cpu_affinity_set("8190", &e) == -EINVAL && strstr(e.msg, "8190"));
	return 0;
}

static void cpus_reach_the_kernel(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	CpuAffinity fine = { .initial = "0-1", .final = "" }, bad = { .initial = NULL, .final = "2-0" };
	assert_int_equal(cpu_affinity_check(&fine, &e), 0);
	assert_int_equal(cpu_affinity_check(&bad, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "final"));
	in_child(bind_cpus);
}

/* ---- memory policy, personality ---- */

static void memory_policy_is_checked(void **state)
{
	(void)state;
	static const struct {
		const char *json, *says;
	} cases[] = {
		{ "{\"mode\":\"MPOL_BIND\",\"nodes\":\"0\",\"flags\":[\"MPOL_F_STATIC_NODES\"]}", NULL },
		{ "{\"mode\":\"MPOL_DEFAULT\"}", NULL },
		{ "{\"mode\":\"MPOL_PREFERRED\"}", NULL },
		{ "{}", "invalid memory policy mode" },
		{ "{\"nodes\":\"0-7\"}", "invalid memory policy mode" },
		{ "{\"mode\":\"INTERLEAVE\",\"nodes\":\"0\"}", "invalid memory policy mode \"INTERLEAVE\"" },
		{ "{\"mode\":\"MPOL_PREFERRED\",\"nodes\":\"0\",\"flags\":[\"MPOL_F_RELATIVE_NODES\",\"badflag\"]}",
		  "invalid memory policy flag \"badflag\"" },
		{ "{\"mode\":\"MPOL_DEFAULT\",\"nodes\":\"0-7\"}", "mode requires 0 nodes but got 8" },
		{ "{\"mode\":\"MPOL_LOCAL\",\"nodes\":\"0\"}", "mode requires 0 nodes but got 1" },
		{ "{\"mode\":\"MPOL_INTERLEAVE\"}", "mode requires at least one node" },
		{ "{\"mode\":\"MPOL_BIND\",\"nodes\":\"0-9876543210\",\"flags\":[]}", "invalid memory policy node" },
		{ "{\"mode\":\"MPOL_BIND\",\"nodes\":\"0\",\"flags\":[\"MPOL_F_STATIC_NODES\",\"MPOL_F_RELATIVE_NODES\"]}",
		  "exclude each other" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(100000);
		Err e = ERR_INIT;
		MemoryPolicy m;
		int r = parse(&memory_policy_table, cases[i].json, &m, &a, &e);
		if (r >= 0) r = memory_policy_check(&m, &e);
		assert_true(cases[i].says ? r < 0 : r == 0);
		if (cases[i].says && !strstr(e.msg, cases[i].says)) fail_msg("\"%s\" lacks \"%s\"", e.msg, cases[i].says);
	}
}

static int apply_memory_policy(void)
{
	const char *fixed[] = { "MPOL_F_STATIC_NODES", NULL };
	const struct {
		MemoryPolicy m;
		int mode;
		unsigned long nodes;
	} cases[] = {
		{ { .mode = "MPOL_BIND", .nodes = "0", .flags = { fixed, 1 } }, MPOL_BIND | MPOL_F_STATIC_NODES, 1 },
		{ { .mode = "MPOL_INTERLEAVE", .nodes = "0" }, MPOL_INTERLEAVE, 1 },
		{ { .mode = "MPOL_PREFERRED" }, MPOL_LOCAL, 0 },
		{ { .mode = "MPOL_DEFAULT" }, MPOL_DEFAULT, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		int mode = -1;
		unsigned long nodes[64] = { 0 };
		int r = memory_policy_apply(&cases[i].m, &e);
		if (r == -ENOSYS || r == -EPERM) return CHILD_SKIP; /* kernel without NUMA, or a filter above us */
		NEED_OK(r);
		NEED(syscall(SYS_get_mempolicy, &mode, nodes, sizeof nodes * 8, NULL, 0) == 0);
		NEED(mode == cases[i].mode && nodes[0] == cases[i].nodes);
	}
	return 0;
}

static int apply_personality(void)
{
	Err e = ERR_INIT;
	struct utsname u;
	Personality p = { .domain = PER_LINUX32 };
	NEED_OK(personality_apply(&p, &e));
	NEED(personality(0xffffffff) == PER_LINUX32);
#ifdef __x86_64__
	NEED(uname(&u) == 0 && streq(u.machine, "i686"));
#endif
	p.domain = PER_LINUX;
	NEED_OK(personality_apply(&p, &e));
	NEED(personality(0xffffffff) == PER_LINUX && uname(&u) == 0);
	return 0;
}

static void policy_and_personality_reach_the_kernel(void **state)
{
	(void)state;
	in_child(apply_personality);
	in_child(apply_memory_policy);
}

/* ---- resource limits ---- */

static int apply_rlimits(void)
{
	Err e = ERR_INIT;
	struct rlimit got;
	Rlimit items[] = { { RLIMIT_NOFILE, 100, 200 }, { RLIMIT_CORE, 0, 0 } };
	Rlimits l = { items, 2 };
	NEED_OK(rlimit_check(&l, &e));
	NEED_OK(rlimit_apply(0, &l, &e));
	NEED(getrlimit(RLIMIT_NOFILE, &got) == 0 && got.rlim_cur == 100 && got.rlim_max == 200);
	NEED(getrlimit(RLIMIT_CORE, &got) == 0 && got.rlim_max == 0);
	CapSets s;
	NEED(cap_get(&s) == 0);
	s.effective &= ~CAP_BIT(24);
	NEED(cap_set(&s) == 0);
	items[0] = (Rlimit){ RLIMIT_NOFILE, 300, 400 };
	NEED(rlimit_apply(0, &l, &e) == -EPERM);
	NEED(strstr(e.msg, "error setting rlimit type 7: operation not permitted") && strstr(e.msg, "RLIMIT_NOFILE"));
	NEED(strstr(e.msg, "400") && strstr(e.msg, "200") && strstr(e.msg, "CAP_SYS_RESOURCE"));
	NEED(getrlimit(RLIMIT_NOFILE, &got) == 0 && got.rlim_max == 200);
	NEED(rlimit_reserve(&l, &e) == -EPERM && strstr(e.msg, "error setting rlimit type 7: operation not permitted"));
	items[0] = (Rlimit){ RLIMIT_NOFILE, 10, 150 };
	NEED_OK(rlimit_reserve(&l, &e));
	NEED(getrlimit(RLIMIT_NOFILE, &got) == 0 && got.rlim_cur == 100 && got.rlim_max == 200);
	return 0;
}

static void rlimits_reach_the_kernel(void **state)
{
	(void)state;
	in_child(apply_rlimits);
}

static void rlimits_are_checked(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	Rlimit twice[] = { { RLIMIT_NOFILE, 1, 2 }, { RLIMIT_NOFILE, 1, 2 } }, above[] = { { RLIMIT_AS, 3, 2 } };
	Rlimits l = { twice, 2 };
	assert_int_equal(rlimit_check(&l, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "RLIMIT_NOFILE is given twice"));
	l = (Rlimits){ above, 1 };
	assert_int_equal(rlimit_check(&l, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "soft limit 3 is above hard limit 2"));
	AUTO_ARENA a = ARENA_INIT(100000);
	Rlimit one;
	assert_int_equal(parse(&rlimit_table, "{\"type\":\"RLIMIT_CPU\",\"hard\":18446744073709551615,\"soft\":5}", &one, &a, &e), 0);
	assert_true(one.type == RLIMIT_CPU && one.hard == RLIM_INFINITY && one.soft == 5);
	AUTO_BUF out = BUF_INIT(1000);
	JsonWriter w = JSON_WRITER(&out);
	bind_encode(&rlimit_table, &one, &w); /* RLIMIT_CPU is 0 and must be there all the same */
	assert_string_equal(buf_str(&out), "{\"type\":\"RLIMIT_CPU\",\"hard\":18446744073709551615,\"soft\":5}");
	assert_int_equal(parse(&rlimit_table, "{\"type\":\"RLIMIT_BAD\",\"hard\":1,\"soft\":1}", &one, &a, &e), -EINVAL);
	assert_int_equal(parse(&rlimit_table, "{\"hard\":1,\"soft\":1}", &one, &a, &e), -EINVAL);
}

/* ---- labels ---- */

static void labels_need_their_module(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	assert_int_equal(lsm_check(NULL, NULL, &e), 0);
	assert_int_equal(lsm_check("", "", &e), 0);
	assert_int_equal(lsm_check("unconfined", NULL, &e), 0);
	if (!apparmor_enabled()) {
		assert_int_equal(lsm_check("some-profile", NULL, &e), -EOPNOTSUPP);
		assert_non_null(strstr(e.msg, "apparmor: config provided but apparmor not supported"));
		assert_non_null(strstr(e.msg, "some-profile"));
	}
	if (!selinux_enabled()) {
		assert_int_equal(lsm_check(NULL, "system_u:system_r:container_t:s0", &e), -EOPNOTSUPP);
		assert_non_null(strstr(e.msg, "selinux label is specified in config, but selinux is disabled or not supported"));
	}
}

static void labels_go_to_procfs_only(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	AUTO_FD int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC), proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(lsm_set_exec_label(tmp, "a-profile", NULL, &e), -EXDEV);
	assert_int_equal(lsm_set_exec_label(tmp, NULL, "a_u:b_r:c_t:s0", &e), -EXDEV);
	assert_int_equal(lsm_set_keycreate_label(tmp, "a_u:b_r:c_t:s0", &e), -EXDEV);
	assert_int_equal(lsm_set_exec_label(proc, NULL, NULL, &e), 0);
	assert_int_equal(lsm_set_exec_label(proc, "", "", &e), 0);
	if (apparmor_enabled()) return;
	assert_int_equal(lsm_set_exec_label(proc, "unconfined", NULL, &e), 0);
	assert_true(lsm_set_exec_label(proc, "no-such-profile", NULL, &e) < 0);
	assert_non_null(strstr(e.msg, "unable to apply apparmor profile \"no-such-profile\""));
}

/* Something mounted over the attributes of this thread must not get the label. */
static int overmounted_attributes(void)
{
	Err e = ERR_INIT;
	char path[96], self[48];
	if (syscall(SYS_unshare, CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return CHILD_SKIP;
	ssize_t n = readlink("/proc/thread-self", self, sizeof self - 1);
	NEED(n > 0);
	self[n] = 0;
	snprintf(path, sizeof path, "/proc/%s/attr", self);
	if (mount("tmpfs", path, "tmpfs", 0, NULL) < 0) return CHILD_SKIP;
	snprintf(path, sizeof path, "/proc/%s/attr/exec", self);
	AUTO_FD int trap = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	NEED(trap >= 0);
	AUTO_FD int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NEED(lsm_set_exec_label(proc, NULL, "a_u:b_r:c_t:s0", &e) == -EXDEV);
	NEED(lsm_set_exec_label(proc, "a-profile", NULL, &e) == -EXDEV);
	NEED(lseek(trap, 0, SEEK_END) == 0);
	return 0;
}

static void labels_do_not_cross_mounts(void **state)
{
	(void)state;
	need_root();
	in_child(overmounted_attributes);
}

static void mount_labels_are_quoted(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	AUTO_BUF b = BUF_INIT(200);
	assert_int_equal(lsm_mount_option(NULL, &b, &e), 0);
	assert_int_equal(b.n, 0);
	assert_int_equal(lsm_mount_option("u:r:t:s0:c1,c2", &b, &e), 0);
	assert_string_equal(buf_str(&b), "context=\"u:r:t:s0:c1,c2\"");
	buf_reset(&b);
	buf_puts(&b, "mode=755");
	assert_int_equal(lsm_mount_option("u:r:t:s0", &b, &e), 0);
	assert_string_equal(buf_str(&b), "mode=755,context=\"u:r:t:s0\"");
	const char *bad[] = { "a\"b", "a b", "a\nb", "a\\b" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(lsm_mount_option(bad[i], &b, &e), -EINVAL);
	assert_string_equal(buf_str(&b), "mode=755,context=\"u:r:t:s0\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cap_names_are_the_kernels),
		cmocka_unit_test(unknown_caps_are_told_not_refused),
		cmocka_unit_test(caps_reach_the_kernel),
		cmocka_unit_test(scheduler_is_checked),
		cmocka_unit_test(scheduler_reaches_the_kernel),
		cmocka_unit_test(ioprio_reaches_the_kernel),
		cmocka_unit_test(lists_are_parsed),
		cmocka_unit_test(cpus_reach_the_kernel),
		cmocka_unit_test(memory_policy_is_checked),
		cmocka_unit_test(policy_and_personality_reach_the_kernel),
		cmocka_unit_test(rlimits_are_checked),
		cmocka_unit_test(rlimits_reach_the_kernel),
		cmocka_unit_test(labels_need_their_module),
		cmocka_unit_test(labels_go_to_procfs_only),
		cmocka_unit_test(labels_do_not_cross_mounts),
		cmocka_unit_test(mount_labels_are_quoted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
