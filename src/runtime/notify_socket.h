/* notify_socket.h: sd_notify(3) across the container's border: a socket of ours stands in the container, and what the container says
 * there is passed on to the manager's NOTIFY_SOCKET. */
#pragma once

#include "runtime/launch.h"

/* notify_socket_plan: when the runtime has a NOTIFY_SOCKET: makes <state>/notify, adds its mount at /run/notify to the
 * configuration and sets the variable for the process. Before the mounts are planned. */
int notify_socket_plan(Container *c, Launch *l, OciSpec *s, Err *e) MUST_USE;

/* notify_socket_open: the socket of a created container, for its start; -ENOENT when it has none. */
int notify_socket_open(const Container *c) MUST_USE;

/* notify_socket_forward: one datagram. Returns 1 when it said READY=1, after which the manager was also told MAINPID. */
int notify_socket_forward(const Container *c, int fd, pid_t pid) MUST_USE;

/* notify_socket_serve: forwards until READY=1 or until the process is gone. */
int notify_socket_serve(const Container *c, int fd, int pidfd, bool until_ready, Err *e) MUST_USE;
