/* fuzz_change.c: instructions that change a configuration: what comes out can be written and read again; a refused one leaves one line. */
#include "fuzz.h"
#include "image/change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(16 << 20);
	Err e = ERR_INIT;
	ImageConfig c = { .rootfs.type = "layers" }, again;
	const char *lines[8];
	StrList l = { lines, 0 };
	Str rest = { (const char *)data, n }, line;
	while (l.n < ARRAY_LEN(lines) && str_next(&rest, '\n', &line))
		if (!(lines[l.n++] = arena_str(&a, line))) return 0;
	int r = image_change(&c, &l, &a, &e);
	if (r < 0) {
		assert(e.errnum == -r && e.msg[0] && !strchr(e.msg, '\n'));
		return 0;
	}
	AUTO_BUF b = BUF_INIT(MANIFEST_MAX);
	if (image_config_encode(&c, &b) < 0) return 0;
	r = image_config_parse(b.p, b.n, &a, &again, &e);
	assert(r == 0 || r == -ENOMEM || r == -EINVAL); /* a NUL or bytes that are no UTF-8 were replaced */
	return 0;
}
