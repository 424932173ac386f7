/* option_value.c: values of options by kind: docker's words for what is wrong with one. */
#include <ctype.h>

#include "base/duration.h"
#include "base/size.h"
#include "cli/command.h"

/* How much of a value a message quotes. */
enum { SHOWN = 200 };

static int bad_number(const char *fn, const char *text, const char *why, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "strconv.%s: parsing \"%.*s\": %s", fn, SHOWN, text, why);
}

static int set_switch(OptionValue *v, const char *text, Err *e)
{
	bool on;
	if (str_to_bool(text, &on) < 0) return bad_number("ParseBool", text, "invalid syntax", e);
	v->number = on;
	return 0;
}

/* A size, or -1 where the option has a word for it. */
static int set_bytes(const Option *o, OptionValue *v, const char *text, Err *e)
{
	if (o->min < 0 && streq(text, "-1")) {
		v->number = -1;
		return 0;
	}
	return size_parse(str_of(text), SIZE_BINARY, &v->number, e);
}

/* The magnitude in base 10, or as a prefix says: 0x, 0o, 0b, 0. */
static int parse_magnitude(Str s, uint64_t *ret)
{
	unsigned base = 10;
	if (s.n > 1 && s.p[0] == '0') {
		char c = (char)(s.p[1] | 0x20);
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		size_t skip = c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
		s = (Str){ s.p + skip, s.n - skip };
	}
	return str_to_u64_base(s, base, ret);
}

static int set_integer(const Option *o, OptionValue *v, const char *text, Err *e)
{
	const char *fn = o->kind == OPTION_UINT ? "ParseUint" : "ParseInt";
	bool range = o->min || o->max, negative = text[0] == '-' && o->kind == OPTION_INT;
	int64_t min = o->kind == OPTION_UINT ? 0 : range ? o->min : INT64_MIN, max = range ? o->max : INT64_MAX, n;
	Str s = str_of(text);
	uint64_t u;
	if (o->kind == OPTION_INT && (text[0] == '-' || text[0] == '+')) s = (Str){ s.p + 1, s.n - 1 };
	int r = parse_magnitude(s, &u);
	if (r == -EINVAL) return bad_number(fn, text, "invalid syntax", e);
	if (r < 0 || u > (uint64_t)INT64_MAX + negative) return bad_number(fn, text, "value out of range", e);
	n = negative ? (int64_t)(0 - u) : (int64_t)u;
	if (n < min || n > max) return bad_number(fn, text, "value out of range", e);
	v->number = n;
	return 0;
}

static int not_rational(const char *text, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "failed to parse %.*s as a rational number", SHOWN, text);
}

/* digits[.digits][e[+-]digits] as number * 10^exponent, exactly: a double would make 0.3 a neighbour of it. */
static int parse_decimal(Str s, uint64_t *ret, int64_t *exponent)
{
	size_t digits = 0, i = 0;
	bool point = false;
	Str power = { s.p, 0 };
	*ret = 0;
	*exponent = 0;
	for (; i < s.n && (isdigit((unsigned char)s.p[i]) || (s.p[i] == '.' && !point)); i++) {
		if (s.p[i] == '.') {
			point = true;
			continue;
		}
		digits++;
		if (*ret > (UINT64_MAX - 9) / 10) return -ERANGE;
		*ret = *ret * 10 + (uint64_t)(s.p[i] - '0');
		*exponent -= point;
	}
	if (!digits) return -EINVAL;
	if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) power = (Str){ s.p + i + 1, s.n - i - 1 };
	if (power.n > 1 && *power.p == '+' && power.p[1] != '-') power = (Str){ power.p + 1, power.n - 1 };
	if (i == s.n) return 0;
	int64_t n;
	if (!power.n || str_to_i64(power, &n) < 0 || n < -100 || n > 100) return -EINVAL;
	*exponent += n;
	return 0;
}

/* n * 10^exponent, when that is a whole number. -EDOM: it is not. */
static int scale(uint64_t *n, int64_t exponent)
{
	for (; exponent > 0 && *n; exponent--)
		if (__builtin_mul_overflow(*n, 10, n)) return -ERANGE;
	for (; exponent < 0 && *n; exponent++) {
		if (*n % 10) return -EDOM;
		*n /= 10;
	}
	return 0;
}

/* "1.5", "-2", "1e-1", "3/4", in billionths. */
static int set_decimal(OptionValue *v, const char *text, Err *e)
{
	bool negative = *text == '-';
	Str s = str_of(*text == '-' || *text == '+' ? text + 1 : text), number, divisor;
	uint64_t n = 0, d = 1;
	int64_t exponent = 0;
	bool fraction = str_cut(s, '/', &number, &divisor);
	int r = fraction ? str_to_u64(number, &n) : parse_decimal(number, &n, &exponent);
	if (r >= 0 && fraction) r = str_to_u64(divisor, &d);
	if (r == -EINVAL || !d) return not_rational(text, e);
	if (r >= 0) r = scale(&n, exponent + 9);
	if (r >= 0 && n % d) r = -EDOM;
	if (r == -EDOM) return err_set(e, ERR_USAGE, EINVAL, "value is too precise");
	n /= d;
	if (r < 0 || n > INT64_MAX) return err_set(e, ERR_USAGE, ERANGE, "value out of range: %.*s", SHOWN, text);
	v->number = negative ? -(int64_t)n : (int64_t)n;
	return 0;
}

static int set_enum(const Option *o, const char *text, Err *e)
{
	AUTO_BUF names = BUF_INIT(512);
	for (size_t i = 0; o->choices[i]; i++) {
		if (streq(o->choices[i], text)) return 0;
		buf_printf(&names, "%s\"%s\"", i ? ", " : "", o->choices[i]);
	}
	return err_set(e, ERR_USAGE, EINVAL, "must be one of %s", buf_str(&names));
}

static int list_add(Arena *a, StrList *l, const char *value, Err *e)
{
	return str_list_add(l, value, a) < 0 ? err_sys(e, ENOMEM, "command line") : 0;
}

static int add_strings(OptionValue *v, const char *text, Arena *a, Err *e)
{
	Str rest = str_of(text), piece;
	int r = 0;
	if (!*text) return 0;
	while (r >= 0 && str_next(&rest, ',', &piece))
		r = list_add(a, &v->list, arena_str(a, piece), e);
	return r;
}

int option_set(const Option *o, OptionValue *v, const char *text, Arena *a, Err *e)
{
	int r = 0;
	switch (o->kind) {
	case OPTION_VALUE:
		break;
	case OPTION_SWITCH:
		r = set_switch(v, text, e);
		break;
	case OPTION_ENUM:
		r = set_enum(o, text, e);
		break;
	case OPTION_INT:
	case OPTION_UINT:
		r = set_integer(o, v, text, e);
		break;
	case OPTION_DECIMAL:
		r = set_decimal(v, text, e);
		break;
	case OPTION_BYTES:
		r = set_bytes(o, v, text, e);
		break;
	case OPTION_DURATION:
		r = duration_parse(str_of(text), &v->number, e);
		break;
	case OPTION_MAP:
		if (text[0] == '=') return err_set(e, ERR_USAGE, EINVAL, "a name is missing before '='");
		r = list_add(a, &v->list, text, e);
		break;
	case OPTION_LIST:
		r = list_add(a, &v->list, text, e);
		break;
	case OPTION_STRINGS:
		r = add_strings(v, text, a, e);
		break;
	}
	if (r >= 0 && o->check) r = o->check(text, e);
	if (r < 0) return r;
	v->text = text;
	v->set = true;
	return 0;
}

int argument_add(Invocation *in, const char *text, Err *e)
{
	return list_add(in->arena, &in->args, text, e);
}

int option_map(const Invocation *in, const char *name, StrMap *ret)
{
	const StrList *l = option_list(in, name);
	StrPair *items = arena_array(in->arena, l->n + 1, sizeof *items);
	size_t n = 0, at;
	if (!items) return -ENOMEM;
	for (size_t i = 0; i < l->n; i++) {
		Str key, value;
		str_cut(str_of(l->items[i]), '=', &key, &value);
		for (at = 0; at < n; at++)
			if (str_eq(key, items[at].key)) break;
		items[at] = (StrPair){ at < n ? items[at].key : arena_str(in->arena, key), value.p };
		if (!items[at].key) return -ENOMEM;
		if (at == n) n++;
	}
	*ret = (StrMap){ items, n };
	return 0;
}
