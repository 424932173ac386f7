/* config_check.h: whether a container can be what it was asked to be: what create refuses, and warns of.
 *
 * Called before the image's part is merged (config.h): what is refused is what the user said. What this machine cannot limit is taken out of the
 * host configuration, with a warning for each, and what is left open there gets docker's defaults, so that `inspect` shows what holds.
 */
#pragma once

#include "engine/config.h"
#include "engine/machine.h"

/* Of each: *ret_warnings lies in the arena. -EINVAL with docker's words. */
int config_check(ContainerConfig *c, HostConfig *h, Machine *m, Arena *a, StrList *ret_warnings, Err *e) MUST_USE;
/* config_check_update: the limits alone, as `update` gives them: 0 is "as it was". */
int config_check_update(HostConfig *h, Machine *m, Arena *a, StrList *ret_warnings, Err *e) MUST_USE;
