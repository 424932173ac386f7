/* sandbox.h: what the worker gives up before it reads the first byte of anybody else's. */
#pragma once

#include "base/err.h"

/* sandbox_enter: no privileges (root becomes nobody), no files but the system's for names and certificates, few system calls; offline: no
 * network either. Descriptors that are open, or passed later, keep working. One thread only. */
int sandbox_enter(bool offline, Err *e) MUST_USE;
