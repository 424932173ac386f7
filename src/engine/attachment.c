/* attachment.c: see attachment.h. */
#include "engine/attachment.h"

#include <fcntl.h>
#include <stdio.h>

#include "sys/fd.h"
#include "sys/netlink.h"

#define ENDPOINT_DEVICE "com.docker.network.endpoint.ifname"
#define ENDPOINT_SYSCTLS "com.docker.network.endpoint.sysctls"
#define SYSCTL_DEVICE ".IFNAME."

#define PUBLISH_FILE "/etc/skep/networks.conf"

enum { FAMILIES = 2, SYSCTLS_MAX = 64, FILE_MAX = 65536, FILE_ARENA = 1 << 20 };

/* ---- find ---- */

static bool is_joined(const char *network)
{
	return !streq(network, "none") && !streq(network, "host");
}

static int name_device(Attachment *p, unsigned number, Err *e)
{
	const char *own = str_map_get(&p->request->driver_options, ENDPOINT_DEVICE),
		   *prefix = str_map_get(&p->network.options, NETWORK_PREFIX);
	int n = own ? snprintf(p->device, sizeof p->device, "%s", own)
		    : snprintf(p->device, sizeof p->device, "%s%u", prefix && *prefix ? prefix : "eth", number);
	if (n > 0 && (size_t)n < sizeof p->device && netdev_name_ok(p->device) && !strchr(p->device, '%')) return 0;
	return err_set(e, ERR_CONFIG, EINVAL,
		       "network %.128s: \"%.64s\" is no name of a device (at most 15 bytes, no '/', ':', '%%' or blanks)", p->network.name,
		       own ? own : prefix);
}

int attachment_find(const Networks *all, const EndpointRequest *q, unsigned device_number, Arena *a, Attachment *ret, Err *e)
{
	*ret = (Attachment){ .request = q };
	int r = network_find(all, q->network, a, &ret->network, e);
	if (r < 0) return r;
	if (ret->network.config_only)
		return err_set(e, ERR_CONFIG, EINVAL, "network %s: it is a configuration for others, no container can be connected to it",
			       ret->network.name);
	if (!streq(ret->network.driver, "bridge"))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "network %s: containers cannot be connected to networks of driver %s yet",
			       ret->network.name, ret->network.driver);
	if ((r = pools_parse(&ret->network.pools, a, &ret->pools, e)) < 0) return r;
	return name_device(ret, device_number, e);
}

int attachments_find(const Networks *all, const EndpointRequestList *l, Arena *a, AttachmentList *ret, Err *e)
{
	int r = 0;
	*ret = (AttachmentList){ .items = arena_array(a, l->n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "networks of a container");
	for (size_t i = 0; r >= 0 && i < l->n; i++) {
		if (!is_joined(l->items[i].network)) continue;
		r = attachment_find(all, &l->items[i], (unsigned)ret->n, a, &ret->items[ret->n], e);
		if (r >= 0) ret->n++;
	}
	return r < 0 ? r : 0;
}

/* ---- addresses ---- */

static const char *asked_for(const Attachment *p, size_t family)
{
	const EndpointAddresses *a = p->request->addresses;
	const char *text = !a ? NULL : family ? a->ip6 : a->ip;
	return text && *text ? text : NULL;
}

static int set_mac(Attachment *p, Err *e)
{
	int r = endpoint_mac(p->request, p->mac, e);
	if (r == 0) bridge_mac(&p->addresses[p->addresses[0].address.family ? 0 : 1].address, p->mac);
	return r < 0 ? r : 0;
}

int attachment_reserve(const Networks *all, const char *container, Attachment *p, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < FAMILIES; i++) {
		IpAddress want = { 0 };
		const Pool *pool = NULL;
		const char *text = asked_for(p, i);
		if (!(i ? p->network.ipv6 : p->network.ipv4)) {
			if (text)
				return err_set(e, ERR_CONFIG, EINVAL, "network %s has no IPv%d: %.64s cannot be had there", p->network.name,
					       i ? 6 : 4, text);
			continue;
		}
		if (text && (ip_parse(str_of(text), &want) < 0 || want.family != (i ? 6 : 4)))
			return err_set(e, ERR_CONFIG, EINVAL, "invalid IPv%d address: %.64s", i ? 6 : 4, text);
		r = ipam_reserve(all, &p->network, &p->pools, i ? 6 : 4, container, &want, &p->addresses[i].address, &pool, e);
		if (r < 0) break;
		p->addresses[i].length = pool->subnet.length;
		p->gateways[i] = pool_gateway(pool);
	}
	return r < 0 ? r : set_mac(p, e);
}

static const Pool *pool_of(const Attachment *p, const IpAddress *at)
{
	for (size_t i = 0; i < p->pools.n; i++)
		if (ip_prefix_contains(&p->pools.items[i].subnet, at)) return &p->pools.items[i];
	return NULL;
}

int attachment_load(const Networks *all, const char *container, Attachment *p, Err *e)
{
	IpAddress at[FAMILIES];
	int r = ipam_of(all, p->network.id, container, &at[0], &at[1], e);
	if (r < 0) return r;
	for (size_t i = 0; i < FAMILIES; i++) {
		const Pool *pool = at[i].family ? pool_of(p, &at[i]) : NULL;
		if (!pool) continue;
		p->addresses[i] = (IpPrefix){ at[i], pool->subnet.length };
		p->gateways[i] = pool_gateway(pool);
	}
	return p->addresses[0].address.family || p->addresses[1].address.family ? set_mac(p, e) : 0;
}

/* ---- the way out ---- */

static bool goes_before(const Attachment *x, const Attachment *y)
{
	if (x->request->gateway_priority != y->request->gateway_priority)
		return x->request->gateway_priority > y->request->gateway_priority;
	return strcmp(x->network.name, y->network.name) < 0;
}

void attachments_route(AttachmentList *l)
{
	for (size_t family = 0; family < FAMILIES; family++) {
		Attachment *best = NULL;
		for (size_t i = 0; i < l->n; i++) {
			Attachment *p = &l->items[i];
			p->is_default[family] = false;
			if (!p->network.internal && p->addresses[family].address.family && (!best || goes_before(p, best))) best = p;
		}
		if (best) best->is_default[family] = true;
	}
}

const Attachment *attachments_way(const AttachmentList *l, size_t family)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].is_default[family]) return &l->items[i];
	return NULL;
}

/* ---- for the kernel ---- */

static bool is_mode(const Attachment *p, size_t family, const char *mode)
{
	const char *has = str_map_get(&p->network.options, family ? NETWORK_GATEWAY_MODE6 : NETWORK_GATEWAY_MODE4);
	return has && streq(has, mode);
}

/* Does the bridge have an address there? */
static bool has_gateway(const Attachment *p, size_t family)
{
	if (!family && network_option_bool(&p->network, NETWORK_INHIBIT4, false)) return false;
	return p->gateways[family].family && !is_mode(p, family, "isolated");
}

void attachment_bridge(const Attachment *p, const char *device, Bridge *ret)
{
	*ret = (Bridge){ .device = device,
			 .network = p->network.id,
			 .mtu = (uint32_t)network_option_int(&p->network, NETWORK_MTU, 0),
			 .localnet = !p->network.internal };
	for (size_t i = 0; i < FAMILIES; i++)
		if (has_gateway(p, i)) ret->addresses[i] = (IpPrefix){ p->gateways[i], p->addresses[i].length };
	bridge_mac(&p->gateways[p->gateways[0].family ? 0 : 1], ret->mac);
}

RulesReach attachment_reach(const Attachment *p, size_t family)
{
	if (p->network.internal) return RULES_HIDDEN;
	return is_mode(p, family, "routed") ? RULES_PORTS : is_mode(p, family, "nat-unprotected") ? RULES_OPEN : RULES_HIDDEN;
}

/* The machine's own word for networks that have none: the file says "publish-policy = open", or "host". */
static bool publish_is_open(void)
{
	AUTO_ARENA a = ARENA_INIT(FILE_ARENA);
	Err ignored = ERR_INIT;
	char *text;
	size_t n;
	if (fd_read_file(AT_FDCWD, PUBLISH_FILE, FILE_MAX, &a, &text, &n, &ignored) < 0) return false;
	Str rest = { text, n }, line, key, value;
	bool open = false;
	while (str_next(&rest, '\n', &line))
		if (str_trim(line).n && *str_trim(line).p != '#' && str_cut(line, '=', &key, &value) &&
		    str_eq(str_trim(key), NETWORK_PUBLISH))
			open = str_eq(str_trim(value), "open");
	return open;
}

void attachment_rules(const Attachment *p, const char *device, RulesNetwork *ret)
{
	const bool masquerade = network_option_bool(&p->network, NETWORK_MASQUERADE, true) && !p->network.internal;
	const char *policy = str_map_get(&p->network.options, NETWORK_PUBLISH);
	*ret = (RulesNetwork){ .device = device,
			       .internal = p->network.internal,
			       .lenient = policy ? streq(policy, "open") : publish_is_open(),
			       .closed = !network_option_bool(&p->network, NETWORK_ICC, true) };
	for (size_t i = 0; i < FAMILIES; i++) {
		if (!p->addresses[i].address.family) continue;
		ret->subnets[i] = ip_prefix_mask(&p->addresses[i]);
		ret->masquerade[i] = masquerade && !is_mode(p, i, "routed");
		ret->reach[i] = attachment_reach(p, i);
	}
}

void attachment_port(const Attachment *p, int bridge, BridgePort *ret)
{
	*ret = (BridgePort){ .name = p->device,
			     .bridge = bridge,
			     .mtu = (uint32_t)network_option_int(&p->network, NETWORK_MTU, 0),
			     .hairpin = true,
			     .isolated = !network_option_bool(&p->network, NETWORK_ICC, true) };
	memcpy(ret->mac, p->mac, sizeof ret->mac);
	for (size_t i = 0; i < FAMILIES; i++) {
		ret->addresses[i] = p->addresses[i];
		if (p->is_default[i] && has_gateway(p, i)) ret->gateways[i] = p->gateways[i];
	}
}

/* "net.ipv4.conf.IFNAME.log_martians=1": parameters of the device alone. */
static int take_sysctl(const Attachment *p, Str text, Arena *a, StrMap *to, Err *e)
{
	Str key, value;
	const char *at = str_cut(text, '=', &key, &value) ? memmem(key.p, key.n, SYSCTL_DEVICE, strlen(SYSCTL_DEVICE)) : NULL;
	const bool known = str_starts(key, "net.ipv4.") || str_starts(key, "net.ipv6.") || str_starts(key, "net.mpls.");
	if (!at || !known || to->n == SYSCTLS_MAX)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "network %s: unrecognised network interface sysctl '%.*s': net.ipv4.conf.IFNAME.…=value is wanted",
			       p->network.name, (int)(text.n > 128 ? 128 : text.n), text.p);
	const char *rest = at + strlen(SYSCTL_DEVICE);
	const char *name = arena_printf(a, "%.*s/%s/%.*s", (int)(at - key.p), key.p, p->device, (int)(key.p + key.n - rest), rest);
	const char *own = arena_str(a, value);
	if (!name || !own) return err_sys(e, ENOMEM, "parameters of %s", p->device);
	for (char *c = (char *)(uintptr_t)name; *c; c++)
		if (*c == '.' && c < name + (at - key.p)) *c = '/';
	to->items[to->n++] = (StrPair){ name, own };
	return 0;
}

int attachment_sysctls(const Attachment *p, Arena *a, StrMap *ret, Err *e)
{
	const char *asked = str_map_get(&p->request->driver_options, ENDPOINT_SYSCTLS);
	Str rest = str_of(asked ? asked : ""), text;
	int r = 0;
	*ret = (StrMap){ .items = arena_array(a, SYSCTLS_MAX + 1, sizeof *ret->items) };
	const char *off = arena_printf(a, "net/ipv6/conf/%s/disable_ipv6", p->device);
	if (!ret->items || !off) return err_sys(e, ENOMEM, "parameters of %s", p->device);
	if (!p->addresses[1].address.family) ret->items[ret->n++] = (StrPair){ off, "1" };
	while (r >= 0 && asked && str_next(&rest, ',', &text))
		r = take_sysctl(p, text, a, ret, e);
	return r;
}
