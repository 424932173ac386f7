/* token.c: see token.h. */
#include "registry/token.h"

#include "base/base64.h"
#include "base/hash.h"

/* {"alg":"HS256","typ":"JWT"} */
static const char head[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

enum { HMAC_BLOCK = 64, MAC_BYTES = 32 };

/* ---- HMAC ---- */

static int hash_two(const uint8_t *block, const void *p, size_t n, uint8_t *ret)
{
	AUTO_HASH *h = NULL;
	Digest d;
	int r = hash_new(DIGEST_SHA256, &h);
	if (r < 0) return r;
	hash_update(h, block, HMAC_BLOCK);
	hash_update(h, p, n);
	r = hash_final(h, &d);
	if (r < 0) return r;
	memcpy(ret, d.bytes, MAC_BYTES);
	return 0;
}

int hmac_sha256(const void *key, size_t key_n, const void *p, size_t n, uint8_t ret[static 32])
{
	uint8_t block[HMAC_BLOCK] = { 0 }, inner[MAC_BYTES];
	if (key_n > HMAC_BLOCK) {
		Digest d;
		int r = digest_of(DIGEST_SHA256, key, key_n, &d);
		if (r < 0) return r;
		memcpy(block, d.bytes, MAC_BYTES);
	} else if (key_n) {
		memcpy(block, key, key_n);
	}
	for (size_t i = 0; i < HMAC_BLOCK; i++)
		block[i] ^= 0x36;
	int r = hash_two(block, p, n, inner);
	if (r < 0) return r;
	for (size_t i = 0; i < HMAC_BLOCK; i++)
		block[i] ^= 0x36 ^ 0x5c;
	return hash_two(block, inner, sizeof inner, ret);
}

/* ---- claims ---- */

typedef struct AccessClaim {
	const char *type, *name;
	StrList actions;
} AccessClaim;

typedef struct Claims {
	const char *issuer, *subject;
	const JsonValue *audience;
	int64_t expires, not_before, issued;
	LIST_OF(AccessClaim) access;
} Claims;

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}

BIND_TABLE(access_claim_table, "access", AccessClaim, ROW(AccessClaim, "type", BIND_STRING, type, .flags = BIND_REQUIRED),
	   ROW(AccessClaim, "name", BIND_STRING, name, .flags = BIND_REQUIRED), ROW(AccessClaim, "actions", BIND_STRINGS, actions));
BIND_TABLE(claims_table, "token", Claims, ROW(Claims, "iss", BIND_STRING, issuer), ROW(Claims, "sub", BIND_STRING, subject),
	   ROW(Claims, "aud", BIND_RAW, audience), ROW(Claims, "exp", BIND_I64, expires, .flags = BIND_REQUIRED),
	   ROW(Claims, "nbf", BIND_I64, not_before), ROW(Claims, "iat", BIND_I64, issued),
	   ROW(Claims, "access", BIND_LIST, access, .sub = &access_claim_table));

static void write_claims(Buf *out, const Token *t)
{
	static const char *const names[] = { "pull", "push", "delete" };
	JsonWriter w = JSON_WRITER(out);
	json_begin_object(&w);
	json_put_string(&w, "iss", t->issuer);
	json_put_string(&w, "sub", t->user);
	json_put_string(&w, "aud", t->audience);
	json_put_int(&w, "exp", t->expires);
	json_put_int(&w, "nbf", t->issued);
	json_put_int(&w, "iat", t->issued);
	json_key(&w, "access");
	json_begin_array(&w);
	for (size_t i = 0; i < t->n_scopes; i++) {
		json_begin_object(&w);
		json_put_string(&w, "type", "repository");
		json_key(&w, "name");
		json_str(&w, t->scopes[i].name);
		json_key(&w, "actions");
		json_begin_array(&w);
		for (size_t k = 0; k < ARRAY_LEN(names); k++)
			if (t->scopes[i].actions & (1U << k)) json_string(&w, names[k]);
		json_end_array(&w);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
}

int token_sign(const TokenKey *key, const Token *t, Buf *out)
{
	AUTO_BUF claims = BUF_INIT(TOKEN_MAX);
	uint8_t mac[MAC_BYTES];
	size_t from = out->n;
	write_claims(&claims, t);
	if (buf_failed(&claims)) return -ENOMEM;
	buf_puts(out, head);
	buf_putc(out, '.');
	base64url_encode(out, claims.p, claims.n);
	if (buf_failed(out)) return -ENOMEM;
	int r = hmac_sha256(key->bytes, sizeof key->bytes, out->p + from, out->n - from, mac);
	if (r < 0) return r;
	buf_putc(out, '.');
	base64url_encode(out, mac, sizeof mac);
	return buf_failed(out) ? -ENOMEM : 0;
}

static bool same_bytes(const uint8_t *a, const char *b, size_t n)
{
	uint8_t differ = 0;
	for (size_t i = 0; i < n; i++)
		differ |= (uint8_t)(a[i] ^ (uint8_t)b[i]);
	return differ == 0;
}

/* Splits off and checks the signature; *ret_claims is the encoded middle. */
static int check_signature(const TokenKey *key, Str text, Str *ret_claims)
{
	Str rest, given;
	if (text.n > TOKEN_MAX || !str_cut(text, '.', &(Str){ 0 }, &rest) || !str_cut(rest, '.', ret_claims, &given)) return -EBADMSG;
	size_t n = sizeof head - 1;
	if (text.n < n || memcmp(text.p, head, n) != 0 || text.p[n] != '.') return -EBADMSG;
	AUTO_BUF mac = BUF_INIT(MAC_BYTES);
	uint8_t want[MAC_BYTES];
	if (base64url_decode(given, &mac) < 0 || mac.n != MAC_BYTES) return -EBADMSG;
	int r = hmac_sha256(key->bytes, sizeof key->bytes, text.p, (size_t)(given.p - 1 - text.p), want);
	if (r < 0) return r;
	return same_bytes(want, mac.p, MAC_BYTES) ? 0 : -EBADMSG;
}

static unsigned claim_actions(const StrList *actions)
{
	unsigned bits = 0;
	for (size_t i = 0; i < actions->n; i++)
		bits |= access_action(str_of(actions->items[i]));
	return bits;
}

/* One of the audiences is us; there may be one, or a list of them (RFC 7519 section 4.1.3). */
static bool is_for(const JsonValue *audience, const char *us)
{
	if (!audience) return false;
	if (audience->type == JSON_STRING) return streq(audience->s, us);
	for (uint32_t i = 0; audience->type == JSON_ARRAY && i < audience->n; i++)
		if (audience->items[i].type == JSON_STRING && streq(audience->items[i].s, us)) return true;
	return false;
}

static void take_access(const Claims *c, Token *t)
{
	for (size_t i = 0; i < c->access.n; i++) {
		const AccessClaim *claim = &c->access.items[i];
		if (streq(claim->type, "repository") && t->n_scopes < TOKEN_SCOPES_MAX)
			t->scopes[t->n_scopes++] = (AccessScope){ str_of(claim->name), claim_actions(&claim->actions) };
		for (size_t k = 0; streq(claim->type, "registry") && streq(claim->name, "catalog") && k < claim->actions.n; k++)
			t->catalog |= streq(claim->actions.items[k], "*");
	}
}

/* The middle of a token whose signature is right. */
static int read_claims(Str encoded, const char *issuer, const char *audience, int64_t now, int64_t leeway, Arena *a, Token *ret)
{
	Claims c;
	JsonValue tree; /* what is left raw in the claims points into it */
	Err e = ERR_INIT;
	AUTO_BUF json = BUF_INIT(TOKEN_MAX);
	int r = base64url_decode(encoded, &json);
	if (r < 0) return r == -ENOMEM ? r : -EBADMSG;
	char *copy = arena_str(a, (Str){ json.p, json.n });
	if (!copy) return -ENOMEM;
	if (json_parse(copy, json.n, a, &tree, &e) < 0 || bind_decode(&claims_table, &tree, &c, "token", a, &e) < 0) return -EBADMSG;
	if (!c.issuer || !streq(c.issuer, issuer) || !is_for(c.audience, audience)) return -EACCES;
	if (c.expires <= now - leeway || c.not_before > now + leeway) return -ETIME;
	*ret = (Token){
		.user = c.subject ? c.subject : "", .issuer = c.issuer, .audience = audience, .issued = c.issued, .expires = c.expires
	};
	take_access(&c, ret);
	return 0;
}

int token_verify(const TokenKey *key, Str text, const char *issuer, const char *audience, int64_t now, Arena *a, Token *ret)
{
	Str encoded;
	int r = check_signature(key, text, &encoded);
	return r < 0 ? r : read_claims(encoded, issuer, audience, now, TOKEN_LEEWAY, a, ret);
}

/* ---- of another server ---- */

typedef struct ForeignHead {
	SignatureHead head;
	const JsonValue *critical;
} ForeignHead;

BIND_TABLE(foreign_head_table, "token", ForeignHead, ROW(ForeignHead, "alg", BIND_STRING, head.algorithm, .flags = BIND_REQUIRED),
	   ROW(ForeignHead, "kid", BIND_STRING, head.key_id), ROW(ForeignHead, "x5c", BIND_STRINGS, head.chain),
	   ROW(ForeignHead, "crit", BIND_RAW, critical));

static int read_head(Str encoded, Arena *a, SignatureHead *ret)
{
	ForeignHead h;
	Err e = ERR_INIT;
	AUTO_BUF json = BUF_INIT(TOKEN_MAX);
	int r = base64url_decode(encoded, &json);
	if (r < 0) return r == -ENOMEM ? r : -EBADMSG;
	char *copy = arena_str(a, (Str){ json.p, json.n });
	if (!copy) return -ENOMEM;
	/* what is critical and not understood must not be passed over (RFC 7515 section 4.1.11), and nothing that may be is */
	if (bind_parse(&foreign_head_table, copy, json.n, &h, "token", a, &e) < 0 || h.critical) return -EBADMSG;
	*ret = h.head;
	return 0;
}

int token_verify_foreign(const SignatureKeys *keys, Str text, const char *issuer, const char *audience, int64_t now, Arena *a, Token *ret)
{
	SignatureHead said;
	Str first, rest, claims, given;
	AUTO_BUF signature = BUF_INIT(TOKEN_MAX);
	if (text.n > TOKEN_MAX || !str_cut(text, '.', &first, &rest) || !str_cut(rest, '.', &claims, &given)) return -EBADMSG;
	int r = read_head(first, a, &said);
	if (r < 0) return r;
	r = base64url_decode(given, &signature);
	if (r < 0) return r == -ENOMEM ? r : -EBADMSG;
	const Str whole = { text.p, (size_t)(given.p - 1 - text.p) };
	r = signature_verify(keys, &said, whole, (Str){ signature.p, signature.n });
	return r < 0 ? r : read_claims(claims, issuer, audience, now, TOKEN_LEEWAY_FOREIGN, a, ret);
}

unsigned token_rights(const Token *t, Str repository)
{
	unsigned rights = 0;
	for (size_t i = 0; i < t->n_scopes; i++)
		if (t->scopes[i].name.n == repository.n && memcmp(t->scopes[i].name.p, repository.p, repository.n) == 0)
			rights |= t->scopes[i].actions;
	return rights;
}
