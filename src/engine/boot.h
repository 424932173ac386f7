/* boot.h: after a boot: which containers are to run again, and what is left of those of the boot before. */
#pragma once

#include "engine/record.h"

/* engine_should_boot: by its policy and by how it ended: 1, 0. */
bool engine_should_boot(const Record *c, const RunState *before);
/* engine_sweep: removes what has no row: directories of containers, of a create or a removal that was killed; runs whose monitor was killed after its
 * container had been removed. */
int engine_sweep(Engine *g, Err *e) MUST_USE;
