/* reply.c: answers: fields that all have, errors as JSON, the access log. */
#include "registry/service.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/time.h"
#include "sys/fd.h"

static const struct {
	const char *name;
	int status;
	const char *text;
} codes[] = {
#define CODE(name, status, text) { #name, status, text },
#include "registry/codes.def"
#undef CODE
};

static void log_access(const Request *q, int status, int64_t took)
{
	char now[TIME_TEXT_MAX];
	AUTO_BUF line = BUF_INIT(16384);
	JsonWriter w = JSON_WRITER(&line);
	const char *agent = http_header(q->x, "User-Agent");
	time_format(time_now(), TIME_SECONDS, now);
	json_begin_object(&w);
	json_put_string(&w, "time", now);
	json_put_string(&w, "client", http_peer(q->x));
	json_put_string(&w, "user", q->user ? q->user : "");
	json_put_string(&w, "method", q->method);
	json_put_string(&w, "target", http_target(q->x));
	json_put_int(&w, "status", status);
	json_put_int(&w, "microseconds", took / 1000);
	json_put_string(&w, "agent", agent ? agent : "");
	json_end_object(&w);
	buf_putc(&line, '\n');
	/* a log that nobody reads any more stops nothing */
	if (!buf_failed(&line)) (void)!fd_write_all(STDOUT_FILENO, line.p, line.n);
}

void reply_start(Request *q, int status)
{
	int64_t took = time_monotonic() - q->started;
	metrics_request(&q->reg->metrics, q->route.kind, status, took);
	if (q->reg->o->access_log) log_access(q, status, took);
	http_reply(q->x, status);
	http_reply_header(q->x, "Docker-Distribution-API-Version", "registry/2.0");
	http_reply_header(q->x, "X-Content-Type-Options", "nosniff");
	if (q->warning) http_reply_header(q->x, "Warning", q->warning);
}

void reply_empty(Request *q)
{
	http_reply_length(q->x, 0);
	http_finish(q->x);
}

void reply_body(Request *q, const char *type, const void *p, size_t n)
{
	if (type) http_reply_header(q->x, "Content-Type", type);
	http_reply_length(q->x, (int64_t)n);
	if (n && !request_is(q, "HEAD")) {
		q->reg->metrics.bytes_out += n;
		http_write(q->x, p, n);
	}
	http_finish(q->x);
}

void reply_error_body(Request *q, ApiCode code, const char *message)
{
	AUTO_BUF body = BUF_INIT(8192);
	JsonWriter w = JSON_WRITER(&body);
	json_begin_object(&w);
	json_key(&w, "errors");
	json_begin_array(&w);
	json_begin_object(&w);
	json_put_string(&w, "code", codes[code].name);
	json_put_string(&w, "message", message);
	json_key(&w, "detail");
	json_begin_object(&w);
	if (q->name && name_valid(str_of(q->name))) json_put_string(&w, "name", q->name);
	json_end_object(&w);
	json_end_object(&w);
	json_end_array(&w);
	json_end_object(&w);
	buf_putc(&body, '\n');
	reply_body(q, "application/json", body.p, body.n);
}

void reply_error(Request *q, ApiCode code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	if (fmt) vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	reply_start(q, codes[code].status);
	reply_error_body(q, code, fmt ? text : codes[code].text);
}

void reply_error_status(Request *q, int status, ApiCode code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	reply_start(q, status);
	reply_error_body(q, code, text);
}

void reply_failure(Request *q, const Err *e)
{
	int status = e->errnum == ENOSPC || e->errnum == EDQUOT ? 507 : e->errnum == ENOMEM || e->errnum == ETIMEDOUT ? 503 : 500;
	log_write(q->reg->log, LOG_ERROR, "%s %s: %s", q->method, http_target(q->x), e->msg);
	reply_error_status(q, status, CODE_UNSUPPORTED, "%s",
			   status == 507 ? "no space left in the registry" : "the registry failed; its log says why");
}

void reply_method(Request *q, const char *allowed)
{
	reply_start(q, 405);
	http_reply_header(q->x, "Allow", allowed);
	reply_error_body(q, CODE_UNSUPPORTED, "the endpoint does not know this method");
}

bool request_digest(Request *q, Digest *ret)
{
	int r = digest_parse(str_of(q->reference), ret);
	if (r < 0)
		reply_error(q, CODE_DIGEST_INVALID, r == -ENOTSUP ? "\"%s\": only sha256 and sha512 are supported" : "\"%s\" is no digest",
			    q->reference);
	return r >= 0;
}
