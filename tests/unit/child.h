/* child.h: parts of a test that change the process they run in: each runs in a child of its own.
 *
 * A child's function returns 0, or fails by NEED() with the line on stderr; the parent asserts.
 */
#pragma once

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "check.h"

#define NEED(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: child: %s\n", __FILE__, __LINE__, #x); \
			return 1; \
		} \
	} while (0)
/* NEED_OK: for calls that fill `Err e`. */
#define NEED_OK(call) \
	do { \
		if ((call) < 0) { \
			fprintf(stderr, "%s:%d: child: %s: %s\n", __FILE__, __LINE__, #call, e.msg); \
			return 1; \
		} \
	} while (0)

enum { CHILD_SKIP = 77 };

static inline int child_status(int (*fn)(void))
{
	int status = 0;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) _exit(fn());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static inline void in_child(int (*fn)(void))
{
	int r = child_status(fn);
	if (r == CHILD_SKIP) skip();
	assert_int_equal(r, 0);
}

static inline void need_root(void)
{
	if (geteuid() != 0) skip();
}

static inline int make_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) < 0 && errno == EPERM ? CHILD_SKIP : 0;
}

/* Root may make one, but not in a chroot: user_namespaces(7). */
static inline void need_user_namespaces(void)
{
	need_root();
	in_child(make_user_namespace);
}
