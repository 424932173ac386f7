/* thread.c: see thread.h. */
#include "transfer/thread.h"

#include <sched.h>

enum { STACK_SIZE = 512 << 10 }; /* getaddrinfo and OpenSSL run on it */

int thread_start(pthread_t *ret, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);
	if (r) return -r;
	r = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!r) r = pthread_create(ret, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -r;
}

unsigned thread_cores(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
	int n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}
