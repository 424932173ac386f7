/* work_queue.c: see work_queue.h. Two lists under one lock, a condition for the threads, an eventfd for the loop. */
#include "sys/work_queue.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/fd.h"

typedef struct WorkList {
	Work *first, *last;
} WorkList;

struct WorkQueue {
	WorkQueueOptions o;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	WorkList todo, ended;
	bool stopping;
	int event;
	LoopFd watch;
	unsigned pending; /* of the loop's thread: put in, and done() was not called */
	unsigned n;
	pthread_t threads[WORK_THREADS_MAX];
};

static void list_add(WorkList *l, Work *w)
{
	w->next = NULL;
	if (l->last)
		l->last->next = w;
	else
		l->first = w;
	l->last = w;
}

static Work *list_take(WorkList *l)
{
	Work *w = l->first;
	if (!w) return NULL;
	l->first = w->next;
	if (!l->first) l->last = NULL;
	return w;
}

/* ---- the threads ---- */

static WorkList take_batch(WorkQueue *q)
{
	WorkList batch = { 0 };
	Work *w = list_take(&q->todo);
	for (unsigned n = 1; w; n++) {
		list_add(&batch, w);
		w = n < q->o.batch_max ? list_take(&q->todo) : NULL;
	}
	return batch;
}

static void *worker(void *arg)
{
	WorkQueue *q = arg;
	pthread_mutex_lock(&q->lock);
	for (;;) {
		WorkList batch = take_batch(q);
		if (!batch.first && q->stopping) break;
		if (!batch.first) {
			pthread_cond_wait(&q->wake, &q->lock);
			continue;
		}
		pthread_mutex_unlock(&q->lock);
		if (q->o.batch)
			q->o.batch(q->o.arg, batch.first);
		else
			batch.first->work(batch.first->arg);
		pthread_mutex_lock(&q->lock);
		if (!q->ended.first) (void)!eventfd_write(q->event, 1);
		for (Work *w; (w = list_take(&batch));)
			list_add(&q->ended, w);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

static int start_threads(WorkQueue *q)
{
	pthread_attr_t attr;
	sigset_t all, before;
	unsigned threads = q->o.threads < 1 ? 1 : q->o.threads > WORK_THREADS_MAX ? WORK_THREADS_MAX : q->o.threads;
	pthread_attr_init(&attr);
	int r = q->o.stack ? pthread_attr_setstacksize(&attr, q->o.stack) : 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (q->n < threads && r == 0) {
		r = pthread_create(&q->threads[q->n], &attr, worker, q);
		if (r == 0) q->n++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

/* ---- the loop's thread ---- */

static void on_event(void *arg, uint32_t events)
{
	WorkQueue *q = arg;
	eventfd_t n;
	(void)!eventfd_read(q->event, &n);
	pthread_mutex_lock(&q->lock);
	WorkList ended = q->ended;
	q->ended = (WorkList){ 0 };
	pthread_mutex_unlock(&q->lock);
	for (Work *w; (w = list_take(&ended));) {
		q->pending--;
		w->done(w->arg);
	}
}

int work_queue_new(Loop *l, const WorkQueueOptions *o, WorkQueue **ret, Err *e)
{
	WorkQueue *q = calloc(1, sizeof *q);
	if (!q) return err_sys(e, ENOMEM, "start the threads of %s", o->name);
	q->o = *o;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->wake, NULL);
	q->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = q->event < 0 ? -errno : loop_fd_add(l, &q->watch, q->event, EPOLLIN, on_event, q);
	if (r >= 0) r = start_threads(q);
	if (r < 0) {
		work_queue_free(q);
		return err_sys(e, -r, "start the threads of %s", o->name);
	}
	*ret = q;
	return 0;
}

void work_queue_free(WorkQueue *q)
{
	if (!q) return;
	/* a done() may put in again: until nothing is left */
	while (q->pending) {
		struct pollfd wait = { .fd = q->event, .events = POLLIN };
		(void)!poll(&wait, 1, -1);
		on_event(q, EPOLLIN);
	}
	pthread_mutex_lock(&q->lock);
	q->stopping = true;
	pthread_cond_broadcast(&q->wake);
	pthread_mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->n; i++)
		pthread_join(q->threads[i], NULL);
	loop_fd_remove(&q->watch);
	fd_close(q->event);
	pthread_cond_destroy(&q->wake);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

void work_put(WorkQueue *q, Work *w)
{
	q->pending++;
	pthread_mutex_lock(&q->lock);
	list_add(&q->todo, w);
	pthread_cond_signal(&q->wake);
	pthread_mutex_unlock(&q->lock);
}
