/* volume_hold.h: volumes that are mounted from elsewhere for as long as some container has them.
 *
 *   volumes/<name>/_data   where such a volume is mounted, in the namespace of who starts containers
 *   volumes/<name>/users/  a file for each container that has it, named by its id; locked while somebody looks and mounts
 *
 * Invariants
 *  - Who holds a volume holds the lock of its container (run_state.h), or is about to take its file away: a file whose container nobody attends was left
 *    behind by somebody who was killed, and does not count.
 *  - The first one mounts, the last one unmounts. A mount that nobody has any more, because its last holder was killed, goes with the next look at it.
 */
#pragma once

#include "base/bind.h"

/* VolumeDevice: options of the local driver, as mount(8) has them. */
typedef struct VolumeDevice {
	const char *type, *device;
	const char *options; /* "size=1m,ro"; NULL: none */
} VolumeDevice;

/* volume_hold: for that container, whose lock the caller has; mounts it when nobody has it yet. root_dir: the engine's state directory; path: of _data, for
 * messages, which are docker's. */
int volume_hold(int root_dir, const char *name, const char *container, const VolumeDevice *d, const char *path, Err *e) MUST_USE;

/* volume_release: that container has ended, or did not come about. container NULL: whoever was killed; -EBUSY when somebody has it all the same. */
int volume_release(int root_dir, const char *name, const char *container, Err *e) MUST_USE;

/* volume_holders: how many containers have it; 0 also when it is no such volume. */
int volume_holders(int root_dir, const char *name) MUST_USE;
