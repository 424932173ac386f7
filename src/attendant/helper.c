/* helper.c: the child that answers: started, told, started again. */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attendant/attendant_impl.h"
#include "attendant/rows.h"
#include "base/duration.h"
#include "base/time.h"
#include "sys/fd.h"
#include "sys/proc.h"

#define YOUNG DURATION_SECOND
#define REST_FIRST (10 * DURATION_MILLISECOND)
#define REST_MAX DURATION_SECOND
#define COMING (100 * DURATION_MILLISECOND) /* monitors have found another attendant: attendance.c */
#define ALL DURATION_SECOND
#define PATIENCE (10 * DURATION_SECOND) /* without a confirmation */
enum { ROUND = 32 /* jobs in a turn of the loop */, ROWS_ARENA = 16 << 20 };

static void work(void *arg);

static Attendant *attendant_of(Helper *h)
{
	return (Attendant *)(void *)((char *)h - offsetof(Attendant, helper));
}

/* ---- the queue ---- */

static void work_soon(Helper *h)
{
	if ((h->first || !h->serves) && !h->rests) loop_defer(&attendant_of(h)->loop, &h->work, work, h);
}

static void enqueue(Helper *h, Registration *r)
{
	r->queued = true;
	r->job = ++h->last;
	r->queue_next = NULL;
	*h->end = r;
	h->end = &r->queue_next;
}

static Registration *dequeue(Helper *h)
{
	Registration *r = h->first;
	h->first = r->queue_next;
	if (!h->first) h->end = &h->first;
	r->queued = false;
	return r;
}

void helper_tell(Registration *r)
{
	Helper *h = &r->t->helper;
	if (!r->queued) enqueue(h, r);
	work_soon(h);
}

/* ---- its end ---- */

/* Another one is told everything: what was under way is lost. */
static void begin_anew(Attendant *t)
{
	Helper *h = &t->helper;
	h->first = NULL;
	h->end = &h->first;
	h->sent = h->confirmed = h->last;
	for (size_t i = 0; i < t->slots_n; i++) {
		Registration *r = t->slots[i];
		if (!r) continue;
		r->told = false;
		if (r->owner)
			enqueue(h, r);
		else
			registration_free(r);
	}
	connections_restart(t);
	connections_settle(t);
}

static void rested(void *arg)
{
	Helper *h = arg;
	h->rests = false;
	work_soon(h);
}

static void close_child(Helper *h)
{
	loop_timer_cancel(&h->patience);
	loop_fd_remove(&h->watch);
	loop_exit_remove(&h->exit);
	h->sock = fd_close(h->sock);
	h->pidfd = fd_close(h->pidfd);
	h->serves = false;
}

static void ended(void *arg, const siginfo_t *info)
{
	Helper *h = arg;
	Attendant *t = attendant_of(h);
	const int64_t now = time_monotonic();
	(void)info;
	close_child(h);
	h->backoff = now - h->begun > YOUNG ? REST_FIRST : h->backoff ? 2 * h->backoff : REST_FIRST;
	if (h->backoff > REST_MAX) h->backoff = REST_MAX;
	h->rests = true;
	loop_timer_set(&t->loop, &h->again, now + (h->backoff == REST_FIRST ? 0 : h->backoff), rested, h);
	begin_anew(t);
}

static void lose_patience(void *arg)
{
	Helper *h = arg;
	if (h->pidfd >= 0) (void)!pid_send(h->pidfd, SIGKILL);
}

/* ---- what it confirms ---- */

static void take_reply(Helper *h, const AnswererReply *reply)
{
	Attendant *t = attendant_of(h);
	if (reply->job <= h->confirmed || reply->job > h->sent) return;
	if (reply->code) {
		Err e = ERR_INIT;
		const ErrCode code = reply->code > 0 && reply->code < ERR_COUNT ? (ErrCode)reply->code : ERR_INTERNAL;
		err_set(&e, code, reply->errnum > 0 ? reply->errnum : EIO, "%.*s", (int)sizeof reply->message - 1, reply->message);
		for (size_t i = 0; i < t->slots_n; i++)
			if (t->slots[i] && t->slots[i]->add_job == reply->job) t->slots[i]->told = false;
		connections_fail(t, reply->job, &e);
	}
	h->confirmed = reply->job;
	if (h->confirmed == h->sent)
		loop_timer_cancel(&h->patience);
	else
		loop_timer_set(&t->loop, &h->patience, time_monotonic() + PATIENCE, lose_patience, h);
}

static void hear(void *arg, uint32_t events)
{
	Helper *h = arg;
	AnswererReply reply;
	size_t n_fds;
	for (;;) {
		const ssize_t n = fd_recv(h->sock, &reply, sizeof reply, NULL, 0, &n_fds);
		if (n == -EAGAIN) break;
		if (n != (ssize_t)sizeof reply) { /* its end, or nonsense: exit tells */
			loop_fd_remove(&h->watch);
			lose_patience(h);
			return;
		}
		take_reply(h, &reply);
	}
	connections_settle(attendant_of(h));
	if (events & EPOLLOUT) {
		(void)!loop_fd_events(&h->watch, EPOLLIN);
		work_soon(h);
	}
}

/* ---- its beginning ---- */

NORETURN static void be_child(int sock)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(answerer_run(sock));
}

static int start_child(Helper *h)
{
	Attendant *t = attendant_of(h);
	int pair[2];
	attendant_engine_close(t); /* it is none of the child's business */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
	AUTO_FD int ours = pair[0], theirs = pair[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0) return -errno;
	const pid_t pid = fork();
	if (pid < 0) return -errno;
	if (pid == 0) be_child(theirs);
	h->begun = time_monotonic();
	h->pidfd = pid_open(pid);
	int r = h->pidfd < 0 ? h->pidfd : loop_exit_add(&t->loop, &h->exit, h->pidfd, ended, h);
	if (r >= 0) r = loop_fd_add(&t->loop, &h->watch, ours, EPOLLIN, hear, h);
	if (r >= 0) {
		h->sock = take_fd(ours);
		return 0;
	}
	kill(pid, SIGKILL); /* nothing of it is known to anybody */
	close_child(h);
	return r;
}

/* ---- what it is told ---- */

static int send_job(Helper *h, AnswererKind kind, const Registration *r)
{
	const AnswererHead head = { .kind = kind, .slot = r->slot, .job = r->job };
	const bool names = kind == ANSWERER_ADD || kind == ANSWERER_CHANGE;
	const struct iovec parts[2] = { { (void *)(uintptr_t)&head, sizeof head }, { h->document.p, h->document.n } };
	const ssize_t n = fd_send_parts(h->sock, parts, names ? 2 : 1, r->sockets, kind == ANSWERER_ADD ? ATTENDANCE_SOCKETS : 0);
	if (n == -EAGAIN || n == -ENOBUFS || n == -ETOOMANYREFS) {
		(void)!loop_fd_events(&h->watch, EPOLLIN | EPOLLOUT);
		return -EAGAIN;
	}
	if (n < 0) return (int)n; /* it is about to be known to have ended */
	if (h->sent == h->confirmed) loop_timer_set(&attendant_of(h)->loop, &h->patience, time_monotonic() + PATIENCE, lose_patience, h);
	h->sent = r->job;
	return 0;
}

static bool is_registered(const void *arg, const char *id)
{
	return registration_find(arg, id);
}

static int read_rows(Attendant *t, Registration *r, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ROWS_ARENA);
	Engine *g;
	Document d;
	int failed = attendant_engine(t, &g, e);
	if (failed < 0) return failed;
	failed = rows_document(g, r->id, is_registered, t, &a, &d, &r->has_links, e);
	return failed < 0 ? failed : document_write(&d, &t->helper.document, e);
}

/* What the child is to be told of it. */
static AnswererKind prepare(Attendant *t, Registration *r)
{
	Err e = ERR_INIT;
	if (!r->owner) return r->told ? ANSWERER_REMOVE : ANSWERER_SYNC;
	if (r->sockets[0] < 0) return ANSWERER_SYNC;
	if (read_rows(t, r, &e) >= 0) return r->told ? ANSWERER_CHANGE : ANSWERER_ADD;
	connections_fail(t, r->job, &e);
	return ANSWERER_SYNC;
}

/* 0, or -EAGAIN: later. */
static int do_first(Attendant *t)
{
	Helper *h = &t->helper;
	Registration *r = h->first;
	if (r->owner && r->sockets[0] >= 0 && h->sock < 0 && start_child(h) < 0) {
		h->rests = true;
		loop_timer_set(&t->loop, &h->again, time_monotonic() + REST_MAX, rested, h);
		return -EAGAIN;
	}
	const AnswererKind kind = prepare(t, r);
	if (h->sock < 0)
		h->confirmed = h->sent = r->job; /* a child that there is not knows all that it need know */
	else if (send_job(h, kind, r) < 0)
		return -EAGAIN;
	(void)dequeue(h);
	if (kind == ANSWERER_ADD) {
		r->told = true;
		r->add_job = r->job;
	}
	if (!r->owner) registration_free(r);
	return 0;
}

/* A child that is told of all one after the other answers nobody before. */
static void let_serve(Helper *h)
{
	const AnswererHead head = { .kind = ANSWERER_SERVE };
	if (h->sock < 0 || h->serves || h->waits || (h->first && time_monotonic() - h->begun < ALL)) return;
	const int r = fd_send(h->sock, &head, sizeof head, NULL, 0);
	if (r == -EAGAIN || r == -ENOBUFS) (void)!loop_fd_events(&h->watch, EPOLLIN | EPOLLOUT);
	h->serves = r >= 0;
}

static void work(void *arg)
{
	Helper *h = arg;
	Attendant *t = attendant_of(h);
	int n = 0;
	while (h->first && n < ROUND && do_first(t) >= 0)
		n++;
	let_serve(h);
	connections_settle(t);
	if (n == ROUND) work_soon(h);
}

static void have_come(void *arg)
{
	Helper *h = arg;
	h->waits = false;
	work_soon(h);
}

void helper_wait(Attendant *t)
{
	Helper *h = &t->helper;
	const int64_t now = time_monotonic(), latest = (h->waits ? h->since : now) + ALL, at = now + COMING;
	if (!h->waits) h->since = now;
	h->waits = true;
	loop_timer_set(&t->loop, &h->all, at < latest ? at : latest, have_come, h);
}

void helper_init(Attendant *t)
{
	t->helper = (Helper){ .sock = -1, .pidfd = -1, .end = &t->helper.first, .document = BUF_INIT(DOCUMENT_MAX + 1024) };
}

void helper_done(Attendant *t)
{
	Helper *h = &t->helper;
	close_child(h); /* it ends with its socket */
	loop_timer_cancel(&h->again);
	loop_timer_cancel(&h->all);
	loop_defer_cancel(&h->work);
	for (size_t i = 0; i < t->slots_n; i++)
		if (t->slots[i]) registration_free(t->slots[i]);
	buf_done(&h->document);
}
