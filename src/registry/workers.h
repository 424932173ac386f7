/* workers.h: a few threads for what would make the loop wait: hashing, writing, syncing, a password's check.
 *
 * Ownership and rules
 *  - A Job is a member of its owner's object, and stays in place from workers_submit() until done() is called. It is submitted
 *    once at a time.
 *  - work() runs in any of the threads and must touch only what its owner leaves alone meanwhile. done() runs in the loop's
 *    thread, in the order in which jobs ended.
 *  - Nothing is shared between jobs: an object that needs order submits its next job from done().
 */
#pragma once

#include "base/err.h"
#include "sys/loop.h"

typedef struct Job Job;
struct Job {
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
	Job *next;
};

typedef struct Workers Workers;

/* workers_new: threads of them, at least one. The threads block all signals. */
int workers_new(Loop *l, unsigned threads, Workers **ret, Err *e) MUST_USE;

/* workers_free: waits for the jobs that were submitted, calls their done(), ends the threads. NULL is nothing. */
void workers_free(Workers *w);

void workers_submit(Workers *w, Job *j);

/* workers_pending: jobs submitted whose done() has not been called. */
unsigned workers_pending(const Workers *w);
