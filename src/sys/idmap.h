/* idmap.h: user and group id mappings of user namespaces (config-linux.md, "User namespace mappings").
 *
 * Invariants
 *  - A mapping list that passed idmap_check() has no empty entry, no overflow past 2^32 - 1, no overlap on either side, and no
 *    more than IDMAP_MAX entries: the kernel's own rules, checked here for a message that names the entry.
 *  - A map is written in one write(2): the kernel takes it whole or not at all, and once only.
 */
#pragma once

#include "base/bind.h"

enum { IDMAP_MAX = 340 };

typedef struct IdMapping {
	uint32_t container_id, host_id, size;
} IdMapping;
typedef LIST_OF(IdMapping) IdMappings;

/* IdMaps: those of a user namespace; empty: of none. */
typedef struct IdMaps {
	IdMappings uids, gids;
} IdMaps;

extern const BindTable idmap_table; /* one IdMapping: containerID, hostID, size */

/* idmap_check: what names the list in the message ("uidMappings"). -EINVAL. An empty list passes. */
int idmap_check(const IdMappings *m, const char *what, Err *e) MUST_USE;

/* idmap_format: the lines of a uid_map file, appended. */
void idmap_format(const IdMappings *m, Buf *out);

/* idmap_to_host, idmap_to_container: the id on the other side; -ENOENT when it is not mapped. */
int idmap_to_host(const IdMappings *m, uint32_t id, uint32_t *ret) MUST_USE;
int idmap_to_container(const IdMappings *m, uint32_t id, uint32_t *ret) MUST_USE;
bool idmap_equal(const IdMappings *a, const IdMappings *b);

/* idmap_parse: the text of a uid_map or gid_map file. -EINVAL. idmap_read: that of a process, as this one's user namespace sees it. */
int idmap_parse(Str text, Arena *a, IdMappings *ret) MUST_USE;
int idmap_read(pid_t pid, Arena *a, IdMaps *ret, Err *e) MUST_USE;

/* idmap_write: fills uid_map and gid_map of a process that is in a new user namespace. Directly when the kernel lets us (privileged,
 * or the caller's own single id), else by newuidmap and newgidmap, found in fixed directories only; their stderr is
 * in the message. proc_pid is a descriptor of its /proc directory, or -1 to open it from /proc/PID here; pid is what the helpers
 * get. deny_setgroups: "deny" to setgroups first (always done for an unprivileged direct gid map, which needs it).
 * An empty list leaves that map alone. An unprivileged caller needs the process to be dumpable (PR_SET_DUMPABLE 1): else
 * -EACCES, because its /proc directory belongs to root. */
int idmap_write(int proc_pid, pid_t pid, const IdMappings *uids, const IdMappings *gids, bool deny_setgroups, Err *e) MUST_USE;

/* idmap_userns_fd: descriptor of a new user namespace with those maps, for idmapped mounts; made by a child that is gone on return. */
int idmap_userns_fd(const IdMappings *uids, const IdMappings *gids, Err *e) MUST_USE;

/* idmap_of_userns: the maps of the user namespace that fd is, another one than this process's. A child joins it to tell, and is gone on return. */
int idmap_of_userns(int fd, Arena *a, IdMaps *ret, Err *e) MUST_USE;
