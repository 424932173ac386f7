/* begin.c: see begin.h. */
#include "monitor/begin.h"

#include <stdio.h>

enum { LIST_MAX = 65536, NEEDED = 4, OPTIONAL = 5 };

/* Of the descriptors that may be missing the message says by a bit each which are there, in this order. */
static void optional_of(const MonitorBegin *b, const int *ret[static OPTIONAL])
{
	const int *all[OPTIONAL] = { &b->layers, &b->netns, &b->userns, &b->names[0], &b->names[1] };
	memcpy(ret, all, sizeof all);
}

static int send_list(int sock, const int *fds, size_t n)
{
	int r = 0;
	for (size_t i = 0, part; r >= 0 && i < n; i += part) {
		part = n - i < WIRE_FDS_MAX ? n - i : WIRE_FDS_MAX;
		r = wire_send(sock, WIRE_DESCRIPTORS, 0, 0, NULL, 0, fds + i, part);
	}
	return r;
}

int begin_send(int sock, const MonitorBegin *b, Err *e)
{
	int fds[WIRE_FDS_MAX] = { b->root, b->lock, b->config, b->spec }, has = 0;
	const int *optional[OPTIONAL];
	size_t n_fds = NEEDED;
	char data[WIRE_DATA_MAX];
	optional_of(b, optional);
	for (int i = 0; i < OPTIONAL; i++) {
		if (*optional[i] < 0) continue;
		has |= 1 << i;
		fds[n_fds++] = *optional[i];
	}
	int n = snprintf(data, sizeof data, "%zu %zu %s", b->n_sources, b->n_ports, b->dir);
	int r = wire_send(sock, WIRE_BEGIN, 0, has, data, (size_t)n, fds, n_fds);
	if (r >= 0) r = send_list(sock, b->sources, b->n_sources);
	if (r >= 0) r = send_list(sock, b->ports, b->n_ports);
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

static int receive_list(int sock, char *data, int *to, size_t *ret_n, size_t all, Err *e)
{
	while (*ret_n < all) {
		WireHead h;
		int fds[WIRE_FDS_MAX];
		size_t n, n_fds;
		int r = receive(sock, WIRE_DESCRIPTORS, &h, data, &n, fds, &n_fds, e);
		if (r <= 0) return r;
		bool fits = n_fds && n_fds <= all - *ret_n;
		for (size_t i = 0; i < n_fds; i++)
			if (fits)
				to[(*ret_n)++] = fds[i];
			else
				fd_close(fds[i]);
		if (!fits) return err_set(e, ERR_INTERNAL, EPROTO, "the sources of the container's mounts and its ports did not arrive");
	}
	return 1;
}

/* "sources ports directory" */
static int read_text(Str text, Arena *a, MonitorBegin *ret, size_t *sources, size_t *ports)
{
	Str first, second, rest, dir;
	uint32_t n[2];
	if (!str_cut(text, ' ', &first, &rest) || !str_cut(rest, ' ', &second, &dir)) return -EPROTO;
	if (str_to_u32(first, &n[0]) < 0 || str_to_u32(second, &n[1]) < 0 || n[0] > LIST_MAX || n[1] > 2 * LIST_MAX) return -EPROTO;
	*sources = n[0];
	*ports = n[1];
	ret->dir = arena_str(a, dir);
	ret->sources = arena_array(a, n[0] + 1, sizeof *ret->sources);
	ret->ports = arena_array(a, n[1] + 1, sizeof *ret->ports);
	return ret->dir && ret->sources && ret->ports ? 0 : -ENOMEM;
}

static int take_descriptors(MonitorBegin *ret, int has, const int *fds, size_t n_fds)
{
	int *to[NEEDED + OPTIONAL] = { &ret->root, &ret->lock, &ret->config, &ret->spec };
	const int *optional[OPTIONAL];
	size_t known = NEEDED;
	optional_of(ret, optional);
	for (int i = 0; i < OPTIONAL; i++)
		if (has & 1 << i) to[known++] = (int *)(uintptr_t)optional[i];
	for (size_t i = 0; i < n_fds; i++)
		if (i < known)
			*to[i] = fds[i];
		else
			fd_close(fds[i]);
	return n_fds == known ? 0 : -EPROTO;
}

int begin_receive(int sock, Arena *a, MonitorBegin *ret, Err *e)
{
	static char data[WIRE_DATA_MAX];
	WireHead h;
	int fds[WIRE_FDS_MAX];
	size_t n, n_fds, sources, ports;
	*ret = MONITOR_BEGIN_NONE;
	int r = receive(sock, WIRE_BEGIN, &h, data, &n, fds, &n_fds, e);
	if (r <= 0) return r;
	r = take_descriptors(ret, h.more, fds, n_fds);
	if (r >= 0) r = read_text((Str){ data, n }, a, ret, &sources, &ports);
	if (r == -EPROTO) return err_set(e, ERR_INTERNAL, EPROTO, "the container did not arrive at its monitor");
	if (r < 0) return err_sys(e, -r, "start a container");
	r = receive_list(sock, data, ret->sources, &ret->n_sources, sources, e);
	return r <= 0 ? r : receive_list(sock, data, ret->ports, &ret->n_ports, ports, e);
}
