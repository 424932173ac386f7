/* rules.c: see rules.h. */
#include "link/rules.h"

#include <linux/netfilter/nf_conntrack_common.h>

/* With every change of the rules below: a table of another version is made anew. */
#define VERSION_COMMENT "networks of containers (rules 5)"

static const NftTable table = { NFT_INET, RULES_TABLE };
static const uint8_t v4_loopback[4] = { 127 }, v4_loopback_mask[4] = { 255 };

enum { FAMILIES = 2, PRIORITY_RAW = -300, PRIORITY_DNAT = -100, PRIORITY_FILTER = -5, PRIORITY_SNAT = 100 };

typedef struct Family {
	uint8_t nf; /* NFT_IP, NFT_IP6 */
	uint8_t size;
	NftType address;
	NftField source, destination;
	/* sets and maps: subnets that nobody outside reaches by themselves; those that are masqueraded; ports on every address, ports on one; ports of containers that are reached by their own address */
	const char *hidden, *masqueraded, *ports, *ports_at, *direct;
} Family;

static const Family families[FAMILIES] = {
	{ NFT_IP, 4, NFT_TYPE_IPV4, NFT_FIELD_IP_SADDR, NFT_FIELD_IP_DADDR, "hidden4", "masqueraded4", "ports4", "ports_at4", "direct4" },
	{ NFT_IP6, 16, NFT_TYPE_IPV6, NFT_FIELD_IP6_SADDR, NFT_FIELD_IP6_DADDR, "hidden6", "masqueraded6", "ports6", "ports_at6",
	  "direct6" },
};

/* ---- sets ---- */

static void add_sets(NftBatch *b)
{
	nft_set_add(b, &table, &(NftSet){ .name = "bridges", .key = { NFT_TYPE_IFNAME }, .comment = "of networks" });
	nft_set_add(b, &table, &(NftSet){ .name = "internal", .key = { NFT_TYPE_IFNAME }, .comment = "of internal networks" });
	nft_set_add(
		b, &table,
		&(NftSet){ .name = "closed", .key = { NFT_TYPE_PROTO }, .comment = "families that are forwarded for containers alone" });
	nft_set_add(b, &table,
		    &(NftSet){ .name = "lenient", .key = { NFT_TYPE_IFNAME }, .comment = "ports pass the host's forward rules" });
	nft_set_add(b, &table, &(NftSet){ .name = "open", .key = { NFT_TYPE_IFNAME, NFT_TYPE_PROTO }, .comment = "open to hosts outside" });
	/* a packet that stays in a bridge does not come by here, but where bridges call ip tables (br_netfilter) and for hairpins */
	nft_set_add(b, &table, &(NftSet){ .name = "pairs", .key = { NFT_TYPE_IFNAME, NFT_TYPE_IFNAME }, .data = { NFT_TYPE_VERDICT } });
	for (size_t i = 0; i < FAMILIES; i++) {
		const Family *f = &families[i];
		nft_set_add(b, &table, &(NftSet){ .name = f->hidden, .key = { f->address }, .flags = NFT_SET_INTERVAL });
		nft_set_add(b, &table, &(NftSet){ .name = f->masqueraded, .key = { f->address }, .flags = NFT_SET_INTERVAL });
		nft_set_add(b, &table,
			    &(NftSet){ .name = f->ports, .key = { NFT_TYPE_PROTO, NFT_TYPE_PORT }, .data = { f->address, NFT_TYPE_PORT } });
		nft_set_add(b, &table,
			    &(NftSet){ .name = f->ports_at,
				       .key = { f->address, NFT_TYPE_PROTO, NFT_TYPE_PORT },
				       .data = { f->address, NFT_TYPE_PORT } });
		nft_set_add(b, &table, &(NftSet){ .name = f->direct, .key = { f->address, NFT_TYPE_PROTO, NFT_TYPE_PORT } });
	}
}

/* ---- rules ---- */

static void rule(NftBatch *b, const char *chain, const char *comment)
{
	nft_rule(b, &table, chain, &(NftRule){ .comment = comment });
}

static void decide(NftBatch *b, int code)
{
	nft_verdict(b, (NftVerdict){ .code = code });
}

static void is_device(NftBatch *b, uint32_t key, const char *set, bool inverted)
{
	nft_meta(b, key, NFT_R(0));
	nft_lookup(b, NFT_R(0), set, inverted);
}

/* protocol . port, behind what is in the registers before. */
static void load_port(NftBatch *b, uint32_t reg)
{
	nft_meta(b, NFT_META_L4PROTO, reg);
	nft_field(b, NFT_FIELD_TH_DPORT, nft_after(reg, 1));
}

static void dnat(NftBatch *b, const Family *f, uint32_t key, const char *map)
{
	const uint32_t to = NFT_R(8);
	nft_lookup_map(b, key, map, to);
	nft_nat(b, &(NftNat){ .type = NFT_NAT_DNAT, .family = f->nf, .address = to, .port = nft_after(to, f->size) });
}

/* Ports of one address come before those of all. */
static void add_published(NftBatch *b)
{
	nft_chain_add(b, &table, &(NftChain){ .name = "published" });
	for (size_t i = 0; i < FAMILIES; i++) {
		const Family *f = &families[i];
		rule(b, "published", "a port of one address");
		nft_is_family(b, NFT_R(0), f->nf);
		load_port(b, nft_field(b, f->destination, NFT_R(0)));
		dnat(b, f, NFT_R(0), f->ports_at);
		rule(b, "published", "a port of every address");
		nft_is_family(b, NFT_R(0), f->nf);
		load_port(b, NFT_R(0));
		dnat(b, f, NFT_R(0), f->ports);
	}
}

static void add_dnat(NftBatch *b)
{
	static const struct {
		const char *name;
		uint8_t hook;
	} chains[] = { { "prerouting", NFT_PREROUTING }, { "output", NFT_OUTPUT } };
	for (size_t i = 0; i < ARRAY_LEN(chains); i++) {
		nft_chain_add(b, &table,
			      &(NftChain){ .name = chains[i].name, .type = "nat", .hook = chains[i].hook, .priority = PRIORITY_DNAT });
		rule(b, chains[i].name, "what is for the host may be for a container");
		nft_is_local(b, NFT_R(0));
		nft_verdict(b, (NftVerdict){ .code = NFT_JUMP, .chain = "published" });
	}
}

/* Before connections are tracked: addresses are those that the sender wrote. */
static void add_raw(NftBatch *b)
{
	nft_chain_add(b, &table,
		      &(NftChain){ .name = "raw",
				   .type = "filter",
				   .hook = NFT_PREROUTING,
				   .priority = PRIORITY_RAW,
				   .comment = "who sends what where he must not" });
	/* bridges have route_localnet, so that 127.0.0.1 of the host reaches published ports; containers do not get there by it, nor do neighbours: what is
	 * published on 127.0.0.1 is led to a container before the kernel looks at where it came from */
	rule(b, "raw", "the host's loopback addresses are not for anybody else");
	nft_is_family(b, NFT_R(0), NFT_IP);
	nft_is_ifname(b, NFT_R(0), NFT_META_IIFNAME, NFT_CMP_NEQ, "lo");
	nft_field(b, NFT_FIELD_IP_DADDR, NFT_R(0));
	nft_mask(b, NFT_R(0), v4_loopback_mask, NULL, sizeof v4_loopback_mask);
	nft_cmp(b, NFT_R(0), NFT_CMP_EQ, v4_loopback, sizeof v4_loopback);
	decide(b, NFT_DROP);
	for (size_t i = 0; i < FAMILIES; i++) {
		rule(b, "raw", "nobody outside reaches a container but by its ports");
		nft_is_family(b, NFT_R(0), families[i].nf);
		is_device(b, NFT_META_IIFNAME, "bridges", true);
		nft_is_ifname(b, NFT_R(0), NFT_META_IIFNAME, NFT_CMP_NEQ, "lo");
		nft_field(b, families[i].destination, NFT_R(0));
		nft_lookup(b, NFT_R(0), families[i].hidden, false);
		decide(b, NFT_DROP);
	}
}

static void add_forward_reach(NftBatch *b)
{
	rule(b, "forward", "networks whose addresses are reached from outside");
	nft_meta(b, NFT_META_OIFNAME, NFT_R(0));
	nft_meta(b, NFT_META_NFPROTO, NFT_R(4));
	nft_lookup(b, NFT_R(0), "open", false);
	decide(b, NFT_ACCEPT);
	for (size_t i = 0; i < FAMILIES; i++) {
		const Family *f = &families[i];
		rule(b, "forward", "ports that are reached by the container's own address");
		nft_is_family(b, NFT_R(0), f->nf);
		load_port(b, nft_field(b, f->destination, NFT_R(0)));
		nft_lookup(b, NFT_R(0), f->direct, false);
		decide(b, NFT_ACCEPT);
	}
}

/* A bit of the packet's mark, the others stay. */
static void put_mark(NftBatch *b)
{
	const uint32_t keep = ~RULES_MARK, set = RULES_MARK;
	nft_meta(b, NFT_META_MARK, NFT_R(0));
	nft_mask(b, NFT_R(0), &keep, &set, sizeof keep);
	nft_meta_set(b, NFT_META_MARK, NFT_R(0));
}

static void add_forward_marks(NftBatch *b)
{
	rule(b, "forward", "a host that is a router only since there are containers is none for others");
	is_device(b, NFT_META_IIFNAME, "bridges", true);
	is_device(b, NFT_META_OIFNAME, "bridges", true);
	nft_meta(b, NFT_META_NFPROTO, NFT_R(0));
	nft_lookup(b, NFT_R(0), "closed", false);
	decide(b, NFT_DROP);
	rule(b, "forward", "what is neither from a container nor for one is not ours to judge");
	is_device(b, NFT_META_IIFNAME, "bridges", true);
	is_device(b, NFT_META_OIFNAME, "bridges", true);
	decide(b, NFT_ACCEPT);
	rule(b, "forward", "answers");
	nft_is_state(b, NFT_R(0), NFT_STATE_ESTABLISHED | NFT_STATE_RELATED);
	put_mark(b);
	decide(b, NFT_ACCEPT);
	rule(b, "forward", "the host's own forward rules let it through, where ours do");
	is_device(b, NFT_META_IIFNAME, "bridges", false);
	put_mark(b);
	rule(b, "forward", "and published ports of networks that want it so");
	is_device(b, NFT_META_OIFNAME, "lenient", false);
	put_mark(b);
}

static void add_forward(NftBatch *b)
{
	nft_chain_add(b, &table, &(NftChain){ .name = "forward", .type = "filter", .hook = NFT_FORWARD, .priority = PRIORITY_FILTER });
	add_forward_marks(b);
	rule(b, "forward", "within a network, or not");
	nft_meta(b, NFT_META_IIFNAME, NFT_R(0));
	nft_meta(b, NFT_META_OIFNAME, NFT_R(4));
	nft_verdict_map(b, NFT_R(0), "pairs");
	rule(b, "forward", "an internal network has no way out");
	is_device(b, NFT_META_IIFNAME, "internal", false);
	decide(b, NFT_DROP);
	rule(b, "forward", "nor a way in");
	is_device(b, NFT_META_OIFNAME, "internal", false);
	decide(b, NFT_DROP);
	rule(b, "forward", "from a container to elsewhere");
	is_device(b, NFT_META_OIFNAME, "bridges", true);
	decide(b, NFT_ACCEPT);
	rule(b, "forward", "published ports");
	nft_is_status(b, NFT_R(0), NFT_STATUS_DNAT);
	decide(b, NFT_ACCEPT);
	rule(b, "forward", "networks are apart from one another");
	is_device(b, NFT_META_IIFNAME, "bridges", false);
	decide(b, NFT_DROP);
	add_forward_reach(b);
	rule(b, "forward", "nothing else comes to a container");
	decide(b, NFT_DROP);
}

static void add_snat(NftBatch *b)
{
	nft_chain_add(b, &table, &(NftChain){ .name = "postrouting", .type = "nat", .hook = NFT_POSTROUTING, .priority = PRIORITY_SNAT });
	for (size_t i = 0; i < FAMILIES; i++) {
		const Family *f = &families[i];
		rule(b, "postrouting", "what leaves has the host's address");
		nft_is_family(b, NFT_R(0), f->nf);
		nft_field(b, f->source, NFT_R(0));
		nft_lookup(b, NFT_R(0), f->masqueraded, false);
		is_device(b, NFT_META_OIFNAME, "bridges", true);
		nft_masquerade(b, 0);
		/* or the answer would go to the sender without coming by here again; subnets are in one of these sets, or in both */
		const char *const own[] = { f->hidden, f->masqueraded };
		for (size_t k = 0; k < ARRAY_LEN(own); k++) {
			rule(b, "postrouting", "a container that asks for a published port of its network");
			nft_is_family(b, NFT_R(0), f->nf);
			nft_is_status(b, NFT_R(0), NFT_STATUS_DNAT);
			nft_field(b, f->source, NFT_R(0));
			nft_lookup(b, NFT_R(0), own[k], false);
			is_device(b, NFT_META_OIFNAME, "bridges", false);
			nft_masquerade(b, 0);
		}
	}
	rule(b, "postrouting", "the host that asks for one by a loopback address");
	nft_is_family(b, NFT_R(0), NFT_IP);
	is_device(b, NFT_META_OIFNAME, "bridges", false);
	nft_field(b, NFT_FIELD_IP_SADDR, NFT_R(0));
	nft_mask(b, NFT_R(0), v4_loopback_mask, NULL, sizeof v4_loopback_mask);
	nft_cmp(b, NFT_R(0), NFT_CMP_EQ, v4_loopback, sizeof v4_loopback);
	nft_masquerade(b, 0);
}

void rules_make(NftBatch *b)
{
	nft_label(b, "rules of networks");
	nft_table_destroy(b, &table);
	nft_table_add(b, &table, 0, VERSION_COMMENT);
	add_sets(b);
	add_published(b);
	add_dnat(b);
	add_raw(b);
	add_forward(b);
	add_snat(b);
}

int rules_stand(int sock, Arena *a, Err *e)
{
	NftTables l;
	int r = nft_list_tables(sock, a, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		const NftTableInfo *t = &l.items[i];
		if (t->family == table.family && streq(t->name, table.name) && t->comment && streq(t->comment, VERSION_COMMENT)) return 1;
	}
	return r < 0 ? r : 0;
}

/* ---- elements ---- */

static void put_device(NftBatch *b, NftVerb verb, const char *set, const char *device)
{
	NftValue key = { 0 };
	nft_value_add_ifname(&key, device);
	nft_elements(b, verb, &table, set);
	nft_element(b, &(NftElement){ .key = &key });
}

static void put_subnet(NftBatch *b, NftVerb verb, const char *set, const IpPrefix *p)
{
	NftValue first = { 0 }, last = { 0 };
	nft_value_add_prefix(&first, &last, p->address.bytes, ip_size(&p->address), p->length);
	nft_elements(b, verb, &table, set);
	nft_interval(b, &(NftElement){ .key = &first, .last = &last });
}

static void put_open(NftBatch *b, NftVerb verb, const char *device, uint8_t family)
{
	NftValue key = { 0 };
	nft_value_add_ifname(&key, device);
	nft_value_add_proto(&key, family);
	nft_elements(b, verb, &table, "open");
	nft_element(b, &(NftElement){ .key = &key });
}

static void put_pair(NftBatch *b, NftVerb verb, const RulesNetwork *n)
{
	NftValue pair = { 0 };
	const NftVerdict verdict = { .code = n->closed ? NFT_DROP : NFT_ACCEPT };
	nft_value_add_ifname(&pair, n->device);
	nft_value_add_ifname(&pair, n->device);
	nft_elements(b, verb, &table, "pairs");
	nft_element(b, &(NftElement){ .key = &pair, .verdict = &verdict });
}

void rules_network(NftBatch *b, NftVerb verb, const RulesNetwork *n)
{
	nft_label(b, "rules of network device %s", n->device);
	put_device(b, verb, "bridges", n->device);
	if (n->internal) put_device(b, verb, "internal", n->device);
	if (n->lenient) put_device(b, verb, "lenient", n->device);
	put_pair(b, verb, n);
	for (size_t i = 0; i < ARRAY_LEN(n->subnets); i++) {
		const IpPrefix *p = &n->subnets[i];
		if (!p->address.family) continue;
		const Family *f = &families[p->address.family == 6];
		if (n->masquerade[i]) put_subnet(b, verb, f->masqueraded, p);
		if (n->reach[i] == RULES_OPEN) put_open(b, verb, n->device, f->nf);
		if (n->reach[i] == RULES_HIDDEN) put_subnet(b, verb, f->hidden, p);
	}
}

static void put_direct(NftBatch *b, NftVerb verb, const RulesPort *p)
{
	const Family *f = &families[p->to.family == 6];
	NftValue key = { 0 };
	nft_value_add(&key, p->to.bytes, f->size);
	nft_value_add_proto(&key, p->protocol);
	nft_value_add_port(&key, p->port);
	nft_elements(b, verb, &table, f->direct);
	nft_element(b, &(NftElement){ .key = &key });
}

static void put_port(NftBatch *b, NftVerb verb, const RulesPort *p)
{
	const Family *f = &families[p->to.family == 6];
	const bool any = ip_is_unspecified(&p->host);
	NftValue key = { 0 }, to = { 0 };
	if (p->direct) {
		put_direct(b, verb, p);
		return;
	}
	if (!any) nft_value_add(&key, p->host.bytes, f->size);
	nft_value_add_proto(&key, p->protocol);
	nft_value_add_port(&key, p->host_port);
	nft_value_add(&to, p->to.bytes, f->size);
	nft_value_add_port(&to, p->port);
	nft_elements(b, verb, &table, any ? f->ports : f->ports_at);
	nft_element(b, &(NftElement){ .key = &key, .data = &to });
}

void rules_ports(NftBatch *b, NftVerb verb, const RulesPort *ports, size_t n)
{
	nft_label(b, "published ports");
	for (size_t i = 0; i < n; i++)
		put_port(b, verb, &ports[i]);
}

void rules_close(NftBatch *b, NftVerb verb, int family)
{
	NftValue key = { 0 };
	nft_value_add_proto(&key, families[family == 6].nf);
	nft_label(b, "forwarding");
	nft_elements(b, verb, &table, "closed");
	nft_element(b, &(NftElement){ .key = &key });
}

/* ---- what goes ---- */

enum { SMALL_BATCH = 1 << 16 };

static void commit(NftBatch *b, int sock)
{
	Err ignored = ERR_INIT;
	(void)!nft_commit(b, sock, &ignored);
	nft_batch_done(b);
}

void rules_forget(int sock, const RulesPort *p)
{
	NftBatch b = NFT_BATCH_INIT(SMALL_BATCH);
	rules_ports(&b, NFT_DELETE, p, 1);
	commit(&b, sock);
}

static void forget_subnet(int sock, const char *set, const IpPrefix *p)
{
	NftBatch b = NFT_BATCH_INIT(SMALL_BATCH);
	put_subnet(&b, NFT_DELETE, set, p);
	commit(&b, sock);
}

static void forget_device(int sock, const char *set, const char *device)
{
	NftBatch b = NFT_BATCH_INIT(SMALL_BATCH);
	put_device(&b, NFT_DELETE, set, device);
	commit(&b, sock);
}

void rules_forget_network(int sock, const RulesNetwork *n)
{
	NftBatch b = NFT_BATCH_INIT(SMALL_BATCH);
	put_pair(&b, NFT_DELETE, n);
	commit(&b, sock);
	for (size_t i = 0; i < ARRAY_LEN(n->subnets); i++) {
		const IpPrefix *p = &n->subnets[i];
		if (!p->address.family) continue;
		const Family *f = &families[p->address.family == 6];
		forget_subnet(sock, f->masqueraded, p);
		forget_subnet(sock, f->hidden, p);
		NftBatch open = NFT_BATCH_INIT(SMALL_BATCH);
		put_open(&open, NFT_DELETE, n->device, f->nf);
		commit(&open, sock);
	}
	forget_device(sock, "internal", n->device);
	forget_device(sock, "lenient", n->device);
	forget_device(sock, "bridges", n->device);
}
