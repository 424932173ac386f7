/* fuzz_template.c: any template over one tree ends, within its limits, with output or a reason. */
#include "base/template.h"
#include "fuzz.h"

#include <ctype.h>

static const char data_text[] =
	"{\"ID\":\"sha256:abc\",\"N\":5,\"F\":1.5,\"T\":true,\"Nil\":null,\"E\":\"\",\"L\":[\"a\",\"b\",\"c\"],\"El\":[],"
	"\"M\":{\"x\":\"1\",\"y\":\"two\"},\"D\":{\"A\":{\"B\":[1,null,{\"k\":2.5}]}},\"U\":\"h\\u00e9\",\"B\":18446744073709551615}";

static int field(void *arg, const JsonValue *of, const char *name, const JsonValue *args, size_t n, Arena *a, JsonValue *ret, Err *e)
{
	(void)arg;
	(void)of;
	(void)a;
	if (name[0] == 'x') return err_set(e, ERR_IO, EIO, "no");
	if (name[0] != 'm') return 0;
	*ret = n ? args[n - 1] : (JsonValue){ .type = JSON_BOOL, .boolean = true };
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	AUTO_BUF out = BUF_INIT(256 << 10);
	AUTO_FREE char *text = fuzz_copy(data, n), *json = fuzz_copy(data_text, sizeof data_text - 1);
	Err e = ERR_INIT;
	JsonValue v;
	const Template *t;
	const TemplateHost host = { .field = field, .missing_is_null = n & 1, .header = n & 2 };
	assert(json_parse(json, sizeof data_text - 1, &a, &v, &e) == 0);
	int r = template_parse((Str){ text, n }, "", &a, &t, &e);
	if (r >= 0) r = template_execute(t, &v, &host, &a, &out, &e);
	assert((r < 0) == (e.code != ERR_NONE));
	assert(r >= 0 || e.msg[0]);
	for (const char *p = e.msg; *p; p++)
		assert(!iscntrl((unsigned char)*p));
	return 0;
}
