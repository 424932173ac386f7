/* fuzz_manifest.c: image documents. The first byte says what the rest is: 'c' a configuration, 'p' a platform, anything else a
 * manifest or an index. What is accepted keeps its promises and survives encoding. */
#include "fuzz.h"
#include "oci/image_config.h"
#include "oci/platform.h"

#include <ctype.h>

static void check_refusal(int r, const Err *e)
{
	assert(r == -e->errnum && e->code != ERR_NONE && e->msg[0]);
	for (const char *p = e->msg; *p; p++)
		assert(!iscntrl((unsigned char)*p));
}

static void check_descriptors(const DescriptorList *l)
{
	for (size_t i = 0; i < l->n; i++)
		assert(l->items[i].size >= 0 && l->items[i].digest.algorithm && *l->items[i].media_type);
}

/* The same for both kinds: accepted once, accepted again as written, and written the same. */
static char *document_rewritten(const char *text, size_t n, MediaKind *ret_kind)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_BUF b = BUF_INIT(64 << 20);
	Err e = ERR_INIT;
	ImageDocument d;
	size_t at;
	int r = image_document_parse(text, n, NULL, &a, &d, &e);
	if (r < 0) {
		check_refusal(r, &e);
		return NULL;
	}
	*ret_kind = d.kind;
	assert(media_type_is(d.media_type, d.kind));
	if (d.kind == MEDIA_INDEX) {
		check_descriptors(&d.index.manifests);
		r = index_choose(&d.index, platform_host(), &a, &at, &e);
		assert(r < 0 || at < d.index.manifests.n);
		r = index_encode(&d.index, &b);
	} else {
		check_descriptors(&d.manifest.layers);
		assert(d.manifest.layers.n <= LAYERS_MAX && d.manifest.config.digest.algorithm);
		if (manifest_check_image(&d.manifest, &e) == 0) {
			Manifest other = d.manifest;
			(void)!manifest_convert(&other, MEDIA_OCI, &e);
		}
		r = manifest_encode(&d.manifest, &b);
	}
	assert(r == 0);
	return buf_take(&b);
}

static void fuzz_document(const char *text, size_t n)
{
	MediaKind first, second;
	AUTO_FREE char *once = document_rewritten(text, n, &first);
	/* spelling out escapes may make it longer than is read */
	if (!once || strlen(once) > MANIFEST_MAX) return;
	AUTO_FREE char *twice = document_rewritten(once, strlen(once), &second);
	assert(twice && first == second && streq(once, twice));
}

static char *config_rewritten(const char *text, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_BUF b = BUF_INIT(64 << 20);
	Err e = ERR_INIT;
	ImageConfig c;
	int r = image_config_parse(text, n, &a, &c, &e);
	if (r < 0) {
		check_refusal(r, &e);
		return NULL;
	}
	assert(c.rootfs.diff_ids.n <= LAYERS_MAX);
	assert(image_config_encode(&c, &b) == 0);
	return buf_take(&b);
}

static void fuzz_config(const char *text, size_t n)
{
	AUTO_FREE char *once = config_rewritten(text, n);
	if (!once || strlen(once) > MANIFEST_MAX) return;
	AUTO_FREE char *twice = config_rewritten(once, strlen(once));
	assert(twice && streq(once, twice));
}

static void fuzz_platform(const char *text, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	Err e = ERR_INIT;
	Platform p, again;
	int r = platform_parse((Str){ text, n }, &a, &p, &e);
	if (r < 0) {
		check_refusal(r, &e);
		return;
	}
	assert(platform_normalize(&p, &a, &again) == 0);
	assert(platform_rank(&p, &again) == 0);
	assert(platform_parse(str_of(platform_format(&p, &a)), &a, &again, &e) == 0);
	assert(platform_rank(&p, &again) == 0 && platform_rank(&again, &p) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n) return 0;
	AUTO_FREE char *text = fuzz_copy(data + 1, n - 1);
	if (data[0] == 'c')
		fuzz_config(text, n - 1);
	else if (data[0] == 'p')
		fuzz_platform(text, n - 1);
	else
		fuzz_document(text, n - 1);
	return 0;
}
