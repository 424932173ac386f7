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

static int list_add(Arena *a, StrList *l, const char *value)
{
	const char **items = arena_array(a, l->n + 2, sizeof *items);
	if (!items) return -ENOMEM;
	if (l->n) memcpy(items, l->items, l->n * sizeof *items);
	items[l->n++] = value;
	l->items = items;
	return 0;
}

int argument_add(Invocation *in, const char *text, Err *e)
{
	return list_add(in->arena, &in->args, text) < 0 ? err_sys(e, ENOMEM, "command line") : 0;
}

int option_set(const Option *o, OptionValue *v, const char *text, Arena *a, Err *e)
{
	if (o->kind == OPTION_SWITCH) v->number = streq(text, "true");
	if (o->kind == OPTION_LIST && list_add(a, &v->list, text) < 0) return err_sys(e, ENOMEM, "command line");
	v->text = text;
	v->set = true;
	return 0;
}

static const OptionValue *value_of(const Option *options, const OptionValue *values, const char *name)
{
	const Option *o = option_find(options, str_of(name));
	assert(o);
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
