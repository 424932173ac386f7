/* thread.h: threads of the worker: a small stack, as none of them recurses. */
#pragma once

#include <pthread.h>

#include "base/defs.h"

/* thread_start: 0 or a negative errno; the caller joins. */
int thread_start(pthread_t *ret, void *(*fn)(void *), void *arg) MUST_USE;
/* thread_cores: how many this process may run on, at least 1. */
unsigned thread_cores(void);
