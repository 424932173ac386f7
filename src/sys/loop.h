/* loop.h: the event loop: descriptors, timers, exits of processes, signals, deferred calls, in one thread.
 *
 * Ownership
 *  - The Loop and every watcher are owned by the caller, as members of his objects; the loop links them and allocates
 *    nothing, ever. A watcher starts zeroed ({ 0 }), and stays in place while it is added.
 *  - Descriptors are borrowed. Remove a watcher before its descriptor is closed.
 *  - loop_done() removes all watchers that are left and restores the signal mask.
 *
 * Invariants
 *  - No globals: any number of loops. A loop and its watchers belong to the thread that runs it; a forked child must
 *    not touch them (both share one epoll instance).
 *  - In any callback any watcher, also the one called, may be removed, added again or freed: none is called after its
 *    removal. Removing what is not added is nothing.
 *  - Level-triggered: what a callback leaves unread brings it again.
 *  - One turn runs the timers that are due, then the ready descriptors, then the deferred calls. What these add is
 *    for the next turn, so none can starve the others.
 *  - A watcher that was overwritten or freed while added ends the program (assertions on magic numbers).
 *
 * Functions return 0 or a negative errno.
 */
#pragma once

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/defs.h"

typedef struct Loop Loop;
typedef struct LoopFd LoopFd;
typedef struct LoopTimer LoopTimer;
typedef struct LoopDefer LoopDefer;

enum { LOOP_BATCH = 32 };

struct Loop {
	uint32_t magic;
	int epoll;
	int code;
	bool running, stopped, coarse;
	int64_t now;
	uint64_t seq;
	LoopFd *fds;
	LoopTimer *timers;
	LoopDefer *defer_first, *defer_last;
	struct epoll_event batch[LOOP_BATCH];
	int batch_at, batch_n;
	unsigned active; /* watchers in the epoll set */
};

int loop_init(Loop *l) MUST_USE;
void loop_done(Loop *l);
#define AUTO_LOOP AUTO(loop_done) Loop

/* loop_run: turns until loop_stop; returns its code (0 or more). -EDEADLK when there is nothing left to wait for. */
int loop_run(Loop *l) MUST_USE;
/* loop_stop: loop_run returns code once the current callback has returned. What was ready and not yet called stays so. */
void loop_stop(Loop *l, int code);
/* loop_now: CLOCK_MONOTONIC in ns, as of the start of this turn. */
int64_t loop_now(const Loop *l);

/* Descriptors. events: EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP; EPOLLERR and EPOLLHUP come unasked.
 * -EPERM: a regular file or /dev/null, always ready and nothing to wait for. */
typedef void LoopFdFn(void *arg, uint32_t events);

struct LoopFd {
	uint32_t magic;
	uint32_t events;
	int fd;
	Loop *loop;
	LoopFdFn *fn;
	void *arg;
	LoopFd *prev, *next;
};

int loop_fd_add(Loop *l, LoopFd *w, int fd, uint32_t events, LoopFdFn *fn, void *arg) MUST_USE;
/* loop_fd_events: waits for others from now on; 0 pauses the watcher wholly, also for EPOLLERR and EPOLLHUP. */
int loop_fd_events(LoopFd *w, uint32_t events) MUST_USE;
void loop_fd_remove(LoopFd *w);

/* Timers: once, at a point of CLOCK_MONOTONIC in ns or later, in order of time. Setting one again moves it. */
typedef void LoopFn(void *arg);

struct LoopTimer {
	uint32_t magic;
	int64_t at;
	uint64_t seq;
	Loop *loop;
	LoopFn *fn;
	void *arg;
	LoopTimer *child, *prev, *next; /* a pairing heap: prev is the parent for a first child */
};

void loop_timer_set(Loop *l, LoopTimer *t, int64_t at, LoopFn *fn, void *arg);
void loop_timer_cancel(LoopTimer *t);

/* Deferred calls: once, in this turn or (from a deferred call) the next, in the order they were made. Deferring one
 * that waits already changes nothing but what it will call. */
struct LoopDefer {
	uint32_t magic;
	uint64_t seq;
	Loop *loop;
	LoopFn *fn;
	void *arg;
	LoopDefer *prev, *next;
};

void loop_defer(Loop *l, LoopDefer *d, LoopFn *fn, void *arg);
void loop_defer_cancel(LoopDefer *d);

/* Exits: once, when the process behind pidfd is dead. Our child is reaped and info says how it ended (waitid(2));
 * of any other process only the fact is known: info->si_pid is 0. The watcher is removed before the call. */
typedef void LoopExitFn(void *arg, const siginfo_t *info);

typedef struct LoopExit {
	LoopFd watch;
	LoopExitFn *fn;
	void *arg;
} LoopExit;

int loop_exit_add(Loop *l, LoopExit *w, int pidfd, LoopExitFn *fn, void *arg) MUST_USE;
void loop_exit_remove(LoopExit *w);

/* Signals: those in the set are blocked while the watcher is added and come as calls. Removing it unblocks those it
 * blocked; what is pending then is delivered the usual way. Two watchers must not share a signal.
 * A forked child starts with the mask w->before: sigprocmask(SIG_SETMASK, &w->before, NULL). */
typedef void LoopSignalFn(void *arg, const struct signalfd_siginfo *info);

typedef struct LoopSignals {
	LoopFd watch;
	LoopSignalFn *fn;
	void *arg;
	sigset_t before, blocked; /* the mask it found; what it added to it */
} LoopSignals;

int loop_signals_add(Loop *l, LoopSignals *w, const sigset_t *set, LoopSignalFn *fn, void *arg) MUST_USE;
void loop_signals_remove(LoopSignals *w);
