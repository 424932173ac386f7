/* overlay.h: overlayfs over mounts that are held by descriptor. */
#pragma once

#include "base/err.h"

enum { OVERLAY_LOWER_MAX = 500 }; /* what the kernel takes */

typedef struct OverlayOptions {
	const int *lower;   /* detached mounts, the lowest first */
	size_t n;           /* 1 to OVERLAY_LOWER_MAX, with below one less; without writable at least 2 */
	const int *below;   /* a plain directory, lower than these; NULL: none */
	int writable;       /* a directory that holds the directories "upper" and "work"; -1: read-only */
	bool is_volatile;   /* nothing of upper is ever synchronized: after a crash it is worth nothing. See overlay_settle */
	bool user_xattrs;   /* whiteouts and marks are user.overlay.*: in a user namespace */
	const char *source; /* what /proc/self/mountinfo shows; NULL: "overlay" */
} OverlayOptions;

/* overlay_mount: a detached overlay. Returns its descriptor. Layers are handed over as descriptors where the kernel takes them (Linux 6.15);
 * before that, by name, in a child with a mount namespace of its own. The lower mounts are used up either way: only to be closed. Needs CAP_SYS_ADMIN in
 * the mount namespace's owner; one thread. */
int overlay_mount(const OverlayOptions *o, Err *e) MUST_USE;

/* overlay_settle: after the unmount of a volatile overlay: its writable directory may be mounted again. Overlayfs marks it for as long as it is
 * mounted and from then on (work/work/incompat/volatile), and refuses what is marked: only who unmounted it knows that it was no crash. The mount
 * notes in the file "volatile" of the writable directory which boot it is of. 0, also without a mark; -ESTALE: the machine has been started anew
 * since, what was changed is lost. */
int overlay_settle(int writable, Err *e) MUST_USE;

/* overlay_mount_by_name: the way of older kernels, for tests. */
int overlay_mount_by_name(const OverlayOptions *o, Err *e) MUST_USE;
