/* json_read.c: the JSON reader, see json.h. */
#include "base/fnv.h"
#include "base/json.h"

#include <math.h>

typedef struct Reader {
	char *text;
	size_t n, at;
	Arena *arena;
	Err *e;
	int depth;
	/* Items and members of the open arrays and objects, moved to the arena when each is closed. */
	JsonMember *stack;
	size_t stack_n, stack_cap;
} Reader;

static int read_value(Reader *r, JsonValue *ret);

static int fail(Reader *r, size_t at, const char *what)
{
	return err_set(r->e, ERR_CONFIG, EINVAL, "invalid JSON at byte %zu: %s", at, what);
}

static int fail_memory(Reader *r)
{
	return err_set(r->e, ERR_RESOURCE, ENOMEM, "JSON at byte %zu: document too large", r->at);
}

static void skip_blanks(Reader *r)
{
	while (r->at < r->n) {
		char c = r->text[r->at];
		if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
		r->at++;
	}
}

static int hex4(const char *p)
{
	int v = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
		if (d < 0) return -1;
		v = v * 16 + d;
	}
	return v;
}

static char *put_utf8(char *to, unsigned cp)
{
	if (cp < 0x80) {
		*to++ = (char)cp;
	} else if (cp < 0x800) {
		*to++ = (char)(0xc0 | cp >> 6);
		*to++ = (char)(0x80 | (cp & 0x3f));
	} else if (cp < 0x10000) {
		*to++ = (char)(0xe0 | cp >> 12);
		*to++ = (char)(0x80 | (cp >> 6 & 0x3f));
		*to++ = (char)(0x80 | (cp & 0x3f));
	} else {
		*to++ = (char)(0xf0 | cp >> 18);
		*to++ = (char)(0x80 | (cp >> 12 & 0x3f));
		*to++ = (char)(0x80 | (cp >> 6 & 0x3f));
		*to++ = (char)(0x80 | (cp & 0x3f));
	}
	return to;
}

/* After "\u": reads four digits, and a low surrogate where one must follow. Messages point at the backslash. */
static int read_unicode(Reader *r, unsigned *ret)
{
	size_t start = r->at - 2;
	if (r->n - r->at < 4) return fail(r, start, "truncated \\u escape");
	int hi = hex4(r->text + r->at);
	if (hi < 0) return fail(r, start, "\\u needs four hexadecimal digits");
	r->at += 4;
	if (hi >= 0xdc00 && hi <= 0xdfff) return fail(r, start, "lone low surrogate");
	if (hi == 0) return fail(r, start, "NUL in a string");
	*ret = (unsigned)hi;
	if (hi < 0xd800 || hi > 0xdbff) return 0;
	if (r->n - r->at < 6 || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u') return fail(r, start, "lone high surrogate");
	int lo = hex4(r->text + r->at + 2);
	if (lo < 0xdc00 || lo > 0xdfff) return fail(r, start, "lone high surrogate");
	r->at += 6;
	*ret = 0x10000 + ((unsigned)(hi - 0xd800) << 10) + (unsigned)(lo - 0xdc00);
	return 0;
}

static int read_escape(Reader *r, char **to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	char c = r->at < r->n ? r->text[r->at] : 0;
	unsigned cp = 0;
	r->at++;
	if (c == 'u') {
		int x = read_unicode(r, &cp);
		if (x < 0) return x;
		*to = put_utf8(*to, cp);
		return 0;
	}
	const char *f = c ? strchr(from, c) : NULL;
	if (!f) return fail(r, r->at - 1, "unknown escape");
	*(*to)++ = into[f - from];
	return 0;
}

/* The bytes that stand for themselves from at on. */
static size_t plain_length(const Reader *r)
{
	const char *p = r->text + r->at, *end = r->text + r->n, *from = p;
	while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return (size_t)(p - from);
}

/* At the opening quote. The unescaped text never grows, so it is written over the input. */
static int read_string(Reader *r, const char **ret, uint32_t *ret_n)
{
	size_t start = r->at++;
	char *to = r->text + r->at, *from = to;
	while (r->at < r->n) {
		size_t k = plain_length(r);
		if (k && to != r->text + r->at) memmove(to, r->text + r->at, k);
		to += k;
		r->at += k;
		if (r->at == r->n) break;
		unsigned char c = (unsigned char)r->text[r->at];
		if (c == '"') {
			r->at++;
			*to = 0;
			*ret = from;
			*ret_n = (uint32_t)(to - from);
			return 0;
		}
		if (c < 0x20) return fail(r, r->at, "control character in a string");
		if (c == '\\') {
			r->at++;
			int x = read_escape(r, &to);
			if (x < 0) return x;
			continue;
		}
		k = str_utf8((Str){ r->text + r->at, r->n - r->at });
		if (!k) return fail(r, r->at, "invalid UTF-8");
		if (to != r->text + r->at) memmove(to, r->text + r->at, k);
		to += k;
		r->at += k;
	}
	return fail(r, start, "string without an end");
}

/* The extent of a number by the grammar of RFC 8259 section 6; sets *integer. 0 when malformed. */
static size_t number_length(const char *p, bool *integer)
{
	size_t i = p[0] == '-';
	*integer = true;
	if (p[i] == '0')
		i++;
	else if (p[i] >= '1' && p[i] <= '9')
		while (p[i] >= '0' && p[i] <= '9')
			i++;
	else
		return 0;
	if (p[i] == '.') {
		*integer = false;
		size_t before = ++i;
		while (p[i] >= '0' && p[i] <= '9')
			i++;
		if (i == before) return 0;
	}
	if (p[i] == 'e' || p[i] == 'E') {
		*integer = false;
		i++;
		if (p[i] == '+' || p[i] == '-') i++;
		size_t before = i;
		while (p[i] >= '0' && p[i] <= '9')
			i++;
		if (i == before) return 0;
	}
	return i;
}

static int read_number(Reader *r, JsonValue *v)
{
	bool integer;
	const char *p = r->text + r->at;
	size_t n = number_length(p, &integer);
	if (!n) return fail(r, r->at, "malformed number");
	if (integer) {
		v->type = JSON_INT;
		if (str_to_i64((Str){ p, n }, &v->i) < 0) {
			v->type = JSON_UINT;
			if (str_to_u64((Str){ p, n }, &v->u) < 0) return fail(r, r->at, "integer does not fit in 64 bits");
		}
	} else {
		v->type = JSON_DOUBLE;
		v->d = strtod(p, NULL);
		if (!isfinite(v->d)) return fail(r, r->at, "number too large");
	}
	r->at += n;
	return 0;
}

static int read_word(Reader *r, const char *word, JsonValue *v, JsonType type, bool truth)
{
	size_t n = strlen(word);
	if (r->n - r->at < n || memcmp(r->text + r->at, word, n) != 0) return fail(r, r->at, "unknown word");
	r->at += n;
	v->type = type;
	v->boolean = truth;
	return 0;
}

static int push(Reader *r, const JsonMember *m)
{
	if (r->stack_n == r->stack_cap) {
		size_t cap = r->stack_cap ? r->stack_cap * 2 : 64;
		/* all of these move to the arena later: what will not fit there is not piled up here */
		if (r->stack_n * sizeof(JsonValue) > r->arena->max - r->arena->used) return fail_memory(r);
		JsonMember *p = realloc(r->stack, cap * sizeof *p);
		if (!p) return fail_memory(r);
		r->stack = p;
		r->stack_cap = cap;
	}
	r->stack[r->stack_n++] = *m;
	return 0;
}

enum { PAIRS_MAX = 96 };

static const JsonMember *find_twice(const JsonMember *m, size_t n)
{
	uint32_t hashes[PAIRS_MAX];
	for (size_t i = 0; i < n; i++) {
		hashes[i] = fnv_str(m[i].key);
		for (size_t k = 0; k < i; k++)
			if (hashes[k] == hashes[i] && streq(m[k].key, m[i].key)) return &m[i];
	}
	return NULL;
}

static int compare_keys(const void *a, const void *b)
{
	const JsonMember *x = *(JsonMember *const *)a, *y = *(JsonMember *const *)b;
	int c = strcmp(x->key, y->key);
	return c ? c : (x->key_offset > y->key_offset) - (x->key_offset < y->key_offset);
}

/* Few members: compare each pair. Many: sort pointers to them, so that a hostile object stays n log n. */
static int check_duplicates(Reader *r, const JsonMember *m, size_t n)
{
	const JsonMember *twice = NULL;
	if (n <= PAIRS_MAX) {
		twice = find_twice(m, n);
	} else {
		AUTO_FREE const JsonMember **p = malloc(n * sizeof(*p));
		if (!p) return fail_memory(r);
		for (size_t i = 0; i < n; i++)
			p[i] = &m[i];
		qsort(p, n, sizeof *p, compare_keys);
		for (size_t i = 1; i < n && !twice; i++)
			if (streq(p[i]->key, p[i - 1]->key)) twice = p[i];
	}
	if (!twice) return 0;
	return err_set(r->e, ERR_CONFIG, EINVAL, "invalid JSON at byte %u: duplicate key \"%.64s\"", twice->key_offset, twice->key);
}

static int close_object(Reader *r, JsonValue *v, size_t base)
{
	size_t n = r->stack_n - base;
	v->members = arena_array(r->arena, n ? n : 1, sizeof *v->members);
	if (!v->members) return fail_memory(r);
	if (n) memcpy(v->members, r->stack + base, n * sizeof *v->members);
	v->n = (uint32_t)n;
	r->stack_n = base;
	return check_duplicates(r, v->members, n);
}

static int close_array(Reader *r, JsonValue *v, size_t base)
{
	size_t n = r->stack_n - base;
	v->items = arena_array(r->arena, n ? n : 1, sizeof *v->items);
	if (!v->items) return fail_memory(r);
	for (size_t i = 0; i < n; i++)
		v->items[i] = r->stack[base + i].value;
	v->n = (uint32_t)n;
	r->stack_n = base;
	return 0;
}

static int read_key(Reader *r, JsonMember *m)
{
	uint32_t n;
	if (r->at >= r->n || r->text[r->at] != '"') return fail(r, r->at, "expected a key in quotes");
	m->key_offset = (uint32_t)r->at;
	int x = read_string(r, &m->key, &n);
	if (x < 0) return x;
	skip_blanks(r);
	if (r->at >= r->n || r->text[r->at] != ':') return fail(r, r->at, "expected ':' after a key");
	r->at++;
	return 0;
}

/* At '[' or '{'. */
static int read_container(Reader *r, JsonValue *v, bool object)
{
	size_t base = r->stack_n;
	char end = object ? '}' : ']';
	if (++r->depth > JSON_DEPTH_MAX) return fail(r, r->at, "nested too deeply");
	v->type = object ? JSON_OBJECT : JSON_ARRAY;
	r->at++;
	skip_blanks(r);
	bool more = !(r->at < r->n && r->text[r->at] == end);
	if (!more) r->at++;
	while (more) {
		JsonMember m = { 0 };
		int x;
		skip_blanks(r);
		if (object && (x = read_key(r, &m)) < 0) return x;
		if ((x = read_value(r, &m.value)) < 0) return x;
		if ((x = push(r, &m)) < 0) return x;
		skip_blanks(r);
		char c = r->at < r->n ? r->text[r->at] : 0;
		if (c != ',' && c != end) return fail(r, r->at, object ? "expected ',' or '}'" : "expected ',' or ']'");
		r->at++;
		more = c == ',';
	}
	r->depth--;
	return object ? close_object(r, v, base) : close_array(r, v, base);
}

static int read_value(Reader *r, JsonValue *v)
{
	skip_blanks(r);
	if (r->at >= r->n) return fail(r, r->at, "unexpected end");
	*v = (JsonValue){ .offset = (uint32_t)r->at };
	switch (r->text[r->at]) {
	case '{':
		return read_container(r, v, true);
	case '[':
		return read_container(r, v, false);
	case '"':
		v->type = JSON_STRING;
		return read_string(r, &v->s, &v->n);
	case 't':
		return read_word(r, "true", v, JSON_BOOL, true);
	case 'f':
		return read_word(r, "false", v, JSON_BOOL, false);
	case 'n':
		return read_word(r, "null", v, JSON_NULL, false);
	case '-':
	case '0' ... '9':
		return read_number(r, v);
	default:
		return fail(r, r->at, "expected a value");
	}
}

int json_parse(char *text, size_t n, Arena *a, JsonValue *ret, Err *e)
{
	Reader r = { .text = text, .n = n, .arena = a, .e = e };
	JsonValue v = { 0 };
	if (n >= UINT32_MAX) return err_set(e, ERR_RESOURCE, E2BIG, "JSON document of %zu bytes is too large", n);
	int x = read_value(&r, &v);
	if (x >= 0) {
		skip_blanks(&r);
		if (r.at != n) x = fail(&r, r.at, "trailing bytes after the document");
	}
	free(r.stack);
	if (x < 0) return x;
	*ret = v;
	return 0;
}

const JsonValue *json_get(const JsonValue *v, const char *key)
{
	if (!v || v->type != JSON_OBJECT) return NULL;
	for (uint32_t i = 0; i < v->n; i++)
		if (streq(v->members[i].key, key)) return &v->members[i].value;
	return NULL;
}

const char *json_type_name(JsonType t)
{
	static const char *const names[] = { "null", "boolean", "number", "number", "number", "string", "array", "object" };
	return (size_t)t < ARRAY_LEN(names) ? names[t] : "?";
}
