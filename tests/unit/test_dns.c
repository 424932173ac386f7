/* test_dns.c: messages of DNS taken apart and written; what is refused; names and reverse names. */
#include "check.h"
#include "net/dns.h"

/* A query of type A for www.example.com with an OPT: 4,096 bytes, DO. */
static const uint8_t query_edns[] = "\x12\x34\x01\x20\0\1\0\0\0\0\0\1\3wWw\7example\3com\0\0\1\0\1\0\0\x29\x10\0\0\0\x80\0\0\0";
enum { EDNS_N = sizeof query_edns - 1, PLAIN_N = EDNS_N - 11 };

static size_t plain(uint8_t *to)
{
	memcpy(to, query_edns, EDNS_N);
	to[11] = 0;
	return PLAIN_N;
}

static void a_query_is_read(void **state)
{
	DnsQuery q;
	char text[DNS_TEXT_MAX];
	uint8_t p[64];
	(void)state;
	assert_int_equal(dns_query_parse(query_edns, EDNS_N, &q), 0);
	assert_true(q.id == 0x1234 && q.type == DNS_A && q.class == DNS_IN && q.edns && q.dnssec_ok && q.udp_size == 4096);
	assert_int_equal(dns_name_text(q.name, q.name_n, text), 15);
	assert_string_equal(text, "www.example.com");
	assert_int_equal(dns_query_parse(p, plain(p), &q), 0);
	assert_true(!q.edns && q.udp_size == DNS_UDP_MIN);
}

static void every_shorter_query_is_refused(void **state)
{
	DnsQuery q;
	(void)state;
	for (size_t n = 0; n < EDNS_N; n++) {
		uint8_t *p = calloc(1, n + !n); /* a block of that size: sanitizers see what reads beyond it */
		memcpy(p, query_edns, n);
		assert_int_equal(dns_query_parse(p, n, &q), n < DNS_HEADER ? -EBADMSG : DNS_FORMERR);
		free(p);
	}
}

/* One byte of a good query changed. */
static void wrong_queries_get_their_code(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		int code;
	} rows[] = {
		{ 2, 0x81, -EBADMSG },          /* a reply */
		{ 2, 0x11, DNS_NOTIMP },        /* opcode STATUS */
		{ 2, 0x29, DNS_NOTIMP },        /* opcode UPDATE */
		{ 5, 0, DNS_FORMERR },          /* no question */
		{ 5, 2, DNS_FORMERR },          /* two */
		{ 4, 1, DNS_FORMERR },          /* 257 */
		{ 7, 1, DNS_FORMERR },          /* an answer */
		{ 9, 1, DNS_FORMERR },          /* authority */
		{ 11, 0, DNS_FORMERR },         /* the OPT is not counted */
		{ 11, 2, DNS_FORMERR },         /* one that is not there */
		{ 12, 0xc0, DNS_FORMERR },      /* a compressed question */
		{ 12, 0x43, DNS_FORMERR },      /* a kind of label that does not exist */
		{ 12, 63, DNS_FORMERR },        /* a label beyond the end */
		{ 30, 252, DNS_REFUSED },       /* AXFR */
		{ 30, 251, DNS_REFUSED },       /* IXFR */
		{ 33, 1, DNS_FORMERR },         /* OPT of a name */
		{ EDNS_N - 5, 1, DNS_BADVERS }, /* version 1 of EDNS */
		{ EDNS_N - 1, 1, DNS_FORMERR }, /* options beyond the end */
		{ 0, 0xff, 0 },
	};
	DnsQuery q;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t p[EDNS_N];
		memcpy(p, query_edns, EDNS_N);
		p[rows[i].at] = rows[i].value;
		if (dns_query_parse(p, EDNS_N, &q) != rows[i].code) fail_msg("row %zu: %d", i, dns_query_parse(p, EDNS_N, &q));
	}
	uint8_t twice[EDNS_N + 11];
	memcpy(twice, query_edns, EDNS_N);
	memcpy(twice + EDNS_N, query_edns + PLAIN_N, 11);
	twice[11] = 2;
	assert_int_equal(dns_query_parse(twice, sizeof twice, &q), DNS_FORMERR);
}

static void small_sizes_of_edns_are_512(void **state)
{
	DnsQuery q;
	uint8_t p[EDNS_N];
	(void)state;
	memcpy(p, query_edns, EDNS_N);
	p[PLAIN_N + 3] = 0;
	p[PLAIN_N + 4] = 1;
	assert_int_equal(dns_query_parse(p, EDNS_N, &q), 0);
	assert_int_equal(q.udp_size, DNS_UDP_MIN);
}

static void answers_are_written(void **state)
{
	static const uint8_t address[] = { 10, 0, 0, 9 };
	/* id, flags QR RD RA, counts; the question as it came; a pointer to it, A IN 600, 4 bytes; OPT with DO */
	static const uint8_t want[] =
		"\x12\x34\x81\x80\0\1\0\1\0\0\0\1\3wWw\7example\3com\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\2\x58\0\4\x0a\0\0\x09"
		"\0\0\x29\x10\0\0\0\x80\0\0\0";
	uint8_t to[DNS_UDP_MIN];
	DnsQuery q;
	DnsAnswer a;
	(void)state;
	assert_int_equal(dns_query_parse(query_edns, EDNS_N, &q), 0);
	dns_answer_begin(&a, to, sizeof to, &q, DNS_NOERROR);
	dns_answer_address(&a, address, 4);
	assert_int_equal(dns_answer_end(&a), sizeof want - 1);
	assert_memory_equal(to, want, sizeof want - 1);
}

static void answers_without_records(void **state)
{
	uint8_t p[EDNS_N], to[DNS_UDP_MIN];
	DnsQuery q;
	DnsAnswer a;
	(void)state;
	assert_int_equal(dns_query_parse(p, plain(p), &q), 0);
	dns_answer_begin(&a, to, sizeof to, &q, DNS_NXDOMAIN);
	assert_int_equal(dns_answer_end(&a), PLAIN_N);
	assert_true(to[2] == 0x81 && to[3] == 0x80 + DNS_NXDOMAIN && to[5] == 1 && to[7] == 0 && to[11] == 0);
	memcpy(p, query_edns, EDNS_N);
	p[EDNS_N - 5] = 1;
	assert_int_equal(dns_query_parse(p, EDNS_N, &q), DNS_BADVERS);
	dns_answer_begin(&a, to, sizeof to, &q, DNS_BADVERS);
	assert_int_equal(dns_answer_end(&a), EDNS_N);
	assert_true((to[3] & 15) == 0 && to[EDNS_N - 6] == 1 && to[EDNS_N - 5] == 0); /* 16 = 1 << 4, version 0 */
	assert_int_equal(dns_query_parse(p, DNS_HEADER, &q), DNS_FORMERR);
	dns_answer_begin(&a, to, sizeof to, &q, DNS_FORMERR);
	assert_int_equal(dns_answer_end(&a), DNS_HEADER);
	assert_int_equal(to[5], 0);
}

static void what_does_not_fit_is_truncated(void **state)
{
	uint8_t p[EDNS_N], to[DNS_UDP_MIN], address[16] = { 0xfd };
	DnsQuery q;
	DnsAnswer a;
	(void)state;
	for (size_t size = 4; size <= 16; size += 12) {
		const size_t fits = (DNS_UDP_MIN - PLAIN_N) / (12 + size);
		assert_int_equal(dns_query_parse(p, plain(p), &q), 0);
		dns_answer_begin(&a, to, sizeof to, &q, DNS_NOERROR);
		for (size_t i = 0; i < fits; i++)
			dns_answer_address(&a, address, size);
		assert_int_equal(dns_answer_end(&a), PLAIN_N + fits * (12 + size));
		assert_int_equal(to[2] & 2, 0);
		dns_answer_address(&a, address, size);
		dns_answer_ptr(&a, STR("a.b")); /* would fit, but nothing may follow what was left out */
		assert_int_equal(dns_answer_end(&a), PLAIN_N + fits * (12 + size));
		assert_true(to[2] & 2 && to[7] == fits);
	}
}

static void a_pointer_is_written(void **state)
{
	uint8_t p[EDNS_N], to[DNS_UDP_MIN];
	DnsQuery q;
	DnsAnswer a;
	(void)state;
	assert_int_equal(dns_query_parse(p, plain(p), &q), 0);
	dns_answer_begin(&a, to, sizeof to, &q, DNS_NOERROR);
	dns_answer_ptr(&a, STR("web.mynet"));
	dns_answer_ptr(&a, STR("a..b")); /* no name */
	const size_t n = dns_answer_end(&a);
	assert_int_equal(n, PLAIN_N + 12 + 11);
	assert_int_equal(to[7], 1);
	assert_memory_equal(to + n - 13, "\0\x0b\3web\5mynet", 13);
}

static void replies_are_told_from_others(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		int code;
	} rows[] = {
		{ 0, 0x12, 0 },         { 3, 0x83, DNS_NXDOMAIN }, { 3, 0x82, DNS_SERVFAIL },
		{ 0, 0x13, -EBADMSG },  { 1, 0x35, -EBADMSG },     { 2, 0x01, -EBADMSG },
		{ 2, 0x91, -EBADMSG },  { 5, 0, -EBADMSG },        { 5, 2, -EBADMSG },
		{ 13, 'W', 0 },         { 13, 'v', -EBADMSG },     { 12, 0xc0, -EBADMSG },
		{ 16, 6, -EBADMSG },    { 30, 28, -EBADMSG },      { 32, 3, -EBADMSG },
		{ 17, '\5', -EBADMSG }, { 17, 'e' & 0x5f, 0 },     { 2, 0x87, 0 },
	};
	uint8_t p[EDNS_N];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memcpy(p, query_edns, EDNS_N);
		p[2] |= 0x80;
		p[3] = 0x80;
		p[rows[i].at] = rows[i].value;
		if (dns_reply_check(p, EDNS_N, query_edns, EDNS_N) != rows[i].code)
			fail_msg("row %zu: %d", i, dns_reply_check(p, EDNS_N, query_edns, EDNS_N));
	}
	memcpy(p, query_edns, EDNS_N);
	p[2] |= 0x80;
	p[3] = 0x81;
	for (size_t n = 0; n < PLAIN_N; n++)
		assert_int_equal(dns_reply_check(p, n, query_edns, EDNS_N), -EBADMSG);
	p[5] = 0; /* a server that does not know EDNS */
	assert_int_equal(dns_reply_check(p, DNS_HEADER, query_edns, EDNS_N), DNS_FORMERR);
	p[3] = 0x80;
	assert_int_equal(dns_reply_check(p, DNS_HEADER, query_edns, EDNS_N), -EBADMSG);
}

static void compressed_names_end(void **state)
{
	/* at 12 "a.b", at 17 "c" + 12, at 21 a pointer to itself, at 23 one to 21, at 25 one forward, at 27 one into the header */
	static const uint8_t p[] = "------------\1a\1b\0\1c\xc0\x0c\xc0\x15\xc0\x15\xc0\x1d\xc0\x02\xc0";
	static const struct {
		size_t at;
		int n;
		size_t end;
	} rows[] = {
		{ 12, 5, 17 },        { 17, 7, 21 },        { 19, 5, 21 },        { 21, -EBADMSG, 21 }, { 23, -EBADMSG, 23 },
		{ 25, -EBADMSG, 25 }, { 27, -EBADMSG, 27 }, { 29, -EBADMSG, 29 }, { 30, -EBADMSG, 30 },
	};
	uint8_t to[DNS_NAME_MAX];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t at = rows[i].at;
		assert_int_equal(dns_name_read(p, 30, &at, to), rows[i].n);
		assert_int_equal(at, rows[i].end);
	}
	size_t at = 17;
	assert_int_equal(dns_name_read(p, 30, &at, to), 7);
	assert_memory_equal(to, "\1c\1a\1b", 7);
}

/* 255 bytes are a name, 257 are none: also not when they are put together by pointers. */
static void names_have_a_limit(void **state)
{
	uint8_t p[DNS_HEADER + 600] = { 0 }, to[DNS_NAME_MAX];
	char text[2 * DNS_TEXT_MAX];
	size_t at = DNS_HEADER;
	(void)state;
	for (size_t i = 0; i < 127; i++)
		memcpy(p + DNS_HEADER + 2 * i, "\1x", 2);
	assert_int_equal(dns_name_read(p, sizeof p, &at, to), 255);
	assert_int_equal(dns_name_text(to, 255, text), 253);
	assert_int_equal(dns_name_wire((Str){ text, 253 }, to), 255);
	memcpy(text + 253, ".y", 3);
	assert_int_equal(dns_name_wire(str_of(text), to), -EINVAL);
	at = DNS_HEADER + 255;
	memcpy(p + at, "\1y\xc0\x0c", 4);
	assert_int_equal(dns_name_read(p, sizeof p, &at, to), -EBADMSG);
	memset(text, 'a', 64);
	assert_int_equal(dns_name_wire((Str){ text, 63 }, to), 65);
	assert_int_equal(dns_name_wire((Str){ text, 64 }, to), -EINVAL);
	assert_int_equal(dns_name_wire(STR("a."), to), 3);
	assert_int_equal(dns_name_wire(STR("a..b"), to), -EINVAL);
	assert_int_equal(dns_name_wire(STR(".a"), to), -EINVAL);
}

static void bytes_of_no_host(void **state)
{
	char text[DNS_TEXT_MAX];
	(void)state;
	assert_int_equal(dns_name_text((const uint8_t *)"\3a.b", 5, text), -EINVAL);
	assert_int_equal(dns_name_text((const uint8_t *)"\2a\0", 4, text), -EINVAL);
	assert_int_equal(dns_name_text((const uint8_t *)"\1\xff", 3, text), -EINVAL);
	assert_int_equal(dns_name_text((const uint8_t *)"\3A_-", 5, text), 3);
	assert_string_equal(text, "a_-");
	assert_int_equal(dns_name_text((const uint8_t *)"", 1, text), 0);
}

static void reverse_names(void **state)
{
	static const char *const bad[] = {
		"1.0.0.10",
		"0.0.10.in-addr.arpa",
		"1.2.3.4.5.in-addr.arpa",
		"256.0.0.1.in-addr.arpa",
		"01.0.0.1.in-addr.arpa",
		"a.0.0.1.in-addr.arpa",
		".in-addr.arpa",
		"1..0.1.in-addr.arpa",
		"1.0.0.10.in-addr.arpa.x",
		"ip6.arpa",
		"1.ip6.arpa",
		"in-addr.arpa",
	};
	static const uint8_t v6[16] = { 0xfd, 0x12, [15] = 0xab };
	uint8_t to[16];
	char text[DNS_TEXT_MAX];
	(void)state;
	assert_int_equal(dns_reverse_parse(STR("9.0.0.10.in-addr.arpa"), to), 4);
	assert_memory_equal(to, "\x0a\0\0\x09", 4);
	dns_reverse_text(to, 4, text);
	assert_string_equal(text, "9.0.0.10.in-addr.arpa");
	dns_reverse_text(v6, 16, text);
	assert_string_equal(text, "b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.1.d.f.ip6.arpa");
	assert_int_equal(dns_reverse_parse(str_of(text), to), 16);
	assert_memory_equal(to, v6, 16);
	text[0] = 'g';
	assert_int_equal(dns_reverse_parse(str_of(text), to), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (dns_reverse_parse(str_of(bad[i]), to) != -EINVAL) fail_msg("taken: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_read),
		cmocka_unit_test(every_shorter_query_is_refused),
		cmocka_unit_test(wrong_queries_get_their_code),
		cmocka_unit_test(small_sizes_of_edns_are_512),
		cmocka_unit_test(answers_are_written),
		cmocka_unit_test(answers_without_records),
		cmocka_unit_test(what_does_not_fit_is_truncated),
		cmocka_unit_test(a_pointer_is_written),
		cmocka_unit_test(replies_are_told_from_others),
		cmocka_unit_test(compressed_names_end),
		cmocka_unit_test(names_have_a_limit),
		cmocka_unit_test(bytes_of_no_host),
		cmocka_unit_test(reverse_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
