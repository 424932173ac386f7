/* registries.h: where an image is to be asked for: registries.conf(5) version 2.
 *
 * The rules are those of podman's and skopeo's users: the entry with the longest prefix counts; its mirrors come first, in their order;
 * a blocked registry is refused. Without an entry a registry is asked by https at its own name.
 * A later file (registries.conf, then registries.conf.d in the order of their names, the system's before the user's) replaces entries with the same
 * prefix, the list of search registries, and single aliases.
 */
#pragma once

#include "image/certs.h"

enum { REGISTRIES_FILE_MAX = 1 << 20, REGISTRIES_MAX = 4096 };

/* pull-from-mirror; PULL_UNSET is PULL_ALL unless the registry says mirror-by-digest-only */
typedef enum { PULL_UNSET, PULL_ALL, PULL_DIGEST_ONLY, PULL_TAG_ONLY } MirrorPull;

typedef struct RegistryMirror {
	const char *location;
	bool insecure;
	int pull; /* MirrorPull */
} RegistryMirror;

typedef struct Registry {
	const char *prefix;   /* "example.com/foo" or "*.example.com" */
	const char *location; /* what stands in the prefix's place; NULL: the prefix itself */
	bool insecure, blocked, mirror_by_digest_only;
	LIST_OF(RegistryMirror) mirrors;
} Registry;

typedef enum { SHORT_NAME_ENFORCING, SHORT_NAME_PERMISSIVE, SHORT_NAME_DISABLED } ShortNameMode;

typedef struct Registries {
	Registry *items;
	size_t n;
	StrList search; /* unqualified-search-registries */
	StrMap aliases; /* "debian" -> "docker.io/library/debian" */
	int short_name_mode;
} Registries;

/* Endpoint: one address to ask, in order. */
typedef struct Endpoint {
	const char *scheme; /* "https" or "http" */
	const char *host;   /* with port, as in a URL */
	const char *path;   /* the repository there: "library/debian" */
	bool insecure;      /* https: its certificate is not verified */
	bool mirror;
	Certs certs;
} Endpoint;

typedef LIST_OF(Endpoint) EndpointList;

/* registries_init: nothing configured: every registry at its own name, docker.io for short names. */
void registries_init(Registries *r);
/* registries_read: takes one file's text over what is there. name stands in messages. Strings live in the arena. -EINVAL with the place. */
int registries_read(Registries *r, Str text, const char *name, Arena *a, Err *e) MUST_USE;
/* registries_load: the files of this machine and user: $CONTAINERS_REGISTRIES_CONF alone if set; else /etc/containers and the user's
 * ~/.config/containers. What is not there is no error. */
int registries_load(Registries *r, Arena *a, Err *e) MUST_USE;

/* registries_endpoints: where domain/path ("docker.io", "library/debian") is to be asked for; by_digest says whether a digest or a tag is
 * wanted. -EACCES when it is blocked. */
int registries_endpoints(const Registries *r, const char *domain, const char *path, bool by_digest, Arena *a, EndpointList *ret,
			 Err *e) MUST_USE;

/* registries_short_name: what a name without a registry may stand for, in the order to try: its alias, else the name at each search
 * registry. In enforcing mode several candidates are an error, for nobody can be asked which one is meant: it lists them. */
int registries_short_name(const Registries *r, const char *name, Arena *a, StrList *ret, Err *e) MUST_USE;
