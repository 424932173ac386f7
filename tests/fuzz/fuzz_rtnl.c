/* fuzz_rtnl.c: no datagram, whatever its bytes, is read beyond its end; what is taken from it keeps the promises of rtnl.h, and can be asked for. */
#include "fuzz.h"
#include "sys/rtnl_impl.h"

typedef struct Walk {
	Arena *a;
	RtBatch *b;
} Walk;

static void check_ip(const IpAddress *ip, uint8_t family)
{
	char text[IP_TEXT_MAX];
	assert(ip->family == 0 || ip->family == family);
	assert(strlen(ip_format(ip, text)) < IP_TEXT_MAX);
}

static void check_link(const RtLink *l)
{
	assert(l->index > 0 && *l->name && strnlen(l->name, RT_NAME_MAX) < RT_NAME_MAX && strnlen(l->kind, RT_NAME_MAX) < RT_NAME_MAX);
	assert(!l->alias || strlen(l->alias) <= RT_ALIAS_MAX);
}

static void check_address(const RtAddress *a, RtBatch *b)
{
	assert(a->index > 0 && (a->ip.family == 4 || a->ip.family == 6) && a->prefix <= ip_bits(&a->ip));
	check_ip(&a->peer, a->ip.family);
	check_ip(&a->broadcast, a->ip.family);
	rtnl_address_delete(b, "address", a);
}

static void check_route(const RtRoute *r, RtBatch *b)
{
	assert((r->to.family == 4 || r->to.family == 6) && r->prefix <= ip_bits(&r->to) && r->index >= 0 && r->type);
	check_ip(&r->via, r->to.family);
	check_ip(&r->source, r->to.family);
	const IpPrefix to = { r->to, r->prefix };
	assert(ip_prefix_overlaps(&to, &to));
	rtnl_route_add(b, "route", r);
}

static int take_message(const struct nlmsghdr *h, void *data)
{
	Walk *w = data;
	RtLink l;
	RtAddress a;
	RtRoute r;
	int x = rtnl_parse_link(h, w->a, &l);
	if (x > 0) check_link(&l);
	if (x < 0) return x;
	if (rtnl_parse_address(h, &a) > 0) check_address(&a, w->b);
	if (rtnl_parse_route(h, &r) > 0) check_route(&r, w->b);
	return 0;
}

static void take_acks(const char *p, size_t n, uint32_t first)
{
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	Err e = ERR_INIT;
	size_t failed = SIZE_MAX;
	rtnl_bridge_add(&b, "bridge", &(RtDevice){ .name = "b" });
	rtnl_link_delete(&b, "link", 7);
	int r = rtnl_take_acks(&b.first, first, p, n, &failed, &e);
	assert(r <= 1 && (failed == SIZE_MAX || failed < 2));
	assert(failed == SIZE_MAX || e.code != ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	Err e = ERR_INIT;
	struct nlmsghdr h;
	if (n < sizeof h || n > NL_ANSWER_MAX) return 0;
	AUTO_FREE char *copy = malloc(n);
	assert(copy);
	memcpy(copy, data, n);
	memcpy(&h, copy, sizeof h);
	int r = nl_answers(copy, n, h.nlmsg_seq, take_message, &(Walk){ &a, &b }, "fuzz", &e);
	assert(r >= 0 || e.code != ERR_NONE);
	take_acks(copy, n, h.nlmsg_seq);
	take_acks(copy, n, h.nlmsg_seq - 1);
	return 0;
}
