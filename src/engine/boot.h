/* boot.h: after a boot: which containers are to run again, and what is left of those of the boot before. */
#pragma once

#include "engine/record.h"

/* engine_should_boot: by its policy and by how it ended: 1, 0. */
bool engine_should_boot(const Record *c, const RunState *before);
/* engine_sweep: removes directories of containers that have no row: of a create or a removal that was killed. */
int engine_sweep(Engine *g, Arena *a, Err *e) MUST_USE;
