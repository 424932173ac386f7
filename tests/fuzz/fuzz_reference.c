/* fuzz_reference.c: names of images: an accepted one consists of checked parts, and its texts are read as the same name;
 * a refused one leaves one line. */
#include "fuzz.h"
#include "oci/reference.h"

#include <ctype.h>

static void check_same(const char *text, const Reference *want, Arena *a)
{
	Reference got;
	Err e = ERR_INIT;
	assert(text);
	assert(reference_parse(str_of(text), a, &got, &e) == 0);
	assert(streq(got.domain, want->domain) && streq(got.path, want->path));
	assert(!got.tag == !want->tag && (!got.tag || streq(got.tag, want->tag)));
	assert(digest_equal(&got.digest, &want->digest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	Err e = ERR_INIT;
	Reference r = { 0 };
	int x = reference_parse_any((Str){ (const char *)data, n }, &a, &r, &e);
	if (x < 0) {
		assert((x == -EINVAL || x == -ENOTSUP || x == -ENOMEM) && e.errnum == -x && e.msg[0]);
		for (const char *p = e.msg; *p; p++)
			assert(!iscntrl((unsigned char)*p));
		return 0;
	}
	if (reference_is_id(&r)) {
		assert(r.digest.algorithm && !r.path && !r.tag);
		return 0;
	}
	assert(reference_is_domain(str_of(r.domain)) && reference_is_path(str_of(r.path)));
	assert(!r.tag || reference_is_tag(str_of(r.tag)));
	check_same(reference_format(&r, &a), &r, &a);
	check_same(reference_familiar(&r, &a), &r, &a);
	return 0;
}
