/* digest.h: content digests as OCI writes them: "sha256:" and 64 lower-case hexadecimal digits.
 *
 * A Digest is a small value: copied, compared and used as a key, never owned. Bytes beyond the algorithm's length are 0;
 * algorithm 0 means "no digest", so a zeroed Digest is an absent one. Only what parses here may become part of a file
 * name. Computing digests: base/hash.h. Spec: OCI image specification 1.1, descriptor.md, "Digests".
 */
#pragma once

#include "base/str.h"

enum { DIGEST_NONE, DIGEST_SHA256, DIGEST_SHA512 };

enum {
	DIGEST_BYTES_MAX = 64,
	DIGEST_HEX_MAX = 2 * DIGEST_BYTES_MAX + 1, /* with the NUL */
	DIGEST_TEXT_MAX = DIGEST_HEX_MAX + 7,      /* "sha512:" */
};

typedef struct Digest {
	uint8_t algorithm;
	uint8_t bytes[DIGEST_BYTES_MAX];
} Digest;

/* digest_parse: the whole of s. -EINVAL: not a digest (upper case is refused, as it would give one content two names);
 * -ENOTSUP: well formed, of an algorithm that is unknown here. */
int digest_parse(Str s, Digest *ret) MUST_USE;
/* digest_parse_hex: the same from the bare hexadecimal digits. -EINVAL. */
int digest_parse_hex(uint8_t algorithm, Str hex, Digest *ret) MUST_USE;

/* digest_format: "sha256:…"; "" for no digest. Returns text. digest_hex: the digits alone. */
const char *digest_format(const Digest *d, char text[static DIGEST_TEXT_MAX]);
const char *digest_hex(const Digest *d, char text[static DIGEST_HEX_MAX]);

bool digest_equal(const Digest *a, const Digest *b);

/* digest_algorithm_name: "sha256"; NULL when it is none. digest_algorithm_value: the reverse, DIGEST_NONE. digest_size:
 * bytes of the algorithm's digests, 0 when it is none. */
const char *digest_algorithm_name(uint8_t algorithm);
uint8_t digest_algorithm_value(Str name);
size_t digest_size(uint8_t algorithm);
