/* http_answer.c: what comes, and what it means; see http.h and http_impl.h. */
#include <inttypes.h>

#include "base/str.h"
#include "base/time.h"
#include "transfer/http_impl.h"

enum {
	HEADERS_MAX = 64 << 10,
	SLOWEST = 1024, /* bytes per second */
	PATIENCE = 10,  /* times stall_ms for the answer to a whole body: the registry may be hashing it */
};

/* ---- callbacks ---- */

static const char *const header_names[HTTP_HEADER_COUNT] = {
	[HTTP_AUTHENTICATE] = "www-authenticate",
	[HTTP_CONTENT_LENGTH] = "content-length",
	[HTTP_CONTENT_RANGE] = "content-range",
	[HTTP_CONTENT_TYPE] = "content-type",
	[HTTP_DIGEST] = "docker-content-digest",
	[HTTP_FILTERS] = "oci-filters-applied",
	[HTTP_LINK] = "link",
	[HTTP_LOCATION] = "location",
	[HTTP_MIN_CHUNK] = "oci-chunk-min-length",
	[HTTP_RANGE] = "range",
	[HTTP_RETRY_AFTER] = "retry-after",
	[HTTP_SUBJECT] = "oci-subject",
	[HTTP_WARNING] = "warning",
};

static void keep_header(HttpResponse *res, Str name, Str value)
{
	for (int i = 0; i < HTTP_HEADER_COUNT; i++) {
		if (strlen(header_names[i]) != name.n || strncasecmp(header_names[i], name.p, name.n) != 0) continue;
		if (memchr(value.p, 0, value.n)) return;
		const char **to = &res->headers[i];
		if (i == HTTP_AUTHENTICATE && *to)
			*to = arena_printf(&res->arena, "%s, %.*s", *to, (int)value.n, value.p) ?: *to;
		else
			*to = arena_str(&res->arena, value);
		return;
	}
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	Exchange *x = arg;
	Str line = { p, size * n }, name, value;
	x->header_bytes += line.n;
	if (x->header_bytes > HEADERS_MAX) {
		x->failed = err_set(x->e, ERR_SECURITY, EMSGSIZE, "the answer has more than %d KiB of headers", HEADERS_MAX >> 10);
		return 0;
	}
	if (str_starts(line, "HTTP/")) /* also behind a 100 Continue, or a proxy's own answer */
		memset(x->res->headers, 0, sizeof x->res->headers);
	else if (str_cut(line, ':', &name, &value))
		keep_header(x->res, name, str_trim(value));
	return line.n;
}

uint32_t http_answer_status(CURL *curl)
{
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status > 0 && status < 1000 ? (uint32_t)status : 0;
}

static int give_to_sink(Exchange *x, const char *p, size_t n)
{
	const HttpRequest *req = x->req;
	if (n > req->limit || x->res->received > req->limit - n)
		return err_set(x->e, ERR_SECURITY, EFBIG, "the answer has more than the expected %" PRIu64 " bytes", req->limit);
	int64_t before = time_monotonic();
	int r = req->sink(req->arg, x->res, p, n, x->e);
	x->window_start += time_monotonic() - before; /* not the network's fault */
	x->res->received += n;
	return r;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	Exchange *x = arg;
	size_t k = size * n;
	uint32_t status = http_answer_status(x->curl);
	x->res->status = status;
	if (status >= 200 && status < 300 && x->req->sink) {
		x->failed = give_to_sink(x, p, k);
		return x->failed < 0 ? 0 : k;
	}
	size_t room = x->res->error.max - x->res->error.n;
	buf_put(&x->res->error, p, k < room ? k : room);
	x->dropped += k;
	if (x->dropped <= 1 << 20) return k;
	x->failed = err_set(x->e, ERR_SECURITY, EFBIG, "an endless answer with status %" PRIu32, status);
	return 0;
}

/* has_stalled: fewer bytes in a window of stall_ms than the slowest rate gives. Waiting for the answer to a whole body takes longer. */
static bool has_stalled(Exchange *x, uint64_t bytes)
{
	int64_t now = time_monotonic();
	uint64_t stall = x->job->req.tuning.stall_ms;
	bool waiting = x->req->has_body && x->sent == x->req->body_size && !x->res->status && x->sent > SLOWEST;
	if (waiting) stall *= PATIENCE;
	if ((uint64_t)(now - x->window_start) / 1000000 < stall) return false;
	bool slow = (bytes - x->window_bytes) * 1000 < SLOWEST * stall;
	x->window_start = now;
	x->window_bytes = bytes;
	return slow;
}

static int on_tick(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	Exchange *x = arg;
	int r = job_check(x->job, x->e);
	if (r < 0) {
		x->failed = r;
		return 1;
	}
	x->stalled = has_stalled(x, (uint64_t)dlnow + (uint64_t)ulnow);
	return x->stalled;
}

void http_answer_set(Exchange *x)
{
	CURL *c = x->curl;
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_tick);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

/* ---- what it means ---- */

static int refused_by_proxy(Exchange *x, const char *url, uint32_t status)
{
	const char *proxy = proxy_name(x->proxy, &x->res->arena);
	x->res->retry = http_retry_status(status);
	if (status == 407)
		return err_set(x->e, ERR_PERMISSION, EACCES,
			       "%s: the proxy %s wants other credentials (407): give it as http://USER:PASSWORD@HOST:PORT", url, proxy);
	return err_set(x->e, ERR_IO, EACCES, "%s: the proxy %s refused the connection: it answered %" PRIu32, url, proxy, status);
}

int http_check_proxy(Exchange *x, const char *url)
{
	return x->proxy && x->res->status == 407 && !starts_with(url, "https://") ? refused_by_proxy(x, url, 407) : 0;
}

/* tunnel_status: what a proxy that was asked for a tunnel said, when that was no. */
static uint32_t tunnel_status(const Exchange *x)
{
	long status = 0;
	if (x->proxy) curl_easy_getinfo(x->curl, CURLINFO_HTTP_CONNECTCODE, &status);
	return status >= 300 && status < 1000 ? (uint32_t)status : 0;
}

/* with_proxy: the detail, with the way that the request took. */
static const char *with_proxy(const Exchange *x, const char *detail)
{
	long verified = 0;
	if (!x->proxy) return detail;
	curl_easy_getinfo(x->curl, CURLINFO_PROXY_SSL_VERIFYRESULT, &verified);
	return arena_printf(&x->res->arena, "%sthe proxy %s: %s", verified ? "" : "through ", proxy_name(x->proxy, &x->res->arena), detail)
		       ?: detail;
}

int http_explain(Exchange *x, CURLcode code, const char *url, const char *detail)
{
	if (x->failed < 0) return x->failed;
	x->res->retry = true;
	if (x->stalled) return err_set(x->e, ERR_TIMEOUT, ETIMEDOUT, "%s: the transfer stalled", url);
	uint32_t refused = tunnel_status(x);
	if (refused) return refused_by_proxy(x, url, refused);
	detail = with_proxy(x, detail);
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(x->e, ERR_TIMEOUT, ETIMEDOUT, "%s: %s", url, detail);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		x->res->retry = atomic_load(&x->job->http->answered);
		return err_set(x->e, ERR_NOT_FOUND, EHOSTUNREACH, "%s: %s", url, detail);
	case CURLE_COULDNT_CONNECT:
		x->res->retry = atomic_load(&x->job->http->answered);
		return err_set(x->e, ERR_IO, ECONNREFUSED, "%s: %s", url, detail);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		x->res->retry = false;
		return err_set(x->e, ERR_SECURITY, EACCES, "%s: %s", url, detail);
	case CURLE_SSL_CONNECT_ERROR:
		/* what OpenSSL itself objects to stays as it is, such as a server without TLS; a connection that broke may not break again */
		x->res->retry = !strstr(detail, "SSL routines");
		if (strstr(detail, "wrong version number") || strstr(detail, "packet length too long")) http_learn_no_tls(x, url);
		return err_set(x->e, ERR_IO, EPROTO, "%s: %s", url, detail);
	case CURLE_OUT_OF_MEMORY:
		return err_set(x->e, ERR_RESOURCE, ENOMEM, "%s: out of memory", url);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_LOGIN_DENIED:
		x->res->retry = false;
		return err_set(x->e, ERR_CONFIG, EINVAL, "%s: %s", url, detail);
	default:
		return err_set(x->e, ERR_IO, ECONNRESET, "%s: %s", url, detail);
	}
}

bool http_retry_status(uint32_t status)
{
	return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

typedef struct RegistryError {
	const char *code, *message;
} RegistryError;

typedef struct RegistryErrors {
	LIST_OF(RegistryError) errors;
	const char *details; /* token servers */
	const char *message;
} RegistryErrors;

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}
BIND_TABLE(registry_error_table, "error", RegistryError, ROW(RegistryError, "code", BIND_STRING, code),
	   ROW(RegistryError, "message", BIND_STRING, message));
BIND_TABLE(registry_errors_table, "errors", RegistryErrors, ROW(RegistryErrors, "errors", BIND_LIST, errors, .sub = &registry_error_table),
	   ROW(RegistryErrors, "details", BIND_STRING, details), ROW(RegistryErrors, "message", BIND_STRING, message));

static ErrCode code_of(uint32_t status, int *errnum)
{
	switch (status) {
	case 401:
	case 403:
		*errnum = EACCES;
		return ERR_PERMISSION;
	case 404:
	case 410:
		*errnum = ENOENT;
		return ERR_NOT_FOUND;
	case 409:
		*errnum = EEXIST;
		return ERR_EXISTS;
	case 405:
	case 501:
		*errnum = EOPNOTSUPP;
		return ERR_UNSUPPORTED;
	case 408:
	case 504:
		*errnum = ETIMEDOUT;
		return ERR_TIMEOUT;
	case 413:
	case 429:
	case 507:
		*errnum = EAGAIN;
		return ERR_RESOURCE;
	case 400:
	case 416:
		*errnum = EINVAL;
		return ERR_CONFIG;
	default:
		*errnum = EPROTO;
		return ERR_IO;
	}
}

int http_refusal(Job *j, const HttpResponse *r, const char *what, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(256 << 10);
	RegistryErrors said = { 0 };
	Err ignored = ERR_INIT;
	int errnum = EPROTO;
	ErrCode code = code_of(r->status, &errnum);
	char *text = arena_str(&a, (Str){ buf_str(&r->error), r->error.n });
	if (!text || bind_parse(&registry_errors_table, text, r->error.n, &said, "answer", &a, &ignored) < 0) said = (RegistryErrors){ 0 };
	const RegistryError *first = said.errors.n ? &said.errors.items[0] : &(RegistryError){ .message = said.details ?: said.message };
	snprintf(j->error_code, sizeof j->error_code, "%s", first->code ?: "");
	j->result.status = r->status;
	return err_set(e, code, errnum, "%s: the %s answered %" PRIu32 "%s%.64s%s%.400s", what,
		       j->req.op == TRANSFER_LAYER_FETCH || j->req.op == TRANSFER_POST ? "server" : "registry", r->status,
		       first->code ? ": " : "", first->code ?: "", first->message ? ": " : "", first->message ?: "");
}
