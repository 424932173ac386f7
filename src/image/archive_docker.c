/* archive_docker.c: loading what `docker save` wrote from 1.10 on: manifest.json names configurations and layers, all of them members. */
#include "base/hash.h"
#include "image/archive_impl.h"

enum { IMAGE_ARENA_MAX = 64 << 20 };

typedef struct DockerImage {
	const char *config;
	StrList names, layers;
} DockerImage;

typedef struct DockerManifest {
	LIST_OF(DockerImage) images;
} DockerManifest;

static const BindRow image_rows[] = {
	{ .name = "Config", .kind = BIND_STRING, .offset = offsetof(DockerImage, config), .flags = BIND_REQUIRED },
	{ .name = "RepoTags", .kind = BIND_STRINGS, .offset = offsetof(DockerImage, names) },
	{ .name = "Layers", .kind = BIND_STRINGS, .offset = offsetof(DockerImage, layers) },
};
static const BindTable image_table = { .type = "image", .size = sizeof(DockerImage), .rows = image_rows, .n = ARRAY_LEN(image_rows) };

/* The digest that the name of a member promises: "<hex>.json", "<hex>", "blobs/sha256/<hex>", "sha256:<hex>"; none for others. */
static Digest promised(const char *path)
{
	Digest d;
	const char *slash = strrchr(path, '/');
	Str name = str_of(slash ? slash + 1 : path);
	if (str_starts(name, "sha256:")) name = (Str){ name.p + 7, name.n - 7 };
	if (name.n == 64 + 5 && memcmp(name.p + 64, ".json", 5) == 0) name.n = 64;
	return name.n == 64 && digest_parse_hex(DIGEST_SHA256, name, &d) >= 0 ? d : (Digest){ 0 };
}

static int read_config(const Load *l, const DockerImage *d, LoadImage *m, Arena *a, Err *e)
{
	char text[DIGEST_TEXT_MAX], *p;
	Digest want = promised(d->config);
	int r = archive_read(l->source, d->config, MANIFEST_MAX, a, &p, &m->config.n, e);
	if (r < 0) return r;
	m->config.text = p;
	if ((r = digest_of(DIGEST_SHA256, p, m->config.n, &m->config.digest)) < 0) return err_sys(e, r, "hash a configuration");
	if (want.algorithm && !digest_equal(&want, &m->config.digest))
		return err_set(e, ERR_SECURITY, EILSEQ, "archive: \"%.256s\": digest mismatch: its bytes are %s", d->config,
			       digest_format(&m->config.digest, text));
	if ((r = image_config_parse(p, m->config.n, a, &m->parsed, e)) < 0) return err_wrap(e, "archive: \"%.256s\"", d->config);
	if (m->parsed.rootfs.diff_ids.n != d->layers.n)
		return err_set(e, ERR_CONFIG, EINVAL, "archive: \"%.256s\" has %zu diff_ids, manifest.json %zu layers for it", d->config,
			       m->parsed.rootfs.diff_ids.n, d->layers.n);
	return 0;
}

/* By its first bytes: docker's own layers are plain tars, those of other programs may be compressed, and keep their form then. */
static int look_at_layer(const Load *l, LoadLayer *y, Err *e)
{
	AUTO_ARCHIVE_PART p = ARCHIVE_PART_NONE;
	int r = archive_part(l->source, y->path, &p, e);
	if (r < 0) return r;
	r = archive_part_compressed(&p);
	if (r < 0) return err_sys(e, r, "archive: read \"%.256s\"", y->path);
	y->size = p.size;
	if (r) return 0; /* its digest is found when it is read */
	y->blob = y->diff_id;
	y->media_type = media_type_layer(MEDIA_OCI, COMPRESSION_NONE);
	return 0;
}

static int find_layers(const Load *l, const DockerImage *d, LoadImage *m, Arena *a, Err *e)
{
	m->layers = arena_array(a, d->layers.n + 1, sizeof *m->layers);
	if (!m->layers) return err_sys(e, ENOMEM, "load an image");
	for (; m->n_layers < d->layers.n; m->n_layers++) {
		LoadLayer *y = &m->layers[m->n_layers];
		y->path = d->layers.items[m->n_layers];
		y->diff_id = m->parsed.rootfs.diff_ids.items[m->n_layers];
		int r = look_at_layer(l, y, e);
		if (r < 0) return r;
	}
	return 0;
}

static int take_names(const DockerImage *d, LoadImage *m, Arena *a, Err *e)
{
	m->names.items = arena_array(a, d->names.n + 1, sizeof *m->names.items);
	if (!m->names.items) return err_sys(e, ENOMEM, "load an image");
	for (size_t i = 0; i < d->names.n; i++) {
		Reference ref;
		int r = reference_parse(str_of(d->names.items[i]), a, &ref, e);
		if (r < 0) return err_wrap(e, "archive: manifest.json: RepoTags");
		if (!ref.tag)
			return err_set(e, ERR_CONFIG, EINVAL, "archive: manifest.json: RepoTags: \"%.256s\" has no tag", d->names.items[i]);
		ref.digest = (Digest){ 0 };
		const char *name = reference_format(&ref, a);
		if (!name) return err_sys(e, ENOMEM, "load an image");
		m->names.items[m->names.n++] = name;
	}
	return 0;
}

static int load_one(Load *l, const DockerImage *d, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(IMAGE_ARENA_MAX);
	LoadImage m = { 0 };
	Platform p;
	int r = read_config(l, d, &m, &a, e);
	if (r < 0) return r;
	if (platform_normalize(&m.parsed.platform, &a, &p) < 0) return err_sys(e, ENOMEM, "load an image");
	if (l->req->platform && platform_rank(l->req->platform, &p) < 0) return 0;
	if ((r = find_layers(l, d, &m, &a, e)) < 0 || (r = take_names(d, &m, &a, e)) < 0) return r;
	return load_image(l, &m, &a, e);
}

static int parse(char *text, size_t n, DockerManifest *ret, Arena *a, Err *e)
{
	JsonValue root;
	int r = json_parse(text, n, a, &root, e);
	if (r < 0) return err_wrap(e, "archive: manifest.json");
	if (root.type != JSON_ARRAY)
		return err_set(e, ERR_CONFIG, EINVAL, "archive: manifest.json: expected an array, got %s", json_type_name(root.type));
	if (root.n > ARCHIVE_IMAGES_MAX)
		return err_set(e, ERR_CONFIG, E2BIG, "archive: manifest.json: %u images, at most %d are allowed", root.n,
			       (int)ARCHIVE_IMAGES_MAX);
	ret->images.items = arena_array(a, root.n + 1, sizeof *ret->images.items);
	if (!ret->images.items) return err_sys(e, ENOMEM, "load an image");
	for (; ret->images.n < root.n; ret->images.n++)
		if ((r = bind_decode(&image_table, &root.items[ret->images.n], &ret->images.items[ret->images.n], "archive: manifest.json",
				     a, e)) < 0)
			return r;
	return 0;
}

int load_docker(Load *l, Err *e)
{
	char *text;
	size_t n;
	DockerManifest doc = { 0 };
	int r = archive_read(l->source, "manifest.json", MANIFEST_MAX, l->arena, &text, &n, e);
	if (r >= 0) r = parse(text, n, &doc, l->arena, e);
	for (size_t i = 0; r >= 0 && i < doc.images.n; i++)
		r = load_one(l, &doc.images.items[i], e);
	if (r >= 0 && !l->loaded && doc.images.n)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "archive: none of its %zu images is for the wanted platform", doc.images.n);
	return r;
}
