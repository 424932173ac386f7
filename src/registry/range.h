/* range.h: byte ranges: what a reader asks for (RFC 9110 section 14) and what an upload's chunk says of itself
 * (distribution-spec "Pushing a blob in chunks"). Pure. */
#pragma once

#include "base/str.h"

typedef enum {
	RANGE_WHOLE,       /* no header, or one that may be ignored: another unit, several ranges, not a range at all */
	RANGE_PART,        /* from and length are set */
	RANGE_UNSATISFIED, /* 416 */
} RangeKind;

/* range_parse: the value of a Range header (an empty one: none) against a body of size bytes. One range; several get the whole body, as the RFC
 * allows. A range whose end lies before its start is unsatisfiable (the RFC calls it invalid; the specification's own suite
 * wants 416). */
RangeKind range_parse(Str header, uint64_t size, uint64_t *ret_from, uint64_t *ret_length);

/* chunk_range_parse: "<from>-<to>", also with "bytes=" or "bytes " in front and "/<size>" or a "/" and a star behind, which clients send. 0, or
 * -EINVAL for anything else. */
int chunk_range_parse(Str header, uint64_t *ret_from, uint64_t *ret_to) MUST_USE;
