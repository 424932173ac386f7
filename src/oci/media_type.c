/* media_type.c: see media_type.h. */
#include "oci/media_type.h"

#include <strings.h>

#define OCI "application/vnd.oci."
#define DOCKER "application/vnd.docker."

static const MediaType types[] = {
	{ MEDIA_TYPE_OCI_MANIFEST, MEDIA_MANIFEST, MEDIA_OCI },
	{ MEDIA_TYPE_OCI_INDEX, MEDIA_INDEX, MEDIA_OCI },
	{ MEDIA_TYPE_OCI_CONFIG, MEDIA_CONFIG, MEDIA_OCI },
	{ MEDIA_TYPE_OCI_EMPTY, MEDIA_EMPTY, MEDIA_OCI },
	{ OCI "image.layer.v1.tar", MEDIA_LAYER, MEDIA_OCI, COMPRESSION_NONE },
	{ OCI "image.layer.v1.tar+gzip", MEDIA_LAYER, MEDIA_OCI, COMPRESSION_GZIP },
	{ OCI "image.layer.v1.tar+zstd", MEDIA_LAYER, MEDIA_OCI, COMPRESSION_ZSTD },
	{ OCI "image.layer.nondistributable.v1.tar", MEDIA_LAYER, MEDIA_OCI, COMPRESSION_NONE, true },
	{ OCI "image.layer.nondistributable.v1.tar+gzip", MEDIA_LAYER, MEDIA_OCI, COMPRESSION_GZIP, true },
	{ OCI "image.layer.nondistributable.v1.tar+zstd", MEDIA_LAYER, MEDIA_OCI, COMPRESSION_ZSTD, true },
	{ MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_MANIFEST, MEDIA_DOCKER },
	{ MEDIA_TYPE_DOCKER_LIST, MEDIA_INDEX, MEDIA_DOCKER },
	{ DOCKER "container.image.v1+json", MEDIA_CONFIG, MEDIA_DOCKER },
	{ DOCKER "image.rootfs.diff.tar", MEDIA_LAYER, MEDIA_DOCKER, COMPRESSION_NONE },
	{ DOCKER "image.rootfs.diff.tar.gzip", MEDIA_LAYER, MEDIA_DOCKER, COMPRESSION_GZIP },
	{ DOCKER "image.rootfs.diff.tar.zstd", MEDIA_LAYER, MEDIA_DOCKER, COMPRESSION_ZSTD },
	{ DOCKER "image.rootfs.foreign.diff.tar", MEDIA_LAYER, MEDIA_DOCKER, COMPRESSION_NONE, true },
	{ DOCKER "image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER, MEDIA_DOCKER, COMPRESSION_GZIP, true },
	{ DOCKER "image.rootfs.foreign.diff.tar.zstd", MEDIA_LAYER, MEDIA_DOCKER, COMPRESSION_ZSTD, true },
	{ DOCKER "distribution.manifest.v1+json", MEDIA_SCHEMA1, MEDIA_DOCKER },
	{ DOCKER "distribution.manifest.v1+prettyjws", MEDIA_SCHEMA1, MEDIA_DOCKER },
};

const MediaType *media_type(Str name)
{
	Str rest;
	if (!name.n) return NULL;
	str_cut(name, ';', &name, &rest);
	name = str_trim(name);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (name.n == strlen(types[i].name) && strncasecmp(name.p, types[i].name, name.n) == 0) return &types[i];
	return NULL;
}

bool media_type_is(const char *name, MediaKind kind)
{
	const MediaType *type = media_type(str_of(name));
	return type && type->kind == kind;
}

const char *media_type_in(MediaFamily family, const MediaType *type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const MediaType *t = &types[i];
		if (t->family == family && t->kind == type->kind && t->compression == type->compression && t->foreign == type->foreign)
			return t->name;
	}
	return type->name;
}

const char *media_type_layer(MediaFamily family, Compression compression)
{
	const MediaType layer = { "", MEDIA_LAYER, family, compression, false };
	return media_type_in(family, &layer);
}
