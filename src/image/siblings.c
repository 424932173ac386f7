/* siblings.c: see siblings.h. */
#include "image/siblings.h"

#include "image/store_impl.h"

/* The image of the store that an entry of an index names. 1, or 0 when it is not there. */
static int find_one(ImageStore *s, const Digest *manifest, Arena *a, Image *ret, Err *e)
{
	char text[DIGEST_TEXT_MAX];
	Err none = ERR_INIT;
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(s->db, "SELECT 1 FROM images WHERE manifest = ?", DB_ARGS(DB_DIGEST(manifest)), &rows, e);
	db_rows_done(&rows);
	if (r <= 0) return r;
	r = image_find(s, digest_format(manifest, text), a, ret, &none);
	return r >= 0 && digest_equal(&ret->manifest, manifest); /* it may just have been removed */
}

int siblings_find(ImageStore *s, const Image *i, Arena *a, Siblings *ret, Err *e)
{
	ImageDocument document;
	Err none = ERR_INIT;
	char *text;
	size_t n;
	*ret = (Siblings){ 0 };
	if (digest_equal(&i->target, &i->manifest) || content_read(s, &i->target, MANIFEST_MAX, a, &text, &n, &none) < 0 ||
	    image_document_parse(text, n, NULL, a, &document, &none) < 0 || document.kind != MEDIA_INDEX)
		return 0;
	Siblings found = { .text = text, .text_n = n, .media_type = document.media_type, .whole = document.index.manifests.n > 0 };
	found.images = arena_array(a, document.index.manifests.n + 1, sizeof *found.images);
	if (!found.images) return err_sys(e, ENOMEM, "find the images of an index");
	for (size_t k = 0; k < document.index.manifests.n; k++) {
		int r = find_one(s, &document.index.manifests.items[k].digest, a, &found.images[found.n], e);
		if (r < 0) return r;
		found.n += r > 0;
		found.whole &= r > 0;
	}
	*ret = found;
	return 0;
}

int siblings_choose(ImageStore *s, const char *name, const Image *i, const Platform *platform, Arena *a, Image *ret, Err *e)
{
	Siblings all;
	int best = platform ? platform_rank(platform, &i->platform) : 0;
	*ret = *i;
	if (best == 0) return 0;
	int r = siblings_find(s, i, a, &all, e);
	if (r < 0) return r;
	for (size_t k = 0; k < all.n; k++) {
		int rank = platform_rank(platform, &all.images[k].platform);
		if (rank < 0 || (best >= 0 && rank >= best)) continue;
		best = rank;
		*ret = all.images[k];
	}
	if (best >= 0) return 0;
	const char *wanted = platform_format(platform, a);
	return err_set(e, ERR_NOT_FOUND, ENOENT, "image with reference %s was found but does not provide the specified platform (%s)", name,
		       wanted ? wanted : "unknown");
}
