/* reserve.c: room for removing images when the disk is full: also a removal has to write first. A file that is given up then, and taken again
 * when there is room. */
#include <fcntl.h>
#include <unistd.h>

#include "image/store_impl.h"

/* The pages that a removal of a large image changes, in the database's log; on a disk that has not so much, less. */
enum { RESERVE_BYTES = 512 << 10, RESERVE_LEAST = 64 << 10 };

void store_reserve_take(const ImageStore *s)
{
	if (faccessat(s->root, "reserve", F_OK, AT_SYMLINK_NOFOLLOW) == 0) return;
	AUTO_FD int fd = openat(s->root, "reserve", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = -1;
	for (off_t n = RESERVE_BYTES; fd >= 0 && r < 0 && n >= RESERVE_LEAST; n /= 2)
		if ((r = fallocate(fd, 0, 0, n)) < 0 && errno != ENOSPC)
			return; /* it cannot give room beforehand: the file keeps us from trying again and again */
	if (r < 0) unlinkat(s->root, "reserve", 0);
}

bool store_reserve_give(const ImageStore *s)
{
	return unlinkat(s->root, "reserve", 0) == 0;
}
