/* host_firewall.h: getting along with the rules that the host has of its own.
 *
 * netfilter asks all tables: an accept of ours overrules no drop of theirs. Where the host forwards nothing (ufw, firewalld, an iptables policy of DROP), containers would be cut off. What may pass by
 * our rules (link/rules.h) is marked with RULES_MARK, and one rule at the head of each forward chain of others accepts what has the mark. Published ports have it only where that is asked for
 * (RulesNetwork.lenient): else the host's own rules say who reaches them.
 *
 * That rule is all that is ever put into a table of others. It has a comment by which it is known, and iptables can show it (-m mark --mark …).
 */
#pragma once

#include "base/arena.h"
#include "sys/nft.h"

#define HOST_FIREWALL_COMMENT "skep: containers"

/* host_firewall_open: puts it where it is missing; 1: somewhere; 0: it was everywhere. */
int host_firewall_open(int sock, Arena *a, Err *e) MUST_USE;
/* host_firewall_is_there: does anybody else have forward rules, whatever they say? 1, 0. */
int host_firewall_is_there(int sock, Arena *a, Err *e) MUST_USE;
/* host_firewall_decides: is there a forward chain of others that drops what it does not know? Its table and chain, "ip filter FORWARD", into name. 1, 0. */
enum { HOST_FIREWALL_NAME_MAX = 256 };
int host_firewall_decides(int sock, Arena *a, char name[static HOST_FIREWALL_NAME_MAX], Err *e) MUST_USE;
