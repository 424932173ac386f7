/* auth.h: who is asking: passwords (Basic), tokens (Bearer), client certificates; and the answer when it is not enough.
 *
 * Rights come from the rules alone (access.h). A token narrows them, never widens: what a user lost is lost at once, although
 * his token has not expired. With the keys of another token server (auth.keys) its tokens are the only way in, and without rules what they say
 * counts.
 */
#pragma once

#include "base/digest.h"
#include "registry/htpasswd.h"
#include "registry/token.h"

typedef struct Registry Registry;
typedef struct Request Request;

enum { AUTH_KNOWN_MAX = 256 };

/* A password that was right some time ago, as a hash with this process' salt: bcrypt takes 50 ms of a processor. */
typedef struct AuthKnown {
	Digest digest;
	int64_t until; /* ns, monotonic */
} AuthKnown;

typedef struct Auth {
	Htpasswd *passwords; /* NULL: nobody can log in by password */
	SignatureKeys *keys; /* of another token server; NULL: there is none */
	TokenKey key;
	uint8_t salt[16];
	AuthKnown known[AUTH_KNOWN_MAX];
	size_t next_known;
	unsigned checking;
} Auth;

int auth_init(Registry *reg, Err *e) MUST_USE;
void auth_done(Registry *reg);
/* auth_reload: reads the file of passwords or keys again; the old one stays when that fails. */
int auth_reload(Registry *reg, Err *e) MUST_USE;

/* auth_begin: finds out who q is, sets user and rights, and calls go(q), now or later. Wrong credentials are answered here. */
void auth_begin(Request *q, void (*go)(Request *q));

/* auth_password: is it his? now or later. The client may go meanwhile: then go is not called. */
void auth_password(Request *q, const char *user, const char *password, void (*go)(Request *q, bool right));

/* auth_refuse: 401 with a challenge for somebody unknown, 403 (or 401, for a token that says too little) otherwise. */
void auth_refuse(Request *q, unsigned needed);

/* auth_logged_in: somebody (or nobody, with a token of another server), or there is nothing to log in to. auth_is_known: for what is no repository's:
 * somebody, or there is nothing to log in to. */
bool auth_is_known(const Request *q);
bool auth_logged_in(const Request *q);
