/* manifest.c: see manifest.h. */
#include "registry/manifest.h"

#include <stdarg.h>

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_ARTIFACT "application/vnd.oci.artifact.manifest.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

typedef enum { KIND_IMAGE, KIND_INDEX, KIND_ARTIFACT } Kind;

static const struct {
	const char *media_type;
	Kind kind;
} kinds[] = { { OCI_MANIFEST, KIND_IMAGE },
	      { OCI_INDEX, KIND_INDEX },
	      { DOCKER_MANIFEST, KIND_IMAGE },
	      { DOCKER_LIST, KIND_INDEX },
	      { OCI_ARTIFACT, KIND_ARTIFACT } };

typedef struct Reader {
	const JsonValue *root;
	Arena *arena;
	Err *e;
	ManifestView view;
	size_t cap;
} Reader;

static int refuse(Reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int refuse(Reader *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(r->e, ERR_CONFIG, EINVAL, "%s", text);
}

/* A member that is a string; NULL when it is absent or null. */
static int get_string(Reader *r, const JsonValue *object, const char *key, const char **ret)
{
	const JsonValue *v = json_get(object, key);
	*ret = NULL;
	if (!v || v->type == JSON_NULL) return 0;
	if (v->type != JSON_STRING) return refuse(r, "%s: expected a string, got %s", key, json_type_name(v->type));
	*ret = v->s;
	return 0;
}

static int read_digest(Reader *r, const JsonValue *descriptor, const char *where, char to[static DIGEST_TEXT_MAX])
{
	const char *text;
	Digest d;
	const JsonValue *size = json_get(descriptor, "size");
	if (descriptor->type != JSON_OBJECT) return refuse(r, "%s: expected a descriptor, got %s", where, json_type_name(descriptor->type));
	int x = get_string(r, descriptor, "digest", &text);
	if (x < 0) return x;
	if (!text || digest_parse(str_of(text), &d) < 0)
		return refuse(r, "%s: \"%.140s\" is no sha256 or sha512 digest", where, text ? text : "");
	if (!size || size->type != JSON_INT || size->i < 0) return refuse(r, "%s: size: expected a number of bytes", where);
	digest_format(&d, to);
	return 0;
}

/* An index also lists blobs: a build cache is one of layers and a configuration. Without a type it is a manifest. */
static ReferenceKind kind_in_index(const char *type)
{
	for (size_t i = 0; type && i < ARRAY_LEN(kinds); i++)
		if (streq(type, kinds[i].media_type)) return REFERENCE_MANIFEST;
	return type && type[0] ? REFERENCE_BLOB : REFERENCE_MANIFEST;
}

static bool is_foreign(const char *type)
{
	return type && (strstr(type, ".layer.nondistributable.") || strstr(type, ".rootfs.foreign."));
}

static int add_reference(Reader *r, const JsonValue *descriptor, const char *where, ReferenceKind kind)
{
	ManifestView *v = &r->view;
	if (v->n == MANIFEST_REFERENCES_MAX) return refuse(r, "%s: more than %d descriptors", where, MANIFEST_REFERENCES_MAX);
	if (v->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 16;
		ManifestReference *grown = arena_array(r->arena, cap, sizeof *grown);
		if (!grown) return err_sys(r->e, ENOMEM, "read the manifest");
		if (v->n) memcpy(grown, v->references, v->n * sizeof *grown);
		v->references = grown;
		r->cap = cap;
	}
	ManifestReference *to = &v->references[v->n];
	const char *type;
	int x = read_digest(r, descriptor, where, to->digest);
	if (x >= 0) x = get_string(r, descriptor, "mediaType", &type);
	if (x < 0) return x;
	to->kind = kind == REFERENCE_MANIFEST ? kind_in_index(type) : kind;
	to->optional = is_foreign(type);
	v->n++;
	return 0;
}

static int add_list(Reader *r, const char *key, ReferenceKind kind)
{
	const JsonValue *list = json_get(r->root, key);
	if (!list || list->type == JSON_NULL) return 0;
	if (list->type != JSON_ARRAY) return refuse(r, "%s: expected an array, got %s", key, json_type_name(list->type));
	for (uint32_t i = 0; i < list->n; i++) {
		char where[32];
		snprintf(where, sizeof where, "%s[%u]", key, i);
		int x = add_reference(r, &list->items[i], where, kind);
		if (x < 0) return x;
	}
	return 0;
}

static bool has(const Reader *r, const char *key)
{
	const JsonValue *v = json_get(r->root, key);
	return v && v->type != JSON_NULL;
}

static int read_image(Reader *r)
{
	const JsonValue *config = json_get(r->root, "config");
	if (has(r, "manifests")) return refuse(r, "an image manifest has no manifests: which of the two is it?");
	if (!config) return refuse(r, "config: an image manifest needs one");
	int x = add_reference(r, config, "config", REFERENCE_BLOB);
	if (x >= 0) x = add_list(r, "layers", REFERENCE_BLOB);
	if (x >= 0 && !r->view.artifact_type) x = get_string(r, config, "mediaType", &r->view.artifact_type);
	return x;
}

static int read_index(Reader *r)
{
	if (has(r, "layers") || has(r, "config")) return refuse(r, "an index has neither config nor layers: which of the two is it?");
	return add_list(r, "manifests", REFERENCE_MANIFEST);
}

/* The media type by header and document: they must agree where both speak. Without any, the fields tell. */
static int read_kind(Reader *r, const char *content_type, Kind *ret)
{
	const char *inside;
	Str header, parameters;
	int x = get_string(r, r->root, "mediaType", &inside);
	if (x < 0) return x;
	str_cut(str_of(content_type), ';', &header, &parameters);
	header = str_trim(header);
	if (inside && header.n && !str_eq(header, inside))
		return refuse(r, "mediaType \"%.255s\" contradicts the Content-Type \"%.*s\"", inside,
			      (int)(header.n > 255 ? 255 : header.n), header.p);
	if (inside && !header.n) header = str_of(inside);
	if (!header.n) header = has(r, "manifests") ? STR(OCI_INDEX) : STR(OCI_MANIFEST);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!str_eq(header, kinds[i].media_type)) continue;
		*ret = kinds[i].kind;
		r->view.media_type = kinds[i].media_type;
		return 0;
	}
	return refuse(r, "\"%.*s\" is no manifest that is kept here: an OCI image manifest or index, or docker's schema 2 or list",
		      (int)(header.n > 255 ? 255 : header.n), header.p);
}

static int read_subject(Reader *r)
{
	const JsonValue *subject = json_get(r->root, "subject"), *annotations = json_get(r->root, "annotations");
	if (annotations && annotations->type != JSON_NULL) {
		if (annotations->type != JSON_OBJECT)
			return refuse(r, "annotations: expected an object, got %s", json_type_name(annotations->type));
		for (uint32_t i = 0; i < annotations->n; i++)
			if (annotations->members[i].value.type != JSON_STRING) return refuse(r, "annotations: values are strings");
	}
	if (!subject || subject->type == JSON_NULL) return 0;
	char text[DIGEST_TEXT_MAX];
	int x = read_digest(r, subject, "subject", text);
	if (x < 0) return x;
	r->view.subject = arena_strdup(r->arena, text);
	if (!r->view.subject) return err_sys(r->e, ENOMEM, "read the manifest");
	if (!annotations || annotations->type == JSON_NULL) return 0;
	AUTO_BUF out = BUF_INIT(2 * MANIFEST_MAX);
	JsonWriter w = JSON_WRITER(&out);
	json_value(&w, annotations);
	if (!buf_failed(&out)) r->view.annotations = arena_str(r->arena, (Str){ out.p, out.n });
	return r->view.annotations ? 0 : err_sys(r->e, ENOMEM, "read the manifest");
}

int manifest_view(Str body, const char *content_type, Arena *a, ManifestView *ret, Err *e)
{
	JsonValue root;
	Kind kind;
	char *copy = arena_str(a, body);
	if (!copy) return err_sys(e, ENOMEM, "read the manifest");
	int x = json_parse(copy, body.n, a, &root, e);
	if (x < 0) return x;
	Reader r = { .root = &root, .arena = a, .e = e };
	if (root.type != JSON_OBJECT) return refuse(&r, "a manifest is an object, not %s", json_type_name(root.type));
	x = read_kind(&r, content_type ? content_type : "", &kind);
	if (x >= 0) x = get_string(&r, &root, "artifactType", &r.view.artifact_type);
	if (x < 0) return x;
	if (r.view.artifact_type && !r.view.artifact_type[0]) r.view.artifact_type = NULL;
	const JsonValue *version = json_get(&root, "schemaVersion");
	if (kind != KIND_ARTIFACT && (!version || version->type != JSON_INT || version->i != 2))
		return refuse(&r, "schemaVersion: expected 2");
	x = kind == KIND_IMAGE ? read_image(&r) : kind == KIND_INDEX ? read_index(&r) : add_list(&r, "blobs", REFERENCE_BLOB);
	if (x >= 0) x = read_subject(&r);
	if (x < 0) return x;
	*ret = r.view;
	return 0;
}
