/* confine.h: what a process gives up before it reads the first byte of anybody else's. */
#pragma once

#include "sys/landlock.h"

typedef struct Confine {
	const LandlockRule *files; /* the only ones that can be opened */
	size_t files_n;
	bool connect_tcp;
	const char *const *calls; /* the only system calls, besides socket(2) for these families; any other fails with EPERM */
	size_t calls_n;
	const uint64_t *families;
	size_t families_n;
} Confine;

/* confine_enter: root becomes nobody, without groups and capabilities, for good (no_new_privs); no core files; then files (Landlock, where the kernel has it) and system
 * calls (seccomp). Descriptors that are open, or passed later, keep working. One thread only. A build with a sanitizer, which needs calls and files of its own to
 * report, keeps the latter two. */
int confine_enter(const Confine *c, Err *e) MUST_USE;
