/* fuzz_toml.c: what is read is a tree that JSON can write and read again; what is refused, is refused with a line. */
#include "base/toml.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_BUF out = BUF_INIT(64 << 20);
	AUTO_FREE char *text = fuzz_copy(data, n);
	JsonWriter w = JSON_WRITER(&out);
	Err e = ERR_INIT;
	JsonValue v, again;
	size_t line;
	if (toml_parse((Str){ text, n }, &a, &v, &e) < 0) {
		assert(e.code != ERR_CONFIG || e.errnum == E2BIG || sscanf(e.msg, "line %zu: ", &line) == 1);
		return 0;
	}
	assert(v.type == JSON_OBJECT);
	json_value(&w, &v);
	assert(!buf_failed(&out));
	AUTO_FREE char *copy = fuzz_copy(out.p, out.n);
	int r = json_parse(copy, out.n, &a, &again, &e);
	assert(r == 0 || strstr(e.msg, "deep") || strstr(e.msg, "level") || e.errnum == ENOMEM);
	return 0;
}
