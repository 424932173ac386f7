/* path.h: paths below a root that somebody else controls. The only way to reach a file inside a container.
 *
 * Invariants
 *  - A path is resolved once, by the kernel, from a descriptor of the root: openat2 with RESOLVE_IN_ROOT and
 *    RESOLVE_NO_MAGICLINKS. What is then done, is done to the descriptor.
 *  - Nothing is created through a string of several parts: directories are made one part at a time from the
 *    descriptor of the parent.
 *  - Without openat2 (before Linux 5.6) everything here fails with -ENOSYS; there is no fallback.
 */
#pragma once

#include "sys/fd.h"

/* path_open: opens path inside root; flags as for open(2) (O_CLOEXEC is added, and O_NOCTTY), mode for O_CREAT. */
int path_open(int root, const char *path, int flags, mode_t mode) MUST_USE;

/* path_open_plain: opens path below dir where no part of it, the last one included, is a symbolic link (-ELOOP) or "..": what somebody put
 * in the way is refused, not followed. Mounts may lie on the way. */
int path_open_plain(int dir, const char *path, int flags) MUST_USE;

/* path_make_dir: the directory at path inside root, missing parts created with mode (the others kept). Returns an
 * O_PATH descriptor. Symbolic links on the way are followed inside the root; a dangling one is -ENOENT, as is ".."
 * after a part that does not exist. */
int path_make_dir(int root, const char *path, mode_t mode) MUST_USE;

/* path_make_dir_new: the same, and whether the last part was made here. */
int path_make_dir_new(int root, const char *path, mode_t mode, bool *ret_made) MUST_USE;

/* path_make_file: the file at path inside root, created empty with mode when missing, and missing directories
 * before it (0755). Returns an O_PATH descriptor. An existing object of any type is taken as it is, but a
 * directory is -EISDIR. */
int path_make_file(int root, const char *path, mode_t mode) MUST_USE;

/* path_open_beneath: opens a kernel file (proc, sysfs, cgroup) below dirfd: -EXDEV for "..", an absolute path
 * or a mount on the way, -ELOOP for a symbolic link. */
int path_open_beneath(int dirfd, const char *path, int flags) MUST_USE;

/* path_is_fs: does fd lie on a file system with that magic (PROC_SUPER_MAGIC, …)? -EXDEV when not. */
int path_is_fs(int fd, unsigned long magic) MUST_USE;

/* path_clean: "/a//b/./../c" becomes "/a/c"; relative paths get a leading "/". ".." never leaves the root.
 * Purely textual: for comparing and printing, never for opening. */
char *path_clean(Arena *a, const char *path) MUST_USE;
