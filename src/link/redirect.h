/* redirect.h: the sockets at which a container's names are asked: 127.0.0.11, port 53, of its network namespace.
 *
 * Invariants
 *  - The sockets are bound to ports that the kernel chose; rules in the namespace (table ip skep) write that port into what is sent to port 53, and 53 into
 *    what comes back. So a container can bind port 53 of all addresses itself.
 *  - No connection tracking: it would cost each packet of the container, and an entry for each question. The port is written before connections are tracked, and
 *    back after that: one who tracks them in there sees one connection, with the sockets' port, as he does with docker.
 *  - The address is of the loopback device, so it is there whatever networks the container has.
 */
#pragma once

#include "base/err.h"

#define REDIRECT_TABLE "skep"
#define REDIRECT_ADDRESS "127.0.0.11"

/* redirect_names: makes both in the namespace netns, whose loopback device is up; they are non-blocking, and the TCP one listens. 0.3 ms. What was there from
 * a call before is replaced. Single-threaded callers only (sys/netns.h). */
int redirect_names(int netns, int *ret_udp, int *ret_tcp, Err *e) MUST_USE;
