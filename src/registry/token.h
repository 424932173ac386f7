/* token.h: bearer tokens: JSON Web Tokens (RFC 7519) that this registry signs and reads itself, HS256 only; or those of another server.
 *
 * A token of our own is accepted when its head is byte for byte the one that is written here: no algorithm, key id or other choice is
 * ever taken from the token, so none can be confused. The signature is compared in constant time, before anything in
 * the token is parsed. Those of another server are signed with a key of which we have the public half (signature.h). A registry takes one of the
 * two kinds.
 */
#pragma once

#include "base/bind.h"
#include "registry/access.h"
#include "registry/signature.h"

enum {
	TOKEN_KEY_BYTES = 32,
	TOKEN_MAX = 16 * 1024, /* a longer one is refused unread */
	TOKEN_SCOPES_MAX = 64, /* in one token */
	TOKEN_LEEWAY = 5,      /* seconds by which clocks may differ */
	TOKEN_LEEWAY_FOREIGN = 60,
};

typedef struct TokenKey {
	uint8_t bytes[TOKEN_KEY_BYTES];
} TokenKey;

/* Claims of a token. user: "" for anonymous. */
typedef struct Token {
	const char *user, *issuer, *audience;
	int64_t issued, expires; /* seconds since 1970 */
	AccessScope scopes[TOKEN_SCOPES_MAX];
	size_t n_scopes;
	bool catalog; /* he may list the repositories; of another server only */
} Token;

/* token_sign: appends the token to out. -EIO (hashing), -ENOMEM. */
int token_sign(const TokenKey *key, const Token *t, Buf *out) MUST_USE;

/* token_verify: text as it came after "Bearer ". now: seconds since 1970. The result's strings live in a.
 * -EBADMSG: not a token of this key; -ETIME: expired or not valid yet; -EACCES: for another issuer or audience; -ENOMEM. */
int token_verify(const TokenKey *key, Str text, const char *issuer, const char *audience, int64_t now, Arena *a, Token *ret) MUST_USE;

/* token_verify_foreign: the same for a token of another server. */
int token_verify_foreign(const SignatureKeys *keys, Str text, const char *issuer, const char *audience, int64_t now, Arena *a,
			 Token *ret) MUST_USE;

/* token_rights: what its scopes together give for a repository. */
unsigned token_rights(const Token *t, Str repository);

/* hmac_sha256: RFC 2104, for tokens and their tests. -EIO, -ENOMEM. */
int hmac_sha256(const void *key, size_t key_n, const void *p, size_t n, uint8_t ret[static 32]) MUST_USE;
