/* root.h: the file system of a container, for reading and changing it from outside.
 *
 * Invariants
 *  - It is one descriptor; everything below is resolved from it (sys/path.h), once.
 *  - Of a running container it is what the container itself sees, mounts included; the process was checked to be that of the container after its root had
 *    been opened. Of one that does not run it is its overlay, mounted for us alone, with its volumes and binds (but no tmpfs: there is
 *    none), and the container cannot be started or removed meanwhile.
 */
#pragma once

#include "engine/record.h"

typedef struct ContainerRoot {
	int fd;   /* O_PATH or more */
	int lock; /* -1: it runs */
	bool running;
	IdMaps maps; /* owners are those of the host: what they are in the container say these; empty: the same */
} ContainerRoot;
#define CONTAINER_ROOT_NONE ((ContainerRoot){ .fd = -1, .lock = -1 })

/* container_root_open: mounts: those of a container that does not run are attached, too; the process gets a mount namespace of its own for it. The maps are
 * the arena's. */
int container_root_open(Engine *g, const Record *c, bool mounts, Arena *a, ContainerRoot *ret, Err *e) MUST_USE;
void container_root_close(ContainerRoot *r);
#define AUTO_CONTAINER_ROOT AUTO(container_root_close) ContainerRoot

typedef struct RootOptions {
	int userns;       /* the owners of its files, by id-mapped mounts; -1: as the image has them */
	int dir;          /* the container's directory, which takes what is changed; -1: the image alone */
	bool is_volatile; /* as SnapshotOptions has it */
	bool locked;      /* the caller has the container's lock: its image stays */
	int *layers;      /* as SnapshotOptions has it; looked for where containers that run offer them. NULL: not wanted */
} RootOptions;

/* root_layers: the directory where containers of that image offer their layers to each other (monitor/shared_layers.h). NULL: no image, no memory. */
const char *root_layers(const Engine *g, const Record *c, Arena *a);
/* container_mount: the file system of a container as a detached mount. */
int container_mount(Engine *g, const Record *c, const RootOptions *o, Err *e) MUST_USE;
