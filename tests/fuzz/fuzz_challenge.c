/* fuzz_challenge.c: WWW-Authenticate of any bytes: parsed or refused, never read beyond its end. */
#include "fuzz.h"
#include "transfer/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_FREE char *text = fuzz_copy(data, n);
	Challenge c = { 0 };
	int r = challenge_parse(text, &a, &c);
	assert(r == 0 || r == -EINVAL || r == -ENOMEM);
	assert(r == 0 || (!c.bearer && !c.basic));
	return 0;
}
