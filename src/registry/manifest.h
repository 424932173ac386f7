/* manifest.h: what a registry has to know of a manifest: its kind, what it refers to, its subject.
 *
 * Everything else in it is the clients' affair: the bytes are kept as they came. Read are the OCI image manifest and index,
 * docker's schema 2 and list, and the artifact manifest that OCI once had; others are refused.
 */
#pragma once

#include "base/digest.h"
#include "base/json.h"

enum {
	MANIFEST_MAX = 4 << 20,          /* bytes: distribution-spec "Pushing manifests" */
	MANIFEST_REFERENCES_MAX = 20000, /* descriptors in one */
	MANIFEST_TYPE_MAX = 255,         /* characters of a media type */
};

typedef enum { REFERENCE_BLOB, REFERENCE_MANIFEST } ReferenceKind;

typedef struct ManifestReference {
	char digest[DIGEST_TEXT_MAX];
	ReferenceKind kind;
	bool optional; /* a layer that is not distributed: need not be here */
} ManifestReference;

typedef struct ManifestView {
	const char *media_type;    /* never NULL */
	const char *artifact_type; /* as the referrers list shows it; NULL: none */
	const char *subject;       /* digest; NULL: none */
	const char *annotations;   /* a JSON object as text; NULL: none */
	ManifestReference *references;
	size_t n;
} ManifestView;

/* manifest_view: reads body, of which a copy is parsed. content_type: the request's header, NULL or "" when it has none. All strings live in a. -EINVAL
 * with the reason: not JSON, another kind, a digest that is none, a mediaType that contradicts the header, or fields of both an
 * image and an index (CVE-2021-41190). -ENOMEM. */
int manifest_view(Str body, const char *content_type, Arena *a, ManifestView *ret, Err *e) MUST_USE;
