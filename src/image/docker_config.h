/* docker_config.h: docker's config.json: who one is at a registry, and how credentials are kept; podman's auth.json is read as well.
 *
 * Credentials come from, in this order: the helper named for the registry (credHelpers), the helper for all (credsStore), the file's own
 * auths (base64, no secret at all), podman's auth.json ($REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json,
 * ~/.config/containers/auth.json), where the longest matching name counts.
 * What the file holds that is not known here is kept when it is written.
 */
#pragma once

#include "base/bind.h"

enum { DOCKER_CONFIG_MAX = 4 << 20, DOCKER_HELPER_TIMEOUT_MS = 30000 };

/* The name of docker.io in files of credentials. */
#define DOCKER_HUB_KEY "https://index.docker.io/v1/"

typedef struct Proxies {
	const char *http, *https, *no, *ftp, *all; /* NULL: not given */
} Proxies;

typedef struct DockerConfig {
	const char *path;      /* of config.json */
	const JsonValue *root; /* the document; NULL: there is none */
	const JsonValue *podman;
	StrMap headers;        /* HttpHeaders */
	StrMap helpers;        /* credHelpers: registry -> name */
	const char *store;     /* credsStore */
	int helper_timeout_ms; /* DOCKER_HELPER_TIMEOUT_MS, unless changed */
} DockerConfig;

typedef struct Credential {
	const char *username, *password; /* NULL: none, the registry is asked anonymously */
	const char *identity_token;      /* instead of a password: an OAuth2 refresh token */
} Credential;

/* docker_config_load: config.json of the directory dir; NULL: $DOCKER_CONFIG, else ~/.docker. What is not there is no error. -EINVAL with the
 * place when the file is none. */
int docker_config_load(const char *dir, Arena *a, DockerConfig *ret, Err *e) MUST_USE;

/* docker_config_proxies: of "proxies": those for host ("tcp://…", or NULL), else the default ones. */
void docker_config_proxies(const DockerConfig *c, const char *host, Proxies *ret);

/* docker_config_credential: for registry ("docker.io", "quay.io:443") and, with podman's files, a repository there (or NULL). An empty
 * credential when there is none. A helper that fails is an error. */
int docker_config_credential(const DockerConfig *c, const char *registry, const char *repository, Arena *a, Credential *ret,
			     Err *e) MUST_USE;

/* docker_config_login: keeps a credential: with the helper, else in the file, which is made with mode 0600 and replaced as a whole. Sets *ret_plain
 * when it is now readable in the file: the user is to be warned (DOCKER_CONFIG_WARNING, with the path). */
int docker_config_login(DockerConfig *c, const char *registry, const Credential *credential, Arena *a, bool *ret_plain, Err *e) MUST_USE;
/* docker_config_logout: forgets it; *ret_known says whether there was one. */
int docker_config_logout(DockerConfig *c, const char *registry, Arena *a, bool *ret_known, Err *e) MUST_USE;

#define DOCKER_CONFIG_WARNING "WARNING! Your credentials are stored unencrypted in '%s'."

/* Credential helpers (docker_helper.c): the program docker-credential-<name> is found in PATH and spoken to over its standard streams, as
 * docker does it. It is killed when it takes longer than timeout_ms. name is checked to be a bare word.
 * helper_get: *ret is empty when the helper knows nothing. */
int helper_get(const char *name, const char *server, int timeout_ms, Arena *a, Credential *ret, Err *e) MUST_USE;
int helper_store(const char *name, const char *server, const Credential *credential, int timeout_ms, Err *e) MUST_USE;
int helper_erase(const char *name, const char *server, int timeout_ms, Err *e) MUST_USE;
