/* sysctl.h: kernel parameters of the caller's namespaces.
 *
 * Invariant: a value is written only to a file opened below a descriptor of a procfs, crossing no mount and no symbolic link. proc: the root of
 * one, best a detached one or the host's; whoever opens it checks that it is one (sysctl_open_proc does).
 *
 * A key is "net.ipv4.ip_forward" or "net/ipv4/ip_forward": the first "." or "/" in it says which; in the first form a "/" stands for a dot within
 * a part ("net.ipv4.conf.eth0/10.forwarding"). Parameters of the network are those of the network namespace of the caller, not of the procfs. */
#pragma once

#include "base/bind.h"

/* sysctl_open_proc: /proc, checked to be a procfs. Returns its descriptor. */
int sysctl_open_proc(Err *e) MUST_USE;
/* sysctl_write: -ENOENT: this kernel, or this namespace, has no such parameter; -EINVAL: not a value for it. */
int sysctl_write(int proc, const char *key, const char *value, Err *e) MUST_USE;
/* sysctl_write_in: all of them in the network namespace netns, entered for that: single-threaded callers only. Ends at the first failure. */
int sysctl_write_in(int netns, int proc, const StrMap *values, Err *e) MUST_USE;
/* sysctl_read: the value without its final newline, at most size - 1 bytes. Returns its length. */
ssize_t sysctl_read(int proc, const char *key, char *to, size_t size, Err *e) MUST_USE;
