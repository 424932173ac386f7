/* serve.c: see serve.h. The main thread only reads requests, starts and joins threads: it never waits for one of them. */
#include "transfer/serve.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/fd.h"
#include "transfer/auth.h"
#include "transfer/http.h"
#include "transfer/thread.h"

enum { RUNNING_MAX = 16 };

typedef struct Server {
	ServeOptions o;
	int wake; /* eventfd: a job has ended */
	pthread_mutex_t out_lock;
	Http *http;
	Auth *auth;
	Job *queue, **queue_end;
	Job *running;
	unsigned n_running, n_layers, layers_max;
	size_t n_queued;
	char *text;
} Server;

/* is_layer: it inflates or compresses: more of those than cores help nobody. */
static bool is_layer(const Job *j)
{
	int op = j->req.op;
	return j->tar >= 0 || op == TRANSFER_LAYER_IMPORT || op == TRANSFER_LAYER_FETCH || op == TRANSFER_LAYER_COMPRESS;
}

/* tell: from any thread. Progress is dropped rather than waited for. */
static void tell(void *arg, const TransferEvent *ev)
{
	Server *s = arg;
	AUTO_BUF b = BUF_INIT(2 * TRANSFER_MESSAGE_MAX);
	Err e = ERR_INIT;
	if (transfer_message(&transfer_event_table, ev, &b, &e) < 0) {
		const TransferEvent failed = {
			.id = ev->id, .kind = TRANSFER_FAILED, .code = "INTERNAL", .errnum = EMSGSIZE, .message = e.msg
		};
		buf_reset(&b);
		if (transfer_message(&transfer_event_table, &failed, &b, &e) < 0) _exit(1);
	}
	pthread_mutex_lock(&s->out_lock);
	struct pollfd p = { .fd = s->o.sock, .events = POLLOUT };
	if (ev->kind != TRANSFER_PROGRESS || (poll(&p, 1, 0) == 1 && p.revents & POLLOUT))
		if (fd_send(s->o.sock, b.p, b.n, NULL, 0) < 0) _exit(0); /* nobody is left to work for */
	pthread_mutex_unlock(&s->out_lock);
}

static void *job_thread(void *arg)
{
	Job *j = arg;
	Server *s = j->out_arg;
	const uint64_t one = 1;
	job_run(j);
	atomic_store(&j->ended, true);
	(void)!write(s->wake, &one, sizeof one);
	return NULL;
}

static void refuse(Server *s, const Job *j, ErrCode code, int errnum, const char *message)
{
	tell(s, &(TransferEvent){ .id = j->req.id, .kind = TRANSFER_FAILED, .code = err_name(code), .errnum = errnum, .message = message });
}

static void start(Server *s, Job *j)
{
	j->http = s->http;
	j->auth = s->auth;
	if (thread_start(&j->thread, job_thread, j) < 0) {
		refuse(s, j, ERR_RESOURCE, EAGAIN, "skep-transfer: no more threads");
		job_free(j);
		return;
	}
	j->next = s->running;
	s->running = j;
	s->n_running++;
	s->n_layers += is_layer(j);
}

/* start_queued: as many as may run, in order; small requests pass layers that wait. */
static void start_queued(Server *s)
{
	for (Job **at = &s->queue; *at && s->n_running < RUNNING_MAX;) {
		Job *j = *at;
		if (is_layer(j) && s->n_layers >= s->layers_max) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		if (!*at) s->queue_end = at;
		s->n_queued--;
		start(s, j);
	}
}

static void reap(Server *s)
{
	uint64_t n;
	(void)!read(s->wake, &n, sizeof n);
	for (Job **at = &s->running; *at;) {
		Job *j = *at;
		if (!atomic_load(&j->ended)) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		pthread_join(j->thread, NULL);
		s->n_running--;
		s->n_layers -= is_layer(j);
		job_free(j);
	}
}

static void cancel(Server *s, uint64_t id)
{
	for (Job *j = s->running; j; j = j->next)
		if (j->req.id == id) job_cancel(j);
	for (Job *j = s->queue; j; j = j->next)
		if (j->req.id == id) job_cancel(j); /* fails as soon as it starts */
}

static bool needs_network(const Job *j)
{
	return j->req.op != TRANSFER_LAYER_IMPORT && j->req.op != TRANSFER_LAYER_COMPRESS;
}

static void accept_job(Server *s, Job *j)
{
	j->out = tell;
	j->out_arg = s;
	if (s->o.offline && needs_network(j)) {
		refuse(s, j, ERR_STATE, ENETUNREACH, "skep-transfer was started without network");
		job_free(j);
		return;
	}
	if (s->n_queued >= TRANSFER_REQUESTS_MAX) {
		refuse(s, j, ERR_RESOURCE, EAGAIN, "skep-transfer: too many requests under way");
		job_free(j);
		return;
	}
	*s->queue_end = j;
	s->queue_end = &j->next;
	s->n_queued++;
}

/* receive: one message. 1, 0: hung up, or an error: the other side is no friend. */
static int receive(Server *s, Err *e)
{
	int fds[TRANSFER_FDS_MAX];
	size_t n_fds = 0;
	Job *j = NULL;
	ssize_t n = fd_recv(s->o.sock, s->text, TRANSFER_MESSAGE_MAX, fds, TRANSFER_FDS_MAX, &n_fds);
	if (n == 0 || n == -ECONNRESET) return 0;
	if (n < 0) return err_sys(e, (int)n, "receive a request");
	int r = job_new(s->text, (size_t)n, fds, n_fds, &j, e);
	explicit_bzero(s->text, (size_t)n); /* passwords */
	if (r < 0) return r;
	if (j->req.op != TRANSFER_CANCEL) {
		accept_job(s, j);
		return 1;
	}
	cancel(s, j->req.cancel);
	job_free(j);
	return 1;
}

int serve(const ServeOptions *o, Err *e)
{
	static Server s; /* the threads use it until the process ends */
	s = (Server){ .o = *o, .queue_end = &s.queue, .layers_max = thread_cores() + 1, .out_lock = PTHREAD_MUTEX_INITIALIZER };
	s.text = malloc(TRANSFER_MESSAGE_MAX + 1);
	s.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!s.text || s.wake < 0 || auth_new(&s.auth) < 0) return err_set(e, ERR_RESOURCE, ENOMEM, "skep-transfer: out of memory");
	int r = o->offline ? 0 : http_new(&s.http, e);
	while (r >= 0) {
		struct pollfd p[2] = { { .fd = o->sock, .events = POLLIN }, { .fd = s.wake, .events = POLLIN } };
		if (poll(p, 2, -1) < 0 && errno != EINTR) return err_sys(e, errno, "wait for requests");
		if (p[1].revents) reap(&s);
		if (p[0].revents) {
			r = receive(&s, e);
			if (r == 0) return 0;
		}
		if (r >= 0) start_queued(&s);
	}
	return r;
}
