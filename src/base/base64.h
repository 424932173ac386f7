/* base64.h: RFC 4648, section 4: the alphabet with '+' and '/', padded. Strict: no line breaks, no missing padding, no
 * bits set that no byte uses, so that each value has one spelling. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* base64_encode: appends to b, whose ceiling applies. */
void base64_encode(Buf *b, const void *p, size_t n);
/* base64_decode: appends the decoded bytes to b. -EINVAL: not base64; -EFBIG: more than b holds. */
int base64_decode(Str s, Buf *b) MUST_USE;
/* base64_decoded_size: of a text that is base64 in form (length and padding); -EINVAL. */
ssize_t base64_decoded_size(Str s) MUST_USE;

/* base64url_encode, _decode: section 5 without padding, as JSON Web Tokens have it (RFC 7515 section 2). Decoding: -ENOMEM, too. */
void base64url_encode(Buf *b, const void *p, size_t n);
int base64url_decode(Str s, Buf *b) MUST_USE;
