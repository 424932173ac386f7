/* http.c: see http.h. */
#include "transfer/http.h"

#include <inttypes.h>

#include "base/str.h"
#include "base/time.h"
#include "transfer/http_impl.h"

enum { IDLE_MAX = 16 /* handles kept, each with its connections */ };

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
	proxy_settings(&h->proxies);
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

/* handle_take: one that has a connection to that origin when there is one. */
static Handle *handle_take(Http *h, const char *url)
{
	char *to = http_origin(url);
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
	AUTO_FREE char *to = is_insecure(x) ? http_origin(url) : NULL;
	if (!to) return false;
	pthread_mutex_lock(&h->lock);
	bool found = in_list(h, to);
	pthread_mutex_unlock(&h->lock);
	return found;
}

/* A hello, with its keys made for nothing, is said once to each and not before each blob. */
void http_learn_no_tls(const Exchange *x, const char *url)
{
	Http *h = x->job->http;
	AUTO_FREE char *to = is_insecure(x) ? http_origin(url) : NULL;
	if (!to) return;
	pthread_mutex_lock(&h->lock);
	if (h->n_without_tls < HTTP_WITHOUT_TLS_MAX && !in_list(h, to)) h->without_tls[h->n_without_tls++] = take(to);
	pthread_mutex_unlock(&h->lock);
}

/* ---- one exchange ---- */

/* choose_proxy: also whether the request may take this way. */
static int choose_proxy(Exchange *x, const char *url, bool home)
{
	const HttpRequest *req = x->req;
	int r = proxy_for(&x->job->http->proxies, url, &x->res->arena, &x->proxy, x->e);
	if (r < 0) return err_wrap(x->e, "%s", url);
	bool secret = (req->secret && home) || req->secret_body;
	if (!x->proxy || !secret || starts_with(url, "https://")) return 0;
	return err_set(x->e, ERR_SECURITY, EACCES,
		       "%s: refused to send a credential in clear to the proxy %s: ask by https, or name the host in NO_PROXY", url,
		       proxy_name(x->proxy, &x->res->arena));
}

static int perform(Exchange *x, const char *url)
{
	char detail[CURL_ERROR_SIZE] = "";
	http_answer_set(x);
	curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, detail);
	CURLcode code = curl_easy_perform(x->curl);
	curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, NULL);
	x->res->status = http_answer_status(x->curl);
	if (x->res->status) atomic_store(&x->job->http->answered, true);
	return code == CURLE_OK ? http_check_proxy(x, url) : http_explain(x, code, url, *detail ? detail : curl_easy_strerror(code));
}

/* exchange: one request and its answer, without redirects. home: url is of the origin that credentials are for. */
static int exchange(Exchange *x, const char *url, bool home)
{
	buf_reset(&x->res->error);
	memset(x->res->headers, 0, sizeof x->res->headers);
	x->res->status = 0;
	int r = choose_proxy(x, url, home);
	if (r < 0) return r;
	if (has_no_tls(x, url)) return err_set(x->e, ERR_IO, EPROTO, "%s: it speaks no TLS", url);
	Handle *k = handle_take(x->job->http, url);
	struct curl_slist *headers = http_request_headers(x->req, home ? x->req->authorization : NULL);
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
	r = http_request_set(x, url, headers, home);
	if (r >= 0) r = perform(x, url);
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
		if (!home && req->secret_body)
			return err_set(e, ERR_SECURITY, EACCES, "%s: refused to send a credential on to %s", url, next);
		url = next;
	}
}

void http_response_done(HttpResponse *r)
{
	arena_done(&r->arena);
	buf_done(&r->error);
}
