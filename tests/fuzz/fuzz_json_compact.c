/* fuzz_json_compact.c: seccomp profiles without blanks: what the strict parser takes is taken and means the same, and what is compact stays so. */
#include "cli/skep/container/options_impl.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_FREE char *text = fuzz_copy(data, n);
	AUTO_BUF once = BUF_INIT(1 << 22), twice = BUF_INIT(1 << 22), before = BUF_INIT(1 << 22), after = BUF_INIT(1 << 22);
	Err e = ERR_INIT, why = ERR_INIT;
	JsonValue v, w;
	JsonWriter first = JSON_WRITER(&before), second = JSON_WRITER(&after);
	int r = json_compact((Str){ text, n }, &once, &e), strict;
	assert(r == 0 || (e.code == ERR_CONFIG && *e.msg));
	if (r == 0) {
		assert(json_compact((Str){ buf_str(&once), once.n }, &twice, &why) == 0);
		assert(once.n == twice.n && memcmp(buf_str(&once), buf_str(&twice), once.n) == 0);
	}
	strict = json_parse(text, n, &a, &v, &why);
	if (strict < 0) return 0;
	assert(r == 0 && once.p);
	assert(json_parse(once.p, once.n, &a, &w, &why) == 0);
	json_value(&first, &v);
	json_value(&second, &w);
	assert(streq(buf_str(&before), buf_str(&after)));
	return 0;
}
