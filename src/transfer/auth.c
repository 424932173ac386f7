/* auth.c: see auth.h. */
#include "transfer/auth.h"

#include "base/base64.h"
#include "base/time.h"
#include "transfer/challenge.h"

enum {
	ENTRIES_MAX = 512,
	TOKEN_MAX = 128 << 10, /* of an answer */
	TOKEN_SECONDS = 60,    /* when the server does not say, as the specification has it */
	TOKEN_EARLY = 10,      /* seconds; at most half of its life */
	TOKEN_SECONDS_MAX = 86400,
	ARENA_BYTES = 1 << 20,
};

static const int64_t NS_PER_S = 1000000000;

typedef struct Entry {
	char *key;       /* origin, user, scope */
	char *header;    /* NULL while it is being got the first time */
	int64_t expires; /* ns of CLOCK_MONOTONIC; 0: never */
	bool busy;       /* somebody gets a new one */
	struct Entry *next;
} Entry;

struct Auth {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	Entry *entries;
	size_t n;
};

int auth_new(Auth **ret)
{
	Auth *a = calloc(1, sizeof *a);
	if (!a) return -ENOMEM;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	*ret = a;
	return 0;
}

static void wipe(char *s)
{
	if (s) explicit_bzero(s, strlen(s));
	free(s);
}

static void entry_free(Entry *entry)
{
	free(entry->key);
	wipe(entry->header);
	free(entry);
}

void auth_free(Auth *a)
{
	if (!a) return;
	while (a->entries) {
		Entry *entry = a->entries;
		a->entries = entry->next;
		entry_free(entry);
	}
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

bool auth_is_secret(const TransferEndpoint *to)
{
	const char *const own[] = { to->username, to->identity_token, to->bearer_token };
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (own[i] && *own[i]) return true;
	return false;
}

/* key_of: what a header is good for. The secret is part of it: another password must not profit from a token it did not earn. */
static const char *key_of(Arena *a, const TransferEndpoint *to, const char *scope)
{
	return arena_printf(a, "%s\n%s\n%s\n%s\n%s", to->url, to->username ?: "", to->password ?: "", to->identity_token ?: "", scope);
}

/* drop_oldest: with the lock held; of those that nobody is about to fill. */
static void drop_oldest(Auth *a)
{
	Entry **oldest = NULL;
	for (Entry **at = &a->entries; *at; at = &(*at)->next)
		if (!(*at)->busy) oldest = at;
	if (!oldest) return;
	Entry *entry = *oldest;
	*oldest = entry->next;
	a->n--;
	entry_free(entry);
}

/* find, with the lock held; makes room and the entry when it is missing. NULL without memory. */
static Entry *find(Auth *a, const char *key)
{
	for (Entry *entry = a->entries; entry; entry = entry->next)
		if (streq(entry->key, key)) return entry;
	if (a->n >= ENTRIES_MAX) drop_oldest(a);
	Entry *entry = calloc(1, sizeof *entry);
	if (entry) entry->key = strdup(key);
	if (!entry || !entry->key) {
		free(entry);
		return NULL;
	}
	entry->next = a->entries;
	a->entries = entry;
	a->n++;
	return entry;
}

int auth_header(Job *j, const TransferEndpoint *to, const char *scope, Arena *a, const char **ret, Err *e)
{
	Auth *auth = j->auth;
	*ret = NULL;
	if (to->bearer_token && *to->bearer_token) {
		*ret = arena_printf(a, "Bearer %s", to->bearer_token);
		return *ret ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "authorization: out of memory");
	}
	const char *key = key_of(a, to, scope);
	if (!key) return err_set(e, ERR_RESOURCE, ENOMEM, "authorization: out of memory");
	pthread_mutex_lock(&auth->lock);
	for (const Entry *entry = auth->entries; entry; entry = entry->next)
		if (streq(entry->key, key) && entry->header && (!entry->expires || entry->expires > time_monotonic()))
			*ret = arena_strdup(a, entry->header);
	pthread_mutex_unlock(&auth->lock);
	return 0;
}

/* ---- token requests ---- */

typedef struct Token {
	const char *token, *access_token, *refresh_token;
	OptInt expires_in;
} Token;

#define ROW(json_name, k, field) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(Token, field) \
	}
BIND_TABLE(token_table, "token", Token, ROW("token", BIND_STRING, token), ROW("access_token", BIND_STRING, access_token),
	   ROW("refresh_token", BIND_STRING, refresh_token), ROW("expires_in", BIND_OPT_INT, expires_in));

static int collect(void *arg, const HttpResponse *r, const void *p, size_t n, Err *e)
{
	buf_put(arg, p, n);
	return buf_failed(arg) ? err_set(e, ERR_RESOURCE, ENOMEM, "token: out of memory") : 0;
}

static const char *basic_header(Arena *a, const char *user, const char *password)
{
	AUTO_BUF plain = BUF_INIT(64 << 10), coded = BUF_INIT(128 << 10);
	buf_printf(&plain, "%s:%s", user, password);
	base64_encode(&coded, plain.p, plain.n);
	const char *header = buf_failed(&plain) || buf_failed(&coded) ? NULL : arena_printf(a, "Basic %s", buf_str(&coded));
	if (plain.p) explicit_bzero(plain.p, plain.n);
	return header;
}

/* One scope a parameter, as docker asks. */
static const char *with_scopes(Arena *a, const char *url, const char *scope)
{
	Str rest = str_of(scope), piece;
	while (url && str_next(&rest, ' ', &piece)) {
		const char *one = piece.n ? arena_str(a, piece) : NULL;
		if (one) url = http_query(a, url, "scope", one);
	}
	return url;
}

static const char *form(Arena *a, const Challenge *c, const TransferEndpoint *to, const char *scope)
{
	const char *text = "?grant_type=refresh_token&client_id=skep"; /* the "?" makes http_query go on with "&" */
	text = http_query(a, text, "service", c->service ?: "");
	if (text) text = http_query(a, text, "scope", scope);
	if (text) text = http_query(a, text, "refresh_token", to->identity_token);
	return text ? text + 1 : NULL;
}

/* A login asks for a token that can be kept instead of the password, as docker does; servers that have none ignore it. */
static bool wants_identity(const Job *j)
{
	return j->req.op == TRANSFER_PING;
}

static bool is_header_text(const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~') return false;
	return true;
}

/* prepare: the request of a token. */
static int prepare(const Job *j, HttpRequest *req, Arena *a, const Challenge *c, const TransferEndpoint *to, const char *scope, Err *e)
{
	bool ok = true;
	req->secret = auth_is_secret(to);
	req->secret_body = to->identity_token && *to->identity_token;
	if (req->secret_body) {
		req->method = "POST";
		req->url = c->realm;
		req->body = form(a, c, to, scope);
		ok = req->body;
		req->body_size = ok ? strlen(req->body) : 0;
		req->has_body = true;
		req->headers[0] = "Content-Type: application/x-www-form-urlencoded";
	} else {
		const char *url = c->realm;
		if (c->service) url = http_query(a, url, "service", c->service);
		if (url) url = with_scopes(a, url, scope);
		if (url && to->username && *to->username) {
			url = http_query(a, url, "account", to->username);
			if (url && wants_identity(j)) url = http_query(a, url, "offline_token", "true");
			if (url && wants_identity(j)) url = http_query(a, url, "client_id", "skep");
			req->authorization = basic_header(a, to->username, to->password ?: "");
			ok = req->authorization;
		}
		req->method = "GET";
		req->url = url;
		ok = ok && url;
	}
	return ok ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "token: out of memory");
}

static int check_realm(const Challenge *c, const TransferEndpoint *to, Err *e)
{
	bool plain = c->realm && starts_with(c->realm, "http://");
	if (!c->realm || (!plain && !starts_with(c->realm, "https://")))
		return err_set(e, ERR_PERMISSION, EACCES, "%s: its challenge names no token server", to->url);
	if (plain && starts_with(to->url, "https://"))
		return err_set(e, ERR_SECURITY, EACCES, "%s: refused to ask for a token at %.200s: it is not https", to->url, c->realm);
	return 0;
}

static int read_token(Job *j, Buf *answer, Arena *a, const char **ret_header, int64_t *ret_expires, Err *e)
{
	Token token;
	if (!answer->p) buf_put(answer, "", 0);
	int r = bind_parse(&token_table, answer->p, answer->n, &token, "token", a, e);
	if (r < 0) return r;
	const char *text = token.token && *token.token ? token.token : token.access_token;
	if (!text || !*text) return err_set(e, ERR_PERMISSION, EACCES, "token: the token server gave none");
	if (!is_header_text(text)) return err_set(e, ERR_SECURITY, EACCES, "token: not the characters of a header");
	if (wants_identity(j) && token.refresh_token && is_header_text(token.refresh_token))
		j->result.identity_token = job_string(j, token.refresh_token);
	int64_t life = token.expires_in.set && token.expires_in.v > 0 ? token.expires_in.v : TOKEN_SECONDS;
	if (life > TOKEN_SECONDS_MAX) life = TOKEN_SECONDS_MAX;
	life -= life < 2 * TOKEN_EARLY ? life / 2 : TOKEN_EARLY;
	*ret_header = arena_printf(a, "Bearer %s", text);
	*ret_expires = time_monotonic() + life * NS_PER_S;
	return *ret_header ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "token: out of memory");
}

static int fetch_token(Job *j, const TransferEndpoint *to, const Challenge *c, const char *scope, Arena *a, const char **ret_header,
		       int64_t *ret_expires, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	AUTO_BUF answer = BUF_INIT(TOKEN_MAX);
	HttpRequest req = { .endpoint = to, .sink = collect, .arg = &answer, .limit = TOKEN_MAX };
	TransferEndpoint settings = *to;
	settings.cert = settings.key = NULL; /* the registry's, not the token server's */
	int r = check_realm(c, to, e);
	if (r >= 0) r = prepare(j, &req, a, c, to, scope, e);
	if (r < 0) return r;
	req.endpoint = &settings;
	for (uint32_t attempt = 1;; attempt++) {
		buf_reset(&answer);
		r = http_send(j, &req, &res, e);
		bool again = r < 0 ? res.retry : http_retry_status(res.status);
		if (!again || attempt >= j->req.tuning.attempts) break;
		r = job_sleep(j, (uint64_t)j->req.tuning.backoff_ms << (attempt < 6 ? attempt - 1 : 5), e);
		if (r < 0) break;
	}
	if (r < 0) return err_wrap(e, "get a token");
	if (res.status != 200) {
		r = http_refusal(j, &res, "get a token", e);
		/* the registry's own answer was this one: a token server's 404 says nothing of what was asked for */
		if (res.status == 404 || res.status == 410) j->result.status = 401;
		return r;
	}
	return read_token(j, &answer, a, ret_header, ret_expires, e);
}

/* ---- answering ---- */

/* The scopes wanted and those that the challenge names, each once. */
static const char *all_scopes(Arena *a, const char *wanted, const char *named)
{
	const char *all = wanted;
	Str rest = str_of(named ?: ""), piece, have, one;
	while (all && str_next(&rest, ' ', &piece)) {
		bool known = !piece.n;
		have = str_of(all);
		while (!known && str_next(&have, ' ', &one))
			known = one.n == piece.n && memcmp(one.p, piece.p, one.n) == 0;
		if (!known) all = arena_printf(a, "%s%s%.*s", all, *all ? " " : "", (int)piece.n, piece.p);
	}
	return all;
}

static int new_header(Job *j, const TransferEndpoint *to, const char *scope, const HttpResponse *refused, const char *failed, Arena *a,
		      const char **ret_header, int64_t *ret_expires, Err *e)
{
	Challenge c = { 0 };
	const char *said = refused->headers[HTTP_AUTHENTICATE];
	if (!said || challenge_parse(said, a, &c) < 0 || (!c.bearer && !c.basic))
		return http_refusal(j, refused, "it asks for credentials in no way known here", e);
	if (c.bearer) {
		const char *scopes = all_scopes(a, scope, c.scope);
		if (!scopes) return err_set(e, ERR_RESOURCE, ENOMEM, "token: out of memory");
		return fetch_token(j, to, &c, scopes, a, ret_header, ret_expires, e);
	}
	if (!to->username || !*to->username) return http_refusal(j, refused, "no credentials for it", e);
	*ret_header = basic_header(a, to->username, to->password ?: "");
	*ret_expires = 0;
	if (!*ret_header) return err_set(e, ERR_RESOURCE, ENOMEM, "authorization: out of memory");
	if (failed && streq(failed, *ret_header)) return http_refusal(j, refused, "wrong user name or password", e);
	return 0;
}

/* claim: whether this thread is to get a new header for key: 1; 0: another thread has got one meanwhile. */
static int claim(Job *j, const char *key, const char *failed, Err *e)
{
	Auth *auth = j->auth;
	int r = 1;
	pthread_mutex_lock(&auth->lock);
	Entry *entry;
	while ((entry = find(auth, key)) && entry->busy) /* its owner waits for the network, with deadlines, and always comes back */
		pthread_cond_wait(&auth->changed, &auth->lock);
	if (!entry)
		r = err_set(e, ERR_RESOURCE, ENOMEM, "authorization: out of memory");
	else if (entry->header && (!failed || !streq(failed, entry->header)) && (!entry->expires || entry->expires > time_monotonic()))
		r = 0;
	else
		entry->busy = true;
	pthread_mutex_unlock(&auth->lock);
	return r;
}

static void settle(Auth *auth, const char *key, const char *header, int64_t expires)
{
	pthread_mutex_lock(&auth->lock);
	Entry *entry = find(auth, key);
	if (entry) {
		wipe(entry->header);
		entry->header = header ? strdup(header) : NULL;
		entry->expires = expires;
		entry->busy = false;
	}
	pthread_cond_broadcast(&auth->changed);
	pthread_mutex_unlock(&auth->lock);
}

int auth_answer(Job *j, const TransferEndpoint *to, const char *scope, const HttpResponse *refused, const char *failed, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_BYTES);
	const char *header = NULL;
	int64_t expires = 0;
	if (to->bearer_token && *to->bearer_token) return http_refusal(j, refused, "the token given was refused", e);
	const char *key = key_of(&a, to, scope);
	if (!key) return err_set(e, ERR_RESOURCE, ENOMEM, "authorization: out of memory");
	int r = claim(j, key, failed, e);
	if (r <= 0) return r;
	r = new_header(j, to, scope, refused, failed, &a, &header, &expires, e);
	settle(j->auth, key, r < 0 ? NULL : header, expires);
	return r;
}
