/* attachment.h: a container's connection to one of its networks: the row of that, and what the container has there.
 *
 * A request (endpoint.h) says what was asked for; an attachment is found for it at a start or a connect, gets its addresses in a transaction, and says by which device the container has them.
 */
#pragma once

#include "engine/endpoint.h"
#include "link/bridge.h"
#include "link/rules.h"
#include "network/ipam.h"

typedef struct Attachment {
	const EndpointRequest *request;
	Network network;
	PoolList pools;
	IpPrefix addresses[2]; /* of IPv4 and IPv6, with the length of the subnet; family 0: none */
	IpAddress gateways[2]; /* of the network; family 0: none */
	uint8_t mac[RT_MAC_LEN];
	char device[RT_NAME_MAX]; /* in the container */
	bool is_default[2];       /* the container's default route in that family */
} Attachment;
typedef LIST_OF(Attachment) AttachmentList;

/* attachment_find: the network's row. device_number: its place among the container's devices. -ENOENT; -ENOTSUP: of a driver that containers cannot be connected to. */
int attachment_find(const Networks *all, const EndpointRequest *q, unsigned device_number, Arena *a, Attachment *ret, Err *e) MUST_USE;
/* attachments_find: all of a container; those that are none (host, none) are left out. */
int attachments_find(const Networks *all, const EndpointRequestList *l, Arena *a, AttachmentList *ret, Err *e) MUST_USE;
/* attachment_reserve: its addresses, in the caller's transaction. */
int attachment_reserve(const Networks *all, const char *container, Attachment *p, Err *e) MUST_USE;
/* attachment_load: those that the container has, where it runs. */
int attachment_load(const Networks *all, const char *container, Attachment *p, Err *e) MUST_USE;
/* attachments_route: which of them lead elsewhere: of those that do, the one with the highest priority; of several the first by the network's name. */
void attachments_route(AttachmentList *l);
/* attachments_way: the one that leads elsewhere in a family (0: IPv4, 1: IPv6); NULL: none. attachment_reach: what hosts outside reach by its own addresses. */
const Attachment *attachments_way(const AttachmentList *l, size_t family);
RulesReach attachment_reach(const Attachment *p, size_t family);

/* What link/ makes of it. */
void attachment_bridge(const Attachment *p, const char *device, Bridge *ret);
void attachment_rules(const Attachment *p, const char *device, RulesNetwork *ret);
void attachment_port(const Attachment *p, int bridge, BridgePort *ret);
/* attachment_sysctls: those of its device, and what turns IPv6 off where the network has none. */
int attachment_sysctls(const Attachment *p, Arena *a, StrMap *ret, Err *e) MUST_USE;
