/* confirm.c: see confirm.h. */
#include "cli/skep/confirm.h"

#include <stdio.h>

bool confirmed(const Invocation *in, const char *warning)
{
	char answer[8] = "";
	if (option_switch(in, "force")) return true;
	printf("%s\nAre you sure you want to continue? [y/N] ", warning);
	fflush(stdout);
	return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}
