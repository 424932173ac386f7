/* cmd_stats.c: container stats. */
#include <time.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/size.h"
#include "cli/format.h"
#include "cli/skep/containers.h"
#include "engine/stats.h"

/* NAP: between the two looks that the processor's use is told from, when there are no more. */
enum { ARENA_MAX = 64 << 20, NAP_NS = 500000000, PAIR_MAX = 2 * SIZE_TEXT_MAX + 8 };

#define STANDARD "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"

static const FormatField fields[] = { { "Container", "CONTAINER" },
				      { "ID", "CONTAINER ID" },
				      { "Name", "NAME" },
				      { "CPUPerc", "CPU %" },
				      { "MemUsage", "MEM USAGE / LIMIT" },
				      { "MemPerc", "MEM %" },
				      { "NetIO", "NET I/O" },
				      { "BlockIO", "BLOCK I/O" },
				      { "PIDs", "PIDS" },
				      { 0 } };
static const TemplateHost host = { .type = "*container.statsContext" };

/* Seen: a container as it was when it was looked at last. */
typedef struct Seen {
	char id[RECORD_ID_LENGTH + 1];
	StatsSample sample;
} Seen;

typedef struct Watching {
	Invocation *in;
	Engine engine;
	Seen *before;
	size_t n_before;
	bool all, full, terminal;
} Watching;

static void watching_done(Watching *w)
{
	engine_close(&w->engine);
	free(w->before);
}

/* ---- which ones ---- */

typedef struct Chosen {
	Record record;
	const char *as; /* the user calls it so */
	StatsSample sample;
} Chosen;
typedef LIST_OF(Chosen) ChosenList;

static int choose_named(Watching *w, Arena *a, ChosenList *ret, Err *e)
{
	const StrList *names = &w->in->args;
	ret->items = arena_array(a, names->n + 1, sizeof *ret->items);
	if (!ret->items) return err_sys(e, ENOMEM, "stats");
	for (; ret->n < names->n; ret->n++) {
		Chosen *c = &ret->items[ret->n];
		int r = record_find(&w->engine, names->items[ret->n], a, &c->record, e);
		if (r < 0) return r;
		c->as = names->items[ret->n];
	}
	return 0;
}

static int choose_all(Watching *w, Arena *a, ChosenList *ret, Err *e)
{
	RecordList records;
	int r = record_list(&w->engine, a, &records, e);
	if (r < 0) return r;
	ret->items = arena_array(a, records.n + 1, sizeof *ret->items);
	if (!ret->items) return err_sys(e, ENOMEM, "stats");
	for (size_t i = 0; i < records.n; i++)
		ret->items[ret->n++] = (Chosen){ .record = records.items[i], .as = records.items[i].id };
	return 0;
}

/* Looks at them; those that do not run are left out, unless they are asked for. */
static int look(Watching *w, Arena *a, ChosenList *ret, Err *e)
{
	size_t kept = 0;
	bool named = w->in->args.n > 0;
	*ret = (ChosenList){ 0 };
	int r = named ? choose_named(w, a, ret, e) : choose_all(w, a, ret, e);
	for (size_t i = 0; r >= 0 && i < ret->n; i++) {
		Chosen *c = &ret->items[i];
		Err gone = ERR_INIT;
		r = engine_stats(&w->engine, &c->record, &c->sample, &gone);
		if (r == -ENOENT && !named) { /* it is being removed */
			r = 0;
			continue;
		}
		if (r < 0) *e = gone;
		if (c->sample.runs || w->all || named) ret->items[kept++] = *c;
	}
	ret->n = kept;
	return r;
}

static int remember(Watching *w, const ChosenList *l, Err *e)
{
	Seen *seen = calloc(l->n + 1, sizeof *seen);
	if (!seen) return err_sys(e, ENOMEM, "stats");
	for (size_t i = 0; i < l->n; i++) {
		snprintf(seen[i].id, sizeof seen[i].id, "%s", l->items[i].record.id);
		seen[i].sample = l->items[i].sample;
	}
	free(w->before);
	w->before = seen;
	w->n_before = l->n;
	return 0;
}

static double cpu_percent(const Watching *w, const Chosen *c)
{
	for (size_t i = 0; i < w->n_before; i++)
		if (streq(w->before[i].id, c->record.id)) return stats_cpu_percent(&w->before[i].sample, &c->sample);
	return 0;
}

/* ---- rows ---- */

static void pair_text(uint64_t a, uint64_t b, SizeBase base, int digits, char text[static PAIR_MAX])
{
	char x[SIZE_TEXT_MAX], y[SIZE_TEXT_MAX];
	size_format_digits((double)a, base, digits, x);
	size_format_digits((double)b, base, digits, y);
	snprintf(text, PAIR_MAX, "%s / %s", x, y);
}

static int put_row(Watching *w, Format *f, const Chosen *c, Err *e)
{
	char id[RECORD_ID_LENGTH + 1] = "", processes[24], cpu[32], memory[32], used[PAIR_MAX], net[PAIR_MAX], block[PAIR_MAX];
	const StatsSample *s = &c->sample;
	memcpy(id, c->record.id, w->full ? RECORD_ID_LENGTH : RECORD_SHORT_ID);
	snprintf(processes, sizeof processes, "%llu", (unsigned long long)s->processes);
	snprintf(cpu, sizeof cpu, "%.2f%%", cpu_percent(w, c));
	snprintf(memory, sizeof memory, "%.2f%%", stats_memory_percent(s));
	pair_text(s->read, s->written, SIZE_DECIMAL, 3, block);
	pair_text(s->memory, s->memory_limit, SIZE_BINARY, 4, used);
	pair_text(s->received, s->sent, SIZE_DECIMAL, 3, net);
	const StrPair row[] = {
		{ "BlockIO", block }, { "CPUPerc", cpu },         { "Container", c->as }, { "ID", id },          { "MemPerc", memory },
		{ "MemUsage", used }, { "Name", c->record.name }, { "NetIO", net },       { "PIDs", processes },
	};
	return format_texts(f, row, ARRAY_LEN(row), e);
}

/* A table in place of the last one: each line is cleared behind its end, and what is below. */
static int print_again(const Buf *table, Err *e)
{
	AUTO_BUF b = BUF_INIT(FORMAT_OUTPUT_MAX);
	Str rest = { table->p, table->n }, line;
	buf_puts(&b, "\033[H");
	while (str_next(&rest, '\n', &line)) {
		buf_put(&b, line.p, line.n);
		buf_puts(&b, line.n || rest.n ? "\033[K\n" : "");
	}
	buf_puts(&b, "\033[J");
	return print_buf(&b, e);
}

static int print_table(Watching *w, const ChosenList *l, Arena *a, Err *e)
{
	AUTO_FORMAT f = { 0 };
	const Buf *out;
	int r = format_init(&f, option_value(w->in, "format"), STANDARD, fields, &host, a, e);
	for (size_t i = 0; r >= 0 && i < l->n; i++)
		r = put_row(w, &f, &l->items[i], e);
	if (r < 0 || (r = format_finish(&f, &out, e)) < 0) return r;
	return w->terminal ? print_again(out, e) : print_buf(out, e);
}

static int show_once(Watching *w, bool print, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	ChosenList l;
	int r = look(w, &a, &l, e);
	if (r >= 0 && print) r = print_table(w, &l, &a, e);
	return r < 0 ? r : remember(w, &l, e);
}

static void nap(long ns)
{
	struct timespec left = { ns / 1000000000, ns % 1000000000 };
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

int container_stats_run(Invocation *in, Err *e)
{
	AUTO(watching_done)
	Watching w = { .in = in, .engine = { .root_dir = -1 }, .all = option_switch(in, "all"), .full = option_switch(in, "no-trunc") };
	AUTO_FORMAT check = { 0 };
	bool once = option_switch(in, "no-stream");
	int r = format_init(&check, option_value(in, "format"), STANDARD, fields, &host, in->arena, e);
	if (r < 0 || (r = skep_engine(in, &w.engine, e)) < 0 || (r = show_once(&w, false, e)) < 0) return r;
	nap(NAP_NS);
	if (once) return show_once(&w, true, e);
	w.terminal = isatty(1);
	if (w.terminal) (void)!write(1, "\033[2J", 4);
	for (;;) {
		if ((r = show_once(&w, true, e)) < 0) return r;
		nap(2 * NAP_NS);
	}
}
