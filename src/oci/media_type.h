/* media_type.h: the media types of images: OCI's and docker's, which say the same in two families. */
#pragma once

#include "base/str.h"
#include "oci/compression.h"

typedef enum { MEDIA_MANIFEST, MEDIA_INDEX, MEDIA_CONFIG, MEDIA_LAYER, MEDIA_EMPTY, MEDIA_SCHEMA1 } MediaKind;
typedef enum { MEDIA_OCI, MEDIA_DOCKER } MediaFamily;

typedef struct MediaType {
	const char *name;
	MediaKind kind;
	MediaFamily family;
	Compression compression; /* of a layer; AUTO: of what is none */
	bool foreign;            /* a layer that is not pushed elsewhere: OCI's nondistributable, docker's foreign */
} MediaType;

#define MEDIA_TYPE_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_TYPE_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_TYPE_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_TYPE_OCI_EMPTY "application/vnd.oci.empty.v1+json"
#define MEDIA_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_TYPE_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

/* media_type: what is known of a type; NULL: nothing. Parameters ("; charset=utf-8") are cut, letters compared without
 * case (RFC 6838, section 4.2). */
const MediaType *media_type(Str name);
/* media_type_is: it is known, and of that kind. name may be NULL. */
bool media_type_is(const char *name, MediaKind kind);
/* media_type_in: the name of the same thing in a family; the same name where the other has no word for it (MEDIA_EMPTY). */
const char *media_type_in(MediaFamily family, const MediaType *type);
/* media_type_layer: the name of a layer's type. */
const char *media_type_layer(MediaFamily family, Compression compression);
