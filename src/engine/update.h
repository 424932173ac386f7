/* update.h: other limits and another restart policy for a container that is there. */
#pragma once

#include "engine/record.h"

/* engine_update: what of change is set (0, NULL and unset stay as they were), in the record and in a running container. warnings: for the user. */
int engine_update(Engine *g, const Record *c, const HostConfig *change, Arena *a, StrList *ret_warnings, Err *e) MUST_USE;
