/* test_rtnl.c: what rtnl writes, byte by byte where it matters, and what it makes of messages that no kernel would send. test_rtnl_live.c has
 * the kernel's own opinion. */
#include "sys/rtnl_impl.h"

#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include "check.h"

/* ---- writing ---- */

static const struct nlmsghdr *message(const RtRequests *q, size_t i)
{
	const char *p = q->out.p;
	for (; i; i--) {
		struct nlmsghdr h;
		memcpy(&h, p, sizeof h);
		p += h.nlmsg_len;
	}
	return (const void *)p;
}

/* The payload of an attribute inside others, by the path of their types. */
static const void *inside(const void *p, size_t n, size_t *ret_n, const uint16_t *path, size_t steps)
{
	for (size_t i = 0; i < steps; i++) {
		p = nl_find(p, n, path[i], &n);
		if (!p) fail_msg("no attribute %u", path[i]);
	}
	*ret_n = n;
	return p;
}
#define INSIDE(p, n, ret_n, ...) inside(p, n, ret_n, (const uint16_t[]){ __VA_ARGS__ }, ARRAY_LEN(((const uint16_t[]){ __VA_ARGS__ })))

static void veth_is_one_message_and_its_alias_another(void **state)
{
	(void)state;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	static const uint8_t mac[] = { 2, 1, 2, 3, 4, 5 };
	RtDevice d = { .name = "host0", .alias = "for web", .master = 7, .hairpin = true, .up = true, .group = 3 };
	rtnl_veth_add(&b, "veth", &d, &(RtDevice){ .name = "eth0", .mac = mac, .mtu = 1400 }, 9);
	assert_int_equal(b.bad.code, ERR_NONE);
	assert_int_equal(b.first.n, 1);
	assert_int_equal(b.after.n, 1);
	const struct nlmsghdr *h = message(&b.first, 0);
	struct ifinfomsg m;
	size_t n, k;
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	assert_int_equal(h->nlmsg_type, RTM_NEWLINK);
	assert_int_equal(h->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
	assert_int_equal(h->nlmsg_len, b.first.out.n);
	assert_int_equal(m.ifi_flags, IFF_UP);
	const void *attrs = nl_attrs(h, sizeof m, &n);
	assert_string_equal(INSIDE(attrs, n, &k, IFLA_IFNAME), "host0");
	assert_int_equal(nl_u32(attrs, n, IFLA_MASTER), 7);
	assert_int_equal(nl_u32(attrs, n, IFLA_GROUP), 3);
	assert_null(nl_find(attrs, n, IFLA_IFALIAS, &k));
	assert_string_equal(INSIDE(attrs, n, &k, IFLA_LINKINFO, IFLA_INFO_KIND), "veth");
	const char *peer = INSIDE(attrs, n, &k, IFLA_LINKINFO, IFLA_INFO_DATA, VETH_INFO_PEER);
	memcpy(&m, peer, sizeof m);
	assert_int_equal(m.ifi_flags, 0);
	peer += sizeof m, k -= sizeof m;
	assert_int_equal(nl_u32(peer, k, IFLA_NET_NS_FD), 9);
	assert_int_equal(nl_u32(peer, k, IFLA_MTU), 1400);
	assert_memory_equal(INSIDE(peer, k, &n, IFLA_ADDRESS), mac, 6);
	h = message(&b.after, 0);
	assert_int_equal(h->nlmsg_flags, NLM_F_REQUEST); /* makes nothing */
	attrs = nl_attrs(h, sizeof m, &n);
	assert_memory_equal(INSIDE(attrs, n, &k, IFLA_IFALIAS), "for web", 7);
	assert_int_equal(*(const uint8_t *)INSIDE(attrs, n, &k, IFLA_LINKINFO, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_MODE), 1);
}

static void kinds_have_their_attributes(void **state)
{
	(void)state;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	RtDevice d = { .name = "x" };
	size_t n, k;
	rtnl_macvlan_add(&b, "m", &d, 5, 3, RT_MACVLAN_VEPA);
	rtnl_ipvlan_add(&b, "i", &d, 5, 3, RT_IPVLAN_L3S, RT_IPVLAN_PRIVATE);
	rtnl_vlan_add(&b, "v", &d, 3, 4094);
	rtnl_group_delete(&b, "g", 11);
	assert_int_equal(b.bad.code, ERR_NONE);
	const void *attrs = nl_attrs(message(&b.first, 0), sizeof(struct ifinfomsg), &n);
	assert_int_equal(nl_u32(attrs, n, IFLA_LINK), 3);
	assert_int_equal(nl_u32(attrs, n, IFLA_NET_NS_FD), 5);
	assert_int_equal(*(const uint32_t *)INSIDE(attrs, n, &k, IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_MACVLAN_MODE), MACVLAN_MODE_VEPA);
	attrs = nl_attrs(message(&b.first, 1), sizeof(struct ifinfomsg), &n);
	assert_int_equal(*(const uint16_t *)INSIDE(attrs, n, &k, IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_IPVLAN_MODE), IPVLAN_MODE_L3S);
	assert_int_equal(*(const uint16_t *)INSIDE(attrs, n, &k, IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_IPVLAN_FLAGS), IPVLAN_F_PRIVATE);
	attrs = nl_attrs(message(&b.first, 2), sizeof(struct ifinfomsg), &n);
	assert_int_equal(*(const uint16_t *)INSIDE(attrs, n, &k, IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_VLAN_ID), 4094);
	attrs = nl_attrs(message(&b.first, 3), sizeof(struct ifinfomsg), &n);
	assert_int_equal(nl_u32(attrs, n, IFLA_GROUP), 11);
	assert_int_equal(message(&b.first, 3)->nlmsg_type, RTM_DELLINK);
}

static void rates_beyond_32_bits(void **state)
{
	(void)state;
	static const struct {
		RtTbf t;
		uint32_t rate, limit, burst;
		uint64_t rate64;
	} cases[] = {
		{ { 1000000, 20000, 20 }, 1000000, 40000, 20000, 0 },
		{ { 1000000, 0, 0 }, 1000000, 115536, 65536, 0 },
		{ { 125000000, 0, 0 }, 125000000, 8750000, 2500000, 0 },
		{ { UINT64_C(12500000000), 0, 1 }, UINT32_MAX, 262500000, 250000000, UINT64_C(12500000000) },
		{ { UINT64_MAX, 0, UINT32_MAX }, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX },
		{ { 1, 1514, 1 }, 1, 1514, 1514, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_RT_BATCH b = RT_BATCH_INIT;
		size_t n, k;
		struct tc_tbf_qopt q;
		uint64_t rate64 = 0;
		rtnl_tbf_set(&b, "limit", 4, &cases[i].t);
		assert_int_equal(b.bad.code, ERR_NONE);
		const void *attrs = nl_attrs(message(&b.first, 0), sizeof(struct tcmsg), &n);
		assert_string_equal(INSIDE(attrs, n, &k, TCA_KIND), "tbf");
		memcpy(&q, INSIDE(attrs, n, &k, TCA_OPTIONS, TCA_TBF_PARMS), sizeof q);
		assert_int_equal(q.rate.rate, cases[i].rate);
		assert_int_equal(q.limit, cases[i].limit);
		const void *options = INSIDE(attrs, n, &n, TCA_OPTIONS);
		assert_int_equal(nl_u32(options, n, TCA_TBF_BURST), cases[i].burst);
		const void *p = nl_find(options, n, TCA_TBF_RATE64, &k);
		if (p) memcpy(&rate64, p, sizeof rate64);
		assert_true(rate64 == cases[i].rate64);
	}
}

/* Adds one wrong request; the batch says why. */
static void wrong(void (*add)(RtBatch *b), const char *why)
{
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	Err e = ERR_INIT;
	add(&b);
	assert_int_equal(b.bad.code, ERR_CONFIG);
	assert_int_equal(b.first.n + b.after.n, 0);
	if (!strstr(b.bad.msg, why)) fail_msg("\"%s\" lacks \"%s\"", b.bad.msg, why);
	assert_int_equal(rtnl_send(-1, &b, &e), -EINVAL);
	assert_true(starts_with(e.msg, "it: "));
	assert_int_equal(rtnl_send(-1, &b, &e), 0); /* forgotten, and empty */
}

#define WRONG(name, call) \
	static void name(RtBatch *b) \
	{ \
		call; \
	}
static const RtDevice fine = { .name = "x" };
static const IpAddress four = { .family = 4, .bytes = { 10 } }, six = { .family = 6, .bytes = { 0xfd } };
WRONG(no_name, rtnl_bridge_add(b, "it", &(RtDevice){ 0 }))
WRONG(long_name, rtnl_bridge_add(b, "it", &(RtDevice){ .name = "sixteen-bytes-xx" }))
WRONG(template, rtnl_dummy_add(b, "it", &(RtDevice){ .name = "eth%d" }))
WRONG(no_port, rtnl_bridge_add(b, "it", &(RtDevice){ .name = "x", .isolated = true }))
WRONG(far_alias, rtnl_macvlan_add(b, "it", &(RtDevice){ .name = "x", .alias = "a" }, 4, 1, RT_MACVLAN_BRIDGE))
WRONG(no_parent, rtnl_macvlan_add(b, "it", &fine, 4, 0, RT_MACVLAN_BRIDGE))
WRONG(vlan_zero, rtnl_vlan_add(b, "it", &fine, 2, 0))
WRONG(vlan_much, rtnl_vlan_add(b, "it", &fine, 2, 4095))
WRONG(own_mac, rtnl_ipvlan_add(b, "it", &(RtDevice){ .name = "x", .mac = six.bytes }, -1, 2, RT_IPVLAN_L2, RT_IPVLAN_BRIDGE))
WRONG(peer_up, rtnl_veth_add(b, "it", &fine, &(RtDevice){ .name = "y", .up = true }, -1))
WRONG(group_zero, rtnl_group_delete(b, "it", 0))
WRONG(no_index, rtnl_link_delete(b, "it", -19))
WRONG(no_device, rtnl_address_add(b, "it", &(RtAddress){ .ip = four }))
WRONG(long_prefix, rtnl_address_add(b, "it", &(RtAddress){ .index = 1, .ip = four, .prefix = 33 }))
WRONG(six_broadcast, rtnl_address_add(b, "it", &(RtAddress){ .index = 1, .ip = six, .broadcast = four }))
WRONG(no_way, rtnl_route_add(b, "it", &(RtRoute){ .to = { .family = 4 } }))
WRONG(two_families, rtnl_route_add(b, "it", &(RtRoute){ .to = { .family = 4 }, .via = six }))
WRONG(hole_via, rtnl_route_add(b, "it", &(RtRoute){ .to = four, .via = four, .type = RT_BLACKHOLE }))
WRONG(no_rate, rtnl_tbf_set(b, "it", 1, &(RtTbf){ 0 }))
WRONG(small_burst, rtnl_tbf_set(b, "it", 1, &(RtTbf){ .rate = 1, .burst = 100 }))

static void wrong_requests_are_not_sent(void **state)
{
	(void)state;
	char alias[RT_ALIAS_MAX + 2];
	memset(alias, 'a', sizeof alias - 1);
	alias[sizeof alias - 1] = 0;
	wrong(no_name, "not a possible name"), wrong(long_name, "not a possible name"), wrong(template, "not a possible name");
	wrong(no_port, "only ports"), wrong(far_alias, "another namespace"), wrong(no_parent, "index of a parent");
	wrong(vlan_zero, "1 to 4094"), wrong(vlan_much, "1 to 4094"), wrong(own_mac, "MAC of its parent"),
		wrong(peer_up, "when it is there");
	wrong(group_zero, "group 0"), wrong(no_index, "not an index"), wrong(no_device, "not an index"), wrong(long_prefix, "prefix");
	wrong(six_broadcast, "broadcast"), wrong(no_way, "gateway or a device"), wrong(two_families, "one family");
	wrong(hole_via, "leads nowhere"), wrong(no_rate, "needs a rate"), wrong(small_burst, "a burst of a frame");
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	Err e = ERR_INIT;
	rtnl_bridge_add(&b, "it", &(RtDevice){ .name = "x", .alias = alias });
	assert_int_equal(rtnl_send(-1, &b, &e), -EINVAL);
	alias[RT_ALIAS_MAX] = 0; /* too many bytes in all, long before there are too many requests */
	for (int i = 0; i < RT_BATCH_REQUESTS; i++)
		for (int k = 0; k < 4; k++)
			rtnl_link_set(&b, "it", 1, &(RtChange){ .alias = alias });
	assert_int_equal(rtnl_send(-1, &b, &e), -E2BIG);
	assert_int_equal(e.code, ERR_RESOURCE);
}

/* ---- reading ---- */

static const struct nlmsghdr *put_link(Buf *b)
{
	const struct ifinfomsg m = { .ifi_index = 5, .ifi_type = ARPHRD_ETHER, .ifi_flags = IFF_UP };
	size_t at = nl_begin(b, RTM_NEWLINK, NLM_F_MULTI, &m, sizeof m);
	nl_put_str(b, IFLA_IFNAME, "eth0");
	nl_put_u32(b, IFLA_LINK, 9);
	nl_put_u32(b, IFLA_LINK_NETNSID, 2);
	nl_put_u32(b, IFLA_MASTER, 3);
	nl_put(b, IFLA_ADDRESS, "\2\1\1\1\1\1", 6);
	nl_put_str(b, IFLA_IFALIAS, "words");
	size_t nest = nl_nest(b, IFLA_LINKINFO);
	nl_put(b, IFLA_INFO_KIND, "a-kind-that-is-longer-than-any", 30);
	nl_nest_end(b, nest);
	nl_end(b, at);
	return (const void *)b->p;
}

static const struct nlmsghdr *put_route(Buf *b, uint8_t type, uint32_t table)
{
	const struct rtmsg m = { .rtm_family = AF_INET, .rtm_dst_len = 16, .rtm_table = RT_TABLE_MAIN, .rtm_type = type };
	const struct rtnexthop way = { .rtnh_len = sizeof way + 8, .rtnh_ifindex = 4 };
	size_t at = nl_begin(b, RTM_NEWROUTE, NLM_F_MULTI, &m, sizeof m);
	nl_put(b, RTA_DST, four.bytes, 4);
	nl_put_u32(b, RTA_TABLE, table);
	size_t metrics = nl_nest(b, RTA_METRICS);
	nl_put_u32(b, RTAX_MTU, 1400);
	nl_nest_end(b, metrics);
	size_t nest = nl_nest(b, RTA_MULTIPATH);
	buf_put(b, &way, sizeof way);
	nl_put(b, RTA_GATEWAY, "\12\0\0\1", 4);
	nl_nest_end(b, nest);
	nl_end(b, at);
	return (const void *)b->p;
}

static void messages_are_read(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(10000);
	AUTO_BUF b = BUF_INIT(1000);
	RtLink l;
	RtRoute r;
	assert_int_equal(rtnl_parse_link(put_link(&b), &a, &l), 1);
	assert_string_equal(l.name, "eth0");
	assert_string_equal(l.kind, "a-kind-that-is-");
	assert_string_equal(l.alias, "words");
	assert_int_equal(l.peer, 9);
	assert_int_equal(l.peer_netns, 2);
	assert_int_equal(l.master, 3);
	assert_true(l.has_mac && l.mac[0] == 2 && l.flags == IFF_UP);
	buf_reset(&b);
	assert_int_equal(rtnl_parse_route(put_route(&b, RTN_UNICAST, 300), &r), 1);
	assert_int_equal(r.table, 300);
	assert_int_equal(r.index, 4);
	assert_int_equal(r.mtu, 1400);
	assert_int_equal(r.via.family, 4);
	buf_reset(&b);
	assert_int_equal(rtnl_parse_route(put_route(&b, RTN_UNICAST, RT_TABLE_LOCAL), &r), 0);
	static const uint8_t elsewhere[] = { RTN_UNSPEC, RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST, RTN_NAT, 255 };
	for (size_t i = 0; i < sizeof elsewhere; i++) {
		buf_reset(&b);
		assert_int_equal(rtnl_parse_route(put_route(&b, elsewhere[i], 300), &r), 0);
	}
}

/* Cut at each length, and with each byte that might be a length made as large as it gets: in a block of exactly that size, for the sanitizers. */
static void hostile(const Buf *whole)
{
	for (size_t n = 0; n <= whole->n; n++)
		for (size_t at = 0; at <= n; at++) {
			AUTO_FREE char *p = malloc(n ? n : 1);
			AUTO_ARENA a = ARENA_INIT(10000);
			RtLink l;
			RtAddress address;
			RtRoute r;
			assert_non_null(p);
			memcpy(p, whole->p, n);
			if (at >= sizeof(struct nlmsghdr) && at < n) p[at] = (char)0xff;
			if (n < sizeof(struct nlmsghdr)) continue;
			struct nlmsghdr *h = (void *)p;
			h->nlmsg_len = (uint32_t)n;
			if (rtnl_parse_link(h, &a, &l) > 0) assert_true(*l.name && strnlen(l.name, sizeof l.name) < sizeof l.name);
			if (rtnl_parse_address(h, &address) > 0) assert_true(address.ip.family && address.prefix <= ip_bits(&address.ip));
			if (rtnl_parse_route(h, &r) > 0) assert_true(r.to.family && r.prefix <= ip_bits(&r.to));
		}
}

static void hostile_messages_are_bounded(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(1000);
	const struct ifaddrmsg m = { .ifa_family = AF_INET6, .ifa_prefixlen = 64, .ifa_index = 2 };
	put_link(&b);
	hostile(&b);
	buf_reset(&b);
	put_route(&b, RTN_UNICAST, 300);
	hostile(&b);
	buf_reset(&b);
	size_t at = nl_begin(&b, RTM_NEWADDR, NLM_F_MULTI, &m, sizeof m);
	nl_put(&b, IFA_LOCAL, six.bytes, 16);
	nl_put(&b, IFA_ADDRESS, four.bytes, 4);
	nl_put_u32(&b, IFA_FLAGS, IFA_F_NODAD);
	nl_end(&b, at);
	hostile(&b);
}

/* ---- acknowledgements ---- */

static void put_ack(Buf *b, uint32_t seq, int error, const char *text)
{
	const struct nlmsgerr m = { .error = error };
	size_t at = nl_begin(b, NLMSG_ERROR, text ? NLM_F_ACK_TLVS | NLM_F_CAPPED : 0, &m, sizeof m);
	if (text) nl_put_str(b, NLMSGERR_ATTR_MSG, text);
	nl_end(b, at);
	memcpy(b->p + at + offsetof(struct nlmsghdr, nlmsg_seq), &seq, sizeof seq);
}

static void first_error_is_told(void **state)
{
	(void)state;
	enum { FIRST = -2 }; /* numbers go around */
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_BUF acks = BUF_INIT(1000);
	Err e = ERR_INIT;
	size_t failed = SIZE_MAX;
	rtnl_bridge_add(&b, "bridge", &(RtDevice){ .name = "a" });
	rtnl_vlan_add(&b, "vlan", &(RtDevice){ .name = "b" }, 1, 2);
	rtnl_link_delete(&b, "link", 7);
	const RtRequests *q = &b.first;
	put_ack(&acks, (uint32_t)FIRST - 1, -EPERM, NULL); /* of an earlier batch */
	put_ack(&acks, (uint32_t)FIRST + 3, -EPERM, NULL); /* of none */
	put_ack(&acks, (uint32_t)FIRST + 1, -EOPNOTSUPP, "Unknown device type");
	put_ack(&acks, (uint32_t)FIRST + 1, -EPERM, NULL);
	assert_int_equal(rtnl_take_acks(q, (uint32_t)FIRST, acks.p, acks.n, &failed, &e), 0);
	assert_int_equal(failed, 1);
	assert_string_equal(e.msg, "vlan: this kernel has no vlan");
	buf_reset(&acks);
	put_ack(&acks, (uint32_t)FIRST + 2, 0, NULL);
	assert_int_equal(rtnl_take_acks(q, (uint32_t)FIRST, acks.p, acks.n, &failed, &e), 1);
	assert_int_equal(failed, 1);
	failed = SIZE_MAX;
	buf_reset(&acks);
	put_ack(&acks, (uint32_t)FIRST + 1, -EOPNOTSUPP, "Not with that parent"); /* another reason */
	put_ack(&acks, (uint32_t)FIRST + 2, -EBUSY, NULL);
	assert_int_equal(rtnl_take_acks(q, (uint32_t)FIRST, acks.p, acks.n, &failed, &e), 1);
	assert_string_equal(e.msg, "vlan: operation not supported (Not with that parent)");
	for (size_t n = 0; n < acks.n; n++) { /* cut */
		AUTO_FREE char *p = malloc(n ? n : 1);
		assert_non_null(p);
		memcpy(p, acks.p, n);
		failed = SIZE_MAX;
		assert_true(rtnl_take_acks(q, (uint32_t)FIRST, p, n, &failed, &e) <= 0);
	}
}

static void lists_tell_that_they_changed(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(1000);
	Err e = ERR_INIT;
	const int ok = 0, bad = -EMSGSIZE;
	nl_end(&b, nl_begin(&b, NLMSG_NOOP, NLM_F_MULTI | NLM_F_DUMP_INTR, NULL, 0));
	assert_int_equal(nl_answers(b.p, b.n, 0, NULL, NULL, "list", &e), NL_INTERRUPTED);
	size_t at = nl_begin(&b, NLMSG_DONE, NLM_F_MULTI, &ok, sizeof ok);
	nl_end(&b, at);
	assert_int_equal(nl_answers(b.p, b.n, 0, NULL, NULL, "list", &e), NL_INTERRUPTED | NL_LAST);
	b.n = at;
	nl_end(&b, nl_begin(&b, NLMSG_DONE, NLM_F_MULTI, &bad, sizeof bad));
	assert_int_equal(nl_answers(b.p, b.n, 0, NULL, NULL, "list", &e), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(veth_is_one_message_and_its_alias_another),
		cmocka_unit_test(kinds_have_their_attributes),
		cmocka_unit_test(rates_beyond_32_bits),
		cmocka_unit_test(wrong_requests_are_not_sent),
		cmocka_unit_test(messages_are_read),
		cmocka_unit_test(hostile_messages_are_bounded),
		cmocka_unit_test(first_error_is_told),
		cmocka_unit_test(lists_tell_that_they_changed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
