/* loop.c: see loop.h. */
#include "sys/loop.h"

#include <assert.h>
#include <limits.h>
#include <linux/time_types.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "sys/fd.h"

enum { LOOP_MAGIC = 0x4c6f6f70, FD_MAGIC = 0x4c466421, TIMER_MAGIC = 0x4c546d72, DEFER_MAGIC = 0x4c446672 };
enum { NS_PER_S = 1000000000, NS_PER_MS = 1000000 };

static void signals_ready(void *arg, uint32_t events);

int loop_init(Loop *l)
{
	*l = (Loop){ .epoll = epoll_create1(EPOLL_CLOEXEC) };
	if (l->epoll < 0) return -errno;
	l->magic = LOOP_MAGIC;
	l->now = time_monotonic();
	return 0;
}

void loop_done(Loop *l)
{
	if (!l || l->magic != LOOP_MAGIC) return;
	assert(!l->running);
	while (l->fds) {
		if (l->fds->fn == signals_ready)
			loop_signals_remove(l->fds->arg);
		else
			loop_fd_remove(l->fds);
	}
	while (l->timers)
		loop_timer_cancel(l->timers);
	while (l->defer_first)
		loop_defer_cancel(l->defer_first);
	l->epoll = fd_close(l->epoll);
	l->magic = 0;
}

int64_t loop_now(const Loop *l)
{
	return l->now;
}

void loop_stop(Loop *l, int code)
{
	assert(l->magic == LOOP_MAGIC && code >= 0);
	l->stopped = true;
	l->code = code;
}

/* Descriptors */

static int control(const LoopFd *w, int op, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = (void *)(uintptr_t)w };
	return epoll_ctl(w->loop->epoll, op, w->fd, &ev) < 0 ? -errno : 0;
}

int loop_fd_add(Loop *l, LoopFd *w, int fd, uint32_t events, LoopFdFn *fn, void *arg)
{
	assert(l->magic == LOOP_MAGIC && w->magic != FD_MAGIC);
	assert(!(events & ~(uint32_t)(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP)));
	LoopFd added = { .magic = FD_MAGIC, .events = events, .fd = fd, .loop = l, .fn = fn, .arg = arg, .next = l->fds };
	struct epoll_event ev = { .events = events, .data.ptr = w };
	/* a paused one too: so that what cannot be watched is known now */
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) return -errno;
	*w = added;
	if (w->next) w->next->prev = w;
	l->fds = w;
	if (!events)
		(void)control(w, EPOLL_CTL_DEL, 0);
	else
		l->active++;
	return 0;
}

int loop_fd_events(LoopFd *w, uint32_t events)
{
	assert(w->magic == FD_MAGIC);
	assert(!(events & ~(uint32_t)(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP)));
	if (events == w->events) return 0;
	int r = control(w, !events ? EPOLL_CTL_DEL : w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, events);
	if (r < 0) return r;
	if (!w->events) w->loop->active++;
	if (!events) w->loop->active--;
	w->events = events;
	return 0;
}

void loop_fd_remove(LoopFd *w)
{
	if (!w->magic) return;
	assert(w->magic == FD_MAGIC && w->loop->magic == LOOP_MAGIC);
	Loop *l = w->loop;
	if (w->events) {
		(void)control(w, EPOLL_CTL_DEL, 0);
		l->active--;
	}
	for (int i = l->batch_at; i < l->batch_n; i++)
		if (l->batch[i].data.ptr == w) l->batch[i].data.ptr = NULL;
	if (w->prev)
		w->prev->next = w->next;
	else
		l->fds = w->next;
	if (w->next) w->next->prev = w->prev;
	*w = (LoopFd){ .fd = -1 };
}

static void run_ready(Loop *l)
{
	while (l->batch_at < l->batch_n && !l->stopped) {
		const struct epoll_event ev = l->batch[l->batch_at++];
		LoopFd *w = ev.data.ptr;
		if (!w) continue; /* removed by a callback before it */
		assert(w->magic == FD_MAGIC && w->loop == l);
		uint32_t hits = ev.events & (w->events | EPOLLERR | EPOLLHUP);
		if (w->events && hits) w->fn(w->arg, hits);
	}
	l->batch_at = l->batch_n = 0;
}

/* Timers: a pairing heap, linked through the timers themselves. */

static bool is_earlier(const LoopTimer *a, const LoopTimer *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

/* One heap of two; either may be NULL, neither has siblings. */
static LoopTimer *meld(LoopTimer *a, LoopTimer *b)
{
	if (!a || !b) return a ? a : b;
	if (is_earlier(b, a)) {
		LoopTimer *t = a;
		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next) b->next->prev = b;
	a->child = b;
	return a;
}

static LoopTimer *take_first(LoopTimer **list)
{
	LoopTimer *t = *list;
	if (!t) return NULL;
	*list = t->next;
	t->prev = t->next = NULL;
	return t;
}

/* One heap of a list of siblings: in pairs from the left, then all pairs together. */
static LoopTimer *meld_siblings(LoopTimer *list)
{
	LoopTimer *pairs = NULL, *heap = NULL, *t;
	while ((t = take_first(&list))) {
		t = meld(t, take_first(&list));
		t->next = pairs;
		pairs = t;
	}
	while ((t = take_first(&pairs)))
		heap = meld(heap, t);
	return heap;
}

void loop_timer_cancel(LoopTimer *t)
{
	if (!t->magic) return;
	assert(t->magic == TIMER_MAGIC && t->loop->magic == LOOP_MAGIC);
	Loop *l = t->loop;
	LoopTimer *below = meld_siblings(t->child);
	if (t == l->timers) {
		l->timers = below;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next) t->next->prev = t->prev;
		l->timers = meld(l->timers, below);
	}
	*t = (LoopTimer){ 0 };
}

void loop_timer_set(Loop *l, LoopTimer *t, int64_t at, LoopFn *fn, void *arg)
{
	assert(l->magic == LOOP_MAGIC);
	loop_timer_cancel(t);
	if (at < l->now) at = l->now; /* behind those that were due before it */
	*t = (LoopTimer){ .magic = TIMER_MAGIC, .at = at, .seq = ++l->seq, .loop = l, .fn = fn, .arg = arg };
	l->timers = meld(l->timers, t);
}

static void run_timers(Loop *l)
{
	const uint64_t last = l->seq;
	while (!l->stopped && l->timers && l->timers->at <= l->now && l->timers->seq <= last) {
		LoopTimer *t = l->timers;
		assert(t->magic == TIMER_MAGIC);
		LoopFn *fn = t->fn;
		void *arg = t->arg;
		loop_timer_cancel(t);
		fn(arg);
	}
}

/* Deferred calls */

void loop_defer(Loop *l, LoopDefer *d, LoopFn *fn, void *arg)
{
	assert(l->magic == LOOP_MAGIC);
	if (d->magic) {
		assert(d->magic == DEFER_MAGIC && d->loop == l);
		d->fn = fn;
		d->arg = arg;
		return;
	}
	*d = (LoopDefer){ .magic = DEFER_MAGIC, .seq = ++l->seq, .loop = l, .fn = fn, .arg = arg, .prev = l->defer_last };
	if (d->prev)
		d->prev->next = d;
	else
		l->defer_first = d;
	l->defer_last = d;
}

void loop_defer_cancel(LoopDefer *d)
{
	if (!d->magic) return;
	assert(d->magic == DEFER_MAGIC && d->loop->magic == LOOP_MAGIC);
	if (d->prev)
		d->prev->next = d->next;
	else
		d->loop->defer_first = d->next;
	if (d->next)
		d->next->prev = d->prev;
	else
		d->loop->defer_last = d->prev;
	*d = (LoopDefer){ 0 };
}

static void run_deferred(Loop *l)
{
	const uint64_t last = l->seq;
	while (!l->stopped && l->defer_first && l->defer_first->seq <= last) {
		LoopDefer *d = l->defer_first;
		assert(d->magic == DEFER_MAGIC);
		LoopFn *fn = d->fn;
		void *arg = d->arg;
		loop_defer_cancel(d);
		fn(arg);
	}
}

/* Exits */

static void exit_ready(void *arg, uint32_t events)
{
	LoopExit *w = arg;
	siginfo_t info = { 0 };
	long r = retry_eintr(waitid(P_PIDFD, (id_t)w->watch.fd, &info, WEXITED | WNOHANG | __WALL));
	if (r == 0 && !info.si_pid) return; /* dead, but a tracer has it */
	if (r < 0) info = (siginfo_t){ 0 }; /* ECHILD: not ours, or reaped by SIGCHLD being ignored */
	LoopExitFn *fn = w->fn;
	void *fn_arg = w->arg;
	loop_exit_remove(w);
	fn(fn_arg, &info);
}

int loop_exit_add(Loop *l, LoopExit *w, int pidfd, LoopExitFn *fn, void *arg)
{
	int r = loop_fd_add(l, &w->watch, pidfd, EPOLLIN, exit_ready, w);
	if (r < 0) return r;
	w->fn = fn;
	w->arg = arg;
	return 0;
}

void loop_exit_remove(LoopExit *w)
{
	loop_fd_remove(&w->watch);
}

/* Signals */

/* One per turn: the callback may remove the watcher, and what is left makes the descriptor ready again. */
static void signals_ready(void *arg, uint32_t events)
{
	LoopSignals *w = arg;
	struct signalfd_siginfo info;
	if (retry_eintr(read(w->watch.fd, &info, sizeof info)) == sizeof info) w->fn(w->arg, &info);
}

int loop_signals_add(Loop *l, LoopSignals *w, const sigset_t *set, LoopSignalFn *fn, void *arg)
{
	sigset_t before, blocked;
	AUTO_FD int fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0) return -errno;
	if (sigprocmask(SIG_BLOCK, set, &before) < 0) return -errno;
	sigemptyset(&blocked);
	for (int n = 1; n < NSIG; n++)
		if (sigismember(set, n) == 1 && sigismember(&before, n) == 0) sigaddset(&blocked, n);
	int r = loop_fd_add(l, &w->watch, fd, EPOLLIN, signals_ready, w);
	if (r < 0) {
		sigprocmask(SIG_UNBLOCK, &blocked, NULL);
		return r;
	}
	w->fn = fn;
	w->arg = arg;
	w->before = before;
	w->blocked = blocked;
	take_fd(fd);
	return 0;
}

void loop_signals_remove(LoopSignals *w)
{
	if (!w->watch.magic) return;
	const sigset_t blocked = w->blocked;
	int fd = w->watch.fd;
	loop_fd_remove(&w->watch);
	fd_close(fd);
	sigprocmask(SIG_UNBLOCK, &blocked, NULL); /* last: what is pending may end the process */
}

/* The turn */

/* How long to wait: 0 or more ns, -1 for ever. */
static int64_t time_to_wait(const Loop *l)
{
	if (l->defer_first) return 0;
	if (!l->timers) return -1;
	int64_t left = l->timers->at - time_monotonic();
	return left > 0 ? left : 0;
}

static int wait_for(Loop *l, int64_t ns)
{
	if (ns > 0 && !l->coarse) {
		struct __kernel_timespec t = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
		int n = (int)syscall(SYS_epoll_pwait2, l->epoll, l->batch, LOOP_BATCH, &t, NULL, 0); /* musl does not wrap it */
		if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n;
		l->coarse = true; /* Linux 5.10, or a filter that does not know the call: a timer may be 1 ms late */
	}
	int64_t ms = ns > 0 ? (ns - 1) / NS_PER_MS + 1 : ns;
	return epoll_wait(l->epoll, l->batch, LOOP_BATCH, ms > INT_MAX ? INT_MAX : (int)ms);
}

static int run_turn(Loop *l)
{
	int64_t ns = time_to_wait(l);
	if (ns < 0 && !l->active) return -EDEADLK;
	int n = wait_for(l, ns);
	if (n < 0 && errno != EINTR) return -errno;
	l->batch_at = 0;
	l->batch_n = n < 0 ? 0 : n;
	l->now = time_monotonic();
	run_timers(l);
	run_ready(l);
	run_deferred(l);
	return 0;
}

int loop_run(Loop *l)
{
	assert(l->magic == LOOP_MAGIC && !l->running);
	int r = 0;
	l->running = true;
	while (!l->stopped && r >= 0)
		r = run_turn(l);
	l->running = false;
	if (r < 0) return r;
	l->stopped = false;
	return l->code;
}
