/* shared_layers.h: the layers of an image, mounted once for all containers of it that run at the same time, so that their pages are in memory once.
 *
 *   <directory of the image>/<pid>.<start time>.<descriptor>.<pid namespace>    the monitor that has the mount as this descriptor
 *
 * Invariants
 *  - A file counts as long as it is there and that very process lives: who opens its descriptor looks at both afterwards. The file is taken away before the
 *    descriptor is closed. That of a process that is gone is taken away by who finds it, in the same pid namespace: others cannot know.
 *  - Nothing depends on it: where there is none, or a kernel that cannot copy the mount of another process (before Linux 6.15), the layers are
 *    mounted once more.
 */
#pragma once

#include "base/defs.h"

enum { SHARED_LAYERS_NAME = 80 };

/* shared_layers_offer: fd, a mount of ours, to others; makes dir. name is what to withdraw; empty when it could not be done. */
void shared_layers_offer(const char *dir, int fd, char name[static SHARED_LAYERS_NAME]);
void shared_layers_withdraw(const char *dir, const char *name);

/* shared_layers_open: a copy of the mount that somebody offers there, detached. -ENOENT. */
int shared_layers_open(const char *dir) MUST_USE;
/* shared_layers_sweep: takes away what those left who were killed. */
void shared_layers_sweep(const char *dir);
