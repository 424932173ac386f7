/* manifest.c: see manifest.h. */
#include "oci/manifest.h"

#include "base/base64.h"

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}

/* The order of rows is the order in which keys are written. */
BIND_TABLE(platform_table, "platform", Platform, ROW(Platform, "architecture", BIND_STRING, architecture, .flags = BIND_ALWAYS),
	   ROW(Platform, "os", BIND_STRING, os, .flags = BIND_ALWAYS), ROW(Platform, "os.version", BIND_STRING, os_version),
	   ROW(Platform, "os.features", BIND_STRINGS, os_features), ROW(Platform, "variant", BIND_STRING, variant));

BIND_TABLE(descriptor_table, "descriptor", Descriptor, ROW(Descriptor, "mediaType", BIND_STRING, media_type, .flags = BIND_REQUIRED),
	   ROW(Descriptor, "digest", BIND_DIGEST, digest, .flags = BIND_REQUIRED),
	   ROW(Descriptor, "size", BIND_I64, size, .flags = BIND_REQUIRED), ROW(Descriptor, "urls", BIND_STRINGS, urls),
	   ROW(Descriptor, "annotations", BIND_MAP, annotations), ROW(Descriptor, "data", BIND_STRING, data),
	   ROW(Descriptor, "platform", BIND_POINTER, platform, .sub = &platform_table),
	   ROW(Descriptor, "artifactType", BIND_STRING, artifact_type));

BIND_TABLE(manifest_table, "manifest", Manifest, ROW(Manifest, "schemaVersion", BIND_I32, schema_version, .flags = BIND_REQUIRED),
	   ROW(Manifest, "mediaType", BIND_STRING, media_type), ROW(Manifest, "artifactType", BIND_STRING, artifact_type),
	   ROW(Manifest, "config", BIND_OBJECT, config, .sub = &descriptor_table, .flags = BIND_REQUIRED),
	   ROW(Manifest, "layers", BIND_LIST, layers, .sub = &descriptor_table, .flags = BIND_ALWAYS),
	   ROW(Manifest, "subject", BIND_POINTER, subject, .sub = &descriptor_table), ROW(Manifest, "annotations", BIND_MAP, annotations));

BIND_TABLE(index_table, "index", Index, ROW(Index, "schemaVersion", BIND_I32, schema_version, .flags = BIND_REQUIRED),
	   ROW(Index, "mediaType", BIND_STRING, media_type), ROW(Index, "artifactType", BIND_STRING, artifact_type),
	   ROW(Index, "manifests", BIND_LIST, manifests, .sub = &descriptor_table, .flags = BIND_ALWAYS),
	   ROW(Index, "subject", BIND_POINTER, subject, .sub = &descriptor_table), ROW(Index, "annotations", BIND_MAP, annotations));

/* ---- one meaning for all readers ---- */

static int confusing(Err *e, const char *document, const char *why)
{
	return err_set(e, ERR_SECURITY, EINVAL, "%s: %s", document, why);
}

/* Whether key is name for a reader that ignores case as Go's does: also U+017F is an s and U+212A a k. */
static bool folds_to(const char *key, const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*key++, want = (unsigned char)*name;
		if (c == 0xc5 && (unsigned char)*key == 0xbf) {
			c = 's';
			key++;
		} else if (c == 0xe2 && (unsigned char)key[0] == 0x84 && (unsigned char)key[1] == 0xaa) {
			c = 'k';
			key += 2;
		}
		if ((c >= 'A' && c <= 'Z')) c |= 0x20;
		if (want >= 'A' && want <= 'Z') want |= 0x20;
		if (c != want) return false;
	}
	return !*key;
}

static int check_key(const char *key, const char *const names[], size_t n, const char *document, Err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!streq(key, names[i]) && folds_to(key, names[i]))
			return err_set(e, ERR_SECURITY, EINVAL, "%s: key \"%.64s\" would be \"%s\" to some readers", document, key,
				       names[i]);
	return 0;
}

static int check_descriptor_keys(const JsonValue *v, const char *document, Err *e)
{
	static const char *const names[] = { "mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType" };
	int r = 0;
	if (v->type != JSON_OBJECT) return 0;
	for (uint32_t i = 0; r >= 0 && i < v->n; i++)
		r = check_key(v->members[i].key, names, ARRAY_LEN(names), document, e);
	return r;
}

static int check_keys(const JsonValue *root, const char *document, Err *e)
{
	static const char *const names[] = { "schemaVersion", "mediaType", "artifactType", "config",  "layers",
					     "manifests",     "subject",   "annotations",  "fsLayers" };
	for (uint32_t i = 0; i < root->n; i++) {
		const JsonValue *v = &root->members[i].value;
		int r = check_key(root->members[i].key, names, ARRAY_LEN(names), document, e);
		if (r >= 0) r = check_descriptor_keys(v, document, e);
		for (uint32_t k = 0; r >= 0 && v->type == JSON_ARRAY && k < v->n; k++)
			r = check_descriptor_keys(&v->items[k], document, e);
		if (r < 0) return r;
	}
	return 0;
}

static bool has(const JsonValue *root, const char *key)
{
	const JsonValue *v = json_get(root, key);
	return v && v->type != JSON_NULL;
}

/* Which of the two it is, by its fields. */
static int find_kind(const JsonValue *root, MediaKind *ret, Err *e)
{
	bool manifest = has(root, "config") || has(root, "layers"), index = has(root, "manifests");
	const JsonValue *version = json_get(root, "schemaVersion");
	if (has(root, "fsLayers") || (version && version->type == JSON_INT && version->i == 1))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "manifest: docker's schema 1 is not supported: push the image again with a newer client");
	if (manifest && index) return confusing(e, "manifest", "has the fields of an index, too");
	if (!manifest && !index) return err_set(e, ERR_CONFIG, EINVAL, "manifest: has neither \"config\" and \"layers\" nor \"manifests\"");
	*ret = index ? MEDIA_INDEX : MEDIA_MANIFEST;
	return 0;
}

static const char *kind_name(MediaKind kind)
{
	return kind == MEDIA_INDEX ? "index" : "manifest";
}

static bool is_document(const MediaType *type)
{
	return type && (type->kind == MEDIA_MANIFEST || type->kind == MEDIA_INDEX);
}

/* own: the document's mediaType, NULL when it has none. */
static int check_types(MediaKind kind, const char *own, const char *announced, const char **ret, Err *e)
{
	const char *document = kind_name(kind);
	const MediaType *inner = media_type(str_of(own)), *outer = media_type(str_of(announced));
	if (!is_document(outer)) outer = NULL;
	if (own && *own) {
		if (!is_document(inner)) return err_set(e, ERR_CONFIG, EINVAL, "%s: mediaType: unknown type \"%.100s\"", document, own);
		if (inner->kind != kind)
			return err_set(e, ERR_SECURITY, EINVAL, "%s: its mediaType \"%s\" is that of an %s", document, inner->name,
				       kind == MEDIA_INDEX ? "image manifest" : "index");
		if (outer && outer != inner)
			return err_set(e, ERR_SECURITY, EINVAL, "%s: its mediaType is \"%s\", announced was \"%s\"", document, inner->name,
				       outer->name);
		*ret = inner->name;
		return 0;
	}
	if (outer && outer->kind != kind) return err_set(e, ERR_SECURITY, EINVAL, "%s: announced was \"%s\"", document, outer->name);
	*ret = outer ? outer->name : kind == MEDIA_INDEX ? MEDIA_TYPE_OCI_INDEX : MEDIA_TYPE_OCI_MANIFEST;
	return 0;
}

/* ---- descriptors ---- */

int descriptor_check(const Descriptor *d, const char *document, const char *path, Err *e)
{
	if (d->size < 0) return err_set(e, ERR_CONFIG, EINVAL, "%s: %s.size: must not be negative", document, path);
	if (d->data && base64_decoded_size(str_of(d->data)) != d->size)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: %s.data: expected base64 of %lld bytes, as size says", document, path,
			       (long long)d->size);
	return 0;
}

static int check_descriptors(const DescriptorList *l, const char *document, const char *name, Err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		char path[32];
		snprintf(path, sizeof path, "%s[%zu]", name, i);
		int r = descriptor_check(&l->items[i], document, path, e);
		if (r < 0) return r;
	}
	return 0;
}

static int check_version(int32_t version, const char *document, Err *e)
{
	if (version == 2) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "%s: schemaVersion: expected 2, got %d", document, version);
}

static int check_manifest(const Manifest *m, Err *e)
{
	int r = check_version(m->schema_version, "manifest", e);
	if (r >= 0) r = descriptor_check(&m->config, "manifest", "config", e);
	if (r >= 0 && m->subject) r = descriptor_check(m->subject, "manifest", "subject", e);
	if (r >= 0) r = check_descriptors(&m->layers, "manifest", "layers", e);
	if (r >= 0 && m->layers.n > LAYERS_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "manifest: layers: %zu of them, at most %d can be mounted", m->layers.n, LAYERS_MAX);
	return r;
}

static int check_index(const Index *i, Err *e)
{
	int r = check_version(i->schema_version, "index", e);
	if (r >= 0 && i->subject) r = descriptor_check(i->subject, "index", "subject", e);
	return r < 0 ? r : check_descriptors(&i->manifests, "index", "manifests", e);
}

/* ---- reading ---- */

static int parse_root(const char *text, size_t n, Arena *a, JsonValue *ret, Err *e)
{
	if (n > MANIFEST_MAX) return err_set(e, ERR_CONFIG, EFBIG, "manifest: %zu bytes long, at most %d are allowed", n, MANIFEST_MAX);
	char *copy = arena_str(a, (Str){ text, n });
	if (!copy) return err_sys(e, ENOMEM, "parse manifest");
	int r = json_parse(copy, n, a, ret, e);
	if (r < 0) return err_wrap(e, "manifest");
	if (ret->type != JSON_OBJECT)
		return err_set(e, ERR_CONFIG, EINVAL, "manifest: expected an object, got %s", json_type_name(ret->type));
	return 0;
}

int image_document_parse(const char *text, size_t n, const char *announced, Arena *a, ImageDocument *ret, Err *e)
{
	JsonValue root;
	ImageDocument d = { 0 };
	int r = parse_root(text, n, a, &root, e);
	if (r >= 0) r = check_keys(&root, "manifest", e);
	if (r >= 0) r = find_kind(&root, &d.kind, e);
	if (r < 0) return r;
	bool index = d.kind == MEDIA_INDEX;
	r = index ? bind_decode(&index_table, &root, &d.index, "index", a, e)
		  : bind_decode(&manifest_table, &root, &d.manifest, "manifest", a, e);
	if (r >= 0) r = check_types(d.kind, index ? d.index.media_type : d.manifest.media_type, announced, &d.media_type, e);
	if (r >= 0) r = index ? check_index(&d.index, e) : check_manifest(&d.manifest, e);
	if (r < 0) return r;
	*ret = d;
	return 0;
}

static int parse_kind(const char *text, size_t n, const char *announced, MediaKind kind, Arena *a, ImageDocument *ret, Err *e)
{
	int r = image_document_parse(text, n, announced, a, ret, e);
	if (r < 0 || ret->kind == kind) return r;
	return err_set(e, ERR_CONFIG, EINVAL, "expected an image %s, got an image %s", kind_name(kind), kind_name(ret->kind));
}

int manifest_parse(const char *text, size_t n, const char *announced, Arena *a, Manifest *ret, Err *e)
{
	ImageDocument d;
	int r = parse_kind(text, n, announced, MEDIA_MANIFEST, a, &d, e);
	if (r >= 0) *ret = d.manifest;
	return r;
}

int index_parse(const char *text, size_t n, const char *announced, Arena *a, Index *ret, Err *e)
{
	ImageDocument d;
	int r = parse_kind(text, n, announced, MEDIA_INDEX, a, &d, e);
	if (r >= 0) *ret = d.index;
	return r;
}

int manifest_check_image(const Manifest *m, Err *e)
{
	if (!media_type_is(m->config.media_type, MEDIA_CONFIG))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "not an image: its configuration is of type \"%.100s\"",
			       m->artifact_type ? m->artifact_type : m->config.media_type);
	for (size_t i = 0; i < m->layers.n; i++)
		if (!media_type_is(m->layers.items[i].media_type, MEDIA_LAYER))
			return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "not an image that can be run: layers[%zu] is of type \"%.100s\"", i,
				       m->layers.items[i].media_type);
	return 0;
}

/* ---- writing ---- */

static int encode(const BindTable *t, const void *obj, Buf *b)
{
	JsonWriter w = JSON_WRITER(b);
	bind_encode(t, obj, &w);
	return buf_failed(b) ? -EFBIG : 0;
}

int manifest_encode(const Manifest *m, Buf *b)
{
	return encode(&manifest_table, m, b);
}

int index_encode(const Index *i, Buf *b)
{
	return encode(&index_table, i, b);
}

int manifest_convert(Manifest *m, MediaFamily family, Err *e)
{
	const MediaType *config = media_type(str_of(m->config.media_type));
	int r = manifest_check_image(m, e);
	if (r < 0) return r;
	if (family == MEDIA_DOCKER && (m->artifact_type || m->subject || m->annotations.n))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "manifest: docker's manifests have no %s",
			       m->subject         ? "subject"
			       : m->artifact_type ? "artifactType"
						  : "annotations");
	m->media_type = family == MEDIA_DOCKER ? MEDIA_TYPE_DOCKER_MANIFEST : MEDIA_TYPE_OCI_MANIFEST;
	m->config.media_type = media_type_in(family, config);
	for (size_t i = 0; i < m->layers.n; i++) {
		Descriptor *d = &m->layers.items[i];
		d->media_type = media_type_in(family, media_type(str_of(d->media_type)));
	}
	return 0;
}
