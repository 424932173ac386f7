/* http.c: see http.h. */
#include "transfer/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/str.h"
#include "base/time.h"

enum {
	IDLE_MAX = 16, /* handles kept, each with its connections */
	WITHOUT_TLS_MAX = 16,
	HEADERS_MAX = 64 << 10,
	RECEIVE_BUFFER = 64 << 10,
	SLOWEST = 1024, /* bytes per second */
	PATIENCE = 10,  /* times stall_ms for the answer to a whole body: the registry may be hashing it */
};

typedef struct Handle {
	CURL *curl;
	char *origin; /* it talked to last */
	struct Handle *next;
} Handle;

struct Http {
	pthread_mutex_t lock;
	Handle *idle;
	size_t n_idle;
	CURLSH *share;
	pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
	const char *ca_file, *ca_dir;
	char *without_tls[WITHOUT_TLS_MAX]; /* origins that answered a TLS hello with something else; those beyond are asked each time */
	size_t n_without_tls;
	atomic_bool answered; /* some server has: from then on one that is not there is probably there again soon */
};

/* Exchange: one request under way. */
typedef struct Exchange {
	Job *job;
	const HttpRequest *req;
	HttpResponse *res;
	CURL *curl;
	Err *e;
	int failed; /* by a callback: the negative errno; e is set */
	size_t header_bytes;
	uint64_t sent; /* of the body */
	/* stall detection */
	int64_t window_start;
	uint64_t window_bytes, dropped;
	bool stalled;
} Exchange;

/* ---- handles ---- */

static void share_lock(CURL *curl, curl_lock_data data, curl_lock_access access, void *arg)
{
	Http *h = arg;
	pthread_mutex_lock(&h->share_locks[data]);
}

static void share_unlock(CURL *curl, curl_lock_data data, void *arg)
{
	Http *h = arg;
	pthread_mutex_unlock(&h->share_locks[data]);
}

int http_new(Http **ret, Err *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return err_set(e, ERR_INTERNAL, EIO, "libcurl cannot be started");
	Http *h = calloc(1, sizeof *h);
	if (!h) return err_set(e, ERR_RESOURCE, ENOMEM, "http: out of memory");
	pthread_mutex_init(&h->lock, NULL);
	for (size_t i = 0; i < ARRAY_LEN(h->share_locks); i++)
		pthread_mutex_init(&h->share_locks[i], NULL);
	h->share = curl_share_init();
	if (!h->share) {
		http_free(h);
		return err_set(e, ERR_RESOURCE, ENOMEM, "http: out of memory");
	}
	curl_share_setopt(h->share, CURLSHOPT_LOCKFUNC, share_lock);
	curl_share_setopt(h->share, CURLSHOPT_UNLOCKFUNC, share_unlock);
	curl_share_setopt(h->share, CURLSHOPT_USERDATA, h);
	curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	h->ca_file = getenv("SSL_CERT_FILE");
	h->ca_dir = getenv("SSL_CERT_DIR");
	*ret = h;
	return 0;
}

static void handle_free(Handle *k)
{
	if (!k) return;
	if (k->curl) curl_easy_cleanup(k->curl);
	free(k->origin);
	free(k);
}

void http_free(Http *h)
{
	if (!h) return;
	while (h->idle) {
		Handle *k = h->idle;
		h->idle = k->next;
		handle_free(k);
	}
	if (h->share) curl_share_cleanup(h->share);
	for (size_t i = 0; i < ARRAY_LEN(h->share_locks); i++)
		pthread_mutex_destroy(&h->share_locks[i]);
	for (size_t i = 0; i < h->n_without_tls; i++)
		free(h->without_tls[i]);
	pthread_mutex_destroy(&h->lock);
	free(h);
	curl_global_cleanup();
}

/* origin: "https://host:443"; free it; NULL when url is none of http or https. */
static char *origin(const char *url)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *text = NULL;
	CURLU *u = curl_url();
	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK && (streq(scheme, "http") || streq(scheme, "https"))) {
		if (asprintf(&text, "%s://%s:%s", scheme, host, port) < 0) text = NULL;
		for (char *c = text; c && *c; c++)
			if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + ('a' - 'A'));
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return text;
}

bool http_same_origin(const char *a, const char *b)
{
	AUTO_FREE char *x = origin(a);
	AUTO_FREE char *y = origin(b);
	return x && y && streq(x, y);
}

/* handle_take: one that has a connection to that origin when there is one. */
static Handle *handle_take(Http *h, const char *url)
{
	char *to = origin(url);
	pthread_mutex_lock(&h->lock);
	Handle **at = &h->idle;
	while (*at && !(to && (*at)->origin && streq((*at)->origin, to)))
		at = &(*at)->next;
	if (!*at && h->n_idle >= IDLE_MAX) at = &h->idle;
	Handle *k = *at;
	if (k) {
		*at = k->next;
		h->n_idle--;
	}
	pthread_mutex_unlock(&h->lock);
	if (!k) k = calloc(1, sizeof *k);
	if (k && !k->curl) k->curl = curl_easy_init();
	if (k) {
		free(k->origin);
		k->origin = to;
	} else {
		free(to);
	}
	if (k && k->curl) return k;
	handle_free(k);
	return NULL;
}

static void handle_give(Http *h, Handle *k)
{
	curl_easy_reset(k->curl); /* options go, connections stay */
	pthread_mutex_lock(&h->lock);
	bool keep = h->n_idle < IDLE_MAX;
	if (keep) {
		k->next = h->idle;
		h->idle = k;
		h->n_idle++;
	}
	pthread_mutex_unlock(&h->lock);
	if (!keep) handle_free(k);
}

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

static uint32_t status_of(CURL *curl)
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
	uint32_t status = status_of(x->curl);
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

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
	Exchange *x = arg;
	const HttpRequest *req = x->req;
	uint64_t left = req->body_size - x->sent;
	size_t k = size * n < left ? size * n : (size_t)left;
	if (req->body) {
		memcpy(to, req->body + x->sent, k);
	} else if (k) {
		ssize_t got = TEMP_FAILURE_RETRY(pread(req->body_fd, to, k, (off_t)(req->body_offset + x->sent)));
		if (got <= 0) {
			x->failed = got ? err_set(x->e, ERR_IO, EIO, "read what is to be sent: %s", err_text(errno))
					: err_set(x->e, ERR_IO, EIO, "what is to be sent ends too early");
			return CURL_READFUNC_ABORT;
		}
		k = (size_t)got;
	}
	x->sent += k;
	if (req->sent) req->sent(req->arg, x->sent);
	return k;
}

/* libcurl repeats a request by itself when a connection that it had used before breaks without an answer. A part of a blob must not be sent
 * twice: the registry may have taken some of it, and puts what comes behind that. It is for our caller to ask first. */
static int on_seek(void *arg, curl_off_t offset, int whence)
{
	Exchange *x = arg;
	if (x->req->blob && x->sent) return CURL_SEEKFUNC_FAIL;
	if (whence != SEEK_SET || offset < 0 || (uint64_t)offset > x->req->body_size) return CURL_SEEKFUNC_FAIL;
	x->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
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

/* ---- one exchange ---- */

static void set_tls(Exchange *x, const Http *h, bool home)
{
	const TransferEndpoint *to = x->req->endpoint;
	CURL *c = x->curl;
	struct curl_blob blob = { .flags = CURL_BLOB_NOCOPY };
	if (h->ca_file) curl_easy_setopt(c, CURLOPT_CAINFO, h->ca_file);
	if (h->ca_dir) curl_easy_setopt(c, CURLOPT_CAPATH, h->ca_dir);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!to) return;
	if (to->insecure) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (to->ca) { /* beside those in the directory of authorities */
		blob.data = (void *)to->ca;
		blob.len = strlen(to->ca);
		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (!home || !to->cert) return;
	blob.data = (void *)to->cert;
	blob.len = strlen(to->cert);
	curl_easy_setopt(c, CURLOPT_SSLCERT_BLOB, &blob);
	blob.data = (void *)(to->key ?: to->cert);
	blob.len = strlen(to->key ?: to->cert);
	curl_easy_setopt(c, CURLOPT_SSLKEY_BLOB, &blob);
}

static void set_method(Exchange *x)
{
	const HttpRequest *req = x->req;
	CURL *c = x->curl;
	if (streq(req->method, "HEAD")) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	} else if (req->has_body) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body_size);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(c, CURLOPT_READDATA, x);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
		curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, req->method);
	} else if (!streq(req->method, "GET")) {
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, req->method);
	}
}

static bool append(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);
	if (longer) *list = longer;
	return longer;
}

/* headers_of: NULL without memory. authorization: NULL away from home. */
static struct curl_slist *headers_of(const HttpRequest *req, const char *authorization)
{
	struct curl_slist *list = NULL;
	bool ok = append(&list, "User-Agent: skep/" SKEP_VERSION) && append(&list, "Expect:");
	for (size_t i = 0; ok && i < ARRAY_LEN(req->headers) && req->headers[i]; i++)
		ok = append(&list, req->headers[i]);
	if (ok && authorization) {
		AUTO_FREE char *line = NULL;
		ok = asprintf(&line, "Authorization: %s", authorization) >= 0 && append(&list, line);
	}
	if (ok) return list;
	curl_slist_free_all(list);
	return NULL;
}

static void set_options(Exchange *x, const char *url, const struct curl_slist *headers)
{
	CURL *c = x->curl;
	const TransferTuning *t = &x->job->req.tuning;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_SHARE, x->job->http->share);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)t->connect_ms);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
	curl_easy_setopt(c, CURLOPT_MAXCONNECTS, 3L);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)(x->req->blob ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_tick);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	set_method(x);
}

/* ---- insecure registries: https comes first, but many speak plain HTTP ---- */

static bool is_insecure(const Exchange *x)
{
	return x->req->endpoint && x->req->endpoint->insecure;
}

static bool in_list(const Http *h, const char *to)
{
	for (size_t i = 0; i < h->n_without_tls; i++)
		if (streq(h->without_tls[i], to)) return true;
	return false;
}

static bool has_no_tls(const Exchange *x, const char *url)
{
	Http *h = x->job->http;
	AUTO_FREE char *to = is_insecure(x) ? origin(url) : NULL;
	if (!to) return false;
	pthread_mutex_lock(&h->lock);
	bool found = in_list(h, to);
	pthread_mutex_unlock(&h->lock);
	return found;
}

/* A hello, with its keys made for nothing, is said once to each and not before each blob. */
static void learn_no_tls(const Exchange *x, const char *url)
{
	Http *h = x->job->http;
	AUTO_FREE char *to = is_insecure(x) ? origin(url) : NULL;
	if (!to) return;
	pthread_mutex_lock(&h->lock);
	if (h->n_without_tls < WITHOUT_TLS_MAX && !in_list(h, to)) h->without_tls[h->n_without_tls++] = take(to);
	pthread_mutex_unlock(&h->lock);
}

/* explain: a transfer that libcurl gave up. */
static int explain(Exchange *x, CURLcode code, const char *url, const char *detail)
{
	if (x->failed < 0) return x->failed;
	x->res->retry = true;
	if (x->stalled) return err_set(x->e, ERR_TIMEOUT, ETIMEDOUT, "%s: the transfer stalled", url);
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
		if (strstr(detail, "wrong version number") || strstr(detail, "packet length too long")) learn_no_tls(x, url);
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

/* exchange: one request and its answer, without redirects. home: url is of the origin that credentials are for. */
static int exchange(Exchange *x, const char *url, bool home)
{
	char detail[CURL_ERROR_SIZE] = "";
	buf_reset(&x->res->error);
	memset(x->res->headers, 0, sizeof x->res->headers);
	x->res->status = 0;
	if (has_no_tls(x, url)) return err_set(x->e, ERR_IO, EPROTO, "%s: it speaks no TLS", url);
	Handle *k = handle_take(x->job->http, url);
	struct curl_slist *headers = headers_of(x->req, home ? x->req->authorization : NULL);
	if (!k || !headers) {
		handle_free(k);
		curl_slist_free_all(headers);
		return err_set(x->e, ERR_RESOURCE, ENOMEM, "http: out of memory");
	}
	x->curl = k->curl;
	x->failed = 0;
	x->header_bytes = x->sent = x->dropped = x->window_bytes = 0;
	x->window_start = time_monotonic();
	x->stalled = false;
	set_options(x, url, headers);
	set_tls(x, x->job->http, home);
	curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, detail);
	CURLcode code = curl_easy_perform(x->curl);
	x->res->status = status_of(x->curl);
	if (x->res->status) atomic_store(&x->job->http->answered, true);
	int r = code == CURLE_OK ? 0 : explain(x, code, url, *detail ? detail : curl_easy_strerror(code));
	handle_give(x->job->http, k);
	curl_slist_free_all(headers);
	return r;
}

static bool is_redirect(const HttpRequest *req, const HttpResponse *res)
{
	bool safe = streq(req->method, "GET") || streq(req->method, "HEAD");
	switch (res->status) {
	case 301:
	case 302:
	case 303:
		return safe && res->headers[HTTP_LOCATION];
	case 307:
	case 308:
		return res->headers[HTTP_LOCATION];
	default:
		return false;
	}
}

int http_send(Job *j, const HttpRequest *req, HttpResponse *ret, Err *e)
{
	http_response_done(ret);
	*ret = HTTP_RESPONSE_INIT;
	Exchange x = { .job = j, .req = req, .res = ret, .e = e };
	const char *url = req->url;
	bool home = true;
	for (uint32_t hops = 0;; hops++) {
		int r = job_check(j, e);
		if (r < 0) return r;
		if (hops > j->req.tuning.redirects)
			return err_set(e, ERR_SECURITY, ELOOP, "%s: more than %" PRIu32 " redirects", req->url, j->req.tuning.redirects);
		ret->url = url;
		r = exchange(&x, url, home);
		if (r < 0 || !is_redirect(req, ret)) return r;
		const char *next = http_resolve(&ret->arena, url, ret->headers[HTTP_LOCATION]);
		if (!next) return err_set(e, ERR_SECURITY, EINVAL, "%s: redirected to what is no http or https URL", url);
		if (str_starts(str_of(url), "https:") && !str_starts(str_of(next), "https:"))
			return err_set(e, ERR_SECURITY, EPERM, "%s: refused a redirect from https to http", url);
		home = home && http_same_origin(url, next);
		url = next;
	}
}

void http_response_done(HttpResponse *r)
{
	arena_done(&r->arena);
	buf_done(&r->error);
}

/* ---- URLs ---- */

const char *http_resolve(Arena *a, const char *base, const char *reference)
{
	char *text = NULL;
	const char *absolute = NULL;
	CURLU *u = curl_url();
	if (u && curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK && curl_url_set(u, CURLUPART_URL, reference, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK &&
	    (str_starts(str_of(text), "http://") || str_starts(str_of(text), "https://")))
		absolute = arena_strdup(a, text);
	curl_free(text);
	curl_url_cleanup(u);
	return absolute;
}

const char *http_query(Arena *a, const char *url, const char *name, const char *value)
{
	char *quoted = curl_easy_escape(NULL, value, 0);
	const char *text = quoted ? arena_printf(a, "%s%c%s=%s", url, strchr(url, '?') ? '&' : '?', name, quoted) : NULL;
	curl_free(quoted);
	return text;
}

/* ---- what an answer means ---- */

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
	return err_set(e, code, errnum, "%s: the registry answered %" PRIu32 "%s%.64s%s%.400s", what, r->status, first->code ? ": " : "",
		       first->code ?: "", first->message ? ": " : "", first->message ?: "");
}
