/* htpasswd.h: users and their passwords from a file as htpasswd -B writes it: "name:$2y$10$…" a line, bcrypt alone.
 * The only wrapper of libcrypt. */
#pragma once

#include "base/err.h"
#include "base/str.h"

typedef struct Htpasswd Htpasswd;

enum { HTPASSWD_FILE_MAX = 4 << 20, HTPASSWD_PASSWORD_MAX = 72 /* bytes that bcrypt looks at */ };

/* htpasswd_load: the whole file. Empty lines and those that begin with '#' are passed over; any other that is not a name and a bcrypt
 * hash is refused with its number, as is a name given twice. */
int htpasswd_load(const char *path, Htpasswd **ret, Err *e) MUST_USE;
int htpasswd_parse(Str text, const char *document, Htpasswd **ret, Err *e) MUST_USE;
void htpasswd_free(Htpasswd *h);

/* htpasswd_hash: the hash of a user, NULL when there is none. Valid until htpasswd_free. */
const char *htpasswd_hash(const Htpasswd *h, const char *user);

/* htpasswd_check: does the password belong to the hash? Takes tens of milliseconds, by design, and may run in any thread. hash NULL (no such
 * user) takes as long and says no. A password above HTPASSWD_PASSWORD_MAX bytes is never right: bcrypt would cut it silently. */
bool htpasswd_check(const char *hash, const char *password);
