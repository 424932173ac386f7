/* glob.h: shell patterns, as the filters and path rules of the field use them (Go's path.Match).
 *
 *   *        any characters but '/'            [a-z]    one character of the class; [^a-z]: one that is not in it ('/', too)
 *   ?        one character but '/'             \c       the character c itself
 *   **       with GLOB_STARSTAR: any characters, '/' too; otherwise the same as *
 *
 * Characters are UTF-8 sequences; a byte that is none counts as one. The time is bounded by the product of the lengths,
 * times the length again where ** is used: no pattern is exponential.
 */
#pragma once

#include "base/str.h"

enum {
	GLOB_STARSTAR = 1,
	GLOB_ANY_SLASH = 2, /* '/' is a character like any other */
};

/* glob_match: 1 when the whole name matches, 0 when not, -EINVAL when the pattern is malformed (an unclosed or empty
 * class, a '\' at its end), whatever the name. */
int glob_match(Str pattern, Str name, unsigned flags) MUST_USE;
