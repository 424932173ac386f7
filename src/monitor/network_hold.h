/* network_hold.h: what of the networks a monitor keeps as long as its container has it, and takes away at the end.
 *
 * Sockets keep other programs from the published ports. The elements of the rules that lead to the container go first, then a mark is left: who reserves next takes the rows of
 * the database that say so away, and only then somebody else can have these ports and addresses.
 */
#pragma once

#include "monitor/config.h"

/* The mark is a file named by the container's id. Before the elements go there is one of this name: who makes rules anew (engine/network_rules.h) must not bring them back. */
#define NETWORK_GOING "%.64s.going"
enum { NETWORK_GOING_MAX = 80 };

/* network_hold_unpublish: those of one family (4, 6), now; the number of those that are left. */
size_t network_hold_unpublish(MonitorConfig *c, int *ports, size_t n_ports, int family);
/* network_hold_release: ports: the sockets. Never fails: what is not there any more is as it should be. Returns the socket by which rules were changed, or -1: closing it waits until the
 * kernel has let go of them (3 to 10 ms), so the caller leaves that to the end of the process. */
int network_hold_release(const MonitorConfig *c, int *ports, size_t n_ports) MUST_USE;
