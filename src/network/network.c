/* network.c: see network.h. */
#include "network/network.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/time.h"
#include "sys/netlink.h"

enum { DOCUMENT_MAX = 1 << 20, ARENA_MAX = 4 << 20, NAME_MAX_BYTES = 255, MTU_MIN = 68, MTU_MAX = 65535, DEVICES_MAX = 1000 };

#define COLUMNS "id, name, driver, created, document"

#define N(json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(Network, field), ##__VA_ARGS__ \
	}
BIND_TABLE(network_document_table, "network", Network, N("EnableIPv4", BIND_BOOL, ipv4), N("EnableIPv6", BIND_BOOL, ipv6),
	   N("Internal", BIND_BOOL, internal), N("Attachable", BIND_BOOL, attachable), N("ConfigOnly", BIND_BOOL, config_only),
	   N("ConfigFrom", BIND_STRING, config_from), N("Scope", BIND_STRING, scope), N("IPAMOptions", BIND_MAP, ipam_options),
	   N("Options", BIND_MAP, options), N("Labels", BIND_MAP, labels), N("IPAM", BIND_LIST, pools, .sub = &ipam_config_table));
#undef N

/* ---- rows ---- */

static int read_row(const DbRows *rows, Arena *a, Network *ret, Err *e)
{
	Str text = db_row_str(rows, 4);
	char *copy = arena_str(a, text);
	int r = copy ? bind_parse(&network_document_table, copy, text.n, ret, "network", a, e) : err_sys(e, ENOMEM, "read a network");
	if (r < 0) return r;
	ret->created = db_row_int(rows, 3);
	if (db_row_dup(rows, 0, a, &ret->id) < 0 || db_row_dup(rows, 1, a, &ret->name) < 0 || db_row_dup(rows, 2, a, &ret->driver) < 0)
		return err_sys(e, ENOMEM, "read a network");
	return 0;
}

static int insert(Db *db, const Network *n, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	w.brief = true;
	bind_encode(&network_document_table, n, &w);
	if (buf_failed(&b)) return err_set(e, ERR_RESOURCE, EFBIG, "create network %.128s: too many labels or options", n->name);
	return db_run(db, "INSERT INTO networks(" COLUMNS ") VALUES(?, ?, ?, ?, ?)",
		      DB_ARGS(db_text(n->id), db_text(n->name), db_text(n->driver), db_int(n->created), db_text(buf_str(&b))), e);
}

static int new_id(Arena *a, const char **ret, Err *e)
{
	unsigned char raw[NETWORK_ID_LENGTH / 2];
	char *id = arena_alloc(a, NETWORK_ID_LENGTH + 1);
	if (!id) return err_sys(e, ENOMEM, "make an id");
	if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw) return err_sys(e, errno, "make an id");
	for (size_t i = 0; i < sizeof raw; i++)
		snprintf(id + 2 * i, 3, "%02x", raw[i]);
	*ret = id;
	return 0;
}

static int get(Db *db, const char *name, Arena *a, Network *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db, "SELECT " COLUMNS " FROM networks WHERE name = ?1 OR id = ?1 ORDER BY name <> ?1", DB_ARGS(db_text(name)), &rows,
		       e);
	return r <= 0 ? r : (r = read_row(&rows, a, ret, e)) < 0 ? r : 1;
}

static int list(const Networks *all, Arena *a, NetworkList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	size_t n = 0;
	int r = db_get(all->db, "SELECT count(*) FROM networks", DB_NONE, &rows, e);
	if (r > 0) n = (size_t)db_row_int(&rows, 0);
	db_rows_done(&rows);
	*ret = (NetworkList){ .items = arena_array(a, n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "list networks");
	if (r >= 0) r = db_query(all->db, "SELECT " COLUMNS " FROM networks ORDER BY name", DB_NONE, &rows, e);
	while (r >= 0 && ret->n < n && (r = db_next(&rows, e)) > 0)
		if ((r = read_row(&rows, a, &ret->items[ret->n], e)) >= 0) ret->n++;
	return r < 0 ? r : 0;
}

/* ---- what can be asked for ---- */

bool network_is_predefined(const char *name)
{
	return streq(name, "bridge") || streq(name, "host") || streq(name, "none");
}

bool network_is_user(const Network *n)
{
	return !network_is_predefined(n->name);
}

const char *network_scope(const Network *n)
{
	return n->scope && *n->scope ? n->scope : "local";
}

static int check_name(const char *name, Err *e)
{
	Str rest = str_trim(str_of(name));
	if (!rest.n) return err_set(e, ERR_CONFIG, EINVAL, "invalid name: name is empty");
	if (network_is_predefined(name) || streq(name, "default"))
		return err_set(e, ERR_PERMISSION, EPERM, "operation is not permitted on predefined %s network", name);
	for (size_t i = 0, n; i < strlen(name); i += n) {
		Str at = str_of(name + i);
		n = str_utf8(at);
		if (!n || str_is_control(at) || name[i] == '/' || name[i] == ':')
			return err_set(e, ERR_CONFIG, EINVAL,
				       "invalid network name: a name has no control characters, no '/' and no ':', and is UTF-8");
	}
	if (strlen(name) <= NAME_MAX_BYTES) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "invalid network name: longer than %d bytes", NAME_MAX_BYTES);
}

static int check_driver(const Network *w, Err *e)
{
	if (streq(w->driver, "host") || streq(w->driver, "null"))
		return err_set(e, ERR_PERMISSION, EPERM, "only one instance of \"%s\" network is allowed", w->driver);
	if (streq(w->driver, "bridge") || streq(w->driver, "macvlan") || streq(w->driver, "ipvlan")) return 0;
	if (streq(w->driver, "overlay"))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "This node is not a swarm manager: a network of driver overlay needs a cluster");
	return err_set(e, ERR_NOT_FOUND, ENOTSUP, "plugin \"%.128s\" not found", w->driver);
}

static bool is_gateway_mode(const char *text)
{
	static const char *const modes[] = { "nat", "nat-unprotected", "routed", "isolated", "" };
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (streq(text, modes[i])) return true;
	return false;
}

/* The kernel would choose a number in place of "%d". */
static bool device_ok(const char *name)
{
	return netdev_name_ok(name) && !strchr(name, '%');
}

static int bad_option(const StrPair *o, const char *why, Err *e)
{
	return err_set(e, ERR_CONFIG, EINVAL, "failed to parse %s value: %.128s (%s)", o->key, o->value, why);
}

/* Options that no driver of ours knows are kept, as docker does it: they are for others who read them. */
static int check_option(const StrPair *o, Err *e)
{
	bool yes;
	int mtu;
	IpAddress address;
	const bool is_switch = streq(o->key, NETWORK_ICC) || streq(o->key, NETWORK_MASQUERADE) || streq(o->key, NETWORK_INHIBIT4);
	if (is_switch && str_to_bool(o->value, &yes) < 0) return bad_option(o, "true or false is wanted", e);
	if (streq(o->key, NETWORK_MTU) && (str_to_int(str_of(o->value), &mtu) < 0 || (mtu && (mtu < MTU_MIN || mtu > MTU_MAX))))
		return bad_option(o, "a number from 68 to 65535 is wanted", e);
	if ((streq(o->key, NETWORK_GATEWAY_MODE4) || streq(o->key, NETWORK_GATEWAY_MODE6)) && !is_gateway_mode(o->value))
		return bad_option(o, "nat, nat-unprotected, routed or isolated is wanted", e);
	if (streq(o->key, NETWORK_PUBLISH) && !streq(o->value, "host") && !streq(o->value, "open"))
		return bad_option(o, "host or open is wanted", e);
	if (streq(o->key, NETWORK_BRIDGE_NAME) && !device_ok(o->value))
		return bad_option(o, "a device's name has at most 15 bytes, no '/', ':', '%' or blanks", e);
	if (streq(o->key, NETWORK_PREFIX) && (!device_ok(o->value) || strlen(o->value) > 11))
		return bad_option(o, "the beginning of a device's name has at most 11 bytes", e);
	if (streq(o->key, NETWORK_HOST_BINDING) && (ip_parse(str_of(o->value), &address) < 0 || address.family != 4))
		return bad_option(o, "an IPv4 address is wanted", e);
	return 0;
}

static int check_scope(const Network *w, Err *e)
{
	if (w->ingress) return err_set(e, ERR_PERMISSION, EPERM, "Ingress network can only be global scope network");
	if (!w->scope || !*w->scope || streq(w->scope, "local") || streq(w->scope, "global")) return 0;
	if (streq(w->scope, "swarm"))
		return err_set(e, ERR_PERMISSION, EPERM, "cannot create a swarm scoped network when swarm is not active");
	return err_set(e, ERR_CONFIG, EINVAL, "invalid scope \"%.128s\": local or global is wanted", w->scope);
}

static bool has_config_from(const Network *w)
{
	return w->config_from && *w->config_from;
}

static int check_config(const Network *w, Err *e)
{
	if (w->config_only && has_config_from(w))
		return err_set(e, ERR_PERMISSION, EPERM, "a configuration network cannot depend on another configuration network");
	if (w->config_only && (w->internal || w->attachable || (w->scope && *w->scope)))
		return err_set(e, ERR_PERMISSION, EPERM,
			       "configuration network can only contain network specific fields. Network operator fields like "
			       "[ ingress | internal | attachable | scope ] are not supported.");
	if (!has_config_from(w)) return 0;
	if (w->options.n)
		return err_set(e, ERR_PERMISSION, EPERM,
			       "network driver options are not supported if the network depends on a configuration network");
	if (!w->ipv4 || w->ipv6 || w->pools.n || w->ipam_options.n)
		return err_set(e, ERR_PERMISSION, EPERM,
			       "user specified configurations are not supported if the network depends on a configuration network");
	return 0;
}

static int check(const Network *w, Err *e)
{
	int r = check_name(w->name, e);
	if (r < 0 || (r = check_driver(w, e)) < 0 || (r = check_scope(w, e)) < 0 || (r = check_config(w, e)) < 0) return r;
	for (size_t i = 0; i < w->options.n; i++)
		if ((r = check_option(&w->options.items[i], e)) < 0) return r;
	return w->ipv4 || w->ipv6 ? 0 : err_set(e, ERR_CONFIG, EINVAL, "IPv4 or IPv6 must be enabled");
}

/* ---- subnets ---- */

/* Of our networks. */
static int list_own(const NetworkList *l, Arena *a, IpPrefixList *ret, Err *e)
{
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++)
		n += l->items[i].config_only ? 0 : l->items[i].pools.n;
	*ret = (IpPrefixList){ .items = arena_array(a, n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "list subnets");
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < l->items[i].pools.n && !l->items[i].config_only; k++)
			if (ip_prefix_parse(str_of(l->items[i].pools.items[k].subnet), &ret->items[ret->n]) >= 0) ret->n++;
	return 0;
}

/* Of the host, a default route aside, and of our networks. */
static int list_taken(const Networks *all, const IpPrefixList *own, Arena *a, IpPrefixList *ret, Err *e)
{
	IpPrefixList routes = { 0 };
	int r = all->routes ? all->routes(all->arg, a, &routes, e) : 0;
	if (r < 0) return err_wrap(e, "choose a subnet");
	*ret = (IpPrefixList){ .items = arena_array(a, routes.n + own->n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "list subnets");
	for (size_t i = 0; i < own->n; i++)
		ret->items[ret->n++] = own->items[i];
	for (size_t i = 0; i < routes.n; i++)
		if (routes.items[i].length) ret->items[ret->n++] = routes.items[i];
	return 0;
}

static int check_pools(const Network *n, const PoolList *pools, const IpPrefixList *own, Err *e)
{
	size_t of[2] = { 0 };
	for (size_t i = 0; i < pools->n; i++) {
		const IpPrefix *p = &pools->items[i].subnet;
		const bool six = p->address.family == 6;
		of[six]++;
		if (!(six ? n->ipv6 : n->ipv4))
			return err_set(e, ERR_CONFIG, EINVAL, "invalid network config: subnet %.64s: IPv%d is not enabled: %s",
				       n->pools.items[i].subnet, p->address.family, six ? "add --ipv6" : "leave out --ipv4=false");
		for (size_t k = 0; k < own->n; k++)
			if (ip_prefix_overlaps(p, &own->items[k]))
				return err_set(e, ERR_EXISTS, EADDRINUSE,
					       "invalid pool request: Pool overlaps with other one on this address space");
	}
	if (streq(n->driver, "bridge") && (of[0] > 1 || of[1] > 1))
		return err_set(e, ERR_CONFIG, EINVAL, "bridge driver doesn't support multiple subnets");
	return 0;
}

/* A family without a subnet gets one. */
static int fill_pools(const Networks *all, Network *n, const PoolList *pools, const IpPrefixList *own, Arena *a, Err *e)
{
	bool missing[2] = { n->ipv4, n->ipv6 };
	IpPrefixList taken;
	IpamConfig *items = arena_array(a, n->pools.n + ARRAY_LEN(missing), sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "create a network");
	for (size_t i = 0; i < pools->n; i++) {
		missing[pools->items[i].subnet.address.family == 6] = false;
		items[i] = n->pools.items[i];
	}
	n->pools.items = items;
	if (!missing[0] && !missing[1]) return 0;
	int r = list_taken(all, own, a, &taken, e);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(missing); i++)
		if (missing[i]) r = pool_choose(i ? 6 : 4, &taken, a, &items[n->pools.n++], e);
	return r;
}

/* A bridge belongs to one network. */
static int check_device(const Network *n, const NetworkList *l, Err *e)
{
	char own[NETWORK_DEVICE_MAX], other[NETWORK_DEVICE_MAX];
	if (!streq(n->driver, "bridge")) return 0;
	network_device(n, own);
	for (size_t i = 0; i < l->n; i++) {
		const Network *o = &l->items[i];
		if (!streq(o->driver, "bridge") || !streq(network_device(o, other), own)) continue;
		return err_set(e, ERR_EXISTS, EEXIST,
			       "cannot create network %s (%s): conflicts with network %s (%s): networks have same bridge name", n->id, own,
			       o->id, other);
	}
	return 0;
}

static int set_pools(const Networks *all, Network *n, Arena *a, Err *e)
{
	PoolList pools;
	NetworkList l;
	IpPrefixList own;
	int r = pools_parse(&n->pools, a, &pools, e);
	if (r < 0 || n->config_only) return r;
	if ((r = list(all, a, &l, e)) < 0 || (r = check_device(n, &l, e)) < 0 || (r = list_own(&l, a, &own, e)) < 0 ||
	    (r = check_pools(n, &pools, &own, e)) < 0)
		return r;
	return fill_pools(all, n, &pools, &own, a, e);
}

/* ---- the predefined ones ---- */

static int insert_default(const Networks *all, Network *n, Arena *a, Err *e)
{
	int r = new_id(a, &n->id, e);
	n->created = time_now();
	n->ipv4 = true;
	if (r >= 0 && streq(n->driver, "bridge")) r = set_pools(all, n, a, e);
	return r < 0 ? r : insert(all->db, n, e);
}

/* "skep0", or the next number: other state directories on this machine have networks, too. */
static int name_default(const Networks *all, char to[static NETWORK_DEVICE_MAX], Err *e)
{
	int r = 1;
	for (unsigned i = 0; r > 0 && i < DEVICES_MAX; i++) {
		snprintf(to, NETWORK_DEVICE_MAX, "skep%u", i);
		r = all->device ? all->device(all->arg, to, e) : 0;
	}
	return r > 0 ? err_set(e, ERR_RESOURCE, EEXIST, "the default bridge: all names from skep0 to %s are taken", to) : r;
}

/* In the caller's transaction. */
static int insert_defaults(const Networks *all, Arena *a, Err *e)
{
	char device[NETWORK_DEVICE_MAX];
	StrPair options[] = { { "com.docker.network.bridge.default_bridge", "true" },
			      { NETWORK_ICC, "true" },
			      { NETWORK_MASQUERADE, "true" },
			      { NETWORK_HOST_BINDING, "0.0.0.0" },
			      { NETWORK_BRIDGE_NAME, device },
			      { NETWORK_MTU, "1500" } };
	Network wanted[] = { { .name = "bridge", .driver = "bridge", .options = { options, ARRAY_LEN(options) } },
			     { .name = "host", .driver = "host" },
			     { .name = "none", .driver = "null" } };
	Network found;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		int r = get(all->db, wanted[i].name, a, &found, e);
		if (r == 0 && streq(wanted[i].driver, "bridge") && (r = name_default(all, device, e)) < 0) return r;
		if (r == 0) r = insert_default(all, &wanted[i], a, e);
		if (r < 0) return r;
	}
	return 0;
}

/* Before anything of a state directory's networks is looked at for the first time. */
static int ensure_defaults(const Networks *all, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	AUTO_DB_TX tx = { 0 };
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(all->db, "SELECT 1 FROM networks WHERE name = 'none'", DB_NONE, &rows, e);
	db_rows_done(&rows);
	if (r != 0) return r < 0 ? r : 0;
	if ((r = db_begin(all->db, DB_WRITE, &tx, e)) < 0 || (r = insert_defaults(all, &a, e)) < 0) return r;
	return db_commit(&tx, e);
}

/* ---- create ---- */

/* Labels of its own stay. */
static int take_labels(Network *n, const StrMap *from, Arena *a, Err *e)
{
	StrMap l = { .items = arena_array(a, n->labels.n + from->n + 1, sizeof *l.items), .n = n->labels.n };
	if (!l.items) return err_sys(e, ENOMEM, "create a network");
	for (size_t i = 0; i < l.n; i++)
		l.items[i] = n->labels.items[i];
	for (size_t i = 0; i < from->n; i++)
		if (!str_map_get(&n->labels, from->items[i].key)) l.items[l.n++] = from->items[i];
	n->labels = l;
	return 0;
}

static int take_config(Db *db, Network *n, Arena *a, Err *e)
{
	Network from;
	if (!has_config_from(n)) return 0;
	int r = get(db, n->config_from, a, &from, e);
	if (r < 0) return r;
	if (r == 0 || !from.config_only)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "configuration network \"%.128s\" does not exist", n->config_from);
	n->config_from = from.name;
	n->pools = from.pools;
	n->ipam_options = from.ipam_options;
	n->options = from.options;
	n->ipv4 = from.ipv4;
	n->ipv6 = from.ipv6;
	return take_labels(n, &from.labels, a, e);
}

int network_create(const Networks *all, const Network *want, Arena *a, Network *ret, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	Network n = *want, other;
	n.created = time_now();
	if (!n.driver || !*n.driver) n.driver = "bridge";
	int r = check(&n, e);
	if (n.config_only) n.driver = "null";
	if (r < 0 || (r = new_id(a, &n.id, e)) < 0 || (r = db_begin(all->db, DB_WRITE, &tx, e)) < 0) return r;
	if ((r = insert_defaults(all, a, e)) < 0 || (r = get(all->db, n.name, a, &other, e)) < 0) return r;
	if (r > 0 && streq(other.name, n.name)) return err_set(e, ERR_EXISTS, EEXIST, "network with name %s already exists", n.name);
	if ((r = take_config(all->db, &n, a, e)) < 0 || (r = set_pools(all, &n, a, e)) < 0) return r;
	if ((r = insert(all->db, &n, e)) < 0 || (r = db_commit(&tx, e)) < 0) return r;
	*ret = n;
	return 0;
}

/* ---- find, list, remove ---- */

static int find_by_prefix(Db *db, const char *prefix, Arena *a, Network *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	char end[NETWORK_ID_LENGTH + 2];
	size_t n = strlen(prefix);
	if (!n || n > NETWORK_ID_LENGTH || strspn(prefix, "0123456789abcdef") != n) return 0;
	memcpy(end, prefix, n + 1);
	end[n] = 'g'; /* behind all that begin so */
	end[n + 1] = 0;
	int r = db_get(db, "SELECT " COLUMNS " FROM networks WHERE id >= ? AND id < ?", DB_ARGS(db_text(prefix), db_text(end)), &rows, e);
	if (r <= 0 || (r = read_row(&rows, a, ret, e)) < 0) return r;
	r = db_next(&rows, e);
	if (r > 0) return err_set(e, ERR_CONFIG, EINVAL, "network %s is ambiguous (2 or more matches found based on ID prefix)", prefix);
	return r < 0 ? r : 1;
}

int network_find(const Networks *all, const char *name, Arena *a, Network *ret, Err *e)
{
	int r = ensure_defaults(all, e);
	if (r >= 0) r = get(all->db, name, a, ret, e);
	if (r == 0) r = find_by_prefix(all->db, name, a, ret, e);
	if (r == 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "network %.256s not found", name);
	return r < 0 ? r : 0;
}

int network_list(const Networks *all, Arena *a, NetworkList *ret, Err *e)
{
	int r = ensure_defaults(all, e);
	return r < 0 ? r : list(all, a, ret, e);
}

/* Others have their configuration from it. */
static int check_config_users(const Networks *all, const Network *n, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	if (!n->config_only) return 0;
	int r = db_get(all->db, "SELECT 1 FROM networks WHERE json_extract(document, '$.ConfigFrom') = ?", DB_ARGS(db_text(n->name)), &rows,
		       e);
	return r > 0 ? err_set(e, ERR_STATE, EBUSY, "error while removing network: configuration network \"%s\" is in use", n->name) : r;
}

static int check_endpoints(const Networks *all, const Network *n, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	AUTO_BUF b = BUF_INIT(DOCUMENT_MAX);
	char id[NETWORK_ID_LENGTH + 1];
	int r = db_query(all->db,
			 "SELECT id, name FROM containers WHERE id IN (SELECT container FROM addresses WHERE network = ?) ORDER BY name",
			 DB_ARGS(db_text(n->id)), &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0) {
		const char *container = db_row_text(&rows, 0);
		if ((r = all->runs(all->arg, container, e)) > 0)
			buf_printf(&b, "%sname:\"%s\" id:\"%.12s\"", b.n ? ", " : "", db_row_text(&rows, 1),
				   network_endpoint_id(n, container, id));
	}
	if (r < 0 || !b.n) return r;
	return err_set(e, ERR_STATE, EBUSY, "error while removing network: network %s has active endpoints (%.600s)", n->name, buf_str(&b));
}

int network_remove(const Networks *all, const Network *n, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	if (network_is_predefined(n->name))
		return err_set(e, ERR_PERMISSION, EPERM, "%s is a pre-defined network and cannot be removed", n->name);
	int r = db_begin(all->db, DB_WRITE, &tx, e);
	if (r < 0 || (r = check_config_users(all, n, e)) < 0 || (r = check_endpoints(all, n, e)) < 0) return r;
	if ((r = db_run(all->db, "DELETE FROM networks WHERE id = ?", DB_ARGS(db_text(n->id)), e)) < 0) return r;
	if (r == 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "network %s not found", n->name);
	if (all->drop && (r = all->drop(all->arg, n, e)) < 0) return r;
	return db_commit(&tx, e);
}

/* ---- what a network is ---- */

const char *network_device(const Network *n, char name[static NETWORK_DEVICE_MAX])
{
	const char *own = str_map_get(&n->options, NETWORK_BRIDGE_NAME);
	if (own)
		snprintf(name, NETWORK_DEVICE_MAX, "%s", own);
	else
		snprintf(name, NETWORK_DEVICE_MAX, "br-%.*s", NETWORK_SHORT_ID, n->id);
	return name;
}

static unsigned digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

const char *network_endpoint_id(const Network *n, const char *container, char id[static NETWORK_ID_LENGTH + 1])
{
	for (size_t i = 0; i < NETWORK_ID_LENGTH; i++)
		id[i] = "0123456789abcdef"[(digit(n->id[i]) + digit(container[i])) & 15];
	id[NETWORK_ID_LENGTH] = 0;
	return id;
}

bool network_option_bool(const Network *n, const char *key, bool fallback)
{
	bool value;
	const char *text = str_map_get(&n->options, key);
	return text && str_to_bool(text, &value) >= 0 ? value : fallback;
}

int network_option_int(const Network *n, const char *key, int fallback)
{
	int value;
	const char *text = str_map_get(&n->options, key);
	return text && str_to_int(str_of(text), &value) >= 0 ? value : fallback;
}
