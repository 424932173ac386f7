/* workers.c: see workers.h. Two lists under one lock, a condition for the threads, an eventfd for the loop. */
#include "registry/workers.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/fd.h"

enum { WORKERS_MAX = 16, STACK_BYTES = 256 * 1024 };

typedef struct JobList {
	Job *first, *last;
} JobList;

struct Workers {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	JobList todo, ended;
	bool stopping;
	int event;
	LoopFd watch;
	unsigned pending; /* of the loop's thread */
	unsigned n;
	pthread_t threads[WORKERS_MAX];
};

static void list_add(JobList *l, Job *j)
{
	j->next = NULL;
	if (l->last)
		l->last->next = j;
	else
		l->first = j;
	l->last = j;
}

static Job *list_take(JobList *l)
{
	Job *j = l->first;
	if (!j) return NULL;
	l->first = j->next;
	if (!l->first) l->last = NULL;
	return j;
}

static void *worker(void *arg)
{
	Workers *w = arg;
	pthread_mutex_lock(&w->lock);
	for (;;) {
		Job *j = list_take(&w->todo);
		if (!j && w->stopping) break;
		if (!j) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		j->work(j->arg);
		pthread_mutex_lock(&w->lock);
		bool tell = !w->ended.first;
		list_add(&w->ended, j);
		if (tell) (void)!eventfd_write(w->event, 1);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* In the loop's thread: calls done() of what has ended so far. */
static void collect(Workers *w)
{
	pthread_mutex_lock(&w->lock);
	JobList ended = w->ended;
	w->ended = (JobList){ 0 };
	pthread_mutex_unlock(&w->lock);
	for (Job *j; (j = list_take(&ended));) {
		w->pending--;
		j->done(j->arg);
	}
}

static void on_event(void *arg, uint32_t events)
{
	Workers *w = arg;
	eventfd_t n;
	(void)!eventfd_read(w->event, &n);
	collect(w);
}

static int start_threads(Workers *w, unsigned threads)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r = 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (w->n < threads && r == 0) {
		r = pthread_create(&w->threads[w->n], &attr, worker, w);
		if (r == 0) w->n++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

int workers_new(Loop *l, unsigned threads, Workers **ret, Err *e)
{
	Workers *w = calloc(1, sizeof *w);
	if (!w) return err_sys(e, ENOMEM, "start worker threads");
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = w->event < 0 ? -errno : loop_fd_add(l, &w->watch, w->event, EPOLLIN, on_event, w);
	if (r >= 0) r = start_threads(w, threads < 1 ? 1 : threads > WORKERS_MAX ? WORKERS_MAX : threads);
	if (r < 0) {
		workers_free(w);
		return err_sys(e, -r, "start worker threads");
	}
	*ret = w;
	return 0;
}

void workers_free(Workers *w)
{
	if (!w) return;
	/* a done() may submit again: until nothing is left */
	while (w->pending) {
		struct pollfd wait = { .fd = w->event, .events = POLLIN };
		(void)!poll(&wait, 1, -1);
		on_event(w, EPOLLIN);
	}
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	loop_fd_remove(&w->watch);
	fd_close(w->event);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void workers_submit(Workers *w, Job *j)
{
	w->pending++;
	pthread_mutex_lock(&w->lock);
	list_add(&w->todo, j);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

unsigned workers_pending(const Workers *w)
{
	return w->pending;
}
