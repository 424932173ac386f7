/* http_request.c: what is sent, see http_impl.h. */
#include <fcntl.h>
#include <unistd.h>

#include "sys/fd.h"
#include "transfer/http_impl.h"

enum { RECEIVE_BUFFER = 64 << 10, AUTHORITIES_MAX = 8 << 20 };

/* ---- the body ---- */

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

/* ---- the head ---- */

/* set_authorities: those of the registry beside the machine's. libcurl reads a directory of them in any case, but one file only. */
static int set_authorities(Exchange *x, const Http *h, const char *own)
{
	const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
	const char *file = h->ca_file;
	if (!file && !h->ca_dir && !built->capath) file = built->cainfo;
	AUTO_BUF all = BUF_INIT(AUTHORITIES_MAX);
	buf_printf(&all, "%s\n", own);
	AUTO_FD int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	int r = file && fd < 0 ? -errno : file ? fd_read_all(fd, &all) : 0;
	if (r < 0) return err_sys(x->e, r, "read the authorities in %s", file);
	if (buf_failed(&all)) return err_set(x->e, ERR_RESOURCE, ENOMEM, "http: out of memory");
	struct curl_blob blob = { .data = all.p, .len = all.n, .flags = CURL_BLOB_COPY };
	curl_easy_setopt(x->curl, CURLOPT_CAINFO_BLOB, &blob);
	return 0;
}

static int set_tls(Exchange *x, const Http *h, bool home)
{
	const TransferEndpoint *to = x->req->endpoint;
	CURL *c = x->curl;
	struct curl_blob blob = { .flags = CURL_BLOB_NOCOPY };
	if (h->ca_file) curl_easy_setopt(c, CURLOPT_CAINFO, h->ca_file);
	if (h->ca_dir) curl_easy_setopt(c, CURLOPT_CAPATH, h->ca_dir);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!to) return 0;
	if (to->insecure) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (to->ca && !to->insecure) {
		int r = set_authorities(x, h, to->ca);
		if (r < 0) return r;
	}
	if (!home || !to->cert) return 0;
	blob.data = (void *)to->cert;
	blob.len = strlen(to->cert);
	curl_easy_setopt(c, CURLOPT_SSLCERT_BLOB, &blob);
	blob.data = (void *)(to->key ?: to->cert);
	blob.len = strlen(to->key ?: to->cert);
	curl_easy_setopt(c, CURLOPT_SSLKEY_BLOB, &blob);
	return 0;
}

/* What libcurl itself would read of the environment does not count. The registry's authorities and certificate are not for the proxy. */
static void set_proxy(Exchange *x, const Http *h)
{
	CURL *c = x->curl;
	curl_easy_setopt(c, CURLOPT_PROXY, x->proxy ?: "");
	curl_easy_setopt(c, CURLOPT_NOPROXY, "");
	if (!x->proxy) return;
	curl_easy_setopt(c, CURLOPT_PROXYAUTH, CURLAUTH_BASIC);
	curl_easy_setopt(c, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (h->ca_file) curl_easy_setopt(c, CURLOPT_PROXY_CAINFO, h->ca_file);
	if (h->ca_dir) curl_easy_setopt(c, CURLOPT_PROXY_CAPATH, h->ca_dir);
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

struct curl_slist *http_request_headers(const HttpRequest *req, const char *authorization)
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

int http_request_set(Exchange *x, const char *url, const struct curl_slist *headers, bool home)
{
	CURL *c = x->curl;
	const TransferTuning *t = &x->job->req.tuning;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* none of them is for a proxy that makes a tunnel */
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
	set_method(x);
	set_proxy(x, x->job->http);
	return set_tls(x, x->job->http, home);
}
