/* http_impl.h: what the files of http.h share. Not for others. */
#pragma once

#include <curl/curl.h>

#include "transfer/http.h"
#include "transfer/proxy.h"

enum { HTTP_WITHOUT_TLS_MAX = 16 };

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
	ProxySettings proxies;
	const char *ca_file, *ca_dir;
	char *without_tls
		[HTTP_WITHOUT_TLS_MAX]; /* origins that answered a TLS hello with something else; those beyond are asked each time */
	size_t n_without_tls;
	atomic_bool answered; /* some server has: from then on one that is not there is probably there again soon */
};

/* Exchange: one request under way. */
typedef struct Exchange {
	Job *job;
	const HttpRequest *req;
	HttpResponse *res;
	CURL *curl;
	const char *proxy; /* NULL: none */
	Err *e;
	int failed; /* by a callback: the negative errno; e is set */
	size_t header_bytes;
	uint64_t sent; /* of the body */
	/* stall detection */
	int64_t window_start;
	uint64_t window_bytes, dropped;
	bool stalled;
} Exchange;

/* http_origin: "https://host:443"; free it; NULL when url is none of http or https. */
char *http_origin(const char *url);

/* http_learn_no_tls: what is at url answered a hello with something else. */
void http_learn_no_tls(const Exchange *x, const char *url);

/* http_request_headers: NULL without memory. authorization: NULL away from home. */
struct curl_slist *http_request_headers(const HttpRequest *req, const char *authorization);
/* http_request_set: x's handle will send the request to url. home: url is of the origin that credentials are for. */
int http_request_set(Exchange *x, const char *url, const struct curl_slist *headers, bool home) MUST_USE;

/* http_answer_set: what comes to x's handle goes into its response and its sink; stalls and cancelled jobs end it. */
void http_answer_set(Exchange *x);
uint32_t http_answer_status(CURL *curl);
/* http_check_proxy: an answer that is the proxy's own, and no answer to the request: -EACCES. */
int http_check_proxy(Exchange *x, const char *url);
/* http_explain: a transfer that libcurl gave up. Returns its negative errno. */
int http_explain(Exchange *x, CURLcode code, const char *url, const char *detail);
