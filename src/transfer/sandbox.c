/* sandbox.c: see sandbox.h. */
#include "transfer/sandbox.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sys/confine.h"

enum { CALLS_MAX = 128 };

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

static const uint64_t families[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK }; /* that libcurl and the resolver use */

int sandbox_enter(bool offline, Err *e)
{
	LandlockRule rules[ARRAY_LEN(files) + 2];
	const char *all[CALLS_MAX];
	const char *const own[] = { getenv("SSL_CERT_FILE"), getenv("SSL_CERT_DIR") };
	Confine c = { .files = rules, .files_n = ARRAY_LEN(files), .connect_tcp = !offline, .calls = all, .calls_n = ARRAY_LEN(calls) };
	_Static_assert(ARRAY_LEN(calls) + ARRAY_LEN(network_calls) <= CALLS_MAX, "room for all of them");
	/* without the right to, the filter below still leaves no way to make a socket */
	if (offline) (void)unshare(CLONE_NEWNET);
	memcpy(rules, files, sizeof files);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (own[i]) rules[c.files_n++] = (LandlockRule){ own[i], LANDLOCK_READ };
	memcpy(all, calls, sizeof calls);
	if (!offline) {
		memcpy(all + c.calls_n, network_calls, sizeof network_calls);
		c.calls_n += ARRAY_LEN(network_calls);
		c.families = families;
		c.families_n = ARRAY_LEN(families);
	}
	return confine_enter(&c, e);
}
