/* landlock.c: see landlock.h. The interface is that of Linux 6.10's uapi header: what Debian 12's lacks is defined here. */
#include "sys/landlock.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/fd.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* Named apart from those of linux/landlock.h, which is older on some machines and newer on others. */
enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_ALL_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,     /* version 2 */
	FS_TRUNCATE = 1 << 14,  /* version 3 */
	FS_IOCTL_DEV = 1 << 15, /* version 5 */
	NET_BIND_TCP = 1 << 0,  /* version 4 */
	NET_CONNECT_TCP = 1 << 1,
	CREATE_VERSION = 1,
	RULE_PATH_BENEATH = 1,
	FS_OF_A_FILE = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
};

typedef struct Ruleset {
	uint64_t fs, net;
} Ruleset;

typedef struct __attribute__((packed)) PathBeneath {
	uint64_t allowed;
	int32_t parent;
} PathBeneath;

int landlock_abi(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	return version > 0 ? (int)version : 0;
}

static uint64_t handled_fs(int abi)
{
	uint64_t fs = FS_ALL_1;
	if (abi >= 2) fs |= FS_REFER;
	if (abi >= 3) fs |= FS_TRUNCATE;
	if (abi >= 5) fs |= FS_IOCTL_DEV;
	return fs;
}

static uint64_t rights_of(unsigned access)
{
	uint64_t fs = 0;
	if (access & LANDLOCK_READ) fs |= FS_READ_FILE | FS_READ_DIR;
	if (access & LANDLOCK_EXECUTE) fs |= FS_EXECUTE;
	if (access & LANDLOCK_WRITE) fs |= (uint64_t)(FS_ALL_1 | FS_TRUNCATE) & ~(uint64_t)(FS_READ_FILE | FS_READ_DIR | FS_EXECUTE);
	return fs;
}

static int add_path(int ruleset, uint64_t handled, const LandlockRule *rule, Err *e)
{
	struct stat st;
	AUTO_FD int fd = open(rule->path, O_PATH | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES)) return 0; /* nothing there that one could want */
	if (fd < 0 || fstat(fd, &st) < 0) return err_sys(e, errno, "landlock: open %s", rule->path);
	uint64_t rights = rights_of(rule->access) & handled;
	if (!S_ISDIR(st.st_mode)) rights &= FS_OF_A_FILE;
	if (!rights) return 0;
	PathBeneath beneath = { .allowed = rights, .parent = fd };
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &beneath, 0) < 0)
		return err_sys(e, errno, "landlock: allow %s", rule->path);
	return 0;
}

int landlock_restrict(const LandlockRule *rules, size_t n, bool connect_tcp, Err *e)
{
	int abi = landlock_abi();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return err_sys(e, errno, "landlock: set no_new_privs");
	if (!abi) return 0;
	Ruleset set = { .fs = handled_fs(abi) };
	if (abi >= 4) set.net = connect_tcp ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
	AUTO_FD int fd = (int)syscall(SYS_landlock_create_ruleset, &set, abi >= 4 ? sizeof set : sizeof set.fs, 0);
	if (fd < 0) return err_sys(e, errno, "landlock: make a ruleset");
	for (size_t i = 0; i < n; i++) {
		int r = add_path(fd, set.fs, &rules[i], e);
		if (r < 0) return r;
	}
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0) return err_sys(e, errno, "landlock: restrict this process");
	return abi;
}
