/* toml.c: see toml.h. */
#include "base/toml.h"

#include <ctype.h>
#include <stdarg.h>

/* Tables and arrays grow while the document is read; at the end they become JSON values. */
typedef struct Node Node;
struct Node {
	const char *key; /* in its table; NULL in an array */
	Node *next, *first, *last;
	uint32_t n;
	JsonType type;
	JsonValue scalar;
	bool closed;  /* an inline table or array: nothing can be added */
	bool defined; /* by a header of its own, or by dotted keys */
	bool tables;  /* an array of tables */
};

typedef struct Reader {
	Str text;
	size_t at;
	Arena *arena;
	Err *e;
	int depth;
} Reader;

static int read_value(Reader *r, Node *to);

static int fail(Reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int fail(Reader *r, const char *fmt, ...)
{
	char reason[256];
	size_t line = 1;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < r->at && i < r->text.n; i++)
		line += r->text.p[i] == '\n';
	return err_set(r->e, ERR_CONFIG, EINVAL, "line %zu: %s", line, reason);
}

static int fail_memory(Reader *r)
{
	return err_set(r->e, ERR_RESOURCE, ENOMEM, "the document is too large");
}

static char peek(const Reader *r, size_t ahead)
{
	return r->at + ahead < r->text.n ? r->text.p[r->at + ahead] : 0;
}

static bool at_text(const Reader *r, const char *s)
{
	return str_starts((Str){ r->text.p + r->at, r->text.n - r->at }, s);
}

static void skip_blanks(Reader *r)
{
	while (peek(r, 0) == ' ' || peek(r, 0) == '\t')
		r->at++;
}

static void skip_comment(Reader *r)
{
	if (peek(r, 0) == '#')
		while (r->at < r->text.n && r->text.p[r->at] != '\n')
			r->at++;
}

static bool take_newline(Reader *r)
{
	if (peek(r, 0) == '\r' && peek(r, 1) == '\n') r->at++;
	if (peek(r, 0) != '\n') return false;
	r->at++;
	return true;
}

/* Blanks, comments and line ends. */
static void skip_lines(Reader *r)
{
	do {
		skip_blanks(r);
		skip_comment(r);
	} while (take_newline(r));
}

static int end_line(Reader *r)
{
	skip_blanks(r);
	skip_comment(r);
	if (r->at >= r->text.n || take_newline(r)) return 0;
	return fail(r, "unexpected '%c' after a value", isprint((unsigned char)peek(r, 0)) ? peek(r, 0) : '?');
}

static Node *node_add(Reader *r, Node *to, const char *key, JsonType type)
{
	if (to->n == TOML_KEYS_MAX) return NULL;
	Node *n = arena_alloc(r->arena, sizeof *n);
	if (!n) return NULL;
	*n = (Node){ .key = key, .type = type };
	if (to->last)
		to->last->next = n;
	else
		to->first = n;
	to->last = n;
	to->n++;
	return n;
}

static Node *node_find(const Node *table, const char *key)
{
	for (Node *n = table->first; n; n = n->next)
		if (streq(n->key, key)) return n;
	return NULL;
}

/* ---- strings ---- */

static int put_escape(Reader *r, Buf *b)
{
	static const char from[] = "btnfre\"\\", into[] = "\b\t\n\f\r\033\"\\";
	char c = peek(r, 0);
	const char *at = c ? strchr(from, c) : NULL;
	size_t digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
	uint64_t v;
	r->at++;
	if (at && c != 'e') {
		buf_putc(b, into[at - from]);
		return 0;
	}
	if (!digits || r->text.n - r->at < digits || str_to_u64_base((Str){ r->text.p + r->at, digits }, 16, &v) < 0 || v == 0 ||
	    v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return fail(r, "unknown escape in a string");
	r->at += digits;
	if (v < 0x80) {
		buf_putc(b, (char)v);
		return 0;
	}
	int more = v < 0x800 ? 1 : v < 0x10000 ? 2 : 3;
	buf_putc(b, (char)((more == 1 ? 0xc0u : more == 2 ? 0xe0u : 0xf0u) | v >> (6 * more)));
	while (more--)
		buf_putc(b, (char)(0x80 | ((v >> (6 * more)) & 0x3f)));
	return 0;
}

/* One character of a string as it stands; control characters and broken UTF-8 have no place there. */
static int put_character(Reader *r, Buf *b, bool lines)
{
	unsigned char c = (unsigned char)r->text.p[r->at];
	size_t k = c < 0x80 ? 1 : str_utf8((Str){ r->text.p + r->at, r->text.n - r->at });
	bool line_end = c == '\n' || (c == '\r' && peek(r, 1) == '\n');
	if (!k) return fail(r, "invalid UTF-8 in a string");
	if ((c < 0x20 && c != '\t' && !(lines && line_end)) || c == 0x7f)
		return fail(r, line_end ? "string without an end" : "control character in a string");
	buf_put(b, r->text.p + r->at, k);
	r->at += k;
	return 0;
}

/* A backslash at the end of a line: the blanks and line ends that follow are left out. */
static bool skip_folded(Reader *r)
{
	size_t at = r->at + 1;
	while (at < r->text.n && (r->text.p[at] == ' ' || r->text.p[at] == '\t' || r->text.p[at] == '\r'))
		at++;
	if (at >= r->text.n || r->text.p[at] != '\n') return false;
	while (at < r->text.n && isspace((unsigned char)r->text.p[at]))
		at++;
	r->at = at;
	return true;
}

static int read_string(Reader *r, bool may_span, const char **ret, uint32_t *ret_n)
{
	char quote = peek(r, 0);
	char close[] = { quote, quote, quote, 0 };
	bool lines = at_text(r, close), basic = quote == '"';
	AUTO_BUF b = BUF_INIT(TOML_SIZE_MAX);
	if (lines && !may_span) return fail(r, "a key cannot span lines");
	if (!lines) close[1] = 0;
	r->at += lines ? 3 : 1;
	if (lines) (void)take_newline(r);
	for (;;) {
		int x = 0;
		if (r->at >= r->text.n) return fail(r, "string without an end");
		if (at_text(r, close) && !(lines && peek(r, 3) == quote)) break;
		if (lines && basic && peek(r, 0) == '\\' && skip_folded(r)) continue;
		if (basic && peek(r, 0) == '\\') {
			r->at++;
			x = put_escape(r, &b);
		} else {
			x = put_character(r, &b, lines);
		}
		if (x < 0) return x;
	}
	r->at += lines ? 3 : 1;
	*ret = buf_failed(&b) ? NULL : arena_str(r->arena, (Str){ buf_str(&b), b.n });
	*ret_n = (uint32_t)b.n;
	return *ret ? 0 : fail_memory(r);
}

/* ---- keys ---- */

static bool is_bare(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static int read_key(Reader *r, const char **ret)
{
	size_t n = 0;
	uint32_t length;
	if (peek(r, 0) == '"' || peek(r, 0) == '\'') return read_string(r, false, ret, &length);
	while (is_bare(peek(r, n)))
		n++;
	if (!n) return fail(r, "a key is missing");
	*ret = arena_str(r->arena, (Str){ r->text.p + r->at, n });
	r->at += n;
	return *ret ? 0 : fail_memory(r);
}

/* The table below `in` with that key, made when it is missing; of an array of tables the last one. */
static int enter(Reader *r, Node *in, const char *key, bool dotted, Node **ret)
{
	Node *n = node_find(in, key);
	if (!n) {
		n = node_add(r, in, key, JSON_OBJECT);
		if (!n) return fail_memory(r);
		n->defined = dotted;
	}
	if (n->tables && !dotted) n = n->last;
	if (n->type != JSON_OBJECT || n->closed) return fail(r, "\"%.100s\" is no table that can be added to", key);
	*ret = n;
	return 0;
}

/* a.b.c: *table becomes the one that holds the last part, *ret that part. */
static int read_path(Reader *r, Node **table, bool dotted, const char **ret)
{
	for (int depth = 0;; depth++) {
		int x = read_key(r, ret);
		if (x < 0) return x;
		skip_blanks(r);
		if (peek(r, 0) != '.') return 0;
		r->at++;
		skip_blanks(r);
		if (depth == TOML_DEPTH_MAX) return fail(r, "more than %d levels", TOML_DEPTH_MAX);
		x = enter(r, *table, *ret, dotted, table);
		if (x < 0) return x;
	}
}

static int read_pair(Reader *r, Node *table)
{
	const char *key;
	int x = read_path(r, &table, true, &key);
	if (x < 0) return x;
	if (peek(r, 0) != '=') return fail(r, "'=' is missing after \"%.100s\"", key);
	r->at++;
	skip_blanks(r);
	if (node_find(table, key)) return fail(r, "\"%.100s\" is defined twice", key);
	Node *n = node_add(r, table, key, JSON_NULL);
	return n ? read_value(r, n) : fail_memory(r);
}

/* ---- values ---- */

static int read_array(Reader *r, Node *to)
{
	r->at++;
	*to = (Node){ .key = to->key, .next = to->next, .type = JSON_ARRAY, .closed = true };
	for (;;) {
		skip_lines(r);
		if (peek(r, 0) == ']') break;
		Node *n = node_add(r, to, NULL, JSON_NULL);
		int x = n ? read_value(r, n) : fail_memory(r);
		if (x < 0) return x;
		skip_lines(r);
		if (peek(r, 0) == ']') break;
		if (peek(r, 0) != ',') return fail(r, "',' or ']' is missing in an array");
		r->at++;
	}
	r->at++;
	return 0;
}

static int read_inline_table(Reader *r, Node *to)
{
	r->at++;
	to->type = JSON_OBJECT;
	skip_blanks(r);
	while (peek(r, 0) != '}') {
		int x = read_pair(r, to);
		if (x < 0) return x;
		skip_blanks(r);
		if (peek(r, 0) == '}') break;
		if (peek(r, 0) != ',') return fail(r, "',' or '}' is missing in a table");
		r->at++;
		skip_blanks(r);
		if (peek(r, 0) == '}') return fail(r, "',' before '}'");
	}
	r->at++;
	to->closed = true;
	return 0;
}

/* The digits of a number without underscores, each of which must stand between two digits. */
static int plain_number(Reader *r, Str s, char to[static 80])
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		bool between = i && i + 1 < s.n && isxdigit((unsigned char)s.p[i - 1]) && isxdigit((unsigned char)s.p[i + 1]);
		if (s.p[i] == '_' && between) continue;
		if (s.p[i] == '_' || n == 79) return fail(r, "unknown value \"%.*s\"", (int)(s.n > 60 ? 60 : s.n), s.p);
		to[n++] = s.p[i];
	}
	to[n] = 0;
	return 0;
}

static bool is_decimal(const char *p)
{
	p += *p == '+' || *p == '-';
	size_t whole = strspn(p, "0123456789");
	if (!whole || (whole > 1 && *p == '0')) return false;
	p += whole;
	if (*p == '.') {
		size_t fraction = strspn(++p, "0123456789");
		if (!fraction) return false;
		p += fraction;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '+' || *p == '-';
		size_t exponent = strspn(p, "0123456789");
		if (!exponent) return false;
		p += exponent;
	}
	return !*p;
}

static int read_number(Reader *r, Str s, JsonValue *ret)
{
	char text[80];
	int x = plain_number(r, s, text);
	if (x < 0) return x;
	unsigned base = starts_with(text, "0x") ? 16 : starts_with(text, "0o") ? 8 : starts_with(text, "0b") ? 2 : 10;
	if (base != 10) {
		uint64_t v;
		x = str_to_u64_base(str_of(text + 2), base, &v);
		if (x < 0 || v > INT64_MAX) return fail(r, "unknown value \"%s\"", text);
		*ret = (JsonValue){ .type = JSON_INT, .i = (int64_t)v };
		return 0;
	}
	if (!is_decimal(text)) return fail(r, "unknown value \"%s\" (strings need quotes; dates are not supported)", text);
	if (!strpbrk(text, ".eE")) {
		*ret = (JsonValue){ .type = JSON_INT };
		x = str_to_i64(str_of(text + (text[0] == '+')), &ret->i);
		return x < 0 ? fail(r, "\"%s\" does not fit in 64 bits", text) : 0;
	}
	*ret = (JsonValue){ .type = JSON_DOUBLE, .d = strtod(text, NULL) };
	return ret->d - ret->d != 0 ? fail(r, "\"%s\" is too large", text) : 0;
}

static int read_word(Reader *r, Node *to)
{
	size_t n = 0;
	while (is_bare(peek(r, n)) || peek(r, n) == '.' || peek(r, n) == '+' || peek(r, n) == ':')
		n++;
	Str s = { r->text.p + r->at, n };
	if (!n) return fail(r, "a value is missing");
	if (str_eq(s, "true") || str_eq(s, "false")) {
		to->type = JSON_BOOL;
		to->scalar = (JsonValue){ .type = JSON_BOOL, .boolean = s.p[0] == 't' };
	} else {
		int x = read_number(r, s, &to->scalar);
		if (x < 0) return x;
		to->type = to->scalar.type;
	}
	r->at += n;
	return 0;
}

static int read_value(Reader *r, Node *to)
{
	char c = peek(r, 0);
	int x;
	if (c == '"' || c == '\'') {
		to->type = JSON_STRING;
		to->scalar.type = JSON_STRING;
		return read_string(r, true, &to->scalar.s, &to->scalar.n);
	}
	if (c != '[' && c != '{') return read_word(r, to);
	if (++r->depth > TOML_DEPTH_MAX) return fail(r, "more than %d levels", TOML_DEPTH_MAX);
	x = c == '[' ? read_array(r, to) : read_inline_table(r, to);
	r->depth--;
	return x;
}

/* ---- headers ---- */

static int open_table(Reader *r, Node *in, const char *key, Node **ret)
{
	Node *n = node_find(in, key);
	if (n && (n->defined || n->type != JSON_OBJECT || n->closed)) return fail(r, "\"%.100s\" is defined twice", key);
	if (!n) n = node_add(r, in, key, JSON_OBJECT);
	if (!n) return fail_memory(r);
	n->defined = true;
	*ret = n;
	return 0;
}

static int open_array_table(Reader *r, Node *in, const char *key, Node **ret)
{
	Node *n = node_find(in, key);
	if (n && !n->tables) return fail(r, "\"%.100s\" is defined twice", key);
	if (!n) n = node_add(r, in, key, JSON_ARRAY);
	if (!n) return fail_memory(r);
	n->tables = true;
	Node *item = node_add(r, n, NULL, JSON_OBJECT);
	if (!item) return fail_memory(r);
	item->defined = true;
	*ret = item;
	return 0;
}

/* [a.b] or [[a.b]] */
static int read_header(Reader *r, Node *root, Node **ret)
{
	bool array = peek(r, 1) == '[';
	Node *in = root;
	const char *key;
	r->at += array ? 2 : 1;
	skip_blanks(r);
	int x = read_path(r, &in, false, &key);
	if (x < 0) return x;
	if (!at_text(r, array ? "]]" : "]")) return fail(r, "']' is missing after the name of a table");
	r->at += array ? 2 : 1;
	return array ? open_array_table(r, in, key, ret) : open_table(r, in, key, ret);
}

/* No deeper than headers and values may nest. */
static int convert(Reader *r, const Node *n, JsonValue *ret)
{
	*ret = n->scalar;
	if (n->type != JSON_OBJECT && n->type != JSON_ARRAY) return 0;
	*ret = (JsonValue){ .type = n->type, .n = n->n };
	void *all = arena_array(r->arena, (size_t)n->n + 1, n->type == JSON_ARRAY ? sizeof *ret->items : sizeof *ret->members);
	if (!all) return fail_memory(r);
	size_t i = 0;
	if (n->type == JSON_ARRAY)
		ret->items = all;
	else
		ret->members = all;
	for (const Node *c = n->first; c; c = c->next, i++) {
		if (n->type == JSON_OBJECT) ret->members[i].key = c->key;
		int x = convert(r, c, n->type == JSON_ARRAY ? &ret->items[i] : &ret->members[i].value);
		if (x < 0) return x;
	}
	return 0;
}

int toml_parse(Str text, Arena *a, JsonValue *ret, Err *e)
{
	Reader r = { .text = text, .arena = a, .e = e };
	Node root = { .type = JSON_OBJECT }, *table = &root;
	if (text.n > TOML_SIZE_MAX) return err_set(e, ERR_CONFIG, E2BIG, "longer than %d bytes", TOML_SIZE_MAX);
	for (;;) {
		skip_lines(&r);
		if (r.at >= text.n) break;
		int x = peek(&r, 0) == '[' ? read_header(&r, &root, &table) : read_pair(&r, table);
		if (x < 0 || (x = end_line(&r)) < 0) return x;
	}
	return convert(&r, &root, ret);
}
