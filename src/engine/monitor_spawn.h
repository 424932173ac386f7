/* monitor_spawn.h: a monitor is executed. */
#pragma once

#include "base/err.h"

/* monitor_spawn: a monitor that waits for its container (monitor/begin.h). Returns our end of its socket; closed without a word, it is gone. */
int monitor_spawn(Err *e) MUST_USE;
