/* parse.c: command lines by the table, see command.h. */
#include "cli/command.h"

const Command *command_find(const char *name)
{
	for (size_t i = 0; i < command_count; i++)
		if (streq(command_table[i].name, name)) return &command_table[i];
	return NULL;
}

typedef struct Parse {
	Invocation *in;
	int argc, at;
	char **argv;
	Err *e;
} Parse;

static const Option *option_find(const Option *options, Str name)
{
	for (const Option *o = options; o->name; o++)
		if (str_eq(name, o->name) || (name.n == 1 && o->letter && name.p[0] == o->letter)) return o;
	return NULL;
}

static int list_add(Invocation *in, StrList *l, const char *value)
{
	const char **items = arena_array(in->arena, l->n + 2, sizeof *items);
	if (!items) return -ENOMEM;
	if (l->n) memcpy(items, l->items, l->n * sizeof *items);
	items[l->n++] = value;
	l->items = items;
	return 0;
}

/* The option at argv[at], with its value; options and where its values go are the global ones or the command's. */
static int take_option(Parse *p, const Option *options, const char **values, StrList *lists)
{
	const char *arg = p->argv[p->at++];
	Str whole = str_of(arg + (arg[1] == '-' ? 2 : 1)), name, value;
	bool attached = str_cut(whole, '=', &name, &value);
	const Option *o = option_find(options, name);
	if (!o) return err_set(p->e, ERR_USAGE, EINVAL, "flag provided but not defined: -%.*s", (int)name.n, name.p);
	size_t i = (size_t)(o - options);
	if (o->kind == OPTION_SWITCH) {
		if (attached && !str_eq(value, "true") && !str_eq(value, "false"))
			return err_set(p->e, ERR_USAGE, EINVAL, "invalid boolean value \"%.*s\" for -%s: true or false", (int)value.n,
				       value.p, o->name);
		values[i] = attached && str_eq(value, "false") ? NULL : "true";
		return 0;
	}
	const char *text = attached ? value.p : p->at < p->argc ? p->argv[p->at++] : NULL;
	if (!text) return err_set(p->e, ERR_USAGE, EINVAL, "flag needs an argument: -%s", o->name);
	values[i] = text;
	return o->kind == OPTION_LIST && list_add(p->in, &lists[i], text) < 0 ? err_sys(p->e, ENOMEM, "command line") : 0;
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1];
}

static bool is_help(const char *arg)
{
	return streq(arg, "-h") || streq(arg, "--help") || streq(arg, "-help");
}

static int parse_command(Parse *p, bool *ret_help)
{
	Invocation *in = p->in;
	const Command *c = in->command;
	bool options = true;
	while (p->at < p->argc) {
		char *arg = p->argv[p->at];
		if (options && streq(arg, "--")) {
			options = false;
			p->at++;
			continue;
		}
		if (options && is_option(arg)) {
			if (is_help(arg)) {
				*ret_help = true;
				return 0;
			}
			int r = take_option(p, c->options, in->values, in->lists);
			if (r < 0) return r;
			continue;
		}
		if (list_add(in, &in->args, arg) < 0) return err_sys(p->e, ENOMEM, "command line");
		p->at++;
		if (c->passes_arguments) options = false;
	}
	int n = (int)in->args.n;
	if (n < c->min_args || (c->max_args >= 0 && n > c->max_args))
		return err_set(p->e, ERR_USAGE, EINVAL, "\"%s %s\" requires %s %d argument(s), got %d: %s %s %s", in->program, c->name,
			       c->min_args == c->max_args ? "exactly"
			       : n < c->min_args          ? "a minimum of"
							  : "a maximum of",
			       n < c->min_args ? c->min_args : c->max_args, n, in->program, c->name, c->arguments);
	return 0;
}

int command_parse(Invocation *in, int argc, char **argv, bool *ret_help, Err *e)
{
	Parse p = { .in = in, .argc = argc, .at = 1, .argv = argv, .e = e };
	*ret_help = false;
	while (p.at < argc && is_option(argv[p.at])) {
		int r = take_option(&p, global_options, in->global_values, in->global_lists);
		if (r < 0) return r;
	}
	if (global_value(in, "version")) return 0;
	if (p.at >= argc || global_value(in, "help") || streq(argv[p.at], "help")) {
		*ret_help = true;
		if (p.at < argc && !global_value(in, "help") && p.at + 1 < argc) in->command = command_find(argv[p.at + 1]);
		return 0;
	}
	in->command = command_find(argv[p.at]);
	if (!in->command) return err_set(e, ERR_USAGE, EINVAL, "No help topic for '%s'", argv[p.at]);
	p.at++;
	return parse_command(&p, ret_help);
}

static size_t option_index(const Option *options, const char *name)
{
	const Option *o = option_find(options, str_of(name));
	return o ? (size_t)(o - options) : COMMAND_OPTIONS_MAX - 1; /* the last slot is never a table's */
}

const char *option_value(const Invocation *in, const char *name)
{
	return in->values[option_index(in->command->options, name)];
}

bool option_switch(const Invocation *in, const char *name)
{
	return option_value(in, name) != NULL;
}

const StrList *option_list(const Invocation *in, const char *name)
{
	return &in->lists[option_index(in->command->options, name)];
}

const char *global_value(const Invocation *in, const char *name)
{
	return in->global_values[option_index(global_options, name)];
}

int option_number(const Invocation *in, const char *name, unsigned *ret, Err *e)
{
	const char *text = option_value(in, name);
	*ret = 0;
	if (!text) return 0;
	uint32_t n;
	if (str_to_u32(str_of(text), &n) < 0 || n > 65536)
		return err_set(e, ERR_USAGE, EINVAL, "--%s: expected a number from 0 to 65536, got \"%.32s\"", name, text);
	*ret = n;
	return 0;
}
