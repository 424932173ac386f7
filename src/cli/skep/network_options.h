/* network_options.h: the addresses of `network create`, as the docker CLI puts them together. */
#pragma once

#include "network/pool.h"

/* SubnetOptions: --subnet, --ip-range, --gateway and --aux-address as they were given. */
typedef struct SubnetOptions {
	const StrList *subnets, *ranges, *gateways;
	const StrMap *reserved;
} SubnetOptions;

/* network_subnets: each range, gateway and address with the subnet that it lies in, in the order of the subnets. What is wrong with a subnet itself is said by network_create. -EINVAL with
 * docker's words. The strings are borrowed. */
int network_subnets(const SubnetOptions *o, Arena *a, IpamConfigList *ret, Err *e) MUST_USE;
