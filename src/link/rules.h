/* rules.h: the rules of our networks: one table, inet skep, in the network namespace of the socket.
 *
 * Invariants
 *  - A packet costs the same however many networks, containers and ports there are: only sets and maps grow, never the rules.
 *  - Everything is in our own table: others' are never changed, and an accept of ours overrules no drop of theirs.
 *  - The functions that fill a batch take effect with its commit, all or nothing. What is added may be there already; what is removed must be there.
 *
 * What passes (docs/networks.md, "Rules")
 *  - within a network: unless its icc is off; between networks: nothing but published ports; from a network to elsewhere: unless it is internal;
 *  - to a network from elsewhere: answers and published ports; where it is open, everything.
 */
#pragma once

#include "base/ip.h"
#include "sys/nft.h"

#define RULES_TABLE "skep"
#define RULES_MARK 0x20000000U /* what others' forward chains are to let through (host_firewall.h) */

/* What hosts outside reach of a subnet by its own addresses. */
typedef enum {
	RULES_HIDDEN, /* nothing */
	RULES_PORTS,  /* published ports: rules_ports with their own number (docker's gateway mode "routed") */
	RULES_OPEN,   /* everything ("nat-unprotected") */
} RulesReach;

typedef struct RulesNetwork {
	const char *device;  /* of the bridge */
	IpPrefix subnets[2]; /* family 0: none */
	bool masquerade[2];  /* what leaves a subnet gets the address of the way it leaves by */
	RulesReach reach[2];
	bool internal; /* nothing leaves, nothing enters */
	bool lenient;  /* published ports have the mark, too */
	bool closed;   /* its containers do not reach one another (icc=false) */
} RulesNetwork;

typedef struct RulesPort {
	bool direct;    /* not led there from the host's address: `to` itself is reached (RULES_PORTS); host and host_port do not matter */
	IpAddress host; /* 0.0.0.0, ::: every address of the host in that family */
	IpAddress to;
	uint16_t host_port, port;
	uint8_t protocol; /* IPPROTO_TCP, _UDP, _SCTP */
} RulesPort;

/* rules_make: the table, its sets and its rules, in place of those that were there: 60 messages. */
void rules_make(NftBatch *b);
void rules_network(NftBatch *b, NftVerb verb, const RulesNetwork *n);
/* rules_close: the host passes on packets of a family (4, 6) for containers' sake alone: of others it forwards only what it did not begin. */
void rules_close(NftBatch *b, NftVerb verb, int family);
/* rules_ports: of one container. */
void rules_ports(NftBatch *b, NftVerb verb, const RulesPort *ports, size_t n);
/* rules_forget: takes one port away; rules_forget_network: what a network has. Each by itself: what is not there (somebody has flushed the rules) is no error, and neither is
 * anything else: who comes next makes them anew. */
void rules_forget(int sock, const RulesPort *p);
void rules_forget_network(int sock, const RulesNetwork *n);
/* rules_stand: 1: the table is there as rules_make left it, as far as its comment tells (that of another version of this program has another); 0. */
int rules_stand(int sock, Arena *a, Err *e) MUST_USE;
