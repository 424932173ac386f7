/* fuzz_state.c: state.json, which a crash, a full disk or another version may leave behind: what is accepted survives
 * encoding and can be shown, what is refused is refused with a reason. */
#include "fuzz.h"
#include "runtime/container.h"

static int decode(const char *text, size_t n, ContainerState *ret, Arena *a)
{
	Err e = ERR_INIT;
	char *copy = arena_str(a, (Str){ text, n });
	assert(copy);
	int r = bind_parse(&container_state_table, copy, n, ret, "state.json", a, &e);
	if (r < 0)
		assert(e.code != ERR_NONE && e.errnum > 0 && starts_with(e.msg, "state.json: "));
	else
		assert(e.code == ERR_NONE);
	return r;
}

static char *encode(const ContainerState *s)
{
	AUTO_BUF b = BUF_INIT(64 << 20);
	JsonWriter w = JSON_WRITER(&b);
	bind_encode(&container_state_table, s, &w);
	char *text = buf_take(&b);
	assert(text);
	return text;
}

/* What `state` prints of it is JSON. */
static void check_shown(const ContainerState *s, Arena *a)
{
	AUTO_BUF b = BUF_INIT(64 << 20);
	JsonWriter w = JSON_WRITER(&b);
	Container c = { .arena = a, .dir = -1, .state = *s };
	Err e = ERR_INIT;
	JsonValue v;
	container_state_write(&c, STATUS_STOPPED, true, &w);
	assert(!buf_failed(&b));
	AUTO_FREE char *text = fuzz_copy(b.p, b.n);
	assert(json_parse(text, b.n, a, &v, &e) == 0);
	assert(v.type == JSON_OBJECT && json_get(&v, "status"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	ContainerState first, second;
	AUTO_FREE char *text = fuzz_copy(data, n);
	if (decode(text, n, &first, &a) < 0) return 0;
	AUTO_FREE char *once = encode(&first);
	assert(decode(once, strlen(once), &second, &a) == 0);
	AUTO_FREE char *twice = encode(&second);
	assert(streq(once, twice));
	check_shown(&first, &a);
	return 0;
}
