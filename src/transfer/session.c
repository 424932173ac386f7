/* session.c: see session.h. */
#include "transfer/session.h"

#include <sys/random.h>

#include "transfer/auth.h"

enum { ARENA_BYTES = 4 << 20, BACKOFF_MAX = 30000, RETRY_AFTER_MAX = 120 };

int session_init(Session *s, Job *j, const TransferEndpoint *endpoint, const char *actions, const char *more, Err *e)
{
	*s = (Session){ .job = j, .endpoint = endpoint, .arena = ARENA_INIT(ARENA_BYTES) };
	size_t n = strlen(endpoint->url);
	while (n && endpoint->url[n - 1] == '/')
		n--;
	const char *repository = endpoint->repository ?: j->req.repository;
	s->base = arena_printf(&s->arena, "%.*s/v2", (int)n, endpoint->url);
	if (!actions)
		s->scope = "";
	else if (streq(actions, "catalog"))
		s->scope = "registry:catalog:*";
	else
		s->scope = arena_printf(&s->arena, "repository:%s:%s%s%s", repository, actions, more ? " " : "", more ?: "");
	if (!s->base || !s->scope) {
		session_done(s);
		return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	}
	if (starts_with(endpoint->url, "https://") || starts_with(endpoint->url, "http://")) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "endpoint \"%.200s\": neither http nor https", endpoint->url);
}

void session_done(Session *s)
{
	arena_done(&s->arena);
}

const char *session_url(Session *s, const char *kind, const char *name)
{
	return arena_printf(&s->arena, "%s/%s/%s/%s", s->base, s->endpoint->repository ?: s->job->req.repository, kind, name);
}

int session_once(Session *s, HttpRequest *req, HttpResponse *ret, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	bool home = http_same_origin(req->url, s->endpoint->url);
	TransferEndpoint away = *s->endpoint;
	away.cert = away.key = NULL;
	req->endpoint = home ? s->endpoint : &away;
	for (int round = 0;; round++) {
		req->authorization = NULL;
		int r = home ? auth_header(s->job, s->endpoint, s->scope, &a, &req->authorization, e) : 0;
		req->secret = req->authorization && auth_is_secret(s->endpoint);
		if (r >= 0) r = http_send(s->job, req, ret, e);
		/* only a 401 of the registry itself: where it redirected to, no credentials belong */
		if (r < 0 || ret->status != 401 || !home || round == 2 || !http_same_origin(ret->url, s->endpoint->url)) return r;
		r = auth_answer(s->job, s->endpoint, s->scope, ret, req->authorization, e);
		if (r < 0) return r;
	}
}

int session_pause(Session *s, const HttpResponse *res, uint32_t attempt, Err *e)
{
	uint64_t ms = (uint64_t)s->job->req.tuning.backoff_ms << (attempt < 16 ? attempt - 1 : 15), seconds = 0;
	uint32_t jitter = 0;
	if (ms > BACKOFF_MAX) ms = BACKOFF_MAX;
	if (getrandom(&jitter, sizeof jitter, GRND_NONBLOCK) == sizeof jitter)
		ms = ms / 2 + jitter % (ms / 2 + 1); /* many clients, one outage */
	if (res->headers[HTTP_RETRY_AFTER] && str_to_u64(str_of(res->headers[HTTP_RETRY_AFTER]), &seconds) == 0)
		ms = (seconds < RETRY_AFTER_MAX ? seconds : RETRY_AFTER_MAX) * 1000;
	return job_sleep(s->job, ms, e);
}

int session_send(Session *s, HttpRequest *req, HttpResponse *ret, int (*begin)(void *arg, Err *e), Err *e)
{
	for (uint32_t attempt = 1;; attempt++) {
		int r = begin ? begin(req->arg, e) : 0;
		if (r < 0) return r;
		r = session_once(s, req, ret, e);
		bool again = r < 0 ? ret->retry : http_retry_status(ret->status);
		if (!again || attempt >= s->job->req.tuning.attempts) return r;
		r = session_pause(s, ret, attempt, e);
		if (r < 0) return r;
		*e = (Err)ERR_INIT;
	}
}
