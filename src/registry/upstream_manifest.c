/* upstream_manifest.c: manifests of a copy. A tag is asked for when it was not for a while: first only what it stands for (HEAD), and the manifest when
 * that is another one than ours. What a digest names needs no asking. */
#include "registry/service.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/time.h"
#include "oci/media_type.h"
#include "sys/fd.h"

enum { ARENA_BYTES = 64 << 20 };

/* Somebody waits. With an answer at hand, not for long. */
static const TransferTuning tuning_head = { .attempts = 1, .connect_ms = 3000, .stall_ms = 5000, .deadline_ms = 10000 };
static const TransferTuning tuning_get = { .attempts = 3, .backoff_ms = 200, .connect_ms = 5000, .stall_ms = 10000, .deadline_ms = 60000 };

typedef struct ManifestFetch {
	Fetch f;
	char here[DIGEST_TEXT_MAX]; /* what the tag stands for in the catalogue; "" for a digest, and without the tag */
	bool comparing;             /* HEAD is under way */
	int body;
	Work job;
	Commit commit;
	int result; /* of work() */
	Err e;
	Arena arena;
	Buf bytes;
	char type[MANIFEST_TYPE_MAX + 1], digest[DIGEST_TEXT_MAX];
	ManifestView view;
} ManifestFetch;

static bool is_tag(const Fetch *f)
{
	return !strchr(f->reference, ':');
}

static void manifest_free(Fetch *f)
{
	ManifestFetch *m = (ManifestFetch *)f;
	fd_close(m->body);
	buf_done(&m->bytes);
	arena_done(&m->arena);
	free(m);
}

/* ---- answers ---- */

static void warn_stale(Request *q)
{
	/* distribution-spec "Warnings"; name and tag need no escape in a quoted string, nor does what is left of a URL that was checked */
	q->warning = arena_printf(http_arena(q->x), "299 - \"%s:%s may be out of date: %s does not answer\"", q->name, q->reference,
				  q->proxy->url);
	q->reg->upstream.stale++;
}

static void end_here(ManifestFetch *m)
{
	for (Request *q; (q = fetch_next(&m->f));) {
		m->f.reg->upstream.hits++;
		manifest_serve(q);
	}
	fetch_end(&m->f);
}

static int run_delete_tag(Change *c, Db *db, Err *e)
{
	return catalog_delete_tag(db, c->name, c->reference, e);
}

static void deleted_tag(Change *c, int result, const Err *e)
{
	service_cache_forget_tag(c->reg, c->name, c->reference);
}

static void end_failed(ManifestFetch *m, const FetchFailure *failure)
{
	Fetch *f = &m->f;
	bool gone = fetch_is_gone(failure), stale = m->here[0] && !gone;
	if (gone) {
		upstream_set_unknown(f);
		if (m->here[0]) change_submit(f->reg, NULL, f->name, f->reference, "", run_delete_tag, deleted_tag);
	} else {
		fetch_log(f, failure);
	}
	if (stale) upstream_distrust(f);
	for (Request *q; (q = fetch_next(f));) {
		if (stale) warn_stale(q);
		if (!stale || !manifest_try(q)) {
			q->warning = NULL;
			fetch_refuse(q, failure);
		}
	}
	fetch_end(f);
}

static void end_error(ManifestFetch *m, const Err *e)
{
	const FetchFailure failure = { .e = *e };
	end_failed(m, &failure);
}

/* ---- what has arrived ---- */

static int commit_run(void *arg, Committer *committer, Db *db, Err *e)
{
	ManifestFetch *m = arg;
	const char *tag = m->f.reference;
	const CatalogManifest manifest = {
		.digest = m->digest, .view = &m->view, .body = { m->bytes.p, m->bytes.n }, .tags = &tag, .n_tags = is_tag(&m->f) ? 1 : 0
	};
	/* its blobs come when somebody wants them */
	RegistryOptions limits = *m->f.reg->o;
	limits.sparse = true;
	return catalog_put_manifest(db, &limits, m->f.name, &manifest, time_now(), e);
}

static void commit_done(void *arg, int result, const Err *e)
{
	ManifestFetch *m = arg;
	Registry *reg = m->f.reg;
	if (result < 0) log_write(reg->log, LOG_WARN, "proxy %s: %s is not kept: %s", m->f.name, m->f.reference, e->msg);
	if (is_tag(&m->f)) {
		service_cache_forget_tag(reg, m->f.name, m->f.reference);
		if (result >= 0) upstream_believe(&m->f);
	}
	for (Request *q; (q = fetch_next(&m->f));) {
		reg->upstream.misses++;
		manifest_send(q, m->digest, m->view.media_type, (Str){ m->bytes.p, m->bytes.n });
	}
	fetch_end(&m->f);
}

static int read_body(ManifestFetch *m)
{
	Digest d, want = { .algorithm = DIGEST_SHA256 };
	int r = lseek(m->body, 0, SEEK_SET) < 0 ? -errno : fd_read_all(m->body, &m->bytes);
	if (r < 0) return err_sys(&m->e, -r, "read the manifest");
	if (!is_tag(&m->f) && digest_parse(str_of(m->f.reference), &want) < 0)
		return err_set(&m->e, ERR_INTERNAL, EINVAL, "\"%s\" is no digest", m->f.reference);
	r = digest_of(want.algorithm, buf_str(&m->bytes), m->bytes.n, &d);
	if (r < 0) return err_sys(&m->e, -r, "hash the manifest");
	digest_format(&d, m->digest);
	if (!is_tag(&m->f) && !digest_equal(&d, &want))
		return err_set(&m->e, ERR_SECURITY, EBADMSG, "the manifest %s has the digest %s", m->f.reference, m->digest);
	return 0;
}

static void work(void *arg)
{
	ManifestFetch *m = arg;
	m->result = read_body(m);
	if (m->result < 0) return;
	m->result = manifest_view((Str){ buf_str(&m->bytes), m->bytes.n }, m->type, &m->arena, &m->view, &m->e);
	if (m->result < 0) err_wrap(&m->e, "the manifest %s", m->f.reference);
}

static void worked(void *arg)
{
	ManifestFetch *m = arg;
	if (m->result < 0) {
		end_error(m, &m->e);
		return;
	}
	m->f.reg->upstream.bytes += m->bytes.n;
	committer_submit(m->f.reg->committer, &m->commit);
}

/* ---- asking ---- */

static int send_get(ManifestFetch *m, Err *e)
{
	static const char *accept[] = { MEDIA_TYPE_OCI_INDEX, MEDIA_TYPE_OCI_MANIFEST, MEDIA_TYPE_DOCKER_LIST, MEDIA_TYPE_DOCKER_MANIFEST,
					NULL };
	TransferRequest req = { .op = m->comparing ? TRANSFER_MANIFEST_HEAD : TRANSFER_MANIFEST_GET,
				.reference = m->f.reference,
				.accept = { accept, ARRAY_LEN(accept) - 1 },
				.limit = MANIFEST_MAX,
				.tuning = m->comparing ? tuning_head : tuning_get };
	if (m->comparing) return fetch_send(&m->f, &req, 0, e);
	m->body = memfd_create("manifest", MFD_CLOEXEC);
	return m->body < 0 ? err_sys(e, errno, "memfd_create") : fetch_send(&m->f, &req, m->body, e);
}

static void ask(ManifestFetch *m)
{
	Err e = ERR_INIT;
	if (send_get(m, &e) < 0) end_error(m, &e);
}

static int run_touch(Change *c, Db *db, Err *e)
{
	return catalog_touch_tag(db, c->name, c->reference, time_now(), e);
}

static void compared(ManifestFetch *m, const TransferEvent *ev)
{
	if (!ev->digest || !streq(ev->digest, m->here)) {
		m->comparing = false;
		ask(m);
		return;
	}
	upstream_believe(&m->f);
	change_submit(m->f.reg, NULL, m->f.name, m->f.reference, "", run_touch, NULL);
	end_here(m);
}

static void on_event(Fetch *f, const TransferEvent *ev)
{
	ManifestFetch *m = (ManifestFetch *)f;
	if (ev->kind == TRANSFER_PROGRESS) return;
	if (ev->kind == TRANSFER_FAILED) {
		FetchFailure failure;
		fetch_failure(ev, &failure);
		end_failed(m, &failure);
	} else if (m->comparing) {
		compared(m, ev);
	} else {
		/* a type that is too long is none that is kept here; the document's own counts then */
		if (ev->content_type && strlen(ev->content_type) < sizeof m->type)
			memcpy(m->type, ev->content_type, strlen(ev->content_type) + 1);
		work_put(f->reg->workers, &m->job);
	}
}

static void begin(Request *q, Waiter *w)
{
	Err e = ERR_INIT;
	ManifestFetch *m = (ManifestFetch *)fetch_add(q, FETCH_MANIFEST, q->reference, sizeof *m);
	if (!m) return;
	m->f.event = on_event;
	m->f.free = manifest_free;
	m->body = -1;
	m->arena = ARENA_INIT(ARENA_BYTES);
	m->bytes = BUF_INIT(MANIFEST_MAX + 1);
	m->job = (Work){ .work = work, .done = worked, .arg = m };
	m->commit = (Commit){ .run = commit_run, .done = commit_done, .arg = m };
	if (is_tag(&m->f) && catalog_tag(q->reg->db, q->name, q->reference, m->here, &e) < 0) m->here[0] = 0;
	m->comparing = m->here[0] != 0;
	fetch_wait(&m->f, w, q, NULL);
	ask(m);
}

void upstream_manifest(Request *q)
{
	Registry *reg = q->reg;
	Digest d;
	bool tag = !strchr(q->reference, ':'), stale = false;
	if (tag ? !tag_valid(str_of(q->reference)) : digest_parse(str_of(q->reference), &d) < 0) {
		manifest_serve(q); /* it says what is wrong */
		return;
	}
	if (!tag || upstream_believes(reg, q->name, q->reference, &stale)) {
		if (stale) warn_stale(q);
		if (manifest_try(q)) {
			reg->upstream.hits++;
			return;
		}
		q->warning = NULL;
	}
	if (upstream_is_unknown(reg, FETCH_MANIFEST, q->name, q->reference)) {
		reply_error(q, CODE_MANIFEST_UNKNOWN, "%s: %s has no %s", q->name, q->proxy->url, q->reference);
		return;
	}
	Waiter *w = arena_alloc(http_arena(q->x), sizeof *w);
	if (!w) {
		reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
		return;
	}
	Fetch *f = fetch_find(reg, FETCH_MANIFEST, q->name, q->reference);
	if (f)
		fetch_wait(f, w, q, NULL);
	else
		begin(q, w);
}
