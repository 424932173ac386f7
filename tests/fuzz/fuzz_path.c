/* fuzz_path.c: path_clean against a second way to say the same: from the right, counting "..". */
#include "fuzz.h"
#include "sys/path.h"

/* Writes the clean form backwards into out[0..size), returns where it begins. */
static const char *clean_from_the_right(const char *path, char *out, size_t size)
{
	size_t at = size - 1, end = strlen(path), skip = 0;
	out[at] = 0;
	for (;;) {
		size_t from = end;
		while (from && path[from - 1] != '/')
			from--;
		Str part = { path + from, end - from };
		if (str_eq(part, "..")) {
			skip++;
		} else if (part.n && !str_eq(part, ".")) {
			if (skip) {
				skip--;
			} else {
				at -= part.n;
				memcpy(out + at, part.p, part.n);
				out[--at] = '/';
			}
		}
		if (!from) break;
		end = from - 1;
	}
	if (!out[at]) out[--at] = '/';
	return out + at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_FREE char *path = fuzz_copy(data, n);
	size_t size = strlen(path) + 3;
	AUTO_FREE char *space = malloc(size);
	assert(space);
	const char *clean = path_clean(&a, path);
	assert(clean);
	assert(streq(clean, clean_from_the_right(path, space, size)));
	const char *again = path_clean(&a, clean);
	assert(again && streq(again, clean));
	return 0;
}
