/* dns_message.c: queries parsed, answers written, replies checked. */
#include "net/dns.h"

#include <assert.h>

/* The second word of the header (RFC 1035 4.1.1, RFC 2535 6.1 for CD). */
enum {
	REPLY = 0x8000,
	OPCODE = 0x7800,
	TRUNCATED = 0x0200,
	DESIRED = 0x0100,
	AVAILABLE = 0x0080,
	CHECKING_DISABLED = 0x0010,
	CODE = 0x000f
};
enum { OPT_SIZE = 11, DNSSEC_OK = 0x8000, RECORD_HEADER = 10, NAME_POINTER = 0xc000 | DNS_HEADER };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint8_t *put16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
	return p + 2;
}

/* The length of the name at the beginning of the question, which has nothing before it that a pointer could lead to; 0 when there is none. */
static size_t question_name(const uint8_t *p, size_t n)
{
	size_t i = 0;
	const size_t most = n < DNS_NAME_MAX ? n : DNS_NAME_MAX;
	while (i < most && p[i]) {
		if (p[i] > DNS_LABEL_MAX) return 0;
		i += 1 + (size_t)p[i];
	}
	return i < most ? i + 1 : 0;
}

/* One additional record; that of EDNS (RFC 6891 6.1.1: only once, its name is the root's) is looked at. */
static int parse_additional(const uint8_t *p, size_t n, size_t *at, DnsQuery *q, unsigned *version)
{
	uint8_t name[DNS_NAME_MAX];
	const int name_n = dns_name_read(p, n, at, name);
	if (name_n < 0 || n - *at < RECORD_HEADER) return DNS_FORMERR;
	const uint8_t *record = p + *at;
	const size_t size = get16(record + 8);
	*at += RECORD_HEADER;
	if (n - *at < size) return DNS_FORMERR;
	*at += size;
	if (get16(record) != DNS_OPT) return 0;
	if (q->edns || name_n != 1) return DNS_FORMERR;
	q->edns = true;
	q->dnssec_ok = get16(record + 6) & DNSSEC_OK;
	if (get16(record + 2) > DNS_UDP_MIN) q->udp_size = get16(record + 2);
	*version = record[5];
	return 0;
}

static int parse_question(const uint8_t *p, size_t n, size_t *at, DnsQuery *q)
{
	const size_t name_n = question_name(p + DNS_HEADER, n - DNS_HEADER);
	if (!name_n || n - DNS_HEADER - name_n < 4) return DNS_FORMERR;
	q->name = p + DNS_HEADER;
	q->name_n = name_n;
	q->type = get16(q->name + name_n);
	q->class = get16(q->name + name_n + 2);
	*at = DNS_HEADER + name_n + 4;
	return 0;
}

int dns_query_parse(const uint8_t *p, size_t n, DnsQuery *ret)
{
	size_t at = DNS_HEADER;
	unsigned version = 0;
	if (n < DNS_HEADER) return -EBADMSG;
	*ret = (DnsQuery){ .id = get16(p), .flags = get16(p + 2), .udp_size = DNS_UDP_MIN };
	if (ret->flags & REPLY) return -EBADMSG;
	if (ret->flags & OPCODE) return DNS_NOTIMP;
	if (get16(p + 4) != 1 || parse_question(p, n, &at, ret) != 0) return DNS_FORMERR;
	if (ret->type == DNS_AXFR || ret->type == DNS_IXFR) return DNS_REFUSED; /* IXFR comes with a record of authority */
	if (get16(p + 6) || get16(p + 8)) return DNS_FORMERR;
	for (unsigned i = get16(p + 10); i; i--)
		if (parse_additional(p, n, &at, ret, &version) != 0) return DNS_FORMERR;
	if (at != n) return DNS_FORMERR;
	return version ? DNS_BADVERS : 0;
}

void dns_answer_begin(DnsAnswer *a, uint8_t *p, size_t size, const DnsQuery *q, unsigned code)
{
	assert(size >= DNS_UDP_MIN);
	*a = (DnsAnswer){ .p = p, .n = DNS_HEADER, .max = size < DNS_MESSAGE_MAX ? size : DNS_MESSAGE_MAX, .code = code, .query = q };
	if (q->edns) a->max -= OPT_SIZE;
	if (!q->name) return;
	memcpy(p + DNS_HEADER, q->name, dns_question_size(q));
	a->n += dns_question_size(q);
}

/* A record of the question's name with room for n bytes of data; NULL when there is none. */
static uint8_t *add_record(DnsAnswer *a, unsigned type, size_t n)
{
	if (a->truncated || a->max - a->n < 2 + RECORD_HEADER + n || a->records == UINT16_MAX) {
		a->truncated = true;
		return NULL;
	}
	uint8_t *p = put16(a->p + a->n, NAME_POINTER);
	p = put16(p, type);
	p = put16(p, DNS_IN);
	p = put16(p, 0);
	p = put16(p, DNS_TTL);
	p = put16(p, (unsigned)n);
	a->n += 2 + RECORD_HEADER + n;
	a->records++;
	return p;
}

void dns_answer_address(DnsAnswer *a, const uint8_t *address, size_t n)
{
	assert(n == 4 || n == 16);
	uint8_t *p = add_record(a, n == 4 ? DNS_A : DNS_AAAA, n);
	if (p) memcpy(p, address, n);
}

void dns_answer_ptr(DnsAnswer *a, Str target)
{
	uint8_t name[DNS_NAME_MAX];
	const int n = dns_name_wire(target, name);
	uint8_t *p = n > 0 ? add_record(a, DNS_PTR, (size_t)n) : NULL;
	if (p) memcpy(p, name, (size_t)n);
}

size_t dns_answer_end(DnsAnswer *a)
{
	const DnsQuery *q = a->query;
	const unsigned flags = REPLY | AVAILABLE | (q->flags & (OPCODE | DESIRED | CHECKING_DISABLED)) | (a->truncated ? TRUNCATED : 0u) |
			       (a->code & CODE);
	uint8_t *p = put16(a->p, q->id);
	p = put16(p, flags);
	p = put16(p, q->name != NULL);
	p = put16(p, a->records);
	p = put16(p, 0);
	(void)put16(p, q->edns);
	if (!q->edns) return a->n;
	p = a->p + a->n;
	*p++ = 0;
	p = put16(p, DNS_OPT);
	p = put16(p, DNS_UDP_MAX);
	*p++ = (uint8_t)(a->code >> 4);
	*p++ = 0;
	p = put16(p, q->dnssec_ok ? DNSSEC_OK : 0);
	(void)put16(p, 0);
	return a->n + OPT_SIZE;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* The lengths of labels are below 'A', so that a name can be compared as if it were text. */
static bool same_question(const uint8_t *a, const uint8_t *b, size_t name_n)
{
	for (size_t i = 0; i < name_n; i++)
		if (lower(a[i]) != lower(b[i])) return false;
	return memcmp(a + name_n, b + name_n, 4) == 0;
}

static bool is_failure(unsigned code)
{
	return code == DNS_FORMERR || code == DNS_SERVFAIL || code == DNS_NOTIMP || code == DNS_REFUSED;
}

int dns_reply_check(const uint8_t *p, size_t n, const uint8_t *query, size_t query_n)
{
	if (n < DNS_HEADER || query_n < DNS_HEADER || get16(p) != get16(query)) return -EBADMSG;
	const unsigned flags = get16(p + 2), code = flags & CODE;
	if (!(flags & REPLY) || ((flags ^ get16(query + 2)) & OPCODE)) return -EBADMSG;
	if (get16(p + 4) == 0 && get16(p + 6) == 0) return is_failure(code) ? (int)code : -EBADMSG;
	if (get16(p + 4) != 1) return -EBADMSG;
	const size_t name_n = question_name(query + DNS_HEADER, query_n - DNS_HEADER), size = name_n + 4;
	if (!name_n || query_n - DNS_HEADER < size || n - DNS_HEADER < size) return -EBADMSG;
	return same_question(p + DNS_HEADER, query + DNS_HEADER, name_n) ? (int)code : -EBADMSG;
}
