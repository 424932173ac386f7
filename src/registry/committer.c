/* committer.c: see committer.h. */
#include "registry/committer.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/fd.h"

enum { BATCH_MAX = 256, DIRECTORIES_MAX = 4 };

typedef struct CommitList {
	Commit *first, *last;
} CommitList;

struct Committer {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	CommitList todo, ended;
	bool stopping, has_thread;
	int event;
	LoopFd watch;
	unsigned pending; /* of the loop's thread */
	pthread_t thread;
	Db *db; /* from here on of the committer's thread */
	int directories[DIRECTORIES_MAX];
	size_t n_directories;
};

static void list_add(CommitList *l, Commit *c)
{
	c->next = NULL;
	if (l->last)
		l->last->next = c;
	else
		l->first = c;
	l->last = c;
}

static Commit *list_take(CommitList *l)
{
	Commit *c = l->first;
	if (!c) return NULL;
	l->first = c->next;
	if (!l->first) l->last = NULL;
	return c;
}

/* ---- the committer's thread ---- */

void commit_directory_changed(Committer *c, int dirfd)
{
	for (size_t i = 0; i < c->n_directories; i++)
		if (c->directories[i] == dirfd) return;
	if (c->n_directories < DIRECTORIES_MAX) c->directories[c->n_directories++] = dirfd;
}

/* One commit as a savepoint. Returns -errno when the transaction as a whole is lost, with *e set. */
static int run_one(Committer *c, Commit *commit, Err *e)
{
	int r = db_run(c->db, "SAVEPOINT one", DB_NONE, e);
	if (r < 0) return r;
	commit->error = ERR_INIT;
	commit->result = commit->run(commit->arg, c, c->db, &commit->error);
	if (commit->result < 0) r = db_run(c->db, "ROLLBACK TO one", DB_NONE, e);
	return r < 0 ? r : db_run(c->db, "RELEASE one", DB_NONE, e);
}

static int sync_directories(Committer *c, Err *e)
{
	for (size_t i = 0; i < c->n_directories; i++)
		if (fsync(c->directories[i]) < 0) return err_sys(e, errno, "sync the blobs' directory");
	return 0;
}

static int run_batch(Committer *c, Commit *first, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	c->n_directories = 0;
	int r = db_begin(c->db, DB_DURABLE, &tx, e);
	for (Commit *commit = first; r >= 0 && commit; commit = commit->next)
		r = run_one(c, commit, e);
	if (r >= 0) r = sync_directories(c, e);
	return r < 0 ? r : db_commit(&tx, e);
}

static void commit_batch(Committer *c, Commit *first)
{
	Err e = ERR_INIT;
	int r = run_batch(c, first, &e);
	for (Commit *commit = first; commit; commit = commit->next) {
		if (r < 0 && commit->result >= 0) {
			commit->result = r;
			commit->error = e;
		}
		if (commit->result >= 0 && commit->after) commit->after(commit->arg, c->db);
	}
}

/* Up to BATCH_MAX of what waits, as a list of its own. */
static CommitList take_batch(Committer *c)
{
	CommitList batch = { 0 };
	Commit *commit;
	for (size_t n = 0; n < BATCH_MAX && (commit = list_take(&c->todo)); n++) {
		commit->result = 0;
		list_add(&batch, commit);
	}
	return batch;
}

static void *committer(void *arg)
{
	Committer *c = arg;
	pthread_mutex_lock(&c->lock);
	for (;;) {
		CommitList batch = take_batch(c);
		if (!batch.first && c->stopping) break;
		if (!batch.first) {
			pthread_cond_wait(&c->wake, &c->lock);
			continue;
		}
		pthread_mutex_unlock(&c->lock);
		commit_batch(c, batch.first);
		pthread_mutex_lock(&c->lock);
		if (!c->ended.first) (void)!eventfd_write(c->event, 1);
		for (Commit *commit; (commit = list_take(&batch));)
			list_add(&c->ended, commit);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- the loop's thread ---- */

static void on_event(void *arg, uint32_t events)
{
	Committer *c = arg;
	eventfd_t n;
	(void)!eventfd_read(c->event, &n);
	pthread_mutex_lock(&c->lock);
	CommitList ended = c->ended;
	c->ended = (CommitList){ 0 };
	pthread_mutex_unlock(&c->lock);
	for (Commit *commit; (commit = list_take(&ended));) {
		c->pending--;
		commit->done(commit->arg, commit->result, &commit->error);
	}
}

static int start_thread(Committer *c)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&c->thread, NULL, committer, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	c->has_thread = r == 0;
	return -r;
}

int committer_new(Loop *l, Db *db, Committer **ret, Err *e)
{
	Committer *c = calloc(1, sizeof *c);
	if (!c) {
		db_close(db);
		return err_sys(e, ENOMEM, "start the committer");
	}
	c->db = db;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	c->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = c->event < 0 ? -errno : loop_fd_add(l, &c->watch, c->event, EPOLLIN, on_event, c);
	if (r >= 0) r = start_thread(c);
	if (r < 0) {
		committer_free(c);
		return err_sys(e, -r, "start the committer");
	}
	*ret = c;
	return 0;
}

void committer_free(Committer *c)
{
	if (!c) return;
	while (c->pending) {
		struct pollfd wait = { .fd = c->event, .events = POLLIN };
		(void)!poll(&wait, 1, -1);
		on_event(c, EPOLLIN);
	}
	if (c->has_thread) {
		pthread_mutex_lock(&c->lock);
		c->stopping = true;
		pthread_cond_signal(&c->wake);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
	}
	loop_fd_remove(&c->watch);
	fd_close(c->event);
	db_close(c->db);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void committer_submit(Committer *c, Commit *commit)
{
	c->pending++;
	pthread_mutex_lock(&c->lock);
	list_add(&c->todo, commit);
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}
