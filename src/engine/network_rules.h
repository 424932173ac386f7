/* network_rules.h: the rules of an engine's networks and published ports, as the kernel has them: added to, taken out, made again from what the database says.
 */
#pragma once

#include "engine/attachment.h"
#include "engine/publish.h"

/* network_rules_add: of the networks of l, and ports. The table is made where it is not there. */
int network_rules_add(const AttachmentList *l, const RulesPort *ports, size_t n_ports, Arena *a, Err *e) MUST_USE;
/* network_rules_ports: what rules a container's ports need: by the attachments that are its way out. */
int network_rules_ports(const AttachmentList *l, const Publishing *ports, Arena *a, RulesPort **ret, Err *e) MUST_USE;

/* networking_drop: a network's bridge and rules, once its row is gone. networking_heal: the whole table anew, for the containers that run. */
int networking_drop(Engine *g, const Network *n, Err *e) MUST_USE;
int networking_heal(Engine *g, Arena *a, Err *e) MUST_USE;
