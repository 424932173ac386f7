/* work_queue.h: threads for what would make the loop wait: hashing, writing, syncing, a password's check.
 *
 * Ownership and rules
 *  - A Work is a member of its owner's object, and stays in place from work_put() until done() is called. It is put in once at a time.
 *  - work() runs in any of the threads and must touch only what its owner leaves alone meanwhile. done() runs in the loop's thread, in the
 *    order in which works ended.
 *  - Works wait for nothing, not for each other either: an object that needs order puts in its next work from done(). Two works of one object
 *    may run at the same time.
 *  - Everything here but work() and batch() is for the loop's thread.
 */
#pragma once

#include "base/err.h"
#include "sys/loop.h"

enum { WORK_THREADS_MAX = 16 };

typedef struct Work Work;
struct Work {
	void (*work)(void *arg); /* unused where works are done in batches */
	void (*done)(void *arg);
	void *arg;
	Work *next;
};

typedef struct WorkQueue WorkQueue;

typedef struct WorkQueueOptions {
	const char *name;                      /* for messages */
	unsigned threads;                      /* 1 to WORK_THREADS_MAX; others are brought into that range */
	size_t stack;                          /* bytes for each; 0: as the system has it */
	unsigned batch_max;                    /* works that a thread takes at once; 0: one */
	void (*batch)(void *arg, Work *first); /* does all from first on, along next; NULL: each by its own work() */
	void *arg;
} WorkQueueOptions;

/* work_queue_new: the threads block all signals. */
int work_queue_new(Loop *l, const WorkQueueOptions *o, WorkQueue **ret, Err *e) MUST_USE;

/* work_queue_free: waits for what was put in, calls its done(), ends the threads. NULL is nothing. */
void work_queue_free(WorkQueue *q);

void work_put(WorkQueue *q, Work *w);
