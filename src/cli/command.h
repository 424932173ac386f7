/* command.h: the commands of skep-runtime as one table, and what is derived from it: the parser, --help, the manual page and
 * the shells' completion.
 *
 * Spelling, as runc's callers use it: --name VALUE, --name=VALUE, -name VALUE, -n VALUE; a switch also --name=false. Options and
 * arguments may be mixed, unless the command hands its arguments on (exec, ps): then the options end at the first argument.
 */
#pragma once

#include "runtime/container.h"

typedef enum { OPTION_SWITCH, OPTION_VALUE, OPTION_LIST } OptionKind;

typedef struct Option {
	const char *name; /* without dashes */
	char letter;      /* 0: none */
	OptionKind kind;
	const char *value; /* what the value is, for help: "PATH" */
	const char *help;
	bool hidden;
} Option;

enum { COMMAND_OPTIONS_MAX = 24 };

typedef struct Invocation Invocation;

typedef struct Command {
	const char *name;
	const char *arguments; /* for help: "<container-id> [signal]" */
	const char *summary;
	const char *details;    /* for help and the manual; may be NULL */
	int min_args, max_args; /* max_args -1: any number */
	bool passes_arguments;
	bool enters_container; /* needs the protected copy of the program, and blocked signals when it stays */
	bool hidden;
	Option options[COMMAND_OPTIONS_MAX];
	int (*run)(Invocation *in, Err *e);
} Command;

/* Invocation: one parsed command line. */
struct Invocation {
	const char *program; /* base name of argv[0] */
	const Command *command;
	const char *values[COMMAND_OPTIONS_MAX]; /* of the command's options; "true" for a switch */
	StrList lists[COMMAND_OPTIONS_MAX];
	const char *global_values[COMMAND_OPTIONS_MAX];
	StrList global_lists[COMMAND_OPTIONS_MAX];
	StrList args;
	Arena *arena;
	Runtime runtime;
	Log log;
};

/* version.c, generated: the release and the commit that were built. */
extern const char skep_version[], skep_commit[];

extern const Command command_table[];
extern const size_t command_count;
extern const Option global_options[];

const Command *command_find(const char *name);

/* command_parse: global options, the command, its options and arguments. -EINVAL with the reason. A request for help leaves
 * in->command and sets *ret_help; no command at all too. */
int command_parse(Invocation *in, int argc, char **argv, bool *ret_help, Err *e) MUST_USE;

/* Values of the command's own options; NULL or false when not given. */
const char *option_value(const Invocation *in, const char *name);
bool option_switch(const Invocation *in, const char *name);
const StrList *option_list(const Invocation *in, const char *name);
const char *global_value(const Invocation *in, const char *name);
/* option_number: 0 when not given. */
int option_number(const Invocation *in, const char *name, unsigned *ret, Err *e) MUST_USE;

/* help.c */
void help_program(const char *program);
void help_command(const char *program, const Command *c);
/* generate.c: "man", "bash", "zsh", "fish" on standard output. */
int generate_run(Invocation *in, Err *e);

/* The commands, each in the file of its noun. All return the exit status, or -errno with e set. */
int create_run(Invocation *in, Err *e);
int run_run(Invocation *in, Err *e);
int start_run(Invocation *in, Err *e);
int exec_run(Invocation *in, Err *e);
int state_run(Invocation *in, Err *e);
int list_run(Invocation *in, Err *e);
int ps_run(Invocation *in, Err *e);
int kill_run(Invocation *in, Err *e);
int delete_run(Invocation *in, Err *e);
int pause_run(Invocation *in, Err *e);
int resume_run(Invocation *in, Err *e);
int update_run(Invocation *in, Err *e);
int events_run(Invocation *in, Err *e);
int spec_run(Invocation *in, Err *e);
int features_run(Invocation *in, Err *e);

/* Output: everything at once, so that a reader never sees half a document. */
int print_buf(const Buf *b, Err *e);
