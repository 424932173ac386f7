/* ipam.h: the addresses that containers have in networks.
 *
 * Invariants
 *  - A row is an address that a container has, or had when it last ran: no two have the same in one network.
 *  - Addresses are had from a start on, and given back at its end; a monitor has no database: it leaves a mark, and who reserves next takes the rows of those
 *    that have one away (ipam_release). What no mark tells of (a power cut, a killed monitor) is found when there is no other address left, or when it is
 *    asked for: then the owner is looked at.
 *  - All of it happens in one transaction of the caller.
 */
#pragma once

#include "network/network.h"

/* ipam_reserve: an address of that family for the container: want, or with family 0 the smallest free one. One that it has already stays its own.
 * -EADDRINUSE "Address already in use"; -EINVAL: none of the network's; -ENOSPC in docker's words. *ret_pool: the one it lies in. */
int ipam_reserve(const Networks *all, const Network *n, const PoolList *pools, int family, const char *container, const IpAddress *want,
		 IpAddress *ret, const Pool **ret_pool, Err *e) MUST_USE;
/* ipam_release: all that the container has. */
int ipam_release(const Networks *all, const char *container, Err *e) MUST_USE;
/* ipam_take_over: of one that does not run and has not said so: 1, its rows are gone; 0: it is being started. */
int ipam_take_over(const Networks *all, const char *container, Err *e) MUST_USE;
/* ipam_leave: what it has in one network. */
int ipam_leave(const Networks *all, const char *network, const char *container, Err *e) MUST_USE;
/* ipam_of: those that it has in a network; family 0 where it has none. */
int ipam_of(const Networks *all, const char *network, const char *container, IpAddress *ret4, IpAddress *ret6, Err *e) MUST_USE;
