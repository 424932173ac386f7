/* committer.c: see committer.h. */
#include "registry/committer.h"

#include <unistd.h>

enum { BATCH_MAX = 256, DIRECTORIES_MAX = 4 };

struct Committer {
	WorkQueue *queue; /* one thread, whose is all that follows */
	Db *db;
	int directories[DIRECTORIES_MAX];
	size_t n_directories;
};

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

static int run_batch(Committer *c, Work *first, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	c->n_directories = 0;
	int r = db_begin(c->db, DB_DURABLE, &tx, e);
	for (Work *w = first; r >= 0 && w; w = w->next)
		r = run_one(c, w->arg, e);
	if (r >= 0) r = sync_directories(c, e);
	return r < 0 ? r : db_commit(&tx, e);
}

static void commit_batch(void *arg, Work *first)
{
	Committer *c = arg;
	Err e = ERR_INIT;
	int r = run_batch(c, first, &e);
	for (Work *w = first; w; w = w->next) {
		Commit *commit = w->arg;
		if (r < 0 && commit->result >= 0) {
			commit->result = r;
			commit->error = e;
		}
		if (commit->result >= 0 && commit->after) commit->after(commit->arg, c->db);
	}
}

/* ---- the loop's thread ---- */

static void commit_done(void *arg)
{
	Commit *commit = arg;
	commit->done(commit->arg, commit->result, &commit->error);
}

int committer_new(Loop *l, Db *db, Committer **ret, Err *e)
{
	Committer *c = calloc(1, sizeof *c);
	if (!c) {
		db_close(db);
		return err_sys(e, ENOMEM, "start the committer");
	}
	c->db = db;
	const WorkQueueOptions o = { .name = "the committer", .threads = 1, .batch_max = BATCH_MAX, .batch = commit_batch, .arg = c };
	int r = work_queue_new(l, &o, &c->queue, e);
	if (r < 0) {
		committer_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void committer_free(Committer *c)
{
	if (!c) return;
	work_queue_free(c->queue);
	db_close(c->db);
	free(c);
}

void committer_submit(Committer *c, Commit *commit)
{
	commit->result = 0;
	commit->work = (Work){ .done = commit_done, .arg = commit };
	work_put(c->queue, &commit->work);
}
