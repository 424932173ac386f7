/* answerer.c: see answerer.h. */
#include "attendant/answerer.h"

#include <assert.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/heap.h"
#include "sys/confine.h"
#include "sys/fd.h"

enum { DOCUMENT_ARENA = 1 << 20, ID_ROOM = NAMES_LENGTH_MAX + 1 };

/* All that a resolver and its memory do (strace of tests/net and tests/e2e/test_attendant.py), and what a failing assertion wants. */
static const char *const calls[] = {
	/* memory, time, the end */
	"brk",
	"mmap",
	"munmap",
	"mremap",
	"mprotect",
	"madvise",
	"clock_gettime",
	"getrandom",
	"rt_sigprocmask",
	"rt_sigaction",
	"rt_sigreturn",
	"gettid",
	"getpid",
	"tkill",
	"tgkill",
	"futex",
	"exit",
	"exit_group",
	"restart_syscall",
	/* descriptors */
	"close",
	"fcntl",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"read",
	"readv",
	"write",
	"writev",
	/* sockets */
	"accept4",
	"connect",
	"shutdown",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"sendto",
	"recvfrom",
	"sendmsg",
	"recvmsg",
	"sendmmsg",
	"recvmmsg",
};
static const uint64_t families[] = { AF_INET, AF_INET6 };

typedef struct Served {
	NamesMember *member;
	ResolverAddress servers[RESOLVER_SERVERS_MAX];
	size_t servers_n;
	bool ndots_set;
	ResolverClient *client;
	int sockets[ANSWERER_SOCKETS];
	unsigned version; /* part of its name in the table, so that two versions of it can stand there for a moment */
} Served;

typedef struct Answerer {
	Loop loop;
	LoopFd watch;
	int sock;
	Names *names;
	Resolver *resolver;
	Served **slots;
	size_t slots_n;
	bool serving;
	char data[DOCUMENT_MAX];
} Answerer;

static Served **slot_of(Answerer *t, uint32_t slot)
{
	if (slot >= NAMES_MEMBERS_MAX) return NULL;
	if (slot >= t->slots_n) {
		const size_t n = slot + 64;
		Served **slots = reallocarray(t->slots, n, sizeof *slots);
		if (!slots) return NULL;
		memset(slots + t->slots_n, 0, (n - t->slots_n) * sizeof *slots);
		t->slots = slots;
		t->slots_n = n;
	}
	return &t->slots[slot];
}

static void drop(Answerer *t, Served **at)
{
	Served *s = *at;
	resolver_remove(s->client);
	names_remove(t->names, s->member);
	for (size_t i = 0; i < ANSWERER_SOCKETS; i++)
		fd_close(s->sockets[i]);
	free(s);
	*at = NULL;
}

static int put_policy(Answerer *t, Served *s, const NamesMember *member, Err *e)
{
	const ResolverPolicy policy = { .member = member, .servers = s->servers, .servers_n = s->servers_n, .ndots_set = s->ndots_set };
	if (s->client) return resolver_change(s->client, &policy, e);
	return t->serving ? resolver_add(t->resolver, &policy, s->sockets[0], s->sockets[1], &s->client, e) : 0;
}

/* With its new names beside the old ones, which go when all else has succeeded. */
static int serve(Answerer *t, Served *s, const Document *d, Err *e)
{
	char id[ID_ROOM];
	NamesMember *member = NULL;
	NamesContainer c = d->container;
	if (snprintf(id, sizeof id, "%.128s/%u", c.id, s->version + 1) <= 0) return err_sys(e, EINVAL, "names of a container");
	c.id = id;
	int r = names_add(t->names, &c, &member, e);
	if (r < 0) return r;
	memcpy(s->servers, d->servers, sizeof s->servers);
	s->servers_n = d->servers_n;
	s->ndots_set = d->ndots_set;
	r = put_policy(t, s, member, e);
	names_remove(t->names, r < 0 ? member : s->member);
	if (r < 0) return r;
	s->member = member;
	s->version++;
	return 0;
}

static void serve_all(Answerer *t)
{
	Err ignored = ERR_INIT;
	t->serving = true;
	for (size_t i = 0; i < t->slots_n; i++)
		if (t->slots[i] && !t->slots[i]->client) (void)!put_policy(t, t->slots[i], t->slots[i]->member, &ignored);
}

static int add(Answerer *t, Served **at, const Document *d, int *fds, size_t n_fds, Err *e)
{
	if (n_fds != ANSWERER_SOCKETS) return err_set(e, ERR_INTERNAL, EPROTO, "a container's sockets did not arrive");
	Served *s = calloc(1, sizeof *s);
	if (!s) return err_sys(e, ENOMEM, "serve names to a container");
	if (*at) drop(t, at);
	*at = s;
	for (size_t i = 0; i < ANSWERER_SOCKETS; i++)
		s->sockets[i] = take_fd(fds[i]);
	int r = serve(t, s, d, e);
	if (r < 0) drop(t, at);
	return r;
}

static int take_message(Answerer *t, const AnswererHead *h, size_t n, int *fds, size_t n_fds, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(DOCUMENT_ARENA);
	Document d;
	if (h->kind == ANSWERER_SYNC) return 0;
	Served **at = slot_of(t, h->slot);
	if (!at) return err_sys(e, ENOMEM, "serve names to a container");
	if (h->kind == ANSWERER_REMOVE) {
		if (*at) drop(t, at);
		return 0;
	}
	int r = document_read(t->data, n, &a, &d, e);
	if (r < 0) return r;
	if (h->kind == ANSWERER_ADD) return add(t, at, &d, fds, n_fds, e);
	return *at ? serve(t, *at, &d, e) : err_set(e, ERR_INTERNAL, ENOENT, "a container is changed that was not added");
}

static int confirm(const Answerer *t, uint64_t job, const Err *e)
{
	AnswererReply reply = { .job = job, .code = (int32_t)e->code, .errnum = e->errnum };
	snprintf(reply.message, sizeof reply.message, "%.*s", (int)sizeof reply.message - 1, e->msg);
	return fd_send(t->sock, &reply, sizeof reply, NULL, 0);
}

static void hear(void *arg, uint32_t events)
{
	Answerer *t = arg;
	AnswererHead h;
	Err e = ERR_INIT;
	int fds[ANSWERER_SOCKETS];
	size_t n_fds = 0;
	const struct iovec parts[2] = { { &h, sizeof h }, { t->data, sizeof t->data } };
	(void)events;
	const ssize_t n = fd_recv_parts(t->sock, parts, 2, fds, ANSWERER_SOCKETS, &n_fds);
	if (n < (ssize_t)sizeof h) {
		loop_stop(&t->loop, n != 0);
		return;
	}
	if (h.kind == ANSWERER_SERVE) {
		serve_all(t);
		return;
	}
	int r = take_message(t, &h, (size_t)n - sizeof h, fds, n_fds, &e);
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
	if (r >= 0) e = (Err)ERR_INIT;
	if (confirm(t, h.job, &e) < 0) loop_stop(&t->loop, 1);
}

int answerer_run(int sock)
{
	static Answerer t;
	static const Confine confine = {
		.connect_tcp = true, .calls = calls, .calls_n = ARRAY_LEN(calls), .families = families, .families_n = ARRAY_LEN(families)
	};
	Err e = ERR_INIT;
	prctl(PR_SET_NAME, "skep-names");
	fd_close_all_but(0, &sock, 1);
	t.sock = sock;
	if (loop_init(&t.loop) < 0 || names_new(&t.names, &e) < 0 || resolver_new(&t.loop, t.names, NULL, &t.resolver, &e) < 0) return 1;
	if (confine_enter(&confine, &e) < 0) return 1;
	heap_trim();
	if (loop_fd_add(&t.loop, &t.watch, sock, EPOLLIN, hear, &t) < 0) return 1;
	return loop_run(&t.loop);
}
