/* confirm.h: asking before something is removed for good. */
#pragma once

#include "cli/skep/commands.h"

/* confirmed: with --force, or when the user says yes. */
bool confirmed(const Invocation *in, const char *warning);
