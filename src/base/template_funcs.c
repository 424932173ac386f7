/* template_funcs.c: the functions of templates: text/template's own, and docker's. */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>

#include "base/template_impl.h"

enum { TEXT_MAX = 16 << 20 }; /* of one value that is made */

static int fail(Exec *x, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int fail(Exec *x, const char *fmt, ...)
{
	char reason[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	return err_set(x->e, ERR_USAGE, EINVAL, "%s", reason);
}

static Str text_of(const JsonValue *v)
{
	return (Str){ v->s, v->n };
}

/* ---- comparisons ---- */

/* Kinds that can be compared: those of the same basic kind. */
static int kind_of(const JsonValue *v)
{
	return v->type == JSON_UINT ? JSON_INT : (int)v->type;
}

static int compare_integers(const JsonValue *a, const JsonValue *b)
{
	if (a->type == b->type && a->type == JSON_INT) return (a->i > b->i) - (a->i < b->i);
	if (a->type == b->type) return (a->u > b->u) - (a->u < b->u);
	return a->type == JSON_UINT ? 1 : -1; /* an UINT is one that no INT can be */
}

static int compare_strings(Str a, Str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n ? memcmp(a.p, b.p, n) : 0;
	return r ? (r > 0) - (r < 0) : (a.n > b.n) - (a.n < b.n);
}

static int fail_kinds(Exec *x, const JsonValue *a, const JsonValue *b)
{
	return fail(x, "incompatible types for comparison: %s and %s", value_type(a), value_type(b));
}

static int fail_not_comparable(Exec *x, const JsonValue *v)
{
	AUTO_BUF shown = BUF_INIT(200);
	(void)!value_print(x, &shown, v);
	return fail(x, "non-comparable type %s: %s", buf_str(&shown), value_type(v));
}

static int is_equal(Exec *x, const JsonValue *a, const JsonValue *b, bool *ret)
{
	*ret = a->type == JSON_NULL && b->type == JSON_NULL;
	if (a->type == JSON_NULL || b->type == JSON_NULL) return 0;
	if (kind_of(a) != kind_of(b)) return fail_kinds(x, a, b);
	switch (a->type) {
	case JSON_ARRAY:
	case JSON_OBJECT:
		return fail_not_comparable(x, a);
	case JSON_BOOL:
		*ret = a->boolean == b->boolean;
		break;
	case JSON_DOUBLE:
		*ret = !(a->d < b->d) && !(a->d > b->d);
		break;
	case JSON_STRING:
		*ret = compare_strings(text_of(a), text_of(b)) == 0;
		break;
	default:
		*ret = compare_integers(a, b) == 0;
	}
	return 0;
}

static int fn_eq(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	bool equal = false;
	if (n < 2) return fail(x, "missing argument for comparison");
	for (size_t i = 1; i < n && !equal; i++) {
		int r = is_equal(x, &args[0], &args[i], &equal);
		if (r < 0) return r;
	}
	*ret = value_bool(equal);
	return 0;
}

static int fn_ne(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	bool equal = false;
	(void)n;
	int r = is_equal(x, &args[0], &args[1], &equal);
	*ret = value_bool(!equal);
	return r;
}

static bool has_order(const JsonValue *v)
{
	return kind_of(v) == JSON_INT || v->type == JSON_DOUBLE || v->type == JSON_STRING;
}

/* -1, 0 or 1 in *ret. */
static int order_of(Exec *x, const JsonValue *a, const JsonValue *b, int *ret)
{
	bool basic = has_order(b) || b->type == JSON_BOOL;
	if (!has_order(a) && a->type != JSON_BOOL) return fail(x, "invalid type for comparison");
	if (!basic) return fail(x, "invalid type for comparison");
	if (kind_of(a) != kind_of(b)) return fail_kinds(x, a, b);
	if (!has_order(a)) return fail(x, "invalid type for comparison");
	if (a->type == JSON_STRING)
		*ret = compare_strings(text_of(a), text_of(b));
	else if (a->type == JSON_DOUBLE)
		*ret = (a->d > b->d) - (a->d < b->d);
	else
		*ret = compare_integers(a, b);
	return 0;
}

#define ORDER_FN(name, condition) \
	static int name(Exec *x, const JsonValue *args, size_t n, JsonValue *ret) \
	{ \
		int order = 0; \
		(void)n; \
		int r = order_of(x, &args[0], &args[1], &order); \
		*ret = value_bool(order condition); \
		return r; \
	}
ORDER_FN(fn_lt, < 0)
ORDER_FN(fn_le, <= 0)
ORDER_FN(fn_gt, > 0)
ORDER_FN(fn_ge, >= 0)

static int fn_not(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	(void)x;
	(void)n;
	*ret = value_bool(!value_truth(&args[0]));
	return 0;
}

/* ---- len, index, slice ---- */

static int fn_len(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	(void)n;
	if (args[0].type == JSON_NULL) return fail(x, "len of nil pointer");
	if (args[0].type != JSON_STRING && args[0].type != JSON_ARRAY && args[0].type != JSON_OBJECT)
		return fail(x, "len of type %s", value_type(&args[0]));
	*ret = value_int(args[0].n);
	return 0;
}

/* A map of strings, labels for example, has the empty string for what it has not: so it is with docker's own. */
static bool holds_strings(const JsonValue *v)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (v->members[i].value.type != JSON_STRING) return false;
	return v->n > 0;
}

static int index_member(Exec *x, const JsonValue *v, const JsonValue *key, JsonValue *ret)
{
	if (key->type == JSON_NULL) return fail(x, "value is nil; should be of type string");
	if (key->type != JSON_STRING) return fail(x, "value has type %s; should be string", value_type(key));
	const JsonValue *member = json_get(v, key->s);
	*ret = member ? *member : holds_strings(v) ? value_string("", 0) : (JsonValue){ .type = JSON_NULL };
	return 0;
}

static int check_index(Exec *x, const JsonValue *index, uint64_t limit, size_t *ret)
{
	if (index->type == JSON_NULL) return fail(x, "cannot index slice/array with nil");
	if (index->type != JSON_INT && index->type != JSON_UINT) return fail(x, "cannot index slice/array with type %s", value_type(index));
	if (index->type == JSON_UINT || index->i < 0 || (uint64_t)index->i >= limit) {
		if (index->type == JSON_UINT) return fail(x, "index out of range: %" PRIu64, index->u);
		return fail(x, "index out of range: %" PRId64, index->i);
	}
	*ret = (size_t)index->i;
	return 0;
}

static int fn_index(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	JsonValue v = args[0];
	size_t at = 0;
	if (v.type == JSON_NULL) return fail(x, "index of untyped nil");
	for (size_t i = 1; i < n; i++) {
		int r = 0;
		if (v.type == JSON_NULL) return fail(x, "index of nil pointer");
		if (v.type == JSON_OBJECT) {
			r = index_member(x, &v, &args[i], &v);
		} else if (v.type == JSON_ARRAY) {
			r = check_index(x, &args[i], v.n, &at);
			if (r >= 0) v = v.items[at];
		} else if (v.type == JSON_STRING) {
			r = check_index(x, &args[i], v.n, &at);
			if (r >= 0) v = value_int((unsigned char)v.s[at]);
		} else {
			return fail(x, "can't index item of type %s", value_type(&v));
		}
		if (r < 0) return r;
	}
	*ret = v;
	return 0;
}

static int fn_slice(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	const JsonValue *v = &args[0];
	size_t from = 0, to = v->n;
	if (v->type == JSON_NULL) return fail(x, "slice of untyped nil");
	if (v->type != JSON_STRING && v->type != JSON_ARRAY) return fail(x, "can't slice item of type %s", value_type(v));
	if (n > 3) return fail(x, v->type == JSON_STRING ? "cannot 3-index slice a string" : "a third index is not supported");
	int r = n > 1 ? check_index(x, &args[1], (uint64_t)v->n + 1, &from) : 0;
	if (r >= 0 && n > 2) r = check_index(x, &args[2], (uint64_t)v->n + 1, &to);
	if (r < 0) return r;
	if (from > to) return fail(x, "invalid slice index: %zu > %zu", from, to);
	*ret = *v;
	ret->n = (uint32_t)(to - from);
	if (v->type == JSON_ARRAY) {
		ret->items = v->items + from;
		return 0;
	}
	ret->s = arena_str(x->arena, (Str){ v->s + from, to - from });
	return ret->s ? 0 : fail(x, "out of memory");
}

/* ---- printing ---- */

static int print_all(Exec *x, const JsonValue *args, size_t n, bool line, JsonValue *ret)
{
	AUTO_BUF b = BUF_INIT(TEXT_MAX);
	for (size_t i = 0; i < n; i++) {
		bool apart = line || (i && args[i].type != JSON_STRING && args[i - 1].type != JSON_STRING);
		if (i && apart) buf_putc(&b, ' ');
		if (value_print(x, &b, &args[i]) < 0) return fail(x, "out of memory");
	}
	if (line) buf_putc(&b, '\n');
	return value_take(x, &b, ret);
}

static int fn_print(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	return print_all(x, args, n, false, ret);
}

static int fn_println(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	return print_all(x, args, n, true, ret);
}

static int fn_printf(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	AUTO_BUF b = BUF_INIT(TEXT_MAX);
	if (value_format(x, &b, args[0].s, args + 1, n - 1) < 0) return fail(x, "out of memory");
	return value_take(x, &b, ret);
}

/* What html and urlquery escape: as print has it, but a lone nil is what an action prints for it. */
static int print_plain(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	if (n != 1 || args[0].type != JSON_NULL) return print_all(x, args, n, false, ret);
	*ret = value_string("<no value>", strlen("<no value>"));
	return 0;
}

static int fn_html(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	static const char from[] = "\"'&<>";
	static const char *const into[] = { "&#34;", "&#39;", "&amp;", "&lt;", "&gt;" };
	JsonValue plain;
	int r = print_plain(x, args, n, &plain);
	if (r < 0) return r;
	AUTO_BUF b = BUF_INIT(TEXT_MAX);
	for (uint32_t i = 0; i < plain.n; i++) {
		const char *at = plain.s[i] ? strchr(from, plain.s[i]) : NULL;
		if (at)
			buf_puts(&b, into[at - from]);
		else
			buf_putc(&b, plain.s[i]);
	}
	return value_take(x, &b, ret);
}

static int fn_urlquery(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	JsonValue plain;
	int r = print_plain(x, args, n, &plain);
	if (r < 0) return r;
	AUTO_BUF b = BUF_INIT(TEXT_MAX);
	for (uint32_t i = 0; i < plain.n; i++) {
		unsigned char c = (unsigned char)plain.s[i];
		if (isalnum(c) || (c && strchr("-_.~", c)))
			buf_putc(&b, (char)c);
		else if (c == ' ')
			buf_putc(&b, '+');
		else
			buf_printf(&b, "%%%02X", c);
	}
	return value_take(x, &b, ret);
}

/* ---- docker's ---- */

static int fn_json(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	AUTO_BUF b = BUF_INIT(TEXT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	(void)n;
	json_value(&w, &args[0]);
	return value_take(x, &b, ret);
}

static int fn_join(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	AUTO_BUF b = BUF_INIT(TEXT_MAX);
	(void)n;
	if (args[0].type != JSON_ARRAY && args[0].type != JSON_NULL)
		return fail(x, "wrong type for value; expected []string; got %s", value_type(&args[0]));
	for (uint32_t i = 0; args[0].type == JSON_ARRAY && i < args[0].n; i++) {
		const JsonValue *item = &args[0].items[i];
		if (item->type != JSON_STRING) return fail(x, "item %u: expected string; got %s", i, value_type(item));
		if (i) buf_put(&b, args[1].s, args[1].n);
		buf_put(&b, item->s, item->n);
	}
	return value_take(x, &b, ret);
}

/* Appends one piece to a list that doubles. */
static int add_piece(Exec *x, JsonValue *list, uint32_t *capacity, Str piece)
{
	if (list->n == *capacity) {
		JsonValue *items = arena_array(x->arena, *capacity ? *capacity * (size_t)2 : 8, sizeof *items);
		if (!items) return fail(x, "out of memory");
		if (list->n) memcpy(items, list->items, list->n * sizeof *items);
		list->items = items;
		*capacity = *capacity ? *capacity * 2 : 8;
	}
	const char *s = arena_str(x->arena, piece);
	if (!s) return fail(x, "out of memory");
	list->items[list->n++] = value_string(s, piece.n);
	return 0;
}

static int fn_split(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	Str s = text_of(&args[0]), sep = text_of(&args[1]);
	JsonValue list = { .type = JSON_ARRAY };
	uint32_t capacity = 0;
	int r = 0;
	(void)n;
	while (r >= 0 && !sep.n && s.n) { /* no separator: by characters */
		size_t k = str_utf8(s);
		r = add_piece(x, &list, &capacity, (Str){ s.p, k ? k : 1 });
		s = (Str){ s.p + (k ? k : 1), s.n - (k ? k : 1) };
	}
	while (r >= 0 && sep.n) {
		const char *at = memmem(s.p, s.n, sep.p, sep.n);
		size_t length = at ? (size_t)(at - s.p) : s.n;
		r = add_piece(x, &list, &capacity, (Str){ s.p, length });
		if (!at) break;
		s = (Str){ at + sep.n, s.n - length - sep.n };
	}
	*ret = list;
	return r;
}

/* Letters of ASCII only: others keep their case. */
static int map_letters(Exec *x, const JsonValue *v, int (*fn)(int c, bool first), JsonValue *ret)
{
	char *s = arena_str(x->arena, text_of(v));
	bool first = true;
	if (!s) return fail(x, "out of memory");
	for (uint32_t i = 0; i < v->n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c < 0x80) s[i] = (char)fn(c, first);
		first = c < 0x80 && !isalnum(c) && c != '_';
	}
	*ret = value_string(s, v->n);
	return 0;
}

static int letter_upper(int c, bool first)
{
	(void)first;
	return toupper(c);
}

static int letter_lower(int c, bool first)
{
	(void)first;
	return tolower(c);
}

static int letter_title(int c, bool first)
{
	return first ? toupper(c) : c;
}

static int fn_upper(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	(void)n;
	return map_letters(x, &args[0], letter_upper, ret);
}

static int fn_lower(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	(void)n;
	return map_letters(x, &args[0], letter_lower, ret);
}

static int fn_title(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	(void)n;
	return map_letters(x, &args[0], letter_title, ret);
}

static int check_count(Exec *x, const JsonValue *v, int64_t *ret)
{
	enum { COUNT_MAX = 65536 };
	if (v->type != JSON_INT) return fail(x, "wrong type for value; expected int; got %s", value_type(v));
	if (v->i < 0 || v->i > COUNT_MAX) return fail(x, "expected a number from 0 to %d, got %" PRId64, COUNT_MAX, v->i);
	*ret = v->i;
	return 0;
}

static int fn_pad(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	int64_t before, after;
	(void)n;
	int r = check_count(x, &args[1], &before);
	if (r < 0 || (r = check_count(x, &args[2], &after)) < 0) return r;
	*ret = args[0];
	if (!args[0].n) return 0;
	AUTO_BUF b = BUF_INIT(TEXT_MAX);
	buf_printf(&b, "%*s", (int)before, "");
	buf_put(&b, args[0].s, args[0].n);
	buf_printf(&b, "%*s", (int)after, "");
	return value_take(x, &b, ret);
}

static int fn_truncate(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	int64_t length;
	(void)n;
	int r = check_count(x, &args[1], &length);
	if (r < 0) return r;
	*ret = args[0];
	if (args[0].n < length) return 0;
	const char *s = arena_str(x->arena, (Str){ args[0].s, (size_t)length });
	if (!s) return fail(x, "out of memory");
	*ret = value_string(s, (size_t)length);
	return 0;
}

static int fn_lazy(Exec *x, const JsonValue *args, size_t n, JsonValue *ret)
{
	(void)args;
	(void)n;
	(void)ret;
	return fail(x, "and, or: evaluated by the caller");
}

enum { ANY = 1 << 20 };

static const TemplateFn functions[] = {
	{ "and", 1, ANY, fn_lazy, .lazy = true },
	{ "or", 1, ANY, fn_lazy, .lazy = true },
	{ "not", 1, 1, fn_not },
	{ "eq", 1, ANY, fn_eq },
	{ "ne", 2, 2, fn_ne },
	{ "lt", 2, 2, fn_lt },
	{ "le", 2, 2, fn_le },
	{ "gt", 2, 2, fn_gt },
	{ "ge", 2, 2, fn_ge },
	{ "len", 1, 1, fn_len },
	{ "index", 1, ANY, fn_index },
	{ "slice", 1, ANY, fn_slice },
	{ "print", 0, ANY, fn_print },
	{ "printf", 1, ANY, fn_printf, .strings = 1 },
	{ "println", 0, ANY, fn_println },
	{ "html", 0, ANY, fn_html },
	{ "urlquery", 0, ANY, fn_urlquery },
	{ "json", 1, 1, fn_json, .dockers = true },
	{ "join", 2, 2, fn_join, .dockers = true, .strings = 2 },
	{ "split", 2, 2, fn_split, .dockers = true, .strings = 3 },
	{ "upper", 1, 1, fn_upper, .dockers = true, .strings = 1 },
	{ "lower", 1, 1, fn_lower, .dockers = true, .strings = 1 },
	{ "title", 1, 1, fn_title, .dockers = true, .strings = 1 },
	{ "pad", 3, 3, fn_pad, .dockers = true, .strings = 1 },
	{ "truncate", 2, 2, fn_truncate, .dockers = true, .strings = 1 },
};

const TemplateFn *template_fn_find(Str name)
{
	for (size_t i = 0; i < ARRAY_LEN(functions); i++)
		if (str_eq(name, functions[i].name)) return &functions[i];
	return NULL;
}
