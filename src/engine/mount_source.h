/* mount_source.h: what is mounted in a container, opened on the host.
 *
 * Most sources are paths, which the runtime opens. Some are more than that: a part of a volume or image, an image, something with an overlay above it, or a
 * tree whose owner changes. These are resolved here, once, and handed over as detached mounts.
 */
#pragma once

#include "engine/record.h"
#include "oci/spec.h"

/* MountSources: of each mount of a record, in its order. */
typedef struct MountSources {
	const MountPointList *mounts;
	int *fds;           /* a detached mount; -1: the runtime opens the path */
	const char **paths; /* what it is called (SpecInput.sources); NULL: its source */
} MountSources;

/* mount_sources_open: those that a path does not do for. dir: the container's; its lock is the caller's. userns: with the ids of the container; -1: none. */
int mount_sources_open(Engine *g, const Record *c, int dir, int userns, Arena *a, MountSources *ret, Err *e) MUST_USE;
void mount_sources_done(MountSources *s);
/* mount_sources_own: gives the trees that want it (U) to the user of the process, and the label of s where it has one (z, Z). */
int mount_sources_own(const MountSources *s, const IdMaps *maps, const OciSpec *spec, Err *e) MUST_USE;

/* mount_source_open: that of mount i of the record, whatever it is: a detached mount. One that is mapped (mount_point_is_mapped) is not yet. */
int mount_source_open(Engine *g, const Record *c, size_t i, int dir, int userns, Arena *a, Err *e) MUST_USE;

/* volumes_hold: the container's volumes that have to be mounted are. volumes_release: it does not need them any more. */
int volumes_hold(Engine *g, const Record *c, Arena *a, Err *e) MUST_USE;
void volumes_release(const Engine *g, const Record *c);
