/* auth.h: credentials of registries: basic, and bearer tokens of a token server (distribution's spec "token authentication"), kept
 * for this process.
 *
 * Rules
 *  - Credentials go to the origin of the endpoint's URL, and with a token request to the realm that this origin names; to a realm of http
 *    only when the endpoint is http itself. A redirect of either loses them (http.h).
 *  - One token per origin, user and scope; it is forgotten 10 s before it expires. Requests that need the same token wait for one of them
 *    to get it.
 */
#pragma once

#include "transfer/http.h"

int auth_new(Auth **ret) MUST_USE;
void auth_free(Auth *a);

/* auth_is_secret: what is said to it in Authorization is worth something: it has a user or a token, and is not asked as nobody. */
bool auth_is_secret(const TransferEndpoint *to);

/* auth_header: the value of Authorization that worked before or, unasked, is sure to be the right one (bearer_token); NULL: none is known
 * yet. scope: "repository:library/debian:pull", several separated by blanks. */
int auth_header(Job *j, const TransferEndpoint *to, const char *scope, Arena *a, const char **ret, Err *e) MUST_USE;

/* auth_answer: the registry answered 401 to a request with the header `failed` (NULL: none). 0: auth_header has another one now;
 * -EACCES: there is none that could help. */
int auth_answer(Job *j, const TransferEndpoint *to, const char *scope, const HttpResponse *refused, const char *failed, Err *e) MUST_USE;
