/* mount_point.h: a mount of a container, resolved: what `inspect` shows in Mounts, and what each start mounts. */
#pragma once

#include "base/bind.h"

typedef struct MountPoint {
	const char *type;        /* "bind", "volume", "tmpfs", "image" */
	const char *name;        /* of a volume or image */
	const char *source;      /* on the host: absolute, without links of ours; of an image its id; NULL for tmpfs */
	const char *destination; /* in the container: absolute and clean */
	const char *driver;      /* of a volume: "local" */
	const char *mode;        /* as the user wrote it: "ro", "z", … */
	bool rw;
	const char *propagation; /* "rprivate", …; "" where it means nothing */
	/* not in inspect */
	StrList options;      /* of the runtime specification: "rbind", "ro", "size=65536k" */
	const char *subpath;  /* below source, resolved inside it at each start */
	const char *manifest; /* of an image */
	const char *idmap; /* "uids=0-1-10;gids=…": ids are mapped so; "": as those of the container's user namespace; NULL: as they are */
	bool held;         /* the volume is mounted while some container has it (monitor/volume_hold.h) */
	bool copy_up;      /* fill the volume from the image when it is empty, at the first start */
	bool anonymous;    /* removed with the container (rm -v, --rm) */
	bool create_source; /* -v: a missing directory of the host is made */
	bool chown;         /* all that is there is given to the container's user, at each start */
	bool overlay;       /* what the container changes stays with it, and is forgotten at the next start */
} MountPoint;
typedef LIST_OF(MountPoint) MountPointList;

/* mount_point_is_mapped: whether the owners of its files are those that the container sees, where that has a user namespace of its own. What lies below an
 * overlay is mapped there instead. */
static inline bool mount_point_is_mapped(const MountPoint *m)
{
	return m->idmap && !*m->idmap && !m->overlay;
}

extern const BindTable mount_point_table;
