/* network_admin.h: networks made, found and removed, with what belongs to it beside their rows: events, and what of them stands in the kernel. */
#pragma once

#include "engine/networking.h"

/* engine_network_create: network_create, and its event. */
int engine_network_create(Engine *g, const Network *want, Arena *a, Network *ret, Err *e) MUST_USE;
/* engine_network_find: network_find; -EINVAL for an empty name. */
int engine_network_find(Engine *g, const char *name, Arena *a, Network *ret, Err *e) MUST_USE;
/* engine_network_remove: what the kernel has of it, the row, its event. */
int engine_network_remove(Engine *g, const Network *n, Err *e) MUST_USE;
/* engine_network_prunable: may it be removed when nobody uses it: not the predefined ones, not configurations. */
bool engine_network_prunable(const Network *n);
