/* cmd_top.c: container top. */
#include "cli/skep/containers.h"
#include "engine/top.h"

enum { OUTPUT_MAX = 64 << 20, CELL_MIN = 20, CELL_GAP = 3 };

/* How wide a cell's text is on a terminal, as docker counts: in characters. */
static size_t width(const char *s)
{
	size_t n = 0;
	for (Str rest = str_of(s); rest.n; n++) {
		size_t k = str_utf8(rest);
		if (!k) k = 1;
		rest = (Str){ rest.p + k, rest.n - k };
	}
	return n;
}

static void put_row(Buf *b, const StrList *cells, const size_t *widths)
{
	for (size_t i = 0; i < cells->n; i++) {
		AUTO_FREE char *text = strdup(cells->items[i]);
		if (!text) {
			b->failed = true;
			return;
		}
		str_harmless(text); /* a process chooses its name */
		buf_puts(b, text);
		for (size_t n = width(text); i + 1 < cells->n && n < widths[i]; n++)
			buf_putc(b, ' ');
	}
	buf_putc(b, '\n');
}

int container_top_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO_BUF b = BUF_INIT(OUTPUT_MAX);
	Record c;
	ProcessTable t;
	const StrList options = { in->args.items + 1, in->args.n - 1 };
	int r = skep_engine(in, &g, e);
	if (r < 0 || (r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0) return r;
	if ((r = engine_top(&g, &c, &options, in->arena, &t, e)) < 0) return r;
	size_t *widths = arena_array(in->arena, t.titles.n + 1, sizeof *widths);
	if (!widths) return err_sys(e, ENOMEM, "top");
	for (size_t i = 0; i < t.titles.n; i++) {
		widths[i] = width(t.titles.items[i]) + CELL_GAP;
		for (size_t k = 0; k < t.rows.n; k++)
			if (i < t.rows.items[k].cells.n && width(t.rows.items[k].cells.items[i]) + CELL_GAP > widths[i])
				widths[i] = width(t.rows.items[k].cells.items[i]) + CELL_GAP;
		if (widths[i] < CELL_MIN) widths[i] = CELL_MIN;
	}
	put_row(&b, &t.titles, widths);
	for (size_t i = 0; i < t.rows.n; i++)
		put_row(&b, &t.rows.items[i].cells, widths);
	return buf_failed(&b) ? err_sys(e, ENOMEM, "top") : print_buf(&b, e);
}
