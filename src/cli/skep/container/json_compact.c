/* json_compact.c: JSON without the blanks between its words, see options_impl.h. Refused in the words of Go's encoding/json. */
#include "cli/skep/container/options_impl.h"

enum { DEPTH_MAX = 10000 };

typedef struct Compact {
	const char *p, *end;
	Buf *out;
	Buf open; /* a '{' or '[' for each that is not closed yet */
	Err *e;
} Compact;

/* What is to come. */
typedef enum {
	COMING_VALUE,
	COMING_VALUE_OR_END, /* behind '[' */
	COMING_KEY,
	COMING_KEY_OR_END, /* behind '{' */
	COMING_MORE,       /* behind a value */
	COMING_NOTHING,
} Coming;

/* The character at p does not belong there. */
static int bad(const Compact *c, const char *where)
{
	AUTO_BUF b = BUF_INIT(64);
	bool inside = starts_with(where, "in ") || starts_with(where, "after decimal"); /* of a word: Go takes the end for a blank there */
	if (c->p == c->end && !inside) return err_set(c->e, ERR_CONFIG, EINVAL, "unexpected end of JSON input");
	unsigned char at = c->p == c->end ? ' ' : (unsigned char)*c->p;
	char wide[2] = { (char)(0xc0 | at >> 6), (char)(0x80 | (at & 0x3f)) };
	if (at == '\'') return err_set(c->e, ERR_CONFIG, EINVAL, "invalid character '\\'' %s", where);
	if (at == '"') return err_set(c->e, ERR_CONFIG, EINVAL, "invalid character '\"' %s", where);
	buf_quote(&b, at < 0x80 ? (Str){ (const char *)&at, 1 } : (Str){ wide, 2 });
	return err_set(c->e, ERR_CONFIG, EINVAL, "invalid character '%.*s' %s", (int)b.n - 2, buf_str(&b) + 1, where);
}

static bool at(const Compact *c, const char *set)
{
	return c->p < c->end && *c->p && strchr(set, *c->p);
}

static void copy(Compact *c)
{
	buf_putc(c->out, *c->p++);
}

static int take_digits(Compact *c, const char *where)
{
	if (!at(c, "0123456789")) return bad(c, where);
	while (at(c, "0123456789"))
		copy(c);
	return 0;
}

static int take_number(Compact *c)
{
	int r = 0;
	if (at(c, "-")) copy(c);
	if (at(c, "0"))
		copy(c);
	else
		r = take_digits(c, "in numeric literal");
	if (r >= 0 && at(c, ".")) {
		copy(c);
		r = take_digits(c, "after decimal point in numeric literal");
	}
	if (r >= 0 && at(c, "eE")) {
		copy(c);
		if (at(c, "+-")) copy(c);
		r = take_digits(c, "in exponent of numeric literal");
	}
	return r;
}

static int take_escape(Compact *c)
{
	copy(c);
	bool unicode = at(c, "u");
	if (!at(c, "\"\\/bfnrtu")) return bad(c, "in string escape code");
	copy(c);
	for (int i = 0; unicode && i < 4; i++) {
		if (!at(c, "0123456789abcdefABCDEF")) return bad(c, "in \\u hexadecimal character escape");
		copy(c);
	}
	return 0;
}

static int take_string(Compact *c)
{
	for (copy(c); c->p < c->end && *c->p != '"';) {
		if ((unsigned char)*c->p < 0x20) return bad(c, "in string literal");
		if (*c->p != '\\') {
			copy(c);
			continue;
		}
		int r = take_escape(c);
		if (r < 0) return r;
	}
	if (c->p == c->end) return bad(c, "");
	copy(c);
	return 0;
}

static int take_word(Compact *c, const char *word)
{
	char where[64];
	for (const char *w = word; *w; w++) {
		snprintf(where, sizeof where, "in literal %s (expecting '%c')", word, *w);
		if (c->p == c->end || *c->p != *w) return bad(c, where);
		copy(c);
	}
	return 0;
}

static int enter(Compact *c, Coming *coming)
{
	*coming = *c->p == '{' ? COMING_KEY_OR_END : COMING_VALUE_OR_END;
	buf_putc(&c->open, *c->p);
	if (buf_failed(&c->open)) return err_set(c->e, ERR_CONFIG, EINVAL, "exceeded max depth");
	copy(c);
	return 0;
}

static void leave(Compact *c, Coming *coming)
{
	c->open.n--;
	*coming = c->open.n ? COMING_MORE : COMING_NOTHING;
	copy(c);
}

static int take_value(Compact *c, Coming *coming)
{
	if (at(c, "{[")) return enter(c, coming);
	*coming = c->open.n ? COMING_MORE : COMING_NOTHING;
	if (at(c, "\"")) return take_string(c);
	if (at(c, "-0123456789")) return take_number(c);
	if (at(c, "t")) return take_word(c, "true");
	if (at(c, "f")) return take_word(c, "false");
	if (at(c, "n")) return take_word(c, "null");
	return bad(c, "looking for beginning of value");
}

static void skip_blanks(Compact *c)
{
	while (at(c, " \t\r\n"))
		c->p++;
}

static int take_key(Compact *c, Coming *coming)
{
	if (!at(c, "\"")) return bad(c, "looking for beginning of object key string");
	int r = take_string(c);
	if (r < 0) return r;
	skip_blanks(c);
	if (!at(c, ":")) return bad(c, "after object key");
	copy(c);
	*coming = COMING_VALUE;
	return 0;
}

static int take_more(Compact *c, Coming *coming)
{
	bool object = c->open.p[c->open.n - 1] == '{';
	if (at(c, ",")) {
		copy(c);
		*coming = object ? COMING_KEY : COMING_VALUE;
		return 0;
	}
	if (!at(c, object ? "}" : "]")) return bad(c, object ? "after object key:value pair" : "after array element");
	leave(c, coming);
	return 0;
}

static int take_next(Compact *c, Coming *coming)
{
	switch (*coming) {
	case COMING_KEY_OR_END:
		if (!at(c, "}")) return take_key(c, coming);
		leave(c, coming);
		return 0;
	case COMING_KEY:
		return take_key(c, coming);
	case COMING_VALUE_OR_END:
		if (!at(c, "]")) return take_value(c, coming);
		leave(c, coming);
		return 0;
	case COMING_MORE:
		return take_more(c, coming);
	case COMING_VALUE:
	case COMING_NOTHING:
		break;
	}
	return take_value(c, coming);
}

int json_compact(Str text, Buf *out, Err *e)
{
	Compact c = { .p = text.p, .end = text.p + text.n, .out = out, .open = BUF_INIT(DEPTH_MAX), .e = e };
	Coming coming = COMING_VALUE;
	int r = 0;
	skip_blanks(&c);
	while (r >= 0 && coming != COMING_NOTHING) {
		r = take_next(&c, &coming);
		skip_blanks(&c);
	}
	if (r >= 0 && c.p < c.end) r = bad(&c, "after top-level value");
	buf_done(&c.open);
	return r;
}
