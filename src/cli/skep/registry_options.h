/* registry_options.h: the options of `registry serve` and its kin: skep knows them for the help, skep-serve for the work. */
#pragma once

#include "cli/command.h"

extern const Option registry_serve_options[], registry_gc_options[], registry_check_options[];
