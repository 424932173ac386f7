/* siblings.h: the images of one index: an image that was chosen from an index for its platform, and those that were chosen for others. */
#pragma once

#include "image/catalog.h"
#include "oci/platform.h"

typedef struct Siblings {
	char *text; /* the index as it came; NULL: the image was chosen from none, or it is not kept */
	size_t text_n;
	const char *media_type;
	Image *images; /* those of it that the store has, in its order; the image itself is one of them */
	size_t n;
	bool whole; /* the store has every manifest that the index names */
} Siblings;

int siblings_find(ImageStore *s, const Image *i, Arena *a, Siblings *ret, Err *e) MUST_USE;

/* siblings_choose: i, or the sibling of it that fits the platform (normal; NULL: i) best. -ENOENT as docker says it. */
int siblings_choose(ImageStore *s, const char *name, const Image *i, const Platform *platform, Arena *a, Image *ret, Err *e) MUST_USE;
