/* archive_layout.c: loading an OCI image layout (OCI image specification 1.1, image-layout.md), also of more than one platform. */
#include "base/hash.h"
#include "image/archive_impl.h"

enum { IMAGE_ARENA_MAX = 64 << 20, BLOB_PATH_MAX = 160 };

#define ANNOTATION_NAME "io.containerd.image.name"
#define ANNOTATION_ATTESTS "vnd.docker.reference.type"
#define ANNOTATION_REF "org.opencontainers.image.ref.name"

typedef struct LayoutVersion {
	const char *version;
} LayoutVersion;

static const BindRow layout_rows[] = {
	{ .name = "imageLayoutVersion", .kind = BIND_STRING, .offset = offsetof(LayoutVersion, version), .flags = BIND_REQUIRED },
};
static const BindTable layout_table = {
	.type = "oci-layout", .size = sizeof(LayoutVersion), .rows = layout_rows, .n = ARRAY_LEN(layout_rows)
};

static int check_version(const Load *l, Arena *a, Err *e)
{
	char *text;
	size_t n;
	LayoutVersion v;
	int r = archive_read(l->source, "oci-layout", 4096, a, &text, &n, e);
	if (r == -ENOENT) return 0; /* index.json says as much */
	if (r >= 0) r = bind_parse(&layout_table, text, n, &v, "oci-layout", a, e);
	if (r < 0) return r;
	if (!starts_with(v.version, "1."))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "oci-layout: version \"%.64s\" is not supported, 1.0.0 is", v.version);
	return 0;
}

static void blob_path(const Digest *d, char path[static BLOB_PATH_MAX])
{
	char hex[DIGEST_HEX_MAX];
	snprintf(path, BLOB_PATH_MAX, "blobs/%s/%s", digest_algorithm_name(d->algorithm), digest_hex(d, hex));
}

/* A document by its descriptor. */
static int read_blob(const Load *l, const Descriptor *d, Arena *a, LoadBlob *ret, Err *e)
{
	char path[BLOB_PATH_MAX], want[DIGEST_TEXT_MAX], *text;
	Digest got;
	blob_path(&d->digest, path);
	int r = archive_read(l->source, path, MANIFEST_MAX, a, &text, &ret->n, e);
	if (r < 0) return r;
	if ((int64_t)ret->n != d->size)
		return err_set(e, ERR_CONFIG, EBADMSG, "archive: \"%s\": %zu bytes long, its descriptor says %jd", path, ret->n,
			       (intmax_t)d->size);
	if ((r = digest_of(d->digest.algorithm, text, ret->n, &got)) < 0) return err_sys(e, r, "hash %s", path);
	if (!digest_equal(&got, &d->digest))
		return err_set(e, ERR_SECURITY, EILSEQ, "archive: \"%s\": digest mismatch: its bytes are %s", path,
			       digest_format(&got, want));
	ret->text = text;
	ret->digest = d->digest;
	return 0;
}

/* ---- from a descriptor to an image ---- */

static int find_layers(LoadImage *m, const Manifest *doc, Arena *a, Err *e)
{
	m->layers = arena_array(a, doc->layers.n + 1, sizeof *m->layers);
	if (!m->layers) return err_sys(e, ENOMEM, "load an image");
	for (; m->n_layers < doc->layers.n; m->n_layers++) {
		const Descriptor *d = &doc->layers.items[m->n_layers];
		char *path = arena_alloc(a, BLOB_PATH_MAX);
		if (!path) return err_sys(e, ENOMEM, "load an image");
		blob_path(&d->digest, path);
		m->layers[m->n_layers] = (LoadLayer){ .path = path,
						      .diff_id = m->parsed.rootfs.diff_ids.items[m->n_layers],
						      .blob = d->digest,
						      .size = (uint64_t)d->size,
						      .media_type = d->media_type };
	}
	return 0;
}

static int take_manifest(const Load *l, const LoadBlob *blob, const ImageDocument *doc, LoadImage *m, Arena *a, Err *e)
{
	m->manifest = *blob;
	m->media_type = doc->media_type;
	int r = manifest_check_image(&doc->manifest, e);
	if (r >= 0) r = read_blob(l, &doc->manifest.config, a, &m->config, e);
	if (r >= 0) r = image_config_parse(m->config.text, m->config.n, a, &m->parsed, e);
	if (r >= 0) r = image_config_check_layers(&m->parsed, &doc->manifest, e);
	return r < 0 ? r : find_layers(m, &doc->manifest, a, e);
}

static const Platform *wanted(const Load *l)
{
	return l->req->platform ?: platform_host();
}

/* Follows indexes to the manifest of the wanted platform. */
static int resolve(const Load *l, const Descriptor *d, LoadImage *m, Arena *a, Err *e)
{
	for (;;) {
		LoadBlob blob;
		ImageDocument doc;
		size_t i;
		int r = read_blob(l, d, a, &blob, e);
		if (r >= 0) r = image_document_parse(blob.text, blob.n, d->media_type, a, &doc, e);
		if (r < 0) return r;
		if (doc.kind == MEDIA_MANIFEST) return take_manifest(l, &blob, &doc, m, a, e);
		if (m->n_indexes > INDEX_DEPTH_MAX - 1)
			return err_set(e, ERR_CONFIG, ELOOP, "archive: more than %d indexes lead to one another", (int)INDEX_DEPTH_MAX);
		m->indexes[m->n_indexes++] = blob;
		if ((r = index_choose(&doc.index, wanted(l), a, &i, e)) < 0) return r;
		d = &doc.index.manifests.items[i];
	}
}

/* ---- index.json ---- */

/* The name of an entry: containerd's, or the layout's own where it is more than a tag, which alone names nothing. */
static const char *entry_name(const Descriptor *d)
{
	const char *name = str_map_get(&d->annotations, ANNOTATION_NAME), *ref = str_map_get(&d->annotations, ANNOTATION_REF);
	if (name) return name;
	return ref && (strchr(ref, '/') || strchr(ref, ':')) ? ref : NULL;
}

static int take_name(const Descriptor *d, LoadImage *m, Arena *a, Err *e)
{
	Reference ref;
	const char *name = entry_name(d);
	if (!name) return 0;
	int r = reference_parse(str_of(name), a, &ref, e);
	if (r < 0) return err_wrap(e, "archive: index.json");
	ref.digest = (Digest){ 0 };
	reference_default_tag(&ref);
	m->names.items = arena_array(a, 2, sizeof *m->names.items);
	if (!m->names.items || !(m->names.items[0] = reference_format(&ref, a))) return err_sys(e, ENOMEM, "load an image");
	m->names.n = 1;
	return 0;
}

/* How well the platform that an entry tells of fits; 0 when it tells none. */
static int rank(const Load *l, const Descriptor *d, Arena *a)
{
	Platform p;
	if (!d->platform) return 0;
	return platform_normalize(d->platform, a, &p) < 0 ? -1 : platform_rank(wanted(l), &p);
}

static bool same_image(const Descriptor *x, const Descriptor *y)
{
	const char *a = entry_name(x), *b = entry_name(y);
	return a && b && streq(a, b);
}

/* An entry for another platform gives way to one of the same name that fits better; where a platform was asked for, it is not loaded
 * at all. Without a choice it is loaded, as docker does. */
static bool gives_way(const Load *l, const Index *index, size_t i, Arena *a)
{
	const Descriptor *d = &index->manifests.items[i];
	int mine = rank(l, d, a);
	if (l->req->platform && mine < 0) return true;
	for (size_t k = 0; k < index->manifests.n; k++) {
		if (k == i || !same_image(d, &index->manifests.items[k])) continue;
		int other = rank(l, &index->manifests.items[k], a);
		if (other >= 0 && (mine < 0 || other < mine || (other == mine && k < i))) return true;
	}
	return false;
}

/* A manifest that does not tell its platform in the index does in its configuration. */
static bool is_wanted(const Load *l, const LoadImage *m, Arena *a)
{
	Platform p;
	if (!l->req->platform) return true;
	return platform_normalize(&m->parsed.platform, a, &p) >= 0 && platform_rank(l->req->platform, &p) >= 0;
}

static int load_entry(Load *l, const Index *index, size_t i, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(IMAGE_ARENA_MAX);
	const Descriptor *d = &index->manifests.items[i];
	LoadImage m = { 0 };
	if (!media_type_is(d->media_type, MEDIA_MANIFEST) && !media_type_is(d->media_type, MEDIA_INDEX)) return 0; /* something else's */
	if (d->artifact_type || str_map_get(&d->annotations, ANNOTATION_ATTESTS) || gives_way(l, index, i, &a)) return 0;
	int r = resolve(l, d, &m, &a, e);
	if (r >= 0) r = take_name(d, &m, &a, e);
	if (r < 0 || !is_wanted(l, &m, &a)) return r;
	return load_image(l, &m, &a, e);
}

int load_layout(Load *l, Err *e)
{
	char *text;
	size_t n;
	Index index;
	int r = check_version(l, l->arena, e);
	if (r >= 0) r = archive_read(l->source, "index.json", MANIFEST_MAX, l->arena, &text, &n, e);
	if (r >= 0 && (r = index_parse(text, n, NULL, l->arena, &index, e)) < 0) return err_wrap(e, "archive: index.json");
	if (r < 0) return r;
	if (index.manifests.n > ARCHIVE_IMAGES_MAX)
		return err_set(e, ERR_CONFIG, E2BIG, "archive: index.json: %zu images, at most %d are allowed", index.manifests.n,
			       (int)ARCHIVE_IMAGES_MAX);
	for (size_t i = 0; i < index.manifests.n; i++)
		if ((r = load_entry(l, &index, i, e)) < 0) return r;
	if (!l->loaded && index.manifests.n)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "archive: none of its %zu images is for the wanted platform", index.manifests.n);
	return 0;
}
