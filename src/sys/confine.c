/* confine.c: see confine.h. */
#include "sys/confine.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "sys/cap.h"
#include "sys/seccomp.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { NOBODY = 65534 };

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
	const struct rlimit no_core = { 0, 0 }; /* it would hold what others must not read */
	if (setrlimit(RLIMIT_CORE, &no_core) < 0) return err_sys(e, errno, "drop privileges: no core files");
	return 0;
}

static int install_filter(const Confine *c, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	SeccompRule *rules = arena_array(&a, 1 + c->families_n, sizeof *rules);
	SeccompArg *args = arena_array(&a, 1 + c->families_n, sizeof *args);
	const char *socket_call[] = { "socket" };
	SeccompFilter filter;
	if (!rules || !args) return err_set(e, ERR_RESOURCE, ENOMEM, "sandbox: out of memory");
	rules[0] = (SeccompRule){ .names = { (const char **)(uintptr_t)c->calls, c->calls_n }, .action = SECCOMP_ALLOW };
	for (size_t i = 0; i < c->families_n; i++) {
		args[i] = (SeccompArg){ .index = 0, .value = c->families[i], .op = SECCOMP_EQ };
		rules[1 + i] = (SeccompRule){ .names = { socket_call, 1 }, .action = SECCOMP_ALLOW, .args = { &args[i], 1 } };
	}
	const SeccompProfile profile = {
		.default_action = SECCOMP_ERRNO,
		.default_errno_ret = { .set = true, .v = EPERM },
		.syscalls = { rules, 1 + c->families_n },
	};
	int r = seccomp_compile(&profile, &a, &filter, e);
	return r < 0 ? r : seccomp_install(&filter, e);
}

int confine_enter(const Confine *c, Err *e)
{
	int r = drop_privileges(e);
	if (r < 0 || SANITIZED) return r;
	r = landlock_restrict(c->files, c->files_n, c->connect_tcp, e);
	return r < 0 ? r : install_filter(c, e);
}
