/* bootstrap.h: images made on this machine out of Debian packages, without any registry.
 *
 * The same packages and options give the same image, down to its digest: times are those of SOURCE_DATE_EPOCH, when it is set in the environment,
 * else of the day the suite was released (a suite that is not, such as sid: of this day, UTC); of busybox, those of its binary.
 */
#pragma once

#include "image/catalog.h"

typedef struct BootstrapOptions {
	const char *suite;      /* "bookworm" */
	const char *variant;    /* mmdebstrap's: "minbase" */
	const char *include;    /* further packages, separated by commas; NULL: none */
	const char *mirror;     /* URL; NULL: where this machine's apt finds the suite */
	const char *name;       /* of the image: "docker.io/library/debian:bookworm" */
	const char *created_by; /* for the history */
} BootstrapOptions;

/* bootstrap_debian: a Debian suite, by mmdebstrap, whose messages go to standard error. -ENOENT: it is not installed.
 * bootstrap_busybox: busybox alone: name and created_by count. */
int bootstrap_debian(ImageStore *s, const BootstrapOptions *o, Arena *a, Image *ret, Err *e) MUST_USE;
int bootstrap_busybox(ImageStore *s, const BootstrapOptions *o, Arena *a, Image *ret, Err *e) MUST_USE;

/* bootstrap_epoch: SOURCE_DATE_EPOCH in seconds; fallback without it. -EINVAL. */
int bootstrap_epoch(int64_t fallback, int64_t *ret, Err *e) MUST_USE;
