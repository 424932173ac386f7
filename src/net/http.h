/* http.h: what both versions of HTTP share: fields, tokens, status texts, dates (RFC 9110). */
#pragma once

#include "base/arena.h"
#include "base/str.h"

typedef struct HttpField {
	Str name, value; /* views */
} HttpField;

/* HttpFields: a list of at most max fields in an arena, in the order they came. */
typedef struct HttpFields {
	HttpField *items;
	size_t n, cap, max;
} HttpFields;

/* http_fields_add: -E2BIG above max, -ENOMEM. */
int http_fields_add(HttpFields *f, Arena *a, Str name, Str value) MUST_USE;
/* http_fields_find: the first field of that name at or after *at (which moves behind it), NULL when there is none. */
const HttpField *http_fields_find(const HttpFields *f, Str name, size_t *at);
/* http_fields_get: the value, several joined with separator in the arena; -ENOENT, -ENOMEM. */
int http_fields_get(const HttpFields *f, Str name, const char *separator, Arena *a, const char **ret) MUST_USE;

/* http_is_token: RFC 9110 5.6.2, not empty. http_is_value: no control characters but HTAB (5.5). */
bool http_is_token(Str s);
bool http_is_value(Str s);
/* http_is_host: an authority without user: host[:port], brackets around v6. */
bool http_is_host(Str s);
/* http_same: equality without case (ASCII). */
bool http_same(Str a, Str b);
/* http_list_has: the comma-separated list has that member, without case (RFC 9110 5.6.1). */
bool http_list_has(Str list, const char *member);

/* http_trim: without blanks and tabs at both ends (OWS). */
Str http_trim(Str s);

/* http_status_text: the reason phrase, "" when unknown. */
const char *http_status_text(int status);
/* http_status_has_body: false for 1xx, 204 and 304. */
bool http_status_has_body(int status);

enum { HTTP_DATE_LEN = 29 };
/* http_date: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7) of seconds since 1970. */
void http_date(int64_t seconds, char text[static HTTP_DATE_LEN + 1]);
