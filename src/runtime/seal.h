/* seal.h: a runtime that a container cannot overwrite (CVE-2019-5736).
 *
 * A process that enters a container shows the container the file it was executed from (/proc/PID/exe). So that file must be one that
 * nobody can write to. skep-runtime sees to it in place, at its ELF entry (seal_first.c): from then on it is being executed from a detached
 * read-only mount of its own file. Where that is not permitted, and in programs with another entry, seal_self executes the program again from a
 * sealed memfd. Nothing is done when the file is out of reach anyway: on a read-only mount, or owned by somebody the container cannot be.
 */
#pragma once

#include "base/err.h"

/* seal_self: returns when this process is safe; otherwise executes the program again with the same arguments and environment, descriptors
 * kept. Call first thing, before a command that enters a container. */
int seal_self(char *const *argv, char *const *env, Err *e) MUST_USE;

/* seal_done: the ELF entry, skep_start, has done all of it. Only in a program that links seal_first.c. */
extern bool seal_done;
