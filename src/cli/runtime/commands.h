/* commands.h: the commands of skep-runtime. Names, forms, exit codes and texts are runc's where its callers match them. */
#pragma once

#include "cli/command.h"
#include "runtime/container.h"

/* Command.flags: the command needs the protected copy of the program, and blocked signals when it stays. */
enum { ENTERS_CONTAINER = 1 };

extern const Program runtime_program;

static inline Runtime *runtime_of(const Invocation *in)
{
	return in->app;
}

/* container_init_main: the whole program, when it is started by this name: the init of a container (--init). */
#define CONTAINER_INIT_NAME "docker-init"
int container_init_main(int argc, char **argv);

/* preserved_fds: the value of --preserve-fds, 0 when not given. */
int preserved_fds(const Invocation *in, unsigned *ret, Err *e) MUST_USE;

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
int monitor_command_run(Invocation *in, Err *e);
