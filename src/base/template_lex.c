/* template_lex.c: the words of a template: blanks, delimiters, constants; see template_impl.h. */
#include <ctype.h>
#include <stdarg.h>

#include "base/template_impl.h"

static size_t line_at(const Lexer *l)
{
	size_t n = 1, end = l->at < l->text.n ? l->at : l->text.n;
	for (size_t i = 0; i < end; i++)
		n += l->text.p[i] == '\n';
	return n;
}

int lex_fail(Lexer *l, const char *fmt, ...)
{
	char reason[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	return err_set(l->e, ERR_USAGE, EINVAL, "template: %s:%zu: %s", l->name, line_at(l), reason);
}

int lex_fail_memory(Lexer *l)
{
	return err_set(l->e, ERR_RESOURCE, ENOMEM, "template: %s: too large", l->name);
}

char lex_peek(const Lexer *l, size_t ahead)
{
	return l->at + ahead < l->text.n ? l->text.p[l->at + ahead] : 0;
}

bool lex_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool lex_is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

bool lex_skip_blanks(Lexer *l)
{
	size_t from = l->at;
	while (l->at < l->text.n && lex_is_blank(l->text.p[l->at]))
		l->at++;
	return l->at > from;
}

bool lex_at_text(const Lexer *l, const char *s)
{
	return str_starts((Str){ l->text.p + l->at, l->text.n - l->at }, s);
}

/* The end of an action: "}}", or "-}}" behind a blank. */
bool lex_at_close(const Lexer *l)
{
	return lex_at_text(l, "}}") || (lex_at_text(l, "-}}") && l->at && lex_is_blank(l->text.p[l->at - 1]));
}

void lex_take_close(Lexer *l)
{
	l->trim = lex_peek(l, 0) == '-';
	l->at += l->trim ? 3 : 2;
}

Str lex_word(const Lexer *l)
{
	size_t n = 0;
	while (l->at + n < l->text.n && lex_is_word(l->text.p[l->at + n]))
		n++;
	return (Str){ l->text.p + l->at, n };
}

bool lex_is_keyword(Str w)
{
	static const char *const words[] = {
		"if", "else", "end", "range", "with", "break", "continue", "define", "template", "block", "nil"
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq(w, words[i])) return true;
	return false;
}

/* What stands here, as Go names it in "unexpected … in …". */
int lex_fail_unexpected(Lexer *l, const char *context)
{
	Str w = lex_word(l);
	size_t k = str_utf8((Str){ l->text.p + l->at, l->text.n - l->at });
	if (l->at >= l->text.n) return lex_fail(l, "unclosed action");
	if (lex_at_close(l)) return lex_fail(l, "unexpected \"}}\" in %s", context);
	if (lex_is_keyword(w)) return lex_fail(l, "unexpected <%.*s> in %s", (int)w.n, w.p, context);
	if (w.n > 10) return lex_fail(l, "unexpected \"%.10s\"... in %s", w.p, context);
	if (w.n) return lex_fail(l, "unexpected \"%.*s\" in %s", (int)w.n, w.p, context);
	if (strchr("|,()=:.", lex_peek(l, 0)))
		return lex_fail(l, "unexpected \"%.*s\" in %s", lex_at_text(l, ":=") ? 2 : 1, l->text.p + l->at, context);
	return lex_fail(l, "unexpected \"%.*s\" in %s", (int)(k ? k : 1), l->text.p + l->at, context);
}

/* A character that cannot stand right behind a word. */
int lex_fail_character(Lexer *l)
{
	size_t k = str_utf8((Str){ l->text.p + l->at, l->text.n - l->at });
	if (l->at >= l->text.n) return lex_fail(l, "unclosed action");
	return lex_fail(l, "bad character U+%04X '%.*s'", (unsigned char)lex_peek(l, 0), (int)(k ? k : 1), l->text.p + l->at);
}

/* ---- constants ---- */

static size_t put_rune(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n - 1; i; i--, c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(lead[n] | c);
	return n;
}

/* Behind a backslash: one escape of a Go string or character, as bytes into to. Their number, or -1. */
static int take_escape(Lexer *l, char quote, char to[static 4])
{
	static const char from[] = "abfnrtv\\", into[] = "\a\b\f\n\r\t\v\\";
	char c = lex_peek(l, 0);
	const char *simple = c ? strchr(from, c) : NULL;
	size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : c >= '0' && c <= '7' ? 3 : 0;
	uint64_t v;
	if (simple || c == quote) {
		l->at++;
		to[0] = simple ? into[simple - from] : c;
		return 1;
	}
	if (!digits) return -1;
	bool octal = digits == 3;
	l->at += !octal;
	if (l->text.n - l->at < digits || str_to_u64_base((Str){ l->text.p + l->at, digits }, octal ? 8 : 16, &v) < 0) return -1;
	l->at += digits;
	if (c != 'u' && c != 'U') {
		to[0] = (char)v;
		return v > 255 ? -1 : 1;
	}
	return v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? -1 : (int)put_rune(to, (uint32_t)v);
}

/* A quoted string whose end was found at `end`. NULs and broken UTF-8 cannot be in a value. */
int lex_take_string(Lexer *l, JsonValue *ret)
{
	size_t from = l->at++, n = 0;
	char *s = NULL;
	size_t end = l->at;
	for (; end < l->text.n && l->text.p[end] != '"' && l->text.p[end] != '\n'; end++)
		if (l->text.p[end] == '\\') end++;
	if (end >= l->text.n || l->text.p[end] != '"') return lex_fail(l, "unterminated quoted string");
	s = arena_alloc(l->arena, end - from + 1);
	if (!s) return lex_fail_memory(l);
	while (l->at < end) {
		char c = l->text.p[l->at++], bytes[4] = { c };
		int k = c == '\\' ? take_escape(l, '"', bytes) : 1;
		if (k < 0) return lex_fail(l, "invalid syntax");
		if (k == 1 && !bytes[0]) return lex_fail(l, "NUL in a string");
		memcpy(s + n, bytes, (size_t)k);
		n += (size_t)k;
	}
	l->at = end + 1;
	*ret = value_string(s, n);
	return 0;
}

int lex_take_raw_string(Lexer *l, JsonValue *ret)
{
	size_t from = ++l->at;
	const char *end = memchr(l->text.p + from, '`', l->text.n - from);
	if (!end) return lex_fail(l, "unterminated raw quoted string");
	size_t n = (size_t)(end - l->text.p) - from;
	const char *s = arena_str(l->arena, (Str){ l->text.p + from, n });
	if (!s) return lex_fail_memory(l);
	l->at = from + n + 1;
	*ret = value_string(s, n);
	return 0;
}

int lex_take_character(Lexer *l, JsonValue *ret)
{
	l->at++;
	char bytes[4] = { 0 };
	size_t k = str_utf8((Str){ l->text.p + l->at, l->text.n - l->at });
	int n = 1;
	if (lex_peek(l, 0) == '\\') {
		l->at++;
		n = take_escape(l, '\'', bytes);
	} else if (k && lex_peek(l, 0) != '\'' && lex_peek(l, 0) != '\n') {
		memcpy(bytes, l->text.p + l->at, k);
		n = (int)k;
		l->at += k;
	} else {
		n = -1;
	}
	if (n < 0 || lex_peek(l, 0) != '\'') return lex_fail(l, "malformed character constant");
	l->at++;
	uint32_t v = (unsigned char)bytes[0];
	if (n > 1) v &= 0x7fu >> n;
	for (int i = 1; i < n; i++)
		v = v << 6 | ((unsigned char)bytes[i] & 0x3f);
	*ret = value_int(v);
	return 0;
}

/* The text of an integer with its prefix; -EINVAL when it is none. */
static int parse_integer(Str s, JsonValue *ret)
{
	bool negative = s.p[0] == '-';
	unsigned base = 10;
	uint64_t v;
	if (s.p[0] == '-' || s.p[0] == '+') s = (Str){ s.p + 1, s.n - 1 };
	if (s.n > 1 && s.p[0] == '0') {
		char c = (char)(s.p[1] | 0x20);
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		size_t skip = c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
		s = (Str){ s.p + skip, s.n - skip };
	}
	int r = str_to_u64_base(s, base, &v);
	if (r < 0) return r;
	if (v > (uint64_t)INT64_MAX + negative) return -ERANGE;
	*ret = value_int(negative ? (int64_t)(0 - v) : (int64_t)v);
	return 0;
}

int lex_take_number(Lexer *l, JsonValue *ret)
{
	size_t n = 0;
	char text[64], *end;
	Str s = { l->text.p + l->at, 0 };
	while (l->at + n < l->text.n &&
	       (lex_is_word(s.p[n]) || s.p[n] == '.' || ((s.p[n] == '+' || s.p[n] == '-') && (n == 0 || strchr("eEpP", s.p[n - 1])))))
		n++;
	s.n = n;
	int r = parse_integer(s, ret);
	if (r == -ERANGE) return lex_fail(l, "integer overflow: %.*s", (int)(n > 40 ? 40 : n), s.p);
	if (r < 0) {
		if (n >= sizeof text) return lex_fail(l, "bad number syntax: \"%.40s\"", s.p);
		memcpy(text, s.p, n);
		text[n] = 0;
		double v = strtod(text, &end);
		/* strtod knows words too: inf, nan */
		if (*end || !text[strcspn(text, "0123456789")] || v - v != 0) return lex_fail(l, "bad number syntax: \"%s\"", text);
		*ret = (JsonValue){ .type = JSON_DOUBLE, .d = v };
	}
	l->at += n;
	return 0;
}

bool lex_at_number(const Lexer *l)
{
	char c = lex_peek(l, 0), next = lex_peek(l, 1);
	if (isdigit((unsigned char)c)) return true;
	return (c == '+' || c == '-' || c == '.') && (isdigit((unsigned char)next) || (next == '.' && c != '.'));
}
