/* toml.h: TOML 1.0 as configuration files use it, read into a JSON tree, so that bind.h decodes it like any other document.
 *
 * All of TOML but dates and times, which are refused, and numbers that are not finite. Strict: a key or table that is defined twice is an
 * error, so is what follows a value on its line. A NUL in a string is refused: everything here ends as a C string.
 * Limits: 1 MiB, TOML_DEPTH_MAX levels, TOML_KEYS_MAX keys of one table.
 */
#pragma once

#include "base/json.h"

enum { TOML_SIZE_MAX = 1 << 20, TOML_DEPTH_MAX = 32, TOML_KEYS_MAX = 4096 };

/* toml_parse: the document as an object; members in the order of their first appearance. The tree is of the arena, text is not needed
 * any more. -EINVAL with the line, -ENOMEM, -E2BIG. */
int toml_parse(Str text, Arena *a, JsonValue *ret, Err *e) MUST_USE;
