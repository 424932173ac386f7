/* json_write.c: the JSON writer, see json.h. */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>

static void new_line(JsonWriter *w)
{
	if (!w->indent) return;
	buf_putc(w->out, '\n');
	int n = w->indent < 0 ? w->depth : w->indent * w->depth;
	for (int i = 0; i < n; i++)
		buf_putc(w->out, w->indent < 0 ? '\t' : ' ');
}

/* Before every value and key: comma and line break where they belong. */
static void lead(JsonWriter *w)
{
	if (w->after_key) {
		w->after_key = false;
		return;
	}
	if (w->depth == 0) return;
	if (!w->first) buf_putc(w->out, ',');
	w->first = false;
	new_line(w);
}

static void open_with(JsonWriter *w, char c)
{
	lead(w);
	buf_putc(w->out, c);
	w->depth++;
	w->first = true;
}

static void close_with(JsonWriter *w, char c)
{
	w->depth--;
	if (!w->first) new_line(w);
	w->first = false;
	buf_putc(w->out, c);
}

void json_begin_object(JsonWriter *w)
{
	open_with(w, '{');
}

void json_end_object(JsonWriter *w)
{
	close_with(w, '}');
}

void json_begin_array(JsonWriter *w)
{
	open_with(w, '[');
}

void json_end_array(JsonWriter *w)
{
	close_with(w, ']');
}

/* One character that cannot stand for itself: n is its length, 0 for a byte that is no UTF-8 (a file name, say), for
 * which U+FFFD stands, so that what is written can always be read. */
static void put_escaped(Buf *b, unsigned char c, size_t n)
{
	static const char escapes[] = "\b\t\n\f\r", letters[] = "btnfr";
	const char *at = c ? strchr(escapes, c) : NULL;
	if (!n)
		buf_puts(b, "\xef\xbf\xbd");
	else if (c == '"' || c == '\\')
		buf_printf(b, "\\%c", c);
	else if (at)
		buf_printf(b, "\\%c", letters[at - escapes]);
	else
		buf_printf(b, "\\u%04x", c);
}

static void put_quoted(Buf *b, const char *p, size_t n)
{
	size_t from = 0, k;
	buf_putc(b, '"');
	for (size_t i = 0; i < n; i += k ? k : 1) {
		unsigned char c = (unsigned char)p[i];
		k = 1;
		if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') continue; /* nearly all of them */
		k = c < 0x80 ? 1 : str_utf8((Str){ p + i, n - i });
		bool control = str_is_control((Str){ p + i, n - i });
		if (k && !control && c != '"' && c != '\\') continue;
		buf_put(b, p + from, i - from);
		put_escaped(b, control ? (unsigned char)p[i + k - 1] : c, k); /* U+0080 to U+009F are written as c2 and their number */
		from = i + (k ? k : 1);
	}
	buf_put(b, p + from, n - from);
	buf_putc(b, '"');
}

void json_key(JsonWriter *w, const char *key)
{
	lead(w);
	put_quoted(w->out, key, strlen(key));
	buf_putc(w->out, ':');
	if (w->indent) buf_putc(w->out, ' ');
	w->after_key = true;
}

void json_str(JsonWriter *w, Str s)
{
	lead(w);
	put_quoted(w->out, s.p, s.n);
}

void json_string(JsonWriter *w, const char *s)
{
	if (s)
		json_str(w, str_of(s));
	else
		json_null(w);
}

void json_int(JsonWriter *w, int64_t v)
{
	lead(w);
	buf_printf(w->out, "%" PRId64, v);
}

void json_uint(JsonWriter *w, uint64_t v)
{
	lead(w);
	buf_printf(w->out, "%" PRIu64, v);
}

/* As few digits (15 to 17) as give the same value back, and a mark of a double so that it is read as one. */
void json_double(JsonWriter *w, double v)
{
	char text[40];
	if (!isfinite(v)) {
		json_null(w);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		double back = strtod(text, NULL);
		if (memcmp(&back, &v, sizeof v) == 0) break;
	}
	lead(w);
	buf_puts(w->out, text);
	if (!strpbrk(text, ".e")) buf_puts(w->out, ".0");
}

void json_bool(JsonWriter *w, bool v)
{
	lead(w);
	buf_puts(w->out, v ? "true" : "false");
}

void json_null(JsonWriter *w)
{
	lead(w);
	buf_puts(w->out, "null");
}

void json_value(JsonWriter *w, const JsonValue *v)
{
	if (v->go & JSON_NIL) {
		json_null(w);
		return;
	}
	switch (v->type) {
	case JSON_NULL:
		json_null(w);
		return;
	case JSON_BOOL:
		json_bool(w, v->boolean);
		return;
	case JSON_INT:
		json_int(w, v->i);
		return;
	case JSON_UINT:
		json_uint(w, v->u);
		return;
	case JSON_DOUBLE:
		json_double(w, v->d);
		return;
	case JSON_STRING:
		json_str(w, (Str){ v->s, v->n });
		return;
	case JSON_ARRAY:
		json_begin_array(w);
		for (uint32_t i = 0; i < v->n; i++)
			json_value(w, &v->items[i]);
		json_end_array(w);
		return;
	case JSON_OBJECT:
		json_begin_object(w);
		for (uint32_t i = 0; i < v->n; i++) {
			if (v->members[i].value.go & JSON_ABSENT) continue;
			json_key(w, v->members[i].key);
			json_value(w, &v->members[i].value);
		}
		json_end_object(w);
		return;
	}
}

void json_put_string(JsonWriter *w, const char *key, const char *s)
{
	json_key(w, key);
	json_string(w, s);
}

void json_put_int(JsonWriter *w, const char *key, int64_t v)
{
	json_key(w, key);
	json_int(w, v);
}

void json_put_uint(JsonWriter *w, const char *key, uint64_t v)
{
	json_key(w, key);
	json_uint(w, v);
}

void json_put_bool(JsonWriter *w, const char *key, bool v)
{
	json_key(w, key);
	json_bool(w, v);
}
