/* pool.h: the address ranges of a network: docker's IPAM configuration, read, checked and filled in.
 *
 * Invariants of a Pool
 *  - subnet has no host part; range and gateway and reserved ones lie in it; range is the subnet where none was asked for.
 *  - What a container gets lies in range, and is none of these: the gateway, a reserved one, the first address of the subnet, the last one of IPv4 (but
 *    in a /31 and a /32, RFC 3021, where all are).
 */
#pragma once

#include "base/arena.h"
#include "base/bind.h"
#include "base/ip.h"

/* IpamConfig: an element of docker's IPAM.Config; what was not asked for is NULL or "". */
typedef struct IpamConfig {
	const char *subnet, *range, *gateway;
	StrMap reserved; /* AuxiliaryAddresses: name and address */
} IpamConfig;
typedef LIST_OF(IpamConfig) IpamConfigList;
extern const BindTable ipam_config_table;

typedef LIST_OF(IpAddress) IpAddressList;
typedef LIST_OF(IpPrefix) IpPrefixList;

typedef struct Pool {
	IpPrefix subnet, range;
	IpAddress gateway; /* family 0: none asked for */
	IpAddressList reserved;
} Pool;
typedef LIST_OF(Pool) PoolList;

/* pool_parse: -EINVAL with docker's words. */
int pool_parse(const IpamConfig *c, Arena *a, Pool *ret, Err *e) MUST_USE;
int pools_parse(const IpamConfigList *l, Arena *a, PoolList *ret, Err *e) MUST_USE;

/* pool_choose: a subnet of that family (4, 6) of docker's defaults that overlaps with none of taken, and its first address as gateway: of IPv4
 * 172.17.0.0/16 to 172.31.0.0/16, then the /20 of 192.168.0.0/16; of IPv6 a random /64 of fd00::/8 (RFC 4193). -ENOSPC. */
int pool_choose(int family, const IpPrefixList *taken, Arena *a, IpamConfig *ret, Err *e) MUST_USE;
/* pool_gateway: the one asked for, or the first that a container could get. */
IpAddress pool_gateway(const Pool *p);
/* pool_is_usable: may a container get it, where it asks for it (range does not matter then)? pool_skip: the smallest address >= *at that lies in range and
 * is usable, into *at; false: there is none. */
bool pool_is_usable(const Pool *p, const IpAddress *gateway, const IpAddress *at);
bool pool_skip(const Pool *p, const IpAddress *gateway, IpAddress *at) MUST_USE;
