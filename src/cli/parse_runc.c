/* parse_runc.c: command lines as runc's callers write them, see command.h. */
#include "cli/command.h"

typedef struct Parse {
	Invocation *in;
	int argc, at;
	char **argv;
	Err *e;
} Parse;

/* The option at argv[at], with its value; options and where its values go are the program's or the command's. */
static int take_option(Parse *p, const Option *options, OptionValue *values)
{
	const char *arg = p->argv[p->at++];
	Str whole = str_of(arg + (arg[1] == '-' ? 2 : 1)), name, value;
	bool attached = str_cut(whole, '=', &name, &value);
	const Option *o = option_find(options, name);
	if (!o && name.n == 1) o = option_find_letter(options, name.p[0]);
	if (!o) return err_set(p->e, ERR_USAGE, EINVAL, "flag provided but not defined: -%.*s", (int)name.n, name.p);
	OptionValue *v = &values[o - options];
	if (o->kind == OPTION_SWITCH) {
		if (attached && !str_eq(value, "true") && !str_eq(value, "false"))
			return err_set(p->e, ERR_USAGE, EINVAL, "invalid boolean value \"%.*s\" for -%s: true or false", (int)value.n,
				       value.p, o->name);
		return option_set(o, v, attached ? value.p : "true", p->in->arena, p->e);
	}
	const char *text = attached ? value.p : p->at < p->argc ? p->argv[p->at++] : NULL;
	if (!text) return err_set(p->e, ERR_USAGE, EINVAL, "flag needs an argument: -%s", o->name);
	return option_set(o, v, text, p->in->arena, p->e);
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1];
}

static bool is_help(const char *arg)
{
	return streq(arg, "-h") || streq(arg, "--help") || streq(arg, "-help");
}

static int check_arguments(Parse *p)
{
	const Invocation *in = p->in;
	const Command *c = in->command;
	int n = (int)in->args.n;
	if (n >= c->min_args && (c->max_args < 0 || n <= c->max_args)) return 0;
	const char *how = c->min_args == c->max_args ? "exactly" : n < c->min_args ? "a minimum of" : "a maximum of";
	return err_set(p->e, ERR_USAGE, EINVAL, "\"%s %s\" requires %s %d argument(s), got %d: %s %s %s", in->name, c->name, how,
		       n < c->min_args ? c->min_args : c->max_args, n, in->name, c->name, c->arguments ? c->arguments : "");
}

static int parse_command(Parse *p, bool *ret_help)
{
	Invocation *in = p->in;
	const Command *c = in->command;
	bool options = true;
	int r = option_values_new(c->options, in->arena, &in->values, p->e);
	if (r < 0) return r;
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
			r = take_option(p, c->options, in->values);
			if (r < 0) return r;
			continue;
		}
		r = argument_add(in, arg, p->e);
		if (r < 0) return r;
		p->at++;
		if (c->passes_arguments) options = false;
	}
	return check_arguments(p);
}

int parse_runc(Invocation *in, int argc, char **argv, bool *ret_help, Err *e)
{
	Parse p = { .in = in, .argc = argc, .at = 1, .argv = argv, .e = e };
	*ret_help = false;
	int r = option_values_new(in->program->options, in->arena, &in->globals, e);
	if (r < 0) return r;
	while (p.at < argc && is_option(argv[p.at])) {
		r = take_option(&p, in->program->options, in->globals);
		if (r < 0) return r;
	}
	if (global_switch(in, "version")) return 0;
	if (p.at >= argc || global_switch(in, "help") || streq(argv[p.at], "help")) {
		*ret_help = true;
		if (p.at + 1 < argc && !global_switch(in, "help")) in->command = command_find(in->program, argv[p.at + 1]);
		return 0;
	}
	in->command = command_find(in->program, argv[p.at]);
	if (!in->command) return err_set(e, ERR_USAGE, EINVAL, "No help topic for '%s'", argv[p.at]);
	in->path = in->command->name;
	p.at++;
	return parse_command(&p, ret_help);
}
