/* generate.c: the manual page and the completions, from the table. */
#include "cli/command.h"

static void man_options(Buf *b, const Option *o)
{
	for (; o->name; o++) {
		if (o->hidden) continue;
		buf_puts(b, ".TP\n");
		if (o->letter) buf_printf(b, "\\fB\\-%c\\fR, ", o->letter);
		buf_printf(b, "\\fB\\-\\-%s\\fR%s%s%s\n%s\n", o->name, o->value ? " \\fI" : "", o->value ? o->value : "",
			   o->value ? "\\fR" : "", o->help);
	}
}

static void generate_man(Buf *b)
{
	buf_puts(
		b,
		".TH SKEP-RUNTIME 8\n.SH NAME\nskep-runtime \\- run containers by the OCI runtime specification\n"
		".SH SYNOPSIS\n\\fBskep-runtime\\fR [\\fIglobal options\\fR] \\fIcommand\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]\n"
		".SH DESCRIPTION\nMakes containers of bundles: a directory with a config.json and a root file system. The command line is that of runc(8), so "
		"engines that drive runc can drive it.\n.SH GLOBAL OPTIONS\n");
	man_options(b, global_options);
	buf_puts(b, ".SH COMMANDS\n");
	for (size_t i = 0; i < command_count; i++) {
		const Command *c = &command_table[i];
		if (c->hidden) continue;
		buf_printf(b, ".SS %s %s\n%s%s%s\n", c->name, c->arguments, c->summary, c->details ? ".\n" : "",
			   c->details ? c->details : "");
		man_options(b, c->options);
	}
	buf_puts(
		b,
		".SH EXIT STATUS\n0 on success, 1 on failure. \\fBrun\\fR and \\fBexec\\fR give the exit status of the process, 128 + n when signal n ended it; "
		"\\fBexec\\fR gives 255 when the process could not be started.\n"
		".SH FILES\n.TP\n/run/skep-runtime\nThe containers' state; $XDG_RUNTIME_DIR/skep-runtime for users without privileges.\n"
		".SH SEE ALSO\nrunc(8), namespaces(7), cgroups(7), capabilities(7), seccomp(2)\n");
}

static void put_names(Buf *b, const Option *o)
{
	for (; o->name; o++)
		if (!o->hidden) buf_printf(b, " --%s", o->name);
}

static void generate_bash(Buf *b)
{
	buf_puts(b, "_skep_runtime() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} word cmd=\n"
		    "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase $word in\n\t\t");
	for (size_t i = 0; i < command_count; i++)
		if (!command_table[i].hidden) buf_printf(b, "%s%s", i ? "|" : "", command_table[i].name);
	buf_puts(b, ") cmd=$word; break ;;\n\t\tesac\n\tdone\n\tcase $cmd in\n\t'') COMPREPLY=($(compgen -W '");
	for (size_t i = 0; i < command_count; i++)
		if (!command_table[i].hidden) buf_printf(b, "%s ", command_table[i].name);
	put_names(b, global_options);
	buf_puts(b, "' -- \"$cur\")) ;;\n");
	for (size_t i = 0; i < command_count; i++) {
		const Command *c = &command_table[i];
		if (c->hidden) continue;
		buf_printf(b, "\t%s) COMPREPLY=($(compgen -W \"", c->name);
		put_names(b, c->options);
		if (c->min_args) buf_puts(b, " $(\"${COMP_WORDS[0]}\" list -q 2>/dev/null)");
		buf_puts(b, "\" -- \"$cur\")) ;;\n");
	}
	buf_puts(b, "\tesac\n}\ncomplete -o default -F _skep_runtime skep-runtime\n");
}

static void zsh_quote(Buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'') {
			buf_puts(b, "'\\''");
			continue;
		}
		if (strchr("[]:", *s)) buf_putc(b, '\\');
		buf_putc(b, *s);
	}
}

static void zsh_options(Buf *b, const Option *o)
{
	for (; o->name; o++) {
		if (o->hidden) continue;
		buf_printf(b, " \\\n\t\t\t'%s--%s[", o->kind == OPTION_LIST ? "*" : "", o->name);
		zsh_quote(b, o->help);
		buf_printf(b, "]%s%s%s'", o->value ? ":" : "", o->value ? o->name : "", o->value ? ":_files" : "");
	}
}

static void generate_zsh(Buf *b)
{
	buf_puts(b, "#compdef skep-runtime\n_skep_runtime() {\n\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; i < command_count; i++) {
		if (command_table[i].hidden) continue;
		buf_printf(b, "\t\t'%s:", command_table[i].name);
		zsh_quote(b, command_table[i].summary);
		buf_puts(b, "'\n");
	}
	buf_puts(b, "\t)\n\t_arguments -C");
	zsh_options(b, global_options);
	buf_puts(
		b,
		" \\\n\t\t'1:command:->command' '*::argument:->argument'\n\tcase $state in\n\tcommand) _describe command commands ;;\n\targument)\n\t\tcase $words[1] in\n");
	for (size_t i = 0; i < command_count; i++) {
		const Command *c = &command_table[i];
		if (c->hidden) continue;
		buf_printf(b, "\t\t%s) _arguments", c->name);
		zsh_options(b, c->options);
		buf_puts(b, c->min_args ? " \\\n\t\t\t'*:container:($(skep-runtime list -q 2>/dev/null))' ;;\n" : " ;;\n");
	}
	buf_puts(b, "\t\tesac ;;\n\tesac\n}\n_skep_runtime \"$@\"\n");
}

static void fish_quote(Buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\') buf_putc(b, '\\');
		buf_putc(b, *s);
	}
}

static void fish_options(Buf *b, const Option *o, const char *condition)
{
	for (; o->name; o++) {
		if (o->hidden) continue;
		buf_printf(b, "complete -c skep-runtime -n '%s' -l %s", condition, o->name);
		if (o->letter) buf_printf(b, " -s %c", o->letter);
		buf_printf(b, "%s -d '", o->value ? " -r" : "");
		fish_quote(b, o->help);
		buf_puts(b, "'\n");
	}
}

static void generate_fish(Buf *b)
{
	fish_options(b, global_options, "__fish_use_subcommand");
	for (size_t i = 0; i < command_count; i++) {
		const Command *c = &command_table[i];
		char condition[96];
		if (c->hidden) continue;
		buf_printf(b, "complete -c skep-runtime -n __fish_use_subcommand -f -a %s -d '", c->name);
		fish_quote(b, c->summary);
		buf_puts(b, "'\n");
		snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", c->name);
		fish_options(b, c->options, condition);
		if (c->min_args) buf_printf(b, "complete -c skep-runtime -n '%s' -f -a '(skep-runtime list -q 2>/dev/null)'\n", condition);
	}
}

int generate_run(Invocation *in, Err *e)
{
	static const struct {
		const char *name;
		void (*fn)(Buf *b);
	} kinds[] = { { "man", generate_man }, { "bash", generate_bash }, { "zsh", generate_zsh }, { "fish", generate_fish } };
	AUTO_BUF b = BUF_INIT(1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!streq(kinds[i].name, in->args.items[0])) continue;
		kinds[i].fn(&b);
		return print_buf(&b, e);
	}
	return err_set(e, ERR_USAGE, EINVAL, "generate: unknown \"%.32s\"; allowed: man, bash, zsh, fish", in->args.items[0]);
}
