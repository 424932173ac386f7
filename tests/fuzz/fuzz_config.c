/* fuzz_config.c: the runtime configuration, a process and resources: accepted ones survive encoding, refused ones are
 * refused with a reason. */
#include "fuzz.h"
#include "oci/spec.h"

typedef int ParseFn(char *text, size_t n, Arena *a, void *ret, Err *e);

static int parse_spec(char *text, size_t n, Arena *a, void *ret, Err *e)
{
	return oci_spec_parse(text, n, a, ret, e);
}

static int parse_process(char *text, size_t n, Arena *a, void *ret, Err *e)
{
	return oci_process_parse(text, n, a, ret, e);
}

static int parse_resources(char *text, size_t n, Arena *a, void *ret, Err *e)
{
	return oci_resources_parse(text, n, a, ret, e);
}

/* Parses a copy of the text and encodes what came of it; NULL when it is refused. */
static char *rewritten(const BindTable *t, ParseFn *parse, const void *text, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_BUF b = BUF_INIT(64 << 20);
	AUTO_FREE char *copy = fuzz_copy(text, n);
	AUTO_FREE void *obj = malloc(t->size);
	JsonWriter w = JSON_WRITER(&b);
	Err e = ERR_INIT;
	assert(obj);
	if (parse(copy, n, &a, obj, &e) < 0) {
		assert(e.code != ERR_NONE && e.errnum > 0 && *e.msg);
		return NULL;
	}
	assert(e.code == ERR_NONE);
	bind_encode(t, obj, &w);
	char *again = buf_take(&b);
	assert(again);
	return again;
}

static void check(const BindTable *t, ParseFn *parse, const uint8_t *data, size_t n)
{
	AUTO_FREE char *once = rewritten(t, parse, data, n);
	if (!once) return;
	AUTO_FREE char *twice = rewritten(t, parse, once, strlen(once));
	assert(twice && streq(once, twice));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check(&oci_spec_table, parse_spec, data, n);
	check(&oci_process_table, parse_process, data, n);
	check(&oci_resources_table, parse_resources, data, n);
	return 0;
}
