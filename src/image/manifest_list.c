/* manifest_list.c: see manifest_list.h. */
#include "image/manifest_list.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "image/store_impl.h"
#include "oci/image_config.h"

enum { DESCRIPTOR_MAX = 64 << 10, INDENT = 3 /* as docker writes it */ };

static int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "manifest list");
}

/* ---- in the store ---- */

static int read_entry(const DbRows *rows, Arena *a, ListEntry *ret, Err *e)
{
	Str descriptor = db_row_str(rows, 1), text = db_row_blob(rows, 2);
	char *copy = arena_str(a, descriptor);
	ret->text = arena_str(a, text);
	ret->n = text.n;
	if (!copy || !ret->text || db_row_dup(rows, 0, a, &ret->reference) < 0) return no_memory(e);
	return bind_parse(&descriptor_table, copy, descriptor.n, &ret->descriptor, "skep.db", a, e);
}

int manifest_list_get(ImageStore *s, const char *name, Arena *a, ManifestList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(s->db, "SELECT count(*) FROM list_entries WHERE list = ?", DB_ARGS(db_text(name)), &rows, e);
	size_t max = r > 0 ? (size_t)db_row_int(&rows, 0) : 0;
	db_rows_done(&rows);
	if (r < 0 || !max) return r < 0 ? r : 0;
	ListEntry *items = arena_array(a, max, sizeof *items);
	if (!items) return no_memory(e);
	size_t n = 0;
	r = db_query(s->db, "SELECT reference, descriptor, manifest FROM list_entries WHERE list = ? ORDER BY position",
		     DB_ARGS(db_text(name)), &rows, e);
	while (r >= 0 && n < max && (r = db_next(&rows, e)) > 0)
		r = read_entry(&rows, a, &items[n++], e);
	if (r < 0) return r;
	ret->items = items;
	ret->n = n;
	return n > 0;
}

int manifest_list_put(ImageStore *s, const char *name, const ListEntry *entry, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	AUTO_DB_ROWS rows = { 0 };
	AUTO_BUF descriptor = BUF_INIT(DESCRIPTOR_MAX);
	JsonWriter w = JSON_WRITER(&descriptor);
	bind_encode(&descriptor_table, &entry->descriptor, &w);
	if (buf_failed(&descriptor)) return err_sys(e, E2BIG, "manifest list %s: the descriptor of %s", name, entry->reference);
	int r = db_begin(s->db, DB_WRITE, &tx, e);
	if (r >= 0) r = db_get(s->db, "SELECT count(*) FROM list_entries WHERE list = ?", DB_ARGS(db_text(name)), &rows, e);
	bool full = r > 0 && db_row_int(&rows, 0) >= MANIFEST_LIST_MAX;
	db_rows_done(&rows);
	if (full) return err_set(e, ERR_USAGE, E2BIG, "manifest list %s: more than %d manifests", name, MANIFEST_LIST_MAX);
	if (r >= 0)
		r = db_run(
			s->db,
			"INSERT INTO list_entries(list, reference, position, descriptor, manifest) VALUES(?1, ?2, (SELECT coalesce(max(position), 0) + 1 "
			"FROM list_entries WHERE list = ?1), ?3, ?4) ON CONFLICT(list, reference) DO UPDATE SET descriptor = "
			"excluded.descriptor, manifest = excluded.manifest",
			DB_ARGS(db_text(name), db_text(entry->reference), db_str((Str){ descriptor.p, descriptor.n }),
				db_blob(entry->text, entry->n)),
			e);
	return r < 0 ? r : db_commit(&tx, e);
}

int manifest_list_drop(ImageStore *s, const char *name, Err *e)
{
	int r = db_run(s->db, "DELETE FROM list_entries WHERE list = ?", DB_ARGS(db_text(name)), e);
	return r < 0 ? r : r > 0;
}

int manifest_list_encode(const ManifestList *l, Arena *a, Buf *b, const char **ret_type, Err *e)
{
	bool docker = true;
	Descriptor *items = arena_array(a, l->n + 1, sizeof *items);
	if (!items) return no_memory(e);
	for (size_t i = 0; i < l->n; i++) {
		items[i] = l->items[i].descriptor;
		docker &= streq(items[i].media_type, MEDIA_TYPE_DOCKER_MANIFEST);
	}
	*ret_type = docker ? MEDIA_TYPE_DOCKER_LIST : MEDIA_TYPE_OCI_INDEX;
	const Index index = { .schema_version = 2, .media_type = *ret_type, .manifests = { items, l->n } };
	JsonWriter w = JSON_WRITER(b);
	w.indent = INDENT;
	bind_encode(&index_table, &index, &w);
	return buf_failed(b) ? err_sys(e, EFBIG, "write the manifest list") : 0;
}

/* ---- from a registry ---- */

static TransferRequest request(TransferOp op, const ListEndpoints *at, const Reference *ref)
{
	return (TransferRequest){ .op = op, .endpoints = { (TransferEndpoint *)(uintptr_t)at->items, at->n }, .repository = ref->path };
}

/* The bytes of a request that fills a BODY, in the arena. */
static int get_bytes(TransferClient *worker, TransferRequest *req, Arena *a, TransferEvent *got, char **ret, size_t *ret_n, Err *e)
{
	AUTO_BUF b = BUF_INIT(MANIFEST_MAX);
	AUTO_FD int body = memfd_create("skep-manifest", MFD_CLOEXEC);
	if (body < 0) return err_sys(e, errno, "memfd_create");
	int r = transfer_call(worker, req, &(TransferFds){ .body = body }, NULL, NULL, a, got, e);
	if (r < 0) return r;
	if (lseek(body, 0, SEEK_SET) < 0 || (r = fd_read_all(body, &b)) < 0) return err_sys(e, r < 0 ? r : errno, "read a document");
	if (!(*ret = arena_str(a, (Str){ buf_str(&b), b.n }))) return no_memory(e);
	*ret_n = b.n;
	return 0;
}

static int hash(const char *text, size_t n, Digest *ret, Err *e)
{
	int r = digest_of(DIGEST_SHA256, text, n, ret);
	return r < 0 ? err_sys(e, r, "hash a document") : 0;
}

/* The platform of an image, which only its configuration tells. */
static int fetch_platform(TransferClient *worker, const ListEndpoints *at, const Reference *ref, FetchedManifest *m, Arena *a, Err *e)
{
	const Descriptor *d = &m->document.manifest.config;
	char text[DIGEST_TEXT_MAX], *json;
	size_t n;
	Digest found;
	ImageConfig config;
	TransferEvent got;
	if (!media_type_is(d->media_type, MEDIA_CONFIG)) return 0; /* an artifact has none */
	if (d->size > MANIFEST_MAX)
		return err_set(e, ERR_RESOURCE, EFBIG, "configuration of %jd bytes, at most %d are allowed", (intmax_t)d->size,
			       MANIFEST_MAX);
	TransferRequest req = request(TRANSFER_BLOB_GET, at, ref);
	req.digest = digest_format(&d->digest, text);
	req.size = (uint64_t)d->size;
	int r = get_bytes(worker, &req, a, &got, &json, &n, e);
	if (r >= 0 && (r = digest_of(d->digest.algorithm, json, n, &found)) < 0) return err_sys(e, r, "hash a document");
	if (r < 0) return r;
	if (!digest_equal(&found, &d->digest)) return err_set(e, ERR_SECURITY, EILSEQ, "the configuration is not %s", text);
	if ((r = image_config_parse(json, n, a, &config, e)) < 0) return r;
	Platform *p = arena_alloc(a, sizeof *p);
	if (!p) return no_memory(e);
	*p = config.platform;
	m->descriptor.platform = p;
	return 0;
}

int manifest_fetch(TransferClient *worker, const ListEndpoints *at, const Reference *ref, Arena *a, FetchedManifest *ret, Err *e)
{
	static const char *const accept[] = { MEDIA_TYPE_OCI_INDEX, MEDIA_TYPE_OCI_MANIFEST, MEDIA_TYPE_DOCKER_LIST,
					      MEDIA_TYPE_DOCKER_MANIFEST, NULL };
	char digest[DIGEST_TEXT_MAX], *text;
	TransferEvent got;
	FetchedManifest m = { 0 };
	TransferRequest req = request(TRANSFER_MANIFEST_GET, at, ref);
	req.reference = ref->digest.algorithm ? digest_format(&ref->digest, digest) : ref->tag;
	req.accept = (StrList){ (const char **)(uintptr_t)accept, ARRAY_LEN(accept) - 1 };
	req.limit = MANIFEST_MAX;
	int r = get_bytes(worker, &req, a, &got, &text, &m.n, e);
	if (r < 0) return r;
	m.text = text;
	if (ref->digest.algorithm)
		m.descriptor.digest = ref->digest;
	else if ((r = hash(text, m.n, &m.descriptor.digest, e)) < 0)
		return r;
	if ((r = image_document_parse(text, m.n, got.content_type, a, &m.document, e)) < 0) return r;
	m.descriptor.media_type = m.document.media_type;
	m.descriptor.size = (int64_t)m.n;
	if (m.document.kind == MEDIA_MANIFEST && (r = fetch_platform(worker, at, ref, &m, a, e)) < 0) return r;
	*ret = m;
	return 0;
}

/* ---- to a registry ---- */

typedef struct Pushing {
	ImageStore *store;
	TransferClient *worker;
	const ListPush *p;
	Arena *arena;
} Pushing;

/* The blob's bytes: of the store, or from the repository it lies in. */
static int open_blob(Pushing *p, size_t i, const Descriptor *d, const char *digest, Err *e)
{
	int r = content_has(p->store, &d->digest, e);
	if (r != 0) return r < 0 ? r : content_open(p->store, &d->digest, NULL, e);
	AUTO_FD int fd = openat(p->store->ingest, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) return err_sys(e, errno, "make a file in %s/ingest", p->store->path);
	TransferRequest req = request(TRANSFER_BLOB_GET, &p->p->source_at[i], &p->p->sources[i]);
	req.digest = digest;
	req.size = (uint64_t)d->size;
	r = transfer_call(p->worker, &req, &(TransferFds){ .body = fd }, NULL, NULL, p->arena, NULL, e);
	return r < 0 ? r : take_fd(fd);
}

/* Mounted when the registry does that; otherwise by way of this machine. */
static int push_blob(Pushing *p, size_t i, const Descriptor *d, Err *e)
{
	char digest[DIGEST_TEXT_MAX];
	Err refused = ERR_INIT;
	const MediaType *type = media_type(str_of(d->media_type));
	const char *from[] = { p->p->sources[i].path, NULL };
	if (type && type->foreign && d->urls.n) return 0; /* stays where it is */
	TransferRequest req = request(TRANSFER_BLOB_PUT, &p->p->at, p->p->target);
	req.digest = digest_format(&d->digest, digest);
	req.size = (uint64_t)d->size;
	req.mount_from = (StrList){ from, 1 };
	if (transfer_call(p->worker, &req, NULL, NULL, NULL, p->arena, NULL, &refused) >= 0) return 0;
	AUTO_FD int fd = open_blob(p, i, d, digest, e);
	if (fd < 0) return fd;
	req.mount_from = (StrList){ 0 };
	return transfer_call(p->worker, &req, &(TransferFds){ .input = fd }, NULL, NULL, p->arena, NULL, e);
}

static int put_document(Pushing *p, const char *reference, const char *type, const Digest *d, const char *text, size_t n, Err *e)
{
	char digest[DIGEST_TEXT_MAX];
	AUTO_FD int body = memfd_create("skep-manifest", MFD_CLOEXEC);
	if (body < 0) return err_sys(e, errno, "memfd_create");
	int r = fd_write_all(body, text, n);
	if (r < 0) return err_sys(e, r, "write a manifest");
	TransferRequest req = request(TRANSFER_MANIFEST_PUT, &p->p->at, p->p->target);
	req.digest = digest_format(d, digest);
	req.reference = reference ? reference : req.digest;
	req.media_type = type;
	req.size = n;
	return transfer_call(p->worker, &req, &(TransferFds){ .input = body }, NULL, NULL, p->arena, NULL, e);
}

/* A manifest and what it consists of, into the repository of the list. */
static int push_entry(Pushing *p, size_t i, Err *e)
{
	const ListEntry *entry = &p->p->list->items[i];
	const Reference *from = &p->p->sources[i];
	ImageDocument document;
	Reference as = *p->p->target;
	if (streq(from->path, as.path)) return 0;
	int r = image_document_parse(entry->text, entry->n, entry->descriptor.media_type, p->arena, &document, e);
	if (r < 0) return r;
	if (document.kind != MEDIA_MANIFEST) return err_set(e, ERR_USAGE, EINVAL, "%s is a manifest list", entry->reference);
	r = push_blob(p, i, &document.manifest.config, e);
	for (size_t k = 0; r >= 0 && k < document.manifest.layers.n; k++)
		r = push_blob(p, i, &document.manifest.layers.items[k], e);
	if (r >= 0) r = put_document(p, NULL, document.media_type, &entry->descriptor.digest, entry->text, entry->n, e);
	if (r < 0) return err_wrap(e, "%s", entry->reference);
	as.tag = NULL;
	as.digest = entry->descriptor.digest;
	if (p->p->pushed) p->p->pushed(p->p->arg, entry, &as);
	return 0;
}

int manifest_list_push(ImageStore *s, TransferClient *worker, const ListPush *push, Arena *a, Digest *ret, Err *e)
{
	Pushing p = { .store = s, .worker = worker, .p = push, .arena = a };
	AUTO_BUF b = BUF_INIT(MANIFEST_MAX);
	const char *type;
	int r = 0;
	for (size_t i = 0; i < push->list->n; i++)
		if (!streq(push->sources[i].domain, push->target->domain))
			return err_set(e, ERR_USAGE, EINVAL,
				       "cannot use source images from a different registry than the target image: %s != %s",
				       push->sources[i].domain, push->target->domain);
	for (size_t i = 0; r >= 0 && i < push->list->n; i++)
		r = push_entry(&p, i, e);
	if (r < 0 || (r = manifest_list_encode(push->list, a, &b, &type, e)) < 0 || (r = hash(b.p, b.n, ret, e)) < 0) return r;
	return put_document(&p, push->target->tag, type, ret, b.p, b.n, e);
}
