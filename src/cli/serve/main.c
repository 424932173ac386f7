/* main.c: skep-serve: the servers. skep executes it with the user's command line, which it has parsed: help and wrong options are skep's matter. */
#include "cli/serve/commands.h"
#include "cli/skep/program.h"
#include "cli/skep/registry_options.h"

static const Command command_table[] = {
	{ .name = "registry" },
	{ .name = "registry serve", .options = registry_serve_options, .run = registry_serve_run },
	{ .name = "registry gc", .options = registry_gc_options, .run = registry_gc_run },
	{ .name = "registry check", .options = registry_check_options, .run = registry_check_run },
};

static const Program serve_program = {
	.name = "skep",
	.summary = "Serve",
	.options = skep_global_options,
	.commands = command_table,
	.n_commands = ARRAY_LEN(command_table),
	.parse = parse_docker,
	.help = help_docker,
};

int main(int argc, char **argv)
{
	return skep_main(&serve_program, argc, argv);
}
