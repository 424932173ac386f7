/* auth.c: see auth.h. */
#include "registry/service.h"

#include <sys/random.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/hash.h"
#include "base/time.h"

enum { KNOWN_SECONDS = 300, CHECKING_MAX = 64, CREDENTIALS_MAX = 1024 };

int auth_init(Registry *reg, Err *e)
{
	Auth *a = &reg->auth;
	if (TEMP_FAILURE_RETRY(getrandom(a->salt, sizeof a->salt, 0)) != (ssize_t)sizeof a->salt)
		return err_sys(e, EIO, "read random numbers");
	if (reg->o->auth.token) {
		int r = storage_token_key(&reg->storage, &a->key, e);
		if (r < 0) return r;
	}
	return auth_reload(reg, e);
}

void auth_done(Registry *reg)
{
	htpasswd_free(reg->auth.passwords);
	reg->auth.passwords = NULL;
	signature_keys_free(reg->auth.keys);
	reg->auth.keys = NULL;
	explicit_bzero(&reg->auth.key, sizeof reg->auth.key);
}

static int reload_keys(Registry *reg, Err *e)
{
	SignatureKeys *fresh;
	int r = signature_keys_load(reg->o->auth.keys, &fresh, e);
	if (r < 0) return r;
	signature_keys_free(reg->auth.keys);
	reg->auth.keys = fresh;
	return 0;
}

int auth_reload(Registry *reg, Err *e)
{
	if (reg->o->auth.keys) return reload_keys(reg, e);
	if (!reg->o->auth.htpasswd) return 0;
	Htpasswd *fresh;
	int r = htpasswd_load(reg->o->auth.htpasswd, &fresh, e);
	if (r < 0) return r;
	htpasswd_free(reg->auth.passwords);
	reg->auth.passwords = fresh;
	memset(reg->auth.known, 0, sizeof reg->auth.known);
	return 0;
}

bool auth_logged_in(const Request *q)
{
	return auth_is_known(q) || (q->reg->auth.keys && q->token);
}

bool auth_is_known(const Request *q)
{
	return q->user || !(q->reg->o->auth.htpasswd || q->reg->o->tls.client_ca || q->reg->auth.keys);
}

/* ---- passwords ---- */

typedef struct PasswordCheck {
	Request *q; /* NULL when the client has gone */
	Registry *reg;
	Work job;
	void (*go)(Request *q, bool right);
	Digest digest;
	bool right, has_hash;
	char hash[64];
	char password[CREDENTIALS_MAX];
} PasswordCheck;

static int digest_credentials(const Auth *a, const char *user, const char *password, Digest *ret)
{
	AUTO_HASH *h = NULL;
	int r = hash_new(DIGEST_SHA256, &h);
	if (r < 0) return r;
	hash_update(h, a->salt, sizeof a->salt);
	hash_update(h, user, strlen(user) + 1);
	hash_update(h, password, strlen(password));
	return hash_final(h, ret);
}

static bool is_known(const Auth *a, const Digest *d)
{
	int64_t now = time_monotonic();
	for (size_t i = 0; i < AUTH_KNOWN_MAX; i++)
		if (a->known[i].until > now && digest_equal(&a->known[i].digest, d)) return true;
	return false;
}

static void check_work(void *arg)
{
	PasswordCheck *c = arg;
	c->right = htpasswd_check(c->has_hash ? c->hash : NULL, c->password);
}

static void check_done(void *arg)
{
	PasswordCheck *c = arg;
	Auth *a = &c->reg->auth;
	a->checking--;
	if (c->right) {
		a->known[a->next_known] = (AuthKnown){ c->digest, time_monotonic() + KNOWN_SECONDS * INT64_C(1000000000) };
		a->next_known = (a->next_known + 1) % AUTH_KNOWN_MAX;
	} else {
		c->reg->metrics.logins_refused++;
	}
	if (c->q) {
		http_on_abort(c->q->x, NULL, NULL);
		c->go(c->q, c->right);
	}
	explicit_bzero(c->password, sizeof c->password);
	free(c);
}

static void check_abort(void *arg, HttpExchange *x)
{
	((PasswordCheck *)arg)->q = NULL;
}

void auth_password(Request *q, const char *user, const char *password, void (*go)(Request *q, bool right))
{
	Auth *a = &q->reg->auth;
	Digest d;
	size_t n = strlen(password);
	if (!a->passwords || digest_credentials(a, user, password, &d) < 0) {
		go(q, false);
		return;
	}
	if (is_known(a, &d)) {
		go(q, true);
		return;
	}
	PasswordCheck *c = a->checking < CHECKING_MAX && n < CREDENTIALS_MAX ? calloc(1, sizeof *c) : NULL;
	if (!c) {
		reply_error(q, CODE_TOOMANYREQUESTS, "too many logins at once; try again");
		return;
	}
	const char *hash = htpasswd_hash(a->passwords, user);
	*c = (PasswordCheck){ .q = q, .reg = q->reg, .go = go, .digest = d, .job = { .work = check_work, .done = check_done, .arg = c } };
	if (hash && strlen(hash) < sizeof c->hash) {
		memcpy(c->hash, hash, strlen(hash) + 1);
		c->has_hash = true;
	}
	memcpy(c->password, password, n + 1);
	a->checking++;
	http_on_abort(q->x, check_abort, c);
	work_put(q->reg->workers, &c->job);
}

/* ---- a request ---- */

typedef struct Begin {
	void (*go)(Request *q);
	const char *user;
} Begin;

static void settle(Request *q, const char *user, void (*go)(Request *q))
{
	q->user = user;
	if (q->name && !q->reg->auth.keys) q->rights = access_rights(&q->reg->o->auth.rules, user, q->name);
	go(q);
}

static void challenge(Request *q, unsigned needed, const char *error)
{
	const RegistryAuth *auth = &q->reg->o->auth;
	char actions[ACCESS_TEXT_MAX];
	if (!auth->token && !auth->keys) {
		if (auth->htpasswd) http_reply_headerf(q->x, "WWW-Authenticate", "Basic realm=\"%s\", charset=\"UTF-8\"", auth->service);
		return;
	}
	const char *host = http_header(q->x, "Host");
	AUTO_BUF value = BUF_INIT(4096);
	if (auth->realm)
		buf_printf(&value, "Bearer realm=\"%s\"", auth->realm);
	else
		buf_printf(&value, "Bearer realm=\"%s://%s/token\"", http_is_tls(q->x) ? "https" : "http",
			   host && !strpbrk(host, "\"\\") ? host : "localhost");
	buf_printf(&value, ",service=\"%s\"", auth->service);
	if (q->route.kind == ROUTE_CATALOG && auth->keys) buf_puts(&value, ",scope=\"registry:catalog:*\"");
	if (q->name && needed) buf_printf(&value, ",scope=\"repository:%s:%s\"", q->name, access_format(needed, actions));
	if (error) buf_printf(&value, ",error=\"%s\"", error);
	if (!buf_failed(&value)) http_reply_header(q->x, "WWW-Authenticate", value.p);
}

static void refuse_with(Request *q, unsigned needed, const char *error, ApiCode code, const char *message)
{
	reply_start(q, 401);
	challenge(q, needed, error);
	reply_error_body(q, code, message);
}

/* A push asks to read as well: one token then does for all that a client will do. */
static unsigned to_ask_for(unsigned needed)
{
	return needed & ACCESS_PUSH ? needed | ACCESS_PULL : needed;
}

void auth_refuse(Request *q, unsigned needed)
{
	needed = to_ask_for(needed);
	if (!auth_logged_in(q))
		refuse_with(q, needed, NULL, CODE_UNAUTHORIZED, "authentication required");
	else if ((q->reg->o->auth.token || q->reg->auth.keys) && http_header(q->x, "Authorization") &&
		 starts_with(http_header(q->x, "Authorization"), "Bearer "))
		refuse_with(q, needed, "insufficient_scope", CODE_DENIED, "requested access to the resource is denied");
	else
		reply_error(q, CODE_DENIED, NULL);
}

static void password_answer(Request *q, bool right)
{
	Begin *b = http_data(q->x);
	if (right)
		settle(q, b->user, b->go);
	else
		refuse_with(q, 0, NULL, CODE_UNAUTHORIZED, "wrong user or password");
}

static void begin_basic(Request *q, Str encoded, void (*go)(Request *q))
{
	AUTO_BUF plain = BUF_INIT(CREDENTIALS_MAX);
	Arena *a = http_arena(q->x);
	Str user, password;
	Begin *b = arena_alloc(a, sizeof *b);
	bool good = b && base64_decode(str_trim(encoded), &plain) >= 0 && !memchr(buf_str(&plain), 0, plain.n);
	good = good && str_cut((Str){ plain.p, plain.n }, ':', &user, &password) && user.n;
	char *user_text = good ? arena_str(a, user) : NULL, *password_text = good ? arena_str(a, password) : NULL;
	if (!user_text || !password_text) {
		refuse_with(q, 0, NULL, CODE_UNAUTHORIZED, "credentials cannot be read");
		return;
	}
	*b = (Begin){ go, user_text };
	http_set_data(q->x, b);
	auth_password(q, user_text, password_text, password_answer);
	explicit_bzero(plain.p, plain.n);
}

static int verify(Request *q, Str text, Token *ret)
{
	const RegistryAuth *auth = &q->reg->o->auth;
	const Auth *have = &q->reg->auth;
	int64_t now = time_now() / 1000000000;
	if (have->keys) return token_verify_foreign(have->keys, text, auth->issuer, auth->service, now, http_arena(q->x), ret);
	return token_verify(&have->key, text, auth->service, auth->service, now, http_arena(q->x), ret);
}

static void begin_bearer(Request *q, Str text, void (*go)(Request *q))
{
	const RegistryAuth *auth = &q->reg->o->auth;
	Token *t = arena_alloc(http_arena(q->x), sizeof *t);
	int r = t ? verify(q, str_trim(text), t) : -ENOMEM;
	if (r < 0) {
		q->reg->metrics.logins_refused++;
		refuse_with(q, to_ask_for(service_needed_rights(q)), "invalid_token", CODE_UNAUTHORIZED,
			    r == -ETIME ? "the token has expired" : "the token is not valid here");
		return;
	}
	q->user = t->user[0] ? t->user : NULL;
	q->token = t;
	if (q->name) q->rights = access_rights(&auth->rules, q->user, q->name) & token_rights(t, str_of(q->name));
	go(q);
}

void auth_begin(Request *q, void (*go)(Request *q))
{
	const RegistryOptions *o = q->reg->o;
	const char *header = o->auth.htpasswd || o->auth.keys ? http_header(q->x, "Authorization") : NULL;
	if (header && o->auth.htpasswd && strncasecmp(header, "Basic ", 6) == 0) {
		begin_basic(q, str_of(header + 6), go);
	} else if (header && (o->auth.token || o->auth.keys) && strncasecmp(header, "Bearer ", 7) == 0) {
		begin_bearer(q, str_of(header + 7), go);
	} else if (header) {
		refuse_with(q, 0, NULL, CODE_UNAUTHORIZED, "this kind of credentials is not taken here");
	} else {
		settle(q, o->tls.client_ca && !o->auth.keys ? http_peer_cert_name(q->x) : NULL, go);
	}
}
