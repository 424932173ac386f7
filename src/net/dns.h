/* dns.h: messages of the domain name system: queries parsed, answers written, replies of other servers checked. No I/O, no allocation.
 *
 * RFC 1035 (messages, names, compression), 3596 (AAAA, ip6.arpa), 6891 (EDNS0), 2308 (negative answers; without the SOA, as docker's have none),
 * 4343 (names without regard to case). Cookies (RFC 7873) and all other options of EDNS are ignored.
 *
 * Invariants
 *  - All bytes are hostile. Every read is inside the message; a compression pointer leads only to what lies before the name that has it, so
 *    there are no loops; a name is at most 255 bytes with labels of at most 63.
 *  - What is parsed keeps pointing into the message: nothing is copied, the message outlives it.
 *  - A message that is itself a reply is never answered: two servers cannot be made to talk to each other for ever.
 *  - Lengths are bytes, numbers of the host's order, addresses in the network's order.
 */
#pragma once

#include "base/str.h"

enum {
	DNS_HEADER = 12,
	DNS_NAME_MAX = 255, /* as it is on the wire, with the root's zero */
	DNS_TEXT_MAX = 256, /* as text, with a NUL */
	DNS_LABEL_MAX = 63,
	DNS_UDP_MIN = 512, /* what every client takes (RFC 1035 4.2.1) */
	DNS_UDP_MAX = 4096,
	DNS_MESSAGE_MAX = 65535,
	DNS_TTL = 600, /* seconds, docker's for the names of containers */
};

enum { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_AAAA = 28, DNS_OPT = 41, DNS_IXFR = 251, DNS_AXFR = 252 };
enum { DNS_IN = 1 };
enum { DNS_NOERROR, DNS_FORMERR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED, DNS_BADVERS = 16 };

/* ---- queries ---- */

typedef struct DnsQuery {
	uint16_t id, flags;
	const uint8_t *name; /* on the wire, case as it came; NULL when the question could not be read */
	size_t name_n;       /* with the root's zero */
	uint16_t type, class;
	bool edns, dnssec_ok;
	uint16_t udp_size; /* what the client takes by UDP: DNS_UDP_MIN without EDNS, never less */
} DnsQuery;

/* dns_query_parse: a standard query with one question and no more than an OPT and other additional records behind it. 0; or the code of the
 * answer it deserves: DNS_FORMERR (also for a compressed question and bytes at the end), DNS_NOTIMP (another opcode), DNS_REFUSED (AXFR and IXFR),
 * DNS_BADVERS (*ret says then what is known of it); -EBADMSG: no header, or a reply: not to be answered at all. */
int dns_query_parse(const uint8_t *p, size_t n, DnsQuery *ret) MUST_USE;

/* ---- answers ---- */

/* An answer being written: the header and the question at once, then records, then the OPT of dns_answer_end(). A record that does not fit sets
 * TC (truncated), and all after it are left out as well. */
typedef struct DnsAnswer {
	uint8_t *p;
	size_t n, max;
	unsigned records, code;
	const DnsQuery *query;
	bool truncated;
} DnsAnswer;

/* dns_answer_begin: into size bytes at p, size at least DNS_UDP_MIN. p and q are borrowed until the end. Recursion is said to be available, the
 * answer not to be authoritative, as docker's are. */
void dns_answer_begin(DnsAnswer *a, uint8_t *p, size_t size, const DnsQuery *q, unsigned code);
/* dns_answer_address: a record A or AAAA of the question's name; n is 4 or 16. */
void dns_answer_address(DnsAnswer *a, const uint8_t *address, size_t n);
/* dns_answer_ptr: a record PTR of the question's name. target: text; one that is no name is left out. */
void dns_answer_ptr(DnsAnswer *a, Str target);
/* dns_answer_end: the length of the message. */
size_t dns_answer_end(DnsAnswer *a) MUST_USE;

/* ---- replies of other servers ---- */

/* dns_reply_check: does p answer the query, as that was sent: the same id, opcode and question (in any case)? Its code (0 to 15), or -EBADMSG. A
 * failure (DNS_FORMERR, SERVFAIL, NOTIMP, REFUSED) may come without the question, as from servers that could not read it. The records are
 * not looked at: who asked has to. */
int dns_reply_check(const uint8_t *p, size_t n, const uint8_t *query, size_t query_n) MUST_USE;

/* dns_id, dns_set_id: the id of a message of at least two bytes. dns_question_size: of the question behind a header that dns_query_parse() took. */
static inline uint16_t dns_id(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline void dns_set_id(uint8_t *p, uint16_t id)
{
	p[0] = (uint8_t)(id >> 8);
	p[1] = (uint8_t)id;
}
static inline size_t dns_question_size(const DnsQuery *q)
{
	return q->name_n + 4;
}

/* ---- names ---- */

/* dns_name_read: the name at *at of a message, decompressed into to; *at moves behind it. Its length, or -EBADMSG. */
int dns_name_read(const uint8_t *p, size_t n, size_t *at, uint8_t to[static DNS_NAME_MAX]) MUST_USE;
/* dns_name_text: a name of the wire as text in lower case, without the last dot ("" for the root). Its length, or -EINVAL for one that no host can
 * have: with a dot, a control character, a blank or a byte above ASCII inside a label. */
int dns_name_text(const uint8_t *name, size_t n, char to[static DNS_TEXT_MAX]) MUST_USE;
/* dns_name_wire: text (a last dot is allowed) as a name of the wire, case kept. Its length, or -EINVAL: an empty label, too long. */
int dns_name_wire(Str text, uint8_t to[static DNS_NAME_MAX]) MUST_USE;

/* dns_reverse_parse: the address that "4.3.2.1.in-addr.arpa" or the 32 nibbles before "ip6.arpa" ask for (lower case). 4 or 16, the bytes in to; or
 * -EINVAL, also for the parts of an address that name a zone. */
int dns_reverse_parse(Str text, uint8_t to[static 16]) MUST_USE;
/* dns_reverse_text: the name that asks for an address of 4 or 16 bytes. */
void dns_reverse_text(const uint8_t *address, size_t n, char to[static DNS_TEXT_MAX]);
