/* seal.h: a runtime that a container cannot overwrite (CVE-2019-5736).
 *
 * A process that enters a container shows the container the file it was executed from (/proc/PID/exe). So the program runs again
 * from a copy of itself that nobody can write to: a detached read-only mount of its own file or, where mounts are not permitted, a sealed
 * memfd. Nothing is done when the file is out of reach anyway: already so, or owned by somebody the container cannot be.
 */
#pragma once

#include "base/err.h"

/* seal_self: returns when this process is safe; otherwise executes the program again with the same arguments and environment, descriptors
 * kept. Call first thing, before a command that enters a container. */
int seal_self(char *const *argv, char *const *env, Err *e) MUST_USE;

/* seal_finish: in the program that was executed from the read-only mount: from now on nobody else can execute it from there. A container
 * that could (by a script that starts with #!/proc/self/exe) would have the file in its hands; it could not write to it, but the mere try
 * keeps others from executing it (ETXTBSY). Closes the descriptor that was kept for this. */
void seal_finish(void);

/* seal_read_only: found by the program's ELF entry, skep_start, which does the usual case of seal_self before the C library starts:
 * executed from a read-only mount. False in programs with another entry. */
extern bool seal_read_only;
