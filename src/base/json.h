/* json.h: strict JSON (RFC 8259) read into an arena, and a writer.
 *
 * Reader
 *  - The input buffer is modified: strings are unescaped in place and the tree points into it, so the buffer
 *    must outlive the tree. No copy of any string is made.
 *  - Strict: one value, valid UTF-8, no duplicate keys in an object, no trailing bytes, at most
 *    JSON_DEPTH_MAX levels. A NUL in a string ("\u0000") is refused: everything here ends as a C string.
 *  - Numbers keep their exact value: integers that fit are JSON_INT (int64) or, above INT64_MAX, JSON_UINT;
 *    all others are JSON_DOUBLE. An integer outside both ranges is an error, never rounded.
 *  - Each value knows its byte offset, for messages.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { JSON_DEPTH_MAX = 64 };

typedef enum {
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,
	JSON_UINT,
	JSON_DOUBLE,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
} JsonType;

typedef struct JsonValue JsonValue;
typedef struct JsonMember JsonMember;

/* What Go's encoding of a value does not show, for who prints or templates it as docker does; the reader sets none. */
enum {
	JSON_STRUCT = 1, /* an object that is a struct there, not a map: printed as {a b}, its order is kept */
	JSON_ABSENT = 2, /* a member of a struct that documents leave out */
	JSON_NIL = 4, /* an array, object or null that is a nil slice, map or pointer: null in documents, printed as [], map[] or <nil> */
	JSON_DURATION = 8, /* an integer that is a time.Duration: printed as 1m30s */
	JSON_FOREIGN = 16, /* a member that its struct has by another name: templates do not find it */
	JSON_ALIAS = 32,   /* that name of it: templates find it, and nothing prints it */
	JSON_TIME = 64,    /* an RFC 3339 text that is a time.Time: printed as "2026-01-02 03:04:05 +0000 UTC" */
};

struct JsonValue {
	JsonType type;
	uint32_t offset; /* of the first byte in the input */
	uint32_t n;      /* bytes of a string, items of an array, members of an object */
	uint32_t go;     /* JSON_STRUCT and so on */
	union {
		bool boolean;
		int64_t i;
		uint64_t u;
		double d;
		const char *s;
		JsonValue *items;
		JsonMember *members;
	};
};

struct JsonMember {
	const char *key;
	uint32_t key_offset;
	JsonValue value;
};

/* json_parse: parses text[0..n), which must be followed by a NUL byte (text[n] == 0). On failure the message
 * gives the byte offset. -EINVAL: not JSON; -ENOMEM: the arena is full; -E2BIG: 4 GiB or more. */
int json_parse(char *text, size_t n, Arena *a, JsonValue *ret, Err *e) MUST_USE;

/* json_get: the member with that key, NULL when v is not an object or has none. */
const JsonValue *json_get(const JsonValue *v, const char *key);

/* json_type_name: "object", "number", … for messages. */
const char *json_type_name(JsonType t);

/* Writer: appends to a Buf, keeps track of commas. Compact, slashes unescaped (hooks' consumers depend on it).
 * Bytes that are no UTF-8 become U+FFFD, so the output is always JSON. With indent > 0 it writes one member per line,
 * indented by that many blanks (indent < 0: by tabs). */
typedef struct JsonWriter {
	Buf *out;
	int indent;
	int depth;
	bool first, after_key;
	bool brief; /* for bind_encode: what is absent is left out even where the table says that it is always written */
} JsonWriter;

#define JSON_WRITER(buf) ((JsonWriter){ .out = (buf), .first = true })

void json_begin_object(JsonWriter *w);
void json_end_object(JsonWriter *w);
void json_begin_array(JsonWriter *w);
void json_end_array(JsonWriter *w);
void json_key(JsonWriter *w, const char *key);
void json_string(JsonWriter *w, const char *s);
void json_str(JsonWriter *w, Str s);
void json_int(JsonWriter *w, int64_t v);
void json_uint(JsonWriter *w, uint64_t v);
/* json_double: a spelling that keeps value and kind ("1.0"); null when not finite, as JSON has no word for it. */
void json_double(JsonWriter *w, double v);
void json_bool(JsonWriter *w, bool v);
void json_null(JsonWriter *w);
/* json_value: writes a parsed tree. */
void json_value(JsonWriter *w, const JsonValue *v);

/* Shorthands for key + value. */
void json_put_string(JsonWriter *w, const char *key, const char *s);
void json_put_int(JsonWriter *w, const char *key, int64_t v);
void json_put_uint(JsonWriter *w, const char *key, uint64_t v);
void json_put_bool(JsonWriter *w, const char *key, bool v);
