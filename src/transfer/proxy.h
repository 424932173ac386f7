/* proxy.h: which proxy a request goes through, by the variables that docker and curl read: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.
 *
 *  - Each may be written in capitals or in small letters; of two that are not empty the one in capitals counts, as with docker.
 *  - http: URLs go through HTTP_PROXY, https: ones through HTTPS_PROXY; without it through ALL_PROXY.
 *  - A proxy is [http|https|socks5|socks5h|socks4|socks4a://][USER:PASSWORD@]HOST[:PORT]; its scheme is http unless it is given. socks5 has
 *    the proxy resolve names, as with docker.
 *  - This machine ("localhost", 127.0.0.0/8, ::1) is asked without one, as with docker.
 *  - NO_PROXY is a list, separated by commas or blanks. "*": everything; a host ("example.com") and what lies below it; only what lies below it
 *    (".example.com", "*.example.com"); an address or a network ("10.1.2.3", "10.0.0.0/8", "fd00::/8"), for hosts that are written as addresses.
 *    A host and an address may end in a port: then it alone.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

/* ProxySettings: what the environment says; strings are its own. NULL: nothing. */
typedef struct ProxySettings {
	const char *http, *https, *all, *none;
} ProxySettings;

void proxy_settings(ProxySettings *ret);

/* proxy_for: *ret is the proxy for url as libcurl takes it, with its port, or NULL. -EINVAL: what is set is none. Its password is in no message. */
int proxy_for(const ProxySettings *s, const char *url, Arena *a, const char **ret, Err *e) MUST_USE;

/* proxy_name: a proxy without its user and password, for messages. */
const char *proxy_name(const char *proxy, Arena *a);

/* proxy_is_excepted: does NO_PROXY's list (NULL: empty) name the host? An IPv6 address without brackets. */
bool proxy_is_excepted(const char *list, const char *host, unsigned port);
