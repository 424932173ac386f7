/* resolver_answer.c: what a client is told without asking anybody else. */
#include "link/resolver_impl.h"

enum { LOCAL_NONE = 0x100 }; /* beside the codes of DNS: not known here */

/* At most what fits, and one more, so that a longer answer is seen to be truncated. */
static unsigned known_addresses(ResolverClient *c, DnsAnswer *a, Str name, size_t size)
{
	Resolver *r = c->r;
	size_t n = 0, max = a->max / (12 + size) + 1;
	if (max > sizeof r->addresses / size) max = sizeof r->addresses / size;
	if (!names_find(r->names, c->member, name, size, r->addresses, max, &n)) return LOCAL_NONE;
	for (size_t i = 0; i < n && i < max && !a->truncated; i++)
		dns_answer_address(a, r->addresses + i * size, size);
	return DNS_NOERROR;
}

/* NOERROR without a record: mail goes to the address then (RFC 5321 5.1). */
static unsigned known_mail(ResolverClient *c, Str name)
{
	size_t n;
	uint8_t none[4];
	return names_find(c->r->names, c->member, name, sizeof none, none, 0, &n) ? DNS_NOERROR : LOCAL_NONE;
}

static unsigned known_pointer(ResolverClient *c, DnsAnswer *a, Str name)
{
	uint8_t address[16];
	char target[NAMES_REVERSE_MAX];
	const int n = dns_reverse_parse(name, address);
	if (n < 0) return LOCAL_NONE;
	if (!names_find_address(c->r->names, c->member, address, (size_t)n, target)) {
		return names_is_near(c->member, address, (size_t)n) ? DNS_NXDOMAIN : LOCAL_NONE;
	}
	dns_answer_ptr(a, str_of(target));
	return DNS_NOERROR;
}

static unsigned answer_known(ResolverClient *c, DnsAnswer *a, const DnsQuery *q)
{
	char text[DNS_TEXT_MAX];
	const int n = q->class == DNS_IN ? dns_name_text(q->name, q->name_n, text) : -EINVAL;
	if (n <= 0) return LOCAL_NONE;
	const Str name = { text, (size_t)n };
	unsigned code = LOCAL_NONE;
	if (q->type == DNS_PTR) return known_pointer(c, a, name);
	if (q->type == DNS_MX) return known_mail(c, name);
	if (q->type != DNS_A && q->type != DNS_AAAA) return LOCAL_NONE;
	code = known_addresses(c, a, name, q->type == DNS_A ? 4 : 16);
	return code == LOCAL_NONE && c->ndots_set && !memchr(text, '.', name.n) ? DNS_NOERROR : code;
}

static size_t size_for(const DnsQuery *q, bool udp, size_t to_max)
{
	return udp && q->udp_size < to_max ? q->udp_size : to_max;
}

ssize_t answer_query(ResolverClient *c, const uint8_t *p, size_t n, bool udp, uint8_t *to, size_t to_max)
{
	Resolver *r = c->r;
	DnsQuery q;
	DnsAnswer a;
	const int parsed = dns_query_parse(p, n, &q);
	r->counts.queries++;
	if (parsed < 0) r->counts.dropped++;
	if (parsed < 0) return parsed;
	if (parsed > 0) r->counts.malformed++;
	dns_answer_begin(&a, to, size_for(&q, udp, to_max), &q, (unsigned)parsed);
	if (parsed > 0) return (ssize_t)dns_answer_end(&a);
	a.code = answer_known(c, &a, &q);
	if (a.code != LOCAL_NONE) {
		r->counts.local++;
		return (ssize_t)dns_answer_end(&a);
	}
	if (!names_internal(c->member) && c->servers_n) return 0;
	a.code = DNS_SERVFAIL;
	r->counts.refused++;
	return (ssize_t)dns_answer_end(&a);
}

ssize_t answer_code(const uint8_t *p, size_t n, unsigned code, uint8_t *to, size_t to_max)
{
	DnsQuery q;
	DnsAnswer a;
	const int parsed = dns_query_parse(p, n, &q);
	if (parsed < 0) return parsed;
	dns_answer_begin(&a, to, to_max, &q, code);
	return (ssize_t)dns_answer_end(&a);
}
