/* cmd_image_check.c: image check: whether the store holds what it says; --repair fetches what it does not. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "cli/skep/endpoints.h"
#include "cli/skep/store.h"
#include "image/check.h"

typedef struct Checking {
	Invocation *in;
	TransferClient *worker; /* NULL: not needed so far */
} Checking;

static void print_finding(void *arg, const Finding *f)
{
	static const char *const ends[] = {
		[REPAIR_NONE] = "", [REPAIR_DONE] = ": repaired", [REPAIR_DROPPED] = ": dropped", [REPAIR_FAILED] = ": not repaired"
	};
	printf("%s: %s%s\n", finding_name(f->kind), f->message, ends[f->repair]);
	fflush(stdout);
}

/* A document that is no blob to the registry: a manifest or an index. */
static int fetch_manifest(Checking *c, TransferRequest *req, int fd, Err *e)
{
	static const char *const accept[] = { MEDIA_TYPE_OCI_INDEX, MEDIA_TYPE_OCI_MANIFEST, MEDIA_TYPE_DOCKER_LIST,
					      MEDIA_TYPE_DOCKER_MANIFEST, NULL };
	req->op = TRANSFER_MANIFEST_GET;
	req->reference = req->digest;
	req->accept = (StrList){ (const char **)(uintptr_t)accept, ARRAY_LEN(accept) - 1 };
	req->limit = MANIFEST_MAX;
	if (ftruncate(fd, 0) < 0) return err_sys(e, errno, "empty a file");
	return transfer_call(c->worker, req, &(TransferFds){ .body = fd }, NULL, NULL, c->in->arena, NULL, e);
}

static int fetch_from(Checking *c, const char *repository, const char *digest, uint64_t size, int fd, Err *e)
{
	Reference ref;
	Endpoints at;
	TransferEvent head;
	int r = reference_parse(str_of(repository), c->in->arena, &ref, e);
	if (r >= 0) r = endpoints_find(c->in, &ref, &at, e);
	if (r < 0) return r;
	TransferRequest req = { .op = TRANSFER_BLOB_GET,
				.endpoints = { (TransferEndpoint *)(uintptr_t)at.items, at.n },
				.repository = ref.path,
				.digest = digest,
				.size = size };
	if (!size) {
		req.op = TRANSFER_BLOB_HEAD;
		r = transfer_call(c->worker, &req, NULL, NULL, NULL, c->in->arena, &head, e);
		if (r == -ENOENT) return fetch_manifest(c, &req, fd, e);
		if (r < 0) return r;
		req.op = TRANSFER_BLOB_GET;
		req.size = head.size;
	}
	Err blob = ERR_INIT;
	r = transfer_call(c->worker, &req, &(TransferFds){ .body = fd }, NULL, NULL, c->in->arena, NULL, &blob);
	if (r == -ENOENT && size <= MANIFEST_MAX && fetch_manifest(c, &req, fd, &(Err){ 0 }) >= 0) return 0;
	if (r < 0) *e = blob;
	return r;
}

/* From the first repository that gives it. */
static int fetch(void *arg, const Digest *d, uint64_t size, const StrList *repositories, int fd, Err *e)
{
	Checking *c = arg;
	char digest[DIGEST_TEXT_MAX];
	digest_format(d, digest);
	if (!repositories->n) return err_set(e, ERR_NOT_FOUND, ENOENT, "no repository is known to have %s", digest);
	int r = c->worker ? 0 : transfer_start(&(TransferOptions){ 0 }, &c->worker, e);
	for (size_t i = 0; i < repositories->n; i++) {
		if (r < 0 && !c->worker) return r;
		*e = (Err)ERR_INIT;
		if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0) return err_sys(e, errno, "empty a file");
		r = fetch_from(c, repositories->items[i], digest, size, fd, e);
		if (r >= 0) return 0;
	}
	return r;
}

static void checking_done(Checking *c)
{
	transfer_stop(c->worker);
}

int image_check_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *store = NULL;
	AUTO(checking_done) Checking c = { .in = in };
	AUTO_BUF b = BUF_INIT(4096);
	CheckResult done;
	char size[SIZE_TEXT_MAX];
	bool repair = option_switch(in, "repair");
	const CheckRequest req = { .repair = repair, .found = print_finding, .fetch = fetch, .arg = &c };
	int r = skep_store(in, &store, e);
	if (r < 0 || (r = image_check(store, &req, &done, e)) < 0) return r;
	size_format((double)done.bytes, SIZE_DECIMAL, size);
	buf_printf(&b, "Checked: %ju blobs and %ju layers, %s\n", (uintmax_t)done.blobs, (uintmax_t)done.layers, size);
	uint64_t left = done.findings - done.repaired - done.dropped;
	if (done.findings)
		buf_printf(&b, "Found: %ju, repaired: %ju, dropped: %ju\n", (uintmax_t)done.findings, (uintmax_t)done.repaired,
			   (uintmax_t)done.dropped);
	if ((r = print_buf(&b, e)) < 0) return r;
	if (!left) return 0;
	return err_set(e, ERR_STATE, EUCLEAN, "image check: %ju finding%s left%s", (uintmax_t)left, left == 1 ? " is" : "s are",
		       repair ? "" : ": --repair puts right what can be");
}
