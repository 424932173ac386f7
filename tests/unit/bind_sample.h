/* bind_sample.h: a struct with a field of every binding kind, for the unit test and the fuzzer of base/bind.h. */
#pragma once

#include "base/bind.h"

typedef struct Limit {
	const char *type;
	int64_t soft;
	uint64_t hard;
} Limit;

typedef struct Hook {
	const char *path;
	StrList args;
} Hook;

typedef struct Named {
	const char *key;
	uint32_t weight;
} Named;

typedef LIST_OF(Limit) LimitList;
typedef LIST_OF(Named) NamedList;

enum { COLOUR_NONE, COLOUR_RED, COLOUR_GREEN, COLOUR_BLUE };

typedef struct Sample {
	const char *version;
	bool terminal;
	int32_t i32;
	uint32_t u32, mode;
	int64_t i64;
	uint64_t u64;
	OptBool opt_bool;
	OptInt opt_int, score;
	OptUint opt_uint, port;
	const char *text;
	int colour;
	StrList args;
	U32List gids;
	IntList colours;
	Hook hook;
	Hook *hook_pointer;
	LimitList limits;
	StrMap labels;
	NamedList named;
	const JsonValue *raw;
	const char *cwd;
	Digest digest;
	DigestList digests;
	StrList ports;
} Sample;

static const BindName colour_names[] = { { "red", COLOUR_RED }, { "green", COLOUR_GREEN }, { "blue", COLOUR_BLUE }, { 0 } };

#define AT(T, field) .offset = offsetof(T, field)

BIND_TABLE(limit_table, "limit", Limit, { "type", BIND_STRING, AT(Limit, type), .flags = BIND_REQUIRED },
	   { "soft", BIND_I64, AT(Limit, soft), .flags = BIND_REQUIRED }, { "hard", BIND_U64, AT(Limit, hard), .flags = BIND_REQUIRED });
BIND_TABLE(hook_table, "hook", Hook, { "path", BIND_STRING, AT(Hook, path), .flags = BIND_REQUIRED },
	   { "args", BIND_STRINGS, AT(Hook, args) });
BIND_TABLE(named_table, "named", Named, { "weight", BIND_U32, AT(Named, weight) });

BIND_TABLE(sample_table, "sample", Sample, { "version", BIND_STRING, AT(Sample, version), .flags = BIND_REQUIRED },
	   { "terminal", BIND_BOOL, AT(Sample, terminal) }, { "i32", BIND_I32, AT(Sample, i32) },
	   { "u32", BIND_U32, AT(Sample, u32), .flags = BIND_ALWAYS }, { "mode", BIND_U32, AT(Sample, mode), .max = 07777 },
	   { "i64", BIND_I64, AT(Sample, i64) }, { "u64", BIND_U64, AT(Sample, u64) }, { "optBool", BIND_OPT_BOOL, AT(Sample, opt_bool) },
	   { "optInt", BIND_OPT_INT, AT(Sample, opt_int), .flags = BIND_ALWAYS },
	   { "score", BIND_OPT_INT, AT(Sample, score), .min = -1000, .max = 1000 }, { "optUint", BIND_OPT_UINT, AT(Sample, opt_uint) },
	   { "port", BIND_OPT_UINT, AT(Sample, port), .min = 1, .max = 65535 }, { "text", BIND_STRING, AT(Sample, text) },
	   { "colour", BIND_ENUM, AT(Sample, colour), .sub = colour_names }, { "args", BIND_STRINGS, AT(Sample, args) },
	   { "gids", BIND_U32S, AT(Sample, gids) }, { "colours", BIND_ENUMS, AT(Sample, colours), .sub = colour_names },
	   { "hook", BIND_OBJECT, AT(Sample, hook), .sub = &hook_table },
	   { "hookPointer", BIND_POINTER, AT(Sample, hook_pointer), .sub = &hook_table, .flags = BIND_ALWAYS },
	   { "limits", BIND_LIST, AT(Sample, limits), .sub = &limit_table }, { "labels", BIND_MAP, AT(Sample, labels) },
	   { "named", BIND_OBJMAP, AT(Sample, named), .sub = &named_table }, { "raw", BIND_RAW, AT(Sample, raw), .flags = BIND_ALWAYS },
	   { "cwd", BIND_STRING, AT(Sample, cwd) }, { "digest", BIND_DIGEST, AT(Sample, digest) },
	   { "digests", BIND_DIGESTS, AT(Sample, digests) }, { "ports", BIND_KEYS, AT(Sample, ports) });

/* Its raw row points into the parsed tree, which therefore stays in the arena. */
static inline int sample_parse(char *text, size_t n, Sample *s, const char *document, Arena *a, Err *e)
{
	JsonValue v;
	int r = json_parse(text, n, a, &v, e);
	return r < 0 ? err_wrap(e, "%s", document) : bind_decode(&sample_table, &v, s, document, a, e);
}
