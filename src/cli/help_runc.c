/* help_runc.c: --help in the layout of runc's, from the table. */
#include "cli/command.h"

static void put_options(Buf *b, const Option *o)
{
	for (; o && o->name; o++) {
		char left[64];
		if (o->hidden) continue;
		snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
		if (o->letter) {
			size_t n = strlen(left);
			snprintf(left + n, sizeof left - n, ", -%c", o->letter);
		}
		buf_printf(b, "   %-32s %s%s\n", left, o->help, o->kind == OPTION_LIST ? " (may be repeated)" : "");
	}
}

static void help_program(const Invocation *in, Buf *b)
{
	const Program *p = in->program;
	buf_printf(b, "NAME:\n   %s - %s\n\n", in->name, p->summary);
	buf_printf(b, "USAGE:\n   %s [global options] command [command options] [arguments...]\n\nCOMMANDS:\n", in->name);
	for (size_t i = 0; i < p->n_commands; i++)
		if (!p->commands[i].hidden) buf_printf(b, "   %-10s %s\n", p->commands[i].name, p->commands[i].summary);
	buf_puts(b, "\nGLOBAL OPTIONS:\n");
	put_options(b, p->options);
}

void help_runc(const Invocation *in, const Command *c, Buf *b)
{
	if (!c) {
		help_program(in, b);
		return;
	}
	buf_printf(b, "NAME:\n   %s %s - %s\n\nUSAGE:\n   %s %s%s %s\n", in->name, c->name, c->summary, in->name, c->name,
		   c->options ? " [command options]" : "", c->arguments ? c->arguments : "");
	if (c->details) buf_printf(b, "\nDESCRIPTION:\n   %s\n", c->details);
	if (c->options) {
		buf_puts(b, "\nOPTIONS:\n");
		put_options(b, c->options);
	}
}
