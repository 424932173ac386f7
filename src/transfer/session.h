/* session.h: requests to one registry for one repository: http.h with authorization, and with patience. */
#pragma once

#include "transfer/http.h"

typedef struct Session {
	Job *job;
	const TransferEndpoint *endpoint;
	const char *scope;
	const char *base; /* "https://host/v2" */
	Arena arena;      /* for URLs */
} Session;

/* session_init: actions: "pull", "pull,push", "delete"; NULL: no repository (ping), "catalog". more: a second scope or NULL. */
int session_init(Session *s, Job *j, const TransferEndpoint *endpoint, const char *actions, const char *more, Err *e) MUST_USE;
void session_done(Session *s);
#define AUTO_SESSION AUTO(session_done) Session

/* session_url: below /v2/<repository>/: "manifests/latest". NULL without memory. */
const char *session_url(Session *s, const char *kind, const char *name);

/* session_once: one request; a 401 is answered with credentials, once. As http_send. endpoint and authorization of req are set here. */
int session_once(Session *s, HttpRequest *req, HttpResponse *ret, Err *e) MUST_USE;

/* session_send: the same as often as tuning.attempts when it may help: connections that break, 408, 429, 5xx. begin (may be NULL) is called
 * before each, to start the body's place anew. Bodies to send are sent again from their beginning. */
int session_send(Session *s, HttpRequest *req, HttpResponse *ret, int (*begin)(void *arg, Err *e), Err *e) MUST_USE;

/* session_pause: the wait before attempt n + 1 (n from 1): exponential with jitter, or what the answer asks for, at most 2 minutes. */
int session_pause(Session *s, const HttpResponse *res, uint32_t attempt, Err *e) MUST_USE;
