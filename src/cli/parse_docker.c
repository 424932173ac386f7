/* parse_docker.c: command lines as docker's users write them, see command.h.
 *
 * Statuses and texts are the docker CLI's: 125 for a wrong option, 1 for a wrong command or number of arguments. */
#include "cli/command.h"

enum { STATUS_COMMAND = 1, STATUS_OPTION = 125, WORD_MAX = 64, DISTANCE_MAX = 2, SHOWN = 200 };

typedef struct Parse {
	Invocation *in;
	int argc, at;
	char **argv;
	const Option *options; /* those that count now, and their values */
	OptionValue *values;
	bool help;
	Err *e;
} Parse;

/* A wrong option: the message stands already. */
static int bad_option(Parse *p)
{
	p->in->usage.status = STATUS_OPTION;
	return -EINVAL;
}

static int take_value(Parse *p, const Option *o, const char *text)
{
	Err why = ERR_INIT;
	const Option *to = o->same ? option_find(p->options, str_of(o->same)) : o;
	int r = option_set(to, &p->values[to - p->options], text, p->in->arena, &why);
	if (r >= 0) return 0;
	char letter[8] = "";
	AUTO_BUF quoted = BUF_INIT(65536);
	buf_quote(&quoted, (Str){ text, strnlen(text, SHOWN) });
	if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
	err_set(p->e, ERR_USAGE, EINVAL, "invalid argument %s for \"%s--%s\" flag: %s", buf_str(&quoted), letter, o->name, why.msg);
	return bad_option(p);
}

/* What "--name" without a value means; NULL: the next argument is the value. */
static const char *bare_value(const Option *o)
{
	return o->bare ? o->bare : o->kind == OPTION_SWITCH ? "true" : NULL;
}

/* "--name" or "--name=value" */
static int take_long(Parse *p, const char *arg)
{
	Str name, value;
	bool attached = str_cut(str_of(arg + 2), '=', &name, &value);
	if (!name.n || name.p[0] == '-') {
		err_set(p->e, ERR_USAGE, EINVAL, "bad flag syntax: %.200s", arg);
		return bad_option(p);
	}
	const Option *o = option_find(p->options, name);
	if (!o && str_eq(name, "help") && !attached) {
		p->help = true;
		return 0;
	}
	if (!o) {
		err_set(p->e, ERR_USAGE, EINVAL, "unknown flag: --%.*s", (int)(name.n > 200 ? 200 : name.n), name.p);
		return bad_option(p);
	}
	const char *text = attached ? value.p : bare_value(o);
	if (!text && p->at < p->argc) text = p->argv[p->at++];
	if (text) return take_value(p, o, text);
	err_set(p->e, ERR_USAGE, EINVAL, "flag needs an argument: --%s", o->name);
	return bad_option(p);
}

/* "-it", "-p80:80", "-n=5", "-n 5": letters after the dash until one of them takes the rest as its value. */
static int take_letters(Parse *p, const char *arg)
{
	for (const char *at = arg + 1; *at && !p->help; at++) {
		const Option *o = option_find_letter(p->options, *at);
		if (!o && *at == 'h') {
			p->help = true;
			return 0;
		}
		if (!o) {
			err_set(p->e, ERR_USAGE, EINVAL, "unknown shorthand flag: '%c' in -%.200s", *at, at);
			return bad_option(p);
		}
		const char *text = at[1] == '=' && at[2] ? at + 2 : bare_value(o);
		bool whole = !text || (at[1] == '=' && at[2]);
		if (!text && at[1]) text = at + 1;
		if (!text && p->at < p->argc) text = p->argv[p->at++];
		if (!text) {
			err_set(p->e, ERR_USAGE, EINVAL, "flag needs an argument: '%c' in -%.200s", *at, at);
			return bad_option(p);
		}
		int r = take_value(p, o, text);
		if (r < 0 || whole) return r;
	}
	return 0;
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1];
}

static int take_option(Parse *p)
{
	const char *arg = p->argv[p->at++];
	return arg[1] == '-' ? take_long(p, arg) : take_letters(p, arg);
}

/* Options before the next word; "--" ends them. */
static int leading_options(Parse *p, const Option *options, OptionValue **ret)
{
	int r = option_values_new(options, p->in->arena, ret, p->e);
	p->options = options;
	p->values = *ret;
	while (r >= 0 && !p->help && p->at < p->argc && is_option(p->argv[p->at]) && !streq(p->argv[p->at], "--"))
		r = take_option(p);
	return r;
}

static const char *plural(int n)
{
	return n == 1 ? "argument" : "arguments";
}

static int check_arguments(Parse *p)
{
	Invocation *in = p->in;
	const Command *c = in->command;
	int n = (int)in->args.n, min = c->min_args, max = c->max_args;
	if (n >= min && (max < 0 || n <= max)) return 0;
	in->usage.status = STATUS_COMMAND;
	if (max == 0) return err_set(p->e, ERR_USAGE, EINVAL, "%s: '%s %s' accepts no arguments", in->name, in->name, in->path);
	if (min > 0 && min < max)
		return err_set(p->e, ERR_USAGE, EINVAL, "%s: '%s %s' requires at least %d and at most %d arguments", in->name, in->name,
			       in->path, min, max);
	if (min == max)
		return err_set(p->e, ERR_USAGE, EINVAL, "%s: '%s %s' requires %d %s", in->name, in->name, in->path, min, plural(min));
	if (n < min) {
		in->usage.verb = "See";
		return err_set(p->e, ERR_USAGE, EINVAL, "%s: '%s %s' requires at least %d %s", in->name, in->name, in->path, min,
			       plural(min));
	}
	return err_set(p->e, ERR_USAGE, EINVAL, "%s: '%s %s' requires at most %d %s", in->name, in->name, in->path, max, plural(max));
}

static int parse_command(Parse *p)
{
	Invocation *in = p->in;
	const Command *c = in->command;
	bool options = true;
	int r = option_values_new(c->options, in->arena, &in->values, p->e);
	p->options = c->options;
	p->values = in->values;
	while (r >= 0 && p->at < p->argc && !p->help) {
		char *arg = p->argv[p->at];
		if (options && streq(arg, "--")) {
			options = false;
			p->at++;
		} else if (options && is_option(arg)) {
			r = take_option(p);
		} else {
			r = argument_add(in, arg, p->e);
			p->at++;
			if (c->passes_arguments) options = false;
		}
	}
	return r < 0 || p->help ? r : check_arguments(p);
}

/* The Levenshtein distance of two short words. */
static size_t distance(Str a, Str b)
{
	size_t row[WORD_MAX + 1];
	if (a.n > WORD_MAX || b.n > WORD_MAX) return SIZE_MAX;
	for (size_t k = 0; k <= b.n; k++)
		row[k] = k;
	for (size_t i = 1; i <= a.n; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t k = 1; k <= b.n; k++) {
			size_t best = corner + (a.p[i - 1] != b.p[k - 1]);
			corner = row[k];
			if (row[k] + 1 < best) best = row[k] + 1;
			if (row[k - 1] + 1 < best) best = row[k - 1] + 1;
			row[k] = best;
		}
	}
	return row[b.n];
}

static void put_child(Buf *b, Str word, const Command *c)
{
	(void)c;
	buf_printf(b, "%.*s\n", (int)word.n, word.p);
}

/* The words that may have been meant, one a line; NULL when there is none. */
static const char *suggest(const Invocation *in, const char *group, const char *wrong)
{
	AUTO_BUF all = BUF_INIT(65536), near = BUF_INIT(4096);
	Str word, want = str_of(wrong);
	help_each_child(in->program, group, put_child, &all);
	Str rest = { buf_str(&all), all.n };
	while (str_next(&rest, '\n', &word))
		if (word.n && (distance(want, word) <= DISTANCE_MAX || (want.n > 1 && str_starts(word, wrong))))
			buf_printf(&near, "%.*s\n", (int)word.n, word.p);
	return near.n ? arena_strdup(in->arena, buf_str(&near)) : NULL;
}

static int unknown_command(Parse *p, const char *group, const char *word)
{
	Invocation *in = p->in;
	in->usage.status = STATUS_COMMAND;
	in->usage.suggestion = suggest(in, group, word);
	return err_set(p->e, ERR_USAGE, EINVAL, "%s: unknown command: %s %s%s%.200s", in->name, in->name, group, *group ? " " : "", word);
}

/* From the words at argv[at]: the command, with its groups' options; in->command stays NULL at the end of the line. */
static int find_command(Parse *p)
{
	Invocation *in = p->in;
	OptionValue *none;
	in->path = "";
	while (p->at < p->argc && !p->help) {
		const char *word = p->argv[p->at++], *path;
		path = *in->path ? arena_printf(in->arena, "%s %s", in->path, word) : word;
		if (!path) return err_sys(p->e, ENOMEM, "command line");
		const Command *c = strchr(word, ' ') ? NULL : command_find(in->program, path);
		if (!c) return unknown_command(p, in->path, word);
		in->command = c;
		in->path = path;
		if (c->run) return 0;
		int r = leading_options(p, c->options, &none);
		if (r < 0) return r;
	}
	return 0;
}

/* "help image ls": the same as "image ls --help". */
static int find_topic(Parse *p)
{
	Invocation *in = p->in;
	p->at++;
	in->path = "";
	p->help = true;
	for (; p->at < p->argc; p->at++) {
		const char *word = p->argv[p->at];
		const char *path = *in->path ? arena_printf(in->arena, "%s %s", in->path, word) : word;
		if (!path) return err_sys(p->e, ENOMEM, "command line");
		const Command *c = strchr(word, ' ') ? NULL : command_find(in->program, path);
		if (!c) return err_set(p->e, ERR_USAGE, EINVAL, "unknown help topic: %.200s", path);
		in->command = c;
		in->path = path;
	}
	return 0;
}

int parse_docker(Invocation *in, int argc, char **argv, bool *ret_help, Err *e)
{
	Parse p = { .in = in, .argc = argc, .at = 1, .argv = argv, .e = e };
	*ret_help = false;
	int r = leading_options(&p, in->program->options, &in->globals);
	if (r < 0) return r;
	if (!p.help && global_switch(in, "version")) return 0;
	if (p.at < argc && streq(argv[p.at], "--")) p.at++;
	if (!p.help && p.at < argc && streq(argv[p.at], "help"))
		r = find_topic(&p);
	else if (!p.help)
		r = find_command(&p);
	if (r >= 0 && in->command && in->command->run && !p.help) r = parse_command(&p);
	if (r < 0) return r;
	*ret_help = p.help || !in->command || !in->command->run;
	return 0;
}
