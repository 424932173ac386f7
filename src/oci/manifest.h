/* manifest.h: manifests and indexes, of OCI 1.1 and docker's schema 2: read, checked against being taken for one another, and
 * written. Spec: OCI image specification 1.1, manifest.md and image-index.md; docker's image manifest version 2, schema 2.
 *
 *  - The bytes that were received are what is stored, hashed and served. A parsed document is a view that is thrown away;
 *    it is never encoded again to stand for the original.
 *  - One document means the same to every reader (CVE-2021-41190): it has the fields of a manifest or of an index, not
 *    both; its mediaType and the type that it was announced with agree with them; no key differs from a known one only in
 *    case, which some readers would take for it.
 */
#pragma once

#include "base/bind.h"
#include "oci/descriptor.h"
#include "oci/media_type.h"

enum {
	MANIFEST_MAX = 4 << 20, /* bytes of a manifest, index or configuration; registries refuse more */
	LAYERS_MAX = 500,       /* what the kernel's overlay takes */
	INDEX_DEPTH_MAX = 3,    /* of an index in an index */
};

typedef struct Manifest {
	int32_t schema_version; /* 2 */
	const char *media_type; /* NULL: OCI's */
	const char *artifact_type;
	Descriptor config;
	DescriptorList layers; /* from the lowest up */
	const Descriptor *subject;
	StrMap annotations;
} Manifest;

typedef struct Index {
	int32_t schema_version; /* 2 */
	const char *media_type; /* NULL: OCI's */
	const char *artifact_type;
	DescriptorList manifests;
	const Descriptor *subject;
	StrMap annotations;
} Index;

typedef struct ImageDocument {
	MediaKind kind;         /* MEDIA_MANIFEST or MEDIA_INDEX: which of the two is filled */
	const char *media_type; /* its own, or what it must be when it does not say */
	Manifest manifest;
	Index index;
} ImageDocument;

extern const BindTable manifest_table, index_table;

/* image_document_parse: a manifest or an index. announced: the type in the descriptor that led here or in the Content-Type
 * header; NULL, or a type that names neither, when it was not said. text is not changed; all of *ret lies in the arena. -EINVAL
 * (ERR_CONFIG, or ERR_SECURITY for a document that could be taken for another), -ENOTSUP (docker's schema 1, a digest of an
 * unknown algorithm), -EFBIG, -ENOMEM. */
int image_document_parse(const char *text, size_t n, const char *announced, Arena *a, ImageDocument *ret, Err *e) MUST_USE;
/* The same when it has to be the one or the other. */
int manifest_parse(const char *text, size_t n, const char *announced, Arena *a, Manifest *ret, Err *e) MUST_USE;
int index_parse(const char *text, size_t n, const char *announced, Arena *a, Index *ret, Err *e) MUST_USE;

/* manifest_check_image: it describes an image that can be run: its configuration and all layers are of known types. An artifact (a signature, an attestation) is none: -ENOTSUP. */
int manifest_check_image(const Manifest *m, Err *e) MUST_USE;

/* manifest_encode, index_encode: compact JSON, keys in the order of the specification's Go structs, appended to b.
 * Maps are written in the order of the struct: str_map_sort them first, as Go does. -EFBIG when b does not hold it. */
int manifest_encode(const Manifest *m, Buf *b) MUST_USE;
int index_encode(const Index *i, Buf *b) MUST_USE;

/* manifest_convert: changes the media types of the manifest, its configuration and its layers to those of a family. -ENOTSUP:
 * the other family cannot say it (docker knows no artifacts, subjects and annotations, and no layers of other types). */
int manifest_convert(Manifest *m, MediaFamily family, Err *e) MUST_USE;
