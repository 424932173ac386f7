/* name.h: the words of the distribution API: repository names, tags, session ids, paths. Pure; nothing here touches a file.
 *
 * Everything that reaches the storage has passed one of these. What they let through holds no ".." part, no slash where none
 * belongs, no NUL and no upper-case hexadecimal, so it can be a file's name or a row's key.
 */
#pragma once

#include "base/str.h"

enum {
	NAME_MAX_LENGTH = 255, /* of a repository; clients allow 255 for host and name together */
	TAG_MAX_LENGTH = 128,
	SESSION_LENGTH = 32, /* hexadecimal digits of an upload's id: 128 random bits */
};

/* name_valid: distribution-spec "Pulling manifests", <name>; at most NAME_MAX_LENGTH bytes. */
bool name_valid(Str name) MUST_USE;

/* name_below: is name the repository prefix or one below it? All are below "". */
bool name_below(const char *name, const char *prefix) MUST_USE;

/* tag_valid: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
bool tag_valid(Str tag) MUST_USE;

/* session_valid: an id as session_new() makes it. */
bool session_valid(Str id) MUST_USE;

/* session_new: a new id from the kernel's random numbers. 0 or -errno. */
int session_new(char ret_id[static SESSION_LENGTH + 1]) MUST_USE;

/* The endpoints of distribution-spec "Endpoints", and the few beside them. */
typedef enum {
	ROUTE_NONE,
	ROUTE_BASE,      /* /v2/ */
	ROUTE_CATALOG,   /* /v2/_catalog */
	ROUTE_TAGS,      /* /v2/<name>/tags/list */
	ROUTE_MANIFEST,  /* /v2/<name>/manifests/<reference> */
	ROUTE_BLOB,      /* /v2/<name>/blobs/<digest> */
	ROUTE_UPLOADS,   /* /v2/<name>/blobs/uploads/ */
	ROUTE_UPLOAD,    /* /v2/<name>/blobs/uploads/<id> */
	ROUTE_REFERRERS, /* /v2/<name>/referrers/<digest> */
	ROUTE_TOKEN,     /* /token */
	ROUTE_HEALTH,    /* /healthz */
	ROUTE_METRICS,   /* /metrics */
} RouteKind;

typedef struct Route {
	RouteKind kind;
	Str name;      /* the repository as it stands in the path; not checked */
	Str reference; /* what follows the endpoint's word: tag, digest or session; not checked */
} Route;

/* route_parse: which endpoint a decoded path means. The views point into path. A repository may be called "a/tags/list" or
 * "blobs/uploads": the last fitting words are the endpoint's. */
Route route_parse(Str path);
