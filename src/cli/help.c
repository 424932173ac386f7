/* help.c: --help, from the table. */
#include <unistd.h>

#include "cli/command.h"
#include "sys/fd.h"

static void put_options(Buf *b, const Option *o)
{
	for (; o->name; o++) {
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

static void print(Buf *b)
{
	(void)!fd_write_all(1, buf_str(b), b->n);
	buf_done(b);
}

void help_program(const char *program)
{
	Buf b = BUF_INIT(65536);
	buf_printf(&b, "NAME:\n   %s - Open Container Initiative runtime\n\n", program);
	buf_printf(&b, "USAGE:\n   %s [global options] command [command options] [arguments...]\n\nCOMMANDS:\n", program);
	for (size_t i = 0; i < command_count; i++)
		if (!command_table[i].hidden) buf_printf(&b, "   %-10s %s\n", command_table[i].name, command_table[i].summary);
	buf_puts(&b, "\nGLOBAL OPTIONS:\n");
	put_options(&b, global_options);
	print(&b);
}

void help_command(const char *program, const Command *c)
{
	Buf b = BUF_INIT(65536);
	buf_printf(&b, "NAME:\n   %s %s - %s\n\nUSAGE:\n   %s %s%s %s\n", program, c->name, c->summary, program, c->name,
		   c->options[0].name ? " [command options]" : "", c->arguments);
	if (c->details) buf_printf(&b, "\nDESCRIPTION:\n   %s\n", c->details);
	if (c->options[0].name) {
		buf_puts(&b, "\nOPTIONS:\n");
		put_options(&b, c->options);
	}
	print(&b);
}
