/* test_document.c: what goes to the process that answers names arrives as it was; what is cut or changed is refused or harmless. */
#include "attendant/document.h"
#include "check.h"

#include <arpa/inet.h>

#define assert_ok(call, e) \
	do { \
		if ((call) < 0) fail_msg("%s", (e)->msg); \
	} while (0)

static const char *const web[] = { "web", "www", "0123456789ab" };
static const char *const other[] = { "web" };
static const NamesNetwork networks[] = {
	{ "aa", "front", { .v4 = { 10, 1, 0, 2 }, .has_v4 = true, .v4_bits = 24 }, web, ARRAY_LEN(web) },
	{ "bb", "back", { .v6 = { 0xfd, [15] = 2 }, .has_v6 = true, .v6_bits = 64 }, other, ARRAY_LEN(other) },
};
static const NamesLink links[] = { { "db", { .v4 = { 10, 1, 0, 3 }, .has_v4 = true } } };

static Document sample(void)
{
	Document d = { .container = { .id = "0123456789abcdef",
				      .networks = networks,
				      .networks_n = ARRAY_LEN(networks),
				      .links = links,
				      .links_n = ARRAY_LEN(links),
				      .internal = true },
		       .servers_n = 2,
		       .ndots_set = true };
	d.servers[0].v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x01020304) };
	d.servers[1].v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_scope_id = 7 };
	return d;
}

static void test_round(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF b = BUF_INIT(1 << 17);
	Err e = ERR_INIT;
	const Document d = sample();
	Document r;
	assert_ok(document_write(&d, &b, &e), &e);
	assert_ok(document_read(b.p, b.n, &a, &r, &e), &e);
	assert_string_equal(r.container.id, d.container.id);
	assert_true(r.container.internal && r.ndots_set);
	assert_int_equal(r.servers_n, 2);
	assert_memory_equal(r.servers, d.servers, 2 * sizeof *r.servers);
	assert_int_equal(r.container.networks_n, 2);
	for (size_t i = 0; i < 2; i++) {
		const NamesNetwork *n = &r.container.networks[i];
		assert_string_equal(n->id, networks[i].id);
		assert_string_equal(n->name, networks[i].name);
		assert_memory_equal(&n->address, &networks[i].address, sizeof n->address);
		assert_int_equal(n->names_n, networks[i].names_n);
		for (size_t k = 0; k < n->names_n; k++)
			assert_string_equal(n->names[k], networks[i].names[k]);
	}
	assert_int_equal(r.container.links_n, 1);
	assert_string_equal(r.container.links[0].name, "db");
	assert_memory_equal(&r.container.links[0].address, &links[0].address, sizeof links[0].address);
}

static void test_nothing(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF b = BUF_INIT(1 << 17);
	Err e = ERR_INIT;
	const Document d = { .container = { .id = "x" } };
	Document r;
	assert_ok(document_write(&d, &b, &e), &e);
	assert_ok(document_read(b.p, b.n, &a, &r, &e), &e);
	assert_int_equal(r.container.networks_n + r.container.links_n + r.servers_n, 0);
}

/* Every prefix is refused; whatever byte is another, nothing outside is read (the sanitizers would say so), and what is accepted lies within its limits. */
static void test_spoiled(void **state)
{
	AUTO_BUF b = BUF_INIT(1 << 17);
	Err e = ERR_INIT;
	const Document d = sample();
	Document r;
	assert_ok(document_write(&d, &b, &e), &e);
	for (size_t n = 0; n < b.n; n++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		AUTO_FREE char *cut = malloc(n + 1);
		memcpy(cut, b.p, n);
		assert_int_equal(document_read(cut, n, &a, &r, &e), -EBADMSG);
	}
	for (size_t at = 0; at < b.n; at++)
		for (int flip = 1; flip < 256; flip *= 2) {
			AUTO_ARENA a = ARENA_INIT(1 << 20);
			AUTO_FREE char *text = malloc(b.n);
			memcpy(text, b.p, b.n);
			text[at] = (char)(text[at] ^ flip);
			if (document_read(text, b.n, &a, &r, &e) < 0) continue;
			assert_in_range(r.servers_n, 0, RESOLVER_SERVERS_MAX);
			assert_in_range(r.container.networks_n, 0, NAMES_NETWORKS_MAX);
		}
}

static void test_too_long(void **state)
{
	AUTO_BUF b = BUF_INIT(1 << 17);
	Err e = ERR_INIT;
	static char name[NAMES_LENGTH_MAX + 1];
	const char *names[NAMES_MAX];
	NamesNetwork many[NAMES_NETWORKS_MAX];
	memset(name, 'x', NAMES_LENGTH_MAX);
	for (size_t i = 0; i < NAMES_MAX; i++)
		names[i] = name;
	for (size_t i = 0; i < NAMES_NETWORKS_MAX; i++)
		many[i] = (NamesNetwork){ .id = "id", .name = "name", .names = names, .names_n = NAMES_MAX };
	const Document d = { .container = { .id = "0123456789abcdef", .networks = many, .networks_n = NAMES_NETWORKS_MAX } };
	assert_int_equal(document_write(&d, &b, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "the names of container 0123456789ab take more than 65536 bytes: give it fewer aliases"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_round), cmocka_unit_test(test_nothing), cmocka_unit_test(test_spoiled),
					    cmocka_unit_test(test_too_long) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
