/* committer.h: the one thread that writes the catalogue, and group commit.
 *
 * What arrives while a transaction is being made durable goes together into the next: one sync for all of it. Each commit is a
 * savepoint of its own, so one that fails takes nothing else with it.
 *
 * Files and rows change together here and nowhere else: a blob is moved to its place (commit_directory_changed) before the row
 * that names it is committed, and removed after the row is gone (after). As all of this is in one thread, a push of a blob
 * and the collection of the same blob can never cross.
 *
 * A Commit is a member of its owner's object and stays in place until done() was called.
 */
#pragma once

#include "base/err.h"
#include "store/db.h"
#include "sys/work_queue.h"

typedef struct Committer Committer;
typedef struct Commit Commit;

struct Commit {
	/* In the committer's thread, within the transaction: 0 or more, or -errno with *e set: what it did is undone. */
	int (*run)(void *arg, Committer *c, Db *db, Err *e);
	/* In the committer's thread, when the transaction is durable and before the next begins; may be NULL. */
	void (*after)(void *arg, Db *db);
	/* In the loop's thread. result: what run() returned, or why the transaction failed. *e is set when it is negative. */
	void (*done)(void *arg, int result, const Err *e);
	void *arg;
	int result; /* private from here on */
	Err error;
	Work work;
};

/* committer_new: db is owned from now on, also on failure. */
int committer_new(Loop *l, Db *db, Committer **ret, Err *e) MUST_USE;
/* committer_free: commits what was submitted and calls done(), then closes the database. NULL is nothing. */
void committer_free(Committer *c);

void committer_submit(Committer *c, Commit *commit);

/* commit_directory_changed: within run(): the directory is made durable before the transaction. The descriptor is borrowed, and the same few are
 * used again and again. */
void commit_directory_changed(Committer *c, int dirfd);
