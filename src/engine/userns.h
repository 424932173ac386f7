/* userns.h: which ids of the host a container's users are: --userns, --uidmap and --gidmap, in podman's grammar.
 *
 * A plan is made from the configuration and from what belongs to the caller; a range of ids for the container alone (auto) is given out by whoever
 * keeps account of them, and fitted in by userns_give().
 */
#pragma once

#include "engine/config.h"
#include "sys/idmap.h"

typedef struct IdRange {
	uint32_t first, size;
} IdRange;
typedef LIST_OF(IdRange) IdRanges;

/* UsernsOwner: who makes containers. */
typedef struct UsernsOwner {
	uint32_t uid, gid;
	bool rootless;             /* no root of the machine: all ids of containers are of the ranges, or its own */
	IdRanges subuids, subgids; /* what it may give to containers */
	IdMaps own;                /* of root: the user namespace that it is in */
	const char *subuid_file, *subgid_file;
} UsernsOwner;

typedef enum {
	USERNS_HOST, /* none of its own */
	USERNS_JOIN, /* that of another container or a path: peer */
	USERNS_MAPS, /* maps are complete */
	USERNS_SAME, /* the same, with the ids of the host for themselves: not the container's alone */
	USERNS_AUTO, /* needs a range of `size` ids: userns_give() */
} UsernsKind;

typedef struct UsernsPlan {
	UsernsKind kind;
	const char *peer;                /* JOIN: "container:NAME" or "ns:/path" */
	IdMaps maps;                     /* AUTO: what was asked for beside the range */
	uint32_t size;                   /* AUTO */
	IdRanges uid_ranges, gid_ranges; /* AUTO: to be taken from these */
	const char *user;                /* "uid:gid" whom the container runs as unless told otherwise; NULL: as the image says */
} UsernsPlan;

/* The range that containers get where /etc/subuid says nothing of them: the upper half, as podman recommends. */
#define USERNS_RANGE ((IdRange){ .first = 2147483647, .size = INT32_MAX })

enum { USERNS_SIZE_MIN = 1024, USERNS_SIZE_MAX = 65536 };

/* subid_read: the ranges of user, a name or an id as text, in a file as /etc/subuid (subuid(5)). Missing: none. */
int subid_read(const char *path, const char *user, Arena *a, IdRanges *ret, Err *e) MUST_USE;

/* userns_owner: the caller, with the ranges of "containers" for root (or USERNS_RANGE) and of the user else. */
int userns_owner(uint32_t uid, uint32_t gid, const char *name, bool rootless, Arena *a, UsernsOwner *ret, Err *e) MUST_USE;

/* userns_is_wanted: whether the container is to have another user namespace than the host's. */
bool userns_is_wanted(const HostConfig *h);
/* userns_plan: highest is the highest id that the image uses (passwd_highest_id): an automatic range has room for it. -EINVAL. */
int userns_plan(const HostConfig *h, const UsernsOwner *owner, uint32_t highest, Arena *a, UsernsPlan *ret, Err *e) MUST_USE;

/* userns_give: the range [first, first + size) of the host's uids and gids, as all ids of the container below size that p->uids and gids do
 * not name. Then p is of kind MAPS. */
int userns_give(UsernsPlan *p, uint32_t first_uid, uint32_t first_gid, Arena *a, Err *e) MUST_USE;
