/* command.h: a program as one table of commands and options, and what is derived from it: the parser, --help, the manual page
 * and the shells' completions.
 *
 * A Program is constant data: nothing here is global, so two programs with two grammars share this code.
 *   parse_runc    what runc's callers write: --name VALUE, --name=VALUE, -name VALUE, -n VALUE; a switch also --name=false
 *   parse_docker  what docker's users write: the same less "-name", and bundles: -it, -p80:80; commands in groups
 * In both, options and arguments may be mixed, unless the command hands its arguments on: then options end at the first argument.
 *
 * Commands stand in one flat table, by their whole path: "image" (a group: no run), "image ls" below it.
 */
#pragma once

#include "base/bind.h"
#include "base/log.h"

typedef enum {
	OPTION_SWITCH,   /* number: 0 or 1 */
	OPTION_VALUE,    /* any text */
	OPTION_ENUM,     /* one of .choices */
	OPTION_INT,      /* number: from .min to .max, int64_t when both are 0 */
	OPTION_UINT,     /* number: up to .max, INT64_MAX when that is 0 */
	OPTION_DECIMAL,  /* "1.5"; number: in billionths */
	OPTION_BYTES,    /* "10m", 1024-based; number: bytes; also "-1" when .min is */
	OPTION_DURATION, /* "1m30s"; number: nanoseconds */
	OPTION_LIST,     /* may be repeated: the list has one item for each */
	OPTION_STRINGS,  /* may be repeated, and each is split at commas */
	OPTION_MAP,      /* may be repeated: KEY=VALUE, or KEY alone, which has an empty value */
} OptionKind;

typedef struct Option {
	const char *name; /* without dashes */
	char letter;      /* 0: none */
	OptionKind kind;
	const char *value; /* what the value is, for help: "PATH"; NULL: by kind */
	const char *help;
	const char *fallback;       /* the value when not given; NULL: none */
	const char *bare;           /* the value of "--name" without "="; NULL: the next argument is the value */
	const char *const *choices; /* OPTION_ENUM: ends in NULL */
	int64_t min, max;
	const char *same; /* another spelling of that option of the table, whose value it sets; NULL: one of its own */
	/* check: a further rule for the text; its message says what is wrong. NULL: none */
	int (*check)(const char *text, Err *e);
	bool hidden;
} Option;

/* Rows of an option table: name, letter, (what the value is,) help, then further fields by name. */
#define SWITCH(n, l, h, ...) \
	{ \
		.name = (n), .letter = (l), .kind = OPTION_SWITCH, .help = (h), __VA_ARGS__ \
	}
#define OPTION(k, n, l, v, h, ...) \
	{ \
		.name = (n), .letter = (l), .kind = OPTION_##k, .value = (v), .help = (h), __VA_ARGS__ \
	}
#define VALUE(n, l, v, h, ...) OPTION(VALUE, n, l, v, h, __VA_ARGS__)
#define LIST(n, l, v, h, ...) OPTION(LIST, n, l, v, h, __VA_ARGS__)
/* OPTIONS(rows…): a table as a value for Command.options. */
#define OPTIONS(...) ((const Option[]){ __VA_ARGS__, { 0 } })
#define CHOICES(...) ((const char *const[]){ __VA_ARGS__, NULL })

typedef struct Invocation Invocation;

typedef struct Command {
	const char *name;      /* the whole path: "image ls" */
	const char *aliases;   /* further paths, the first of a single word shown beside the groups: "image list,images"; NULL: none */
	const char *arguments; /* for help: "<container-id> [signal]"; NULL: none */
	const char *summary;
	const char *details;    /* for help and the manual; may be NULL */
	int min_args, max_args; /* max_args -1: any number */
	bool passes_arguments;
	bool hidden;
	bool common;                        /* shown first in the program's help */
	unsigned flags;                     /* the program's own */
	const char *candidates;             /* for completion: the command that prints what the arguments can be: "list -q"; NULL: files */
	const Option *options;              /* ends in a row without name; NULL: none */
	int (*run)(Invocation *in, Err *e); /* the exit status, or -errno with e set; NULL: a group */
} Command;

typedef struct Program Program;
struct Program {
	const char *name;    /* as installed */
	const char *summary; /* for help: one line */
	const Option *options;
	const Command *commands;
	size_t n_commands;
	/* parse: the whole command line. -EINVAL with the reason. A request for help sets *ret_help, and in->command when it is
	 * for a command; so does no command at all. */
	int (*parse)(Invocation *in, int argc, char **argv, bool *ret_help, Err *e);
	/* help: for the whole program when c is NULL */
	void (*help)(const Invocation *in, const Command *c, Buf *b);
	struct {
		int section;
		const char *name, *synopsis, *description, *after; /* roff; after: the sections that follow the commands */
	} manual;
};

typedef struct OptionValue {
	bool set;         /* stood on the command line */
	const char *text; /* as written, the last one */
	int64_t number;   /* of the kinds that have one */
	StrList list;     /* of the kinds that may be repeated */
} OptionValue;

/* Invocation: one parsed command line. Everything in it lives as long as the arena and argv. */
struct Invocation {
	const Program *program;
	const char *name; /* base name of argv[0]: how the user calls the program */
	const Command *command;
	const char *path;     /* how the user called the command: "images", "image ls" */
	OptionValue *values;  /* of the command's options, in the table's order */
	OptionValue *globals; /* of the program's */
	StrList args;
	Arena *arena;
	Log log;
	void *app; /* the program's own */
	/* usage: set by parse_docker when the command line is wrong: the exit status, and what the user may have meant (or NULL).
	 * usage_failure sets the rest. */
	struct {
		int status;
		const char *suggestion;
		const char *verb; /* "See" where docker says that in place of "Run" */
		bool brief;       /* only the last line, without the usage */
	} usage;
};

/* version.c, generated: the release and the commit that were built. */
extern const char skep_version[], skep_commit[];

/* Values of the command's options. Asking for one that is not in its table ends the program. */
const char *option_value(const Invocation *in, const char *name); /* NULL when neither given nor with a fallback */
bool option_is_set(const Invocation *in, const char *name);       /* stood on the command line */
bool option_switch(const Invocation *in, const char *name);
int64_t option_number(const Invocation *in, const char *name); /* in the kind's unit; 0 when not given */
const StrList *option_list(const Invocation *in, const char *name);
int option_map(const Invocation *in, const char *name, StrMap *ret) MUST_USE; /* -ENOMEM; a later value of a key replaces an earlier one */
/* Values of the program's options. */
const char *global_value(const Invocation *in, const char *name);
bool global_switch(const Invocation *in, const char *name);
const StrList *global_list(const Invocation *in, const char *name);

/* command_find: by path or alias; NULL when there is none. */
const Command *command_find(const Program *p, const char *path);

/* usage_failure: a command has failed in the way of docker's create and run: the reason stands behind the program's name and the way to the
 * help below it ("docker: invalid …", "Run 'docker run --help' for more information"). Returns -errno of e, for `return usage_failure(…)`. */
int usage_failure(Invocation *in, int status, Err *e);

/* What the grammars share (options.c). */
const Option *option_find(const Option *options, Str name); /* by name alone */
const Option *option_find_letter(const Option *options, char letter);
/* option_values_new: room for the options' values, with their fallbacks in it. */
int option_values_new(const Option *options, Arena *a, OptionValue **ret, Err *e) MUST_USE;
/* option_set: takes one value as it was written. The message is the bare reason: "invalid size: 'x'". */
int option_set(const Option *o, OptionValue *v, const char *text, Arena *a, Err *e) MUST_USE;
int argument_add(Invocation *in, const char *text, Err *e) MUST_USE;
/* invocation_name: the name to show from argv[0]. */
const char *invocation_name(int argc, char **argv, const char *otherwise);

int parse_runc(Invocation *in, int argc, char **argv, bool *ret_help, Err *e) MUST_USE;
void help_runc(const Invocation *in, const Command *c, Buf *b);
int parse_docker(Invocation *in, int argc, char **argv, bool *ret_help, Err *e) MUST_USE;
void help_docker(const Invocation *in, const Command *c, Buf *b);
/* help_docker_usage: what docker prints below the reason when a command line is wrong. */
void help_docker_usage(const Invocation *in, Buf *b);
/* help_each_child: calls fn with the words that can follow group ("": the program), as completions and help show them: the last part
 * of each path, aliases too when they stand there. Hidden commands are left out. */
void help_each_child(const Program *p, const char *group, void (*fn)(Buf *b, Str word, const Command *c), Buf *b);

/* generate.c: a command of every program: "man", "bash", "zsh", "fish" on standard output. */
int generate_run(Invocation *in, Err *e);
void generate_bash(const Program *p, Buf *b);
void generate_zsh(const Program *p, Buf *b);
void generate_fish(const Program *p, Buf *b);

/* print_buf: everything at once, so that a reader never sees half a document. */
int print_buf(const Buf *b, Err *e) MUST_USE;
/* standard_streams_open: 0 to 2 are open from here on: a file of ours must never become somebody's standard error. */
int standard_streams_open(void) MUST_USE;
