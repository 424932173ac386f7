/* network_view.c: see network_view.h. */
#include "engine/network_view.h"

#include "base/time.h"
#include "engine/record.h"

/* ---- who is connected ---- */

/* Of a network with addresses: who has one; of the others: whose network it is. */
static const char *candidates(const Network *n, DbValue *ret_arg)
{
	const bool bare = streq(n->driver, "host") || (streq(n->driver, "null") && !n->config_only);
	*ret_arg = db_text(bare ? n->name : n->id);
	return bare ? "SELECT id FROM containers WHERE json_extract(host, '$.NetworkMode') = ? ORDER BY id"
		    : "SELECT DISTINCT container FROM addresses WHERE network = ? ORDER BY container";
}

static int list_candidates(Engine *g, const Network *n, Arena *a, StrList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	DbValue arg;
	const char *sql = candidates(n, &arg), *id;
	*ret = (StrList){ 0 };
	int r = db_query(g->db, sql, DB_ARGS(arg), &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0)
		if (db_row_dup(&rows, 0, a, &id) < 0 || str_list_add(ret, id, a) < 0)
			return err_sys(e, ENOMEM, "list the containers of network %s", n->name);
	return r;
}

int network_is_used(Engine *g, const Network *n, Arena *a, Err *e)
{
	const Networks all = networking_networks(g);
	StrList ids;
	int r = list_candidates(g, n, a, &ids, e);
	for (size_t i = 0; r == 0 && i < ids.n; i++)
		r = all.runs(all.arg, ids.items[i], e);
	return r;
}

static const EndpointRequest *request_of(const Record *c, const Network *n)
{
	static const EndpointRequest nothing;
	for (size_t i = 0; i < c->networks.n; i++)
		if (streq(c->networks.items[i].network, n->name)) return &c->networks.items[i];
	return &nothing;
}

/* 1; 0: it runs no more, or is gone. */
static int load(Engine *g, const Networks *all, const Network *n, const PoolList *pools, const char *id, Arena *a, NetworkEndpoint *ret,
		Err *e)
{
	Record c;
	Err why = ERR_INIT;
	int r = all->runs(all->arg, id, e);
	if (r <= 0) return r;
	r = record_find(g, id, a, &c, &why);
	if (r == -ENOENT) return 0;
	if (r < 0) {
		*e = why;
		return r;
	}
	Attachment at = { .request = request_of(&c, n), .network = *n, .pools = *pools };
	if ((r = attachment_load(all, c.id, &at, e)) < 0) return r;
	*ret = (NetworkEndpoint){ .container = c.id, .name = c.name, .addresses = { at.addresses[0], at.addresses[1] } };
	memcpy(ret->mac, at.mac, sizeof ret->mac);
	return 1;
}

int network_endpoints(Engine *g, const Network *n, Arena *a, NetworkEndpointList *ret, Err *e)
{
	const Networks all = networking_networks(g);
	PoolList pools;
	StrList ids;
	int r = pools_parse(&n->pools, a, &pools, e);
	if (r < 0 || (r = list_candidates(g, n, a, &ids, e)) < 0) return r;
	*ret = (NetworkEndpointList){ .items = arena_array(a, ids.n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "list the containers of network %s", n->name);
	for (size_t i = 0; i < ids.n; i++) {
		if ((r = load(g, &all, n, &pools, ids.items[i], a, &ret->items[ret->n], e)) < 0) return r;
		ret->n += r > 0;
	}
	return 0;
}

/* ---- the document ---- */

static void put_map(JsonWriter *w, const char *key, const StrMap *m)
{
	json_key(w, key);
	json_begin_object(w);
	for (size_t i = 0; i < m->n; i++)
		json_put_string(w, m->items[i].key, m->items[i].value);
	json_end_object(w);
}

static void put_null(JsonWriter *w, const char *key)
{
	json_key(w, key);
	json_null(w);
}

static void put_pool(JsonWriter *w, const IpamConfig *c)
{
	const struct {
		const char *key, *value;
	} texts[] = { { "Subnet", c->subnet }, { "IPRange", c->range }, { "Gateway", c->gateway } };
	json_begin_object(w);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].value && *texts[i].value) json_put_string(w, texts[i].key, texts[i].value);
	if (c->reserved.n) put_map(w, "AuxiliaryAddresses", &c->reserved);
	json_end_object(w);
}

/* Nobody has asked anything of the predefined ones: null, where others have what was asked for, be it nothing. */
static void put_ipam(JsonWriter *w, const Network *n)
{
	json_key(w, "IPAM");
	json_begin_object(w);
	json_put_string(w, "Driver", "default");
	if (network_is_user(n))
		put_map(w, "Options", &n->ipam_options);
	else
		put_null(w, "Options");
	json_key(w, "Config");
	if (n->pools.n)
		json_begin_array(w);
	else
		json_null(w);
	for (size_t i = 0; i < n->pools.n; i++)
		put_pool(w, &n->pools.items[i]);
	if (n->pools.n) json_end_array(w);
	json_end_object(w);
}

static void put_endpoint(JsonWriter *w, const Network *n, const NetworkEndpoint *p)
{
	const bool has_mac = p->addresses[0].address.family || p->addresses[1].address.family;
	char id[NETWORK_ID_LENGTH + 1], mac[RT_MAC_LEN * 3] = "", address[IP_PREFIX_TEXT_MAX];
	if (has_mac)
		snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", p->mac[0], p->mac[1], p->mac[2], p->mac[3], p->mac[4],
			 p->mac[5]);
	json_key(w, p->container);
	json_begin_object(w);
	json_put_string(w, "Name", p->name);
	json_put_string(w, "EndpointID", network_endpoint_id(n, p->container, id));
	json_put_string(w, "MacAddress", mac);
	json_put_string(w, "IPv4Address", ip_prefix_format(&p->addresses[0], address));
	json_put_string(w, "IPv6Address", ip_prefix_format(&p->addresses[1], address));
	json_end_object(w);
}

static void put_head(JsonWriter *w, const Network *n)
{
	char created[TIME_TEXT_MAX];
	time_format(n->created, TIME_NANOSECONDS, created);
	json_put_string(w, "Name", n->name);
	json_put_string(w, "Id", n->id);
	json_put_string(w, "Created", created);
	json_put_string(w, "Scope", network_scope(n));
	json_put_string(w, "Driver", n->driver);
	json_put_bool(w, "EnableIPv4", n->ipv4);
	json_put_bool(w, "EnableIPv6", n->ipv6);
}

static void put_kind(JsonWriter *w, const Network *n)
{
	json_put_bool(w, "Internal", n->internal);
	json_put_bool(w, "Attachable", n->attachable);
	json_put_bool(w, "Ingress", false);
	json_key(w, "ConfigFrom");
	json_begin_object(w);
	json_put_string(w, "Network", n->config_from ? n->config_from : "");
	json_end_object(w);
	json_put_bool(w, "ConfigOnly", n->config_only);
}

int network_view_json(Engine *g, const Network *n, Arena *a, JsonWriter *w, Err *e)
{
	NetworkEndpointList l;
	int r = network_endpoints(g, n, a, &l, e);
	if (r < 0) return r;
	json_begin_object(w);
	put_head(w, n);
	put_ipam(w, n);
	put_kind(w, n);
	json_key(w, "Containers");
	json_begin_object(w);
	for (size_t i = 0; i < l.n; i++)
		put_endpoint(w, n, &l.items[i]);
	json_end_object(w);
	put_map(w, "Options", &n->options);
	put_map(w, "Labels", &n->labels);
	json_end_object(w);
	return 0;
}
