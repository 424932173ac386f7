/* ip.c: see ip.h. */
#include "base/ip.h"

#include <arpa/inet.h>

enum { GROUPS = 8, V4_MAPPED = 12 };

/* ---- text ---- */

int ip_parse(Str s, IpAddress *ret)
{
	static const uint8_t mapped[V4_MAPPED] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];
	IpAddress a = { 0 };
	if (!s.n || s.n >= sizeof text || memchr(s.p, 0, s.n)) return -EINVAL;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	a.family = strchr(text, ':') ? 6 : 4;
	if (inet_pton(a.family == 4 ? AF_INET : AF_INET6, text, a.bytes) != 1) return -EINVAL;
	if (a.family == 6 && memcmp(a.bytes, mapped, sizeof mapped) == 0) {
		IpAddress v4 = { .family = 4 };
		memcpy(v4.bytes, a.bytes + V4_MAPPED, 4);
		a = v4;
	}
	*ret = a;
	return 0;
}

int ip_prefix_parse(Str s, IpPrefix *ret)
{
	Str address, length;
	IpPrefix p;
	uint32_t bits;
	if (!str_cut(s, '/', &address, &length) || length.n > 3 || (length.n > 1 && length.p[0] == '0')) return -EINVAL;
	if (ip_parse(address, &p.address) < 0 || str_to_u32(length, &bits) < 0) return -EINVAL;
	bool mapped = p.address.family == 4 && memchr(address.p, ':', address.n);
	if (mapped || bits > ip_bits(&p.address)) return -EINVAL; /* the length would count bits that are not there any more */
	p.length = (uint8_t)bits;
	*ret = p;
	return 0;
}

/* The longest run of at least two groups of zeros, the first of several. */
static void find_zeros(const uint16_t g[static GROUPS], int *ret_at, int *ret_n)
{
	*ret_at = -1;
	*ret_n = 1;
	for (int i = 0, n; i < GROUPS; i += n + 1) {
		for (n = 0; i + n < GROUPS && !g[i + n]; n++)
			continue;
		if (n <= *ret_n) continue;
		*ret_at = i;
		*ret_n = n;
	}
}

static void format6(const IpAddress *a, char *text)
{
	uint16_t g[GROUPS];
	int at, zeros, n = 0;
	for (int i = 0; i < GROUPS; i++)
		g[i] = (uint16_t)(a->bytes[2 * i] << 8 | a->bytes[2 * i + 1]);
	find_zeros(g, &at, &zeros);
	for (int i = 0; i < GROUPS; i++) {
		if (i == at) {
			n += snprintf(text + n, (size_t)(IP_TEXT_MAX - n), "::");
			i += zeros - 1;
			continue;
		}
		bool colon = i > 0 && i != at + zeros;
		n += snprintf(text + n, (size_t)(IP_TEXT_MAX - n), colon ? ":%x" : "%x", (unsigned)g[i]);
	}
}

const char *ip_format(const IpAddress *a, char text[static IP_TEXT_MAX])
{
	text[0] = 0;
	if (a->family == 4) snprintf(text, IP_TEXT_MAX, "%u.%u.%u.%u", a->bytes[0], a->bytes[1], a->bytes[2], a->bytes[3]);
	if (a->family == 6) format6(a, text);
	return text;
}

const char *ip_prefix_format(const IpPrefix *p, char text[static IP_PREFIX_TEXT_MAX])
{
	ip_format(&p->address, text);
	size_t n = strlen(text);
	if (n) snprintf(text + n, IP_PREFIX_TEXT_MAX - n, "/%u", p->length);
	return text;
}

/* ---- addresses ---- */

IpAddress ip_from_bytes(Str bytes)
{
	IpAddress a = { .family = bytes.n == 4 ? 4 : bytes.n == 16 ? 6 : 0 };
	if (a.family) memcpy(a.bytes, bytes.p, bytes.n);
	return a;
}

int ip_compare(const IpAddress *a, const IpAddress *b)
{
	if (a->family != b->family) return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

bool ip_is_unspecified(const IpAddress *a)
{
	static const uint8_t zeros[sizeof a->bytes];
	return memcmp(a->bytes, zeros, sizeof zeros) == 0;
}

bool ip_is_loopback(const IpAddress *a)
{
	static const IpAddress one = { .family = 6, .bytes = { [15] = 1 } };
	return (a->family == 4 && a->bytes[0] == 127) || ip_equal(a, &one);
}

bool ip_add(const IpAddress *a, uint64_t n, IpAddress *ret)
{
	IpAddress sum = *a;
	unsigned carry = 0;
	for (size_t i = ip_size(a); i-- > 0; n >>= 8) {
		carry += sum.bytes[i] + (unsigned)(n & 0xff);
		sum.bytes[i] = (uint8_t)carry;
		carry >>= 8;
	}
	if (carry || n) return false;
	*ret = sum;
	return true;
}

uint64_t ip_distance(const IpAddress *a, const IpAddress *b)
{
	uint64_t high = 0, low = 0;
	if (a->family != b->family || ip_compare(a, b) >= 0) return 0;
	uint8_t difference[sizeof a->bytes] = { 0 };
	int borrow = 0;
	for (size_t i = ip_size(a); i-- > 0;) {
		int d = b->bytes[i] - a->bytes[i] - borrow;
		borrow = d < 0;
		difference[i] = (uint8_t)d;
	}
	for (size_t i = 0; i < ip_size(a); i++)
		if (i + 8 < ip_size(a))
			high |= difference[i];
		else
			low = low << 8 | difference[i];
	return high ? UINT64_MAX : low;
}

/* ---- prefixes ---- */

static uint8_t mask_byte(unsigned length, size_t i)
{
	unsigned from = (unsigned)i * 8;
	if (length >= from + 8) return 0xff;
	if (length <= from) return 0;
	return (uint8_t)(0xff << (8 - (length - from)));
}

IpPrefix ip_prefix_mask(const IpPrefix *p)
{
	IpPrefix m = *p;
	for (size_t i = 0; i < ip_size(&m.address); i++)
		m.address.bytes[i] = (uint8_t)(m.address.bytes[i] & mask_byte(m.length, i));
	return m;
}

IpAddress ip_prefix_first(const IpPrefix *p)
{
	return ip_prefix_mask(p).address;
}

IpAddress ip_prefix_last(const IpPrefix *p)
{
	IpAddress a = p->address;
	for (size_t i = 0; i < ip_size(&a); i++)
		a.bytes[i] = (uint8_t)(a.bytes[i] | ~mask_byte(p->length, i));
	return a;
}

bool ip_prefix_contains(const IpPrefix *p, const IpAddress *a)
{
	if (!a->family || a->family != p->address.family) return false;
	for (size_t i = 0; i < ip_size(a); i++)
		if ((a->bytes[i] ^ p->address.bytes[i]) & mask_byte(p->length, i)) return false;
	return true;
}

bool ip_prefix_covers(const IpPrefix *a, const IpPrefix *b)
{
	return b->length >= a->length && ip_prefix_contains(a, &b->address);
}

bool ip_prefix_overlaps(const IpPrefix *a, const IpPrefix *b)
{
	return ip_prefix_covers(a, b) || ip_prefix_covers(b, a);
}
