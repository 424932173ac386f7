/* registry_options.c: see registry_options.h. */
#include "cli/skep/registry_options.h"

#define REGISTRY_OPTIONS \
	VALUE("config-file", 0, "FILE", "Read the configuration from this JSON file"), \
		VALUE("root", 0, "DIR", "Keep the registry's data there (default: registry below the state directory)")

const Option registry_serve_options[] = {
	REGISTRY_OPTIONS,
	LIST("listen", 0, "ADDRESS", "Listen there: HOST:PORT, [IPv6]:PORT, :PORT or unix:/path (default: 127.0.0.1:5000)"),
	VALUE("metrics-listen", 0, "ADDRESS", "Serve /metrics and /healthz there instead"),
	LIST("tls-cert", 0, "FILE",
	     "Serve TLS with this certificate chain (PEM); of several, each with its key, the one for the name asked for"),
	LIST("tls-key", 0, "FILE", "The certificate's key (PEM)"),
	VALUE("tls-client-ca", 0, "FILE", "Ask clients for certificates of this authority; they name the user"),
	SWITCH("tls-client-required", 0, "Refuse clients without one"),
	VALUE("htpasswd", 0, "FILE", "Users and their passwords (bcrypt), as htpasswd -B writes them"),
	VALUE("token-keys", 0, "FILE",
	      "Take the tokens of another server that has these keys (JSON Web Key Set, or PEM certificates), and no others"),
	VALUE("token-realm", 0, "URL", "Send clients there for a token"),
	VALUE("token-service", 0, "NAME", "Who the tokens are for (default: skep-registry)"),
	VALUE("token-issuer", 0, "NAME", "Who has to have issued them"),
	SWITCH("token", 0, "Hand out bearer tokens instead of asking for the password each time"),
	SWITCH("anonymous-pull", 0, "Everybody may pull"),
	SWITCH("read-only", 0, "Refuse pushes and deletions"),
	SWITCH("no-delete", 0, "Refuse deletions"),
	SWITCH("sparse", 0, "Accept manifests whose blobs are not here"),
	LIST("proxy", 0, "PREFIX=URL",
	     "Repositories below PREFIX are copies of those at URL, fetched when they are asked for (=URL: all repositories)"),
	SWITCH("access-log", 0, "Print a JSON line for each request"),
	OPTION(UINT, "threads", 0, NULL, "Threads that hash and write (default: one for each processor)", .max = 64),
	{ 0 },
};

const Option registry_gc_options[] = { REGISTRY_OPTIONS, { 0 } };

const Option registry_check_options[] = {
	REGISTRY_OPTIONS,
	SWITCH("quick", 0, "Do not read the blobs"),
	SWITCH("repair", 0, "Forget lost and damaged blobs, so that they are pushed again"),
	{ 0 },
};
