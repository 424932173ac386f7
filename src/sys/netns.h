/* netns.h: network namespaces: made, entered, left again. All of it changes the calling thread: single-threaded callers only.
 *
 * The way back is a descriptor of the own namespace, got from a socket: no procfs needed. */
#pragma once

#include "base/err.h"

/* netns_of: a descriptor of the network namespace in which sock was opened. netns_own: of the caller's. -errno. */
int netns_of(int sock) MUST_USE;
int netns_own(void) MUST_USE;

/* netns_enter: enters the namespace of that descriptor; *ret_home goes to netns_return, which closes it. -errno of setns(2): nothing changed.
 * netns_return fails where the caller has no rights over the namespace it came from (an unprivileged one that entered its own container's);
 * it is then still in the other one, and had best end. */
int netns_enter(int netns, int *ret_home) MUST_USE;
int netns_return(int home) MUST_USE;

/* netns_new: makes a network namespace with its loopback device up and does not stay in it. *ret_fd (close-on-exec) is all that keeps it:
 * with the last descriptor, process and mount it goes, together with its devices, in a thread of the kernel, some 40 ms later. Needs CAP_SYS_ADMIN.
 * Ten system calls, nearly all of the time unshare(2)'s: 0.5 ms, and up to 4 ms while the kernel takes other namespaces away. */
int netns_new(int *ret_fd, Err *e) MUST_USE;
/* netns_new_in: one that belongs to that user namespace: made by a child. */
int netns_new_in(int userns, int *ret_fd, Err *e) MUST_USE;
