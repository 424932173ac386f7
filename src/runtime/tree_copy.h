/* tree_copy.h: copies a directory's content into another, both given by descriptor: for tmpcopyup. */
#pragma once

#include "base/err.h"

/* tree_copy: everything below from (an open directory) into to (an O_PATH directory): owners, modes, times, links as links, device
 * nodes left out where they cannot be made. Stays on one file system, follows nothing, at most 64 levels deep. */
int tree_copy(int from, int to, Err *e) MUST_USE;
