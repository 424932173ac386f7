/* sandbox.c: see sandbox.h. */
#include "transfer/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "sys/cap.h"
#include "sys/landlock.h"
#include "sys/seccomp.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0 /* a sanitizer needs calls and files of its own to report */
#endif

enum { NOBODY = 65534 };

/* What resolving names and checking certificates reads, and the libraries that NSS loads for it. */
static const LandlockRule files[] = {
	{ "/etc", LANDLOCK_READ },
	{ "/usr/lib", LANDLOCK_READ | LANDLOCK_EXECUTE },
	{ "/usr/lib64", LANDLOCK_READ | LANDLOCK_EXECUTE },
	{ "/lib", LANDLOCK_READ | LANDLOCK_EXECUTE },
	{ "/lib64", LANDLOCK_READ | LANDLOCK_EXECUTE },
	{ "/usr/share/ca-certificates", LANDLOCK_READ },
	{ "/usr/local/share/ca-certificates", LANDLOCK_READ },
	{ "/usr/share/zoneinfo", LANDLOCK_READ },
	{ "/run/systemd/resolve", LANDLOCK_READ },
	{ "/run/resolvconf", LANDLOCK_READ },
	{ "/run/NetworkManager", LANDLOCK_READ },
	{ "/run/nscd", LANDLOCK_READ },
	{ "/proc/self", LANDLOCK_READ },
	{ "/proc/sys", LANDLOCK_READ },
	{ "/proc/cpuinfo", LANDLOCK_READ },
	{ "/sys/devices/system/cpu", LANDLOCK_READ },
	{ "/dev/null", LANDLOCK_READ | LANDLOCK_WRITE },
	{ "/dev/urandom", LANDLOCK_READ },
	{ "/dev/random", LANDLOCK_READ },
};

static const char *const calls[] = {
	/* memory and threads */
	"brk",
	"mmap",
	"munmap",
	"mprotect",
	"mremap",
	"madvise",
	"membarrier",
	"futex",
	"clone",
	"clone3",
	"set_robust_list",
	"rseq",
	"exit",
	"exit_group",
	"sched_yield",
	"sched_getaffinity",
	"getcpu",
	"set_tid_address",
	"gettid",
	"getpid",
	"tgkill",
	"prlimit64",
	"getrlimit",
	"sysinfo",
	"uname",
	"getrandom",
	"arch_prctl",
	"restart_syscall",
	/* signals */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigaltstack",
	/* files and descriptors */
	"read",
	"readv",
	"pread64",
	"write",
	"writev",
	"pwrite64",
	"close",
	"lseek",
	"fstat",
	"stat",
	"lstat",
	"newfstatat",
	"statx",
	"fstatfs",
	"open",
	"openat",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents64",
	"getcwd",
	"fcntl",
	"ftruncate",
	"fallocate",
	"fdatasync",
	"fsync",
	"sync_file_range",
	"fadvise64",
	"eventfd2",
	"pipe",
	"pipe2",
	/* waiting and time */
	"poll",
	"ppoll",
	"select",
	"pselect6",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"clock_gettime",
	"clock_getres",
	"clock_nanosleep",
	"nanosleep",
	"gettimeofday",
	"time",
	/* who we are */
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getppid",
	/* the socket that requests come from */
	"recvmsg",
	"sendmsg",
};

static const char *const network_calls[] = {
	"socketpair", "connect",     "bind",        "sendto",     "recvfrom",   "sendmmsg", "recvmmsg",
	"shutdown",   "getsockname", "getpeername", "getsockopt", "setsockopt", "ioctl",
};

static int drop_privileges(Err *e)
{
	const CapSets none = { 0 };
	if (geteuid() == 0) {
		if (setgroups(0, NULL) < 0) return err_sys(e, errno, "drop privileges: setgroups");
		if (setresgid(NOBODY, NOBODY, NOBODY) < 0) return err_sys(e, errno, "drop privileges: setresgid");
		if (setresuid(NOBODY, NOBODY, NOBODY) < 0) return err_sys(e, errno, "drop privileges: setresuid");
	}
	int r = cap_set_ambient(0);
	if (r >= 0) r = cap_set(&none);
	if (r < 0) return err_sys(e, r, "drop privileges: capset");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return err_sys(e, errno, "drop privileges: no_new_privs");
	const struct rlimit no_core = { 0, 0 }; /* it would hold passwords */
	if (setrlimit(RLIMIT_CORE, &no_core) < 0) return err_sys(e, errno, "drop privileges: no core files");
	return 0;
}

/* allow: one rule; socket(2) only for the families that libcurl and the resolver use. */
static int install_filter(bool offline, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	static const uint64_t families[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK };
	SeccompRule rules[2 + ARRAY_LEN(families)] = {
		{ .names = { (const char **)calls, ARRAY_LEN(calls) }, .action = SECCOMP_ALLOW },
	};
	SeccompArg *args = arena_array(&a, ARRAY_LEN(families), sizeof *args);
	const char *socket_call[] = { "socket" };
	size_t n = 1;
	if (!args) return err_set(e, ERR_RESOURCE, ENOMEM, "sandbox: out of memory");
	if (!offline)
		rules[n++] = (SeccompRule){ .names = { (const char **)network_calls, ARRAY_LEN(network_calls) }, .action = SECCOMP_ALLOW };
	for (size_t i = 0; !offline && i < ARRAY_LEN(families); i++) {
		args[i] = (SeccompArg){ .index = 0, .value = families[i], .op = SECCOMP_EQ };
		rules[n++] = (SeccompRule){ .names = { socket_call, 1 }, .action = SECCOMP_ALLOW, .args = { &args[i], 1 } };
	}
	const SeccompProfile profile = {
		.default_action = SECCOMP_ERRNO,
		.default_errno_ret = { .set = true, .v = EPERM },
		.syscalls = { rules, n },
	};
	SeccompFilter filter;
	int r = seccomp_compile(&profile, &a, &filter, e);
	if (r >= 0) r = seccomp_install(&filter, e);
	return r;
}

static int restrict_files(bool offline, Err *e)
{
	LandlockRule rules[ARRAY_LEN(files) + 2];
	size_t n = ARRAY_LEN(files);
	const char *const own[] = { getenv("SSL_CERT_FILE"), getenv("SSL_CERT_DIR") };
	memcpy(rules, files, sizeof files);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (own[i]) rules[n++] = (LandlockRule){ own[i], LANDLOCK_READ };
	return landlock_restrict(rules, n, !offline, e);
}

int sandbox_enter(bool offline, Err *e)
{
	/* without the right to, the filter below still leaves no way to make a socket */
	if (offline) (void)unshare(CLONE_NEWNET);
	int r = drop_privileges(e);
	if (r < 0 || SANITIZED) return r;
	r = restrict_files(offline, e);
	return r < 0 ? r : install_filter(offline, e);
}
