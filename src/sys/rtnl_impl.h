/* rtnl_impl.h: between the files of rtnl, its tests and its fuzzer. */
#pragma once

#include "sys/netlink_message.h"
#include "sys/rtnl.h"

/* rtnl_begin: a request; kind: what the kernel may lack, NULL for what it always has. Returns what rtnl_end wants. */
size_t rtnl_begin(RtRequests *q, const char *label, const char *kind, uint16_t type, uint16_t flags, const void *fixed, size_t n);
void rtnl_end(RtRequests *q, size_t request);
/* rtnl_bad: the request, not begun yet, is wrong: fails the batch, unless it has failed already. */
void rtnl_bad(RtBatch *b, const char *label, const char *why);

/* The parsers of messages. 1: *ret was filled; 0: not of that sort, or not to be told; -errno. alias: where the link's goes, may be NULL. */
int rtnl_parse_link(const struct nlmsghdr *h, Arena *alias, RtLink *ret) MUST_USE;
int rtnl_parse_address(const struct nlmsghdr *h, RtAddress *ret) MUST_USE;
int rtnl_parse_route(const struct nlmsghdr *h, RtRoute *ret) MUST_USE;
/* rtnl_take_acks: one datagram of acknowledgements of q, sent with sequence numbers from first on. *failed: the request whose error is in e,
 * SIZE_MAX before there is one. Returns 1 when the last request has been answered, 0, or -EBADMSG. */
int rtnl_take_acks(const RtRequests *q, uint32_t first, const char *p, size_t n, size_t *failed, Err *e) MUST_USE;
