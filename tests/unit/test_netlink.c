/* test_netlink.c: network devices, in network namespaces of the test's own; and answers that no kernel would give. */

/* The parsers are static: the module is compiled into the test. */
#include "sys/netlink.c"

#include <netinet/in.h>
#include <unistd.h>

#include "base/time.h"
#include "child.h"

static void names_are_checked(void **state)
{
	(void)state;
	const char *good[] = { "eth0", "a", "fifteen-bytes-x", "v.1", "eth%d" },
		   *bad[] = { "", ".", "..", "a/b", "a:b", "a b", "a\tb", "sixteen-bytes-xx" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(netdev_name_ok(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(netdev_name_ok(bad[i]));
	static const struct {
		NetDevice d[2];
		size_t n;
		const char *says;
	} cases[] = {
		{ { { "eth0", NULL }, { "eth1", "" } }, 2, NULL },
		{ { { "eth0", "net%d" }, { "eth1", "net%d" } }, 2, NULL },
		{ { { "eth0", "x" }, { "eth1", "x" } }, 2, "\"eth0\" and \"eth1\" would both be named \"x\"" },
		{ { { "eth0", "eth1" }, { "eth1", NULL } }, 2, "would both be named" },
		{ { { "eth0", "%s" } }, 1, "invalid network device name \"%s\"" },
		{ { { "eth0", "%d%d" } }, 1, "invalid network device name" },
		{ { { "eth/0", NULL } }, 1, "invalid network device name \"eth/0\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		NetDevice d[2];
		memcpy(d, cases[i].d, sizeof d);
		NetDevices l = { d, cases[i].n };
		assert_int_equal(netdev_check(&l, &e), cases[i].says ? -EINVAL : 0);
		if (cases[i].says && !strstr(e.msg, cases[i].says)) fail_msg("\"%s\" lacks \"%s\"", e.msg, cases[i].says);
	}
}

static void devices_come_from_documents(void **state)
{
	(void)state;
	typedef struct Holder {
		NetDevices l;
	} Holder;
	BIND_TABLE(holder_table, "holder", Holder,
		   { .name = "netDevices", .kind = BIND_OBJMAP, .offset = offsetof(Holder, l), .sub = &netdev_table });
	AUTO_ARENA a = ARENA_INIT(10000);
	Err e = ERR_INIT;
	Holder h;
	char text[] = "{\"netDevices\":{\"eth0\":{\"name\":\"net0\"},\"eth1\":{}}}";
	assert_int_equal(bind_parse(&holder_table, text, strlen(text), &h, "c", &a, &e), 0);
	assert_int_equal(h.l.n, 2);
	assert_string_equal(h.l.items[0].key, "eth0");
	assert_string_equal(h.l.items[0].name, "net0");
	assert_string_equal(h.l.items[1].key, "eth1");
	assert_null(h.l.items[1].name);
}

/* ---- malformed answers ---- */

static void attributes_stay_in_their_message(void **state)
{
	(void)state;
	struct {
		struct rtattr a;
		uint32_t v;
		struct rtattr b;
		char name[4];
	} m = { { 8, 7 }, 42, { 8, 9 | NLA_F_NESTED }, "abc" };
	size_t n = 0;
	assert_ptr_equal(nl_find(&m, sizeof m, 7, &n), &m.v);
	assert_int_equal(n, 4);
	assert_ptr_equal(nl_find(&m, sizeof m, 9, &n), m.name);
	assert_null(nl_find(&m, sizeof m, 8, &n));
	assert_null(nl_find(&m, sizeof m - 1, 9, &n));
	assert_null(nl_find(&m, 3, 7, &n));
	assert_null(nl_find(&m, 0, 7, &n));
	assert_int_equal(nl_u32(&m, sizeof m, 7), 42);
	m.a.rta_len = 0; /* would loop for ever */
	assert_null(nl_find(&m, sizeof m, 9, &n));
	m.a.rta_len = 3;
	assert_null(nl_find(&m, sizeof m, 9, &n));
	m.a.rta_len = 65535;
	assert_null(nl_find(&m, sizeof m, 7, &n));
	m.a.rta_len = 6; /* too short for a number */
	assert_int_equal(nl_u32(&m, sizeof m, 7), 0);
}

static void answers_are_bounded(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	struct {
		struct nlmsghdr h;
		struct nlmsgerr m;
		struct rtattr a;
		char text[8];
	} ack = { .h = { .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = 5, .nlmsg_len = NLMSG_LENGTH(sizeof(struct nlmsgerr)) } };
	size_t n = sizeof ack;
	const char *p = (const char *)&ack;
	assert_int_equal(nl_answers(p, ack.h.nlmsg_len, 5, NULL, NULL, "try", &e), 1);
	assert_int_equal(nl_answers(p, ack.h.nlmsg_len, 6, NULL, NULL, "try", &e), 0); /* another's */
	ack.m.error = -EPERM;
	assert_int_equal(nl_answers(p, ack.h.nlmsg_len, 5, NULL, NULL, "try", &e), -EPERM);
	assert_string_equal(e.msg, "try: operation not permitted");
	ack.h.nlmsg_len = sizeof ack;
	ack.h.nlmsg_flags = NLM_F_ACK_TLVS | NLM_F_CAPPED;
	ack.a = (struct rtattr){ .rta_len = 12, .rta_type = NLMSGERR_ATTR_MSG };
	memcpy(ack.text, "because!", 8); /* no NUL */
	assert_int_equal(nl_answers(p, n, 5, NULL, NULL, "try", &e), -EPERM);
	assert_string_equal(e.msg, "try: operation not permitted (because!)");
	ack.h.nlmsg_flags = NLM_F_ACK_TLVS; /* says that the request follows, and how long it is: a lie */
	ack.m.msg.nlmsg_len = 0xfffffff0;
	assert_int_equal(nl_answers(p, n, 5, NULL, NULL, "try", &e), -EPERM);
	ack.h.nlmsg_len = 17; /* an error without its number */
	assert_int_equal(nl_answers(p, n, 5, NULL, NULL, "try", &e), -EBADMSG);
	ack.h.nlmsg_len = 15;
	assert_int_equal(nl_answers(p, n, 5, NULL, NULL, "try", &e), -EBADMSG);
	ack.h.nlmsg_len = (uint32_t)n + 1;
	assert_int_equal(nl_answers(p, n, 5, NULL, NULL, "try", &e), -EBADMSG);
	ack.h = (struct nlmsghdr){ .nlmsg_type = RTM_NEWLINK, .nlmsg_seq = 5, .nlmsg_len = sizeof ack.h };
	Links l = { 0 };
	Addresses addresses = { 0 };
	assert_int_equal(nl_answers(p, sizeof ack.h, 5, take_link, &l, "try", &e), 0);
	ack.h.nlmsg_type = RTM_NEWADDR;
	assert_int_equal(nl_answers(p, sizeof ack.h, 5, take_address, &addresses, "try", &e), 0);
	assert_int_equal(l.n + addresses.n, 0);
}

/* ---- the kernel ---- */

static short flags_of(const char *name)
{
	struct ifreq r = { 0 };
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(r.ifr_name, name, strlen(name) + 1);
	return ioctl(sock, SIOCGIFFLAGS, &r) < 0 ? (short)-1 : r.ifr_flags;
}

static int loopback(void)
{
	Err e = ERR_INIT;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED(!(flags_of("lo") & IFF_UP));
	NEED_OK(netdev_lo_up(&e));
	NEED((flags_of("lo") & (IFF_UP | IFF_RUNNING | IFF_LOOPBACK)) == (IFF_UP | IFF_RUNNING | IFF_LOOPBACK));
	NEED(netdev_index("lo") == 1);
	NEED(netdev_index("nope") == -ENODEV && netdev_index("") == -EINVAL);
	NEED(netdev_up("nope", &e) == -ENODEV && strstr(e.msg, "nope"));
	AUTO_ARENA a = ARENA_INIT(100000);
	NetdevStatsList l;
	NEED_OK(netdev_stats(&a, &l, &e));
	for (size_t i = 0; i < l.n; i++)
		NEED(!streq(l.items[i].name, "lo"));
	return 0;
}

static void loopback_comes_up(void **state)
{
	(void)state;
	need_root();
	in_child(loopback);
}

static int namespace_fd(void)
{
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return ioctl(sock, SIOCGSKNS);
}

/* A veth with a peer of the kernel's naming; -EOPNOTSUPP where the kernel has none. */
static int make_veth(int sock, const char *name, Err *e)
{
	AUTO_BUF q = BUF_INIT(REQUEST_MAX);
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC };
	struct {
		struct rtattr kind;
		char text[4];
	} info = { { RTA_LENGTH(4), IFLA_INFO_KIND }, "veth" };
	uint32_t mtu = 1357;
	uint8_t mac[6] = { 2, 0, 0, 1, 2, 3 };
	size_t at = nl_begin(&q, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
	nl_put(&q, IFLA_IFNAME, name, strlen(name) + 1);
	nl_put(&q, IFLA_MTU, &mtu, sizeof mtu);
	nl_put(&q, IFLA_ADDRESS, mac, sizeof mac);
	nl_put(&q, IFLA_LINKINFO, &info, sizeof info);
	nl_end(&q, at);
	return nl_talk(sock, &q, NULL, NULL, "make a veth", e);
}

static int give_address(int sock, const char *dev, uint8_t scope, Address a, Err *e)
{
	AUTO_BUF q = BUF_INIT(REQUEST_MAX);
	struct ifaddrmsg m = {
		.ifa_family = a.family, .ifa_prefixlen = a.prefix, .ifa_scope = scope, .ifa_index = (uint32_t)netdev_index(dev)
	};
	size_t at = nl_begin(&q, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
	nl_put(&q, IFA_LOCAL, a.local, a.n);
	nl_put(&q, IFA_ADDRESS, a.address, a.n);
	if (a.has_broadcast) nl_put(&q, IFA_BROADCAST, a.broadcast, a.n);
	if (a.flags) nl_put(&q, IFA_FLAGS, &a.flags, sizeof a.flags);
	if (a.priority) { /* stands for a lifetime here */
		struct ifa_cacheinfo c = { .ifa_prefered = a.priority, .ifa_valid = a.priority };
		nl_put(&q, IFA_CACHEINFO, &c, sizeof c);
	}
	nl_end(&q, at);
	return nl_talk(sock, &q, NULL, NULL, "give an address", e);
}

static const Address plain = { .family = AF_INET,
			       .prefix = 24,
			       .n = 4,
			       .local = { 10, 1, 2, 3 },
			       .address = { 10, 1, 2, 3 },
			       .has_broadcast = 1,
			       .broadcast = { 10, 1, 2, 255 } };
static const Address peer = { .family = AF_INET, .prefix = 32, .n = 4, .local = { 10, 7, 0, 1 }, .address = { 10, 7, 0, 2 } };
static const Address link_scope = { .family = AF_INET, .prefix = 32, .n = 4, .local = { 10, 9, 9, 9 }, .address = { 10, 9, 9, 9 } };
static const Address dying = {
	.family = AF_INET, .prefix = 32, .n = 4, .local = { 10, 8, 8, 8 }, .address = { 10, 8, 8, 8 }, .priority = 1000
};
static const Address six = {
	.family = AF_INET6, .prefix = 64, .n = 16, .flags = IFA_F_NODAD, .local = { 0xfd, [15] = 1 }, .address = { 0xfd, [15] = 1 }
};

static bool has_address(const Addresses *l, const Address *want)
{
	for (size_t i = 0; i < l->n; i++) {
		const Address *a = &l->items[i];
		if (a->family != want->family || a->prefix != want->prefix || a->flags != want->flags ||
		    a->has_broadcast != want->has_broadcast)
			continue;
		const uint8_t *local = a->has_local ? a->local : a->address;
		if (memcmp(a->address, want->address, 16) == 0 && memcmp(local, want->local, 16) == 0 &&
		    memcmp(a->broadcast, want->broadcast, 16) == 0)
			return true;
	}
	return false;
}

/* Two namespaces: this one, and the one returned. */
static int two_namespaces(void)
{
	if (unshare(CLONE_NEWNET) < 0) return -errno;
	AUTO_FD int home = namespace_fd();
	if (home < 0 || unshare(CLONE_NEWNET) < 0) return -errno;
	int other = namespace_fd();
	return setns(home, CLONE_NEWNET) < 0 ? -errno : other;
}

static int move_keeps_everything(void)
{
	Err e = ERR_INIT;
	AUTO_FD int target = two_namespaces();
	if (target < 0) return CHILD_SKIP;
	AUTO_FD int sock = nl_open(NETLINK_ROUTE);
	if (make_veth(sock, "here0", &e) < 0) return CHILD_SKIP;
	NEED_OK(netdev_up("here0", &e));
	NEED_OK(give_address(sock, "here0", RT_SCOPE_UNIVERSE, plain, &e));
	NEED_OK(give_address(sock, "here0", RT_SCOPE_UNIVERSE, peer, &e));
	NEED_OK(give_address(sock, "here0", RT_SCOPE_LINK, link_scope, &e));
	NEED_OK(give_address(sock, "here0", RT_SCOPE_UNIVERSE, dying, &e));
	bool ipv6 = give_address(sock, "here0", RT_SCOPE_UNIVERSE, six, &e) == 0;
	NetDevice d = { .key = "here0", .name = "there0" };
	NEED_OK(netdev_move(&d, target, &e));
	NEED(netdev_index("here0") == -ENODEV); /* gone, and this is still our namespace */
	NEED(netdev_index("there0") == -ENODEV);
	NEED(setns(target, CLONE_NEWNET) == 0);
	NEED(netdev_index("there0") > 0 && (flags_of("there0") & IFF_UP));
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Addresses l = { .index = netdev_index("there0"), .items = arena_array(&a, ADDRESSES_MAX, sizeof *l.items) };
	AUTO_FD int there = nl_open(NETLINK_ROUTE);
	NEED_OK(list_addresses(there, &l, &e));
	NEED(has_address(&l, &plain) && has_address(&l, &peer));
	NEED(!has_address(&l, &link_scope) && !has_address(&l, &dying));
	NEED(has_address(&l, &six) == ipv6);
	NEED(l.n == 2 + (size_t)ipv6);
	struct ifreq r = { .ifr_name = "there0" };
	NEED(ioctl(there, SIOCGIFMTU, &r) == 0 && r.ifr_mtu == 1357);
	NEED(ioctl(there, SIOCGIFHWADDR, &r) == 0 && memcmp(r.ifr_hwaddr.sa_data, "\2\0\0\1\2\3", 6) == 0);
	return 0;
}

static int move_by_template_and_conflicts(void)
{
	Err e = ERR_INIT;
	AUTO_FD int target = two_namespaces();
	if (target < 0) return CHILD_SKIP;
	AUTO_FD int sock = nl_open(NETLINK_ROUTE);
	if (make_veth(sock, "a0", &e) < 0 || make_veth(sock, "a1", &e) < 0 || make_veth(sock, "a2", &e) < 0) return CHILD_SKIP;
	NEED_OK(netdev_up("a2", &e));
	NetDevice one = { "a0", "net%d" }, two = { "a1", "net%d" }, clash = { "a2", "net1" }, none = { "zz", NULL }, bad = { "a2", "a/b" };
	NEED_OK(netdev_move(&one, target, &e));
	NEED_OK(netdev_move(&two, target, &e));
	NEED(netdev_move(&clash, target, &e) == -EEXIST);
	NEED(strstr(e.msg, "network device a2: the container's network namespace already has a device \"net1\""));
	NEED(netdev_index("a2") > 0 && (flags_of("a2") & IFF_UP)); /* as it was */
	NEED(netdev_move(&none, target, &e) == -ENODEV && strstr(e.msg, "network device zz"));
	NEED(netdev_move(&bad, target, &e) == -EINVAL);
	NEED(netdev_move(&clash, sock, &e) == -EINVAL); /* not a namespace */
	NEED(netdev_index("a2") > 0);
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	NetdevStatsList l;
	NEED_OK(netdev_stats_of(target, &a, &l, &e));
	bool net0 = false, net1 = false, others = false;
	for (size_t i = 0; i < l.n; i++) {
		net0 |= streq(l.items[i].name, "net0");
		net1 |= streq(l.items[i].name, "net1");
		others |= starts_with(l.items[i].name, "a");
	}
	NEED(net0 && net1 && !others);
	NEED(netdev_index("a2") > 0); /* back home */
	NEED(setns(target, CLONE_NEWNET) == 0);
	NEED((flags_of("net0") & IFF_UP) && (flags_of("net1") & IFF_UP));
	return 0;
}

static void devices_move_with_their_addresses(void **state)
{
	(void)state;
	need_root();
	in_child(move_keeps_everything);
	in_child(move_by_template_and_conflicts);
}

static const NetdevStats *stats_named(const NetdevStatsList *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i].name, name)) return &l->items[i];
	return NULL;
}

static int traffic(void)
{
	Err e = ERR_INIT;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	AUTO_FD int sock = nl_open(NETLINK_ROUTE), udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (make_veth(sock, "t0", &e) < 0) return CHILD_SKIP;
	NEED_OK(netdev_up("t0", &e));
	NEED_OK(netdev_up("veth0", &e));
	NEED_OK(give_address(sock, "t0", RT_SCOPE_UNIVERSE, plain, &e));
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(0x0a0102ff) } };
	int on = 1;
	NEED(setsockopt(udp, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) == 0);
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	NetdevStatsList l;
	const NetdevStats *now = NULL, *other = NULL;
	/* the kernel opens the link a moment after both ends are up, and drops until then */
	for (int64_t end = time_monotonic() + INT64_C(5000000000); time_monotonic() < end && (!other || other->rx_packets < 5);) {
		NEED(sendto(udp, "0123456789", 10, 0, (struct sockaddr *)&to, sizeof to) == 10);
		arena_done(&a);
		a = ARENA_INIT(1 << 20);
		NEED_OK(netdev_stats(&a, &l, &e));
		now = stats_named(&l, "t0");
		other = stats_named(&l, "veth0");
	}
	NEED(now && other && now->tx_packets >= 5 && now->tx_bytes >= 5 * 52);
	NEED(other->rx_packets >= 5 && other->rx_bytes >= 5 * 52 && other->rx_errors == 0);
	NetdevStatsList one = { (NetdevStats[]){ { .name = "eth0",
						   .rx_bytes = 1,
						   .rx_packets = 2,
						   .rx_errors = 3,
						   .rx_dropped = 4,
						   .tx_bytes = 5,
						   .tx_packets = 6,
						   .tx_errors = 7,
						   .tx_dropped = 8 } },
				1 };
	AUTO_BUF out = BUF_INIT(1000);
	JsonWriter w = JSON_WRITER(&out);
	netdev_stats_write(&one, &w);
	NEED(streq(buf_str(&out),
		   "[{\"Name\":\"eth0\",\"RxBytes\":1,\"RxPackets\":2,\"RxErrors\":3,\"RxDropped\":4,\"TxBytes\":5,\"TxPackets\":6,"
		   "\"TxErrors\":7,\"TxDropped\":8}]"));
	return 0;
}

static void traffic_is_counted(void **state)
{
	(void)state;
	need_root();
	in_child(traffic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(devices_come_from_documents),
		cmocka_unit_test(attributes_stay_in_their_message),
		cmocka_unit_test(answers_are_bounded),
		cmocka_unit_test(loopback_comes_up),
		cmocka_unit_test(devices_move_with_their_addresses),
		cmocka_unit_test(traffic_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
