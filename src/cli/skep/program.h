/* program.h: what skep and the programs that it hands commands to have in common: global options, and a command's whole life. */
#pragma once

#include "cli/command.h"

extern const Option skep_global_options[];

/* skep_main: one command, then the end: the exit status. The only place that logs. */
int skep_main(const Program *program, int argc, char **argv);
