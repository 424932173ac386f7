/* ip.h: IP addresses and prefixes: reading, writing, reckoning.
 *
 * Invariants
 *  - The bytes of an address are in network order; those beyond its family's length are 0, so that two are compared byte by byte.
 *  - A prefix that was parsed keeps the bits of its host part: "10.1.2.3/24" is where 10.1.2.3 lives. ip_prefix_mask drops them.
 *  - Nothing wraps around: what would leave the address space is said to do so.
 */
#pragma once

#include "base/str.h"

typedef struct IpAddress {
	uint8_t family; /* 4, 6; 0: none */
	uint8_t bytes[16];
} IpAddress;

typedef struct IpPrefix {
	IpAddress address;
	uint8_t length; /* bits */
} IpPrefix;

enum { IP_TEXT_MAX = 40, IP_PREFIX_TEXT_MAX = IP_TEXT_MAX + 4 };

/* ip_parse: dotted quads without leading zeros, and RFC 4291 section 2.2 without a zone; what maps an IPv4 address becomes that.
 * ip_prefix_parse: with "/length". -EINVAL. */
int ip_parse(Str s, IpAddress *ret) MUST_USE;
int ip_prefix_parse(Str s, IpPrefix *ret) MUST_USE;
/* ip_format: RFC 5952 for IPv6. Both return text; "" for none. */
const char *ip_format(const IpAddress *a, char text[static IP_TEXT_MAX]);
const char *ip_prefix_format(const IpPrefix *p, char text[static IP_PREFIX_TEXT_MAX]);

/* ip_size: bytes of an address of that family: 4, 16; ip_bits: 32, 128. */
static inline size_t ip_size(const IpAddress *a)
{
	return a->family == 4 ? 4 : 16;
}
static inline unsigned ip_bits(const IpAddress *a)
{
	return a->family == 4 ? 32 : 128;
}
/* ip_from_bytes: of 4 or 16 bytes; family 0 for any other number. */
IpAddress ip_from_bytes(Str bytes);

/* ip_compare: as memcmp; of different families IPv4 is the smaller. */
int ip_compare(const IpAddress *a, const IpAddress *b);
static inline bool ip_equal(const IpAddress *a, const IpAddress *b)
{
	return ip_compare(a, b) == 0;
}
/* ip_is_unspecified: 0.0.0.0, ::, or none. ip_is_loopback: 127.0.0.0/8, ::1. */
bool ip_is_unspecified(const IpAddress *a);
bool ip_is_loopback(const IpAddress *a);

/* ip_add: the address n further; false when there is none. */
bool ip_add(const IpAddress *a, uint64_t n, IpAddress *ret) MUST_USE;
/* ip_distance: b - a, at most UINT64_MAX; 0 when b is not larger or of another family. */
uint64_t ip_distance(const IpAddress *a, const IpAddress *b);

/* Of none nothing is a part. ip_prefix_mask: without its host part. ip_prefix_first, ip_prefix_last: the smallest and the largest address of it. */
IpPrefix ip_prefix_mask(const IpPrefix *p);
IpAddress ip_prefix_first(const IpPrefix *p);
IpAddress ip_prefix_last(const IpPrefix *p);
bool ip_prefix_contains(const IpPrefix *p, const IpAddress *a);
/* ip_prefix_covers: all of b is in a. ip_prefix_overlaps: they have an address in common. */
bool ip_prefix_covers(const IpPrefix *a, const IpPrefix *b);
bool ip_prefix_overlaps(const IpPrefix *a, const IpPrefix *b);
