/* network_rules.h: the rules of an engine's networks and published ports, as the kernel has them: added to, taken out, made again from what the database says.
 */
#pragma once

#include "engine/attachment.h"
#include "engine/publish.h"
#include "link/host_firewall.h"

/* network_rules_add: of the networks of l, and ports; the host passes on what they need. The table is made where it is not there. */
int network_rules_add(Engine *g, const AttachmentList *l, const RulesPort *ports, size_t n_ports, Arena *a, Err *e) MUST_USE;
/* network_rules_ports: what rules a container's ports need: by the attachments that are its way out. */
int network_rules_ports(const AttachmentList *l, const Publishing *ports, Arena *a, RulesPort **ret, Err *e) MUST_USE;

/* networking_firewall: does the host's own firewall decide who reaches the published ports of a container that has these (attachment.h)? The chain into name. 1, 0. */
int networking_firewall(Engine *g, const Record *c, char name[static HOST_FIREWALL_NAME_MAX], Err *e) MUST_USE;

/* networking_drop: a network's bridge and rules, once its row is gone. networking_heal: what the containers that run need, where it is missing; anew: the whole table, whose rules
 * somebody has touched. *ret_generation: of the change (nft_generation); NULL: no matter. */
int networking_drop(const Network *n, Err *e) MUST_USE;
/* networking_close: what the host passes on for others, now that somebody has changed forward rules of his own. */
int networking_close(const Engine *g, int sock, Arena *a, Err *e) MUST_USE;
int networking_heal(Engine *g, bool anew, Arena *a, uint32_t *ret_generation, Err *e) MUST_USE;
