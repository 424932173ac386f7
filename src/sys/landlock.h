/* landlock.h: taking away from this process what it may do with files (and, on Linux 6.7 and later, TCP ports).
 *
 * A kernel without Landlock is no error: what is left to it then is told by landlock_abi(). Descriptors that are open keep
 * their rights. Only this thread and what it starts are restricted: call it before other threads.
 */
#pragma once

#include "base/err.h"

typedef enum {
	LANDLOCK_READ = 1,    /* read files, list directories */
	LANDLOCK_EXECUTE = 2, /* execute, map as program code is not covered by Landlock */
	LANDLOCK_WRITE = 4,   /* write, truncate, create, remove, rename */
} LandlockAccess;

typedef struct LandlockRule {
	const char *path; /* the hierarchy below it; one that does not exist is skipped */
	unsigned access;  /* LandlockAccess */
} LandlockRule;

/* landlock_abi: the version that the running kernel speaks, 0 when it has no Landlock. */
int landlock_abi(void);

/* landlock_restrict: from now on only what the rules allow; every right the kernel knows is handled. connect_tcp false: no TCP
 * connection can be made or port be bound (where the kernel can tell). Sets no_new_privs. Returns the version in force, 0 without
 * Landlock. */
int landlock_restrict(const LandlockRule *rules, size_t n, bool connect_tcp, Err *e) MUST_USE;
