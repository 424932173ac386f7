/* mount_id.c: see mount_id.h. */
#include "sys/mount_id.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MNT_ID = 0x1000, MNT_ID_UNIQUE = 0x4000 };

/* struct statx of the kernel, which not every C library has: what is asked for stands at its place. */
typedef struct Statx {
	uint32_t mask;
	uint32_t unused[35];
	uint64_t mnt_id;
	uint64_t rest[13];
} Statx;

_Static_assert(sizeof(Statx) == 256 && offsetof(Statx, mnt_id) == 144, "as in linux/stat.h");

static int ask(int dir, const char *path, unsigned mask, uint64_t *ret)
{
	Statx st;
	if (syscall(SYS_statx, dir, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH, mask, &st) < 0) return -errno;
	if (!(st.mask & mask)) return -ENOTSUP;
	*ret = st.mnt_id;
	return 0;
}

int mount_id(int dir, const char *path, bool unique, uint64_t *ret)
{
	int r = unique ? ask(dir, path, MNT_ID_UNIQUE, ret) : -ENOTSUP;
	return r == -ENOTSUP ? ask(dir, path, MNT_ID, ret) : r;
}

uint64_t mount_id_of(int fd)
{
	uint64_t id = 0;
	return mount_id(fd, "", false, &id) < 0 ? 0 : id;
}
