/* test_transfer_wire.c: messages between skep and skep-transfer: round trips, and what is refused. */
#include "check.h"
#include "image/transfer_wire.h"

static int parse(const char *text, size_t n_fds, TransferRequest *ret, Arena *a, Err *e)
{
	char *copy = arena_strdup(a, text);
	assert_non_null(copy);
	return transfer_request_parse(copy, strlen(copy), n_fds, ret, a, e);
}

static void a_request_comes_back_as_it_was_sent(void **state)
{
	(void)state;
	TransferEndpoint endpoints[] = { { .url = "https://a", .username = "u", .password = "p\"\n", .insecure = true },
					 { .url = "https://b", .identity_token = "t", .ca = "-----BEGIN", .repository = "m/x" } };
	const char *accept[] = { "a/b", "c/d" };
	int roles[] = { TRANSFER_BODY, TRANSFER_TAR, TRANSFER_INDEX };
	const TransferRequest sent = {
		.id = 7,
		.op = TRANSFER_BLOB_GET,
		.endpoints = { endpoints, 2 },
		.repository = "library/debian",
		.digest = "sha256:00",
		.size = UINT64_C(1) << 40,
		.accept = { accept, 2 },
		.compression = COMPRESSION_ZSTD,
		.limits = { .tar_size = 5, .ratio = 100 },
		.tuning = { .attempts = 3, .ranges = 4 },
		.fds = { roles, 3 },
	};
	AUTO_BUF b = BUF_INIT(TRANSFER_MESSAGE_MAX);
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	TransferRequest got;
	assert_int_equal(transfer_message(&transfer_request_table, &sent, &b, &e), 0);
	assert_int_equal(parse(b.p, 3, &got, &a, &e), 0);
	assert_int_equal(got.op, TRANSFER_BLOB_GET);
	assert_int_equal(got.endpoints.n, 2);
	assert_string_equal(got.endpoints.items[0].password, "p\"\n");
	assert_true(got.endpoints.items[0].insecure);
	assert_string_equal(got.endpoints.items[1].repository, "m/x");
	assert_true(got.size == UINT64_C(1) << 40);
	assert_int_equal(got.limits.ratio, 100);
	assert_int_equal(got.tuning.ranges, 4);
	assert_int_equal(got.compression, COMPRESSION_ZSTD);
	assert_int_equal(got.fds.items[2], TRANSFER_INDEX);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
	(void)state;
#define TO "\"endpoints\":[{\"url\":\"http://a\"}],\"repository\":\"r\""
	static const struct {
		const char *text;
		size_t n_fds;
		const char *message;
	} cases[] = {
		{ "{\"op\":\"ping\"}", 0, "request: id: required, but missing" },
		{ "{\"id\":1}", 0, "request: op: required, but missing" },
		{ "{\"id\":0,\"op\":\"ping\"," TO "}", 0, "request: its id is 0" },
		{ "{\"id\":1,\"op\":\"ping\"}", 0, "ping request: no endpoint" },
		{ "{\"id\":1,\"op\":\"ping\",\"endpoints\":[{}]}", 0, "request: endpoints[0].url: required, but missing" },
		{ "{\"id\":1,\"op\":\"tags\",\"endpoints\":[{\"url\":\"http://a\"}]}", 0, "tags request: no repository" },
		{ "{\"id\":1,\"op\":\"manifest-get\"," TO "}", 0, "manifest-get request: no reference" },
		{ "{\"id\":1,\"op\":\"blob-get\"," TO "}", 0, "blob-get request: no digest" },
		{ "{\"id\":1,\"op\":\"tags\"," TO "}", 0, "tags request: a descriptor is missing" },
		{ "{\"id\":1,\"op\":\"tags\"," TO ",\"fds\":[\"body\"]}", 0,
		  "tags request: its list of descriptors does not match those that came with it" },
		{ "{\"id\":1,\"op\":\"tags\"," TO ",\"fds\":[\"body\",\"body\"]}", 2, "tags request: two descriptors of one role" },
		{ "{\"id\":1,\"op\":\"tags\"," TO ",\"fds\":[\"body\",\"tar\"]}", 2, "tags request: a descriptor that it has no use for" },
		{ "{\"id\":1,\"op\":\"layer-import\",\"offset\":1,\"fds\":[\"input\",\"index\"]}", 2,
		  "layer-import request: a part is for imports" },
		{ "{\"id\":1,\"op\":\"layer-fetch\",\"fds\":[\"tar\"]}", 1, "layer-fetch request: it wants one URL" },
		{ "{\"id\":1,\"op\":\"layer-fetch\",\"urls\":[\"http://a\",\"http://b\"],\"fds\":[\"tar\"]}", 1,
		  "layer-fetch request: it wants one URL" },
		{ "{\"id\":1,\"op\":\"layer-fetch\",\"urls\":[\"http://a\"],\"fds\":[\"input\"]}", 1,
		  "layer-fetch request: a descriptor that it has no use for" },
		{ "{\"id\":1,\"op\":\"layer-compress\",\"compression\":\"xz\",\"fds\":[\"input\",\"body\"]}", 2,
		  "layer-compress request: its compression must be gzip or zstd" },
		{ "{\"id\":1,\"op\":\"ping\"," TO ",\"tuning\":{\"ranges\":9}}", 0,
		  "ping request: attempts, redirects or ranges out of range" },
		{ "{\"id\":1,\"op\":\"ping\"," TO ",\"size\":9223372036854775808}", 0, "ping request: a size out of range" },
		{ "{\"id\":1,\"op\":\"blob-get\"," TO ",\"digest\":\"d\",\"size\":-1}", 0,
		  "request: size: expected an integer from 0 to 18446744073709551615 (byte 94)" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		Err e = ERR_INIT;
		TransferRequest r;
		assert_int_equal(parse(cases[i].text, cases[i].n_fds, &r, &a, &e), -EINVAL);
		assert_string_equal(e.msg, cases[i].message);
	}
}

static void a_failure_keeps_its_class(void **state)
{
	(void)state;
	char text[] = "{\"id\":3,\"kind\":\"failed\",\"code\":\"NOT_FOUND\",\"errnum\":2,\"message\":\"blob-get x: gone\"}";
	char without[] = "{\"id\":3,\"kind\":\"failed\"}";
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	TransferEvent ev;
	assert_int_equal(transfer_event_parse(text, strlen(text), &ev, &a, &e), 0);
	assert_int_equal(transfer_event_error(&ev, &e), -ENOENT);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.msg, "blob-get x: gone");
	ev.code = "no such code";
	ev.errnum = -5;
	assert_int_equal(transfer_event_error(&ev, &e), -EIO);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(transfer_event_parse(without, strlen(without), &ev, &a, &e), -EINVAL);
}

static void a_message_has_a_limit(void **state)
{
	(void)state;
	AUTO_FREE char *big = malloc(TRANSFER_MESSAGE_MAX + 1);
	assert_non_null(big);
	memset(big, 'x', TRANSFER_MESSAGE_MAX);
	big[TRANSFER_MESSAGE_MAX] = 0;
	AUTO_BUF b = BUF_INIT(2 * TRANSFER_MESSAGE_MAX);
	Err e = ERR_INIT;
	assert_int_equal(
		transfer_message(&transfer_request_table, &(TransferRequest){ .id = 1, .op = TRANSFER_PING, .repository = big }, &b, &e),
		-EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_comes_back_as_it_was_sent),
		cmocka_unit_test(requests_that_make_no_sense_are_refused),
		cmocka_unit_test(a_failure_keeps_its_class),
		cmocka_unit_test(a_message_has_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
