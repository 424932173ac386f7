/* csv.c: see options_impl.h. Only the first record counts, as for Go's callers. */
#include "cli/skep/container/options_impl.h"

static int bad(size_t line, size_t column, const char *why, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "parse error on line %zu, column %zu: %s", line, column, why);
}

typedef struct Csv {
	const char *at;
	size_t line, column; /* of at, from 1 */
	Buf field;
	Err *e;
} Csv;

static bool at_end(const char *p)
{
	return !*p || *p == '\n' || (*p == '\r' && (p[1] == '\n' || !p[1]));
}

static void step(Csv *c)
{
	c->column = *c->at == '\n' ? 1 : c->column + 1;
	c->line += *c->at == '\n';
	c->at++;
}

/* From behind the opening quote to behind the closing one. */
static int take_quoted(Csv *c)
{
	size_t first = c->line;
	for (step(c); *c->at; step(c)) {
		if (*c->at != '"') {
			if (*c->at != '\r' || c->at[1] != '\n') buf_putc(&c->field, *c->at);
			continue;
		}
		if (c->at[1] == '"') {
			step(c);
			buf_putc(&c->field, '"');
			continue;
		}
		step(c);
		if (*c->at == ',' || at_end(c->at)) return 0;
		return bad(c->line, c->column - 1, "extraneous or missing \" in quoted-field", c->e);
	}
	if (first == c->line) return bad(c->line, c->column, "extraneous or missing \" in quoted-field", c->e);
	err_set(c->e, ERR_USAGE, EINVAL,
		"record on line %zu; parse error on line %zu, column %zu: extraneous or missing \" in quoted-field", first, c->line,
		c->column);
	return -EINVAL;
}

static int take_plain(Csv *c)
{
	for (; *c->at != ',' && !at_end(c->at); step(c)) {
		if (*c->at == '"') return bad(c->line, c->column, "bare \" in non-quoted-field", c->e);
		buf_putc(&c->field, *c->at);
	}
	return 0;
}

static int take_record(Csv *c, Arena *a, StrList *ret)
{
	for (;; step(c)) {
		buf_reset(&c->field);
		int r = *c->at == '"' ? take_quoted(c) : take_plain(c);
		if (r < 0) return r;
		if (buf_failed(&c->field)) return no_memory(c->e);
		if (str_list_add(ret, arena_strdup(a, buf_str(&c->field)), a) < 0) return no_memory(c->e);
		if (*c->at != ',') return 0;
	}
}

int csv_parse(const char *text, Arena *a, StrList *ret, Err *e)
{
	Csv c = { .at = text, .line = 1, .column = 1, .field = BUF_INIT(1 << 20), .e = e };
	*ret = (StrList){ 0 };
	while (*c.at == '\n' || (*c.at == '\r' && c.at[1] == '\n'))
		step(&c);
	if (!*c.at) return err_set(e, ERR_USAGE, EINVAL, "EOF");
	int r = take_record(&c, a, ret);
	buf_done(&c.field);
	return r;
}
