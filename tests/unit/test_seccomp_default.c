/* test_seccomp_default.c: the filter of containers that asked for none, and profiles in docker's format.
 *
 * Filters are compiled and run. The default one is held against the profiles that other engines install, where they stand on the machine: those of
 * the colon separated list in SECCOMP_PROFILES, else podman's. It must not allow what they refuse. */
#include "bpf.h"
#include "check.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/spec_impl.h"
#include "sys/cap.h"
#include "sys/fd.h"
#include "sys/seccomp_arch.h"

static const uint64_t default_caps = CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) |
				     CAP_BIT(CAP_KILL) | CAP_BIT(CAP_NET_BIND_SERVICE) | CAP_BIT(CAP_SETFCAP) | CAP_BIT(CAP_SETGID) |
				     CAP_BIT(CAP_SETPCAP) | CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SYS_CHROOT);
static const Machine machine = { .kernel_major = 6, .kernel_minor = 12 };

/* Filter: a compiled profile. */
typedef struct Filter {
	Arena arena;
	SeccompProfile profile;
	SeccompFilter compiled;
} Filter;

static void filter_done(Filter *f)
{
	arena_done(&f->arena);
}
#define AUTO_FILTER AUTO(filter_done) Filter

static void compile(Filter *f)
{
	Err e = ERR_INIT;
	if (seccomp_compile(&f->profile, &f->arena, &f->compiled, &e) < 0) fail_msg("%s", e.msg);
	const char *objection = bpf_check(f->compiled.prog.filter, f->compiled.prog.len);
	if (objection) fail_msg("%s", objection);
}

static void filter_init(Filter *f, uint64_t caps, const Machine *m)
{
	*f = (Filter){ .arena = ARENA_INIT(64 << 20) };
	assert_int_equal(seccomp_default(caps, m, &f->arena, &f->profile), 0);
	compile(f);
}

static int arch_of(const char *name)
{
	return bind_value(seccomp_arch_names, name);
}

typedef struct Args {
	uint64_t v[6];
} Args;

/* The filter's answer for a system call by name; 0 when the architecture has none of that name. */
static uint32_t answer_on(const Filter *f, int arch, const char *name, Args args)
{
	int row = seccomp_syscall_find(name);
	if (row < 0) fail_msg("no system call %s", name);
	const SeccompArch *a = seccomp_arch(arch);
	uint32_t nr = seccomp_syscall_nr(a, row);
	if (nr == SECCOMP_NO_NR) return 0;
	struct seccomp_data d = { .nr = (int)(nr | a->bit), .arch = a->audit };
	memcpy(d.args, args.v, sizeof d.args);
	return bpf_run(f->compiled.prog.filter, &d, NULL);
}

static uint32_t answer(const Filter *f, const char *name)
{
	return answer_on(f, seccomp_native_arch(), name, (Args){ { 0 } });
}

static void assert_answer(const Filter *f, const char *name, uint32_t expected)
{
	uint32_t a = answer(f, name);
	if (a && a != expected) fail_msg("%s: %#x, not %#x", name, a, expected);
}

enum { ALLOWED = (int)SECCOMP_RET_ALLOW, REFUSED = (int)(SECCOMP_RET_ERRNO | EPERM), UNKNOWN = (int)(SECCOMP_RET_ERRNO | ENOSYS) };

static void test_refused(void **state)
{
	static const char *const names[] = {
		"acct",
		"add_key",
		"bpf",
		"clock_settime",
		"create_module",
		"delete_module",
		"fanotify_init",
		"finit_module",
		"fsconfig",
		"fsmount",
		"fsopen",
		"fspick",
		"get_kernel_syms",
		"get_mempolicy",
		"init_module",
		"io_uring_enter",
		"io_uring_register",
		"io_uring_setup",
		"ioperm",
		"iopl",
		"kcmp",
		"kexec_file_load",
		"kexec_load",
		"keyctl",
		"lookup_dcookie",
		"mbind",
		"migrate_pages",
		"mount",
		"mount_setattr",
		"move_mount",
		"move_pages",
		"nfsservctl",
		"open_by_handle_at",
		"open_tree",
		"perf_event_open",
		"pidfd_getfd",
		"pivot_root",
		"process_madvise",
		"query_module",
		"quotactl",
		"quotactl_fd",
		"reboot",
		"request_key",
		"set_mempolicy",
		"setdomainname",
		"sethostname",
		"setns",
		"settimeofday",
		"stime",
		"swapoff",
		"swapon",
		"syslog",
		"umount",
		"umount2",
		"unshare",
		"uselib",
		"userfaultfd",
		"vmsplice",
		"ustat",
		"vhangup",
		"vserver",
	};
	AUTO_FILTER f;
	filter_init(&f, default_caps, &machine);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_answer(&f, names[i], REFUSED);
	assert_answer(&f, "clone3", UNKNOWN);
	assert_answer(&f, "open_tree_attr", UNKNOWN); /* newer than what is named */
}

static void test_allowed(void **state)
{
	static const char *const names[] = { "read",         "openat",
					     "execve",       "clone",
					     "futex",        "mmap",
					     "ptrace",       "personality",
					     "chroot",       "chown",
					     "mknodat",      "setuid",
					     "setgroups",    "bind",
					     "connect",      "accept4",
					     "prctl",        "seccomp",
					     "statx",        "rseq",
					     "memfd_create", "landlock_create_ruleset",
					     "pidfd_open",   "arch_prctl",
					     "sendfile",     "inotify_init1",
					     "io_submit" };
	AUTO_FILTER f;
	filter_init(&f, default_caps, &machine);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_answer(&f, names[i], ALLOWED);
}

/* Without the capability refused, with it allowed; and with it nothing else changes. */
static void test_capabilities(void **state)
{
	static const struct {
		int cap;
		const char *names[8];
	} rows[] = {
		{ CAP_DAC_READ_SEARCH, { "open_by_handle_at" } },
		{ CAP_SYS_ADMIN, { "mount", "umount2", "unshare", "setns", "fsopen", "sethostname", "bpf", "clone3" } },
		{ CAP_SYS_BOOT, { "reboot" } },
		{ CAP_SYS_CHROOT, { "chroot" } },
		{ CAP_SYS_MODULE, { "init_module", "finit_module", "delete_module" } },
		{ CAP_SYS_PACCT, { "acct" } },
		{ CAP_SYS_PTRACE, { "kcmp", "pidfd_getfd", "process_madvise" } },
		{ CAP_SYS_RAWIO, { "iopl", "ioperm" } },
		{ CAP_SYS_TIME, { "settimeofday", "clock_settime" } },
		{ CAP_SYS_TTY_CONFIG, { "vhangup" } },
		{ CAP_SYS_NICE, { "get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node" } },
		{ CAP_SYSLOG, { "syslog" } },
		{ CAP_BPF, { "bpf" } },
		{ CAP_PERFMON, { "perf_event_open" } },
	};
	AUTO_FILTER none;
	filter_init(&none, 0, &machine);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FILTER f;
		filter_init(&f, CAP_BIT(rows[i].cap), &machine);
		for (size_t k = 0; k < ARRAY_LEN(rows[i].names) && rows[i].names[k]; k++) {
			assert_answer(&f, rows[i].names[k], ALLOWED);
			assert_answer(&none, rows[i].names[k], streq(rows[i].names[k], "clone3") ? UNKNOWN : REFUSED);
		}
		assert_answer(&f, "kexec_load", REFUSED);
		assert_answer(&f, "keyctl", REFUSED);
	}
}

static uint32_t with_argument(const Filter *f, const char *name, uint64_t first)
{
	return answer_on(f, seccomp_native_arch(), name, (Args){ { first } });
}

static void test_clone(void **state)
{
	static const uint64_t namespaces[] = { CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,    CLONE_NEWUSER,
					       CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP, CLONE_NEWUSER | CLONE_NEWNS };
	AUTO_FILTER f;
	filter_init(&f, default_caps, &machine);
	assert_int_equal(with_argument(&f, "clone", CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | 17),
			 SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++) {
		assert_int_equal(with_argument(&f, "clone", namespaces[i] | 17), REFUSED);
		/* the kernel looks at the low word alone */
		assert_int_equal(with_argument(&f, "clone", namespaces[i] | UINT64_C(1) << 40), REFUSED);
	}
	AUTO_FILTER admin;
	filter_init(&admin, default_caps | CAP_BIT(CAP_SYS_ADMIN), &machine);
	assert_int_equal(with_argument(&admin, "clone", CLONE_NEWNS), SECCOMP_RET_ALLOW);
}

static void test_sockets(void **state)
{
	static const uint64_t allowed[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_CAN, AF_BLUETOOTH, AF_TIPC, AF_XDP };
	static const uint64_t refused[] = { AF_ALG,    AF_VSOCK, AF_AX25, AF_IPX, AF_X25, AF_ROSE,   AF_RXRPC,
					    AF_DECnet, AF_LLC,   0,       46,     255,    UINT64_MAX };
	AUTO_FILTER f;
	filter_init(&f, default_caps, &machine);
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (with_argument(&f, "socket", allowed[i]) != SECCOMP_RET_ALLOW) fail_msg("family %llu", (unsigned long long)allowed[i]);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (with_argument(&f, "socket", refused[i]) != (uint32_t)REFUSED) fail_msg("family %llu", (unsigned long long)refused[i]);
}

static void test_personality(void **state)
{
	static const uint64_t allowed[] = { 0, 8, 0x20000, 0x20008, 0xffffffff };
	static const uint64_t refused[] = { 1, 0x40000 /* ADDR_NO_RANDOMIZE */, 0x400000 /* READ_IMPLIES_EXEC */, 0x1000000 };
	AUTO_FILTER f;
	filter_init(&f, default_caps, &machine);
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		assert_int_equal(with_argument(&f, "personality", allowed[i]), SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_int_equal(with_argument(&f, "personality", refused[i]), REFUSED);
}

static void test_old_kernel(void **state)
{
	static const Machine old = { .kernel_major = 4, .kernel_minor = 7 }, first = { .kernel_major = 4, .kernel_minor = 8 },
			     later = { .kernel_major = 5 };
	const Machine *const machines[] = { &old, &first, &later };
	for (size_t i = 0; i < 3; i++) {
		AUTO_FILTER f;
		filter_init(&f, default_caps, machines[i]);
		assert_answer(&f, "ptrace", i ? ALLOWED : REFUSED);
		assert_answer(&f, "process_vm_readv", i ? ALLOWED : REFUSED);
	}
	AUTO_FILTER f;
	filter_init(&f, CAP_BIT(CAP_SYS_PTRACE), &old);
	assert_answer(&f, "ptrace", ALLOWED);
}

/* 32-bit programs run, others are not of this machine. */
static void test_architectures(void **state)
{
	AUTO_FILTER f;
	filter_init(&f, default_caps, &machine);
	if (seccomp_native_arch() == arch_of("SCMP_ARCH_X86_64")) {
		assert_int_equal(answer_on(&f, arch_of("SCMP_ARCH_X86"), "open", (Args){ { 0 } }), SECCOMP_RET_ALLOW);
		assert_int_equal(answer_on(&f, arch_of("SCMP_ARCH_X86"), "mount", (Args){ { 0 } }), REFUSED);
		assert_int_equal(answer_on(&f, arch_of("SCMP_ARCH_X32"), "read", (Args){ { 0 } }), SECCOMP_RET_KILL_THREAD);
	}
	assert_int_equal(answer_on(&f, arch_of("SCMP_ARCH_MIPS"), "read", (Args){ { 0 } }), SECCOMP_RET_KILL_THREAD);
	struct seccomp_data d = { .nr = 999, .arch = seccomp_arch(seccomp_native_arch())->audit };
	assert_int_equal(bpf_run(f.compiled.prog.filter, &d, NULL), UNKNOWN);
}

/* The filter is installed at each start and run at each system call: it stays small. */
static void test_size(void **state)
{
	enum { INSTRUCTIONS = 400, STEPS = 16 };
	AUTO_FILTER f;
	filter_init(&f, default_caps, &machine);
	if (f.compiled.prog.len > INSTRUCTIONS) fail_msg("%u instructions", f.compiled.prog.len);
	static const char *const frequent[] = { "read", "write", "openat", "close", "futex", "epoll_wait", "mmap", "newfstatat" };
	for (size_t i = 0; i < ARRAY_LEN(frequent); i++) {
		size_t steps = 0;
		const SeccompArch *a = seccomp_arch(seccomp_native_arch());
		struct seccomp_data d = { .nr = (int)seccomp_syscall_nr(a, seccomp_syscall_find(frequent[i])), .arch = a->audit };
		bpf_run(f.compiled.prog.filter, &d, &steps);
		if (steps > STEPS) fail_msg("%s: %zu steps", frequent[i], steps);
	}
}

/* ---- profiles of others ---- */

static void filter_convert(Filter *f, const char *text, uint64_t caps)
{
	Err e = ERR_INIT;
	SeccompProfile *p;
	*f = (Filter){ .arena = ARENA_INIT(64 << 20) };
	if (seccomp_convert(text, caps, &machine, &f->arena, &p, &e) < 0) fail_msg("%s", e.msg);
	assert_non_null(p);
	f->profile = *p;
	compile(f);
}

static bool is_listed(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(list[i], name)) return true;
	return false;
}

/* Values at which an argument may change the answer. */
static const uint64_t values[] = {
	0,          1,         2, 8, 10, 16, 17, 29, 31, 38, 40, 0x20000, 0x20008, 0x40000, 17 | CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET,
	0xffffffff, UINT64_MAX
};

/* Allowed here and in docker's list, though podman's refuses it: newer ways to look at caches and to wait, waiting for what io_submit began, stacks of
 * return addresses, and what CAP_PERFMON and CAP_BPF are for. */
static const char *const ours_alone[] = { "cachestat",     "futex_requeue",        "futex_wait",       "futex_waitv",     "futex_wake",
					  "io_pgetevents", "io_pgetevents_time64", "map_shadow_stack", "perf_event_open", "bpf" };

static void compare(const Filter *ours, const Filter *theirs, const char *path, int arch)
{
	for (int row = 0; row < seccomp_syscall_count(); row++) {
		const char *name = seccomp_syscall_name(row);
		if (is_listed(name, ours_alone, ARRAY_LEN(ours_alone))) continue;
		for (size_t i = 0; i < ARRAY_LEN(values); i++) {
			uint32_t a = answer_on(ours, arch, name, (Args){ { values[i] } }),
				 b = answer_on(theirs, arch, name, (Args){ { values[i] } });
			if (b == (uint32_t)UNKNOWN) continue; /* newer than their list, not refused */
			if (a == SECCOMP_RET_ALLOW && b != SECCOMP_RET_ALLOW)
				fail_msg("%s: %s(%#llx): allowed here, there %#x", path, name, (unsigned long long)values[i], b);
		}
	}
}

static void compare_file(const char *path)
{
	static const uint64_t sets[] = { 0,
					 CAP_BIT(CAP_SYS_ADMIN),
					 CAP_BIT(CAP_SYS_PTRACE) | CAP_BIT(CAP_SYS_TIME) | CAP_BIT(CAP_SYS_RAWIO),
					 CAP_BIT(CAP_SYS_NICE) | CAP_BIT(CAP_SYS_MODULE) | CAP_BIT(CAP_DAC_READ_SEARCH) |
						 CAP_BIT(CAP_SYS_BOOT),
					 CAP_BIT(CAP_SYSLOG) | CAP_BIT(CAP_BPF) | CAP_BIT(CAP_PERFMON) | CAP_BIT(CAP_SYS_PACCT),
					 (UINT64_C(1) << 41) - 1 };
	AUTO_ARENA a = ARENA_INIT(16 << 20);
	Err e = ERR_INIT;
	char *text;
	size_t n;
	if (fd_read_file(AT_FDCWD, path, 1 << 20, &a, &text, &n, &e) < 0) fail_msg("%s", e.msg);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		AUTO_FILTER ours;
		AUTO_FILTER theirs;
		filter_init(&ours, default_caps | sets[i], &machine);
		filter_convert(&theirs, text, default_caps | sets[i]);
		compare(&ours, &theirs, path, seccomp_native_arch());
		if (seccomp_native_arch() == arch_of("SCMP_ARCH_X86_64")) compare(&ours, &theirs, path, arch_of("SCMP_ARCH_X86"));
	}
	print_message("compared with %s\n", path);
}

static void test_not_laxer_than_others(void **state)
{
	static const char podman[] = "/usr/share/containers/seccomp.json";
	const char *list = getenv("SECCOMP_PROFILES");
	if (!list && access(podman, R_OK) < 0) skip();
	Str rest = str_of(list ? list : podman), one;
	AUTO_ARENA a = ARENA_INIT(4096);
	while (str_next(&rest, ':', &one)) {
		const char *path = arena_str(&a, one);
		assert_non_null(path);
		compare_file(path);
	}
}

/* ---- docker's format ---- */

static char *quoted(Arena *a, const char *text)
{
	char *copy = arena_strdup(a, text);
	assert_non_null(copy);
	for (char *p = copy; *p; p++)
		if (*p == '\'') *p = '"';
	return copy;
}

#define DENY "'defaultAction':'SCMP_ACT_ERRNO'"
#define CALL(rest) "{" DENY ",'syscalls':[{'names':['read'],'action':'SCMP_ACT_ALLOW'" rest "}]}"

static void test_conditions(void **state)
{
	static const struct {
		const char *text;
		bool allowed;
	} cases[] = {
		{ CALL(""), true },
		{ CALL(",'includes':{},'excludes':{}"), true },
		{ CALL(",'includes':null,'args':null,'comment':'why'"), true },
		{ CALL(",'includes':{'caps':['CAP_KILL']}"), true },
		{ CALL(",'includes':{'caps':['CAP_KILL','CAP_CHOWN']}"), true },
		{ CALL(",'includes':{'caps':['CAP_KILL','CAP_SYS_ADMIN']}"), false },
		{ CALL(",'includes':{'caps':['CAP_NO_SUCH']}"), false },
		{ CALL(",'excludes':{'caps':['CAP_KILL']}"), false },
		{ CALL(",'excludes':{'caps':['CAP_SYS_ADMIN','CAP_KILL']}"), false },
		{ CALL(",'excludes':{'caps':['CAP_SYS_ADMIN']}"), true },
		{ CALL(",'includes':{'minKernel':'6.12'}"), true },
		{ CALL(",'includes':{'minKernel':'6.13'}"), false },
		{ CALL(",'includes':{'minKernel':'7.0'}"), false },
		{ CALL(",'includes':{'minKernel':'4.99'}"), true },
		{ CALL(",'excludes':{'minKernel':'6.12'}"), false },
		{ CALL(",'excludes':{'minKernel':'6.13'}"), true },
		{ CALL(",'includes':{'arches':['mips']}"), false },
		{ CALL(",'excludes':{'arches':['mips']}"), true },
		{ "{" DENY ",'syscalls':[{'name':'read','action':'SCMP_ACT_ALLOW'}]}", true },
		{ "{" DENY ",'syscalls':[{'name':'read','names':[],'action':'SCMP_ACT_ALLOW'}]}", true },
		{ "{" DENY ",'syscalls':[{'names':[],'action':'SCMP_ACT_ALLOW'}]}", false },
		{ "{'defaultAction':'SCMP_ACT_ALLOW'}", true },
#ifdef __x86_64__
		{ CALL(",'includes':{'arches':['x32','amd64']}"), true },
		{ CALL(",'excludes':{'arches':['amd64']}"), false },
#endif
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FILTER f;
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		filter_convert(&f, quoted(&a, cases[i].text), default_caps);
		if ((answer(&f, "read") == SECCOMP_RET_ALLOW) != cases[i].allowed) fail_msg("%s", cases[i].text);
	}
}

static void test_architecture_map(void **state)
{
	AUTO_FILTER f;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	filter_convert(&f,
		       quoted(&a, "{" DENY
				  ",'archMap':[{'architecture':'SCMP_ARCH_X86_64','subArchitectures':['SCMP_ARCH_X86','SCMP_ARCH_X32']},"
				  "{'architecture':'SCMP_ARCH_AARCH64','subArchitectures':['SCMP_ARCH_ARM']}],"
				  "'syscalls':[{'names':['read'],'action':'SCMP_ACT_ALLOW'}]}"),
		       0);
#ifdef __x86_64__
	assert_int_equal(f.profile.architectures.n, 3);
	assert_int_equal(f.profile.architectures.items[2], arch_of("SCMP_ARCH_X32"));
	assert_int_equal(answer_on(&f, arch_of("SCMP_ARCH_X86"), "read", (Args){ { 0 } }), SECCOMP_RET_ALLOW);
#endif
	assert_answer(&f, "read", ALLOWED);
}

/* podman's: errors by name, where a rule has an error at all. */
static void test_errors_by_name(void **state)
{
	AUTO_FILTER f;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	filter_convert(&f,
		       quoted(&a, "{'defaultAction':'SCMP_ACT_ERRNO','defaultErrno':'EXDEV','syscalls':["
				  "{'names':['read'],'action':'SCMP_ACT_ALLOW','errno':'EPERM'},"
				  "{'names':['write'],'action':'SCMP_ACT_ERRNO','errno':'EINVAL'},"
				  "{'names':['statx'],'action':'SCMP_ACT_ERRNO','errno':'EINVAL','errnoRet':5}]}"),
		       0);
	assert_answer(&f, "read", ALLOWED);
	assert_answer(&f, "write", SECCOMP_RET_ERRNO | EINVAL);
	assert_answer(&f, "statx", SECCOMP_RET_ERRNO | 5);
	assert_answer(&f, "close", SECCOMP_RET_ERRNO | EXDEV);
}

static void test_bad_profiles(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "decoding seccomp profile failed: " },
		{ "[]", "decoding seccomp profile failed: profile: document: expected an object, got array" },
		{ "{'defaultAction':'ALLOW'}", "decoding seccomp profile failed: profile: defaultAction: unknown value \"ALLOW\"" },
		{ "{'syscalls':[{'names':['a'],'action':'SCMP_ACT_ALLOW'}]}",
		  "decoding seccomp profile failed: profile: defaultAction: required" },
		{ "{" DENY ",'syscalls':[{'names':['a']}]}", "decoding seccomp profile failed: profile: syscalls[0].action: required" },
		{ "{" DENY ",'syscalls':[{'names':['a'],'name':'b','action':'SCMP_ACT_ALLOW'}]}",
		  "decoding seccomp profile failed: profile: syscalls[0]: both 'name' and 'names' are specified in the seccomp profile" },
		{ "{" DENY ",'architectures':['SCMP_ARCH_X86'],'archMap':[{'architecture':'SCMP_ARCH_X86_64'}]}",
		  "decoding seccomp profile failed: both 'architectures' and 'archMap' are specified in the seccomp profile" },
		{ CALL(",'includes':{'minKernel':'4'}"),
		  "decoding seccomp profile failed: profile: syscalls[0]: invalid kernel version: 4" },
		{ CALL(",'excludes':{'minKernel':'4.x'}"),
		  "decoding seccomp profile failed: profile: syscalls[0]: invalid kernel version: 4.x" },
		{ "{" DENY ",'defaultErrno':'ENONE'}", "decoding seccomp profile failed: unknown error \"ENONE\"" },
		{ "{" DENY ",'syscalls':[{'names':['a'],'action':'SCMP_ACT_ERRNO','errno':'X'}]}",
		  "decoding seccomp profile failed: profile: syscalls[0]: unknown error \"X\"" },
		{ CALL(",'args':[{'index':6,'value':1,'op':'SCMP_CMP_EQ'}]"),
		  "decoding seccomp profile failed: profile: syscalls[0].args[0].index" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		Err e = ERR_INIT;
		SeccompProfile *p;
		int r = seccomp_convert(quoted(&a, cases[i].text), 0, &machine, &a, &p, &e);
		if (r >= 0 || !starts_with(e.msg, cases[i].error)) fail_msg("%s: %d, \"%s\"", cases[i].text, r, e.msg);
	}
}

static void test_no_filter(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	SeccompProfile *p = &(SeccompProfile){ 0 };
	assert_int_equal(seccomp_convert("{}", 0, &machine, &a, &p, &e), 0);
	assert_null(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),        cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_capabilities),   cmocka_unit_test(test_clone),
		cmocka_unit_test(test_sockets),        cmocka_unit_test(test_personality),
		cmocka_unit_test(test_old_kernel),     cmocka_unit_test(test_architectures),
		cmocka_unit_test(test_size),           cmocka_unit_test(test_not_laxer_than_others),
		cmocka_unit_test(test_conditions),     cmocka_unit_test(test_architecture_map),
		cmocka_unit_test(test_errors_by_name), cmocka_unit_test(test_bad_profiles),
		cmocka_unit_test(test_no_filter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
