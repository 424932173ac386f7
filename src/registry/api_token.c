/* api_token.c: /token: a login, or nobody's, for a signed list of rights (docker's token specification; GET with Basic credentials, or POST with
 * grant_type=password as containerd does). */
#include "registry/service.h"

#include "base/base64.h"
#include "base/time.h"
#include "net/url.h"

enum { FORM_MAX = 16 * 1024, ACCOUNT_MAX = 1024 };

typedef struct TokenRequest {
	Request *q;
	const char *user; /* NULL: anonymous */
	const char *form; /* NULL: the query */
	Buf body;
} TokenRequest;

static const char *parameter(TokenRequest *t, const char *name, size_t at)
{
	const char *value;
	if (!t->form) return http_query_at(t->q->x, name, at);
	return url_query_get(str_of(t->form), name, at, http_arena(t->q->x), &value) < 0 ? NULL : value;
}

/* What of the asked scopes the rules give. Scopes may come one by one or in one parameter, with blanks between. */
static void grant(TokenRequest *t, Token *token)
{
	const RegistryOptions *o = t->q->reg->o;
	const char *text;
	for (size_t i = 0; i < TOKEN_SCOPES_MAX && (text = parameter(t, "scope", i)); i++) {
		Str rest = str_of(text), one;
		while (token->n_scopes < TOKEN_SCOPES_MAX && str_next(&rest, ' ', &one)) {
			AccessScope scope;
			if (access_scope_parse(one, &scope) < 0 || !name_valid(scope.name)) continue;
			const char *name = arena_str(http_arena(t->q->x), scope.name);
			scope.actions &= name ? access_rights(&o->auth.rules, t->user, name) : 0;
			token->scopes[token->n_scopes++] = scope;
		}
	}
}

static void send_token(TokenRequest *t)
{
	Registry *reg = t->q->reg;
	const RegistryAuth *auth = &reg->o->auth;
	int64_t now = time_now();
	char issued[TIME_TEXT_MAX];
	AUTO_BUF text = BUF_INIT(TOKEN_MAX), body = BUF_INIT(3 * TOKEN_MAX);
	Token *token = arena_alloc(http_arena(t->q->x), sizeof *token);
	int r = token ? 0 : -ENOMEM;
	if (token) {
		*token = (Token){ .user = t->user ? t->user : "", .issuer = auth->service, .audience = auth->service };
		token->issued = now / 1000000000;
		token->expires = token->issued + (int64_t)auth->token_lifetime;
		grant(t, token);
		r = token_sign(&reg->auth.key, token, &text);
	}
	if (r < 0) {
		Err e = ERR_INIT;
		err_sys(&e, -r, "sign a token");
		reply_failure(t->q, &e);
		return;
	}
	time_format(now, TIME_SECONDS, issued);
	JsonWriter w = JSON_WRITER(&body);
	json_begin_object(&w);
	json_put_string(&w, "token", text.p);
	json_put_string(&w, "access_token", text.p);
	json_put_uint(&w, "expires_in", auth->token_lifetime);
	json_put_string(&w, "issued_at", issued);
	json_end_object(&w);
	reply_start(t->q, 200);
	http_reply_header(t->q->x, "Cache-Control", "no-store");
	reply_body(t->q, "application/json", body.p, body.n);
}

static void token_password(Request *q, bool right)
{
	TokenRequest *t = http_data(q->x);
	if (right) {
		send_token(t);
		return;
	}
	reply_error(q, CODE_UNAUTHORIZED, "wrong user or password");
}

static void issue(TokenRequest *t, const char *user, const char *password)
{
	const char *service = parameter(t, "service", 0);
	if (service && service[0] && !streq(service, t->q->reg->o->auth.service)) {
		reply_error_status(t->q, 400, CODE_DENIED, "this registry is the service \"%s\"", t->q->reg->o->auth.service);
	} else if (!user) {
		send_token(t);
	} else {
		t->user = user;
		http_set_data(t->q->x, t);
		auth_password(t->q, user, password, token_password);
	}
}

static void with_header(TokenRequest *t)
{
	const char *header = http_header(t->q->x, "Authorization");
	Arena *a = http_arena(t->q->x);
	AUTO_BUF plain = BUF_INIT(ACCOUNT_MAX);
	Str user, password;
	if (!header) {
		issue(t, NULL, NULL);
		return;
	}
	bool good = strncasecmp(header, "Basic ", 6) == 0 && base64_decode(str_trim(str_of(header + 6)), &plain) >= 0;
	good = good && plain.n && !memchr(plain.p, 0, plain.n) && str_cut((Str){ plain.p, plain.n }, ':', &user, &password) && user.n;
	const char *name = good ? arena_str(a, user) : NULL, *secret = good ? arena_str(a, password) : NULL;
	if (name && secret)
		issue(t, name, secret);
	else
		reply_error(t->q, CODE_UNAUTHORIZED, "credentials cannot be read");
}

static void with_form(TokenRequest *t)
{
	const char *grant_type = parameter(t, "grant_type", 0), *user = parameter(t, "username", 0),
		   *password = parameter(t, "password", 0);
	if (!grant_type || !streq(grant_type, "password"))
		reply_error_status(t->q, 400, CODE_UNSUPPORTED, "grant_type: only password");
	else if (!user || !user[0] || !password)
		reply_error_status(t->q, 400, CODE_UNAUTHORIZED, "username and password are needed");
	else
		issue(t, user, password);
}

static int on_form(void *arg, HttpExchange *x, const void *p, size_t n, bool end, int error)
{
	TokenRequest *t = arg;
	if (error) return 0;
	buf_put(&t->body, p, n);
	if (buf_failed(&t->body)) {
		reply_error_status(t->q, 413, CODE_UNSUPPORTED, "a form has at most %d bytes", FORM_MAX);
		return -EFBIG;
	}
	if (!end) return 0;
	t->form = buf_str(&t->body);
	with_form(t);
	return 0;
}

static void free_form(void *p)
{
	buf_done(p);
}

void api_token(Request *q)
{
	Arena *a = http_arena(q->x);
	TokenRequest *t = arena_alloc(a, sizeof *t);
	if (!t || arena_defer(a, free_form, &t->body) < 0) {
		reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
		return;
	}
	t->q = q;
	t->body = BUF_INIT(FORM_MAX);
	if (request_is(q, "GET"))
		with_header(t);
	else if (request_is(q, "POST"))
		http_body(q->x, on_form, t);
	else
		reply_method(q, "GET, POST");
}
