/* begin.c: see begin.h. */
#include "monitor/begin.h"

enum { SOURCES_MAX = 65536, NEEDED = 4 };
/* Which of the descriptors that may be missing are there, in this order. */
enum { HAS_LAYERS = 1, HAS_NETNS = 2 };

int begin_send(int sock, const MonitorBegin *b, Err *e)
{
	int fds[WIRE_FDS_MAX] = { b->root, b->lock, b->config, b->spec };
	const int has = (b->layers < 0 ? 0 : HAS_LAYERS) | (b->netns < 0 ? 0 : HAS_NETNS);
	size_t n_fds = NEEDED;
	if (has & HAS_LAYERS) fds[n_fds++] = b->layers;
	if (has & HAS_NETNS) fds[n_fds++] = b->netns;
	int r = wire_send(sock, WIRE_BEGIN, (int)b->n_sources, has, b->dir, strlen(b->dir), fds, n_fds);
	for (size_t i = 0, n; r >= 0 && i < b->n_sources; i += n) {
		n = b->n_sources - i < WIRE_FDS_MAX ? b->n_sources - i : WIRE_FDS_MAX;
		r = wire_send(sock, WIRE_SOURCES, 0, 0, NULL, 0, b->sources + i, n);
	}
	return r < 0 ? err_sys(e, -r, "hand the container over to its monitor") : 0;
}

/* 1; 0: the end. */
static int receive(int sock, WireKind kind, WireHead *h, char *data, size_t *n, int fds[static WIRE_FDS_MAX], size_t *n_fds, Err *e)
{
	*n_fds = 0;
	int r = wire_receive(sock, h, data, n, fds, n_fds);
	if (r < 0) return err_sys(e, -r, "hear from who starts the container");
	if (r == 0 || h->kind == kind) return r;
	while (*n_fds > 0)
		fd_close(fds[--*n_fds]);
	return err_set(e, ERR_INTERNAL, EPROTO, "who starts the container says %u, not %d", h->kind, kind);
}

static int receive_sources(int sock, char *data, MonitorBegin *ret, size_t all, Err *e)
{
	while (ret->n_sources < all) {
		WireHead h;
		int fds[WIRE_FDS_MAX];
		size_t n, n_fds;
		int r = receive(sock, WIRE_SOURCES, &h, data, &n, fds, &n_fds, e);
		if (r <= 0) return r;
		bool fits = n_fds && n_fds <= all - ret->n_sources;
		for (size_t i = 0; i < n_fds; i++)
			if (fits)
				ret->sources[ret->n_sources++] = fds[i];
			else
				fd_close(fds[i]);
		if (!fits) return err_set(e, ERR_INTERNAL, EPROTO, "the sources of the container's mounts did not arrive");
	}
	return 1;
}

int begin_receive(int sock, Arena *a, MonitorBegin *ret, Err *e)
{
	static char data[WIRE_DATA_MAX];
	WireHead h;
	int fds[WIRE_FDS_MAX];
	size_t n, n_fds;
	*ret = (MonitorBegin){ .root = -1, .lock = -1, .config = -1, .spec = -1, .layers = -1, .netns = -1 };
	int r = receive(sock, WIRE_BEGIN, &h, data, &n, fds, &n_fds, e);
	if (r <= 0) return r;
	int *to[WIRE_FDS_MAX] = { &ret->root, &ret->lock, &ret->config, &ret->spec };
	size_t known = NEEDED;
	if (h.more & HAS_LAYERS) to[known++] = &ret->layers;
	if (h.more & HAS_NETNS) to[known++] = &ret->netns;
	for (size_t i = 0; i < n_fds; i++)
		if (i < known)
			*to[i] = fds[i];
		else
			fd_close(fds[i]);
	if (n_fds != known || h.value < 0 || h.value > SOURCES_MAX)
		return err_set(e, ERR_INTERNAL, EPROTO, "the container did not arrive at its monitor");
	ret->dir = arena_str(a, (Str){ data, n });
	ret->sources = arena_array(a, (size_t)h.value + 1, sizeof *ret->sources);
	if (!ret->dir || !ret->sources) return err_sys(e, ENOMEM, "start a container");
	return receive_sources(sock, data, ret, (size_t)h.value, e);
}
