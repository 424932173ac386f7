/* fuzz_dns_reply.c: what comes back from a server: a length of the query in two bytes, the query as it was sent, the reply. Taken is only what has
 * its id and, in any case of letters, its question; and all of that is inside both. */
#include "fuzz.h"
#include "net/dns.h"

static uint8_t *copy(const uint8_t *from, size_t n)
{
	uint8_t *p = calloc(1, n + !n);
	assert(p);
	if (n) memcpy(p, from, n);
	return p;
}

static void check_taken(const uint8_t *reply, size_t n, const uint8_t *query, int code)
{
	assert(n >= DNS_HEADER && dns_id(reply) == dns_id(query) && reply[2] & 0x80 && code == (reply[3] & 15));
	if (!reply[5]) {
		assert(code != DNS_NOERROR && code != DNS_NXDOMAIN);
		return;
	}
	uint8_t asked[DNS_NAME_MAX], answered[DNS_NAME_MAX];
	char a[DNS_TEXT_MAX], b[DNS_TEXT_MAX];
	size_t at = DNS_HEADER, query_at = DNS_HEADER;
	const int asked_n = dns_name_read(query, DNS_HEADER + DNS_NAME_MAX, &query_at, asked),
		  answered_n = dns_name_read(reply, n, &at, answered);
	assert(asked_n == answered_n && n - at >= 4 && memcmp(reply + at, query + query_at, 4) == 0);
	const int text_n = dns_name_text(asked, (size_t)asked_n, a);
	assert(dns_name_text(answered, (size_t)answered_n, b) == text_n && (text_n < 0 || streq(a, b)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	DnsQuery q;
	if (n < 2) return 0;
	const size_t query_n = (size_t)data[0] << 8 | data[1];
	if (query_n > n - 2) return 0;
	AUTO_FREE uint8_t *query = copy(data + 2, query_n), *reply = copy(data + 2 + query_n, n - 2 - query_n);
	const int code = dns_reply_check(reply, n - 2 - query_n, query, query_n);
	assert(code == -EBADMSG || (code >= 0 && code <= 15));
	if (code < 0 || dns_query_parse(query, query_n, &q) != 0) return 0;
	AUTO_FREE uint8_t *padded = calloc(1, query_n + DNS_HEADER + DNS_NAME_MAX);
	assert(padded);
	memcpy(padded, query, query_n);
	check_taken(reply, n - 2 - query_n, padded, code);
	return 0;
}
