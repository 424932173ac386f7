/* reserve.c: room for removing images when the disk is full: also a removal has to write first. A file that is given up then, and taken again
 * when there is room. */
#include <fcntl.h>
#include <unistd.h>

#include "image/store_impl.h"

enum { RESERVE_BYTES = 512 << 10 }; /* the pages that a removal of a large image changes, in the database's log */

void store_reserve_take(const ImageStore *s)
{
	if (faccessat(s->root, "reserve", F_OK, AT_SYMLINK_NOFOLLOW) == 0) return;
	AUTO_FD int fd = openat(s->root, "reserve", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* a file system that cannot give room beforehand has no reserve; the file keeps us from trying again and again */
	if (fd >= 0 && fallocate(fd, 0, 0, RESERVE_BYTES) < 0 && errno == ENOSPC) unlinkat(s->root, "reserve", 0);
}

bool store_reserve_give(const ImageStore *s)
{
	return unlinkat(s->root, "reserve", 0) == 0;
}
