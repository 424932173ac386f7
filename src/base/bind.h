/* bind.h: one engine that moves documents into C structs and back, driven by tables.
 *
 * A table row says: this key, of this kind, stands at this offset. From the same table come decoding with
 * exact messages ("config.json: linux.resources.pids.limit: expected an integer, got string (byte 812)"), encoding,
 * and the range and presence checks that need no knowledge of other fields.
 *
 * Rules
 *  - A null field counts as absent (Go's encoders write it for empty lists); a null inside a list or map is refused.
 *    An unknown key is ignored, as the OCI specifications ask.
 *  - Decoded strings point into the parsed text, everything else into the arena: the struct lives as long as both.
 *  - Absent: pointers NULL, lists {NULL, 0}, numbers 0, Opt* {.set = false}.
 */
#pragma once

#include "base/digest.h"
#include "base/json.h"

typedef enum {
	BIND_BOOL,     /* bool */
	BIND_I32,      /* int32_t */
	BIND_U32,      /* uint32_t */
	BIND_I64,      /* int64_t */
	BIND_U64,      /* uint64_t */
	BIND_OPT_BOOL, /* OptBool */
	BIND_OPT_INT,  /* OptInt, range in the row */
	BIND_OPT_UINT, /* OptUint, range in the row */
	BIND_STRING,   /* const char * */
	BIND_ENUM,     /* int; sub is a BindName table; absent gives 0 */
	BIND_STRINGS,  /* StrList */
	BIND_U32S,     /* U32List */
	BIND_ENUMS,    /* IntList; sub is a BindName table */
	BIND_OBJECT,   /* the struct itself; sub is its BindTable */
	BIND_POINTER,  /* pointer to a struct, NULL when absent; sub is its BindTable */
	BIND_LIST,     /* ObjList of structs; sub is their BindTable */
	BIND_MAP,      /* StrMap: object of strings, order kept */
	BIND_OBJMAP,   /* ObjList of structs whose first member is const char *key; sub is their BindTable */
	BIND_RAW,      /* const JsonValue * */
	BIND_DIGEST,   /* Digest; algorithm 0 when absent */
	BIND_DIGESTS,  /* DigestList */
	BIND_KEYS,     /* StrList: the keys of an object of empty objects, Go's map[string]struct{}; written in the order of the list */
} BindKind;

typedef struct OptBool {
	bool set, v;
} OptBool;
typedef struct OptInt {
	bool set;
	int64_t v;
} OptInt;
typedef struct OptUint {
	bool set;
	uint64_t v;
} OptUint;

typedef struct StrList {
	const char **items; /* NULL-terminated when not NULL: can be handed to execve */
	size_t n;
} StrList;
typedef struct U32List {
	uint32_t *items;
	size_t n;
} U32List;
typedef struct IntList {
	int *items;
	size_t n;
} IntList;
typedef struct StrPair {
	const char *key, *value;
} StrPair;
typedef struct StrMap {
	StrPair *items;
	size_t n;
} StrMap;
typedef struct DigestList {
	Digest *items;
	size_t n;
} DigestList;
/* The untyped form; LIST_OF(T) has the same layout. */
typedef struct ObjList {
	void *items;
	size_t n;
} ObjList;
#define LIST_OF(T) \
	struct { \
		T *items; \
		size_t n; \
	}

enum {
	BIND_REQUIRED = 1, /* must be present (and, for strings and lists, not empty); its zero is written */
	BIND_ALWAYS = 2,   /* written even when zero or empty; null when it is an absent pointer, string or Opt* */
	BIND_TEXT = 4,     /* with BIND_ALWAYS: an absent string is written as "" */
	BIND_NULL = 8,     /* with BIND_ALWAYS: an empty list or map is written as null, as Go does with nil */
};

typedef struct BindName {
	const char *name;
	int value;
} BindName;

typedef struct BindTable BindTable;

typedef struct BindRow {
	const char *name;
	BindKind kind;
	uint32_t offset;
	uint32_t flags;
	const void *sub; /* BindTable or BindName[] ending in {0} */
	int64_t min;     /* OPT_INT, OPT_UINT: lowest value, when min < max or max set */
	uint64_t max;    /* highest value; 0: no range */
} BindRow;

struct BindTable {
	const char *type; /* for messages: "mount", "hook" */
	size_t size;      /* of the struct */
	const BindRow *rows;
	size_t n;
};

/* BIND_TABLE(var, "type", Struct, rows…): defines a table; BIND(field, …) is one row. */
#define BIND_TABLE(var, type_name, T, ...) \
	static const BindRow var##_rows[] = { __VA_ARGS__ }; \
	const BindTable var = { .type = (type_name), .size = sizeof(T), .rows = var##_rows, .n = ARRAY_LEN(var##_rows) }

/* bind_decode: fills *obj (which it zeroes first) from v. document names the source in messages
 * ("config.json"). -EINVAL with the JSON path and what is allowed; -ENOMEM. */
int bind_decode(const BindTable *t, const JsonValue *v, void *obj, const char *document, Arena *a, Err *e) MUST_USE;

/* bind_parse: json_parse and bind_decode in one; text as for json_parse. The parsed tree is gone afterwards: tables with BIND_RAW rows, which
 * point into it, need the two calls. */
int bind_parse(const BindTable *t, char *text, size_t n, void *obj, const char *document, Arena *a, Err *e) MUST_USE;

/* bind_encode: writes *obj as one object, absent fields left out. */
void bind_encode(const BindTable *t, const void *obj, JsonWriter *w);

/* bind_name: the name of value in a BindName table, NULL when there is none. bind_value: the reverse, -1. */
const char *bind_name(const BindName *names, int value);
int bind_value(const BindName *names, const char *name);

/* str_map_get: the value of key, NULL when absent. */
const char *str_map_get(const StrMap *m, const char *key);
/* str_map_sort, str_list_sort: in the order of their bytes, in which Go writes maps. */
void str_map_sort(StrMap *m);
void str_list_sort(StrList *l);
/* str_list_has: s is one of them. */
bool str_list_has(const StrList *l, const char *s);
/* str_list_add, str_map_set: one more at the end; a key that is there gets the new value. Strings are not copied; NULL counts as one that the
 * arena had no room for. The list or map begins empty and grows by these alone. -ENOMEM. */
int str_list_add(StrList *l, const char *s, Arena *a) MUST_USE;
int str_map_set(StrMap *m, const char *key, const char *value, Arena *a) MUST_USE;
