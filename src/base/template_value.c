/* template_value.c: JSON values as Go's fmt prints them. */
#include <inttypes.h>
#include <math.h>

#include "base/duration.h"
#include "base/template_impl.h"

int value_take(Exec *x, Buf *b, JsonValue *ret)
{
	char *s = buf_failed(b) || b->n > UINT32_MAX ? NULL : arena_str(x->arena, (Str){ buf_str(b), b->n });
	if (!s) return err_set(x->e, ERR_RESOURCE, ENOMEM, "out of memory");
	*ret = value_string(s, b->n);
	return 0;
}

bool value_truth(const JsonValue *v)
{
	switch (v->type) {
	case JSON_NULL:
		return false;
	case JSON_BOOL:
		return v->boolean;
	case JSON_INT:
		return v->i != 0;
	case JSON_UINT:
		return v->u != 0;
	case JSON_DOUBLE:
		return fpclassify(v->d) != FP_ZERO;
	case JSON_STRING:
	case JSON_ARRAY:
	case JSON_OBJECT:
		return v->n != 0;
	}
	return false;
}

const char *value_type(const JsonValue *v)
{
	static const char *const names[] = {
		[JSON_NULL] = "<nil>",
		[JSON_BOOL] = "bool",
		[JSON_INT] = "int",
		[JSON_UINT] = "uint64",
		[JSON_DOUBLE] = "float64",
		[JSON_STRING] = "string",
		[JSON_ARRAY] = "[]interface {}",
		[JSON_OBJECT] = "map[string]interface {}",
	};
	return names[v->type];
}

/* The shortest digits that give the same number back; an exponent outside of -4 to 5. */
void value_print_double(Buf *b, double v)
{
	char text[48];
	int precision = 0;
	if (!isfinite(v)) {
		buf_puts(b, isnan(v) ? "NaN" : v < 0 ? "-Inf" : "+Inf");
		return;
	}
	for (; precision <= 17; precision++) {
		snprintf(text, sizeof text, "%.*e", precision, v);
		double back = strtod(text, NULL);
		if (memcmp(&back, &v, sizeof v) == 0) break;
	}
	const char *e = strchr(text, 'e');
	int64_t exponent = 0;
	if (!e || str_to_i64(str_of(e[1] == '+' ? e + 2 : e + 1), &exponent) < 0) return;
	if (exponent >= -4 && exponent < 6)
		buf_printf(b, "%.*f", precision > exponent ? (int)(precision - exponent) : 0, v);
	else
		buf_puts(b, text);
}

static int member_order(const void *a, const void *b)
{
	const JsonMember *const *x = a, *const *y = b;
	return strcmp((*x)->key, (*y)->key);
}

int value_members(Exec *x, const JsonValue *v, const JsonMember ***ret)
{
	const JsonMember **members = arena_array(x->arena, (size_t)v->n + 1, sizeof *members);
	if (!members) return -ENOMEM;
	for (uint32_t i = 0; i < v->n; i++)
		members[i] = &v->members[i];
	qsort(members, v->n, sizeof *members, member_order);
	*ret = members;
	return 0;
}

static int print_struct(Exec *x, Buf *b, const JsonValue *v)
{
	int r = 0;
	buf_putc(b, '{');
	for (uint32_t i = 0; r >= 0 && i < v->n; i++) {
		if (v->members[i].value.go & JSON_ALIAS) continue;
		if (i) buf_putc(b, ' ');
		r = value_print(x, b, &v->members[i].value);
	}
	buf_putc(b, '}');
	return r;
}

static int print_object(Exec *x, Buf *b, const JsonValue *v)
{
	const JsonMember **members;
	if (v->go & JSON_STRUCT) return print_struct(x, b, v);
	int r = value_members(x, v, &members);
	buf_puts(b, "map[");
	for (uint32_t i = 0; r >= 0 && i < v->n; i++) {
		buf_printf(b, "%s%s:", i ? " " : "", members[i]->key);
		r = value_print(x, b, &members[i]->value);
	}
	buf_putc(b, ']');
	return r;
}

/* "2026-01-02T03:04:05.6Z" as Go's String() has it; any other text as it is. */
static void print_time(Buf *b, Str s)
{
	Str day, clock;
	if (!str_cut(s, 'T', &day, &clock) || !clock.n || clock.p[clock.n - 1] != 'Z')
		buf_put(b, s.p, s.n);
	else
		buf_printf(b, "%.*s %.*s +0000 UTC", (int)day.n, day.p, (int)clock.n - 1, clock.p);
}

int value_print(Exec *x, Buf *b, const JsonValue *v)
{
	int r = 0;
	switch (v->type) {
	case JSON_NULL:
		buf_puts(b, "<nil>");
		break;
	case JSON_BOOL:
		buf_puts(b, v->boolean ? "true" : "false");
		break;
	case JSON_INT:
		if (v->go & JSON_DURATION) {
			char text[DURATION_TEXT_MAX];
			duration_format(v->i, text);
			buf_puts(b, text);
		} else
			buf_printf(b, "%" PRId64, v->i);
		break;
	case JSON_UINT:
		buf_printf(b, "%" PRIu64, v->u);
		break;
	case JSON_DOUBLE:
		value_print_double(b, v->d);
		break;
	case JSON_STRING:
		if (v->go & JSON_TIME)
			print_time(b, (Str){ v->s, v->n });
		else
			buf_put(b, v->s, v->n);
		break;
	case JSON_ARRAY:
		buf_putc(b, '[');
		for (uint32_t i = 0; r >= 0 && i < v->n; i++) {
			if (i) buf_putc(b, ' ');
			r = value_print(x, b, &v->items[i]);
		}
		buf_putc(b, ']');
		break;
	case JSON_OBJECT:
		return print_object(x, b, v);
	}
	return r;
}

/* ---- fmt.Sprintf ---- */

typedef struct Verb {
	bool minus, plus, zero, space, sharp;
	int width, precision; /* -1: none */
	char verb;
} Verb;

typedef struct Format {
	Exec *x;
	Buf *out;
	const char *at;
	const JsonValue *args;
	size_t n, next;
} Format;

enum { FORMAT_WIDTH_MAX = 10000 };

static size_t count_runes(Str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static Str first_runes(Str s, size_t want)
{
	size_t i = 0;
	for (size_t n = 0; i < s.n; i++) {
		if (((unsigned char)s.p[i] & 0xc0) != 0x80 && n++ == want) break;
	}
	return (Str){ s.p, i };
}

/* Text within the width; zeros go behind the sign. */
static void put_padded(Buf *b, const Verb *v, Str s, bool number)
{
	size_t n = count_runes(s), width = v->width > 0 ? (size_t)v->width : 0, fill = width > n ? width - n : 0;
	bool zeros = v->zero && !v->minus;
	if (zeros && number && s.n && (s.p[0] == '-' || s.p[0] == '+')) {
		buf_putc(b, s.p[0]);
		s = (Str){ s.p + 1, s.n - 1 };
	}
	for (size_t i = 0; i < fill && !v->minus; i++)
		buf_putc(b, zeros ? '0' : ' ');
	buf_put(b, s.p, s.n);
	for (size_t i = 0; i < fill && v->minus; i++)
		buf_putc(b, ' ');
}

static void put_bad_verb(Format *f, const Verb *v, const JsonValue *arg)
{
	buf_printf(f->out, "%%!%c(", v->verb);
	if (arg->type == JSON_NULL) {
		buf_puts(f->out, "<nil>)");
		return;
	}
	buf_printf(f->out, "%s=", value_type(arg));
	(void)!value_print(f->x, f->out, arg);
	buf_putc(f->out, ')');
}

static void put_integer(Format *f, const Verb *v, const JsonValue *arg)
{
	bool negative = arg->type == JSON_INT && arg->i < 0;
	uint64_t u = negative ? 0 - (uint64_t)arg->i : arg->u;
	char digits[72], *p = digits + sizeof digits;
	unsigned base = v->verb == 'b' ? 2 : v->verb == 'o' ? 8 : v->verb == 'x' || v->verb == 'X' ? 16 : 10;
	const char *set = v->verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	do
		*--p = set[u % base];
	while (u /= base);
	if (v->sharp && base == 16) {
		*--p = v->verb;
		*--p = '0';
	}
	if (v->sharp && base == 8) *--p = '0';
	if (negative || v->plus || v->space) *--p = negative ? '-' : v->plus ? '+' : ' ';
	put_padded(f->out, v, (Str){ p, (size_t)(digits + sizeof digits - p) }, true);
}

static void put_character(Format *f, const Verb *v, const JsonValue *arg)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	uint64_t c = arg->type == JSON_INT && arg->i < 0 ? 0xfffd : arg->u;
	char text[4];
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || c == 0) c = 0xfffd;
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n; i--; c >>= 6)
		text[i] = (char)(i ? 0x80 | (c & 0x3f) : lead[n == 1 ? 0 : n] | c);
	put_padded(f->out, v, (Str){ text, n }, false);
}

/* The verbs that C has as well. */
static void print_double_verb(Buf *b, char verb, int precision, double d)
{
	switch (verb) {
	case 'e':
		buf_printf(b, "%.*e", precision, d);
		return;
	case 'E':
		buf_printf(b, "%.*E", precision, d);
		return;
	case 'f':
	case 'F':
		buf_printf(b, "%.*f", precision, d);
		return;
	default:
		buf_printf(b, "%.*g", precision, d);
	}
}

static void put_double(Format *f, const Verb *v, double d)
{
	AUTO_BUF b = BUF_INIT(FORMAT_WIDTH_MAX + 512);
	bool shortest = strchr("vgG", v->verb) && v->precision < 0;
	if ((v->plus || v->space) && !signbit(d)) buf_putc(&b, v->plus ? '+' : ' ');
	if (shortest || !isfinite(d))
		value_print_double(&b, d);
	else
		print_double_verb(&b, v->verb, v->precision < 0 ? 6 : v->precision, d);
	put_padded(f->out, v, (Str){ buf_str(&b), b.n }, true);
}

static void put_hex(Format *f, const Verb *v, Str s)
{
	AUTO_BUF b = BUF_INIT((size_t)4 << 20);
	for (size_t i = 0; i < s.n; i++)
		buf_printf(&b, v->verb == 'X' ? "%02X" : "%02x", (unsigned char)s.p[i]);
	put_padded(f->out, v, (Str){ buf_str(&b), b.n }, false);
}

static void put_string(Format *f, const Verb *v, Str s)
{
	AUTO_BUF quoted = BUF_INIT((size_t)4 << 20);
	if (v->precision >= 0) s = first_runes(s, (size_t)v->precision);
	if (v->verb == 'x' || v->verb == 'X') {
		put_hex(f, v, s);
		return;
	}
	if (v->verb == 'q' || (v->verb == 'v' && v->sharp)) {
		buf_quote(&quoted, s);
		s = (Str){ buf_str(&quoted), quoted.n };
	}
	put_padded(f->out, v, s, false);
}

static void put_verb(Format *f, const Verb *v, const JsonValue *arg);

/* Lists and maps: the verb goes to each of their values. */
static void put_container(Format *f, const Verb *v, const JsonValue *arg)
{
	const JsonMember **members = NULL;
	if (arg->type == JSON_OBJECT && value_members(f->x, arg, &members) < 0) {
		f->out->failed = true;
		return;
	}
	Verb keys = *v;
	buf_puts(f->out, members ? "map[" : "[");
	for (uint32_t i = 0; i < arg->n; i++) {
		if (i) buf_putc(f->out, ' ');
		if (members) {
			JsonValue key = value_string(members[i]->key, strlen(members[i]->key));
			put_verb(f, &keys, &key);
			buf_putc(f->out, ':');
		}
		const JsonValue *item = members ? &members[i]->value : &arg->items[i];
		if (item->type == JSON_NULL && v->verb != 'v')
			buf_puts(f->out, "<nil>");
		else
			put_verb(f, v, item);
	}
	buf_putc(f->out, ']');
}

static void put_verb(Format *f, const Verb *v, const JsonValue *arg)
{
	if (v->verb == 'T') {
		put_padded(f->out, v, str_of(value_type(arg)), false);
		return;
	}
	switch (arg->type) {
	case JSON_NULL:
		if (v->verb == 'v')
			put_padded(f->out, v, STR("<nil>"), false);
		else
			put_bad_verb(f, v, arg);
		return;
	case JSON_BOOL:
		if (v->verb == 'v' || v->verb == 't')
			put_padded(f->out, v, str_of(arg->boolean ? "true" : "false"), false);
		else
			put_bad_verb(f, v, arg);
		return;
	case JSON_INT:
	case JSON_UINT:
		if (v->verb == 'c')
			put_character(f, v, arg);
		else if (v->verb == 'U')
			buf_printf(f->out, "U+%04" PRIX64, arg->u);
		else if (strchr("vdboxX", v->verb))
			put_integer(f, v, arg);
		else
			put_bad_verb(f, v, arg);
		return;
	case JSON_DOUBLE:
		if (strchr("vgGfFeE", v->verb))
			put_double(f, v, arg->d);
		else
			put_bad_verb(f, v, arg);
		return;
	case JSON_STRING:
		if (strchr("vsqxX", v->verb))
			put_string(f, v, (Str){ arg->s, arg->n });
		else
			put_bad_verb(f, v, arg);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		put_container(f, v, arg);
		return;
	}
}

/* A number of the verb, or "*": an argument. Negative: none. */
static int take_count(Format *f)
{
	int n = -1;
	if (*f->at == '*') {
		f->at++;
		if (f->next >= f->n || f->args[f->next].type != JSON_INT) return -1;
		int64_t v = f->args[f->next++].i;
		return v < 0 || v > FORMAT_WIDTH_MAX ? -1 : (int)v;
	}
	for (; *f->at >= '0' && *f->at <= '9'; f->at++) {
		n = (n < 0 ? 0 : n) * 10 + (*f->at - '0');
		if (n > FORMAT_WIDTH_MAX) n = FORMAT_WIDTH_MAX;
	}
	return n;
}

static void take_verb(Format *f, Verb *v)
{
	*v = (Verb){ .width = -1, .precision = -1 };
	for (;; f->at++) {
		if (*f->at == '-')
			v->minus = true;
		else if (*f->at == '+')
			v->plus = true;
		else if (*f->at == '0')
			v->zero = true;
		else if (*f->at == ' ')
			v->space = true;
		else if (*f->at == '#')
			v->sharp = true;
		else
			break;
	}
	v->width = take_count(f);
	if (*f->at == '.') {
		f->at++;
		v->precision = take_count(f);
		if (v->precision < 0) v->precision = 0;
	}
	v->verb = *f->at;
	if (*f->at) f->at++;
}

int value_format(Exec *x, Buf *b, const char *format, const JsonValue *args, size_t n)
{
	Format f = { .x = x, .out = b, .at = format, .args = args, .n = n };
	Verb v;
	while (*f.at && !buf_failed(b)) {
		if (*f.at != '%') {
			size_t plain = strcspn(f.at, "%");
			buf_put(b, f.at, plain);
			f.at += plain;
			continue;
		}
		f.at++;
		take_verb(&f, &v);
		if (!v.verb)
			buf_puts(b, "%!(NOVERB)");
		else if (v.verb == '%')
			buf_putc(b, '%');
		else if (f.next >= n)
			buf_printf(b, "%%!%c(MISSING)", v.verb);
		else
			put_verb(&f, &v, &args[f.next++]);
	}
	if (f.next < n) buf_puts(b, "%!(EXTRA ");
	for (size_t i = f.next; i < n; i++) {
		if (i > f.next) buf_puts(b, ", ");
		if (args[i].type != JSON_NULL) buf_printf(b, "%s=", value_type(&args[i]));
		if (value_print(x, b, &args[i]) < 0) return -ENOMEM;
	}
	if (f.next < n) buf_putc(b, ')');
	return 0;
}
