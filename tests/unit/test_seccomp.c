/* test_seccomp.c: the seccomp compiler: answers, refusals, limits, and filters that are really installed. What libseccomp
 * would answer is compared in test_seccomp_oracle.c. */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf.h"
#include "seccomp_profiles.h"

enum { X32 = 0x40000000, EPERM_RET = SECCOMP_RET_ERRNO | EPERM, ENOSYS_RET = SECCOMP_RET_ERRNO | ENOSYS };

static SeccompFilter compile(Arena *a, const SeccompProfile *p)
{
	Err e = ERR_INIT;
	SeccompFilter f = { 0 };
	if (seccomp_compile(p, a, &f, &e) < 0) fail_msg("%s", e.msg);
	const char *wrong = bpf_check(f.prog.filter, f.prog.len);
	if (wrong) fail_msg("the kernel would refuse it: %s", wrong);
	return f;
}

static SeccompFilter compile_json(Arena *a, const char *json)
{
	SeccompProfile p = profile_of(a, json);
	return compile(a, &p);
}

static uint32_t ask(const SeccompFilter *f, uint32_t arch, uint32_t nr, uint64_t arg0, uint64_t arg1)
{
	struct seccomp_data d = { .nr = (int)nr, .arch = arch, .args = { arg0, arg1 } };
	return bpf_run(f->prog.filter, &d, NULL);
}

static void every_name_is_found(void **state)
{
	(void)state;
	const SeccompArch *native = seccomp_arch(seccomp_native_arch());
	for (int row = 0; row < seccomp_syscall_count(); row++)
		assert_int_equal(seccomp_syscall_find(seccomp_syscall_name(row)), row);
	assert_int_equal(seccomp_syscall_find("no_such_call"), -1);
	assert_int_equal(seccomp_syscall_find(""), -1);
	assert_int_equal(seccomp_syscall_nr(native, seccomp_syscall_find("read")), SYS_read);
	assert_int_equal(seccomp_syscall_nr(native, seccomp_syscall_find("openat2")), SYS_openat2);
	assert_int_equal(seccomp_syscall_nr(native, seccomp_syscall_find("process_mrelease")), SYS_process_mrelease);
	const SeccompArch *arm = seccomp_arch(bind_value(seccomp_arch_names, "SCMP_ARCH_ARM"));
	assert_int_equal(seccomp_syscall_nr(arm, seccomp_syscall_find("set_tls")), 0xf0005);
}

/* Every architecture's numbers fit where the compiler keeps them: none may be lost. */
static void every_number_has_a_place(void **state)
{
	(void)state;
	for (int v = 1; v <= SECCOMP_ARCH_MAX; v++) {
		const SeccompArch *arch = seccomp_arch(v);
		assert_non_null(bind_name(seccomp_arch_names, v));
		for (int row = 0; row < seccomp_syscall_count(); row++) {
			uint32_t nr = seccomp_syscall_nr(arch, row);
			if (nr == SECCOMP_NO_NR) continue;
			assert_true((nr >= arch->base && nr < arch->base + 1008u) || (nr >= 0xf0000 && nr < 0xf0010));
		}
	}
	assert_null(seccomp_arch(0));
	assert_null(seccomp_arch(SECCOMP_ARCH_MAX + 1));
}

#ifdef __x86_64__
static void unlisted_architectures_are_killed(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	SeccompFilter f = compile_json(&a, "{'defaultAction':'SCMP_ACT_ALLOW','syscalls':[{'names':['mkdir'],'action':'SCMP_ACT_ERRNO'}]}");
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_mkdir, 0, 0), EPERM_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_read, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, 3, 0, 0), SECCOMP_RET_KILL_THREAD);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, X32 | SYS_mkdir, 0, 0), SECCOMP_RET_KILL_THREAD);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, X32, 0, 0), SECCOMP_RET_KILL_THREAD);
	/* -1 is what a tracer writes to skip a call */
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, UINT32_MAX, 0, 0), SECCOMP_RET_ALLOW);
	f = compile_json(&a, "{'defaultAction':'SCMP_ACT_ALLOW','architectures':['SCMP_ARCH_X32','SCMP_ARCH_X86'],"
			     "'syscalls':[{'names':['mkdir','ioctl'],'action':'SCMP_ACT_ERRNO'}]}");
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, X32 | SYS_mkdir, 0, 0), EPERM_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_mkdir, 0, 0), EPERM_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, X32 | 514, 0, 0), EPERM_RET); /* x32's own ioctl */
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, X32 | SYS_ioctl, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, 39, 0, 0), EPERM_RET);
}

/* Programs fall back when a call is not there, not when it is forbidden: what is newer than the profile is not there. */
static void newer_calls_than_the_profile_are_enosys(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	const char *denying =
		"{'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':6,'architectures':['SCMP_ARCH_X86'],'syscalls':["
		"{'names':['read','mkdir'],'action':'SCMP_ACT_ALLOW'},{'names':['openat2'],'action':'SCMP_ACT_ERRNO','errnoRet':6}]}";
	SeccompFilter f = compile_json(&a, denying);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_read, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_chdir, 0, 0), SECCOMP_RET_ERRNO | ENXIO);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_openat2, 0, 0), SECCOMP_RET_ERRNO | ENXIO); /* denied, but known */
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_openat2 + 1, 0, 0), ENOSYS_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, 1000, 0, 0), ENOSYS_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, 1000, 0, 0), ENOSYS_RET);
	f = compile_json(&a, "{'defaultAction':'SCMP_ACT_LOG','syscalls':[{'names':['mkdir'],'action':'SCMP_ACT_ERRNO'}]}");
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, 1000, 0, 0), SECCOMP_RET_LOG);
	f = compile_json(&a, "{'defaultAction':'SCMP_ACT_KILL_PROCESS','syscalls':[{'names':['mkdir'],'action':'SCMP_ACT_ALLOW'}]}");
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_chdir, 0, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, 1000, 0, 0), ENOSYS_RET);
}

static void arguments_have_64_bits(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	SeccompFilter f = compile_json(
		&a,
		"{'defaultAction':'SCMP_ACT_ALLOW','architectures':['SCMP_ARCH_X86'],'syscalls':[{'names':['mkdir'],'action':'SCMP_ACT_ERRNO',"
		"'args':[{'index':0,'value':4294967296,'op':'SCMP_CMP_GT'},{'index':1,'value':7,'op':'SCMP_CMP_NE'}]}]}");
	uint64_t edge = 1ull << 32;
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_mkdir, edge + 1, 0), EPERM_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_mkdir, edge + 1, 7), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_mkdir, edge + 1, 7 + edge), EPERM_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_mkdir, edge, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_mkdir, UINT32_MAX, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_mkdir, UINT64_MAX, 0), EPERM_RET);
	/* a 32-bit process has only the low words, whatever stands above them */
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, 39, 1, 7 + edge), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, 39, 1, 8), EPERM_RET);
}

static void socketcall_follows_its_functions(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	SeccompFilter f = compile_json(&a, "{'defaultAction':'SCMP_ACT_ALLOW','architectures':['SCMP_ARCH_X86'],'syscalls':["
					   "{'names':['connect','shmget'],'action':'SCMP_ACT_ERRNO'}]}");
	enum { SOCKETCALL = 102, IPC = 117, CONNECT = 362, SHMGET = 395 };
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, CONNECT, 0, 0), EPERM_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, SHMGET, 0, 0), EPERM_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, SOCKETCALL, 3, 0), EPERM_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, SOCKETCALL, 2, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, IPC, 23, 0), EPERM_RET);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, IPC, 22, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_connect, 0, 0), EPERM_RET);
}

/* A profile can say something about one architecture and nothing about the others. */
static void architectures_do_not_mix(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	SeccompFilter f =
		compile_json(&a, "{'defaultAction':'SCMP_ACT_ERRNO','architectures':['SCMP_ARCH_X86','SCMP_ARCH_X32'],'syscalls':["
				 "{'names':['waitpid'],'action':'SCMP_ACT_ALLOW'}]}");
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, 7, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&f, AUDIT_ARCH_I386, 6, 0, 0), EPERM_RET);
	for (uint32_t nr = 0; nr < 20; nr++)
		assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, nr, 0, 0), EPERM_RET);
}

static void actions_carry_their_numbers(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	SeccompFilter f = compile_json(
		&a, "{'defaultAction':'SCMP_ACT_ALLOW','syscalls':[{'names':['chdir'],'action':'SCMP_ACT_ERRNO','errnoRet':100},"
		    "{'names':['mkdir'],'action':'SCMP_ACT_TRACE','errnoRet':4660},{'names':['rmdir'],'action':'SCMP_ACT_TRACE'},"
		    "{'names':['link'],'action':'SCMP_ACT_TRAP'},{'names':['unlink'],'action':'SCMP_ACT_KILL'},"
		    "{'names':['chdir'],'action':'SCMP_ACT_LOG'},{'names':['rename','no_such_call'],'action':'SCMP_ACT_LOG'}]}");
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_chdir, 0, 0), SECCOMP_RET_ERRNO | 100); /* the first rule decides */
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_mkdir, 0, 0), SECCOMP_RET_TRACE | 0x1234);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_rmdir, 0, 0), SECCOMP_RET_TRACE | EPERM);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_link, 0, 0), SECCOMP_RET_TRAP);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_unlink, 0, 0), SECCOMP_RET_KILL_THREAD);
	assert_int_equal(ask(&f, AUDIT_ARCH_X86_64, SYS_rename, 0, 0), SECCOMP_RET_LOG);
}
#endif

static void flags_are_runcs(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		unsigned flags;
	} cases[] = {
		{ "{'defaultAction':'SCMP_ACT_ALLOW'}", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
		{ "{'defaultAction':'SCMP_ACT_ALLOW','flags':[]}", 0 },
		{ "{'defaultAction':'SCMP_ACT_ALLOW','flags':['SECCOMP_FILTER_FLAG_TSYNC']}", 0 },
		{ "{'defaultAction':'SCMP_ACT_ALLOW','flags':['SECCOMP_FILTER_FLAG_LOG','SECCOMP_FILTER_FLAG_SPEC_ALLOW']}", 6 },
		{ "{'defaultAction':'SCMP_ACT_ALLOW','listenerPath':'/x','flags':['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'],"
		  "'syscalls':[{'names':['mkdir'],'action':'SCMP_ACT_NOTIFY'}]}",
		  40 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		SeccompFilter f = compile_json(&a, cases[i].json);
		assert_int_equal(f.flags, cases[i].flags);
		assert_int_equal(f.notify, cases[i].flags == 40);
	}
	assert_int_equal(seccomp_flags_supported() & 7, 7); /* since Linux 4.17 */
}

static void impossible_profiles_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *json, *why;
	} refused[] = {
		{ "{}", "defaultAction: an action is required" },
		{ "{'defaultAction':'SCMP_ACT_ALLOW','defaultErrnoRet':1}", "defaultAction: SCMP_ACT_ALLOW takes no errnoRet" },
		{ "{'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':4096}", "errnoRet 4096 is not in 0 to 4095" },
		{ "{'defaultAction':'SCMP_ACT_NOTIFY'}", "SCMP_ACT_NOTIFY cannot be used as default action" },
		{ "{'defaultAction':'SCMP_ACT_ALLOW','listenerPath':'/x','syscalls':[{'names':['read','write'],'action':'SCMP_ACT_NOTIFY'}]}",
		  "SCMP_ACT_NOTIFY cannot be used for the write syscall" },
		{ "{'defaultAction':'SCMP_ACT_ALLOW','listenerPath':'','syscalls':[{'names':['read'],'action':'SCMP_ACT_NOTIFY'}]}",
		  "listenerPath: required" },
		{ "{'defaultAction':'SCMP_ACT_ALLOW','flags':['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV']}",
		  "needs a rule with SCMP_ACT_NOTIFY" },
		{ "{'defaultAction':'SCMP_ACT_ERRNO','syscalls':[{'names':['read'],'action':'SCMP_ACT_ALLOW'},"
		  "{'names':['read'],'action':'SCMP_ACT_KILL','errnoRet':1}]}",
		  "syscalls[1]: SCMP_ACT_KILL_THREAD takes no errnoRet" },
		{ "{'defaultAction':'SCMP_ACT_ERRNO','syscalls':[{'names':['read'],'action':'SCMP_ACT_ALLOW',"
		  "'args':[{'index':0,'value':1,'op':'SCMP_CMP_EQ'},{'index':6,'value':1,'op':'SCMP_CMP_EQ'}]}]}",
		  "syscalls[0].args[1]: index is not in 0 to 5" },
		{ "{'defaultAction':'SCMP_ACT_ERRNO','syscalls':[{'names':['read'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':1}]}]}",
		  "syscalls[0].args[0]: an operator is required" },
		{ "{'defaultAction':'SCMP_ACT_ERRNO','syscalls':["
		  "{'names':['read'],'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':1,'op':'SCMP_CMP_EQ'}]},"
		  "{'names':['read'],'action':'SCMP_ACT_KILL','args':[{'index':0,'value':1,'op':'SCMP_CMP_EQ'}]}]}",
		  "two actions for the same condition" },
	};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		Err e = ERR_INIT;
		SeccompFilter f;
		SeccompProfile p = profile_of(&a, refused[i].json);
		assert_int_equal(seccomp_compile(&p, &a, &f, &e), -EINVAL);
		if (!strstr(e.msg, refused[i].why) || !strstr(e.msg, "linux.seccomp."))
			fail_msg("\"%s\" is not \"%s\"", e.msg, refused[i].why);
	}
}

/* A profile of n conditions on one system call: too many for the kernel from some n on. */
static int compile_conditions(size_t n, SeccompFilter *f, Arena *a)
{
	SeccompProfile p = { .default_action = SECCOMP_ERRNO };
	p.syscalls.items = arena_array(a, n, sizeof *p.syscalls.items);
	assert_non_null(p.syscalls.items);
	static const char *names[] = { "read", NULL };
	for (; p.syscalls.n < n; p.syscalls.n++) {
		SeccompArg *arg = arena_alloc(a, sizeof *arg);
		assert_non_null(arg);
		*arg = (SeccompArg){ .index = 1, .op = SECCOMP_EQ, .value = p.syscalls.n << 32 | 5 };
		p.syscalls.items[p.syscalls.n] = (SeccompRule){ .names = { names, 1 }, .action = SECCOMP_ALLOW, .args = { arg, 1 } };
	}
	Err e = ERR_INIT;
	return seccomp_compile(&p, a, f, &e);
}

static void large_filters_stay_correct_up_to_the_limit(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 1000; n += 111) {
		AUTO_ARENA a = ARENA_INIT(4 << 20);
		SeccompFilter f;
		assert_int_equal(compile_conditions(n, &f, &a), 0);
		assert_null(bpf_check(f.prog.filter, f.prog.len));
		for (size_t i = 0; i <= n; i++) {
			struct seccomp_data d = { .nr = SYS_read,
						  .arch = seccomp_arch(seccomp_native_arch())->audit,
						  .args = { 0, i << 32 | 5 } };
			assert_int_equal(bpf_run(f.prog.filter, &d, NULL), i < n ? SECCOMP_RET_ALLOW : EPERM_RET);
		}
	}
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	SeccompFilter f;
	assert_int_equal(compile_conditions(1500, &f, &a), -E2BIG);
	assert_int_equal(compile_conditions(3000, &f, &a), -E2BIG);
}

/* ---- installed filters ---- */

static const char *child_profile =
	"{'defaultAction':'SCMP_ACT_ALLOW','flags':[],'syscalls':["
	"{'names':['chdir'],'action':'SCMP_ACT_ERRNO'},{'names':['getcwd'],'action':'SCMP_ACT_ERRNO','errnoRet':38},"
	"{'names':['umask'],'action':'SCMP_ACT_ERRNO','errnoRet':7,'args':[{'index':0,'value':64,'op':'SCMP_CMP_MASKED_EQ',"
	"'valueTwo':64}]},{'names':['sync'],'action':'SCMP_ACT_KILL_PROCESS'}]}";

/* Runs under the filter; 0 when all is as the profile says, else a number that tells where not. */
static int child_under_filter(const SeccompFilter *f)
{
	Err e = ERR_INIT;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_install(f, &e) != 0) return 1;
	char buf[16];
	if (syscall(SYS_chdir, "/") != -1 || errno != EPERM) return 2;
	if (syscall(SYS_getcwd, buf, sizeof buf) != -1 || errno != ENOSYS) return 3;
	if (syscall(SYS_umask, 0100) != -1 || errno != 7) return 4;
	if (syscall(SYS_umask, 022) < 0) return 5;
	return 0;
}

static void installed_filter_answers(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	SeccompFilter f = compile_json(&a, child_profile);
	for (int kill = 0; kill < 2; kill++) {
		pid_t pid = fork();
		if (pid == 0) {
			int r = child_under_filter(&f);
			if (r == 0 && kill) sync();
			_exit(r);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (kill)
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
		else
			assert_int_equal(status, 0);
	}
}

static void installing_needs_privilege_and_says_so(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	SeccompFilter f = compile_json(&a, child_profile);
	pid_t pid = fork();
	if (pid == 0) {
		Err e = ERR_INIT;
		if (getuid() == 0 && setresuid(65534, 65534, 65534) < 0) _exit(2);
		if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) _exit(0);
		_exit(seccomp_install(&f, &e) == -EACCES && strstr(e.msg, "no_new_privs") ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Answers one notification on fd with value; false when there is none within 10 s. */
static bool answer_notification(int fd, int64_t value)
{
	struct seccomp_notif req = { 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	if (poll(&p, 1, 10000) != 1 || ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0) return false;
	struct seccomp_notif_resp resp = { .id = req.id, .val = value };
	return req.data.nr == SYS_getppid && ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) == 0;
}

static int listen_to_grandchild(const SeccompFilter *f)
{
	Err e = ERR_INIT;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return 1;
	int fd = seccomp_install(f, &e);
	if (fd < 0 || !(fcntl(fd, F_GETFD) & FD_CLOEXEC)) return 2;
	pid_t pid = fork();
	if (pid == 0) _exit(syscall(SYS_getppid) == 424242 ? 0 : 1);
	int status = 0;
	if (!answer_notification(fd, 424242)) return 3;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 4;
}

static void notify_gives_a_listener(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	SeccompFilter f = compile_json(
		&a, "{'defaultAction':'SCMP_ACT_ALLOW','listenerPath':'/x','syscalls':[{'names':['getppid'],'action':'SCMP_ACT_NOTIFY'}]}");
	assert_true(f.notify);
	pid_t pid = fork();
	if (pid == 0) _exit(listen_to_grandchild(&f));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- budgets ---- */

static uint64_t nanoseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#ifdef __x86_64__
/* Measured: 234 instructions, 35 us, 10.3 steps. The bounds leave room for machines and sanitizers, not for another algorithm. */
static void default_profile_stays_in_budget(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	SeccompProfile p = profile_like_default(&a);
	SeccompFilter f = compile(&a, &p);
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < 50; i++) {
		AUTO_ARENA scratch = ARENA_INIT(1 << 20);
		Err e = ERR_INIT;
		SeccompFilter again;
		uint64_t from = nanoseconds();
		assert_int_equal(seccomp_compile(&p, &scratch, &again, &e), 0);
		uint64_t took = nanoseconds() - from;
		if (took < best) best = took;
	}
	size_t steps = 0, calls = 0;
	for (int nr = 0; nr < 450; nr++) {
		struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
		bpf_run(f.prog.filter, &d, &steps);
		calls++;
	}
	print_message("%zu names: %u instructions, %.1f steps on average, compiled in %.0f us\n", p.syscalls.items[0].names.n,
		      (unsigned)f.prog.len, (double)steps / (double)calls, (double)best / 1000);
	assert_true(f.prog.len <= 300);
	assert_true(steps <= 14 * calls);
	assert_true(best < 2000000);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_found),
		cmocka_unit_test(every_number_has_a_place),
#ifdef __x86_64__
		cmocka_unit_test(unlisted_architectures_are_killed),
		cmocka_unit_test(newer_calls_than_the_profile_are_enosys),
		cmocka_unit_test(arguments_have_64_bits),
		cmocka_unit_test(socketcall_follows_its_functions),
		cmocka_unit_test(architectures_do_not_mix),
		cmocka_unit_test(actions_carry_their_numbers),
		cmocka_unit_test(default_profile_stays_in_budget),
#endif
		cmocka_unit_test(flags_are_runcs),
		cmocka_unit_test(impossible_profiles_are_refused),
		cmocka_unit_test(large_filters_stay_correct_up_to_the_limit),
		cmocka_unit_test(installed_filter_answers),
		cmocka_unit_test(installing_needs_privilege_and_says_so),
		cmocka_unit_test(notify_gives_a_listener),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
