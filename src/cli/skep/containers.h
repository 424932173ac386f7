/* containers.h: what the commands that work on containers share. */
#pragma once

#include "cli/skep/commands.h"
#include "engine/record.h"

/* skep_engine: the containers below --root. */
int skep_engine(const Invocation *in, Engine *ret, Err *e) MUST_USE;

/* each_container: calls fn for each argument in turn; what succeeds prints the argument, what fails its reason; the exit status is 1 then. fn may be
 * told by arg. */
typedef int EachContainerFn(Engine *g, const Record *c, void *arg, Err *e);
typedef struct EachContainer {
	EachContainerFn *fn;
	void *arg;
	const char *frame;    /* before each reason, as "frame: NAME: "; NULL: nothing */
	const char *summary;  /* after all, with the names that failed; NULL: nothing */
	bool missing_is_well; /* one that is not there is told, and is no failure (rm -f) */
} EachContainer;
int each_container(Invocation *in, const EachContainer *each, Err *e) MUST_USE;
/* tell_failure: one line of docker's form on standard error. */
void tell_failure(const Invocation *in, const Err *e);
/* check_input: a terminal in the container and our input go together only when that is a terminal, too. */
int check_input(bool input, bool tty, Err *e) MUST_USE;
/* command_text: what runs, in quotes; cut to what fits a table unless it is to be full. NULL: no memory. */
const char *command_text(const Record *c, bool full, Arena *a);
/* foreground: stays with a container that was started by engine_start with its connection; the exit status of the command. -ECANCELED "read escape
 * sequence": it was left by the detach keys. */
int foreground_run(const Invocation *in, Engine *g, const Record *c, int sock, bool input, const char *detach_keys, bool sig_proxy,
		   bool remove, Err *e) MUST_USE;
