/* body.h: an answer's body that goes into a descriptor of the caller, hashed on the way. */
#pragma once

#include "base/hash.h"
#include "transfer/http.h"

typedef struct Body {
	int fd; /* -1: dropped */
	uint64_t n;
	Hash *hash; /* NULL: none is wanted */
} Body;

/* body_begin: an empty file, a fresh hash. For session_send. */
int body_begin(void *arg, Err *e) MUST_USE;
/* body_put: an HttpSink. */
int body_put(void *arg, const HttpResponse *r, const void *p, size_t n, Err *e) MUST_USE;
/* body_line: a text and a newline. */
int body_line(Body *b, const char *text, Err *e) MUST_USE;
