/* mount.h: mount options as the specification writes them, and mounts made by descriptor.
 *
 * Invariant: a mount is attached to a descriptor (mount_attach), never to a path: who opened the descriptor has
 * resolved it, once, below the container's root.
 */
#pragma once

#include "base/bind.h"
#include "sys/fd.h"
#include "sys/kernel.h"

typedef enum { MOUNT_IDMAP_NONE, MOUNT_IDMAP, MOUNT_RIDMAP } MountIdmap;

/* MountOptions: the options of one mount, sorted by what they act on. */
typedef struct MountOptions {
	unsigned long flags;          /* MS_* that were asked for, MS_BIND and MS_REC among them */
	unsigned long cleared;        /* MS_* that were explicitly cleared ("rw", "suid", "exec", …) */
	bool touched;                 /* some flag that a bind would change was named, set or cleared */
	unsigned long propagation[4]; /* MS_SHARED and so on, with MS_REC; applied in order */
	size_t propagations;
	uint64_t rec_set, rec_clear; /* MOUNT_ATTR_* of the recursive options ("rro", "rnosuid", …) */
	int idmap;                   /* MountIdmap */
	bool copy_up;                /* tmpcopyup: a tmpfs starts with what lay below */
	const char *data;            /* what is left, comma separated: for the file system; never NULL */
} MountOptions;

/* mount_options_parse: sorts options (config.md, "Linux mount options"). Unknown ones are the file system's data. */
int mount_options_parse(const StrList *options, Arena *a, MountOptions *ret, Err *e) MUST_USE;

/* mount_option_names: calls each with every known option, for `features`. */
void mount_option_names(void (*each)(void *data, const char *name), void *data);

/* mount_clone: a detached copy of the mount at path (below dirfd; "" with AT_EMPTY_PATH semantics is the descriptor itself), with
 * what is mounted below it when recursive. Returns its descriptor. */
int mount_clone(int dirfd, const char *path, bool recursive) MUST_USE;

/* mount_clone_of: the same of what a process has at path, in its mount namespace; no part of path may be a link. By a child of ours. */
int mount_clone_of(pid_t pid, const char *path) MUST_USE;

/* mount_clone_attr: the same, with MOUNT_ATTR_* set and cleared on the copy (on all of it when recursive). */
int mount_clone_attr(int dirfd, const char *path, bool recursive, uint64_t set, uint64_t clear) MUST_USE;

/* mount_flag_attrs: MS_* flags, access times aside, as the attributes that make them so on a mount. */
void mount_flag_attrs(unsigned long flags, uint64_t *ret_set, uint64_t *ret_clear);

/* mount_new: a detached new file system of that type from key=value options ("key" or "key=value", NULL ends the list). */
int mount_new(const char *fstype, const char *const *options, uint64_t attrs) MUST_USE;

/* mount_made: a detached new file system as mount(2) would make it from the same arguments: MS_* flags, and the options of the file system
 * separated by commas (not by those between double quotes). */
int mount_made(const char *source, const char *fstype, unsigned long flags, const char *data) MUST_USE;

/* mount_attach: puts a detached mount at target, an O_PATH descriptor. */
int mount_attach(int mount, int target) MUST_USE;

/* mount_attr: sets and clears MOUNT_ATTR_* (propagation: MS_PRIVATE …, 0 for none) of the mount whose root fd is. */
int mount_attr(int fd, uint64_t set, uint64_t clear, unsigned long propagation, bool recursive) MUST_USE;

/* mount_idmap: maps the ids of a detached mount by the user namespace userns. */
int mount_idmap(int fd, int userns, bool recursive) MUST_USE;

/* mount_bind_flags: gives a detached bind the flags that options ask for, by the rules users know from mount(8): no flag named
 * keeps the source's; any flag named sets exactly those asked for, access times kept unless named. In a user namespace a
 * flag locked by the owner of the source is kept, unless the options cleared it explicitly: then -EPERM. locked: the tree is for such a
 * namespace, though it was made outside, where the kernel would let us do anything. */
int mount_bind_flags(int fd, const MountOptions *o, bool locked) MUST_USE;

/* mount_at: mount(2) onto a descriptor. */
int mount_at(const char *source, int target, const char *fstype, unsigned long flags, const char *data) MUST_USE;

/* mount_at_name: onto the entry name of the directory dir. For directories that nobody else can change: a tmpfs mounted just now. */
int mount_at_name(const char *source, int dir, const char *name, const char *fstype, unsigned long flags, const char *data) MUST_USE;
