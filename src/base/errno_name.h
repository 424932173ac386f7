/* errno_name.h: "ENOSYS" and its kin, in all spellings that Linux has. */
#pragma once

#include "base/defs.h"

/* errno_by_name: its number; 0 when there is none of that name. */
int errno_by_name(const char *name);
