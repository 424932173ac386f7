/* generate_shell.c: completions for bash, zsh and fish out of the table.
 *
 * All three first find out which command the line is about, by its path in the table: the shells' own helpers know one level of
 * commands, or none. */
#include "cli/command.h"

#include <ctype.h>

/* Calls fn with every path by which a command that is shown can be called. */
static void each_path(const Command *c, void (*fn)(Buf *b, Str path, bool first), Buf *b)
{
	Str rest = str_of(c->aliases), alias;
	fn(b, str_of(c->name), true);
	while (str_next(&rest, ',', &alias))
		fn(b, alias, false);
}

static void put_pattern(Buf *b, Str path, bool first)
{
	buf_printf(b, "%s'%.*s'", first ? "" : "|", (int)path.n, path.p);
}

static void put_all_patterns(const Program *p, Buf *b)
{
	bool first = true;
	for (size_t i = 0; i < p->n_commands; i++) {
		if (p->commands[i].hidden) continue;
		if (!first) buf_putc(b, '|');
		each_path(&p->commands[i], put_pattern, b);
		first = false;
	}
}

/* The name of the shell function: "_skep_runtime". */
static void put_function(Buf *b, const char *program)
{
	buf_putc(b, '_');
	for (const char *s = program; *s; s++)
		buf_putc(b, isalnum((unsigned char)*s) ? *s : '_');
}

static void put_word(Buf *b, Str word, const Command *c)
{
	(void)c;
	buf_printf(b, "%.*s ", (int)word.n, word.p);
}

static void put_names(Buf *b, const Option *o)
{
	for (; o && o->name; o++)
		if (!o->hidden) buf_printf(b, " --%s", o->name);
}

/* Values of options that have a fixed set. */
static void bash_choices(const Program *p, Buf *b)
{
	buf_puts(b, "\tcase \"$cmd:${COMP_WORDS[COMP_CWORD-1]}\" in\n");
	for (size_t i = 0; i < p->n_commands; i++) {
		for (const Option *o = p->commands[i].options; o && o->name; o++) {
			if (o->kind != OPTION_ENUM || o->hidden) continue;
			buf_printf(b, "\t'%s:--%s') COMPREPLY=($(compgen -W '", p->commands[i].name, o->name);
			for (size_t k = 0; o->choices[k]; k++)
				buf_printf(b, "%s ", o->choices[k]);
			buf_puts(b, "' -- \"$cur\")); return ;;\n");
		}
	}
	buf_puts(b, "\tesac\n");
}

void generate_bash(const Program *p, Buf *b)
{
	put_function(b, p->name);
	buf_puts(b, "() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} word cmd=\n"
		    "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase \"${cmd:+$cmd }$word\" in\n\t\t");
	put_all_patterns(p, b);
	buf_puts(b, ") cmd=\"${cmd:+$cmd }$word\" ;;\n\t\tesac\n\tdone\n");
	bash_choices(p, b);
	buf_puts(b, "\tcase $cmd in\n\t'') COMPREPLY=($(compgen -W '");
	help_each_child(p, "", put_word, b);
	put_names(b, p->options);
	buf_puts(b, "' -- \"$cur\")) ;;\n");
	for (size_t i = 0; i < p->n_commands; i++) {
		const Command *c = &p->commands[i];
		if (c->hidden) continue;
		buf_putc(b, '\t');
		each_path(c, put_pattern, b);
		buf_puts(b, ") COMPREPLY=($(compgen -W \"");
		if (!c->run) help_each_child(p, c->name, put_word, b);
		put_names(b, c->options);
		if (c->candidates) buf_printf(b, " $(\"${COMP_WORDS[0]}\" %s 2>/dev/null)", c->candidates);
		buf_puts(b, "\" -- \"$cur\")) ;;\n");
	}
	buf_puts(b, "\tesac\n}\ncomplete -o default -F ");
	put_function(b, p->name);
	buf_printf(b, " %s\n", p->name);
}

static void zsh_quote(Buf *b, const char *s)
{
	for (; *s && *s != '\n'; s++) {
		if (*s == '\'') {
			buf_puts(b, "'\\''");
			continue;
		}
		if (strchr("[]:\\", *s)) buf_putc(b, '\\');
		buf_putc(b, *s);
	}
}

static void zsh_options(Buf *b, const Option *o)
{
	for (; o && o->name; o++) {
		bool many = o->kind == OPTION_LIST || o->kind == OPTION_STRINGS || o->kind == OPTION_MAP;
		if (o->hidden) continue;
		for (int letter = 0; letter < (o->letter ? 2 : 1); letter++) {
			buf_printf(b, " \\\n\t\t\t'%s", many ? "*" : "");
			if (letter)
				buf_printf(b, "-%c[", o->letter);
			else
				buf_printf(b, "--%s[", o->name);
			zsh_quote(b, o->help);
			buf_putc(b, ']');
			if (o->kind != OPTION_SWITCH) buf_printf(b, ":%s:", o->name);
			if (o->kind == OPTION_ENUM) {
				buf_putc(b, '(');
				for (size_t k = 0; o->choices[k]; k++)
					buf_printf(b, "%s%s", k ? " " : "", o->choices[k]);
				buf_putc(b, ')');
			} else if (o->kind != OPTION_SWITCH) {
				buf_puts(b, "_files");
			}
			buf_putc(b, '\'');
		}
	}
}

static void zsh_description(Buf *b, Str word, const Command *c)
{
	buf_printf(b, " \\\n\t\t\t'%.*s:", (int)word.n, word.p);
	zsh_quote(b, c->summary);
	buf_putc(b, '\'');
}

static void zsh_children(const Program *p, const char *group, const Option *options, Buf *b)
{
	buf_puts(b, "\t\tcommands=(");
	help_each_child(p, group, zsh_description, b);
	buf_puts(b, ")\n\t\t_arguments");
	zsh_options(b, options);
	buf_puts(b, " \\\n\t\t\t'1:command:{_describe command commands}' ;;\n");
}

void generate_zsh(const Program *p, Buf *b)
{
	buf_printf(b, "#compdef %s\n", p->name);
	put_function(b, p->name);
	buf_puts(b, "() {\n\tlocal program=$words[1] cmd= at=1 i\n\tlocal -a commands\n\tfor (( i = 2; i < CURRENT; i++ )); do\n"
		    "\t\tcase \"${cmd:+$cmd }$words[i]\" in\n\t\t");
	put_all_patterns(p, b);
	/* _arguments takes the first word for the command */
	buf_puts(b, ") cmd=\"${cmd:+$cmd }$words[i]\" at=$i ;;\n\t\tesac\n\tdone\n"
		    "\twords=(\"${(@)words[at,-1]}\")\n\t(( CURRENT -= at - 1 ))\n\tcase $cmd in\n\t'')\n");
	zsh_children(p, "", p->options, b);
	for (size_t i = 0; i < p->n_commands; i++) {
		const Command *c = &p->commands[i];
		if (c->hidden) continue;
		buf_putc(b, '\t');
		each_path(c, put_pattern, b);
		buf_puts(b, ")\n");
		if (!c->run) {
			zsh_children(p, c->name, c->options, b);
			continue;
		}
		buf_puts(b, "\t\t_arguments -s");
		zsh_options(b, c->options);
		if (c->candidates)
			buf_printf(b, " \\\n\t\t\t\"*:argument:($($program %s 2>/dev/null))\"", c->candidates);
		else
			buf_puts(b, " \\\n\t\t\t'*:file:_files'");
		buf_puts(b, " ;;\n");
	}
	buf_puts(b, "\tesac\n}\n");
	put_function(b, p->name);
	buf_puts(b, " \"$@\"\n");
}

static void fish_quote(Buf *b, const char *s)
{
	for (; *s && *s != '\n'; s++) {
		if (*s == '\'' || *s == '\\') buf_putc(b, '\\');
		buf_putc(b, *s);
	}
}

/* The condition that the line is about the command at path: each of its words was seen, and none that may follow it. */
static void fish_condition(const Program *p, const Command *c, Str path, Buf *b)
{
	Str rest = path, word;
	buf_puts(b, " -n '");
	for (bool first = true; str_next(&rest, ' ', &word); first = false)
		buf_printf(b, "%s__fish_seen_subcommand_from %.*s", first ? "" : "; and ", (int)word.n, word.p);
	if (!c->run) {
		buf_puts(b, "; and not __fish_seen_subcommand_from ");
		help_each_child(p, c->name, put_word, b);
	}
	buf_putc(b, '\'');
}

static void fish_option(Buf *b, const Option *o)
{
	buf_printf(b, " -l %s", o->name);
	if (o->letter) buf_printf(b, " -s %c", o->letter);
	if (o->kind != OPTION_SWITCH) buf_puts(b, " -r");
	if (o->kind == OPTION_ENUM) {
		buf_puts(b, " -f -a '");
		for (size_t k = 0; o->choices[k]; k++)
			buf_printf(b, "%s%s", k ? " " : "", o->choices[k]);
		buf_putc(b, '\'');
	}
	buf_puts(b, " -d '");
	fish_quote(b, o->help);
	buf_puts(b, "'\n");
}

static void fish_path(const Program *p, const Command *c, Str path, Buf *b)
{
	Str word = path;
	const char *blank = memrchr(path.p, ' ', path.n);
	buf_printf(b, "complete -c %s -f", p->name);
	if (blank) {
		size_t n = (size_t)(blank - path.p);
		char group[64];
		word = (Str){ blank + 1, path.n - n - 1 };
		snprintf(group, sizeof group, "%.*s", (int)n, path.p);
		const Command *parent = command_find(p, group);
		if (parent) fish_condition(p, parent, (Str){ path.p, n }, b);
	} else {
		buf_puts(b, " -n __fish_use_subcommand");
	}
	buf_printf(b, " -a %.*s -d '", (int)word.n, word.p);
	fish_quote(b, c->summary);
	buf_puts(b, "'\n");
	for (const Option *o = c->options; o && o->name; o++) {
		if (o->hidden) continue;
		buf_printf(b, "complete -c %s", p->name);
		fish_condition(p, c, path, b);
		fish_option(b, o);
	}
	if (!c->candidates) return;
	buf_printf(b, "complete -c %s", p->name);
	fish_condition(p, c, path, b);
	buf_printf(b, " -f -a '(%s %s 2>/dev/null)'\n", p->name, c->candidates);
}

void generate_fish(const Program *p, Buf *b)
{
	for (const Option *o = p->options; o->name; o++) {
		if (o->hidden) continue;
		buf_printf(b, "complete -c %s -n __fish_use_subcommand", p->name);
		fish_option(b, o);
	}
	for (size_t i = 0; i < p->n_commands; i++) {
		const Command *c = &p->commands[i];
		Str rest = str_of(c->aliases), path = str_of(c->name);
		if (c->hidden) continue;
		do
			fish_path(p, c, path, b);
		while (str_next(&rest, ',', &path));
	}
}
