/* reference.h: names of images as people type them, with the grammar, the defaults and the refusals that docker's users
 * know (the distribution project's reference grammar):
 *
 *   debian                       docker.io/library/debian
 *   user/app:1                   docker.io/user/app:1
 *   localhost/x, host.com/x      as they are: a first part with a dot, a colon or an upper-case letter is a registry
 *   [2001:db8::1]:5000/x@sha256:…
 *
 * A parsed reference consists of checked parts only: path and tag are safe in URLs and as file names ('/' in path aside).
 */
#pragma once

#include "base/arena.h"
#include "base/digest.h"
#include "base/err.h"

#define REFERENCE_DOMAIN "docker.io" /* of names without one */
#define REFERENCE_TAG "latest"

enum { REFERENCE_PATH_MAX = 255, REFERENCE_TAG_MAX = 128 };

typedef struct Reference {
	const char *domain; /* "docker.io", "localhost:5000"; NULL in an id */
	const char *path;   /* "library/debian"; NULL in an id */
	const char *tag;    /* NULL: none */
	Digest digest;      /* algorithm 0: none */
} Reference;

/* reference_parse: a name with optional tag and digest, normalized; no tag is added. The strings of *ret are in the arena.
 * -EINVAL with docker's text, quoted names included; -ENOTSUP: a digest of an unknown algorithm; -ENOMEM. 64 hexadecimal
 * digits are refused: they mean an id everywhere else. */
int reference_parse(Str s, Arena *a, Reference *ret, Err *e) MUST_USE;
/* reference_parse_any: the same, and also a whole id: a digest, or the 64 digits of a SHA-256. */
int reference_parse_any(Str s, Arena *a, Reference *ret, Err *e) MUST_USE;

/* reference_is_id: there is a digest and no name. */
static inline bool reference_is_id(const Reference *r)
{
	return !r->domain;
}
/* reference_default_tag: gives ":latest" to a name that has neither tag nor digest. */
void reference_default_tag(Reference *r);

/* Texts, in the arena; NULL when it is full.
 * reference_format: all of it, "docker.io/library/debian:12@sha256:…". reference_familiar: as docker shows it, "debian:12",
 * unless that would be read as another name ("docker.io/host.com/x").
 * reference_name, reference_familiar_name: the same without tag and digest. */
const char *reference_format(const Reference *r, Arena *a) MUST_USE;
const char *reference_familiar(const Reference *r, Arena *a) MUST_USE;
const char *reference_name(const Reference *r, Arena *a) MUST_USE;
const char *reference_familiar_name(const Reference *r, Arena *a) MUST_USE;

/* The parts alone, as a registry receives them in URLs. reference_is_path: "library/debian", at most REFERENCE_PATH_MAX bytes. */
bool reference_is_path(Str s);
bool reference_is_tag(Str s);
bool reference_is_domain(Str s);
