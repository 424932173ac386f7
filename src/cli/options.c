/* options.c: options and their values, see command.h. */
#include "cli/command.h"

#include <assert.h>

const Command *command_find(const Program *p, const char *path)
{
	for (size_t i = 0; i < p->n_commands; i++) {
		const Command *c = &p->commands[i];
		Str rest = str_of(c->aliases), alias;
		if (streq(c->name, path)) return c;
		while (str_next(&rest, ',', &alias))
			if (str_eq(alias, path)) return c;
	}
	return NULL;
}

/* The last word of path when it stands directly below group ("" is the program), else an empty string. */
static Str child_word(Str path, const char *group)
{
	size_t n = strlen(group);
	Str word = path;
	if (n) {
		if (!str_starts(path, group) || path.n <= n || path.p[n] != ' ') return (Str){ path.p, 0 };
		word = (Str){ path.p + n + 1, path.n - n - 1 };
	}
	return memchr(word.p, ' ', word.n) ? (Str){ path.p, 0 } : word;
}

void help_each_child(const Program *p, const char *group, void (*fn)(Buf *b, Str word, const Command *c), Buf *b)
{
	for (size_t i = 0; i < p->n_commands; i++) {
		const Command *c = &p->commands[i];
		Str rest = str_of(c->aliases), path = str_of(c->name);
		if (c->hidden) continue;
		do {
			Str word = child_word(path, group);
			if (word.n) fn(b, word, c);
		} while (str_next(&rest, ',', &path));
	}
}

const char *invocation_name(int argc, char **argv, const char *otherwise)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	return slash ? slash + 1 : argc > 0 ? argv[0] : otherwise;
}

const Option *option_find(const Option *options, Str name)
{
	for (const Option *o = options; o && o->name; o++)
		if (str_eq(name, o->name)) return o;
	return NULL;
}

const Option *option_find_letter(const Option *options, char letter)
{
	for (const Option *o = options; o && o->name; o++)
		if (letter && o->letter == letter) return o;
	return NULL;
}

int option_values_new(const Option *options, Arena *a, OptionValue **ret, Err *e)
{
	size_t n = 0;
	while (options && options[n].name)
		n++;
	OptionValue *values = arena_array(a, n + 1, sizeof *values);
	if (!values) return err_sys(e, ENOMEM, "command line");
	for (size_t i = 0; i < n; i++) {
		if (!options[i].fallback) continue;
		int r = option_set(&options[i], &values[i], options[i].fallback, a, e);
		if (r < 0) return r;
		values[i].set = false;
	}
	*ret = values;
	return 0;
}

static const OptionValue *value_of(const Option *options, const OptionValue *values, const char *name)
{
	const Option *o = options;
	while (o->name && (o->name[0] != name[0] || !streq(o->name, name))) /* asked a hundred times by a command with a hundred options */
		o++;
	assert(o->name);
	return &values[o - options];
}

static const OptionValue *own_value(const Invocation *in, const char *name)
{
	return value_of(in->command->options, in->values, name);
}

const char *option_value(const Invocation *in, const char *name)
{
	return own_value(in, name)->text;
}

bool option_is_set(const Invocation *in, const char *name)
{
	return own_value(in, name)->set;
}

bool option_switch(const Invocation *in, const char *name)
{
	return own_value(in, name)->number != 0;
}

int64_t option_number(const Invocation *in, const char *name)
{
	return own_value(in, name)->number;
}

const StrList *option_list(const Invocation *in, const char *name)
{
	return &own_value(in, name)->list;
}

const char *global_value(const Invocation *in, const char *name)
{
	return value_of(in->program->options, in->globals, name)->text;
}

bool global_switch(const Invocation *in, const char *name)
{
	return value_of(in->program->options, in->globals, name)->number != 0;
}

const StrList *global_list(const Invocation *in, const char *name)
{
	return &value_of(in->program->options, in->globals, name)->list;
}
