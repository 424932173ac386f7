/* fuzz_json.c: what is read, is written, and read again as the same; what is refused, is refused with a reason. */
#include "base/json.h"
#include "fuzz.h"

#include <ctype.h>

static void check_message(const Err *e, size_t n)
{
	size_t at = 0;
	assert(e->code == ERR_CONFIG || e->code == ERR_RESOURCE);
	assert(e->errnum > 0);
	if (e->code == ERR_CONFIG) {
		assert(sscanf(e->msg, "invalid JSON at byte %zu: ", &at) == 1);
		assert(at <= n);
	}
	for (const char *p = e->msg; *p; p++)
		assert(!iscntrl((unsigned char)*p));
}

static void check_equal(const JsonValue *a, const JsonValue *b)
{
	assert(a->type == b->type);
	switch (a->type) {
	case JSON_NULL:
		return;
	case JSON_BOOL:
		assert(a->boolean == b->boolean);
		return;
	case JSON_INT:
		assert(a->i == b->i);
		return;
	case JSON_UINT:
		assert(a->u == b->u && a->u > INT64_MAX);
		return;
	case JSON_DOUBLE:
		assert(memcmp(&a->d, &b->d, sizeof a->d) == 0);
		return;
	case JSON_STRING:
		assert(a->n == b->n && strlen(a->s) == a->n && memcmp(a->s, b->s, a->n) == 0);
		return;
	case JSON_ARRAY:
		assert(a->n == b->n);
		for (uint32_t i = 0; i < a->n; i++)
			check_equal(&a->items[i], &b->items[i]);
		return;
	case JSON_OBJECT:
		assert(a->n == b->n);
		for (uint32_t i = 0; i < a->n; i++) {
			assert(streq(a->members[i].key, b->members[i].key));
			assert(json_get(a, a->members[i].key) == &a->members[i].value);
			check_equal(&a->members[i].value, &b->members[i].value);
		}
		return;
	}
}

static void check_rewritten(const JsonValue *v, int indent)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_BUF out = BUF_INIT(64 << 20);
	JsonWriter w = JSON_WRITER(&out);
	Err e = ERR_INIT;
	JsonValue again;
	w.indent = indent;
	json_value(&w, v);
	assert(!buf_failed(&out));
	AUTO_FREE char *text = fuzz_copy(out.p, out.n);
	assert(json_parse(text, out.n, &a, &again, &e) == 0);
	check_equal(v, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_FREE char *text = fuzz_copy(data, n);
	Err e = ERR_INIT;
	JsonValue v;
	if (json_parse(text, n, &a, &v, &e) < 0) {
		check_message(&e, n);
		return 0;
	}
	assert(e.code == ERR_NONE);
	check_rewritten(&v, 0);
	check_rewritten(&v, -1);
	return 0;
}
