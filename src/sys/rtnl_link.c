/* rtnl_link.c: requests that make, change and delete devices; see rtnl.h. */
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include "sys/netlink.h"
#include "sys/rtnl_impl.h"

enum { VLAN_MAX = 4094 };
enum { MAKE = NLM_F_CREATE | NLM_F_EXCL };

static bool name_ok(const char *name)
{
	return name && netdev_name_ok(name) && !strchr(name, '%');
}

/* What is wrong with d; NULL: nothing. */
static const char *device_fault(const RtDevice *d, int netns)
{
	if (!name_ok(d->name)) return "not a possible name of a network device";
	if (d->alias && strlen(d->alias) > RT_ALIAS_MAX) return "the alias has more than 255 bytes";
	if (d->master < 0) return "not an index of a bridge";
	if ((d->hairpin || d->isolated) && !d->master) return "only ports of bridges are hairpin or isolated";
	if (netns >= 0 && (d->alias || d->master)) return "a device of another namespace gets neither alias nor bridge";
	return NULL;
}

static bool device_ok(RtBatch *b, const char *label, const RtDevice *d, int netns)
{
	const char *fault = device_fault(d, netns);
	if (fault) rtnl_bad(b, label, fault);
	return !fault;
}

static struct ifinfomsg device_head(const RtDevice *d)
{
	return (struct ifinfomsg){ .ifi_family = AF_UNSPEC, .ifi_flags = d->up ? IFF_UP : 0, .ifi_change = d->up ? IFF_UP : 0 };
}

static void put_device(Buf *m, const RtDevice *d, int netns)
{
	nl_put_str(m, IFLA_IFNAME, d->name);
	if (d->mac) nl_put(m, IFLA_ADDRESS, d->mac, RT_MAC_LEN);
	if (d->mtu) nl_put_u32(m, IFLA_MTU, d->mtu);
	if (d->group) nl_put_u32(m, IFLA_GROUP, d->group);
	if (d->master) nl_put_u32(m, IFLA_MASTER, (uint32_t)d->master);
	if (netns >= 0) nl_put_u32(m, IFLA_NET_NS_FD, (uint32_t)netns);
}

/* A device in the making: its kind's own attributes come between the two functions. */
typedef struct Making {
	RtRequests *q;
	size_t request, info, data;
} Making;

static Making make_begin(RtBatch *b, const char *label, const char *kind, const RtDevice *d, int netns, int parent)
{
	struct ifinfomsg head = device_head(d);
	Making m = { .q = &b->first };
	m.request = rtnl_begin(m.q, label, kind, RTM_NEWLINK, MAKE, &head, sizeof head);
	put_device(&m.q->out, d, netns);
	if (parent) nl_put_u32(&m.q->out, IFLA_LINK, (uint32_t)parent);
	m.info = nl_nest(&m.q->out, IFLA_LINKINFO);
	nl_put_str(&m.q->out, IFLA_INFO_KIND, kind);
	m.data = nl_nest(&m.q->out, IFLA_INFO_DATA);
	return m;
}

static void put_port(Buf *m, const RtDevice *d)
{
	const uint8_t one = 1;
	size_t info = nl_nest(m, IFLA_LINKINFO);
	nl_put_str(m, IFLA_INFO_SLAVE_KIND, "bridge");
	size_t data = nl_nest(m, IFLA_INFO_SLAVE_DATA);
	if (d->hairpin) nl_put(m, IFLA_BRPORT_MODE, &one, sizeof one);
	if (d->isolated) nl_put(m, IFLA_BRPORT_ISOLATED, &one, sizeof one);
	nl_nest_end(m, data);
	nl_nest_end(m, info);
}

static void make_end(RtBatch *b, const char *label, const RtDevice *d, Making m)
{
	const struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	nl_nest_end(&m.q->out, m.data);
	nl_nest_end(&m.q->out, m.info);
	rtnl_end(m.q, m.request);
	if (!d->alias && !d->hairpin && !d->isolated) return;
	size_t request = rtnl_begin(&b->after, label, NULL, RTM_NEWLINK, 0, &head, sizeof head);
	nl_put_str(&b->after.out, IFLA_IFNAME, d->name);
	if (d->alias) nl_put(&b->after.out, IFLA_IFALIAS, d->alias, strlen(d->alias));
	if (d->hairpin || d->isolated) put_port(&b->after.out, d);
	rtnl_end(&b->after, request);
}

/* ---- kinds ---- */

static void add_plain(RtBatch *b, const char *label, const char *kind, const RtDevice *d)
{
	if (device_ok(b, label, d, -1)) make_end(b, label, d, make_begin(b, label, kind, d, -1, 0));
}

void rtnl_bridge_add(RtBatch *b, const char *label, const RtDevice *d)
{
	add_plain(b, label, "bridge", d);
}

void rtnl_dummy_add(RtBatch *b, const char *label, const RtDevice *d)
{
	add_plain(b, label, "dummy", d);
}

void rtnl_veth_add(RtBatch *b, const char *label, const RtDevice *d, const RtDevice *peer, int netns)
{
	struct ifinfomsg head = device_head(peer);
	if (!device_ok(b, label, d, -1) || !device_ok(b, label, peer, netns)) return;
	if (peer->alias || peer->master || peer->up) { /* up: it would be opened before it has a peer, which is -ENOTCONN */
		rtnl_bad(b, label, "the peer gets neither alias nor bridge, and is brought up when it is there");
		return;
	}
	Making m = make_begin(b, label, "veth", d, -1, 0);
	size_t nest = nl_nest(&m.q->out, VETH_INFO_PEER);
	buf_put(&m.q->out, &head, sizeof head);
	put_device(&m.q->out, peer, netns);
	nl_nest_end(&m.q->out, nest);
	make_end(b, label, d, m);
}

static bool parent_ok(RtBatch *b, const char *label, int parent)
{
	if (parent <= 0) rtnl_bad(b, label, "not an index of a parent device");
	return parent > 0;
}

void rtnl_macvlan_add(RtBatch *b, const char *label, const RtDevice *d, int netns, int parent, RtMacvlanMode mode)
{
	if (!device_ok(b, label, d, netns) || !parent_ok(b, label, parent)) return;
	Making m = make_begin(b, label, "macvlan", d, netns, parent);
	nl_put_u32(&m.q->out, IFLA_MACVLAN_MODE, mode);
	make_end(b, label, d, m);
}

void rtnl_ipvlan_add(RtBatch *b, const char *label, const RtDevice *d, int netns, int parent, RtIpvlanMode mode, RtIpvlanFlag flag)
{
	if (!device_ok(b, label, d, netns) || !parent_ok(b, label, parent)) return;
	if (d->mac) {
		rtnl_bad(b, label, "an ipvlan has the MAC of its parent");
		return;
	}
	Making m = make_begin(b, label, "ipvlan", d, netns, parent);
	nl_put_u16(&m.q->out, IFLA_IPVLAN_MODE, (uint16_t)mode);
	nl_put_u16(&m.q->out, IFLA_IPVLAN_FLAGS, (uint16_t)flag);
	make_end(b, label, d, m);
}

void rtnl_vlan_add(RtBatch *b, const char *label, const RtDevice *d, int parent, uint16_t vlan)
{
	if (!device_ok(b, label, d, -1) || !parent_ok(b, label, parent)) return;
	if (!vlan || vlan > VLAN_MAX) {
		rtnl_bad(b, label, "VLANs are numbered from 1 to 4094");
		return;
	}
	Making m = make_begin(b, label, "vlan", d, -1, parent);
	nl_put_u16(&m.q->out, IFLA_VLAN_ID, vlan);
	make_end(b, label, d, m);
}

/* ---- changing, deleting ---- */

static const char *change_fault(int index, const RtChange *c)
{
	if (index <= 0) return "not an index of a network device";
	if (c->name && !name_ok(c->name)) return "not a possible name of a network device";
	if (c->alias && strlen(c->alias) > RT_ALIAS_MAX) return "the alias has more than 255 bytes";
	if (c->master < RT_NO_MASTER) return "not an index of a bridge";
	if (c->txqlen.v > UINT32_MAX || c->group.v > UINT32_MAX) return "a number has more than 32 bits";
	return NULL;
}

void rtnl_link_set(RtBatch *b, const char *label, int index, const RtChange *c)
{
	const struct ifinfomsg head = {
		.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = c->up == RT_UP ? IFF_UP : 0, .ifi_change = c->up ? IFF_UP : 0
	};
	const char *fault = change_fault(index, c);
	if (fault) {
		rtnl_bad(b, label, fault);
		return;
	}
	Buf *m = &b->first.out;
	size_t request = rtnl_begin(&b->first, label, NULL, RTM_NEWLINK, 0, &head, sizeof head);
	if (c->name) nl_put_str(m, IFLA_IFNAME, c->name);
	if (c->alias) nl_put(m, IFLA_IFALIAS, c->alias, strlen(c->alias));
	if (c->mac) nl_put(m, IFLA_ADDRESS, c->mac, RT_MAC_LEN);
	if (c->mtu) nl_put_u32(m, IFLA_MTU, c->mtu);
	if (c->master) nl_put_u32(m, IFLA_MASTER, c->master == RT_NO_MASTER ? 0 : (uint32_t)c->master);
	if (c->txqlen.set) nl_put_u32(m, IFLA_TXQLEN, (uint32_t)c->txqlen.v);
	if (c->group.set) nl_put_u32(m, IFLA_GROUP, (uint32_t)c->group.v);
	rtnl_end(&b->first, request);
}

void rtnl_link_delete(RtBatch *b, const char *label, int index)
{
	const struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	if (index <= 0) {
		rtnl_bad(b, label, "not an index of a network device");
		return;
	}
	rtnl_end(&b->first, rtnl_begin(&b->first, label, NULL, RTM_DELLINK, 0, &head, sizeof head));
}

void rtnl_group_delete(RtBatch *b, const char *label, uint32_t group)
{
	const struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	if (!group) { /* where every device is that nobody has put into one */
		rtnl_bad(b, label, "the devices of group 0 are not ours");
		return;
	}
	size_t request = rtnl_begin(&b->first, label, NULL, RTM_DELLINK, 0, &head, sizeof head);
	nl_put_u32(&b->first.out, IFLA_GROUP, group);
	rtnl_end(&b->first, request);
}
