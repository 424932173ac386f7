/* archive_save.c: see archive_save.h. First all documents and the list of blobs, then the writing, in the order of the names. */
#include "image/archive_save.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "image/siblings.h"
#include "image/store_impl.h"
#include "oci/tar_write.h"

enum { SAVE_ARENA_MAX = 256 << 20, DOCUMENT_MAX = 16 << 20, BLOB_PATH_MAX = 160, COPY_CHUNK = 1 << 20 };

typedef enum { FROM_CONTENT, FROM_TAR, FROM_MEMORY } BlobFrom;

/* SaveBlob: a file of blobs/. */
typedef struct SaveBlob {
	Digest digest;
	BlobFrom from;
	const char *text; /* FROM_MEMORY */
	uint64_t size;
} SaveBlob;

/* SaveEntry: an image as it is saved. */
typedef struct SaveEntry {
	const SaveImage *from;
	Descriptor manifest; /* in index.json: of the image, or of the index that it was chosen from */
	Platform platform;
	Digest config;
	DigestList layers;
} SaveEntry;

typedef struct Save {
	ImageStore *store;
	const SaveRequest *req;
	Arena arena;
	SaveEntry *entries;
	SaveBlob *blobs;
	size_t n_blobs, cap_blobs;
	/* where it goes */
	TarWriter *tar; /* NULL: into dir */
	int fd, dir;
	const char *dir_path;
} Save;

static int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "save images");
}

static void blob_path(const Digest *d, char path[static BLOB_PATH_MAX])
{
	char hex[DIGEST_HEX_MAX];
	snprintf(path, BLOB_PATH_MAX, "blobs/%s/%s", digest_algorithm_name(d->algorithm), digest_hex(d, hex));
}

/* ---- what is saved ---- */

static int add_blob(Save *s, const SaveBlob *blob, Err *e)
{
	if (s->n_blobs == s->cap_blobs) {
		size_t cap = s->cap_blobs ? 2 * s->cap_blobs : 64;
		SaveBlob *p = arena_array(&s->arena, cap, sizeof *p);
		if (!p) return no_memory(e);
		if (s->n_blobs) memcpy(p, s->blobs, s->n_blobs * sizeof *p);
		s->blobs = p;
		s->cap_blobs = cap;
	}
	s->blobs[s->n_blobs++] = *blob;
	return 0;
}

/* Where a layer comes from. Without its blob it is its tar, and *d says so from now on: 1. */
static int add_layer(Save *s, const Digest *diff_id, Descriptor *d, Err *e)
{
	AUTO_FD int fd = -1;
	uint64_t size = 0;
	bool kept = false;
	int r = digest_equal(&d->digest, diff_id) ? 0 : lease_contents(s->store, &d->digest, 1, &kept, e);
	if (r < 0) return r;
	if (kept) return add_blob(s, &(SaveBlob){ .digest = d->digest, .from = FROM_CONTENT, .size = (uint64_t)d->size }, e);
	r = lease_layers(s->store, diff_id, 1, &kept, e);
	if (r < 0) return r;
	if ((fd = layer_open_tar(s->store, diff_id, &size, e)) < 0) return fd;
	const MediaType *type = media_type(str_of(d->media_type));
	r = digest_equal(&d->digest, diff_id) ? 0 : 1;
	if (r) d->media_type = media_type_layer(type ? type->family : MEDIA_OCI, COMPRESSION_NONE);
	d->digest = *diff_id;
	d->size = (int64_t)size;
	int x = add_blob(s, &(SaveBlob){ .digest = *diff_id, .from = FROM_TAR, .size = size }, e);
	return x < 0 ? x : r;
}

static int add_memory(Save *s, const char *text, size_t n, Digest *ret, Err *e)
{
	int r = digest_of(DIGEST_SHA256, text, n, ret);
	if (r < 0) return err_sys(e, r, "hash a document");
	return add_blob(s, &(SaveBlob){ .digest = *ret, .from = FROM_MEMORY, .text = text, .size = n }, e);
}

/* A manifest that had to be changed. */
static int rewrite(Save *s, SaveEntry *to, Manifest *m, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX);
	char line[400], old[DIGEST_TEXT_MAX], new[DIGEST_TEXT_MAX];
	int r = manifest_encode(m, &b);
	char *text = r < 0 ? NULL : arena_str(&s->arena, (Str){ b.p, b.n });
	if (!text) return no_memory(e);
	digest_format(&to->manifest.digest, old);
	if ((r = add_memory(s, text, b.n, &to->manifest.digest, e)) < 0) return r;
	to->manifest.size = (int64_t)b.n;
	snprintf(line, sizeof line, "%s is saved with layers that are not compressed, as %s: their compressed form is not kept", old,
		 digest_format(&to->manifest.digest, new));
	if (s->req->warn) s->req->warn(s->req->arg, line);
	return 0;
}

static int add_documents(Save *s, const Image *i, SaveEntry *to, Manifest *m, Err *e)
{
	char *text;
	size_t n;
	bool there[2];
	const Digest both[] = { i->manifest, i->id };
	int r = lease_contents(s->store, both, 2, there, e);
	if (r >= 0) r = content_read(s->store, &i->id, MANIFEST_MAX, &s->arena, &text, &n, e);
	if (r >= 0) r = add_blob(s, &(SaveBlob){ .digest = i->id, .from = FROM_MEMORY, .text = text, .size = n }, e);
	if (r >= 0) r = content_read(s->store, &i->manifest, MANIFEST_MAX, &s->arena, &text, &n, e);
	if (r < 0) return r;
	ImageDocument doc;
	r = image_document_parse(text, n, NULL, &s->arena, &doc, e);
	if (r < 0) return r;
	*m = doc.manifest;
	to->manifest = (Descriptor){ .media_type = doc.media_type, .digest = i->manifest, .size = (int64_t)n };
	to->config = i->id;
	to->platform = i->platform;
	to->manifest.platform = &to->platform;
	int changed = 0;
	ImageLayerList layers;
	if ((r = image_layers(s->store, &i->manifest, &s->arena, &layers, e)) < 0) return r;
	if (layers.n != m->layers.n)
		return err_set(e, ERR_STATE, EUCLEAN, "the store has %zu layers of an image of %zu: `skep image check`", layers.n,
			       m->layers.n);
	for (size_t k = 0; k < layers.n; k++) {
		if ((r = add_layer(s, &layers.items[k].diff_id, &m->layers.items[k], e)) < 0) return r;
		changed |= r;
	}
	if (changed) return rewrite(s, to, m, e);
	return add_blob(s, &(SaveBlob){ .digest = i->manifest, .from = FROM_MEMORY, .text = text, .size = n }, e);
}

/* Every layer is there in the form that the manifest names. */
static int is_exact(const Save *s, const Digest *manifest, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(s->store->db,
		       "SELECT 1 FROM image_layers WHERE manifest = ? AND (blob IS NULL OR blob <> diff_id) AND "
		       "(blob IS NULL OR blob NOT IN (SELECT digest FROM contents))",
		       DB_ARGS(DB_DIGEST(manifest)), &rows, e);
	return r < 0 ? r : r == 0;
}

static int add_sibling(Save *s, const Image *i, Err *e)
{
	SaveEntry entry = { 0 };
	Manifest m;
	int r = add_documents(s, i, &entry, &m, e);
	if (r >= 0 && !digest_equal(&entry.manifest.digest, &i->manifest))
		return err_set(e, ERR_STATE, ESTALE, "a compressed layer has been removed meanwhile: save again");
	return r;
}

/* The index in the place of the image that was chosen from it, when all that it names can be saved as it is. */
static int add_index(Save *s, SaveEntry *to, Err *e)
{
	Siblings all;
	const Image *image = to->from->image;
	int r = s->req->platform ? 0 : siblings_find(s->store, image, &s->arena, &all, e);
	if (r < 0 || s->req->platform || !all.whole) return r;
	for (size_t i = 0; i < all.n; i++)
		if ((r = is_exact(s, &all.images[i].manifest, e)) <= 0) return r;
	for (size_t i = 0; i < all.n; i++)
		if ((r = add_sibling(s, &all.images[i], e)) < 0) return r;
	to->manifest = (Descriptor){ .media_type = all.media_type, .digest = image->target, .size = (int64_t)all.text_n };
	return add_blob(s, &(SaveBlob){ .digest = image->target, .from = FROM_MEMORY, .text = all.text, .size = all.text_n }, e);
}

/* The image as it is asked for: of a platform, of its index. */
static int add_image(Save *s, SaveEntry *to, Manifest *m, Err *e)
{
	Image chosen;
	char id[DIGEST_HEX_MAX];
	const Image *image = to->from->image;
	const char *name = to->from->names.n ? to->from->names.items[0] : digest_hex(&image->id, id);
	int r = siblings_choose(s->store, name, image, s->req->platform, &s->arena, &chosen, e);
	if (r >= 0) r = add_documents(s, &chosen, to, m, e);
	return r < 0 ? r : add_index(s, to, e);
}

static int compare_blobs(const void *a, const void *b)
{
	return memcmp(&((const SaveBlob *)a)->digest, &((const SaveBlob *)b)->digest, sizeof(Digest));
}

static int collect(Save *s, Err *e)
{
	s->entries = arena_array(&s->arena, s->req->n + 1, sizeof *s->entries);
	if (!s->entries) return no_memory(e);
	for (size_t i = 0; i < s->req->n; i++) {
		SaveEntry *to = &s->entries[i];
		Manifest m;
		to->from = &s->req->images[i];
		int r = add_image(s, to, &m, e);
		if (r < 0) return r;
		to->layers.items = arena_array(&s->arena, m.layers.n + 1, sizeof *to->layers.items);
		if (!to->layers.items) return no_memory(e);
		for (; to->layers.n < m.layers.n; to->layers.n++)
			to->layers.items[to->layers.n] = m.layers.items[to->layers.n].digest;
	}
	if (s->n_blobs) qsort(s->blobs, s->n_blobs, sizeof *s->blobs, compare_blobs);
	size_t n = 0;
	for (size_t i = 0; i < s->n_blobs; i++)
		if (!n || compare_blobs(&s->blobs[n - 1], &s->blobs[i]) != 0) s->blobs[n++] = s->blobs[i];
	s->n_blobs = n;
	return 0;
}

/* ---- writing members ---- */

static int sink(void *arg, const void *p, size_t n, Err *e)
{
	const Save *s = arg;
	int r = fd_write_all(s->fd, p, n);
	return r < 0 ? err_sys(e, r, "write the archive") : 0;
}

static int put_dir(Save *s, const char *path, Err *e)
{
	if (s->tar) return tar_writer_entry(s->tar, &(TarEntry){ .type = TAR_DIR, .path = path, .mode = 0755 }, e);
	return mkdirat(s->dir, path, 0755) < 0 && errno != EEXIST ? err_sys(e, errno, "create %s/%s", s->dir_path, path) : 0;
}

/* The file that a member goes to, in a directory. */
static int open_member(const Save *s, const char *path, Err *e)
{
	int fd = openat(s->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? err_sys(e, errno, "create %s/%s", s->dir_path, path) : fd;
}

static int put_bytes(Save *s, const char *path, const char *p, size_t n, Err *e)
{
	if (s->tar) {
		int r = tar_writer_entry(s->tar, &(TarEntry){ .type = TAR_FILE, .path = path, .mode = 0644, .size = n }, e);
		return r < 0 ? r : tar_writer_data(s->tar, p, n, e);
	}
	AUTO_FD int fd = open_member(s, path, e);
	if (fd < 0) return fd;
	int r = fd_write_all(fd, p, n);
	return r < 0 ? err_sys(e, r, "write %s/%s", s->dir_path, path) : 0;
}

/* By the kernel where it can: to a pipe pages are handed on, to a file they are copied once. */
static int send_some(int out, int in, uint64_t n, char **buffer)
{
	size_t want = n < COPY_CHUNK ? (size_t)n : COPY_CHUNK;
	ssize_t k = *buffer ? -1 : retry_eintr(sendfile(out, in, NULL, want));
	if (k >= 0) return (int)k;
	if (!*buffer && errno != EINVAL && errno != ENOSYS) return -errno;
	if (!*buffer && !(*buffer = malloc(COPY_CHUNK))) return -ENOMEM;
	if ((k = retry_eintr(read(in, *buffer, want))) < 0) return -errno;
	int r = fd_write_all(out, *buffer, (size_t)k);
	return r < 0 ? r : (int)k;
}

static int copy_bytes(const char *path, int out, int in, uint64_t n, Err *e)
{
	AUTO_FREE char *buffer = NULL;
	while (n) {
		int k = send_some(out, in, n, &buffer);
		if (k < 0) return err_sys(e, k, "write \"%s\"", path);
		if (k == 0)
			return err_set(e, ERR_STATE, EUCLEAN, "%s ends %ju bytes early in the store: `skep image check`", path,
				       (uintmax_t)n);
		n -= (uint64_t)k;
	}
	return 0;
}

static int put_file(Save *s, const char *path, int in, uint64_t size, Err *e)
{
	if (s->tar) {
		int r = tar_writer_entry(s->tar, &(TarEntry){ .type = TAR_FILE, .path = path, .mode = 0644, .size = size }, e);
		if (r >= 0) r = copy_bytes(path, s->fd, in, size, e);
		return r < 0 ? r : tar_writer_skip(s->tar, size, e);
	}
	AUTO_FD int fd = open_member(s, path, e);
	return fd < 0 ? fd : copy_bytes(path, fd, in, size, e);
}

static int put_blob(Save *s, const SaveBlob *b, Err *e)
{
	char path[BLOB_PATH_MAX];
	blob_path(&b->digest, path);
	if (b->from == FROM_MEMORY) return put_bytes(s, path, b->text, (size_t)b->size, e);
	uint64_t size = 0;
	AUTO_FD int fd =
		b->from == FROM_TAR ? layer_open_tar(s->store, &b->digest, &size, e) : content_open(s->store, &b->digest, &size, e);
	if (fd < 0) return fd;
	if (size != b->size)
		return err_set(e, ERR_STATE, EUCLEAN, "%s has %ju bytes in the store, expected %ju: `skep image check`", path,
			       (uintmax_t)size, (uintmax_t)b->size);
	return put_file(s, path, fd, size, e);
}

static int put_blobs(Save *s, Err *e)
{
	uint8_t algorithm = DIGEST_NONE;
	int r = put_dir(s, "blobs", e);
	for (size_t i = 0; r >= 0 && i < s->n_blobs; i++) {
		char dir[32];
		if (s->blobs[i].digest.algorithm != algorithm) { /* sorted by it */
			algorithm = s->blobs[i].digest.algorithm;
			snprintf(dir, sizeof dir, "blobs/%s", digest_algorithm_name(algorithm));
			r = put_dir(s, dir, e);
		}
		if (r >= 0) r = put_blob(s, &s->blobs[i], e);
	}
	return r;
}

/* ---- documents ---- */

static int add_index_entry(Save *s, Index *index, const SaveEntry *x, const char *name, Err *e)
{
	Descriptor *d = &index->manifests.items[index->manifests.n++];
	Reference ref;
	*d = x->manifest;
	if (!name) return 0;
	int r = reference_parse(str_of(name), &s->arena, &ref, e);
	if (r < 0) return r;
	StrPair *pairs = arena_array(&s->arena, 2, sizeof *pairs);
	if (!pairs) return no_memory(e);
	pairs[0] = (StrPair){ "io.containerd.image.name", name };
	pairs[1] = (StrPair){ "org.opencontainers.image.ref.name", ref.tag ?: REFERENCE_TAG };
	d->annotations = (StrMap){ pairs, 2 };
	return 0;
}

/* A name is an entry of its own; an image without any is one, too. */
static int put_index(Save *s, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX);
	Index index = { .schema_version = 2, .media_type = MEDIA_TYPE_OCI_INDEX };
	size_t n = 0;
	for (size_t i = 0; i < s->req->n; i++)
		n += s->req->images[i].names.n + 1;
	index.manifests.items = arena_array(&s->arena, n + 1, sizeof *index.manifests.items);
	if (!index.manifests.items) return no_memory(e);
	for (size_t i = 0; i < s->req->n; i++) {
		const StrList *names = &s->entries[i].from->names;
		int r = names->n ? 0 : add_index_entry(s, &index, &s->entries[i], NULL, e);
		for (size_t k = 0; r >= 0 && k < names->n; k++)
			r = add_index_entry(s, &index, &s->entries[i], names->items[k], e);
		if (r < 0) return r;
	}
	int r = index_encode(&index, &b);
	return r < 0 ? err_sys(e, r, "write index.json") : put_bytes(s, "index.json", b.p, b.n, e);
}

static int put_docker_image(Save *s, JsonWriter *w, const SaveEntry *x, Err *e)
{
	char path[BLOB_PATH_MAX];
	json_begin_object(w);
	blob_path(&x->config, path);
	json_put_string(w, "Config", path);
	json_key(w, "RepoTags");
	json_begin_array(w);
	for (size_t i = 0; i < x->from->names.n; i++) {
		Reference ref;
		int r = reference_parse(str_of(x->from->names.items[i]), &s->arena, &ref, e);
		const char *name = r < 0 ? NULL : reference_familiar(&ref, &s->arena);
		if (!name) return r < 0 ? r : no_memory(e);
		json_string(w, name);
	}
	json_end_array(w);
	json_key(w, "Layers");
	json_begin_array(w);
	for (size_t i = 0; i < x->layers.n; i++) {
		blob_path(&x->layers.items[i], path);
		json_string(w, path);
	}
	json_end_array(w);
	json_end_object(w);
	return 0;
}

static int put_docker_manifest(Save *s, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	int r = 0;
	json_begin_array(&w);
	for (size_t i = 0; r >= 0 && i < s->req->n; i++)
		r = put_docker_image(s, &w, &s->entries[i], e);
	json_end_array(&w);
	if (r < 0) return r;
	return buf_failed(&b) ? err_sys(e, EFBIG, "write manifest.json") : put_bytes(s, "manifest.json", b.p, b.n, e);
}

typedef struct Tag {
	const char *repository, *tag, *layer;
} Tag;

static int compare_tags(const void *a, const void *b)
{
	const Tag *x = a, *y = b;
	int r = strcmp(x->repository, y->repository);
	return r ? r : strcmp(x->tag, y->tag);
}

static int collect_tags(Save *s, Tag **ret, size_t *ret_n, Err *e)
{
	size_t max = 1, n = 0;
	for (size_t i = 0; i < s->req->n; i++)
		max += s->req->images[i].names.n;
	Tag *tags = arena_array(&s->arena, max, sizeof *tags);
	if (!tags) return no_memory(e);
	for (size_t i = 0; i < s->req->n; i++) {
		const SaveEntry *x = &s->entries[i];
		char hex[DIGEST_HEX_MAX];
		const char *top = arena_strdup(&s->arena, digest_hex(x->layers.n ? &x->layers.items[x->layers.n - 1] : &x->config, hex));
		for (size_t k = 0; k < x->from->names.n; k++) {
			Reference ref;
			int r = reference_parse(str_of(x->from->names.items[k]), &s->arena, &ref, e);
			if (r < 0) return r;
			tags[n++] = (Tag){ reference_familiar_name(&ref, &s->arena), ref.tag ?: REFERENCE_TAG, top };
			if (!tags[n - 1].repository || !top) return no_memory(e);
		}
	}
	qsort(tags, n, sizeof *tags, compare_tags);
	*ret = tags;
	*ret_n = n;
	return 0;
}

/* {"debian":{"12":"<top layer>"}}: what docker before 1.10 looked at, and docker still writes. */
static int put_repositories(Save *s, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	Tag *tags = NULL;
	size_t n = 0;
	int r = collect_tags(s, &tags, &n, e);
	if (r < 0 || !n) return r;
	json_begin_object(&w);
	for (size_t i = 0; i < n; i++) {
		if (!i || !streq(tags[i].repository, tags[i - 1].repository)) {
			if (i) json_end_object(&w);
			json_key(&w, tags[i].repository);
			json_begin_object(&w);
		} else if (streq(tags[i].tag, tags[i - 1].tag)) {
			continue;
		}
		json_put_string(&w, tags[i].tag, tags[i].layer);
	}
	json_end_object(&w);
	json_end_object(&w);
	return buf_failed(&b) ? err_sys(e, EFBIG, "write repositories") : put_bytes(s, "repositories", b.p, b.n, e);
}

/* In the order of the names. */
static int put_all(Save *s, Err *e)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	bool docker = s->req->format == ARCHIVE_DOCKER;
	int r = put_blobs(s, e);
	if (r >= 0) r = put_index(s, e);
	if (r >= 0 && docker) r = put_docker_manifest(s, e);
	if (r >= 0) r = put_bytes(s, "oci-layout", layout, sizeof layout - 1, e);
	if (r >= 0 && docker) r = put_repositories(s, e);
	return r;
}

/* ---- the interface ---- */

int archive_save(ImageStore *store, const SaveRequest *req, int fd, Err *e)
{
	Save s = { .store = store, .req = req, .arena = ARENA_INIT(SAVE_ARENA_MAX), .fd = fd, .dir = -1 };
	int r = collect(&s, e);
	if (r >= 0) {
		s.tar = tar_writer_new(sink, &s);
		r = s.tar ? put_all(&s, e) : no_memory(e);
	}
	if (r >= 0) r = tar_writer_finish(s.tar, e);
	tar_writer_free(s.tar);
	arena_done(&s.arena);
	return r;
}

static bool is_empty(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool empty = d;
	if (!d) fd_close(fd);
	for (const struct dirent *i; d && (i = readdir(d));)
		empty = empty && (streq(i->d_name, ".") || streq(i->d_name, ".."));
	if (d) closedir(d);
	return empty;
}

static int open_empty_dir(const char *path, bool *ret_made, Err *e)
{
	*ret_made = mkdir(path, 0755) == 0;
	if (!*ret_made && errno != EEXIST) return err_sys(e, errno, "create %s", path);
	AUTO_FD int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) return err_sys(e, errno, "open %s", path);
	if (!is_empty(dir))
		return err_set(e, ERR_EXISTS, ENOTEMPTY, "save into %s: it is not empty: name a new or an empty directory", path);
	return take_fd(dir);
}

static void remove_all(const Save *s)
{
	static const char *const files[] = { "index.json", "manifest.json", "oci-layout", "repositories" };
	static const char *const dirs[] = { "blobs/sha256", "blobs/sha512", "blobs" };
	char path[BLOB_PATH_MAX];
	for (size_t i = 0; i < s->n_blobs; i++) {
		blob_path(&s->blobs[i].digest, path);
		unlinkat(s->dir, path, 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlinkat(s->dir, files[i], 0);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		unlinkat(s->dir, dirs[i], AT_REMOVEDIR);
}

int archive_save_dir(ImageStore *store, const SaveRequest *req, const char *path, Err *e)
{
	Save s = { .store = store, .req = req, .arena = ARENA_INIT(SAVE_ARENA_MAX), .fd = -1, .dir = -1, .dir_path = path };
	bool made = false;
	int r = collect(&s, e);
	if (r >= 0) r = s.dir = open_empty_dir(path, &made, e);
	if (r >= 0 && (r = put_all(&s, e)) < 0) {
		remove_all(&s);
		if (made) rmdir(path);
	}
	fd_close(s.dir);
	arena_done(&s.arena);
	return r < 0 ? r : 0;
}
