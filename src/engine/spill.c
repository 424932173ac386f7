/* spill.c: see spill.h. */
#include "engine/spill.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fd.h"

enum { FILE_PIECE = 65536 };

void spill_init(Spill *s, int out)
{
	struct stat st;
	bool regular = fstat(out, &st) == 0 && S_ISREG(st.st_mode);
	*s = (Spill){ .out = out, .piece = regular ? SPILL_MEMORY : PIPE_BUF, .mem = BUF_INIT(SPILL_MEMORY + FILE_PIECE), .file = -1 };
}

void spill_done(Spill *s)
{
	buf_done(&s->mem);
	s->file = fd_close(s->file);
}

bool spill_waits(const Spill *s)
{
	return !s->broken && (s->mem.n || s->head < s->tail);
}

static int open_file(Spill *s)
{
	const char *dir = getenv("TMPDIR");
	if (s->file >= 0) return 0;
	s->file = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return s->file < 0 ? -errno : 0;
}

static int put_file(Spill *s, const char *p, size_t n)
{
	int r = open_file(s);
	while (r >= 0 && n) {
		ssize_t k = retry_eintr(pwrite(s->file, p, n, s->tail));
		if (k < 0) return -errno;
		s->tail += k;
		p += k;
		n -= (size_t)k;
	}
	return r;
}

/* The next part of the file; an empty file begins anew. */
static void load(Spill *s)
{
	if (s->mem.n || s->head == s->tail) return;
	char *to = buf_reserve(&s->mem, FILE_PIECE);
	ssize_t n = to ? retry_eintr(pread(s->file, to, FILE_PIECE, s->head)) : -1;
	if (n <= 0) {
		s->broken = true;
		return;
	}
	buf_advance(&s->mem, (size_t)n);
	s->head += n;
	if (s->head < s->tail) return;
	s->head = s->tail = 0;
	(void)!ftruncate(s->file, 0);
}

void spill_write(Spill *s)
{
	load(s);
	if (s->broken || !s->mem.n) return;
	ssize_t n = retry_eintr(write(s->out, s->mem.p, s->mem.n < s->piece ? s->mem.n : s->piece));
	if (n > 0)
		buf_consume(&s->mem, (size_t)n);
	else if (n < 0 && errno != EAGAIN)
		s->broken = true;
}

static bool is_ready(int fd, int timeout)
{
	struct pollfd p = { fd, POLLOUT, 0 };
	return poll(&p, 1, timeout) > 0;
}

int spill_put(Spill *s, const char *p, size_t n)
{
	if (s->broken) return 0;
	while (n && !spill_waits(s) && is_ready(s->out, 0)) { /* straight on */
		ssize_t k = retry_eintr(write(s->out, p, n < s->piece ? n : s->piece));
		if (k < 0 && errno == EAGAIN) break;
		if (k < 0) {
			s->broken = true;
			return 0;
		}
		p += k;
		n -= (size_t)k;
	}
	if (!n) return 0;
	if (s->head < s->tail || s->mem.n + n > SPILL_MEMORY) return put_file(s, p, n);
	buf_put(&s->mem, p, n);
	return buf_failed(&s->mem) ? -ENOMEM : 0;
}

void spill_flush(Spill *s)
{
	while (spill_waits(s))
		if (is_ready(s->out, -1)) spill_write(s);
}
