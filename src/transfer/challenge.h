/* challenge.h: the WWW-Authenticate header (RFC 9110, 11.6.1), as registries use it. Pure. */
#pragma once

#include "base/arena.h"

typedef struct Challenge {
	bool bearer, basic;                  /* the schemes offered */
	const char *realm, *service, *scope; /* of Bearer; NULL when absent */
	const char *error;                   /* of Bearer: "insufficient_scope", "invalid_token" */
} Challenge;

/* challenge_parse: a list of challenges; unknown schemes and parameters are skipped. The first Bearer counts. -EINVAL: not such a list;
 * -ENOMEM. */
int challenge_parse(const char *header, Arena *a, Challenge *ret) MUST_USE;
