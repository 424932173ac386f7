/* main.c: skep. */
#include "cli/skep/commands.h"
#include "cli/skep/program.h"

int main(int argc, char **argv)
{
	return skep_main(&skep_program, argc, argv);
}
