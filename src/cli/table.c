/* table.c: see table.h. */
#include "cli/table.h"

enum { WIDTH_MIN = 10, PADDING = 3 };

typedef struct Line {
	Str *cells;     /* those that end in a tab, then the rest */
	size_t *widths; /* of the columns they stand in */
	size_t n;       /* of those that end in a tab */
} Line;

static size_t text_width(Str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static size_t count(Str s, char c)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

static int split_lines(Str text, Line *lines, size_t n, Arena *a)
{
	Str line;
	for (size_t i = 0; i < n && str_next(&text, '\n', &line); i++) {
		Line *l = &lines[i];
		l->n = count(line, '\t');
		l->cells = arena_array(a, l->n + 1, sizeof *l->cells);
		l->widths = arena_array(a, l->n + 1, sizeof *l->widths);
		if (!l->cells || !l->widths) return -ENOMEM;
		for (size_t k = 0; str_next(&line, '\t', &l->cells[k]);)
			k++;
	}
	return 0;
}

/* Column k over the lines from `from` on that have it: their end. */
static size_t set_width(Line *lines, size_t from, size_t n, size_t k)
{
	size_t widest = WIDTH_MIN, end = from;
	for (; end < n && lines[end].n > k; end++) {
		size_t w = text_width(lines[end].cells[k]) + PADDING;
		if (w > widest) widest = w;
	}
	for (size_t i = from; i < end; i++)
		lines[i].widths[k] = widest;
	return end;
}

int table_align(Str text, Arena *a, Buf *out)
{
	size_t n = count(text, '\n'), most = 0;
	Line *lines = arena_array(a, n + 1, sizeof *lines);
	if (!lines || split_lines(text, lines, n, a) < 0) return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (lines[i].n > most) most = lines[i].n;
	for (size_t k = 0; k < most; k++)
		for (size_t i = 0; i < n;)
			i = lines[i].n > k ? set_width(lines, i, n, k) : i + 1;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < lines[i].n; k++) {
			Str cell = lines[i].cells[k];
			buf_put(out, cell.p, cell.n);
			for (size_t pad = lines[i].widths[k] - text_width(cell); pad; pad--)
				buf_putc(out, ' ');
		}
		buf_put(out, lines[i].cells[lines[i].n].p, lines[i].cells[lines[i].n].n);
		buf_putc(out, '\n');
	}
	return buf_failed(out) ? -ENOMEM : 0;
}
