/* fuzz_dns_query.c: a query of a hostile container. What is taken is a query; each gets an answer that is well formed and of the size its sender takes; a
 * name that is text survives its way to the wire and back. */
#include "fuzz.h"
#include "net/dns.h"

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Walks all records of a message: it ends where the last one does. */
static void check_message(const uint8_t *p, size_t n)
{
	uint8_t name[DNS_NAME_MAX];
	size_t at = DNS_HEADER;
	assert(n >= DNS_HEADER);
	const unsigned questions = get16(p + 4), records = get16(p + 6) + get16(p + 8) + get16(p + 10);
	for (unsigned i = 0; i < questions; i++) {
		assert(dns_name_read(p, n, &at, name) > 0 && n - at >= 4);
		at += 4;
	}
	for (unsigned i = 0; i < records; i++) {
		assert(dns_name_read(p, n, &at, name) > 0 && n - at >= 10);
		const size_t size = get16(p + at + 8);
		assert(n - at - 10 >= size);
		at += 10 + size;
	}
	assert(at == n);
}

static void check_name(const DnsQuery *q)
{
	char text[DNS_TEXT_MAX], again[DNS_TEXT_MAX];
	uint8_t wire[DNS_NAME_MAX], address[16];
	const int n = dns_name_text(q->name, q->name_n, text);
	if (n < 0) return;
	assert((size_t)n == strlen(text) && (!n || (size_t)n + 2 == q->name_n));
	const int wire_n = dns_name_wire((Str){ text, (size_t)n }, wire);
	assert((size_t)wire_n == q->name_n && dns_name_text(wire, q->name_n, again) == n && streq(text, again));
	const int size = dns_reverse_parse((Str){ text, (size_t)n }, address);
	if (size < 0) return;
	dns_reverse_text(address, (size_t)size, again);
	assert(streq(text, again));
}

static void check_answer(const DnsQuery *q, int code, size_t size, unsigned records)
{
	static const uint8_t address[16] = { 0xfd };
	uint8_t *p = malloc(size);
	DnsAnswer a;
	assert(p);
	dns_answer_begin(&a, p, size, q, (unsigned)code);
	for (unsigned i = 0; code == 0 && i < records; i++)
		dns_answer_address(&a, address, i % 2 ? 4 : 16);
	if (code == 0) dns_answer_ptr(&a, STR("web.mynet"));
	const size_t n = dns_answer_end(&a);
	assert(n <= size && get16(p) == q->id && p[2] & 0x80);
	check_message(p, n);
	assert(get16(p + 4) == 0 || memcmp(p + DNS_HEADER, q->name, dns_question_size(q)) == 0);
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_FREE uint8_t *p = calloc(1, n + !n);
	DnsQuery q;
	assert(p);
	if (n) memcpy(p, data, n);
	const int code = dns_query_parse(p, n, &q);
	if (code < 0) {
		assert(n < DNS_HEADER || p[2] & 0x80);
		return 0;
	}
	assert(q.udp_size >= DNS_UDP_MIN);
	if (code == 0) check_message(p, n);
	if (q.name) check_name(&q);
	check_answer(&q, code, q.udp_size, 40);
	check_answer(&q, code, DNS_MESSAGE_MAX, 40);
	if (code == 0) assert(dns_reply_check(p, n, p, n) == -EBADMSG);
	return 0;
}
