/* mounts.h: what a container was asked to mount, resolved: volumes made and named, paths checked, options sorted. */
#pragma once

#include "engine/mount_source.h"
#include "volume/volume.h"

/* engine_volumes: the volumes of the engine's state directory. */
static inline Volumes engine_volumes(const Engine *g)
{
	return (Volumes){ .store = g->store };
}

/* engine_mounts: from binds, mounts, the volumes of others (--volumes-from) and those that config wants; volumes that are missing are made. In the order in
 * which they are mounted. -EINVAL with docker's words. */
int engine_mounts(Engine *g, const ContainerConfig *config, const HostConfig *host, Arena *a, MountPointList *ret, Err *e) MUST_USE;

/* engine_fill_volumes: what the image has at the places of empty volumes goes into these, unless they do not want it. root: the container's file
 * system; image: the same with the owners of the image, for volumes whose ids are the container's. */
int engine_fill_volumes(Engine *g, const Record *c, const MountSources *sources, int root, int image, Err *e) MUST_USE;
/* volume_event: of a volume, now: "create", "destroy". */
void volume_event(const Engine *g, const char *action, const char *name);
/* engine_make_sources: host directories of -v that are not there are made. */
int engine_make_sources(const Record *c, Err *e) MUST_USE;
