/* rtnl_route.c: requests for addresses and routes; see rtnl.h. */
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "sys/rtnl_impl.h"

static uint8_t family_of(const IpAddress *ip)
{
	return ip->family == 6 ? AF_INET6 : AF_INET;
}

static bool ip_ok(const IpAddress *ip)
{
	return ip->family == 4 || ip->family == 6;
}

static void put_ip(Buf *b, uint16_t type, const IpAddress *ip)
{
	nl_put(b, type, ip->bytes, ip_size(ip));
}

/* ---- addresses ---- */

static const char *address_fault(const RtAddress *a)
{
	if (a->index <= 0) return "not an index of a network device";
	if (!ip_ok(&a->ip)) return "no address";
	if (a->prefix > ip_bits(&a->ip)) return "the length of the prefix is more than the address has bits";
	if (a->broadcast.family && (a->broadcast.family != 4 || a->ip.family != 4)) return "only IPv4 has broadcast addresses";
	return NULL;
}

static void put_address(RtBatch *b, const char *label, uint16_t type, uint16_t flags, const RtAddress *a)
{
	const char *fault = address_fault(a);
	if (fault) {
		rtnl_bad(b, label, fault);
		return;
	}
	bool v6 = a->ip.family == 6;
	const struct ifaddrmsg head = {
		.ifa_family = family_of(&a->ip),
		.ifa_prefixlen = a->prefix,
		.ifa_flags = v6 && !a->detect ? IFA_F_NODAD : 0,
		.ifa_scope = (uint8_t)a->scope,
		.ifa_index = (uint32_t)a->index,
	};
	size_t request = rtnl_begin(&b->first, label, NULL, type, flags, &head, sizeof head);
	put_ip(&b->first.out, IFA_LOCAL, &a->ip);
	put_ip(&b->first.out, IFA_ADDRESS, &a->ip);
	if (a->broadcast.family) put_ip(&b->first.out, IFA_BROADCAST, &a->broadcast);
	rtnl_end(&b->first, request);
}

void rtnl_address_add(RtBatch *b, const char *label, const RtAddress *a)
{
	put_address(b, label, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, a);
}

void rtnl_address_delete(RtBatch *b, const char *label, const RtAddress *a)
{
	put_address(b, label, RTM_DELADDR, 0, a);
}

/* ---- routes ---- */

static const char *route_fault(const RtRoute *r)
{
	bool leads = !r->type || r->type == RT_UNICAST;
	if (!ip_ok(&r->to)) return "no destination";
	if (r->prefix > ip_bits(&r->to)) return "the length of the prefix is more than the destination has bits";
	if (r->via.family && r->via.family != r->to.family) return "the gateway and the destination are not of one family";
	if (r->source.family && r->source.family != r->to.family) return "the source and the destination are not of one family";
	if (r->index < 0) return "not an index of a network device";
	if (leads && !r->via.family && !r->index) return "a route needs a gateway or a device";
	if (!leads && r->via.family) return "a route that leads nowhere has no gateway";
	return NULL;
}

/* Link scope is for routes of IPv4 without a gateway; when deleting, any will do. */
static uint8_t scope_of(const RtRoute *r, uint16_t type)
{
	if (type == RTM_DELROUTE) return RT_SCOPE_NOWHERE;
	bool link = r->to.family == 4 && !r->via.family && (!r->type || r->type == RT_UNICAST);
	return link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

static void put_metrics(Buf *m, uint32_t mtu)
{
	size_t nest = nl_nest(m, RTA_METRICS);
	nl_put_u32(m, RTAX_MTU, mtu);
	nl_nest_end(m, nest);
}

static void put_route(RtBatch *b, const char *label, uint16_t type, uint16_t flags, const RtRoute *r)
{
	const char *fault = route_fault(r);
	if (fault && (type == RTM_NEWROUTE || !ip_ok(&r->to))) {
		rtnl_bad(b, label, fault);
		return;
	}
	uint32_t table = r->table ? r->table : RT_TABLE_MAIN;
	const struct rtmsg head = {
		.rtm_family = family_of(&r->to),
		.rtm_dst_len = r->prefix,
		.rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
		.rtm_protocol = type == RTM_DELROUTE ? RTPROT_UNSPEC : RTPROT_STATIC,
		.rtm_scope = scope_of(r, type),
		.rtm_type = (uint8_t)(r->type                ? r->type
				      : type == RTM_DELROUTE ? RTN_UNSPEC
							     : RTN_UNICAST),
		.rtm_flags = r->onlink && type == RTM_NEWROUTE ? RTNH_F_ONLINK : 0,
	};
	Buf *m = &b->first.out;
	size_t request = rtnl_begin(&b->first, label, NULL, type, flags, &head, sizeof head);
	if (r->prefix) put_ip(m, RTA_DST, &r->to);
	if (r->via.family) put_ip(m, RTA_GATEWAY, &r->via);
	if (r->source.family) put_ip(m, RTA_PREFSRC, &r->source);
	if (r->index) nl_put_u32(m, RTA_OIF, (uint32_t)r->index);
	if (r->metric) nl_put_u32(m, RTA_PRIORITY, r->metric);
	if (table >= 256) nl_put_u32(m, RTA_TABLE, table);
	if (r->mtu && type == RTM_NEWROUTE) put_metrics(m, r->mtu);
	rtnl_end(&b->first, request);
}

void rtnl_route_add(RtBatch *b, const char *label, const RtRoute *r)
{
	put_route(b, label, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, r);
}

void rtnl_route_delete(RtBatch *b, const char *label, const RtRoute *r)
{
	put_route(b, label, RTM_DELROUTE, 0, r);
}
