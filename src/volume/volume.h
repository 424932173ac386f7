/* volume.h: the volumes of one state directory: directories volumes/<name>/_data with rows in skep.db.
 *
 * Driver local. With the options type, device and o a volume is mounted on its directory while some container has it (monitor/volume_hold.h); with size it
 * has a project quota.
 * A row is written after the directory and removed before it; a volume that a container has cannot be removed.
 */
#pragma once

#include "base/bind.h"
#include "image/store.h"

typedef struct Volumes {
	ImageStore *store; /* of the state directory: what is removed goes with its sweep */
} Volumes;

typedef struct Volume {
	const char *name, *driver;
	int64_t created; /* ns since 1970 */
	bool anonymous;
	StrMap labels, options;
} Volume;
typedef LIST_OF(Volume) VolumeList;

/* volume_create: one that is there already is left as it is, and is *ret. -EINVAL: a bad name, driver or option, in docker's words. */
int volume_create(const Volumes *v, const Volume *want, Arena *a, Volume *ret, bool *ret_made, Err *e) MUST_USE;
/* volume_find: -ENOENT "get x: no such volume". */
int volume_find(const Volumes *v, const char *name, Arena *a, Volume *ret, Err *e) MUST_USE;
/* volume_list: by name. */
int volume_list(const Volumes *v, Arena *a, VolumeList *ret, Err *e) MUST_USE;
/* volume_users: the ids of the containers that have it. */
int volume_users(const Volumes *v, const char *name, Arena *a, StrList *ret, Err *e) MUST_USE;
/* volume_remove: -EBUSY "remove x: volume is in use - [ids]". */
int volume_remove(const Volumes *v, const char *name, Err *e) MUST_USE;
/* volume_sweep: empty directories that have no row go: of a volume_create that was killed. */
int volume_sweep(const Volumes *v, Err *e) MUST_USE;
/* volume_path: of its directory; NULL: no memory. */
const char *volume_path(const Volumes *v, const char *name, Arena *a);
/* volume_new_name: of an anonymous one: 64 hexadecimal digits. */
enum { VOLUME_ANONYMOUS_NAME = 64 };
int volume_new_name(char name[static VOLUME_ANONYMOUS_NAME + 1], Err *e) MUST_USE;
