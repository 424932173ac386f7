/* commands.h: the commands of skep-serve, each in the file of its noun. They return the exit status, or -errno with e set. */
#pragma once

#include "cli/command.h"

int registry_serve_run(Invocation *in, Err *e);
int registry_gc_run(Invocation *in, Err *e);
int registry_check_run(Invocation *in, Err *e);
