/* transfer_wire.c: see transfer_wire.h. */
#include "image/transfer_wire.h"

#include <inttypes.h>

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}
#define REQ(json_name, k, field, ...) ROW(TransferRequest, json_name, k, field, ##__VA_ARGS__)
#define EV(json_name, k, field, ...) ROW(TransferEvent, json_name, k, field, ##__VA_ARGS__)
#define END(json_name, k, field) ROW(TransferEndpoint, json_name, k, field)
#define TUNE(json_name, field) ROW(TransferTuning, json_name, BIND_U32, field)

const BindName transfer_op_names[] = {
	{ "ping", TRANSFER_PING },
	{ "manifest-get", TRANSFER_MANIFEST_GET },
	{ "manifest-head", TRANSFER_MANIFEST_HEAD },
	{ "manifest-put", TRANSFER_MANIFEST_PUT },
	{ "manifest-delete", TRANSFER_MANIFEST_DELETE },
	{ "tags", TRANSFER_TAGS },
	{ "catalog", TRANSFER_CATALOG },
	{ "search", TRANSFER_SEARCH },
	{ "referrers", TRANSFER_REFERRERS },
	{ "blob-head", TRANSFER_BLOB_HEAD },
	{ "blob-get", TRANSFER_BLOB_GET },
	{ "blob-put", TRANSFER_BLOB_PUT },
	{ "blob-delete", TRANSFER_BLOB_DELETE },
	{ "layer-import", TRANSFER_LAYER_IMPORT },
	{ "layer-fetch", TRANSFER_LAYER_FETCH },
	{ "layer-compress", TRANSFER_LAYER_COMPRESS },
	{ "post", TRANSFER_POST },
	{ "cancel", TRANSFER_CANCEL },
	{ 0 },
};

const BindName transfer_role_names[] = {
	{ "body", TRANSFER_BODY }, { "tar", TRANSFER_TAR }, { "index", TRANSFER_INDEX }, { "input", TRANSFER_INPUT }, { 0 },
};

const BindName transfer_kind_names[] = {
	{ "progress", TRANSFER_PROGRESS },
	{ "location", TRANSFER_LOCATION },
	{ "done", TRANSFER_DONE },
	{ "failed", TRANSFER_FAILED },
	{ 0 },
};

const BindName compression_names[] = {
	{ "none", COMPRESSION_NONE }, { "gzip", COMPRESSION_GZIP },   { "zstd", COMPRESSION_ZSTD },
	{ "xz", COMPRESSION_XZ },     { "bzip2", COMPRESSION_BZIP2 }, { 0 },
};

BIND_TABLE(endpoint_table, "endpoint", TransferEndpoint, ROW(TransferEndpoint, "url", BIND_STRING, url, .flags = BIND_REQUIRED),
	   END("repository", BIND_STRING, repository), END("username", BIND_STRING, username), END("password", BIND_STRING, password),
	   END("identityToken", BIND_STRING, identity_token), END("bearerToken", BIND_STRING, bearer_token), END("ca", BIND_STRING, ca),
	   END("cert", BIND_STRING, cert), END("key", BIND_STRING, key), END("insecure", BIND_BOOL, insecure));

BIND_TABLE(tuning_table, "tuning", TransferTuning, TUNE("attempts", attempts), TUNE("backoffMs", backoff_ms), TUNE("connectMs", connect_ms),
	   TUNE("stallMs", stall_ms), TUNE("deadlineMs", deadline_ms), TUNE("redirects", redirects), TUNE("ranges", ranges),
	   TUNE("progressMs", progress_ms));

BIND_TABLE(limits_table, "limits", TransferLimits, ROW(TransferLimits, "tarSize", BIND_U64, tar_size),
	   ROW(TransferLimits, "ratio", BIND_U32, ratio), ROW(TransferLimits, "entries", BIND_U64, entries));

BIND_TABLE(transfer_request_table, "request", TransferRequest, REQ("id", BIND_U64, id, .flags = BIND_REQUIRED),
	   REQ("op", BIND_ENUM, op, .flags = BIND_REQUIRED, .sub = transfer_op_names),
	   REQ("endpoints", BIND_LIST, endpoints, .sub = &endpoint_table), REQ("repository", BIND_STRING, repository),
	   REQ("reference", BIND_STRING, reference), REQ("digest", BIND_STRING, digest), REQ("size", BIND_U64, size),
	   REQ("limit", BIND_U64, limit), REQ("accept", BIND_STRINGS, accept), REQ("mediaType", BIND_STRING, media_type),
	   REQ("artifactType", BIND_STRING, artifact_type), REQ("tags", BIND_STRINGS, tags), REQ("urls", BIND_STRINGS, urls),
	   REQ("mountFrom", BIND_STRINGS, mount_from), REQ("chunk", BIND_U64, chunk), REQ("location", BIND_STRING, location),
	   REQ("diffId", BIND_STRING, diff_id), REQ("compression", BIND_ENUM, compression, .sub = compression_names),
	   REQ("level", BIND_I32, level), REQ("limits", BIND_OBJECT, limits, .sub = &limits_table),
	   REQ("tuning", BIND_OBJECT, tuning, .sub = &tuning_table), REQ("part", BIND_BOOL, part), REQ("offset", BIND_U64, offset),
	   REQ("fds", BIND_ENUMS, fds, .sub = transfer_role_names), REQ("cancel", BIND_U64, cancel));

BIND_TABLE(transfer_event_table, "event", TransferEvent, EV("id", BIND_U64, id, .flags = BIND_REQUIRED),
	   EV("kind", BIND_ENUM, kind, .flags = BIND_REQUIRED, .sub = transfer_kind_names), EV("bytes", BIND_U64, bytes),
	   EV("total", BIND_U64, total), EV("tarBytes", BIND_U64, tar_bytes), EV("location", BIND_STRING, location),
	   EV("status", BIND_U32, status), EV("endpoint", BIND_U32, endpoint), EV("contentType", BIND_STRING, content_type),
	   EV("digest", BIND_STRING, digest), EV("size", BIND_U64, size), EV("diffId", BIND_STRING, diff_id),
	   EV("tarSize", BIND_U64, tar_size), EV("entries", BIND_U64, entries), EV("filesSize", BIND_U64, files_size),
	   EV("opaque", BIND_BOOL, opaque), EV("compression", BIND_ENUM, compression, .sub = compression_names),
	   EV("resumed", BIND_U64, resumed), EV("existed", BIND_BOOL, existed), EV("mounted", BIND_BOOL, mounted),
	   EV("subject", BIND_STRING, subject), EV("warning", BIND_STRING, warning), EV("identityToken", BIND_STRING, identity_token),
	   EV("more", BIND_BOOL, more), EV("code", BIND_STRING, code), EV("errnum", BIND_I32, errnum), EV("message", BIND_STRING, message),
	   EV("errorCode", BIND_STRING, error_code));

/* OpNeeds: what a request of each op must bring. Roles are bits. */
#define BIT(role) (1u << (role))
typedef struct OpNeeds {
	bool endpoints, repository, reference, digest;
	unsigned must, may;
} OpNeeds;

static const OpNeeds op_needs[] = {
	[TRANSFER_PING] = { .endpoints = true },
	[TRANSFER_MANIFEST_GET] = { true, true, true, false, BIT(TRANSFER_BODY), 0 },
	[TRANSFER_MANIFEST_HEAD] = { true, true, true, false, 0, 0 },
	[TRANSFER_MANIFEST_PUT] = { true, true, false, true, BIT(TRANSFER_INPUT), 0 },
	[TRANSFER_MANIFEST_DELETE] = { true, true, true, false, 0, 0 },
	[TRANSFER_TAGS] = { true, true, false, false, BIT(TRANSFER_BODY), 0 },
	[TRANSFER_CATALOG] = { true, false, false, false, BIT(TRANSFER_BODY), 0 },
	[TRANSFER_SEARCH] = { true, false, true, false, BIT(TRANSFER_BODY), 0 },
	[TRANSFER_REFERRERS] = { true, true, false, true, BIT(TRANSFER_BODY), 0 },
	[TRANSFER_BLOB_HEAD] = { true, true, false, true, 0, 0 },
	[TRANSFER_BLOB_GET] = { true, true, false, true, 0, BIT(TRANSFER_BODY) | BIT(TRANSFER_TAR) | BIT(TRANSFER_INDEX) },
	[TRANSFER_BLOB_PUT] = { true, true, false, true, 0, BIT(TRANSFER_INPUT) },
	[TRANSFER_BLOB_DELETE] = { true, true, false, true, 0, 0 },
	[TRANSFER_LAYER_IMPORT] = { false, false, false, false, BIT(TRANSFER_INPUT),
				    BIT(TRANSFER_TAR) | BIT(TRANSFER_INDEX) | BIT(TRANSFER_BODY) },
	[TRANSFER_LAYER_FETCH] = { false, false, false, false, 0, BIT(TRANSFER_TAR) | BIT(TRANSFER_INDEX) | BIT(TRANSFER_BODY) },
	[TRANSFER_LAYER_COMPRESS] = { false, false, false, false, BIT(TRANSFER_INPUT) | BIT(TRANSFER_BODY), 0 },
	[TRANSFER_POST] = { true, false, false, false, BIT(TRANSFER_INPUT), 0 },
	[TRANSFER_CANCEL] = { 0 },
};

static int missing(const TransferRequest *r, const char *what, Err *e)
{
	return err_set(e, ERR_CONFIG, EINVAL, "%s request: %s", bind_name(transfer_op_names, r->op), what);
}

static int check_roles(const TransferRequest *r, size_t n_fds, Err *e)
{
	const OpNeeds *needs = &op_needs[r->op];
	unsigned have = 0;
	if (r->fds.n != n_fds) return missing(r, "its list of descriptors does not match those that came with it", e);
	for (size_t i = 0; i < r->fds.n; i++) {
		if (have & BIT(r->fds.items[i])) return missing(r, "two descriptors of one role", e);
		have |= BIT(r->fds.items[i]);
	}
	if (needs->must & ~have) return missing(r, "a descriptor is missing", e);
	if (have & ~(needs->must | needs->may)) return missing(r, "a descriptor that it has no use for", e);
	bool imports = r->op == TRANSFER_LAYER_IMPORT || r->op == TRANSFER_LAYER_FETCH;
	if (!imports && have & BIT(TRANSFER_INDEX) && !(have & BIT(TRANSFER_TAR))) return missing(r, "an index without a tar", e);
	return 0;
}

static int check_tuning(const TransferRequest *r, Err *e)
{
	const TransferTuning *t = &r->tuning;
	if (t->attempts > 100 || t->redirects > 100 || t->ranges > 8) return missing(r, "attempts, redirects or ranges out of range", e);
	if (t->backoff_ms > 60000 || t->progress_ms > 60000) return missing(r, "backoffMs or progressMs out of range", e);
	if (r->size > INT64_MAX || r->limit > INT64_MAX || r->chunk > INT64_MAX || r->limits.tar_size > INT64_MAX ||
	    r->offset > INT64_MAX - r->size)
		return missing(r, "a size out of range", e);
	return 0;
}

/* What one op wants beyond its row. */
static int check_op(const TransferRequest *r, Err *e)
{
	bool typed = r->op == TRANSFER_MANIFEST_PUT || r->op == TRANSFER_POST;
	if (typed && (!r->media_type || !*r->media_type)) return missing(r, "no media type", e);
	if (r->op == TRANSFER_LAYER_COMPRESS && r->compression != COMPRESSION_GZIP && r->compression != COMPRESSION_ZSTD)
		return missing(r, "its compression must be gzip or zstd", e);
	if (r->op == TRANSFER_LAYER_FETCH && r->urls.n != 1) return missing(r, "it wants one URL", e);
	if ((r->part || r->offset) && (r->op != TRANSFER_LAYER_IMPORT || !r->part)) return missing(r, "a part is for imports", e);
	return 0;
}

static int check_request(const TransferRequest *r, size_t n_fds, Err *e)
{
	const OpNeeds *needs = &op_needs[r->op];
	if (!r->id) return err_set(e, ERR_CONFIG, EINVAL, "request: its id is 0");
	if (needs->endpoints && !r->endpoints.n) return missing(r, "no endpoint", e);
	if (needs->repository && (!r->repository || !*r->repository)) return missing(r, "no repository", e);
	if (needs->reference && (!r->reference || !*r->reference)) return missing(r, "no reference", e);
	if (needs->digest && (!r->digest || !*r->digest)) return missing(r, "no digest", e);
	int x = check_op(r, e);
	if (x >= 0) x = check_roles(r, n_fds, e);
	return x < 0 ? x : check_tuning(r, e);
}

int transfer_message(const BindTable *t, const void *obj, Buf *to, Err *e)
{
	JsonWriter w = JSON_WRITER(to);
	bind_encode(t, obj, &w);
	if (buf_failed(to) || to->n > TRANSFER_MESSAGE_MAX)
		return err_set(e, ERR_RESOURCE, EMSGSIZE, "%s: more than the %d bytes of a message", t->type, (int)TRANSFER_MESSAGE_MAX);
	return 0;
}

int transfer_request_parse(char *text, size_t n, size_t n_fds, TransferRequest *ret, Arena *a, Err *e)
{
	TransferRequest r;
	int x = bind_parse(&transfer_request_table, text, n, &r, "request", a, e);
	if (x >= 0) x = check_request(&r, n_fds, e);
	if (x < 0) return x;
	*ret = r;
	return 0;
}

int transfer_event_parse(char *text, size_t n, TransferEvent *ret, Arena *a, Err *e)
{
	TransferEvent ev;
	int x = bind_parse(&transfer_event_table, text, n, &ev, "event", a, e);
	if (x < 0) return x;
	if (!ev.id) return err_set(e, ERR_CONFIG, EINVAL, "event: its id is 0");
	if (ev.kind == TRANSFER_FAILED && (!ev.message || !*ev.message))
		return err_set(e, ERR_CONFIG, EINVAL, "event: a failure without a message");
	*ret = ev;
	return 0;
}

int transfer_event_error(const TransferEvent *ev, Err *e)
{
	ErrCode code = ERR_IO;
	for (int i = 1; ev->code && i < ERR_COUNT; i++)
		if (streq(err_name((ErrCode)i), ev->code)) code = (ErrCode)i;
	return err_set(e, code, ev->errnum > 0 && ev->errnum < 4096 ? ev->errnum : EIO, "%s", ev->message);
}
