/* bridge.c: see bridge.h. */
#include "link/bridge.h"

#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "sys/fd.h"
#include "sys/sysctl.h"

enum { ALIAS_ROOM = 128, LABEL_ROOM = 64, NAME_TRIES = 16, LINK_LOCAL_LENGTH = 64, ARENA_MAX = 1 << 20 };

static void alias_of(const char *network, char text[static ALIAS_ROOM])
{
	snprintf(text, ALIAS_ROOM, "skep network %.64s", network);
}

static RtAddress rt_address(int index, const IpPrefix *p)
{
	RtAddress a = { .index = index, .ip = p->address, .prefix = p->length };
	if (p->address.family == 4 && p->length < 31) a.broadcast = ip_prefix_last(p);
	return a;
}

/* ---- the bridge ---- */

/* 1 and its index: this network's; 0: there is none; -EEXIST: another's. */
static int find(int sock, const char *device, const char *network, int *ret, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	char alias[ALIAS_ROOM];
	RtLink l;
	int index = rtnl_index(sock, device);
	if (index == -ENODEV) return 0;
	if (index < 0) return err_sys(e, -index, "look for device %s", device);
	int r = rtnl_link(sock, index, &a, &l, e);
	if (r == -ENODEV) return 0;
	if (r < 0) return r;
	alias_of(network, alias);
	if (!streq(l.kind, "bridge") || !l.alias || !streq(l.alias, alias))
		return err_set(
			e, ERR_EXISTS, EEXIST,
			"bridge %s: a device of that name is there that is not this network's: remove it (ip link delete %s), or make the "
			"network with another name for its bridge (--opt com.docker.network.bridge.name=…)",
			device, device);
	*ret = index;
	return 1;
}

static int set_parameters(const Bridge *b, Err *e)
{
	char key[LABEL_ROOM];
	int r = 0;
	if (!b->localnet) return 0;
	AUTO_FD int proc = sysctl_open_proc(e);
	if (proc < 0) return proc;
	snprintf(key, sizeof key, "net/ipv4/conf/%s/route_localnet", b->device);
	if ((r = sysctl_write(proc, key, "1", e)) < 0) return err_wrap(e, "bridge %s", b->device);
	return 0;
}

/* Its addresses come last: who finds a bridge that has them all finds it whole. The kernel asks for neighbours by a link-local address: its own is looked at
 * for duplicates first, and for one or two seconds nothing would reach a container by IPv6. So there is one that is not, docker's. */
static int give_addresses(int sock, const Bridge *b, int index, Err *e)
{
	AUTO_RT_BATCH batch = RT_BATCH_INIT;
	char label[LABEL_ROOM];
	const RtAddress link_local = {
		.index = index, .ip = { 6, { 0xfe, 0x80, [15] = 1 } }, .prefix = LINK_LOCAL_LENGTH, .scope = RT_LINK
	};
	snprintf(label, sizeof label, "address of bridge %s", b->device);
	for (size_t i = 0; i < ARRAY_LEN(b->addresses); i++) {
		RtAddress at = rt_address(index, &b->addresses[i]);
		if (at.ip.family == 6) rtnl_address_add(&batch, label, &link_local);
		if (at.ip.family) rtnl_address_add(&batch, label, &at);
	}
	int r = rtnl_send(sock, &batch, e);
	return r == -EEXIST ? 0 : r;
}

/* 1: made; 0: somebody else made it at the same moment. */
static int add_bridge(int sock, const Bridge *b, Err *e)
{
	static const uint8_t none[RT_MAC_LEN];
	AUTO_RT_BATCH batch = RT_BATCH_INIT;
	char alias[ALIAS_ROOM], label[LABEL_ROOM];
	Err why = ERR_INIT;
	alias_of(b->network, alias);
	snprintf(label, sizeof label, "bridge %s", b->device);
	const uint8_t *mac = memcmp(b->mac, none, sizeof none) ? b->mac : NULL;
	rtnl_bridge_add(&batch, label, &(RtDevice){ .name = b->device, .alias = alias, .mac = mac, .mtu = b->mtu, .up = true });
	int r = rtnl_send(sock, &batch, &why);
	if (r < 0 && r != -EEXIST) *e = why;
	return r == -EEXIST ? 0 : r < 0 ? r : 1;
}

int bridge_make(int sock, const Bridge *b, int *ret, Err *e)
{
	int r = find(sock, b->device, b->network, ret, e);
	if (r < 0) return r;
	if (r == 0) {
		if ((r = add_bridge(sock, b, e)) < 0) return r;
		if ((r = find(sock, b->device, b->network, ret, e)) <= 0)
			return r < 0 ? r : err_set(e, ERR_STATE, ENODEV, "bridge %s was removed meanwhile", b->device);
	}
	/* also of one that was there: who made it may have been killed before this */
	if ((r = set_parameters(b, e)) < 0) return r;
	return give_addresses(sock, b, *ret, e);
}

int bridge_remove(int sock, const char *device, const char *network, Err *e)
{
	AUTO_RT_BATCH batch = RT_BATCH_INIT;
	char label[LABEL_ROOM];
	int index, r = find(sock, device, network, &index, e);
	if (r <= 0) return r;
	snprintf(label, sizeof label, "bridge %s", device);
	rtnl_link_delete(&batch, label, index);
	r = rtnl_send(sock, &batch, e);
	return r == -ENODEV ? 0 : r;
}

/* ---- a container's connection ---- */

static int make_pair(int sock, int netns, const BridgePort *p, int *ret_index, Err *e)
{
	char name[RT_NAME_MAX], label[LABEL_ROOM];
	uint32_t random;
	int r = -EEXIST;
	for (int i = 0; i < NAME_TRIES && r == -EEXIST; i++) {
		AUTO_RT_BATCH batch = RT_BATCH_INIT;
		if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) return err_sys(e, errno, "name a device");
		snprintf(name, sizeof name, "veth%07x", random & 0xfffffff);
		snprintf(label, sizeof label, "devices %s and %s", name, p->name);
		const RtDevice host = { .name = name,
					.master = p->bridge,
					.mtu = p->mtu,
					.hairpin = p->hairpin,
					.isolated = p->isolated,
					.up = true },
			       own = { .name = p->name, .mac = p->mac, .mtu = p->mtu };
		*e = (Err)ERR_INIT;
		rtnl_veth_add(&batch, label, &host, &own, netns);
		r = rtnl_send(sock, &batch, e);
	}
	if (r < 0) return r;
	*ret_index = rtnl_index(sock, name);
	return *ret_index < 0 ? err_sys(e, -*ret_index, "find device %s", name) : 0;
}

static void add_routes(RtBatch *batch, const char *label, int index, const BridgePort *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->gateways); i++) {
		const IpAddress *gateway = &p->gateways[i];
		if (!gateway->family) continue;
		RtRoute r = { .to = { .family = gateway->family }, .via = *gateway, .index = index };
		rtnl_route_add(batch, label, &r);
	}
}

static int configure(int netns, const BridgePort *p, Err *e)
{
	AUTO_RT_BATCH batch = RT_BATCH_INIT;
	AUTO_FD int inside = -1;
	char label[LABEL_ROOM];
	int r = rtnl_open_in(netns, &inside, e);
	if (r < 0) return r;
	int index = rtnl_index(inside, p->name);
	if (index < 0) return err_sys(e, -index, "find device %s of the container", p->name);
	snprintf(label, sizeof label, "address of %s", p->name);
	for (size_t i = 0; i < ARRAY_LEN(p->addresses); i++) {
		RtAddress at = rt_address(index, &p->addresses[i]);
		if (p->addresses[i].address.family) rtnl_address_add(&batch, label, &at);
	}
	rtnl_link_set(&batch, p->name, index, &(RtChange){ .up = RT_UP });
	add_routes(&batch, "default route", index, p);
	return rtnl_send(inside, &batch, e);
}

int bridge_connect(int sock, int netns, const BridgePort *p, int *ret_index, Err *e)
{
	int r = make_pair(sock, netns, p, ret_index, e);
	return r < 0 ? r : configure(netns, p, e);
}

void bridge_leave(int sock, int index)
{
	AUTO_RT_BATCH batch = RT_BATCH_INIT;
	Err ignored = ERR_INIT;
	rtnl_link_set(&batch, "device of a container", index, &(RtChange){ .master = RT_NO_MASTER });
	(void)!rtnl_send(sock, &batch, &ignored);
}

void bridge_mac(const IpAddress *a, uint8_t mac[static RT_MAC_LEN])
{
	mac[0] = 0x02;
	mac[1] = 0x42;
	memcpy(mac + 2, a->bytes + ip_size(a) - 4, 4);
}
