/* options.h: how a registry is configured: by a JSON file and by flags, which a command puts over it.
 *
 * A zeroed RegistryOptions with root set is a registry on 127.0.0.1:5000 without authentication.
 */
#pragma once

#include "registry/access.h"

/* Bytes that repositories at and below a prefix may hold together ("team": also "team/app"; "": all of them). */
typedef struct RegistryQuota {
	const char *prefix;
	uint64_t bytes;
} RegistryQuota;

/* Retention: in repositories that match, of the tags that match, the newest keep_last stay, and those pushed within keep_days;
 * the others are removed by the collection. A tag that no rule matches stays; one that several match stays when one keeps it. */
typedef struct RegistryRetention {
	StrList repositories, tags;
	uint32_t keep_last, keep_days;
} RegistryRetention;

typedef struct RegistryGc {
	uint64_t interval; /* seconds between two collections; 0: 3600 */
	OptUint grace;     /* seconds that what nothing refers to stays; absent: 86400 */
	bool disabled;     /* no collection by time; SIGUSR1 starts one anyway */
	bool untagged;     /* manifests without a tag, that no index and no subject holds, are removed */
	bool dangling;     /* manifests whose subject is gone are removed */
	LIST_OF(RegistryRetention) retention;
} RegistryGc;

typedef struct RegistryWebhook {
	const char *url;      /* http:// or https:// */
	const char *ca;       /* PEM file: authorities for it beside the machine's; NULL: none */
	StrList repositories; /* patterns; empty: all */
	StrList events;       /* push, delete, mount; empty: all these; pull, which is told only when it is asked for */
} RegistryWebhook;

/* PEM files. */
typedef struct RegistryCertificate {
	const char *certificate, *key;
} RegistryCertificate;

typedef struct RegistryTls {
	const char *certificate, *key;             /* for clients that ask for no name, or for one that no certificate is for */
	LIST_OF(RegistryCertificate) certificates; /* more: the first that is for the name asked for */
	const char *client_ca;                     /* client certificates are asked for and name the user */
	bool client_required;
} RegistryTls;

typedef struct RegistryAuth {
	const char *htpasswd;
	bool token;              /* bearer tokens from /token instead of Basic at each request */
	const char *realm;       /* URL of /token as clients see it; NULL: from the request's Host. With keys: of the other server */
	const char *service;     /* NULL: "skep-registry" */
	uint64_t token_lifetime; /* seconds; 0: 300 */
	const char *keys;        /* file of another token server's keys (signature.h): its tokens are taken, and nothing else */
	const char *issuer;      /* with keys: who has to have issued a token */
	bool anonymous_pull;     /* a rule {"**", anonymous, pull} */
	AccessRuleList rules;    /* none: who has logged in may do everything; with keys: what his token says */
} RegistryAuth;

/* Repositories at and below prefix are copies of those of another registry, which is asked for what is not here. Of several
 * prefixes the longest counts; "" is all repositories. */
typedef struct RegistryProxy {
	const char *prefix;
	const char *upstream; /* "https://host:port/path" (path: put before the repositories' names), "http://…", "host" */
	const char *username, *password;
	OptUint ttl;   /* seconds after which what a tag stands for is asked for again; absent: 300 */
	bool insecure; /* https: the certificate is not verified */
	/* set by registry_options_check: */
	const char *url, *path; /* scheme and host; "" or the path */
	bool library;           /* docker.io: a name of one part stands below library/ there */
} RegistryProxy;

typedef struct RegistryOptions {
	const char *root;
	StrList listen;             /* net/server.h, http_server_listen; empty: 127.0.0.1:5000 */
	const char *metrics_listen; /* /metrics and /healthz there instead; NULL: beside the API */
	RegistryTls tls;
	RegistryAuth auth;
	RegistryGc gc;
	LIST_OF(RegistryQuota) quotas;
	LIST_OF(RegistryWebhook) webhooks;
	LIST_OF(RegistryProxy) proxies;
	uint64_t max_repositories; /* 0: no limit */
	uint64_t max_blob;         /* bytes of one blob; 0: no limit */
	uint64_t upload_expiry;    /* seconds after which an upload nobody continued is dropped; 0: 86400 */
	uint64_t cache;            /* bytes of manifests kept in memory; 0: 32 MiB */
	uint32_t threads;          /* that hash and write; 0: as many as processors, 2 to 8 */
	bool readonly;             /* pushes and deletions get 405 */
	bool no_delete;            /* deletions get 405 */
	bool sparse;               /* manifests may refer to blobs that are not there */
	bool access_log;           /* a JSON line for each request on standard output */
	const char *worker;        /* for tests: the program skep-transfer; NULL: as transfer_start() finds it */
} RegistryOptions;

extern const BindTable registry_options_table;

enum { REGISTRY_CONFIG_MAX = 4 << 20 };

/* registry_options_load: *o as the file at path says, its strings in a. Flags are put over it afterwards. */
int registry_options_load(const char *path, Arena *a, RegistryOptions *o, Err *e) MUST_USE;

/* registry_options_check: combinations and patterns; fills in the defaults. Once, after file and flags. a: for what is added. */
int registry_options_check(RegistryOptions *o, Arena *a, Err *e) MUST_USE;
