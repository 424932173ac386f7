/* blocklog: a file that is a disk which remembers what was written to it, in which order, and when it was told to flush.
 *
 *   blocklog FILE IMAGE LOG
 *
 * Mounts itself onto FILE, by FUSE's own protocol (linux/fuse.h): what is read and written there is IMAGE. Over a loop device on FILE a file system
 * lives as on any disk; the device turns its flushes into fsync. Each write and each flush is appended to LOG, before it is answered:
 *
 *   { u32 kind, u32 length, u64 offset }, length bytes      kind: 'W' a write, 'F' a flush, 'M' a mark: the text of a line of standard input
 *
 * Numbers are the machine's. A mark is answered by an 'm' on standard output; so is the start. The end of standard input is the end: FILE is unmounted.
 * One thread: what was answered before a request was read stands before it in the log.
 *
 * The mark is how a test says what it was promised: whatever the log holds before it may be all that a disk without power keeps. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE_MAX = 1 << 20, REQUEST_MAX = WRITE_MAX + 4096, MARK_MAX = 4096, PAGE = 4096, NODE = 1 };

typedef struct LogHead {
	uint32_t kind, length;
	uint64_t offset;
} LogHead;

typedef struct Disk {
	int fuse, image, log;
	uint64_t size;
	char *request, *data; /* REQUEST_MAX, WRITE_MAX bytes */
	char mark[MARK_MAX];
	size_t mark_n;
} Disk;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "blocklog: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_all(int fd, const void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = write(fd, (const char *)p + done, n - done);
		if (k < 0 && errno != EINTR) die("write");
		if (k > 0) done += (size_t)k;
	}
}

static void append(const Disk *d, char kind, uint64_t offset, const void *p, size_t n)
{
	const LogHead h = { .kind = (uint32_t)kind, .length = (uint32_t)n, .offset = offset };
	write_all(d->log, &h, sizeof h);
	write_all(d->log, p, n);
}

/* ---- answers ---- */

static void reply(const Disk *d, const struct fuse_in_header *in, int error, const void *p, size_t n)
{
	struct fuse_out_header out = { .len = (uint32_t)(sizeof out + n), .error = error, .unique = in->unique };
	struct iovec v[] = { { &out, sizeof out }, { (void *)(uintptr_t)p, n } };
	/* ENOENT: the request was interrupted, nobody waits for it */
	if (writev(d->fuse, v, n ? 2 : 1) < 0 && errno != ENOENT) die("answer the kernel");
}

static void do_init(const Disk *d, const struct fuse_in_header *in, const struct fuse_init_in *arg)
{
	const struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION < arg->minor ? FUSE_KERNEL_MINOR_VERSION : arg->minor,
		.max_readahead = arg->max_readahead,
		.flags = arg->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_READ),
		.max_background = 16,
		.congestion_threshold = 12,
		.max_write = WRITE_MAX,
		.time_gran = 1,
		.max_pages = WRITE_MAX / PAGE,
	};
	reply(d, in, 0, &out, sizeof out);
}

static void do_attr(const Disk *d, const struct fuse_in_header *in)
{
	const struct fuse_attr_out out = {
		.attr_valid = 3600,
		.attr = { .ino = NODE, .size = d->size, .blocks = d->size / 512, .mode = S_IFREG | 0600, .nlink = 1, .blksize = PAGE },
	};
	reply(d, in, 0, &out, sizeof out);
}

static void do_read(const Disk *d, const struct fuse_in_header *in, const struct fuse_read_in *arg)
{
	size_t n = arg->size < WRITE_MAX ? arg->size : WRITE_MAX;
	ssize_t k = pread(d->image, d->data, n, (off_t)arg->offset);
	if (k < 0)
		reply(d, in, -errno, NULL, 0);
	else
		reply(d, in, 0, d->data, (size_t)k);
}

static void do_write(const Disk *d, const struct fuse_in_header *in, const struct fuse_write_in *arg)
{
	const struct fuse_write_out out = { .size = arg->size };
	if (arg->offset > d->size || arg->size > d->size - arg->offset) {
		reply(d, in, -ENOSPC, NULL, 0);
		return;
	}
	if (pwrite(d->image, arg + 1, arg->size, (off_t)arg->offset) != (ssize_t)arg->size) die("write the image");
	append(d, 'W', arg->offset, arg + 1, arg->size);
	reply(d, in, 0, &out, sizeof out);
}

static void do_open(const Disk *d, const struct fuse_in_header *in)
{
	const struct fuse_open_out out = { 0 };
	reply(d, in, 0, &out, sizeof out);
}

static void do_statfs(const Disk *d, const struct fuse_in_header *in)
{
	const struct fuse_statfs_out out = { .st = { .bsize = PAGE, .frsize = PAGE, .blocks = d->size / PAGE, .namelen = 255 } };
	reply(d, in, 0, &out, sizeof out);
}

static void serve_one(const Disk *d)
{
	const struct fuse_in_header *in = (const void *)d->request;
	const void *arg = in + 1;
	ssize_t n = read(d->fuse, d->request, REQUEST_MAX);
	if (n < 0 && errno == ENODEV) exit(0); /* unmounted by somebody else */
	if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN)) return;
	if (n < (ssize_t)sizeof *in) die("read a request");
	switch (in->opcode) {
	case FUSE_INIT:
		do_init(d, in, arg);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR: /* times */
		do_attr(d, in);
		break;
	case FUSE_OPEN:
		do_open(d, in);
		break;
	case FUSE_READ:
		do_read(d, in, arg);
		break;
	case FUSE_WRITE:
		do_write(d, in, arg);
		break;
	case FUSE_FSYNC:
		append(d, 'F', 0, NULL, 0);
		reply(d, in, 0, NULL, 0);
		break;
	case FUSE_STATFS:
		do_statfs(d, in);
		break;
	case FUSE_RELEASE:
	case FUSE_DESTROY:
		reply(d, in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT: /* every request is answered at once */
		break;
	default: /* discarding above all: the file system writes zeros instead */
		reply(d, in, -ENOSYS, NULL, 0);
	}
}

/* ---- marks ---- */

/* false: there will be no more. */
static bool take_marks(Disk *d)
{
	ssize_t n = read(0, d->mark + d->mark_n, MARK_MAX - d->mark_n);
	if (n < 0 && errno == EINTR) return true;
	if (n <= 0) return false;
	d->mark_n += (size_t)n;
	for (char *end; (end = memchr(d->mark, '\n', d->mark_n));) {
		size_t line = (size_t)(end - d->mark);
		append(d, 'M', 0, d->mark, line);
		d->mark_n -= line + 1;
		memmove(d->mark, end + 1, d->mark_n);
		write_all(1, "m", 1);
	}
	if (d->mark_n == MARK_MAX) die("a mark is too long");
	return true;
}

static void mount_on(const Disk *d, const char *file)
{
	char options[128];
	snprintf(options, sizeof options, "fd=%d,rootmode=%o,user_id=%u,group_id=%u", d->fuse, S_IFREG | 0600, getuid(), getgid());
	if (mount("blocklog", file, "fuse", MS_NOSUID | MS_NODEV, options) < 0) die(file);
	write_all(1, "m", 1);
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0) die(path);
	return fd;
}

int main(int argc, char **argv)
{
	static Disk d;
	struct stat st;
	if (argc != 4) {
		fprintf(stderr, "usage: blocklog FILE IMAGE LOG\n");
		return 1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); /* memory is never got by writing to this very disk */
	d.fuse = open_or_die("/dev/fuse", O_RDWR);
	d.image = open_or_die(argv[2], O_RDWR);
	d.log = open_or_die(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
	d.request = malloc(REQUEST_MAX);
	d.data = malloc(WRITE_MAX);
	if (!d.request || !d.data || fstat(d.image, &st) < 0) die(argv[2]);
	d.size = (uint64_t)st.st_size;
	mount_on(&d, argv[1]);
	for (;;) {
		struct pollfd wait[] = { { .fd = 0, .events = POLLIN }, { .fd = d.fuse, .events = POLLIN } };
		if (poll(wait, 2, -1) < 0 && errno != EINTR) die("poll");
		if (wait[1].revents) serve_one(&d);
		if (wait[0].revents && !take_marks(&d)) break;
	}
	umount2(argv[1], MNT_DETACH);
	return 0;
}
