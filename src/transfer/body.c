/* body.c: see body.h. */
#include "transfer/body.h"

#include <unistd.h>

int body_begin(void *arg, Err *e)
{
	Body *b = arg;
	Digest ignored;
	if (b->hash && b->n && hash_final(b->hash, &ignored) < 0) return err_set(e, ERR_INTERNAL, EIO, "digest of an answer");
	b->n = 0;
	if (b->fd >= 0 && ftruncate(b->fd, 0) < 0) return err_sys(e, errno, "empty the file for the answer");
	return 0;
}

int body_put(void *arg, const HttpResponse *r, const void *p, size_t n, Err *e)
{
	Body *b = arg;
	if (b->hash) hash_update(b->hash, p, n);
	for (size_t done = 0; b->fd >= 0 && done < n;) {
		ssize_t k = TEMP_FAILURE_RETRY(pwrite(b->fd, (const char *)p + done, n - done, (off_t)(b->n + done)));
		if (k < 0) return err_sys(e, errno, "write the answer to its file");
		done += (size_t)k;
	}
	b->n += n;
	return 0;
}

int body_line(Body *b, const char *text, Err *e)
{
	int r = body_put(b, NULL, text, strlen(text), e);
	return r < 0 ? r : body_put(b, NULL, "\n", 1, e);
}
