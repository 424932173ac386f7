/* lsm.h: AppArmor profiles and SELinux labels of processes and mounts.
 *
 * Invariant: a label is written to an attribute file only after it was opened below a descriptor of a procfs, crossing no
 * mount and no symbolic link, and found to lie on procfs (runc CVE-2019-16884, 2025-52881: writes that went elsewhere).
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* apparmor_enabled: the module is on and its securityfs directory is there (what runc asks for).
 * selinux_enabled: selinuxfs is mounted at /sys/fs/selinux (or /selinux). Both look once at the host: call before pivoting. */
bool apparmor_enabled(void);
bool selinux_enabled(void);

/* lsm_check: before anything starts: a profile or label asked for while its module is off is an error ("unconfined" is not). */
int lsm_check(const char *apparmor, const char *selinux, Err *e) MUST_USE;

/* lsm_set_exec_label: for the calling thread, from its next execve on. proc is a descriptor of the root of a procfs, best a
 * private detached one. NULL or "" leaves that module alone; so does the profile "unconfined" while the kernel has no AppArmor
 * attribute. Whether the modules are enabled is the caller's knowledge (lsm_check). */
int lsm_set_exec_label(int proc, const char *apparmor, const char *selinux, Err *e) MUST_USE;

/* lsm_set_keycreate_label: SELinux label of keyrings made from now on; "" resets. */
int lsm_set_keycreate_label(int proc, const char *selinux, Err *e) MUST_USE;

/* lsm_mount_option: appends context="label" to the options of a mount in out (with a comma before it when out is not empty), for
 * mount(2) and messages; fsconfig takes key "context" and the bare label. NULL or "" appends nothing. -EINVAL: a label
 * with quotes, blanks or control characters. */
int lsm_mount_option(const char *label, Buf *out, Err *e) MUST_USE;
