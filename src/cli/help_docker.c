/* help_docker.c: --help in the layout of docker's, from the table. */
#include <sys/ioctl.h>

#include "cli/command.h"

enum { WIDTH = 80, WIDTH_MIN = 24 };

/* Columns to write in: the terminal's, less the one that would wrap by itself. */
static size_t width(void)
{
	struct winsize w;
	return ioctl(1, TIOCGWINSZ, &w) == 0 && w.ws_col > WIDTH_MIN * 2 ? w.ws_col - 1u : WIDTH;
}

/* Fills lines up to the width with the words of text; every line but the first begins at column indent. Line ends in text are kept. */
static void put_wrapped(Buf *b, const char *text, size_t indent, size_t columns)
{
	Str rest = str_of(text), line;
	size_t room = columns > indent + WIDTH_MIN ? columns - indent : WIDTH_MIN;
	for (bool first = true; str_next(&rest, '\n', &line); first = false) {
		if (!first) buf_printf(b, "\n%*s", (int)indent, "");
		while (line.n > room) {
			size_t cut = room;
			while (cut && line.p[cut] != ' ')
				cut--;
			if (!cut) break;
			buf_put(b, line.p, cut);
			buf_printf(b, "\n%*s", (int)indent, "");
			line = (Str){ line.p + cut + 1, line.n - cut - 1 };
		}
		buf_put(b, line.p, line.n);
	}
	buf_putc(b, '\n');
}

static const char *value_name(const Option *o)
{
	static const char *const names[] = {
		[OPTION_SWITCH] = "",   [OPTION_VALUE] = "string",    [OPTION_ENUM] = "string", [OPTION_INT] = "int",
		[OPTION_UINT] = "uint", [OPTION_DECIMAL] = "decimal", [OPTION_BYTES] = "bytes", [OPTION_DURATION] = "duration",
		[OPTION_LIST] = "list", [OPTION_STRINGS] = "strings", [OPTION_MAP] = "map",
	};
	return o->value ? o->value : names[o->kind];
}

static size_t left_width(const Option *o)
{
	size_t value = strlen(value_name(o)), bare = o->bare ? strlen(o->bare) + 5 : 0;
	return strlen("      --") + strlen(o->name) + (value ? value + 1 : 0) + bare;
}

static void put_help(Buf *b, const Option *o, size_t indent, size_t columns)
{
	AUTO_BUF text = BUF_INIT(65536);
	buf_puts(&text, o->help);
	if (o->kind == OPTION_ENUM) {
		buf_puts(&text, " (");
		for (size_t i = 0; o->choices[i]; i++)
			buf_printf(&text, "%s\"%s\"", i ? ", " : "", o->choices[i]);
		buf_putc(&text, ')');
	}
	if (o->fallback && *o->fallback && !(o->kind == OPTION_SWITCH && streq(o->fallback, "false"))) {
		bool quoted = o->kind == OPTION_VALUE || o->kind == OPTION_ENUM;
		buf_printf(&text, quoted ? " (default \"%s\")" : " (default %s)", o->fallback);
	}
	put_wrapped(b, buf_str(&text), indent, columns);
}

static void put_options(Buf *b, const Option *options)
{
	size_t widest = 0, columns = width();
	for (const Option *o = options; o && o->name; o++)
		if (!o->hidden && left_width(o) > widest) widest = left_width(o);
	for (const Option *o = options; o && o->name; o++) {
		if (o->hidden) continue;
		if (o->letter)
			buf_printf(b, "  -%c, --%s", o->letter, o->name);
		else
			buf_printf(b, "      --%s", o->name);
		const char *value = value_name(o);
		buf_printf(b, "%s%s", *value ? " " : "", value);
		if (o->bare) buf_printf(b, "[=\"%s\"]", o->bare);
		buf_printf(b, "%*s", (int)(widest + 3 - left_width(o)), "");
		put_help(b, o, widest + 3, columns);
	}
}

static bool has_options(const Option *o)
{
	for (; o && o->name; o++)
		if (!o->hidden) return true;
	return false;
}

/* One word of a list of commands. */
typedef struct Entry {
	Str word;
	const Command *command;
} Entry;

static int entry_order(const void *a, const void *b)
{
	const Entry *x = a, *y = b;
	size_t n = x->word.n < y->word.n ? x->word.n : y->word.n;
	int r = memcmp(x->word.p, y->word.p, n);
	return r ? r : (x->word.n > y->word.n) - (x->word.n < y->word.n);
}

static void add_entry(Buf *b, Str word, const Command *c)
{
	Entry entry = { word, c };
	buf_put(b, &entry, sizeof entry);
}

typedef enum { LIST_COMMON, LIST_GROUPS, LIST_OTHERS, LIST_ALL } ListKind;

static bool in_list(const Command *c, ListKind kind)
{
	switch (kind) {
	case LIST_COMMON:
		return c->common;
	case LIST_GROUPS:
		return !c->run;
	case LIST_OTHERS:
		return c->run && !c->common;
	case LIST_ALL:
		break;
	}
	return true;
}

/* An alias beside its command is no entry of its own: "image list" beside "image ls". */
static bool is_entry(const Entry *entry, const Entry *all, size_t n)
{
	const char *name = entry->command->name, *end = name + strlen(name) - entry->word.n;
	if (end >= name && str_eq(entry->word, end)) return true;
	for (size_t i = 0; i < n; i++) {
		const char *other = all[i].command->name;
		size_t length = strlen(other);
		bool own = length >= all[i].word.n && str_eq(all[i].word, other + length - all[i].word.n);
		if (&all[i] != entry && all[i].command == entry->command && (own || &all[i] < entry)) return false;
	}
	return true;
}

static void put_list(Buf *b, const char *title, Entry *all, size_t n, ListKind kind)
{
	size_t widest = 10, count = 0;
	for (size_t i = 0; i < n; i++)
		if (is_entry(&all[i], all, n) && all[i].word.n > widest) widest = all[i].word.n;
	for (size_t i = 0; i < n; i++) {
		if (!in_list(all[i].command, kind) || !is_entry(&all[i], all, n)) continue;
		if (!count++) buf_printf(b, "\n%s:\n", title);
		buf_printf(b, "  %-*.*s  %s\n", (int)widest, (int)all[i].word.n, all[i].word.p, all[i].command->summary);
	}
}

static void put_commands(const Invocation *in, const char *group, Buf *b)
{
	AUTO_BUF found = BUF_INIT(1 << 20);
	help_each_child(in->program, group, add_entry, &found);
	if (buf_failed(&found) || !found.n) return;
	Entry *all = (Entry *)(void *)found.p;
	size_t n = found.n / sizeof *all;
	if (*group) {
		qsort(all, n, sizeof *all, entry_order);
		put_list(b, "Commands", all, n, LIST_ALL);
		return;
	}
	put_list(b, "Common Commands", all, n, LIST_COMMON);
	qsort(all, n, sizeof *all, entry_order);
	put_list(b, "Management Commands", all, n, LIST_GROUPS);
	put_list(b, "Commands", all, n, LIST_OTHERS);
}

static void put_usage(const Invocation *in, const Command *c, Buf *b)
{
	buf_printf(b, "Usage:  %s %s%s", in->name, in->path, has_options(c->options) ? " [OPTIONS]" : "");
	if (c->arguments) buf_printf(b, " %s", c->arguments);
}

static void put_aliases(const Invocation *in, const Command *c, Buf *b)
{
	Str rest = str_of(c->aliases), alias;
	if (!c->aliases) return;
	buf_printf(b, "\nAliases:\n  %s %s", in->name, c->name);
	while (str_next(&rest, ',', &alias))
		buf_printf(b, ", %s %.*s", in->name, (int)alias.n, alias.p);
	buf_putc(b, '\n');
}

void help_docker(const Invocation *in, const Command *c, Buf *b)
{
	if (!c) {
		buf_printf(b, "Usage:  %s [OPTIONS] COMMAND\n\n%s\n", in->name, in->program->summary);
		put_commands(in, "", b);
		buf_puts(b, "\nGlobal Options:\n");
		put_options(b, in->program->options);
		buf_printf(b, "\nRun '%s COMMAND --help' for more information on a command.\n", in->name);
		return;
	}
	put_usage(in, c, b);
	buf_printf(b, "%s\n\n%s\n", c->run ? "" : " COMMAND", c->summary);
	if (c->details) buf_printf(b, "%s\n", c->details);
	put_aliases(in, c, b);
	if (has_options(c->options)) {
		buf_puts(b, "\nOptions:\n");
		put_options(b, c->options);
	}
	if (c->run) return;
	put_commands(in, c->name, b);
	buf_printf(b, "\nRun '%s %s COMMAND --help' for more information on a command.\n", in->name, in->path);
}

void help_docker_usage(const Invocation *in, Buf *b)
{
	Str rest = str_of(in->usage.suggestion), word;
	const char *verb = in->usage.verb ? in->usage.verb : "Run";
	if (rest.n) buf_puts(b, "\nDid you mean this?\n");
	while (str_next(&rest, '\n', &word))
		if (word.n) buf_printf(b, "\t%.*s\n", (int)word.n, word.p);
	buf_putc(b, '\n');
	if (in->usage.brief) {
		const char *space = strrchr(in->path, ' ');
		buf_printf(b, "Run '%s %s --help' for more information\n", in->name, space ? space + 1 : in->path);
		return;
	}
	if (in->command) {
		put_usage(in, in->command, b);
		buf_printf(b, "\n\n%s '%s %s --help' for more information\n", verb, in->name, in->path);
		return;
	}
	if (in->usage.status != 1) buf_printf(b, "Usage:  %s [OPTIONS] COMMAND [ARG...]\n\n", in->name);
	buf_printf(b, "Run '%s --help' for more information\n", in->name);
}

int usage_failure(Invocation *in, int status, Err *e)
{
	in->usage.status = status;
	in->usage.brief = true;
	return err_wrap(e, "%s", in->name);
}
