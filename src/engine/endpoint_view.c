/* endpoint_view.c: see endpoint_view.h. */
#include "engine/endpoint_view.h"

#include <stdlib.h>

#include "engine/networking.h"
#include "engine/publish.h"

/* ---- what there is ---- */

static int by_name(const void *x, const void *y)
{
	return strcmp(((const EndpointView *)x)->at.network.name, ((const EndpointView *)y)->at.network.name);
}

static int view_one(const Networks *all, const Record *c, const EndpointRequest *q, unsigned number, bool running, Arena *a,
		    EndpointView *ret, Err *e)
{
	Err gone = ERR_INIT;
	*ret = (EndpointView){ .at = { .request = q, .network = { .name = q->network } } };
	if (streq(q->network, "none") || streq(q->network, "host")) {
		int r = network_find(all, q->network, a, &ret->at.network, e);
		ret->known = r >= 0 && running;
		return r;
	}
	int r = attachment_find(all, q, number, a, &ret->at, &gone);
	if (r < 0) {
		ret->at = (Attachment){ .request = q, .network = { .name = q->network } };
		if (r == -ENOENT || r == -ENOTSUP || r == -EINVAL) return 0;
		*e = gone;
		return r;
	}
	ret->known = true;
	return running ? attachment_load(all, c->id, &ret->at, e) : 0;
}

int networking_view(Engine *g, const Record *c, bool running, Arena *a, EndpointViewList *ret, Err *e)
{
	const Networks all = networking_networks(g);
	int r = 0;
	*ret = (EndpointViewList){ .items = arena_array(a, c->networks.n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "networks of a container");
	for (size_t i = 0; r >= 0 && i < c->networks.n; i++)
		r = view_one(&all, c, &c->networks.items[i], (unsigned)i, running, a, &ret->items[ret->n++], e);
	if (ret->n) qsort(ret->items, ret->n, sizeof *ret->items, by_name);
	return r < 0 ? r : 0;
}

static int add_name(StrList *l, const char *name, Arena *a)
{
	for (size_t i = 0; name && i < l->n; i++)
		if (streq(l->items[i], name)) return 0;
	return name && *name ? str_list_add(l, name, a) : 0;
}

int dns_names(const Record *c, const EndpointRequest *q, Arena *a, StrList *ret)
{
	const char *id = arena_printf(a, "%.12s", c->id);
	*ret = (StrList){ 0 };
	int r = id ? add_name(ret, c->name, a) : -ENOMEM;
	for (size_t i = 0; r >= 0 && i < q->aliases.n; i++)
		r = add_name(ret, q->aliases.items[i], a);
	if (r >= 0) r = add_name(ret, id, a);
	return r < 0 ? r : add_name(ret, c->config.hostname, a);
}

/* ---- the document ---- */

static void put_null(JsonWriter *w, const char *key)
{
	json_key(w, key);
	json_null(w);
}

static void put_strings(JsonWriter *w, const char *key, const StrList *l)
{
	json_key(w, key);
	if (!l->n) {
		json_null(w);
		return;
	}
	json_begin_array(w);
	for (size_t i = 0; i < l->n; i++)
		json_string(w, l->items[i]);
	json_end_array(w);
}

static void put_mac(JsonWriter *w, const Attachment *p)
{
	char text[18] = "";
	if (p->addresses[0].address.family || p->addresses[1].address.family)
		snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", p->mac[0], p->mac[1], p->mac[2], p->mac[3], p->mac[4],
			 p->mac[5]);
	json_put_string(w, "MacAddress", text);
}

static const char *text_of(const IpAddress *at, char text[static IP_TEXT_MAX])
{
	text[0] = 0;
	return at->family ? ip_format(at, text) : text;
}

static void put_address(JsonWriter *w, const Attachment *p, size_t family, const char *address, const char *length, const char *gateway)
{
	char text[IP_TEXT_MAX];
	if (gateway && !family) json_put_string(w, gateway, text_of(&p->gateways[family], text));
	json_put_string(w, address, text_of(&p->addresses[family].address, text));
	json_put_int(w, length, p->addresses[family].address.family ? p->addresses[family].length : 0);
}

static const char *endpoint_id(const Record *c, const Attachment *p, char id[static NETWORK_ID_LENGTH + 1])
{
	id[0] = 0;
	return p->addresses[0].address.family || p->addresses[1].address.family ? network_endpoint_id(&p->network, c->id, id) : id;
}

static int put_endpoint(JsonWriter *w, const Record *c, const EndpointView *v, Arena *a)
{
	const EndpointRequest *q = v->at.request;
	char id[NETWORK_ID_LENGTH + 1], text[IP_TEXT_MAX];
	StrList names = { 0 };
	if (!network_is_predefined(v->at.network.name) && dns_names(c, q, a, &names) < 0) return -ENOMEM;
	json_key(w, v->at.network.name);
	json_begin_object(w);
	json_key(w, "IPAMConfig");
	if (q->addresses)
		bind_encode(&endpoint_addresses_table, q->addresses, w);
	else
		json_null(w);
	put_strings(w, "Links", &q->links);
	put_strings(w, "Aliases", &q->aliases);
	put_mac(w, &v->at);
	json_key(w, "DriverOpts");
	if (q->driver_options.n) {
		json_begin_object(w);
		for (size_t i = 0; i < q->driver_options.n; i++)
			json_put_string(w, q->driver_options.items[i].key, q->driver_options.items[i].value);
		json_end_object(w);
	} else {
		json_null(w);
	}
	json_put_int(w, "GwPriority", q->gateway_priority);
	json_put_string(w, "NetworkID", v->known && v->at.network.id ? v->at.network.id : "");
	json_put_string(w, "EndpointID", endpoint_id(c, &v->at, id));
	put_address(w, &v->at, 0, "IPAddress", "IPPrefixLen", "Gateway");
	json_put_string(w, "IPv6Gateway", text_of(&v->at.gateways[1], text));
	put_address(w, &v->at, 1, "GlobalIPv6Address", "GlobalIPv6PrefixLen", NULL);
	put_strings(w, "DNSNames", &names);
	json_end_object(w);
	return 0;
}

/* Of the default bridge: documents have it beside the networks as well. */
static void put_default(JsonWriter *w, const Record *c, const EndpointViewList *l)
{
	static const EndpointView none;
	const EndpointView *v = &none;
	char id[NETWORK_ID_LENGTH + 1], text[IP_TEXT_MAX];
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i].at.network.name, "bridge")) v = &l->items[i];
	json_put_string(w, "EndpointID", endpoint_id(c, &v->at, id));
	json_put_string(w, "Gateway", text_of(&v->at.gateways[0], text));
	put_address(w, &v->at, 1, "GlobalIPv6Address", "GlobalIPv6PrefixLen", NULL);
	put_address(w, &v->at, 0, "IPAddress", "IPPrefixLen", NULL);
	json_put_string(w, "IPv6Gateway", text_of(&v->at.gateways[1], text));
	put_mac(w, &v->at);
}

static int text_order(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void put_bindings(JsonWriter *w, const char *key, const OwnedPortList *ports)
{
	bool any = false;
	char name[16], text[IP_TEXT_MAX], number[8];
	for (size_t i = 0; i < ports->n; i++) {
		const PublishedPort *p = &ports->items[i].port;
		snprintf(name, sizeof name, "%u/%s", p->port, port_protocol(p->protocol));
		if (!streq(name, key)) continue;
		if (!any) json_begin_array(w);
		any = true;
		snprintf(number, sizeof number, "%u", p->host_port);
		json_begin_object(w);
		json_put_string(w, "HostIp", ip_format(&p->host, text));
		json_put_string(w, "HostPort", number);
		json_end_object(w);
	}
	if (any)
		json_end_array(w);
	else
		json_null(w);
}

/* Those that are exposed, and those that are published. */
static int put_ports(JsonWriter *w, const Record *c, const OwnedPortList *ports, Arena *a)
{
	StrList keys = { 0 };
	int r = 0;
	for (size_t i = 0; r >= 0 && i < c->config.exposed_ports.n; i++)
		r = str_list_add(&keys, c->config.exposed_ports.items[i], a);
	for (size_t i = 0; r >= 0 && i < ports->n; i++) {
		const char *key = arena_printf(a, "%u/%s", ports->items[i].port.port, port_protocol(ports->items[i].port.protocol));
		r = key ? str_list_add(&keys, key, a) : -ENOMEM;
	}
	if (r < 0) return r;
	if (keys.n) qsort(keys.items, keys.n, sizeof *keys.items, text_order);
	json_key(w, "Ports");
	json_begin_object(w);
	for (size_t i = 0; i < keys.n; i++) {
		if (i && streq(keys.items[i], keys.items[i - 1])) continue;
		json_key(w, keys.items[i]);
		put_bindings(w, keys.items[i], ports);
	}
	json_end_object(w);
	return 0;
}

int network_settings_json(Engine *g, const Record *c, int64_t pid, Arena *a, JsonWriter *w, Err *e)
{
	const Networks all = networking_networks(g);
	const bool own = networking_is_own(c->host.network_mode);
	OwnedPortList ports = { 0 };
	EndpointViewList l;
	char key[32] = "";
	int r = networking_view(g, c, pid > 0, a, &l, e);
	if (r >= 0 && pid > 0 && own) r = ports_of(&all, c->id, a, &ports, e);
	if (r < 0) return r;
	if (pid > 0) snprintf(key, sizeof key, "/proc/%lld/ns/net", (long long)pid);
	json_key(w, "NetworkSettings");
	json_begin_object(w);
	json_put_string(w, "Bridge", "");
	json_put_string(w, "SandboxID", pid > 0 ? c->id : "");
	json_put_string(w, "SandboxKey", key);
	if (pid > 0 && own) {
		r = put_ports(w, c, &ports, a);
	} else {
		json_key(w, "Ports");
		json_begin_object(w);
		json_end_object(w);
	}
	json_put_bool(w, "HairpinMode", false);
	json_put_string(w, "LinkLocalIPv6Address", "");
	json_put_int(w, "LinkLocalIPv6PrefixLen", 0);
	put_null(w, "SecondaryIPAddresses");
	put_null(w, "SecondaryIPv6Addresses");
	put_default(w, c, &l);
	json_key(w, "Networks");
	json_begin_object(w);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		r = put_endpoint(w, c, &l.items[i], a);
	json_end_object(w);
	json_end_object(w);
	return r < 0 ? err_sys(e, -r, "inspect") : 0;
}
