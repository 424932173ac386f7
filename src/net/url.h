/* url.h: URLs (RFC 3986) taken apart, percent-decoding, query parameters, references resolved.
 *
 * A Url is views into the text it was parsed from. Nothing is decoded by parsing: a component is decoded once, by the one
 * who uses it. Decoding is strict: "%" without two hex digits and "%00" are refused, so the result is a C string.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { URL_MAX = 64 << 10 };

typedef struct Url {
	Str scheme;                /* without ":"; empty in a relative reference */
	Str user;                  /* user or user:password, without "@" */
	Str host;                  /* without brackets */
	Str path, query, fragment; /* query and fragment without "?" and "#" */
	int port;                  /* 0: none was given */
	bool has_authority, has_query, has_fragment, is_ipv6;
} Url;

/* url_parse: a URL or relative reference. -EINVAL with the place: control characters, blanks, bytes above 126, a bad port, escape or host. */
int url_parse(Str s, Url *ret, Err *e) MUST_USE;

/* url_default_port: of http, https, ws and wss; 0 otherwise. */
int url_default_port(Str scheme);

/* url_decode: percent-decoded copy. plus_is_blank for query parameters. -EINVAL, -ENOMEM. url_check: the same without a copy. */
int url_decode(Str s, bool plus_is_blank, Arena *a, char **ret) MUST_USE;
int url_check(Str s) MUST_USE;

/* url_encode: appends s with everything escaped but unreserved characters (RFC 3986 2.3) and those in keep. */
void url_encode(Buf *b, Str s, const char *keep);

/* url_query_get: value number at (from 0) of a parameter of "a=1&b=2", decoded. -ENOENT; -EINVAL; -ENOMEM. */
int url_query_get(Str query, const char *name, size_t at, Arena *a, const char **ret) MUST_USE;

/* url_has_dots: one of the segments of a decoded path is "." or "..". */
bool url_has_dots(const char *path);

/* url_resolve: the absolute URL that a reference has, seen from base (RFC 3986 5.2, strict), without its fragment
 * when the reference has none. base must have a scheme. */
int url_resolve(Str base, Str reference, Arena *a, char **ret, Err *e) MUST_USE;
