/* fd_limit.h: how many descriptors this process may have. For programs to raise; programs of others, which may know no number above 1,023 (select), are
 * executed with the limit as it was.
 */
#pragma once

#include <sys/resource.h>

#include "base/defs.h"

enum { FD_LIMIT_UNKNOWN = 256 /* what is assumed when it cannot be told */ };

/* fd_limit_raise: the soft limit to the hard one, at most `most`; never lower than it is. Returns how many there may be now. */
rlim_t fd_limit_raise(rlim_t most);
/* fd_limit_restore: as it was before the first fd_limit_raise. In a child before it executes another program; safe after fork. */
void fd_limit_restore(void);
