/* generate.c: the manual page out of the table, and the choice between it and the completions. */
#include "cli/command.h"

#include <ctype.h>

/* Roff takes a line that begins with a dot or a quote for a request, and a backslash for an escape. */
static void man_text(Buf *b, const char *text)
{
	for (const char *p = text; *p; p++) {
		bool first = p == text || p[-1] == '\n';
		if (first && (*p == '.' || *p == '\'')) buf_puts(b, "\\&");
		if (*p == '\\')
			buf_puts(b, "\\e");
		else
			buf_putc(b, *p);
	}
}

static void man_options(Buf *b, const Option *o)
{
	for (; o && o->name; o++) {
		if (o->hidden) continue;
		buf_puts(b, ".TP\n");
		if (o->letter) buf_printf(b, "\\fB\\-%c\\fR, ", o->letter);
		buf_printf(b, "\\fB\\-\\-%s\\fR%s%s%s\n", o->name, o->value ? " \\fI" : "", o->value ? o->value : "",
			   o->value ? "\\fR" : "");
		man_text(b, o->help);
		if (o->kind == OPTION_ENUM) {
			buf_puts(b, ": ");
			for (size_t i = 0; o->choices[i]; i++)
				buf_printf(b, "%s%s", i ? ", " : "", o->choices[i]);
		}
		buf_putc(b, '\n');
	}
}

static void man_command(Buf *b, const Command *c)
{
	buf_printf(b, ".SS %s %s\n", c->name, c->arguments ? c->arguments : "");
	man_text(b, c->summary);
	if (c->details) {
		buf_puts(b, ".\n");
		man_text(b, c->details);
	}
	buf_putc(b, '\n');
	Str rest = str_of(c->aliases), alias;
	for (bool first = true; str_next(&rest, ',', &alias); first = false)
		buf_printf(b, "%s\\fB%.*s\\fR", first ? ".br\nAlso: " : ", ", (int)alias.n, alias.p);
	if (c->aliases) buf_putc(b, '\n');
	man_options(b, c->options);
}

static void generate_man(const Program *p, Buf *b)
{
	buf_puts(b, ".TH ");
	for (const char *s = p->name; *s; s++)
		buf_putc(b, (char)toupper((unsigned char)*s));
	buf_printf(b, " %d\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n\\fB%s\\fR %s\n", p->manual.section, p->name, p->manual.name, p->name,
		   p->manual.synopsis);
	buf_printf(b, ".SH DESCRIPTION\n%s\n.SH GLOBAL OPTIONS\n", p->manual.description);
	man_options(b, p->options);
	buf_puts(b, ".SH COMMANDS\n");
	for (size_t i = 0; i < p->n_commands; i++)
		if (!p->commands[i].hidden && p->commands[i].run) man_command(b, &p->commands[i]);
	buf_puts(b, p->manual.after);
}

int generate_run(Invocation *in, Err *e)
{
	static const struct {
		const char *name;
		void (*fn)(const Program *p, Buf *b);
	} kinds[] = { { "man", generate_man }, { "bash", generate_bash }, { "zsh", generate_zsh }, { "fish", generate_fish } };
	AUTO_BUF b = BUF_INIT(1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!streq(kinds[i].name, in->args.items[0])) continue;
		kinds[i].fn(in->program, &b);
		return print_buf(&b, e);
	}
	return err_set(e, ERR_USAGE, EINVAL, "generate: unknown \"%.32s\"; allowed: man, bash, zsh, fish", in->args.items[0]);
}
